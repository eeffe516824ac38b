"""Sections that an option of a service with oslo.config names.

There it is often a dictionary of names and kinds, or text that the program splits; and a section of
a pattern's own name may hold what counts for all. Pure: a schema and what is merged under it in,
the shapes of what is named out.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import reduce
from types import MappingProxyType

from bedplate.config.convert import convert, value_of
from bedplate.config.judge import nearest
from bedplate.config.merge import Merged
from bedplate.config.names import split_key
from bedplate.config.notes import about
from bedplate.config.schema import Schema
from bedplate.config.specs import OptionSpec, SectionSpec
from bedplate.errors import Finding

__all__ = ["named_in_oslo"]


def named_in_oslo(
    schema: Schema, merged: Merged
) -> tuple[dict[str, SectionSpec], tuple[Finding, ...]]:
    """Return the shape of each section that is named, and what is wrong with its kind."""
    shapes = tuple(each for each in schema.sections.values() if each.each)
    repeated: dict[str, SectionSpec] = {}
    for shape in shapes:
        owner = schema.get(*split_key(shape.each))
        for name in () if owner is None else _names(shape, owner, merged, schema):
            if name not in schema.sections:
                known = repeated.get(name)
                repeated[name] = shape if known is None else _both(known, shape)
    findings = tuple(_of_no_kind(shapes, schema, merged, repeated))
    return _falling_back(repeated, shapes, schema, merged), findings


def _names(shape: SectionSpec, owner: OptionSpec, merged: Merged, schema: Schema) -> Iterator[str]:
    named = _named(owner, merged, schema)
    if isinstance(named, Mapping):
        yield from (str(name) for name, by in named.items() if _is_kind(shape, str(by)))
    elif isinstance(named, list | tuple):
        yield from map(str, named)
    elif isinstance(named, str):  # some programs split their names themselves
        yield from filter(None, map(str.strip, named.split(",")))


def _named(owner: OptionSpec, merged: Merged, schema: Schema) -> object:
    # What is wrong with the value is reported where everything is converted.
    known = value_of(owner, merged, schema)
    if known is None and not merged.get(owner.section, owner.name):
        return owner.default  # which counts there though nothing of its section is written
    # Names and kinds stand in messages: one that a secret is put into must name nothing.
    return None if known is None or known.tainted else known.value


def _is_kind(shape: SectionSpec, kind: str) -> bool:
    # Stores of glance have a long name besides, after which the section is called.
    return shape.by in ("", kind) or kind.lower() == shape.name


def _of_no_kind(
    shapes: Iterable[SectionSpec],
    schema: Schema,
    merged: Merged,
    repeated: dict[str, SectionSpec],
) -> Iterator[Finding]:
    """Report sections that are named with a kind that nobody has; any of their options will do."""
    alike: dict[str, list[SectionSpec]] = {}
    for shape in shapes:
        alike.setdefault(shape.each, []).append(shape)
    for each, group in alike.items():
        owner = schema.get(*split_key(each))
        named = None if owner is None else _named(owner, merged, schema)
        if owner is None or not isinstance(named, Mapping):
            continue
        kinds = sorted(shape.by for shape in group)
        for name, kind in named.items():
            if any(_is_kind(shape, str(kind)) for shape in group):
                continue
            repeated.setdefault(str(name), reduce(_both, group))
            suggestion = nearest(str(kind), kinds)
            advice = f" Did you mean {suggestion!r}?" if suggestion else ""
            message = (
                f"says that {name!r} is {str(kind)!r}, and must say one of "
                f"{', '.join(map(repr, kinds))}.{advice}"
            )
            raws = merged.get(owner.section, owner.name)
            origin = raws[0].origin if raws else None
            yield about(owner, origin, "error", "not-a-choice", message, suggestion)


def _both(one: SectionSpec, other: SectionSpec) -> SectionSpec:
    """Join shapes, of which nobody says which one it is: what only one requires is not required."""
    options = dict(one.options)
    for name, spec in (*one.options.items(), *other.options.items()):
        everywhere = name in one.options and name in other.options
        loose = spec.required and not everywhere
        options.setdefault(name, spec)
        options[name] = options[name]._replace(default=None) if loose else options[name]
    return one._replace(options=MappingProxyType(options))


def _falling_back(
    repeated: Mapping[str, SectionSpec],
    shapes: Iterable[SectionSpec],
    schema: Schema,
    merged: Merged,
) -> dict[str, SectionSpec]:
    """Give the shapes as defaults what is written for all: in cinder's [backend_defaults]."""
    patterns = [shape.name for shape in shapes if merged.has(shape.name)]
    if not patterns:
        return dict(repeated)
    values, _, tainted = convert(merged, schema, prefix="", only=patterns)
    written = {
        (schema.sections[section].each, option): values[section][option]
        for section in patterns
        for option in merged.values[section]
        if option in values.get(section, {}) and (section, option) not in tainted
    }
    return {
        name: shape._replace(
            options=MappingProxyType(
                {
                    option: spec._replace(default=written.get((shape.each, option), spec.default))
                    for option, spec in shape.options.items()
                }
            )
        )
        for name, shape in repeated.items()
    }
