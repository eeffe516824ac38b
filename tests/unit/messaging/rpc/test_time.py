"""Deadlines, heartbeats, ttl and lost links, on a clock that is turned."""

import asyncio
import gc
from typing import Literal

import pytest

from bedplate.clock import Deadline, LoopClock
from bedplate.errors import (
    CallLost,
    DeadlineExceeded,
    LinkLost,
    NoSuchTarget,
    RemoteError,
    ReplyPathLost,
    RequestExpired,
    TransportClosed,
)
from bedplate.messaging import Address, Bounce, Delivery, Transport, TransportPolicy, rpc
from bedplate.messaging.drivers.memory import MemoryDriver, broker
from bedplate.messaging.types import Arrival, Outbound
from bedplate.messaging.wire import native
from bedplate.messaging.wire.request import Request
from bedplate.messaging.wire.values import Beat
from bedplate.testing.faulty import Faults, faulty


class Slow:
    """Takes as long as it is told, and counts."""

    def __init__(self) -> None:
        self.ran = 0
        self.cancelled = 0

    async def sleep(self, seconds: float) -> str:
        self.ran += 1
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return "slept"

    async def steps(self, ctx: rpc.Context, count: int) -> int:
        for n in range(count):
            ctx.report({"step": n})
            await asyncio.sleep(1)
        return count

    def steps_in_a_thread(self, ctx: rpc.Context, count: int) -> int:
        for n in range(count):
            ctx.report(n)
        return count


def now() -> float:
    return asyncio.get_running_loop().time()


async def ends_at(seconds: float, call: object, error: type[Exception]) -> Exception:
    """Await a call that must fail so, exactly then."""
    start = now()
    with pytest.raises(error) as raised:
        await call  # type: ignore[misc]  # any awaitable
    assert now() - start == pytest.approx(seconds, abs=1e-6)
    return raised.value


async def test_a_call_ends_at_its_deadline(here: Transport, there: Transport) -> None:
    """A slow handler does not keep its caller longer than the timeout; its reply is late."""
    async with rpc.serve(there, Slow(), topic="slow") as server:
        client = rpc.Client(here, topic="slow", timeout=3)
        error = await ends_at(3.0, client.call("sleep", seconds=5), DeadlineExceeded)
        assert "The call of sleep to slow did not end within 3 s (waiting for the reply)" in str(
            error
        )
        await asyncio.sleep(3)
        assert server.statistics().late_answers == 1
    assert client.statistics().deadlines == 1


@pytest.mark.parametrize("trouble", ["freeze", "cut", "refuse", "drop", "delay"])
async def test_a_timeout_holds_whatever_the_link_does(
    here: Transport,
    there: Transport,
    faults: Faults,
    trouble: Literal["freeze", "cut", "refuse", "drop", "delay"],
) -> None:
    """A timeout of 3 s is 3 s with the broker frozen, gone, refusing, deaf or slow."""
    async with rpc.serve(there, Slow(), topic="slow"):
        client = rpc.Client(here, topic="slow", timeout=3)
        await client.call("sleep", seconds=0)
        if trouble == "freeze":
            faults.freeze()
        elif trouble == "refuse":
            faults.refuse()
            faults.cut()
        elif trouble == "drop":
            faults.sending.drop()
        elif trouble == "delay":
            faults.arriving.delay(10)
        call = client.call("sleep", seconds=0 if trouble == "delay" else 50)
        if trouble == "cut":
            asyncio.get_running_loop().call_later(2, faults.cut)
            await ends_at(2.0, call, ReplyPathLost)
        else:
            await ends_at(3.0, call, DeadlineExceeded)


async def test_a_timeout_covers_connecting(url: str, faults: Faults) -> None:
    """The very first call keeps its deadline when the link is gone before it."""
    async with Transport.connect(url, driver=faulty(MemoryDriver(), faults)) as here:
        faults.refuse()
        faults.cut()
        await asyncio.sleep(0)
        client = rpc.Client(here, topic="slow", timeout=3)
        error = await ends_at(3.0, client.call("sleep"), DeadlineExceeded)
        assert "(connecting)" in str(error)
        await ends_at(3.0, client.cast("sleep"), DeadlineExceeded)


