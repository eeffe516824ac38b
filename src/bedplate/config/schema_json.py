"""A schema as JSON Schema, draft 2020-12, and back.

What JSON Schema can say is said in its words, for editors and other tools; all that we know stands
in ``x-bedplate`` beside it, and only that is read back. Knows nothing of files.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from bedplate.config.names import DEFAULT, key_of
from bedplate.config.option import REQUIRED
from bedplate.config.reading import Facts
from bedplate.config.schema import NATIVE, OSLO, Schema
from bedplate.config.specs import WITHHELD, OptionSpec, SectionSpec, Unresolved
from bedplate.config.type_json import native_of, type_from_json, type_to_json
from bedplate.config.types import Refused, Type, read
from bedplate.errors import NotASchema, SchemaError

__all__ = ["from_json", "to_json"]

_DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
_FORMAT: Final = 1
_FACTS: Final = "x-bedplate"


def to_json(schema: Schema) -> dict[str, object]:
    """Return the document. Secrets, and what would show a password, are not in it."""
    old: dict[str, dict[str, OptionSpec]] = {}
    for (section, name), spec in schema.renames.items():
        old.setdefault(section, {})[name] = spec
    sections = {
        section.name: _section(section, old.pop(section.name, {}))
        for section in schema.sections.values()
    }
    sections |= {
        name: {**_object(_old_options(options)), _FACTS: {"gone": True}}
        for name, options in old.items()
    }
    needed = [
        name
        for name, section in schema.sections.items()
        if not (section.optional or section.each)
        and any(spec.required for spec in section.options.values())
    ]
    document = {"$schema": _DRAFT, **_object(sections, needed)}
    # A section that an option names may be called anything.
    if any(section.each for section in schema.sections.values()):
        document["additionalProperties"] = {"type": "object"}
    return {**document, _FACTS: {"format": _FORMAT, "dialect": schema.dialect}}


def from_json(document: object, name: str) -> Schema:
    """Read a document back; ``name`` is for messages. Raises `NotASchema`."""
    whole = Facts(document, name)
    about = whole.inner(_FACTS)
    if about.facts.get("format") != _FORMAT:
        raise NotASchema(
            name=name,
            why=f"its {_FACTS}.format is not {_FORMAT}: it was written by another version of "
            f"bedplate, or by something else",
        )
    dialect = about.text("dialect")
    if dialect not in (NATIVE, OSLO):
        about.refuse("dialect", f"neither {NATIVE} nor {OSLO}")
    sections = [
        _read_section(facts.insist_on_name(section), facts, dialect)
        for section, facts in whole.each("properties")
        if not facts.inner(_FACTS).flag("gone")
    ]
    try:
        return Schema(sections, dialect=dialect)
    except SchemaError as error:
        why = str(error)
    raise NotASchema(name=name, why=why)


def _object(
    properties: Mapping[str, object], required: list[str] | None = None
) -> dict[str, object]:
    needed = {"required": required} if required else {}
    return {
        "type": "object",
        "properties": dict(properties),
        **needed,
        "additionalProperties": False,
    }


def _section(section: SectionSpec, old: Mapping[str, OptionSpec]) -> dict[str, object]:
    options = {name: _option(section, spec) for name, spec in section.options.items()}
    required = [name for name, spec in section.options.items() if spec.required]
    facts: dict[str, object] = {
        "optional": section.optional,
        "each": section.each,
        "by": section.by,
        "driver_option": section.driver_option,
        "drivers": {driver: list(names) for driver, names in section.drivers.items()},
    }
    said = {"description": section.doc} if section.doc else {}
    kept = {key: value for key, value in facts.items() if value}
    return {**said, **_object(options | _old_options(old), required), _FACTS: kept}


def _old_options(old: Mapping[str, OptionSpec]) -> dict[str, object]:
    return {
        name: {
            "description": f"Now {spec.key}.",
            "deprecated": True,
            _FACTS: {"now": key_of(spec.section, spec.name)},
        }
        for name, spec in old.items()
    }


def _option(section: SectionSpec, spec: OptionSpec) -> dict[str, object]:
    said: dict[str, object] = {"description": spec.help} if spec.help else {}
    said |= spec.type.json_schema()
    facts: dict[str, object] = {"type": type_to_json(spec.type)}
    if isinstance(spec.default, Unresolved) and not spec.secret:
        facts["unresolved"] = spec.default.text
    elif spec.hides_default:
        facts["withheld"] = True
    elif not spec.required:
        said["default"] = native_of(spec.type, spec.default)
    if spec.deprecated:
        said["deprecated"] = True
    facts |= {key: value for key, value in _plain_facts(spec).items() if value}
    if spec.optional != section.optional:
        facts["optional"] = spec.optional
    if spec.interpolate == spec.secret:
        facts["interpolate"] = spec.interpolate
    return {**said, _FACTS: facts}


def _plain_facts(spec: OptionSpec) -> dict[str, object]:
    return {
        "mutable": spec.mutable,
        "was": [list(old) for old in spec.was],
        "deprecated": spec.deprecated,
        "since": spec.since,
        "advanced": spec.advanced,
        "sample": spec.sample,
        "owner": spec.owner,
    }


def _read_section(name: str, facts: Facts, dialect: str) -> SectionSpec:
    about = facts.inner(_FACTS)
    optional, each = about.flag("optional"), about.text("each")
    # Which options of oslo.config are flags of their programs, nobody says.
    flagless = bool(each) or dialect == OSLO
    required = frozenset(map(str, facts.items("required")))
    options = {
        found.insist_on_name(option): _read_option(
            name, option, found, optional=optional, required=option in required
        )._replace(flagless=flagless)
        for option, found in facts.each("properties")
        if not found.inner(_FACTS).has("now")
    }
    drivers = about.inner("drivers")
    return SectionSpec(
        name,
        facts.text("description"),
        optional,
        MappingProxyType(options),
        each,
        about.text("by"),
        about.text("driver_option"),
        MappingProxyType(
            {str(driver): tuple(map(str, drivers.items(str(driver)))) for driver in drivers.facts}
        ),
    )


def _read_option(
    section: str, name: str, facts: Facts, *, optional: bool, required: bool
) -> OptionSpec:
    about = facts.inner(_FACTS)
    type_ = type_from_json(about.facts.get("type"), about)
    return OptionSpec(
        section,
        name,
        type_,
        REQUIRED if required else _read_default(type_, facts, about),
        facts.text("description"),
        about.flag("mutable"),
        about.flag("optional") if about.has("optional") else optional,
        tuple(_read_old_names(about)),
        about.text("deprecated"),
        about.text("since"),
        about.flag("advanced"),
        about.text("sample"),
        about.flag("interpolate") if about.has("interpolate") else not type_.secret,
        about.text("owner"),
    )


def _read_default(type_: Type, facts: Facts, about: Facts) -> object:
    if about.flag("withheld"):
        return WITHHELD
    if about.has("unresolved"):
        return Unresolved(about.text("unresolved"))
    default = facts.facts.get("default")
    if default is None:
        return None
    try:
        return read(type_, default)
    except Refused as refused:
        expected = refused.expected
    raise NotASchema(name=facts.file, why=f"{facts.where}.default must be {expected}")


def _read_old_names(about: Facts) -> Iterator[tuple[str, str]]:
    for old in about.items("was"):
        match old:
            case [str(section), str(name)]:
                yield section or DEFAULT, name
            case _:
                about.refuse("was", "no list of pairs of section and option")
