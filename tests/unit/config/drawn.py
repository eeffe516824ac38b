"""Types, their values and whole schemas, drawn by hypothesis for the tests of this room."""

import string
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network
from pathlib import Path
from types import MappingProxyType

from hypothesis import strategies as st

from bedplate.config import HostPort, Secret
from bedplate.config.names import DEFAULT
from bedplate.config.option import REQUIRED
from bedplate.config.schema import NATIVE, OSLO, Schema
from bedplate.config.specs import OptionSpec, SectionSpec, Unresolved
from bedplate.config.types import (
    Boolean,
    ByteSizeType,
    Choice,
    CidrType,
    DateType,
    Dict,
    DurationType,
    Float,
    FrozenDict,
    FrozenList,
    HostNameType,
    HostPortType,
    Integer,
    IpType,
    List,
    Multi,
    OptionalType,
    PathType,
    RangeType,
    RegexType,
    SecretType,
    String,
    Type,
    Unchecked,
    UriType,
)

__all__ = ["LINE", "SIMPLE", "schemas", "types_with_values"]

LINE = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")))
_NAME = st.text(string.ascii_lowercase, min_size=1, max_size=8)
_LABEL = st.from_regex(r"[a-z]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
_HOST = st.lists(_LABEL, min_size=1, max_size=3).map(".".join)
_ADDRESS = _HOST | st.ip_addresses().map(str)

SIMPLE: tuple[tuple[Type, st.SearchStrategy[object]], ...] = (
    (String(), LINE),
    (Boolean(), st.booleans()),
    (Integer(), st.integers()),
    (Integer(0, 65535, noun="a port number"), st.integers(0, 65535)),
    (Float(), st.floats(allow_nan=False, allow_infinity=False)),
    (Float(0.5, None), st.floats(0.5, 1e9)),
    (DurationType(), st.floats(0, 1e9)),
    (ByteSizeType(), st.integers(0, 10**24) | st.integers(0, 2**20).map(lambda size: size * 1024)),
    (RangeType(), st.tuples(st.integers(-99, 99), st.integers(-99, 99)).map(
        lambda ends: RangeType().parse(f"{ends[0]}-{ends[1]}")
    )),
    (Choice({"a": "a", "b c": "b c"}), st.sampled_from(["a", "b c"])),
    (Choice({"A": "A", "B": "B"}, blind=True, about={"A": "first"}), st.sampled_from(["A", "B"])),
    (Choice({"256": 256, "512": 512}), st.sampled_from([256, 512])),
    (RegexType(), st.sampled_from([r"a+", r"(?i)^x\.y$", "", ","]).map(RegexType().parse)),
    (PathType(), st.sampled_from(["/a/b", "x y", "..", " c", 'd"e,f']).map(Path)),
    (DateType(), st.dates()),
    (IpType(), st.ip_addresses()),
    (IpType(4), st.ip_addresses(v=4)),
    (CidrType(), st.ip_addresses(v=4).map(IPv4Network)),
    (HostNameType(), _HOST),
    (HostNameType(address=True, underscore=True), _ADDRESS),
    (HostPortType(80), st.builds(HostPort, _ADDRESS, st.integers(0, 65535))),
    (UriType(), st.sampled_from(["urn:isbn:0", "http://h:8/p?q#f"])),
    (UriType(host=True), st.sampled_from(["http://[::1]:8/p", "redis://h"])),
    (Unchecked("moon phase"), LINE),
)  # fmt: skip
"""Types without another inside, each with its values."""


@st.composite
def types_with_values(draw: st.DrawFn) -> tuple[Type, object]:  # noqa: PLR0911 - a kind each
    """Draw a type, often with another inside, and a value of it."""
    item, values = draw(st.sampled_from(SIMPLE))
    value = draw(values)
    match draw(st.sampled_from(["simple", "list", "tuple", "multi", "dict", "none", "secret"])):
        case "list":
            return List(item, FrozenList), FrozenList(draw(st.lists(values, max_size=3)))
        case "tuple":
            return List(item, tuple), tuple(draw(st.lists(values, max_size=3)))
        case "multi":
            shown = [each for each in draw(st.lists(values, max_size=3)) if item.show(each).strip()]
            return Multi(item), FrozenList(shown)
        case "dict":
            named = st.dictionaries(LINE.filter(bool), values, max_size=3)
            return Dict(item), FrozenDict(draw(named))
        case "none":
            blank = item.show(value).strip() == ""
            return OptionalType(item), None if draw(st.booleans()) or blank else value
        case "secret":
            return SecretType(item), Secret(value)
    return item, value


@st.composite
def schemas(draw: st.DrawFn) -> Schema:
    """Draw a schema of a few sections with all that a schema can say."""
    names = draw(st.lists(_NAME, unique=True, max_size=3))
    old = iter(range(1000))
    sections = [
        draw(_sections(name, old)) for name in (DEFAULT, *names)
    ]  # fmt: skip
    return Schema(sections, dialect=draw(st.sampled_from([NATIVE, OSLO])))


@st.composite
def _sections(draw: st.DrawFn, name: str, old: Iterator[int]) -> SectionSpec:
    optional = draw(st.booleans())
    options: dict[str, OptionSpec] = {}
    for option in draw(st.lists(_NAME, unique=True, max_size=4)):
        type_, value = draw(types_with_values())
        default = draw(st.sampled_from([value, value, REQUIRED, Unresolved("$other/x")]))
        was = tuple((name, f"old_{next(old)}") for _ in range(draw(st.integers(0, 2))))
        options[option] = OptionSpec(
            name,
            option,
            type_,
            default,
            draw(LINE),
            draw(st.booleans()),
            draw(st.booleans()),
            was,
            draw(LINE),
            draw(LINE),
            draw(st.booleans()),
            draw(LINE),
            draw(st.booleans()),
            "somebody",
        )
    drivers: Mapping[str, tuple[str, ...]] = {"fast": ("a", "b")} if draw(st.booleans()) else {}
    return SectionSpec(
        name,
        draw(LINE),
        optional,
        MappingProxyType(options),
        draw(st.sampled_from(["", "enabled"])),
        draw(st.sampled_from(["", "rbd"])),
        draw(st.sampled_from(["", "kind"])),
        MappingProxyType(drivers),
    )
