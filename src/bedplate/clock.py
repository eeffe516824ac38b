"""Clocks and deadlines: time as a value that is handed in.

Nothing that decides reads a clock by itself; it is told ``now``. Two kinds of time are kept
apart: *monotonic* seconds, for waiting and deadlines inside a process, and *wall* seconds since
1970 (UTC), for what is written down or sent to another machine.
"""

import time
from collections.abc import Callable
from typing import Protocol

__all__ = ["SYSTEM", "Clock", "Deadline", "LoopClock", "SystemClock"]


class Clock(Protocol):
    """Where time comes from. Tests turn one by hand: ``bedplate.testing.FakeClock``."""

    def now(self) -> float:
        """Monotonic seconds; only differences mean anything."""
        ...

    def wall(self) -> float:
        """Seconds since 1970-01-01 UTC; may jump."""
        ...


class SystemClock:
    """The machine's clocks. ``now`` is ``time.monotonic``, as in asyncio's own loops."""

    __slots__ = ()

    def now(self) -> float:
        """Monotonic seconds."""
        return time.monotonic()

    def wall(self) -> float:
        """Seconds since 1970-01-01 UTC."""
        return time.time()

    def __repr__(self) -> str:
        return "SystemClock()"


SYSTEM = SystemClock()
"""The clock of this machine, for whoever is not given another."""


class _Loop(Protocol):
    def time(self) -> float: ...


class LoopClock:
    """An event loop's own time, so that what waits in a loop and what counts there agree.

    A loop whose time is turned in tests tells the wall time as well (`bedplate.testing`); with any
    other loop that is the machine's.
    """

    __slots__ = ("now", "wall")

    def __init__(self, loop: _Loop) -> None:
        # What asyncio's own loops answer, without asking them: it is asked several times a message.
        plain = getattr(loop.time, "__module__", "") == "asyncio.base_events"
        self.now: Callable[[], float] = time.monotonic if plain else loop.time
        self.wall: Callable[[], float] = getattr(loop, "wall", time.time)

    def __repr__(self) -> str:
        return "LoopClock()"


class Deadline:
    """A point in monotonic time by which something must have ended. Immutable.

    ``at`` is in monotonic seconds, ``timeout`` the seconds it was made from (for messages).
    """

    __slots__ = ("at", "timeout")

    at: float
    timeout: float

    def __init__(self, now: float, timeout: float) -> None:
        """End ``timeout`` seconds after ``now``. Raises ValueError for a negative or NaN time."""
        if not timeout >= 0:
            raise ValueError(f"a timeout cannot be {timeout!r} seconds")
        object.__setattr__(self, "at", now + timeout)
        object.__setattr__(self, "timeout", timeout)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Deadline cannot change ({name})")

    def remaining(self, now: float) -> float:
        """Seconds left, never below 0."""
        left = self.at - now
        return left if left > 0 else 0.0

    def expired(self, now: float) -> bool:
        """Whether its time has come."""
        return now >= self.at

    def __repr__(self) -> str:
        return f"Deadline(at={self.at!r}, timeout={self.timeout!r})"
