"""The OpenTelemetry observer: spans that belong together across transports, and metrics."""

import asyncio
import gc
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import baggage, context, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    HistogramDataPoint,
    InMemoryMetricReader,
    NumberDataPoint,
)
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from bedplate._floor.backoff import Backoff
from bedplate.errors import DeadlineExceeded, RemoteError
from bedplate.messaging import (
    Address,
    Message,
    RecoveryPolicy,
    Transport,
    TransportPolicy,
    TransportUrl,
    notify,
    rpc,
)
from bedplate.messaging.drivers.memory import broker as memory_broker
from bedplate.messaging.observe import Closed, GivenUp, Opened, Received, Sent, Work
from bedplate.observability.otel import OpenTelemetryObserver

ORDERS = Address.topic("orders")


@pytest.fixture
def broker() -> str:
    """Name a broker in memory that no other test uses."""
    return f"memory://{secrets.token_hex(4)}/"


class Side:
    """One process's worth of OpenTelemetry: an observer, its spans and its metrics."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.tracers = TracerProvider(shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.reader = InMemoryMetricReader()
        self.meters = MeterProvider([self.reader], shutdown_on_exit=False)
        self.observer = OpenTelemetryObserver(
            tracer_provider=self.tracers, meter_provider=self.meters
        )

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        return self.exporter.get_finished_spans()

    def span(self, kind: SpanKind, name: str) -> ReadableSpan:
        (found,) = (each for each in self.spans if (each.kind, each.name) == (kind, name))
        return found

    def points(self, name: str) -> Iterator[NumberDataPoint | HistogramDataPoint]:
        data = self.reader.get_metrics_data()
        for resource in data.resource_metrics if data else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    if metric.name == name:
                        for point in metric.data.data_points:
                            assert isinstance(point, NumberDataPoint | HistogramDataPoint)
                            yield point

    def number(self, name: str, **attributes: str) -> float:
        return sum(
            point.value
            for point in self.points(name)
            if isinstance(point, NumberDataPoint)
            and attributes.items() <= dict(point.attributes or {}).items()
        )


def identity(span: ReadableSpan | None) -> tuple[int, int]:
    assert span is not None
    return span.context.trace_id, span.context.span_id


def parent(span: ReadableSpan) -> tuple[int, int] | None:
    return None if span.parent is None else (span.parent.trace_id, span.parent.span_id)


def links(span: ReadableSpan) -> list[tuple[int, int]]:
    return [(each.context.trace_id, each.context.span_id) for each in span.links]


def attributes(span: ReadableSpan) -> Mapping[str, object]:
    return dict(span.attributes or {})


class Stock:
    """Served on one transport, and calling on to another topic over the same."""

    def __init__(self, transport: Transport) -> None:
        self.next = rpc.Client(transport, topic="store")
        self.transport = transport
        self.seen: list[int] = []

    async def reserve(self, item: str) -> object:
        """Ask the store."""
        return await self.next.call("take", item=item)

    async def note(self, item: str) -> None:
        """Remember what is current."""
        assert item
        self.seen.append(trace.get_current_span().get_span_context().span_id)


class Store:
    """A plain handler: runs in a thread."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def take(self, item: str) -> str:
        """Remember what is current in the thread."""
        self.seen.append(trace.get_current_span().get_span_context().span_id)
        return item

    def fail(self, item: str) -> None:
        """Raise."""
        raise ValueError(f"there is no {item}")


async def test_a_call_is_one_trace_across_transports_tasks_and_threads(broker: str) -> None:
    """Caller, server, nested call and a handler in a thread are each the next one's parent."""
    here, there = Side(), Side()
    store = Store()
    async with (
        Transport.connect(broker, observers=[here.observer]) as caller,
        Transport.connect(broker, observers=[there.observer]) as server,
        rpc.serve(server, Stock(server), topic="stock"),
        rpc.serve(server, store, topic="store"),
    ):
        with here.tracers.get_tracer("application").start_as_current_span("page") as page:
            assert await rpc.Client(caller, topic="stock").call("reserve", item="bolt") == "bolt"
            around = page.get_span_context()
    client = here.span(SpanKind.CLIENT, "stock/reserve")
    handler = there.span(SpanKind.SERVER, "stock/reserve")
    nested = there.span(SpanKind.CLIENT, "store/take")
    last = there.span(SpanKind.SERVER, "store/take")
    assert parent(client) == (around.trace_id, around.span_id)
    assert parent(handler) == identity(client)
    assert parent(nested) == identity(handler)
    assert parent(last) == identity(nested)
    assert store.seen == [last.context.span_id]


