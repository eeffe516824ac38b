"""The other end, for tests: frames as a broker writes them, and a small broker that answers.

Uses the engine's own table of methods in the other direction; `test_against_pamqp.py` holds that
table against an independent one. The broker knows queues, the default exchange, direct bindings,
confirms, mandatory and acks: enough for two ends to talk, and no more.
"""

import struct
from collections import deque
from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import NamedTuple

from bedplate.amqp091 import Connection, Event, Limits, Plain
from bedplate.amqp091.methods import BY_NUMBER, decode_arguments, encode_method
from bedplate.amqp091.spec import METHODS, PROTOCOL

PLAIN_HEAD = b"\0\0"
"""Properties of a message that has none."""


FALSE, TRUE = False, True


def frame(kind: int, channel: int, payload: bytes) -> bytes:
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + b"\xce"


def method(channel: int, name: str, *arguments: object) -> bytes:
    return frame(1, channel, encode_method(name, arguments))


def content(channel: int, body: bytes, head: bytes = PLAIN_HEAD, most: int = 131064) -> bytes:
    """Header and body frames, the body cut at ``most`` bytes."""
    frames = [frame(2, channel, struct.pack(">HHQ", 60, 0, len(body)) + head)]
    frames += [frame(3, channel, body[at : at + most]) for at in range(0, len(body), most)]
    return b"".join(frames)


def delivery(channel: int, tag: int, body: bytes, head: bytes = PLAIN_HEAD) -> bytes:
    start = method(channel, "basic.deliver", "tag", tag, FALSE, "", "queue")
    return start + content(channel, body, head)


GREETING = method(
    0, "connection.start", 0, 9, {"product": "peer"}, b"EXTERNAL AMQPLAIN PLAIN", b"en_US"
)
TUNE = method(0, "connection.tune", 2047, 131072, 60)
OPEN_OK = method(0, "connection.open-ok")
HANDSHAKE = GREETING + TUNE + OPEN_OK
HEARTBEAT = frame(8, 0, b"")


def fresh(limits: Limits = Limits()) -> Connection:  # noqa: B008 - an immutable value
    return Connection([Plain("guest", "guest")], now=0.0, limits=limits)


def opened(limits: Limits = Limits()) -> Connection:  # noqa: B008 - an immutable value
    """Make a connection that has shaken hands and has nothing left to write."""
    connection = fresh(limits)
    connection.receive(HANDSHAKE, 0.0)
    connection.take_outgoing(0.0)
    return connection


class Heard(NamedTuple):
    """One frame of the client: ``name`` is the method's, or header, body, heartbeat."""

    channel: int
    name: str
    values: Sequence[object]


def frames_of(data: bytes) -> list[Heard]:
    """Every whole frame in what a client wrote; the protocol header may stand first."""
    heard = []
    at = len(PROTOCOL) if data.startswith(PROTOCOL) else 0
    while at < len(data):
        kind, channel, size = struct.unpack_from(">BHI", data, at)
        payload = data[at + 7 : at + 7 + size]
        assert data[at + 7 + size] == 0xCE
        at += size + 8
        if kind == 1:
            known = BY_NUMBER[int.from_bytes(payload[:4])]
            assert known.to_server
            heard.append(Heard(channel, known.name, decode_arguments(known, payload, 4, size)))
        else:
            heard.append(Heard(channel, {2: "header", 3: "body", 8: "heartbeat"}[kind], [payload]))
    return heard


