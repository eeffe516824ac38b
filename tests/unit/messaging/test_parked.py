"""Parking in motion: from the last attempt to the parking place, and back or away from there."""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest

from bedplate._floor.backoff import Backoff
from bedplate.errors import (
    DeadlineExceeded,
    LinkLost,
    NotParked,
    RemoteError,
    TransportError,
    Unsupported,
)
from bedplate.messaging import (
    Ack,
    Address,
    Delivery,
    Entity,
    IntakePolicy,
    Message,
    Outbound,
    Parked,
    ParkingPlace,
    RecoveryPolicy,
    Source,
    Subscription,
    Support,
    Swept,
    Topology,
    Transport,
    TransportPolicy,
    notify,
    rpc,
)
from bedplate.messaging.drivers.memory import MemoryBroker, MemoryDriver, broker
from bedplate.messaging.observe import Closed, GivenUp, Opened, Received, Sent
from bedplate.messaging.types import Kind
from bedplate.testing.faulty import Faults, faulty

ORDERS = Address.topic("orders")
PLACE = Address.topic("parked:orders")
POLICY = TransportPolicy(
    recovery=RecoveryPolicy(backoff=Backoff(0.1, 1.0, 0.1), budget=10_000),
    intake=IntakePolicy(attempts=3, backoff=Backoff(10.0, 1.0, 10.0)),
)


class Scene:
    def __init__(self, transport: Transport, faults: Faults, memory: MemoryBroker) -> None:
        self.transport, self.faults, self.memory = transport, faults, memory
        self.loop = asyncio.get_running_loop()

    @property
    def parked(self) -> ParkingPlace:
        """What is parked of the orders."""
        return self.transport.parked(ORDERS)

    async def publish(self, *bodies: str, ttl: float | None = None) -> None:
        """Publish orders, each under its own text as id."""
        for body in bodies:
            await self.transport.publish(ORDERS, Message(body.encode(), ttl=ttl, id=body))

    async def ids(self) -> list[str]:
        """Return the ids of what is parked."""
        return [each.id for each in await self.parked.list(None)]

    async def park(self, *bodies: str) -> None:
        """Publish orders and park them, in this order."""
        await self.publish(*bodies)
        async with self.subscribe() as deliveries:
            for _ in bodies:
                assert await (await anext(deliveries)).park()
                await asyncio.sleep(0.01)

    def subscribe(self, **policy: object) -> Subscription:
        """Subscribe to the orders, three attempts each unless told otherwise."""
        chosen = {"attempts": 3, "backoff": Backoff(10.0, 1.0, 10.0), **policy}
        return self.transport.subscribe(ORDERS, policy=IntakePolicy(**chosen))  # type: ignore[arg-type]  # tests name the fields they mean

    def entities(self) -> dict[str, int]:
        """Count what lies in the broker, handed to nobody."""
        return {each.name: each.messages for each in self.memory.entities() if each.messages}


