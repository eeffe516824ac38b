"""``bedplate config``: look at a configuration without starting the service it belongs to.

Parses, asks `bedplate.config`, prints: for people by default, for programs with ``--json``. Knows
nothing of how values are found or judged.
"""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import click

from bedplate import __version__
from bedplate.cli.ending import Misuse
from bedplate.cli.manual import examples
from bedplate.cli.schema import COMMANDS
from bedplate.cli.subject import SectionsCommand, Subject, about_files
from bedplate.config import Explanation, Row, findings_json, findings_sarif, tell
from bedplate.errors import NoSuchOption

__all__ = ["config"]


_FILES = click.argument("files", metavar="FILE...", nargs=-1, required=True)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


@click.group()
def config() -> None:
    """Check, show, explain and describe configuration."""


for _command in COMMANDS:
    config.add_command(_command)


@config.command(
    "check",
    cls=SectionsCommand,
    epilog=examples(
        "bedplate config check inventory.conf --sections inventory.options:ALL",
        "bedplate config check nova.conf --schema nova.json --fatal-warnings",
        "bedplate config check nova.conf --namespace nova.conf --json",
    ),
)
@_FILES
@click.option("--fatal-warnings", is_flag=True, help="Let warnings count as errors do.")
@click.option("--lax", is_flag=True, help="Let names that nobody declares be warnings only.")
@click.option("--sarif", "as_sarif", is_flag=True, help="Print SARIF 2.1.0, for code review.")
@click.option("--json", "as_json", is_flag=True, help="Print a list of findings, for programs.")
@about_files
def _check(
    subject: Subject,
    *,
    files: tuple[str, ...],
    as_json: bool,
    as_sarif: bool,
    lax: bool,
    fatal_warnings: bool,
) -> int:
    """Report all that is wrong with FILEs.

    And all that deserves a word. Later files beat earlier ones, and all are judged together. Exit
    status 1 if anything is wrong, 2 if a file or a schema cannot be read.
    """
    if as_json and as_sarif:
        raise Misuse("--json and --sarif exclude each other.")
    audit = subject.audit(files, lax=lax)
    if not (as_json or as_sarif):
        return tell(audit, ", ".join(files), fatal_warnings=fatal_warnings)
    if as_json:
        sys.stdout.write(findings_json(audit.findings))
    else:
        sys.stdout.write(findings_sarif(audit.findings, version=__version__))
    wrong = audit.findings if fatal_warnings else audit.errors
    return 1 if wrong else 0


@config.command(
    "show",
    cls=SectionsCommand,
    epilog=examples("bedplate config show inventory.conf --sections inventory.options:ALL"),
)
@click.argument("files", metavar="[FILE]...", nargs=-1)
@_JSON
@about_files
def _show(subject: Subject, *, files: tuple[str, ...], as_json: bool) -> int:
    """Show every value in force, and where it was written.

    Secrets are masked. Without FILEs: defaults, and the variables of the service that --program
    names.
    """
    rows = subject.audit(files, lax=True).rows()
    if as_json:
        _print_json([_row(row) for row in rows])
    elif sys.stdout.isatty():
        _print_table(rows)
    else:
        width = max((len(row.key) for row in rows), default=0)
        for row in rows:
            print(f"{row.key:<{width}} = {_in_a_line(row.value)}  ({row.origin})")
    return 0


@config.command(
    "explain",
    cls=SectionsCommand,
    epilog=examples("bedplate config explain api.workers inventory.conf --schema options.json"),
)
@click.argument("what", metavar="[OPTION | FILE]...", nargs=-1, required=True)
@_JSON
@about_files
def _explain(subject: Subject, *, what: tuple[str, ...], as_json: bool) -> int:
    """Say where values come from, and what lost to them.

    An argument that is a file is read, another is the name of an option such as api.workers. All
    options are explained when none is named. Without files it is about defaults and the variables
    of the service that --program names.
    """
    files = [each for each in what if Path(each).exists()]
    names = [each for each in what if each not in files]
    if not files and subject.program is None:
        raise Misuse(
            f"none of {', '.join(what)} is a file; name the files to read as well, or with "
            "--program the service that is meant."
        )
    audit = subject.audit(files, lax=True)
    keys = [row.key for row in audit.rows()]
    try:
        explanations = [audit.explain(name) for name in names or keys]
    except NoSuchOption as unknown:
        hint = _elsewhere(unknown, keys)
        raise Misuse(f"{unknown.name!r} is not a file here. {unknown}{hint}") from None
    if as_json:
        _print_json([_explanation(each) for each in explanations])
    else:
        print(*explanations, sep="\n\n")
    return 0


def _elsewhere(unknown: NoSuchOption, keys: Sequence[str]) -> str:
    """Say which sections have an option whose section was left out."""
    there = [key for key in keys if key.endswith(f".{unknown.name}")]
    if unknown.suggestion or not there:
        return ""
    return f" Did you mean {' or '.join(map(repr, there[:3]))}?"


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
