"""The properties of a message: what the content header carries besides the size.

Answers for the fourteen properties of class ``basic``, in both directions, written out by hand:
every message passes here. Headers stay undecoded until somebody looks. Knows nothing of frames.
"""

import struct
from typing import Final, NamedTuple, TypeAlias

from bedplate.amqp091.fields import FieldTable, Table, decode_text, encode_table
from bedplate.amqp091.spec import ReplyCode
from bedplate.errors import ProtocolError

__all__ = [
    "Content",
    "Properties",
    "Values",
    "decode_properties",
    "decode_values",
    "encode_properties",
    "pieces_of",
]


class Properties(NamedTuple):
    """Properties of one message; None means absent, which is not the same as empty.

    ``delivery_mode`` is 1 (transient) or 2 (persistent), ``priority`` 0 to 255, ``expiration`` a
    text of whole milliseconds, ``timestamp`` seconds since 1970. RabbitMQ refuses a ``user_id``
    other than that of the connection. Texts have at most 255 bytes.
    """

    content_type: str | None = None
    content_encoding: str | None = None
    headers: FieldTable | None = None
    delivery_mode: int | None = None
    priority: int | None = None
    correlation_id: str | None = None
    reply_to: str | None = None
    expiration: str | None = None
    message_id: str | None = None
    timestamp: int | None = None
    type: str | None = None
    user_id: str | None = None
    app_id: str | None = None
    cluster_id: str | None = None


Content: TypeAlias = tuple[
    str | None,
    str | None,
    FieldTable | None,
    int | None,
    int | None,
    str | None,
    str | None,
    str | None,
    str | None,
    int | None,
    str | None,
    str | None,
    str | None,
    str | None,
]
"""The values of ``Properties`` in their order: to name them takes longer than to write them."""
Values: TypeAlias = tuple[
    str | None,
    str | None,
    Table | None,
    int | None,
    int | None,
    str | None,
    str | None,
    str | None,
    str | None,
    int | None,
    str | None,
    str | None,
    str | None,
    str | None,
]
"""A ``Content`` that was received."""

_make: Final = tuple.__new__  # a NamedTuple's own constructor costs twice as much
_STAMP: Final = struct.Struct(">Q")
_LETTERS: Final = tuple(map(chr, range(256)))


def _misuse(why: str) -> ProtocolError:
    return ProtocolError(ours=True, reply_code=ReplyCode.SYNTAX_ERROR, why=why)


def encode_properties(properties: Properties) -> bytes:
    """Encode flags and properties. Raises ProtocolError (ours) for one that does not fit."""
    flags, before, table, after = pieces_of(properties)
    return b"%b%b%b%b" % (flags.to_bytes(2, "big"), before, table, after)


def pieces_of(properties: Content) -> tuple[int, bytes, bytes, bytes]:
    """Encode, and return the flags and three pieces to be put behind each other.

    Raises ProtocolError (ours) for a property that does not fit.
    """
    try:
        flags, before, table, after = _encode(properties)
        try:
            return flags, before.encode("ascii"), table, after.encode("ascii")
        except UnicodeEncodeError:
            _, before, _, after = _encode(Properties._make(map(_bytewise, properties)))
            return flags, before.encode("latin-1"), table, after.encode("latin-1")
    except (IndexError, struct.error):
        raise _misuse("A property is longer than 255 bytes or out of its range.") from None
    except UnicodeEncodeError:
        raise _misuse("A property has a surrogate that stands for no byte.") from None
    except (AttributeError, TypeError):
        raise _misuse("A property has the wrong type; see bedplate.amqp091.Properties.") from None


