"""Whatever befalls the broker, an operation ends within its deadline, with the right error."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from types import MappingProxyType
from uuid import uuid4

import pytest

from bedplate._floor.backoff import Backoff
from bedplate.errors import ConnectFailed, DeadlineExceeded
from bedplate.messaging import Address, Message, Transport, notify, rpc
from bedplate.messaging.policy import TransportPolicy
from bedplate.messaging.recovery import RecoveryPolicy
from bedplate.messaging.types import Entity, Source, Topology
from bedplate.testing.brokers import RabbitNode
from bedplate.testing.relay import Relay

pytestmark = [pytest.mark.needs("rabbit"), pytest.mark.usefixtures("real_time")]

TIMEOUT = 0.5
SLACK = 0.3
POLICY = TransportPolicy(
    recovery=RecoveryPolicy(backoff=Backoff(0.02, 2.0, 0.2), budget=1000), close_timeout=0.2
)


@pytest.fixture
async def relay(private_rabbit: RabbitNode) -> AsyncIterator[Relay]:
    """Put a stretch of network before the broker."""
    async with Relay("127.0.0.1", private_rabbit.port) as relay:
        yield relay
        await relay.heal()


@pytest.fixture
async def transport(
    relay: Relay, private_rabbit: RabbitNode, vhost: str
) -> AsyncIterator[Transport]:
    """Open a transport through the relay, with a topic that exists and channels that are open."""
    url = private_rabbit.url(vhost, port=relay.port)
    async with Transport.connect(url, policy=POLICY) as transport:
        await transport.declare(Topology((Entity(Address.topic("parts")),)))
        await transport.publish(Address.topic("parts"), Message(b"warm"))
        yield transport
        await relay.heal()


async def call(transport: Transport) -> None:
    await rpc.Client(transport, topic="parts", timeout=TIMEOUT).call("count")


async def cast(transport: Transport) -> None:
    await rpc.Client(transport, topic="parts", timeout=TIMEOUT).cast("flush")


async def tell(transport: Transport) -> None:
    notifier = notify.Notifier(transport, "parts.host1", timeout=TIMEOUT)
    await notifier.info("part.created", {"part": "bolt"})


async def subscribe(transport: Transport) -> None:
    consumer = await transport.consume(unused(), lambda _: None, credit=10, timeout=TIMEOUT)
    await consumer.aclose()


def unused() -> Source:
    return Source(Address.topic(f"parts-{uuid4().hex}"))


Operation = Callable[[Transport], Awaitable[None]]
Fault = Callable[[Transport, Relay, RabbitNode], contextlib.AbstractAsyncContextManager[None]]


@contextlib.asynccontextmanager
async def refused(transport: Transport, relay: Relay, _node: RabbitNode) -> AsyncIterator[None]:
    """Cut connections, and refuse new ones."""
    relay.refuse()
    relay.cut()
    async with asyncio.timeout(5):
        while transport.statistics().lines[0].up:  # noqa: ASYNC110 - nothing tells of its end
            await asyncio.sleep(0.01)
    yield


@contextlib.asynccontextmanager
async def black_hole(_transport: Transport, relay: Relay, _node: RabbitNode) -> AsyncIterator[None]:
    """Swallow what is sent, on old connections and on new ones."""
    relay.vanish()
    yield


@contextlib.asynccontextmanager
async def stalled(_transport: Transport, relay: Relay, _node: RabbitNode) -> AsyncIterator[None]:
    """Let nothing pass."""
    relay.stall()
    yield


@contextlib.asynccontextmanager
async def frozen(_transport: Transport, _relay: Relay, node: RabbitNode) -> AsyncIterator[None]:
    """Stop the broker where it stands."""
    with node.frozen():
        yield


@contextlib.asynccontextmanager
async def short_of_memory(
    _transport: Transport, _relay: Relay, node: RabbitNode
) -> AsyncIterator[None]:
    """Have the broker read nothing from connections that publish."""
    await asyncio.to_thread(node.alarm, on=True)
    try:
        yield
    finally:
        await asyncio.to_thread(node.alarm, on=False)


OPERATIONS = MappingProxyType({each.__name__: each for each in (call, cast, tell, subscribe)})
FAULTS = MappingProxyType(
    {each.__name__: each for each in (refused, black_hole, stalled, frozen, short_of_memory)}
)
STAGES = MappingProxyType(
    {
        "refused": {"connecting"},
        "black_hole": {"connecting", "confirmation", "waiting for the reply"},
        "stalled": {"connecting", "confirmation", "waiting for the reply"},
        "frozen": {"connecting", "confirmation", "waiting for the reply"},
        "short_of_memory": {"confirmation", "waiting for the reply", "sending"},
    }
)
"""What an operation may have been waiting for: the listen link is opened when first needed."""


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_deadline_is_kept(
    fault: str, operation: str, transport: Transport, relay: Relay, private_rabbit: RabbitNode
) -> None:
    """Each operation ends in time, and says what it was waiting for."""
    async with FAULTS[fault](transport, relay, private_rabbit):
        since = time.monotonic()
        if (fault, operation) == ("short_of_memory", "subscribe"):
            await OPERATIONS[operation](transport)  # the listen link never publishes
            assert time.monotonic() - since < TIMEOUT
            return
        with pytest.raises(DeadlineExceeded) as caught:
            await OPERATIONS[operation](transport)
        took = time.monotonic() - since
    assert TIMEOUT - 0.05 <= took <= TIMEOUT + SLACK
    assert caught.value.stage in STAGES[fault]
    assert caught.value.timeout == pytest.approx(TIMEOUT, abs=0.05)


async def test_opening_keeps_its_deadline_when_nobody_listens() -> None:
    """A broker that refuses connections is tried again until the deadline, which tells why."""
    since = time.monotonic()
    with pytest.raises(DeadlineExceeded) as caught:
        async with Transport.connect("rabbit://127.0.0.1:1/", timeout=TIMEOUT, policy=POLICY):
            pass
    assert TIMEOUT - 0.05 <= time.monotonic() - since <= TIMEOUT + SLACK
    assert isinstance(caught.value.__cause__, ConnectFailed)
    assert "Connection refused" in str(caught.value.__cause__)


@pytest.mark.parametrize("say", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
async def test_opening_keeps_its_deadline_when_nobody_answers(say: bytes) -> None:
    """A port that accepts and says nothing, or nonsense, is given up in time."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0)
        port = listener.getsockname()[1]
        accepting = asyncio.create_task(_accept(listener, say))
        since = time.monotonic()
        with pytest.raises(DeadlineExceeded) as caught:
            async with Transport.connect(
                f"rabbit://127.0.0.1:{port}/", timeout=TIMEOUT, policy=POLICY
            ):
                pass
        assert TIMEOUT - 0.05 <= time.monotonic() - since <= TIMEOUT + SLACK
        accepting.cancel()
    if say:
        assert "web server" in str(caught.value.__cause__)


async def _accept(listener: socket.socket, say: bytes) -> None:
    loop = asyncio.get_running_loop()
    with contextlib.ExitStack() as stack:
        while True:
            peer, _ = await loop.sock_accept(listener)
            stack.enter_context(peer)
            if say:
                await loop.sock_sendall(peer, say)
