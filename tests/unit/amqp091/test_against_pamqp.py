"""The table of methods, field tables and properties against an independent codec."""

import struct
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import TypeVar

import pamqp.base
import pamqp.body
import pamqp.commands
import pamqp.decode
import pamqp.encode
import pamqp.frame
import pamqp.header
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.amqp091.peer import opened

from bedplate.amqp091 import Properties, Table, Tagged, Timestamp
from bedplate.amqp091.fields import decode_table, encode_table
from bedplate.amqp091.methods import decode_arguments, encode_method
from bedplate.amqp091.properties import decode_properties, encode_properties
from bedplate.amqp091.spec import METHODS, Kind, Method

T = TypeVar("T")
NAMES = sorted(METHODS)
WRITABLE = sorted(METHODS.keys() - {"channel.open", "channel.open-ok"})
"""All but two, whose reserved text the other codec does not write empty."""
SHORT = st.text("azAZ09-_.:", max_size=60)  # what the other codec lets be a name


def sort(table: dict[str, T]) -> dict[str, T]:
    """Sort a table by its names, as the other codec does when it writes."""
    return dict(sorted(table.items()))


PLAIN = {
    Kind.OCTET: st.integers(0, 255),
    Kind.SHORT: st.integers(0, 0xFFFF),
    Kind.LONG: st.integers(0, 0xFFFFFFFF),
    Kind.LONGLONG: st.integers(0, (1 << 63) - 1),  # the other codec takes it for signed
    Kind.BIT: st.booleans(),
    Kind.SHORTSTR: SHORT,
    Kind.LONGSTR: st.text(max_size=300).map(str.encode),
    Kind.TABLE: st.dictionaries(SHORT, st.text() | st.booleans(), max_size=4).map(sort),
}


def theirs(method: Method) -> type[pamqp.base.Frame]:
    return pamqp.commands.INDEX_MAPPING[method.number]


def blank(kind: Kind) -> object:
    return {Kind.SHORT: 0, Kind.BIT: False, Kind.SHORTSTR: "", Kind.LONGSTR: ""}[kind]


def build(method: Method, values: list[object]) -> pamqp.base.Frame:
    """Their frame of our values; its fields are set directly: its constructor is opinionated."""
    given_values = iter(values)
    built = theirs(method)()
    for attribute, (name, kind) in zip(built.attributes(), method.fields, strict=True):
        value = blank(kind) if name.startswith("_") else next(given_values)
        setattr(built, attribute, value.decode() if isinstance(value, bytes) else value)
    return built


def test_the_table_has_the_same_methods() -> None:
    """Both tables name the same methods by the same numbers."""
    assert {method.number for method in METHODS.values()} == set(pamqp.commands.INDEX_MAPPING)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings("ignore:This command is deprecated")
def test_each_method_is_described_alike(name: str) -> None:
    """Name, argument kinds and replies of each method agree with the other table."""
    method = METHODS[name]
    other = theirs(method)
    spelled = "".join(part.capitalize() for part in name.replace(".", "-.-").split("-"))
    assert other().name == spelled
    assert [other.amqp_type(a) for a in other.attributes()] == [
        kind.name.lower() for _, kind in method.fields
    ]
    replies = {METHODS[reply].number for reply in method.replies}
    if other.synchronous:
        assert {
            number
            for number, reply in pamqp.commands.INDEX_MAPPING.items()
            if reply().name in other.valid_responses
        } == replies
    else:
        assert not replies


@pytest.mark.parametrize("name", WRITABLE)
@pytest.mark.filterwarnings("ignore:This command is deprecated")
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_each_method_is_written_and_read_alike(name: str, data: st.DataObject) -> None:
    """For any arguments both write the same bytes, and each reads what the other wrote."""
    method = METHODS[name]
    values = [
        data.draw(st.text(max_size=60) if field == "text" else PLAIN[kind], label=field)
        for field, kind in method.fields
        if not field.startswith("_")
    ]
    built = build(method, values)
    ours = encode_method(name, values)
    marshalled = pamqp.frame.marshal(built, 7)
    assert struct.pack(">BHI", 1, 7, len(ours)) + ours + b"\xce" == marshalled
    assert decode_arguments(method, ours + b"\xce", 4, len(ours)) == values
    _, channel, read = pamqp.frame.unmarshal(marshalled)
    assert isinstance(read, pamqp.base.Frame)
    assert (channel, dict(read)) == (7, dict(built))


WIRE_VALUES = [
    (Tagged("b", -5), pamqp.encode.table_integer(-5), -5),
    (Tagged("s", -300), pamqp.encode.table_integer(-300), -300),
    (Tagged("u", 40_000), pamqp.encode.table_integer(40_000), 40_000),
    (70_000, pamqp.encode.table_integer(70_000), 70_000),
    (Tagged("i", 3_000_000_000), pamqp.encode.table_integer(3_000_000_000), 3_000_000_000),
    (1 << 40, pamqp.encode.table_integer(1 << 40), 1 << 40),
    (-(1 << 63), pamqp.encode.table_integer(-(1 << 63)), -(1 << 63)),
    (Tagged("B", 200), b"B" + pamqp.encode.octet(72).replace(b"H", b"\xc8"), 200),
    (Tagged("L", 9), b"L" + pamqp.encode.long_long_int(9), 9),
    (True, pamqp.encode.encode_table_value(True), True),  # noqa: FBT003 - the value itself
    (Tagged("f", 0.5), pamqp.encode.encode_table_value(0.5), 0.5),
    (0.1, b"d" + pamqp.encode.double(0.1), 0.1),
    (Decimal("3.1415"), pamqp.encode.encode_table_value(Decimal("3.1415")), Decimal("3.1415")),
    (Decimal("-2.5"), pamqp.encode.encode_table_value(Decimal("-2.5")), Decimal("-2.5")),
    (Decimal(7), pamqp.encode.encode_table_value(Decimal(7)), Decimal(7)),
    ("Zuse \N{SNOWMAN}", pamqp.encode.encode_table_value("Zuse \N{SNOWMAN}"), "Zuse \N{SNOWMAN}"),
    (b"\x00\xff", pamqp.encode.encode_table_value(bytearray(b"\x00\xff")), b"\x00\xff"),
    (
        datetime(2026, 11, 22, 13, tzinfo=UTC),
        pamqp.encode.encode_table_value(datetime(2026, 11, 22, 13, tzinfo=UTC)),
        Timestamp(1795352400),
    ),
    (None, pamqp.encode.encode_table_value(None), None),
    (
        {"a": {"b": "c"}},
        pamqp.encode.encode_table_value({"a": {"b": "c"}}),
        {"a": {"b": "c"}},
    ),
    (
        ["x", None, [True, 70_000]],
        pamqp.encode.encode_table_value(["x", None, [True, 70_000]]),
        ["x", None, [True, 70_000]],
    ),
]


