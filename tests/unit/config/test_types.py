import re
from collections.abc import Callable
from datetime import datetime
from enum import Enum
from ipaddress import IPv4Address, IPv6Network
from typing import Annotated, Literal, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.config import Duration, Port, Secret, Url
from bedplate.config.hints import narrow, type_of
from bedplate.config.types import (
    Boolean,
    Choice,
    DurationType,
    Float,
    FrozenList,
    Integer,
    List,
    OptionalType,
    Refused,
    SecretType,
    String,
    Type,
    UrlType,
    read,
)

CANARY = "hunter2"


class Mode(Enum):
    FAST = "fast"
    SAFE = "safe"


class Level(Enum):
    LOW = 1
    HIGH = 2


def refusal(convert: Callable[..., object], value: object) -> Refused:
    with pytest.raises(Refused) as caught:
        convert(value)
    return caught.value


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        (int, "42", 42),
        (int, " -7 ", -7),
        (int, "+007", 7),
        (float, "1", 1.0),
        (float, "-.5e1", -5.0),
        (bool, "On", True),
        (bool, " no ", False),
        (str, " as it is ", " as it is "),
        (str, "", ""),
        (Port, "0", 0),
        (Port, "65535", 65535),
        (Duration, "30", 30.0),
        (Duration, "1.5s", 1.5),
        (Duration, "500ms", 0.5),
        (Duration, "9ms", 0.009),
        (Duration, "5 m", 300.0),
        (Duration, "2h", 7200.0),
        (Duration, "1d", 86400.0),
        (Mode, "safe", Mode.SAFE),
        (Level, "high", Level.HIGH),
        (Literal["a", "b"], " b ", "b"),
        (Literal[1, 2], "2", 2),
        (int | None, "", None),
        (int | None, "3", 3),
        (str | None, "", None),
        (list[int], "1, 2,3", [1, 2, 3]),
        (list[int], "1,2,", [1, 2]),
        (list[str], "", []),
        (list[str], "a,,b", ["a", "", "b"]),
        (list[str], 'a, "b, ""c""", d', ["a", 'b, "c"', "d"]),
        (list[str], 'say "hi", you', ['say "hi"', "you"]),
        (list[str], "a,\n  b", ["a", "b"]),
        (tuple[int, ...], "1,2", (1, 2)),
        (Url, " redis://h:1/0 ", Url("redis://h:1/0")),
        (Secret[str], "x", Secret("x")),
        (Secret[int], "5", Secret(5)),
        (list[Secret[str]], "a,b", [Secret("a"), Secret("b")]),
        (Secret[list[str]], "a,b", Secret(["a", "b"])),
        (Secret[str] | None, "", None),
    ],
)
def test_text_is_read(annotation: object, text: str, value: object) -> None:
    """Text becomes a value of the annotated type."""
    made = type_of(annotation).parse(text)
    assert made == value
    assert type(made) is type(value) or isinstance(made, FrozenList)


@pytest.mark.parametrize(
    ("annotation", "text", "code"),
    [
        (int, "1_000", "wrong-type"),
        (int, "1.0", "wrong-type"),
        (int, "1.9", "wrong-type"),
        (int, "0x1F", "wrong-type"),
        (int, "true", "wrong-type"),
        (int, "٣", "wrong-type"),
        (int, "", "no-value"),
        (int, "9" * 5000, "wrong-type"),
        (float, "nan", "wrong-type"),
        (float, "inf", "wrong-type"),
        (float, "1e9999", "out-of-range"),
        (float, "1_0.5", "wrong-type"),
        (float, " ", "no-value"),
        (bool, "maybe", "wrong-type"),
        (bool, "2", "wrong-type"),
        (bool, "", "no-value"),
        (Port, "65536", "out-of-range"),
        (Port, "-1", "out-of-range"),
        (Duration, "-1s", "out-of-range"),
        (Duration, "5 weeks", "wrong-type"),
        (Duration, "", "no-value"),
        (Mode, "Fast", "not-a-choice"),
        (Mode, "", "no-value"),
        (list[int], "1,x", "wrong-type"),
        (list[int], "1,,2", "wrong-type"),
        (list[str], 'a,b", "c,d', "wrong-type"),
        (list[str], '"a,b', "wrong-type"),
        (Url, "no url", "wrong-type"),
        (Url, "", "no-value"),
        (Url, "amqp://h:99999/", "wrong-type"),
        (Secret[int], "x", "wrong-type"),
    ],
)
def test_text_that_does_not_fit_is_refused(annotation: object, text: str, code: str) -> None:
    """What is no value of the type is refused with the code of the finding it becomes."""
    assert refusal(type_of(annotation).parse, text).code == code


