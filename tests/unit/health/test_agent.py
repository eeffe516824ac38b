"""How the checks of a board are run."""

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from itertools import pairwise

import pytest

from bedplate.health.agent import Agent, in_background
from bedplate.health.board import Board
from bedplate.health.check import Answer, Outcome, warn
from bedplate.health.report import Result
from bedplate.testing import TurnedLoop


def turned() -> TurnedLoop:
    """Return the running loop, whose clock jumps."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, TurnedLoop)
    return loop


def found(board: Board, name: str) -> Result:
    """Return how the check of this name stands."""
    (result,) = (each for each in board.report().results if each.name == name)
    return result


def agent(board: Board) -> Agent:
    """Return an agent without jitter whose threads hold the turned clock."""
    loop = turned()

    def in_thread(work: Callable[[], None]) -> None:
        def announced() -> None:
            try:
                work()
            finally:
                loop.thread_ended()

        loop.thread_started()
        threading.Thread(target=announced).start()

    return Agent(board, jitter=lambda: 0.5, in_thread=in_thread)


async def test_checks_run_at_once_and_then_every_period() -> None:
    """The first answer does not wait for a period to pass."""
    loop, runs = turned(), list[float]()
    board = Board(clock=loop)

    async def db() -> None:
        runs.append(loop.time())

    board.add("db", db, period=10)
    began = loop.time()
    async with agent(board):
        await asyncio.sleep(25)
    assert [at - began for at in runs] == [0, 10, 20]


async def test_no_two_replicas_stay_in_step() -> None:
    """Without being told otherwise, an agent varies the time between runs."""
    loop, runs = turned(), list[float]()
    board = Board(clock=loop)

    async def db() -> None:
        runs.append(loop.time())

    board.add("db", db, period=10)
    async with Agent(board):
        await asyncio.sleep(100)
    gaps = {round(later - at, 6) for at, later in pairwise(runs)}
    assert len(gaps) > 1
    assert all(9 <= gap <= 11 for gap in gaps)


async def test_a_check_added_later_runs_at_once() -> None:
    """An agent with nothing to do for an hour still hears of a new check."""
    board = Board(clock=turned())
    board.add("slow", lambda: None, period=3600)
    async with agent(board):
        await asyncio.sleep(100)
        board.add("late", lambda: None)
        await asyncio.sleep(1)
        assert found(board, "late").state == "pass"


async def test_a_hanging_check_fails_at_its_deadline_and_holds_up_nothing() -> None:
    """A probe is answered while the check hangs, and other checks keep their periods."""
    loop, runs = turned(), list[float]()
    board = Board(clock=loop)
    board.started()

    async def hang() -> None:
        await asyncio.Event().wait()

    async def other() -> None:
        runs.append(loop.time())

    board.add("hang", hang, deadline=2, period=100)
    board.add("other", other, period=1)
    async with agent(board):
        await asyncio.sleep(1.5)
        assert found(board, "hang").reason == "has not run yet"
        await asyncio.sleep(3)
        assert found(board, "hang").reason == "did not answer within 2 s"
        assert board.report("ready").state == "fail"
    assert len(runs) == 5


async def test_a_check_that_ignores_its_cancellation_is_not_started_again() -> None:
    """It has failed, and piling more of it up would not help."""
    loop, runs, release = turned(), list[float](), asyncio.Event()
    board = Board(clock=loop)

    async def stubborn() -> None:
        runs.append(loop.time())
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    board.add("stubborn", stubborn, deadline=2, period=5)
    async with agent(board):
        await asyncio.sleep(60)
        assert len(runs) == 1
        assert found(board, "stubborn").reason == "did not answer within 2 s"
        release.set()
        await asyncio.sleep(6)
        assert len(runs) == 2
        assert found(board, "stubborn").state == "pass"


async def test_a_plain_check_runs_beside_the_loop() -> None:
    """A function that blocks must not block the service."""
    board = Board(clock=turned())
    threads: list[threading.Thread] = []

    def plain() -> Outcome:
        threads.append(threading.current_thread())
        return warn("so so")

    board.add("plain", plain)
    async with agent(board):
        await asyncio.sleep(1)
    assert found(board, "plain")[1:4] == ("warn", "warn", "so so")
    assert threads[0] is not threading.current_thread()


async def test_a_stuck_plain_check_fails_and_is_not_started_again() -> None:
    """A thread cannot be cancelled, so one is all it gets; later it may come back."""
    loop, waiting = turned(), list[Callable[[], None]]()
    board = Board(clock=loop)
    board.add("stuck", lambda: None, deadline=2, period=5)
    async with Agent(board, in_thread=waiting.append, jitter=lambda: 0.5):
        await asyncio.sleep(60)
        assert len(waiting) == 1
        assert found(board, "stuck").reason == "did not answer within 2 s"
        waiting.pop()()
        await asyncio.sleep(6)
        waiting.pop()()
        assert found(board, "stuck").state == "pass"


async def test_a_stuck_plain_check_may_come_back_when_all_is_over() -> None:
    """Its answer finds the board, and nobody is disturbed by a loop that has gone."""
    waiting: list[Callable[[], None]] = []
    board = Board(clock=turned())
    board.add("stuck", lambda: warn("here"))
    async with Agent(board, in_thread=waiting.append):
        pass
    waiting.pop()()
    assert found(board, "stuck").reason == "here"


def raising(error: BaseException) -> Callable[[], Answer]:
    """Return a check that raises."""

    def check() -> Answer:
        raise error

    return check


@pytest.mark.parametrize(
    "error", [ValueError("no"), SystemExit(3), asyncio.CancelledError(), TimeoutError()]
)
async def test_whatever_a_check_raises_is_its_failure_and_ends_nothing(
    error: BaseException,
) -> None:
    """Neither the agent nor the process dies of a check, and the next run is on time."""
    board, runs = Board(clock=turned()), list[int]()

    async def check() -> None:
        runs.append(1)
        raise error

    board.add("async", check, period=1)
    board.add("plain", raising(error), period=1)
    async with agent(board):
        await asyncio.sleep(3.5)
        for name in ("async", "plain"):
            assert found(board, name)[1:4] == ("fail", "fail", type(error).__name__)
    assert len(runs) == 4


async def test_async_checks_are_known_in_every_dress() -> None:
    """Bound methods, partials and callable objects of either colour."""
    board = Board(clock=turned())

    class Database:
        def __init__(self, word: str) -> None:
            self.word = word

        async def ping(self) -> Answer:
            await asyncio.sleep(0)
            return warn(self.word)

        async def __call__(self) -> Answer:
            return await self.ping()

    board.add("method", Database("method").ping)
    board.add("partial", partial(Database.ping, Database("partial")))
    board.add("object", Database("object"))
    async with agent(board):
        await asyncio.sleep(1)
    for name in ("method", "partial", "object"):
        assert found(board, name).reason == name


async def test_a_plain_function_that_returns_a_coroutine_is_told_what_to_do() -> None:
    """It would never be awaited; the report says what to write instead."""

    async def ping() -> None:
        """Pass."""

    board = Board(clock=turned())
    board.add("lambda", lambda: ping())  # noqa: PLW0108 - the mistake itself
    async with agent(board):
        await asyncio.sleep(1)
    assert found(board, "lambda").reason == (
        "the check returned a coroutine; add the async function itself"
    )


async def test_a_machine_without_threads_fails_plain_checks_only() -> None:
    """The agent survives what the system refuses."""

    def refuse(work: Callable[[], None]) -> None:
        raise RuntimeError(f"can't start new thread for {work.__name__}")

    async def fine() -> None:
        """Pass."""

    board = Board(clock=turned())
    board.add("plain", lambda: None)
    board.add("async", fine)
    async with Agent(board, in_thread=refuse):
        await asyncio.sleep(1)
    assert found(board, "plain").reason == "RuntimeError"
    assert found(board, "async").state == "pass"


async def test_the_end_of_an_agent_abandons_what_runs() -> None:
    """What was cancelled by us did not fail, and another agent may take over."""
    board, ended = Board(clock=turned()), list[str]()

    async def hang() -> None:
        try:
            await asyncio.sleep(1.5)
        finally:
            ended.append("hang")

    board.add("hang", hang)
    async with agent(board):
        await asyncio.sleep(1)
    assert ended == ["hang"]
    assert found(board, "hang").reason == "has not run yet"
    async with agent(board):
        await asyncio.sleep(1.75)
    assert found(board, "hang").state == "pass"


async def test_an_agent_that_ends_before_its_checks_began_gives_them_back() -> None:
    """A start that fails at once leaves no check marked as running for ever."""
    board = Board(clock=turned())

    async def db() -> None:
        """Pass."""

    board.add("db", db)
    async with agent(board):
        pass
    assert board.next_due() is not None
    async with agent(board):
        await asyncio.sleep(1)
    assert found(board, "db").state == "pass"


async def test_the_end_of_an_agent_waits_a_second_for_the_stubborn() -> None:
    """A check that ignores its cancellation cannot hold up the end of the service."""
    loop, release = turned(), asyncio.Event()
    board = Board(clock=loop)

    async def stubborn() -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    board.add("stubborn", stubborn)
    async with agent(board):
        await asyncio.sleep(0.5)
        began = loop.time()
    assert loop.time() - began == 1
    release.set()
    await asyncio.sleep(0)


async def test_an_agent_runs_once_at_a_time() -> None:
    """Entering it twice is a mistake of the program; entering it again is not."""
    one = agent(Board(clock=turned()))
    async with one:
        with pytest.raises(RuntimeError, match="this agent runs already"):
            await one.__aenter__()
    async with one:
        pass


def test_a_program_without_a_loop_runs_checks_in_the_background() -> None:
    """A WSGI server has no event loop; its checks get one, for as long as the block lasts."""
    board, ran = Board(), threading.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def db() -> None:
        loops.append(asyncio.get_running_loop())
        ran.set()

    with in_background(board):
        board.add("db", db)
        assert ran.wait(10)
    assert loops[0].is_closed()
    assert "bedplate-health" not in [thread.name for thread in threading.enumerate()]