@asynccontextmanager
async def scene(*observers: object) -> AsyncIterator[Scene]:
    faults = Faults()
    name = f"parked-{secrets.token_hex(8)}"
    transport = Transport.connect(
        f"memory://{name}/",
        driver=faulty(MemoryDriver(), faults),
        policy=POLICY,
        observers=observers,  # type: ignore[arg-type]  # one that hears some only
    )
    async with transport:
        await transport.declare(Topology((Entity(ORDERS),)))
        yield Scene(transport, faults, broker(name))


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Keep what is logged."""
    caplog.set_level(logging.INFO, logger="bedplate")
    return caplog


async def run(deliveries: Subscription, handle: Callable[[Delivery], object]) -> None:
    """Handle deliveries for ever, as an application does: done, or again."""
    async for delivery in deliveries:
        try:
            handle(delivery)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is tried again
            await delivery.retry(error=error)
        else:
            await delivery.ack()


@asynccontextmanager
async def working(
    deliveries: Subscription, handle: Callable[[Delivery], object]
) -> AsyncIterator[Subscription]:
    """Have a handler at work."""
    async with deliveries:
        task = asyncio.create_task(run(deliveries, handle))
        try:
            yield deliveries
        finally:
            task.cancel()
            await asyncio.wait([task])


# --- setting aside ------------------------------------------------------------------------------


async def test_what_always_fails_is_parked_and_works_when_its_handler_is_mended(
    quiet: pytest.LogCaptureFixture,
) -> None:
    """Attempts at a pace, then aside, once; the others go on; a replay has all attempts again."""
    broken = True
    tries: list[tuple[float, int]] = []
    done: list[str] = []
    async with scene() as s:

        def handle(delivery: Delivery) -> None:
            if delivery.body == b"poison":
                tries.append((s.loop.time(), delivery.attempts))
                if broken:
                    raise ValueError("no such part")
            done.append(delivery.body.decode())

        async with working(s.subscribe(), handle) as deliveries:
            await s.publish("one", "poison", "two")
            await asyncio.sleep(100)
            assert [attempt for _, attempt in tries] == [1, 2, 3]
            assert all(0 < later - former <= 10 for (former, _), (later, _) in pairwise(tries))
            assert done == ["one", "two"]
            (parked,) = await s.parked.list()
            assert (parked.id, parked.why, parked.attempts) == ("poison", "attempts", 3)
            assert (parked.error, parked.address) == ("ValueError: no such part", ORDERS)
            assert parked.at == pytest.approx(s.transport.clock.wall(), abs=100)
            tally = deliveries.statistics().tally
            assert (tally.parked, tally.rejected, tally.park_failures) == (1, 0, 0)
            broken = False
            assert await s.parked.replay(["poison"]) == Swept(done=1)
            await asyncio.sleep(1)
            assert done == ["one", "two", "poison"]
            assert tries[-1][1] == 1
            assert await s.ids() == []
            assert s.transport.statistics().parked == 1
            assert deliveries.statistics().unsettled == 0
    assert "A message to orders (poison) was parked, after attempt 3" in quiet.text


async def test_parking_keeps_nobody_waiting() -> None:
    """While the broker takes no messages, the others are handled; then it is parked, once."""
    done: list[bytes] = []
    async with scene() as s:
        await s.publish("poison", *map(str, range(20)))

        def handle(delivery: Delivery) -> None:
            assert delivery.body != b"poison"
            done.append(delivery.body)

        s.memory.close_flow()
        async with working(s.subscribe(attempts=1), handle) as deliveries:
            await asyncio.sleep(5)
            assert len(done) == 20
            assert deliveries.statistics().unsettled == 1
            s.memory.open_flow()
            await asyncio.sleep(5)
            assert deliveries.statistics().unsettled == 0
            assert deliveries.statistics().in_use == 0
            assert await s.ids() == ["poison"]


async def test_a_flood_of_poison_is_parked_whole_and_within_the_credit() -> None:
    """Each takes a credit until it is parked, so that no more than that is held here."""
    async with scene() as s:

        def handle(delivery: Delivery) -> None:
            raise ValueError(delivery.id)

        s.memory.close_flow(address=PLACE)
        policy = IntakePolicy(attempts=1)
        subscription = s.transport.subscribe(ORDERS, credit=10, policy=policy)
        bodies = [str(number) for number in range(50)]
        await s.publish(*bodies)
        async with working(subscription, handle) as deliveries:
            await asyncio.sleep(5)
            assert deliveries.statistics().in_use == 10
            assert s.entities()["default/orders"] == 40
            s.memory.open_flow(PLACE)
            await asyncio.sleep(5)
        assert sorted(await s.ids()) == sorted(bodies)


async def test_what_fails_in_an_order_is_parked_in_it() -> None:
    """Also while the first of them has the place made, and though others come meanwhile."""
    async with scene() as s:
        bodies = [f"{number:03}" for number in range(300)]
        await s.publish(*bodies)
        policy = IntakePolicy(attempts=1)
        async with s.transport.subscribe(ORDERS, credit=50, policy=policy) as deliveries:
            for _ in bodies:
                await (await anext(deliveries)).retry()
        assert await s.ids() == bodies


async def test_what_cannot_be_parked_stays_and_is_tried_again(
    quiet: pytest.LogCaptureFixture,
) -> None:
    """A full parking place refuses: the message is kept, that is counted and logged, at a pace."""
    async with scene() as s:
        await s.publish("1", "2")
        async with s.subscribe(attempts=1, park_limit=1) as deliveries:
            for _ in range(2):
                await (await anext(deliveries)).retry()
            await asyncio.sleep(20)
            statistics = deliveries.statistics()
            assert (statistics.tally.parked, statistics.unsettled) == (1, 1)
            assert 3 <= statistics.tally.park_failures <= 6
            assert "A message to orders (2) cannot be parked and stays where it is" in quiet.text
            await s.parked.drop(["1"])
            await asyncio.sleep(100)
            assert await s.ids() == ["2"]
            assert deliveries.statistics().unsettled == 0


async def test_what_could_not_be_parked_goes_back_when_its_receiver_leaves() -> None:
    """It is not lost with the process: whoever comes next has it."""
    async with scene() as s:
        s.memory.close_flow(address=PLACE)
        await s.publish("1")
        async with s.subscribe(attempts=1) as deliveries:
            await (await anext(deliveries)).retry()
        assert s.entities()["default/orders"] == 1
        s.memory.open_flow(PLACE)
        async with s.subscribe(attempts=1) as deliveries:
            await asyncio.sleep(1)
            assert deliveries.statistics().tally.parked == 1


async def test_a_receiver_that_leaves_has_what_it_parks_confirmed_first() -> None:
    """Otherwise the next one parked it again."""
    async with scene() as s:
        await s.publish("1")
        s.faults.sending.delay(0.5, where=lambda message: message.address == PLACE)
        async with s.subscribe() as deliveries:
            await (await anext(deliveries)).park()
        s.faults.sending.clear()
        async with s.subscribe():
            await asyncio.sleep(5)
        assert await s.ids() == ["1"]


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_link_that_dies_between_loses_nothing(when: str) -> None:
    """Published and not acknowledged: parked once more at worst, and never gone."""
    async with scene() as s:

        def to_place(message: Outbound) -> bool:
            return message.address == PLACE

        await s.park("warm")  # so that the place is there
        await s.publish("1")
        if when == "before":
            s.faults.sending.drop(nth=1, where=to_place)
        s.faults.sending.cut(nth=1, where=to_place)
        async with s.subscribe(attempts=1) as deliveries:
            await (await anext(deliveries)).retry()
            await asyncio.sleep(60)
            assert deliveries.statistics().tally.parked >= 1
            assert deliveries.statistics().unsettled == 0
        assert set(await s.ids()) == {"warm", "1"}
        assert (await s.ids()).count("1") <= 2
        assert "default/orders" not in s.entities()


async def test_what_was_parked_while_its_link_was_gone_is_not_parked_twice() -> None:
    """The broker delivers it again, for it heard of nothing; that repeat is dropped."""
    async with scene() as s:
        await s.publish("1")
        s.memory.close_flow(address=PLACE)
        async with s.subscribe(attempts=1) as deliveries:
            await (await anext(deliveries)).retry()
            await asyncio.sleep(0.2)
            listen = s.faults.links[-1]
            s.memory.open_flow(PLACE)
            s.faults.cut(listen)
            await asyncio.sleep(60)
            assert deliveries.statistics().unsettled == 0
        assert await s.ids() == ["1"]


async def test_what_kills_its_receivers_is_parked_unseen() -> None:
    """Nobody ever said that it failed; the broker's count is enough."""
    async with scene() as s:
        await s.publish("1")
        for _ in range(3):
            async with s.subscribe() as deliveries:
                await anext(deliveries)
        async with s.subscribe() as deliveries:
            await asyncio.sleep(1)
            assert deliveries.statistics().tally.parked == 1
        (parked,) = await s.parked.list()
        assert (parked.why, parked.attempts) == ("attempts", 4)


