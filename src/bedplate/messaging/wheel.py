"""One event-loop timer for all the timers of a transport.

Setting and cancelling a timer here costs a tenth of ``loop.call_later``. Times are exact, to the
loop's own resolution. Belongs to one loop; knows nothing of messages.
"""

import asyncio
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from types import TracebackType
from typing import Self

from bedplate._floor.cause import caused

__all__ = ["Limit", "Timer", "Wheel"]

_COMPACT_FROM = 64
_FOREVER = 1e9
"""Loops cannot wait for ever; thirty years will do."""


class Timer:
    """A callback to come. ``cancel()`` costs nothing to speak of and may be called any time."""

    __slots__ = ("_callback", "_wheel")

    def __init__(self, wheel: "Wheel", callback: Callable[[], object]) -> None:
        self._wheel = wheel
        self._callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        """Make sure the callback does not run any more. Idempotent."""
        if self._callback is not None:
            self._callback = None
            self._wheel._forgot_one()  # noqa: SLF001 - the two are one mechanism

    @property
    def pending(self) -> bool:
        """Whether the callback is still to come."""
        return self._callback is not None

    def _take(self) -> Callable[[], object] | None:
        callback, self._callback = self._callback, None
        return callback


class Wheel:
    """All timers of one transport, behind a single timer of its loop."""

    __slots__ = ("_armed", "_armed_for", "_cancelled", "_firing", "_heap", "_loop", "_serial")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._heap: list[tuple[float, int, Timer]] = []
        self._serial = 0
        self._cancelled = 0
        self._firing = False
        self._armed: asyncio.TimerHandle | None = None
        self._armed_for = 0.0

    def __len__(self) -> int:
        return len(self._heap) - self._cancelled

    def after(self, seconds: float, callback: Callable[[], object]) -> Timer:
        """Call back after ``seconds`` of the loop's time, in order of due times.

        The callback must not block; what it raises goes to the loop's exception handler and
        leaves the other timers alone. Raises ValueError for a time that is not a number.
        """
        if not 0 <= seconds <= _FOREVER:
            if seconds != seconds:  # noqa: PLR0124 - only NaN differs from itself
                raise ValueError("a timer cannot be set for nan seconds")
            seconds = 0.0 if seconds < 0 else _FOREVER
        due = self._loop.time() + seconds
        timer = Timer(self, callback)
        self._serial += 1
        heappush(self._heap, (due, self._serial, timer))
        if not self._firing and (self._armed is None or due < self._armed_for):
            self._arm(due)
        return timer

    def limit(self, seconds: float) -> "Limit":
        """Bound a block of the current task: ``with wheel.limit(3): …`` raises TimeoutError."""
        return Limit(self, seconds)

    def clear(self) -> None:
        """Cancel every timer."""
        heap, self._heap, self._cancelled = self._heap, [], 0
        for _, _, timer in heap:
            timer._take()  # noqa: SLF001 - the two are one mechanism
        if self._armed is not None:
            self._armed.cancel()
            self._armed = None

    def _arm(self, due: float) -> None:
        if self._armed is not None:
            self._armed.cancel()
        self._armed_for = due
        self._armed = self._loop.call_at(due, self._fire)

    def _fire(self) -> None:
        self._armed = None
        # The loop runs what is due within its clock's resolution; go by what it was armed for,
        # lest a timer be one rounding error away and cost a second turn.
        now = max(self._loop.time(), self._armed_for)
        self._firing = True
        heap = self._heap
        while heap and heap[0][0] <= now:
            callback = heappop(heap)[2]._take()  # noqa: SLF001 - the two are one mechanism
            if callback is None:
                self._cancelled -= 1
                continue
            try:
                callback()
            except Exception as error:  # noqa: BLE001 - reported; the other timers still count
                self._loop.call_exception_handler(
                    {"message": "a timer's callback raised", "exception": error}
                )
            heap = self._heap  # the callback may have compacted or cleared it
        while heap and not heap[0][2].pending:
            heappop(heap)
            self._cancelled -= 1
        self._firing = False
        if heap:
            self._arm(heap[0][0])

    def _forgot_one(self) -> None:
        # Most timers are deadlines that never come due: sweep when they are half of all.
        self._cancelled += 1
        if self._cancelled > _COMPACT_FROM and self._cancelled * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2].pending]
            heapify(self._heap)
            self._cancelled = 0


class Limit:
    """A bound on the time of a block, as ``asyncio.timeout`` but on a wheel and for plain ``with``.

    Raises TimeoutError out of the block when the time is over. A cancellation from elsewhere
    passes through as what it is.
    """

    __slots__ = ("_cancelling", "_fired", "_seconds", "_task", "_timer", "_wheel")

    def __init__(self, wheel: Wheel, seconds: float) -> None:
        self._wheel, self._seconds = wheel, seconds
        self._fired = False

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a limit bounds a task; there is none here")
        self._task = task
        self._cancelling = task.cancelling()
        self._timer = self._wheel.after(self._seconds, self._fire)
        return self

    @property
    def expired(self) -> bool:
        """Whether the time was over before the block was."""
        return self._fired

    def _fire(self) -> None:
        self._fired = True
        self._task.cancel()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        if (
            self._fired
            and self._task.uncancel() <= self._cancelling
            and kind is not None
            and issubclass(kind, asyncio.CancelledError)
        ):
            raise caused(TimeoutError(), error) from error
