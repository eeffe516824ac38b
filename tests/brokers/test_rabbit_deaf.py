"""Consumers that a real RabbitMQ ends without a word: found by looking, and made again."""

import asyncio
from collections.abc import AsyncIterator, Callable
from types import MappingProxyType
from uuid import uuid4

import pytest

from bedplate._floor.backoff import Backoff
from bedplate.errors import ReplyPathLost
from bedplate.messaging import Address, Message, Transport, rpc
from bedplate.messaging.drivers.rabbit import RabbitOptions
from bedplate.messaging.policy import TransportPolicy
from bedplate.messaging.recovery import RecoveryPolicy
from bedplate.messaging.types import Entity, Topology
from bedplate.testing.brokers import RabbitNode

pytestmark = [pytest.mark.needs("rabbit"), pytest.mark.usefixtures("real_time")]

POLICY = TransportPolicy(
    recovery=RecoveryPolicy(backoff=Backoff(0.02, 2.0, 0.2), budget=1000),
    close_timeout=1.0,
    look_every=0.2,
)
KINDS = MappingProxyType(
    {
        "classic": RabbitOptions(),
        "quorum": RabbitOptions(quorum=True),
        "stream": RabbitOptions(stream_fanout=True),
    }
)


@pytest.fixture(params=KINDS)
def options(request: pytest.FixtureRequest) -> RabbitOptions:
    """Go through the kinds of queues."""
    return KINDS[request.param]


@pytest.fixture
async def transport(
    private_rabbit: RabbitNode,
    vhost: str,
    options: RabbitOptions,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Transport]:
    """Open a transport that the broker does not tell of consumers it ends."""
    monkeypatch.setattr(
        "bedplate.amqp091.connection._CAPABILITIES",
        {"publisher_confirms": True, "connection.blocked": True, "basic.nack": True},
    )
    url = private_rabbit.url(vhost)
    async with Transport.connect(url, options=options, policy=POLICY) as transport:
        yield transport


def deaf(transport: Transport) -> int:
    """Return how many consumers were found deaf."""
    return dict(transport.statistics().notices).get("deaf-consumer", 0)


async def until(condition: Callable[[], bool]) -> None:
    """Wait until statistics say so; nothing tells when they change."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("kind", ["topic", "fanout"])
async def test_a_queue_deleted_in_silence_is_made_again(
    kind: str, transport: Transport, private_rabbit: RabbitNode, vhost: str
) -> None:
    """Its receiver is found deaf by looking, once, and then hears."""
    name = f"topic-{uuid4().hex[:12]}"
    address = Address.fanout(name) if kind == "fanout" else Address.topic(name)
    async with transport.subscribe(address) as deliveries:
        for queue in await asyncio.to_thread(private_rabbit.queues, vhost):
            if name in queue:
                await asyncio.to_thread(private_rabbit.delete_queue, vhost, queue)
        await until(lambda: deaf(transport) == 1)
        await until(lambda: transport.statistics().consumers[0].live)
        await transport.publish(address, Message(b"x"))
        delivery = await anext(deliveries)
        assert delivery.body == b"x"
        await delivery.ack()
        await asyncio.sleep(0.6)  # three looks
        assert deaf(transport) == 1
        assert transport.statistics().reconnects == 0


@pytest.mark.parametrize("options", [KINDS["classic"]], ids=["classic"])
async def test_a_queue_made_anew_is_received_from_again(
    transport: Transport, private_rabbit: RabbitNode, vhost: str
) -> None:
    """A queue that is there and has no consumers, though we are one, is taken again."""
    address = Address.topic(f"topic-{uuid4().hex[:12]}")
    async with transport.subscribe(address) as deliveries:
        await asyncio.to_thread(private_rabbit.delete_queue, vhost, f"default/{address.name}")
        await transport.declare(Topology((Entity(address),)))
        await transport.publish(address, Message(b"waits"))
        async with asyncio.timeout(10):
            assert (await anext(deliveries)).body == b"waits"
        assert deaf(transport) == 1


class Stock:
    """Answers some time later."""

    async def count(self, after: float = 0.0) -> int:
        await asyncio.sleep(after)
        return 7


@pytest.mark.parametrize("options", [KINDS["classic"]], ids=["classic"])
async def test_a_reply_queue_deleted_in_silence_is_made_again(
    transport: Transport, private_rabbit: RabbitNode, vhost: str
) -> None:
    """A caller hears that its reply path is gone long before its deadline; later calls work."""
    topic = f"topic-{uuid4().hex[:12]}"
    async with (
        Transport.connect(private_rabbit.url(vhost), policy=POLICY) as there,
        rpc.serve(there, Stock(), topic=topic, drain=0.1),
    ):
        client = rpc.Client(transport, topic=topic, timeout=30)
        assert await client.call("count") == 7
        for queue in await asyncio.to_thread(private_rabbit.queues, vhost):
            if queue.startswith("reply-"):
                await asyncio.to_thread(private_rabbit.delete_queue, vhost, queue)
        async with asyncio.timeout(10):
            with pytest.raises(ReplyPathLost):
                await client.call("count", after=20.0)
            assert await client.call("count") == 7
        assert deaf(transport) == 1


async def test_what_is_well_is_left_alone(transport: Transport) -> None:
    """Looks at every kind of consumer, many times over, find nothing wrong."""
    topic = f"topic-{uuid4().hex[:12]}"
    async with (
        rpc.serve(transport, Stock(), topic=topic),
        transport.subscribe(Address.topic(topic), group="audit"),
        transport.subscribe(Address.fanout(topic), ack=None),
        transport.subscribe(Address.fanout(topic)),
    ):
        assert await rpc.Client(transport, topic=topic, timeout=5).call("count") == 7
        await asyncio.sleep(1.0)
        assert deaf(transport) == 0
        assert {each.epoch for each in transport.statistics().consumers} == {1}
