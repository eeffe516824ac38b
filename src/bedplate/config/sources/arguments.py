"""The command line as a source: ``--api.workers 5``, ``--api.workers=5``, ``--no-api.debug``.

Flags are spelled in full or refused; every mistake is reported, not the first; and no message
repeats a value, because what a mistyped flag carries may be a secret. Which flags exist is told by
the schema, as a mapping.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from bedplate.config.tree import Flag, Origin, Raw, Tree
from bedplate.errors import Finding

__all__ = ["Arguments", "Given", "Nearest", "Split", "split"]

Nearest = Callable[[str, Iterable[str]], str | None]
"""Picks the one of several names that a misspelt one probably meant, or None."""

_PLACES = frozenset({"--config-file", "--config-dir"})
_HELP = frozenset({"--help", "-h"})
_CHECK = "--check-config"
_SPELLING = re.compile(r"--[A-Za-z][\w.-]*")


class Given(NamedTuple):
    """A file or directory of configuration named on the command line."""

    kind: Literal["file", "dir"]
    path: str


class Split(NamedTuple):
    """A command line taken apart: what says how to load, and the rest, which says values.

    ``paths`` stand in the order of the command line, where later beats earlier. A flag that lacks
    its path stays in ``rest``, where `Arguments` reports it.
    """

    paths: tuple[Given, ...]
    rest: tuple[str, ...]
    help: bool
    version: bool
    check: bool = False


def split(argv: Sequence[str]) -> Split:
    """Take out of argv what says how to load: ``--config-file``, ``--config-dir`` and others.

    The others are ``--help``, ``-h``, ``--version`` and ``--check-config``. ``argv`` comes without
    the program's name. Both ``--config-file X`` and ``--config-file=X`` are understood; nothing
    after ``--`` is touched.
    """
    paths: list[Given] = []
    rest: list[str] = []
    wants_help = wants_version = wants_check = False
    end = argv.index("--") if "--" in argv else len(argv)
    position = 0
    while position < end:
        argument = argv[position]
        position += 1
        flag, equals, path = argument.partition("=")
        if argument in _HELP:
            wants_help = True
        elif argument == "--version":
            wants_version = True
        elif argument == _CHECK:
            wants_check = True
        elif flag not in _PLACES:
            rest.append(argument)
        else:
            if not equals and position < end and _may_be_value(argv[position]):
                path = argv[position]
                position += 1
            if path:
                paths.append(Given("file" if flag == "--config-file" else "dir", path))
            else:
                # With the sign nothing that follows can be taken for its path any more.
                rest.append(f"{flag}=")
    rest += argv[end:]
    return Split(tuple(paths), tuple(rest), wants_help, wants_version, wants_check)


class Arguments:
    """The flags of a command line; a `bedplate.config.sources.Source`.

    ``argv`` comes without the program's name; what `split` takes out may be in it and is passed
    over. ``flags`` maps each spelling to what it sets. A value that begins with two dashes is
    written ``--flag=--value``. A repeated flag gives all its values in order. ``--`` ends the
    flags; this source knows no positional arguments and reports them. ``nearest`` picks the
    known spelling that an unknown one probably meant.
    """

    __slots__ = ("_argv", "_flags", "_nearest", "name")

    def __init__(
        self, argv: Sequence[str], flags: Mapping[str, Flag], *, nearest: Nearest | None = None
    ) -> None:
        self.name = "command line"
        self._argv = argv
        self._flags = flags
        self._nearest = nearest

    def load(self) -> Tree:
        """Read the flags; every mistake there is is among the tree's findings."""
        reading = _Reading(split(self._argv).rest, self._flags, self._nearest)
        reading.run()
        reading.tree.findings = tuple(reading.findings)
        return reading.tree

    def next_refresh(self, now: float) -> float | None:  # noqa: ARG002 - the port's signature
        """Never: a command line does not change."""
        return None

    def refresh(self) -> Tree:
        """Read the flags again."""
        return self.load()

    def __repr__(self) -> str:
        return f"Arguments({len(self._argv)} arguments)"