async def test_spans_say_what_the_conventions_ask_for_and_nothing_of_the_contents(
    broker: str,
) -> None:
    """System, destination, method, ids and size are told; arguments and errors' texts are not."""
    side = Side()
    async with (
        Transport.connect(broker, observers=[side.observer]) as transport,
        rpc.serve(transport, Store(), topic="store"),
    ):
        client = rpc.Client(transport, topic="store")
        await client.call("take", item="first")
        side.exporter.clear()
        with pytest.raises(RemoteError):
            await client.call("fail", item="hush-hush")
    sent, handled = (
        side.span(SpanKind.CLIENT, "store/fail"),
        side.span(SpanKind.SERVER, "store/fail"),
    )
    for span in (sent, handled):
        told = attributes(span)
        assert told["messaging.system"] == "memory"
        assert told["messaging.destination.name"] == "store"
        assert told["rpc.system.name"] == "bedplate"
        assert told["rpc.method"] == "store/fail"
        assert told["messaging.message.body.size"] == len(b'{"item":"hush-hush"}')
        assert span.status.status_code is StatusCode.ERROR
        assert "hush" not in span.to_json()
    assert (
        attributes(sent)["messaging.message.conversation_id"]
        == (attributes(handled)["messaging.message.conversation_id"])
    )
    assert attributes(sent)["error.type"] == "remote"
    assert attributes(handled)["error.type"] == "ValueError"


async def test_a_result_that_cannot_be_sent_is_a_failure_on_both_sides(broker: str) -> None:
    """The handler did not raise, and its span says all the same what its caller was told."""
    side = Side()

    class Odd:
        def give(self) -> object:
            return object()

    async with (
        Transport.connect(broker, observers=[side.observer]) as transport,
        rpc.serve(transport, Odd(), topic="odd"),
    ):
        with pytest.raises(RemoteError):
            await rpc.Client(transport, topic="odd").call("give")
    assert attributes(side.span(SpanKind.SERVER, "odd/give"))["error.type"] == "unencodable"
    assert attributes(side.span(SpanKind.CLIENT, "odd/give"))["error.type"] == "remote"


async def test_a_call_that_nobody_answers_ends_with_its_reason(broker: str) -> None:
    """Its span lasts until the caller gives up, and says why; the handler's was cancelled."""
    side = Side()

    class Slow:
        async def wait(self) -> None:
            await asyncio.sleep(100)

    async with (
        Transport.connect(broker, observers=[side.observer]) as transport,
        rpc.serve(transport, Slow(), topic="slow", drain=0),
    ):
        with pytest.raises(DeadlineExceeded):
            await rpc.Client(transport, topic="slow", timeout=2).call("wait")
    sent = side.span(SpanKind.CLIENT, "slow/wait")
    assert attributes(sent)["error.type"] == "deadline-exceeded"
    assert attributes(side.span(SpanKind.SERVER, "slow/wait"))["error.type"] == "cancelled"
    assert side.number("bedplate.work.active") == 0


