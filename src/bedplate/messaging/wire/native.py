"""The native envelope: values to messages and back, nothing else.

The body is JSON (arguments, result, fault, payload); everything else is metadata: ``kind``,
``correlation_id``, ``reply_to`` and the headers named here. Whatever bytes come in, a value or
`MalformedMessage` comes out. Knows nothing of transports, calls or handlers.
"""

from collections.abc import Callable, Mapping
from math import isfinite
from types import MappingProxyType
from typing import Final, TypeVar, cast, final

import msgspec

from bedplate._floor.cause import caused
from bedplate.errors import MalformedMessage, ProtocolError, TooLarge, Unencodable
from bedplate.messaging.types import NO_HEADERS, REPLAY_HEADER, Address, HeaderValue, Message
from bedplate.messaging.wire.request import Request
from bedplate.messaging.wire.values import (
    NO_CONTEXT,
    RUNNING,
    Beat,
    Cancel,
    Context,
    Event,
    Fault,
    FaultText,
    Received,
    Reply,
)

__all__ = [
    "CONTENT_TYPE",
    "DEFAULT_LIMITS",
    "Limits",
    "Value",
    "decode",
    "dumps",
    "encode",
    "loads",
]

T = TypeVar("T")

CONTENT_TYPE: Final = "application/json"
"""What bodies of the native dialect are."""

_METHOD: Final = "bedplate-method"
_NAMESPACE: Final = "bedplate-namespace"
_VERSION: Final = "bedplate-version"
_HEARTBEAT: Final = "bedplate-heartbeat"
_TIMEOUT: Final = "bedplate-timeout"
_PEER: Final = "bedplate-peer"
_STATE: Final = "bedplate-state"
_PROGRESS: Final = "bedplate-progress"
_CONTEXT: Final = "bedplate-context"
_EVENT: Final = "bedplate-event"
_PUBLISHER: Final = "bedplate-publisher"
_PRIORITY: Final = "bedplate-priority"
_TIMESTAMP: Final = "bedplate-timestamp"


@final
class Limits:
    """How large (``body``, bytes) and how deeply nested (``depth``) JSON text may be."""

    __slots__ = ("body", "depth")

    def __init__(self, body: int = 16 * 1024 * 1024, depth: int = 64) -> None:
        self.body, self.depth = body, depth


DEFAULT_LIMITS: Final = Limits()
"""The limits of whoever sets none."""

Value = Request | Reply | Fault | Beat | Cancel | Event
"""Everything that travels."""

_ENCODER = msgspec.json.Encoder()
_OBJECT = msgspec.json.Decoder(dict[str, object])
_ANY: msgspec.json.Decoder[object] = msgspec.json.Decoder(object)


_FAULT = msgspec.json.Decoder(FaultText)


# --- JSON text ----------------------------------------------------------------------------------


