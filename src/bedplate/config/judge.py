"""Converting what was written, and finding everything that is wrong with it at once.

Pure. Each finding names its place as the user spells it and, for a name nobody knows, the nearest
one. No message holds the value of a secret or of an unknown option.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from bedplate._floor.secret import MASK
from bedplate.config.interpolate import BadReference, Name, Resolver
from bedplate.config.merge import Merged, is_many
from bedplate.config.option import Required, SectionType
from bedplate.config.schema import (
    DEFAULT,
    OptionSpec,
    Schema,
    Unresolved,
    Withheld,
    describe,
    key_of,
)
from bedplate.config.tree import Origin, Raw
from bedplate.config.types import Refused, SecretType, UrlType, read
from bedplate.errors import Finding, InvalidConfig

__all__ = [
    "Converted",
    "by_hand",
    "certain",
    "convert",
    "flags_of_secrets",
    "nearest",
    "unknown_options",
    "unknown_sections",
]

_OWN_SOURCES = frozenset(
    {"command line", "environment", "file", "override", "application default", "default"}
)


_CREDENTIALS = re.compile(r"(://[^/\s:@]*:)[^/\s]*(?=@)")
_JUDGED = frozenset(
    {
        "bad-interpolation",
        "bom",
        "missing-required",
        "not-a-choice",
        "out-of-range",
        "stray-argument",
        "unknown-option",
        "unknown-section",
        "wrong-type",
    }
)
"""Errors about what was read and understood; any other says that something was not."""


class Converted(NamedTuple):
    """Checked values by section and option, and what there is to say about them.

    A section that is optional and not configured is not in ``values``. ``tainted`` are the
    options that are not secret themselves and have a secret put into them.
    """

    values: Mapping[str, Mapping[str, object]]
    findings: tuple[Finding, ...]
    tainted: frozenset[Name] = frozenset()


def convert(
    merged: Merged, schema: Schema, *, prefix: str, only: Collection[str] | None = None
) -> Converted:
    """Convert the winner of each option; all problems are among the findings.

    ``prefix`` is that of environment variables, for advice; ``only`` restricts it to some
    sections.
    """
    values: dict[str, dict[str, object]] = {}
    findings: list[Finding] = []
    reading = _Reading(merged, schema)
    for section in schema.sections.values():
        if only is not None and section.name not in only:
            continue
        present = merged.has(section.name)
        converted: dict[str, object] = {}
        for option in section.options.values():
            if option.optional and not present:
                continue
            raws = merged.get(section.name, option.name)
            if not raws:
                if option.required:
                    findings.append(_missing(option, prefix))
                else:
                    converted[option.name] = reading.default(option)
                continue
            read_all = reading.counting(option, raws)
            try:
                converted[option.name] = reading.value(option, read_all)
            except Refused as refused:
                if _is_shown_default(option, read_all):
                    converted[option.name] = option.default
                    continue
                raw = read_all[min(refused.item or 1, len(read_all)) - 1]
                findings.append(_refused(reading.hushed(option), raw, refused))
            findings += _remarks(reading.hushed(option), raws)
        if converted or not section.optional:
            values[section.name] = converted
    return Converted(values, (*findings, *reading.findings), frozenset(reading.tainted))


def _is_shown_default(spec: OptionSpec, raws: tuple[Raw, ...]) -> bool:
    """Whether a value is what documents show as the default, though the type refuses it.

    Such as ``<host name>``: whoever copies it has changed nothing, and is told that.
    """
    shown = [spec.sample] if spec.sample else []
    shown += [spec.default.text] if isinstance(spec.default, Unresolved) else []
    return len(raws) == 1 and raws[0].value in shown


class _Reading:
    """The values of one generation, each read with what it refers to put in."""

    __slots__ = ("findings", "merged", "resolver", "schema", "tainted")

    def __init__(self, merged: Merged, schema: Schema) -> None:
        self.merged, self.schema = merged, schema
        self.findings: list[Finding] = []
        self.tainted: set[Name] = set()
        self.resolver = Resolver(lambda *name: self._spec(*name) is not None, self._text)

    def counting(self, spec: OptionSpec, raws: tuple[Raw, ...]) -> tuple[Raw, ...]:
        """Return what counts of all that was written: the winner, or a whole list in its order."""
        if not is_many(spec):
            return raws[:1]
        return tuple(raw for raw in raws[::-1] if raw.origin.source == raws[0].origin.source)

    def value(self, spec: OptionSpec, raws: tuple[Raw, ...]) -> object:
        """Convert what counts. Raises `Refused`."""
        values = [self._put_in(spec, raw.value, raw.origin) for raw in raws]
        if any(isinstance(value, Unresolved) for value in values):
            return values[0]
        if is_many(spec) and (len(values) > 1 or raws[0].origin.source == "file"):
            return spec.type.accept(
                [item for each in values for item in (each if isinstance(each, list) else [each])]
            )
        return read(spec.type, values[0])

    def default(self, spec: OptionSpec) -> object:
        """Return the default, with what it refers to put in where that makes sense."""
        default = spec.default
        text = default.text if isinstance(default, Unresolved) else default
        if not (spec.interpolate and isinstance(text, str) and "$" in text):
            return default
        value = self._put_in(spec, text, None)
        try:
            return read(spec.type, value)
        except Refused:
            return default

    def hushed(self, spec: OptionSpec) -> OptionSpec:
        """Return the option as a secret one where it has a secret put into it."""
        if (spec.section, spec.name) not in self.tainted:
            return spec
        return spec._replace(type=SecretType(spec.type))

    def _put_in(self, spec: OptionSpec, value: object, origin: Origin | None) -> object:
        """Return the value with everything put in, or `Unresolved` after saying why."""
        if not (spec.interpolate and isinstance(value, str) and "$" in value):
            return value
        try:
            resolved = self.resolver.resolve(value, spec.section, spec.name)
        except BadReference as bad:
            if origin is None:
                return value
            if (spec.section, spec.name) in bad.among:
                why = bad.discreet if spec.secret else bad.why
                self._say(spec, origin, "error", "bad-interpolation", f"{why}.")
            return Unresolved(value)
        secrets = sorted(name for name in resolved.uses if self._holds_secret(*name))
        if secrets and not spec.secret:
            self.tainted.add((spec.section, spec.name))
        if origin is not None:
            self._say_what_came_in(spec, origin, resolved.uses, secrets)
        if resolved.text is not None:
            return resolved.text
        empty = [name for name in sorted(resolved.uses) if self._is_empty(*name)]
        if empty and origin is not None:
            message = f"refers to {_label(*empty[0])}, which has no value that could be put in."
            self._say(spec, origin, "error", "bad-interpolation", message)
        return Unresolved(value)

    def _say_what_came_in(
        self, spec: OptionSpec, origin: Origin, uses: frozenset[Name], secrets: list[Name]
    ) -> None:
        if spec.secret and uses:
            message = (
                "is a secret with a '$' in it, for which the value of another option is put in; "
                "write $$ for a plain $."
            )
            self._say(spec, origin, "warning", "ambiguous-dollar", message)
        if secrets and not spec.secret and not isinstance(spec.type, UrlType):
            message = f"is no secret, and the secret {_label(*secrets[0])} is put into it."
            self._say(spec, origin, "warning", "secret-in-plain-option", message)

    def _say(
        self, spec: OptionSpec, origin: Origin, severity: str, code: str, message: str
    ) -> None:
        self.findings.append(_about(spec, origin, severity, code, message))

    def _spec(self, section: str, option: str) -> OptionSpec | None:
        return self.schema.get(section, option) or self.schema.renames.get((section, option))

    def _text(self, section: str, option: str) -> tuple[str, bool] | None:
        spec = self._spec(section, option)
        if spec is None:
            return None
        raws = self.merged.get(spec.section, spec.name)
        value = raws[0].value if raws else spec.default
        if isinstance(value, Unresolved):
            value = value.text
        if isinstance(value, str):
            return (value, spec.interpolate) if len(self.counting(spec, raws)) < 2 else None
        if value is None:
            return "", False
        if isinstance(value, Required | Withheld) or is_many(spec):
            return None
        try:
            native = spec.type.accept(value) if raws else value
        except Refused:
            return None
        return spec.type.show(native, reveal=True), False

    def _holds_secret(self, section: str, option: str) -> bool:
        spec = self._spec(section, option)
        if spec is None or spec.secret:
            return spec is not None
        text = self._text(section, option)
        return text is not None and _CREDENTIALS.search(text[0]) is not None

    def _is_empty(self, section: str, option: str) -> bool:
        """Whether there is nothing to put in, and nobody else says so."""
        spec = self._spec(section, option)
        if spec is None or isinstance(spec.default, Withheld):
            return False
        missing = spec.required and not self.merged.get(spec.section, spec.name)
        told = missing and not (spec.optional and not self.merged.has(spec.section))
        return self._text(section, option) is None and not told


def by_hand(cls: SectionType, values: Mapping[str, object]) -> dict[str, object]:
    """Check the values of an instance made in code and fill in the defaults.

    Raises TypeError for names that are wrong or missing, `InvalidConfig` for values that are.
    """
    options = describe(cls).options
    wrong = [name for name in values if name not in options]
    missing = [name for name, option in options.items() if option.required and name not in values]
    if wrong or missing:
        said = [f"{cls.__name__}() has no option {', '.join(wrong)}"] if wrong else []
        said += [f"{cls.__name__}() needs {', '.join(missing)}"] if missing else []
        raise TypeError("; ".join(said))
    made: dict[str, object] = {}
    findings: list[Finding] = []
    for name, option in options.items():
        try:
            made[name] = option.type.accept(values[name]) if name in values else option.default
        except Refused as refused:
            raw = Raw(values[name], Origin("override", f"{cls.__name__}({name}=…)"))
            findings.append(_refused(option, raw, refused))
    if findings:
        raise InvalidConfig(findings=tuple(findings))
    return made


def certain(findings: Iterable[Finding], merged: Merged) -> tuple[Finding, ...]:
    """Leave out what is called missing and may well be there.

    It may stand in a part that could not be read, or under a name that was misspelt: one mistake
    is not reported as two.
    """
    findings = tuple(findings)
    errors = [each for each in findings if each.severity == "error"]
    unread = [each for each in errors if each.code not in _JUDGED]
    meant = {_plain(_key_meant(each)) for each in errors if each.code == "unknown-option"}
    meant |= {
        _plain(key_of(each.suggestion, option))
        for each in errors
        if each.code == "unknown-section" and each.suggestion
        for option in merged.values.get(each.section or "", ())
    }
    return tuple(
        each
        for each in findings
        if each.code != "missing-required"
        or not (
            _plain(key_of(each.section or DEFAULT, each.option or "")) in meant
            or any(_may_hold(gap, each) for gap in unread)
        )
    )


def _key_meant(unknown: Finding) -> str:
    """Return the key that is suggested, be it by name, by section and name, or as a flag."""
    suggestion = unknown.suggestion or ""
    if suggestion.startswith("--"):
        return suggestion[2:]
    if "." in suggestion:
        return suggestion.removeprefix(f"{DEFAULT}.")
    return key_of(unknown.section or DEFAULT, suggestion)


def _may_hold(gap: Finding, missing: Finding) -> bool:
    """Whether an option may stand where something could not be understood."""
    if gap.section is None:
        return True
    return gap.section == missing.section and gap.option in (None, missing.option)


def unknown_options(
    merged: Merged, schema: Schema, *, severity: str = "error", early: bool = False
) -> tuple[Finding, ...]:
    """Report the options of known sections that nobody declares.

    ``early`` says that somebody still may.
    """
    return tuple(
        _unknown_option(section, option, raw, schema, severity, early=early)
        for section, known in schema.sections.items()
        for option, raws in merged.values.get(section, {}).items()
        if option not in known.options
        for raw in raws
    )


def unknown_sections(
    merged: Merged, schema: Schema, *, severity: str = "error"
) -> tuple[Finding, ...]:
    """Report the sections that nobody declares."""
    known = {*schema.sections, *schema.old_sections}
    findings = [
        _unknown_section(section, origin, schema, severity)
        for section, origin in merged.sections.items()
        if section not in known
    ]
    # Of a section that has only old names, other options are as unknown as the section was.
    findings += [
        _unknown_option(section, option, raw, schema, severity)
        for section in schema.old_sections - schema.sections.keys()
        for option, raws in merged.values.get(section, {}).items()
        for raw in raws
    ]
    return tuple(findings)


def flags_of_secrets(
    findings: Iterable[Finding], schema: Schema, prefix: str
) -> tuple[Finding, ...]:
    """Tell who gave a secret as a flag, of which there is none, how to give it instead."""
    secrets = {f"--{spec.key.replace('_', '-')}": spec for spec in schema if spec.secret}
    told = []
    for finding in findings:
        spec = secrets.get(finding.place)
        if spec is None or finding.code != "unknown-option":
            told.append(finding)
            continue
        message = (
            f"has no flag, because a list of processes would show the secret: set the environment "
            f"variable {spec.variable(prefix)}, or write it in a configuration file."
        )
        told.append(
            _about(spec, Origin("command line", finding.place), "error", finding.code, message)
        )
    return tuple(told)


def nearest(word: str, names: Iterable[str]) -> str | None:
    """Return the name that a mistyped word most probably means, None if none is close.

    Counts letters inserted, left out, exchanged or swapped with their neighbour; upper case and
    dashes for underscores count nothing.
    """
    plain = _plain(word)
    best, best_distance = None, max(1, min(3, len(plain) // 3)) + 1
    for name in names:
        other = _plain(name)
        if abs(len(other) - len(plain)) >= best_distance:
            continue
        distance = _distance(plain, other)
        if distance < best_distance and distance < max(len(plain), len(other)):
            best, best_distance = name, distance
    return best


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")


def _distance(one: str, other: str) -> int:
    """Edit distance in which swapping two neighbours is one step (optimal string alignment)."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        above_before, before, row = before, row, [i]
        for j, another in enumerate(other, 1):
            step = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != another))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == another:
                step = min(step, above_before[j - 2] + 1)
            row.append(step)
    return row[-1]


