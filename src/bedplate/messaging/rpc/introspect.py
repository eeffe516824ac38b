"""What every server tells of itself, in the namespace ``bedplate``; and asking servers for it.

A server answers ``ping``, ``describe`` and ``stats`` like any other methods. `survey` finds all
who serve a topic, `describe` asks one of them what it serves. Knows no broker.
"""

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable
from typing import TypeVar

import msgspec
from msgspec import Struct

from bedplate._floor.token import token_hex
from bedplate.clock import Deadline
from bedplate.errors import MalformedMessage, MessagingError, ReplyPathLost, TransportError
from bedplate.messaging.delivery import Delivery
from bedplate.messaging.inbox import Inbox
from bedplate.messaging.rpc.client import Client
from bedplate.messaging.rpc.description import Description, described
from bedplate.messaging.rpc.dispatch import Table
from bedplate.messaging.rpc.terms import ServerOptions, ServerStatistics
from bedplate.messaging.transport import Transport
from bedplate.messaging.types import Address, Bounce, Outbound, Want
from bedplate.messaging.wire import native
from bedplate.messaging.wire.request import Request
from bedplate.messaging.wire.values import Fault, Reply

__all__ = ["NAMESPACE", "Found", "Introspection", "Presence", "describe", "stats", "survey"]

T = TypeVar("T")

_log = logging.getLogger("bedplate.messaging.rpc")

NAMESPACE = "bedplate"
"""Where servers answer questions about themselves; not for applications."""

_MOST = 10_000
"""Answers that a survey keeps, whoever sends more."""
_PATIENCE = 0.25
"""Seconds after which a question to one server of a topic is asked of all."""


class Presence(Struct, frozen=True, kw_only=True):
    """Who serves, in a few words.

    ``server`` is empty where the server has no name of its own. ``versions`` are those of its
    interfaces, ``methods`` counts them all. ``uptime`` is in seconds.
    """

    topic: str
    exchange: str = "default"
    server: str = ""
    host: str = ""
    pid: int = 0
    versions: tuple[str, ...] = ()
    methods: int = 0
    uptime: float = 0.0


class Found(Struct, frozen=True, kw_only=True):
    """One answer to a survey, after ``seconds``.

    ``presence`` is None where a server answered with a fault: it is there, and does not say who
    it is. ``fault`` is that fault's code.
    """

    seconds: float
    presence: Presence | None = None
    fault: str = ""


