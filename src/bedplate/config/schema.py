"""The compiled description of a configuration: what sections there are, and that they agree.

A schema is immutable; one with another section in it is another schema. It knows nothing of sources
or of the values people set.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from types import MappingProxyType

from bedplate.config.describe import parts
from bedplate.config.names import fold, key_of
from bedplate.config.option import Required, SectionType
from bedplate.config.specs import OptionSpec, SectionSpec
from bedplate.config.tree import Flag
from bedplate.config.types import Choice
from bedplate.config.types.around import inside
from bedplate.errors import SchemaError

__all__ = ["NATIVE", "OSLO", "Schema"]

NATIVE = "native"
"""The dialect of schemas made of our own sections."""

OSLO = "oslo"
"""The dialect of the option sets of services that use oslo.config."""


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
        return cls(spec for each in classes for spec in parts(each, None))

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
        return Schema((*self.sections.values(), *parts(cls, name)), dialect=self.dialect)

    def get(self, section: str, option: str) -> OptionSpec | None:
        """Return what is known of an option, None if nothing is."""
        known = self.sections.get(section)
        return known.options.get(option) if known else None

    def has(self, cls: SectionType, name: str | None = None) -> bool:
        """Whether all that a class says is in this schema already."""
        return all(map(self._has, parts(cls, name)))

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
    if isinstance(inside(spec.type), Choice) or spec.secret:
        default = default if isinstance(default, Required) else spec.default_text
    return spec._replace(default=default, annotation=None, flagless=False)  # so is its section


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
    # Of a shape, the sections that have it have variables.
    shapes = {name for name, section in schema.sections.items() if native and section.each}
    sections = {name: fold(name) for name in (*schema.sections, *schema.old_sections)}
    live = (((spec.section, spec.name), spec) for spec in schema)
    for exact, spec in chain(live, schema.renames.items()):
        if spec.section in shapes:
            continue
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
