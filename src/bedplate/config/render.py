"""What people read of a configuration: ``--help``, effective values, one option explained.

Reads schemas and merged values, never files or Python types. Secrets are masked in all of it,
and so are passwords of URLs wherever they stand.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from bedplate._floor.secret import MASK
from bedplate.config.interpolate import Name
from bedplate.config.merge import Merged
from bedplate.config.names import fold, key_of
from bedplate.config.notes import discreet
from bedplate.config.option import Required
from bedplate.config.schema import Schema
from bedplate.config.specs import OptionSpec, SectionSpec, Unresolved, Withheld
from bedplate.config.tree import Origin, Raw
from bedplate.config.types import Refused, read

__all__ = ["Candidate", "Explanation", "Row", "explain", "help_text", "rows"]

_DECLARED = Origin("default", "declared default")
_WIDTH = 88


class Candidate(NamedTuple):
    """A value that was written for an option and does not count. ``value`` is masked."""

    value: str
    origin: Origin
    why: str


class Explanation(NamedTuple):
    """Where the value of one option comes from. ``str()`` of it is for people.

    ``value`` is shown as text, masked for secrets. ``losers`` stand in falling precedence; the
    declared default is the last of them where something else was set.
    """

    key: str
    section: str
    option: str
    value: str
    origin: Origin
    why: str
    losers: tuple[Candidate, ...]
    type: str
    help: str
    mutable: bool
    secret: bool
    flag: str | None
    variable: str

    def __str__(self) -> str:
        lines = [f"{self.key} = {self.value}"]
        lines.append(f"  from {self.origin}: {self.why}")
        lines += [f"  not {each.value} of {each.origin}: {each.why}" for each in self.losers]
        if self.help:
            lines.append(f"  {self.help}")
        lines.append(f"  It must be {self.type}.")
        ways = [f"[{self.section}] {self.option} in a file", self.variable]
        ways += [self.flag] if self.flag else []
        lines.append(f"  Set it as {', '.join(ways)}.")
        change = "A reload changes it." if self.mutable else "A change needs a restart."
        return "\n".join([*lines, f"  {change}"])


class Row(NamedTuple):
    """One effective value. ``value`` is shown as text, masked for secrets."""

    section: str
    option: str
    value: str
    origin: Origin
    secret: bool

    @property
    def key(self) -> str:
        """What people call the option: ``api.workers``, and ``debug`` for one of DEFAULT."""
        return key_of(self.section, self.option)


def rows(
    schema: Schema,
    merged: Merged,
    values: Mapping[str, Mapping[str, object]],
    tainted: frozenset[Name] = frozenset(),
) -> tuple[Row, ...]:
    """Return every effective value with its origin, in the order of the schema.

    ``tainted`` are the options with a secret in them, which are masked as well.
    """
    return tuple(
        Row(
            spec.section,
            spec.name,
            _effective(spec, values[spec.section][spec.name], tainted),
            _winner(merged.get(spec.section, spec.name)),
            spec.secret or (spec.section, spec.name) in tainted,
        )
        for spec in schema
        if spec.name in values.get(spec.section, {})
    )


def explain(
    spec: OptionSpec,
    raws: tuple[Raw, ...],
    value: object,
    prefix: str,
    tainted: frozenset[Name] = frozenset(),
) -> Explanation:
    """Explain one option by its candidates, the winner first, and its effective value."""
    winner = _winner(raws)
    losers = [
        Candidate(_shown(spec, raw), raw.origin, _lost(raw.origin, winner)) for raw in raws[1:]
    ]
    if raws and not isinstance(spec.default, Required):
        shown = _effective(spec, spec.default, frozenset())
        losers.append(Candidate(shown, _DECLARED, "it counts while nothing else is set"))
    return Explanation(
        spec.key,
        spec.section,
        spec.name,
        _effective(spec, value, tainted),
        winner,
        _won(winner, raws),
        tuple(losers),
        spec.type.describe(),
        spec.help,
        spec.mutable,
        spec.secret,
        spec.flag,
        spec.variable(prefix),
    )


def help_text(schema: Schema, program: str, prefix: str) -> str:
    """Write what ``--help`` prints: each option with its flag, variable, type and default."""
    return "\n".join(_help_lines(schema, program, prefix)) + "\n"


def _effective(spec: OptionSpec, value: object, tainted: frozenset[Name]) -> str:
    if spec.secret or (spec.section, spec.name) in tainted or isinstance(value, Withheld):
        return MASK
    if isinstance(value, Unresolved):
        return discreet(value.text)
    return "" if value is None else discreet(spec.type.show(value))


def _winner(raws: tuple[Raw, ...]) -> Origin:
    return raws[0].origin if raws else _DECLARED


def _won(winner: Origin, raws: tuple[Raw, ...]) -> str:
    if not raws:
        return "nothing sets it"
    if len(raws) == 1:
        return "nothing else sets it"
    beaten = dict.fromkeys(raw.origin.source for raw in raws[1:])
    others = [source for source in beaten if source != winner.source]
    return f"{winner.source} beats {', '.join(others)}" if others else "the last one counts"


def _lost(loser: Origin, winner: Origin) -> str:
    if loser.source != winner.source:
        return f"{winner.source} beats {loser.source}"
    if loser.file != winner.file:
        return "a later file beats an earlier one"
    if loser.line is not None and winner.line is not None and loser.line > winner.line:
        return "a present name beats an old one"
    return "the last one counts"


def _shown(spec: OptionSpec, raw: Raw) -> str:
    if spec.secret:
        return MASK
    try:
        return discreet(spec.type.show(read(spec.type, raw.value)))
    except Refused:
        # Not even its text: it never passed the type that knows what of it must be masked.
        return "(a value that is not valid)"


def _help_lines(schema: Schema, program: str, prefix: str) -> Iterator[str]:
    yield f"Usage: {program} [--config-file FILE]... [--config-dir DIR]... [FLAG VALUE]..."
    yield ""
    yield "Flags beat environment variables, which beat files; a later file beats an earlier one."
    yield ""
    yield "  --config-file FILE   Read this file (.conf or .toml); may be repeated."
    yield "  --config-dir DIR     Read the files of this directory in the order of their names."
    yield "  --check-config       Say all that is wrong with the configuration and exit."
    yield "  --version            Print the version and exit."
    yield "  -h, --help           Print this and exit."
    for section in schema.sections.values():
        yield ""
        yield from _help_section(section, prefix)


def _help_section(section: SectionSpec, prefix: str) -> Iterator[str]:
    which = " (optional)" if section.optional else ""
    if section.each:
        driver = f" and whose {section.driver_option} is {section.by}" if section.by else ""
        which = f" (each section that {section.each} names{driver})"
    yield f"[{section.name}]{which}{f'  {section.doc}' if section.doc else ''}"
    for spec in sorted(section.options.values(), key=lambda each: each.advanced):
        if section.each:
            yield f"  {spec.name}"
        elif spec.flag is None:
            yield f"  {spec.name}  (no flag: a list of processes would show it)"
        elif spec.is_bool:
            yield f"  {spec.flag}, --no-{spec.flag[2:]}"
        else:
            yield f"  {spec.flag} VALUE"
        variable = spec.variable(prefix)
        if section.each:
            variable = f"{prefix}_<SECTION>__{fold(spec.name)}"
        for paragraph in (spec.help, _facts(spec), _farewell(spec), variable):
            if paragraph:
                yield from _wrapped(paragraph, "      ")


def _facts(spec: OptionSpec) -> str:
    facts = [spec.type.describe()]
    if isinstance(spec.default, Required):
        facts.append("required")
    elif not spec.secret:
        facts.append(f"default {spec.type.show(spec.default) or 'empty'}")
    if spec.mutable:
        facts.append("a reload changes it")
    if spec.was:
        facts.append(f"was {', '.join(f'[{section}] {name}' for section, name in spec.was)}")
    text = "; ".join(facts)
    return f"{text[0].upper()}{text[1:]}."


def _farewell(spec: OptionSpec) -> str:
    since = f" since {spec.since}" if spec.since else ""
    return f"Deprecated{since}: {spec.deprecated}" if spec.deprecated else ""


def _wrapped(text: str, indent: str) -> Iterator[str]:
    line = indent
    for word in text.split():
        if len(line) + 1 + len(word) > _WIDTH and line != indent:
            yield line
            line = indent
        line += word if line == indent else f" {word}"
    yield line
