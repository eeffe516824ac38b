"""Options of oslo.config and files that set them, drawn by hypothesis for the differential test."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from hypothesis import strategies as st
from oslo_config import cfg, types
from tests.unit.config.beside_oslo import Made

__all__ = ["SETS_AND_FILES", "SORTS", "WORDS", "Sort", "files", "moon", "option_sets"]


def moon(text: str) -> str:
    """Read a phase of the moon, as a type of a program's own."""
    if text not in {"new", "full"}:
        raise ValueError
    return text.upper()


class Sort(NamedTuple):
    """A sort of option: how it is made, and defaults it may have."""

    make: Callable[..., cfg.Opt]
    facts: Mapping[str, Any]
    defaults: tuple[object, ...]


def _typed(type_: Any) -> Callable[..., cfg.Opt]:
    return lambda name, **facts: cfg.Opt(name, type=type_, **facts)


def _many(type_: Any) -> Callable[..., cfg.Opt]:
    return lambda name, **facts: cfg.MultiOpt(name, item_type=type_, **facts)


_PRINTED: Mapping[str, Sort] = MappingProxyType(
    {
        "text": Sort(cfg.StrOpt, {}, (None, "d", " a ", "$name", "${count}/x", "a$$b", "")),
        "chosen": Sort(
            cfg.StrOpt, {"choices": [("low", "Little."), ("high", None)]}, (None, "low")
        ),
        "chosen or nothing": Sort(cfg.StrOpt, {"choices": [None, "low", "high"]}, (None, "high")),
        "integer": Sort(cfg.IntOpt, {}, (None, 3, "5", "$count")),
        "integer in bounds": Sort(cfg.IntOpt, {"min": 1, "max": 9}, (None, 3)),
        "integer from": Sort(cfg.IntOpt, {"min": -2}, (None, 0)),
        "integer chosen": Sort(cfg.IntOpt, {"choices": [5, 80]}, (None, 5)),
        "number": Sort(cfg.FloatOpt, {}, (None, 1.5, "2")),
        "number in bounds": Sort(cfg.FloatOpt, {"min": 0.5, "max": 7}, (None, 1.0)),
        "boolean": Sort(cfg.BoolOpt, {}, (None, True, False, "False")),
        "port": Sort(cfg.PortOpt, {}, (None, 80, "443")),
        "high port": Sort(cfg.PortOpt, {"min": 80}, (None, 8080)),
        "list": Sort(cfg.ListOpt, {}, (None, [], ["a"], ["a", "b"], ["$name", "c"], "a,b", "")),
        "dict": Sort(cfg.DictOpt, {}, (None, {}, {"a": "b"}, {"a": "b", "c": "d"})),
        "several": Sort(cfg.MultiStrOpt, {}, (None, [], ["m"], ["m", "n"])),
        "range": Sort(_typed(types.Range()), {}, (None, "3-7")),
        "address": Sort(cfg.IPOpt, {}, (None, "10.0.0.1")),
        "host name": Sort(cfg.HostnameOpt, {}, (None, "host")),
        "host": Sort(cfg.HostAddressOpt, {}, (None, "::1")),
        "domain": Sort(cfg.HostDomainOpt, {}, (None, "a_b")),
        "uri": Sort(cfg.URIOpt, {}, (None, "http://h/p", "http://$name/")),
    }
)
"""Sorts of options of which the generator prints all that matters."""

_UNPRINTED: Mapping[str, Sort] = MappingProxyType(
    {
        "pattern": Sort(cfg.StrOpt, {"regex": "^[a-z]+$"}, (None, "a")),
        "short text": Sort(cfg.StrOpt, {"max_length": 3}, (None, "a")),
        "quoted text": Sort(cfg.StrOpt, {"quotes": True}, (None, "a")),
        "chosen in any case": Sort(
            cfg.StrOpt, {"choices": ["Low", "High"], "ignore_case": True}, (None, "Low", "low")
        ),
        "list of integers": Sort(cfg.ListOpt, {"item_type": types.Integer()}, (None, [1, 2])),
        "list in brackets": Sort(cfg.ListOpt, {"bounds": True}, (None, ["a"])),
        "long list": Sort(_typed(types.List(min_length=2)), {}, (None, ["a", "b"])),
        "list of choices": Sort(
            _typed(types.List(types.String(choices=["a", "b"]))), {}, (None, ["a"])
        ),
        "dict of integers": Sort(_typed(types.Dict(types.Integer())), {}, (None, {"a": 1})),
        "dict in braces": Sort(_typed(types.Dict(bounds=True)), {}, (None, {"a": "b"})),
        "dict with equals signs": Sort(
            _typed(types.Dict(key_value_separator="=")), {}, (None, {"a": "b"})
        ),
        "several integers": Sort(_many(types.Integer()), {}, (None,)),
        "several dicts": Sort(_many(types.Dict()), {}, (None,)),
        "address of version 4": Sort(cfg.IPOpt, {"version": 4}, (None, "10.0.0.1")),
        "host of version 6": Sort(cfg.HostAddressOpt, {"version": 6}, (None, "::1")),
        "uri of a scheme": Sort(cfg.URIOpt, {"schemes": ["https"]}, (None, "https://h/p")),
        "short uri": Sort(cfg.URIOpt, {"max_length": 12}, (None, "http://h/p")),
        "half of a range": Sort(_typed(types.Range(inclusive=False)), {}, (None, "3-7")),
        "range in bounds": Sort(_typed(types.Range(min=2, max=5)), {}, (None, "3-4")),
        "moon": Sort(_typed(moon), {}, (None, "new")),
    }
)
"""Sorts of options of which it leaves something out, so that we read them as it says."""

