"""What bedplate reads is what oslo.config reads: the same options, the same file, both asked."""

import json
from collections.abc import Mapping, Sequence
from itertools import permutations, product
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import example, given, note, settings
from hypothesis import strategies as st
from oslo_config import cfg, types
from tests.unit.config.beside_oslo import (
    NOT_USED,
    REFUSED,
    Asked,
    Entry,
    Made,
    described,
    ours,
    printed,
    theirs,
)
from tests.unit.config.drawn_oslo import SETS_AND_FILES, SORTS, WORDS
from tests.unit.config.oslo_differences import DIFFERENCES, expected

DATA = Path(__file__).parents[2] / "data" / "openstack"


def differing(options: Mapping[str, Any], asked: Asked | None, data: bytes) -> set[str]:
    """Compare what is printed of options with what oslo.config made of them, one by one.

    Return the differences that were met.
    """
    read, met = ours(options, data), set[str]()
    assert (asked is None) == (read is None), data.decode()
    if asked is None or read is None:
        return met
    for name, (value, by) in expected(options, data, asked).items():
        said = (name, data.decode(), asked.values[name], sorted(by))
        assert read[name] == value, said
        if value == NOT_USED:
            met |= {"a section nobody uses"} if asked.values[name] == REFUSED else set()
        elif asked.values[name] != value:
            assert by, said
            met |= by
    return met


def compared(options: Sequence[Made], data: bytes) -> set[str]:
    """Compare as above, for options of oslo.config's own."""
    return differing(printed(options), theirs(options, data), data)


@given(SETS_AND_FILES)
@settings(max_examples=400, deadline=None, derandomize=True, database=None)
def test_options_and_files_are_read_as_oslo_config_reads_them(
    drawn: tuple[list[Made], bytes],
) -> None:
    """Whatever the options and the file: the same values, or what a listed difference says."""
    note(json.dumps(printed(drawn[0])))
    assert compared(*drawn) <= DIFFERENCES.keys()


def one(sort: str, text: str, **facts: object) -> set[str]:
    """Compare an option with nothing beside it but a name, and one text."""
    made = SORTS[sort].make("an-option", **SORTS[sort].facts, **facts)
    options = [Made("DEFAULT", made), Made("DEFAULT", cfg.StrOpt("name", default="n"))]
    return compared(options, f"[DEFAULT]\nan_option = {text}\n".encode())


@given(st.sampled_from(sorted(SORTS)), st.lists(st.sampled_from(WORDS), max_size=4).map("".join))
@settings(max_examples=400, deadline=None, derandomize=True, database=None)
@example("address", "fe80::1%eth0 and more")
@example("domain", "1_000")
def test_a_value_is_read_as_oslo_config_reads_it(sort: str, text: str) -> None:
    """Any text for any type gives the same value, or what a listed difference says."""
    assert one(sort, text) <= DIFFERENCES.keys()


@pytest.mark.parametrize("sort", sorted(SORTS))
def test_each_word_is_read_as_oslo_config_reads_it(sort: str) -> None:
    """Each word alone for each type, with a default and without, none of them by chance."""
    options, lines = [Made("DEFAULT", cfg.StrOpt("name", default="n"))], ["[DEFAULT]"]
    for number, (word, default) in enumerate(product(WORDS, SORTS[sort].defaults[:2])):
        made = SORTS[sort].make(f"o{number}", default=default, **SORTS[sort].facts)
        options.append(Made("DEFAULT", made))
        lines.append(f"o{number} = {word}")
    assert compared(options, "\n".join([*lines, ""]).encode()) <= DIFFERENCES.keys()


@pytest.mark.parametrize("multi", [False, True])
@pytest.mark.parametrize("lines", sorted(permutations(["new = a", "old = b", "[x]", "gone = c"])))
def test_old_names_are_read_as_oslo_config_reads_them(lines: Sequence[str], multi: bool) -> None:  # noqa: FBT001 - drawn
    """Whichever names of an option a file has, in whatever order, the same one counts."""
    make = cfg.MultiStrOpt if multi else cfg.StrOpt
    old = [cfg.DeprecatedOpt("old"), cfg.DeprecatedOpt("gone", group="x")]
    options = [Made("DEFAULT", make("new", deprecated_opts=old)), Made("x", cfg.StrOpt("old"))]
    for first in range(len(lines)):
        data = "\n".join(["[DEFAULT]", *lines[first:], ""]).encode()
        assert compared(options, data) == set()


