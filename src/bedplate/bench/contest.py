"""The contest: each contestant's server and client in turn, in processes of their own.

Decides what is measured and what the figures mean; what goes on inside a process is `runner`'s, how
a peer comes to this machine `environments`'.
"""

import json
import math
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Self, final

from bedplate.bench.environments import cache_folder, python_with
from bedplate.errors import BenchFailed, ConnectFailed, DeadlineExceeded, InvalidUrl
from bedplate.messaging import RecoveryPolicy, Transport, TransportPolicy, TransportUrl

__all__ = ["PEERS", "Figures", "Load", "compete", "percentile", "reach"]

PEERS = ("oslo.messaging", "aio-pika", "aiormq")
"""Whom bedplate may be compared with."""

_FILES: Mapping[str, str] = MappingProxyType(
    {
        "bedplate": "bedplate_rpc.py",
        "oslo.messaging": "oslo_messaging_rpc.py",
        "aio-pika": "aio_pika_rpc.py",
        "aiormq": "aiormq_rpc.py",
    }
)
_SCHEMES: Mapping[str, str] = MappingProxyType({"aio-pika": "amqp", "aiormq": "amqp"})
_SHARED = ("rabbit", "rabbits")
_HERE = Path(__file__).parent
_REACH_PATIENCE = 5.0
_START_PATIENCE = 60.0
_WARM_AFTER = 0.5  # seconds of calls
_CALL_PATIENCE = 0.1  # seconds a call may take on average before a contestant is given up
_TAIL = 500


@dataclass(frozen=True, slots=True)
class Load:
    """How many ``calls``, how many of them in flight, and how large (bytes) the echoed text is."""

    calls: int = 5000
    concurrency: int = 64
    size: int = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What was measured of one contestant.

    Latencies are in milliseconds, ``*_cpu_us`` is processor time a call in microseconds.
    ``rss_mb`` (10⁶ bytes, after the calls), ``connections`` and ``threads`` (half-way through
    the warming up) are the client's, ``server_*`` the server's. ``confirms`` and ``acks`` say on
    what terms its messages travel, ``build`` what the library itself is made of.
    """

    name: str
    version: str
    calls_per_second: float
    p50_ms: float
    p99_ms: float
    p999_ms: float
    client_cpu_us: float
    server_cpu_us: float
    rss_mb: float
    connections: int
    threads: int
    server_rss_mb: float
    server_connections: int
    server_threads: int
    calls: int
    concurrency: int
    size: int
    build: str
    confirms: str
    acks: str


async def reach(url: str) -> None:
    """Connect to the broker and leave again, so that what is wrong with the URL is said once.

    Takes at most five seconds. Raises `InvalidUrl` also for a broker that two processes cannot
    share, `ConnectFailed` where nobody answers, and what else entering a `Transport` raises.
    """
    parsed = TransportUrl(url)
    if parsed.driver not in _SHARED:
        raise InvalidUrl(
            url=str(parsed),
            why="client and server are processes of their own and meet at a broker; "
            "give a rabbit:// URL.",
        )
    try:
        policy = TransportPolicy(recovery=RecoveryPolicy(give_up=0.0))
        async with Transport.connect(parsed, timeout=_REACH_PATIENCE, policy=policy):
            pass
    except DeadlineExceeded as error:
        if isinstance(error.__cause__, ConnectFailed):  # says why nobody answered
            raise error.__cause__ from None
        raise


def compete(
    url: str, load: Load, peer: str = "bedplate", *, tell: Callable[[str], object]
) -> Figures:
    """Measure one contestant: bedplate itself, or one of `PEERS`.

    Blocks. To warm up, a tenth of the calls is made before, again until that took half a second:
    the quick are not to be measured colder than the slow. ``tell`` hears sentences about what
    takes long. Raises `BenchFailed`.
    """
    address = _address_for(peer, TransportUrl(url))
    if peer == "bedplate":
        command: tuple[str, ...] = (sys.executable, "-P")
    else:
        uv = shutil.which("uv")
        python = python_with(peer, folder=cache_folder(), tell=tell, uv=uv)
        command = (str(python), "-I")
    tell(f"Measuring {peer}: {load.calls} calls, {load.concurrency} in flight.")
    setting = {
        "contestant": str(_HERE / "peers" / _FILES[peer]),
        "url": address,
        "topic": f"bedplate-bench-{secrets.token_hex(4)}",
        "width": load.concurrency,
    }
    passwords = tuple(host.password for host in TransportUrl(url).url.hosts if host.password)
    with (
        _Side(peer, command, {**setting, "role": "server"}, passwords) as server,
        _Side(peer, command, {**setting, "role": "client"}, passwords) as client,
    ):
        return _measured(peer, load, client, server)


def _measured(peer: str, load: Load, client: "_Side", server: "_Side") -> Figures:
    patience = _START_PATIENCE + load.calls * _CALL_PATIENCE
    warming = max(load.concurrency, load.calls // 10)
    order: dict[str, object] = {
        "do": "calls",
        "concurrency": load.concurrency,
        "size": load.size,
    }
    warm = client.ask({**order, "calls": warming, "look": True}, patience)
    spent = warm.number("seconds")
    while spent < _WARM_AFTER:
        spent += client.ask({**order, "calls": warming}, patience).number("seconds")
    before = server.ask({"do": "facts"})
    done = client.ask({**order, "calls": load.calls}, patience)
    after, here = server.ask({"do": "facts"}), client.ask({"do": "facts"})
    return Figures(
        name=peer,
        version=client.terms.text("version"),
        calls_per_second=round(load.calls / done.number("seconds"), 1),
        p50_ms=round(1e3 * percentile(done.numbers("latencies"), 50), 3),
        p99_ms=round(1e3 * percentile(done.numbers("latencies"), 99), 3),
        p999_ms=round(1e3 * percentile(done.numbers("latencies"), 99.9), 3),
        client_cpu_us=round(1e6 * done.number("cpu") / load.calls, 1),
        server_cpu_us=round(1e6 * (after.number("cpu") - before.number("cpu")) / load.calls, 1),
        rss_mb=round(here.number("rss") / 1e6, 1),
        connections=int(warm.number("connections")),
        threads=int(warm.number("threads")),
        server_rss_mb=round(after.number("rss") / 1e6, 1),
        server_connections=int(after.number("connections")),
        server_threads=int(after.number("threads")),
        calls=load.calls,
        concurrency=load.concurrency,
        size=load.size,
        build=client.terms.text("build"),
        confirms=client.terms.text("confirms"),
        acks=client.terms.text("acks"),
    )


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Return the least of these numbers that ``percent`` of them do not exceed."""
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def _address_for(peer: str, url: TransportUrl) -> str:
    """Return the URL as a peer writes it: without options, which are bedplate's own."""
    if peer == "bedplate":
        return url.url.reveal()
    if url.driver != "rabbit":
        raise BenchFailed(
            contestant=peer, why="peers are compared over plain connections; give a rabbit:// URL."
        )
    text = url.url.reveal().partition("#")[0].partition("?")[0]
    _, _, rest = text.partition("://")
    scheme = _SCHEMES.get(peer, "rabbit")
    if scheme == "amqp":  # one host; the first of them is as good as any
        places, slash, vhost = rest.partition("/")
        rest = f"{places.partition(',')[0]}{slash}{vhost}"
    return f"{scheme}://{rest}"


