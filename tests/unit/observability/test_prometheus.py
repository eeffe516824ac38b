"""The Prometheus observer: what it counts, times and forgets."""

import asyncio
import secrets

import pytest
from prometheus_client import CollectorRegistry

from bedplate.errors import DeadlineExceeded, NoSuchTarget, RemoteError
from bedplate.messaging import Address, Message, Transport, notify, rpc
from bedplate.messaging.observe import Closed, GivenUp, Opened, Received, Sent, Work
from bedplate.observability.prometheus import PrometheusObserver

STOCK = Address.topic("stock")
BACK = Address.private("reply-1")


@pytest.fixture
def broker() -> str:
    """Name a broker in memory that no other test uses."""
    return f"memory://{secrets.token_hex(4)}/"


class Bench:
    """An observer with a registry and a clock of its own."""

    def __init__(self) -> None:
        self.time = 100.0
        self.registry = CollectorRegistry()
        self.observer = PrometheusObserver(self.registry, now=lambda: self.time)

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"bedplate_{name}", labels)


def test_a_call_is_timed_from_its_beginning_to_its_end() -> None:
    """Whatever ends it, it leaves the count of those in flight and has a latency."""
    bench = Bench()
    for error, outcome in (
        (None, "ok"),
        (DeadlineExceeded(operation="x", target="y", timeout=1, stage="z"), "deadline-exceeded"),
        (asyncio.CancelledError(), "cancelled"),
        (ValueError("of the application"), "failed"),
        (RemoteError(type="Odd", message="", code="code-of-a-peer"), "remote"),
    ):
        span = bench.observer.begun(Work(verb="call", address=STOCK))
        assert bench.value("in_flight", work="call") == 1
        bench.time += 0.25
        span.ended(error)
        assert bench.value("in_flight", work="call") == 0
        assert bench.value("call_seconds_sum", topic="stock", outcome=outcome) == 0.25


def test_handling_is_timed_apart_from_waiting() -> None:
    """How long messages wait here for a worker is a figure of its own."""
    bench = Bench()
    span = bench.observer.begun(Work(verb="call", address=STOCK, handling=True, waited=3.0))
    bench.time += 2
    assert bench.value("in_flight", work="handle") == 1
    span.ended(None)
    labels = {"topic": "stock", "verb": "call"}
    assert bench.value("handle_seconds_sum", **labels, outcome="ok") == 2
    assert bench.value("wait_seconds_sum", **labels) == 3
    assert bench.value("in_flight", work="handle") == 0


def test_what_is_no_call_is_timed_until_the_broker_has_it() -> None:
    """Casts, fanouts, notifications and plain messages have latencies by their verb."""
    bench = Bench()
    for verb in ("cast", "fanout", "notify", "publish"):
        bench.observer.begun(Work(verb=verb, address=STOCK)).ended(None)
        labels = {"topic": "stock", "verb": verb, "outcome": "ok"}
        assert bench.value("publish_seconds_count", **labels) == 1


@pytest.mark.parametrize(
    ("verdict", "metric"),
    [("expired", "expired"), ("park", "parked"), ("duplicate", "duplicate")],
)
def test_what_is_given_up_is_counted_by_why(verdict: str, metric: str) -> None:
    """Expired, parked and repeated messages have counts of their own."""
    bench = Bench()
    bench.observer.given_up(GivenUp(STOCK, "1", "call", verdict=verdict))
    assert bench.value(f"messages_{metric}_total", topic="stock", kind="call") == 1


def test_messages_are_counted_as_they_come_and_go() -> None:
    """Each has its topic and kind; a redelivered one counts twice over."""
    bench = Bench()
    bench.observer.sent(Sent(STOCK, "1", "call"))
    bench.observer.received(Received(BACK, "2", "reply"))
    bench.observer.received(Received(STOCK, "1", "cast", redelivered=True))
    assert bench.value("messages_sent_total", topic="stock", kind="call") == 1
    assert bench.value("messages_received_total", topic="", kind="reply") == 1
    assert bench.value("messages_redelivered_total", topic="stock", kind="cast") == 1


def test_peers_cannot_invent_labels() -> None:
    """A kind that is not one of bedplate's is counted as another one, however many there are."""
    bench = Bench()
    for number in range(10):
        bench.observer.received(Received(STOCK, "1", f"kind-{number}"))
    assert bench.value("messages_received_total", topic="stock", kind="other") == 10


def test_links_are_counted_up_and_down() -> None:
    """What is up now and how often one came up are two figures."""
    bench = Bench()
    for epoch in (1, 2):
        bench.observer.opened(Opened("talk", "host", epoch))
        if epoch == 1:
            bench.observer.closed(Closed("talk", "host", epoch, "it was cut."))
    assert bench.value("links", line="talk") == 1
    assert bench.value("links_opened_total", line="talk") == 2


