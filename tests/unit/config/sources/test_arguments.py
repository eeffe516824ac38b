from collections.abc import Iterable

import pytest

from bedplate.config.sources import Arguments, Flag, Given, Split, split
from bedplate.errors import Finding

FLAGS = {
    "--debug": Flag("DEFAULT", "debug", is_bool=True),
    "--no-cache": Flag("DEFAULT", "no_cache", is_bool=True),
    "--api.workers": Flag("api", "workers", is_bool=False),
    "--api.tls": Flag("api", "tls", is_bool=True),
}


def values(*argv: str) -> list[tuple[str, str, list[object]]]:
    tree = Arguments(argv, FLAGS).load()
    return [(section, option, [raw.value for raw in raws]) for section, option, raws in tree]


def mistakes(*argv: str) -> tuple[Finding, ...]:
    found = Arguments(argv, FLAGS, nearest=same_letters).load().findings
    assert found
    assert all(each.severity == "error" for each in found)
    return found


def same_letters(name: str, known: Iterable[str]) -> str | None:
    return next((each for each in known if sorted(each) == sorted(name)), None)


# --- taking a command line apart ----------------------------------------------------------------


def test_what_says_how_to_load_is_split_from_what_says_values() -> None:
    """Files and directories come out in their order, which decides who beats whom."""
    argv = ["--config-dir=d", "--debug", "--config-file", "a.conf", "-h", "--config-file=b=c"]
    assert split(argv) == Split(
        paths=(Given("dir", "d"), Given("file", "a.conf"), Given("file", "b=c")),
        rest=("--debug",),
        help=True,
        version=False,
    )


def test_nothing_is_asked_of_an_empty_command_line() -> None:
    """No arguments: no paths, no help, no rest."""
    assert split([]) == Split((), (), help=False, version=False)


def test_help_and_version_are_recognised_in_full_only() -> None:
    """--version alone asks for the version; a value glued to it is somebody else's mistake."""
    assert split(["--version"]).version
    assert split(["--help"]).help
    assert split(["--version=1", "--hel"]) == Split((), ("--version=1", "--hel"), False, False)  # noqa: FBT003 - fields


def test_two_dashes_end_what_is_split() -> None:
    """After -- everything is left alone, the dashes included."""
    argv = ["--", "--help", "--config-file=a"]
    assert split(argv) == Split((), tuple(argv), help=False, version=False)


@pytest.mark.parametrize(
    "argv",
    [
        ["--config-file"],
        ["--config-file="],
        ["--config-file", "--debug"],
        ["--config-file", "--help", "a.conf"],
        ["--config-dir", "--", "a.conf"],
    ],
)
def test_a_path_that_is_missing_is_reported_and_never_guessed(argv: list[str]) -> None:
    """The rest still tells that a path is missing, however often it is split."""
    once = split(argv)
    assert once.paths == ()
    assert split(once.rest).paths == ()
    for each in (argv, once.rest):
        found = mistakes(*each)[0]
        assert (found.code, found.place) == ("no-value", argv[0].rstrip("="))


# --- values -------------------------------------------------------------------------------------


def test_both_spellings_of_a_value_are_understood() -> None:
    """A value follows its flag, or stands behind an equals sign; a repeated flag keeps all."""
    assert values("--api.workers", "4", "--api.workers=5", "--api.workers==6") == [
        ("api", "workers", ["4", "5", "=6"])
    ]


@pytest.mark.parametrize("value", ["-1", "", "-", "-x", "a b", "a=b"])
def test_a_value_may_be_nearly_anything(value: str) -> None:
    """Negative numbers and empty text need no special spelling."""
    assert values("--api.workers", value) == [("api", "workers", [value])]
    assert values(f"--api.workers={value}") == [("api", "workers", [value])]


def test_a_value_with_two_dashes_needs_the_equals_sign() -> None:
    """What looks like a flag is one, so that a forgotten value is noticed."""
    assert values("--api.workers=--debug") == [("api", "workers", ["--debug"])]
    (found,) = mistakes("--api.workers", "--debug")
    assert (found.code, found.section, found.option) == ("no-value", "api", "workers")


def test_switches_are_set_denied_and_spelled_out() -> None:
    """A bool needs no value, has a --no- form, and takes a value behind the equals sign."""
    assert values("--debug", "--no-debug", "--debug=off", "--no-api.tls") == [
        ("DEFAULT", "debug", [True, False, "off"]),
        ("api", "tls", [False]),
    ]


def test_an_option_whose_name_begins_with_no_is_no_denial() -> None:
    """A flag that exists by itself is taken as it stands."""
    assert values("--no-cache", "--no-no-cache") == [("DEFAULT", "no_cache", [True, False])]


