"""The native envelope: what goes in comes out, and no bytes do harm."""

import math
from typing import cast

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bedplate.amqp091 import Table
from bedplate.config import Secret
from bedplate.errors import MalformedMessage, ProtocolError, TooLarge, Unencodable
from bedplate.messaging.types import Address, Arrival, Headers, HeaderValue, Message
from bedplate.messaging.wire import native
from bedplate.messaging.wire.request import Request
from bedplate.messaging.wire.values import (
    Beat,
    Cancel,
    Event,
    Fault,
    Reply,
)

ANY = msgspec.json.Decoder(object)

names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
words = st.text(st.characters(codec="utf-8"), max_size=12)
scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | words
json_values = st.recursive(
    scalars | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)
contexts = st.dictionaries(words, json_values, max_size=3)
json_text = json_values.map(msgspec.json.encode)
seconds = st.floats(0, 1e9, allow_nan=False)
private = st.builds(Address.private, names)

values = st.one_of(
    st.builds(
        Request,
        id=names,
        method=names,
        args=contexts.map(msgspec.json.encode),
        reply_to=st.none() | private,
        namespace=words,
        version=words,
        heartbeat=st.none() | seconds,
        timeout=st.none() | seconds,
        peer=words,
        context=contexts,
    ),
    st.builds(Reply, call=names, result=json_text),
    st.builds(
        Fault,
        call=names,
        code=words,
        type=words,
        message=words,
        details=contexts,
        causes=st.lists(st.tuples(words, words), max_size=3).map(tuple),
        retryable=st.booleans(),
    ),
    st.builds(Beat, call=names, state=names, progress=st.none() | json_text),
    st.builds(Cancel, call=names),
    st.builds(
        Event,
        id=names,
        event_type=names,
        publisher_id=words,
        priority=words,
        timestamp=seconds,
        payload=json_text,
        context=contexts,
    ),
)


def carried(message: Message) -> Arrival:
    """Carry a message as any broker does."""
    return Arrival(
        1,
        message.body,
        message.id,
        message.headers,
        message.content_type,
        message.kind,
        message.correlation_id,
        message.reply_to,
    )


@given(values)
def test_every_value_comes_back_as_it_was(value: native.Value) -> None:
    """Encoding a value and decoding its message gives the same value."""
    assert native.decode(carried(native.encode(value))) == value


kinds = st.sampled_from(["call", "cast", "reply", "fault", "beat", "cancel", "event", "", "?"])
header_names = st.sampled_from(
    sorted(v for v in vars(native).values() if isinstance(v, str) and v.startswith("bedplate-"))
)
header_values: st.SearchStrategy[HeaderValue] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.binary(max_size=8),
    st.text(max_size=8),
    st.sampled_from(["{}", "[]", "{", "null", '{"a": 1}', "[" * 500, "\ud800"]),
)


@given(
    kind=kinds,
    body=st.binary(max_size=40) | st.sampled_from([b"{}", b'{"code": 1}', b"[" * 400]),
    headers=st.dictionaries(header_names, header_values, max_size=6),
    correlation_id=st.sampled_from(["", "c"]),
    reply_to=st.none() | private,
)
@example(kind="cast", body=b"", headers={}, correlation_id="", reply_to=None)
@settings(max_examples=200)
def test_any_message_is_a_value_or_malformed(
    kind: str,
    body: bytes,
    headers: dict[str, HeaderValue],
    correlation_id: str,
    reply_to: Address | None,
) -> None:
    """Whatever arrives decodes to a value or raises MalformedMessage, and nothing else."""
    arrival = Arrival(
        1, body, "m", headers, kind=kind, correlation_id=correlation_id, reply_to=reply_to
    )
    try:
        native.decode(arrival)
    except MalformedMessage:
        return


@given(st.binary(max_size=60))
@example(b"\xff")
@example(b'"\xff"')
@example(b"1e999")
@example(b'{"a":')
def test_any_text_is_json_or_malformed(body: bytes) -> None:
    """Whatever a body holds, reading it gives a value or a MalformedMessage."""
    try:
        native.loads(body, ANY, "a body")
    except (MalformedMessage, msgspec.ValidationError):
        return


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 10_000 + b"]" * 10_000,
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b"[{" * 10_000,
        b"[" * 1_000_000,
        b'["x",' * 65 + b"1" + b"]" * 65,
    ],
    ids=["lists", "objects", "open", "a million", "one too many"],
)
def test_hostile_nesting_is_malformed_not_a_recursion_error(body: bytes) -> None:
    """Text nested beyond the limit is refused as such, at any size."""
    with pytest.raises(MalformedMessage, match="nested more than 64"):
        native.loads(body, ANY, "a body")


