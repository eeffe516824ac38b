"""Rules for ttl over a real RabbitMQ."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from bedplate.errors import RequestExpired
from bedplate.messaging import Address, Message, Transport, TransportPolicy, TtlRule, rpc
from bedplate.messaging.intake import TTL_HEADER
from bedplate.messaging.types import Entity, Topology
from bedplate.testing.brokers import RabbitNode

pytestmark = [pytest.mark.needs("rabbit"), pytest.mark.usefixtures("real_time")]

RULES = (
    TtlRule(topic="short.*", default=0.3, maximum=0.5),
    TtlRule(topic="long.*", default=30),
)


@pytest.fixture
async def here(rabbit: RabbitNode, vhost: str) -> AsyncIterator[Transport]:
    """Open a transport with rules."""
    policy = TransportPolicy(ttl=RULES, close_timeout=1.0)
    async with Transport.connect(rabbit.url(vhost), policy=policy) as transport:
        yield transport


async def test_what_has_a_default_expires_in_the_broker(here: Transport) -> None:
    """Nobody took it in time, so nobody gets it; what a rule lets live longer is still there."""
    name = uuid4().hex[:12]
    short, long = Address.topic(f"short.{name}"), Address.topic(f"long.{name}")
    await here.declare(Topology((Entity(short), Entity(long))))
    await here.publish(short, Message(b"default"))
    await here.publish(short, Message(b"shortened", ttl=60))
    await here.publish(long, Message(b"kept"))
    assert here.statistics().shortened == 1
    await asyncio.sleep(0.6)
    assert (await here.look(short)).messages == 0
    async with asyncio.timeout(5), here.subscribe(long) as deliveries:
        async for delivery in deliveries:
            ttl = delivery.headers[TTL_HEADER]
            assert isinstance(ttl, float)
            assert 29 < ttl <= 30
            assert delivery.body == b"kept"
            await delivery.ack()
            break


async def test_a_call_expires_by_the_rule_of_its_target(here: Transport) -> None:
    """Its caller hears of it long before its own timeout, and is answered beyond the ttl."""
    topic = f"short.{uuid4().hex[:12]}"

    class Slow:
        async def work(self, seconds: float) -> str:
            await asyncio.sleep(seconds)
            return "done"

    async with rpc.serve(here, Slow(), topic=topic, workers=1):
        client = rpc.Client(here, topic=topic, timeout=10)
        working = asyncio.ensure_future(client.call("work", seconds=1.0))
        await asyncio.sleep(0.1)
        async with asyncio.timeout(0.8):
            with pytest.raises(RequestExpired):
                await client.call("work", seconds=0)
        assert await working == "done"
