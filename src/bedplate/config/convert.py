"""Converting what was written, option by option: values, and what is wrong with them.

Pure. What a text refers to is put in first. No message holds the value of a secret.
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from bedplate.config.describe import describe
from bedplate.config.interpolate import BadReference, Name, Resolver
from bedplate.config.judge import nearest
from bedplate.config.merge import Merged, is_many
from bedplate.config.names import DEFAULT
from bedplate.config.notes import about, discreet, holds_password, label
from bedplate.config.option import Required, SectionType
from bedplate.config.schema import Schema
from bedplate.config.specs import OptionSpec, Unresolved, Withheld
from bedplate.config.tree import Origin, Raw
from bedplate.config.types import Refused, SecretType, UrlType, read
from bedplate.errors import Finding, InvalidConfig

__all__ = ["Converted", "Known", "by_hand", "convert", "refusal", "value_of"]

_OWN_SOURCES = frozenset(
    {"command line", "environment", "file", "override", "application default", "default"}
)


class Converted(NamedTuple):
    """Checked values by section and option, and what there is to say about them.

    A section that is optional and not configured is not in ``values``. ``tainted`` are the
    options that are not secret themselves and have a secret put into them.
    """

    values: Mapping[str, Mapping[str, object]]
    findings: tuple[Finding, ...]
    tainted: frozenset[Name] = frozenset()

    def __repr__(self) -> str:
        return f"Converted({len(self.values)} sections, {len(self.findings)} findings)"


class Known(NamedTuple):
    """The value of one option, and who set it: None where it is the default.

    ``tainted`` says that a secret is put into it.
    """

    value: object
    origin: Origin | None
    tainted: bool


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
        written = merged.values.get(section.name, {})
        converted: dict[str, object] = {}
        for option in section.options.values():
            raws = written.get(option.name)
            if not raws:
                if option.optional and not written:
                    continue
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
                findings.append(refusal(reading.hushed(option), raw, refused))
            findings += _remarks(reading.hushed(option), raws)
        if converted or not section.optional:
            values[section.name] = converted
    return Converted(values, (*findings, *reading.findings), frozenset(reading.tainted))


def value_of(spec: OptionSpec, merged: Merged, schema: Schema) -> Known | None:
    """Return the value of one option; None where there is none, or none that `convert` accepts."""
    raws = merged.get(spec.section, spec.name)
    if spec.optional and not merged.has(spec.section):
        return None
    reading = _Reading(merged, schema)
    try:
        value = reading.value(spec, reading.counting(spec, raws)) if raws else reading.default(spec)
    except Refused:
        return None
    if isinstance(value, Required | Unresolved | Withheld):
        return None
    return Known(value, raws[0].origin if raws else None, bool(reading.tainted))


def _is_shown_default(spec: OptionSpec, raws: tuple[Raw, ...]) -> bool:
    """Whether a value is what documents show as the default, though the type refuses it.

    Such as ``<host name>``: whoever copies it has changed nothing, and is told that.
    """
    shown = [spec.sample] if spec.sample else []
    shown += [spec.default.text] if isinstance(spec.default, Unresolved) else []
    return not spec.required and len(raws) == 1 and raws[0].value in shown


def _stands_for_default(spec: OptionSpec, raws: tuple[Raw, ...]) -> bool:
    """Whether the value of an option is such a placeholder, also where it is put in elsewhere."""
    if not _is_shown_default(spec, raws) or "$" in str(raws[0].value):
        return False
    try:
        read(spec.type, raws[0].value)
    except Refused:
        return True
    return False


class _Reading:
    """The values of one generation, each read with what it refers to put in."""

    __slots__ = ("findings", "merged", "resolver", "schema", "tainted")

    def __init__(self, merged: Merged, schema: Schema) -> None:
        self.merged, self.schema = merged, schema
        self.findings: list[Finding] = []
        self.tainted: set[Name] = set()
        self.resolver = Resolver(self._known, self._text)

    def counting(self, spec: OptionSpec, raws: tuple[Raw, ...]) -> tuple[Raw, ...]:
        """Return what counts of all that was written: the winner, or a whole list in its order."""
        if not is_many(spec):
            return raws[:1]
        return tuple(raw for raw in raws[::-1] if raw.origin.source == raws[0].origin.source)

    def value(self, spec: OptionSpec, raws: tuple[Raw, ...]) -> object:
        """Convert what counts. Raises `Refused`."""
        if (len(raws) > 1 or raws[0].origin.source == "file") and is_many(spec):
            return self._values(spec, raws)
        value = self._put_in(spec, raws[0].value, raws[0].origin)
        return value if isinstance(value, Unresolved) else read(spec.type, value)

    def _values(self, spec: OptionSpec, raws: tuple[Raw, ...]) -> object:
        values = [self._put_in(spec, raw.value, raw.origin) for raw in raws]
        for value in values:
            if isinstance(value, Unresolved):
                return value
        return spec.type.accept(
            [item for each in values for item in (each if isinstance(each, list) else [each])]
        )

    def default(self, spec: OptionSpec) -> object:
        """Return the default, with what it refers to put in where that makes sense."""
        default = spec.default
        text = default.text if isinstance(default, Unresolved) else default
        if not (spec.interpolate and isinstance(text, str) and "$" in text):
            return default
        value = self._put_in(spec, text, None)
        if isinstance(value, Unresolved):
            return default
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
        if not (isinstance(value, str) and "$" in value and spec.interpolate):
            return value
        try:
            resolved = self.resolver.resolve(value, spec.section, spec.name)
        except BadReference as bad:
            if origin is not None and (spec.section, spec.name) in bad.among:
                why, meant = bad.discreet, None
                if not spec.secret:
                    why, meant = bad.why, self._meant(bad.missing, spec.section)
                advice = f" Did you mean ${meant}?" if meant else ""
                message = f"{why}.{advice}"
                self.findings.append(
                    about(spec, origin, "error", "bad-interpolation", message, meant)
                )
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
            message = f"refers to {label(*empty[0])}, which has no value that could be put in."
            self._say(spec, origin, "error", "bad-interpolation", message)
        return Unresolved(value)

    def _meant(self, missing: str, section: str) -> str | None:
        """Guess which option a text refers to by a name that nobody has."""
        if not missing:
            return None
        group, dot, option = missing.rpartition(".")
        if dot:
            there = self.schema.sections
            group = group if group in there else nearest(group, there) or ""
            meant = nearest(option, there[group].options) if group else None
            return meant and f"{group}.{meant}"
        sections = (self.schema.sections.get(each) for each in (section, DEFAULT))
        return nearest(missing, [name for each in sections if each for name in each.options])

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
            message = f"is no secret, and the secret {label(*secrets[0])} is put into it."
            self._say(spec, origin, "warning", "secret-in-plain-option", message)

    def _say(
        self, spec: OptionSpec, origin: Origin, severity: str, code: str, message: str
    ) -> None:
        self.findings.append(about(spec, origin, severity, code, message))

    def _spec(self, section: str, option: str) -> OptionSpec | None:
        return self.schema.get(section, option) or self.schema.renames.get((section, option))

    def _known(self, section: str, option: str) -> Name | None:
        spec = self._spec(section, option)
        return None if spec is None else (spec.section, spec.name)

    def _text(self, section: str, option: str) -> tuple[str, bool] | None:
        spec = self._spec(section, option)
        if spec is None:
            return None
        raws = self.merged.get(spec.section, spec.name)
        if _stands_for_default(spec, raws):
            raws = ()
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
        return text is not None and holds_password(text[0])

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
            findings.append(refusal(option, raw, refused))
    if findings:
        raise InvalidConfig(findings=tuple(findings))
    return made


def refusal(spec: OptionSpec, raw: Raw, refused: Refused) -> Finding:
    """Make a finding of a value that does not fit its option."""
    must = f"must be {refused.expected}"
    suggestion = None
    if refused.code == "no-value":
        message = f"has no value; it {must}."
    elif refused.item is not None:
        got = "" if spec.secret or not refused.got else f", not {discreet(refused.got)}"
        message = f"is wrong in item {refused.item}, which {must}{got}."
    elif spec.secret:
        message = f"{must} (its value is not shown)."
    else:
        message = f"{must}{f', not {discreet(refused.got)}' if refused.got else ''}."
        if refused.among and isinstance(raw.value, str):
            suggestion = nearest(raw.value.strip(), refused.among)
            message += f" Did you mean {suggestion!r}?" if suggestion else ""
    return about(spec, raw.origin, "error", refused.code, message, suggestion)


def _missing(spec: OptionSpec, prefix: str) -> Finding:
    ways = [f"write '{spec.name} = …' under [{spec.section}] in a configuration file"]
    ways.append(f"set the environment variable {spec.variable(prefix)}")
    if spec.flag:
        ways.append(f"give {spec.flag}")
    *most, last = ways
    message = f"is required and not set: {', '.join(most)} or {last}."
    return about(spec, None, "error", "missing-required", message)


def _remarks(spec: OptionSpec, raws: tuple[Raw, ...]) -> list[Finding]:
    """Say what is right and yet worth a word."""
    remarks = []
    origin, value = raws[0].origin, raws[0].value
    if spec.deprecated:
        since = f" since {spec.since}" if spec.since else ""
        message = f"is deprecated{since}: {spec.deprecated}"
        remarks.append(about(spec, origin, "warning", "deprecated-option", message))
    if not spec.secret:
        if not isinstance(spec.type, UrlType) and holds_password(str(value)):
            message = "is no secret, and holds a URL with a password."
            remarks.append(about(spec, origin, "warning", "secret-in-plain-option", message))
        return remarks
    if not spec.interpolate and isinstance(value, str) and ("$$" in value or "${" in value):
        message = "holds '$$' or '${', which is taken as it stands: nothing is replaced in it."
        remarks.append(about(spec, origin, "warning", "ambiguous-dollar", message))
    hidden = [raw for raw in raws[1:] if raw.origin.source not in _OWN_SOURCES]
    if hidden and origin.source in _OWN_SOURCES:
        message = f"hides the value that {hidden[0].origin} has for this secret."
        remarks.append(about(spec, origin, "warning", "shadowed-source", message))
    return remarks