@pytest.mark.parametrize(
    "value",
    [
        [[]] * 500,
        [{"deep": {}}] * 500,
        "[" * 500,
        ['\\"' + "{" * 100, "\\", '"', "[" * 100],
        {"{" * 40: "[" * 40},
    ],
)
def test_many_brackets_are_not_deep_nesting(value: object) -> None:
    """Wide values, and brackets inside strings, are not mistaken for nesting."""
    assert native.loads(native.dumps(value, "it"), ANY, "it") == value


def test_exactly_the_limit_of_nesting_is_fine() -> None:
    """A value of 64 levels passes in both directions, one of 65 in neither."""
    value: object = 1
    for _ in range(64):
        value = [value, "]"]
    assert native.loads(native.dumps(value, "it"), ANY, "it") == value
    with pytest.raises(Unencodable, match="nested more than 64"):
        native.dumps([value], "it")


def test_what_json_cannot_carry_is_unencodable() -> None:
    """Objects, lone surrogates, odd keys and loops raise Unencodable, naming what was sent."""
    loop: list[object] = []
    loop.append(loop)
    for value in (object(), "\ud800", {(1, 2): 3}, loop, {1j}):
        with pytest.raises(Unencodable, match="the result"):
            native.dumps(value, "the result")


def test_a_secret_is_not_sent_and_not_shown() -> None:
    """A secret among the arguments is refused without its value."""
    with pytest.raises(Exception, match=r".") as raised:
        native.dumps({"password": Secret("hunter2")}, "the arguments")
    assert "hunter2" not in str(raised.value)


def test_sizes_are_limited_both_ways() -> None:
    """Too large is an error of its own when sending, and malformed when receiving."""
    small = native.Limits(body=10)
    with pytest.raises(TooLarge, match="more than the limit of 10"):
        native.dumps("x" * 20, "it", small)
    with pytest.raises(MalformedMessage, match="more than the limit of 10"):
        native.loads(b'"' + b"x" * 20 + b'"', ANY, "it", small)
    with pytest.raises(MalformedMessage, match="more than the limit of 10"):
        native.decode(carried(native.encode(Reply("c", b'"' + b"x" * 20 + b'"'))), small)


def test_an_unknown_kind_is_malformed() -> None:
    """A kind of a later version, or of somebody else, is named and refused."""
    with pytest.raises(MalformedMessage, match="'gossip' is unknown"):
        native.decode(Arrival(1, b"", kind="gossip"))


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0, "3", True, 10**400])
def test_a_heartbeat_is_a_number_of_seconds(value: HeaderValue) -> None:
    """A heartbeat header that is no finite duration is malformed."""
    headers: dict[str, HeaderValue] = {"bedplate-method": "m", "bedplate-heartbeat": value}
    with pytest.raises(MalformedMessage, match="bedplate-heartbeat"):
        native.decode(Arrival(1, b"{}", "id", headers, kind="cast"))


def test_a_call_without_a_reply_address_is_malformed() -> None:
    """A call that could not be answered is refused."""
    with pytest.raises(MalformedMessage, match="no address for the reply"):
        native.decode(
            Arrival(1, b"{}", headers={"bedplate-method": "m"}, kind="call", correlation_id="c")
        )


@pytest.mark.parametrize("kind", ["call", "cast", "beat", "event"])
def test_headers_that_cannot_be_decoded_are_malformed(kind: str) -> None:
    """A driver may decode headers when first looked into; what is none then does no harm."""
    private = Address.private("reply")
    bad = Table(b"\xff")
    arrival = Arrival(
        1, b"{}", "m", cast("Headers", bad), kind=kind, correlation_id="c", reply_to=private
    )
    with pytest.raises(MalformedMessage, match="a name runs past its end") as raised:
        native.decode(arrival)
    assert isinstance(raised.value.__cause__, ProtocolError)


def test_malformed_text_is_not_quoted() -> None:
    """The bytes of a message that is not UTF-8 do not appear in the error."""
    with pytest.raises(MalformedMessage) as raised:
        native.loads(b'"hunter2\xff"', ANY, "a body")
    assert "hunter2" not in str(raised.value)
    assert "not UTF-8" in str(raised.value)
