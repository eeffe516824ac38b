"""What a command about configuration is about: the files, and what there may be in them.

Shared by the commands of one noun. Knows how users say it, nothing of what is done with it.
"""

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import click

from bedplate.cli.ending import Misuse
from bedplate.cli.sections import load_sections
from bedplate.config import Audit, Schema, audit, read_schema
from bedplate.errors import NotASchema, SchemaError, SourceFailed

__all__ = ["SectionsCommand", "Subject", "about_files", "described", "schema_options"]

_SECTIONS = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w,]*")


class SectionsCommand(click.Command):
    """A command that takes several names at once: ``--sections app:Api app:Pool``.

    So does ``--namespace``, for names that an installed package offers and no file has.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Give each name that follows the first an option of its own."""
        spread: list[str] = []
        behind = ""  # the option whose value the argument before was
        for arg in args:
            if behind and _NAMES[behind](arg):
                spread += (behind, arg)
                continue
            before = spread[-1] if spread else ""
            named = before if before in _NAMES else arg.partition("=")[0]
            behind = named if named in _NAMES and named != arg else ""
            spread.append(arg)
        return super().parse_args(ctx, spread)


def _is_namespace(arg: str) -> bool:
    from importlib.metadata import entry_points

    return not Path(arg).exists() and arg in entry_points(group="oslo.config.opts").names


_NAMES: Mapping[str, Callable[[str], object]] = MappingProxyType(
    {"--sections": _SECTIONS.fullmatch, "--namespace": _is_namespace}
)


class Subject(NamedTuple):
    """What there may be in the files, and whose variables count."""

    schema: Schema
    program: str | None
    environment: bool

    def audit(self, files: Sequence[str], *, lax: bool = False) -> Audit:
        """Check the files. Raises `Misuse` for one that cannot be read."""
        if not files and self.program is None:
            raise Misuse("name the files to read, or with --program the service that is meant.")
        for file in files:
            if file and Path(file).is_dir():
                raise Misuse(f"{file} is a directory; name the files in it.")
            if not (file and Path(file).exists()):
                raise Misuse(f"there is no file {file or 'without a name'}.")
        try:
            return audit(
                files,
                schema=self.schema,
                program=self.program,
                environ=dict(os.environ) if self.environment else {},
                lax=lax,
            )
        except (SchemaError, SourceFailed) as failure:
            raise Misuse(str(failure)) from None


def described(names: Iterable[str], namespaces: Sequence[str], file: str | None) -> Schema:
    """Return the schema that a user named in one of three ways. Raises `Misuse`."""
    names = tuple(names)
    if bool(names) + bool(namespaces) + (file is not None) != 1:
        raise Misuse(
            "say what there may be in the files, in one way: --sections module:Name, "
            "--schema FILE or --namespace NS."
        )
    try:
        if file is not None:
            return read_schema(file)
        if namespaces:
            from bedplate.config.oslo import installed_option_set

            return installed_option_set(namespaces)
    except NotASchema as error:
        raise Misuse(str(error)) from None
    return Schema.of(load_sections(names))


def schema_options(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command the three options by which a schema is named."""
    options = (
        click.option(
            "--namespace",
            "namespaces",
            metavar="NS",
            multiple=True,
            help="Namespaces of oslo.config.opts that installed packages offer, one name after the "
            "other. Imports them.",
        ),
        click.option(
            "--schema",
            "schema_file",
            metavar="FILE",
            help="What there may be in the files: what 'bedplate config schema' or "
            "'oslo-config-generator --format json' wrote.",
        ),
        click.option(
            "--sections",
            "names",
            metavar="MODULE:NAME",
            multiple=True,
            help="The same as classes: sections, or tuples or lists of them, one name after the "
            "other. Imports the modules.",
        ),
    )
    for option in options:
        command = option(command)
    return command


def about_files(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command its subject, and the options by which users say it."""
    options = (
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
            "first file, and OS for options of oslo.config.",
        ),
    )

    def run(
        *,
        names: Iterable[str],
        namespaces: Sequence[str],
        schema_file: str | None,
        program: str | None,
        environment: bool,
        **rest: object,
    ) -> int:
        schema = described(names, namespaces, schema_file)
        return command(Subject(schema, program, environment), **rest)

    run.__doc__ = command.__doc__
    run.__name__ = command.__name__
    wrapped: Callable[..., int] = schema_options(run)
    for option in options:
        wrapped = option(wrapped)
    return wrapped