async def test_a_call_sent_again_is_one_span(broker: str) -> None:
    """The link dies with the reply; the request goes out twice, with the trace of the one call."""
    side = Side()
    seen: list[str] = []

    class Slow:
        async def wait(self) -> int:
            seen.append(format(trace.get_current_span().get_span_context().trace_id, "032x"))
            await asyncio.sleep(5)
            return len(seen)

    policy = TransportPolicy(recovery=RecoveryPolicy(backoff=Backoff(0.1, 2.0, 0.2)))
    memory = memory_broker(TransportUrl(broker).hosts[0].name)
    async with (
        Transport.connect(broker, observers=[side.observer], policy=policy) as transport,
        Transport.connect(broker, observers=[side.observer], policy=policy) as server,
        rpc.serve(server, Slow(), topic="slow"),
    ):
        client = rpc.Client(transport, topic="slow", timeout=30, repeats=True)
        call = asyncio.create_task(client.call("wait"))
        await asyncio.sleep(1)
        memory.cut()
        assert await call == 1
        assert transport.statistics().reconnects == 1
    sent = side.span(SpanKind.CLIENT, "slow/wait")
    assert side.number("bedplate.messages.sent", **{"bedplate.kind": "call"}) == 2
    assert seen == [format(sent.context.trace_id, "032x")]
    assert parent(side.span(SpanKind.SERVER, "slow/wait")) == identity(sent)


async def test_interceptors_of_a_server_run_inside_its_span(broker: str) -> None:
    """What they send themselves belongs to the request's trace."""
    side = Side()
    seen: list[int] = []

    async def watch(_: rpc.Context, proceed: rpc.Proceed) -> object:
        seen.append(trace.get_current_span().get_span_context().span_id)
        return await proceed()

    store = Store()
    async with (
        Transport.connect(broker, observers=[side.observer]) as transport,
        rpc.serve(transport, store, topic="store", interceptors=[watch]),
    ):
        await rpc.Client(transport, topic="store").call("take", item="bolt")
    inside = side.span(SpanKind.SERVER, "store/take").context.span_id
    assert seen == store.seen == [inside]


@pytest.mark.parametrize("verb", ["cast", "fanout"])
async def test_casts_are_handled_as_children_with_a_link(verb: str, broker: str) -> None:
    """What nobody waits for is a producer's span, and a consumer's that is linked to it."""
    here, there = Side(), Side()
    async with (
        Transport.connect(broker, observers=[here.observer]) as caller,
        Transport.connect(broker, observers=[there.observer]) as server,
    ):
        stock = Stock(server)
        async with rpc.serve(server, stock, topic="stock"):
            await getattr(rpc.Client(caller, topic="stock"), verb)("note", item="bolt")
            await asyncio.sleep(1)
    sent = here.span(SpanKind.PRODUCER, f"{verb} stock")
    handled = there.span(SpanKind.CONSUMER, "process stock")
    assert parent(sent) is None
    assert parent(handled) == identity(sent)
    assert links(handled) == [identity(sent)]
    assert stock.seen == [handled.context.span_id]
    assert attributes(sent)["messaging.operation.type"] == "send"
    assert attributes(handled)["messaging.operation.type"] == "process"
    assert attributes(handled)["rpc.method"] == "stock/note"


async def test_notifications_are_traced_to_every_pool(broker: str) -> None:
    """Each listener's handler, async or plain, is a child of the one span that told it."""
    here, there = Side(), Side()
    seen: list[int] = []

    async def hear(_: notify.Notification) -> None:
        seen.append(trace.get_current_span().get_span_context().span_id)

    def plain(_: notify.Notification) -> None:
        seen.append(trace.get_current_span().get_span_context().span_id)

    async with (
        Transport.connect(broker, observers=[here.observer]) as publisher,
        Transport.connect(broker, observers=[there.observer]) as listener,
        notify.listen(listener, hear, pool="one", priorities=("info",)),
        notify.listen(listener, plain, pool="two", priorities=("info",)),
    ):
        event = await notify.Notifier(publisher, "inventory.h1").info("item.created", {"a": 1})
        await asyncio.sleep(1)
    sent = here.span(SpanKind.PRODUCER, "notify notifications.info")
    assert attributes(sent)["bedplate.event_type"] == "item.created"
    assert attributes(sent)["messaging.message.id"] == event
    handled = [each for each in there.spans if each.kind is SpanKind.CONSUMER]
    assert [parent(each) for each in handled] == [identity(sent)] * 2
    assert {attributes(each)["messaging.consumer.group.name"] for each in handled} == {"one", "two"}
    assert sorted(seen) == sorted(each.context.span_id for each in handled)


