"""What observers add to a call over the memory broker: caller and server together, on one loop.

Every round takes all contestants one after the other, so that a slow minute slows them all.
"""

import asyncio
import statistics
import time
from collections.abc import Sequence

from benches.measuring import Measurement
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased, Sampler, TraceIdRatioBased
from prometheus_client import CollectorRegistry

from bedplate.messaging import Observer, Transport, rpc
from bedplate.observability.otel import OpenTelemetryObserver
from bedplate.observability.prometheus import PrometheusObserver

__all__ = ["measure"]

IN_FLIGHT = 64
ROUNDS = 5


class Echo(rpc.Interface, topic="echo", version="1.0"):
    """The least a server can do."""

    async def echo(self, text: str) -> str:
        """Return what it was given."""
        return text


class Nowhere(SpanExporter):
    """Takes spans as fast as an exporter can."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Forget them."""
        return SpanExportResult.SUCCESS if spans else SpanExportResult.FAILURE


def measure(size: float = 1.0) -> list[Measurement]:
    """Measure each observer against none, in the same rounds."""
    calls = max(IN_FLIGHT, int(5_000 * size))
    always, rarely = _tracers(ALWAYS_ON), _tracers(ParentBased(TraceIdRatioBased(0.01)))
    meters = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)
    watching: dict[str, list[Observer]] = {
        "nobody": [],
        "prometheus": [PrometheusObserver(CollectorRegistry())],
        "otel, no provider": [OpenTelemetryObserver()],
        "otel, 1 in 100": [OpenTelemetryObserver(tracer_provider=rarely)],
        "otel, every trace": [OpenTelemetryObserver(tracer_provider=always)],
        "otel, metrics": [OpenTelemetryObserver(meter_provider=meters)],
    }
    taken: dict[str, list[float]] = {name: [] for name in watching}
    for _ in range(ROUNDS if size >= 1 else 1):
        for name, observers in watching.items():
            taken[name].append(asyncio.run(_seconds_each(observers, calls)))
    for provider in (always, rarely, meters):
        provider.shutdown()
    each = {name: statistics.median(seconds) * 1e6 for name, seconds in taken.items()}
    nobody = each["nobody"]
    return [
        Measurement(f"echo call, watched by {name}", cost, "µs", f"{cost - nobody:+.0f} µs")
        for name, cost in each.items()
    ]


def _tracers(sampler: Sampler) -> TracerProvider:
    tracers = TracerProvider(sampler, shutdown_on_exit=False)
    # Roomy, because a full queue drops spans, and says so in the log.
    tracers.add_span_processor(BatchSpanProcessor(Nowhere(), max_queue_size=1 << 20))
    return tracers


async def _seconds_each(observers: list[Observer], calls: int) -> float:
    async with (
        Transport.connect("memory://observed-bench/", observers=observers) as transport,
        rpc.serve(transport, Echo(), workers=IN_FLIGHT),
    ):
        echo = rpc.client(transport, Echo, timeout=30)
        await echo.echo("everything is declared by now")
        waiting = iter(range(calls))

        async def caller() -> None:
            for _ in waiting:
                await echo.echo("hello")

        start = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(IN_FLIGHT):
                group.create_task(caller())
        return (time.perf_counter() - start) / calls
