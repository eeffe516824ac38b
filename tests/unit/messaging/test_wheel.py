import asyncio
import math
from functools import partial
from typing import Any

import pytest

from bedplate.messaging.wheel import Wheel


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_timers_fire_exactly_when_due_and_in_order() -> None:
    """Callbacks run at their own time, the earlier first, ties in the order they were set."""
    wheel, start = Wheel(asyncio.get_running_loop()), now()
    fired: list[tuple[str, float]] = []
    for name, seconds in (("late", 3.0), ("beat", 0.05), ("tie", 3.0), ("far", 600.0)):
        wheel.after(seconds, partial(lambda name: fired.append((name, now() - start)), name))
    await asyncio.sleep(700)
    assert [name for name, _ in fired] == ["beat", "late", "tie", "far"]
    assert [at for _, at in fired] == pytest.approx([0.05, 3.0, 3.0, 600.0])
    assert len(wheel) == 0


async def test_a_cancelled_timer_never_fires() -> None:
    """Cancelling works before, is harmless after, and may be repeated."""
    wheel = Wheel(asyncio.get_running_loop())
    fired: list[str] = []
    kept = wheel.after(1.0, lambda: fired.append("kept"))
    gone = wheel.after(0.5, lambda: fired.append("gone"))
    gone.cancel()
    gone.cancel()
    assert not gone.pending
    assert len(wheel) == 1
    await asyncio.sleep(2)
    kept.cancel()
    assert fired == ["kept"]
    assert len(wheel) == 0


async def test_one_timer_of_the_loop_serves_them_all() -> None:
    """A thousand timers cost the loop one."""
    loop = asyncio.get_running_loop()
    wheel = Wheel(loop)
    before = len(loop._scheduled)  # type: ignore[attr-defined]  # asyncio's own heap of timers
    for number in range(1000):
        wheel.after(5.0 + number, lambda: None)
    assert len(loop._scheduled) - before == 1  # type: ignore[attr-defined]  # see above


async def test_cancelled_deadlines_do_not_pile_up() -> None:
    """Deadlines that are never met are swept, long before they would come due."""
    wheel = Wheel(asyncio.get_running_loop())
    kept = [wheel.after(60.0 + number, lambda: None) for number in range(10)]
    for _ in range(10_000):
        wheel.after(3600.0, lambda: None).cancel()
    assert len(wheel) == len(kept)
    assert len(wheel._heap) < 300


async def test_timers_may_be_set_and_cancelled_by_callbacks() -> None:
    """A callback may set a timer, even one due at once, and cancel one that is due with it."""
    wheel, start = Wheel(asyncio.get_running_loop()), now()
    fired: list[tuple[str, float]] = []

    def first() -> None:
        fired.append(("first", now() - start))
        second.cancel()
        wheel.after(0.0, lambda: fired.append(("at once", now() - start)))
        wheel.after(0.25, lambda: fired.append(("later", now() - start)))

    wheel.after(1.0, first)
    second = wheel.after(1.0, lambda: fired.append(("second", now() - start)))
    await asyncio.sleep(5)
    assert fired == [("first", 1.0), ("at once", 1.0), ("later", 1.25)]


async def test_a_raising_callback_leaves_the_others_alone() -> None:
    """Its error goes to the loop's exception handler; timers due with it and after it fire."""
    loop = asyncio.get_running_loop()
    reported: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: reported.append(context))
    wheel = Wheel(loop)
    fired: list[str] = []

    def broken() -> None:
        raise ValueError("a bug")

    wheel.after(1.0, broken)
    wheel.after(1.0, lambda: fired.append("same moment"))
    wheel.after(2.0, lambda: fired.append("later"))
    await asyncio.sleep(3)
    loop.set_exception_handler(None)
    assert fired == ["same moment", "later"]
    assert isinstance(reported[0]["exception"], ValueError)


async def test_odd_times_are_taken_for_what_they_mean() -> None:
    """A time in the past is now, for ever is long enough, and what is no number is refused."""
    wheel = Wheel(asyncio.get_running_loop())
    fired: list[str] = []
    wheel.after(-5.0, lambda: fired.append("now"))
    never = wheel.after(math.inf, lambda: fired.append("never"))
    with pytest.raises(ValueError, match="nan"):
        wheel.after(math.nan, lambda: None)
    await asyncio.sleep(1e6)
    assert fired == ["now"]
    assert never.pending
    wheel.clear()


async def test_clearing_ends_every_timer() -> None:
    """After clear() nothing fires, and new timers may be set."""
    wheel = Wheel(asyncio.get_running_loop())
    fired: list[str] = []
    old = wheel.after(1.0, lambda: fired.append("old"))
    wheel.clear()
    old.cancel()
    wheel.after(1.0, lambda: fired.append("new"))
    await asyncio.sleep(2)
    assert fired == ["new"]
    assert len(wheel) == 0


async def test_a_limit_ends_a_block_at_its_time() -> None:
    """What waits longer than the limit ends with TimeoutError at exactly that time."""
    wheel, start = Wheel(asyncio.get_running_loop()), now()
    with pytest.raises(TimeoutError), wheel.limit(3.0):
        await asyncio.sleep(100)
    assert now() - start == 3.0


async def test_a_limit_that_is_kept_leaves_nothing_behind() -> None:
    """A block that ends in time is not disturbed, then or later."""
    wheel = Wheel(asyncio.get_running_loop())
    with wheel.limit(3.0):
        await asyncio.sleep(1)
    assert len(wheel) == 0
    await asyncio.sleep(10)


async def test_a_cancellation_from_elsewhere_passes_a_limit() -> None:
    """A limit does not take somebody else's cancellation for its own."""
    wheel = Wheel(asyncio.get_running_loop())

    async def work() -> None:
        with wheel.limit(30.0):
            await asyncio.sleep(100)

    task = asyncio.create_task(work())
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancellation_at_the_moment_of_the_limit_wins() -> None:
    """Who cancels a task in the very moment its limit ends is not answered with a timeout."""
    loop = asyncio.get_running_loop()
    wheel = Wheel(loop)

    async def work() -> None:
        with wheel.limit(1.0):
            await asyncio.sleep(100)

    task = asyncio.create_task(work())
    loop.call_later(1.0, task.cancel)
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_limits_nest_and_the_outer_one_may_end_first() -> None:
    """An outer limit that ends inside an inner one is reported by the outer one."""
    wheel = Wheel(asyncio.get_running_loop())
    ended: list[str] = []

    async def inner() -> None:
        try:
            with wheel.limit(5.0):
                await asyncio.sleep(100)
        except TimeoutError:
            ended.append("inner")

    with pytest.raises(TimeoutError), wheel.limit(1.0):
        await inner()
    assert ended == []
