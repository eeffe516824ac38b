import copy
import pickle
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.config.drawn import SIMPLE, types_with_values

from bedplate.config import ByteSize, HostAddress, HostName, HostPort, Repeated, Secret, Uri
from bedplate.config.hints import narrow, type_of
from bedplate.config.types import (
    ByteSizeType,
    Choice,
    Dict,
    FrozenDict,
    FrozenList,
    HostNameType,
    HostPortType,
    Integer,
    List,
    Multi,
    OptionalType,
    RangeType,
    Refused,
    String,
    Type,
    Unchecked,
    UriType,
    read,
)

CANARY = "hunter2"


def refusal(convert: Callable[..., object], value: object) -> Refused:
    with pytest.raises(Refused) as caught:
        convert(value)
    return caught.value


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        (ByteSize, "4096", 4096),
        (ByteSize, "1.5 GiB", 1610612736),
        (ByteSize, "10MB", 10_000_000),
        (ByteSize, "0", 0),
        (range, "3-7", range(3, 8)),
        (range, "7 - 3", range(7, 2, -1)),
        (range, "-2--4", range(-2, -5, -1)),
        (range, "5", range(5, 6)),
        (re.Pattern[str], "a+", re.compile("a+")),
        (re.Pattern, "(?i)a", re.compile("(?i)a")),
        (Path, "/etc/../x", Path("/etc/../x")),
        (Path, "~/x", Path("~/x")),
        (date, " 2027-01-31 ", date(2027, 1, 31)),
        (IPv4Address, "10.0.0.1", ip_address("10.0.0.1")),
        (IPv6Address, "::1", ip_address("::1")),
        (IPv4Address | IPv6Address, "::1", ip_address("::1")),
        (IPv4Address | IPv6Address | None, "", None),
        (IPv4Network | IPv6Network, "10.0.0.0/8", ip_network("10.0.0.0/8")),
        (IPv4Network, "10.0.0.1", ip_network("10.0.0.1/32")),
        (HostName, "db.example.org.", "db.example.org"),
        (HostAddress, "10.0.0.1", "10.0.0.1"),
        (HostPort, "db:5432", HostPort("db", 5432)),
        (HostPort, "[::1]:80", HostPort("::1", 80)),
        (Uri, "urn:isbn:0451450523", "urn:isbn:0451450523"),
        (dict[str, int], "a:1, b : 2", {"a": 1, "b": 2}),
        (dict[str, int], "", {}),
        (Mapping[str, str], 'a:"x,y", "b:c":z', {"a": "x,y", "b:c": "z"}),
        (dict[str, str], "url:http://x", {"url": "http://x"}),
        (dict[str, str], "a:", {"a": ""}),
        (Repeated[int], "1\n\n2", [1, 2]),
        (Repeated[int], "", []),
    ],
)
def test_text_is_read(annotation: object, text: str, value: object) -> None:
    """Each type reads its written forms."""
    assert type_of(annotation).parse(text) == value


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (ByteSize, "1M"),
        (ByteSize, "1mb"),
        (ByteSize, "-1"),
        (ByteSize, "0.3"),
        (ByteSize, "1.00001kB"),
        (ByteSize, ""),
        (range, "a-b"),
        (range, "3-7-9"),
        (range, ""),
        (re.Pattern[str], "a("),
        (re.Pattern[str], "(" * 5000),
        (Path, " "),
        (Path, "a\0b"),
        (date, "20270131"),
        (date, "2027-02-30"),
        (date, "2027-01-31T00:00"),
        (IPv4Address, "10.1"),
        (IPv4Address, "010.0.0.1"),
        (IPv4Address, "::1"),
        (IPv4Address, "167772161"),
        (IPv6Address, "10.0.0.1"),
        (IPv4Address | IPv6Address, ""),
        (IPv4Network | IPv6Network, "10.0.0.1/8"),
        (IPv4Network | IPv6Network, "10.0.0.0/33"),
        (IPv6Network, "10.0.0.0/8"),
        (IPv4Network, " "),
        (HostName, "10.0.0.1"),
        (HostName, "a_b"),
        (HostName, "-a"),
        (HostName, "a..b"),
        (HostName, "a" * 64),
        (HostName, "a." * 127),
        (HostName, ""),
        (HostAddress, "10.0.0.256"),
        (HostAddress, "::g"),
        (HostPort, "db"),
        (HostPort, "db:65536"),
        (HostPort, ":80"),
        (HostPort, "::1:80"),
        (HostPort, "[10.0.0.1]:80"),
        (HostPort, "[db]:80"),
        (Uri, "redis"),
        (Uri, "http://a b"),
        (Uri, ""),
        (dict[str, int], "a:x"),
        (dict[str, int], "a:1,a:2"),
        (dict[str, int], ":1"),
        (dict[str, int], "a"),
        (dict[str, str], 'a:"b'),
        (dict[str, int], "a:"),
        (Repeated[int], "1\nx"),
    ],
)
def test_text_that_does_not_fit_is_refused(annotation: object, text: str) -> None:
    """What is not clearly of the type is refused, with a code that a finding can have."""
    code = refusal(type_of(annotation).parse, text).code
    assert code in {"wrong-type", "out-of-range", "no-value"}
    assert (code == "no-value") == (not text.strip())


