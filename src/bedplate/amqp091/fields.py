"""Field tables: the one self-describing part of the protocol, in all types RabbitMQ knows.

Answers for values to bytes and back, within limits of depth and of items. A received table is a
``Table``: a mapping that keeps its bytes and decodes them when first looked into, because most
tables of most messages are never read. Knows nothing of methods and frames.

=====  =====================================  =========================================
letter wire                                   Python
=====  =====================================  =========================================
t      boolean octet                          bool
b B    8 bit signed, unsigned                 int
s U u  16 bit signed (two letters), unsigned  int
I i    32 bit signed, unsigned                int (I is written when it fits)
l L    64 bit signed                          int (l is written otherwise)
f d    float, double                          float (d is written)
D      scale octet, 32 bit signed             decimal.Decimal
S      bytes with a 32 bit length             str where it is UTF-8, else bytes (from str)
x      bytes with a 32 bit length             bytes
T      64 bit unsigned seconds since 1970     Timestamp (also from an aware datetime)
A F V  array, table, void                     list, dict, None
=====  =====================================  =========================================

``Tagged(letter, value)`` writes a letter of one's own choice: a headers exchange of RabbitMQ
compares types too. Source: the 0-9-1 grammar as amended by RabbitMQ's errata page.
"""

import struct
from abc import ABCMeta
from collections.abc import (
    Callable,
    ItemsView,
    Iterator,
    KeysView,
    Mapping,
    Sequence,
    ValuesView,
)
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar, overload

from bedplate.amqp091.spec import ReplyCode
from bedplate.amqp091.timestamp import Timestamp
from bedplate.errors import ProtocolError

__all__ = [
    "TABLE_DEPTH",
    "TABLE_ITEMS",
    "FieldTable",
    "FieldValue",
    "Table",
    "Tagged",
    "decode_table",
    "decode_text",
    "encode_table",
]

T = TypeVar("T")

TABLE_DEPTH: Final = 32
"""How deep tables and arrays may nest, either way."""
TABLE_ITEMS: Final = 16384
"""How many values one received table may hold, its nested ones included."""


class Tagged(NamedTuple):
    """A value that is written with exactly this type letter."""

    letter: str
    value: "FieldValue"


FieldValue: TypeAlias = (
    "bool | int | float | str | bytes | Decimal | Timestamp | datetime | Tagged "
    "| Sequence[FieldValue] | Mapping[str, FieldValue] | None"
)
"""What a field table can carry, one level of it; see the module for the letters."""
FieldTable: TypeAlias = Mapping[str, FieldValue]
"""A table to write, or a received one."""

_LONG: Final = struct.Struct(">I")
_FIXED: Final[Mapping[int, struct.Struct]] = MappingProxyType(
    {
        ord(letter): struct.Struct(">" + code)
        for letter, code in (
            ("t", "?"),
            ("b", "b"),
            ("B", "B"),
            ("s", "h"),
            ("U", "h"),
            ("u", "H"),
            ("I", "i"),
            ("i", "I"),
            ("l", "q"),
            ("L", "q"),
            ("f", "f"),
            ("d", "d"),
        )
    }
)
_OCTETS: Final = tuple(bytes((number,)) for number in range(256))
_read_double: Final = struct.Struct(">d").unpack_from
_write_double: Final = struct.Struct(">d").pack
_STAMP: Final = struct.Struct(">Q")
_DECIMAL: Final = struct.Struct(">Bi")
_SMALL: Final = struct.Struct(">i")


