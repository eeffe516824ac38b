"""What a Prometheus observer counts on a real RabbitMQ, and what hostile peers cannot do to it."""

import asyncio
from collections.abc import Callable
from uuid import uuid4

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry

from bedplate.errors import DeadlineExceeded
from bedplate.messaging import Address, Message, Transport, notify, rpc
from bedplate.observability.otel import OpenTelemetryObserver
from bedplate.observability.prometheus import PrometheusObserver
from bedplate.testing.brokers import RabbitNode

pytestmark = [pytest.mark.needs("rabbit"), pytest.mark.usefixtures("real_time")]


class Metrics:
    """An observer and what it counted."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.observer = PrometheusObserver(self.registry)

    def __call__(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"bedplate_{name}", labels) or 0.0


@pytest.fixture
def topic() -> str:
    """Name a topic that nobody has used before."""
    return f"observed-{uuid4().hex[:8]}"


async def until(condition: Callable[[], bool]) -> None:
    """Wait until metrics say so; nothing tells when they change."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.02)


class Slow:
    """Takes its time."""

    async def wait(self, seconds: float) -> None:
        """Sleep."""
        await asyncio.sleep(seconds)


async def test_calls_and_what_expires_are_counted(
    rabbit: RabbitNode, vhost: str, topic: str
) -> None:
    """Latency, outcome, waiting and expiry, as they are told of by a real broker."""
    metrics = Metrics()
    async with (
        Transport.connect(rabbit.url(vhost), observers=[metrics.observer]) as transport,
        rpc.serve(transport, Slow(), topic=topic, workers=1, drain=0),
    ):
        assert metrics("links", line="talk") == metrics("links", line="listen") == 1
        client = rpc.Client(transport, topic=topic)
        await client.call("wait", seconds=0.0)
        first = asyncio.create_task(client.call("wait", seconds=2.0))
        await until(lambda: metrics("in_flight", work="handle") == 1)
        await client.with_(ttl=0.2).cast("wait", seconds=0.0)
        await client.cast("wait", seconds=0.0)
        with pytest.raises(DeadlineExceeded):
            await client.with_(timeout=0.3).call("wait", seconds=0.0)
        await first
        labels = {"topic": topic, "verb": "cast"}
        await until(lambda: metrics("handle_seconds_count", **labels, outcome="ok") == 1)
    assert metrics("call_seconds_count", topic=topic, outcome="ok") == 2
    assert metrics("call_seconds_count", topic=topic, outcome="deadline-exceeded") == 1
    assert metrics("messages_expired_total", topic=topic, kind="cast") == 1
    assert metrics("messages_expired_total", topic=topic, kind="call") == 1
    assert 0.1 < metrics("wait_seconds_sum", **labels) < 3
    assert metrics("in_flight", work="call") == metrics("in_flight", work="handle") == 0
    assert metrics("links", line="talk") == metrics("links", line="listen") == 0


async def test_what_comes_again_and_is_parked_is_counted(
    rabbit: RabbitNode, vhost: str, topic: str
) -> None:
    """A handler that always fails: the broker brings it again, until it is set aside, once."""
    metrics = Metrics()

    async def refuse(_: notify.Notification) -> None:
        raise ValueError("not this one")

    async with (
        Transport.connect(rabbit.url(vhost), observers=[metrics.observer]) as transport,
        notify.listen(
            transport, refuse, topics=[topic], priorities=["info"], attempts=3, backoff=0.05
        ),
    ):
        await notify.Notifier(transport, "me", topic=topic).info("item.created")
        place = {"topic": f"{topic}.info", "kind": "event"}
        await until(lambda: metrics("messages_parked_total", **place) == 1)
        handled = {"topic": f"{topic}.info", "verb": "notify", "outcome": "failed"}
        assert metrics("handle_seconds_count", **handled) == 3
        assert metrics("messages_received_total", **place) == 3
        assert metrics("messages_redelivered_total", **place) == 2


@pytest.mark.parametrize("traceparent", ["00-zz", "x" * 9000, b"\xff\x00", 17, None, True])
async def test_no_header_of_a_peer_breaks_tracing(
    rabbit: RabbitNode, vhost: str, topic: str, traceparent: str | bytes | int | None
) -> None:
    """What is no trace context begins a trace, and the observer stays."""
    exporter = InMemorySpanExporter()
    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    observer = OpenTelemetryObserver(tracer_provider=tracers)
    async with (
        Transport.connect(rabbit.url(vhost)) as peer,
        Transport.connect(rabbit.url(vhost), observers=[observer]) as transport,
        transport.subscribe(Address.topic(topic)) as deliveries,
    ):
        await peer.publish(Address.topic(topic), Message(b"1", {"traceparent": traceparent}))
        delivery = await anext(deliveries)
        with delivery.handling():
            pass
        await delivery.ack()
        assert "observer-dropped" not in dict(transport.statistics().notices)
    (span,) = exporter.get_finished_spans()
    assert span.parent is None