@pytest.mark.parametrize(
    ("annotation", "native"),
    [
        (ByteSize, True),
        (ByteSize, 1.0),
        (ByteSize, -1),
        (range, range(0, 10, 2)),
        (range, range(0)),
        (range, [1, 2]),
        (re.Pattern[str], re.compile("a", re.IGNORECASE)),
        (re.Pattern[str], re.compile(b"a")),
        (Path, 5),
        (date, datetime(2027, 1, 31)),  # noqa: DTZ001 - the very thing that is refused
        (IPv4Address, ip_address("::1")),
        (IPv4Address, 1),
        (IPv4Network, ip_network("::/0")),
        (IPv4Network, ip_address("10.0.0.1")),
        (HostName, 5),
        (HostName, "a_b"),
        (HostPort, ("a", 1)),
        (HostPort, HostPort("a b", 1)),
        (HostPort, HostPort("a", 70000)),
        (Uri, 5),
        (Uri, "redis"),
        (dict[str, int], [("a", 1)]),
        (dict[str, int], {1: 1}),
        (dict[str, int], {"": 1}),
        (dict[str, int], {"a": None}),
        (Repeated[int], 5),
        (Repeated[int], [None]),
    ],
)
def test_native_values_of_another_type_are_refused(annotation: object, native: object) -> None:
    """Nothing is bent into shape, not even by a type that resembles it."""
    refusal(type_of(annotation).accept, native)


@pytest.mark.parametrize(
    ("annotation", "native", "value"),
    [
        (ByteSize, 4096, 4096),
        (range, range(7, 2, -1), range(7, 2, -1)),
        (date, date(2027, 1, 31), date(2027, 1, 31)),
        (HostPort, HostPort("a", 1), HostPort("a", 1)),
        (dict[str, int], {"a": 1, "b": "2"}, {"a": 1, "b": 2}),
        (Repeated[int], (1, "2"), [1, 2]),
    ],
)
def test_native_values_are_accepted(annotation: object, native: object, value: object) -> None:
    """A value of the type is taken as it is; text inside a list or a dictionary is read."""
    assert type_of(annotation).accept(native) == value


@given(types_with_values())
def test_what_is_shown_reads_back(drawn: tuple[Type, object]) -> None:
    """Revealed, a value's text is read as the same value, whatever it is inside of."""
    type_, value = drawn
    back = type_.parse(type_.show(value, reveal=True))
    assert back == value
    assert type(back) is type(value)


@given(types_with_values())
def test_a_value_is_accepted_by_its_type(drawn: tuple[Type, object]) -> None:
    """What a type made, it takes again as a native value."""
    type_, value = drawn
    assert type_.accept(value) == value


@given(st.sampled_from([type_ for type_, _ in SIMPLE]), st.text())
def test_any_text_is_read_or_refused(type_: Type, text: str) -> None:
    """No text ends in another error, and what is read is a value of the type."""
    try:
        value = type_.parse(text)
    except Refused:
        return
    assert type_.accept(value) == value


@given(types_with_values(), types_with_values())
def test_types_are_equal_when_they_hold_the_same(
    one: tuple[Type, object], other: tuple[Type, object]
) -> None:
    """Equality is that of what describes them, and equal types have equal hashes."""
    assert one[0] == copy.copy(one[0])
    assert hash(one[0]) == hash(copy.copy(one[0]))
    assert (one[0] == other[0]) == (repr(one[0]) == repr(other[0]))


def test_each_describes_itself_and_its_json() -> None:
    """Every type completes the words "must be", and has a form in JSON Schema."""
    for type_, _ in SIMPLE:
        assert type_.describe()
        assert isinstance(type_.json_schema(), dict)
        assert not type_.secret
    assert (
        narrow(type_of(ByteSize), minimum=1024, maximum=2**20)
        .describe()
        .startswith("a size in bytes from 1KiB to 1MiB")
    )
    assert refusal(narrow(type_of(ByteSize), maximum=9).parse, "10").code == "out-of-range"
    assert type_of(dict[str, int]).describe() == (
        "name:value with commas between, of which each value is a whole number"
    )
    assert HostPortType(80).parse("db") == HostPort("db", 80)


