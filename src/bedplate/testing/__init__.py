"""What tests of bedplate, of drivers and of applications need. Public.

Clocks that are turned, contract suites to subclass, links that fail on purpose.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bedplate.testing.clock import FakeClock as FakeClock
    from bedplate.testing.clock import TurnedLoop as TurnedLoop
    from bedplate.testing.faulty import Faults as Faults
    from bedplate.testing.faulty import FaultyLink as FaultyLink

__all__ = ["FakeClock", "Faults", "FaultyLink", "TurnedLoop"]


def __getattr__(name: str) -> object:
    if name in ("FakeClock", "TurnedLoop"):
        from bedplate.testing import clock

        return getattr(clock, name)
    if name in ("Faults", "FaultyLink"):
        # The function `faulty` has the name of its module, so it is not handed on here.
        import bedplate.testing.faulty

        return getattr(bedplate.testing.faulty, name)
    raise AttributeError(f"module 'bedplate.testing' has no attribute {name!r}")