@pytest.mark.parametrize(
    ("annotation", "native", "value"),
    [
        (int, 3, 3),
        (float, 3, 3.0),
        (bool, False, False),
        (Duration, 2, 2.0),
        (Mode, Mode.FAST, Mode.FAST),
        (int | None, None, None),
        (list[int], [1, 2], [1, 2]),
        (list[int], (1, 2), [1, 2]),
        (list[Duration], ["500ms", 3], [0.5, 3.0]),
        (Secret[str], "x", Secret("x")),
        (Secret[str], Secret("x"), Secret("x")),
        (Url, Url("a://b"), Url("a://b")),
    ],
)
def test_native_values_are_accepted(annotation: object, native: object, value: object) -> None:
    """Values from typed formats, overrides and defaults are taken as they are."""
    assert type_of(annotation).accept(native) == value


@pytest.mark.parametrize(
    ("annotation", "native"),
    [
        (int, True),
        (int, 1.0),
        (int, "1"),
        (int, None),
        (float, True),
        (float, float("nan")),
        (float, float("-inf")),
        (float, 10**400),
        (float, "1.5"),
        (bool, 1),
        (bool, "true"),
        (str, 5),
        (str, None),
        (Port, 70000),
        (Duration, -0.5),
        (Duration, True),
        (Mode, "other"),
        (Literal[1, 2], True),
        (list[int], "1,2"),
        (list[int], [1, None]),
        (Url, "a://b"),
        (Secret[str], 5),
    ],
)
def test_native_values_of_another_type_are_refused(annotation: object, native: object) -> None:
    """A bool is no number, 1.0 no whole number, a number no text: nothing is bent into shape."""
    refusal(type_of(annotation).accept, native)


def test_a_raw_value_is_read_by_its_kind() -> None:
    """Text is parsed wherever it comes from; anything else has to be acceptable."""
    assert (read(Integer(), "5"), read(Integer(), 5)) == (5, 5)
    assert read(DurationType(), "5m") == 300.0
    refusal(lambda value: read(Integer(), value), 5.0)


def test_a_range_is_checked_and_described() -> None:
    """Bounds are inclusive, and the description says them."""
    workers = narrow(Integer(), minimum=1, maximum=256)
    assert workers.describe() == "a whole number from 1 to 256"
    assert (workers.parse("1"), workers.parse("256")) == (1, 256)
    assert str(refusal(workers.parse, "300")) == ("must be a whole number from 1 to 256, not 300")
    assert narrow(Float(), minimum=0).describe() == "a number of at least 0"
    assert narrow(Float(), maximum=1).describe() == "a number of at most 1"
    assert "from 1s to 60s" in narrow(DurationType(), minimum=1, maximum=60).describe()


def test_bounds_only_narrow() -> None:
    """A port with max=99999 still ends at 65535, and bounds that exclude everything are refused."""
    port = narrow(type_of(Port), minimum=1024, maximum=99999)
    assert port.describe() == "a port number from 1024 to 65535"
    with pytest.raises(ValueError, match="nothing lies between a min of 5 and a max of 3"):
        narrow(Integer(), minimum=5, maximum=3)


