"""Fanouts that all read one stream, on a real RabbitMQ: what is made, who hears, what expires."""

import asyncio
from collections.abc import AsyncIterator, Callable
from uuid import uuid4

import pytest

from bedplate._floor.backoff import Backoff
from bedplate.messaging import Address, Message, Transport, rpc
from bedplate.messaging.drivers.rabbit import RabbitOptions
from bedplate.messaging.policy import TransportPolicy
from bedplate.messaging.recovery import RecoveryPolicy
from bedplate.testing.brokers import RabbitNode

pytestmark = [pytest.mark.needs("rabbit"), pytest.mark.usefixtures("real_time")]

POLICY = TransportPolicy(
    recovery=RecoveryPolicy(backoff=Backoff(0.02, 2.0, 0.2), budget=1000), close_timeout=1.0
)
STREAMS = RabbitOptions(stream_fanout=True)


@pytest.fixture
def url(rabbit: RabbitNode, vhost: str) -> str:
    """Name the module's own virtual host."""
    return rabbit.url(vhost)


@pytest.fixture
async def one(url: str) -> AsyncIterator[Transport]:
    """Open a transport whose fanouts are streams."""
    async with Transport.connect(url, options=STREAMS, policy=POLICY) as transport:
        yield transport


@pytest.fixture
async def two(url: str) -> AsyncIterator[Transport]:
    """Open another."""
    async with Transport.connect(url, options=STREAMS, policy=POLICY) as transport:
        yield transport


@pytest.fixture
def place() -> Address:
    """Return a fanout that nobody has used before."""
    return Address.fanout(f"topic-{uuid4().hex[:12]}")


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something is so that nobody tells of."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.02)


async def test_all_receivers_share_one_queue(
    private_rabbit: RabbitNode, vhost: str, one: Transport, two: Transport, place: Address
) -> None:
    """However many receive, there is one stream, bounded by age and size; it outlives them."""
    async with one.subscribe(place) as here, two.subscribe(place) as there, two.subscribe(place):
        await one.publish(place, Message(b"all"))
        for deliveries in (here, there):
            delivery = await anext(deliveries)
            assert delivery.body == b"all"
            await delivery.ack()
        names = await asyncio.to_thread(private_rabbit.queues, vhost)
        assert [name for name in names if place.name in name] == [f"default/{place.name}/*"]
    made = await asyncio.to_thread(
        private_rabbit.evaluate,
        f'{{ok, Q}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"{vhost}">>, queue, '
        f'<<"default/{place.name}/*">>)), '
        '[io_lib:format("~ts=~tp ", [K, V]) || {K, _, V} <- amqqueue:get_arguments(Q)]',
        text=True,
    )
    assert sorted(made.split()) == [
        'x-max-age=<<"1800s">>',
        "x-max-length-bytes=134217728",
        'x-queue-type=<<"stream">>',
        "x-stream-max-segment-size-bytes=16777216",
    ]


async def test_who_comes_back_has_missed_what_was_between(one: Transport, place: Address) -> None:
    """A stream keeps what nobody has seen, and still a receiver begins with what comes now."""
    async with one.subscribe(place) as deliveries:
        await one.publish(place, Message(b"1"))
        await (await anext(deliveries)).ack()
    await one.publish(place, Message(b"2"))
    async with one.subscribe(place) as deliveries:
        await one.publish(place, Message(b"3"))
        assert (await anext(deliveries)).body == b"3"


async def test_a_mixed_fleet_hears_everything_once(
    url: str, one: Transport, place: Address
) -> None:
    """Receivers with and without the option hear each other's fanouts, once each."""
    async with (
        Transport.connect(url, policy=POLICY) as old,
        old.subscribe(place) as theirs,
        one.subscribe(place) as ours,
    ):
        for sender, body in ((old, b"from old"), (one, b"from new")):
            await sender.publish(place, Message(body))
        for deliveries in (theirs, ours):
            bodies = []
            for _ in range(2):
                delivery = await anext(deliveries)
                bodies.append(delivery.body)
                await delivery.ack()
            assert bodies == [b"from old", b"from new"]
        await one.publish(place, Message(b"last"))
        for deliveries in (theirs, ours):
            assert (await anext(deliveries)).body == b"last"