class Service:
    """What is served in the tests below."""

    async def wait(self, seconds: float) -> float:
        """Take a while."""
        await asyncio.sleep(seconds)
        return seconds

    def fail(self) -> None:
        """Raise, in a thread."""
        raise ValueError("no")


async def test_real_work_is_seen_from_both_sides(broker: str) -> None:
    """Calls, casts, notifications and plain messages are timed where they begin and are handled."""
    bench = Bench()
    bench.registry = CollectorRegistry()
    observer = PrometheusObserver(bench.registry, now=asyncio.get_running_loop().time)
    heard = asyncio.Event()
    async with (
        Transport.connect(broker, observers=[observer]) as transport,
        rpc.serve(transport, Service(), topic="stock", workers=5),
        notify.listen(transport, lambda _: transport.loop.call_soon_threadsafe(heard.set)),
        transport.subscribe(Address.topic("orders")) as orders,
    ):
        client = rpc.Client(transport, topic="stock")
        await asyncio.gather(*(client.call("wait", seconds=2.0) for _ in range(5)))
        with pytest.raises(RemoteError):
            await client.call("fail")
        with pytest.raises(DeadlineExceeded):
            await client.with_(timeout=1).call("wait", seconds=2.0)
        with pytest.raises(NoSuchTarget):
            await rpc.Client(transport, topic="nowhere").call("wait", seconds=2.0)
        await client.cast("wait", seconds=0.5)
        await notify.Notifier(transport, "me").info("item.created")
        await transport.publish(Address.topic("orders"), Message(b"1"))
        async for order in orders:
            with order.handling():
                await asyncio.sleep(3)
            break
        await heard.wait()
    # The call that its caller gave up at 1 s was handled all the same.
    for side, count in (("call", 5), ("handle", 6)):
        labels = {"topic": "stock"} | ({"verb": "call"} if side == "handle" else {})
        assert bench.value(f"{side}_seconds_count", outcome="ok", **labels) == count
        seconds = bench.value(f"{side}_seconds_sum", outcome="ok", **labels)
        assert seconds is not None
        assert 2 * count <= seconds < 2 * count + 1
    for topic, outcome in (
        ("stock", "remote"),
        ("stock", "deadline-exceeded"),
        ("nowhere", "no-such-target"),
    ):
        assert bench.value("call_seconds_count", topic=topic, outcome=outcome) == 1
    for topic, verb in (
        ("stock", "cast"),
        ("notifications.info", "notify"),
        ("orders", "publish"),
    ):
        labels = {"topic": topic, "verb": verb, "outcome": "ok"}
        assert bench.value("publish_seconds_count", **labels) == 1
        assert bench.value("handle_seconds_count", **labels) == 1
    labels = {"topic": "stock", "verb": "call"}
    assert bench.value("handle_seconds_count", outcome="failed", **labels) == 1
    labels = {"topic": "orders", "verb": "publish", "outcome": "ok"}
    assert bench.value("handle_seconds_sum", **labels) == 3
    for work in ("call", "publish", "handle"):
        assert bench.value("in_flight", work=work) == 0


async def test_what_fails_too_often_is_counted_as_parked(broker: str) -> None:
    """Each attempt is handled and timed; the last one parks the notification, once."""
    bench = Bench()

    async def refuse(_: notify.Notification) -> None:
        raise ValueError("not this one")

    async with (
        Transport.connect(broker, observers=[bench.observer]) as transport,
        notify.listen(transport, refuse, attempts=3),
    ):
        await notify.Notifier(transport, "me").info("item.created")
        await asyncio.sleep(60)
    place = "notifications.info"
    assert bench.value("messages_parked_total", topic=place, kind="event") == 1
    labels = {"topic": place, "verb": "notify", "outcome": "failed"}
    assert bench.value("handle_seconds_count", **labels) == 3


async def test_what_expires_while_it_waits_is_counted_once(broker: str) -> None:
    """A request that no worker is free for in time is expired, though it arrived in time."""
    bench = Bench()
    async with (
        Transport.connect(broker, observers=[bench.observer]) as transport,
        rpc.serve(transport, Service(), topic="stock", workers=1),
    ):
        client = rpc.Client(transport, topic="stock")
        slow = asyncio.create_task(client.call("wait", seconds=10.0))
        await asyncio.sleep(0.1)
        await client.with_(ttl=2).cast("wait", seconds=0.0)
        await slow
    assert bench.value("messages_received_total", topic="stock", kind="cast") == 1
    assert bench.value("messages_expired_total", topic="stock", kind="cast") == 1