def test_choices_are_listed() -> None:
    """A value outside the choices is refused with all of them."""
    colour = narrow(String(), choices=("red", "blue"))
    assert colour.parse("red") == "red"
    refused = refusal(colour.parse, "green")
    assert str(refused) == "must be one of 'red' or 'blue', not 'green'"
    assert refused.among == ("red", "blue")
    assert narrow(DurationType(), choices=(1, 60)).parse("60s") == 60.0


def test_limits_reach_what_is_inside() -> None:
    """Bounds and choices apply to each item of a list, and to what a secret or an option holds."""
    assert refusal(narrow(type_of(list[int]), maximum=5).parse, "1,9").item == 2
    refusal(narrow(type_of(Secret[int]), maximum=5).parse, "9")
    refusal(narrow(type_of(int | None), maximum=5).parse, "9")
    assert refusal(narrow(type_of(list[str]), choices=("a",)).parse, "a,b").code == "not-a-choice"


@pytest.mark.parametrize(
    ("limit", "why"),
    [
        (lambda: narrow(String(), minimum=1), "min and max mean nothing for text"),
        (lambda: narrow(Boolean(), maximum=1), "min and max mean nothing"),
        (lambda: narrow(UrlType(), choices=(Url("a://b"),)), "choices mean nothing"),
        (lambda: type_of(dict), r"say of what: dict\[str, int\]"),
        (lambda: type_of(dict[int, str]), "are text"),
        (lambda: type_of(dict[str, list[str]]), "no form as text"),
        (lambda: type_of(IPv4Address | IPv6Network), "one type, or one type and None"),
        (lambda: type_of(datetime), "cannot be of type"),
        (lambda: type_of(re.Pattern[bytes]), "cannot be of type"),
        (lambda: type_of(int | str), "one type, or one type and None"),
        (lambda: type_of(list), "say of what"),
        (lambda: type_of(Secret), "say of what"),
        (lambda: type_of(tuple[int, int]), "open-ended"),
        (lambda: type_of(list[list[int]]), "no form as text"),
        (lambda: type_of(list[Secret[list[int]]]), "no form as text"),
        (lambda: type_of(list[int | None]), "always there"),
        (lambda: type_of(Secret[Secret[str]]), "write it once"),
        (lambda: type_of("int"), "cannot be of type"),
    ],
)
def test_types_that_make_no_sense_are_refused(limit: Callable[[], Type], why: str) -> None:
    """A programmer's mistake is a TypeError with a sentence."""
    with pytest.raises(TypeError, match=why):
        limit()


def test_a_type_of_your_own_is_named_in_the_annotation() -> None:
    """Any object with a type's methods may stand in Annotated, limits excepted."""

    class Even(Integer):
        def parse(self, text: str) -> object:
            value = cast("int", super().parse(text))
            if value % 2:
                raise Refused("wrong-type", "an even number")
            return value

    even = Even()
    assert type_of(Annotated[int, "a remark", even]) is even
    assert type_of(Annotated[int, "a remark"]).describe() == "a whole number"


SHOWN: tuple[tuple[Type, st.SearchStrategy[object]], ...] = (
    (Integer(), st.integers()),
    (Float(), st.floats(allow_nan=False, allow_infinity=False)),
    (DurationType(), st.floats(min_value=0, allow_nan=False, allow_infinity=False)),
    (Boolean(), st.booleans()),
    (String(), st.text()),
    (type_of(Port), st.integers(0, 65535)),
    (type_of(Mode), st.sampled_from(Mode)),
    (type_of(Level), st.sampled_from(Level)),
    (UrlType(), st.sampled_from(["a://b", "x://u:p%40w@h1,h2:3/v?token=t#f"]).map(Url)),
    (OptionalType(Integer()), st.none() | st.integers()),
    (List(String(), FrozenList), st.lists(st.text(st.sampled_from('ab,"\n \x1c')))),
    (List(Float(), tuple), st.lists(st.floats(allow_nan=False, allow_infinity=False)).map(tuple)),
    (SecretType(String()), st.text().map(Secret)),
    (List(SecretType(String()), FrozenList), st.lists(st.text().map(Secret))),
    (SecretType(List(String(), FrozenList)), st.lists(st.text()).map(Secret)),
)