TEXT = cfg.StrOpt("text")
SHOWN: Mapping[str, tuple[Sequence[Made], str]] = MappingProxyType(
    {
        "bounds of a range": (
            [Made("DEFAULT", cfg.Opt("span", type=types.Range(min=2)))],
            "[DEFAULT]\nspan = 1-3\n",
        ),
        "a section nobody uses": ([Made("api", cfg.StrOpt("text", required=True))], ""),
        "what documents show": (
            [Made("DEFAULT", cfg.IntOpt("count", default=1, sample_default="<cores>"))],
            "[DEFAULT]\ncount = <cores>\n",
        ),
        "a lone quote": ([Made("DEFAULT", TEXT)], "[DEFAULT]\ntext = '\n"),
        "spaces around a value": (
            [Made("DEFAULT", cfg.BoolOpt("on"))],
            '[DEFAULT]\non = " yes "\n',
        ),
        "choices in any case": (
            [
                Made(
                    "DEFAULT",
                    cfg.StrOpt("unit", choices=["Days"], ignore_case=True, default="days"),
                )
            ],
            "[DEFAULT]\nunit = DAYS\n",
        ),
        "a blank number": (
            [Made("DEFAULT", cfg.IntOpt("count", default=1))],
            "[DEFAULT]\ncount =\n",
        ),
        "spelling of numbers": (
            [Made("DEFAULT", cfg.IntOpt("count"))],
            "[DEFAULT]\ncount = 1_000\n",
        ),
        "addresses in short": (
            [Made("DEFAULT", cfg.IPOpt("address"))],
            "[DEFAULT]\naddress = 0::1\n",
        ),
        "zones": ([Made("DEFAULT", cfg.IPOpt("address"))], "[DEFAULT]\naddress = fe80::1%eth0\n"),
        "needless commas": ([Made("DEFAULT", cfg.DictOpt("limits"))], "[DEFAULT]\nlimits = a:b,\n"),
        "no URI": ([Made("DEFAULT", cfg.URIOpt("uri"))], "[DEFAULT]\nuri = rabbit://:5672\n"),
        "brackets in a path": (
            [Made("DEFAULT", cfg.URIOpt("uri"))],
            "[DEFAULT]\nuri = http://h/[1]\n",
        ),
        "ends of a range": (
            [Made("DEFAULT", cfg.Opt("span", type=types.Range()))],
            "[DEFAULT]\nspan = 03 - 7\n",
        ),
        "what is put in": (
            [Made("DEFAULT", TEXT), Made("DEFAULT", cfg.BoolOpt("on"))],
            "[DEFAULT]\non = yes\ntext = $on\n",
        ),
        "a wrong value put in": (
            [Made("DEFAULT", TEXT), Made("DEFAULT", cfg.StrOpt("level", choices=["low"]))],
            "[DEFAULT]\nlevel = lwo\ntext = $level\n",
        ),
        "a required value put in": (
            [Made("DEFAULT", TEXT), Made("DEFAULT", cfg.StrOpt("name", required=True))],
            "[DEFAULT]\ntext = a$name\n",
        ),
        "a wrong reference on the way": (
            [
                Made("DEFAULT", cfg.StrOpt("name")),
                Made("api", cfg.StrOpt("name")),
                Made("api", TEXT),
            ],
            "[api]\nname = $nope\ntext = $name\n",
        ),
        "an old name put in": (
            [
                Made("DEFAULT", TEXT),
                Made("api", cfg.StrOpt("name", deprecated_group="gone")),
            ],
            "[api]\nname = a\n[DEFAULT]\ntext = $gone.name\n",
        ),
        "the name of DEFAULT": (
            [Made("DEFAULT", cfg.StrOpt("name")), Made("api", TEXT)],
            "[DEFAULT]\nname = a\n[api]\ntext = $DEFAULT.name\n",
        ),
        "a section with a dot": (
            [Made("api.v1", cfg.StrOpt("name", default="a")), Made("DEFAULT", TEXT)],
            "[DEFAULT]\ntext = $api.v1.name\n",
        ),
        "a full stop after a name": (
            [Made("DEFAULT", cfg.StrOpt("name", default="a")), Made("DEFAULT", TEXT)],
            "[DEFAULT]\ntext = $name.\n",
        ),
        "letters beyond ASCII in a name": (
            [Made("DEFAULT", cfg.StrOpt("name", default="a")), Made("DEFAULT", TEXT)],
            "[DEFAULT]\ntext = $nameé\n",
        ),
        "other signs in braces": ([Made("DEFAULT", TEXT)], "[DEFAULT]\ntext = ${foo-bar}\n"),
        "a reference in a list by default": (
            [
                Made("DEFAULT", cfg.StrOpt("names", default="a,b")),
                Made("DEFAULT", cfg.ListOpt("all", default=["$names", "c"])),
            ],
            "",
        ),
    }
)
"""Options and a file that show a difference."""


