import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import AsyncIterator, Sequence
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedplate.errors import AccessRefused, ConnectFailed, InvalidUrl, LinkLost, Unsupported
from bedplate.messaging.drivers.memory import (
    MemoryBroker,
    MemoryDriver,
    MemoryEntity,
    MemoryNaming,
    MemoryOptions,
    broker,
)
from bedplate.messaging.drivers.memory._queue import Entry, Queue
from bedplate.messaging.types import (
    Address,
    Arrival,
    Bounce,
    Entity,
    InletLost,
    Outbound,
    Outcome,
    Settlement,
    Source,
    Standing,
    Want,
)
from bedplate.messaging.url import TransportUrl
from bedplate.testing.contracts._workbench import Ear, Peer

TOPIC = Address.topic("t")


async def connect(url: str, limit: int = 100_000) -> Peer:
    ear = Ear(60.0)
    link = await MemoryDriver().connect(TransportUrl(url), MemoryOptions(limit=limit), ear)
    return Peer(link, ear, 60.0)


@contextlib.asynccontextmanager
async def peers(
    count: int = 2, limit: int = 100_000
) -> AsyncIterator[tuple[MemoryBroker, list[Peer]]]:
    name = uuid4().hex
    made = [await connect(f"memory://{name}/", limit) for _ in range(count)]
    yield broker(name), made
    for peer in made:
        await peer.link.aclose()
        assert peer.strangers() == []


# --- names ----------------------------------------------------------------------------------------


async def test_an_empty_name_is_the_broker_called_default() -> None:
    """``memory://`` and ``memory://default/`` meet; another name or virtual host does not."""
    one, two = await connect("memory://"), await connect("memory://default/")
    others = [await connect("memory://other/"), await connect("memory://default/v")]
    topic = Address.topic(uuid4().hex)
    basket = await one.take(topic)
    assert await two.accept(topic, b"") is Outcome.ACCEPTED
    await basket.count(1)
    for other in others:
        assert await other.accept(topic, b"") is Outcome.UNROUTABLE
    for peer in (one, two, *others):
        await peer.link.aclose()


@pytest.mark.parametrize("url", ["memory://a,b/", "memory://a:5672/"])
async def test_a_url_names_one_broker(url: str) -> None:
    """Several hosts, or a port, make no sense in a process and are refused."""
    with pytest.raises(InvalidUrl, match="memory://NAME/"):
        await connect(url)


async def test_a_stopped_broker_keeps_its_queues() -> None:
    """``stop`` cuts all links and refuses new ones; after ``start`` the messages are there."""
    name = uuid4().hex
    peer = await connect(f"memory://{name}/")
    await peer.declare(Entity(TOPIC))
    peer.send(TOPIC, b"kept")
    broker(name).stop()
    await peer.lost()
    with pytest.raises(ConnectFailed, match="stopped"):
        await connect(f"memory://{name}/")
    broker(name).start()
    again = await connect(f"memory://{name}/")
    basket = await again.take(TOPIC)
    await basket.count(1)
    assert basket.arrivals[0].redelivered is False
    await again.link.aclose()


@given(
    st.lists(
        st.builds(
            Address.server, st.text(min_size=1), st.text(min_size=1), exchange=st.text(min_size=1)
        )
        | st.builds(Address.topic, st.text(min_size=1), exchange=st.text(min_size=1))
        | st.builds(Address.fanout, st.text(min_size=1), exchange=st.text(min_size=1)),
        unique=True,
        max_size=6,
    ),
    st.none() | st.text(),
)
@settings(max_examples=100)
def test_names_are_never_shared(addresses: list[Address], group: str | None) -> None:
    """Whatever the parts are called, two addresses or groups have two names."""
    naming = MemoryNaming()
    names = {naming.queue(address, each) for address in addresses for each in {group, None}}
    assert len(names) == len(addresses) * len({group, None})


# --- queues ---------------------------------------------------------------------------------------


async def test_an_unused_queue_expires() -> None:
    """A queue declared with ``expires`` is gone after so long without receivers, not before."""
    async with peers(1) as (held, (peer,)):
        await peer.declare(Entity(TOPIC, expires=10.0))
        await asyncio.sleep(9.0)
        assert await peer.accept(TOPIC, b"") is Outcome.ACCEPTED
        basket = await peer.take(TOPIC)
        await asyncio.sleep(60.0)
        assert await peer.accept(TOPIC, b"") is Outcome.ACCEPTED
        await basket.aclose()
        await asyncio.sleep(9.0)
        assert (await peer.declare(Entity(TOPIC, expires=10.0)))[0].messages == 0
        await asyncio.sleep(9.0)
        assert held.entities() == (MemoryEntity("default/t", 0, 0),)
        await asyncio.sleep(1.0)
        assert held.entities() == ()
        assert await peer.accept(TOPIC, b"") is Outcome.UNROUTABLE