class Introspection:
    """Answers questions about one server; `bedplate.messaging.rpc.serve` adds it to the routes.

    ``now`` gives monotonic seconds.
    """

    def __init__(
        self,
        tables: tuple[Table, ...],
        options: ServerOptions,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tables, self._options, self._now = tables, options, now
        self._since = now()
        self._statistics: Callable[[], ServerStatistics] | None = None
        self._description: Description | None = None

    def _watch(self, statistics: Callable[[], ServerStatistics]) -> None:
        """Learn how to ask the server, which is made after this."""
        self._statistics = statistics

    def ping(self) -> Presence:
        """Say who is here."""
        return Presence(
            topic=self._options.topic,
            exchange=self._options.exchange,
            server=self._options.server or "",
            host=socket.gethostname(),
            pid=os.getpid(),
            versions=tuple(dict.fromkeys(table.written for table in self._tables)),
            methods=sum(len(table.methods) for table in self._tables),
            uptime=self._now() - self._since,
        )

    def describe(self) -> Description:
        """Say what is served: methods, types and documentation."""
        if self._description is None:
            self._description = described(
                self._tables,
                topic=self._options.topic,
                exchange=self._options.exchange,
                server=self._options.server or "",
            )
        return self._description

    def stats(self) -> ServerStatistics | None:
        """Say how the server is doing, this question included."""
        return None if self._statistics is None else self._statistics()


# --- asking -------------------------------------------------------------------------------------


async def describe(
    transport: Transport,
    topic: str,
    *,
    server: str | None = None,
    exchange: str = "default",
    timeout: float = 60.0,  # noqa: ASYNC109 - one deadline covers all stages of a call
) -> Description:
    """Ask one server of a topic what it serves.

    Without ``server`` it is whichever answers first; all are asked where the topic's requests wait
    in line. Raises what `Client.call` raises: `NoSuchMethod` for a server that does not describe
    itself, `MalformedMessage` for an answer that is no description.
    """
    told = await _ask(transport, "describe", topic, server, exchange, timeout)
    return _read(told, Description, "a description")


async def stats(
    transport: Transport,
    topic: str,
    *,
    server: str | None = None,
    exchange: str = "default",
    timeout: float = 60.0,  # noqa: ASYNC109 - one deadline covers all stages of a call
) -> ServerStatistics:
    """Ask one server of a topic how it is doing, this question included.

    Chooses a server and raises like `describe`.
    """
    told = await _ask(transport, "stats", topic, server, exchange, timeout)
    return _read(told, ServerStatistics, "statistics")


async def survey(
    transport: Transport,
    topic: str,
    *,
    exchange: str = "default",
    wait: float = 1.0,
    timeout: float = 60.0,  # noqa: ASYNC109 - for what comes before the wait
) -> tuple[Found, ...]:
    """Ask everybody who serves a topic, and return the answers of the next ``wait`` seconds.

    In the order of their arrival; empty when nobody answered. ``timeout`` (seconds) is for opening
    a private address before. Raises `DeadlineExceeded`, `ReplyPathLost` when the link dies
    meanwhile, `TransportError`.
    """
    answers = _Answers(transport, topic)
    inbox = await transport.inbox(answers)
    try:
        await inbox.ready(Deadline(transport.clock.now(), timeout))
        answers.ask(inbox, "ping", Address.fanout(topic, exchange=exchange), wait)
        await answers.during(wait)
    finally:
        await inbox.aclose()
    return tuple(map(_found, answers.heard))


async def _ask(
    transport: Transport,
    method: str,
    topic: str,
    server: str | None,
    exchange: str,
    timeout: float,  # noqa: ASYNC109 - one deadline covers all stages of a call
) -> object:
    client = Client(
        transport,
        topic=topic,
        exchange=exchange,
        server=server,
        namespace=NAMESPACE,
        timeout=timeout,
    )
    try:
        if server is not None:
            return await client.call(method)
        return await _ask_any(transport, client, method, timeout)
    finally:
        await client.aclose()


async def _ask_any(
    transport: Transport,
    client: Client,
    method: str,
    timeout: float,  # noqa: ASYNC109 - one deadline covers all stages of a call
) -> object:
    # A topic's requests may all be taken, and ours lie in the broker behind many others. What is
    # for everybody has a line of its own.
    deadline = Deadline(transport.clock.now(), timeout)
    one = asyncio.ensure_future(client.call(method))
    everybody: asyncio.Future[Reply | None] | None = None
    try:
        await asyncio.wait((one,), timeout=_PATIENCE)
        if not one.done():
            topic = Address.fanout(client.options.topic, exchange=client.options.exchange)
            everybody = asyncio.ensure_future(_ask_all(transport, method, topic, deadline))
            either: set[asyncio.Future[object] | asyncio.Future[Reply | None]] = {one, everybody}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            reply = everybody.result() if everybody.done() else None
            if reply is not None:
                return native.loads(reply.result, _ANY, "an answer to everybody's question")
        return await one
    finally:
        asked = (one,) if everybody is None else (one, everybody)
        for each in asked:
            each.cancel()
        await asyncio.gather(*asked, return_exceptions=True)


async def _ask_all(
    transport: Transport, method: str, everybody: Address, deadline: Deadline
) -> Reply | None:
    """Ask all servers and return the first reply, or None where they cannot be asked."""
    answers = _Answers(transport, everybody.name, first=True)
    inbox = await transport.inbox(answers)
    try:
        await inbox.ready(deadline)
        left = deadline.remaining(transport.clock.now())
        answers.ask(inbox, method, everybody, left)
        await answers.during(left)
    except MessagingError as error:
        _log.debug("%s could not be asked of all: %s", method, error)  # the one call still counts
    finally:
        await inbox.aclose()
    return next((each for _, each in answers.heard if type(each) is Reply), None)


class _Answers:
    """What came to the inbox of one question to everybody, and when, in seconds after it.

    What cannot be read is None: whoever sent it is there, and speaks differently.
    """

    def __init__(self, transport: Transport, topic: str, *, first: bool = False) -> None:
        """Take notes; with ``first`` it is over with the first reply."""
        self._now = transport.clock.now
        self._topic, self._first = topic, first
        self._call = ""
        self._since = 0.0
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._trouble: ReplyPathLost | None = None
        self.heard: list[tuple[float, Reply | Fault | None]] = []

    def ask(self, inbox: Inbox, method: str, everybody: Address, wait: float) -> None:
        """Send the question. Raises `LinkLost` where there is no link just now."""
        self._call, self._since = f"{inbox.token}.{token_hex(4)}", self._now()
        request = Request(
            self._call, method, reply_to=inbox.address, namespace=NAMESPACE, timeout=wait
        )
        message = native.encode(request)
        inbox.send(
            Outbound(
                everybody,
                message.body,
                self._call,
                Want.NOTHING,
                message.headers,
                message.content_type,
                ttl=wait,
                kind=message.kind,
                correlation_id=message.correlation_id,
                reply_to=message.reply_to,
                persistent=False,
            )
        )

    async def during(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._over
        except TimeoutError:
            return
        if self._trouble is not None:
            raise self._trouble

    def arrived(self, deliveries: list[Delivery]) -> None:
        took = self._now() - self._since
        for delivery in deliveries:
            if delivery.correlation_id != self._call or len(self.heard) >= _MOST:
                continue
            try:
                value = native.decode(delivery)
            except MalformedMessage:
                self.heard.append((took, None))
                continue
            if type(value) is Reply or type(value) is Fault:
                self.heard.append((took, value))
            if type(value) is Reply and self._first:
                self._end()

    def bounced(self, message_id: str, why: Bounce) -> None:
        """Nobody there is an answer too: none."""

    def lost(self, epoch: int, why: TransportError) -> None:  # noqa: ARG002 - the protocol
        if self._call and not self._over.done():
            self._trouble = ReplyPathLost(target=f"everybody on {self._topic}")
            self._trouble.__cause__ = why
            self._end()

    def _end(self) -> None:
        if not self._over.done():
            self._over.set_result(None)


def _found(heard: tuple[float, Reply | Fault | None]) -> Found:
    took, value = heard
    if isinstance(value, Fault):
        return Found(seconds=took, fault=value.code)
    try:
        if value is not None:
            where = "an answer to a survey"
            told = native.loads(value.result, _ANY, where)
            return Found(seconds=took, presence=_read(told, Presence, where))
    except MessagingError as error:
        _log.debug("somebody answered a survey in another way: %s", error)
    return Found(seconds=took, fault=MalformedMessage.code)


_ANY: msgspec.json.Decoder[object] = msgspec.json.Decoder(object)


def _read(value: object, kind: type[T], where: str) -> T:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise MalformedMessage(where=where, why=f"{error}.") from None
