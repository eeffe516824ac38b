import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest
from msgspec import structs

from bedplate._floor.backoff import Backoff
from bedplate.errors import SubscriptionLost, TransportClosed, Unsupported
from bedplate.messaging import (
    Ack,
    Address,
    Consumer,
    Delivery,
    Entity,
    IntakePolicy,
    Message,
    RecoveryPolicy,
    Settle,
    Settlement,
    Source,
    Support,
    Topology,
    Transport,
    TransportPolicy,
    Verdict,
)
from bedplate.messaging.driver import Inlet, Sink
from bedplate.messaging.drivers.memory import MemoryBroker, MemoryDriver, broker
from bedplate.messaging.observe import Received
from bedplate.testing.faulty import Faults, faulty

ORDERS = Address.topic("orders")
POLICY = TransportPolicy(
    recovery=RecoveryPolicy(backoff=Backoff(0.1, 1.0, 0.1), budget=10_000),
    intake=IntakePolicy(attempts=3, backoff=Backoff(10.0, 1.0, 10.0)),
)


class Scene:
    def __init__(self, transport: Transport, faults: Faults, memory: MemoryBroker) -> None:
        self.transport, self.faults, self.memory = transport, faults, memory
        self.loop = asyncio.get_running_loop()

    async def publish(self, *bodies: bytes, ttl: float | None = None, id: str = "") -> None:  # noqa: A002 - as in Message
        for body in bodies:
            await self.transport.publish(ORDERS, Message(body, ttl=ttl, id=id))

    def waiting(self) -> int:
        """Count what lies in the broker, handed to nobody."""
        return sum(entity.messages for entity in self.memory.entities())


@asynccontextmanager
async def scene(**more: Any) -> AsyncIterator[Scene]:
    faults = Faults()
    name = f"subscription-{secrets.token_hex(8)}"
    transport = Transport.connect(
        f"memory://{name}/", driver=faulty(MemoryDriver(), faults), policy=POLICY, **more
    )
    async with transport:
        await transport.declare(Topology((Entity(ORDERS),)))
        yield Scene(transport, faults, broker(name))


# --- the iterator form --------------------------------------------------------------------------


async def test_deliveries_come_in_order_with_all_they_carry() -> None:
    """What was published is what is delivered, in the order it was published."""
    async with scene() as s:
        message = Message(
            b"{}",
            headers={"colour": "red"},
            content_type="application/json",
            key="k",
            id="first",
            kind="order",
            correlation_id="c",
            reply_to=Address.topic("answers"),
        )
        await s.transport.publish(ORDERS, message)
        await s.publish(b"second")
        async with s.transport.subscribe(ORDERS) as deliveries:
            first, second = await anext(deliveries), await anext(deliveries)
            assert (first.body, second.body) == (b"{}", b"second")
            assert (first.id, first.kind, first.key) == ("first", "order", "k")
            assert (first.headers["colour"], first.content_type) == ("red", "application/json")
            assert (first.correlation_id, first.reply_to) == ("c", Address.topic("answers"))
            assert (first.attempts, first.redelivered, first.deadline) == (1, False, None)
            assert second.id  # made by the transport


async def test_no_more_is_in_hand_than_the_credit() -> None:
    """The rest stays in the broker until something is settled."""
    async with scene() as s:
        await s.publish(*(b"%d" % number for number in range(10)))
        async with s.transport.subscribe(ORDERS, credit=4) as deliveries:
            await asyncio.sleep(1)
            assert s.waiting() == 6
            held = [await anext(deliveries) for _ in range(4)]
            await asyncio.sleep(1)
            assert s.waiting() == 6
            for delivery in held:
                await delivery.ack()
            await asyncio.sleep(1)
            assert s.waiting() == 2


async def test_leaving_the_block_returns_what_is_unsettled() -> None:
    """Handed out or waiting, what was not settled is delivered again to the next subscriber."""
    async with scene() as s:
        await s.publish(b"1", b"2", b"3")
        async with s.transport.subscribe(ORDERS) as deliveries:
            done, left = await anext(deliveries), await anext(deliveries)
            await done.ack()
        assert not await left.ack()
        async with s.transport.subscribe(ORDERS) as deliveries:
            again = [await anext(deliveries), await anext(deliveries)]
            assert [each.body for each in again] == [b"2", b"3"]
            assert again[0].attempts == 2


