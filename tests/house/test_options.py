"""What options may be about.

How long a caller waits for signs of life belongs to the call: the application knows which of its
methods are slow, an operator does not. So no section offers a heartbeat of calls. A driver may
offer the keep-alive of its link, between this process and the broker, under a name that says so.
"""

import importlib
from collections.abc import Iterator

import pytest
from tests.house.source import modules

from bedplate.config import Schema, Section, option

ABOUT_CALLS = ("heartbeat", "monitor", "keepalive", "keep_alive", "beat")
OF_A_LINK = ("link_heartbeat", "connection_heartbeat")


def sections() -> Iterator[type[Section]]:
    """Yield every section that the package declares."""
    for module in modules():
        importlib.import_module(module)
    waiting = [Section]
    while waiting:
        found = waiting.pop().__subclasses__()
        yield from (each for each in found if each.__module__.startswith("bedplate."))
        waiting += found


def faults(section: type[Section]) -> list[str]:
    """Return the options that would let an operator set the heartbeat of calls."""
    of_a_driver = section.__module__.startswith("bedplate.messaging.drivers.")
    return [
        f"{section.__module__}.{section.__qualname__}.{spec.name}"
        for spec in Schema.of([section])
        if any(word in spec.name for word in ABOUT_CALLS)
        and not (of_a_driver and spec.name in OF_A_LINK)
    ]


def test_no_option_sets_the_heartbeat_of_calls() -> None:
    """Heartbeats of calls are the application's choice, per call, and never an option."""
    found = list(sections())
    assert found, "the package declares sections"
    assert [each for section in found for each in faults(section)] == []


class Wrong(Section):
    """A section that offers what it must not."""

    rpc_heartbeat: float = option(default=5.0, help="Seconds of silence.")
    link_heartbeat: float = option(default=5.0, help="Seconds between signs of life of a link.")
    workers: int = option(default=5, help="Workers.")


@pytest.mark.parametrize(
    ("module", "wrong"),
    [
        ("bedplate.service.options", ["rpc_heartbeat", "link_heartbeat"]),
        ("bedplate.messaging.drivers.rabbit", ["rpc_heartbeat"]),
    ],
)
def test_an_option_that_does_is_seen(
    module: str, wrong: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The heartbeat of calls is refused everywhere, that of links outside drivers."""
    monkeypatch.setattr(Wrong, "__module__", module)
    assert [each.rpartition(".")[2] for each in faults(Wrong)] == wrong
