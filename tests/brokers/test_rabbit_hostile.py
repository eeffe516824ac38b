"""What strangers may send to ``bedplate rpc echo`` over a real RabbitMQ, and that it stays well."""

import asyncio
import gzip
import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import pytest

from bedplate.amqp091 import (
    Confirmed,
    Connection,
    Event,
    FieldTable,
    Got,
    GotNothing,
    Opened,
    Plain,
    Properties,
    QueueDeclared,
)
from bedplate.messaging import Transport, TransportUrl, rpc
from bedplate.testing.brokers import RabbitNode

pytestmark = [pytest.mark.needs("rabbit"), pytest.mark.usefixtures("real_time")]

E = TypeVar("E")

MB = 1 << 20
BOMB = gzip.compress(b" " * (16 * MB)) * 64
"""A gigabyte, as soon as somebody unpacks it; a megabyte until then."""
TOPIC = "hostile"
ECHO: FieldTable = {"bedplate-method": "echo"}


class Stranger:
    """A client that sends whatever it is told to, one message at a time."""

    def __init__(self, url: str) -> None:
        parsed = TransportUrl(url)
        (host,) = parsed.hosts
        assert host.port is not None
        self._socket = socket.create_connection((host.name, host.port), 10)
        self._engine = Connection(
            [Plain(host.user or "", host.password or "")],
            now=time.monotonic(),
            vhost=parsed.vhost,
        )
        self._events: list[Event] = []
        self._wait(Opened)
        self._channel = self._engine.open_channel()
        self._channel.confirm_select()
        self._channel.queue_declare("", exclusive=True)
        self.replies = self._wait(QueueDeclared).queue

    def send(
        self,
        body: bytes,
        headers: FieldTable = ECHO,
        *,
        kind: str | None = "call",
        call: str = "1",
        encoding: str | None = None,
    ) -> None:
        """Send a message and wait until the broker has it."""
        properties = Properties(
            content_type="application/json",
            content_encoding=encoding,
            headers=headers,
            correlation_id=call,
            reply_to=self.replies,
            type=kind,
        )
        self._channel.publish("amq.direct", f"default/{TOPIC}", body, properties, mandatory=True)
        assert self._wait(Confirmed)

    def reply(self) -> tuple[str | None, object]:
        """Return kind and value of the next answer."""
        until = time.monotonic() + 10
        while time.monotonic() < until:
            self._channel.get(self.replies, no_ack=True)
            got = self._wait(Got, GotNothing)
            if isinstance(got, Got):
                return got.properties().type, json.loads(got.body)
        raise AssertionError("no answer came")

    def _wait(self, *kinds: type[E]) -> E:
        while True:
            self._socket.sendall(self._engine.take_outgoing(time.monotonic()))
            for at, event in enumerate(self._events):
                if isinstance(event, kinds):
                    del self._events[: at + 1]
                    return event
            received = self._socket.recv(65536)
            assert received, "the broker hung up"
            self._events += self._engine.receive(received, time.monotonic())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()


class Served:
    """An echo server in a process of its own, and a client of it."""

    def __init__(self, client: rpc.Client, process: int) -> None:
        self.client, self._process = client, process

    async def counts(self) -> Mapping[str, int]:
        """Return its statistics."""
        counts = await self.client.call("stats")
        assert isinstance(counts, dict)
        return counts

    async def until(self, met: Callable[[Mapping[str, int]], bool]) -> Mapping[str, int]:
        """Return its statistics once they are so; nothing tells when they change."""
        async with asyncio.timeout(10):
            while not met(counts := await self.counts()):
                pass
        return counts

    async def well(self) -> bool:
        """Say whether it answers as if nothing had been."""
        return await self.client.call("echo", a=1) == {"a": 1}

    def peak(self) -> int:
        """Return the most memory that it ever held, in bytes."""
        (most,) = re.findall(
            r"VmHWM:\s+(\d+) kB", Path(f"/proc/{self._process}/status").read_text()
        )
        return int(most) * 1024


@pytest.fixture(scope="module")
def url(rabbit: RabbitNode, vhost: str) -> str:
    """Name the module's own virtual host."""
    return rabbit.url(vhost)


@pytest.fixture(scope="module")
def process(url: str) -> Iterator[int]:
    """Run one server for all tests: what one sends must not spoil it for the next."""
    command = (sys.executable, "-m", "bedplate.cli", "rpc", "echo", url, TOPIC)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as running:
        try:
            assert running.stdout is not None
            assert running.stdout.readline() == "ready\n"
            yield running.pid
        finally:
            running.kill()