SORTS = MappingProxyType({**_PRINTED, **_UNPRINTED})
_GROUPS = ("DEFAULT", "DEFAULT", "api", "api.v1", "fc-zone")
_NAMES = ("name", "count", "foo-bar", "hosts", "url", "x1")
_OLD = (
    cfg.DeprecatedOpt("old"),
    cfg.DeprecatedOpt("old_name", group="api"),
    cfg.DeprecatedOpt(None, group="gone"),
    cfg.DeprecatedOpt("elsewhere", group="DEFAULT"),
)


@st.composite
def option_sets(draw: st.DrawFn) -> list[Made]:
    """Draw a few options of a few groups, with all that can be said of them."""
    places = draw(
        st.lists(
            st.tuples(st.sampled_from(_GROUPS), st.sampled_from(_NAMES)),
            min_size=1,
            max_size=4,
            unique=True,
        )
    )
    old = draw(st.permutations(_OLD))
    made: list[Made] = []
    for group, name in places:
        sort = SORTS[draw(st.sampled_from(sorted(SORTS)))]
        facts: dict[str, Any] = {**sort.facts, "default": draw(st.sampled_from(sort.defaults))}
        for fact in ("required", "secret", "mutable", "advanced"):
            if draw(st.integers(0, 4)) == 4:
                facts[fact] = True
        if draw(st.integers(0, 3)) == 3:
            count = draw(st.integers(1, 2))
            facts["deprecated_opts"], old = old[:count], old[count:]
        if draw(st.integers(0, 5)) == 5:
            facts["sample_default"] = "<here>"
        if draw(st.integers(0, 5)) == 5:
            facts["dest"] = f"at_{name.replace('-', '_')}"
        made.append(Made(group, sort.make(name, **facts)))
    return made


WORDS = (
    *("0", "1", "-3", "+5", "05", "1_000", "1.9", "1e3", "nan", "inf", "80", "256", "65536"),
    *("true", "Yes", "off", "None", "low", "High", "LOW", "new", "a", "abcd", "A"),
    *("a,b", "a,,b", ",", "1,2", "k:v", "k:v,l:w", "k:1", "a:1,2,b:3", "k:", ":", "k=v"),
    *("3-7", "7-3", "-1--5", "03 - 7", "3-", "2-9"),
    *("::1", "0::1", "10.0.0.1", "10.0.0.256", "fe80::1%eth0", "host", "host.", "a_b", "ex.123"),
    *("http://h/p", "https://h/long", "redis:6379", "http:///x", "rabbit://", "http://[::1]:5/"),
    *("$name", "$$x", "\\$x", "$nope", "$", "${", "$nope.x", "${foo-bar}"),
    *('"q"', "'q'", "'", '"', '"a,b",c', '" yes "', "[1]", "[a,b]", "{a:b}", "(", "#", ";", "="),
    *("%", ".", "-", "é", "\u0663", "<here>", " ", "", "", ""),
)
_HEADERS = (*_GROUPS[1:], "API", "default", "gone", " api ", "other")
_NOISE = (
    *("[api] # x", "[]", "[api", "  more", "  # note", "\tcount = 3", "  a = b", "# c", "; c", ""),
    *("   ", "key", "= v", "a = b = c", "foo-bar = 1", "unknown = 1"),
)


def _places(options: Sequence[Made]) -> dict[str, list[str]]:
    """Return which keys mean something, by the section in which they do."""
    found: dict[str, list[str]] = {}
    for group, option in options:
        found.setdefault(group, []).extend([option.dest] * 3)
        for old in option.deprecated_opts:
            found.setdefault(old.group or group, []).append(old.name or option.dest)
    return found


def _references(meant: Mapping[str, Sequence[str]]) -> list[str]:
    """Return ways to refer to what means something, and some that look so."""
    found: list[str] = []
    for section, keys in meant.items():
        for key in sorted(set(keys)):
            found += [f"${key}", f"${{{key}}}", f"${section}.{key}", f"${{{section}.{key}}}"]
            found += [f"${key}.", f"${key}é"]
    return found


@st.composite
def files(draw: st.DrawFn, options: Sequence[Made]) -> bytes:
    """Draw a file that sets some of these options, rightly or not."""
    meant = _places(options)
    words = [*WORDS, *_references(meant) * 4]
    values = st.sampled_from(words) | st.lists(st.sampled_from(words), max_size=3).map("".join)
    section = draw(st.sampled_from(sorted(meant)))
    lines = [f"[{section}]"]
    for _ in range(draw(st.integers(1, 8))):
        match draw(st.integers(0, 15)):
            case 0 | 1 | 2:
                section = draw(st.sampled_from([*meant, *meant, *_HEADERS]))
                lines.append(f"[{section}]")
            case 3:
                lines.append(draw(st.sampled_from(_NOISE)))
            case _:
                sign = draw(st.sampled_from([" = ", " = ", "=", ": "]))
                key = draw(st.sampled_from(meant.get(section) or _NAMES))
                lines.append(f"{key}{sign}{draw(values)}")
    return draw(st.sampled_from(["\n", "\n", "\r\n"])).join([*lines, ""]).encode()


SETS_AND_FILES = option_sets().flatmap(lambda made: st.tuples(st.just(made), files(made)))
