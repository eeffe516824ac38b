"""From a class of options to what is known of its section.

Done once for each class, when it is first asked for. Knows nothing of the other sections.
"""

from collections.abc import Mapping
from types import MappingProxyType

from bedplate.config.hints import narrow, type_of
from bedplate.config.names import DEFAULT, is_header, is_section_name, key_of, split_key
from bedplate.config.option import Declared, Required, SectionType
from bedplate.config.specs import OptionSpec, SectionSpec
from bedplate.config.types import Refused, Type, UrlType
from bedplate.config.types.around import inside
from bedplate.errors import SchemaError

__all__ = ["describe", "parts"]

_TAKEN_FLAGS = frozenset({"--help", "--version", "--config-file", "--config-dir", "--check-config"})


def describe(cls: SectionType, name: str | None = None) -> SectionSpec:
    """Compile one class into a description, under its own section name or another.

    Under another name it keeps the old names of its own section only.

    Raises `SchemaError`, naming class and option, for a declaration that makes no sense.
    """
    section = cls.section_name if name is None else name
    known = cls.section_described.get(section)
    if isinstance(known, SectionSpec):
        return known
    if not is_section_name(section):
        why = f"{section!r} is no name for a section: letters, digits and single signs of '_.-'"
        raise SchemaError(where=cls.__qualname__, why=why)
    if section != DEFAULT and section.upper() == DEFAULT:
        raise SchemaError(
            where=cls.__qualname__, why="the section of bare names is spelled DEFAULT"
        )
    hints = _hints(cls)
    options = {
        option: _option(cls, section, option, declared, hints)
        for option, declared in cls.section_options.items()
    }
    spec = SectionSpec(section, _doc(cls), cls.section_optional, MappingProxyType(options))
    if cls.section_each:
        spec = _shape(cls, spec)
    cls.section_described[section] = spec
    return spec


def parts(cls: SectionType, name: str | None) -> tuple[SectionSpec, ...]:
    """Compile what a class says of a schema: a section, and of a variant what all have first.

    A variant's own part has what it adds and what it says otherwise.
    """
    spec = describe(cls, name)
    if not cls.section_when:
        return (spec,)
    family = cls.section_family
    common = describe(family)
    own = {
        option: each
        for option, each in spec.options.items()
        if cls.section_options[option] is not family.section_options.get(option)
        or each.annotation != common.options[option].annotation
    }
    return common, spec._replace(options=MappingProxyType(own))


def _shape(cls: SectionType, spec: SectionSpec) -> SectionSpec:
    """Describe the sections that an option names."""
    by = cls.section_by
    if spec.name == DEFAULT:
        raise SchemaError(where=cls.__qualname__, why="there is one [DEFAULT]: none can be named")
    if by and (by not in spec.options or spec.options[by].secret):
        raise SchemaError(
            where=cls.__qualname__, why=f"by={by!r} is no option of it that may be shown"
        )
    each = key_of(*split_key(cls.section_each))
    return spec._replace(each=each, by=cls.section_when, driver_option=by)


def _hints(cls: SectionType) -> Mapping[str, object]:
    from typing import ClassVar, get_origin, get_type_hints

    try:
        hints = get_type_hints(cls, include_extras=True)
    except Exception as error:
        why = f"its annotations cannot be resolved: {error}; define what they name at module level"
        raise SchemaError(where=cls.__qualname__, why=why) from error
    for name, hint in hints.items():
        if name in cls.section_options or name.startswith("_"):
            continue
        if hint is not ClassVar and get_origin(hint) is not ClassVar:
            why = "an annotated name of a Section is an option: write = option(default=…)"
            raise SchemaError(where=f"{cls.__qualname__}.{name}", why=why)
    return hints


def _doc(cls: SectionType) -> str:
    text = cls.__dict__.get("__doc__") or ""
    return " ".join(text.split("\n\n")[0].split())


def _option(
    cls: SectionType, section: str, name: str, declared: Declared, hints: Mapping[str, object]
) -> OptionSpec:
    where = f"{cls.__qualname__}.{name}"
    if name not in hints:
        raise SchemaError(where=where, why="an option needs an annotation: name: int = option(…)")
    if section == DEFAULT and f"--{name.replace('_', '-')}" in _TAKEN_FLAGS:
        raise SchemaError(where=where, why="every program has a flag of this name already")
    default = declared.default
    try:
        type_ = type_of(hints[name])
        type_ = narrow(type_, minimum=declared.min, maximum=declared.max, choices=declared.choices)
        if not isinstance(default, Required):
            default = type_.accept(default)
    except Refused as refused:
        what = "default and choices" if declared.choices else "default"
        why = f"the {what} {refused}"
        raise SchemaError(where=where, why=why) from None
    except (TypeError, ValueError) as error:
        raise SchemaError(where=where, why=str(error)) from None
    return OptionSpec(
        section,
        name,
        type_,
        default,
        " ".join(declared.help.split()),
        declared.mutable,
        cls.section_optional,
        _old_names(cls, where, section, declared),
        declared.deprecated,
        declared.since,
        declared.advanced,
        declared.sample,
        _interpolates(type_) if declared.interpolate is None else declared.interpolate,
        cls.__qualname__,
        hints[name],
        flagless=bool(cls.section_each),
    )


def _old_names(
    cls: SectionType, where: str, section: str, declared: Declared
) -> tuple[tuple[str, str], ...]:
    names = []
    for old in declared.was:
        old_section, dot, option = old.rpartition(".")
        if not option or (dot and not is_header(old_section)):
            why = f"the old name {old!r} is neither 'section.name' nor 'name'"
            raise SchemaError(where=where, why=why)
        if cls.section_each and dot:
            why = f"the old name {old!r} would be that of many; without a section it is of each"
            raise SchemaError(where=where, why=why)
        # What once stood in another section can have one successor: the class's own section,
        # not each one that the class is bound to besides.
        if not dot or section == cls.section_name:
            names.append((old_section if dot else section, option))
    return tuple(names)


def _interpolates(type_: Type) -> bool:
    """Whether texts of a type refer to other options by themselves: not where passwords stand."""
    return not type_.secret and not isinstance(inside(type_), UrlType)
