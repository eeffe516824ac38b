"""``bedplate config``: look at a configuration without starting the service it belongs to.

Parses, asks `bedplate.config`, prints: for people by default, for programs with ``--json``. Knows
nothing of how values are found or judged.
"""

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import click

from bedplate.cli.sections import Misuse, load_sections
from bedplate.config import Config, Explanation, Finding, Row, Section
from bedplate.errors import InvalidConfig, NoSuchOption

__all__ = ["config"]


class _Subject(NamedTuple):
    """What a command is about: files, the sections they are for, and whose variables count."""

    sections: tuple[type[Section], ...]
    program: str | None
    environment: bool

    def load(self, files: Sequence[str]) -> Config:
        """Load the files. Raises `InvalidConfig`, `SourceFailed` and `Misuse`."""
        for file in files:
            if Path(file).is_dir():
                raise Misuse(f"{file} is a directory; name the files in it.")
            if not Path(file).exists():
                raise Misuse(f"there is no file {file}.")
        return Config.load(
            self.sections,
            program=self.program or Path(files[0]).stem,
            argv=(),
            environ=dict(os.environ) if self.environment else {},
            files=files,
        )


def _about_files(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command the options that all of this noun share."""
    options = (
        click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs."),
        click.option(
            "--environment/--no-environment",
            default=True,
            show_default=True,
            help="Whether the variables of this shell count, as they would for the service.",
        ),
        click.option(
            "--program",
            metavar="NAME",
            help="The service's name, with which its variables begin; by default that of the "
            "first file.",
        ),
        click.option(
            "--sections",
            "names",
            metavar="MODULE:NAME",
            multiple=True,
            required=True,
            help="Whose files these are: a section, or a tuple or list of sections; may be given "
            "several times.",
        ),
    )

    def run(*, names: Iterable[str], program: str | None, environment: bool, **rest: object) -> int:
        return command(_Subject(load_sections(names), program, environment), **rest)

    run.__doc__ = command.__doc__
    run.__name__ = command.__name__
    wrapped: Callable[..., int] = run
    for option in options:
        wrapped = option(wrapped)
    return wrapped


_FILES = click.argument("files", metavar="FILE...", nargs=-1, required=True)


@click.group()
def config() -> None:
    """Check, show and explain configuration files."""


@config.command("check")
@_FILES
@_about_files
def _check(subject: _Subject, *, files: tuple[str, ...], as_json: bool) -> int:
    """Report all that is wrong with FILEs.

    Exit status 1 if anything is. Sections that nobody named here are mentioned, and are wrong only
    where they look like a misspelling.
    """
    findings = _findings(subject, files)
    errors = sum(finding.severity == "error" for finding in findings)
    if as_json:
        _print_json({"ok": not errors, "findings": [each._asdict() for each in findings]})
        return 1 if errors else 0
    for finding in findings:
        place = f"{finding.place}: " if finding.place else ""
        print(f"{place}{finding.severity}: {finding.message} [{finding.code}]")
    listed = ", ".join(files)
    print(f"{listed}: {_count(errors, 'problem')}" if errors else f"{listed}: good")
    return 1 if errors else 0


@config.command("show")
@_FILES
@_about_files
def _show(subject: _Subject, *, files: tuple[str, ...], as_json: bool) -> int:
    """Show every value in force and where it was written; secrets are masked."""
    rows = subject.load(files).rows()
    if as_json:
        _print_json([_row(row) for row in rows])
    elif sys.stdout.isatty():
        _print_table(rows)
    else:
        width = max((len(row.key) for row in rows), default=0)
        for row in rows:
            print(f"{row.key:<{width}} = {_in_a_line(row.value)}  ({row.origin})")
    return 0


@config.command("explain")
@click.argument("what", metavar="[OPTION | FILE]...", nargs=-1, required=True)
@_about_files
def _explain(subject: _Subject, *, what: tuple[str, ...], as_json: bool) -> int:
    """Say where the value of an OPTION comes from, and what lost to it.

    An argument that is a file is read, another is the name of an option such as api.workers. All
    options are explained when none is named.
    """
    files = [each for each in what if Path(each).exists()]
    names = [each for each in what if each not in files]
    if not files:
        raise Misuse(f"none of {', '.join(what)} is a file; name the files to read as well.")
    loaded = subject.load(files)
    try:
        explanations = [
            loaded.explain(name) for name in names or [row.key for row in loaded.rows()]
        ]
    except NoSuchOption as unknown:
        raise Misuse(f"{unknown.name!r} is not a file here. {unknown}") from None
    if as_json:
        _print_json([_explanation(each) for each in explanations])
    else:
        print(*explanations, sep="\n\n")
    return 0


def _findings(subject: _Subject, files: Sequence[str]) -> tuple[Finding, ...]:
    try:
        loaded = subject.load(files)
    except InvalidConfig as invalid:
        return invalid.findings
    try:
        loaded.seal()
    except InvalidConfig as invalid:
        # Only the service knows all its sections; what resembles none of ours may be another's.
        return loaded.findings + tuple(
            finding if finding.suggestion else finding._replace(severity="warning")
            for finding in invalid.findings
        )
    return loaded.findings


def _row(row: Row) -> Mapping[str, object]:
    return {**row._asdict(), "key": row.key, "origin": row.origin._asdict()}


def _explanation(explanation: Explanation) -> Mapping[str, object]:
    return {
        **explanation._asdict(),
        "origin": explanation.origin._asdict(),
        "losers": [
            {**each._asdict(), "origin": each.origin._asdict()} for each in explanation.losers
        ],
    }


def _in_a_line(value: str) -> str:
    """Spell out what would break the line, or speak to the terminal instead of to its reader."""
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in value)


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))


def _print_table(rows: Iterable[Row]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("option", "value", "origin", box=None, header_style="bold")
    for row in rows:
        table.add_row(row.key, Text(_in_a_line(row.value)), Text(str(row.origin)))
    Console().print(table)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
