"""The transports of a service, as its configuration asks for them."""

from pathlib import Path

import pytest

from bedplate import Service
from bedplate.errors import InvalidConfig
from bedplate.messaging import Address

_URL = "memory://ttl-of-a-service/"


def _service(conf: Path, text: str) -> Service:
    conf.write_text(f"[transport.rpc]\nurl = {_URL}\n{text}")
    return Service("ttl", argv=("--no-health.enabled",), environ={}, files=(str(conf),))


async def test_configuration_bounds_how_long_messages_wait(tmp_path: Path) -> None:
    """Defaults and maxima by topic or exchange/topic, for calls and notifications apart."""
    text = f"""
ttl_default = stock:30s, notifications.*:1d
ttl_maximum = old/*:2s, *:2d
[transport.notify]
url = {_URL}
ttl_default = notifications.*:1h
"""
    async with _service(tmp_path / "service.conf", text) as service:
        calls, events = service.rpc.lifetime, service.notify.lifetime
        assert calls(Address.topic("stock"), None) == 30
        assert calls(Address.topic("stock", exchange="old"), None) == 2
        assert calls(Address.topic("stock"), 7 * 86400.0) == 2 * 86400
        assert calls(Address.topic("notifications.info"), None) == 86400
        assert events(Address.topic("notifications.info"), None) == 3600
        assert events(Address.topic("stock"), None) is None


async def test_a_senseless_ttl_is_told_with_its_place(tmp_path: Path) -> None:
    """Nothing is connected by a configuration that would make every message expire at once."""
    with pytest.raises(InvalidConfig, match=r"service\.conf:3:.*ttl_maximum is wrong in item 1"):
        async with _service(tmp_path / "service.conf", "ttl_maximum = stock:0\n"):
            pass
