"""Sections that an option names: ``enabled_backends = fast, slow`` and [fast], [slow].

They have the shape of a section that the schema describes, and one of their options, the driver,
may pick a further one beside it. Options of sections that stand for themselves are read first, then
names, then drivers. Pure: trees and a schema in; a schema that knows the names, and what was merged
under it, out.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from bedplate.config.convert import Known, refusal, value_of
from bedplate.config.merge import Merged, Pins, merge, pin
from bedplate.config.names import DEFAULT, fold, is_section_name, split_key
from bedplate.config.notes import about, label
from bedplate.config.oslo_repeated import named_in_oslo
from bedplate.config.schema import NATIVE, Schema
from bedplate.config.specs import OptionSpec, SectionSpec
from bedplate.config.tree import Origin, Raw, Tree
from bedplate.config.types import (
    Choice,
    List,
    Multi,
    Refused,
    SecretType,
    Unchecked,
)
from bedplate.config.types.around import inside
from bedplate.config.types.contract import quote
from bedplate.errors import Finding, SchemaError

__all__ = ["Resolved", "Shapes", "check_shapes", "resolve", "strays"]

Shapes = tuple[SectionSpec, ...]
"""What the options of a section are taken from: the shape of all, then that of its driver."""

_DECLARED: Final = Origin("default", "declared default")


class Resolved(NamedTuple):
    """A schema with the sections that were named, and what is merged under its names.

    ``given`` is the schema that knows shapes in their place. ``named`` holds the shapes of each
    section that is named, in the order of the names. ``remarks`` are those of merging, ``findings``
    those about names; ``astray`` those about drivers that nobody has, or only somebody later. Of
    ``unclear`` sections nobody can say what belongs there.
    """

    given: Schema
    schema: Schema
    merged: Merged
    remarks: tuple[Finding, ...]
    named: Mapping[str, Shapes] = MappingProxyType({})
    findings: tuple[Finding, ...] = ()
    astray: tuple[Finding, ...] = ()
    unclear: frozenset[str] = frozenset()


def resolve(trees: Iterable[Tree], given: Schema, pins: Pins | None = None) -> Resolved:
    """Merge, find out which sections are named, and merge again under their names."""
    trees, pins = tuple(trees), pins or {}
    if not any(section.each for section in given.sections.values()):
        return Resolved(given, given, *_merged(trees, given, pins))
    # What a class describes is a shape and nothing else; what oslo.config knows is a section too.
    native = given.dialect == NATIVE
    standing = [each for each in given.sections.values() if not (native and each.each)]
    schema = Schema(standing, dialect=given.dialect)
    merged, remarks = _merged(trees, schema, pins)
    clashing: frozenset[str] = frozenset()
    families = _families(given)
    if native:
        named, findings, clashing = _named(families, schema, merged)
    else:
        shapes, findings = named_in_oslo(schema, merged)
        named = {name: (shape,) for name, shape in shapes.items()}
    astray: tuple[Finding, ...] = ()
    if native and any(shape.driver_option for (shape,) in named.values()):
        with_drivers = Schema((*standing, *_made(named, schema)))
        seen, _ = _merged(trees, with_drivers, pins)
        named, astray = _driven(named, families, with_drivers, seen)
    if named:
        schema = Schema((*standing, *_made(named, schema)), dialect=given.dialect)
        merged, remarks = _merged(trees, schema, pins)
    findings = (*findings, *_absent(named, merged))
    unclear = clashing.union(each.section or "" for each in astray)
    return Resolved(given, schema, merged, remarks, named, findings, astray, unclear)


def check_shapes(schema: Schema) -> None:
    """Make sure that the shapes of our own sections can be what they say.

    Raises `SchemaError` for a shape whose owner is no list of names, for two of one driver, and for
    one that contradicts what it stands beside.
    """
    families = _families(schema) if schema.dialect == NATIVE else {}
    for key, shapes in families.items():
        base = shapes[0]
        _check_owner(base, schema.get(*split_key(key)), schema)
        drivers = dict[str, str]()
        for shape in shapes:
            other = drivers.setdefault(shape.by, shape.name)
            if other != shape.name:
                whose = f"when={shape.by!r}" if shape.by else f"each={key!r}"
                raise SchemaError(
                    where=f"[{shape.name}]", why=f"{whose} is what [{other}] says already"
                )
            if shape.driver_option != base.driver_option:
                why = f"[{base.name}] says otherwise by which option a driver is picked"
                raise SchemaError(where=f"[{shape.name}]", why=why)
            Schema([_shaped(shape.name, (base, shape), schema)])


def strays(findings: Iterable[Finding], resolved: Resolved) -> Iterator[Finding]:
    """Say what is better said of names nobody declares where sections are named.

    A section whose options all belong to one shape is only switched off, and that is a warning; an
    option of another driver is told so; where the section itself is wrong, nothing is said.
    """
    families = _families(resolved.given) if resolved.given.dialect == NATIVE else {}
    for finding in findings:
        section, option = finding.section or "", finding.option
        if section in resolved.unclear:
            continue
        if finding.code == "unknown-section" and not _means_another(finding, resolved):
            owner = _fitting(resolved.merged.values.get(section, {}).keys(), families)
            if owner:
                message = f"Nothing uses the section [{section}]: {_label(owner)} does not name it."
                yield finding._replace(
                    severity="warning", code="unnamed-section", message=message, suggestion=None
                )
                continue
        if finding.code == "unknown-option" and option and section in resolved.named:
            base = resolved.named[section][0]
            others = [each.by for each in families.get(base.each, ()) if option in each.options]
            if others:
                which = " or ".join(map(repr, others))
                message = (
                    f"[{section}] has no option {option!r}: it counts only where "
                    f"{base.driver_option} is {which}."
                )
                yield finding._replace(message=message, suggestion=None)
                continue
        yield finding


def _merged(
    trees: Iterable[Tree], schema: Schema, pins: Pins
) -> tuple[Merged, tuple[Finding, ...]]:
    merged, remarks = merge(trees, schema)
    return pin(merged, pins), remarks


def _families(schema: Schema) -> dict[str, Shapes]:
    """Return the shapes by the option that names them; the one of all comes first."""
    families: dict[str, Shapes] = {}
    for shape in sorted(schema.sections.values(), key=lambda each: bool(each.by)):
        if shape.each:
            families[shape.each] = (*families.get(shape.each, ()), shape)
    return families


def _check_owner(shape: SectionSpec, owner: OptionSpec | None, schema: Schema) -> None:
    where = f"[{shape.name}]"
    if owner is None or schema.sections[owner.section].each:
        why = f"each={shape.each!r} is no option that is known; load its section as well"
        raise SchemaError(where=where, why=why)
    if owner.secret or not isinstance(inside(owner.type), List | Multi):
        why = f"each={shape.each!r} is {owner.type.describe()}, and must be a list that may be seen"
        raise SchemaError(where=where, why=why)


def _named(
    families: Mapping[str, Shapes], schema: Schema, merged: Merged
) -> tuple[dict[str, Shapes], tuple[Finding, ...], frozenset[str]]:
    """Return the sections that are named, each with the shape of all, and what no name can be.

    Last come the names that are none, or that something else has.
    """
    named: dict[str, Shapes] = {}
    findings: list[Finding] = []
    wrong: set[str] = set()
    taken = {fold(name): name for name in (*schema.old_sections, *schema.sections)}
    for key, (base, *_) in families.items():
        owner = schema.get(*split_key(key))
        known = value_of(owner, merged, schema) if owner else None
        if owner is None or known is None:
            continue
        if known.tainted:
            message = "has a secret put into it, and the name of a section can be none."
            findings.append(about(owner, known.origin, "error", "section-name", message))
            continue
        for item, name in enumerate(_texts(owner, known.value), 1):
            if name in named and named[name][0] is base:
                continue  # a name may be said twice
            needed, got = _wrong(name, taken)
            if needed:
                refused = Refused("section-name", needed, got, item=item)
                findings.append(refusal(owner, Raw(name, known.origin or _DECLARED), refused))
                wrong |= {name} - {DEFAULT}
                continue
            taken[fold(name)] = name
            named[name] = (base,)
    return named, tuple(findings), frozenset(wrong)


def _texts(owner: OptionSpec, value: object) -> Iterator[str]:
    type_ = inside(owner.type)
    if isinstance(type_, List | Multi) and isinstance(value, Sequence):
        yield from map(type_.item.show, value)


def _wrong(name: str, taken: Mapping[str, str]) -> tuple[str, str]:
    """Say what a section must be called that cannot be called so, and what it is; else nothing."""
    if not is_section_name(name):
        return "a name for a section (letters, digits and single signs of '_.-')", quote(name)
    other = DEFAULT if name.upper() == DEFAULT else taken.get(fold(name))
    if other is None:
        return "", ""
    if other == name:
        return f"another name, for [{name}] is something else", ""
    return f"another name, for the variables of [{name}] would be those of [{other}]", ""


def _driven(
    named: Mapping[str, Shapes], families: Mapping[str, Shapes], schema: Schema, merged: Merged
) -> tuple[dict[str, Shapes], tuple[Finding, ...]]:
    """Give each section the shape of its driver, and report the drivers that nobody has."""
    driven: dict[str, Shapes] = {}
    astray: list[Finding] = []
    for name, (base,) in named.items():
        variants = {each.by: each for each in families[base.each] if each.by}
        spec = schema.get(name, base.driver_option)
        if spec is None:
            driven[name] = (base,)
            continue
        known = value_of(spec, merged, schema)
        driver = "" if known is None else _driver(spec, known.value)
        if driver in variants:
            driven[name] = (base, variants[driver])
        elif known is not None and (known.value is None or isinstance(inside(spec.type), Choice)):
            driven[name] = (base,)
        else:
            written = merged.values.get(name, {}).keys()
            driven[name] = (base, _undecided(base, variants.values(), written))
            astray += [] if known is None else [_no_driver(spec, known, driver, variants)]
    return driven, tuple(astray)


def _driver(spec: OptionSpec, value: object) -> str:
    return "" if value is None else spec.type.show(value)


def _undecided(
    base: SectionSpec, variants: Iterable[SectionSpec], written: Collection[str]
) -> SectionSpec:
    """Return the shape of a section whose driver is not known: what is written may be of any.

    So one mistake is not reported as several. Nothing is known of such an option, and nothing of it
    is shown.
    """
    options = {
        name: spec._replace(
            name=name, type=SecretType(Unchecked()), default=None, was=(), interpolate=False
        )
        for variant in variants
        for spec in variant.options.values()
        for name in (spec.name, *(old for _, old in spec.was))
        if name in written and name not in base.options
    }
    return base._replace(options=MappingProxyType(options))


def _no_driver(
    spec: OptionSpec, known: Known, driver: str, variants: Mapping[str, SectionSpec]
) -> Finding:
    expected = "a driver that is loaded, of which there is none"
    if variants:
        expected = Choice({each: each for each in variants}).describe()
    refused = Refused("not-a-choice", expected, quote(driver), among=tuple(variants))
    if known.tainted:
        spec = spec._replace(type=SecretType(spec.type))
    return refusal(spec, Raw(driver, known.origin or _DECLARED), refused)


def _made(named: Mapping[str, Shapes], schema: Schema) -> Iterator[SectionSpec]:
    for name, shapes in named.items():
        yield _shaped(name, shapes, schema)


def _shaped(name: str, shapes: Shapes, schema: Schema) -> SectionSpec:
    """Make a section of the options of its shapes, of which the later say it better."""
    optional = shapes[0].optional or schema.dialect != NATIVE
    options = {
        option: spec._replace(
            section=name,
            optional=optional,
            was=tuple((name, old) for section, old in spec.was if section == shape.name),
        )
        for shape in shapes
        for option, spec in shape.options.items()
    }
    return SectionSpec(name, shapes[-1].doc, optional, MappingProxyType(options))


def _absent(named: Mapping[str, Shapes], merged: Merged) -> Iterator[Finding]:
    for name, (base, *_) in named.items():
        if name not in merged.sections and not merged.has(name):
            message = f"There is no section [{name}], which {_label(base.each)} names."
            yield Finding("warning", "missing-section", message, section=name)


def _label(key: str) -> str:
    return label(*split_key(key))


def _means_another(unknown: Finding, resolved: Resolved) -> bool:
    """Whether a section nobody declares is surely another one, misspelt."""
    name, meant = (unknown.section or "").strip(), unknown.suggestion
    if meant is None:
        return False
    if meant.casefold() == name.casefold():
        return True
    return meant in resolved.named and meant not in resolved.merged.sections


def _fitting(written: Iterable[str], families: Mapping[str, Shapes]) -> str:
    """Return which option could have named a section of these options; empty if none could."""
    written = set(written)
    for key, (base, *variants) in families.items():
        for shapes in ((base,), *((base, each) for each in variants)):
            specs = [spec for shape in shapes for spec in shape.options.values()]
            names = {name for spec in specs for name in (spec.name, *(old for _, old in spec.was))}
            if written and written <= names:
                return key
    return ""
