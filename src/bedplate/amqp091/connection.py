"""One AMQP 0-9-1 connection, client side: bytes in, events out; commands in, bytes out.

Answers for the byte stream (frames, their limits), for what concerns the whole connection
(handshake, tuning, heartbeats, blocking, closing) and for handing frames to their channels. Knows
no socket and no clock: ``now`` is a number of seconds that never goes back, of any origin.
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from bedplate.amqp091.channel import Channel
from bedplate.amqp091.events import (
    Blocked,
    Cause,
    Closed,
    Event,
    Opened,
    SecretUpdated,
    Unblocked,
)
from bedplate.amqp091.fields import FieldTable, FieldValue, encode_table
from bedplate.amqp091.login import Limits, Login, choose_login, tuned
from bedplate.amqp091.methods import BY_NUMBER, decode_arguments, encode_method
from bedplate.amqp091.reception import Reception, closing
from bedplate.amqp091.spec import (
    BODY,
    FRAME_END,
    HEADER,
    HEARTBEAT,
    METHOD,
    OVERHEAD,
    PROTOCOL,
    ReplyCode,
)
from bedplate.amqp091.wire import ChannelState, Phase, Wire, peer_fault
from bedplate.errors import ProtocolError

__all__ = ["Connection"]

_FRAME: Final = struct.Struct(">BHI")
_read_frame: Final = _FRAME.unpack_from
_BEAT: Final = _FRAME.pack(HEARTBEAT, 0, 0) + bytes((FRAME_END,))
_NOTHING: FieldTable = MappingProxyType({})
_CAPABILITIES: FieldTable = MappingProxyType(
    {
        "authentication_failure_close": True,
        "basic.nack": True,
        "connection.blocked": True,
        "consumer_cancel_notify": True,
        "exchange_exchange_bindings": True,
        "publisher_confirms": True,
    }
)


class Connection:
    """The engine. Feed it what the socket reads, write what it hands out, tell it the time.

    ``logins`` are tried in this order against what the broker offers. ``properties`` tell the
    broker who we are (``product``, ``connection_name``); the capabilities are added. The
    handshake begins by itself and ends with ``Opened`` or ``Closed``; after ``Closed``, which
    always comes and comes once, all bytes are ignored and all commands refused.

    Holds at most: one unfinished frame (``limits.frame_max`` and the read that ends it), for each
    open channel one undecoded header (again a frame) and how its last delivery was addressed (less
    than 2 KiB), and ``limits.unfinished`` bytes of bodies, which finishing one copies once. Not
    thread-safe. Raises ProtocolError (ours) for limits, a virtual host or properties that cannot
    be sent.
    """

    def __init__(
        self,
        logins: Sequence[Login],
        *,
        now: float,
        vhost: str = "/",
        properties: FieldTable = _NOTHING,
        limits: Limits = Limits(),  # noqa: B008 - an immutable value
    ) -> None:
        limits.check()
        encode_table(properties)
        self._logins = tuple(logins)
        self._login: Login | None = None
        self._properties = {**properties, "capabilities": _CAPABILITIES}
        self._open = encode_method("connection.open", (vhost,))
        self._wire = Wire(limits)
        self._wire.out.append(PROTOCOL)
        self._phase = Phase.GREETING
        self._receptions: dict[int, Reception] = {}
        self._likely: Reception | None = None  # who hears the next message, if it is like the last
        self._rest = bytearray()
        self._need = OVERHEAD
        self._heard = self._sent = now
        self._secrets = self._highest = 0
        self._last_word: Closed | None = None
        self._server: Mapping[str, FieldValue] = _NOTHING

    def __repr__(self) -> str:
        return f"<Connection {self._phase.value}, {len(self._receptions)} channels>"

    @property
    def phase(self) -> Phase:
        """How far it has come."""
        return self._phase

    @property
    def limits(self) -> Limits:
        """What holds: ours until the broker has answered, then what both agreed on."""
        return self._wire.limits

    @property
    def has_outgoing(self) -> bool:
        """Whether there is anything to write."""
        return bool(self._wire.out)

    def take_outgoing(self, now: float) -> bytes:
        """Return all bytes to write, and forget them. Call it for many commands, not for each."""
        out = self._wire.out
        if not out:
            return b""
        self._sent = now
        data = b"".join(out)
        out.clear()
        return data

    # --- commands ---

    def open_channel(self) -> Channel:
        """Ask for a channel (``ChannelOpened``); its commands may follow at once.

        Raises ProtocolError (ours) before ``Opened``, after closing, and when all numbers that
        the broker grants are taken.
        """
        self._require_open("open_channel")
        receptions = self._receptions
        if len(receptions) >= self._wire.limits.channel_max:
            raise ProtocolError(
                ours=True,
                reply_code=ReplyCode.CHANNEL_ERROR,
                why=f"All {self._wire.limits.channel_max} channels are in use; close one.",
            )
        # A number rests as long as it can: RabbitMQ may still send for a channel that it closed.
        reused = self._highest >= self._wire.limits.channel_max
        if reused:
            number = next(n for n in range(1, len(receptions) + 2) if n not in receptions)
        else:
            number = self._highest = self._highest + 1
        state = ChannelState(number, reused=reused)
        self._wire.send_method(number, encode_method("channel.open"))
        state.waiting.append("channel.open")
        receptions[number] = Reception(state, self._wire)
        return Channel(state, self._wire)

    def update_secret(self, secret: str, reason: str) -> None:
        """Hand over a renewed secret (``SecretUpdated``), as of an expiring token."""
        self._require_open("update_secret")
        payload = encode_method("connection.update-secret", (secret.encode(), reason))
        self._wire.send_method(0, payload)
        self._secrets += 1

    def close(self, code: int = ReplyCode.SUCCESS, text: str = "") -> None:
        """Close the connection and all channels (``Closed``); harmless when it is closing.

        Before the login is over there is nobody to say it to: what was to be sent is dropped, and
        ``Closed`` comes with the next ``receive``, ``receive_eof`` or ``tick``.
        """
        if self._phase in (Phase.CLOSING, Phase.CLOSED):
            return
        if self._phase in (Phase.OPENING, Phase.OPEN):
            payload = encode_method("connection.close", (code, text, 0, 0))
            self._wire.send_method(0, payload)
            self._end_channels()
            self._phase = Phase.CLOSING
        else:
            self._wire.out.clear()
            self._end(Closed(Cause.US))

    def _require_open(self, name: str) -> None:
        if self._phase is not Phase.OPEN:
            raise ProtocolError(
                ours=True,
                reply_code=ReplyCode.COMMAND_INVALID,
                why=f"{name} on a connection that is not open (it is {self._phase.value}).",
            )

    # --- time ---

    def next_timeout(self) -> float | None:
        """Return when ``tick`` is due, on the scale of ``now``; None while nothing is."""
        beat = self._wire.limits.heartbeat
        if not beat or self._phase not in (Phase.OPENING, Phase.OPEN, Phase.CLOSING):
            return None if self._last_word is None else self._heard
        return min(self._sent + beat / 2, self._heard + beat * 2)

    def tick(self, now: float) -> list[Event]:
        """Send a heartbeat when half the interval passed without a word from us.

        Silence of two whole intervals from the peer is the end (``Closed`` by SILENCE).
        """
        beat = self._wire.limits.heartbeat
        if beat and self._phase in (Phase.OPENING, Phase.OPEN, Phase.CLOSING):
            if now - self._heard >= beat * 2:
                text = f"Nothing was heard for {now - self._heard:.1f} s (heartbeat {beat} s)."
                self._end(Closed(Cause.SILENCE, text=text))
            elif now - self._sent >= beat / 2:
                self._wire.out.append(_BEAT)
                self._sent = now
        return self._say()

    # --- bytes in ---

    def receive(self, data: bytes | bytearray | memoryview, now: float) -> list[Event]:
        """Return what these bytes tell, after those before them. Never raises for bytes.

        A peer that breaks the protocol ends the connection: the last event is ``Closed`` by FAULT
        with the ProtocolError, and the close that tells the peer so is in the outgoing bytes.
        """
        self._heard = now
        events: list[Event] = []
        if self._phase is Phase.CLOSED:
            return self._say()
        rest = self._rest
        if rest:
            rest += data
            if len(rest) < self._need:
                return events
            data = bytes(rest)
            rest.clear()
        elif type(data) is not bytes:
            data = bytes(data)
        try:
            at = self._frames(data, events)
        except ProtocolError as error:
            self._break(error)
            at = len(data)
        if at < len(data):
            rest += data[at:] if at else data
        if self._last_word is not None:
            events += self._say()
        return events

    def receive_eof(self) -> list[Event]:
        """Return what it means that the byte stream ended: ``Closed``, unless that was said."""
        if self._phase is Phase.CLOSING:
            self._end(Closed(Cause.US))
        elif self._phase is not Phase.CLOSED:
            self._end(Closed(Cause.EOF, text=_EOF_MEANS[self._phase] + _guess(self._rest)))
        return self._say()

    def _frames(self, data: bytes, events: list[Event]) -> int:  # noqa: C901, PLR0912 - the hot loop
        """Hear every whole frame and return where the first unfinished one begins."""
        receptions, wire = self._receptions, self._wire
        likely = self._likely
        kind: int
        number: int
        length: int
        size = len(data)
        at = 0
        while size - at >= OVERHEAD:
            if likely is not None:
                stop = likely.delivery(data, at, events)
                if stop:
                    at = stop
                    continue
            kind, number, length = _read_frame(data, at)
            if length > wire.payload_max:
                raise self._garbage(data, at, length)
            start = at + 7
            stop = start + length
            if stop >= size:
                self._need = length + OVERHEAD
                return at
            if data[stop] != FRAME_END:
                raise peer_fault(ReplyCode.FRAME_ERROR, "a frame without its end mark.")
            at = stop + 1
            reception = receptions.get(number)
            if reception is None:
                self._control(kind, number, data, start, stop, events)
                if self._phase is Phase.CLOSED:
                    return size
            elif kind == METHOD:
                reception.method(data, start, stop, events)
                if wire.ended:
                    self._forget_channels()
            elif kind == HEADER:
                reception.header(data, start, stop, events)
            elif kind == BODY:
                reception.body(data, start, stop, events)
                likely = self._likely = reception
            else:
                raise peer_fault(ReplyCode.FRAME_ERROR, f"a frame of type {kind} on a channel.")
        self._need = OVERHEAD
        return at

    def _garbage(self, data: bytes, at: int, length: int) -> ProtocolError:
        """Judge a frame that cannot be one."""
        if self._phase is Phase.GREETING:
            hint = _guess(data[at:])
            if hint:
                return peer_fault(ReplyCode.FRAME_ERROR, f"no AMQP frame.{hint}")
        most = self._wire.payload_max + OVERHEAD
        return peer_fault(ReplyCode.FRAME_ERROR, f"a frame of {length + 8} bytes, over {most}.")

    def _control(
        self, kind: int, number: int, data: bytes, at: int, stop: int, events: list[Event]
    ) -> None:
        """Hear a frame that belongs to no open channel; one that is closed may still get some."""
        if number:
            if number > self._highest and self._phase is not Phase.CLOSING:
                why = f"a frame on channel {number}, which was never open."
                raise peer_fault(ReplyCode.CHANNEL_ERROR, why)
            return
        if kind == HEARTBEAT and at == stop:
            return
        if kind != METHOD or stop - at < 4:
            raise peer_fault(ReplyCode.UNEXPECTED_FRAME, f"a frame of type {kind} on channel 0.")
        method = BY_NUMBER.get(int.from_bytes(data[at : at + 4]))
        name = method.name if method else "an unknown method"
        phases, hear = _CONTROL.get(name, _NOT_HEARD)
        if self._phase is Phase.CLOSING and self._phase not in phases:
            return
        if method is None or self._phase not in phases:
            why = f"{name} on a connection in the phase {self._phase.value}."
            raise peer_fault(ReplyCode.COMMAND_INVALID, why)
        hear(self, decode_arguments(method, data, at + 4, stop), events)

    # --- what the connection itself hears; the table below says when ---

    def on_start(self, values: list[object], _events: list[Event]) -> None:
        """Answer the greeting with who we are."""
        major, minor, server, offered, _locales = values
        if (major, minor) != (0, 9):
            why = f"AMQP {major}-{minor} instead of 0-9-1."
            raise peer_fault(ReplyCode.NOT_IMPLEMENTED, why)
        offer = bytes(offered) if isinstance(offered, bytes) else b""
        login = self._login = choose_login(self._logins, offer)
        if login is None:
            names = ", ".join(login.mechanism for login in self._logins) or "none"
            why = f"it offers the logins {offer[:200].decode(errors='replace')}; we have {names}."
            raise peer_fault(ReplyCode.ACCESS_REFUSED, why)
        self._server = server if isinstance(server, dict) else _NOTHING
        answer = (self._properties, login.mechanism, login.respond(None), "en_US")
        self._wire.send_method(0, encode_method("connection.start-ok", answer))
        self._phase = Phase.LOGIN

    def on_secure(self, values: list[object], _events: list[Event]) -> None:
        """Answer a challenge."""
        (challenge,) = values
        if self._login is not None and isinstance(challenge, bytes):
            response = self._login.respond(challenge)
            self._wire.send_method(0, encode_method("connection.secure-ok", (response,)))

    def on_tune(self, values: list[object], _events: list[Event]) -> None:
        """Agree on the limits, and ask for the virtual host in the same breath."""
        channel_max, frame_max, heartbeat = (int(str(value)) for value in values)
        wire = self._wire
        agreed = tuned(wire.limits, channel_max, frame_max, heartbeat)
        wire.agree(agreed)
        answer = (agreed.channel_max, agreed.frame_max, agreed.heartbeat)
        wire.send_method(0, encode_method("connection.tune-ok", answer))
        wire.send_method(0, self._open)
        self._phase = Phase.OPENING

    def on_open_ok(self, _values: list[object], events: list[Event]) -> None:
        """Say that everything is there."""
        self._phase = Phase.OPEN
        agreed = self._wire.limits
        limits = agreed.frame_max, agreed.channel_max, agreed.heartbeat
        events.append(Opened(self._server, *limits))

    def on_blocked(self, values: list[object], events: list[Event]) -> None:
        """Pass it on: nothing stops us from sending, it only is not read."""
        events.append(Blocked(str(values[0])))

    def on_unblocked(self, _values: list[object], events: list[Event]) -> None:
        """Pass it on."""
        events.append(Unblocked())

    def on_secret_updated(self, _values: list[object], events: list[Event]) -> None:
        """Pass it on, if it was asked for."""
        if not self._secrets:
            why = "connection.update-secret-ok, which answers nothing that was asked."
            raise peer_fault(ReplyCode.COMMAND_INVALID, why)
        self._secrets -= 1
        events.append(SecretUpdated())

    def on_close(self, values: list[object], _events: list[Event]) -> None:
        """Agree to the peer's close."""
        self._wire.send_method(0, encode_method("connection.close-ok"))
        self._end(Closed(Cause.PEER, *closing(values)))

    def on_close_ok(self, _values: list[object], _events: list[Event]) -> None:
        """End what we closed."""
        self._end(Closed(Cause.US))

    # --- the end ---

    def _break(self, error: ProtocolError) -> None:
        """End because the peer broke the protocol; tell it where it still may understand."""
        if self._phase in (Phase.OPENING, Phase.OPEN):
            text = error.why[:200].encode("ascii", "replace").decode()
            arguments = (error.reply_code, text, 0, 0)
            self._wire.send_method(0, encode_method("connection.close", arguments))
        # The traceback would keep what the peer sent, and whoever logged in, alive and printable.
        bare = error.with_traceback(None)
        self._end(Closed(Cause.FAULT, error.reply_code, error.why, error=bare))

    def _end(self, word: Closed) -> None:
        self._phase = Phase.CLOSED
        self._last_word = word
        self._rest.clear()
        self._end_channels()

    def _end_channels(self) -> None:
        for reception in self._receptions.values():
            reception.state.end(Phase.CLOSED)
        self._receptions.clear()
        self._likely = None
        self._wire.ended.clear()
        self._wire.unfinished = 0

    def _forget_channels(self) -> None:
        for number in self._wire.ended:
            self._receptions.pop(number, None)
        self._wire.ended.clear()

    def _say(self) -> list[Event]:
        """Return the last word, once."""
        word, self._last_word = self._last_word, None
        return [] if word is None else [word]


