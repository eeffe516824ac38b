"""What operators choose, and what serving by those choices does."""

from pathlib import Path

import pytest

from bedplate.config import Config
from bedplate.errors import InvalidConfig
from bedplate.health import Board, HealthOptions, serve
from bedplate.testing import FakeClock


def options(text: str, tmp_path: Path) -> HealthOptions:
    """Return the section as read from a file."""
    path = tmp_path / "inventory.conf"
    path.write_text(f"[health]\n{text}\n")
    config = Config.load([HealthOptions], program="inventory", argv=(), environ={}, files=[path])
    return config[HealthOptions]


def test_health_is_on_loopback_and_closed_by_default() -> None:
    """Nobody elsewhere sees anything, and those here see one word."""
    chosen = HealthOptions()
    assert (chosen.enabled, chosen.host, chosen.port) == (True, "127.0.0.1", 8086)
    assert (chosen.socket, chosen.level) == ("", "status")


def test_a_misspelt_level_is_refused(tmp_path: Path) -> None:
    """It must not turn into an open one, nor into silence."""
    with pytest.raises(InvalidConfig, match="level"):
        options("level = all", tmp_path)


@pytest.mark.usefixtures("real_time")
async def test_a_port_is_served_at_the_level_chosen(tmp_path: Path) -> None:
    """The section says where and how openly."""
    board = Board(clock=FakeClock())
    async with serve(board, options("port = 0\nlevel = names", tmp_path)) as listener:
        assert listener is not None
        assert listener.host == "127.0.0.1"
        assert listener.port > 0


@pytest.mark.usefixtures("real_time")
async def test_a_socket_is_served_instead_of_a_port(tmp_path: Path) -> None:
    """Who names a socket wants no port."""
    path = tmp_path / "health.sock"
    async with serve(Board(clock=FakeClock()), HealthOptions(socket=str(path))) as listener:
        assert listener is not None
        assert (listener.path, listener.port) == (str(path), 0)
        assert path.is_socket()


@pytest.mark.usefixtures("real_time")
async def test_one_option_switches_it_off(tmp_path: Path) -> None:
    """Off means off: nothing listens anywhere."""
    chosen = options(f"enabled = no\nsocket = {tmp_path / 'health.sock'}", tmp_path)
    async with serve(Board(clock=FakeClock()), chosen) as listener:
        assert listener is None
        assert not (tmp_path / "health.sock").exists()
