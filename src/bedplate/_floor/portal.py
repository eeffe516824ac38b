"""A private event loop in a thread, through which blocking code runs asyncio code.

The only part of the floor that knows asyncio. A portal is started by its first call, serves any
thread but its own, and crosses the border with one queue and one wake-up for many callers, which
costs half of ``asyncio.run_coroutine_threadsafe``. After a fork the child must use a new one: it
never touches the loop it inherited.
"""

import asyncio
import contextvars
import os
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Generic, TypeVar

from bedplate.errors import Forked, PortalStalled, WrongLoop

__all__ = ["Portal"]

T = TypeVar("T")

_GRACE = 0.25
_CANCEL_WAIT = 1.0


class Portal:
    """Runs coroutines of blocking callers in one loop thread of its own.

    Thread-safe. The thread is a daemon: a program that forgets ``close`` still ends.
    """

    def __init__(self, name: str = "bedplate-portal") -> None:
        """Name the thread; nothing starts before the first ``call``."""
        self._name = name
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._pid = 0
        self._waiting: deque[Callable[[], None]] = deque()
        self._woken = False

    def call(self, make: Callable[[], Awaitable[T]], *, timeout: float | None = None) -> T:
        """Await ``make()`` in the portal's loop and return its result, or raise its error.

        The caller's context variables are copied in; nothing flows back. With a ``timeout`` (in
        seconds; the awaitable is expected to keep it by itself) the caller waits a quarter of a
        second longer and then raises `PortalStalled`. Interrupted by a signal, it cancels the
        work, waits at most one second for that, and lets the interruption through. Raises
        `WrongLoop` in the portal's own thread and `Forked` in a child of the process.
        """
        loop = self._running()
        if threading.current_thread() is self._thread:
            raise WrongLoop(what="The blocking API, used inside the portal's own thread,")
        errand = _Errand(loop, make)
        self._post(loop, errand.start)
        try:
            return errand.result.result(None if timeout is None else timeout + _GRACE)
        except FutureTimeout:
            if errand.result.done():
                raise  # the awaitable's own TimeoutError
            self._post(loop, errand.stop)
            raise PortalStalled(seconds=timeout or 0.0) from None
        except (KeyboardInterrupt, SystemExit):
            self._post(loop, errand.stop)
            errand.wait_ended(_CANCEL_WAIT)
            raise

    def close(self) -> None:
        """Cancel what still runs, end the thread and wait for it. Idempotent."""
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is None or thread is None or self._pid != os.getpid():
            return
        if threading.current_thread() is thread:
            raise WrongLoop(what="Portal.close(), used inside the portal's own thread,")
        loop.call_soon_threadsafe(loop.stop)
        thread.join()

    def _running(self) -> asyncio.AbstractEventLoop:
        if self._pid not in (0, os.getpid()):
            raise Forked(what="The portal")  # asked before the lock, which a fork may have frozen
        with self._lock:
            if self._loop is None:
                self._loop = loop = asyncio.new_event_loop()
                self._pid = os.getpid()
                # An empty context: the first caller's variables must not become everybody's.
                self._thread = threading.Thread(
                    target=contextvars.Context().run,
                    args=(_serve, loop),
                    name=self._name,
                    daemon=True,
                )
                self._thread.start()
            return self._loop

    def _post(self, loop: asyncio.AbstractEventLoop, action: Callable[[], None]) -> None:
        self._waiting.append(action)
        if not self._woken:
            self._woken = True
            loop.call_soon_threadsafe(self._drain)

    def _drain(self) -> None:
        # Lowered before the queue is read: whoever appends later wakes the loop again.
        self._woken = False
        while self._waiting:
            self._waiting.popleft()()


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        leftover = asyncio.all_tasks(loop)
        for task in leftover:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*leftover, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        asyncio.set_event_loop(None)
        loop.close()


class _Errand(Generic[T]):
    """One call on its way through the loop: started and stopped there, awaited by its caller."""

    __slots__ = ("_context", "_loop", "_make", "_task", "result")

    def __init__(self, loop: asyncio.AbstractEventLoop, make: Callable[[], Awaitable[T]]) -> None:
        self.result: Future[T] = Future()
        self._loop, self._make = loop, make
        self._context = contextvars.copy_context()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = self._context.run(self._loop.create_task, self._run())

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def wait_ended(self, seconds: float) -> None:
        ended = threading.Event()
        self.result.add_done_callback(lambda _: ended.set())
        ended.wait(seconds)

    async def _run(self) -> None:
        try:
            value = await self._make()
        except asyncio.CancelledError:
            self.result.cancel()
        except BaseException as error:  # noqa: BLE001 - handed to the caller, whatever it is
            self.result.set_exception(error)
        else:
            self.result.set_result(value)
