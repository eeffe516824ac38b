"""One trace over two processes and RabbitMQ, through calls, threads and what nobody waits for."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from uuid import uuid4

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from bedplate.messaging import Address, Transport, notify, rpc
from bedplate.observability.otel import OpenTelemetryObserver
from bedplate.testing.brokers import RabbitNode

pytestmark = [pytest.mark.needs("rabbit"), pytest.mark.usefixtures("real_time")]

SERVER = """
import asyncio, sys
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
from bedplate.messaging import Address, Message, Transport, notify, rpc
from bedplate.observability.otel import OpenTelemetryObserver

url, topic = sys.argv[1:]
told = asyncio.Event()

class Store(rpc.Interface, topic=topic):
    def take(self, item: str) -> str: ...
    def count(self) -> int: ...

class Stock:
    async def reserve(self, item: str) -> object:
        await transport.publish(Address.topic(f"{topic}-orders"), Message(item.encode()))
        return await rpc.Client(transport, topic=topic).call("take", item=item)

    def take(self, item: str) -> str:
        return f"{item} {stub.count()}"

    async def count(self) -> int:
        return 41

async def hear(_: notify.Notification) -> None:
    told.set()

async def main() -> None:
    global transport, stub
    spans = TracerProvider()
    show = ConsoleSpanExporter(formatter=lambda span: span.to_json(indent=None) + "\\n")
    spans.add_span_processor(SimpleSpanProcessor(show))
    observer = OpenTelemetryObserver(tracer_provider=spans)
    async with Transport.connect(url, observers=[observer]) as transport:
        stub = rpc.client(transport, Store)
        async with (
            rpc.serve(transport, Stock(), topic=topic),
            notify.listen(transport, hear, topics=[topic]),
        ):
            print("ready", flush=True)
            await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
            await told.wait()

asyncio.run(main())
"""


class Trace:
    """The spans of two processes, by kind and name: their ids and their parents'."""

    def __init__(self) -> None:
        self.spans: dict[str, tuple[int, int, int | None]] = {}

    def add(self, kind: str, name: str, ids: tuple[int, int], parent: int | None) -> None:
        key = f"{kind} {name}"
        assert key not in self.spans
        self.spans[key] = (*ids, parent)

    def follows(self, child: str, parent: str) -> bool:
        """Whether one span is the other's child, in the same trace."""
        trace, _, above = self.spans[child]
        return (trace, above) == self.spans[parent][:2]


@asynccontextmanager
async def other_process(url: str, topic: str, trace: Trace) -> AsyncIterator[None]:
    """Run the server; when the block ends, let it end and read its spans."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVER, url, topic, stdin=-1, stdout=-1, limit=1 << 20
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            assert await process.stdout.readline() == b"ready\n"
            yield
            lines, _ = await process.communicate(b"")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0
    for line in lines.splitlines():
        span = json.loads(line)
        kind = span["kind"].removeprefix("SpanKind.").lower()
        ids = (int(span["context"]["trace_id"], 16), int(span["context"]["span_id"], 16))
        trace.add(kind, span["name"], ids, int(span["parent_id"] or "0", 16) or None)


async def test_spans_of_two_processes_are_one_trace(rabbit: RabbitNode, vhost: str) -> None:
    """Call, nested call, handler in a thread, blocking call of it, message and notification."""
    url, topic, trace = rabbit.url(vhost), f"traced-{uuid4().hex[:8]}", Trace()
    exporter = InMemorySpanExporter()
    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    observer = OpenTelemetryObserver(tracer_provider=tracers)
    async with (
        other_process(url, topic, trace),
        Transport.connect(url, observers=[observer]) as transport,
        transport.subscribe(Address.topic(f"{topic}-orders")) as orders,
    ):
        client = rpc.Client(transport, topic=topic)
        assert await client.call("reserve", item="bolt") == "bolt 41"
        order = await anext(orders)
        with order.handling():
            await notify.Notifier(transport, "me", topic=topic).info("order.seen")
        await order.ack()
    for span in exporter.get_finished_spans():
        ids = (span.context.trace_id, span.context.span_id)
        above = None if span.parent is None else span.parent.span_id
        trace.add(span.kind.name.lower(), span.name, ids, above)
    calls = (
        f"client {topic}/reserve",
        f"server {topic}/reserve",
        f"client {topic}/take",
        f"server {topic}/take",
        f"client {topic}/count",
        f"server {topic}/count",
    )
    for parent, child in pairwise(calls):
        assert trace.follows(child, parent)
    messages = (
        f"server {topic}/reserve",
        f"producer publish {topic}-orders",
        f"consumer process {topic}-orders",
        f"producer notify {topic}.info",
        f"consumer process {topic}.info",
    )
    for parent, child in pairwise(messages):
        assert trace.follows(child, parent)
    assert trace.spans[f"client {topic}/reserve"][2] is None
