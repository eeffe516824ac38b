"""What a call costs over RabbitMQ: client, server and broker are three processes.

Uses the node named by ``RABBITMQ_URL``, or starts a private one. Where there is no RabbitMQ there
is nothing to measure, and the table says so.
"""

import asyncio
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benches.measuring import Measurement

from bedplate._floor.build import is_compiled
from bedplate.messaging import Address, Message, Transport, rpc
from bedplate.messaging.types import Entity, Topology
from bedplate.testing.brokers import RabbitNode

__all__ = ["measure"]

IN_FLIGHT = 64
_SBIN = "/usr/sbin:/usr/local/sbin"
_RESIDENT = """
def resident():
    with open("/proc/self/smaps_rollup") as lines:
        print(next(1024 * int(line.split()[1]) for line in lines if line.startswith("Rss:")))
"""
_BARE = "import asyncio, msgspec; resident()"
_CLIENT = """
import asyncio, sys
from bedplate.messaging import Transport, rpc
async def main():
    async with Transport.connect(sys.argv[1], timeout=10) as transport:
        await rpc.Client(transport, topic="bench-echo", version="1.0").call("echo", text="hello")
        await asyncio.sleep(0.5)
        resident()
asyncio.run(main())
"""


class Echo(rpc.Interface, topic="bench-echo", version="1.0"):
    """The least a server can do."""

    async def echo(self, text: str) -> str:
        """Return what it was given."""
        raise NotImplementedError

    async def spent(self) -> float:
        """Return the seconds of processor time the server has used."""
        raise NotImplementedError


class EchoService(Echo):
    """Implements it."""

    async def echo(self, text: str) -> str:
        """Return what it was given."""
        return text

    async def spent(self) -> float:
        """Return the seconds of processor time the server has used."""
        return _spent()


def measure(size: float = 1.0) -> list[Measurement]:
    """Measure calls and confirmed publishes."""
    path = f"{os.environ.get('PATH', os.defpath)}:{_SBIN}"
    if not os.environ.get("RABBITMQ_URL") and not shutil.which("rabbitmq-server", path=path):
        return [Measurement("nothing: no RabbitMQ is installed", 0, "")]
    with RabbitNode() as node:
        url = node.url()
        with _server(url):
            figures = asyncio.run(_measure(url, max(64, int(20_000 * size))))
            return [*figures, *_idle(url)]


async def _measure(url: str, calls: int) -> list[Measurement]:
    async with Transport.connect(url, timeout=10) as transport:
        echo = rpc.client(transport, Echo, timeout=30)
        await echo.with_(wait_for_target=20).echo("there?")
        await _many(echo, calls // 10)
        one = await _sequential(echo, calls // 10)
        here, there = _spent(), await echo.spent()
        rates = [await _many(echo, calls) for _ in range(3)]
        here, there = _spent() - here, await echo.spent() - there
        each = 1e6 / (3 * calls)
        published = await _publish(transport, calls)
    return [
        Measurement("echo call, one after another, median", one * 1e6, "µs"),
        Measurement(
            f"echo calls, {IN_FLIGHT} in flight",
            statistics.median(rates),
            "calls/s",
            f"processor time a call: client {here * each:.0f} µs, server {there * each:.0f} µs",
        ),
        Measurement(f"confirmed publishes, {IN_FLIGHT} in flight", published, "messages/s"),
    ]


def _idle(url: str) -> list[Measurement]:
    """Measure what a process holds that is connected and has made one call.

    As plain Python, which is what agents with little memory use, and compiled where that is what is
    measured here.
    """
    with tempfile.TemporaryDirectory(prefix="bedplate-bench-") as cache:
        here = {**os.environ, "PYTHONPYCACHEPREFIX": cache}
        here.pop("PYTHONDONTWRITEBYTECODE", None)
        plain = {name: value for name, value in here.items() if name != "PYTHONPATH"}

        def resident(code: str, environment: dict[str, str]) -> int:
            command = (sys.executable, "-c", _RESIDENT + code, url)
            for _ in range(2):  # the first compiles, and that takes memory
                done = subprocess.run(command, env=environment, check=True, capture_output=True)
            return int(done.stdout)

        bare = resident(_BARE, plain)
        held = {"plain Python": resident(_CLIENT, plain)}
        if is_compiled():
            held["compiled"] = resident(_CLIENT, here)
    return [
        Measurement(
            f"idle client, {build}, over import asyncio, msgspec",
            (client - bare) / 1e6,
            "MB",
            f"resident {client / 1e6:.1f} MB, after one call",
        )
        for build, client in held.items()
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


async def _publish(transport: Transport, messages: int) -> float:
    place = Address.topic("bench-publish")
    await transport.declare(Topology((Entity(place, expires=60.0),)))
    waiting = iter(range(messages))

    async def publisher() -> None:
        for _ in waiting:
            await transport.publish(place, Message(b"hello", ttl=60.0, persistent=False))

    start = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(IN_FLIGHT):
            group.create_task(publisher())
    return messages / (time.perf_counter() - start)


def _spent() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


@contextmanager
def _server(url: str) -> Iterator[None]:
    environment = {**os.environ, "BENCH_URL": url}
    command = [sys.executable, "-m", "benches.rabbit"]
    process = subprocess.Popen(command, env=environment)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


async def _serve() -> None:
    async with (
        Transport.connect(os.environ["BENCH_URL"], timeout=10) as transport,
        rpc.serve(transport, EchoService(), workers=IN_FLIGHT),
    ):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve())