async def test_a_place_that_somebody_deleted_is_made_again() -> None:
    """The broker is asked to keep it, not believed to."""
    async with scene() as s:
        await s.park("1")
        s.memory.delete(PLACE)
        await s.park("2")
        assert await s.ids() == ["2"]


async def test_a_place_made_otherwise_is_used_as_it_is() -> None:
    """Operators may bound it as they like."""
    async with scene() as s:
        await s.transport.declare(Topology((Entity(PLACE, expires=1000.0, limit=7),)))
        await s.park("1")
        assert await s.ids() == ["1"]


async def test_the_expired_are_parked_where_that_is_asked_for() -> None:
    """Those that expire in our hands; what the broker drops by itself nobody sees."""
    async with scene() as s:
        s.faults.arriving.delay(5.0, nth=1)
        async with s.subscribe(park_expired=True) as deliveries:
            await s.publish("on its way", ttl=2.0)
            await s.publish("waiting here", ttl=2.0)
            await asyncio.sleep(10)
            await s.publish("alive", ttl=2.0)
            assert (await anext(deliveries)).body == b"alive"
            await asyncio.sleep(1)
            assert deliveries.statistics().tally.expired == 2
            assert deliveries.statistics().in_use == 1
        found = await s.parked.list()
        assert {(each.id, each.why) for each in found} == {
            ("on its way", "expired"),
            ("waiting here", "expired"),
        }
        assert all(each.expires is not None for each in found)


