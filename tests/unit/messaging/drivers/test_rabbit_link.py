"""The RabbitMQ link against a broker that says what real ones seldom say; time is turned."""

import asyncio
import socket
from typing import Any

import pytest
from tests.unit.amqp091.peer import Broker, delivery, method

from bedplate.amqp091 import Connection, Limits, Plain
from bedplate.errors import LinkLost
from bedplate.messaging.drivers.rabbit import RabbitOptions
from bedplate.messaging.drivers.rabbit._inlet import RabbitInlet
from bedplate.messaging.drivers.rabbit._link import RabbitLink
from bedplate.messaging.drivers.rabbit._wire import Wire
from bedplate.messaging.types import (
    Address,
    Entity,
    InletLost,
    Notice,
    Outbound,
    Outcome,
    Settlement,
    Source,
    Standing,
    Topology,
    Want,
)
from bedplate.testing.contracts._workbench import ACK, Basket, Ear

TOPIC = Address.topic("parts")
QUEUE = "default/parts"
BODY = 1000


class Pipe(asyncio.Transport):
    """A socket's stand-in: what is written reaches the broker, what it says comes next turn."""

    def __init__(self, wire: Wire, broker: Broker) -> None:
        super().__init__()
        self.wire, self.broker = wire, broker
        self.writes: list[bytes] = []
        self.silent = False
        self._closed = False

    def write(self, data: Any) -> None:  # what the standard library's own type says
        self.writes.append(bytes(data))
        if self.silent:
            return
        self.broker.receive(bytes(data))
        said, self.broker.out = b"".join(self.broker.out), []
        if said:
            self.say(said)

    def say(self, said: bytes) -> None:
        """Have the broker say something."""
        asyncio.get_running_loop().call_soon(self.wire.data_received, said)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        assert high is not None
        assert low is None

    def get_extra_info(self, name: str, default: object = None) -> object:
        assert name == "socket"
        return default

    def is_closing(self) -> bool:
        return self._closed

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            asyncio.get_running_loop().call_soon(self.wire.connection_lost, None)

    abort = close


class Fake:
    """A link, its pipe, its broker, and what was heard."""

    def __init__(self, link: RabbitLink, pipe: Pipe, ear: Ear) -> None:
        self.link, self.pipe, self.ear = link, pipe, ear
        self.broker = pipe.broker

    async def take(self, *, credit: int = 10, ack: bool = True, address: Address = TOPIC) -> Basket:
        """Take from an address."""
        basket = Basket(5.0, credit, settle=False, grant=False)
        inlet = await self.link.take(Source(address, ack=ack), basket, credit=credit)
        basket.opened(inlet)
        return basket

    def heard(self, name: str) -> list[tuple[object, ...]]:
        """Return the arguments of what the broker was told under this name."""
        return [tuple(each.values) for each in self.broker.heard if each.name == name]

    def channel(self, basket: Basket) -> int:
        """Return the number of an inlet's channel."""
        inlet = basket.inlet
        assert isinstance(inlet, RabbitInlet)
        assert inlet._channel is not None
        return inlet._channel.number


async def linked(options: RabbitOptions) -> Fake:
    """Open a link to a broker of this test's own."""
    limits = Limits(heartbeat=10, body=BODY, unfinished=10 * BODY)
    wire = Wire(
        Connection([Plain("guest", "guest")], now=asyncio.get_running_loop().time(), limits=limits)
    )
    pipe = Pipe(wire, Broker())
    wire.connection_made(pipe)
    await wire.opened
    ear = Ear(60.0)
    return Fake(RabbitLink(wire, "fake:5672", options, ear), pipe, ear)


@pytest.fixture
async def fake() -> Fake:
    """Open a link with the declared settings."""
    return await linked(RabbitOptions())


def outbound(body: bytes = b"", want: Want = Want.NOTHING, name: str = "1") -> Outbound:
    """Return a message to the topic."""
    return Outbound(TOPIC, body, name, want)


async def turns(number: int = 6) -> None:
    """Let everything that is due be heard."""
    for _ in range(number):
        await asyncio.sleep(0)