def _label(section: str, option: str) -> str:
    return f"[{section}] {option}"


def _finding(
    severity: str,
    code: str,
    message: str,
    *,
    section: str,
    option: str | None,
    origin: Origin | None = None,
    suggestion: str | None = None,
) -> Finding:
    if origin is None:
        return Finding(
            severity, code, message, section=section, option=option, suggestion=suggestion
        )
    return Finding(
        severity,
        code,
        message,
        str(origin),
        origin.file,
        origin.line,
        origin.column,
        section,
        option,
        suggestion,
    )


def _about(
    spec: OptionSpec,
    origin: Origin | None,
    severity: str,
    code: str,
    message: str,
    suggestion: str | None = None,
) -> Finding:
    return _finding(
        severity,
        code,
        f"{_label(spec.section, spec.name)} {message}",
        section=spec.section,
        option=spec.name,
        origin=origin,
        suggestion=suggestion,
    )


def _refused(spec: OptionSpec, raw: Raw, refused: Refused) -> Finding:
    must = f"must be {refused.expected}"
    suggestion = None
    if refused.code == "no-value":
        message = f"has no value; it {must}."
    elif refused.item is not None:
        got = "" if spec.secret or not refused.got else f", not {_discreet(refused.got)}"
        message = f"is wrong in item {refused.item}, which {must}{got}."
    elif spec.secret:
        message = f"{must} (its value is not shown)."
    else:
        message = f"{must}{f', not {_discreet(refused.got)}' if refused.got else ''}."
        if refused.among and isinstance(raw.value, str):
            suggestion = nearest(raw.value.strip(), refused.among)
            message += f" Did you mean {suggestion!r}?" if suggestion else ""
    return _about(spec, raw.origin, "error", refused.code, message, suggestion)


