"""What bedplate reads is what oslo.config reads: the same options, the same file, both asked."""

import json
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from oslo_config import cfg, types

from bedplate.config import Secret
from bedplate.config.auditing import audit_trees
from bedplate.config.document import Document
from bedplate.config.oslo import option_set
from bedplate.config.schema import Unresolved

DATA = Path(__file__).parents[2] / "data" / "openstack"
REFUSED, BROKEN = "<refused>", "<broken>"

KINDS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "string value": types.String,
        "integer value": types.Integer,
        "floating point value": types.Float,
        "boolean value": types.Boolean,
        "port value": types.Port,
        "list value": types.List,
        "dict value": types.Dict,
        "multi valued": types.MultiString,
        "range value": types.Range,
        "IP address value": types.IPAddress,
        "hostname value": types.Hostname,
        "host address value": types.HostAddress,
        "host domain value": types.HostDomain,
        "uri value": types.URI,
    }
)

Entry = Mapping[str, Any]
Values = dict[tuple[str, str], str]


def entry(name: str, kind: str, **facts: object) -> Entry:
    """Describe an option as the generator does."""
    plain: dict[str, object] = {
        "default": None,
        "choices": [],
        "deprecated_opts": [],
        "secret": False,
    }
    return {"name": name, "dest": name.replace("-", "_"), "type": kind} | plain | facts


def their_option(about: Entry) -> cfg.Opt:
    """Make oslo.config's option of the generator's description."""
    facts: dict[str, Any] = {}
    if about["choices"]:
        facts["choices"] = [tuple(each) for each in about["choices"]]
    for bound in ("min", "max"):
        if about.get(bound) is not None:
            facts[bound] = about[bound]
    old = [
        cfg.DeprecatedOpt(each["name"] or about["dest"], group=each["group"])
        for each in about["deprecated_opts"]
    ]
    type_ = KINDS.get(about["type"], types.String)(**facts)
    facts = {"dest": about["dest"], "default": about["default"], "secret": about["secret"]}
    facts["deprecated_opts"] = old
    if about["type"] == "multi valued":
        return cfg.MultiOpt(about["name"], item_type=type_, **facts)
    return cfg.Opt(about["name"], type=type_, **facts)


def theirs(options: Mapping[str, Sequence[Entry]], data: bytes) -> Values | str:
    """Parse with oslo.config, and read every option."""
    conf = cfg.ConfigOpts()
    for group, entries in options.items():
        made = [their_option(each) for each in entries]
        conf.register_opts(made, group=None if group == "DEFAULT" else group)
    with tempfile.NamedTemporaryFile(suffix=".conf") as file:
        file.write(data)
        file.flush()
        try:
            conf(
                ["--config-file", file.name],
                project="made",
                default_config_files=[],
                default_config_dirs=[],
                use_env=False,
            )
        except cfg.ConfigFileParseError:
            return BROKEN
    found: Values = {}
    for group, entries in options.items():
        holder = conf if group == "DEFAULT" else conf[group]
        for each in entries:
            try:
                found[group, each["dest"]] = shown(getattr(holder, each["dest"]))
            except (ValueError, cfg.Error, RecursionError):
                found[group, each["dest"]] = REFUSED
    return found


def ours(options: Mapping[str, Sequence[Entry]], data: bytes) -> Values | str:
    """Read with bedplate; an option of a section that is not configured is left out."""
    schema = option_set(
        {"options": {group: {"opts": list(entries)} for group, entries in options.items()}}, "made"
    )
    document = Document.parse(data, "made.conf")
    if any(each.severity == "error" for each in document.findings):
        return BROKEN
    seen = audit_trees([document.tree()], schema, "OS")
    wrong = {(each.section, each.option) for each in seen.errors if each.code != "unknown-option"}
    found: Values = {}
    for spec in schema:
        values = seen.converted.values.get(spec.section)
        if values is not None:
            at = spec.section, spec.name
            found[at] = REFUSED if at in wrong else shown(values[spec.name])
    return found