async def test_an_end_right_after_the_handshake_is_not_missed() -> None:
    """A broker that closes before the link is in anybody's hands is heard all the same."""
    now = asyncio.get_running_loop().time()
    wire = Wire(Connection([Plain("guest", "guest")], now=now))
    pipe = Pipe(wire, Broker())
    wire.connection_made(pipe)
    await wire.opened
    wire.data_received(method(0, "connection.close", 320, "CONNECTION_FORCED - too late", 0, 0))
    ear = Ear(60.0)
    link = RabbitLink(wire, "fake:5672", RabbitOptions(), ear)
    await ear.until(lambda: bool(ear.losses), "the end")
    assert "too late" in str(ear.losses[0])
    await link.aclose()
    assert len(ear.losses) == 1


@pytest.mark.usefixtures("real_time")
async def test_a_read_of_a_socket_takes_less_than_the_loop_would() -> None:
    """The loop's transport is told so: large bodies pass quicker."""
    ours, theirs = socket.socketpair()
    loop = asyncio.get_running_loop()
    wire = Wire(Connection([Plain("guest", "guest")], now=loop.time()))
    transport, _ = await loop.create_connection(lambda: wire, sock=ours)
    assert getattr(transport, "max_size", None) == 64 * 1024
    wire.abort()
    await wire.released.wait()
    theirs.close()


async def test_what_is_sent_in_one_turn_leaves_in_batches(fake: Fake) -> None:
    """Eight messages are one write and need not wait; fewer are one write as the turn ends."""
    fake.link.send(outbound())
    await turns()
    before = len(fake.pipe.writes)
    for _ in range(16):
        fake.link.send(outbound(b"x"))
    assert len(fake.pipe.writes) == before + 2
    await turns()
    assert len(fake.pipe.writes) == before + 2
    for _ in range(7):
        fake.link.send(outbound(b"x"))
    assert len(fake.pipe.writes) == before + 2
    await turns()
    assert len(fake.pipe.writes) == before + 3


async def test_a_batch_takes_along_what_was_settled(fake: Fake) -> None:
    """A write in the middle of a turn says what was settled before it, once."""
    basket = await fake.take()
    fake.pipe.say(b"".join(delivered(fake.channel(basket), tag) for tag in (1, 2)))
    await basket.count(2)
    basket.settle(basket.arrivals[0], Settlement.ACK)
    for _ in range(7):
        fake.link.send(outbound(b"x"))
    assert fake.heard("basic.ack") == [(1, False)]
    basket.settle(basket.arrivals[1], Settlement.ACK)
    await turns()
    assert fake.heard("basic.ack") == [(1, False), (2, False)]


async def test_acknowledgements_are_said_together(fake: Fake) -> None:
    """What is settled in one turn is one word where there is no gap, and exact where there is."""
    basket = await fake.take()
    channel = fake.channel(basket)
    fake.pipe.say(b"".join(delivered(channel, tag) for tag in range(1, 7)))
    await basket.count(6)
    for tag in (2, 1, 3, 6):
        assert basket.inlet is not None
        basket.inlet.settle(tag, ACK)
    await turns()
    assert fake.heard("basic.ack") == [(3, True), (6, False)]
    basket.settle(basket.arrivals[3], Settlement.RETRY)
    basket.settle(basket.arrivals[4], Settlement.REJECT)
    await turns()
    assert fake.heard("basic.nack") == [(4, False, True)]
    assert fake.heard("basic.reject") == [(5, False)]


async def test_more_credit_than_the_window_opens_a_wider_one(fake: Fake) -> None:
    """Granting beyond what the broker may send replaces the consumer by one with more room."""
    basket = await fake.take(credit=2)
    assert [each[1] for each in fake.heard("basic.qos")] == [2]
    basket.grant(3)
    basket.grant(4)
    await turns()
    assert [each[1] for each in fake.heard("basic.qos")] == [2, 9]
    assert [each[1] for each in fake.heard("basic.consume")] == ["1", "2"]
    assert [each[0] for each in fake.heard("basic.cancel")] == ["1"]
    assert basket.ends == []