def test_each_difference_but_one_has_its_example() -> None:
    """What the generator does not print has many, below; nothing is listed without."""
    assert {*SHOWN, "what is not printed"} == DIFFERENCES.keys()


@pytest.mark.parametrize("name", sorted(SHOWN))
def test_what_is_listed_as_a_difference_is_one(name: str) -> None:
    """A difference that is gone, on either side, does not stay in the list."""
    options, text = SHOWN[name]
    assert compared(options, text.encode()) == {name}


@pytest.mark.parametrize(
    ("sort", "text"),
    [
        ("pattern", "A"),
        ("short text", "abcd"),
        ("quoted text", "'a"),
        ("chosen in any case", "LOW"),
        ("list of integers", "1,2"),
        ("list in brackets", "[a,b]"),
        ("long list", "a"),
        ("list of choices", "c"),
        ("dict of integers", "a:b"),
        ("dict in braces", "{a:b}"),
        ("dict with equals signs", "a=b"),
        ("several integers", "1"),
        ("several dicts", "a:b"),
        ("address of version 4", "::1"),
        ("host of version 6", "10.0.0.1"),
        ("uri of a scheme", "http://h/"),
        ("short uri", "http://host/long"),
        ("half of a range", "3-7"),
        ("moon", "full"),
    ],
)
def test_what_is_not_printed_is_not_known(sort: str, text: str) -> None:
    """Each of these facts is missing in what the generator prints, and so are its effects here."""
    assert one(sort, text) == {"what is not printed"}


OF_SERVICES: Mapping[str, set[str]] = MappingProxyType(
    {
        # Where a placeholder is put in elsewhere, it is the default as well.
        "cinder": {
            "choices in any case",
            "what documents show",
            "what is put in",
            "a wrong value put in",
        },
        "glance": {"choices in any case"},
        "keystone": {"choices in any case"},
        "nova": {"choices in any case", "what documents show"},
    }
)


@pytest.mark.parametrize("service", sorted(OF_SERVICES))
def test_the_file_of_a_real_service_is_read_as_oslo_config_reads_it(service: str) -> None:
    """Every option of a released service has the same value, with the full file."""
    described_ = json.loads((DATA / f"{service}.json").read_text())["options"]
    options = {group: {"opts": _readable(about["opts"])} for group, about in described_.items()}
    made = [
        Made(group, described(each)) for group, about in options.items() for each in about["opts"]
    ]
    data = (DATA / f"{service}.full.conf").read_bytes()
    assert differing(options, theirs(made, data), data) == OF_SERVICES[service]


def _readable(opts: Sequence[Entry]) -> list[Entry]:
    """Leave out what every program of oslo.config has anyway, and the one default it refuses."""
    return [
        {**each, "default": "Days"} if each["dest"] == "log_rotate_interval_type" else each
        for each in opts
        if each["namespace"] != "oslo.config"
    ]
