"""Field tables: round trips, laziness, limits, malformed bytes."""

import copy
import pickle
import struct
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal, localcontext

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedplate.amqp091 import FieldValue, Table, Tagged, Timestamp
from bedplate.amqp091.fields import TABLE_DEPTH, TABLE_ITEMS, decode_table, encode_table
from bedplate.errors import ProtocolError

NAMES = st.text(max_size=40)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 63) - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.integers(0, (1 << 64) - 1).map(Timestamp)
    | st.builds(
        lambda n, places: Decimal(n).scaleb(-places),
        st.integers(-(1 << 31), (1 << 31) - 1),
        st.integers(0, 255),
    )
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner), max_leaves=20
)
TABLES = st.dictionaries(NAMES, VALUES, max_size=6)


@given(table=TABLES)
@settings(max_examples=200, deadline=None)
def test_a_table_comes_back_as_it_was_written(table: dict[str, object]) -> None:
    """Any values of the supported types survive the wire, with their types."""
    encoded = encode_table(table)  # type: ignore[arg-type]  # what the strategy makes
    assert struct.unpack_from(">I", encoded)[0] == len(encoded) - 4
    decoded = decode_table(encoded[4:])
    assert decoded == table
    assert list(map(type, decoded.values())) == list(map(type, table.values()))


@given(raw=st.binary(max_size=80))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_a_table_or_a_protocol_error(raw: bytes) -> None:
    """Bytes that are no table raise the peer's ProtocolError and nothing else."""
    try:
        table = decode_table(raw)
    except ProtocolError as error:
        fault = (error.ours, error.reply_code)
    else:
        fault = (False, 502)
        encode_table(table)
    assert fault == (False, 502)


@given(table=TABLES, cut=st.integers(1, 40))
@settings(max_examples=100, deadline=None)
def test_a_table_cut_short_is_never_read_past_its_end(table: dict[str, object], cut: int) -> None:
    """A table without its tail is malformed or a shorter table; it never raises anything else."""
    raw = encode_table(table)[4:]  # type: ignore[arg-type]  # what the strategy makes
    try:
        shorter = decode_table(raw[:-cut])
    except ProtocolError:
        return
    assert len(shorter) <= len(table)


def test_a_received_table_decodes_when_looked_into() -> None:
    """A Table holds its bytes, is equal to its content, and fails only when it is opened."""
    table = Table(encode_table({"a": 1, "b": "two"})[4:])
    assert table._decoded is None
    assert repr(table) == f"<Table of {len(table.raw)} bytes>"
    assert table == {"a": 1, "b": "two"}
    assert table["b"] == "two"
    assert list(table) == ["a", "b"]
    assert len(Table(b"")) == 0
    broken = Table(b"\x01")
    for _ in range(2):
        with pytest.raises(ProtocolError, match="malformed field table"):
            len(broken)


def test_a_received_table_is_sent_on_byte_for_byte() -> None:
    """Writing a Table sends its own bytes, which keeps types that Python does not tell apart."""
    raw = b"\x01ab\x05\x01cu\x00\x07"
    assert encode_table(Table(raw)) == struct.pack(">I", len(raw)) + raw
    nested = encode_table({"inner": Table(raw)})
    assert nested[4:] == b"\x05innerF" + struct.pack(">I", len(raw)) + raw


def test_text_that_is_no_utf8_stays_what_it_was() -> None:
    """Long strings become bytes, names keep their bytes; both can be written again."""
    raw = b"\x02\xff\xfeS\x00\x00\x00\x02\xc3("
    ((name, value),) = decode_table(raw).items()
    assert value == b"\xc3("
    assert encode_table({name: Tagged("S", value)})[4:] == raw


def test_of_a_repeated_name_the_last_value_counts() -> None:
    """Two values of one name are legal bytes; the later one is kept."""
    assert decode_table(b"\x01at\x00\x01at\x01") == {"a": True}


@pytest.mark.parametrize(
    "value", [b"B", b"I\0\0\0", b"S\0\0\0\x01", b"x\0\0\0\x01", b"F\0\0\0\x01"]
)
def test_a_value_may_not_reach_out_of_its_inner_table(value: bytes) -> None:
    """One octet too few inside, while the outer table goes on: malformed, not borrowed."""
    inner = b"\x01b" + value
    raw = b"\x01aF" + struct.pack(">I", len(inner)) + inner + b"\x01cV"
    with pytest.raises(ProtocolError, match="malformed field table"):
        decode_table(raw)


