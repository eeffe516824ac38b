"""A walk through one small service: configuration, calls, notifications, health.

Uses only what any program may use; the service is the inventory example, unchanged.
"""

import asyncio
import importlib.util
import logging
import time
import urllib.request
from collections.abc import Awaitable
from pathlib import Path
from types import MappingProxyType, ModuleType

from bedplate.errors import BedplateError, MessagingError, RemoteError
from bedplate.messaging import notify, rpc
from bedplate.service import Service

__all__ = ["main"]

_ENVIRON = MappingProxyType({"INVENTORY_WAREHOUSE__OPENING": "25"})


def main() -> int:
    """Run the tour on a loop of its own and print it. Return 0, or 1 if a step went wrong."""
    # The server logs a handler that raises; here its caller shows it.
    logging.getLogger("bedplate").setLevel(logging.CRITICAL)
    try:
        asyncio.run(_tour())
    except BedplateError as error:
        print(f"The demo ended early. {error}")
        return 1
    return 0


async def _tour() -> None:
    home = _example()
    example = _load(home / "service.py")
    service = Service(
        "inventory",
        [example.Warehouse],
        example.setup,
        argv=(),
        environ=_ENVIRON,
        files=[str(home / "inventory.conf")],
    )
    async with service:
        _show_configuration(service, home)
        received = _Received()
        async with notify.listen(service.notify, received):
            await _make_calls(service)
            await received.wait(2)
        received.show()
        await _show_health(service)
    print("\nStopped: the server drained, the transports closed.")


def _example() -> Path:
    """Return where the example lies: beside this file in a wheel, in the tree of a checkout."""
    here = Path(__file__).resolve()
    places = (here.parent / "inventory", here.parents[3] / "examples" / "inventory")
    return next(place for place in places if (place / "service.py").exists())


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("inventory_service", path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _title(text: str, note: str = "") -> None:
    print(f"\n{text}{f'  ({note})' if note else ''}\n{'-' * len(text)}")


def _show_configuration(service: Service, home: Path) -> None:
    _title("Configuration", f"from {home.name}/inventory.conf and one variable")
    rows = service.config.rows()
    names = max(len(row.key) for row in rows)
    values = max(len(row.value) for row in rows)
    for row in rows:
        origin = str(row.origin).replace(f"{home}/", "")
        print(f"  {row.key:<{names}} = {row.value:<{values}}  {origin}")


async def _make_calls(service: Service) -> None:
    _title("Calls", f"over {service.rpc.url}")
    stock = rpc.Client(service.rpc, topic="stock", version="1.0").with_(timeout=5)
    await _call("reserve 3 bolts", stock.call("reserve", item="bolt", count=3))
    await _call("reserve 2 bolts", stock.call("reserve", item="bolt", count=2))

    # Two recounts keep both workers busy for a second, so the next request outlives its ttl.
    patient = stock.with_(timeout=60, heartbeat=0.3)
    recounts = [
        asyncio.create_task(patient.call("recount", item="bolt", seconds=1.2)) for _ in range(2)
    ]
    await asyncio.sleep(0.1)
    await _call(
        "reserve with ttl 0.2 s, workers busy", stock.with_(ttl=0.2).call("reserve", item="nut")
    )
    await _call("recount, 1.2 s with heartbeat 0.3 s", recounts[0])
    print(f"  {'':<37} {'':<10}  kept alive by {patient.statistics().beats} beats of two recounts")
    await recounts[1]
    await _call("reserve 99 bolts", stock.call("reserve", item="bolt", count=99))
    await _call("a method nobody has", stock.call("reserv", item="bolt"))
    await _call("a target nobody serves", rpc.Client(service.rpc, topic="attic").call("open"))


async def _call(what: str, answer: Awaitable[object]) -> None:
    began = time.perf_counter()
    try:
        outcome = f"-> {await answer!r}"
    except RemoteError as error:
        outcome = f"the server says {error}"
    except MessagingError as error:
        outcome = f"{type(error).__name__}: {error}"
    print(f"  {what:<37} {1000 * (time.perf_counter() - began):7.1f} ms  {outcome}")


class _Received:
    """A listener that keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[notify.Notification] = []
        self._more = asyncio.Event()

    def __call__(self, notification: notify.Notification) -> None:
        self.heard.append(notification)
        self._more.set()

    async def wait(self, count: int) -> None:
        async with asyncio.timeout(5):
            while len(self.heard) < count:
                self._more.clear()
                await self._more.wait()

    def show(self) -> None:
        _title("Notifications", "received from another broker than the calls'")
        for each in self.heard:
            print(f"  {each.priority:<5} {each.event_type:<16} {each.publisher_id}  {each.payload}")


async def _show_health(service: Service) -> None:
    if service.listener is None:
        return
    for page in ("livez", "health"):
        url = f"{service.listener.where}/{page}"
        _title(f"GET {url}")
        print(await asyncio.to_thread(_get, url))


def _get(url: str) -> str:
    request = urllib.request.Request(url, headers={"Accept": "text/plain"})  # noqa: S310 - our own loopback address
    with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310 - see above
        body: bytes = answer.read()
    return "\n".join(f"  {line}" for line in body.decode().splitlines())
