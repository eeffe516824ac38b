"""What a call costs over the memory broker: one after another, and 64 at a time."""

import asyncio
import statistics
import time

from benches.measuring import Measurement

from bedplate.messaging import Transport, rpc

__all__ = ["measure"]

IN_FLIGHT = 64


class Echo(rpc.Interface, topic="echo", version="1.0"):
    """The least a server can do."""

    async def echo(self, text: str) -> str:
        """Return what it was given."""
        return text


def measure(size: float = 1.0) -> list[Measurement]:
    """Measure client, server and broker together, in one process on one loop."""
    return asyncio.run(_measure(max(64, int(20_000 * size))))


async def _measure(calls: int) -> list[Measurement]:
    async with (
        Transport.connect("memory://bench/") as transport,
        rpc.serve(transport, Echo(), workers=IN_FLIGHT),
    ):
        echo = rpc.client(transport, Echo, timeout=30)
        await _many(echo, calls // 10)  # everything is imported and declared by now
        one = await _sequential(echo, calls // 10)
        rates = [await _many(echo, calls) for _ in range(3)]
    return [
        Measurement("echo call, one after another, median", one * 1e6, "µs"),
        Measurement(f"echo calls, {IN_FLIGHT} in flight", statistics.median(rates), "calls/s"),
    ]


async def _sequential(echo: Echo, calls: int) -> float:
    seconds = []
    for _ in range(max(1, calls)):
        start = time.perf_counter()
        await echo.echo("hello")
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


async def _many(echo: Echo, calls: int) -> float:
    waiting = iter(range(calls))

    async def caller() -> None:
        for _ in waiting:
            await echo.echo("hello")

    start = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(IN_FLIGHT):
            group.create_task(caller())
    return calls / (time.perf_counter() - start)
