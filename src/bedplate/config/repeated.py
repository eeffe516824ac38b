"""Sections that an option names: ``enabled_backends = fast, slow`` and [fast], [slow].

They have the shape of one section that the schema describes, of which an option of theirs may pick
a variant. Options of fixed sections are read first, then names, then drivers. Pure: trees and a
schema in; a schema that knows the names, and what was merged under it, out.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from bedplate.config.convert import convert
from bedplate.config.judge import nearest
from bedplate.config.merge import Merged, Pins, merge, pin
from bedplate.config.notes import about, note
from bedplate.config.schema import (
    NATIVE,
    OptionSpec,
    Schema,
    SectionSpec,
    fold,
    split_key,
)
from bedplate.config.tree import Origin, Tree
from bedplate.config.types import Dict, List, Multi, OptionalType
from bedplate.errors import Finding, SchemaError

__all__ = ["Resolved", "resolve", "unnamed"]

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.\-]*[A-Za-z0-9])?")
_NOT_SET = Origin("default", "declared default")


class Resolved(NamedTuple):
    """A schema with the sections that were named, and what is merged under its names.

    ``repeated`` has the shape of each section that was named, in the order of the names. ``shapes``
    are all there are. ``remarks`` are those of merging, ``findings`` those about names and drivers.
    """

    schema: Schema
    merged: Merged
    remarks: tuple[Finding, ...]
    repeated: Mapping[str, SectionSpec]
    shapes: tuple[SectionSpec, ...]
    findings: tuple[Finding, ...]


def resolve(trees: Iterable[Tree], schema: Schema, pins: Pins | None = None) -> Resolved:
    """Merge, find out which sections are named, and merge again under their names.

    Raises `SchemaError` for a shape whose owner is no list of a fixed section.
    """
    trees, pins = tuple(trees), pins or {}
    shapes = tuple(each for each in schema.sections.values() if each.each)
    native = schema.dialect == NATIVE
    # What a class describes is a shape and nothing else; in option sets of oslo.config it is a
    # section besides.
    fixed = [each for each in schema.sections.values() if not (native and each.each)]
    if shapes and native:
        schema = Schema(fixed)
    merged, remarks = merge(trees, schema)
    merged = pin(merged, pins)
    repeated: dict[str, SectionSpec] = {}
    findings = [] if not shapes else list(_naming(shapes, schema, merged, repeated))
    if not repeated:
        return Resolved(schema, merged, remarks, repeated, shapes, tuple(findings))
    made = {name: _shaped(shape, name, schema) for name, shape in repeated.items()}
    if native and any(shape.drivers for shape in repeated.values()):
        merged = pin(merge(trees, Schema((*fixed, *made.values())))[0], pins)
        findings += _pick(made, repeated, fixed, merged)
    schema = Schema((*fixed, *made.values()), dialect=schema.dialect)
    merged, remarks = merge(trees, schema)
    merged = pin(merged, pins)
    for name, shape in repeated.items():
        if name not in merged.sections and not merged.has(name):
            owner = "[{}] {}".format(*split_key(shape.each))
            message = f"There is no section [{name}], which {owner} names."
            findings.append(Finding("warning", "missing-section", message, section=name))
    return Resolved(schema, merged, remarks, repeated, shapes, tuple(findings))


def unnamed(
    findings: Iterable[Finding], merged: Merged, shapes: Iterable[SectionSpec]
) -> Iterator[Finding]:
    """Put a warning in the place of the error about a section that only nobody named.

    That is one whose options all belong to one shape: what is switched off is often kept.
    """
    shapes = tuple(shapes)
    for finding in findings:
        section = finding.section or ""
        written = merged.values.get(section, {}).keys()
        fitting = [each for each in shapes if written and written <= each.options.keys()]
        if finding.code != "unknown-section" or finding.suggestion or not fitting:
            yield finding
            continue
        owner = "[{}] {}".format(*split_key(fitting[0].each))
        message = f"Nothing uses the section [{section}]: {owner} does not name it."
        yield finding._replace(severity="warning", code="unnamed-section", message=message)


def _naming(
    shapes: Iterable[SectionSpec],
    schema: Schema,
    merged: Merged,
    repeated: dict[str, SectionSpec],
) -> Iterator[Finding]:
    """Fill in the names, and report those that cannot be."""
    taken = {fold(name): name for name in (*schema.old_sections, *schema.sections)}
    for shape in shapes:
        owner = _owner(shape, schema)
        if owner is None:
            continue
        raws = merged.get(owner.section, owner.name)
        origin = raws[0].origin if raws else _NOT_SET
        for name in _names(shape, owner, merged, schema):
            if repeated.get(name) is shape:
                continue
            if schema.dialect != NATIVE:
                if name not in schema.sections:
                    repeated.setdefault(name, shape)
                continue
            why = _wrong(name, taken)
            if why:
                yield about(owner, origin, "error", "section-name", f"names {name!r}, {why}")
                continue
            taken[fold(name)] = name
            repeated[name] = shape


def _wrong(name: str, taken: Mapping[str, str]) -> str:
    """Say why a section cannot be called so; empty if it can."""
    if not _NAME.fullmatch(name) or "__" in fold(name):
        return "which is no name for a section: letters, digits and single signs of '_.-'."
    other = taken.get(fold(name))
    if other is None:
        return ""
    if other == name:
        return f"but there is a section [{name}] of another kind; choose another name."
    return f"which would share its environment variables with [{other}]; choose another name."


def _owner(shape: SectionSpec, schema: Schema) -> OptionSpec | None:
    owner = schema.get(*split_key(shape.each))
    if schema.dialect != NATIVE:
        return owner
    if owner is None:
        why = f"each={shape.each!r} is no option of a fixed section; load that section as well"
        raise SchemaError(where=f"[{shape.name}]", why=why)
    type_ = owner.type.inner if isinstance(owner.type, OptionalType) else owner.type
    if not isinstance(type_, List | Multi | Dict):
        why = f"each={shape.each!r} is {type_.describe()}, and must be a list of names"
        raise SchemaError(where=f"[{shape.name}]", why=why)
    return owner


def _names(shape: SectionSpec, owner: OptionSpec, merged: Merged, schema: Schema) -> Iterator[str]:
    # What is wrong with the value is reported where everything is converted.
    values = convert(merged, schema, prefix="", only={owner.section}).values
    named = values.get(owner.section, {}).get(owner.name)
    if named is None and not merged.get(owner.section, owner.name):
        named = owner.default
    if isinstance(named, Mapping):
        yield from (str(name) for name, by in named.items() if shape.by in ("", by))
    elif isinstance(named, list | tuple):
        yield from map(str, named)


def _shaped(shape: SectionSpec, name: str, schema: Schema) -> SectionSpec:
    optional = shape.optional or schema.dialect != NATIVE
    options = {
        option: spec._replace(
            section=name,
            optional=optional,
            flagless=True,
            was=tuple((name, old) for section, old in spec.was if section == shape.name),
        )
        for option, spec in shape.options.items()
    }
    return SectionSpec(name, shape.doc, optional, MappingProxyType(options))


def _pick(
    made: dict[str, SectionSpec],
    repeated: Mapping[str, SectionSpec],
    fixed: list[SectionSpec],
    merged: Merged,
) -> Iterator[Finding]:
    """Leave each section the options of its own driver, and report drivers that nobody has."""
    values = convert(
        merged, Schema((*fixed, *made.values())), prefix="", only=frozenset(made)
    ).values
    for name, shape in repeated.items():
        if not shape.drivers:
            continue
        driver = values.get(name, {}).get(shape.driver_option)
        special = {option for names in shape.drivers.values() for option in names}
        own = shape.drivers.get(str(driver))
        options = made[name].options
        if own is not None:
            kept = {key: options[key] for key in options if key not in special or key in own}
        else:
            # Which of them are right is not known: one mistake is not reported as several.
            kept = {
                key: spec._replace(default=None) if key in special and spec.required else spec
                for key, spec in options.items()
            }
        made[name] = made[name]._replace(options=MappingProxyType(kept))
        if own is None and driver is not None:
            raws = merged.get(name, shape.driver_option)
            origin = raws[0].origin if raws else _NOT_SET
            yield _no_driver(options[shape.driver_option], str(driver), shape, origin)


def _no_driver(spec: OptionSpec, driver: str, shape: SectionSpec, origin: Origin) -> Finding:
    suggestion = nearest(driver, shape.drivers)
    among = ", ".join(map(repr, sorted(shape.drivers)))
    got = "" if spec.secret else f", not {driver!r}"
    advice = f" Did you mean {suggestion!r}?" if suggestion else ""
    return note(
        "error",
        "not-a-choice",
        f"[{spec.section}] {spec.name} must be one of {among}{got}.{advice}",
        section=spec.section,
        option=spec.name,
        origin=origin,
        suggestion=suggestion,
    )