async def test_a_lost_link_ends_calls_at_once_or_repeats_them(
    here: Transport, there: Transport, faults: Faults
) -> None:
    """Without repeats the caller hears at once; with them the call is answered over a new link."""
    service = Slow()
    async with rpc.serve(there, service, topic="slow") as server:
        client = rpc.Client(here, topic="slow", timeout=60)
        plain = asyncio.ensure_future(client.call("sleep", seconds=5))
        again = asyncio.ensure_future(client.with_(repeats=True).call("sleep", seconds=5))
        await asyncio.sleep(1)
        faults.cut()
        await ends_at(0.0, plain, ReplyPathLost)
        assert await again == "slept"
        assert service.ran == 2, "a repeat of what still runs is not run again"
        assert server.statistics().repeated == 1


async def test_calls_made_while_the_link_is_down_wait_for_it(
    here: Transport, there: Transport, faults: Faults
) -> None:
    """A call begun without a link is sent when there is one again."""
    async with rpc.serve(there, Slow(), topic="slow"):
        client = rpc.Client(here, topic="slow", timeout=30)
        await client.call("sleep", seconds=0)
        faults.refuse()
        faults.cut()
        asyncio.get_running_loop().call_later(4, faults.accept)
        assert await client.call("sleep", seconds=1) == "slept"


async def test_a_silent_server_is_lost(here: Transport, there: Transport, faults: Faults) -> None:
    """Beats keep a long call alive; when they end, the call is lost after the heartbeat."""
    async with rpc.serve(there, Slow(), topic="slow", drain=0):
        client = rpc.Client(here, topic="slow", timeout=600, heartbeat=3)
        assert await client.call("sleep", seconds=500) == "slept"
        asyncio.get_running_loop().call_later(10.5, faults.arriving.drop)
        error = await ends_at(13.0, client.call("sleep", seconds=500), CallLost)
        assert isinstance(error, CallLost)
        assert error.silence == pytest.approx(3.0)
    assert client.statistics().lost == 1


async def test_waiting_requests_beat_too(here: Transport, there: Transport) -> None:
    """A request that waits for a worker is alive, and says that it is queued."""
    async with rpc.serve(there, Slow(), topic="slow", workers=1) as server:
        client = rpc.Client(here, topic="slow", timeout=600, heartbeat=1)
        first = asyncio.ensure_future(client.call("sleep", seconds=60))
        await asyncio.sleep(0.1)
        second = asyncio.ensure_future(client.call("sleep", seconds=60))
        await asyncio.sleep(30)
        assert server.statistics().waiting == 1
        assert await first == await second == "slept"


async def test_the_deadline_is_never_extended_by_beats(here: Transport, there: Transport) -> None:
    """A call that beats for ever ends at its timeout all the same."""
    async with rpc.serve(there, Slow(), topic="slow", drain=0):
        client = rpc.Client(here, topic="slow", timeout=20, heartbeat=1)
        await ends_at(20.0, client.call("sleep", seconds=500), DeadlineExceeded)


async def test_progress_reaches_the_caller(here: Transport, there: Transport) -> None:
    """What a handler reports is heard while it runs, from async and plain handlers."""
    heard: list[object] = []
    async with rpc.serve(there, Slow(), topic="slow"):
        client = rpc.Client(here, topic="slow", heartbeat=30, on_progress=heard.append)
        assert await client.call("steps", count=3) == 3
        assert heard == [{"step": 0}, {"step": 1}, {"step": 2}]
        assert await client.call("steps_in_a_thread", count=2) == 2
        assert heard[3:] == [0, 1]