def _bytewise(value: "str | FieldTable | int | None") -> "str | FieldTable | int | None":
    """Turn a text into one that has a character for each of its bytes; leave the rest."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape").decode("latin-1")
    return value


def _encode(  # noqa: C901, PLR0912, PLR0915 - a loop takes twice as long
    properties: Content,
) -> tuple[int, str, bytes, str]:
    """Return the flags, and what stands before the headers, the headers, and what comes after.

    Lengths and numbers are characters here, one a byte: nearly all is ASCII, and to put texts
    together and encode them once is quicker than to encode each.
    """
    (
        content_type,
        content_encoding,
        headers,
        delivery_mode,
        priority,
        correlation_id,
        reply_to,
        expiration,
        message_id,
        timestamp,
        kind,
        user_id,
        app_id,
        cluster_id,
    ) = properties
    letters = _LETTERS
    flags = 0
    before = ""
    table = b""
    parts: list[str] = []
    if content_type is not None:
        flags = 0x8000
        parts.append(letters[len(content_type)])
        parts.append(content_type)
    if content_encoding is not None:
        flags |= 0x4000
        parts.append(letters[len(content_encoding)])
        parts.append(content_encoding)
    if headers is not None:
        flags |= 0x2000
        before = "".join(parts)
        parts = []
        table = encode_table(headers)
    if delivery_mode is not None:
        flags |= 0x1000
        parts.append(letters[_whole(delivery_mode)])
    if priority is not None:
        flags |= 0x0800
        parts.append(letters[_whole(priority)])
    if correlation_id is not None:
        flags |= 0x0400
        parts.append(letters[len(correlation_id)])
        parts.append(correlation_id)
    if reply_to is not None:
        flags |= 0x0200
        parts.append(letters[len(reply_to)])
        parts.append(reply_to)
    if expiration is not None:
        flags |= 0x0100
        parts.append(letters[len(expiration)])
        parts.append(expiration)
    if message_id is not None:
        flags |= 0x0080
        parts.append(letters[len(message_id)])
        parts.append(message_id)
    if timestamp is not None:
        flags |= 0x0040
        parts.append(_STAMP.pack(timestamp).decode("latin-1"))
    if kind is not None:
        flags |= 0x0020
        parts.append(letters[len(kind)])
        parts.append(kind)
    if user_id is not None:
        flags |= 0x0010
        parts.append(letters[len(user_id)])
        parts.append(user_id)
    if app_id is not None:
        flags |= 0x0008
        parts.append(letters[len(app_id)])
        parts.append(app_id)
    if cluster_id is not None:
        flags |= 0x0004
        parts.append(letters[len(cluster_id)])
        parts.append(cluster_id)
    return flags, before, table, "".join(parts)


def _whole(number: int) -> int:
    if number < 0:
        raise IndexError
    return number


def decode_properties(raw: bytes) -> Properties:
    """Decode flags and properties as they follow the size in a content header.

    Texts that are no UTF-8 keep their bytes as surrogates. Headers are a ``Table``, undecoded.
    Raises ProtocolError (the peer's) for bytes that are no properties.
    """
    return _make(Properties, decode_values(raw))


def decode_values(raw: bytes) -> Values:
    """Do as ``decode_properties``, for who wants no more than to take them apart."""
    try:
        return _decode(raw)
    except (IndexError, struct.error):
        raise _malformed() from None


def _malformed() -> ProtocolError:
    return ProtocolError(
        ours=False,
        reply_code=ReplyCode.SYNTAX_ERROR,
        why="the properties of a message do not fill their header.",
    )


def _decode(raw: bytes) -> Values:  # noqa: C901, PLR0912, PLR0915 - see _encode
    flags = raw[0] << 8 | raw[1]
    content_type: str | None = None
    content_encoding: str | None = None
    headers: Table | None = None
    delivery_mode: int | None = None
    priority: int | None = None
    correlation_id: str | None = None
    reply_to: str | None = None
    expiration: str | None = None
    message_id: str | None = None
    timestamp: int | None = None
    kind: str | None = None
    user_id: str | None = None
    app_id: str | None = None
    cluster_id: str | None = None
    at = 2
    if flags & 0x8000:
        start = at + 1
        at = start + raw[at]
        content_type = decode_text(raw[start:at])
    if flags & 0x4000:
        start = at + 1
        at = start + raw[at]
        content_encoding = decode_text(raw[start:at])
    if flags & 0x2000:
        start = at + 4
        at = start + (raw[at] << 24 | raw[at + 1] << 16 | raw[at + 2] << 8 | raw[at + 3])
        headers = Table(raw[start:at])
    if flags & 0x1000:
        delivery_mode = raw[at]
        at += 1
    if flags & 0x0800:
        priority = raw[at]
        at += 1
    if flags & 0x0400:
        start = at + 1
        at = start + raw[at]
        correlation_id = decode_text(raw[start:at])
    if flags & 0x0200:
        start = at + 1
        at = start + raw[at]
        reply_to = decode_text(raw[start:at])
    if flags & 0x0100:
        start = at + 1
        at = start + raw[at]
        expiration = decode_text(raw[start:at])
    if flags & 0x0080:
        start = at + 1
        at = start + raw[at]
        message_id = decode_text(raw[start:at])
    if flags & 0x0040:
        (timestamp,) = _STAMP.unpack_from(raw, at)
        at += 8
    if flags & 0x0020:
        start = at + 1
        at = start + raw[at]
        kind = decode_text(raw[start:at])
    if flags & 0x0010:
        start = at + 1
        at = start + raw[at]
        user_id = decode_text(raw[start:at])
    if flags & 0x0008:
        start = at + 1
        at = start + raw[at]
        app_id = decode_text(raw[start:at])
    if flags & 0x0004:
        start = at + 1
        at = start + raw[at]
        cluster_id = decode_text(raw[start:at])
    if at != len(raw) or flags & 3:  # the two lowest bits: reserved, and a promise of more flags
        raise _malformed()
    return (
        content_type,
        content_encoding,
        headers,
        delivery_mode,
        priority,
        correlation_id,
        reply_to,
        expiration,
        message_id,
        timestamp,
        kind,
        user_id,
        app_id,
        cluster_id,
    )