def test_the_undocumented_void_and_the_specs_short_are_read() -> None:
    """NUL is read as void, U as a 16 bit number: peers in the field write them."""
    assert decode_table(b"\x01a\x00\x01bU\xff\xfe") == {"a": None, "b": -2}


def nested(depth: int) -> dict[str, object]:
    table: dict[str, object] = {}
    for _ in range(depth - 1):
        table = {"t": table}
    return table


def test_depth_is_limited_both_ways() -> None:
    """A table of TABLE_DEPTH levels passes, one more is refused, written or read."""
    deep = encode_table(nested(TABLE_DEPTH))  # type: ignore[arg-type]  # a dict of dicts
    assert decode_table(deep[4:]) == nested(TABLE_DEPTH)
    with pytest.raises(ProtocolError) as misuse:
        encode_table(nested(TABLE_DEPTH + 1))  # type: ignore[arg-type]  # a dict of dicts
    assert misuse.value.ours
    with pytest.raises(ProtocolError, match="nested deeper") as fault:
        decode_table(b"\x01tF" + deep)
    assert not fault.value.ours
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(ProtocolError, match="nests deeper"):
        encode_table({"loop": loop})  # type: ignore[dict-item]  # a list that holds itself


def test_arrays_cannot_nest_deeper_than_tables() -> None:
    """A hundred thousand array heads, each inside the one before, end at the depth limit."""
    size = 5000
    raw = b"\x01a"
    for level in range(size):
        raw += b"A" + struct.pack(">I", 5 * (size - level - 1))
    with pytest.raises(ProtocolError, match="nested deeper"):
        decode_table(raw)


def test_the_number_of_values_is_limited() -> None:
    """Voids cost a byte on the wire and eight in memory: there is a limit to how many."""
    voids = b"\x01aA" + struct.pack(">I", TABLE_ITEMS) + b"V" * TABLE_ITEMS
    with pytest.raises(ProtocolError, match=f"more than {TABLE_ITEMS}"):
        decode_table(voids)
    texts = b"\x00S\x00\x00\x00\x00" * (TABLE_ITEMS + 1)
    with pytest.raises(ProtocolError, match="too many values"):
        decode_table(texts)


class Shade(str):
    __slots__ = ()


def test_subclasses_are_written_as_what_they_are() -> None:
    """An enum's value, a str subclass or a bool is written like its nearest type."""
    table: dict[str, FieldValue] = {
        "shade": Shade("red"),
        "bool": True,
        "stamp": Timestamp(5),
        "tuple": (1, 2),
    }
    read = decode_table(encode_table(table)[4:])
    assert read == {"shade": "red", "bool": True, "stamp": 5, "tuple": [1, 2]}
    assert type(read["stamp"]) is Timestamp


def test_a_timestamp_tells_its_moment() -> None:
    """Timestamp is the wire's number and gives the datetime it stands for."""
    moment = datetime(2026, 11, 22, 13, 0, tzinfo=UTC)
    stamp = decode_table(encode_table({"t": moment})[4:])["t"]
    assert isinstance(stamp, Timestamp)
    assert stamp.when() == moment
    with pytest.raises(OverflowError):
        Timestamp((1 << 64) - 1).when()


def test_decimals_do_not_depend_on_the_threads_context() -> None:
    """A decimal context of low precision changes nothing."""
    wire = encode_table({"d": Decimal("123456.789")})
    with localcontext() as context:
        context.prec = 2
        assert decode_table(wire[4:]) == {"d": Decimal("123456.789")}
        assert encode_table({"d": Decimal("123456.789")}) == wire