@final
class _Answer:
    """What the other process said, read with the types that are expected."""

    def __init__(self, contestant: str, said: Mapping[str, object]) -> None:
        self._contestant, self._said = contestant, said

    def number(self, name: str) -> float:
        value = self._said.get(name)
        if not isinstance(value, int | float):
            raise self._wrong(name)
        return float(value)

    def numbers(self, name: str) -> list[float]:
        value = self._said.get(name)
        if not isinstance(value, list) or not value:
            raise self._wrong(name)
        return [float(each) for each in value]

    def text(self, name: str) -> str:
        value = self._said.get(name)
        if not isinstance(value, str):
            raise self._wrong(name)
        return value

    def _wrong(self, name: str) -> BenchFailed:
        return BenchFailed(contestant=self._contestant, why=f"it did not answer with {name!r}.")


@final
class _Side:
    """The client's or the server's process: ``with`` it, then ask. It ends with the block."""

    terms: _Answer

    def __init__(
        self,
        contestant: str,
        command: Sequence[str],
        setting: Mapping[str, object],
        passwords: Sequence[str],
    ) -> None:
        self._contestant = contestant
        self._command = (*command, str(_HERE / "runner.py"))
        self._setting, self._passwords = setting, passwords

    def __enter__(self) -> Self:
        self._errors = tempfile.TemporaryFile("w+", errors="replace")
        try:
            self._process = subprocess.Popen(  # noqa: S603 - a Python and a program of ours
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                text=True,
                bufsize=1,
            )
        except OSError as error:
            self._errors.close()
            raise BenchFailed(
                contestant=self._contestant,
                why=f"{self._command[0]} did not start: {error.strerror}.",
            ) from error
        try:
            self.terms = self.ask(self._setting)
        except BaseException:
            self._leave(0.0)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._leave(5.0)

    def ask(self, order: Mapping[str, object], patience: float = _START_PATIENCE) -> _Answer:
        """Send one line and return the answer. Raises `BenchFailed` with what went wrong."""
        late = threading.Timer(patience, self._process.kill)
        late.start()
        try:
            said = self._exchange(json.dumps(order))
        finally:
            late.cancel()
        if not said:
            raise self._failure(
                f"its {self._setting['role']} ended, or was ended after {patience:g} s without "
                f"an answer. {self._tail()}"
            )
        answer: dict[str, object] = json.loads(said)
        if "error" in answer:
            raise self._failure(f"its {self._setting['role']} said {answer['error']}")
        return _Answer(self._contestant, answer)

    def _exchange(self, line: str) -> str:
        if self._process.stdin is None or self._process.stdout is None:
            return ""
        with suppress(BrokenPipeError):  # it is gone; its last words may still be there
            self._process.stdin.write(f"{line}\n")
        return self._process.stdout.readline()

    def _failure(self, why: str) -> BenchFailed:
        for password in self._passwords:
            why = why.replace(password, "****")
        return BenchFailed(contestant=self._contestant, why=why.strip())

    def _tail(self) -> str:
        self._errors.seek(0)
        return self._errors.read()[-_TAIL:]

    def _leave(self, patience: float) -> None:
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.close()
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._errors.close()