async def test_nested_calls_inherit_the_budget(here: Transport, there: Transport) -> None:
    """A handler's own calls end when its caller stops waiting, whatever timeout they ask for."""

    class Relay:
        async def relay(self, ctx: rpc.Context) -> list[object]:
            start = now()
            client = rpc.Client(there, topic="slow", timeout=60)
            await asyncio.sleep(1)
            try:
                await client.call("sleep", seconds=50)
            except DeadlineExceeded as error:
                ended.append((now() - start, error.timeout, ctx.remaining()))
            try:
                await client.call("sleep", seconds=50)
            except DeadlineExceeded as error:
                ended.append(error.stage)
            return []

    ended: list[object] = []
    async with (
        rpc.serve(there, Slow(), topic="slow", drain=0),
        rpc.serve(there, Relay(), topic="relay"),
    ):
        client = rpc.Client(here, topic="relay", timeout=4)
        await ends_at(4.0, client.call("relay"), DeadlineExceeded)
        await asyncio.sleep(1)
    assert ended == [
        (pytest.approx(4.0), pytest.approx(3.0), 0.0),
        "the request it belongs to has no time left",
    ]


async def test_expired_requests_never_run(here: Transport, there: Transport) -> None:
    """A request whose ttl ends while it waits for a worker never runs; its caller hears then."""
    service = Slow()
    async with rpc.serve(there, service, topic="slow", workers=1) as server:
        client = rpc.Client(here, topic="slow", timeout=60)
        first = asyncio.ensure_future(client.call("sleep", seconds=10))
        await asyncio.sleep(1)
        await client.with_(ttl=2).cast("sleep", seconds=1)
        expired = client.with_(ttl=2).call("sleep", seconds=1)
        error = await ends_at(2.0, expired, RequestExpired)
        assert "waited too long" in str(error)
        assert await first == "slept"
        assert service.ran == 1
        assert server.statistics().expired == 2


async def test_requests_that_arrive_expired_are_answered(
    here: Transport, there: Transport, faults: Faults
) -> None:
    """A request overtaken by its ttl on the way does not run, and its caller hears at once."""
    service = Slow()
    faults.sending.delay(3, where=lambda message: message.kind == "call")
    async with rpc.serve(there, service, topic="slow") as server:
        client = rpc.Client(here, topic="slow", timeout=60, ttl=2)
        # The broker's own expiry counts from when it got the request; ours from the sending.
        await ends_at(3.0, client.call("sleep", seconds=1), RequestExpired)
        assert (service.ran, server.statistics().expired) == (0, 1)


async def test_a_ttl_does_not_shorten_the_budget(here: Transport, there: Transport) -> None:
    """A ttl bounds the beginning only: a handler that began has the whole timeout."""

    class Budget:
        async def left(self, ctx: rpc.Context) -> float | None:
            return ctx.remaining()

    async with rpc.serve(there, Budget(), topic="b"):
        client = rpc.Client(here, topic="b", timeout=60, ttl=5)
        assert await client.call("left") == pytest.approx(60)


async def test_cancelling_a_call_cancels_the_handler(here: Transport, there: Transport) -> None:
    """Cancelling reaches a running handler, a waiting request, and one addressed by name."""
    service = Slow()
    async with rpc.serve(there, service, topic="slow", workers=1, server="a") as server:
        client = rpc.Client(here, topic="slow", timeout=60)
        for target in (client, client.with_(server="a")):
            running = asyncio.ensure_future(target.call("sleep", seconds=50))
            await asyncio.sleep(1)
            waiting = asyncio.ensure_future(target.call("sleep", seconds=50))
            await asyncio.sleep(1)
            for call in (waiting, running):
                call.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await call
            await asyncio.sleep(1)
        assert service.ran == service.cancelled == 2
        assert server.statistics().cancelled == 4
        assert server.statistics().running == server.statistics().waiting == 0
        assert await client.call("sleep", seconds=0) == "slept", "the worker is free again"
    assert client.statistics().cancelled == 4


async def test_a_cancel_that_overtakes_its_request(
    here: Transport, there: Transport, faults: Faults
) -> None:
    """A request that arrives after its cancellation is not run."""

    def is_call(message: Outbound) -> bool:
        return message.kind == "call"

    service = Slow()
    async with rpc.serve(there, service, topic="slow") as server:
        faults.sending.delay(2, where=is_call)
        call = asyncio.ensure_future(rpc.Client(here, topic="slow").call("sleep", seconds=1))
        await asyncio.sleep(0.1)
        call.cancel()
        await asyncio.sleep(5)
        assert server.statistics().cancelled == 1
    assert service.ran == 0