def shown(value: object) -> str:
    """Write a value so that values of equal type and content are equal."""
    if isinstance(value, Unresolved):
        return REFUSED  # what it refers to is wrong, which is told there
    if isinstance(value, Secret):
        value = value.reveal()
    if isinstance(value, Mapping):
        return repr({name: value[name] for name in sorted(value)})
    if isinstance(value, list | tuple):
        return repr(list(value))
    if isinstance(value, range):
        return repr((value[0], value[-1]))  # '3' has one number, whichever way it is counted
    return repr(value) if isinstance(value, bool | int | float | None) else repr(str(value))


class Case(NamedTuple):
    """One option in one file, and what the two make of it."""

    kind: str
    text: str
    theirs: str
    ours: str


class Difference(NamedTuple):
    """Where the two differ on purpose: why, an example, and which cases are of this sort."""

    why: str
    kind: str
    text: str
    covers: Callable[[Case], bool]


_NUMBERS = frozenset({"integer value", "port value", "floating point value"})
_ADDRESSES = frozenset({"IP address value", "host address value", "host domain value"})

OF_VALUES: Mapping[str, Difference] = MappingProxyType(
    {
        "a lone quote": Difference(
            "It opens nothing and closes nothing: it is the value, and not an empty one.",
            "string value",
            "'",
            lambda case: case.text.strip() in {"'", '"'},
        ),
        "spelling of numbers": Difference(
            "1_000, Arabic digits, nan and inf are Python's idea of a number; nan fits any range.",
            "integer value",
            "1_000",
            lambda case: (
                case.kind in _NUMBERS
                and case.ours == REFUSED
                and ("_" in case.text or not case.text.isascii() or "n" in case.text.lower())
            ),
        ),
        "zones": Difference(
            "A link-local address needs its zone; oslo.config refuses all zones.",
            "IP address value",
            "fe80::1%eth0",
            lambda case: (
                case.kind in _ADDRESSES
                and case.theirs == REFUSED
                and re.fullmatch(r"\s*[\da-f:.]+%[\w.~-]+\s*", case.text, re.ASCII) is not None
            ),
        ),
        "needless commas": Difference(
            "A list may end with a comma, so a dictionary may; no key is meant to begin with one.",
            "dict value",
            "a:b,",
            lambda case: (
                case.kind == "dict value"
                and not all(part.strip() for part in case.text.strip(" '\"").split(","))
            ),
        ),
        "URIs without a host": Difference(
            "A blank belongs into no URI, and a port alone is no host.",
            "uri value",
            "rabbit://:5672",
            lambda case: case.kind == "uri value" and case.ours == REFUSED,
        ),
        "brackets in a path": Difference(
            "RFC 3986 has them escaped; browsers and people do not, and nothing is ambiguous.",
            "uri value",
            "http://h/[1]",
            lambda case: case.kind == "uri value" and case.theirs == REFUSED and "[" in case.text,
        ),
        "a full stop after a name": Difference(
            "The stop ends the sentence, not the name.",
            "string value",
            "$other.",
            lambda case: (
                case.theirs == REFUSED and re.search(r"\$\w[\w.]*\.(?!\w)", case.text) is not None
            ),
        ),
        "letters beyond ASCII in a name": Difference(
            "Where a name ends is not guessed: it is refused, and braces say it.",
            "string value",
            "$other\u00e9",
            lambda case: (
                case.ours == REFUSED
                and re.search(r"\$\w[\w.]*[^\W\x00-\x7f]", case.text) is not None
            ),
        ),
    }
)

WORDS = (
    "0",
    "1",
    "-3",
    "+5",
    "1_000",
    "1.9",
    "1e3",
    "nan",
    "inf",
    "true",
    "Yes",
    "off",
    "None",
    "a",
    "a,b",
    "a,,b",
    ",",
    "k:v",
    "k:v,l:w",
    "a:1,2,b:3",
    "k:",
    ":",
    "3-7",
    "7-3",
    "-1--5",
    "::1",
    "10.0.0.1",
    "10.0.0.256",
    "fe80::1%eth0",
    "host",
    "host.",
    "a_b",
    "ex.123",
    "http://h/p",
    "redis:6379",
    "http:///x",
    "rabbit://",
    "http://[::1]:5/",
    "$other",
    "${other}",
    "$$x",
    "\\$x",
    "$nope",
    "$",
    "${",
    "65536",
    '"q"',
    "'q'",
    "'",
    '"',
    '"a,b",c',
    "[1]",
    "{a:b}",
    "(",
    "#",
    ";",
    "=",
    "%",
    ".",
    "-",
    "é",
    "\u0663",
)
VALUES = st.lists(st.sampled_from([*WORDS, " ", ""]), max_size=4).map("".join)