async def test_a_window_is_widened_once_the_last_one_is_there(fake: Fake) -> None:
    """Grants that come faster than the broker answers are all honoured, and break nothing."""
    basket = await fake.take(credit=2)
    fake.pipe.silent = True
    before = len(fake.pipe.writes)
    for _ in range(3):
        basket.grant(1)
        await turns()
    (unread,) = fake.pipe.writes[before:]
    fake.pipe.silent = False
    fake.pipe.write(unread)
    await turns(12)
    assert [each[1] for each in fake.heard("basic.qos")] == [2, 3, 5]
    assert [each[0] for each in fake.heard("basic.cancel")] == ["1", "2"]
    fake.pipe.say(b"".join(delivered(fake.channel(basket), tag) for tag in range(1, 6)))
    await basket.count(5)
    assert fake.ear.losses == []


async def test_many_looks_are_one_channel_and_one_write(fake: Fake) -> None:
    """What is there is asked for at once; a place that is absent costs one more channel."""
    places = [Entity(Address.topic(name)) for name in "abcde"]
    await fake.link.declare(Topology(tuple(places)))
    channels = len(fake.heard("channel.open"))
    before = len(fake.pipe.writes)
    found = await fake.link.declare(Topology(tuple(places)), look=True)
    assert found == (Standing(True, 0, 0),) * 5  # noqa: FBT003 - the fields stand in the class
    assert len(fake.heard("channel.open")) == channels + 1
    assert len(fake.pipe.writes) == before + 1

    fake.pipe.silent = True
    looking = asyncio.create_task(fake.link.declare(Topology(tuple(places)), look=True))
    await turns()
    number = max(fake.link.hands)
    fake.pipe.say(
        method(number, "channel.open-ok", b"")
        + method(number, "queue.declare-ok", "a", 7, 1)
        + method(number, "channel.close", 404, "NOT_FOUND - no queue 'b'", 50, 10)
    )
    fake.pipe.silent = False
    found = await looking
    assert [each.exists for each in found] == [True, False, True, True, True]
    assert found[0] == Standing(True, 7, 1)  # noqa: FBT003 - as above
    assert len(fake.heard("channel.open")) == channels + 2


async def test_a_look_at_two_receivers_of_a_fanout_adds_them_up(fake: Fake) -> None:
    """Each has a queue of its own; together they are one place."""
    place = Address.fanout("parts")
    await fake.take(address=place)
    await fake.take(address=place)
    (standing,) = await fake.link.declare(Topology((Entity(place),)), look=True)
    assert standing == Standing(True, 0, 0)  # noqa: FBT003 - this broker counts no consumers
    (nowhere,) = await fake.link.declare(Topology((Entity(Address.fanout("x")),)), look=True)
    assert nowhere == Standing(exists=True)


async def test_giving_credit_back_as_one_settles_widens_nothing(fake: Fake) -> None:
    """A receiver that grants before it acknowledges, in one turn, keeps its window."""
    basket = await fake.take(credit=3)
    fake.pipe.say(b"".join(delivered(fake.channel(basket), tag) for tag in (1, 2, 3)))
    await basket.count(3)
    basket.grant(3)
    for arrival in basket.arrivals:
        basket.settle(arrival, Settlement.ACK)
    await turns()
    assert len(fake.heard("basic.consume")) == 1


async def test_what_the_broker_sends_beyond_the_credit_waits(fake: Fake) -> None:
    """Settled, but without new credit, the next message is kept back and handed over later."""
    basket = await fake.take(credit=2)
    channel = fake.channel(basket)
    fake.pipe.say(delivered(channel, 1) + delivered(channel, 2))
    await basket.count(2)
    for arrival in basket.arrivals:
        basket.settle(arrival, Settlement.ACK)
    fake.pipe.say(delivered(channel, 3))
    await turns()
    assert len(basket.arrivals) == 2
    basket.grant(1)
    await basket.count(3)


async def test_silence_of_two_heartbeats_is_the_end(fake: Fake) -> None:
    """A broker that says nothing is told that we live, and given up after two heartbeats."""
    loop = asyncio.get_running_loop()
    basket = await fake.take()
    receipt = fake.link.send(outbound(want=Want.ACCEPT))
    fake.pipe.silent = True
    since = loop.time()
    await fake.ear.until(lambda: bool(fake.ear.losses), "the end")
    assert 19.0 <= loop.time() - since <= 21.0
    assert basket.ends == [InletLost.LINK]
    assert receipt is not None
    assert await receipt is Outcome.UNKNOWN
    beats = [each for each in fake.pipe.writes if each == b"\x08\0\0\0\0\0\0\xce"]
    assert len(beats) == 3
    with pytest.raises(LinkLost, match="Nothing was heard"):
        fake.link.send(outbound())


