"""The portal: blocking callers, one loop thread."""

import asyncio
import contextvars
import os
import threading
from collections.abc import Iterator

import pytest

from bedplate._floor.portal import Portal
from bedplate.errors import Forked, PortalStalled, WrongLoop

_NAME: contextvars.ContextVar[str] = contextvars.ContextVar("_NAME", default="nobody")


@pytest.fixture
def portal() -> Iterator[Portal]:
    """One portal, closed after the test."""
    made = Portal("test-portal")
    yield made
    made.close()


def test_result_and_error_come_back(portal: Portal) -> None:
    """A call returns what the coroutine returns and raises what it raises."""

    async def double(number: int) -> int:
        await asyncio.sleep(0)
        if number < 0:
            raise ValueError("negative")
        return 2 * number

    assert portal.call(lambda: double(21)) == 42
    with pytest.raises(ValueError, match="negative"):
        portal.call(lambda: double(-1))


def test_many_threads_share_one_loop_thread(portal: Portal) -> None:
    """Callers in twenty threads all get their own answer from the same thread."""

    async def where(number: int) -> tuple[int, str]:
        await asyncio.sleep(0)
        return number, threading.current_thread().name

    answers: list[tuple[int, str]] = []
    threads = [
        threading.Thread(target=lambda n=n: answers.append(portal.call(lambda: where(n))))
        for n in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [(n, "test-portal") for n in range(20)]


def test_context_flows_in_and_not_out(portal: Portal) -> None:
    """A coroutine sees the caller's context variables; what it sets stays inside."""

    async def rename() -> str:
        seen = _NAME.get()
        _NAME.set("changed inside")
        return seen

    _NAME.set("caller")
    assert portal.call(rename) == "caller"
    assert _NAME.get() == "caller"


def test_own_thread_is_refused(portal: Portal) -> None:
    """A blocking call inside the loop thread would wait for itself, so it is refused."""

    async def inner() -> None:
        portal.call(inner)

    with pytest.raises(WrongLoop):
        portal.call(inner)


def test_stalled_loop_is_reported(portal: Portal) -> None:
    """When the loop does not answer, the caller's own wait ends with PortalStalled."""
    release = threading.Event()

    async def block() -> None:
        release.wait(10)

    with pytest.raises(PortalStalled):
        portal.call(block, timeout=0)
    release.set()


def test_own_timeout_error_passes(portal: Portal) -> None:
    """A TimeoutError raised by the coroutine is not mistaken for a stalled portal."""

    async def late() -> None:
        raise TimeoutError("mine")

    with pytest.raises(TimeoutError, match="mine"):
        portal.call(late, timeout=5)


def test_close_cancels_what_runs_and_reopens(portal: Portal) -> None:
    """Closing ends waiting callers; the next call starts a fresh loop."""
    started = threading.Event()
    errors: list[BaseException] = []

    async def forever() -> None:
        started.set()
        await asyncio.Event().wait()

    def caller() -> None:
        try:
            portal.call(forever)
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            errors.append(error)

    thread = threading.Thread(target=caller)
    thread.start()
    started.wait(5)
    portal.close()
    thread.join(5)
    assert len(errors) == 1

    async def again() -> str:
        return "again"

    assert portal.call(again) == "again"


def test_child_of_a_fork_is_refused(portal: Portal) -> None:
    """A forked child gets a sentence instead of a dead loop; the parent goes on."""

    async def answer() -> int:
        return 1

    assert portal.call(answer) == 1
    child = os.fork()
    if child == 0:
        try:
            portal.call(answer)
        except Forked:
            os._exit(7)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert portal.call(answer) == 1