async def test_expired_messages_count_for_nothing() -> None:
    """They fill no queue, appear in no look, and are counted as expired."""
    async with peers(1) as (held, (peer,)):
        await peer.declare(Entity(TOPIC, limit=2))
        for ttl in (1.0, 5.0):
            peer.post(Outbound(TOPIC, b"%g" % ttl, "id", ttl=ttl))
        assert await peer.accept(TOPIC, b"full") is Outcome.REFUSED
        await asyncio.sleep(1.0)
        assert await peer.declare(Entity(TOPIC), look=True) == (
            Standing(exists=True, messages=1, consumers=0),
        )
        assert await peer.accept(TOPIC, b"room again") is Outcome.ACCEPTED
        await asyncio.sleep(4.0)
        assert held.entities() == (MemoryEntity("default/t", 1, 0),)
        assert held.counts().expired == 2
        assert held.counts().refused == 1


async def test_a_full_queue_bounces_and_loses_nothing_it_has() -> None:
    """Beyond the option ``limit`` a BOUNCE comes back REFUSED; no group gets what one refuses."""
    async with peers(1, limit=1) as (held, (peer,)):
        red = await peer.take(Source(TOPIC, group="red"))
        await peer.declare(Entity(TOPIC, "blue"))
        peer.send(TOPIC, b"1", Want.BOUNCE)
        name = peer.send(TOPIC, b"2", Want.BOUNCE)
        await peer.ear.until(lambda: bool(peer.ear.bounces), "a bounce")
        assert peer.ear.bounces == [(name, Bounce.REFUSED)]
        assert red.bodies == [b"1"]
        assert held.counts().refused == 1


async def test_a_slow_listener_misses_fanouts_and_stops_nobody() -> None:
    """A full fanout queue loses its copy, counted; the others get theirs."""
    async with peers(2, limit=2) as (held, (slow, quick)):
        everybody = Address.fanout("news")
        deaf, keen = await slow.take(everybody, credit=0), await quick.take(everybody)
        for number in range(4):
            assert await quick.accept(everybody, b"%d" % number) is Outcome.ACCEPTED
        await keen.count(4)
        deaf.grant(10)
        await deaf.count(2)
        await asyncio.sleep(1.0)
        assert deaf.bodies == [b"0", b"1"]
        assert held.counts().overflowed == 2


async def test_a_delayed_retry_reaches_whoever_is_there_by_then() -> None:
    """It outlives the link that asked for it, and waits where nobody is."""
    async with peers(2) as (_, (one, two)):
        basket = await one.take(Source(TOPIC))
        two.send(TOPIC, b"x")
        (arrival,) = await basket.count(1)
        basket.settle(arrival, Settlement.RETRY, 30.0)
        await one.link.aclose()
        loop = asyncio.get_running_loop()
        before = loop.time()
        later = await two.take(Source(TOPIC))
        await later.count(1)
        assert loop.time() == pytest.approx(before + 30.0)
        assert (later.arrivals[0].redelivered, later.arrivals[0].attempts) == (True, 2)


async def test_a_returned_message_keeps_its_place() -> None:
    """What comes back unsettled is delivered before what was sent after it."""
    async with peers(2) as (held, (one, two)):
        basket = await one.take(Source(TOPIC), credit=3)
        for number in range(6):
            two.send(TOPIC, b"%d" % number)
        await basket.count(3)
        basket.settle(basket.arrivals[1], Settlement.ACK)
        await basket.aclose()
        again = await two.take(Source(TOPIC))
        await again.count(5)
        assert again.bodies == [b"0", b"2", b"3", b"4", b"5"]
        assert held.counts().returned == 2


async def test_what_nobody_has_seen_was_not_delivered() -> None:
    """A message assigned to a link that dies in the same turn arrives elsewhere as new."""
    async with peers(2) as (held, (one, two)):
        await one.take(Source(TOPIC))
        two.send(TOPIC, b"x")
        held.cut(one.link)
        again = await two.take(Source(TOPIC))
        await again.count(1)
        assert (again.arrivals[0].redelivered, again.arrivals[0].attempts) == (False, 1)
        await one.lost()