async def test_a_broker_that_speaks_is_kept(fake: Fake) -> None:
    """With a sign of life from time to time a link lives on."""
    for _ in range(10):
        await asyncio.sleep(15.0)
        fake.pipe.say(b"\x08\0\0\0\0\0\0\xce")
        await turns()
    assert fake.ear.losses == []
    await fake.link.aclose()


async def test_why_the_broker_closes_is_told(fake: Fake) -> None:
    """The broker's own words are in the reason of the loss, which is told once."""
    fake.pipe.say(method(0, "connection.close", 320, "CONNECTION_FORCED - go home", 0, 0))
    await fake.ear.until(lambda: bool(fake.ear.losses), "the end")
    assert "the broker closed it: CONNECTION_FORCED - go home" in str(fake.ear.losses[0])
    await fake.link.aclose()
    assert len(fake.ear.losses) == 1


@pytest.mark.parametrize(
    ("code", "text", "why"),
    [
        (406, "PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out", "TIMED_OUT"),
        (403, "ACCESS_REFUSED - no more", "REFUSED"),
        (404, "NOT_FOUND - it is gone", "CANCELLED"),
    ],
)
async def test_a_channel_the_broker_closes_ends_one_inlet(
    fake: Fake, code: int, text: str, why: str
) -> None:
    """Its inlet ends with the reason, the other ones and the link go on."""
    basket, other = await fake.take(), await fake.take()
    fake.pipe.say(method(fake.channel(basket), "channel.close", code, text, 0, 0))
    assert await basket.end() is InletLost[why]
    fake.pipe.say(delivered(fake.channel(other), 1))
    await other.count(1)
    assert Notice("channel-closed") in fake.ear.notices
    assert basket.inlet is not None
    basket.inlet.settle(1, ACK)
    basket.inlet.grant(1)
    await basket.inlet.aclose()
    await turns()
    assert fake.ear.losses == []


async def test_all_of_one_read_may_come_at_once(fake: Fake) -> None:
    """Deliveries, a cancel and the end of the channel in one read tell the end once."""
    for ack in (True, False):
        basket = await fake.take(ack=ack)
        channel = fake.channel(basket)
        fake.pipe.say(
            delivered(channel, 1)
            + delivered(channel, 2, head=b"\xff\xff\xff")
            + method(channel, "basic.cancel", "1", True)  # noqa: FBT003 - nowait
            + method(channel, "channel.close", 404, "NOT_FOUND - gone", 0, 0)
        )
        await basket.end()
        await turns()
        assert basket.ends == [InletLost.CANCELLED]
    fake.link.send(outbound())
    await turns()
    assert fake.ear.losses == []


async def test_what_comes_with_the_end_of_the_link_is_left_to_others(fake: Fake) -> None:
    """No acknowledgement could follow: what is shared comes again, what is ours alone is taken."""
    shared = await fake.take()
    own = await fake.take(address=Address.fanout("parts"))
    fake.pipe.say(
        delivered(fake.channel(shared), 1)
        + delivered(fake.channel(own), 1)
        + method(0, "connection.close", 320, "CONNECTION_FORCED - go home", 0, 0)
    )
    for basket in (shared, own):
        await basket.end()
        assert basket.ends == [InletLost.LINK]
    assert shared.bodies == []
    assert own.bodies == [b"x"]


async def test_a_message_nobody_can_read_is_rejected_and_counted(fake: Fake) -> None:
    """Malformed properties and bodies beyond the limit cost the message, not the link."""
    basket = await fake.take()
    channel = fake.channel(basket)
    fake.pipe.say(
        delivered(channel, 1, head=b"\xff\xff\xff")
        + delivered(channel, 2, body=bytes(BODY + 1))
        + delivered(channel, 3)
    )
    await basket.count(1)
    await turns()
    assert [each.tag for each in basket.arrivals] == [3]
    assert fake.heard("basic.reject") == [(1, False), (2, False)]
    assert set(fake.ear.notices) == {Notice("malformed-message"), Notice("oversized-message")}


