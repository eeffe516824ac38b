"""Calls, casts, notifications and subscriptions over a real RabbitMQ, and what may befall them."""

import asyncio
import re
import socket
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import cast
from uuid import uuid4

import pytest

from bedplate._floor.backoff import Backoff
from bedplate.errors import (
    AccessRefused,
    DeadlineExceeded,
    NoSuchTarget,
    PublishRefused,
    ReplyPathLost,
    TopologyMismatch,
)
from bedplate.messaging import Address, Message, Transport, notify, rpc
from bedplate.messaging.driver import LinkEvents
from bedplate.messaging.drivers.rabbit import RabbitDriver, RabbitOptions
from bedplate.messaging.drivers.rabbit._link import RabbitLink
from bedplate.messaging.policy import TransportPolicy
from bedplate.messaging.recovery import RecoveryPolicy
from bedplate.messaging.types import Entity, Source, Topology
from bedplate.messaging.url import TransportUrl
from bedplate.testing.brokers import RabbitNode
from bedplate.testing.contracts._workbench import Ear
from bedplate.testing.relay import Relay

pytestmark = [pytest.mark.needs("rabbit"), pytest.mark.usefixtures("real_time")]

POLICY = TransportPolicy(
    recovery=RecoveryPolicy(backoff=Backoff(0.02, 2.0, 0.2), budget=1000), close_timeout=1.0
)


class Echo(rpc.Interface, topic="echo"):
    """Returns what it is given, some time later."""

    async def echo(self, text: str, after: float = 0.0) -> str:
        raise NotImplementedError


class EchoService(Echo):
    """Implements it."""

    async def echo(self, text: str, after: float = 0.0) -> str:
        await asyncio.sleep(after)
        return text


@pytest.fixture
def url(rabbit: RabbitNode, vhost: str) -> str:
    """Name the module's own virtual host."""
    return rabbit.url(vhost)


@pytest.fixture
async def here(url: str) -> AsyncIterator[Transport]:
    """Open the caller's transport."""
    async with Transport.connect(url, policy=POLICY) as transport:
        yield transport


@pytest.fixture
async def there(url: str) -> AsyncIterator[Transport]:
    """Open the server's transport."""
    async with Transport.connect(url, policy=POLICY) as transport:
        yield transport


def topic() -> str:
    """Return a topic that nobody has used before."""
    return f"topic-{uuid4().hex[:12]}"


