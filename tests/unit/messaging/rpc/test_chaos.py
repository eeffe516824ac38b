"""Calls under faults drawn at random: each ends once, in time, and nothing is left behind."""

import asyncio
import logging
import secrets

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bedplate.errors import BedplateError, CallError, RemoteError
from bedplate.messaging import Transport, rpc
from bedplate.messaging.drivers.memory import MemoryDriver
from bedplate.testing import TurnedLoop
from bedplate.testing.faulty import Faults, faulty

TIMEOUT = 5.0

troubles = st.lists(
    st.tuples(
        st.floats(0, 8),
        st.sampled_from(["cut", "freeze", "thaw", "refuse", "accept", "drop", "delay", "clear"]),
        st.sampled_from(["here", "there"]),
    ),
    max_size=6,
)
requests = st.lists(
    st.tuples(
        st.floats(0, 6),
        st.sampled_from(["work", "plain", "fail", "missing"]),
        st.floats(0, 7),
        st.none() | st.floats(0.1, 2),
        st.booleans(),
        st.none() | st.floats(0.01, 4),
    ),
    min_size=1,
    max_size=12,
)


class Work:
    """Handlers of both colours."""

    def __init__(self) -> None:
        self.running = 0

    async def work(self, seconds: float) -> float:
        self.running += 1
        try:
            await asyncio.sleep(seconds)
        finally:
            self.running -= 1
        return seconds

    def plain(self, seconds: float) -> float:
        return seconds

    async def fail(self, seconds: float) -> None:
        raise ValueError(seconds)


def trouble(faults: Faults, what: str) -> None:
    if what in ("drop", "delay"):
        for lane in (faults.sending, faults.arriving):
            if what == "drop":
                lane.drop(chance=0.3)
            else:
                lane.delay(1.0, chance=0.5)
    elif what == "clear":
        faults.sending.clear()
        faults.arriving.clear()
    else:
        getattr(faults, what)()


async def act(
    troubles: list[tuple[float, str, str]],
    requests: list[tuple[float, str, float, float | None, bool, float | None]],
    seed: int,
) -> None:
    loop = asyncio.get_running_loop()
    url = f"memory://{secrets.token_hex(8)}/"
    sides = {"here": Faults(seed=seed), "there": Faults(seed=seed + 1)}
    work = Work()
    async with (
        Transport.connect(url, driver=faulty(MemoryDriver(), sides["here"])) as here,
        Transport.connect(url, driver=faulty(MemoryDriver(), sides["there"])) as there,
        rpc.serve(there, work, topic="work", workers=2, drain=1) as server,
    ):
        client = rpc.Client(here, topic="work", timeout=TIMEOUT)

        async def call(
            at: float,
            method: str,
            seconds: float,
            heartbeat: float | None,
            repeats: bool,  # noqa: FBT001 - drawn
            patience: float | None,
        ) -> str:
            await asyncio.sleep(at)
            start = loop.time()
            chosen = client.with_(heartbeat=heartbeat, repeats=repeats)
            arguments = {} if method == "missing" else {"seconds": seconds}
            outcome = "result"
            try:
                async with asyncio.timeout(patience):
                    result = await chosen.call(method, **arguments)
                assert result == seconds
            except RemoteError as error:
                outcome = error.code
            except (CallError, BedplateError) as error:
                outcome = error.code
            except TimeoutError:
                outcome = "cancelled"
            assert loop.time() - start <= TIMEOUT + 1e-6
            return outcome

        for at, what, side in troubles:
            loop.call_later(at, trouble, sides[side], what)
        outcomes = await asyncio.gather(*(call(*request) for request in requests))
        assert len(outcomes) == len(requests)
        for (_, method, *_), outcome in zip(requests, outcomes, strict=True):
            if outcome == "result":
                assert method in ("work", "plain")
            if method == "missing":
                assert outcome != "result"
        await asyncio.sleep(8)  # the last trouble has come
        for faults in sides.values():
            faults.sending.clear()
            faults.arriving.clear()
            faults.accept()
            faults.thaw()
        await asyncio.sleep(120)
        statistics = client.statistics()
        assert statistics.open == 0
        assert statistics.started <= len(requests)
        assert server.statistics().running == server.statistics().waiting == 0
        assert not server._shift.in_hand
        assert not server._by_call
        assert not client._caller._looks
        assert work.running == 0
        assert await client.call("work", seconds=1) == 1, "all works again"


@given(troubles=troubles, requests=requests, seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_calls_end_once_and_in_time_whatever_goes_wrong(
    troubles: list[tuple[float, str, str]],
    requests: list[tuple[float, str, float, float | None, bool, float | None]],
    seed: int,
) -> None:
    """With links that die, freeze, lose and delay on both sides, each call ends by its deadline."""
    logging.disable(logging.ERROR)
    try:
        with asyncio.Runner(loop_factory=TurnedLoop) as runner:
            runner.run(act(troubles, requests, seed))
    finally:
        logging.disable(logging.NOTSET)


async def test_nothing_is_left_of_calls_that_are_over(here: Transport, there: Transport) -> None:
    """However calls end, neither side keeps anything of them, not even a timer."""
    async with rpc.serve(there, Work(), topic="work", workers=4) as server:
        client = rpc.Client(here, topic="work", timeout=1000)
        await client.call("plain", seconds=0)
        before = here.statistics().timers, there.statistics().timers

        async def one(n: int) -> None:
            chosen = client.with_(heartbeat=5 if n % 2 else None)
            method = ("work", "plain", "fail", "missing", "nobody")[n % 5]
            if method == "nobody":
                chosen = rpc.Client(here, topic="nobody").with_(timeout=1)
            try:
                async with asyncio.timeout(None if n % 3 else 0.5):
                    await chosen.call(method, seconds=1)
            except (BedplateError, TimeoutError):
                return

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(logging.getLogger("bedplate.messaging.rpc"), "disabled", True)
            for _ in range(20):
                await asyncio.gather(*(one(n) for n in range(60)))
            await asyncio.sleep(10)
        assert client.statistics().open == 0
        assert not server._shift.in_hand
        assert not server._by_call
        # One timer of the client may be armed for a call that is over; there are no others.
        assert here.statistics().timers <= before[0] + 1
        assert there.statistics().timers == before[1]
