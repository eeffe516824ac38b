from enum import Enum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.config import Finding, Port, Schema, Secret, Section, Url, option
from bedplate.config.convert import convert
from bedplate.config.judge import nearest, unknown_options, unknown_sections
from bedplate.config.merge import merge
from bedplate.config.tree import Origin, Raw, Tree

CANARY = "hunter2-canary"


class Level(Enum):
    INFO = "info"
    DEBUG = "debug"


class Common(Section, name="DEFAULT"):
    """What everybody has."""

    debug: bool = option(default=False)
    level: Level = option(default=Level.INFO)


class Api(Section):
    """The public interface."""

    workers: int = option(default=4, min=1, max=256, was=("threads",))
    port: Port = option(default=80)
    names: list[int] = option(default=[])
    password: Secret[str] = option(default=Secret("x"))
    pins: list[Secret[int]] = option(default=[])
    pin: Secret[int] = option(default=Secret(1))
    place: Url = option(default=Url("a://b"))
    legacy: int = option(default=1, deprecated="Nothing reads it.", since="2.0")


class Disk(Section, optional=True):
    """Where things are kept."""

    path: str = option()
    token: Secret[str] = option()
    depth: int = option(default=1)
    workes: int = option(default=1)


SCHEMA = Schema.of([Common, Api, Disk])


def tree(text: str, source: str = "file") -> Tree:
    """Make a tree of lines 'section.option=value', each at its own line of c.conf."""
    made = Tree()
    for line, each in enumerate(text.split(), 1):
        name, _, value = each.partition("=")
        section, _, option_name = name.rpartition(".")
        origin = Origin(source, f"c.conf:{line}:1", "c.conf", line, 1)
        made.add(section, option_name, Raw(value, origin))
    return made


def findings(text: str) -> list[Finding]:
    merged, _ = merge([tree(text)], SCHEMA)
    converted = convert(merged, SCHEMA, prefix="INVENTORY")
    return [
        *converted.findings,
        *unknown_options(merged, SCHEMA),
        *unknown_sections(merged, SCHEMA),
    ]


def the(text: str) -> Finding:
    (finding,) = findings(text)
    return finding


def test_values_are_converted_and_defaults_filled_in() -> None:
    """Every option of every section that is there has a value of its type."""
    merged, _ = merge([tree("api.workers=9 DEFAULT.debug=yes")], SCHEMA)
    values = convert(merged, SCHEMA, prefix="INVENTORY").values
    assert (values["api"]["workers"], values["api"]["port"]) == (9, 80)
    assert values["DEFAULT"] == {"debug": True, "level": Level.INFO}
    assert "disk" not in values


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        (
            "api.workers=abc",
            "wrong-type",
            "c.conf:1:1: [api] workers must be a whole number from 1 to 256, not 'abc'.",
        ),
        (
            "api.workers=300",
            "out-of-range",
            "c.conf:1:1: [api] workers must be a whole number from 1 to 256, not 300.",
        ),
        (
            "api.port=",
            "no-value",
            "c.conf:1:1: [api] port has no value; it must be a port number from 0 to 65535.",
        ),
        (
            "DEFAULT.level=debgu",
            "not-a-choice",
            (
                "c.conf:1:1: [DEFAULT] level must be one of 'info' or 'debug', not 'debgu'. "
                "Did you mean 'debug'?"
            ),
        ),
        (
            "api.names=1,x",
            "wrong-type",
            "c.conf:1:1: [api] names is wrong in item 2, which must be a whole number, not 'x'.",
        ),
        (
            "api.pin=x",
            "wrong-type",
            "c.conf:1:1: [api] pin must be a whole number (its value is not shown).",
        ),
        (
            "api.devug=1",
            "unknown-option",
            "c.conf:1:1: [api] has no option 'devug'. Did you mean 'debug' in [DEFAULT]?",
        ),
    ],
)
def test_a_finding_says_what_where_and_what_to_do(text: str, code: str, message: str) -> None:
    """The message names place, option, what is expected, what was found, and the nearest name."""
    finding = the(text)
    assert (finding.severity, finding.code, str(finding)) == ("error", code, message)
    assert (finding.file, finding.line, finding.column) == ("c.conf", 1, 1)