async def test_ack_start_acknowledges_as_it_hands_out() -> None:
    """At most once: what was handed out never comes again, what still waited does."""
    async with scene() as s:
        await s.publish(b"1", b"2")
        async with s.transport.subscribe(ORDERS, ack=Ack.START) as deliveries:
            first = await anext(deliveries)
            assert first.settled
            assert not await first.retry()
        assert s.waiting() == 1


async def test_without_acks_everything_flows() -> None:
    """With ack=None the broker forgets at once, credit comes back as things are handed out."""
    async with scene() as s:
        await s.publish(*(b"%d" % number for number in range(10)))
        async with s.transport.subscribe(ORDERS, ack=None, credit=2) as deliveries:
            got = [(await anext(deliveries)).body for _ in range(10)]
        assert got == [b"%d" % number for number in range(10)]
        assert s.waiting() == 0


async def test_expired_messages_are_never_handed_out() -> None:
    """Not when they expire in the broker, on their way, or while they wait here."""
    async with scene() as s:
        s.faults.arriving.delay(5.0, nth=1)
        async with s.transport.subscribe(ORDERS) as deliveries:
            await s.publish(b"on its way", ttl=2.0)
            await s.publish(b"waiting here", ttl=2.0)
            await asyncio.sleep(10)
            await s.publish(b"alive", ttl=2.0)
            delivery = await anext(deliveries)
            assert delivery.body == b"alive"
            assert deliveries.statistics().tally.expired == 2
            assert deliveries.statistics().unsettled == 1
        assert s.transport.statistics().expired == 2


async def test_a_retry_waits_as_the_policy_says_and_ends_in_parking() -> None:
    """A message that always fails is run as often as the policy says and then set aside."""
    async with scene() as s:
        await s.publish(b"poison")
        times = []
        async with s.transport.subscribe(ORDERS) as deliveries:
            for attempt in (1, 2, 3):
                delivery = await anext(deliveries)
                assert delivery.attempts == attempt
                times.append(s.loop.time())
                assert await delivery.retry()
            await asyncio.sleep(100)
            assert s.waiting() == 1
            assert deliveries.statistics().tally.parked == 1
        assert await s.transport.parked(ORDERS).count() == 1
        assert all(0 < later - first <= 10.0 for first, later in pairwise(times))


async def test_a_retry_with_a_delay_comes_back_then() -> None:
    """A named delay is kept to the moment; 0 is at once."""
    async with scene() as s:
        await s.publish(b"1")
        async with s.transport.subscribe(ORDERS) as deliveries:
            await (await anext(deliveries)).retry(delay=7.5)
            began = s.loop.time()
            again = await anext(deliveries)
            assert s.loop.time() - began == 7.5
            await again.retry(delay=0)
            await anext(deliveries)
            assert s.loop.time() - began == 7.5


async def test_where_the_broker_cannot_wait_we_do() -> None:
    """A delay is kept without the broker's help, by holding the message unsettled meanwhile."""
    async with scene() as s:
        await (await s.transport.consume(Source(ORDERS), print, credit=1)).aclose()
        await s.publish(b"1")
        link = s.faults.links[-1]
        link.offers = structs.replace(link.offers, delay=Support.NO)
        async with s.transport.subscribe(ORDERS) as deliveries:
            began = s.loop.time()
            await (await anext(deliveries)).retry(delay=7.5)
            again = await anext(deliveries)
            assert s.loop.time() - began == 7.5
            await again.retry(delay=1000.0)
        began = s.loop.time()
        async with s.transport.subscribe(ORDERS) as deliveries:
            await anext(deliveries)
        assert s.loop.time() == began


async def test_rejected_messages_do_not_come_again() -> None:
    """A rejection takes the message away for good."""
    async with scene() as s:
        await s.publish(b"bad")
        async with s.transport.subscribe(ORDERS) as deliveries:
            assert await (await anext(deliveries)).reject()
        assert s.waiting() == 0


async def test_settling_is_done_once() -> None:
    """The first decision stands; others return False."""
    async with scene() as s:
        await s.publish(b"1")
        async with s.transport.subscribe(ORDERS) as deliveries:
            delivery = await anext(deliveries)
            assert await delivery.ack()
            assert delivery.settled
            assert not await delivery.reject()
            assert not delivery.settle(Settle(Settlement.RETRY))