async def test_the_rejected_are_parked_where_that_is_asked_for() -> None:
    """Otherwise the broker drops them, or dead-letters them as it is told."""
    async with scene() as s:
        await s.publish("1", "2")
        async with s.subscribe() as deliveries:
            await (await anext(deliveries)).reject()
        async with s.subscribe(park_rejected=True) as deliveries:
            await (await anext(deliveries)).reject()
        assert [(each.id, each.why) for each in await s.parked.list()] == [("2", "rejected")]


async def test_without_parking_nothing_is_parked() -> None:
    """Who wants none of it has the old way."""
    async with scene() as s:
        await s.publish("1")
        async with s.subscribe(attempts=1, park=False) as deliveries:
            await (await anext(deliveries)).retry()
            await asyncio.sleep(1)
            assert deliveries.statistics().tally.rejected == 1
        assert (await s.parked.count(), await s.ids()) == (0, [])


async def test_the_application_may_park_what_it_holds() -> None:
    """With a note of its own, and once; what is settled already is nobody's to park."""
    async with scene() as s:
        await s.publish("1", "2")
        async with s.subscribe() as deliveries:
            first, second = await anext(deliveries), await anext(deliveries)
            assert await first.park("ask the accountant")
            assert not await first.park()
            assert not await first.ack()
            await second.ack()
            assert not await second.park()
        (parked,) = await s.parked.list()
        assert (parked.why, parked.error) == ("asked", "ask the accountant")


async def test_what_is_acknowledged_at_the_start_is_too_late_to_park() -> None:
    """At most once means that the broker has forgotten it."""
    async with scene() as s:
        await s.publish("1")
        async with s.transport.subscribe(ORDERS, ack=Ack.START) as deliveries:
            assert not await (await anext(deliveries)).park()
        assert await s.ids() == []


async def test_a_private_address_has_no_parking_place() -> None:
    """It is gone with its link, so asking is refused and the last attempt is a rejection."""
    async with scene() as s:
        link = s.faults.links[0]
        address = await link.private_address()
        with pytest.raises(ValueError, match="no topic"):
            s.transport.parked(address)
        heard: list[Delivery] = []
        consumer = await s.transport.consume(
            Source(address, ack=False), heard.extend, credit=1, policy=IntakePolicy(attempts=1)
        )
        await s.transport.publish(address, Message(b"x"))
        await asyncio.sleep(1)
        assert not await heard[0].park()
        await consumer.aclose()