def _discreet(text: str) -> str:
    """Mask the passwords of URLs, which an option may hold that is not made for them."""
    return _CREDENTIALS.sub(rf"\1{MASK}", text)


def _missing(spec: OptionSpec, prefix: str) -> Finding:
    ways = [f"write '{spec.name} = …' under [{spec.section}] in a configuration file"]
    ways.append(f"set the environment variable {spec.variable(prefix)}")
    if spec.flag:
        ways.append(f"give {spec.flag}")
    *most, last = ways
    message = f"is required and not set: {', '.join(most)} or {last}."
    return _about(spec, None, "error", "missing-required", message)


def _remarks(spec: OptionSpec, raws: tuple[Raw, ...]) -> list[Finding]:
    """Say what is right and yet worth a word."""
    remarks = []
    origin, value = raws[0].origin, raws[0].value
    if spec.deprecated:
        since = f" since {spec.since}" if spec.since else ""
        message = f"is deprecated{since}: {spec.deprecated}"
        remarks.append(_about(spec, origin, "warning", "deprecated-option", message))
    if not spec.secret:
        if not isinstance(spec.type, UrlType) and _CREDENTIALS.search(str(value)):
            message = "is no secret, and holds a URL with a password."
            remarks.append(_about(spec, origin, "warning", "secret-in-plain-option", message))
        return remarks
    if not spec.interpolate and isinstance(value, str) and ("$$" in value or "${" in value):
        message = "holds '$$' or '${', which is taken as it stands: nothing is replaced in it."
        remarks.append(_about(spec, origin, "warning", "ambiguous-dollar", message))
    hidden = [raw for raw in raws[1:] if raw.origin.source not in _OWN_SOURCES]
    if hidden and origin.source in _OWN_SOURCES:
        message = f"hides the value that {hidden[0].origin} has for this secret."
        remarks.append(_about(spec, origin, "warning", "shadowed-source", message))
    return remarks