async def test_what_expired_in_a_stream_is_not_delivered(
    one: Transport, two: Transport, place: Address
) -> None:
    """RabbitMQ expires nothing in streams: a receiver that is behind drops and counts it."""
    async with one.subscribe(place, credit=1) as deliveries:
        await two.publish(place, Message(b"first"))
        first = await anext(deliveries)
        await two.publish(place, Message(b"short", ttl=0.1))
        await two.publish(place, Message(b"long", ttl=60.0))
        await asyncio.sleep(0.3)
        await first.ack()
        assert (await anext(deliveries)).body == b"long"
        assert one.statistics().expired == 1


async def test_a_stream_that_is_deleted_is_made_again(
    private_rabbit: RabbitNode, vhost: str, one: Transport, two: Transport, place: Address
) -> None:
    """An operator who deletes it interrupts its receivers, and does not end them."""
    async with one.subscribe(place) as deliveries:
        await asyncio.to_thread(private_rabbit.delete_queue, vhost, f"default/{place.name}/*")
        await until(lambda: one.statistics().consumers[0].interruptions == 1)
        await until(lambda: one.statistics().consumers[0].live)
        await two.publish(place, Message(b"again"))
        assert (await anext(deliveries)).body == b"again"


async def test_who_is_too_far_behind_misses_the_oldest(url: str, place: Address) -> None:
    """What a stream no longer keeps is skipped; what it keeps comes in order, to the last."""
    small = RabbitOptions(stream_fanout=True, stream_max_bytes=1024 * 1024)
    async with (
        Transport.connect(url, options=small, policy=POLICY) as transport,
        transport.subscribe(place, credit=1) as deliveries,
    ):
        await transport.publish(place, Message(b"0"))
        slow = await anext(deliveries)
        for number in range(1, 600):
            await transport.publish(place, Message(b"%d" % number + bytes(20_000)))
        await slow.ack()
        numbers = [0]
        async with asyncio.timeout(20):
            while numbers[-1] < 599:
                delivery = await anext(deliveries)
                numbers.append(int(delivery.body.rstrip(b"\0")))
                await delivery.ack()
        assert numbers == sorted(set(numbers))
        assert len(numbers) < 500
        assert transport.statistics().consumers[0].interruptions == 0


async def test_other_bounds_are_good_enough(url: str, one: Transport, place: Address) -> None:
    """A stream made with other bounds is read as it is; the notice tells."""
    small = RabbitOptions(stream_fanout=True, stream_max_bytes=2_000_000, stream_max_age=60.0)
    async with (
        Transport.connect(url, options=small, policy=POLICY) as other,
        other.subscribe(place),
        one.subscribe(place) as deliveries,
    ):
        await other.publish(place, Message(b"x"))
        assert (await anext(deliveries)).body == b"x"
        assert dict(one.statistics().notices) == {"queue-adopted": 1}


class Cache:
    """Counts what it was told."""

    def __init__(self) -> None:
        self.keys: list[str] = []

    async def forget(self, key: str) -> None:
        """Remember what to forget."""
        self.keys.append(key)


async def test_a_fanout_cast_reaches_all_servers(one: Transport, two: Transport) -> None:
    """Every server of the topic runs each of them, in order."""
    topic = f"topic-{uuid4().hex[:12]}"
    here, there = Cache(), Cache()
    async with rpc.serve(one, here, topic=topic), rpc.serve(two, there, topic=topic):
        client = rpc.Client(one, topic=topic)
        for key in ("a", "b", "c"):
            await client.fanout("forget", key=key)
        await until(lambda: here.keys == there.keys == ["a", "b", "c"])