async def test_rejected_messages_are_counted() -> None:
    """REJECT drops a message and counts it."""
    async with peers(1) as (held, (peer,)):
        basket = await peer.take(Source(TOPIC))
        peer.send(TOPIC, b"")
        (arrival,) = await basket.count(1)
        basket.settle(arrival, Settlement.REJECT)
        assert held.counts().rejected == 1
        assert held.counts().delivered == 1


async def test_a_deleted_queue_takes_its_messages_along() -> None:
    """``delete`` ends the inlets with CANCELLED; afterwards the topic is unknown."""
    async with peers(1) as (held, (peer,)):
        basket = await peer.take(Source(TOPIC), credit=0)
        peer.send(TOPIC, b"gone")
        assert held.delete(TOPIC) == 1
        assert await basket.end() is InletLost.CANCELLED
        assert await peer.accept(TOPIC, b"") is Outcome.UNROUTABLE
        again = await peer.take(Source(TOPIC))
        await asyncio.sleep(1.0)
        assert again.arrivals == []


async def test_a_private_address_is_nobody_elses() -> None:
    """Another link may send to it, but neither take from it nor declare it."""
    async with peers(2) as (_, (one, two)):
        address = await one.link.private_address()
        with pytest.raises(AccessRefused):
            await two.take(Source(address, ack=False))
        with pytest.raises(AccessRefused):
            await two.declare(Entity(address))
        assert (await one.declare(Entity(address)))[0].exists
        assert (await two.declare(Entity(address), look=True))[0].consumers == 0


async def test_a_fanout_has_no_groups() -> None:
    """Everybody is everybody: a group of a fanout is refused, not ignored."""
    async with peers(1) as (_, (peer,)):
        with pytest.raises(Unsupported, match="group"):
            await peer.take(Source(Address.fanout("t"), group="g"))


async def test_a_callback_that_raises_harms_nobody_else() -> None:
    """It is reported to the loop's exception handler; other inlets get theirs, the link closes."""
    reported: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: reported.append(context["exception"]))

    class Broken:
        def arrived(self, batch: Sequence[Arrival]) -> None:
            raise ValueError(batch[0].body)

        def revoked(self, lanes: frozenset[int]) -> None:
            raise NotImplementedError

        def ended(self, why: InletLost) -> None:
            raise KeyError(why)

    async with peers(1) as (_, (peer,)):
        await peer.link.take(Source(TOPIC), Broken(), credit=1)
        sound = await peer.take(Address.topic("sound"))
        peer.send(TOPIC, b"x")
        peer.send(Address.topic("sound"), b"y")
        await sound.count(1)
    assert [repr(each) for each in reported] == [
        "ValueError(b'x')",
        f"KeyError({InletLost.LINK!r})",
    ]


async def test_what_was_cut_in_the_turn_it_was_sent_is_unknown() -> None:
    """A receipt that the link did not live to hear is UNKNOWN, although the message is there."""
    async with peers(2) as (held, (one, two)):
        basket = await two.take(TOPIC)
        receipt = one.accept(TOPIC, b"x")
        held.cut(one.link)
        assert await receipt is Outcome.UNKNOWN
        await basket.count(1)


async def test_a_repeated_opening_of_flow_is_told_once() -> None:
    """Opening what is open says nothing to anybody."""
    async with peers(1) as (held, (peer,)):
        held.open_flow()
        held.close_flow()
        held.open_flow()
        held.open_flow()
        await asyncio.sleep(1.0)
        assert peer.ear.flows == [(False, None), (True, None)]


# --- flow -----------------------------------------------------------------------------------------


async def test_a_link_that_sends_into_closed_flow_is_not_heard_at_all() -> None:
    """As at a memory alarm: its acks, grants and declarations wait too; a silent link goes on."""
    async with peers(2) as (held, (busy, silent)):
        mine, theirs = Address.topic("mine"), Address.topic("theirs")
        busy_basket, basket = await busy.take(Source(mine)), await silent.take(Source(theirs))
        busy.send(mine, b"x")
        busy.send(theirs, b"y")
        await busy_basket.count(1)
        await basket.count(1)
        held.close_flow()
        busy.send(mine, b"blocked")
        busy_basket.settle(busy_basket.arrivals[0], Settlement.RETRY)
        declaring = asyncio.create_task(busy.declare(Entity(Address.topic("new"))))
        basket.settle(basket.arrivals[0], Settlement.RETRY)
        await basket.count(2)
        assert (await silent.declare(Entity(Address.topic("other"))))[0].exists
        await asyncio.sleep(60.0)
        assert len(busy_basket.arrivals) == 1
        assert not declaring.done()
        held.open_flow()
        await busy_basket.count(3)
        assert sorted(busy_basket.bodies) == [b"blocked", b"x", b"x"]
        assert (await declaring)[0].exists