class Broker:
    """Answers a client as a broker does. ``heard`` is all that came, ``out`` what to send."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self.out = [GREETING]
        self.queues: dict[str, deque[tuple[bytes, bytes]]] = {}
        self.bindings: dict[tuple[str, str], str] = {}
        self.consumers: dict[str, tuple[int, str]] = {}
        self.confirming: dict[int, int] = {}
        self.tags: dict[int, int] = {}
        self._publish: list[object] = []
        self._head = b""
        self._left = 0
        self._body = b""
        self._most = 0

    def receive(self, data: bytes) -> None:
        for heard in frames_of(data):
            self.heard.append(heard)
            hear = _HEARS.get(heard.name)
            if hear is not None:
                hear(self, heard)
            elif METHODS[heard.name].replies and True not in heard.values[-2:-1]:
                (reply,) = METHODS[heard.name].replies
                self.say(heard.channel, reply)

    def say(self, channel: int, name: str, *arguments: object) -> None:
        self.out.append(method(channel, name, *arguments))

    def on_start_ok(self, _heard: Heard) -> None:
        self.out.append(TUNE)

    def on_tune_ok(self, heard: Heard) -> None:
        _, frame_max, _ = heard.values
        assert isinstance(frame_max, int)
        self._most = frame_max - 8

    def on_ignored(self, _heard: Heard) -> None:
        """Nothing to answer."""

    def on_open(self, _heard: Heard) -> None:
        self.say(0, "connection.open-ok")

    def on_flow(self, heard: Heard) -> None:
        self.say(heard.channel, "channel.flow-ok", *heard.values)

    def on_declare(self, heard: Heard) -> None:
        name = str(heard.values[0]) or f"amq.gen-{len(self.queues)}"
        messages = self.queues.setdefault(name, deque())
        self.say(heard.channel, "queue.declare-ok", name, len(messages), 0)

    def on_bind(self, heard: Heard) -> None:
        queue, exchange, key, *_ = map(str, heard.values)
        self.bindings[exchange, key] = queue
        self.say(heard.channel, "queue.bind-ok")

    def on_purge(self, heard: Heard) -> None:
        messages = self.queues[str(heard.values[0])]
        self.say(heard.channel, "queue.purge-ok", len(messages))
        messages.clear()

    def on_delete(self, heard: Heard) -> None:
        messages = self.queues.pop(str(heard.values[0]))
        self.say(heard.channel, "queue.delete-ok", len(messages))

    def on_consume(self, heard: Heard) -> None:
        queue, tag = map(str, heard.values[:2])
        tag = tag or f"ctag-{len(self.consumers)}"
        self.consumers[queue] = heard.channel, tag
        self.say(heard.channel, "basic.consume-ok", tag)
        self._deliver(queue)

    def on_cancel(self, heard: Heard) -> None:
        tag = str(heard.values[0])
        self.consumers = {q: c for q, c in self.consumers.items() if c[1] != tag}
        self.say(heard.channel, "basic.cancel-ok", tag)

    def on_get(self, heard: Heard) -> None:
        messages = self.queues[str(heard.values[0])]
        if not messages:
            self.say(heard.channel, "basic.get-empty")
            return
        head, body = messages.popleft()
        tag = self._next_tag(heard.channel)
        self.say(heard.channel, "basic.get-ok", tag, FALSE, "", heard.values[0], len(messages))
        self.out.append(content(heard.channel, body, head, self._most))

    def on_confirm(self, heard: Heard) -> None:
        self.confirming[heard.channel] = 0
        if heard.values == [False]:
            self.say(heard.channel, "confirm.select-ok")

    def on_publish(self, heard: Heard) -> None:
        self._publish = list(heard.values)

    def on_header(self, heard: Heard) -> None:
        (payload,) = heard.values
        assert isinstance(payload, bytes)
        self._left = int.from_bytes(payload[4:12])
        self._head, self._body = payload[12:], b""
        if not self._left:
            self._route(heard.channel)

    def on_body(self, heard: Heard) -> None:
        (payload,) = heard.values
        assert isinstance(payload, bytes)
        self._body += payload
        self._left -= len(payload)
        if not self._left:
            self._route(heard.channel)

    def _route(self, channel: int) -> None:
        exchange, key, mandatory, _immediate = self._publish
        queue = self.bindings.get((str(exchange), str(key)), "") if exchange else str(key)
        if queue in self.queues:
            self.queues[queue].append((self._head, self._body))
        elif mandatory:
            self.say(channel, "basic.return", 312, "NO_ROUTE", exchange, key)
            self.out.append(content(channel, self._body, self._head, self._most))
        if channel in self.confirming:
            self.confirming[channel] += 1
            self.say(channel, "basic.ack", self.confirming[channel], FALSE)
        self._deliver(queue)

    def _deliver(self, queue: str) -> None:
        if queue not in self.consumers:
            return
        channel, consumer = self.consumers[queue]
        messages = self.queues[queue]
        while messages:
            head, body = messages.popleft()
            tag = self._next_tag(channel)
            self.say(channel, "basic.deliver", consumer, tag, FALSE, "", queue)
            self.out.append(content(channel, body, head, self._most))

    def _next_tag(self, channel: int) -> int:
        self.tags[channel] = self.tags.get(channel, 0) + 1
        return self.tags[channel]


_HEARS = MappingProxyType[str, Callable[[Broker, Heard], None]](
    {
        "connection.start-ok": Broker.on_start_ok,
        "connection.tune-ok": Broker.on_tune_ok,
        "connection.open": Broker.on_open,
        "connection.close-ok": Broker.on_ignored,
        "channel.close-ok": Broker.on_ignored,
        "channel.flow": Broker.on_flow,
        "queue.declare": Broker.on_declare,
        "queue.bind": Broker.on_bind,
        "queue.purge": Broker.on_purge,
        "queue.delete": Broker.on_delete,
        "basic.consume": Broker.on_consume,
        "basic.cancel": Broker.on_cancel,
        "basic.get": Broker.on_get,
        "basic.publish": Broker.on_publish,
        "basic.ack": Broker.on_ignored,
        "basic.nack": Broker.on_ignored,
        "basic.reject": Broker.on_ignored,
        "basic.recover-async": Broker.on_ignored,
        "confirm.select": Broker.on_confirm,
        "header": Broker.on_header,
        "body": Broker.on_body,
        "heartbeat": Broker.on_ignored,
    }
)


def converse(connection: Connection, broker: Broker) -> list[Event]:
    """Carry bytes between both until neither has any; return what the client was told."""
    events: list[Event] = []
    while connection.has_outgoing or broker.out:
        broker.receive(connection.take_outgoing(0.0))
        out, broker.out = b"".join(broker.out), []
        events += connection.receive(out, 0.0)
    return events