@given(st.data())
def test_what_is_shown_reads_back_as_the_same_value(data: st.DataObject) -> None:
    """Showing a value and reading the text is the identity, for every type."""
    type_, values = data.draw(st.sampled_from(SHOWN))
    value = data.draw(values)
    assert type_.parse(type_.show(value, reveal=True)) == value
    assert type_.accept(value) == value


@given(st.sampled_from([each for each, _ in SHOWN]), st.text())
def test_any_text_is_read_or_refused(type_: Type, text: str) -> None:
    """No text makes a type fail in another way than by refusing it."""
    try:
        value = type_.parse(text)
    except Refused as refused:
        assert refused.expected  # noqa: PT017 - both ways are right
    else:
        assert type_.parse(type_.show(value, reveal=True)) == value


@pytest.mark.parametrize(
    "annotation",
    [Secret[int], list[Secret[int]], Secret[list[int]], Secret[Mode], Secret[Url], Secret[bool]],
)
def test_a_refused_secret_is_never_repeated(annotation: object) -> None:
    """Neither the message nor the chain of a refusal holds the text of a secret."""
    refused = refusal(type_of(annotation).parse, CANARY)
    seen: BaseException | None = refused
    while seen is not None:
        assert CANARY not in f"{seen} {seen!r} {vars(seen)}"
        seen = seen.__context__


def test_a_refused_url_is_never_repeated() -> None:
    """A URL that cannot be read may hold a password: its text is not shown."""
    assert CANARY not in str(refusal(UrlType().parse, f"amqp://u:{CANARY}@h:port/"))


def test_shown_secrets_are_masked() -> None:
    """Showing masks secrets and passwords in URLs unless asked to reveal."""
    assert SecretType(String()).show(Secret(CANARY)) == "****"
    assert type_of(list[Secret[str]]).show([Secret(CANARY), Secret("b")]) == "****"
    assert UrlType().show(Url(f"a://u:{CANARY}@h")) == "a://u:****@h"
    assert type_of(list[Url]).show([Url(f"a://u:{CANARY}@h")]) == "a://u:****@h"


def test_a_list_that_lost_its_outer_quotes_says_what_to_do() -> None:
    """Where a file took the quotes of the first and last item for its own, nothing is guessed."""
    refused = refusal(type_of(list[str]).parse, 'a,b", "c,d')
    assert refused.item == 2
    assert "put the whole in quotes once more" in str(refused)


def test_a_long_value_is_shortened_in_a_message() -> None:
    """A message shows the beginning of a long value only."""
    assert len(str(refusal(Integer().parse, "x" * 1000))) < 120


@pytest.mark.parametrize(
    ("annotation", "schema"),
    [
        (int, {"type": "integer"}),
        (Port, {"type": "integer", "minimum": 0, "maximum": 65535}),
        (float, {"type": "number"}),
        (bool, {"type": "boolean"}),
        (str, {"type": "string"}),
        (Url, {"type": "string", "format": "uri"}),
        (Mode, {"enum": ["fast", "safe"]}),
        (Level, {"enum": ["low", "high"]}),
        (Literal[1, 2], {"enum": [1, 2]}),
        (list[bool], {"type": "array", "items": {"type": "boolean"}}),
        (bool | None, {"anyOf": [{"type": "boolean"}, {"type": "null"}]}),
        (Secret[str], {"type": "string", "writeOnly": True}),
    ],
)
def test_types_describe_themselves_in_json_schema(
    annotation: object, schema: dict[str, object]
) -> None:
    """Each type says in JSON Schema which native values it takes."""
    assert type_of(annotation).json_schema() == schema


def test_a_choice_needs_the_same_type() -> None:
    """True is not the choice 1, though Python calls them equal."""
    one = Choice({"1": 1})
    assert one.accept(1) == 1
    refusal(one.accept, True)  # noqa: FBT003 - the value under test