def case_of(kind: str, text: str) -> Case:
    """Ask both about one value."""
    options = {"DEFAULT": [entry("an-option", kind), entry("other", "string value", default="o")]}
    data = f"[DEFAULT]\nan_option = {text}\n".encode()
    one, other = theirs(options, data), ours(options, data)
    at = "DEFAULT", "an_option"
    return Case(
        kind,
        text,
        one if isinstance(one, str) else one[at],
        other if isinstance(other, str) else other[at],
    )


@given(st.sampled_from(sorted(KINDS)), VALUES)
@settings(max_examples=600, deadline=None, derandomize=True, database=None)
@example("IP address value", "fe80::1%eth0 and more")
@example("host domain value", "1_000")
def test_a_value_is_read_as_oslo_config_reads_it(kind: str, text: str) -> None:
    """Any text for any type gives the same value or is refused by both, but for what is listed."""
    case = case_of(kind, text)
    assert case.theirs == case.ours or any(each.covers(case) for each in OF_VALUES.values()), case


@pytest.mark.parametrize("name", sorted(OF_VALUES))
def test_what_is_listed_as_a_difference_is_one(name: str) -> None:
    """A difference that is gone, on either side, does not stay in the list."""
    listed = OF_VALUES[name]
    case = case_of(listed.kind, listed.text)
    assert case.theirs != case.ours
    assert [each for each, other in OF_VALUES.items() if other.covers(case)] == [name]


MADE: Mapping[str, Sequence[Entry]] = MappingProxyType(
    {
        "DEFAULT": (
            entry("name", "string value", default="n"),
            entry("foo-bar", "string value", default="fb"),
            entry("count", "integer value", default=3, min=1, max=9),
            entry("limit", "integer value"),
            entry("many", "multi valued", default=[]),
            entry("pw", "string value", secret=True),
            entry("level", "string value", default="low", choices=[["low", None], ["high", "."]]),
            entry(
                "new",
                "string value",
                default="d",
                deprecated_opts=[
                    {"name": "old", "group": "DEFAULT"},
                    {"name": "api_old", "group": "api"},
                ],
            ),
        ),
        "api": (
            entry("hosts", "list value", default=["a"]),
            entry("url", "string value", default="http://$name/"),
            entry("name", "string value"),
            entry("on", "boolean value", default=False),
            entry("limits", "dict value", default={}),
        ),
    }
)

LINES = (
    *("[DEFAULT]", "[api]", "[API]", "[default]", "[ api ]", "[api] # x", "[]", "[api"),
    *("name = x", "name: y", "name = ", "name = x\ty", 'name = "q" ', "name = 'a' # b"),
    *("foo-bar = 1", "foo_bar = 2", "count = 5", "count = 10", "count=", "limit =", "limit = 7"),
    *("many = 1", "many = 2", "many = 1,2", "old = o", "api_old = p", "new = q", "unknown = 1"),
    *("level = high", "level = High", "pw = $name", "pw = a$$b", "on = yes", "on = perhaps"),
    *("hosts = a,b", "hosts = ", "hosts = a,$name", "limits = a:b", "limits = $name:$count"),
    *("url = http://${name}:$count/", "url = $DEFAULT.name", "url = $api.name", "url = $nope"),
    *("url = $url", "url = $hosts", "url = $pw", "name = $foo_bar", "name = $foo-bar"),
    *("name = $old", "name = $many", "name = \\$name", "name = $api.hosts", "name=$count"),
    *("  more", "  # note", "\tcount = 3", "# c", "; c", "", "   ", "key", "= v", "a = b = c"),
)
FILES = st.tuples(
    st.sampled_from(["[DEFAULT]", "[api]", "# a file"]),
    st.lists(st.sampled_from(LINES), max_size=7),
    st.sampled_from(["\n", "\r\n"]),
).map(lambda drawn: drawn[2].join([drawn[0], *drawn[1], ""]).encode())

