"""The agent: runs the checks of a board when they are due, so that nobody who asks has to wait.

Acts and decides nothing: the board says what is due, what is late and what an answer means. Plain
checks run in threads of their own, ``async`` ones on the loop, each under its deadline.
"""

import asyncio
import random
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from inspect import iscoroutine, iscoroutinefunction
from typing import Self, cast, final

from bedplate._floor.portal import Portal
from bedplate.health.board import Board
from bedplate.health.check import Answer, Check, blame, fail, late

__all__ = ["Agent", "in_background"]

_LAST_WORD = 1.0


def _daemon(work: Callable[[], None]) -> None:
    """Run ``work`` in a thread that cannot keep the process from ending.

    A pool would be cheaper by some 50 µs a run, but a few stuck checks would fill it, and the
    interpreter waits for a pool's threads at its end.
    """
    threading.Thread(target=work, name="bedplate-health-check", daemon=True).start()


@final
class Agent:
    """Runs a board's checks on the current event loop for as long as its ``async with`` lasts.

    Each check runs once at a time. One that raises has failed; one that overruns its deadline has
    failed from then on: an ``async`` one is cancelled, a plain one cannot be and is simply not
    started again until it comes back. Nothing a check does ends the agent. ``jitter`` returns
    numbers from 0 to 1; ``in_thread`` starts a plain check.
    """

    def __init__(
        self,
        board: Board,
        *,
        jitter: Callable[[], float] = random.random,
        in_thread: Callable[[Callable[[], None]], None] = _daemon,
    ) -> None:
        self._board = board
        self._jitter = jitter
        self._in_thread = in_thread
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.Handle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._stop_listening: Callable[[], None] = _nothing

    async def __aenter__(self) -> Self:
        if self._loop is not None:
            raise RuntimeError("this agent runs already; make another for another board")
        self._loop = asyncio.get_running_loop()
        self._stop_listening = self._board.listen(self._wake)
        self._turn()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._stop_listening()
        self._loop = None
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            # A check that ignores its cancellation must not hold up the end of the service.
            await asyncio.wait(self._tasks, timeout=_LAST_WORD)

    def _wake(self) -> None:
        """Look again at what is due; safe from any thread."""
        loop = self._loop
        if loop is not None:
            try:
                loop.call_soon_threadsafe(self._turn)
            except RuntimeError:
                # A plain check came back after the loop was closed; the board has its answer.
                return

    def _turn(self) -> None:
        """Start what is due and set the timer for what comes next."""
        loop = self._loop
        if loop is None:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for check in self._board.begin_due():
            self._start(loop, check)
        due = self._board.next_due()
        if due is not None:
            wait = max(due - self._board.clock.now(), 0.0)
            self._timer = loop.call_later(wait, self._turn)

    def _start(self, loop: asyncio.AbstractEventLoop, check: Check) -> None:
        if _is_async(check.run):
            task = loop.create_task(self._run(check), name=f"health check {check.name}")
            self._tasks.add(task)
            task.add_done_callback(partial(self._ended, check))
            return
        try:
            self._in_thread(lambda: self._run_plain(check))
        except RuntimeError as error:
            # The machine has no thread left: that is what the check found, in a way.
            self._finish(check, blame(error))

    async def _run(self, check: Check) -> None:
        run = cast("Callable[[], Awaitable[Answer]]", check.run)
        try:
            async with asyncio.timeout(check.deadline) as limit:
                answer: object = await run()
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # Something the check waited for was cancelled, not the check itself.
            answer = blame(error)
        except TimeoutError as error:
            answer = late(check.deadline) if limit.expired() else blame(error)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it is, it is the answer
            answer = blame(error)
        self._finish(check, answer)

    def _ended(self, check: Check, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():  # perhaps before its first step
            self._board.abandoned(check.name)

    def _run_plain(self, check: Check) -> None:
        try:
            answer: object = check.run()
        except BaseException as error:  # noqa: BLE001 - the thread ends here; this is the answer
            answer = blame(error)
        if iscoroutine(answer):
            answer.close()
            answer = fail("the check returned a coroutine; add the async function itself")
        self._finish(check, answer)

    def _finish(self, check: Check, answer: object) -> None:
        self._board.finished(check.name, answer, jitter=self._jitter())
        self._wake()


def _is_async(run: Callable[[], object]) -> bool:
    return iscoroutinefunction(run) or iscoroutinefunction(getattr(run, "__call__", None))  # noqa: B004 - the method itself is asked about


def _nothing() -> None:
    """Stand in for a listener that is not there."""


@contextmanager
def in_background(board: Board) -> Iterator[None]:
    """Run a board's checks in a thread with an event loop of its own, for programs without one.

    Enter it after a fork, not before: threads do not survive one.
    """
    portal = Portal("bedplate-health")
    agent = Agent(board)
    portal.call(agent.__aenter__)
    try:
        yield
    finally:
        portal.call(agent.__aexit__)
        portal.close()