async def test_closing_a_client_ends_its_calls(here: Transport, there: Transport) -> None:
    """What is open ends with TransportClosed when the client or its transport is closed."""
    async with rpc.serve(there, Slow(), topic="slow", drain=0):
        client = rpc.Client(here, topic="slow", timeout=60)
        call = asyncio.ensure_future(client.call("sleep", seconds=50))
        await asyncio.sleep(1)
        await client.aclose()
        with pytest.raises(TransportClosed):
            await call
        other = rpc.Client(here, topic="slow", timeout=60)
        call = asyncio.ensure_future(other.call("sleep", seconds=50))
        await asyncio.sleep(1)
        await here.aclose()
        with pytest.raises(TransportClosed):
            await call


async def test_a_stopping_server_lets_work_end_and_returns_the_rest(
    here: Transport, there: Transport
) -> None:
    """In-flight calls are answered within the drain; waiting ones go to another server."""
    first, second = Slow(), Slow()
    client = rpc.Client(here, topic="slow", timeout=60)
    async with rpc.serve(there, first, topic="slow", workers=1) as server:
        running = asyncio.ensure_future(client.call("sleep", seconds=5))
        await asyncio.sleep(1)
        waiting = asyncio.ensure_future(client.call("sleep", seconds=5))
        await asyncio.sleep(1)
    assert await running == "slept"
    assert server.statistics().returned == 1
    async with rpc.serve(there, second, topic="slow"):
        assert await waiting == "slept"
    assert (first.ran, second.ran) == (1, 1)


async def test_what_outlives_the_drain_is_cancelled_and_answered(
    here: Transport, there: Transport
) -> None:
    """A handler that does not end in time is cancelled, and its caller told at once."""
    service = Slow()
    client = rpc.Client(here, topic="slow", timeout=60)
    start = now()
    async with rpc.serve(there, service, topic="slow", drain=2):
        call = asyncio.ensure_future(client.call("sleep", seconds=50))
        await asyncio.sleep(1)
    with pytest.raises(RemoteError, match="The server stopped before") as error:
        await call
    assert error.value.code == "server-stopped"
    assert now() - start == pytest.approx(3.0)
    assert service.cancelled == 1


async def test_at_least_once_survives_a_server_that_stops(
    here: Transport, there: Transport
) -> None:
    """With ack="done" what was cut short runs again elsewhere, and that answer counts."""
    first, second = Slow(), Slow()
    client = rpc.Client(here, topic="slow", timeout=60)
    async with rpc.serve(there, first, topic="slow", ack="done", drain=0):
        call = asyncio.ensure_future(client.call("sleep", seconds=5))
        await asyncio.sleep(1)
    async with rpc.serve(there, second, topic="slow", ack="done"):
        assert await call == "slept"
    assert (first.cancelled, second.ran) == (1, 1)


async def test_a_look_does_not_take_a_draining_server_for_nobody(
    here: Transport, there: Transport
) -> None:
    """A server that took the request and takes no more is still somebody."""
    client = rpc.Client(here, topic="slow", timeout=60)
    async with rpc.serve(there, Slow(), topic="slow"):
        call = asyncio.ensure_future(client.call("sleep", seconds=5))
        await asyncio.sleep(0.1)
    assert await call == "slept"
    with pytest.raises(NoSuchTarget):
        await client.call("sleep", seconds=5)


async def test_a_server_may_outlive_its_transport(here: Transport, url: str) -> None:
    """Closing the transport first does no harm to a server or client that is closed later."""
    async with Transport.connect(url) as there:
        client = rpc.Client(there, topic="slow")
        async with rpc.serve(there, Slow(), topic="slow", drain=1):
            await client.call("sleep", seconds=0)
            call = asyncio.ensure_future(rpc.Client(here, topic="slow").call("sleep", seconds=50))
            await asyncio.sleep(1)
            await there.aclose()
        call.cancel()
        await client.aclose()
        with pytest.raises(TransportClosed):
            await client.call("sleep", seconds=0)


