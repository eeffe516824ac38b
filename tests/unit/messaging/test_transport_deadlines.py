"""One deadline covers everything, whatever the link does: exact times on the turned clock."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import ClassVar

import pytest

from bedplate._floor.backoff import Backoff
from bedplate.config import Section
from bedplate.errors import (
    AccessRefused,
    BedplateError,
    BufferFull,
    ConnectFailed,
    DeadlineExceeded,
    InvalidUrl,
    LinkLost,
    NoSuchTarget,
    PublishRefused,
    PublishUnknown,
    TooLarge,
    TransportClosed,
)
from bedplate.messaging import (
    Address,
    Capabilities,
    Entity,
    Message,
    Outbound,
    RecoveryPolicy,
    Source,
    Topology,
    Transport,
    TransportPolicy,
    TransportUrl,
    Want,
)
from bedplate.messaging.driver import CONTRACT, Link, LinkEvents, Naming, Status
from bedplate.messaging.drivers.memory import MemoryBroker, MemoryDriver, broker
from bedplate.testing.faulty import Faults, faulty

ORDERS, OTHER = Address.topic("orders"), Address.topic("other")
AT_ONCE = RecoveryPolicy(backoff=Backoff(0.1, 1.0, 0.1), budget=10_000)


class Raising:
    """A driver that connects to nothing."""

    contract: ClassVar[int] = CONTRACT
    name: ClassVar[str] = "raising"
    options: ClassVar[type[Section]] = MemoryDriver.options
    offers: ClassVar[Capabilities] = Capabilities()
    status: ClassVar[Status] = Status()
    dialects: ClassVar[Mapping[str, Naming]] = MappingProxyType({})

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def connect(self, url: TransportUrl, options: Section, hear: LinkEvents) -> Link:
        del url, options, hear
        raise self._error


class Scene:
    """A transport over links that fail on purpose, and the broker behind them."""

    def __init__(self, transport: Transport, faults: Faults, memory: MemoryBroker) -> None:
        self.transport, self.faults, self.memory = transport, faults, memory
        self.loop = asyncio.get_running_loop()
        self.began = self.loop.time()

    @property
    def elapsed(self) -> float:
        return self.loop.time() - self.began

    def start(self) -> None:
        self.began = self.loop.time()

    async def bodies(self, address: Address = ORDERS) -> list[bytes]:
        """Return what waits in the broker."""
        got: list[bytes] = []
        async with self.transport.subscribe(address, ack=None) as deliveries:
            while True:
                try:
                    got.append((await asyncio.wait_for(anext(deliveries), 1)).body)
                except TimeoutError:
                    return got


@asynccontextmanager
async def scene(policy: TransportPolicy | None = None) -> AsyncIterator[Scene]:
    faults = Faults()
    name = f"deadlines-{secrets.token_hex(8)}"
    transport = Transport.connect(
        f"memory://{name}/", driver=faulty(MemoryDriver(), faults), policy=policy
    )
    async with transport:
        await transport.declare(Topology((Entity(ORDERS), Entity(OTHER))))
        yield Scene(transport, faults, broker(name))


def quick(**fields: object) -> TransportPolicy:
    return TransportPolicy(recovery=AT_ONCE, **fields)  # type: ignore[arg-type]  # named by tests


# --- connecting ---------------------------------------------------------------------------------


async def test_connecting_ends_at_its_deadline_while_nobody_listens() -> None:
    """A refused connection is tried again until the time is over; the last reason is the cause."""
    faults = Faults()
    faults.refuse()
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(DeadlineExceeded) as caught:
        async with Transport.connect(
            "memory://refused/", driver=faulty(MemoryDriver(), faults), timeout=3
        ):
            pass
    assert loop.time() - began == 3.0
    assert caught.value.stage == "connecting"
    assert isinstance(caught.value.__cause__, ConnectFailed)


async def test_connecting_into_a_black_hole_ends_at_its_deadline() -> None:
    """A connect that never returns is given up at the time given."""
    faults = Faults()
    faults.freeze()
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(DeadlineExceeded, match="within 3 s"):
        async with Transport.connect(
            "memory://hole/", driver=faulty(MemoryDriver(), faults), timeout=3
        ):
            pass
    assert loop.time() - began == 3.0


async def test_connecting_waits_for_a_broker_that_starts_late() -> None:
    """A service may start before its broker does."""
    memory = broker("late")
    memory.stop()
    asyncio.get_running_loop().call_later(5.0, memory.start)
    async with Transport.connect("memory://late/", timeout=60) as transport:
        assert transport.statistics().lines[0].up


@pytest.mark.parametrize(
    "error",
    [
        AccessRefused(where="here", why="wrong password."),
        InvalidUrl(url="memory://x/", why="it has no name."),
    ],
)
async def test_what_will_not_mend_by_itself_is_raised_at_once(error: BedplateError) -> None:
    """Wrong credentials or a wrong URL end the first connection without a second attempt."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(type(error)):
        async with Transport.connect("memory://refusing/", driver=Raising(error)):
            pass
    assert loop.time() == began