async def test_members_of_a_group_park_in_a_place_of_their_own() -> None:
    """And a replay reaches that group alone."""
    async with scene() as s:
        audit = s.transport.subscribe(ORDERS, group="audit")
        async with audit as deliveries, s.subscribe() as others:
            await s.publish("1")
            await (await anext(others)).ack()
            await (await anext(deliveries)).park()
            await asyncio.sleep(1)
            assert await s.ids() == []
            place = s.transport.parked(ORDERS, group="audit")
            (parked,) = await place.list()
            assert (parked.group, str(place)) == ("audit", "orders (group audit)")
            assert await place.replay_all() == Swept(done=1)
            again = await anext(deliveries)
            assert (again.body, again.headers["bedplate-replay-of"]) == (b"1", "1")
            await asyncio.sleep(1)
            assert others.statistics().tally.received == 1


async def test_servers_park_at_their_topic_and_have_theirs_back() -> None:
    """A person looks in one place; a replay goes to the server that had it."""
    server = Address.server("orders", "h1")
    async with scene() as s, s.transport.subscribe(server) as mine, s.subscribe() as shared:
        await s.transport.publish(server, Message(b"for h1", id="1"))
        await (await anext(mine)).park()
        await asyncio.sleep(1)
        (parked,) = await s.parked.list()
        assert parked.address == server
        assert await s.transport.parked(server).replay_all() == Swept(done=1)
        assert (await anext(mine)).body == b"for h1"
        await asyncio.sleep(1)
        assert shared.statistics().tally.received == 0


async def test_observers_hear_what_is_given_up_and_where_it_goes() -> None:
    """The message as given up once, by its last attempt, and as sent to the parking place."""

    class Ear:
        def __init__(self) -> None:
            self.given: list[tuple[str, str]] = []
            self.places: list[str] = []

        def sent(self, event: Sent) -> None:
            self.places.append(event.address.name)

        def received(self, event: Received) -> None:
            pass

        def given_up(self, event: GivenUp) -> None:
            self.given.append((event.id, event.verdict))

        def opened(self, event: Opened) -> None:
            pass

        def closed(self, event: Closed) -> None:
            pass

    ear = Ear()
    async with scene(ear) as s:
        await s.park("warm")
        await s.publish("1")
        async with s.subscribe(attempts=1) as deliveries:
            await (await anext(deliveries)).retry()
        assert ear.places[-1] == "parked:orders"
        await s.publish("2")
        async with s.subscribe(attempts=1, park=False) as deliveries:
            await (await anext(deliveries)).retry()
    assert ear.given == [("warm", "park"), ("1", "park"), ("2", "park")]


async def test_parking_is_the_transports_own() -> None:
    """The capability says so: no broker does it, and it is there wherever it can be."""
    async with scene() as s:
        assert s.transport.capabilities.park is Support.ABOVE
        assert s.transport.driver.offers.park is Support.NO


async def test_a_listener_parks_and_its_notification_keeps_its_id() -> None:
    """A notification that is replayed is known again by whoever heard it before."""
    broken = True
    heard: list[str] = []
    async with scene() as s:

        async def handle(notification: notify.Notification) -> None:
            heard.append(notification.id)
            if broken:
                raise OSError("the database is down")

        notifier = notify.Notifier(s.transport, "test")
        listener = notify.listen(s.transport, handle, priorities=("info",), attempts=2, pool="p")
        async with listener:
            told = await notifier.info("item.created", {"item": "bolt"})
            await asyncio.sleep(20)
            place = s.transport.parked(Address.topic("notifications.info"), group="p")
            (parked,) = await place.list()
            assert (parked.id, parked.kind) == (told, "event")
            assert parked.error == "OSError: the database is down"
            broken = False
            await place.replay([told])
            await asyncio.sleep(1)
            assert heard == [told] * 3
            statistics = listener.statistics()
            assert (statistics.parked, statistics.done, statistics.rejected) == (1, 1, 0)


# --- looking ------------------------------------------------------------------------------------


async def test_looking_takes_nothing_away_and_moves_nothing() -> None:
    """However often and however far one looks, all is there and in its order."""
    async with scene() as s:
        bodies = [f"{number:03}" for number in range(250)]
        await s.park(*bodies)
        assert await s.parked.count() == 250
        for limit in (1, 99, 100, 101, 250, 1000, None):
            found = await s.parked.list(limit)
            assert [each.id for each in found] == bodies[:limit]
        shown = await s.parked.show("200")
        assert (shown.message.body, shown.facts.id) == (b"200", "200")
        assert await s.ids() == bodies
        assert s.entities() == {"default/parked:orders": 250}