async def test_flow_may_close_for_one_address() -> None:
    """What goes elsewhere passes; what waits keeps its order and comes before later sends."""
    async with peers(2) as (held, (server, client)):
        slow, quick = Address.topic("slow"), Address.topic("quick")
        waiting, passing = await server.take(slow), await server.take(quick)
        held.close_flow("it is full", slow)
        client.send(slow, b"1")
        receipt = client.accept(slow, b"2")
        client.send(quick, b"3")
        await passing.count(1)
        await asyncio.sleep(1.0)
        assert waiting.arrivals == []
        assert not receipt.done()
        assert client.ear.flows == [(False, slow)]
        held.open_flow(slow)
        client.send(slow, b"4")
        await waiting.count(3)
        assert waiting.bodies == [b"1", b"2", b"4"]
        assert await receipt is Outcome.ACCEPTED
        assert client.ear.flows == [(False, slow), (True, slow)]


async def test_who_connects_to_closed_flow_is_told() -> None:
    """A new link hears of what was closed before it came; what dies in it is UNKNOWN."""
    name = uuid4().hex
    broker(name).close_flow()
    peer = await connect(f"memory://{name}/")
    await peer.ear.until(lambda: peer.ear.flows == [(False, None)], "closed flow")
    receipt = peer.accept(TOPIC, b"")
    declaring = asyncio.create_task(peer.declare(Entity(TOPIC)))
    await asyncio.sleep(1.0)
    broker(name).cut()
    assert await receipt is Outcome.UNKNOWN
    with pytest.raises(LinkLost):
        await declaring


# --- threads --------------------------------------------------------------------------------------


def _echo_server(name: str, ready: threading.Event, count: int, errors: list[str]) -> None:
    async def serve() -> None:
        peer = await connect(f"memory://{name}/")
        basket = await peer.take(TOPIC, credit=50, settle=True, grant=True)
        ready.set()
        answered = 0
        while answered < count:
            await basket.count(answered + 1)
            for request in basket.arrivals[answered:]:
                assert request.reply_to is not None
                peer.send(request.reply_to, request.body)
                answered += 1
        await asyncio.sleep(0.05)
        await peer.link.aclose()
        errors.extend(peer.strangers())

    asyncio.run(serve())


@pytest.mark.usefixtures("real_time")
async def test_links_of_two_threads_meet() -> None:
    """Links on loops of different threads exchange messages, each called on its own thread."""
    name, ready, errors = uuid4().hex, threading.Event(), list[str]()
    thread = threading.Thread(target=_echo_server, args=(name, ready, 500, errors))
    thread.start()
    await asyncio.to_thread(ready.wait)
    client = await connect(f"memory://{name}/")
    back = await client.link.private_address()
    replies = await client.take(Source(back, ack=False), credit=10, grant=True)
    for number in range(500):
        client.post(Outbound(TOPIC, b"%d" % number, str(number), reply_to=back))
    await replies.count(500)
    await asyncio.to_thread(thread.join)
    await client.link.aclose()
    assert replies.bodies == [b"%d" % number for number in range(500)]
    assert errors == client.strangers() == []


@pytest.mark.usefixtures("real_time")
async def test_a_closed_loop_holds_nothing_back() -> None:
    """A link whose loop was closed under it is found out, and what it had goes to others."""
    name = uuid4().hex

    async def leave() -> None:
        peer = await connect(f"memory://{name}/")
        await peer.take(Source(TOPIC), credit=1)

    await asyncio.to_thread(lambda: asyncio.run(leave()))
    async with contextlib.AsyncExitStack() as stack:
        peer = await connect(f"memory://{name}/")
        stack.push_async_callback(peer.link.aclose)
        assert len(broker(name).links) == 2
        basket = await peer.take(Source(TOPIC))
        peer.send(TOPIC, b"1")
        peer.send(TOPIC, b"2")
        await basket.count(2)
        assert sorted(basket.bodies) == [b"1", b"2"]
        assert broker(name).links == (peer.link,)