OF_FILES: Mapping[str, tuple[str, str, re.Pattern[str]]] = MappingProxyType(
    {
        "a blank number": (
            "oslo.config gives None to code that was promised a number, though there is a default.",
            "[DEFAULT]\ncount=\n",
            re.compile(r"^count=\s*$", re.MULTILINE),
        ),
        "a list put in": (
            "What is put into a text is text as a file has it, not Python's brackets and quotes.",
            "[api]\nurl = $hosts\n",
            re.compile(r"\$(?:many|hosts|api\.hosts)"),
        ),
        "the name of DEFAULT": (
            "$DEFAULT.name says which name is meant; oslo.config knows no such group.",
            "[api]\nurl = $DEFAULT.name\n",
            re.compile(r"\$DEFAULT"),
        ),
        "a wrong reference on the way": (
            "oslo.config goes on to [DEFAULT] for the name whose value could not be read.",
            "[api]\nname = $foo-bar\n",
            re.compile(r"\$(?:foo-bar|nope|url)"),
        ),
    }
)


def differing(data: bytes) -> dict[tuple[str, str], tuple[str, str]] | str:
    """Return what the two make of a file where they differ: theirs, ours."""
    one, other = theirs(MADE, data), ours(MADE, data)
    if isinstance(one, str) or isinstance(other, str):
        return {} if one == other else f"theirs {one}, ours {other}"
    return {at: (one[at], value) for at, value in other.items() if one[at] != value}


@given(FILES)
@settings(max_examples=500, deadline=None, derandomize=True, database=None)
def test_a_file_is_read_as_oslo_config_reads_it(data: bytes) -> None:
    """Sections, continued lines, old names, references: the same values, or a listed difference."""
    found = differing(data)
    text = data.decode()
    assert not found or any(sign.search(text) for _, _, sign in OF_FILES.values()), (text, found)


@pytest.mark.parametrize("name", sorted(OF_FILES))
def test_what_is_listed_of_files_is_a_difference(name: str) -> None:
    """Each entry of the list has a file that shows it, and no other entry covers that file."""
    _, text, _ = OF_FILES[name]
    assert differing(text.encode())
    assert [each for each, (_, _, sign) in OF_FILES.items() if sign.search(text)] == [name]


SHOWN_NOT_MEANT: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "nova": ("host", "privsep.thread_pool_size", "log_rotate_interval_type"),
        "keystone": ("log_rotate_interval_type",),
    }
)
"""Options oslo.config cannot read from the full files. The samples print '<host>' and the
like, which we take for the default it stands for; the generator does not say that the
choices of the last are read in any case, which an overlay does."""


@pytest.mark.parametrize("service", sorted(SHOWN_NOT_MEANT))
def test_the_file_of_a_real_service_is_read_as_oslo_config_reads_it(service: str) -> None:
    """Every option of a released service has the same value, with the full file."""
    described = json.loads((DATA / f"{service}.json").read_text())["options"]
    options = {
        group: [_with_readable_default(each) for each in about["opts"]]
        for group, about in described.items()
    }
    data = (DATA / f"{service}.full.conf").read_bytes()
    one, other = theirs(options, data), ours(options, data)
    assert not isinstance(one, str)
    assert not isinstance(other, str)
    differing = {at for at, value in other.items() if one[at] != value}
    named = {f"{group}.{name}".removeprefix("DEFAULT.") for group, name in differing}
    assert named == set(SHOWN_NOT_MEANT[service])
    assert len(other) > len(one) * 0.9


def _with_readable_default(about: Entry) -> Entry:
    """Leave out the one default that oslo.config refuses when it is given back to it."""
    if about["dest"] != "log_rotate_interval_type":
        return about
    return {**about, "default": "Days"}