def dumps(
    value: object,
    what: str,
    limits: Limits = DEFAULT_LIMITS,
    encoder: msgspec.json.Encoder = _ENCODER,
) -> bytes:
    """Return ``value`` as JSON text; ``what`` names it in errors, which never show it.

    JSON's limits are not errors: NaN and infinity become null, tuples and sets lists, keys text.
    Raises `Unencodable` for what JSON cannot carry, from what kept an ``encoder`` of somebody
    else's from it; `TooLarge`.
    """
    try:
        body = encoder.encode(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise caused(Unencodable(what=what, why=str(error)), error.__cause__) from error.__cause__
    except RecursionError:
        deep = Unencodable(what=what, why="it is nested too deeply, or contains itself")
        raise caused(deep, None) from None
    if len(body) > limits.body:
        raise TooLarge(what=what, size=len(body), limit=limits.body)
    if _too_deep(body, limits.depth):
        raise Unencodable(what=what, why=_DEEP.format(limits.depth))
    return body


def loads(
    body: bytes, decoder: msgspec.json.Decoder[T], where: str, limits: Limits = DEFAULT_LIMITS
) -> T:
    """Return the value of JSON text; ``where`` names the text in errors.

    Raises `MalformedMessage` for what is no JSON, too large or too deep, and lets
    ``msgspec.ValidationError`` through: the text is sound and does not fit the decoder's type.
    """
    _check_text(body, where, limits)
    try:
        return decoder.decode(body)
    except msgspec.ValidationError:
        raise
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise caused(MalformedMessage(where=where, why=_reason(error)), None) from None
    except RecursionError:
        raise caused(MalformedMessage(where=where, why="it is nested too deeply"), None) from None


def _reason(error: Exception) -> str:
    # The text of a UnicodeDecodeError shows bytes of the message; its reason does not.
    return f"not UTF-8: {error.reason}" if isinstance(error, UnicodeDecodeError) else str(error)


def _check_text(body: bytes, where: str, limits: Limits) -> None:
    if len(body) > limits.body:
        raise MalformedMessage(
            where=where, why=f"it has {len(body)} bytes, more than the limit of {limits.body}"
        )
    if _too_deep(body, limits.depth):
        raise MalformedMessage(where=where, why=_DEEP.format(limits.depth))


_DEEP = "it is nested more than {} levels deep, or its brackets do not match"


def _too_deep(body: bytes, limit: int) -> bool:
    """Whether JSON text is nested deeper than ``limit``.

    Almost every body is too short for that, or has fewer brackets, which two counts tell. For the
    others each pass removes the innermost pairs, so the number of passes is bounded by the limit
    and not by what a hostile peer sent. Text that is no JSON may pass: the decoder refuses it.
    """
    if len(body) <= 2 * limit or body.count(b"[") + body.count(b"{") <= limit:
        return False
    brackets = _outside_strings(body).translate(None, delete=_NOT_BRACKETS)
    for _ in range(limit):
        shorter = brackets.replace(b"[]", b"").replace(b"{}", b"")
        if len(shorter) == len(brackets):
            break
        brackets = shorter
    return bool(brackets)


_NOT_BRACKETS = bytes(each for each in range(256) if each not in b"[]{}")


def _outside_strings(body: bytes) -> bytes:
    plain = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    return b"".join(plain.split(b'"')[::2])


# --- values to messages -------------------------------------------------------------------------


def encode(value: Value, limits: Limits = DEFAULT_LIMITS) -> Message:
    """Return the message that carries ``value``, without ttl.

    Raises `Unencodable` for a context, details or progress that JSON cannot carry, `TooLarge`.
    """
    return _ENCODERS[type(value)](value, limits)


def _encode_request(value: Request, limits: Limits) -> Message:
    headers: dict[str, HeaderValue] = {_METHOD: value.method}
    if value.namespace:
        headers[_NAMESPACE] = value.namespace
    if value.version:
        headers[_VERSION] = value.version
    if value.heartbeat is not None:
        headers[_HEARTBEAT] = value.heartbeat
    if value.timeout is not None:
        headers[_TIMEOUT] = value.timeout
    if value.peer:
        headers[_PEER] = value.peer
    if value.context:
        headers[_CONTEXT] = _context_out(value.context, limits)
    if value.reply_to is None:
        return Message(value.args, headers, CONTENT_TYPE, id=value.id, kind="cast")
    return Message(
        value.args,
        headers,
        CONTENT_TYPE,
        id=value.id,
        kind="call",
        correlation_id=value.id,
        reply_to=value.reply_to,
        persistent=False,
    )


def _encode_reply(value: Reply, _: Limits) -> Message:
    return Message(
        value.result,
        NO_HEADERS,
        CONTENT_TYPE,
        kind="reply",
        correlation_id=value.call,
        persistent=False,
    )


def _encode_fault(value: Fault, limits: Limits) -> Message:
    body = dumps(
        FaultText(
            value.code,
            value.type,
            value.message,
            dict(value.details),
            value.causes,
            value.retryable,
        ),
        "a fault",
        limits,
    )
    return Message(
        body,
        NO_HEADERS,
        CONTENT_TYPE,
        kind="fault",
        correlation_id=value.call,
        persistent=False,
    )


def _encode_beat(value: Beat, _: Limits) -> Message:
    headers: dict[str, HeaderValue] = {_STATE: value.state}
    if value.progress is not None:
        headers[_PROGRESS] = value.progress.decode()
    return Message(b"", headers, kind="beat", correlation_id=value.call, persistent=False)


def _encode_cancel(value: Cancel, _: Limits) -> Message:
    return Message(b"", kind="cancel", correlation_id=value.call, persistent=False)


def _encode_event(value: Event, limits: Limits) -> Message:
    headers: dict[str, HeaderValue] = {
        _EVENT: value.event_type,
        _PUBLISHER: value.publisher_id,
        _PRIORITY: value.priority,
        _TIMESTAMP: value.timestamp,
    }
    if value.context:
        headers[_CONTEXT] = _context_out(value.context, limits)
    return Message(value.payload, headers, CONTENT_TYPE, id=value.id, kind="event")


def _context_out(context: Context, limits: Limits) -> str:
    return dumps(dict(context), "a context", limits).decode()


_ENCODERS: Mapping[type, Callable[..., Message]] = MappingProxyType(
    {
        Request: _encode_request,
        Reply: _encode_reply,
        Fault: _encode_fault,
        Beat: _encode_beat,
        Cancel: _encode_cancel,
        Event: _encode_event,
    }
)


# --- messages to values -------------------------------------------------------------------------


def decode(received: Received, limits: Limits = DEFAULT_LIMITS) -> Value:
    """Return the value a message carries.

    Arguments, results and payloads are not decoded but only limited in size: `loads` does it.
    Raises `MalformedMessage` and nothing else.
    """
    kind = received.kind
    if len(received.body) > limits.body:
        raise MalformedMessage(
            where=_name(received),
            why=f"its body has {len(received.body)} bytes, more than the limit of {limits.body}",
        )
    if kind == "call":
        return _decode_call(received, limits)
    if kind == "reply":
        return Reply(_call(received), received.body)
    decoder = _DECODERS.get(kind)
    if decoder is None:
        raise MalformedMessage(where="a message", why=f"its kind {kind[:40]!r} is unknown")
    return decoder(received, limits)


def _name(received: Received) -> str:
    return f"the {received.kind} {received.correlation_id or received.id}"


def _decode_call(received: Received, limits: Limits) -> Request:
    reply_to = received.reply_to
    if reply_to is None:
        raise MalformedMessage(where=_name(received), why="it names no address for the reply")
    return _decode_request(received, _call(received), reply_to, limits)


def _decode_cast(received: Received, limits: Limits) -> Request:
    return _decode_request(received, received.id, None, limits)


def _decode_request(
    received: Received, request_id: str, reply_to: Address | None, limits: Limits
) -> Request:
    headers = _headers(received)
    method = _text(received, headers, _METHOD)
    if not method:
        raise MalformedMessage(where=_name(received), why=f"it has no {_METHOD!r} header")
    return Request(
        request_id,
        method,
        received.body,
        reply_to,
        _text(received, headers, _NAMESPACE),
        _text(received, headers, _VERSION),
        _seconds(received, headers, _HEARTBEAT) if _HEARTBEAT in headers else None,
        _seconds(received, headers, _TIMEOUT) if _TIMEOUT in headers else None,
        _text(received, headers, _PEER),
        _context_in(received, headers, limits) if _CONTEXT in headers else NO_CONTEXT,
    )


def _decode_fault(received: Received, limits: Limits) -> Fault:
    try:
        body = loads(received.body, _FAULT, _name(received), limits)
    except msgspec.ValidationError as error:
        raise caused(MalformedMessage(where=_name(received), why=str(error)), None) from None
    return Fault(
        _call(received),
        body.code,
        body.type,
        body.message,
        body.details,
        body.causes,
        body.retryable,
    )


def _decode_beat(received: Received, limits: Limits) -> Beat:
    headers = _headers(received)
    progress: bytes | None = None
    if _PROGRESS in headers:
        progress = _text(received, headers, _PROGRESS).encode("utf-8", "surrogatepass")
        loads(progress, _ANY, _name(received), limits)
    return Beat(_call(received), _text(received, headers, _STATE) or RUNNING, progress)


def _decode_cancel(received: Received, _: Limits) -> Cancel:
    return Cancel(_call(received))


def _decode_event(received: Received, limits: Limits) -> Event:
    headers = _headers(received)
    event_type = _text(received, headers, _EVENT)
    if not event_type:
        raise MalformedMessage(where=_name(received), why=f"it has no {_EVENT!r} header")
    return Event(
        _text(received, headers, REPLAY_HEADER)
        or received.id,  # whoever hears it twice must know it again
        event_type,
        _text(received, headers, _PUBLISHER),
        _text(received, headers, _PRIORITY),
        _seconds(received, headers, _TIMESTAMP),
        received.body,
        _context_in(received, headers, limits) if _CONTEXT in headers else NO_CONTEXT,
    )


_DECODERS: Mapping[str, Callable[[Received, Limits], Value]] = MappingProxyType(
    {
        "cast": _decode_cast,
        "fault": _decode_fault,
        "beat": _decode_beat,
        "cancel": _decode_cancel,
        "event": _decode_event,
    }
)


def _call(received: Received) -> str:
    call = received.correlation_id
    if not call:
        raise MalformedMessage(where=_name(received), why="it does not say which call it is about")
    return call


def _headers(received: Received) -> dict[str, object]:
    """Return what a stranger may have sent: values of any type."""
    headers = cast("Mapping[str, object]", received.headers)
    if type(headers) is dict:
        return headers
    try:
        return dict(headers)
    except ProtocolError as error:  # some are decoded when first looked into
        raise caused(MalformedMessage(where=_name(received), why=error.why), error) from error


def _text(received: Received, headers: dict[str, object], header: str) -> str:
    value = headers.get(header, "")
    if not isinstance(value, str):
        raise MalformedMessage(where=_name(received), why=f"its header {header!r} is not text")
    return value


def _seconds(received: Received, headers: dict[str, object], header: str) -> float:
    value = headers.get(header)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise MalformedMessage(where=_name(received), why=f"its header {header!r} is not a number")
    try:
        seconds = float(value)
    except OverflowError:
        seconds = -1.0
    if not isfinite(seconds) or seconds < 0:
        raise MalformedMessage(
            where=_name(received), why=f"its header {header!r} is not a number of seconds"
        )
    return seconds


def _context_in(received: Received, headers: dict[str, object], limits: Limits) -> Context:
    text = _text(received, headers, _CONTEXT)
    where = f"the context of {_name(received)}"
    try:
        return loads(text.encode("utf-8", "surrogatepass"), _OBJECT, where, limits)
    except msgspec.ValidationError as error:
        raise caused(MalformedMessage(where=where, why=str(error)), None) from None
