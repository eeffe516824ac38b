"""Blocking stubs: threads that wait for a loop somebody else runs, in real time."""

import asyncio
import threading
import time

import pytest

from bedplate.errors import DeadlineExceeded, NoSuchMethod, PortalStalled, TransportClosed
from bedplate.messaging import Transport, rpc
from bedplate.messaging.rpc.crossing import Crossing

pytestmark = pytest.mark.usefixtures("real_time")


class Store(rpc.Interface, topic="store"):
    """A contract for threads."""

    def get(self, key: str) -> str:
        raise NotImplementedError

    def wait(self, seconds: float) -> None:
        raise NotImplementedError

    def missing(self) -> None:
        raise NotImplementedError


class StoreService:
    """Serves most of it."""

    def get(self, key: str) -> str:
        return key.upper()

    async def wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Front:
    """Plain handlers that make blocking calls of their own."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def ask(self, key: str) -> str:
        return self.store.get(key) + "!"

    def budget(self) -> str:
        try:
            self.store.wait(30)
        except DeadlineExceeded:
            return "inherited"
        return "waited"


async def test_threads_call_through_the_loop(here: Transport, there: Transport) -> None:
    """Many threads get their own results and errors."""
    async with rpc.serve(there, StoreService(), topic="store", drain=0):
        store = rpc.client(here, Store, timeout=30)
        found = await asyncio.gather(*(asyncio.to_thread(store.get, f"k{n}") for n in range(20)))
        assert found == [f"K{n}" for n in range(20)]
        with pytest.raises(NoSuchMethod):
            await asyncio.to_thread(store.missing)
        start = time.monotonic()
        with pytest.raises(DeadlineExceeded):
            await asyncio.to_thread(store.with_(timeout=0.05).wait, 30)
        assert time.monotonic() - start < 5


async def test_plain_handlers_call_on(here: Transport, there: Transport) -> None:
    """A plain handler calls another service, within the budget of its own caller."""
    async with rpc.serve(there, StoreService(), topic="store", drain=0):
        front = Front(rpc.client(there, Store))
        async with rpc.serve(there, front, topic="front"):
            client = rpc.Client(here, topic="front", timeout=30)
            assert await client.call("ask", key="a") == "A!"
            with pytest.raises(DeadlineExceeded):
                await client.with_(timeout=0.1).call("budget")


async def test_a_stalled_loop_does_not_hold_the_thread() -> None:
    """A thread waits a quarter of a second beyond the timeout and then says what is wrong."""
    loop = asyncio.get_running_loop()
    crossing = Crossing(loop)
    ended: list[tuple[float, float]] = []
    cancelled = asyncio.Event()

    async def never() -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    def call() -> None:
        start = time.monotonic()
        try:
            crossing.wait(never, 0.05, "never()")
        except PortalStalled as error:
            ended.append((error.seconds, time.monotonic() - start))

    await asyncio.to_thread(call)
    ((seconds, took),) = ended
    assert seconds == 0.05
    assert 0.3 <= took < 5
    await asyncio.wait_for(cancelled.wait(), 5)


def test_a_closed_loop_is_said_to_be_closed() -> None:
    """After the loop is gone a blocking call fails at once."""
    loop = asyncio.new_event_loop()
    crossing = Crossing(loop)
    loop.close()
    with pytest.raises(TransportClosed, match=r"Store\.get"):
        crossing.wait(lambda: asyncio.sleep(0), 5, "Store.get()")


async def test_errors_and_results_cross_back() -> None:
    """What the coroutine raises is raised in the thread, TimeoutError included."""
    crossing = Crossing(asyncio.get_running_loop())

    async def slow() -> int:
        raise TimeoutError("mine")

    async def fine() -> str:
        return threading.current_thread().name

    with pytest.raises(TimeoutError, match="mine"):
        await asyncio.to_thread(crossing.wait, slow, 5, "slow()")
    name = await asyncio.to_thread(crossing.wait, fine, 5, "fine()")
    assert name == threading.current_thread().name