class Table(Mapping[str, FieldValue]):
    """A received table. ``raw`` is what was on the wire, without the length before it.

    Looking into it decodes it, once; bytes that are no table raise ProtocolError then, and harm
    nothing else. Writing it again sends ``raw`` as it is. Of a repeated name the last value counts.
    """

    __slots__ = ("_decoded", "raw")

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self._decoded: dict[str, FieldValue] | None = None

    def decode(self) -> dict[str, FieldValue]:
        """Return it as the dict it keeps; to look into that is quicker. Raises ProtocolError."""
        decoded = self._decoded
        if decoded is None:
            decoded = self._decoded = _Reader(self.raw).table(0, len(self.raw), 1)
        return decoded

    def __getitem__(self, name: str) -> FieldValue:
        return self.decode()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.decode())

    def __len__(self) -> int:
        return len(self.decode())

    @overload
    def get(self, name: str, /) -> "FieldValue | None": ...
    @overload
    def get(self, name: str, /, default: "FieldValue | T") -> "FieldValue | T": ...
    def get(self, name: str, /, default: object = None) -> object:
        """As of a dict, and as fast: most names that are asked for are absent."""
        decoded = self._decoded
        return (self.decode() if decoded is None else decoded).get(name, default)

    def __contains__(self, name: object) -> bool:
        return name in self.decode()

    def keys(self) -> KeysView[str]:
        """As of a dict, and as fast."""
        return self.decode().keys()

    def values(self) -> ValuesView[FieldValue]:
        """As of a dict, and as fast."""
        return self.decode().values()

    def items(self) -> ItemsView[str, FieldValue]:
        """As of a dict, and as fast."""
        return self.decode().items()

    def __repr__(self) -> str:
        return f"<Table of {len(self.raw)} bytes>"

    def __reduce__(self) -> tuple[type["Table"], tuple[bytes]]:
        return Table, (self.raw,)


# What isinstance() found out is remembered here. A compiled class is not given a memory of its own
# and would write into that of Mapping, which then no longer knows other mappings.
type.__setattr__(Table, "_abc_impl", vars(ABCMeta("Memory", (), {}))["_abc_impl"])


def decode_table(raw: bytes) -> dict[str, FieldValue]:
    """Decode a table's bytes (without its length). Raises ProtocolError, the peer's fault."""
    return _Reader(raw).table(0, len(raw), 1)


def decode_text(raw: bytes) -> str:
    """Decode a name or a short text; bytes that are no UTF-8 are kept as surrogates."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("utf-8", "surrogateescape")


def _malformed(why: str) -> ProtocolError:
    return ProtocolError(
        ours=False, reply_code=ReplyCode.SYNTAX_ERROR, why=f"a malformed field table: {why}"
    )


class _Reader:
    """Walks one table's bytes and counts what it makes of them."""

    __slots__ = ("data", "items")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.items = 0

    def table(self, at: int, stop: int, depth: int) -> dict[str, FieldValue]:
        data = self.data
        table: dict[str, FieldValue] = {}
        while at < stop:
            start = at + 1
            at = start + data[at]
            if at >= stop:
                raise _malformed("a name runs past its end.")
            raw = data[start:at]
            try:
                name = raw.decode()
            except UnicodeDecodeError:
                name = raw.decode("utf-8", "surrogateescape")
            start = at + 5
            letter = data[at]
            if letter == 0x53 and start <= stop:  # S, the most frequent: here without a call
                size = data[at + 1] << 24 | data[at + 2] << 16 | data[at + 3] << 8 | data[at + 4]
                at = start + size
                self.items += 1
                if at > stop or self.items > TABLE_ITEMS:
                    raise _malformed("a text runs past its end, or too many values.")
                table[name] = _text(data[start:at])
            elif letter == 0x64 and at + 9 <= stop:  # d, the next most frequent
                self.items += 1
                if self.items > TABLE_ITEMS:
                    raise _malformed(f"more than {TABLE_ITEMS} values.")
                table[name] = _read_double(data, at + 1)[0]
                at += 9
            else:
                table[name], at = self.value(at, stop, depth)
        return table

    def array(self, at: int, stop: int, depth: int) -> list[FieldValue]:
        array: list[FieldValue] = []
        while at < stop:
            value, at = self.value(at, stop, depth)
            array.append(value)
        return array

    def value(self, at: int, stop: int, depth: int) -> tuple[FieldValue, int]:
        """Read the letter at ``at`` and what follows; return the value and where it ended."""
        self.items += 1
        if self.items > TABLE_ITEMS:
            raise _malformed(f"more than {TABLE_ITEMS} values.")
        letter = self.data[at]
        at += 1
        fixed = _FIXED.get(letter)
        if fixed is not None:
            end = at + fixed.size
            if end > stop:
                raise _malformed("a value runs past its end.")
            return fixed.unpack_from(self.data, at)[0], end
        if letter in b"SxFA":
            return self.sized(letter, at, stop, depth)
        if letter in b"V\x00":
            return None, at
        if letter == 0x54 and at + 8 <= stop:
            return Timestamp(_STAMP.unpack_from(self.data, at)[0]), at + 8
        if letter == 0x44 and at + 5 <= stop:
            return _decimal(*_DECIMAL.unpack_from(self.data, at)), at + 5
        raise _malformed(f"no value of type {bytes((letter,))!r} fits there.")

    def sized(self, letter: int, at: int, stop: int, depth: int) -> tuple[FieldValue, int]:
        """Read a value that has its length before it."""
        start = at + 4
        if start > stop:
            raise _malformed("a length runs past its end.")
        end = start + _LONG.unpack_from(self.data, at)[0]
        if end > stop:
            raise _malformed("a value runs past its end.")
        if letter in b"Sx":
            raw = self.data[start:end]
            return (_text(raw) if letter == 0x53 else raw), end
        if depth >= TABLE_DEPTH:
            raise _malformed(f"nested deeper than {TABLE_DEPTH}.")
        if letter == 0x46:
            return self.table(start, end, depth + 1), end
        return self.array(start, end, depth + 1), end


