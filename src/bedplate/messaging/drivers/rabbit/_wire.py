"""One socket and one engine: what comes in is told, what is to go out is written in batches.

Knows the loop and the socket, not what the protocol's events mean.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Sequence
from typing import Final, final

from bedplate.amqp091 import Cause, Closed, Connection, Event, Opened

__all__ = ["Wire"]

_HIGH_WATER: Final = 256 * 1024
"""Bytes waiting for the socket above which flow is closed."""
_BATCH: Final = 8
"""How much may wait for the end of the turn. All of a busy turn in one write would let the peers
idle meanwhile, and us after that: `docs/design/performance.md` has the figures."""

_READ: Final = 64 * 1024
"""How many bytes one read may bring, where the loop lets us say so. Bodies of half a megabyte pass
a sixth quicker than with the loop's own 256 KiB, which costs a block of that size with every read,
and than with 16 KiB; for small messages it makes no difference."""


@final
class Wire(asyncio.Protocol):
    """Joins a transport of the loop to an engine.

    ``opened`` is answered when the handshake is over, one way or the other. After that an owner
    attaches. ``released`` is set when the socket is closed, over TLS a while after the end;
    ``failure`` says of what the socket died, ``heard`` whether it ever brought anything.
    """

    def __init__(self, engine: Connection) -> None:
        self.engine = engine
        self.loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[Opened | Closed] = self.loop.create_future()
        self._tell: Callable[[Sequence[Event]], None] = self._shake_hands
        self._paused: Callable[[bool], None] = _ignore
        self._prepare: Callable[[], None] = _nothing
        self._early: list[Event] = []
        self.released = asyncio.Event()
        self.heard = False
        self.failure: Exception | None = None
        self._socket: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._scheduled = False
        self._waiting = 0

    # --- what its owner asks --------------------------------------------------------------------

    def attach(
        self,
        *,
        tell: Callable[[Sequence[Event]], None],
        paused: Callable[[bool], None],
        prepare: Callable[[], None],
    ) -> None:
        """Belong to an owner, once.

        ``tell`` is handed all events of one read, also those since the handshake, the last ever
        being ``Closed``; ``paused`` hears whether the socket fails to keep up; ``prepare`` is
        called before each write, to add to it.
        """
        self._tell, self._paused, self._prepare = tell, paused, prepare
        if self._early:
            early, self._early = self._early, []
            self.loop.call_soon(tell, early)

    def soon(self) -> None:
        """Write what the engine has to say: at the end of this turn, or when it is a batch."""
        self._waiting += 1
        if self._waiting == _BATCH:
            self._write()
        elif not self._scheduled:
            self._scheduled = True
            self.loop.call_soon(self._end_turn)

    def abort(self) -> None:
        """Drop the connection without a word; the end is told on a later turn."""
        if self._socket is not None:
            self._socket.abort()

    def tune(self, heartbeat: int) -> None:
        """Have the kernel notice a dead peer, too, after two heartbeats."""
        peer = self._socket.get_extra_info("socket") if self._socket is not None else None
        if peer is None:
            return
        wanted = (
            ("SO_KEEPALIVE", socket.SOL_SOCKET, 1),
            ("TCP_KEEPIDLE", socket.IPPROTO_TCP, heartbeat),
            ("TCP_KEEPINTVL", socket.IPPROTO_TCP, max(1, heartbeat // 3)),
            ("TCP_KEEPCNT", socket.IPPROTO_TCP, 3),
            ("TCP_USER_TIMEOUT", socket.IPPROTO_TCP, 2000 * heartbeat),
        )
        for name, level, value in wanted:
            number = getattr(socket, name, None)
            if number is not None:
                # What is not TCP has no such options, and does without.
                with contextlib.suppress(OSError):
                    peer.setsockopt(level, number, value)

    # --- what the loop tells --------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - what the loop promises
        self._socket = transport
        transport.set_write_buffer_limits(high=_HIGH_WATER)
        if hasattr(transport, "max_size"):  # the selector loops' transports for plain sockets
            transport.max_size = _READ
        self._write()

    def data_received(self, data: bytes) -> None:
        """Hand it to the engine and tell what it means."""
        self.heard = True
        self._hear(self.engine.receive(data, self.loop.time()))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the end, if the engine does not know it yet."""
        self.failure = exc
        self._socket = None
        self.released.set()
        self._hear(self.engine.receive_eof())
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def pause_writing(self) -> None:
        """Pass it on."""
        self._paused(True)  # noqa: FBT003 - one thing only can be true

    def resume_writing(self) -> None:
        """Pass it on."""
        self._paused(False)  # noqa: FBT003 - one thing only can be true

    # --- inside ---------------------------------------------------------------------------------

    def _hear(self, events: list[Event]) -> None:
        if events:
            self._tell(events)
            last = events[-1]
            if type(last) is Closed:
                self._finish(last)
                return
        if self.engine.has_outgoing:
            self.soon()
        if self._timer is None:
            due = self.engine.next_timeout()
            if due is not None:
                self._timer = self.loop.call_at(due, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._hear(self.engine.tick(self.loop.time()))

    def _end_turn(self) -> None:
        self._scheduled = False
        if self._waiting:
            self._write()

    def _write(self) -> None:
        self._waiting = _BATCH  # what is added now asks for no write of its own
        self._prepare()
        self._waiting = 0
        data = self.engine.take_outgoing(self.loop.time())
        if data and self._socket is not None and not self._socket.is_closing():
            self._socket.write(data)

    def _finish(self, last: Closed) -> None:
        """Let go of the socket, after what is still to be said."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._prepare = _nothing
        if self._socket is None:
            return
        if last.cause is Cause.SILENCE:
            self._socket.abort()
        else:
            self._write()
            self._socket.close()

    def _shake_hands(self, events: Sequence[Event]) -> None:
        for event in events:
            if self.opened.done():
                self._early.append(event)
            elif isinstance(event, Opened | Closed):
                self.opened.set_result(event)


def _ignore(_paused: bool) -> None:  # noqa: FBT001 - has the shape of what replaces it
    """Before anybody sends there is nothing to pause."""


def _nothing() -> None:
    """Before anybody sends there is nothing to prepare."""