@pytest.mark.parametrize(("value", "wire", "read"), WIRE_VALUES, ids=repr)
def test_each_type_of_a_table_is_written_and_read_alike(
    value: object, wire: bytes, read: object
) -> None:
    """Every type letter: same bytes both ways, and the other end decodes what ours encodes."""
    ours = encode_table({"k": value})  # type: ignore[dict-item]  # parametrised over all types
    assert ours == struct.pack(">I", len(wire) + 2) + b"\x01k" + wire
    assert decode_table(ours[4:]) == {"k": read}
    assert type(decode_table(ours[4:])["k"]) is type(read)
    _, decoded = pamqp.decode.field_table(ours)
    shown = decoded["k"]
    if isinstance(shown, datetime):
        shown = Timestamp(shown.timestamp())
    assert shown == read


TEXTS = st.text(min_size=1, max_size=30)  # the other codec leaves out what is empty
PROPERTIES = st.builds(
    Properties,
    content_type=st.none() | TEXTS,
    content_encoding=st.none() | TEXTS,
    headers=st.none()
    | st.dictionaries(TEXTS, TEXTS | st.booleans() | st.integers(65_536, 1 << 30), min_size=1).map(
        sort
    ),
    delivery_mode=st.none() | st.integers(1, 2),
    priority=st.none() | st.integers(0, 255),
    correlation_id=st.none() | TEXTS,
    reply_to=st.none() | TEXTS,
    expiration=st.none() | TEXTS,
    message_id=st.none() | TEXTS,
    timestamp=st.none() | st.integers(0, 1 << 32),
    type=st.none() | TEXTS,
    user_id=st.none() | TEXTS,
    app_id=st.none() | TEXTS,
    cluster_id=st.none(),
)


def their_properties(properties: Properties) -> pamqp.commands.Basic.Properties:
    built = pamqp.commands.Basic.Properties()
    for name, value in properties._asdict().items():
        if name == "timestamp" and value is not None:
            value = datetime.fromtimestamp(value, tz=UTC)  # noqa: PLW2901 - the same value
        if name != "cluster_id":
            setattr(built, "message_type" if name == "type" else name, value)
    return built


@given(properties=PROPERTIES, size=st.integers(0, (1 << 64) - 1))
@settings(max_examples=150, deadline=None)
def test_properties_are_written_and_read_alike(properties: Properties, size: int) -> None:
    """For any properties both write the same header; reading gives back what was written."""
    header = pamqp.header.ContentHeader(0, size, their_properties(properties))
    encoded = encode_properties(properties)
    assert struct.pack(">HHQ", 60, 0, size) + encoded == header.marshal()
    read = decode_properties(encoded)
    assert isinstance(read.headers, Table | None)
    assert read == properties


def test_a_whole_publish_is_written_alike() -> None:
    """The hand-packed publish, a body over several frames, is what the other codec writes."""
    connection = opened()
    channel = connection.open_channel()
    connection.take_outgoing(0.0)
    headers: Mapping[str, str] = {"name": "value"}
    properties = Properties(content_type="text/plain", headers=headers, delivery_mode=2)
    body = bytes(range(256)) * 1100
    channel.publish("logs", "host.app", body, properties, mandatory=True)
    most = 131072 - 8
    publish = pamqp.commands.Basic.Publish(0, "logs", "host.app", mandatory=True)
    header = pamqp.header.ContentHeader(0, len(body), their_properties(properties))
    wanted = pamqp.frame.marshal(publish, 1) + pamqp.frame.marshal(header, 1)
    for at in range(0, len(body), most):
        piece = pamqp.body.ContentBody(body[at : at + most])
        wanted += pamqp.frame.marshal(piece, 1)
    assert connection.take_outgoing(0.0) == wanted


@pytest.mark.parametrize("bits", range(4))
def test_the_hand_packed_settlements_are_written_alike(bits: int) -> None:
    """The hand-packed ack, nack and reject are what the other codec writes, for all their bits."""
    connection = opened()
    channel = connection.open_channel()
    channel._state.delivered = 1 << 40
    first, second = bool(bits & 1), bool(bits & 2)
    connection.take_outgoing(0.0)
    tag = 1 << 33
    channel.ack(tag, multiple=first)
    channel.nack(tag, multiple=first, requeue=second)
    channel.reject(tag, requeue=second)
    basic = pamqp.commands.Basic
    wanted = basic.Ack(tag, first), basic.Nack(tag, first, second), basic.Reject(tag, second)
    expected = b"".join(pamqp.frame.marshal(each, 1) for each in wanted)
    assert connection.take_outgoing(0.0) == expected
