"""Sections that an option names: ``enabled_backends = fast, slow`` and [fast], [slow].

They have the shape of one section that the schema describes. Pure: a schema and what was written
in, a schema that knows their names out.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from bedplate.config.merge import Merged
from bedplate.config.schema import Schema, SectionSpec, split_key
from bedplate.config.types import Refused, read
from bedplate.errors import Finding

__all__ = ["with_repeated"]


def with_repeated(schema: Schema, merged: Merged) -> tuple[Schema, tuple[Finding, ...] | None]:
    """Return a schema with the sections that were named, and a warning for each not written.

    None in place of the warnings says that nothing is named, and the schema is the same.
    """
    made: list[SectionSpec] = []
    findings: list[Finding] = []
    for shape in schema.sections.values():
        for name in _names(shape, schema, merged) if shape.each else ():
            if name in schema.sections:
                continue
            made.append(_shaped(shape, name))
            if name not in merged.sections:
                owner = "[{}] {}".format(*split_key(shape.each))
                message = f"There is no section [{name}], which {owner} names."
                findings.append(Finding("warning", "missing-section", message, section=name))
    if not made:
        return schema, None
    return Schema((*schema.sections.values(), *made), dialect=schema.dialect), tuple(findings)


def _names(shape: SectionSpec, schema: Schema, merged: Merged) -> Iterator[str]:
    owner = schema.get(*split_key(shape.each))
    if owner is None:
        return
    raws = merged.get(owner.section, owner.name)
    try:
        named = read(owner.type, raws[0].value) if raws else owner.default
    except Refused:
        return  # it is reported where the option is converted
    if isinstance(named, Mapping):
        yield from (str(name) for name, by in named.items() if shape.by in ("", by))
    elif isinstance(named, list | tuple):
        yield from map(str, named)


def _shaped(shape: SectionSpec, name: str) -> SectionSpec:
    options = {
        option: spec._replace(
            section=name,
            optional=True,
            was=tuple((name, old) for section, old in spec.was if section == shape.name),
        )
        for option, spec in shape.options.items()
    }
    return shape._replace(
        name=name, optional=True, options=MappingProxyType(options), each="", by=""
    )