class _Reading:
    """One pass over the arguments, gathering values and mistakes."""

    __slots__ = ("argv", "findings", "flags", "last", "nearest", "position", "tree")

    def __init__(
        self, argv: Sequence[str], flags: Mapping[str, Flag], nearest: Nearest | None
    ) -> None:
        self.argv = argv
        self.flags = flags
        self.nearest = nearest
        self.position = 0
        self.last = ""
        self.tree = Tree()
        self.findings: list[Finding] = []

    def run(self) -> None:
        while self.position < len(self.argv):
            argument = self.argv[self.position]
            self.position += 1
            if argument == "--":
                for _ in self.argv[self.position :]:
                    self._stray(argument)
                return
            if _may_be_value(argument) and not _is_short(argument):
                self._stray(self.last)
            else:
                self._flag(argument)

    def _flag(self, argument: str) -> None:
        spelled, equals, text = argument.partition("=")
        value = text if equals else None
        self.last = _place(spelled)
        flag = self.flags.get(spelled)
        if flag is not None:
            self._set(spelled, flag, value)
            return
        denied = self.flags.get(f"--{spelled[5:]}") if spelled.startswith("--no-") else None
        if denied is not None and denied.is_bool:
            if value is None:
                self._add(spelled, denied, False)  # noqa: FBT003 - the value itself
            else:
                message = f"{spelled} takes no value; write --{spelled[5:]}=… to give one."
                self._report("flag-value", message, spelled, denied)
            return
        self._unknown(spelled, has_value=value is not None, denied=denied)

    def _set(self, spelled: str, flag: Flag, value: str | None) -> None:
        if value is None and flag.is_bool:
            self._add(spelled, flag, True)  # noqa: FBT003 - the value itself
        elif value is not None:
            self._add(spelled, flag, value)
        elif self.position < len(self.argv) and _may_be_value(self.argv[self.position]):
            self._add(spelled, flag, self.argv[self.position])
            self.position += 1
        else:
            message = (
                f"{spelled} needs a value: {spelled}=VALUE "
                f"(this form also for one that begins with two dashes)."
            )
            self._report("no-value", message, spelled, flag)

    def _add(self, spelled: str, flag: Flag, value: object) -> None:
        raw = Raw(value, Origin("command line", spelled))
        self.tree.add(flag.section, flag.option, raw)

    def _unknown(self, spelled: str, *, has_value: bool, denied: Flag | None) -> None:
        if not has_value and self.position < len(self.argv):
            following = self.argv[self.position]
            if _may_be_value(following) and not _is_short(following):
                # Most likely its value: one mistake is not reported as two.
                self.position += 1
        place = _place(spelled)
        suggestion: str | None = None
        if spelled in _PLACES:
            self._report("no-value", f"{spelled} needs a path: {spelled}=PATH.", spelled)
            return
        if denied is not None:
            suggestion = f"--{spelled[5:]}"
            message = f"{suggestion} is not a switch, so there is no {spelled}."
        elif any(known.startswith(spelled) for known in self.flags):
            suggestion = min(known for known in self.flags if known.startswith(spelled))
            message = f"There is no flag {place}, and flags cannot be shortened."
        else:
            suggestion = self._guess(spelled) if place == spelled else None
            message = "There is no such flag; --help lists them."
        if suggestion:
            message += f" Did you mean {suggestion}?"
        self._report("unknown-option", message, place, suggestion=suggestion)

    def _guess(self, spelled: str) -> str | None:
        if self.nearest is None:
            return None
        known = [*self.flags]
        known += [f"--no-{name[2:]}" for name, flag in self.flags.items() if flag.is_bool]
        return self.nearest(spelled, known)

    def _stray(self, after: str) -> None:
        message = (
            f"An argument{f' after {after}' if after else ''} belongs to no flag, and only flags "
            f"are taken; a switch takes its value with '=': --flag=false."
        )
        self._report("stray-argument", message, "command line")

    def _report(
        self,
        code: str,
        message: str,
        place: str,
        flag: Flag | None = None,
        suggestion: str | None = None,
    ) -> None:
        section, option = (flag.section, flag.option) if flag else (None, None)
        self.findings.append(
            Finding(
                "error",
                code,
                message,
                place,
                section=section,
                option=option,
                suggestion=suggestion,
            )
        )


def _may_be_value(argument: str) -> bool:
    return not argument.startswith("--")


def _is_short(argument: str) -> bool:
    return argument[:1] == "-" and argument[1:2].isalpha()


def _place(spelled: str) -> str:
    """Name a flag without what may be a value glued to it, as in ``-phunter2``."""
    if _SPELLING.fullmatch(spelled):
        return spelled
    return spelled[:2] if _is_short(spelled) else "command line"
