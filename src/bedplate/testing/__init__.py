"""What tests of bedplate, of drivers and of applications need. Public.

Clocks that are turned, contract suites to subclass, links that fail on purpose, stretches of
network that break, brokers of one's own.
"""

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bedplate.testing.brokers import BrokerFailed as BrokerFailed
    from bedplate.testing.brokers import RabbitNode as RabbitNode
    from bedplate.testing.clock import FakeClock as FakeClock
    from bedplate.testing.clock import TurnedLoop as TurnedLoop
    from bedplate.testing.faulty import Faults as Faults
    from bedplate.testing.faulty import FaultyLink as FaultyLink
    from bedplate.testing.relay import Relay as Relay

__all__ = [
    "BrokerFailed",
    "FakeClock",
    "Faults",
    "FaultyLink",
    "RabbitNode",
    "Relay",
    "TurnedLoop",
]

_WHERE = MappingProxyType(
    {
        "BrokerFailed": "brokers",
        "FakeClock": "clock",
        "Faults": "faulty",  # the function there has the name of its module: not handed on
        "FaultyLink": "faulty",
        "RabbitNode": "brokers",
        "Relay": "relay",
        "TurnedLoop": "clock",
    }
)


def __getattr__(name: str) -> object:
    if name not in _WHERE:
        raise AttributeError(f"module 'bedplate.testing' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"bedplate.testing.{_WHERE[name]}"), name)
