"""What a channel hears: its frames, in order, into events.

Answers for one channel's receiving half: which methods may come now, which answer belongs to
which request, how a message is put together from its frames. Deliveries and confirms are unpacked
by hand. Raises ProtocolError (the peer's) for what must not come; ``connection`` deals with it.
"""

import struct
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from bedplate.amqp091.events import (
    Cause,
    ChannelClosed,
    ChannelOpened,
    Confirmed,
    ConsumerCancelled,
    Consuming,
    Delivered,
    Done,
    Event,
    FlowChanged,
    Got,
    GotNothing,
    Oversized,
    QueueDeclared,
    QueueDeleted,
    QueuePurged,
    Returned,
)
from bedplate.amqp091.fields import decode_text
from bedplate.amqp091.methods import BY_NUMBER, decode_arguments, encode_method
from bedplate.amqp091.spec import (
    BODY,
    FRAME_END,
    HEADER,
    METHODS,
    Method,
    ReplyCode,
    number_of,
)
from bedplate.amqp091.wire import ChannelState, Phase, Wire, peer_fault

__all__ = ["Reception", "closing"]

_DELIVER: Final = number_of("basic.deliver")
_ACK: Final = number_of("basic.ack")
_NACK: Final = number_of("basic.nack")
_read_number: Final = struct.Struct(">I").unpack_from
_read_delivery: Final = struct.Struct(">QBB").unpack_from  # tag, redelivered, exchange's length
_read_confirm: Final = struct.Struct(">QB").unpack_from
_read_content: Final = struct.Struct(">HHQ").unpack_from  # class, weight, size of the body
_MARK: Final = struct.Struct(">BBHH")  # end of the frame before, frame head up to a short size
_BASIC: Final = b"\0\x3c" + bytes(8)  # class, weight, and the size of a body below 64 KiB
_Content = type[Delivered] | type[Got] | type[Returned]
_make: Final = tuple.__new__  # a NamedTuple's own constructor costs twice as much
_DELIVERED: Final = Delivered
_CONFIRMED: Final = Confirmed
_CLOSING: Final = Phase.CLOSING