def test_origins_are_the_flags_as_they_were_typed() -> None:
    """An operator looks for what was typed."""
    tree = Arguments(["--no-debug"], FLAGS).load()
    assert tree.get("DEFAULT", "debug")[0].origin[:2] == ("command line", "--no-debug")


def test_what_says_how_to_load_is_passed_over() -> None:
    """The whole command line can be given as well as the rest of it."""
    argv = ["--config-file", "a.conf", "--debug", "--version"]
    assert values(*argv) == values(*split(argv).rest) == [("DEFAULT", "debug", [True])]


# --- mistakes -----------------------------------------------------------------------------------


def test_all_mistakes_are_told_at_once() -> None:
    """A command line is corrected in one go, and one mistake is not told as two."""
    found = mistakes("--nope", "5", "stray", "--no-debug=1", "-x", "--api.workers")
    assert [(each.code, each.place) for each in found] == [
        ("unknown-option", "--nope"),
        ("stray-argument", "command line"),
        ("flag-value", "--no-debug"),
        ("unknown-option", "-x"),
        ("no-value", "--api.workers"),
    ]
    assert all(each.severity == "error" for each in found)


def test_flags_cannot_be_shortened() -> None:
    """A short form that is unambiguous today would not be tomorrow."""
    (found,) = mistakes("--api.w=3")
    assert found.suggestion == "--api.workers"
    assert "cannot be shortened" in found.message


def test_an_unknown_flag_gets_the_nearest_one() -> None:
    """What is near is for the caller to say; denials are among the known."""
    (found,) = mistakes("--api.wrokers=3")
    assert found.suggestion == "--api.workers"
    assert "Did you mean --api.workers?" in found.message
    (found,) = mistakes("--no-dbeug")
    assert found.suggestion == "--no-debug"


def test_without_a_judge_of_nearness_nothing_is_suggested() -> None:
    """Arguments alone does not guess."""
    (found,) = Arguments(["--api.wrokers=3"], FLAGS).load().findings
    assert found.suggestion is None


def test_what_is_right_beside_a_mistake_is_read() -> None:
    """The other flags are in the tree, so that they are judged in the same go."""
    tree = Arguments(["--api.wrokers=3", "--debug", "stray", "--api.workers=x"], FLAGS).load()
    assert [each.code for each in tree.findings] == ["unknown-option", "stray-argument"]
    assert len(tree) == 2


def test_a_denial_takes_no_value() -> None:
    """The message says how to give one."""
    (found,) = mistakes("--no-api.tls=yes")
    assert (found.code, found.section, found.option) == ("flag-value", "api", "tls")
    assert "write --api.tls=… " in found.message


@pytest.mark.parametrize("argument", ["-p", "-phunter2", "-p1", "-p=1"])
def test_a_short_flag_is_named_by_its_letter(argument: str) -> None:
    """There are none, and what is glued to the letter may be a value."""
    (found,) = mistakes(argument)
    assert (found.code, found.place) == ("unknown-option", "-p")


def test_a_value_cannot_be_denied() -> None:
    """Only switches have a --no- form."""
    (found,) = mistakes("--no-api.workers")
    assert (found.code, found.suggestion) == ("unknown-option", "--api.workers")


def test_an_argument_that_belongs_to_no_flag_is_refused() -> None:
    """The usual cause is a value for a switch, and the message says how to write that."""
    (found,) = mistakes("--debug", "false")
    assert found.code == "stray-argument"
    assert "after --debug" in found.message
    assert "--flag=false" in found.message


def test_everything_after_two_dashes_is_refused_one_by_one() -> None:
    """Flags end there, and there is nobody to take what follows."""
    assert [each.code for each in mistakes("--", "--debug", "a")] == ["stray-argument"] * 2
    assert values("--debug", "--") == [("DEFAULT", "debug", [True])]


@pytest.mark.parametrize(
    "argv",
    [
        ["--api.wrokers=hunter2"],
        ["--api.wrokers", "hunter2"],
        ["-phunter2"],
        ["--no-debug=hunter2"],
        ["hunter2"],
        ["--debug", "hunter2"],
        ["--", "hunter2"],
        ["--p@ss hunter2"],
        ["-"],
        ["--=hunter2"],
    ],
)
def test_no_message_repeats_a_value(argv: list[str]) -> None:
    """What a mistyped flag carries may be a secret, be it glued to it."""
    (found,) = mistakes(*argv)
    assert "hunter2" not in repr(found)
    assert found.place


def test_a_command_line_never_changes_by_itself() -> None:
    """There is nothing to refresh, and a refresh gives the same."""
    source = Arguments(["--debug"], FLAGS)
    assert source.next_refresh(5.0) is None
    assert source.refresh().get("DEFAULT", "debug")[0].value is True
