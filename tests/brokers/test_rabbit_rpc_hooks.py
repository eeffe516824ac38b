"""Interceptors, access policies and serializers, and questions to busy servers, over RabbitMQ."""

import asyncio
import time
from collections.abc import AsyncIterator
from fractions import Fraction
from uuid import uuid4

import pytest

from bedplate.errors import AccessDenied, NoSuchMethod, Unencodable
from bedplate.messaging import Transport, TransportPolicy, rpc
from bedplate.testing.brokers import RabbitNode

pytestmark = [pytest.mark.needs("rabbit"), pytest.mark.usefixtures("real_time")]


class Sums:
    """Handlers of both colours, one of them for friends only and one for nobody."""

    @rpc.expose
    async def half(self, of: Fraction) -> Fraction:
        return of / 2

    @rpc.expose
    def double(self, of: Fraction) -> Fraction:
        return of * 2

    @rpc.expose
    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def hidden(self) -> None: ...


def dump(value: object) -> object:
    """Tell fractions as text, and nothing else."""
    if isinstance(value, Fraction):
        return str(value)
    raise NotImplementedError(type(value).__name__)


def load(kind: type, value: object) -> object:
    """Read fractions where they are wanted."""
    return Fraction(str(value)) if kind is Fraction else value


SERIALIZER = rpc.Serializer(dump=dump, load=load)


@pytest.fixture
async def here(rabbit: RabbitNode, vhost: str) -> AsyncIterator[Transport]:
    """Open the caller's transport."""
    policy = TransportPolicy(close_timeout=1.0)
    async with Transport.connect(rabbit.url(vhost), policy=policy) as transport:
        yield transport


@pytest.fixture
async def there(rabbit: RabbitNode, vhost: str) -> AsyncIterator[Transport]:
    """Open the server's transport."""
    policy = TransportPolicy(close_timeout=1.0)
    async with Transport.connect(rabbit.url(vhost), policy=policy) as transport:
        yield transport


async def test_hooks_of_both_ends_work_together(here: Transport, there: Transport) -> None:
    """Values, refusals and added context cross the broker as they cross memory."""
    users: list[object] = []

    async def note(request: rpc.Context, proceed: rpc.Proceed) -> object:
        users.append(request.values["user"])
        return await proceed()

    async def sign(call: rpc.Outgoing, send: rpc.Send) -> object:
        return await send(call.with_(context={"user": "ann"}))

    topic = f"sums-{uuid4().hex[:12]}"
    async with rpc.serve(
        there,
        Sums(),
        topic=topic,
        methods="exposed",
        access=lambda access: access.method != "half" or access.peer == "friend",
        interceptors=[note],
        serializer=SERIALIZER,
    ):
        client = rpc.Client(
            here, topic=topic, timeout=5, name="friend", interceptors=[sign], serializer=SERIALIZER
        )
        assert await client.call("half", of=Fraction(2, 3)) == "1/3"
        assert await client.call("double", of=Fraction(2, 3)) == "4/3"
        assert users == ["ann", "ann"]
        with pytest.raises(NoSuchMethod):
            await client.call("hidden")
        with pytest.raises(Unencodable):
            await client.call("half", of=object())
        with pytest.raises(AccessDenied):
            await rpc.Client(here, topic=topic, timeout=5).call("half", of="1/3")


async def test_a_server_that_takes_no_more_is_described_all_the_same(
    here: Transport, there: Transport
) -> None:
    """Its worker is busy, more waits in the broker, and it says so within a second."""
    topic = f"sums-{uuid4().hex[:12]}"
    async with rpc.serve(there, Sums(), topic=topic, workers=1, accept=0):
        client = rpc.Client(here, topic=topic, timeout=10)
        working = [asyncio.ensure_future(client.call("sleep", seconds=1.2)) for _ in range(2)]
        await asyncio.sleep(0.1)
        since = time.monotonic()
        assert (await rpc.describe(here, topic, timeout=5)).topic == topic
        assert (await rpc.stats(here, topic, timeout=5)).running == 1
        assert len(await rpc.survey(here, topic, wait=0.2)) == 1
        assert time.monotonic() - since < 1.1
        await asyncio.gather(*working)