class Reception:
    """The receiving half of one channel."""

    __slots__ = (
        "_body",
        "_buffer",
        "_consumer",
        "_content",
        "_exchange",
        "_fields",
        "_from",
        "_head",
        "_header",
        "_key",
        "_left",
        "_reason",
        "_size",
        "_state",
        "_tags",
        "_to",
        "_wire",
    )

    def __init__(self, state: ChannelState, wire: Wire) -> None:
        self._state = state
        self._wire = wire
        self._content: _Content | None = None  # whose header or body comes next
        self._fields: tuple[object, ...] = ()
        self._head: bytes | None = None  # None: the header comes next
        self._size = self._left = 0
        self._buffer: bytearray | None = None
        self._reason: list[object] = []  # the peer's, when both closed at once
        # How the last delivery was addressed: as bytes up to the last two of its tag and from
        # behind redelivered to a short size of its header, and as values.
        self._to = self._from = b""
        self._tags = 0
        self._consumer = self._exchange = self._key = ""
        self._header = _MARK.pack(FRAME_END, HEADER, state.number, 0)
        self._body = _MARK.pack(FRAME_END, BODY, state.number, 0)

    @property
    def state(self) -> ChannelState:
        """What it shares with the commands."""
        return self._state

    def delivery(self, data: bytes, at: int, events: list[Event]) -> int:
        """Hear three frames at once: a delivery addressed as the last one, its header, one body.

        Nearly all messages come so. Returns where they end, or 0 and nothing happened: then they
        are not there in one piece, or not as expected, and hearing them one by one will tell.
        """
        state = self._state
        tag = at + len(self._to)  # of which two octets are left
        header = tag + 3 + len(self._from)
        head = header + 14
        if (
            head >= len(data)
            or not self._from
            or data[at:tag] != self._to
            or data[tag + 3 : header] != self._from
            or data[header + 2 : header + 12] != _BASIC
            or self._content is not None
            or not state.open
        ):
            return 0
        length = data[header] << 8 | data[header + 1]
        size = data[head - 2] << 8 | data[head - 1]
        stop = header + 2 + length
        body = stop + 8
        end = body + size
        wire = self._wire
        if (
            end >= len(data)
            or data[stop : stop + 6] != self._body
            or data[stop + 6] << 8 | data[stop + 7] != size
            or data[end] != FRAME_END
            or not 14 <= length <= wire.payload_max
            or not 0 < size <= wire.payload_max
            or size > wire.limits.body
        ):
            return 0
        number = self._tags | data[tag] << 8 | data[tag + 1]
        state.delivered = max(state.delivered, number)
        events.append(
            _make(
                _DELIVERED,
                (
                    state.number,
                    self._consumer,
                    number,
                    data[tag + 2] & 1 == 1,
                    self._exchange,
                    self._key,
                    data[head:stop],
                    data[body:end],
                ),
            )
        )
        return end + 1

    def method(self, data: bytes, at: int, stop: int, events: list[Event]) -> None:
        """Hear a method frame whose payload lies between ``at`` and ``stop``."""
        if stop - at < 4:
            raise peer_fault(ReplyCode.FRAME_ERROR, "a method frame without a method.")
        number: int = _read_number(data, at)[0]
        if self._state.open and self._content is None:
            if number == _DELIVER:
                self._delivery(data, at + 4, stop)
                return
            if number in (_ACK, _NACK) and stop - at == 13:
                self._confirm(data, at + 4, events, accepted=number == _ACK)
                return
        self._other(number, data, at + 4, stop, events)

    def _delivery(self, data: bytes, at: int, stop: int) -> None:
        tag: int
        redelivered: int
        size: int
        try:
            start = at + 1
            middle = start + data[at]
            consumer_tag = decode_text(data[start:middle])
            tag, redelivered, size = _read_delivery(data, middle)
            start = middle + 10
            end = start + size
            exchange = decode_text(data[start:end])
            start = end + 1
            end = start + data[end]
        except (IndexError, struct.error):
            end = -1
        if end != stop:  # every step goes forward, so the right end means no step went past it
            why = "the arguments of basic.deliver do not fill their frame."
            raise peer_fault(ReplyCode.SYNTAX_ERROR, why)
        routing_key = decode_text(data[start:end])
        state = self._state
        state.delivered = max(state.delivered, tag)
        self._content = Delivered
        self._fields = (consumer_tag, tag, redelivered & 1 == 1, exchange, routing_key)
        self._to = data[at - 11 : middle + 6]
        self._tags = tag >> 16 << 16
        self._from = data[middle + 9 : stop] + self._header
        self._consumer = consumer_tag
        self._exchange = exchange
        self._key = routing_key

    def _confirm(self, data: bytes, at: int, events: list[Event], *, accepted: bool) -> None:
        state = self._state
        tag: int
        bits: int
        tag, bits = _read_confirm(data, at)
        multiple = bits & 1 == 1
        if tag == 0 and multiple:  # all there are
            tag = state.published
        if not 0 < tag <= state.published:
            why = f"a confirm of message {tag}, of which {state.published} were published."
            raise peer_fault(ReplyCode.COMMAND_INVALID, why)
        events.append(_make(_CONFIRMED, (state.number, tag, multiple, accepted)))

    def _other(self, number: int, data: bytes, at: int, stop: int, events: list[Event]) -> None:
        """Hear any method that is not on the fast path, or not allowed now."""
        state = self._state
        method = BY_NUMBER.get(number)
        if state.phase is Phase.CLOSING:  # all but the close itself was sent before it was heard
            if method is not None and method.name in _CLOSES:
                _CLOSES[method.name](self, decode_arguments(method, data, at, stop), events)
            return
        if method is None or not method.to_client or method.name.startswith("connection."):
            named = method.name if method else f"{number >> 16}.{number & 0xFFFF}"
            raise peer_fault(ReplyCode.COMMAND_INVALID, f"the method {named} on a channel.")
        if self._content is not None and method.name != "channel.close":
            why = f"{method.name} in the middle of a message."
            raise peer_fault(ReplyCode.UNEXPECTED_FRAME, why)
        if state.phase is Phase.OPENING and method.name not in _WHILE_OPENING:
            if state.reused:
                return
            why = f"{method.name} on a channel that is not open yet."
            raise peer_fault(ReplyCode.CHANNEL_ERROR, why)
        values = decode_arguments(method, data, at, stop)
        news = _NEWS.get(method.name)
        if news is not None:
            news(self, values, events)
        else:
            self._answer(method, values, events)

    def _answer(self, method: Method, values: list[object], events: list[Event]) -> None:
        """Match an answer to its request: they come in order, but for those of ``_BY_QUEUE``."""
        state = self._state

        def answers(request: str) -> bool:
            return method.name in METHODS[request].replies

        request = next((r for r in state.waiting if r not in _BY_QUEUE or answers(r)), None)
        if request is None or not answers(request):
            why = f"{method.name}, which answers nothing that was asked."
            raise peer_fault(ReplyCode.COMMAND_INVALID, why)
        state.waiting.remove(request)
        if request == "tx.commit":
            state.usable = True
        if method.name == "basic.consume-ok":
            state.subscribing -= {str(values[0]), ""}
        if method.name == "channel.open-ok":
            state.phase = Phase.OPEN
            state.open = True
        if method.name == "basic.get-ok":
            tag = values[0]
            if isinstance(tag, int) and tag > state.delivered:
                state.delivered = tag
            self._content, self._fields = Got, tuple(values)
            return
        build = _ANSWERS.get(method.name)
        if build is None:
            events.append(Done(state.number, request))
        else:
            events.append(build(state.number, values))

    def header(self, data: bytes, at: int, stop: int, events: list[Event]) -> None:
        """Hear a content header frame."""
        if self._content is None or self._head is not None:
            self._stray("a content header where none belongs.")
            return
        if stop - at < 14:
            raise peer_fault(ReplyCode.FRAME_ERROR, "a content header that is too short.")
        class_id: int
        size: int
        class_id, _weight, size = _read_content(data, at)
        if class_id != 60:
            raise peer_fault(ReplyCode.FRAME_ERROR, f"a content header of class {class_id}.")
        self._head = data[at + 12 : stop]
        self._size = self._left = size
        if size == 0:
            self._whole(b"", events)

    def body(self, data: bytes, at: int, stop: int, events: list[Event]) -> None:
        """Hear a body frame."""
        size = stop - at
        if self._head is None:
            self._stray("a body frame where none belongs.")
            return
        left = self._left - size
        if left < 0:
            raise peer_fault(ReplyCode.FRAME_ERROR, "more body than its header announced.")
        self._left = left
        if self._size > self._wire.limits.body:
            if left == 0:
                self._whole(b"", events)
            return
        if self._buffer is None:
            if left == 0:
                self._whole(data[at:stop], events)
                return
            self._buffer = bytearray()
        self._collect(data[at:stop])
        if left == 0:
            body = bytes(self._buffer)
            self._forget_body()
            self._whole(body, events)

    def _collect(self, piece: bytes) -> None:
        """Keep a piece of a body, within what all channels together may hold."""
        wire = self._wire
        wire.unfinished += len(piece)
        if wire.unfinished > wire.limits.unfinished:
            why = f"more than {wire.limits.unfinished} bytes of unfinished messages."
            raise peer_fault(ReplyCode.RESOURCE_ERROR, why)
        if self._buffer is not None:
            self._buffer += piece

    def _whole(self, body: bytes, events: list[Event]) -> None:
        """Make the event of a message that is complete."""
        kind = self._content
        if kind is not None and self._state.phase is not _CLOSING:
            message = _make(kind, (self._state.number, *self._fields, self._head, body))
            if self._size > self._wire.limits.body:
                events.append(Oversized(message, self._size))
            else:
                events.append(message)
        self._content = self._head = None

    def _stray(self, why: str) -> None:
        """Judge a content frame that belongs to no message."""
        state = self._state
        late = state.phase is Phase.CLOSING or (state.phase is Phase.OPENING and state.reused)
        if not late:  # else it belongs to a message that was not heard
            raise peer_fault(ReplyCode.UNEXPECTED_FRAME, why)

    def _forget_body(self) -> None:
        if self._buffer is not None:
            self._wire.unfinished -= len(self._buffer)
            self._buffer = None

    # --- methods that answer nothing; the table below names them ---

    def _closed(self, cause: Cause, values: list[object], events: list[Event]) -> None:
        state = self._state
        self._forget_body()
        self._content = self._head = None
        state.end(Phase.CLOSED)
        self._wire.ended.append(state.number)
        code, text, request = closing(values)
        events.append(ChannelClosed(state.number, cause, code, text, request))

    def on_close(self, values: list[object], events: list[Event]) -> None:
        """Agree to the peer's close; if ours is on its way too, its answer ends the channel."""
        state = self._state
        self._wire.send_method(state.number, encode_method("channel.close-ok"))
        if state.phase is Phase.CLOSING:
            self._reason = values
        else:
            self._closed(Cause.PEER, values, events)

    def on_close_ok(self, _values: list[object], events: list[Event]) -> None:
        """End the channel that we closed."""
        crossed = self._reason
        self._closed(Cause.PEER if crossed else Cause.US, crossed, events)

    def on_flow(self, values: list[object], events: list[Event]) -> None:
        """Stop or go on publishing, and say that we heard it."""
        state = self._state
        state.flowing = active = bool(values[0])
        self._wire.send_method(state.number, encode_method("channel.flow-ok", values))
        events.append(FlowChanged(state.number, active))

    def on_cancel(self, values: list[object], events: list[Event]) -> None:
        """Hear that a consumer ended; RabbitMQ wants no answer, a peer that does gets one."""
        tag, nowait = values
        state = self._state
        if not nowait:
            self._wire.send_method(state.number, encode_method("basic.cancel-ok", (tag,)))
        events.append(ConsumerCancelled(state.number, str(tag), Cause.PEER))

    def on_return(self, values: list[object], _events: list[Event]) -> None:
        """Begin a message that comes back."""
        self._content, self._fields = Returned, tuple(values)