async def test_a_driver_with_a_bug_is_named_and_its_words_are_not_repeated() -> None:
    """An unforeseen error of a driver is the cause of ours, whose text quotes none of it."""
    bug = KeyError("amqp://user:secret@host")
    with pytest.raises(DeadlineExceeded) as caught:
        async with Transport.connect("memory://bug/", driver=Raising(bug), timeout=1):
            pass
    failed = caught.value.__cause__
    assert isinstance(failed, ConnectFailed)
    assert "KeyError" in str(failed)
    assert "secret" not in str(failed)
    assert failed.__cause__ is bug


# --- publishing ---------------------------------------------------------------------------------


async def test_publishing_without_a_link_ends_at_its_deadline() -> None:
    """While the link is gone a publish waits for the next one, and no longer than it may."""
    async with scene() as s:
        s.faults.refuse()
        s.faults.cut()
        await asyncio.sleep(0)
        s.start()
        with pytest.raises(DeadlineExceeded) as caught:
            await s.transport.publish(ORDERS, Message(b"1"), timeout=3)
        assert (s.elapsed, caught.value.stage) == (3.0, "connecting")
        assert s.transport.statistics().buffered == 0
        s.faults.accept()


async def test_publishing_waits_for_the_next_link() -> None:
    """A message published while no link is up goes out when one is, within its deadline."""
    async with scene(quick()) as s:
        s.faults.refuse()
        s.faults.cut()
        await asyncio.sleep(0)
        s.loop.call_later(2.0, s.faults.accept)
        publishing = asyncio.create_task(s.transport.publish(ORDERS, Message(b"1"), timeout=60))
        await asyncio.sleep(1)
        assert s.transport.statistics().buffered == 1
        await publishing
        assert await s.bodies() == [b"1"]


async def test_a_swallowed_message_ends_at_its_deadline() -> None:
    """When no confirmation comes, the publish says that it was waiting for it."""
    async with scene() as s:
        s.faults.sending.drop()
        s.start()
        with pytest.raises(DeadlineExceeded) as caught:
            await s.transport.publish(ORDERS, Message(b"1"), timeout=3)
        assert (s.elapsed, caught.value.stage) == (3.0, "confirmation")


async def test_a_frozen_link_ends_at_the_deadline() -> None:
    """A peer that neither answers nor dies cannot hold a publish, a look or a declaration."""
    async with scene() as s:
        s.faults.freeze()
        for attempt in (
            s.transport.publish(ORDERS, Message(b"1"), timeout=3),
            s.transport.declare(Topology((Entity(ORDERS),)), timeout=3),
            s.transport.look(ORDERS, timeout=3),
            s.transport.consume(Source(ORDERS), lambda _: None, credit=1, timeout=3),
        ):
            s.start()
            with pytest.raises(DeadlineExceeded):
                await attempt
            assert s.elapsed == 3.0
        s.faults.thaw()


async def test_closed_flow_ends_at_the_deadline() -> None:
    """While the peer takes nothing a publish waits, says so, and ends in time."""
    async with scene() as s:
        s.memory.close_flow("memory alarm")
        await asyncio.sleep(0.1)
        assert s.transport.statistics().flow == ("memory alarm",)
        s.start()
        with pytest.raises(DeadlineExceeded) as caught:
            await s.transport.publish(ORDERS, Message(b"1"), timeout=3)
        assert (s.elapsed, caught.value.stage) == (3.0, "sending")
        s.memory.open_flow()
        assert await s.bodies() == []


async def test_what_waits_for_flow_leaves_in_order() -> None:
    """Messages keep their order across closed flow, and later ones do not overtake them."""
    async with scene() as s:
        s.memory.close_flow()
        await asyncio.sleep(0.1)
        waiting = [
            asyncio.create_task(s.transport.publish(ORDERS, Message(b"%d" % number)))
            for number in range(5)
        ]
        await asyncio.sleep(1)
        s.memory.open_flow()
        waiting += [
            asyncio.create_task(s.transport.publish(ORDERS, Message(b"%d" % number)))
            for number in range(5, 10)
        ]
        await asyncio.gather(*waiting)
        assert await s.bodies() == [b"%d" % number for number in range(10)]