async def test_a_server_that_is_cancelled_while_it_drains(
    here: Transport, there: Transport
) -> None:
    """Cancelling the drain ends it: handlers are cancelled, callers answered, nothing is taken."""
    service = Slow()
    call: list[asyncio.Future[object]] = []

    async def serve() -> None:
        async with rpc.serve(there, service, topic="slow", drain=100):
            client = rpc.Client(here, topic="slow", timeout=60)
            call.append(asyncio.ensure_future(client.call("sleep", seconds=50)))
            await asyncio.sleep(1)

    serving = asyncio.ensure_future(serve())
    await asyncio.sleep(3)
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    with pytest.raises(RemoteError, match="The server stopped before"):
        await call[0]
    await asyncio.sleep(1)
    assert service.cancelled == 1
    with pytest.raises(NoSuchTarget):
        await rpc.Client(here, topic="slow").call("sleep", seconds=0)


async def test_a_server_does_not_beat_for_callers_that_are_gone(
    here: Transport, there: Transport
) -> None:
    """Beats end at the deadline, though the handler goes on."""
    async with rpc.serve(there, Slow(), topic="slow", drain=0):
        client = rpc.Client(here, topic="slow", timeout=5, heartbeat=1)
        await ends_at(5.0, client.call("sleep", seconds=500), DeadlineExceeded)
        await asyncio.sleep(1)
        late, timers = client.statistics().late, there.statistics().timers
        await asyncio.sleep(100)
        assert client.statistics().late == late
        assert there.statistics().timers <= timers


async def test_a_server_that_cannot_begin_leaves_nothing_behind(
    here: Transport, there: Transport, faults: Faults
) -> None:
    """If the broker does not answer, serving fails in time and takes nothing later."""
    faults.freeze()
    with pytest.raises(DeadlineExceeded):
        async with rpc.serve(here, Slow(), topic="slow"):
            raise AssertionError
    faults.thaw()
    await asyncio.sleep(10)
    with pytest.raises(NoSuchTarget):
        await rpc.Client(there, topic="slow").call("sleep", seconds=0)


async def test_closing_ends_calls_that_wait_for_a_link(here: Transport, faults: Faults) -> None:
    """A call that was never sent ends with its client, and leaves no unread error behind."""
    loop = asyncio.get_running_loop()
    unread: list[dict[str, object]] = []
    loop.set_exception_handler(lambda _, context: unread.append(context))
    client = rpc.Client(here, topic="slow", timeout=60)
    with pytest.raises(NoSuchTarget):
        await client.call("sleep")
    faults.refuse()
    faults.cut()
    for close in (client.aclose, here.aclose):
        call = asyncio.ensure_future(client.call("sleep", seconds=0))
        await asyncio.sleep(1)
        start = now()
        await close()
        with pytest.raises(TransportClosed):
            await call
        assert now() == start
        client = rpc.Client(here, topic="slow", timeout=60)
    del call
    gc.collect()
    assert unread == []


async def test_beats_say_what_becomes_of_a_request(here: Transport, there: Transport) -> None:
    """Beats come at receipt and every third of the heartbeat, queued first and running then."""
    heard: list[tuple[float, str]] = []
    begin = now()

    class Ear:
        def arrived(self, deliveries: list[Delivery]) -> None:
            for each in deliveries:
                value = native.decode(each)
                what = value.state if isinstance(value, Beat) else type(value).__name__
                heard.append((round(now() - begin, 3), what))

        def bounced(self, message_id: str, why: Bounce) -> None:
            raise AssertionError(message_id, why)

        def lost(self, epoch: int, why: Exception) -> None:
            """Nothing waits."""

    async with rpc.serve(there, Slow(), topic="slow", workers=1):
        first = asyncio.ensure_future(rpc.Client(here, topic="slow").call("sleep", seconds=2.3))
        await asyncio.sleep(0.5)
        inbox = await here.inbox(Ear())
        await inbox.ready(Deadline(now(), 5))
        request = Request(
            f"{inbox.token}.1", "sleep", b'{"seconds":2.4}', inbox.address, heartbeat=3.0
        )
        await here.publish(Address.topic("slow"), native.encode(request))
        await first
        await asyncio.sleep(10)
    assert heard == [
        (0.5, "queued"),
        (1.5, "queued"),
        (2.5, "running"),
        (3.5, "running"),
        (4.5, "running"),
        (4.7, "Reply"),
    ]


