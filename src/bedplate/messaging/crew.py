"""Who does the work of servers and listeners: so many handlers at once, of either colour.

Async handlers are tasks on the loop, plain ones run in threads of our own: a queue in, and one
wake-up of the loop for many results, which costs half of ``loop.run_in_executor``. Knows nothing
of messages: it runs functions.
"""

import asyncio
import queue
import sys
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from typing import final

from bedplate.messaging.worker import Worker

__all__ = ["Crew", "Done", "Run"]

Done = Callable[[object, BaseException | None], None]
"""What is called on the loop with the result or the error of a function."""

_Job = tuple[Context, Callable[[], object], Done]


@final
class Run:
    """One async function that runs or is about to."""

    __slots__ = ("_begun", "_crew", "_done", "_function", "task")

    def __init__(self, crew: "Crew", function: Callable[[], object], done: Done) -> None:
        self._crew, self._function, self._done = crew, function, done
        self._begun = False
        self.task: asyncio.Task[None] | None = None
        """Its task, from its first wait to its end: none is left for the collector to find."""

    def cancel(self) -> bool:
        """Cancel it; return whether it never began.

        Then its ``done`` is not called: nothing of it runs, not even what would notice.
        """
        task = self.task
        if task is None:
            return False
        fresh = not self._begun and not task.cancelling()
        task.cancel()
        if fresh:
            self._leave()
        return fresh

    async def work(self) -> None:
        """Run it, in its task."""
        self._begun = True
        try:
            result = await self._function()  # type: ignore[misc]  # the caller says that it is async
        except asyncio.CancelledError as error:
            self._end(None, error)
            raise
        except BaseException as error:  # noqa: BLE001 - see the crew
            self._end(None, error)
        else:
            self._end(result, None)

    def _end(self, result: object, error: BaseException | None) -> None:
        self._leave()
        self._done(result, error)

    def _leave(self) -> None:
        self._crew.running -= 1
        self.task = None


@final
class Crew:
    """At most ``workers`` functions at once, on the loop it is made on and in threads.

    Whatever a function raises goes to its ``done``, SystemExit and KeyboardInterrupt included: a
    message must not end the process. Not thread safe; call it on its loop.
    """

    __slots__ = ("_loop", "_name", "_threads", "running", "workers")

    def __init__(self, workers: int, loop: asyncio.AbstractEventLoop, name: str) -> None:
        self.workers = workers
        self.running = 0
        """How many functions run now."""
        self._loop, self._name = loop, name
        self._threads = _Threads(loop, name)

    @property
    def free(self) -> bool:
        """Whether one more may run."""
        return self.running < self.workers

    def run(
        self, function: Callable[[], object], done: Done, variables: Context, *, is_async: bool
    ) -> Run | None:
        """Run ``function`` in ``variables``; return what can be cancelled of it.

        ``done`` may be called before this returns.
        """
        self.running += 1
        if not is_async:
            self._threads.run(variables, function, self._leaving(done), self.running)
            return None
        run = Run(self, function, done)
        task = _spawn(run.work(), self._loop, variables, self._name)
        if task.done():
            return None
        run.task = task
        return run

    async def aside(self, function: Callable[[], object], freed: Callable[[], object]) -> object:
        """Run a plain function in a thread, from within a task of this crew and as part of it.

        It sees a copy of the task's context variables. A task that is cancelled meanwhile leaves at
        once, but its place stays taken until the thread is done; then ``freed`` is called.
        """
        outcome: asyncio.Future[tuple[object, BaseException | None]] = self._loop.create_future()

        def done(result: object, error: BaseException | None) -> None:
            if outcome.cancelled():
                self.running -= 1
                freed()
            else:
                outcome.set_result((result, error))

        self._threads.run(copy_context(), function, done, self.running)
        try:
            result, error = await outcome
        except asyncio.CancelledError:
            self.running += outcome.cancelled()
            raise
        if error is not None:
            raise error
        return result

    def close(self) -> None:
        """Let the threads end when they have done what is queued; waits for nobody."""
        self._threads.close()

    def _leaving(self, done: Done) -> Done:
        def leave(result: object, error: BaseException | None) -> None:
            self.running -= 1
            done(result, error)

        return leave


class _Threads:
    """Daemon threads, started when there is work for them, each taking one job at a time."""

    __slots__ = ("_began", "_count", "_ended", "_jobs", "_loop", "_name", "_over", "_woken")

    def __init__(self, loop: asyncio.AbstractEventLoop, name: str) -> None:
        self._loop, self._name = loop, name
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._ended: deque[tuple[Done, object, BaseException | None]] = deque()
        self._woken = False
        self._count = 0
        # A loop that turns its own clock holds it while threads that it knows of work.
        self._began: Callable[[], None] = getattr(loop, "thread_started", _nothing)
        self._over: Callable[[], None] = getattr(loop, "thread_ended", _nothing)

    def run(
        self, variables: Context, function: Callable[[], object], done: Done, wanted: int
    ) -> None:
        if self._count < wanted:
            self._count += 1
            name = f"{self._name}-{self._count}"
            Worker(target=self._work, name=name, daemon=True).start()
        self._began()
        self._jobs.put((variables, function, done))

    def close(self) -> None:
        for _ in range(self._count):
            self._jobs.put(None)
        self._count = 0

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            variables, function, done = job
            result: object = None
            failed: BaseException | None = None
            try:
                result = variables.run(function)
            except BaseException as error:  # noqa: BLE001 - see the crew
                failed = error
            self._ended.append((done, result, failed))
            # Kept, they would live until the next job: a payload, or the frames of a traceback.
            del job, variables, function, done, result, failed
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
            self._over()
            done(result, failed)


def _nothing() -> None:
    """Stand in for the clock of a loop that needs no holding."""


if sys.version_info >= (3, 12):

    def _spawn(
        work: Coroutine[object, object, None],
        loop: asyncio.AbstractEventLoop,
        variables: Context,
        name: str,
    ) -> "asyncio.Task[None]":
        # A handler that never waits needs no turn of the loop, and half of a task's cost.
        return asyncio.Task(work, loop=loop, name=name, context=variables, eager_start=True)
else:

    def _spawn(
        work: Coroutine[object, object, None],
        loop: asyncio.AbstractEventLoop,
        variables: Context,
        name: str,
    ) -> "asyncio.Task[None]":
        return asyncio.Task(work, loop=loop, name=name, context=variables)
