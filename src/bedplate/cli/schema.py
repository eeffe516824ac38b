"""``bedplate config schema``, ``sample``, ``stats`` and ``diff``: what options there are.

Parses, asks `bedplate.config`, prints. Knows nothing of values, nor of how anything is written.
"""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from bedplate.cli.ending import Misuse
from bedplate.cli.manual import examples
from bedplate.cli.subject import SectionsCommand, Subject, described, schema_options
from bedplate.config import Finding, Schema, file_lines, findings_text, write_schema
from bedplate.config.readers import (
    concerning,
    count,
    counts_csv,
    counts_svg,
    counts_text,
    difference,
    difference_data,
    difference_markdown,
    difference_text,
    page_markdown,
    page_rst,
    sample_ini,
    sample_toml,
    written,
)
from bedplate.config.sources import File
from bedplate.errors import SourceFailed

__all__ = ["COMMANDS"]

_OUTPUT = click.option(
    "-o", "--output", metavar="FILE", help="Write to this file instead of printing."
)


def _about_options(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command the options that name a schema, and that schema to work on."""

    def run(
        *,
        names: Sequence[str],
        namespaces: Sequence[str],
        schema_file: str | None,
        **rest: object,
    ) -> int:
        return command(described(names, namespaces, schema_file), **rest)

    run.__doc__ = command.__doc__
    run.__name__ = command.__name__
    return schema_options(run)


@click.command(
    "schema",
    cls=SectionsCommand,
    epilog=examples("bedplate config schema --sections inventory.options:ALL -o inventory.json"),
)
@_OUTPUT
@_about_options
def _schema(schema: Schema, *, output: str | None) -> int:
    """Write the options as JSON Schema (draft 2020-12).

    Every command that takes --schema reads it back. No default of a secret is in it.
    """
    _deliver(write_schema(schema), output)
    return 0


@click.command(
    "sample",
    cls=SectionsCommand,
    epilog=examples(
        "bedplate config sample --schema nova.json -o nova.conf.sample",
        "bedplate config sample --sections inventory.options:ALL --format markdown",
    ),
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["ini", "toml", "markdown", "md", "rst"]),
    default="ini",
    show_default=True,
    help="A sample file with every option explained and commented out, or a page of reference.",
)
@_OUTPUT
@_about_options
def _sample(schema: Schema, *, form: str, output: str | None) -> int:
    """Write a sample file, or a page of reference, of all options."""
    writers: dict[str, Callable[[Schema], str]] = {
        "ini": sample_ini,
        "toml": sample_toml,
        "markdown": page_markdown,
        "md": page_markdown,
        "rst": page_rst,
    }
    _deliver(writers[form](schema), output)
    return 0


@click.command(
    "stats",
    epilog=examples("bedplate config stats 2023.1.json 2024.1.json 2025.1.json --format svg"),
)
@click.argument("schemas", metavar="SCHEMA...", nargs=-1, required=True)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "csv", "svg"]),
    default="text",
    show_default=True,
    help="A table, comma-separated values, or a drawing of how the figures develop.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@_OUTPUT
def _stats(*, schemas: tuple[str, ...], form: str, as_json: bool, output: str | None) -> int:
    """Count the options of SCHEMAs, one a release, in the order given.

    Each release is called by the name of its file. 'plain' options may be any text; of 'unchecked'
    ones nobody but their program knows what may stand there.
    """
    counts = [count(Path(path).stem, _read(path)) for path in schemas]
    if as_json:
        text = json.dumps([each._asdict() for each in counts], indent=2, ensure_ascii=False) + "\n"
    else:
        text = {"text": counts_text, "csv": counts_csv, "svg": counts_svg}[form](counts)
    _deliver(text, output)
    return 0


@click.command(
    "diff",
    epilog=examples(
        "bedplate config diff old.json new.json --markdown",
        "bedplate config diff old.json new.json --file nova.conf",
    ),
)
@click.argument("old")
@click.argument("new")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@click.option("--markdown", is_flag=True, help="Print Markdown, for release notes.")
@click.option(
    "--file",
    "file",
    metavar="FILE",
    help="Say only what concerns this configuration file: the check before an upgrade.",
)
@_OUTPUT
def _diff(
    *, old: str, new: str, as_json: bool, markdown: bool, file: str | None, output: str | None
) -> int:
    """Compare the schemas OLD and NEW of two releases.

    With --file, exit status 1 says that the file has to be changed: an option of it is gone, one
    is required that it lacks, or a value was right for OLD and is not for NEW. Such values are
    told on standard error, each with its line.
    """
    if as_json and markdown:
        raise Misuse("--json and --markdown contradict each other.")
    before, after = _read(old), _read(new)
    found, refused = difference(before, after), list[Finding]()
    if file is not None:
        found = concerning(found, before, after, _names(file, before))
        refused = _newly_wrong(file, before, after)
    if as_json:
        text = json.dumps(difference_data(found), indent=2, ensure_ascii=False) + "\n"
    else:
        text = difference_markdown(found) if markdown else difference_text(found)
    _deliver(text, output)
    sys.stderr.write(findings_text(refused, schema=after, lines=file_lines()))
    return 1 if file is not None and (found.gone or found.added or refused) else 0


def _read(path: str) -> Schema:
    return described((), (), path)


def _newly_wrong(file: str, before: Schema, after: Schema) -> list[Finding]:
    """Return the errors that a file has by the one schema and not by the other."""
    known, now = (
        Subject(schema, None, environment=False).audit((file,), lax=True).errors
        for schema in (before, after)
    )
    old = {(each.section, each.option, each.code, each.place) for each in known}
    return [each for each in now if (each.section, each.option, each.code, each.place) not in old]


def _deliver(text: str, output: str | None) -> None:
    if output is None:
        print(text, end="", flush=True)  # before what standard error says of it
        return
    try:
        Path(output).write_text(text, encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise Misuse(f"{output} cannot be written: {reason}.") from error


def _names(path: str, schema: Schema) -> frozenset[tuple[str, str]]:
    """Return what a file sets, by the names that the schema has. Raises `Misuse`."""
    try:
        tree = File(path).load()
    except SourceFailed as error:
        raise Misuse(str(error)) from error
    wrong = [finding for finding in tree.findings if finding.severity == "error"]
    if wrong:
        raise Misuse(f"{wrong[0].place}: {wrong[0].message}")
    return written(tree, schema)


COMMANDS = (_schema, _sample, _stats, _diff)
"""The commands of this file, for the noun ``config``."""
