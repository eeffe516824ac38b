"""The turned loop and the fake clock."""

import asyncio
import threading
import time
from collections.abc import Iterator
from itertools import count

import pytest

from bedplate.testing import FakeClock, TurnedLoop


async def test_turned_loop_does_not_wait() -> None:
    """Ten minutes of sleeping take no time and move the loop's clock by ten minutes."""
    loop = asyncio.get_running_loop()
    real, turned = time.monotonic(), loop.time()
    await asyncio.gather(asyncio.sleep(600), asyncio.sleep(300))
    assert loop.time() - turned == pytest.approx(600)
    assert time.monotonic() - real < 5


async def test_a_thread_that_ends_while_the_loop_looks_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its last word is heard before time jumps, at whatever moment it comes."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, TurnedLoop)
    for moment in range(1, 6):
        done: asyncio.Future[str] = loop.create_future()
        asked = count(1)

        def ending(
            moment: int = moment, done: asyncio.Future[str] = done, asked: Iterator[int] = asked
        ) -> bool:
            if next(asked) == moment:
                loop.call_soon_threadsafe(done.set_result, "worked")
                loop.thread_ended()
            return TurnedLoop.threads_at_work(loop)

        loop.thread_started()
        monkeypatch.setattr(loop, "threads_at_work", ending)
        async with asyncio.timeout(1):
            assert await done == "worked"


async def test_turned_loop_waits_for_announced_threads() -> None:
    """A thread that said it works is waited for before time jumps."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, TurnedLoop)
    done: asyncio.Future[str] = loop.create_future()

    def work() -> None:
        threading.Event().wait(0.02)
        loop.call_soon_threadsafe(done.set_result, "worked")
        loop.thread_ended()

    loop.thread_started()
    thread = threading.Thread(target=work)
    thread.start()
    assert await asyncio.wait_for(done, timeout=1) == "worked"
    thread.join()


async def test_turned_loop_waits_for_work_in_threads() -> None:
    """asyncio.to_thread takes real time and none of the loop's, so a short limit holds."""
    async with asyncio.timeout(0.001):
        assert await asyncio.to_thread(threading.Event().wait, 0.02) is False


def test_fake_clock_turns_both_ways_of_telling_time() -> None:
    """Turning moves monotonic and wall time alike; the wall alone may be set."""
    clock = FakeClock()
    now, wall = clock.now(), clock.wall()
    clock.turn(5)
    assert (clock.now() - now, clock.wall() - wall) == (5, 5)
    clock.set_wall(3)
    assert (clock.now() - now, clock.wall()) == (5, 3)
    with pytest.raises(ValueError, match="forward"):
        clock.turn(-1)
