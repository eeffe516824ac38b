"""The compiled description of a configuration: what options there are, and everything about them.

Loading, checking, help, documents and migration read these values and never Python types. A
schema is immutable; one with another section in it is another schema. It knows nothing of sources
or of the values people set.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final, NamedTuple

from bedplate._floor.secret import MASK
from bedplate.config.hints import narrow, type_of
from bedplate.config.option import Declared, Required, SectionType
from bedplate.config.tree import Flag
from bedplate.config.types import (
    Boolean,
    Choice,
    OptionalType,
    Refused,
    SecretType,
    Type,
    Unchecked,
    UrlType,
)
from bedplate.errors import SchemaError

__all__ = [
    "DEFAULT",
    "NATIVE",
    "OSLO",
    "WITHHELD",
    "OptionSpec",
    "Schema",
    "SectionSpec",
    "Unresolved",
    "Withheld",
    "describe",
    "fold",
    "is_section_name",
    "key_of",
    "split_key",
]

DEFAULT = "DEFAULT"
"""The section whose options are called by their bare names."""

NATIVE = "native"
"""The dialect of schemas made of our own sections."""

OSLO = "oslo"
"""The dialect of the option sets of services that use oslo.config."""

_SECTION_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.\-]*[A-Za-z0-9])?")
_NOT_A_WORD = re.compile(r"[^A-Za-z0-9]")
_TAKEN_FLAGS = frozenset({"--help", "--version", "--config-file", "--config-dir", "--check-config"})


def fold(name: str) -> str:
    """Spell a name as in the environment: upper case, every other sign an underscore."""
    if not (name.isascii() and name.isidentifier()):  # else there is nothing to replace
        name = _NOT_A_WORD.sub("_", name)
    return name.upper()


def is_section_name(name: str) -> bool:
    """Whether a section can be called so: as a header, and with ``__`` behind it in a variable."""
    return _SECTION_NAME.fullmatch(name) is not None and "__" not in fold(name)


def key_of(section: str, option: str) -> str:
    """Call an option as people do: ``api.workers``, and ``debug`` for one of DEFAULT."""
    return option if section == DEFAULT else f"{section}.{option}"


def split_key(key: str) -> tuple[str, str]:
    """Take ``api.workers`` or ``debug`` apart into section and option."""
    section, dot, option = key.rpartition(".")
    return (section, option) if dot else (DEFAULT, key)


class Withheld(Enum):
    """A default that is there and is not told: that of a secret, in a schema read from a file."""

    WITHHELD = "withheld"

    def __repr__(self) -> str:
        return self.name


WITHHELD: Final = Withheld.WITHHELD
"""Stands where a default would that nobody may see."""


class Unresolved(NamedTuple):
    """A default that stands as text: it refers to other options, or its own type refuses it."""

    text: str


class OptionSpec(NamedTuple):
    """All that is known of one option.

    ``default`` is a checked value, ``REQUIRED``, `Unresolved` text or ``WITHHELD``;
    `default_text` shows any of them. ``was`` holds old names as section and option. ``optional``
    says that it is not asked for while nothing of its section is set. ``owner`` says in which
    class or by whom it is declared, for messages. ``annotation`` is what a class says of its type
    and None where there is no class. ``flagless`` says that its section is named by an option, and
    flags are read before that.
    """

    section: str
    name: str
    type: Type
    default: object
    help: str
    mutable: bool
    optional: bool
    was: tuple[tuple[str, str], ...]
    deprecated: str
    since: str
    advanced: bool
    sample: str
    interpolate: bool
    owner: str
    annotation: object = None
    flagless: bool = False

    @property
    def key(self) -> str:
        """What people call it: ``api.workers``, and ``debug`` for one of DEFAULT."""
        return key_of(self.section, self.name)

    @property
    def secret(self) -> bool:
        """Whether its value must never be shown."""
        return self.type.secret

    @property
    def required(self) -> bool:
        """Whether somebody must set it."""
        return isinstance(self.default, Required)

    @property
    def unchecked(self) -> bool:
        """Whether nothing of its value can be checked, for only its own program reads it."""
        return isinstance(_innermost(self.type), Unchecked)

    @property
    def hides_default(self) -> bool:
        """Whether its default would show what must not be seen: a secret, a password in a URL."""
        if self.default is None or isinstance(self.default, Required):
            return False
        if self.secret or isinstance(self.default, Withheld):
            return True
        if isinstance(self.default, Unresolved):
            return False
        return self.type.show(self.default) != self.type.show(self.default, reveal=True)

    @property
    def default_text(self) -> str | None:
        """Its default as text, masked for a secret; None where there is none."""
        if self.default is None or isinstance(self.default, Required):
            return None
        if self.secret or isinstance(self.default, Withheld):
            return MASK
        if isinstance(self.default, Unresolved):
            return self.default.text
        return self.type.show(self.default)

    @property
    def is_bool(self) -> bool:
        """Whether its flag is a switch."""
        return isinstance(_innermost(self.type), Boolean)

    @property
    def flag(self) -> str | None:
        """Its flag, ``--api.max-rows``.

        None for a secret, which a process list would show, and in sections that an option names.
        """
        return None if self.flagless or self.type.secret else f"--{self.key.replace('_', '-')}"

    def variable(self, prefix: str) -> str:
        """Return its environment variable: ``INVENTORY_API__WORKERS``."""
        return f"{prefix}_{fold(self.section)}__{fold(self.name)}"

    def agrees_with(self, other: "OptionSpec") -> bool:
        """Whether another declaration of the same name, in the same section, says the same."""
        if self is other:
            return True
        mine = self._replace(optional=False, owner="")
        return mine == other._replace(optional=False, owner="")


class SectionSpec(NamedTuple):
    """All that is known of one section; several classes may have contributed to it.

    ``each`` is the key of the option that names sections of this shape (``enabled_backends``),
    empty for a section that stands for itself. ``by`` is the driver that picks this shape among
    several; empty, it takes all names. The driver is the value of the option ``driver_option`` in
    the section that is named, whose shape is then that of ``by`` beside that of all; or, without
    such an option, what stands with the name in a dictionary of the option ``each``.

    ``drivers`` is what oslo.config's generator has instead: by the value of ``driver_option``, the
    options of this section that one driver only has.
    """

    name: str
    doc: str
    optional: bool
    options: Mapping[str, OptionSpec]
    each: str = ""
    by: str = ""
    driver_option: str = ""
    drivers: Mapping[str, tuple[str, ...]] = MappingProxyType({})


class Schema:
    """Sections and their options, checked against each other. Immutable.

    ``dialect`` is ``native`` for what is declared here, and ``oslo`` for the option sets of
    services that use oslo.config. Those do not contradict themselves in our sense: of two options
    with one old name the first has it, a live name is never an old one, there are no flags, and
    section names are understood in any case. Equality compares all that is described.

    ``renames`` maps an old section and option to the option that replaces it.
    """

    __slots__ = ("_folded", "dialect", "old_sections", "renames", "sections")

    sections: Mapping[str, SectionSpec]
    renames: Mapping[tuple[str, str], OptionSpec]
    old_sections: frozenset[str]

    def __init__(self, sections: Iterable[SectionSpec] = (), *, dialect: str = NATIVE) -> None:
        """Put sections together. Raises `SchemaError` where they contradict each other."""
        self.dialect = dialect
        merged: dict[str, SectionSpec] = {}
        for section in sections:
            known = merged.get(section.name)
            merged[section.name] = section if known is None else _joined(known, section)
        self.sections = MappingProxyType(merged)
        self.renames = MappingProxyType(_renames(self))
        self.old_sections = frozenset(section for section, _ in self.renames)
        # Names of option sets may clash, and only an environment asks for them.
        self._folded = MappingProxyType(_folded(self)) if dialect == NATIVE else None
        _refuse_flags(self)

    @classmethod
    def of(cls, classes: Iterable[SectionType]) -> "Schema":
        """Compile classes, each under its own name. Raises `SchemaError`."""
        return cls(spec for each in classes for spec in _parts(each, None))

    @property
    def folded(self) -> Mapping[tuple[str, str], tuple[str, str]]:
        """The exact section and option, by the folded spelling of each live and old name."""
        if self._folded is None:
            self._folded = MappingProxyType(_folded(self))
        return self._folded

    @property
    def flags(self) -> Mapping[str, Flag]:
        """What each flag sets, by its spelling; there are none in the ``oslo`` dialect."""
        specs = self if self.dialect == NATIVE else ()
        flags = ((spec.flag, Flag(spec.section, spec.name, spec.is_bool)) for spec in specs)
        return MappingProxyType({spelled: flag for spelled, flag in flags if spelled is not None})

    def adding(self, cls: SectionType, name: str | None = None) -> "Schema":
        """Return a schema that holds this class as well, under ``name`` if one is given."""
        return Schema((*self.sections.values(), *_parts(cls, name)), dialect=self.dialect)

    def get(self, section: str, option: str) -> OptionSpec | None:
        """Return what is known of an option, None if nothing is."""
        known = self.sections.get(section)
        return known.options.get(option) if known else None

    def has(self, cls: SectionType, name: str | None = None) -> bool:
        """Whether all that a class says is in this schema already."""
        return all(map(self._has, _parts(cls, name)))

    def _has(self, section: SectionSpec) -> bool:
        known = self.sections.get(section.name)
        if known is section:  # it is described once, and most often by one class
            return True
        return (
            known is not None
            and _naming(section) == _naming(known)
            and all(
                option.name in known.options and known.options[option.name].agrees_with(option)
                for option in section.options.values()
            )
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Schema):
            return NotImplemented
        return self.dialect == other.dialect and _facts(self) == _facts(other)

    def __hash__(self) -> int:
        return hash((self.dialect, *self.sections))

    def __iter__(self) -> Iterator[OptionSpec]:
        for section in self.sections.values():
            yield from section.options.values()

    def __len__(self) -> int:
        return sum(len(section.options) for section in self.sections.values())

    def __repr__(self) -> str:
        return f"Schema({len(self)} options in {len(self.sections)} sections)"


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


def _parts(cls: SectionType, name: str | None) -> tuple[SectionSpec, ...]:
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


def _naming(section: SectionSpec) -> tuple[str, str, str]:
    """Return by what sections of a shape are named, and by what it is picked among several."""
    return section.each, section.by, section.driver_option


def _facts(schema: Schema) -> list[tuple[object, ...]]:
    """Return what is described, without what only the program knows: classes and secrets."""
    return [
        (*section._replace(options=MappingProxyType({})), *map(_told, section.options.values()))
        for section in schema.sections.values()
    ]


def _told(spec: OptionSpec) -> OptionSpec:
    default = spec.default
    if isinstance(_innermost(spec.type), Choice) or spec.secret:
        default = default if isinstance(default, Required) else spec.default_text
    return spec._replace(default=default, annotation=None, flagless=False)  # so is its section


def _interpolates(type_: Type) -> bool:
    """Whether texts of a type refer to other options by themselves: not where passwords stand."""
    return not type_.secret and not isinstance(_innermost(type_), UrlType)


def _innermost(type_: Type) -> Type:
    while isinstance(type_, (OptionalType, SecretType)):
        type_ = type_.inner
    return type_


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
        if not option or (dot and not _SECTION_NAME.fullmatch(old_section)):
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


def _joined(one: SectionSpec, other: SectionSpec) -> SectionSpec:
    if _naming(one) != _naming(other):
        why = "two classes of it differ in each=, by= or when=; rename one"
        raise SchemaError(where=f"[{one.name}]", why=why)
    options = dict(one.options)
    for name, spec in other.options.items():
        known = options.get(name, spec)
        options[name] = known._replace(optional=known.optional and spec.optional)
        if not known.agrees_with(spec):
            raise SchemaError(
                where=f"{spec.owner}.{name}",
                why=f"[{one.name}] {name} is declared differently by {known.owner}; "
                f"two classes may share a section while their options are equal or disjoint",
            )
    return one._replace(
        doc=one.doc or other.doc,
        optional=one.optional and other.optional,
        options=MappingProxyType(options),
    )


def _renames(schema: Schema) -> dict[tuple[str, str], OptionSpec]:
    renames: dict[tuple[str, str], OptionSpec] = {}
    for spec in schema:
        for old in spec.was:
            live = schema.get(*old)
            if schema.dialect != NATIVE:
                if live is None:
                    renames.setdefault(old, spec)
                continue
            if live is not None:
                why = f"its old name {key_of(*old)!r} is the name of an option of {live.owner}"
                raise SchemaError(where=f"{spec.owner}.{spec.name}", why=why)
            other = renames.setdefault(old, spec)
            if other.key != spec.key:
                why = f"its old name {key_of(*old)!r} is also that of {other.key!r}"
                raise SchemaError(where=f"{spec.owner}.{spec.name}", why=why)
    return renames


def _folded(schema: Schema) -> dict[tuple[str, str], tuple[str, str]]:
    folded: dict[tuple[str, str], tuple[str, str]] = {}
    native = schema.dialect == NATIVE
    names = [((spec.section, spec.name), spec) for spec in schema]
    sections = {name: fold(name) for name in (*schema.sections, *schema.old_sections)}
    for exact, spec in (*names, *schema.renames.items()):
        if native and schema.sections[spec.section].each:
            continue  # a shape: the sections that have it have variables
        spelled = sections[exact[0]], fold(exact[1])
        other = folded.setdefault(spelled, exact)
        # Two old names of one option may share a variable: it means the same.
        if native and other is not exact and not _same_target(schema, other, exact):
            why = (
                f"{key_of(*exact)!r} and {key_of(*other)!r} would share the environment variable "
                f"…_{'__'.join(spelled)}; rename one"
            )
            raise SchemaError(where=f"{spec.owner}.{spec.name}", why=why)
    return folded


def _same_target(schema: Schema, one: tuple[str, str], other: tuple[str, str]) -> bool:
    first = schema.get(*one) or schema.renames[one]
    second = schema.get(*other) or schema.renames[other]
    return first.key == second.key


def _refuse_flags(schema: Schema) -> None:
    """Raise for flags that could mean either of two options."""
    flags: dict[str, OptionSpec] = {}
    for spec in schema if schema.dialect == NATIVE else ():
        flag = spec.flag
        other = spec if flag is None else flags.setdefault(flag, spec)
        if other is not spec:
            why = f"it would share the flag {flag} with {other.key!r}; rename one"
            raise SchemaError(where=f"{spec.owner}.{spec.name}", why=why)
    for flag, spec in flags.items():
        switch = flags.get(f"--{flag[5:]}") if flag.startswith("--no-") else None
        if switch is not None and switch.is_bool:
            why = f"its flag {flag} would also be what switches {switch.key!r} off"
            raise SchemaError(where=spec.key, why=why)