async def test_flow_has_two_reasons_and_one_word(fake: Fake) -> None:
    """While the broker or the socket takes nothing flow is closed; it opens when both do."""
    fake.pipe.say(method(0, "connection.blocked", "low on memory"))
    await fake.ear.until(lambda: bool(fake.ear.flows), "the end of flow")
    fake.link.wire.pause_writing()
    fake.pipe.say(method(0, "connection.unblocked"))
    await turns()
    assert fake.ear.flows == [(False, None)]
    fake.link.wire.resume_writing()
    assert fake.ear.flows == [(False, None), (True, None)]


async def test_a_broker_that_stops_a_channel_is_left(fake: Fake) -> None:
    """RabbitMQ never sends channel.flow; whoever does is not understood, and that is told."""
    fake.link.send(outbound())
    await turns()
    fake.pipe.say(method(1, "channel.flow", False))  # noqa: FBT003 - active
    await fake.ear.until(lambda: bool(fake.ear.losses), "the end")
    assert Notice("channel-flow") in fake.ear.notices


async def test_a_refused_publish_is_told_where_it_can_be(fake: Fake) -> None:
    """One message under way was refused; of several nobody knows which, and all later ones go."""
    alone = fake.link.send(outbound(want=Want.ACCEPT))
    fake.broker.confirming.clear()
    fake.pipe.silent = True
    await turns()
    fake.pipe.say(method(1, "channel.open-ok", b"") + _refusal(1))
    await turns()
    assert alone is not None
    assert await alone is Outcome.REFUSED
    pair = [fake.link.send(outbound(want=Want.ACCEPT)) for _ in range(2)]
    await turns()
    (channel,) = fake.link.hands
    fake.pipe.say(method(channel, "channel.open-ok", b"") + _refusal(channel))
    await turns()
    assert [await each for each in pair if each is not None] == [Outcome.UNKNOWN] * 2
    assert fake.ear.losses == []


async def test_closing_hears_what_is_due(fake: Fake) -> None:
    """Receipts under way are answered before the link closes."""
    receipts = [fake.link.send(outbound(want=Want.ACCEPT, name=f"{n}")) for n in range(3)]
    await fake.link.aclose()
    assert [await each for each in receipts if each is not None] == [Outcome.UNROUTABLE] * 3
    assert len(fake.ear.losses) == 1


async def test_closing_waits_until_replicated_queues_have_it_all() -> None:
    """They may lose what is on its way when its channel closes, wanted or not."""
    fake = await linked(RabbitOptions(quorum=True))
    fake.link.send(outbound())
    await turns()
    (channel,) = fake.broker.confirming
    fake.broker.confirming.clear()  # it is in no hurry now
    for _ in range(2):
        fake.link.send(outbound())
    closing = asyncio.create_task(fake.link.aclose())
    await turns()
    assert fake.heard("channel.close") == []
    fake.pipe.say(method(channel, "basic.ack", 3, 1))
    await closing
    assert len(fake.heard("channel.close")) == 1


async def test_who_gives_up_closing_leaves_nothing_behind(fake: Fake) -> None:
    """A close that a silent broker never answers can be given up; the socket is dropped then."""
    fake.link.send(outbound(want=Want.ACCEPT))
    fake.pipe.silent = True
    closing = asyncio.create_task(fake.link.aclose())
    await turns()
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    await turns()
    assert len(fake.ear.losses) == 1
    assert fake.pipe.is_closing()


async def test_a_sink_that_raises_deafens_nobody(fake: Fake) -> None:
    """The contract forbids it; the loop's handler hears of it, and the others go on."""
    raised: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: raised.append(context))
    bad, good = await fake.take(), await fake.take()
    bad.arrived = _raising  # type: ignore[assignment]  # a sink that breaks the contract
    fake.pipe.say(delivered(fake.channel(bad), 1) + delivered(fake.channel(good), 1))
    await good.count(1)
    assert [str(each["exception"]) for each in raised] == ["on purpose"]


def _raising(_batch: object) -> None:
    raise RuntimeError("on purpose")


def delivered(channel: int, tag: int, *, body: bytes = b"x", head: bytes = b"\0\0") -> bytes:
    return delivery(channel, tag, body, head)


def _refusal(channel: int) -> bytes:
    text = "ACCESS_REFUSED - write access to exchange 'amq.direct' refused"
    return method(channel, "channel.close", 403, text, 60, 40)
