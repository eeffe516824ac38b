"""What tests of bedplate, of drivers and of applications need. Public.

Clocks that are turned, contract suites to subclass, links that fail on purpose.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bedplate.testing.clock import FakeClock as FakeClock
    from bedplate.testing.clock import TurnedLoop as TurnedLoop
    from bedplate.testing.faulty import FaultyLink as FaultyLink
    from bedplate.testing.faulty import faulty as faulty

__all__ = ["FakeClock", "FaultyLink", "TurnedLoop", "faulty"]


def __getattr__(name: str) -> object:
    if name in ("FakeClock", "TurnedLoop"):
        from bedplate.testing import clock

        return getattr(clock, name)
    if name in ("FaultyLink", "faulty"):
        from bedplate.testing import faulty

        return getattr(faulty, name)
    raise AttributeError(f"module 'bedplate.testing' has no attribute {name!r}")
