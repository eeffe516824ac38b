"""Clocks that are turned instead of waited for.

`FakeClock` is turned by hand, for pure parts. `TurnedLoop` is an event loop in which nothing takes
time: whenever every task waits, its clock jumps to the next timer. A test that spans ten minutes
runs in milliseconds and always the same way.
"""

import asyncio
import selectors
import threading
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar, TypeVarTuple, Unpack, final

__all__ = ["FakeClock", "TurnedLoop"]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_START = 1_000.0
_EPOCH = 1_700_000_000.0
_STUCK_AFTER = 10.0


@final
class FakeClock:
    """A `bedplate.clock.Clock` that stands still until ``turn`` is called."""

    def __init__(self, now: float = _START, wall: float = _EPOCH) -> None:
        """Begin at monotonic ``now`` and wall-clock ``wall`` (both in seconds)."""
        self._now, self._wall = now, wall

    def now(self) -> float:
        """Monotonic seconds."""
        return self._now

    def wall(self) -> float:
        """Seconds since 1970."""
        return self._wall

    def turn(self, seconds: float) -> float:
        """Let ``seconds`` pass on both clocks and return the new monotonic time."""
        if seconds < 0:
            raise ValueError("a clock is turned forward; set back the wall clock with set_wall()")
        self._now += seconds
        self._wall += seconds
        return self._now

    def set_wall(self, wall: float) -> None:
        """Set the wall clock alone, as an administrator or a time server does."""
        self._wall = wall


class _JumpingSelector(selectors.DefaultSelector):
    """Asks for events without waiting; what would have been waited for becomes a jump."""

    loop: "TurnedLoop"

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        # Asked before looking: whoever is done by now has woken us already.
        at_work = self.loop.threads_at_work()
        events = super().select(0)
        if events or (timeout is not None and timeout <= 0):
            return events
        if at_work:
            # A thread's work takes real time; wait for its wake-up before time may jump.
            return super().select(0.001)
        if timeout is None:
            events = super().select(_STUCK_AFTER)
            if not events:
                raise RuntimeError(
                    "the test is stuck: no timer is set and nothing happened for "
                    f"{_STUCK_AFTER:g} s"
                )
            return events
        self.loop.jump(timeout)
        return events


@final
class TurnedLoop(asyncio.SelectorEventLoop):
    """An asyncio loop whose time jumps; it is a `bedplate.clock.Clock` as well.

    Sockets work, but peers outside the process live in real time: use it where all that happens
    happens in this loop. Work given to ``run_in_executor`` or ``asyncio.to_thread``, and threads
    announced with ``thread_started`` and ``thread_ended``, hold the clock while they last. Waiting
    with no timer set and no event for 10 real seconds raises RuntimeError instead of hanging.
    """

    def __init__(self) -> None:
        self._turned = _START
        self._at_work = 0
        self._at_work_lock = threading.Lock()
        selector = _JumpingSelector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        """Return the loop's own monotonic seconds."""
        return self._turned

    def now(self) -> float:
        """Monotonic seconds: the loop's."""
        return self._turned

    def wall(self) -> float:
        """Seconds since 1970, moving with the loop's time."""
        return _EPOCH + self._turned - _START

    def jump(self, seconds: float) -> None:
        """Let ``seconds`` pass at once; the loop does so itself whenever all wait."""
        self._turned += seconds

    def run_in_executor(
        self,
        executor: Executor | None,
        func: Callable[[Unpack[Ts]], T],
        *args: *Ts,
    ) -> asyncio.Future[T]:
        """Do as every loop does, and hold the clock until the result is here."""
        self.thread_started()
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(lambda _: self.thread_ended())
        return future

    async def shutdown_default_executor(self, *timeout: float | None) -> None:
        """Do as every loop does; a time limit must not pass while threads end."""
        self.thread_started()
        try:
            await super().shutdown_default_executor(*timeout)
        finally:
            self.thread_ended()

    def thread_started(self) -> None:
        """Hold the clock until ``thread_ended``; safe from any thread."""
        with self._at_work_lock:
            self._at_work += 1

    def thread_ended(self) -> None:
        """Undo one ``thread_started``; safe from any thread."""
        with self._at_work_lock:
            self._at_work -= 1

    def threads_at_work(self) -> bool:
        """Whether some thread holds the clock."""
        return self._at_work > 0