@pytest.fixture
async def served(url: str, process: int) -> AsyncIterator[Served]:
    """Lend the server and a client of it."""
    async with Transport.connect(url) as transport:
        yield Served(rpc.Client(transport, topic=TOPIC, timeout=10), process)


@pytest.fixture
def stranger(url: str) -> Iterator[Stranger]:
    """Lend a client that keeps to no envelope."""
    with Stranger(url) as stranger:
        yield stranger


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (b"", None),
        (b"\xff\xfe", None),
        (b"{", None),
        (b"not JSON", None),
        (b"[1, 2]", None),
        (b"null", None),
        (b'{"a": 1} {"b": 2}', None),
        (b'{"a": NaN}', None),
        (b'{"a": "\xed\xa0\x80"}', None),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, None),
        (b'{"a":' + b"[" * 10_000 + b"]" * 10_000 + b"}", None),
        (b"[" * MB, None),
        (BOMB, "gzip"),
        (BOMB, None),
        (b'{"a":"' + b"x" * (20 * MB) + b'"}', None),
    ],
    ids=[
        *("nothing", "not UTF-8", "half", "words", "array", "null", "two", "NaN", "surrogate"),
        *("deep objects", "deep arrays", "a million brackets", "bomb", "bomb in disguise"),
        "twenty megabytes",
    ],
)
async def test_a_hostile_body_is_refused_counted_and_answered(
    served: Served, stranger: Stranger, body: bytes, encoding: str | None
) -> None:
    """The caller gets a fault, one count rises by one, and the server answers the next call."""
    before = await served.counts()
    stranger.send(body, encoding=encoding)
    kind, fault = stranger.reply()
    assert kind == "fault"
    assert isinstance(fault, dict)
    assert fault["code"] in ("bad-arguments", "malformed-message")
    after = await served.counts()
    assert after["refused"] + after["malformed"] == before["refused"] + before["malformed"] + 1
    assert await served.well()
    assert served.peak() < 300 * MB


@pytest.mark.parametrize(
    ("kind", "headers", "call"),
    [
        (None, ECHO, "1"),
        ("bogus", ECHO, "1"),
        ("x" * 255, ECHO, "1"),
        ("reply", ECHO, "1"),
        ("beat", ECHO, "1"),
        ("event", ECHO, "1"),
        ("call", {}, "1"),
        ("call", ECHO, ""),
        ("call", {"bedplate-method": 7}, "1"),
        ("call", {"bedplate-method": b"\xff"}, "1"),
        ("call", {"bedplate-method": ["echo"]}, "1"),
        ("call", {**ECHO, "bedplate-heartbeat": "often"}, "1"),
        ("call", {**ECHO, "bedplate-timeout": -1}, "1"),
        ("call", {**ECHO, "bedplate-namespace": {"a": 1}}, "1"),
        ("call", {**ECHO, "bedplate-context": "{"}, "1"),
        ("call", {**ECHO, "bedplate-context": '{"a":' * 1000 + "1" + "}" * 1000}, "1"),
        ("call", {**ECHO, "bedplate-context": "[1]"}, "1"),
        ("cast", {}, "1"),
    ],
)
async def test_a_wrong_envelope_is_a_counted_rejection(
    served: Served,
    stranger: Stranger,
    kind: str | None,
    headers: FieldTable,
    call: str,
) -> None:
    """What is no request, or one that cannot be read, is counted as malformed and nothing runs."""
    before = await served.counts()
    stranger.send(b"{}", headers, kind=kind, call=call)
    after = await served.until(lambda counts: counts["malformed"] > before["malformed"])
    assert after["malformed"] == before["malformed"] + 1
    assert await served.well()


async def test_a_flood_of_rubbish_leaves_room_for_calls(served: Served, stranger: Stranger) -> None:
    """A thousand hostile messages are counted one by one while calls go on."""
    before = await served.counts()
    for number in range(1000):
        stranger.send(b"[" * 1000, kind=("cast", "bogus")[number % 2])
        if number % 250 == 0:
            assert await served.well()
    rejected = before["refused"] + before["malformed"]
    after = await served.until(lambda now: now["refused"] + now["malformed"] >= rejected + 1000)
    assert after["refused"] + after["malformed"] == rejected + 1000
    assert after["running"] == 1  # this very question