async def test_looking_does_not_count_as_an_attempt() -> None:
    """Neither for the message, nor for how often it may be tried after its replay."""
    async with scene() as s:
        await s.park("1")
        for _ in range(30):
            await s.ids()
        await s.parked.replay(["1"])
        async with s.subscribe() as deliveries:
            assert (await anext(deliveries)).attempts == 1


async def test_who_dies_while_looking_leaves_all_where_it_was() -> None:
    """The broker has it back, in its order, and the one who looked hears why it ended."""
    async with scene() as s:
        bodies = [f"{number:03}" for number in range(250)]
        await s.park(*bodies)
        s.faults.arriving.cut(nth=150)
        with pytest.raises(LinkLost):
            await s.parked.list(None)
        s.faults.arriving.clear()
        assert await s.ids() == bodies


async def test_looking_where_nothing_was_ever_parked_makes_nothing() -> None:
    """An empty list, and no queue left behind that nobody asked for."""
    async with scene() as s:
        before = s.memory.entities()
        assert (await s.ids(), await s.parked.count()) == ([], 0)
        assert await s.parked.drop_all() == Swept()
        with pytest.raises(NotParked, match="No message 1 is parked for orders"):
            await s.parked.show("1")
        assert s.memory.entities() == before


async def test_two_who_look_at_once_lose_nothing() -> None:
    """Each sees what the other does not hold, and all is there afterwards."""
    async with scene() as s:
        bodies = [f"{number:03}" for number in range(120)]
        await s.park(*bodies)
        found = await asyncio.gather(s.parked.list(None), s.parked.list(None))
        assert {each.id for part in found for each in part} <= set(bodies)
        assert await s.ids() == bodies


async def test_a_broker_that_is_gone_bounds_the_look() -> None:
    """No answer within the time given is an error, not a wait."""
    async with scene() as s:
        await s.park("1")
        s.faults.freeze()
        began = s.loop.time()
        with pytest.raises(DeadlineExceeded):
            await s.parked.list(timeout=3.0)
        assert s.loop.time() - began == pytest.approx(3.0)
        s.faults.thaw()
        assert await s.ids() == ["1"]


async def test_a_message_without_facts_is_shown_as_it_is() -> None:
    """Anybody may put something there, also twice under one id; looking loses neither."""
    async with scene() as s:
        await s.park("warm")
        await s.parked.drop_all()
        for _ in range(2):
            await s.transport.publish(PLACE, Message(b"x", id="same", ttl=1000.0))
        found = await s.parked.list()
        assert [(each.id, each.why, each.address) for each in found] == [("same", "", ORDERS)] * 2


# --- replaying and dropping ---------------------------------------------------------------------


async def test_only_those_named_are_replayed_and_the_others_keep_their_order() -> None:
    """What is not there is said; nothing else moves."""
    async with scene() as s:
        await s.park("1", "2", "3", "4")
        assert await s.parked.replay(["4", "2", "7"]) == Swept(done=2, missing=("7",))
        assert await s.ids() == ["1", "3"]
        async with s.subscribe() as deliveries:
            assert [(await anext(deliveries)).body for _ in range(2)] == [b"2", b"4"]


async def test_a_replay_lives_as_long_as_it_is_told() -> None:
    """Its old deadline does not count; without a new one it lives for ever."""
    async with scene() as s:
        await s.publish("1", ttl=5.0)
        async with s.subscribe() as deliveries:
            await (await anext(deliveries)).park()
        await asyncio.sleep(100)
        assert await s.parked.replay(["1"], ttl=30.0) == Swept(done=1)
        async with s.subscribe() as deliveries:
            delivery = await anext(deliveries)
            assert delivery.deadline == pytest.approx(s.loop.time() + 30.0, abs=2.0)
            await delivery.park()
        (parked,) = await s.parked.list()
        assert parked.replay_of == "1"
        await s.parked.replay_all()
        async with s.subscribe() as deliveries:
            assert (await anext(deliveries)).deadline is None
        with pytest.raises(ValueError, match="above 0"):
            await s.parked.replay(["1"], ttl=0.0)