async def test_what_the_broker_cannot_do_is_said() -> None:
    """Asking for what is not offered raises Unsupported and leaves the delivery as it was."""
    async with scene() as s:
        assert s.transport.capabilities.extend is Support.NO
        await s.publish(b"1")
        async with s.transport.subscribe(ORDERS) as deliveries:
            delivery = await anext(deliveries)
            with pytest.raises(Unsupported):
                await delivery.extend()
            assert await delivery.ack()


async def test_several_tasks_share_one_subscription() -> None:
    """Each delivery goes to one of the tasks that iterate; cancelling one loses nothing."""
    async with scene() as s, s.transport.subscribe(ORDERS) as deliveries:
        got: list[bytes] = []

        async def work() -> None:
            async for delivery in deliveries:
                got.append(delivery.body)
                await delivery.ack()
                await asyncio.sleep(0.1)

        tasks = [asyncio.create_task(work()) for _ in range(3)]
        await asyncio.sleep(1)
        await s.publish(b"1", b"2")
        tasks[0].cancel()
        await s.publish(*(b"%d" % number for number in range(3, 20)))
        await asyncio.sleep(10)
        await deliveries.aclose()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(each) for each in ended[1:]] == [type(None)] * 2
        assert sorted(got, key=int) == [b"%d" % number for number in range(1, 20)]


async def test_a_woken_task_that_is_cancelled_passes_its_turn_on() -> None:
    """A delivery is not left lying because the task it woke was cancelled in the same turn."""
    async with scene() as s, s.transport.subscribe(ORDERS) as deliveries:
        first = asyncio.ensure_future(anext(deliveries))
        second = asyncio.ensure_future(anext(deliveries))
        await asyncio.sleep(1)
        deliveries._arrived([Delivery(_arrival(b"1"))])
        first.cancel()
        delivery = await asyncio.wait_for(second, 5)
        assert delivery.body == b"1"


def _arrival(body: bytes) -> Any:
    from bedplate.messaging.types import Arrival

    return Arrival(1, body)


async def test_a_subscription_ends_with_its_block() -> None:
    """Outside its block it is closed; inside, closing it ends the iteration."""
    async with scene() as s:
        subscription = s.transport.subscribe(ORDERS)
        with pytest.raises(TransportClosed, match="not entered"):
            await anext(subscription)
        async with subscription:
            s.loop.call_later(1.0, lambda: asyncio.ensure_future(subscription.aclose()))
            assert [each async for each in subscription] == []
        with pytest.raises(TransportClosed, match="left before"):
            await subscription.__aenter__()


# --- links that die -----------------------------------------------------------------------------


async def test_a_subscription_survives_its_link() -> None:
    """After a cut it is taken again, and what was unsettled comes again, marked as such."""
    async with scene() as s, s.transport.subscribe(ORDERS) as deliveries:
        await s.publish(b"1")
        before = await anext(deliveries)
        s.faults.cut()
        after = await anext(deliveries)
        assert (after.body, after.redelivered, after.attempts) == (b"1", True, 2)
        assert not await before.retry()
        assert await after.ack()
        await s.publish(b"2")
        assert (await anext(deliveries)).body == b"2"
        assert deliveries.statistics().epoch == 2


async def test_work_done_across_a_cut_is_not_done_twice() -> None:
    """An ack that came too late for its link still drops the broker's repeat."""
    async with scene() as s, s.transport.subscribe(ORDERS) as deliveries:
        await s.publish(b"1")
        before = await anext(deliveries)
        s.faults.cut()
        await asyncio.sleep(1)
        assert not await before.ack()
        await s.publish(b"2")
        assert (await anext(deliveries)).body == b"2"
        assert deliveries.statistics().tally.duplicates == 1


async def test_a_cancelled_consumer_is_taken_again() -> None:
    """Connected but deaf: a consumer the broker ended alone is restored and reported."""
    async with scene() as s, s.transport.subscribe(ORDERS) as deliveries:
        for number in (1, 2):
            assert s.memory.cancel_consumers(ORDERS) == 1
            await s.publish(b"%d" % number)
            delivery = await anext(deliveries)
            await delivery.ack()
            assert deliveries.statistics().interruptions == number
        assert s.transport.statistics().reconnects == 0


