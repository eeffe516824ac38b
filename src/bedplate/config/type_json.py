"""A type as JSON, and back: which class it is, and what its instance holds.

The table below is the whole of it. A type of a program's own is told by its description alone and
read back as text that nobody checks: a file names no code to run.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple, cast

from bedplate.config.reading import Facts
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
    UrlType,
)
from bedplate.errors import NotASchema

__all__ = ["native_of", "type_from_json", "type_to_json"]

_DEEPEST: Final = 10


class _Field(NamedTuple):
    """What an instance holds under a name: how it is written, read, and what needs no word."""

    write: Callable[[object], object]
    read: Callable[[Facts, str], object]
    usual: object = None
    needed: bool = False


def _number(facts: Facts, key: str) -> object:
    return facts.number(key)


def _version(facts: Facts, key: str) -> object:
    return _among(facts, key, range(4, 7, 2), "neither 4 nor 6")


def _port(facts: Facts, key: str) -> object:
    return _among(facts, key, range(65536), "no port")


def _among(facts: Facts, key: str, numbers: range, complaint: str) -> object:
    value = facts.number(key)
    if not isinstance(value, int) or value not in numbers:
        facts.refuse(key, complaint)
    return value


def _text(facts: Facts, key: str) -> object:
    return facts.text(key)


def _flag(facts: Facts, key: str) -> object:
    return facts.flag(key)


def _texts(facts: Facts, key: str) -> object:
    below = facts.inner(key)
    return {str(name): below.text(str(name)) for name in below.facts}


def _spellings(facts: Facts, key: str) -> object:
    below = facts.inner(key)
    for spelling, value in below.facts.items():
        if not isinstance(spelling, str) or not isinstance(value, str | int | float):
            below.refuse(str(spelling), "no choice: neither text nor a number")
    if not below.facts:
        facts.refuse(key, "missing")
    return below.facts


def _inner(facts: Facts, key: str) -> object:
    return type_from_json(facts.facts.get(key), facts)


def _making(facts: Facts, key: str) -> object:
    made = facts.text(key)
    if made not in ("tuple", "list"):
        facts.refuse(key, "neither tuple nor list")
    return tuple if made == "tuple" else FrozenList


def _same(value: object) -> object:
    return value


def _spelled(value: object) -> object:
    spellings = cast("Mapping[str, object]", value)
    plain = (str, int, float, bool)
    return {name: each if type(each) in plain else name for name, each in spellings.items()}


def _made_by(value: object) -> object:
    return "tuple" if value is tuple else "list"


_NUMBER: Final = _Field(_same, _number)
_VERSION: Final = _Field(_same, _version)
_PORT: Final = _Field(_same, _port)
_SAID: Final = _Field(_same, _flag, usual=False)
_DENIED: Final = _Field(_same, _flag, usual=True)
_TYPE: Final = _Field(lambda value: type_to_json(cast("Type", value)), _inner, needed=True)
_BOUNDS: Final = (("minimum", _NUMBER), ("maximum", _NUMBER))


class _Kind(NamedTuple):
    """One class of types: what it is called in a file, and what it holds."""

    name: str
    made: type[Type]
    fields: tuple[tuple[str, _Field], ...] = ()


_KINDS: Final = (
    _Kind("text", String),
    _Kind("bool", Boolean),
    _Kind("int", Integer, (*_BOUNDS, ("noun", _Field(_same, _text, "a whole number")))),
    _Kind("float", Float, _BOUNDS),
    _Kind("duration", DurationType, _BOUNDS),
    _Kind("bytes", ByteSizeType, _BOUNDS),
    _Kind("range", RangeType),
    _Kind(
        "choice",
        Choice,
        (
            ("spellings", _Field(_spelled, _spellings, needed=True)),
            ("blind", _SAID),
            ("about", _Field(dict, _texts, MappingProxyType({}))),  # type: ignore[arg-type]  # of a mapping
        ),
    ),
    _Kind("regex", RegexType),
    _Kind("path", PathType),
    _Kind("date", DateType),
    _Kind("url", UrlType),
    _Kind("uri", UriType, (("host", _SAID),)),
    _Kind("ip", IpType, (("version", _VERSION),)),
    _Kind("cidr", CidrType, (("version", _VERSION),)),
    _Kind("host", HostNameType, (("address", _SAID), ("underscore", _SAID))),
    _Kind("host-port", HostPortType, (("port", _PORT),)),
    _Kind(
        "list",
        List,
        (("item", _TYPE), ("make", _Field(_made_by, _making, FrozenList)), ("quotes", _DENIED)),
    ),
    _Kind("multi", Multi, (("item", _TYPE),)),
    _Kind("dict", Dict, (("item", _TYPE), ("quotes", _DENIED))),
    _Kind("optional", OptionalType, (("inner", _TYPE), ("blank", _DENIED))),
    _Kind("secret", SecretType, (("inner", _TYPE),)),
    _Kind("unchecked", Unchecked, (("kind", _Field(_same, _text, "unknown value")),)),
)
_BY_NAME: Final = MappingProxyType({kind.name: kind for kind in _KINDS})
_BY_CLASS: Final = MappingProxyType({kind.made: kind for kind in _KINDS})


def type_to_json(type_: Type) -> object:
    """Write a type: a name, or an object of a name and what differs from the usual."""
    kind = _BY_CLASS.get(type(type_))
    if kind is None:
        return {"is": "unchecked", "kind": type_.describe()}
    held = {
        name: field.write(getattr(type_, name))
        for name, field in kind.fields
        if getattr(type_, name) != field.usual
    }
    return {"is": kind.name, **held} if held else kind.name


def type_from_json(value: object, place: Facts) -> Type:
    """Read a type that stands in some place. Raises `NotASchema`."""
    facts = Facts(
        {"is": value} if isinstance(value, str) else value, place.file, f"{place.where}.type"
    )
    if facts.where.count(".type") > _DEEPEST:
        facts.refuse("", "nested too deeply")
    kind = _BY_NAME.get(facts.text("is"))
    if kind is None:
        facts.refuse("is", f"none of {', '.join(_BY_NAME)}")
    held = {
        name: field.read(facts, name) if facts.has(name) or field.needed else field.usual
        for name, field in kind.fields
    }
    why = ""
    try:
        return kind.made(**held)
    except (TypeError, ValueError) as error:
        why = str(error)
    raise NotASchema(name=place.file, why=f"{facts.where} makes no sense ({why})")


def native_of(type_: Type, value: object) -> object:
    """Return a value as JSON has it: itself, a list or object of such, or its text."""
    if value is None or type(value) in (str, int, float, bool):
        return value
    if isinstance(type_, OptionalType):
        return native_of(type_.inner, value)
    if isinstance(type_, List | Multi) and isinstance(value, list | tuple):
        return [native_of(type_.item, each) for each in value]
    if isinstance(type_, Dict) and isinstance(value, FrozenDict):
        return {name: native_of(type_.item, each) for name, each in value.items()}
    return type_.show(value, reveal=True)