async def test_all_are_replayed_once_though_they_fail_again() -> None:
    """What is parked again meanwhile stays: a broken handler does not make it go round for ever."""
    async with scene() as s:
        bodies = [f"{number:03}" for number in range(250)]
        await s.park(*bodies)
        tries: list[str] = []

        def handle(delivery: Delivery) -> None:
            tries.append(delivery.body.decode())
            raise ValueError

        told: list[tuple[int, int]] = []

        def progress(done: int, total: int) -> None:
            told.append((done, total))

        async with working(s.subscribe(attempts=1), handle):
            assert await s.parked.replay_all(progress=progress) == Swept(done=250)
            await asyncio.sleep(10)
        assert sorted(tries) == bodies
        assert await s.parked.count() == 250
        assert told[-1] == (250, 250)
        assert all(former < later for (former, _), (later, _) in pairwise(told))


async def test_what_has_nowhere_to_go_stays_parked() -> None:
    """The place it came from is gone: that is said, and the others are replayed all the same."""
    server = Address.server("orders", "h1")
    async with scene() as s:
        async with s.transport.subscribe(server) as mine:
            await s.transport.publish(server, Message(b"", id="for h1"))
            await (await anext(mine)).park()
        await s.park("1")
        s.memory.delete(server)
        swept = await s.parked.replay_all()
        assert (swept.done, swept.missing) == (1, ())
        ((why, count),) = swept.kept
        assert (count, "server h1 of orders" in why) == (1, True)
        assert await s.ids() == ["for h1"]


async def test_what_went_to_everybody_is_not_sent_to_everybody_again() -> None:
    """Those who managed it would have it twice, and the one who did not cannot be addressed."""
    everybody = Address.fanout("orders")
    async with scene() as s:
        async with s.transport.subscribe(everybody) as deliveries:
            await s.transport.publish(everybody, Message(b"", id="1"))
            await (await anext(deliveries)).park()
        swept = await s.parked.replay_all()
        assert (swept.done, [count for _, count in swept.kept]) == (0, [1])
        assert (await s.parked.show("1")).facts.address == everybody


def back(message: Outbound) -> bool:
    """Whether a message goes back to where it was parked from."""
    return message.address.kind is Kind.PLACE


async def drained(s: Scene) -> set[str]:
    """Return the bodies that wait to be handled."""
    async with s.subscribe(window=0) as deliveries:
        await asyncio.sleep(1)
        count = deliveries.statistics().tally.received
        return {(await anext(deliveries)).body.decode() for _ in range(count)}


@pytest.mark.parametrize("nth", [1, 2, 3])
async def test_a_replay_outlives_the_link_it_is_sent_on(nth: int) -> None:
    """What was under way is sent again, under one id, so that a repeat is known as such."""
    async with scene() as s:
        await s.park("1", "2", "3")
        s.faults.sending.cut(nth=nth, where=back)
        assert await s.parked.replay_all() == Swept(done=3)
        assert await s.ids() == []
        async with s.subscribe() as deliveries:
            assert {(await anext(deliveries)).body for _ in range(3)} == {b"1", b"2", b"3"}
            await asyncio.sleep(1)
            assert deliveries.statistics().unsettled == 3


@pytest.mark.parametrize("nth", [1, 50, 100])
async def test_a_replay_that_breaks_off_loses_nothing(nth: int) -> None:
    """What was confirmed over there and not yet forgotten here is in both places, never in none."""
    bodies = {f"{number:03}" for number in range(150)}
    async with scene() as s:
        await s.park(*sorted(bodies))
        seen = 0

        def break_all(message: Outbound) -> bool:
            nonlocal seen
            seen += back(message)
            if seen == nth:
                s.faults.cut()
            return False

        s.faults.sending.drop(where=break_all)
        with pytest.raises(TransportError):
            await s.parked.replay_all()
        s.faults.sending.clear()
        await asyncio.sleep(1)
        assert {*await s.ids(), *await drained(s)} == bodies


