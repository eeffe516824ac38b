"""Threads for plain handlers: a queue in, and one wake-up of the loop for many results.

Costs half of ``loop.run_in_executor``. Knows nothing of requests: it runs functions.
"""

import asyncio
import queue
import threading
from collections import deque
from collections.abc import Callable
from contextvars import Context

__all__ = ["Done", "Pool"]

Done = Callable[[object, BaseException | None], None]
"""What is called on the loop with the result or the error of a function."""

_Job = tuple[Context, Callable[[], object], Done]


class Pool:
    """At most ``size`` daemon threads, started when there is work for them.

    Belongs to the loop it is made on; ``run`` is called there. Threads take one job at a time and
    end with ``close``, which waits for nobody: Python cannot stop a thread from outside.
    """

    def __init__(self, size: int, loop: asyncio.AbstractEventLoop, name: str) -> None:
        self._size, self._loop, self._name = size, loop, name
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._ended: deque[tuple[Done, object, BaseException | None]] = deque()
        self._woken = False
        self._threads = 0
        self._busy = 0
        # A loop that turns its own clock holds it while threads that it knows of work.
        nothing: Callable[[], None] = lambda: None  # noqa: E731 - a default for two names
        self._began: Callable[[], None] = getattr(loop, "thread_started", nothing)
        self._over: Callable[[], None] = getattr(loop, "thread_ended", nothing)

    @property
    def busy(self) -> int:
        """How many functions run or wait for a thread."""
        return self._busy

    def run(self, context: Context, function: Callable[[], object], done: Done) -> None:
        """Run ``function`` in a thread and ``context``, then call ``done`` on the loop.

        Whatever it raises goes to ``done``, SystemExit and KeyboardInterrupt included.
        """
        self._busy += 1
        if self._threads < min(self._busy, self._size):
            self._threads += 1
            threading.Thread(
                target=self._work, name=f"{self._name}-{self._threads}", daemon=True
            ).start()
        self._began()
        self._jobs.put((context, function, done))

    def close(self) -> None:
        """Let the threads end when they have done what is queued."""
        for _ in range(self._threads):
            self._jobs.put(None)
        self._threads = 0

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            context, function, done = job
            result: object = None
            failed: BaseException | None = None
            try:
                result = context.run(function)
            except BaseException as error:  # noqa: BLE001 - a request must not end the thread
                failed = error
            self._ended.append((done, result, failed))
            # Kept, they would live until the next job: a payload, or a traceback's frames.
            del job, context, function, done, result, failed
            if not self._woken:
                self._woken = True
                try:
                    self._loop.call_soon_threadsafe(self._deliver)
                except RuntimeError:
                    return  # the loop is closed: nobody waits any more

    def _deliver(self) -> None:
        # Lowered before the queue is read: a thread that ends later wakes the loop again.
        self._woken = False
        while self._ended:
            done, result, failed = self._ended.popleft()
            self._busy -= 1
            self._over()
            done(result, failed)