async def test_a_call_that_is_cancelled_before_it_begins_leaves_no_trace(
    here: Transport, there: Transport, faults: Faults
) -> None:
    """A request and its cancellation that arrive together keep no worker."""
    service = Slow()
    async with rpc.serve(there, service, topic="slow", workers=1) as server:
        client = rpc.Client(here, topic="slow", timeout=20)
        await client.call("sleep", seconds=0)
        faults.freeze()
        call = asyncio.ensure_future(client.call("sleep", seconds=500))
        await asyncio.sleep(1)
        call.cancel()
        await asyncio.sleep(1)
        faults.thaw()
        assert await client.call("sleep", seconds=0) == "slept"
        statistics = server.statistics()
        assert (statistics.running, statistics.cancelled, statistics.results) == (0, 1, 2)


async def test_progress_is_reported_from_any_thread(here: Transport, there: Transport) -> None:
    """Also from a thread that an async handler started."""

    class Threaded:
        async def work(self, ctx: rpc.Context) -> str:
            await asyncio.to_thread(ctx.report, "from a thread")
            ctx.report("from the loop")
            return "done"

    heard: list[object] = []
    async with rpc.serve(there, Threaded(), topic="threaded"):
        client = rpc.Client(here, topic="threaded", heartbeat=10, on_progress=heard.append)
        assert await client.call("work") == "done"
    assert heard == ["from a thread", "from the loop"]


async def test_workers_beside_long_work_do_not_stand_idle(
    here: Transport, there: Transport
) -> None:
    """With most workers at long work, requests follow each other through the others."""
    async with rpc.serve(there, Slow(), topic="slow", workers=4, accept=0):
        client = rpc.Client(here, topic="slow", timeout=600)
        long = [asyncio.ensure_future(client.call("sleep", seconds=60)) for _ in range(3)]
        await asyncio.sleep(1)
        start = here.clock.now()
        for _ in range(10):
            await client.call("sleep", seconds=0.1)
        assert here.clock.now() - start == pytest.approx(1.0, abs=0.1)
        await asyncio.gather(*long)


class Quiet(rpc.Interface, topic="quiet"):
    """Methods that speak for themselves."""

    @rpc.silent
    async def work(self, seconds: float) -> str:
        raise NotImplementedError

    async def reporting(self, every: float) -> str:
        raise NotImplementedError


class QuietService(Quiet):
    """Implements it, and marks one more."""

    async def work(self, seconds: float) -> str:
        await asyncio.sleep(seconds)
        return "worked"

    @rpc.silent
    async def reporting(self, every: float) -> str:
        for step in range(3):
            rpc.context().report(step)
            await asyncio.sleep(every)
        return "reported"


async def test_a_silent_method_is_watched_by_its_timeout_alone(
    here: Transport, there: Transport
) -> None:
    """No beat is sent for it, so nobody misses one; others of the same server beat."""
    async with rpc.serve(there, QuietService(), workers=1):
        client = rpc.Client(here, topic="quiet", timeout=600, heartbeat=3)
        assert await client.call("work", seconds=60) == "worked"
        assert client.statistics().beats == 0
        await ends_at(20.0, client.with_(timeout=20).call("work", seconds=60), DeadlineExceeded)