async def test_what_the_broker_may_not_have_heard_of_is_not_called_done() -> None:
    """A link that dies before the last word is through is told, not taken for success."""
    async with scene() as s:
        await s.park("1", "2")
        listen = s.faults.links[-1]
        with pytest.raises(LinkLost):
            await s.parked.drop(["1", "2"], progress=lambda *_: s.faults.cut(listen))
        await asyncio.sleep(1)
        assert await s.ids() in ([], ["1", "2"])


async def test_dropping_forgets_for_good() -> None:
    """Those named, or all that are there."""
    async with scene() as s:
        await s.park("1", "2", "3")
        assert await s.parked.drop(["2", "9"]) == Swept(done=1, missing=("9",))
        assert await s.ids() == ["1", "3"]
        assert await s.parked.drop_all() == Swept(done=2)
        assert s.entities() == {}


async def test_where_one_group_cannot_be_addressed_nothing_is_replayed() -> None:
    """Better told than sent to all groups again."""
    async with scene() as s:
        await s.park("1")
        for link in s.faults.links:
            link.offers = MemoryDriver.offers.__class__(accept=Support.NATIVE, ack=Support.NATIVE)
        with pytest.raises(Unsupported, match="the place of one group"):
            await s.parked.replay(["1"])


def test_facts_are_values() -> None:
    """They can be compared, printed and sent elsewhere."""
    facts = Parked("1", "asked", 1, 0.0, "h", "", ORDERS, None, 0, "", "", None, "")
    assert facts == Parked("1", "asked", 1, 0.0, "h", "", ORDERS, None, 0, "", "", None, "")


# --- requests -----------------------------------------------------------------------------------


async def test_a_request_that_kills_its_servers_is_parked_and_its_caller_told() -> None:
    """Acknowledged when done, it comes to one server after the other, until that was too often."""
    name = f"memory://parked-{secrets.token_hex(8)}/"
    begun: list[str] = []

    class Killer:
        async def kill(self, whom: str) -> None:
            begun.append(whom)
            await asyncio.sleep(1000)

    async with Transport.connect(name) as here:
        await here.declare(Topology((Entity(Address.topic("killer")),)))
        client = rpc.Client(here, topic="killer").with_(timeout=600.0)
        call = asyncio.create_task(client.call("kill", whom="me"))
        for _ in range(10):
            async with (
                Transport.connect(name) as there,
                rpc.serve(there, Killer(), topic="killer", ack="done", drain=0.0),
            ):
                await asyncio.sleep(1)
        async with (
            Transport.connect(name) as there,
            rpc.serve(there, Killer(), topic="killer", ack="done") as server,
        ):
            with pytest.raises(RemoteError, match="put aside") as told:
                await call
            assert told.value.code == "parked"
            await asyncio.sleep(1)
            assert (server.statistics().parked, server.statistics().refused) == (1, 0)
            assert begun == ["me"] * 10
            place = here.parked(Address.topic("killer"))
            (parked,) = await place.list()
            assert (parked.why, parked.attempts, parked.kind) == ("attempts", 11, "call")
            assert await place.replay_all() == Swept(done=1)  # nobody waits for it, but it runs
            await asyncio.sleep(1)
            assert begun == ["me"] * 11


async def test_a_server_says_how_often_a_request_may_be_begun() -> None:
    """``attempts`` counts beginnings: after the second without an end it is put aside."""
    name = f"memory://parked-{secrets.token_hex(8)}/"

    class Killer:
        async def kill(self) -> None:
            await asyncio.sleep(1000)

    async with Transport.connect(name) as here:
        await here.declare(Topology((Entity(Address.topic("killer")),)))
        await rpc.Client(here, topic="killer").cast("kill")
        for parked in (0, 0, 1):
            async with (
                Transport.connect(name) as there,
                rpc.serve(
                    there, Killer(), topic="killer", ack="done", attempts=2, drain=0.0
                ) as server,
            ):
                await asyncio.sleep(1)
                assert server.statistics().parked == parked
