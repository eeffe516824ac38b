"""The stages in order, as one pure function: trees and a schema in, checked values out.

Also what a reload may change: options that are not mutable keep what they had, and the result is
checked as a whole. Knows nothing of where trees come from or who holds the result.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from bedplate._floor.secret import MASK
from bedplate.config.convert import convert
from bedplate.config.interpolate import Name
from bedplate.config.judge import certain, unknown_options, unknown_sections, without_flags
from bedplate.config.merge import Merged, Pins
from bedplate.config.names import split_key
from bedplate.config.notes import discreet
from bedplate.config.repeated import Resolved, resolve, strays
from bedplate.config.schema import Schema
from bedplate.config.specs import OptionSpec, SectionSpec
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

    def judge(self, resolved: Resolved) -> tuple[Finding, ...]:
        """Return findings about names nobody declares, as far as it is time to judge them."""
        if self.waits:
            return ()
        merged, schema = resolved.merged, resolved.schema
        severity = "warning" if self.unknown == "warn" else "error"
        found = unknown_options(merged, schema, severity=severity)
        if self.sealed:
            found += unknown_sections(merged, schema, severity=severity)
        return (*resolved.astray, *strays(found, resolved))


class Settled(NamedTuple):
    """Everything known of one generation. ``findings`` are warnings only."""

    resolved: Resolved
    values: Mapping[str, Mapping[str, object]]
    findings: tuple[Finding, ...]
    tainted: frozenset[Name] = frozenset()
    """Options that have a secret put into them: they are shown as secrets are."""

    @property
    def schema(self) -> Schema:
        """The schema of this generation, in which the sections stand that an option names."""
        return self.resolved.schema

    @property
    def merged(self) -> Merged:
        """What all layers say, under the names of that schema."""
        return self.resolved.merged

    @property
    def named(self) -> tuple[str, ...]:
        """The sections that an option names and that are there, in its order."""
        return tuple(name for name in self.resolved.named if name in self.values)

    def masked(self, section: str) -> frozenset[str]:
        """Return the options of a section that have a secret put into them."""
        return frozenset(name for where, name in self.tainted if where == section)

    def noting(self, findings: Iterable[Finding]) -> "Settled":
        """Return the same with more warnings, none twice."""
        return self._replace(findings=tuple(dict.fromkeys((*self.findings, *findings))))

    def judged(self, rules: Rules) -> "Settled":
        """Judge the names again, under other rules. Raises `InvalidConfig`."""
        return self.noting(_sorted_out(rules.judge(self.resolved)))


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
        *without_flags(resolved.remarks, schema, rules.prefix),
        *resolved.findings,
        *converted.findings,
        *rules.judge(resolved),
    )
    if rules.waits and any(finding.severity == "error" for finding in findings):
        # There will be no later judgement: this is the time to tell all that is known.
        findings += unknown_options(merged, schema, early=True)
    settled = Settled(resolved, converted.values, (), converted.tainted)
    return settled.noting(_sorted_out(certain(findings, merged)))


def settle_late(
    before: Settled, trees: Iterable[Tree], schema: Schema, rules: Rules, pins: Pins, section: str
) -> Settled:
    """Take one more section in, checked alone. Raises `InvalidConfig` for what is wrong in it.

    Of a shape, all sections are taken in that are named by the same option; and always those that
    have another shape than before, because the schema may know more than this one section.
    """
    resolved = resolve(trees, schema, pins)
    each, only = schema.sections[section].each, {section}
    if each:
        only = {name for name, shapes in resolved.named.items() if shapes[0].each == each}
    known = before.resolved.named
    only |= {name for name, shapes in resolved.named.items() if known.get(name) != shapes}
    converted = convert(resolved.merged, resolved.schema, prefix=rules.prefix, only=only)
    unknown = [found for found in rules.judge(resolved) if found.section in only]
    remarks = (*resolved.remarks, *resolved.findings)
    findings = _sorted_out((*remarks, *converted.findings, *unknown))
    values = {**before.values, **converted.values}
    tainted = before.tainted | converted.tainted
    return Settled(resolved, values, before.findings, tainted).noting(findings)


def hold(old: Settled, new: Settled) -> tuple[Pins, tuple[Finding, ...]]:
    """Decide what of a new configuration has to wait for a restart.

    Returns the candidates that stay what they were, and a warning for each difference refused. An
    optional section neither appears nor disappears in a running program. One that an option names
    comes and goes as far as that option is mutable, and changes its shape as far as its driver is;
    where it may not, all of it stays.
    """
    pins: dict[str, Mapping[str, tuple[Raw, ...]]] = {}
    findings: list[Finding] = []
    for section in old.schema.sections.values():
        decider = _reshaped_by(section, old, new)
        if decider is None:
            held, refused = _held(section, old, new)
            findings += refused
        elif decider.mutable:
            continue
        else:
            held = _whole(section, old, new)
            if decider.section == section.name:  # one of another section is told in its place
                findings += _refusal(decider, old, new)
        if held:
            pins[section.name] = held
    return pins, tuple(findings)


def _held(
    section: SectionSpec, old: Settled, new: Settled
) -> tuple[dict[str, tuple[Raw, ...]], list[Finding]]:
    before, after = old.values.get(section.name, {}), new.values.get(section.name, {})
    held: dict[str, tuple[Raw, ...]] = {}
    findings: list[Finding] = []
    for spec in section.options.values():
        was, is_now = spec.name in before, spec.name in after
        if was and is_now and (spec.mutable or before[spec.name] == after[spec.name]):
            continue
        held[spec.name] = old.merged.get(spec.section, spec.name)
        if was or is_now:
            findings += _refusal(spec, old, new)
    return held, findings


def _reshaped_by(section: SectionSpec, old: Settled, new: Settled) -> OptionSpec | None:
    """Return the option that takes a section its name or its shape away; None if none does."""
    before, now = old.resolved.named.get(section.name), new.resolved.named.get(section.name)
    if before is None:
        return None
    if now is None or now[0].name != before[0].name:
        return old.schema.get(*split_key(before[0].each))
    driver = section.options.get(before[0].driver_option)
    if driver is None or now[-1].name == before[-1].name:
        return None
    was, is_now = (each.values.get(section.name, {}).get(driver.name) for each in (old, new))
    return driver if was != is_now else None  # else its class only came since


def _whole(section: SectionSpec, old: Settled, new: Settled) -> dict[str, tuple[Raw, ...]]:
    """Return all that was said of a section, and nothing that is new in it."""
    known = new.schema.sections.get(section.name)
    names = {*new.merged.values.get(section.name, {}), *section.options}
    names |= {name for spec in known.options.values() for _, name in spec.was} if known else set()
    return {name: old.merged.get(section.name, name) for name in names}


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
                MASK if hidden else discreet(spec.type.show(values[spec.name]))
                for values in (before, after)
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