async def test_a_silent_method_that_reports_is_lost_when_it_hangs(
    here: Transport, there: Transport
) -> None:
    """Its reports are the only signs of life: it lives as long as they come."""
    async with rpc.serve(there, QuietService()):
        client = rpc.Client(here, topic="quiet", timeout=600, heartbeat=3)
        assert await client.call("reporting", every=2) == "reported"
        assert client.statistics().beats == 3
        await ends_at(3.0, client.call("reporting", every=60), CallLost)


async def test_calls_in_doubt_share_a_look_and_leave_none_behind(
    here: Transport, there: Transport, faults: Faults
) -> None:
    """Many calls that wait for one place look at it one at a time, and no look outlives them.

    A look each would take the link's channels from all others, and go on long after the calls.
    """
    async with rpc.serve(there, Slow(), topic="work"):
        client = rpc.Client(here, topic="work", timeout=3)
        assert await client.call("sleep", seconds=0) == "slept"
        before = len(asyncio.all_tasks())
        faults.freeze()
        calls = [asyncio.ensure_future(client.call("sleep", seconds=0)) for n in range(300)]
        await asyncio.sleep(2)
        assert len(asyncio.all_tasks()) - before <= 300 + 1
        for outcome in await asyncio.gather(*calls, return_exceptions=True):
            assert isinstance(outcome, DeadlineExceeded)
        await asyncio.sleep(0.01)
        assert len(asyncio.all_tasks()) == before
        faults.thaw()
        assert await client.call("sleep", seconds=0) == "slept"


async def test_a_call_in_doubt_waits_for_a_look_of_its_own(
    here: Transport, there: Transport, faults: Faults
) -> None:
    """What a look saw that began before a call was sent says nothing of that call."""
    async with rpc.serve(there, Slow(), topic="work"):
        pass
    client = rpc.Client(here, topic="work", timeout=30)
    first = asyncio.ensure_future(client.call("sleep", seconds=0))
    await asyncio.sleep(0.1)
    faults.freeze()
    await asyncio.sleep(0.2)
    second = asyncio.ensure_future(client.call("sleep", seconds=0))
    await asyncio.sleep(1)
    faults.thaw()
    for call in (first, second):
        with pytest.raises(NoSuchTarget) as caught:
            await call
        assert caught.value.queued
    await asyncio.sleep(0.01)
    assert not client._caller._looks


class HeldUp:
    """The clock of a loop that is held up for a while after so many readings."""

    def __init__(self) -> None:
        self.readings = 1_000_000

    def now(self) -> float:
        self.readings -= 1
        return now() + (3.5 if self.readings < 0 else 0.0)

    def wall(self) -> float:
        return LoopClock(asyncio.get_running_loop()).wall()


async def test_a_call_that_is_over_as_it_is_sent_says_so_in_its_own_words(
    url: str, there: Transport
) -> None:
    """A loop that was held up until the deadline is no reason to speak of publishing."""
    late: list[str] = []
    async with rpc.serve(there, Slow(), topic="work"):
        for readings in range(20):
            faults = Faults()
            driver = faulty(MemoryDriver(), faults)
            transport = Transport.connect(url, clock=(clock := HeldUp()), driver=driver)
            async with transport as here:
                client = rpc.Client(here, topic="work", timeout=3)
                assert await client.call("sleep", seconds=0) == "slept"
                faults.cut()
                await asyncio.sleep(0)
                clock.readings = readings  # of which some are taken on the way to the next link
                try:
                    assert await client.call("sleep", seconds=0) == "slept"
                except DeadlineExceeded as error:
                    late.append(str(error))
    assert late, "it never came that late"
    assert all("The call of sleep to work did not end within 3" in each for each in late)


async def test_a_call_that_ends_as_it_is_to_be_sent_again_ends(url: str, there: Transport) -> None:
    """Between the loss of a link and the repeat a client may be closed; its call hears of it."""
    faults = Faults()
    async with (
        rpc.serve(there, Slow(), topic="work"),
        Transport.connect(url, driver=faulty(MemoryDriver(), faults)) as here,
    ):
        client = rpc.Client(here, topic="work", timeout=30, repeats=True)
        call = asyncio.ensure_future(client.call("sleep", seconds=60))
        await asyncio.sleep(1)
        client._caller.lost(1, LinkLost(where="there", why="it broke."))
        await client.aclose()
        with pytest.raises(TransportClosed):
            await call


