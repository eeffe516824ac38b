"""The table-driven half of the codec: any method's arguments to bytes and back.

Answers for what ``spec`` describes, in both directions, so that a test can play the broker with
it. The few methods that every message needs have hand-packed twins in ``channel``. Knows nothing
of states or frames. Reserved arguments are written empty and left out when read.
"""

import struct
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from bedplate.amqp091.fields import decode_table, encode_table
from bedplate.amqp091.spec import METHODS, Kind, Method, ReplyCode
from bedplate.errors import ProtocolError

__all__ = ["BY_NUMBER", "decode_arguments", "encode_method"]

BY_NUMBER: Mapping[int, Method] = MappingProxyType(
    {method.number: method for method in METHODS.values()}
)
"""Every method by both its ids in 32 bits."""

_LONG = struct.Struct(">I")
_WHOLE: Mapping[Kind, struct.Struct] = MappingProxyType(
    {
        Kind.OCTET: struct.Struct(">B"),
        Kind.SHORT: struct.Struct(">H"),
        Kind.LONG: _LONG,
        Kind.LONGLONG: struct.Struct(">Q"),
    }
)
_EMPTY: Mapping[Kind, object] = MappingProxyType(
    {Kind.SHORT: 0, Kind.BIT: False, Kind.SHORTSTR: "", Kind.LONGSTR: b""}
)


def encode_method(name: str, arguments: Sequence[object] = ()) -> bytes:
    """Encode a method's payload: ids and arguments, the reserved ones added.

    Raises ProtocolError (ours) for an argument of the wrong type, out of range or too long, and
    names it without its value.
    """
    method = METHODS[name]
    given = iter(arguments)
    parts = [_LONG.pack(method.number)]
    bits = used = 0
    for field, kind in method.fields:
        value = _EMPTY[kind] if field.startswith("_") else next(given)
        if kind is Kind.BIT:  # up to eight neighbours share an octet, lowest bit first
            bits |= bool(value) << used
            used += 1
            continue
        if used:
            parts.append(bytes((bits,)))
            bits = used = 0
        parts.append(_encode(method, field, kind, value))
    if used:
        parts.append(bytes((bits,)))
    return b"".join(parts)


def _encode(method: Method, field: str, kind: Kind, value: object) -> bytes:
    if kind is Kind.TABLE and isinstance(value, Mapping):
        return encode_table(value)
    if kind is Kind.SHORTSTR and isinstance(value, str):
        raw = value.encode("utf-8", "surrogateescape")
        if len(raw) > 255:
            raise _misuse(method, field, "is longer than 255 bytes")
        return bytes((len(raw),)) + raw
    if kind is Kind.LONGSTR and isinstance(value, bytes):
        return _LONG.pack(len(value)) + value
    if kind in _WHOLE and isinstance(value, int):
        try:
            return _WHOLE[kind].pack(value)
        except struct.error:
            raise _misuse(method, field, "is out of range") from None
    raise _misuse(method, field, f"cannot be a {type(value).__name__}")


def _misuse(method: Method, field: str, why: str) -> ProtocolError:
    return ProtocolError(
        ours=True,
        reply_code=ReplyCode.SYNTAX_ERROR,
        why=f"The argument {field!r} of {method.name} {why}.",
    )


def decode_arguments(method: Method, data: bytes, at: int, stop: int) -> list[object]:
    """Decode the arguments of a method between ``at`` and ``stop``; reserved ones are left out.

    Whole numbers are int, short strings str (bytes that are no UTF-8 become surrogates), long
    strings bytes, tables dict. Raises ProtocolError (the peer's) when they don't fill it exactly.
    """
    values: list[object] = []
    bit = 8
    for field, kind in method.fields:
        if kind is Kind.BIT:
            if bit == 8:
                at, bit = at + 1, 0
            if at > stop:
                break
            value: object = bool(data[at - 1] & 1 << bit)
            bit += 1
        else:
            bit = 8
            value, at = _decode(kind, data, at, stop)
        if at > stop:
            break
        if not field.startswith("_"):
            values.append(value)
    if at != stop:
        raise ProtocolError(
            ours=False,
            reply_code=ReplyCode.SYNTAX_ERROR,
            why=f"the arguments of {method.name} do not fill their frame.",
        )
    return values


def _decode(kind: Kind, data: bytes, at: int, stop: int) -> tuple[object, int]:
    """Read one argument and say where it ends; beyond ``stop`` means it did not fit."""
    if kind is Kind.SHORTSTR:
        start = at + 1
        end = start + data[at]  # at <= stop, where the end mark of the frame stands
        return data[start:end].decode("utf-8", "surrogateescape"), end
    whole = _WHOLE[Kind.LONG if kind in (Kind.LONGSTR, Kind.TABLE) else kind]
    start = at + whole.size
    if start > stop:
        return None, start
    (number,) = whole.unpack_from(data, at)
    if kind not in (Kind.LONGSTR, Kind.TABLE):
        return number, start
    end = start + number
    if end > stop:
        return None, end
    raw = data[start:end]
    return (raw if kind is Kind.LONGSTR else decode_table(raw)), end