def _text(raw: bytes) -> str | bytes:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def _decimal(scale: int, unscaled: int) -> Decimal:
    # Built from its parts: arithmetic would obey the calling thread's decimal context.
    return Decimal((unscaled < 0, tuple(map(int, str(abs(unscaled)))), -scale))


def _misuse(why: str) -> ProtocolError:
    return ProtocolError(ours=True, reply_code=ReplyCode.SYNTAX_ERROR, why=why)


def encode_table(table: FieldTable) -> bytes:
    """Encode a table, the length before it included.

    Raises ProtocolError (ours): a name beyond 255 bytes, a value without a wire type or out of
    its type's range, nesting beyond ``TABLE_DEPTH``.
    """
    try:
        return _write_table(table, 1)
    except UnicodeEncodeError:
        raise _misuse("A text in a table has a surrogate that stands for no byte.") from None


def _write_table(table: Mapping[Any, FieldValue], depth: int) -> bytes:
    if type(table) is Table:
        return _LONG.pack(len(table.raw)) + table.raw
    if depth > TABLE_DEPTH:
        raise _misuse(f"A table nests deeper than {TABLE_DEPTH}; flatten it.")
    parts: list[bytes] = []
    octets = _OCTETS
    entries = table if isinstance(table, dict) else dict(table)
    for name, value in entries.items():
        if type(name) is not str:
            raise _misuse("A name in a table must be a str.")
        try:  # short ASCII texts and numbers are by far the most frequent: here without a call
            if type(value) is str:
                key, text = name.encode("ascii"), value.encode("ascii")
                item = b"%b%bS\0\0\0%b%b" % (octets[len(key)], key, octets[len(text)], text)
                parts.append(item)
                continue
            if type(value) is float:
                key = name.encode("ascii")
                parts.append(b"%b%bd%b" % (octets[len(key)], key, _write_double(value)))
                continue
        except (IndexError, UnicodeEncodeError):
            pass  # long, or not ASCII
        key = name.encode("utf-8", "surrogateescape")
        if len(key) > 255:
            raise _misuse(f"The name {name[:40]!r}... in a table is longer than 255 bytes.")
        parts.append(b"%c%b" % (len(key), key))
        parts.append(_write_value(value, depth))
    body = b"".join(parts)
    return len(body).to_bytes(4, "big") + body


def _write_array(array: Sequence[FieldValue], depth: int) -> bytes:
    if depth > TABLE_DEPTH:
        raise _misuse(f"An array nests deeper than {TABLE_DEPTH}; flatten it.")
    body = b"".join([_write_value(value, depth) for value in array])
    return _LONG.pack(len(body)) + body