async def test_one_closed_address_does_not_hold_up_the_others() -> None:
    """Flow closed for one address leaves the others open."""
    async with scene() as s:
        s.memory.close_flow("full", ORDERS)
        await asyncio.sleep(0.1)
        held = asyncio.create_task(s.transport.publish(ORDERS, Message(b"held")))
        await asyncio.sleep(0.1)
        await s.transport.publish(OTHER, Message(b"free"), timeout=1)
        assert not held.done()
        s.memory.open_flow(ORDERS)
        await held
        assert await s.bodies(OTHER) == [b"free"]


async def test_the_buffer_is_bounded() -> None:
    """Beyond its limit messages are refused at once; giving up makes room again."""
    async with scene(quick(buffer=2)) as s:
        s.memory.close_flow()
        await asyncio.sleep(0.1)
        waiting = [
            asyncio.create_task(s.transport.publish(ORDERS, Message(b"%d" % number), timeout=5))
            for number in range(2)
        ]
        await asyncio.sleep(1)
        s.start()
        with pytest.raises(BufferFull) as caught:
            await s.transport.publish(ORDERS, Message(b"3"), timeout=5)
        assert (s.elapsed, caught.value.limit) == (0.0, 2)
        ended = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(each) for each in ended] == [DeadlineExceeded] * 2
        s.memory.open_flow()
        await s.transport.publish(ORDERS, Message(b"4"), timeout=5)
        assert await s.bodies() == [b"4"]


async def test_a_message_that_expires_while_waiting_is_not_sent() -> None:
    """A ttl counts from publishing; what expired in the buffer never leaves it."""
    async with scene() as s:
        s.memory.close_flow()
        await asyncio.sleep(0.1)
        s.start()
        with pytest.raises(DeadlineExceeded):
            await s.transport.publish(ORDERS, Message(b"1", ttl=2.0), timeout=60)
        assert s.elapsed == 2.0
        s.memory.open_flow()
        assert await s.bodies() == []


async def test_the_time_spent_waiting_is_taken_off_the_ttl() -> None:
    """What leaves the buffer carries the life it has left, in header and message."""
    async with scene() as s:
        s.memory.close_flow()
        await asyncio.sleep(0.1)
        s.loop.call_later(4.0, s.memory.open_flow)
        await s.transport.publish(ORDERS, Message(b"1", ttl=10.0))
        async with s.transport.subscribe(ORDERS) as deliveries:
            delivery = await anext(deliveries)
            assert delivery.headers["bedplate-ttl"] == pytest.approx(6.0)
            assert delivery.deadline == pytest.approx(s.loop.time() + 6.0)
            await delivery.ack()


async def test_a_link_cut_before_the_answer_is_unknown() -> None:
    """Whether the message arrived cannot be told, and that is what is said, at once."""
    async with scene(quick()) as s:
        s.faults.sending.cut(nth=1)
        with pytest.raises(PublishUnknown):
            await s.transport.publish(ORDERS, Message(b"1"), timeout=3)
        assert s.transport.statistics().unknown == 1


async def test_a_repeatable_message_is_sent_again_under_the_same_id() -> None:
    """Where repeats are allowed the next link carries it, and the receiver drops the second."""
    async with scene(quick()) as s:
        s.faults.sending.cut(nth=1)
        await s.transport.publish(ORDERS, Message(b"1"), timeout=3, repeats=True)
        assert s.transport.statistics().repeated == 1
        assert s.memory.entities()[0].messages == 2
        async with s.transport.subscribe(ORDERS) as deliveries:
            delivery = await anext(deliveries)
            await delivery.ack()
            await asyncio.sleep(1)
            assert deliveries.statistics().tally.duplicates == 1


async def test_repeating_stays_within_the_deadline() -> None:
    """However often links die, the whole publish ends in time."""
    async with scene(quick()) as s:
        s.faults.sending.drop()

        def again() -> None:
            s.faults.cut()
            s.loop.call_later(0.7, again)

        again()
        s.start()
        with pytest.raises(DeadlineExceeded):
            await s.transport.publish(ORDERS, Message(b"1"), timeout=3, repeats=True)
        assert s.elapsed == 3.0


async def test_nobody_there_is_said_at_once() -> None:
    """A message that can reach nobody is NoSuchTarget without waiting."""
    async with scene() as s:
        s.start()
        with pytest.raises(NoSuchTarget, match="nowhere"):
            await s.transport.publish(Address.topic("nowhere"), Message(b"1"))
        assert s.elapsed == 0.0
        assert s.transport.statistics().bounced == 1


async def test_a_full_queue_is_a_refusal() -> None:
    """What the broker turns down is PublishRefused and counted."""
    async with scene() as s:
        await s.transport.declare(Topology((Entity(Address.topic("tiny"), limit=1),)))
        await s.transport.publish(Address.topic("tiny"), Message(b"1"))
        with pytest.raises(PublishRefused):
            await s.transport.publish(Address.topic("tiny"), Message(b"2"))
        assert s.transport.statistics().refused == 1