# --- the queue, against a model -------------------------------------------------------------------


class Hand:
    """A receiver that remembers what it was given."""

    def __init__(self, credit: int) -> None:
        self.credit, self.acks = credit, True
        self.held: deque[Entry] = deque()
        self.given: list[Entry] = []

    def push(self, entry: Entry) -> None:
        assert self.credit >= 0
        self.given.append(entry)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from([None, "a", "b"]), st.integers(1, 6)),
        st.tuples(st.just("join"), st.integers(0, 3), st.just(0)),
        st.tuples(st.just("leave"), st.integers(0, 3), st.just(0)),
        st.tuples(st.just("grant"), st.integers(0, 3), st.integers(1, 3)),
        st.tuples(st.just("ack"), st.integers(0, 3), st.just(0)),
        st.tuples(st.just("retry"), st.integers(0, 3), st.just(0)),
        st.tuples(st.just("later"), st.integers(0, 3), st.integers(1, 3)),
        st.tuples(st.just("tick"), st.integers(1, 3), st.just(0)),
    ),
    max_size=60,
)


class Model:
    """A queue, its receivers, and every message that should still be somewhere."""

    def __init__(self) -> None:
        self.now, self.number = 0.0, 0
        self.queue = Queue("q", declared=(None, None), capacity=1000, now=0.0)
        self.hands: list[Hand] = []
        self.alive: dict[int, Entry] = {}

    def step(self, what: str, first: object, second: int) -> None:
        """Let one thing happen."""
        if what == "put":
            self.put(first if isinstance(first, str) else None, mortal=second == 1)
        elif not isinstance(first, int):
            raise TypeError(what)
        elif what == "join":
            self.hands.append(Hand(first))
            self.queue.join(self.hands[-1], self.now)
        elif what == "tick":
            self.now += first
            self.queue.promote(self.now)
        elif self.hands:
            self.act(what, self.hands[first % len(self.hands)], second)

    def put(self, key: str | None, *, mortal: bool) -> None:
        """Put one message, which may expire soon."""
        self.number += 1
        message = Outbound(TOPIC, b"", str(self.number), key=key)
        expires = self.now + 2 if mortal else float("inf")
        entry = self.alive[self.number] = Entry(message, {}, self.number, expires)
        self.queue.put(entry, self.now)

    def act(self, what: str, hand: Hand, number: int) -> None:
        """Let a receiver do something."""
        if what == "leave":
            self.hands.remove(hand)
            self.queue.leave(hand, hand.given, self.now)
        elif what == "grant":
            self.queue.grant(hand, number, self.now)
        elif hand.given:
            entry = hand.given.pop(0)
            self.queue.settled(entry)
            if what == "ack":
                del self.alive[entry.number]
            elif what == "retry":
                self.queue.put_back([entry], self.now)
            else:
                self.queue.postpone(entry, self.now + number)

    def check(self) -> None:
        """Assert what must hold after every step."""
        now, queue, hands = self.now, self.queue, self.hands
        given = [entry.number for hand in hands for entry in hand.given]
        assert len(given) == len(set(given))
        lasting = {number for number, entry in self.alive.items() if entry.expires > now}
        waiting = queue.size(now)
        assert waiting + len(lasting.intersection(given)) == len(lasting)
        # Expired messages that are held or postponed are dropped when their turn comes.
        aside = [entry for hand in hands for entry in hand.held]
        aside += [entry for _, _, entry in queue._later]
        stale = sum(1 for entry in aside if entry.expires <= now)
        assert len(self.alive) == waiting + len(given) + queue.expired + stale
        for key in ("a", "b"):
            owners = [hand for hand in hands if any(e.message.key == key for e in hand.given)]
            assert len(owners) <= 1
        for hand in hands:
            assert hand.credit >= 0
            assert not (hand.held and hand.credit > 0)
            numbers = [entry.number for entry in hand.held]
            assert numbers == sorted(numbers)
        if any(hand.credit > 0 for hand in hands):
            assert not queue._waiting


@given(steps)
@settings(max_examples=200)
def test_no_order_of_events_loses_or_doubles_a_message(
    events: list[tuple[str, object, int]],
) -> None:
    """Every message is in one place, a key is one receiver's, nothing waits beside credit."""
    model = Model()
    for what, first, second in events:
        model.step(what, first, second)
        model.check()