def _write_value(value: FieldValue, depth: int) -> bytes:
    """Write the letter that fits the Python type, and the value."""
    writer = _WRITERS.get(type(value))
    if writer is not None:
        return writer(value, depth)
    for kind, writer in _WRITERS.items():  # a subclass: bool stands before int, str before Sequence
        if isinstance(value, kind):
            return writer(value, depth)
    raise _misuse(f"A field table cannot carry a {type(value).__name__}.")


def _write_int(value: int, _depth: int) -> bytes:
    if -0x80000000 <= value <= 0x7FFFFFFF:
        return b"I" + _SMALL.pack(value)
    return b"l" + _pack(_FIXED[ord("l")], "l", value)


def _write_sized(letter: bytes, raw: bytes) -> bytes:
    return letter + _LONG.pack(len(raw)) + raw


def _write_decimal(value: Decimal) -> bytes:
    sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        raise _misuse("A field table cannot carry a Decimal that is no number.")
    # Digits and exponent are bounded before arithmetic: Decimal("1e999999") is a short text.
    if len(digits) <= 10 and -255 <= exponent <= 10:
        unscaled = int("".join(map(str, digits))) * 10 ** max(exponent, 0) * (-1 if sign else 1)
        if -0x80000000 <= unscaled <= 0x7FFFFFFF:
            return _DECIMAL.pack(max(-exponent, 0), unscaled)
    raise _misuse("A Decimal in a field table has at most 32 bits of digits and a scale of 255.")


def _write_datetime(value: datetime, _depth: int) -> bytes:
    if value.tzinfo is None:
        raise _misuse("A datetime in a field table needs a time zone.")
    return b"T" + _pack(_STAMP, "T", int(value.timestamp()))


def _write_tagged(tagged: Tagged, depth: int) -> bytes:
    letter, value = tagged
    raw = letter.encode() if type(letter) is str and len(letter) == 1 else b"?"
    fixed = _FIXED.get(raw[0])
    if fixed is not None:
        return raw + _pack(fixed, letter, value)
    if raw in b"Sx" and isinstance(value, str | bytes):
        return _write_sized(raw, value.encode() if isinstance(value, str) else value)
    if raw == b"T" and isinstance(value, int):
        return raw + _pack(_STAMP, letter, value)
    if raw in b"DFAV":
        plain = _write_value(value, depth)
        if plain[:1] == raw:
            return plain
    raise _misuse(f"No type {letter!r} of field tables carries a {type(value).__name__}.")


def _pack(shape: struct.Struct, letter: str, value: object) -> bytes:
    try:
        return shape.pack(value)
    except (struct.error, OverflowError):
        why = f"A {type(value).__name__} in a field table is out of range for type {letter!r}."
        raise _misuse(why) from None


_WRITERS: Mapping[type, Callable[..., bytes]] = MappingProxyType(
    {
        bool: lambda value, _depth: b"t\x01" if value else b"t\x00",
        Timestamp: lambda value, _depth: b"T" + _pack(_STAMP, "T", value),
        int: _write_int,
        str: lambda value, _d: _write_sized(b"S", value.encode("utf-8", "surrogateescape")),
        bytes: lambda value, _depth: _write_sized(b"x", value),
        bytearray: lambda value, _depth: _write_sized(b"x", bytes(value)),
        float: lambda value, _depth: b"d" + _FIXED[ord("d")].pack(value),
        type(None): lambda _value, _depth: b"V",
        Decimal: lambda value, _depth: b"D" + _write_decimal(value),
        datetime: _write_datetime,
        Tagged: _write_tagged,
        Mapping: lambda value, depth: b"F" + _write_table(value, depth + 1),
        dict: lambda value, depth: b"F" + _write_table(value, depth + 1),
        list: lambda value, depth: b"A" + _write_array(value, depth + 1),
        tuple: lambda value, depth: b"A" + _write_array(value, depth + 1),
    }
)