async def test_plain_messages_are_traced_by_saying_what_their_handling_is(broker: str) -> None:
    """Inside ``with delivery.handling()`` the message's span is current, and not afterwards."""
    here, there = Side(), Side()
    async with (
        Transport.connect(broker, observers=[here.observer]) as sender,
        Transport.connect(broker, observers=[there.observer]) as receiver,
        receiver.subscribe(ORDERS) as orders,
        receiver.subscribe(Address.topic("further")) as further,
    ):
        await sender.publish(ORDERS, Message(b"1"))
        order = await anext(orders)
        with order.handling():
            await receiver.publish(Address.topic("further"), Message(b"2"))
        assert not trace.get_current_span().get_span_context().is_valid
        await order.ack()
        second = await anext(further)
        with pytest.raises(KeyError), second.handling():
            raise KeyError
    sent = here.span(SpanKind.PRODUCER, "publish orders")
    handled = there.span(SpanKind.CONSUMER, "process orders")
    passed_on = there.span(SpanKind.PRODUCER, "publish further")
    assert parent(handled) == identity(sent)
    assert parent(passed_on) == identity(handled)
    last = there.span(SpanKind.CONSUMER, "process further")
    assert parent(last) == identity(passed_on)
    assert attributes(last)["error.type"] == "KeyError"


async def test_a_message_that_brings_a_trace_keeps_it(broker: str) -> None:
    """What is passed on with its headers stays in its trace; the sending is linked to that."""
    side = Side()
    brought = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    async with (
        Transport.connect(broker, observers=[side.observer]) as transport,
        transport.subscribe(ORDERS) as orders,
    ):
        await transport.publish(ORDERS, Message(b"1", {"traceparent": brought}))
        order = await anext(orders)
        assert order.headers["traceparent"] == brought
        with order.handling():
            pass
    there = (0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331)
    assert links(side.span(SpanKind.PRODUCER, "publish orders")) == [there]
    assert parent(side.span(SpanKind.CONSUMER, "process orders")) == there


async def test_what_was_current_when_a_server_began_is_nobodys_parent(broker: str) -> None:
    """A request without trace begins one, however long ago the server was started in a span."""
    side = Side()
    async with (
        Transport.connect(broker) as caller,
        Transport.connect(broker, observers=[side.observer]) as server,
    ):
        with side.tracers.get_tracer("application").start_as_current_span("start"):
            serving = rpc.serve(server, Store(), topic="store")
            await serving.__aenter__()
        await rpc.Client(caller, topic="store").call("take", item="bolt")
        await serving.aclose()
    assert parent(side.span(SpanKind.SERVER, "store/take")) is None


async def test_without_providers_the_trace_passes_through(broker: str) -> None:
    """Where no provider is set up, nothing is recorded and a caller's trace still goes on."""
    side, silent = Side(), OpenTelemetryObserver()
    async with (
        Transport.connect(broker, observers=[side.observer]) as outer,
        Transport.connect(broker, observers=[silent]) as middle,
        rpc.serve(middle, Stock(middle), topic="stock"),
        rpc.serve(outer, Store(), topic="store"),
    ):
        await rpc.Client(outer, topic="stock").call("reserve", item="bolt")
    assert parent(side.span(SpanKind.SERVER, "store/take")) == identity(
        side.span(SpanKind.CLIENT, "stock/reserve")
    )


async def test_baggage_stays_at_home_unless_asked(broker: str) -> None:
    """By default trace context alone is sent; with a propagator of one's own, what that writes."""
    side = Side()
    both = OpenTelemetryObserver(
        tracer_provider=side.tracers,
        propagator=CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator()]),
    )
    for observer, expected in ((side.observer, False), (both, True)):
        async with (
            Transport.connect(broker, observers=[observer]) as transport,
            transport.subscribe(ORDERS) as orders,
        ):
            token = context.attach(baggage.set_baggage("customer", "k17"))
            await transport.publish(ORDERS, Message(b"1"))
            context.detach(token)
            order = await anext(orders)
            assert ("baggage" in order.headers) is expected
            await order.ack()
            with order.handling():
                assert baggage.get_baggage("customer") == ("k17" if expected else None)