@pytest.mark.parametrize(
    "value",
    [
        1 << 63,
        -(1 << 63) - 1,
        Timestamp(-1),
        Timestamp(1 << 64),
        Decimal("NaN"),
        Decimal("Infinity"),
        Decimal("1e999999"),
        Decimal("1e-256"),
        Decimal(12345678901),
        Decimal(1 << 31),
        datetime(2026, 1, 1),  # noqa: DTZ001 - without a zone on purpose
        object(),
        {1: "one"},
        {"x" * 256: 1},
        Tagged("b", 128),
        Tagged("B", -1),
        Tagged("f", 1e300),
        Tagged("I", "5"),
        Tagged("S", 5),
        Tagged("T", "now"),
        Tagged("F", [1]),
        Tagged("?", 1),
        Tagged("", 1),
        Tagged("long", 1),
    ],
    ids=repr,
)
def test_what_cannot_be_written_is_our_misuse(value: object) -> None:
    """A value without a wire type, or out of its range, raises ProtocolError with ours set."""
    with pytest.raises(ProtocolError) as caught:
        encode_table({"k": value})  # type: ignore[dict-item]  # wrong on purpose
    assert caught.value.ours
    assert repr(value)[:200] not in str(caught.value)


def test_names_are_texts_of_at_most_255_bytes() -> None:
    """A name of 255 bytes is written, a longer one or one that is no text is refused."""
    name = "\N{SNOWMAN}" * 85
    assert decode_table(encode_table({name: 1})[4:]) == {name: 1}
    with pytest.raises(ProtocolError, match="longer than 255"):
        encode_table({name + "x": 1})
    with pytest.raises(ProtocolError, match="must be a str"):
        encode_table({5: 1})  # type: ignore[dict-item]  # wrong on purpose


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (Tagged("T", 5), Timestamp(5)),
        (Tagged("D", Decimal("1.5")), Decimal("1.5")),
        (Tagged("F", {"a": 1}), {"a": 1}),
        (Tagged("A", [1, 2]), [1, 2]),
        (Tagged("V", None), None),
        (Tagged("x", b"raw"), b"raw"),
        (bytearray(b"raw"), b"raw"),
    ],
    ids=repr,
)
def test_a_letter_of_ones_own_is_written(value: object, read: object) -> None:
    """Tagged takes every letter, also those that its value would get anyway."""
    raw = encode_table({"k": value})[4:]  # type: ignore[dict-item]  # parametrised over all types
    if isinstance(value, Tagged):
        assert raw[2:3] == value.letter.encode()
    assert decode_table(raw) == {"k": read}
    assert list(Table(raw).values()) == [read]


@pytest.mark.parametrize(
    "raw",
    [b"\x01kI\x00", b"\x01kT\x00", b"\x01kD\x00", b"\x01kS\x00", b"\x01kS\0\0\0\x01", b"\x01kZ"],
)
def test_each_kind_of_value_that_is_cut_short_is_malformed(raw: bytes) -> None:
    """Fixed, sized and unknown values all end with the table, or it is no table."""
    with pytest.raises(ProtocolError, match="malformed field table"):
        decode_table(raw)


def test_a_received_table_is_asked_like_a_dict() -> None:
    """``get`` and ``in`` answer for names that are there and names that are not."""
    table = Table(encode_table({"a": 1})[4:])
    assert table.get("a") == 1
    assert table.get("b") is None
    assert table.get("b", "c") == "c"
    assert "a" in table
    assert "b" not in table


class Plain(Mapping[str, int]):
    """A mapping that is no table."""

    def __getitem__(self, name: str) -> int:
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def test_who_asks_for_a_table_spoils_no_other_question() -> None:
    """That a mapping is no table does not make it, to the whole process, none at all."""
    value: object = Plain()
    kinds: tuple[type, ...] = (Table, Mapping)  # asked for one by one, as anybody's code would
    assert [isinstance(value, kind) for kind in kinds] == [False, True]
    assert [isinstance({}, kind) for kind in kinds] == [False, True]
    assert [isinstance(Table(b""), kind) for kind in kinds] == [True, True]


def test_a_received_table_can_be_copied_and_pickled() -> None:
    """Whoever keeps a message keeps its headers with it, in another process too."""
    table = Table(encode_table({"k": ["v", 1]})[4:])
    for again in (copy.copy(table), copy.deepcopy(table), pickle.loads(pickle.dumps(table))):  # noqa: S301 - ours
        assert again.raw == table.raw
        assert dict(again) == {"k": ["v", 1]}