async def until(condition: Callable[[], bool]) -> None:
    """Wait until statistics say so; nothing tells when they change."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.02)


async def test_calls_are_answered(here: Transport, there: Transport) -> None:
    """A hundred calls at once each get their own answer."""
    async with rpc.serve(there, EchoService(), workers=8):
        echo = rpc.client(here, Echo, timeout=5)
        answers = await asyncio.gather(*(echo.echo(f"{n}") for n in range(100)))
    assert answers == [f"{n}" for n in range(100)]


async def test_nobody_there_is_told_at_once(here: Transport) -> None:
    """A call to a topic nobody ever served ends long before its deadline."""
    since = time.monotonic()
    with pytest.raises(NoSuchTarget):
        await rpc.Client(here, topic=topic(), timeout=5).call("anything")
    assert time.monotonic() - since < 0.5


async def test_a_queue_without_a_server_is_nobody(here: Transport, there: Transport) -> None:
    """Where a server was and its queue still is, a look tells that nobody serves it."""
    name = topic()
    await there.declare(Topology((Entity(Address.topic(name)),)))
    since = time.monotonic()
    with pytest.raises(NoSuchTarget):
        await rpc.Client(here, topic=name, timeout=5).call("anything")
    assert time.monotonic() - since < 1.0


async def test_a_silent_server_ends_a_call_at_its_deadline(
    here: Transport, there: Transport
) -> None:
    """A call that takes longer than its timeout ends then."""
    async with rpc.serve(there, EchoService()):
        with pytest.raises(DeadlineExceeded):
            await rpc.client(here, Echo, timeout=0.3).echo("x", after=0.8)


async def test_notifications_wait_for_listeners(here: Transport, there: Transport) -> None:
    """What is told before anybody listens is heard by who comes later."""
    name = topic()
    notifier = notify.Notifier(here, "parts.host1", topic=name)
    await notifier.info("part.created", {"part": "bolt"})
    heard: asyncio.Queue[object] = asyncio.Queue()
    async with there.subscribe(Address.topic(f"{name}.info")) as deliveries:
        async for delivery in deliveries:
            heard.put_nowait(delivery.body)
            await delivery.ack()
            break
    assert b"bolt" in await heard.get()  # type: ignore[operator]  # bodies are bytes


@pytest.fixture
async def relay(private_rabbit: RabbitNode) -> AsyncIterator[Relay]:
    """Put a stretch of network before the broker."""
    async with Relay("127.0.0.1", private_rabbit.port) as relay:
        yield relay
        await relay.heal()


async def test_a_cut_fails_the_call_and_is_mended(
    relay: Relay, private_rabbit: RabbitNode, vhost: str, there: Transport
) -> None:
    """A call under way when the line is cut fails at once; the next one works."""
    url = private_rabbit.url(vhost, port=relay.port)
    async with (
        Transport.connect(url, policy=POLICY) as here,
        rpc.serve(there, EchoService(), workers=8),
    ):
        echo = rpc.client(here, Echo, timeout=5)
        assert await echo.echo("before") == "before"
        pending = asyncio.create_task(echo.echo("during", after=0.8))
        await asyncio.sleep(0.1)
        since = time.monotonic()
        relay.cut()
        with pytest.raises(ReplyPathLost):
            await pending
        assert time.monotonic() - since < 0.5
        assert await echo.echo("after") == "after"
        assert here.statistics().reconnects == 1


async def test_a_silent_network_is_noticed_within_two_heartbeats(
    relay: Relay, private_rabbit: RabbitNode, vhost: str
) -> None:
    """A half-open connection is given up after two heartbeats of silence, and replaced."""
    url = private_rabbit.url(vhost, port=relay.port) + "?link_heartbeat=1&connect_timeout=0.5"
    async with Transport.connect(url, policy=POLICY) as here:
        since = time.monotonic()
        relay.vanish()
        await until(lambda: not here.statistics().lines[0].up)
        assert 0.9 <= time.monotonic() - since <= 2.5
        await relay.heal()
        await here.publish(Address.fanout(topic()), Message(b""), timeout=5)


async def test_servers_survive_a_restart_of_the_broker(
    private_rabbit: RabbitNode, here: Transport, there: Transport
) -> None:
    """After a restart servers serve again, calls work, and what was acknowledged is still there."""
    name = topic()
    async with rpc.serve(there, EchoService()):
        echo = rpc.client(here, Echo, timeout=30)
        assert await echo.echo("before") == "before"
        await here.declare(Topology((Entity(Address.topic(name)),)))
        await here.publish(Address.topic(name), Message(b"kept"))
        await asyncio.to_thread(private_rabbit.restart)
        async with asyncio.timeout(20):
            while True:
                try:
                    assert await echo.echo("after") == "after"
                    break
                except (NoSuchTarget, ReplyPathLost):
                    await asyncio.sleep(0.1)
        async with there.subscribe(Address.topic(name)) as deliveries:
            delivery = await anext(deliveries)
            assert delivery.body == b"kept"
            await delivery.ack()


async def test_an_operator_who_closes_connections_does_no_harm(
    private_rabbit: RabbitNode, here: Transport, there: Transport
) -> None:
    """Connections the broker closes are opened again, and say in the log why they ended."""
    async with rpc.serve(there, EchoService()):
        echo = rpc.client(here, Echo, timeout=5)
        assert await echo.echo("before") == "before"
        await asyncio.to_thread(private_rabbit.close_connections, "maintenance by night")
        async with asyncio.timeout(10):
            while True:
                try:
                    assert await echo.echo("after") == "after"
                    break
                except (NoSuchTarget, ReplyPathLost):
                    await asyncio.sleep(0.05)
        assert "maintenance by night" in here.statistics().lines[0].why


async def test_a_deleted_queue_is_made_again(
    private_rabbit: RabbitNode, vhost: str, here: Transport, there: Transport
) -> None:
    """A server whose queue is deleted under it declares it again and goes on."""
    name = topic()
    async with there.subscribe(Address.topic(name)) as deliveries:
        await asyncio.to_thread(private_rabbit.delete_queue, vhost, f"default/{name}")
        async with asyncio.timeout(5):
            while True:
                try:
                    await here.publish(Address.topic(name), Message(b"again"))
                    break
                except NoSuchTarget:
                    await asyncio.sleep(0.05)
            delivery = await anext(deliveries)
        assert delivery.body == b"again"
        await delivery.ack()


async def test_a_memory_alarm_does_not_stop_receivers(
    private_rabbit: RabbitNode, here: Transport, there: Transport
) -> None:
    """What waits in a queue is received and acknowledged while nobody may publish."""
    name = topic()
    async with there.subscribe(Address.topic(name), credit=2) as deliveries:
        for number in range(6):
            await here.publish(Address.topic(name), Message(b"%d" % number))
        await asyncio.to_thread(private_rabbit.alarm, on=True)
        try:
            async with asyncio.timeout(2):
                for number in range(6):
                    delivery = await anext(deliveries)
                    assert delivery.body == b"%d" % number
                    await delivery.ack()
            with pytest.raises(DeadlineExceeded):
                await here.publish(Address.topic(name), Message(b"late"), timeout=0.2)
            assert here.statistics().flow
        finally:
            await asyncio.to_thread(private_rabbit.alarm, on=False)
        await until(lambda: not here.statistics().flow)


async def test_twenty_topics_cost_few_round_trips(
    relay: Relay, private_rabbit: RabbitNode, vhost: str
) -> None:
    """With 50 ms of way in each direction, servers of twenty topics start in six round trips.

    That is sixty queues, and the link that they are received on.
    """
    url = private_rabbit.url(vhost, port=relay.port)
    async with Transport.connect(url, policy=POLICY) as there:
        relay.delay = 0.05
        since = time.monotonic()
        servers = [rpc.serve(there, EchoService(), topic=topic()) for _ in range(20)]
        await asyncio.gather(*(server.__aenter__() for server in servers))
        took = time.monotonic() - since
        relay.delay = 0.0
        await asyncio.gather(*(server.__aexit__(None, None, None) for server in servers))
    assert took < 6 * 0.1


async def test_the_kernel_watches_connections_too(private_rabbit: RabbitNode, vhost: str) -> None:
    """Keepalive and the time data may go unacknowledged are set to two heartbeats."""
    options = RabbitOptions(link_heartbeat=9)
    ear: LinkEvents = Ear(5.0)
    link = await RabbitDriver().connect(TransportUrl(private_rabbit.url(vhost)), options, ear)
    wire = cast("RabbitLink", link).wire
    assert wire._socket is not None
    peer = wire._socket.get_extra_info("socket")
    tcp = socket.IPPROTO_TCP
    assert peer.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert peer.getsockopt(tcp, socket.TCP_KEEPIDLE) == 9
    assert (
        peer.getsockopt(tcp, socket.TCP_KEEPINTVL) * peer.getsockopt(tcp, socket.TCP_KEEPCNT) == 9
    )
    assert peer.getsockopt(tcp, socket.TCP_USER_TIMEOUT) == 18_000  # milliseconds
    assert peer.getsockopt(tcp, socket.TCP_NODELAY) != 0
    await link.aclose()


# --- what the broker refuses ------------------------------------------------------------------


async def test_wrong_credentials_are_told_at_once_and_without_the_password(
    private_rabbit: RabbitNode, vhost: str
) -> None:
    """A wrong password is AccessRefused with host and user; the password is nowhere."""
    url = private_rabbit.url(vhost, user="guest:s3cr3t-w0rd")
    since = time.monotonic()
    with pytest.raises(AccessRefused) as caught:
        async with Transport.connect(url):
            pass
    assert time.monotonic() - since < 3.0
    assert "guest" in str(caught.value)
    assert str(private_rabbit.port) in str(caught.value)
    error: BaseException | None = caught.value
    while error is not None:
        assert "s3cr3t-w0rd" not in f"{error}{error!r}"
        error = error.__cause__ or error.__context__


async def test_a_wrong_virtual_host_is_told_at_once(private_rabbit: RabbitNode) -> None:
    """A virtual host that is not there is AccessRefused and named."""
    with pytest.raises(AccessRefused, match="no-such-host"):
        async with Transport.connect(private_rabbit.url("no-such-host")):
            pass


async def test_the_next_host_is_tried(private_rabbit: RabbitNode, vhost: str) -> None:
    """Of several hosts the first that answers is used, in whatever order they stand."""
    port = private_rabbit.port
    for hosts in (f"127.0.0.1:1,127.0.0.1:{port}", f"127.0.0.1:{port},127.0.0.1:1"):
        async with Transport.connect(f"rabbit://{hosts}/{vhost}", timeout=3) as transport:
            await transport.publish(Address.fanout("x"), Message(b""))


@pytest.fixture
def limited(private_rabbit: RabbitNode) -> str:
    """Make a user who may do nothing but what a test permits, and return the user's name."""
    name = f"user-{uuid4().hex[:8]}"
    private_rabbit.user(name, "pass")
    return name


