from enum import Enum

from bedplate.config import Duration, Origin, Schema, Secret, Section, Url, option
from bedplate.config.merge import Merged
from bedplate.config.render import explain, help_text, rows
from bedplate.config.tree import Raw
from bedplate.config.types import String


class Mode(Enum):
    FAST = "fast"
    SAFE = "safe"


class Api(Section):
    """The public interface."""

    hidden_depth: int = option(default=3, advanced=True, help="Rarely of use.")
    max_rows: int = option(default=4, min=1, max=9, mutable=True, help="Rows of a page.")
    debug: bool = option(default=False, deprecated="Use mode.", since="2.0")
    password: Secret[str] = option(help="Administrator's password.")
    mode: Mode = option(help="How to work. " + "A long story follows, word by word. " * 4)
    spare: Secret[str] = option(default=Secret("hunter2"))
    pin: Secret[int] = option(default=Secret(1234))
    wait: Duration = option(default=90, was=("DEFAULT.api_wait",))
    place: Url = option(default=Url("a://u:hunter2@h"))


class Extra(Section, optional=True):
    """More of it."""


SCHEMA = Schema.of([Api, Extra])
HELP = help_text(SCHEMA, "inventory", "INVENTORY")


def raw(value: object, source: str, place: str, line: int | None = None) -> Raw:
    file = place.partition(":")[0] if line else None
    return Raw(value, Origin(source, place, file, line, 1 if line else None))


def test_help_names_flag_meaning_type_and_variable() -> None:
    """Each option of the help has its flag, what it means, its type and its variable."""
    assert (
        "  --api.max-rows VALUE\n"
        "      Rows of a page.\n"
        "      A whole number from 1 to 9; default 4; a reload changes it.\n"
        "      INVENTORY_API__MAX_ROWS\n"
    ) in HELP
    assert "  --api.debug, --no-api.debug\n" in HELP
    flowing = " ".join(HELP.split())
    assert "Deprecated since 2.0: Use mode. INVENTORY_API__DEBUG" in flowing
    assert "default 90s; was [DEFAULT] api_wait." in flowing
    assert "One of 'fast' or 'safe'; required." in flowing


def test_help_lists_sections_with_their_meaning() -> None:
    """Sections stand with their first sentence, and optional ones say so."""
    assert "\n[api]  The public interface.\n" in HELP
    assert "\n[extra] (optional)  More of it.\n" in HELP


def test_help_shows_advanced_options_last() -> None:
    """What few people need comes after what most people need."""
    assert HELP.index("--api.place") < HELP.index("--api.hidden-depth")


def test_help_shows_no_secret_and_no_flag_for_one() -> None:
    """A secret has no flag and its default is not shown; a URL's password is masked."""
    assert "hunter2" not in HELP
    assert "--api.password" not in HELP
    assert "  password  (no flag: a list of processes would show it)\n" in HELP
    assert "default a://u:****@h." in HELP


def test_help_fits_a_terminal() -> None:
    """No line is longer than 88 signs, and none ends in a space."""
    lines = HELP.splitlines()
    assert max(map(len, lines)) <= 88
    assert [line for line in lines if line != line.rstrip()] == []


def test_an_explanation_reads_as_text() -> None:
    """The text tells value, origin, losers, meaning, and how to set and change the option."""
    spec = SCHEMA.sections["api"].options["max_rows"]
    raws = (raw("5", "environment", "INVENTORY_API__MAX_ROWS"), raw("x", "file", "a.conf:2:1", 2))
    assert str(explain(spec, raws, 5, "INVENTORY")) == (
        "api.max_rows = 5\n"
        "  from INVENTORY_API__MAX_ROWS: environment beats file\n"
        "  not (a value that is not valid) of a.conf:2:1: environment beats file\n"
        "  not 4 of declared default: it counts while nothing else is set\n"
        "  Rows of a page.\n"
        "  It must be a whole number from 1 to 9.\n"
        "  Set it as [api] max_rows in a file, INVENTORY_API__MAX_ROWS, --api.max-rows.\n"
        "  A reload changes it."
    )


def test_a_default_is_explained() -> None:
    """Where nobody set anything the default is the winner and has no losers."""
    told = explain(SCHEMA.sections["api"].options["wait"], (), 90.0, "P")
    assert (told.value, str(told.origin), told.why, told.losers) == (
        "90s",
        "declared default",
        "nothing sets it",
        (),
    )


def test_losers_say_why_they_lost() -> None:
    """Within one source the later wins, a later file beats an earlier, a present name an old."""
    spec = SCHEMA.sections["api"].options["max_rows"]
    raws = (
        raw("1", "file", "b.conf:2:1", 2),
        raw("2", "file", "b.conf:1:1", 1),
        raw("3", "file", "b.conf:9:1", 9),
        raw("4", "file", "a.conf:1:1", 1),
    )
    told = explain(spec, raws, 1, "P")
    assert told.why == "the last one counts"
    assert [each.why for each in told.losers] == [
        "the last one counts",
        "a present name beats an old one",
        "a later file beats an earlier one",
        "it counts while nothing else is set",
    ]


def test_an_explanation_of_a_secret_shows_none_of_its_values() -> None:
    """Winner, losers and default of a secret are masked alike, and it is said to be one."""
    spec = SCHEMA.sections["api"].options["spare"]
    raws = (raw("hunter3", "environment", "V"), raw("hunter4", "file", "a.conf:1:1", 1))
    told = explain(spec, raws, Secret("hunter3"), "P")
    assert (told.value, told.secret, told.flag) == ("****", True, None)
    assert "hunter" not in repr(told) + str(told)
    pin = SCHEMA.sections["api"].options["pin"]
    told = explain(
        pin, (raw("1", "environment", "V"), raw("x", "file", "a:1:1", 1)), Secret(1), "P"
    )
    assert {each.value for each in told.losers} == {"****"}


def test_a_password_of_a_url_is_masked_in_options_of_any_kind() -> None:
    """An option that is no secret and no URL may hold one: it is shown without its password."""
    spec = SCHEMA.sections["api"].options["mode"]._replace(type=String(), default="a://u:hunter2@h")
    raws = (raw("b://u:hunter3@h", "environment", "V"), raw("c://u:hunter4@h", "file", "a:1:1", 1))
    told = explain(spec, raws, raws[0].value, "P")
    assert (told.value, told.losers[0].value) == ("b://u:****@h", "c://u:****@h")
    assert "hunter" not in repr(told) + str(told)
    (row,) = rows(
        Schema([SCHEMA.sections["api"]._replace(options={"mode": spec})]),
        Merged({}, {}),
        {"api": {"mode": "d://u:hunter5@h"}},
    )
    assert row.value == "d://u:****@h"


def test_rows_follow_the_schema_and_leave_out_what_has_no_value() -> None:
    """Rows come in the order of the schema; an option without a value has none."""
    merged = Merged({"api": {"max_rows": (raw("5", "file", "a.conf:1:1", 1),)}}, {})
    made = rows(SCHEMA, merged, {"api": {"wait": 1.0, "max_rows": 5}})
    assert [(row.key, row.value, str(row.origin)) for row in made] == [
        ("api.max_rows", "5", "a.conf:1:1"),
        ("api.wait", "1s", "declared default"),
    ]