def closing(values: list[object]) -> tuple[int, str, str]:
    """Return code, text and the name of the offending method from a close's arguments."""
    if not values:
        return 0, "", ""
    code, text, class_id, method_id = values
    method = BY_NUMBER.get(int(str(class_id)) << 16 | int(str(method_id)))
    return int(str(code)), str(text), method.name if method else ""


_Hears = Callable[[Reception, list[object], list[Event]], None]
_CLOSES: Mapping[str, _Hears] = MappingProxyType(
    {"channel.close": Reception.on_close, "channel.close-ok": Reception.on_close_ok}
)
_NEWS: Mapping[str, _Hears] = MappingProxyType(
    {
        "channel.close": Reception.on_close,
        "channel.flow": Reception.on_flow,
        "basic.cancel": Reception.on_cancel,
        "basic.return": Reception.on_return,
    }
)
_BY_QUEUE = frozenset({"basic.consume", "basic.cancel"})
"""Requests that RabbitMQ's queues answer, not its channel: answers to later ones may come first."""
_WHILE_OPENING = frozenset({"channel.open-ok", "channel.close"})
_ANSWERS: Mapping[str, Callable[[int, list[object]], Event]] = MappingProxyType(
    {
        "channel.open-ok": lambda number, _values: ChannelOpened(number),
        "queue.declare-ok": lambda number, values: QueueDeclared._make((number, *values)),
        "queue.purge-ok": lambda number, values: QueuePurged._make((number, *values)),
        "queue.delete-ok": lambda number, values: QueueDeleted._make((number, *values)),
        "basic.consume-ok": lambda number, values: Consuming._make((number, *values)),
        "basic.cancel-ok": lambda number, values: ConsumerCancelled(
            number, str(values[0]), Cause.US
        ),
        "basic.get-empty": lambda number, _values: GotNothing(number),
    }
)
"""Answers that say more than that it was done."""