async def test_who_may_not_declare_hears_so(
    private_rabbit: RabbitNode, vhost: str, limited: str
) -> None:
    """A queue that the user may not make is AccessRefused; the link lives on."""
    private_rabbit.permit(limited, vhost, configure="^$")
    url = private_rabbit.url(vhost, user=f"{limited}:pass")
    async with Transport.connect(url, policy=POLICY) as transport:
        with pytest.raises(AccessRefused, match="access to queue"):
            await transport.declare(Topology((Entity(Address.topic("parts")),)))
        with pytest.raises(AccessRefused, match="access to queue"):
            await transport.consume(Source(Address.topic("parts")), lambda _: None, credit=1)
        assert transport.statistics().reconnects == 0


async def test_who_may_not_publish_hears_so(
    private_rabbit: RabbitNode, vhost: str, limited: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Publishing without permission is refused, told to callers at once, and logged."""
    private_rabbit.permit(limited, vhost, write="^reply-.*")
    url = private_rabbit.url(vhost, user=f"{limited}:pass")
    async with Transport.connect(url, policy=POLICY) as transport:
        with pytest.raises(PublishRefused):
            await transport.publish(Address.topic("parts"), Message(b""), timeout=5)
        since = time.monotonic()
        with pytest.raises(PublishRefused):
            await rpc.Client(transport, topic="parts", timeout=5).call("anything")
        assert time.monotonic() - since < 1.0
        assert transport.statistics().reconnects == 0
    assert "amq.direct" in caplog.text


async def test_the_documented_permissions_are_enough(
    private_rabbit: RabbitNode, vhost: str, limited: str
) -> None:
    """Calls, fanouts, groups and notifications work with the permissions that the guide names."""
    guide = (Path(__file__).parents[2] / "docs/howto/rabbitmq.md").read_text(encoding="utf-8")
    found = re.search(r"set_permissions -p shop app '(.*)' '(.*)' '(.*)'", guide)
    assert found is not None
    private_rabbit.permit(limited, vhost, configure=found[1], write=found[2], read=found[3])
    url = private_rabbit.url(vhost, user=f"{limited}:pass")
    async with (
        Transport.connect(url, policy=POLICY) as transport,
        rpc.serve(transport, EchoService()),
        transport.subscribe(Address.topic("x"), group="g"),
    ):
        assert await rpc.client(transport, Echo, timeout=5).echo("hello") == "hello"
        await transport.publish(Address.fanout("echo"), Message(b""))
        await notify.Notifier(transport, "parts.host1").info("part.created")
        assert transport.statistics().reconnects == 0
        assert dict(transport.statistics().notices) == {}


async def test_a_receiver_adopts_a_queue_of_other_lifetime(
    here: Transport, there: Transport
) -> None:
    """Declaring a queue otherwise is a mismatch; receiving from it works all the same."""
    place = Address.topic(topic())
    await there.declare(Topology((Entity(place, expires=60.0, limit=10),)))
    with pytest.raises(TopologyMismatch, match="x-expires"):
        await here.declare(Topology((Entity(place),)))
    async with here.subscribe(place) as deliveries:
        await there.publish(place, Message(b"x"))
        assert (await anext(deliveries)).body == b"x"
    assert dict(here.statistics().notices)["queue-adopted"] == 1


async def test_every_queue_is_durable_or_exclusive(private_rabbit: RabbitNode) -> None:
    """RabbitMQ 4.3 refuses queues that are neither; all there are here are one or the other."""
    vhost = private_rabbit.vhost()
    url = private_rabbit.url(vhost)
    async with (
        Transport.connect(url, policy=POLICY) as here,
        Transport.connect(url, policy=POLICY) as there,
        rpc.serve(there, EchoService()),
        there.subscribe(Address.topic("x"), group="g"),
        there.subscribe(Address.fanout("x")),
    ):
        await rpc.client(here, Echo, timeout=5).echo("hello")
        kinds = await asyncio.to_thread(
            private_rabbit.evaluate,
            "[case {amqqueue:is_durable(Q), amqqueue:get_exclusive_owner(Q) =/= none} of"
            " {true, false} -> durable; {false, true} -> exclusive; _ -> neither end"
            f' || Q <- rabbit_amqqueue:list(<<"{vhost}">>)]',
        )
        names = await asyncio.to_thread(private_rabbit.queues, vhost)
    assert set(kinds.strip("[]").split(",")) == {"durable", "exclusive"}
    assert {"default/echo", "default/x@g"} <= set(names)
    assert sum(name.startswith("reply-") for name in names) == 1
    assert sum(name.startswith("default/x/*") for name in names) == 1


async def test_one_connection_carries_a_hundred_callers(
    private_rabbit: RabbitNode, here: Transport, there: Transport
) -> None:
    """A client has one connection however many call at once; a server has two."""
    async with rpc.serve(there, EchoService(), workers=100):
        echo = rpc.client(here, Echo, timeout=10)
        await asyncio.gather(*(echo.echo("x", after=0.05) for _ in range(100)))
        assert await asyncio.to_thread(private_rabbit.connections) == 3


def test_an_alarm_is_felt_when_it_is_raised(private_rabbit: RabbitNode) -> None:
    """Whoever publishes after ``alarm`` is stopped, however busy the broker is with telling."""
    busy = (
        "sys:suspend(rabbit_alarm), spawn(fun() -> timer:sleep(300), sys:resume(rabbit_alarm) end)"
    )
    for on in (True, False):
        private_rabbit.evaluate(busy)
        since = time.monotonic()
        private_rabbit.alarm(on=on)
        assert time.monotonic() - since > 0.2


def test_a_node_that_dies_early_shows_its_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the server said before it ended is in the error, and nothing of it stays behind."""
    monkeypatch.delenv("RABBITMQ_URL", raising=False)
    node = RabbitNode(patience=20.0)
    monkeypatch.setattr(node, "_program", lambda name: ("sh", "-c", f"echo {name} fell over"))
    with pytest.raises(Exception, match="rabbitmq-server fell over") as caught:
        node.__enter__()
    assert "status 0" in str(caught.value)
    assert not node._home.exists()


def test_a_given_server_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node named by the environment is used as it is and cannot be disturbed."""
    monkeypatch.setenv("RABBITMQ_URL", "rabbit://app:pw@broker.example/app")
    with RabbitNode() as node:
        assert not node.owned
        assert node.url("anything") == "rabbit://app:pw@broker.example/app"
        for disturb in (node.freeze, node.kill, node.restart, node.close_connections):
            with pytest.raises(Exception, match="not the tests' own"):
                disturb()