async def test_a_message_beyond_the_limit_is_refused_here() -> None:
    """Size is checked before anything is sent, buffered or connected."""
    async with scene(quick(max_body=10)) as s:
        with pytest.raises(TooLarge) as caught:
            await s.transport.publish(ORDERS, Message(b"x" * 11))
        assert (caught.value.size, caught.value.limit) == (11, 10)
        await s.transport.publish(ORDERS, Message(b"x" * 10))


async def test_cancelling_a_publish_takes_it_back_while_it_waits() -> None:
    """A cancelled publish leaves the buffer, and the transport goes on."""
    async with scene() as s:
        s.memory.close_flow()
        await asyncio.sleep(0.1)
        task = asyncio.create_task(s.transport.publish(ORDERS, Message(b"gone")))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        s.memory.open_flow()
        await s.transport.publish(ORDERS, Message(b"kept"))
        assert await s.bodies() == [b"kept"]
        assert s.transport.statistics().timers == 0


async def test_sending_without_an_answer_waits_in_the_buffer_and_expires_there() -> None:
    """``send`` returns at once; what cannot go waits, and is dropped when its time is over."""
    async with scene() as s:
        s.memory.close_flow()
        await asyncio.sleep(0.1)
        s.transport.send(Outbound(ORDERS, b"short", "1", Want.NOTHING, ttl=1.0))
        s.transport.send(Outbound(ORDERS, b"long", "2", Want.NOTHING, ttl=100.0))
        s.transport.send(Outbound(ORDERS, b"for ever", "3", Want.NOTHING))
        await asyncio.sleep(5)
        assert s.transport.statistics().buffered == 2
        assert s.transport.statistics().dropped == 1
        s.memory.open_flow()
        assert await s.bodies() == [b"long", b"for ever"]


async def test_a_line_that_gives_up_fails_what_waits_and_what_comes() -> None:
    """With a policy that gives up, nobody waits out a deadline for a link that will not come."""
    policy = TransportPolicy(recovery=RecoveryPolicy(backoff=Backoff(1.0, 1.0, 1.0), give_up=10.0))
    async with scene(policy) as s:
        s.faults.refuse("gone for good")
        s.faults.cut()
        await asyncio.sleep(0)
        s.start()
        with pytest.raises(ConnectFailed, match="gone for good"):
            await s.transport.publish(ORDERS, Message(b"1"), timeout=60)
        assert s.elapsed <= 10.0
        with pytest.raises(ConnectFailed):
            await s.transport.publish(ORDERS, Message(b"2"), timeout=60)
        with pytest.raises(ConnectFailed):
            await s.transport.look(ORDERS)


async def test_what_waits_without_an_answer_cannot_want_one() -> None:
    """Nobody would hear a confirmation of send(), so asking for one is a mistake."""
    async with scene() as s:
        with pytest.raises(ValueError, match="use publish"):
            s.transport.send(Outbound(ORDERS, b"", "1", Want.ACCEPT))


async def test_declaring_goes_on_on_the_next_link() -> None:
    """A declaration may be repeated, so a cut in the middle costs time and nothing else."""
    async with scene(quick()) as s:
        s.faults.freeze()
        s.loop.call_later(1.0, s.faults.cut)
        s.loop.call_later(1.0, s.faults.thaw)
        await s.transport.declare(Topology((Entity(Address.topic("new")),)), timeout=10)
        standing = await s.transport.look(Address.topic("new"))
        assert (standing.exists, standing.consumers) == (True, 0)


async def test_a_link_that_fails_before_it_says_so_is_not_asked_again() -> None:
    """Between the first error of a dying link and its end nothing spins; the next link serves."""
    async with scene(quick()) as s:
        asked = 0

        async def dying(*_: object, **__: object) -> None:
            nonlocal asked
            asked += 1
            if asked > 5:
                pytest.fail("it asks the dying link over and over")
            raise LinkLost(where="here", why="it is going.")

        s.faults.links[0].declare = dying  # type: ignore[assignment,method-assign]  # on its way out
        s.loop.call_later(1.0, s.faults.cut)
        assert (await s.transport.look(ORDERS, timeout=10)).exists
        assert asked == 1


async def test_closing_ends_what_waits() -> None:
    """Leaving the block tells every waiting publish that the transport is closed."""
    async with scene() as s:
        s.memory.close_flow()
        await asyncio.sleep(0.1)
        waiting = asyncio.create_task(s.transport.publish(ORDERS, Message(b"1")))
        await asyncio.sleep(0.1)
        assert not waiting.done()
    with pytest.raises(TransportClosed):
        await waiting
    s.memory.open_flow()
