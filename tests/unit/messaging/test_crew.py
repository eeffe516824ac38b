"""The crew: so many at once, of either colour, and nothing they raise does harm."""

import asyncio
import contextvars
import threading
import time

import pytest

from bedplate.messaging.crew import Crew
from bedplate.messaging.worker import in_crew

NAME: contextvars.ContextVar[str] = contextvars.ContextVar("name", default="nobody")


class Ends:
    """Collects results and errors."""

    def __init__(self) -> None:
        self.all: list[tuple[object, BaseException | None]] = []
        self.more = asyncio.Event()

    def __call__(self, result: object, error: BaseException | None) -> None:
        self.all.append((result, error))
        self.more.set()

    async def wait(self, count: int) -> None:
        while len(self.all) < count:
            self.more.clear()
            await self.more.wait()


async def test_functions_of_both_colours_run_and_end() -> None:
    """Async and plain functions hand their result to done, on the loop."""
    crew, ends = Crew(2, asyncio.get_running_loop(), "test"), Ends()
    loop_thread = threading.get_ident()

    async def slow() -> str:
        assert threading.get_ident() == loop_thread
        assert not in_crew()
        await asyncio.sleep(1)
        return "async"

    def plain() -> str:
        assert threading.get_ident() != loop_thread
        assert in_crew()
        return "plain"

    crew.run(slow, ends, contextvars.Context(), is_async=True)
    assert crew.free
    crew.run(plain, ends, contextvars.Context(), is_async=False)
    assert not crew.free
    await ends.wait(2)
    assert sorted(str(result) for result, _ in ends.all) == ["async", "plain"]
    assert crew.running == 0
    crew.close()


@pytest.mark.parametrize("kind", [ValueError, SystemExit, KeyboardInterrupt, GeneratorExit])
@pytest.mark.parametrize("colour", ["async", "plain"])
async def test_whatever_is_raised_goes_to_done(kind: type[BaseException], colour: str) -> None:
    """Nothing a function raises ends the loop, the process or the thread."""
    crew, ends = Crew(1, asyncio.get_running_loop(), "test"), Ends()

    def plain() -> None:
        raise kind

    async def slow() -> None:
        raise kind

    for _ in range(2):
        crew.run(
            slow if colour == "async" else plain,
            ends,
            contextvars.Context(),
            is_async=colour == "async",
        )
    await ends.wait(2)
    assert [type(error) for _, error in ends.all] == [kind, kind]
    crew.close()


async def test_a_task_can_be_cancelled_and_says_so() -> None:
    """Cancelling the task of an async function ends it with CancelledError."""
    crew, ends = Crew(1, asyncio.get_running_loop(), "test"), Ends()
    run = crew.run(lambda: asyncio.sleep(50), ends, contextvars.Context(), is_async=True)
    assert run is not None
    task = run.task
    assert task is not None
    await asyncio.sleep(1)
    assert not run.cancel()
    await ends.wait(1)
    assert isinstance(ends.all[0][1], asyncio.CancelledError)
    assert task.cancelled()


async def test_variables_go_in_and_stay_there() -> None:
    """Each function sees the variables it was given; what it sets is seen by nobody else."""
    crew, ends = Crew(1, asyncio.get_running_loop(), "test"), Ends()

    def plain() -> str:
        seen = NAME.get()
        NAME.set("changed")
        return seen

    async def slow() -> str:
        return plain()

    for number, is_async in enumerate((True, False, True, False)):
        variables = contextvars.Context()
        variables.run(NAME.set, f"n{number}")
        crew.run(slow if is_async else plain, ends, variables, is_async=is_async)
    await ends.wait(4)
    assert sorted(str(result) for result, _ in ends.all) == ["n0", "n1", "n2", "n3"]
    assert NAME.get() == "nobody"
    crew.close()


async def test_the_clock_waits_for_threads() -> None:
    """On a loop whose clock jumps, a working thread does not let deadlines pass."""
    crew, ends = Crew(1, asyncio.get_running_loop(), "test"), Ends()
    start = asyncio.get_running_loop().time()
    crew.run(lambda: time.sleep(0.05), ends, contextvars.Context(), is_async=False)
    waiting = asyncio.ensure_future(asyncio.sleep(1000))
    await ends.wait(1)
    assert asyncio.get_running_loop().time() == start
    waiting.cancel()
    crew.close()


@pytest.mark.usefixtures("real_time")
async def test_threads_are_started_as_needed_and_end_with_the_crew() -> None:
    """Threads come with the work, never more than run at once, and go when the crew is closed."""
    crew, ends = Crew(3, asyncio.get_running_loop(), "ending"), Ends()

    def mine() -> list[threading.Thread]:
        return [each for each in threading.enumerate() if each.name.startswith("ending-")]

    assert mine() == []
    for _ in range(5):
        crew.run(lambda: 1, ends, contextvars.Context(), is_async=False)
        await ends.wait(len(ends.all) + 1)
    assert len(mine()) == 1
    together = threading.Barrier(3)
    for _ in range(3):
        crew.run(lambda: together.wait(5), ends, contextvars.Context(), is_async=False)
    await ends.wait(8)
    assert [error for _, error in ends.all] == [None] * 8
    threads = mine()
    assert len(threads) == 3
    crew.close()
    for thread in threads:
        await asyncio.to_thread(thread.join, 5)
    assert mine() == []


async def test_a_task_that_is_cancelled_before_it_begins_leaves_its_place() -> None:
    """Nothing of it runs, so its done is not called; whoever cancels is told so, once."""
    crew, ends = Crew(1, asyncio.get_running_loop(), "test"), Ends()
    begun: list[str] = []

    async def slow() -> None:
        begun.append("slow")
        await asyncio.sleep(100)

    first = crew.run(slow, ends, contextvars.Context(), is_async=True)
    assert first is not None
    began = bool(begun)  # where tasks begin eagerly
    assert first.cancel() is not began
    assert not first.cancel()
    await asyncio.sleep(1)
    assert (crew.running, len(ends.all), bool(begun)) == (0, began, began)
    second = crew.run(slow, ends, contextvars.Context(), is_async=True)
    assert second is not None
    await asyncio.sleep(1)
    assert not second.cancel()
    await asyncio.sleep(1)
    assert (crew.running, len(ends.all)) == (0, 1 + began)
    crew.close()
