"""The table-driven codec where the other tests do not reach: what does not fit."""

import pytest

from bedplate.amqp091 import External, Properties
from bedplate.amqp091.methods import decode_arguments, encode_method
from bedplate.amqp091.properties import decode_properties, encode_properties
from bedplate.amqp091.spec import METHODS
from bedplate.errors import ProtocolError


@pytest.mark.parametrize("name", sorted(METHODS))
def test_arguments_cut_anywhere_are_the_peers_fault(name: str) -> None:
    """Every method, cut at every octet, is refused; none reads past its frame."""
    blank = {"o": 1, "h": 2, "l": 3, "q": 4, "b": True, "s": "s", "S": b"long", "t": {"a": "b"}}
    method = METHODS[name]
    values = [blank[kind.value] for field, kind in method.fields if not field.startswith("_")]
    payload = encode_method(name, values)
    assert decode_arguments(method, payload + b"\xce", 4, len(payload)) == values
    for stop in range(4, len(payload)):
        with pytest.raises(ProtocolError) as caught:
            decode_arguments(method, payload[:stop] + b"\xce", 4, stop)
        assert not caught.value.ours
    with pytest.raises(ProtocolError):
        decode_arguments(method, payload + b"\x00\xce", 4, len(payload) + 1)


def test_a_wrong_argument_is_named_without_its_value() -> None:
    """The message says which argument of which method, and never what it was."""
    with pytest.raises(ProtocolError) as caught:
        encode_method("connection.secure-ok", ("s3cret",))
    assert str(caught.value) == "The argument 'response' of connection.secure-ok cannot be a str."


def test_the_last_property_is_carried_too() -> None:
    """The one that the specification deprecates still passes both ways."""
    properties = Properties(app_id="a", cluster_id="c")
    assert decode_properties(encode_properties(properties)) == properties


def test_external_shows_its_identity() -> None:
    """EXTERNAL has no secret, so it may be shown."""
    assert repr(External("me")) == "External('me')"


LONG = "\N{SNOWMAN}" * 85


@pytest.mark.parametrize("text", ["", "a" * 127, "a" * 128, "a" * 255, "caf\u00e9", LONG, "\udcff"])
def test_any_text_of_a_property_comes_back(text: str) -> None:
    """Short or long, ASCII, UTF-8 or bytes kept as surrogates: what is written is read."""
    others = {"headers", "delivery_mode", "priority", "timestamp"}
    texts = Properties._make(None if name in others else text for name in Properties._fields)
    mixed = Properties(headers={}, priority=200, timestamp=1 << 63, reply_to="q", cluster_id=text)
    for properties in (texts, mixed, mixed._replace(content_type=text)):
        read = decode_properties(encode_properties(properties))
        assert tuple(read) == tuple(properties)