def _guess(data: bytes | bytearray) -> str:
    """Return a sentence on what a peer that answers so may be, or nothing."""
    if data[:4] == b"AMQP":
        return f" It speaks another version of AMQP (header {bytes(data[:8])!r})."
    if data[:5] == b"HTTP/":
        return " It is a web server: is this the port of AMQP?"
    if data[:2] in (b"\x15\x03", b"\x16\x03"):
        return " It speaks TLS: connect with TLS, or to the plain port."
    return ""


_EOF_MEANS: Mapping[Phase, str] = MappingProxyType(
    {
        Phase.GREETING: "The stream ended before the broker said anything.",
        Phase.LOGIN: "The stream ended during the login: are user and password right?",
        Phase.OPENING: "The stream ended while the virtual host was opened.",
        Phase.OPEN: "The stream ended without a close.",
    }
)

_Hears = Callable[[Connection, list[object], list[Event]], None]
_LIVE = frozenset({Phase.OPEN})
_ANY = frozenset({Phase.GREETING, Phase.LOGIN, Phase.OPENING, Phase.OPEN, Phase.CLOSING})
_CONTROL: Mapping[str, tuple[frozenset[Phase], _Hears]] = MappingProxyType(
    {
        "connection.start": (frozenset({Phase.GREETING}), Connection.on_start),
        "connection.secure": (frozenset({Phase.LOGIN}), Connection.on_secure),
        "connection.tune": (frozenset({Phase.LOGIN}), Connection.on_tune),
        "connection.open-ok": (frozenset({Phase.OPENING}), Connection.on_open_ok),
        "connection.blocked": (_LIVE, Connection.on_blocked),
        "connection.unblocked": (_LIVE, Connection.on_unblocked),
        "connection.update-secret-ok": (_LIVE, Connection.on_secret_updated),
        "connection.close": (_ANY, Connection.on_close),
        "connection.close-ok": (frozenset({Phase.CLOSING}), Connection.on_close_ok),
    }
)
"""In which phases the connection hears which method; any other is the peer's fault."""
_NOT_HEARD: tuple[frozenset[Phase], _Hears] = (frozenset(), Connection.on_close_ok)
