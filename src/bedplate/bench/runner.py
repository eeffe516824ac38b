"""One side of a contest in a process of its own: a client that calls, or a server that answers.

Run as a program by whatever Python the contestant has, so it uses the standard library alone and
imports nothing of bedplate. It reads one JSON object a line from standard input, the first being
what to run, obeys, and answers each on standard output:

* ``{"do": "calls", "calls", "concurrency", "size", "look"}`` (clients): make so many calls; the
  answer has ``seconds``, ``latencies`` in order of size and ``cpu``, in seconds, and with ``look``
  the ``connections`` and ``threads`` there were half-way through;
* ``{"do": "facts"}``: the answer has ``cpu`` (seconds), ``rss`` (bytes), ``connections``,
  ``threads``.

It leaves at the end of its input. What goes wrong is one answer with ``error``.
"""

import asyncio
import importlib.metadata
import importlib.util
import itertools
import json
import os
import resource
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, suppress
from pathlib import Path
from types import ModuleType
from typing import TypeAlias, TypedDict

__all__ = ["Facts", "Order", "facts", "main", "make_calls", "make_calls_in_threads"]

_AsyncCall: TypeAlias = Callable[[str], Awaitable[str]]
_PlainCall: TypeAlias = Callable[[str], str]
_Answer: TypeAlias = dict[str, object]


class Facts(TypedDict):
    """What a process uses; memory in bytes, processor time in seconds since it began."""

    cpu: float
    rss: int
    connections: int
    threads: int


class Order(TypedDict, total=False):
    """A line of input after the first."""

    do: str
    calls: int
    concurrency: int
    size: int
    look: bool


def main() -> int:
    """Obey standard input until it ends; return the exit status."""
    with os.fdopen(os.dup(1), "w", buffering=1) as out:
        os.dup2(2, 1)  # what libraries print must not be taken for an answer

        def say(**answer: object) -> None:
            out.write(json.dumps(answer) + "\n")

        try:
            setting = json.loads(sys.stdin.readline())
            contestant = _load(Path(setting["contestant"]))
            opened = getattr(contestant, setting["role"])(
                setting["url"], setting["topic"], setting["width"]
            )
            terms: _Answer = {
                "version": importlib.metadata.version(contestant.DISTRIBUTION),
                "build": contestant.BUILD,
                "confirms": contestant.CONFIRMS,
                "acks": contestant.ACKS,
            }
            if hasattr(opened, "__aenter__"):
                asyncio.run(_obey_on_a_loop(opened, say, terms))
            else:
                _obey(opened, say, terms)
        except Exception as error:  # noqa: BLE001 - whatever a library raises is the answer
            say(error=_told(error))
            return 1
    return 0


def _obey(
    opened: AbstractContextManager[_PlainCall], say: Callable[..., None], terms: _Answer
) -> None:
    with opened as call:
        say(**terms)
        for line in sys.stdin:
            order: Order = json.loads(line)
            if order["do"] == "calls":
                say(**make_calls_in_threads(call, order))
            else:
                say(**facts())


async def _obey_on_a_loop(
    opened: AbstractAsyncContextManager[_AsyncCall], say: Callable[..., None], terms: _Answer
) -> None:
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    async with opened as call:
        say(**terms)
        while line := await lines.readline():
            order: Order = json.loads(line)
            if order["do"] == "calls":
                say(**await make_calls(call, order))
            else:
                say(**facts())


async def make_calls(call: _AsyncCall, order: Order) -> _Answer:
    """Make the calls an order asks for from as many tasks, and return how long they took."""
    text = "x" * order["size"]
    record = _Record(order)

    async def caller() -> None:
        for number in record.numbers:
            record.pass_by(number)
            began = time.perf_counter()
            answer = await call(text)
            record.latencies.append(time.perf_counter() - began)
            _check(answer, text)

    record.start()
    tasks = [asyncio.ensure_future(caller()) for _ in range(order["concurrency"])]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
    return record.stop()


def make_calls_in_threads(call: _PlainCall, order: Order) -> _Answer:
    """Make the calls an order asks for from as many threads, and return how long they took."""
    text = "x" * order["size"]
    record = _Record(order)
    trouble: list[Exception] = []

    def caller() -> None:
        try:
            for number in record.numbers:
                record.pass_by(number)
                began = time.perf_counter()
                answer = call(text)
                record.latencies.append(time.perf_counter() - began)
                _check(answer, text)
        except Exception as error:  # noqa: BLE001 - raised below, by the thread that answers
            trouble.append(error)

    threads = [threading.Thread(target=caller) for _ in range(order["concurrency"])]
    record.start()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if trouble:
        raise trouble[0]
    return record.stop()


class _Record:
    """What is written down during a round of calls."""

    def __init__(self, order: Order) -> None:
        self.numbers = iter(range(order["calls"]))
        self.latencies: list[float] = []
        self._half = order["calls"] // 2 if order.get("look") else -1
        self._seen: _Answer = {}
        self._cpu = self._began = 0.0

    def start(self) -> None:
        self._cpu, self._began = _spent(), time.perf_counter()

    def pass_by(self, number: int) -> None:
        """Look around half-way, if that was asked for; it takes a millisecond."""
        if number == self._half:
            now = facts()
            self._seen = {"connections": now["connections"], "threads": now["threads"]}

    def stop(self) -> _Answer:
        seconds, cpu = time.perf_counter() - self._began, _spent() - self._cpu
        return {
            "seconds": seconds,
            "cpu": cpu,
            "latencies": sorted(round(each, 7) for each in self.latencies),
            **self._seen,
        }


def facts() -> Facts:
    """Return what this process uses now. Counts are 0 where there is no ``/proc``."""
    return {
        "cpu": _spent(),
        "rss": _resident(),
        "connections": _connections(),
        "threads": _entries("/proc/self/task"),
    }


def _check(answer: str, text: str) -> None:
    if answer != text:
        raise RuntimeError(f"the echo of {len(text)} characters came back as {answer[:50]!r}")


def _spent() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _resident() -> int:
    with suppress(OSError):
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    return 0


def _entries(folder: str) -> int:
    with suppress(OSError):
        return len(os.listdir(folder))  # noqa: PTH208 - names are all that is wanted
    return 0


def _connections() -> int:
    """Count the established TCP connections of this process."""
    mine: set[str] = set()
    with suppress(OSError):
        for number in os.listdir("/proc/self/fd"):  # noqa: PTH208 - as above
            with suppress(OSError):  # the one of the listing itself is gone by now
                mine.add(os.readlink(f"/proc/self/fd/{number}"))  # noqa: PTH115 - text is wanted
    count = 0
    for table in ("/proc/self/net/tcp", "/proc/self/net/tcp6"):
        with suppress(OSError), Path(table).open() as rows:
            for row in itertools.islice(rows, 1, None):
                fields = row.split()
                count += fields[3] == "01" and f"socket:[{fields[9]}]" in mine
    return count


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python module")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _told(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        return _told(error.exceptions[0])
    return f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    sys.exit(main())