async def test_a_deleted_queue_is_declared_again() -> None:
    """Whoever deletes the queue under a subscription does not make it deaf."""
    async with scene() as s, s.transport.subscribe(ORDERS) as deliveries:
        assert s.memory.delete(ORDERS) == 1
        await asyncio.sleep(1)
        await s.publish(b"1")
        assert (await anext(deliveries)).body == b"1"


async def test_a_broker_that_comes_back_late_finds_everybody_waiting() -> None:
    """Ten minutes without a broker are survived without anybody's doing."""
    async with scene() as s, s.transport.subscribe(ORDERS) as deliveries:
        s.memory.stop()
        await asyncio.sleep(600)
        assert not deliveries.statistics().live
        s.memory.start()
        await s.publish(b"1")
        assert (await anext(deliveries)).body == b"1"
        assert s.transport.statistics().reconnects == 2


async def test_a_subscription_that_cannot_be_restored_says_so() -> None:
    """When the line gives up, iterating ends with SubscriptionLost instead of waiting for ever."""
    policy = TransportPolicy(
        recovery=RecoveryPolicy(backoff=Backoff(1.0, 1.0, 1.0), give_up=5.0),
    )
    memory = broker("giving-up")
    async with (
        Transport.connect("memory://giving-up/", policy=policy) as transport,
        transport.subscribe(ORDERS) as deliveries,
    ):
        memory.stop()
        with pytest.raises(SubscriptionLost, match="stopped"):
            await anext(deliveries)
    memory.start()


async def test_a_subscription_that_is_refused_raises_where_it_is_made() -> None:
    """What the broker answers to the first take goes to whoever asked."""
    async with scene() as s:
        with pytest.raises(Unsupported):
            async with s.transport.subscribe(ORDERS, lanes=frozenset({1})):
                pass
        assert s.transport.statistics().consumers == ()


async def test_a_driver_with_a_bug_ends_a_subscription_instead_of_hanging_it() -> None:
    """An unforeseen error goes to whoever subscribes, and later to whoever iterates."""
    async with scene() as s, s.transport.subscribe(ORDERS) as deliveries:
        link = s.faults.links[-1]
        bug = AttributeError("no such thing")

        async def broken(*_: object, **__: object) -> None:
            raise bug

        link.take = broken  # type: ignore[assignment,method-assign]  # the bug
        with pytest.raises(AttributeError):
            async with s.transport.subscribe(ORDERS):
                pass
        s.memory.cancel_consumers(ORDERS)
        with pytest.raises(SubscriptionLost) as caught:
            await anext(deliveries)
        assert caught.value.__cause__ is bug


# --- the callback form --------------------------------------------------------------------------


async def test_a_consumer_brings_batches_and_waits_for_credit() -> None:
    """The receiver gets lists in order, and no more until it grants."""
    async with scene() as s:
        await s.publish(*(b"%d" % number for number in range(10)))
        batches: list[list[Delivery]] = []
        consumer = await s.transport.consume(Source(ORDERS), batches.append, credit=4)
        await asyncio.sleep(1)
        got = [each for batch in batches for each in batch]
        assert [each.body for each in got] == [b"0", b"1", b"2", b"3"]
        for each in got:
            assert each.start() is Verdict.RUN
            assert each.settle(Settle(Settlement.ACK))
        await asyncio.sleep(1)
        assert sum(map(len, batches)) == 4
        consumer.grant(4)
        await asyncio.sleep(1)
        assert sum(map(len, batches)) == 8
        with pytest.raises(ValueError, match="5 deliveries released, 4 are in hand"):
            consumer.grant(5)
        await consumer.aclose()
        await consumer.aclose()
        assert s.waiting() == 6


async def test_a_delivery_gives_its_credit_back_once() -> None:
    """Releasing one makes room for one, however often it is said, also after its link died."""
    async with scene() as s:
        await s.publish(*(b"%d" % number for number in range(6)))
        got: list[Delivery] = []
        consumer = await s.transport.consume(Source(ORDERS), got.extend, credit=2)
        await asyncio.sleep(1)
        for each in (got[0], got[0]):
            each.settle(Settle(Settlement.ACK))
            each.release()
        await asyncio.sleep(1)
        assert [each.body for each in got] == [b"0", b"1", b"2"]
        assert consumer.statistics().in_use == 2
        s.faults.cut()
        await asyncio.sleep(1)
        assert len(got) == 3, "what is in hand still uses its credit on the next link"
        for each in tuple(got):
            each.release()
        await asyncio.sleep(1)
        assert [each.body for each in got[3:]] == [b"1", b"2"]
        assert consumer.statistics().in_use == 2