def test_limits_reach_the_values_of_a_dictionary() -> None:
    """Bounds apply to each value of a dictionary and to each line of a repeated option."""
    assert refusal(narrow(type_of(dict[str, int]), maximum=5).parse, "a:1,b:9").item == 2
    assert refusal(narrow(type_of(Repeated[int]), maximum=5).parse, "1\n9").item == 2


def test_a_dictionary_of_the_configuration_cannot_be_changed() -> None:
    """It reads like any other, copies to an ordinary one, and survives pickle."""
    made = cast("FrozenDict", Dict(Integer()).parse("a:1"))
    for name, arguments in (
        ("update", ({"b": 2},)),
        ("pop", ("a",)),
        ("__setitem__", ("a", 2)),
        ("__delitem__", ("a",)),
        ("clear", ()),
    ):
        with pytest.raises(TypeError, match="cannot be changed; copy"):
            getattr(made, name)(*arguments)
    assert type(made.copy()) is dict
    assert pickle.loads(pickle.dumps(made)) == made  # noqa: S301 - our own bytes
    assert copy.copy(made) is copy.deepcopy(made) is made
    assert len({made, Dict(Integer()).parse("a:1")}) == 1


def test_secrets_inside_a_dictionary_are_masked_and_never_repeated() -> None:
    """One secret value masks the whole dictionary; what is refused is not shown."""
    type_ = type_of(dict[str, Secret[int]])
    assert type_.secret
    assert type_.show(type_.parse("a:1")) == "****"
    assert type_.show(type_.parse("a:1"), reveal=True) == "a:1"
    assert CANARY not in str(refusal(type_.parse, f"a:{CANARY}"))
    assert CANARY not in str(refusal(type_of(Repeated[Secret[int]]).parse, CANARY))
    assert CANARY not in str(refusal(type_of(dict[str, Secret[str]]).accept, CANARY))


def test_a_uri_shows_no_password() -> None:
    """What stands where a password does is masked, and a refused URI is not repeated."""
    text = f"redis://me:{CANARY}@db/0"
    assert CANARY not in UriType().show(text)
    assert UriType().show(text, reveal=True) == text
    assert UriType().show("urn:a:b") == "urn:a:b"
    assert CANARY not in str(refusal(UriType().parse, f"{CANARY} {CANARY}"))


def test_without_quotes_lists_are_those_of_oslo() -> None:
    """There a quote is a sign, a comma always parts, and a name may swallow one."""
    type_ = List(String(), FrozenList, quotes=False)
    assert type_.parse('a, "b,c" ,,d,') == ["a", '"b', 'c"', "", "d"]
    assert type_.parse(" ") == []
    assert type_.show(FrozenList(["a", '"b']), reveal=True) == 'a, "b'
    bare = Dict(String(), quotes=False)
    assert bare.parse('a:1,2,b:"3') == {"a": "1", "2,b": '"3'}
    assert bare.parse("") == {}
    assert bare.show(bare.parse("a:1,b:2")) == "a:1, b:2"
    refusal(bare.parse, "a:1,b")


def test_a_repeated_option_gathers_all_that_was_written() -> None:
    """Each value written is an item, a line break inside it included."""
    type_ = Multi(String())
    assert type_.gather(["a", "b\n c"]) == ["a", "b\n c"]
    assert refusal(Multi(Integer()).gather, ["1", "x"]).item == 2


def test_blank_text_may_be_left_to_the_type() -> None:
    """Without blank, only a default is None."""
    type_ = OptionalType(String(), blank=False)
    assert (type_.parse(""), type_.accept(""), type_.accept(None)) == ("", "", None)
    assert type_.describe() == "text"


def test_a_blind_choice_gives_the_spelling_it_knows() -> None:
    """Any case is read, and the value is the one that was declared."""
    type_ = Choice({"Days": "Days"}, blind=True)
    assert (type_.parse("dAYS"), type_.accept("days")) == ("Days", "Days")
    assert type_.describe() == "'Days', in any case"
    refusal(type_.parse, "Day")
    refusal(type_.accept, "")


def test_underscores_are_for_those_who_ask() -> None:
    """A host domain may hold an underscore, which a host name may not."""
    assert HostNameType(underscore=True).parse("_dmarc.example_1.org") == "_dmarc.example_1.org"


def test_what_nobody_checks_is_text() -> None:
    """A kind of a program's own takes anything, as text."""
    type_ = Unchecked("moon phase")
    assert (type_.parse(" x"), read(type_, 5), type_.show("x")) == (" x", "5", "x")
    assert type_.describe() == "what its program reads (moon phase)"


def test_a_range_counts_both_ends() -> None:
    """A range of one number is shown as both of its ends."""
    assert RangeType().show(range(5, 6)) == "5-5"
    assert ByteSizeType().show(1536) == "1536"
    assert ByteSizeType().show(3 * 2**30) == "3GiB"
