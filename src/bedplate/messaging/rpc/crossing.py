"""From a thread to a transport's loop and back: how blocking stubs make their calls.

One queue and one wake-up for many callers. Knows nothing of calls: it runs coroutines. Unlike a
portal it borrows a loop that somebody else runs.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextvars import copy_context
from typing import TypeVar

from bedplate._floor.process import birth
from bedplate.errors import Forked, PortalStalled, TransportClosed, WouldDeadlock
from bedplate.messaging.worker import in_crew

__all__ = ["Crossing"]

T = TypeVar("T")

_GRACE = 0.25


class Crossing:
    """Lets other threads run coroutines on ``loop``. ``wait`` is thread safe."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._birth = birth()
        self._waiting: deque[Callable[[], None]] = deque()
        self._woken = False
        # A loop that turns its own clock holds it while a crew works, but not while it waits here.
        self._began: Callable[[], None] | None = getattr(loop, "thread_started", None)
        self._over: Callable[[], None] | None = getattr(loop, "thread_ended", None)

    def wait(
        self, make: Callable[[], Coroutine[object, object, T]], timeout: float, what: str
    ) -> T:
        """Run ``make()`` on the loop and return its result, or raise its error.

        The coroutine is expected to keep ``timeout`` (seconds) by itself; the thread waits a
        quarter of a second longer and then raises `PortalStalled`. Raises `WouldDeadlock` on the
        loop's own thread, `Forked` in a child process, `TransportClosed` when the loop is closed.
        """
        if birth() is not self._birth:
            raise Forked(what=what)
        if _running() is self._loop:
            raise WouldDeadlock(what=what)
        result: Future[T] = Future()
        variables = copy_context()
        tasks: list[asyncio.Task[T]] = []
        began = self._began if in_crew() else None

        def begin() -> None:
            task = self._loop.create_task(make(), context=variables)
            tasks.append(task)
            task.add_done_callback(lambda done: _hand_back(done, result, began))

        try:
            self._post(begin)
        except RuntimeError:
            raise TransportClosed(what=what) from None
        if began is not None and self._over is not None:
            self._over()
        try:
            return result.result(timeout + _GRACE)
        except FutureTimeout:
            if result.done():
                raise  # the coroutine's own
            self._give_up(tasks, result, began)
            raise PortalStalled(seconds=timeout) from None
        except (KeyboardInterrupt, SystemExit):
            self._give_up(tasks, result, began)
            raise

    def _give_up(
        self,
        tasks: list[asyncio.Task[T]],
        result: "Future[T]",
        began: Callable[[], None] | None,
    ) -> None:
        if not result.cancel():
            return  # it came in this very moment, and the clock is held again
        if began is not None:
            began()

        def stop() -> None:
            for task in tasks:
                task.cancel()

        try:
            self._post(stop)
        except RuntimeError:
            return  # the loop is closed, and the task with it

    def _post(self, action: Callable[[], None]) -> None:
        self._waiting.append(action)
        if not self._woken:
            self._woken = True
            self._loop.call_soon_threadsafe(self._drain)

    def _drain(self) -> None:
        # Lowered before the queue is read: whoever appends later wakes the loop again.
        self._woken = False
        while self._waiting:
            self._waiting.popleft()()


def _hand_back(
    task: "asyncio.Task[T]", result: "Future[T]", began: Callable[[], None] | None
) -> None:
    if not result.set_running_or_notify_cancel():
        if not task.cancelled():
            task.exception()  # nobody waits for it any more
        return
    if began is not None:
        began()
    if task.cancelled():
        result.set_exception(TransportClosed(what="The event loop of a blocking call"))
    elif (error := task.exception()) is not None:
        result.set_exception(error)
    else:
        result.set_result(task.result())


def _running() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