async def test_starting_judges_once_more() -> None:
    """What expired while it waited, ran already, or came over a dead link does not start."""
    async with scene() as s:
        got: list[Delivery] = []
        await s.transport.consume(Source(ORDERS), got.extend, credit=10)
        await s.publish(b"expires", ttl=5.0)
        await s.publish(b"runs", b"lost")
        await asyncio.sleep(6)
        expires, runs, lost = got
        assert expires.start() is Verdict.EXPIRED
        assert expires.settled
        assert runs.start() is Verdict.RUN
        assert runs.start() is Verdict.GONE
        s.faults.cut()
        await asyncio.sleep(1)
        assert lost.start() is Verdict.GONE
        assert [each.body for each in got[3:]] == [b"runs", b"lost"]


async def test_who_asks_hears_of_what_was_dropped_unseen() -> None:
    """An expired or repeated message is told with its verdict, though nobody gets it to run."""
    async with scene() as s:
        dropped: list[tuple[bytes, Verdict, bool]] = []
        got: list[Delivery] = []
        s.faults.arriving.delay(5.0, nth=1)
        await s.transport.consume(
            Source(ORDERS),
            got.extend,
            credit=10,
            dropped=lambda delivery, verdict: dropped.append(
                (delivery.body, verdict, delivery.settled)
            ),
        )
        await s.publish(b"late", ttl=2.0)
        await s.publish(b"twice", b"twice", id="same")
        await asyncio.sleep(10)
        assert [each.body for each in got] == [b"twice"]
        assert dropped == [
            (b"twice", Verdict.DUPLICATE, True),
            (b"late", Verdict.EXPIRED, True),
        ]


async def test_a_receiver_that_raises_is_reported_and_its_messages_go_back() -> None:
    """A bug in a receiver loses nothing and stops nobody."""
    async with scene() as s:
        reported: list[dict[str, Any]] = []
        s.loop.set_exception_handler(lambda _, context: reported.append(context))
        calls = 0

        def receive(deliveries: list[Delivery]) -> None:
            nonlocal calls
            calls += 1
            if calls == 1:
                raise ValueError("a bug")
            for delivery in deliveries:
                delivery.settle(Settle(Settlement.ACK))

        await s.transport.consume(Source(ORDERS), receive, credit=1)
        await s.publish(b"1")
        await asyncio.sleep(30)
        s.loop.set_exception_handler(None)
        assert isinstance(reported[0]["exception"], ValueError)
        assert (calls, s.waiting()) == (2, 0)


async def test_arrivals_that_outrun_the_answer_to_take_are_kept() -> None:
    """A driver may deliver before take() has returned; nothing of that is lost or misordered."""
    async with scene() as s:
        await (await s.transport.consume(Source(ORDERS), print, credit=1)).aclose()
        await s.publish(b"1", b"2")
        link = s.faults.links[-1]
        at_once = link.take

        async def slow(source: Source, sink: Sink, *, credit: int) -> Inlet:
            inlet = await at_once(source, sink, credit=credit)
            await asyncio.sleep(1)
            return inlet

        link.take = slow  # type: ignore[method-assign]  # an answer that takes its time
        got: list[Delivery] = []
        consumer: Consumer = await s.transport.consume(Source(ORDERS), got.extend, credit=2)
        assert got == []  # not before the caller has the consumer
        await asyncio.sleep(0)
        assert [each.body for each in got] == [b"1", b"2"]
        assert consumer.statistics().unsettled == 2


async def test_observers_hear_what_became_of_arrivals() -> None:
    """Run or dropped, each arrival is told with its verdict."""
    heard: list[Received] = []

    class Hearing:
        def sent(self, event: object) -> None: ...
        def opened(self, event: object) -> None: ...
        def closed(self, event: object) -> None: ...
        def given_up(self, event: object) -> None: ...
        def received(self, event: Received) -> None:
            heard.append(event)

    async with scene(observers=[Hearing()]) as s, s.transport.subscribe(ORDERS) as deliveries:
        await s.publish(b"1", id="same")
        await (await anext(deliveries)).ack()
        await s.publish(b"1", id="same")
        await asyncio.sleep(1)
    assert [(each.id, each.verdict) for each in heard] == [("same", "run"), ("same", "duplicate")]
