"""The stages in order, as one pure function: trees and a schema in, checked values out.

Also what a reload may change: options that are not mutable keep what they had, and the result is
checked as a whole. Knows nothing of where trees come from or who holds the result.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from bedplate._floor.secret import MASK
from bedplate.config.convert import convert
from bedplate.config.interpolate import Name
from bedplate.config.judge import certain, flags_of_secrets, unknown_options, unknown_sections
from bedplate.config.merge import Merged, Pins
from bedplate.config.repeated import Resolved, resolve, unnamed
from bedplate.config.schema import OptionSpec, Schema, SectionSpec, split_key
from bedplate.config.tree import Origin, Raw, Tree
from bedplate.errors import Finding, InvalidConfig

__all__ = ["Change", "Rules", "Settled", "changes", "hold", "settle", "settle_late"]


class Rules(NamedTuple):
    """How strictly names are judged. ``prefix`` is that of environment variables.

    ``unknown`` is ``error``, ``warn`` or ``defer``; ``sealed`` says that no section comes late any
    more.
    """

    prefix: str
    unknown: str
    sealed: bool

    @property
    def waits(self) -> bool:
        """Whether even options of known sections are judged later."""
        return self.unknown == "defer" and not self.sealed

    def judge(
        self, merged: Merged, schema: Schema, shapes: Iterable[SectionSpec] = ()
    ) -> tuple[Finding, ...]:
        """Return findings about names nobody declares, as far as it is time to judge them."""
        if self.waits:
            return ()
        severity = "warning" if self.unknown == "warn" else "error"
        options = unknown_options(merged, schema, severity=severity)
        if not self.sealed:
            return options
        sections = unknown_sections(merged, schema, severity=severity)
        return (*options, *unnamed(sections, merged, shapes))


class Settled(NamedTuple):
    """Everything known of one generation. ``findings`` are warnings only.

    ``repeated`` holds, by name, the shape of each section that an option names; ``shapes`` are all
    shapes there are.
    """

    schema: Schema
    merged: Merged
    values: Mapping[str, Mapping[str, object]]
    findings: tuple[Finding, ...]
    tainted: frozenset[Name] = frozenset()
    """Options that have a secret put into them: they are shown as secrets are."""
    repeated: Mapping[str, SectionSpec] = MappingProxyType({})
    shapes: tuple[SectionSpec, ...] = ()

    def noting(self, findings: Iterable[Finding]) -> "Settled":
        """Return the same with more warnings, none twice."""
        return self._replace(findings=tuple(dict.fromkeys((*self.findings, *findings))))

    def judged(self, rules: Rules) -> "Settled":
        """Judge the names again, under other rules. Raises `InvalidConfig`."""
        return self.noting(_sorted_out(rules.judge(self.merged, self.schema, self.shapes)))


class Change(NamedTuple):
    """One option that a reload changed. Values are shown as text, masked for secrets.

    ``origin`` is None when nothing sets it any more and the default counts.
    """

    key: str
    old: str
    new: str
    origin: Origin | None


def settle(
    trees: Iterable[Tree],
    schema: Schema,
    rules: Rules,
    *,
    pins: Pins | None = None,
) -> Settled:
    """Merge, convert and check. Raises `InvalidConfig` with every error there is."""
    resolved = resolve(trees, schema, pins)
    schema, merged = resolved.schema, resolved.merged
    converted = convert(merged, schema, prefix=rules.prefix)
    findings = (
        *flags_of_secrets(resolved.remarks, schema, rules.prefix),
        *resolved.findings,
        *converted.findings,
        *rules.judge(merged, schema, resolved.shapes),
    )
    if rules.waits and any(finding.severity == "error" for finding in findings):
        # There will be no later judgement: this is the time to tell all that is known.
        findings += unknown_options(merged, schema, early=True)
    settled = _settled(resolved, converted.values, (), converted.tainted)
    return settled.noting(_sorted_out(certain(findings, merged)))


def settle_late(
    before: Settled, trees: Iterable[Tree], schema: Schema, rules: Rules, pins: Pins, section: str
) -> Settled:
    """Take one more section in, checked alone. Raises `InvalidConfig` for what is wrong in it.

    Of a shape, all the sections are taken in that are named.
    """
    resolved = resolve(trees, schema, pins)
    schema, merged = resolved.schema, resolved.merged
    only = {name for name, shape in resolved.repeated.items() if shape.name == section} | {section}
    converted = convert(merged, schema, prefix=rules.prefix, only=only)
    judged = rules.judge(merged, schema, resolved.shapes)
    unknown = [each for each in judged if each.section in only]
    values = {**before.values, **converted.values}
    remarks = (*resolved.remarks, *resolved.findings)
    findings = _sorted_out((*remarks, *converted.findings, *unknown))
    tainted = before.tainted | converted.tainted
    return _settled(resolved, values, before.findings, tainted).noting(findings)


def _settled(
    resolved: Resolved,
    values: Mapping[str, Mapping[str, object]],
    findings: tuple[Finding, ...],
    tainted: frozenset[Name],
) -> Settled:
    schema, merged, repeated = resolved.schema, resolved.merged, resolved.repeated
    return Settled(schema, merged, values, findings, tainted, repeated, resolved.shapes)


def hold(old: Settled, new: Settled) -> tuple[Pins, tuple[Finding, ...]]:
    """Decide what of a new configuration has to wait for a restart.

    Returns the candidates that stay what they were, and a warning for each difference refused. An
    optional section neither appears nor disappears in a running program. One that an option names
    comes and goes as far as that option may change, and so may the driver that it has.
    """
    pins: dict[str, dict[str, tuple[Raw, ...]]] = {}
    findings: list[Finding] = []
    for section in old.schema.sections.values():
        before, after = old.values.get(section.name, {}), new.values.get(section.name, {})
        if _may_go(section, old, new):
            continue
        gone = section.name in old.repeated and section.name not in new.repeated
        held: dict[str, tuple[Raw, ...]] = {}
        for spec in section.options.values():
            was, is_now = spec.name in before, spec.name in after
            if was and is_now and (spec.mutable or before[spec.name] == after[spec.name]):
                continue
            held[spec.name] = old.merged.get(spec.section, spec.name)
            if (was or is_now) and not gone:
                findings += _refusal(spec, old, new)
        if held:
            pins[section.name] = held
    return pins, tuple(findings)


def _may_go(section: SectionSpec, old: Settled, new: Settled) -> bool:
    """Whether a section that was named is named no more, or has another shape, and may."""
    shape, now = old.repeated.get(section.name), new.repeated.get(section.name)
    if shape is None:
        return False
    if now is None or now.name != shape.name:
        owner = old.schema.get(*split_key(shape.each))
        return owner is not None and owner.mutable
    driver = section.options.get(shape.driver_option)
    if driver is None or not driver.mutable:
        return False
    before, after = old.values.get(section.name, {}), new.values.get(section.name, {})
    return before.get(driver.name) != after.get(driver.name)


def _refusal(spec: OptionSpec, old: Settled, new: Settled) -> tuple[Finding, ...]:
    raws = new.merged.get(spec.section, spec.name)
    gone = old.merged.get(spec.section, spec.name)
    if not raws and not gone:
        return ()  # a default of a section that comes or goes: its other options say so
    origin = (raws or gone)[0].origin
    what = "was changed" if raws else "is not set any more"
    message = f"[{spec.section}] {spec.name} {what}, which needs a restart; the old value stays."
    place = str(origin) if raws else ""
    where = (origin.file, origin.line, origin.column) if raws else (None, None, None)
    return (Finding("warning", "needs-restart", message, place, *where, spec.section, spec.name),)


def changes(old: Settled, new: Settled) -> tuple[Change, ...]:
    """List the options that differ between two generations, by the schema of the newer."""
    found = []
    for spec in new.schema:
        before = old.values.get(spec.section, {})
        after = new.values.get(spec.section, {})
        if spec.name not in before or spec.name not in after:
            continue
        if before[spec.name] != after[spec.name]:
            raws = new.merged.get(spec.section, spec.name)
            hidden = (spec.section, spec.name) in old.tainted | new.tainted
            was, is_now = (
                MASK if hidden else spec.type.show(values[spec.name]) for values in (before, after)
            )
            found.append(Change(spec.key, was, is_now, raws[0].origin if raws else None))
    return tuple(found)


def _sorted_out(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Raise the errors, those in files first and in their order there; return the warnings."""
    findings = tuple(findings)
    errors = [finding for finding in findings if finding.severity == "error"]
    if errors:
        errors.sort(key=lambda each: (each.file is None, each.file or "", each.line or 0))
        raise InvalidConfig(findings=tuple(errors))
    return findings