class Broken(SpanExporter):
    """An exporter with a bug."""

    def export(self, spans: object) -> SpanExportResult:  # noqa: ARG002 - the port's
        raise RuntimeError("an exporter with a bug")


class BrokenProcessor(SimpleSpanProcessor):
    """A span processor with a bug: what it raises comes out of OpenTelemetry."""

    def on_end(self, span: ReadableSpan) -> None:  # noqa: ARG002 - the port's
        raise RuntimeError("a processor with a bug")


@pytest.mark.parametrize("processor", [SimpleSpanProcessor, BrokenProcessor])
async def test_what_breaks_in_telemetry_harms_no_call(
    processor: type[SimpleSpanProcessor], caplog: pytest.LogCaptureFixture, broker: str
) -> None:
    """Calls, casts and notifications go on with a broken exporter; it is told in the log."""
    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(processor(Broken()))
    observer = OpenTelemetryObserver(tracer_provider=tracers)
    async with (
        Transport.connect(broker, observers=[observer]) as transport,
        rpc.serve(transport, Store(), topic="store"),
    ):
        client = rpc.Client(transport, topic="store")
        for _ in range(3):
            assert await client.call("take", item="bolt") == "bolt"
            await client.cast("take", item="bolt")
            await notify.Notifier(transport, "me").info("item.created")
    assert "bug" in caplog.text