def test_all_problems_are_found_at_once() -> None:
    """One pass reports every problem of every kind."""
    found = findings(
        "api.workers=0 api.port=x DEFAULT.debug=2 api.wokers=1 nowhere.x=1 disk.depth=1"
    )
    assert sorted(each.code for each in found) == [
        "missing-required",
        "missing-required",
        "out-of-range",
        "unknown-option",
        "unknown-section",
        "wrong-type",
        "wrong-type",
    ]


def test_what_is_required_says_how_to_set_it() -> None:
    """A missing option lists the ways to set it: file, variable, flag; it has no place."""
    path, token = findings("disk.depth=2")
    assert path.message == (
        "[disk] path is required and not set: write 'path = …' under [disk] in a configuration "
        "file, set the environment variable INVENTORY_DISK__PATH or give --disk.path."
    )
    assert (path.place, path.line, path.code) == ("", None, "missing-required")
    assert "--disk.token" not in token.message


def test_an_optional_section_asks_for_nothing_while_it_is_absent() -> None:
    """Required options of an optional section are required only once something of it is set."""
    assert findings("") == []
    assert findings("disk.path=/x disk.token=t") == []


@pytest.mark.parametrize(
    ("text", "suggestion", "words"),
    [
        ("api.wokers=1", "workers", "Did you mean 'workers'?"),
        ("api.wrokers=1", "workers", "Did you mean 'workers'?"),
        ("api.WORKERS=1", "workers", "Did you mean 'workers'?"),
        ("DEFAULT.devug=1", "debug", "Did you mean 'debug'?"),
        ("DEFAULT.port=1", "api.port", "There is one in [api]: is it in the wrong section?"),
        ("api.debug=1", "DEFAULT.debug", "There is one in [DEFAULT]: is it in the wrong section?"),
        ("api.workes=1", "disk.workes", "There is one in [disk]: is it in the wrong section?"),
        ("api.thread=1", "workers", "which was called 'threads'?"),
        ("api.colour=1", None, "has no option 'colour'."),
        ("apj.workers=1", "api", "Did you mean [api]?"),
        ("default.debug=1", "DEFAULT", "Did you mean [DEFAULT], in capitals?"),
        ("colours.x=1", None, "Nobody declares a section [colours]."),
    ],
)
def test_the_nearest_known_name_is_suggested(text: str, suggestion: str | None, words: str) -> None:
    """A mistyped name, a name in the wrong section and an old name are recognised."""
    finding = the(text)
    assert finding.suggestion == suggestion
    assert words in finding.message


def test_a_section_is_never_suggested_for_itself() -> None:
    """Where nobody declares [DEFAULT], neither it nor its spellings mean it."""
    schema = Schema.of([Api])
    for section in ("DEFAULT", "default"):
        merged, _ = merge([tree(f"{section}.workers=1")], schema)
        (found,) = unknown_sections(merged, schema)
        assert found.suggestion is None
        assert "Did you mean" not in found.message


def test_a_name_without_end_is_cut_in_messages() -> None:
    """A file that is none may have a line of any length."""
    assert len(the(f"api.{'x' * 5000}=1").message) < 200
    assert len(the(f"{'x' * 5000}.y=1").message) < 200


def test_names_can_be_judged_as_warnings() -> None:
    """In the lax mode unknown names are warnings with the same words."""
    merged, _ = merge([tree("api.wokers=1 apj.x=1")], SCHEMA)
    found = [
        *unknown_options(merged, SCHEMA, severity="warning"),
        *unknown_sections(merged, SCHEMA, severity="warning"),
    ]
    assert [(each.severity, each.code) for each in found] == [
        ("warning", "unknown-option"),
        ("warning", "unknown-section"),
    ]


