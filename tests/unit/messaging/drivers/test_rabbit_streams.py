"""Fanouts that read a stream: how it is made, and what its receivers say to a broker; no broker."""

import asyncio

import pytest
from tests.unit.amqp091.peer import method
from tests.unit.messaging.drivers.test_rabbit_link import Fake, delivered, linked, turns

from bedplate.errors import TopologyMismatch
from bedplate.messaging.drivers.rabbit import RabbitOptions
from bedplate.messaging.drivers.rabbit._queues import fanout_queue
from bedplate.messaging.types import Address, Entity, Settlement, Standing, Topology
from bedplate.testing.contracts._workbench import ACK

PLACE = Address.fanout("parts")
STREAM = "default/parts/*"


@pytest.fixture
async def fake() -> Fake:
    """Open a link whose fanouts are streams."""
    return await linked(RabbitOptions(stream_fanout=True))


def test_a_stream_is_bounded_by_age_and_size() -> None:
    """It is durable, has the name of the address, and is kept in eight files."""
    made = fanout_queue(
        PLACE, RabbitOptions(stream_fanout=True, stream_max_age=90.4, stream_max_bytes=80_000_000)
    )
    assert (made.name, made.key, made.exclusive, made.stream) == (STREAM, STREAM, False, True)
    assert made.arguments == {
        "x-queue-type": "stream",
        "x-max-age": "90s",
        "x-max-length-bytes": 80_000_000,
        "x-stream-max-segment-size-bytes": 10_000_000,
    }


def test_a_stream_may_have_no_age() -> None:
    """An age of 0 sets no bound, as for oslo; files do not become tiny."""
    options = RabbitOptions(stream_fanout=True, stream_max_age=0.0, stream_max_bytes=1024 * 1024)
    made = fanout_queue(PLACE, options)
    assert "x-max-age" not in made.arguments
    assert made.arguments["x-stream-max-segment-size-bytes"] == 1024 * 1024


def test_without_the_option_each_receiver_has_a_queue() -> None:
    """Two receivers of one fanout have exclusive queues of two names, bound with one key."""
    one, two = fanout_queue(PLACE, RabbitOptions()), fanout_queue(PLACE, RabbitOptions())
    assert one.name != two.name
    assert (one.key, one.exclusive, one.stream) == (two.key, True, False) == (STREAM, True, False)


async def test_the_window_of_a_stream_is_opened_once(fake: Fake) -> None:
    """A second consumer would read everything again, so more credit makes none."""
    basket = await fake.take(address=PLACE, credit=0)
    assert [each[1] for each in fake.heard("basic.qos")] == [100]
    assert [each[-1] for each in fake.heard("basic.consume")] == [{"x-stream-offset": "next"}]
    basket.grant(500)
    await turns()
    assert len(fake.heard("basic.consume")) == 1
    await fake.take(address=PLACE, credit=300)
    assert [each[1] for each in fake.heard("basic.qos")] == [100, 300]


async def test_a_stream_is_told_of_room_whatever_is_decided(fake: Fake) -> None:
    """RabbitMQ takes no reject or nack for a stream: all of them are acknowledged, once."""
    basket = await fake.take(address=PLACE)
    channel = fake.channel(basket)
    fake.pipe.say(b"".join(delivered(channel, tag) for tag in (1, 2, 3)))
    fake.pipe.say(delivered(channel, 4, head=b"\xff\xff\xff"))
    await basket.count(3)
    for arrival, how in zip(
        tuple(basket.arrivals),
        (Settlement.RETRY, Settlement.REJECT, Settlement.ACK),
        strict=True,
    ):
        basket.settle(arrival, how)
    await basket.count(4)
    await turns()
    assert sorted(fake.heard("basic.ack")) == [(3, True), (4, False)]
    again = basket.arrivals[3]
    assert (again.redelivered, again.tag < 0) == (True, True)
    basket.settle(again, Settlement.ACK)
    assert basket.inlet is not None
    basket.inlet.settle(again.tag, ACK)
    await turns()
    assert len(fake.heard("basic.ack")) == 2
    assert fake.heard("basic.reject") == fake.heard("basic.nack") == []


async def test_a_repeat_does_not_acknowledge_what_is_open(fake: Fake) -> None:
    """While a repeat is at work, acknowledging a later delivery leaves those between alone."""
    basket = await fake.take(address=PLACE)
    channel = fake.channel(basket)
    fake.pipe.say(delivered(channel, 1))
    basket.settle((await basket.count(1))[0], Settlement.RETRY)
    await basket.count(2)
    fake.pipe.say(delivered(channel, 2) + delivered(channel, 3))
    await basket.count(4)
    basket.settle(basket.arrivals[3], Settlement.ACK)
    await turns()
    assert fake.heard("basic.ack") == [(1, False), (3, False)]


async def test_closing_leaves_the_stream(fake: Fake) -> None:
    """The queue of a receiver goes with it, the stream of all receivers does not."""
    basket = await fake.take(address=PLACE)
    await basket.aclose()
    assert fake.heard("queue.delete") == []


async def test_a_broker_without_streams_says_so(fake: Fake) -> None:
    """The first attempt is a mismatch with the broker's own words; the link lives on."""
    fake.pipe.silent = True
    taking = asyncio.create_task(fake.take(address=PLACE))
    await turns()
    (channel,) = fake.link.hands
    text = "PRECONDITION_FAILED - invalid arg 'x-queue-type'"
    fake.pipe.say(method(channel, "channel.open-ok", b""))
    fake.pipe.say(method(channel, "channel.close", 406, text, 50, 10))
    with pytest.raises(TopologyMismatch, match=r"everybody on parts .* 'x-queue-type'"):
        await taking
    assert fake.ear.losses == []


async def test_a_look_at_a_stream_does_not_count_receivers(fake: Fake) -> None:
    """It is there or not; RabbitMQ says of no stream who reads it."""
    await fake.take(address=PLACE)
    topology = Topology((Entity(PLACE),))
    assert await fake.link.declare(topology, look=True) == (Standing(exists=True),)
    assert [each[0] for each in fake.heard("queue.declare")] == [STREAM, STREAM]