HOSTILE = st.one_of(
    st.text(max_size=300),
    st.binary(max_size=300),
    st.integers(),
    st.none(),
    st.booleans(),
    st.just("00-" + "f" * 100_000),
    st.just("00-" + "0" * 32 + "-" + "0" * 16 + "-01"),
    st.just("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
)


@given(traceparent=HOSTILE, tracestate=HOSTILE)
def test_hostile_trace_headers_are_ignored(
    traceparent: str | bytes | int | None, tracestate: str | bytes | int | None
) -> None:
    """Whatever a peer writes there, the handling is traced and begins a trace of its own."""
    side = Side()
    headers = {"traceparent": traceparent, "tracestate": tracestate}
    side.observer.begun(Work(verb="call", address=ORDERS, handling=True, headers=headers)).ended(
        None
    )
    (span,) = side.spans
    assert span.parent is None


@given(text=st.text(st.characters(), max_size=20), times=st.sampled_from([1, 100]))
def test_what_peers_write_can_be_exported(text: str, times: int) -> None:
    """Ids and types of events are bounded and proper text, whatever bytes they came from."""
    side = Side()
    told = text * times + "\udcff"
    for handling in (False, True):
        work = Work(
            verb="notify",
            address=ORDERS,
            handling=handling,
            name=told,
            id=told,
            correlation_id=told,
        )
        side.observer.begun(work).ended(None)
    for span in side.spans:
        for value in attributes(span).values():
            assert len(str(value)) <= 256
            str(value).encode()
        assert span.name in ("notify orders", "process orders")


def test_an_endless_tracestate_is_not_carried_on() -> None:
    """A good traceparent beside a tracestate of a megabyte is used without it."""
    side = Side()
    headers = {
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "tracestate": ",".join(f"k{number}=v" for number in range(200_000)),
    }
    side.observer.begun(Work(verb="cast", address=ORDERS, handling=True, headers=headers)).ended(
        None
    )
    (span,) = side.spans
    assert span.parent is not None
    assert not span.context.trace_state


async def test_what_expires_is_seen_in_the_trace_of_its_sender(broker: str) -> None:
    """A cast that no worker was free for in time has a span that says so."""
    side = Side()

    class Busy:
        async def wait(self, seconds: float) -> None:
            await asyncio.sleep(seconds)

    async with (
        Transport.connect(broker, observers=[side.observer]) as transport,
        rpc.serve(transport, Busy(), topic="busy", workers=1),
    ):
        client = rpc.Client(transport, topic="busy")
        slow = asyncio.create_task(client.call("wait", seconds=10))
        await asyncio.sleep(0.1)
        await client.with_(ttl=2).cast("wait", seconds=0)
        await slow
    expired = side.span(SpanKind.CONSUMER, "expire busy")
    assert parent(expired) == identity(side.span(SpanKind.PRODUCER, "cast busy"))
    assert attributes(expired)["error.type"] == "expired"
    assert side.number("bedplate.messages.expired", **{"bedplate.kind": "cast"}) == 1


async def test_metrics_are_counted_and_timed(broker: str) -> None:
    """Durations are histograms in seconds with the conventions' names and attributes."""
    side = Side()
    async with (
        Transport.connect(broker, observers=[side.observer]) as transport,
        rpc.serve(transport, Store(), topic="store"),
    ):
        client = rpc.Client(transport, topic="store")
        for _ in range(3):
            await client.call("take", item="bolt")
        with pytest.raises(RemoteError):
            await client.call("fail", item="bolt")
        await client.cast("take", item="bolt")
        await asyncio.sleep(1)
        assert side.number("bedplate.links") >= 1
    for name, counts in {
        "rpc.client.call.duration": {"store/take": 3, "store/fail": 1},
        "rpc.server.call.duration": {"store/take": 3, "store/fail": 1},
    }.items():
        found = {
            (point.attributes or {})["rpc.method"]: point.count
            for point in side.points(name)
            if isinstance(point, HistogramDataPoint)
        }
        assert found == counts
    for name in ("messaging.client.operation.duration", "messaging.process.duration"):
        (point,) = side.points(name)
        assert isinstance(point, HistogramDataPoint)
        assert point.count == 1
        assert (point.attributes or {})["messaging.destination.name"] == "store"
    assert side.number("bedplate.messages.sent", **{"bedplate.kind": "call"}) == 4
    assert side.number("bedplate.messages.received", **{"bedplate.kind": "fault"}) == 1
    assert side.number("bedplate.work.active") == 0
    assert side.number("bedplate.links") == 0


def test_each_event_has_its_metric() -> None:
    """Redelivered, expired and parked messages and links are counted by what they are."""
    side = Side()
    side.observer.sent(Sent(ORDERS, "1", "call"))
    side.observer.received(Received(ORDERS, "1", "invented", redelivered=True))
    side.observer.given_up(GivenUp(ORDERS, "1", "cast", verdict="park"))
    side.observer.given_up(GivenUp(ORDERS, "1", "cast", verdict="expired"))
    side.observer.given_up(GivenUp(ORDERS, "1", "cast", verdict="duplicate"))
    side.observer.opened(Opened("talk", "host", 1))
    side.observer.opened(Opened("listen", "host", 1))
    side.observer.closed(Closed("listen", "host", 1, "cut."))
    assert side.number("bedplate.messages.redelivered", **{"bedplate.kind": "other"}) == 1
    assert side.number("bedplate.messages.parked", **{"bedplate.kind": "cast"}) == 1
    assert side.number("bedplate.messages.expired", **{"bedplate.kind": "cast"}) == 1
    assert side.number("bedplate.links") == 1
    assert side.number("bedplate.links.opened") == 2
    assert side.spans == ()


def test_messaging_never_imports_opentelemetry() -> None:
    """Neither it nor Prometheus is loaded by whoever only sends messages."""
    program = (
        "import sys, bedplate, bedplate.messaging.rpc, bedplate.messaging.notify, bedplate.service;"
        "sys.exit(any(name.partition('.')[0] in ('opentelemetry', 'prometheus_client')"
        " for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


async def test_a_handled_call_leaves_nothing_to_the_garbage_collector(broker: str) -> None:
    """Neither its turn nor its span is part of a cycle: both go when it ends."""
    side = Side()
    async with (
        Transport.connect(broker, observers=[side.observer]) as transport,
        rpc.serve(transport, Stock(transport), topic="stock"),
    ):
        client = rpc.Client(transport, topic="stock")
        await client.call("note", item="bolt")
        gc.collect()
        gc.disable()
        try:
            for _ in range(10):
                await client.call("note", item="bolt")
            assert gc.collect() < 10
        finally:
            gc.enable()