async def test_an_answer_that_comes_as_a_call_is_to_be_sent_again_counts(
    here: Transport, there: Transport
) -> None:
    """It ends the call, which then has no deadline: its caller would wait for ever."""
    work = Slow()
    async with rpc.serve(there, work, topic="work"):
        client = rpc.Client(here, topic="work", timeout=30, repeats=True)
        call = asyncio.ensure_future(client.call("sleep", seconds=60))
        await asyncio.sleep(1)
        (call_id,) = client._caller._calls._open
        client._caller.lost(1, LinkLost(where="there", why="it broke."))
        answer = Arrival(1, b'"slept"', kind="reply", correlation_id=call_id)
        client._caller.arrived([Delivery(answer)])
        async with asyncio.timeout(40):
            assert await call == "slept"
        assert work.ran == 1


async def test_a_call_that_could_not_leave_says_that_it_was_being_sent(
    here: Transport, there: Transport
) -> None:
    """While the broker takes no messages no server is to blame; what got through waits for one."""
    memory = broker(here.url.hosts[0].name)
    async with rpc.serve(there, Slow(), topic="work"):
        client = rpc.Client(here, topic="work", timeout=3)
        gone = asyncio.ensure_future(client.call("sleep", seconds=60))
        await asyncio.sleep(1)
        memory.close_flow()
        await asyncio.sleep(0.1)
        held = asyncio.ensure_future(client.call("sleep", seconds=0))
        for call, stage in ((gone, "waiting for the reply"), (held, "sending")):
            with pytest.raises(DeadlineExceeded) as caught:
                await call
            assert caught.value.stage == stage
        await asyncio.sleep(0.01)
        assert here.statistics().buffered == 0
        memory.open_flow()
        assert await client.call("sleep", seconds=0) == "slept"


async def test_a_link_that_dies_with_many_requests_waiting_is_one_line_of_the_log(
    here: Transport, there: Transport, faults: Faults, caplog: pytest.LogCaptureFixture
) -> None:
    """Each caller hears what became of its call; the log need not repeat it a thousand times."""
    memory = broker(here.url.hosts[0].name)
    async with rpc.serve(there, Slow(), topic="work"):
        client = rpc.Client(here, topic="work", timeout=9)
        assert await client.call("sleep", seconds=0) == "slept"
        memory.close_flow()
        await asyncio.sleep(0.1)
        calls = [asyncio.ensure_future(client.call("sleep", seconds=0)) for _ in range(200)]
        await asyncio.sleep(0.1)
        faults.cut()
        await asyncio.gather(*calls, return_exceptions=True)
        memory.open_flow()
    unsent = [each for each in caplog.messages if "not sent" in each]
    assert len(unsent) == 1
    assert unsent[0].startswith("Messages that waited were not sent (200): The link to ")
    assert here.statistics().dropped == 200


async def test_answers_that_cannot_be_sent_are_counted_and_told_of_now_and_then(
    url: str, here: Transport, caplog: pytest.LogCaptureFixture
) -> None:
    """More answers than may wait for a broker that takes nothing would flood the log."""
    memory = broker(here.url.hosts[0].name)
    async with (
        Transport.connect(url, policy=TransportPolicy(buffer=10)) as there,
        rpc.serve(there, Slow(), topic="work", workers=100) as server,
    ):
        client = rpc.Client(here, topic="work", timeout=9)
        calls = [asyncio.ensure_future(client.call("sleep", seconds=1)) for _ in range(60)]
        await asyncio.sleep(0.5)
        memory.close_flow()
        await asyncio.sleep(1)
        memory.open_flow()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert outcomes.count("slept") == 10
        assert server.statistics().lost_answers == 50
    (line,) = [each for each in caplog.messages if "not sent" in each]
    assert line.startswith(
        "An answer to sleep of work was not sent (1 so far): 10 messages already"
    )