def _unknown_option(
    section: str, option: str, raw: Raw, schema: Schema, severity: str, *, early: bool = False
) -> Finding:
    suggestion, advice = _meant(section, option, schema)
    has_not = f"[{section}] has no option {option!r}"
    if early:
        has_not += " among those known so far"
        advice = advice or " It is judged again when everything has been loaded."
    return _finding(
        severity,
        "unknown-option",
        f"{has_not}.{advice}",
        section=section,
        option=option,
        origin=raw.origin,
        suggestion=suggestion,
    )


def _meant(section: str, option: str, schema: Schema) -> tuple[str | None, str]:
    """Guess which option was meant; the name to suggest, and a sentence."""
    known = schema.sections.get(section)
    elsewhere = [
        other.name
        for other in schema.sections.values()
        if other.name != section and option in other.options
    ]
    here = nearest(option, known.options) if known else None
    if elsewhere and (len(elsewhere) == 1 or here is None):
        where = nearest(section, elsewhere) or elsewhere[0]
        return f"{where}.{option}", f" There is one in [{where}]: is it in the wrong section?"
    if here is not None and here == option.replace("-", "_"):
        return here, f" In a file it is spelled with underscores: {here!r}."
    if here is not None:
        return here, f" Did you mean {here!r}?"
    old = [name for old_section, name in schema.renames if old_section == section]
    meant_old = nearest(option, old)
    if meant_old is not None:
        spec = schema.renames[section, meant_old]
        name = spec.name if spec.section == section else f"{spec.section}.{spec.name}"
        return name, f" Did you mean {name!r}, which was called {meant_old!r}?"
    far = {name: other.name for other in schema.sections.values() for name in other.options}
    guess = nearest(option, far)
    if guess is None or _distance(_plain(option), _plain(guess)) > 1:
        return None, ""
    return f"{far[guess]}.{guess}", f" Did you mean {guess!r} in [{far[guess]}]?"


def _unknown_section(section: str, origin: Origin, schema: Schema, severity: str) -> Finding:
    suggestion = nearest(section, schema.sections)
    advice = f" Did you mean [{suggestion}]?" if suggestion else ""
    if section.upper() == DEFAULT:
        suggestion, advice = DEFAULT, f" Did you mean [{DEFAULT}], in capitals?"
    elif section.strip() in schema.sections:
        suggestion = section.strip()
        advice = f" Blanks inside the brackets belong to the name: write [{suggestion}]."
    return _finding(
        severity,
        "unknown-section",
        f"Nobody declares a section [{section}].{advice}",
        section=section,
        option=None,
        origin=origin,
        suggestion=suggestion,
    )