def test_other_options_in_a_section_of_old_names_are_unknown() -> None:
    """A section that lives on only in old names knows those names and no others."""

    class Moved(Section):
        x: int = option(default=1, was=("gone.x",))

    schema = Schema.of([Moved])
    merged, _ = merge([tree("gone.x=1 gone.y=1")], schema)
    (finding,) = unknown_sections(merged, schema)
    assert (finding.code, finding.option) == ("unknown-option", "y")


def test_a_deprecated_option_is_a_warning_when_it_is_set() -> None:
    """What is going away says so, since when and why, where somebody set it."""
    finding = the("api.legacy=2")
    assert (finding.severity, finding.code) == ("warning", "deprecated-option")
    assert finding.message == "[api] legacy is deprecated since 2.0: Nothing reads it."


@pytest.mark.parametrize("dollar", ["a$$b", "${x}"])
def test_a_dollar_in_a_secret_is_a_warning_without_the_secret(dollar: str) -> None:
    """A secret that looks like interpolation is said to be taken as it stands, and not shown."""
    finding = the(f"api.password={dollar}")
    assert (finding.severity, finding.code) == ("warning", "ambiguous-dollar")
    assert dollar not in finding.message


def test_a_file_that_hides_a_store_s_secret_is_a_warning() -> None:
    """A leftover line over the value of a secret store is reported, or rotation seems dead."""
    store, file = tree("api.password=new", "vault"), tree("api.password=old")
    merged, _ = merge([store, file], SCHEMA)
    (finding,) = convert(merged, SCHEMA, prefix="P").findings
    assert (finding.severity, finding.code) == ("warning", "shadowed-source")
    merged, _ = merge([file, store], SCHEMA)
    assert convert(merged, SCHEMA, prefix="P").findings == ()


@pytest.mark.parametrize(
    "text",
    [
        f"api.pasword={CANARY}",
        f"api.pin={CANARY}",
        f"api.pins={CANARY}",
        f"api.pins=1,{CANARY}",
        f"api.place={CANARY}",
        f"nowhere.password={CANARY}",
        f"DEFAULT.password={CANARY}",
    ],
)
def test_no_finding_shows_a_secret_or_the_value_of_an_unknown_option(text: str) -> None:
    """What may be a secret, be it mistyped or misplaced, is in no part of a finding."""
    assert CANARY not in repr(the(text))


def test_nothing_close_is_suggested_for_nothing_close() -> None:
    """A suggestion is made only for what could be a slip of the hand."""
    assert nearest("x", ["y", "debug"]) is None
    assert nearest("port", ["sort_order", "host_name"]) is None
    assert nearest("max-rows", ["max_rows"]) == "max_rows"


LETTERS = st.text(st.sampled_from("abcde_"), min_size=4, max_size=9)


@given(LETTERS, st.data())
def test_one_slip_is_forgiven(word: str, data: st.DataObject) -> None:
    """A letter inserted, left out, exchanged or swapped still means the same name."""
    at = data.draw(st.integers(0, len(word) - 2))
    letter = data.draw(st.sampled_from("abcde_"))
    slip = data.draw(
        st.sampled_from(
            [
                word[:at] + letter + word[at:],
                word[:at] + word[at + 1 :],
                word[:at] + letter + word[at + 1 :],
                word[:at] + word[at + 1] + word[at] + word[at + 2 :],
            ]
        )
    )
    assert nearest(slip, [word, "something_entirely_else"]) == word


@given(st.lists(LETTERS, min_size=1, max_size=6, unique=True), st.data())
def test_a_name_is_nearest_to_itself(names: list[str], data: st.DataObject) -> None:
    """No other name is ever nearer than the name itself."""
    name = data.draw(st.sampled_from(names))
    assert nearest(name, names) == name
