"""How the command line explains itself, and what that costs."""

import os
import subprocess
import sys

import click
import pytest

from bedplate.cli.__main__ import main
from bedplate.cli.manual import Later, examples
from bedplate.cli.program import program

Captured = pytest.CaptureFixture[str]

LATER = sorted(program.commands)
SLOW = frozenset({"asyncio", "logging", "msgspec", "rich", "socket", "ssl"})


def commands(path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Return every command and group by the words that call it."""
    at: click.Command = program
    for word in path:
        assert isinstance(at, click.Group)
        at = at.commands[word]
        at = at.load() if isinstance(at, Later) else at
    if not isinstance(at, click.Group):
        return [path]
    return [path, *(found for word in at.commands for found in commands((*path, word)))]


@pytest.mark.parametrize("noun", LATER)
def test_a_noun_is_listed_by_the_sentence_it_has_of_itself(noun: str) -> None:
    """What the list of commands says, without loading any, is what each says of itself."""
    later = program.commands[noun]
    assert isinstance(later, Later)
    assert later.load().get_short_help_str(200) == later.get_short_help_str(200)
    assert later.load().name == noun


@pytest.mark.parametrize("path", commands(), ids=" ".join)
def test_help_of_every_command_is_a_page(path: tuple[str, ...], capsys: Captured) -> None:
    """Status 0, within 80 columns; no command's sentence is cut off where it is listed."""
    assert main([*path, "--help"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert f"sage: bedplate{' ' * bool(path)}{' '.join(path)}" in said.out
    assert max(map(len, said.out.splitlines())) <= 80
    assert "..." not in said.out.partition("Commands:")[2]


@pytest.mark.parametrize(
    "noun", ["", "rpc", "rpc call", "notify tail", "publish", "subscribe", "health"]
)
def test_help_loads_nothing_slow(noun: str) -> None:
    """Whoever only looks what there is does not wait for what is not used."""
    code = (
        f"import sys; from bedplate.cli.__main__ import main; main({[*noun.split(), '--help']}); "
        "print(*sorted(sys.modules))"
    )
    done = subprocess.run((sys.executable, "-c", code), capture_output=True, text=True, check=True)
    assert set(done.stdout.splitlines()[-1].split()) & SLOW == set()


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("conf", {"config"}),
        ("rpc ", {"call", "describe", "echo", "ping"}),
        ("rpc call --he", {"--heartbeat", "--help"}),
        ("notify tail --pri", {"--priority"}),
    ],
)
def test_the_tab_key_knows_what_is_loaded_later(typed: str, offered: set[str]) -> None:
    """A shell that was told how offers commands and options of every noun."""
    words = f"bedplate {typed}"
    asked = {
        "_BEDPLATE_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(words.count(" ")),
    }
    done = subprocess.run(
        (sys.executable, "-m", "bedplate.cli"),
        env={**os.environ, **asked},
        capture_output=True,
        text=True,
        check=True,
    )
    assert {line.partition(",")[2] for line in done.stdout.split()} == offered


def test_examples_stand_as_they_are_typed(capsys: Captured) -> None:
    """They are not filled up to paragraphs."""

    @click.command(epilog=examples("one  two", "three"))
    def command() -> None:
        """Do something."""

    command.main(["--help"], standalone_mode=False)
    assert capsys.readouterr().out.endswith("\n\n  Examples:\n    one  two\n    three\n")


def test_what_is_no_command_cannot_stand_in_a_list() -> None:
    """A wrong place is an error of the program, not of its user."""
    with pytest.raises(TypeError, match="is no command"):
        Later("x", "bedplate.cli.manual:examples", "X.").load()
