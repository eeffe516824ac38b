"""Where bedplate differs from oslo.config on purpose, and what it reads there.

Each difference is a rule by which a value follows from what oslo.config makes of the same text, or
of another one. So bedplate's value is known exactly, whatever differs, and which rules it took.
Knows nothing of bedplate: all it asks is oslo.config.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from ipaddress import IPv6Address, ip_address
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from oslo_config import cfg
from tests.unit.config.beside_oslo import (
    NOT_USED,
    REFUSED,
    Asked,
    Entry,
    Made,
    Name,
    described,
    read_alone,
    theirs,
)

__all__ = ["DIFFERENCES", "Expected", "expected"]

_INTEGERS = frozenset({"integer value", "port value"})
_SILENT = MappingProxyType({"required": False, "sample_default": None})
_NUMBERS = _INTEGERS | {"floating point value"}
_ANY_CASE = frozenset({"log_rotate_interval_type"})
_HOSTS = frozenset({"host address value", "host domain value"})
_STRIPPED = frozenset(
    {"boolean value", "range value", "IP address value", "hostname value", "uri value", *_HOSTS}
)

DIFFERENCES: Mapping[str, str] = MappingProxyType(
    {
        "what is not printed": "The generator says nothing of items, patterns, lengths, versions, "
        "schemes, separators and brackets; an overlay can, where a service has such an option.",
        "bounds of a range": "No service has any, and our ranges have none.",
        "a section nobody uses": "What it requires is not asked for.",
        "what documents show": "<host> is no value: whoever copies it from there has the default.",
        "a lone quote": "It opens nothing and closes nothing: it is the value, and no empty one.",
        "spaces around a value": "Quotes of a file keep them; only in text do they say anything.",
        "choices in any case": "The default shows that case does not count, or an overlay says so: "
        "the value is the choice as it is listed.",
        "a blank number": "oslo.config gives None to code that was promised a number, though there "
        "is a default.",
        "spelling of numbers": "1_000, Arabic digits, nan and inf are Python's idea of a number; "
        "nan fits any range. A number that is a choice is written as it is listed.",
        "addresses in short": "An address has many spellings, and is one value.",
        "zones": "A link-local address needs its zone; oslo.config refuses all zones.",
        "needless commas": "A list may end with a comma, so a dictionary may; no key is meant to "
        "begin with one.",
        "no URI": "A blank or a quote belongs into no URI, and a port alone is no host.",
        "brackets in a path": "RFC 3986 has them escaped; browsers and people do not, and nothing "
        "is ambiguous.",
        "ends of a range": "Zeros before a number and blanks beside the dash change nothing.",
        "what is put in": "Text as a file has it, not Python's way of writing a value; where there "
        "are several, none.",
        "a wrong value put in": "It is told where it is written; what it is put into is not wrong.",
        "a required value put in": "An option that nobody set has no text, and no empty one.",
        "a wrong reference on the way": "oslo.config goes on to [DEFAULT] for the name whose value "
        "could not be read.",
        "an old name put in": "It is known by what became of it; oslo.config finds no group that "
        "is gone, and leaves an old name of [DEFAULT] in another group as it stands.",
        "the name of DEFAULT": "$DEFAULT.name says which name is meant; oslo.config has no such "
        "group.",
        "a section with a dot": "The last dot is the one before the option; oslo.config takes the "
        "first, and finds no such group.",
        "a full stop after a name": "The stop ends the sentence, not the name.",
        "letters beyond ASCII in a name": "Where a name ends is not guessed: it is refused, and "
        "braces say it.",
        "other signs in braces": "Nobody writes ${foo-bar} and means just that.",
        "a reference in a list by default": "A default is read as the file would be, so what is "
        "put in may be several items.",
    }
)
"""All differences there are, each with its reason."""


class Expected(NamedTuple):
    """What bedplate is to make of an option, and the differences that this follows from."""

    value: str
    by: frozenset[str] = frozenset()


Rule = Callable[[Entry, str], "str | None"]
"""What to have oslo.config read in place of a text, `REFUSED` for none; None: the rule is idle."""


def _spelled_number(about: Entry, text: str) -> str | None:
    if about["choices"] and about["type"] in _INTEGERS:
        listed = {str(each[0]) for each in about["choices"]}
        return REFUSED if text.strip() and text.strip() not in listed else None
    plain = r"[+-]?[0-9]+"
    if about["type"] == "floating point value":
        plain = r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?"
    odd = about["type"] in _NUMBERS and re.fullmatch(plain, text.strip()) is None
    return REFUSED if odd and text.strip() else None


def _blank_number(about: Entry, text: str) -> str | None:
    blank = about["type"] in _NUMBERS and not text.strip()
    return REFUSED if blank and (about["default"] is not None or about["required"]) else None


def _spaces(about: Entry, text: str) -> str | None:
    chosen = about["type"] == "string value" and any(each[0] for each in about["choices"])
    drops = chosen or about["type"] in _STRIPPED
    return text.strip() if drops and text != text.strip() else None


def _zone(about: Entry, text: str) -> str | None:
    if about["type"] not in _HOSTS | {"IP address value"} or "%" not in text:
        return None
    try:
        address = IPv6Address(text)
    except ValueError:
        return None
    plain = re.fullmatch(r"[\w.~-]+", address.scope_id or "", re.ASCII)
    return text.partition("%")[0] if plain else None


def _needless_commas(about: Entry, text: str) -> str | None:
    kept: list[str] = []
    for part in text.split(","):
        between = not kept or ":" in kept[-1]
        if part or not between:
            kept.append(part)
    needless = about["type"] == "dict value" and "," in text and len(kept) <= text.count(",")
    return ",".join(kept) if needless else None


def _no_uri(about: Entry, text: str) -> str | None:
    if about["type"] != "uri value":
        return None
    try:
        host = urlsplit(text).hostname
    except ValueError:
        return None
    odd = re.search(r"[^!#-;=?-\[\]_a-z~A-Z%]", text)
    return REFUSED if odd or not host else None


def _bracket(about: Entry, text: str) -> str | None:
    match = re.fullmatch(r"(\w+://[^/?#]+[/?#])(.*[\[\]].*)", text)
    if about["type"] != "uri value" or match is None:
        return None
    return match[1] + match[2].replace("[", "%5B").replace("]", "%5D")


def _range(about: Entry, text: str) -> str | None:
    match = re.fullmatch(r"(-?[0-9]+)(?:\s*-\s*(-?[0-9]+))?", text)
    if about["type"] != "range value" or match is None:
        return None
    ends = [str(int(each)) for each in match.groups() if each is not None]
    return "-".join(ends) if "-".join(ends) != text else None


def _any_case(about: Entry, text: str) -> str | None:
    listed = [each[0] for each in about["choices"] if isinstance(each[0], str)]
    blind = about["dest"] in _ANY_CASE or _listed_default(about) != about["default"]
    meant = [each for each in listed if each.lower() == text.lower()]
    return meant[0] if blind and meant and text not in listed else None


def _listed_default(about: Entry) -> object:
    """Return a default that differs from a choice by its case alone as that choice."""
    listed = [each[0] for each in about["choices"] if isinstance(each[0], str)]
    default = about["default"]
    if not isinstance(default, str) or default in listed:
        return default
    return next((each for each in listed if each.lower() == default.lower()), default)


_RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "spaces around a value": _spaces,
        "choices in any case": _any_case,
        "a blank number": _blank_number,
        "spelling of numbers": _spelled_number,
        "zones": _zone,
        "needless commas": _needless_commas,
        "no URI": _no_uri,
        "brackets in a path": _bracket,
        "ends of a range": _range,
    }
)


class _BadReference(Exception):
    """A text refers to what it cannot have."""


class _Model:
    """What bedplate makes of options and a file, worked out from what oslo.config makes of them."""

    def __init__(self, options: Mapping[str, Any], data: bytes) -> None:
        lone = rb"(?m)^([^\s\[#;][^=:\n]*[=:][ \t]*)(['\"])[ \t\r]*$"
        data, quotes = re.subn(lone, rb"\1\2\2\2", data)
        self.by_file = {"a lone quote"} if quotes else set[str]()
        self.about: dict[Name, Entry] = {
            (group, each["dest"]): {**_SILENT, **each}
            for group, said in options.items()
            for each in said["opts"]
        }
        made = [
            Made(group, described({**about, "default": _listed_default(about)}))
            for (group, _), about in self.about.items()
        ]
        self.options = {each.name: each.option for each in made}
        asked = theirs(made, data)
        assert asked is not None
        self.theirs, self.written, keys = asked
        self.renames = dict(self._old_names())
        self.sections = {self.renames.get(key, key)[0] for key in keys}

    def _old_names(self) -> Iterator[tuple[Name, Name]]:
        taken = set(self.about)
        for name, about in self.about.items():
            for old in about["deprecated_opts"]:
                moved = old["name"] == about["name"]
                was = old["group"], about["dest"] if moved else old["name"]
                if was not in taken:
                    taken.add(was)
                    yield was, name

    def value(self, name: Name, by: set[str]) -> str:
        about, option = self.about[name], self.options[name]
        if name[0] != "DEFAULT" and name[0] not in self.sections:
            return NOT_USED
        if name not in self.written:
            return self._default(name, by)
        written, sample = self.written[name], about["sample_default"]
        try:
            found = [self.put_in(each, name[0], [name], by) for each in written]
        except _BadReference:
            return REFUSED
        shown = not about["required"] and sample is not None and written == [str(sample)]
        if shown and read_alone(option, found if option.multi else found[0]) == REFUSED:
            by.add("what documents show")
            return self._default(name, by)
        return self.reads(about, option, found if option.multi else found[0], by)

    def _default(self, name: Name, by: set[str]) -> str:
        about, option = self.about[name], self.options[name]
        default = about["default"]
        if default is None:
            return REFUSED if about["required"] else repr(None)
        text = ",".join(map(str, default)) if isinstance(default, list) else default
        if isinstance(default, Mapping):
            if not all(isinstance(each, str) for each in default.values()):
                by.add("what is not printed")
            return read_alone(option, ",".join(f"{key}:{each}" for key, each in default.items()))
        if not isinstance(text, str) or "$" not in text:
            if _listed_default(about) != default:
                by.add("choices in any case")
            return read_alone(option, option.default)
        if isinstance(default, list):
            by.add("a reference in a list by default")
        try:
            return self.reads(about, option, self.put_in(text, name[0], [name], by), by)
        except _BadReference:
            return REFUSED

    def reads(self, about: Entry, option: cfg.Opt, text: str | list[str], by: set[str]) -> str:
        if isinstance(text, list):
            return read_alone(option, text)
        for name, rule in _RULES.items():
            instead = rule(about, text)
            if instead is None:
                continue
            if instead == REFUSED:
                by.add(name)
                return REFUSED
            read = self.reads(about, option, instead, by)
            by.add(name)
            if name in {"zones", "brackets in a path"} and read != REFUSED:
                return repr(text)
            return read
        read = read_alone(option, text)
        if about["type"] == "IP address value" and read != REFUSED:
            read = repr(str(ip_address(text)))
            by |= {"addresses in short"} if read != repr(text) else set()
        return read

    def put_in(self, text: str, group: str, trail: list[Name], by: set[str]) -> str:
        """Put in what a text refers to."""
        text = text.replace(r"\$", "$$")
        parts: list[str] = []
        end = 0
        pattern = cfg.ConfigOpts.Template.pattern
        while (match := pattern.search(text, end)) is not None:
            parts.append(text[end : match.start()])
            end = match.end()
            if match["escaped"] is not None:
                parts.append("$")
                continue
            name = match["named"] or match["braced"]
            if name is None:
                odd = re.compile(r"\$\{([A-Za-z_][\w.-]*)\}").match(text, match.start())
                if odd is None:
                    parts.append("$")
                    continue
                by.add("other signs in braces")
                name, end = odd[1], odd.end()
            elif match["named"]:
                whole = re.match(r"\w+(?:\.\w+)*", name)
                kept = whole[0] if whole else name
                if kept != name:
                    by.add("a full stop after a name")
                end -= len(name) - len(kept)
                name = kept
                behind = text[end : end + 2].lstrip(".")[:1]
                if behind and not behind.isascii() and re.match(r"\w", behind):
                    by.add("letters beyond ASCII in a name")
                    raise _BadReference
            parts.append(self._text_of(self._target(name, group, by), trail, by))
        return "".join([*parts, text[end:]])

    def _target(self, name: str, group: str, by: set[str]) -> Name:
        section, dot, option = name.rpartition(".")
        if dot and section == "DEFAULT":
            by.add("the name of DEFAULT")
        if section.count("."):
            by.add("a section with a dot")
        for candidate in ((section, option), (group, name), ("DEFAULT", name)):
            if candidate in self.about:
                return candidate
            if candidate in self.renames:
                by.add("an old name put in")
                return self.renames[candidate]
        raise _BadReference

    def _text_of(self, name: Name, trail: list[Name], by: set[str]) -> str:
        about, default = self.about[name], self.about[name]["default"]
        written = self.written.get(name)
        several = self.options[name].multi and (default if written is None else written[1:])
        if written is None and default is None and about["required"]:
            by.add("a required value put in")
        elif several or (self.options[name].multi and written is None and default is not None):
            by.add("what is put in")
        elif name not in trail:
            text = self._one_text(name, trail, by)
            changed = about["type"] != "string value" or _listed_default(about) != default
            by |= {"what is put in"} if changed else set()
            by |= {"a wrong value put in"} if self.theirs[name] == REFUSED else set()
            return text
        raise _BadReference

    def _is_placeholder(self, name: Name, by: set[str]) -> bool:
        about, sample = self.about[name], str(self.about[name]["sample_default"])
        shown = not about["required"] and self.written.get(name) == [sample] and "$" not in sample
        shown = shown and about["sample_default"] is not None
        shown = shown and read_alone(self.options[name], sample) == REFUSED
        by |= {"what documents show"} if shown else set()
        return shown

    def _one_text(self, name: Name, trail: list[Name], by: set[str]) -> str:
        default = _listed_default(self.about[name])
        if isinstance(default, list) and _refers(default):
            default = ",".join(default)
        written = None if self._is_placeholder(name, by) else self.written.get(name)
        text = default if written is None else written[0]
        if written is None and not _refers(default):
            return _as_text(_native(self.about[name], default))
        try:
            return self.put_in(str(text), name[0], [*trail, name], by)
        except _BadReference:
            by.add("a wrong reference on the way")
            raise


def _refers(default: object) -> bool:
    return "$" in (",".join(map(str, default)) if isinstance(default, list) else str(default))


def _as_text(default: object) -> str:
    match default:
        case None:
            return ""
        case bool():
            return str(default).lower()
        case Mapping():
            return ", ".join(f"{key}:{value}" for key, value in default.items())
        case list():
            return ", ".join(map(str, default))
        case _:
            return str(default)


def _native(about: Entry, default: object) -> object:
    if not isinstance(default, str):
        return default
    match about["type"]:
        case "list value":
            return default.split(",") if default else []
        case "boolean value":
            return default.lower() == "true"
        case "floating point value":
            return float(default)
        case _:
            return default


def _left_out(about: Entry) -> str:
    bounds = {about.get("min"), about.get("max")} - {None}
    return (
        "bounds of a range" if about["type"] == "range value" and bounds else "what is not printed"
    )


def expected(options: Mapping[str, Any], data: bytes, asked: Asked) -> dict[Name, Expected]:
    """Return what bedplate is to make of each option that is printed so, and why.

    ``asked`` is what oslo.config made of the options themselves.
    """
    model = _Model(options, data)
    found: dict[Name, Expected] = {}
    for name in model.about:
        by = set(model.by_file)
        value = model.value(name, by)
        same = model.theirs[name] == asked.values[name] or by & {
            "a lone quote",
            "choices in any case",
        }
        by |= set() if same else {_left_out(model.about[name])}
        found[name] = Expected(value, frozenset(by))
    return found
