"""Declaring configuration: ``Section`` and ``option``.

::

    class Api(Section):                     # section [api]
        workers: int = option(default=4, min=1, max=256, help="Worker threads.")

The class body is read once into a description (`bedplate.config.describe`); this module only takes
the options out of the body and makes instances plain frozen objects with slots. It knows nothing
of types, sources or files.
"""

import re
from collections.abc import Iterable, Mapping
from enum import Enum
from types import MappingProxyType
from typing import (
    TYPE_CHECKING,
    Any,
    Final,
    NamedTuple,
    NoReturn,
    TypeVar,
    dataclass_transform,
    overload,
)

from bedplate._floor.secret import MASK
from bedplate.errors import SchemaError, SecretNotSerialisable

__all__ = ["REQUIRED", "Declared", "Required", "Section", "SectionType", "construct", "option"]

T = TypeVar("T")
S = TypeVar("S", bound="Section")

_TAKEN = (
    "section_name",
    "section_optional",
    "section_options",
    "section_described",
    "section_each",
    "section_by",
    "section_when",
    "section_family",
)
_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


class Required(Enum):
    """The default of an option that has none."""

    REQUIRED = "required"

    def __repr__(self) -> str:
        return self.name


REQUIRED: Final = Required.REQUIRED
"""Stands where a default would, in options that have none."""


class Declared(NamedTuple):
    """What ``option()`` was told, before the annotation is looked at."""

    default: object
    help: str
    min: float | None
    max: float | None
    choices: tuple[object, ...]
    mutable: bool
    was: tuple[str, ...]
    deprecated: str
    since: str
    advanced: bool
    sample: str
    interpolate: bool | None


@overload
def option(
    *,
    default: T,
    help: str = ...,
    min: float | None = ...,
    max: float | None = ...,
    choices: Iterable[object] = ...,
    mutable: bool = ...,
    was: Iterable[str] = ...,
    deprecated: str = ...,
    since: str = ...,
    advanced: bool = ...,
    sample: str = ...,
    interpolate: bool | None = ...,
) -> T: ...
@overload
def option(
    *,
    help: str = ...,
    min: float | None = ...,
    max: float | None = ...,
    choices: Iterable[object] = ...,
    mutable: bool = ...,
    was: Iterable[str] = ...,
    deprecated: str = ...,
    since: str = ...,
    advanced: bool = ...,
    sample: str = ...,
    interpolate: bool | None = ...,
) -> Any: ...
def option(  # noqa: PLR0913 - one keyword a fact; a class body reads better than an object
    *,
    default: object = REQUIRED,
    help: str = "",  # noqa: A002 - the word of every command line
    min: float | None = None,  # noqa: A002 - the word users know
    max: float | None = None,  # noqa: A002 - the word users know
    choices: Iterable[object] = (),
    mutable: bool = False,
    was: Iterable[str] = (),
    deprecated: str = "",
    since: str = "",
    advanced: bool = False,
    sample: str = "",
    interpolate: bool | None = None,
) -> Any:
    """Declare an option of a `Section`; its type is the annotation beside it.

    Without ``default`` the option is required. ``min`` and ``max`` (seconds for a Duration) and
    ``choices`` limit it, or each item of a list. ``mutable`` lets a reload change it. ``was``
    lists old names still understood, ``"section.name"`` or ``"name"`` of the same section.
    ``deprecated`` says why it will go, ``since`` from which release on. ``advanced`` options come
    last in documents, ``sample`` is shown there instead of the default. ``interpolate`` says
    whether ``$name`` in its text may stand for another option; None leaves it to the type, which
    means no for secrets and URLs, whose passwords may hold a dollar.

    Mistakes are reported when the section is first described, as `SchemaError`. A required option
    is ``Any`` here so that the annotation alone gives its type.
    """
    return Declared(
        default,
        help,
        min,
        max,
        tuple(choices),
        mutable,
        (was,) if isinstance(was, str) else tuple(was),
        deprecated,
        since,
        advanced,
        sample,
        interpolate,
    )


def _snake(class_name: str) -> str:
    return _WORD_START.sub("_", class_name.strip("_")).lower()


def _refuse_body(
    class_name: str,
    options: Mapping[str, Declared],
    rest: Mapping[str, object],
    inherited: Mapping[str, Declared],
) -> None:
    for name in options:
        if name.startswith("_"):
            raise SchemaError(
                where=f"{class_name}.{name}", why="an option's name cannot begin with '_'"
            )
        if name in _TAKEN:
            raise SchemaError(where=f"{class_name}.{name}", why="this name is taken by the class")
    for name in rest:
        if name in inherited:
            raise SchemaError(
                where=f"{class_name}.{name}",
                why="an inherited option can be replaced only by another option()",
            )
    if "__slots__" in rest:
        raise SchemaError(where=class_name, why="a Section makes its own __slots__; remove them")


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(option,))
class SectionType(type):
    """Makes classes of options: takes them out of the body and gives instances real slots."""

    section_name: str
    section_optional: bool
    section_options: Mapping[str, Declared]
    section_described: dict[str, object]
    section_each: str
    section_by: str
    section_when: str
    section_family: "SectionType"  # of a variant, the class it varies; of any other, itself

    def __new__(
        mcs,
        class_name: str,
        bases: tuple[type, ...],
        body: dict[str, object],
        /,
        *,
        name: str | None = None,
        optional: bool = False,
        each: str = "",
        by: str = "",
        when: str = "",
    ) -> "SectionType":
        """Make the class. Raises `SchemaError` for a body that cannot be one."""
        options = {key: value for key, value in body.items() if isinstance(value, Declared)}
        rest = {key: value for key, value in body.items() if key not in options}
        inherited: dict[str, Declared] = {}
        for base in reversed(bases):
            inherited |= getattr(base, "section_options", {})
        _refuse_body(class_name, options, rest, inherited)
        own = tuple(key for key in options if key not in inherited)
        rest["__slots__"] = own if bases else ("_masked",)
        if len([base for base in bases if getattr(base, "section_options", None)]) > 1:
            raise SchemaError(where=class_name, why="a Section inherits options of one class only")
        cls = super().__new__(mcs, class_name, bases, rest)
        cls.section_name = name if name is not None else _snake(class_name)
        cls.section_optional = optional
        cls.section_each, cls.section_by, cls.section_when = each, by, when
        cls.section_family = cls
        if not all(isinstance(said, str) for said in (each, by, when)):
            why = "each=, by= and when= are text; a driver is spelled as it is in a file"
            raise SchemaError(where=class_name, why=why)
        if by and not each:
            raise SchemaError(where=class_name, why="by= means something beside each= only")
        if when:
            if name is not None or optional or each:
                why = "beside when= nothing is said of the section: its parent has said it"
                raise SchemaError(where=class_name, why=why)
            cls._vary(bases)
        cls.section_options = MappingProxyType(inherited | options)
        cls.section_described = {}  # filled by the schema, by section name: it is asked for often
        return cls

    def _vary(cls, bases: tuple[type, ...]) -> None:
        """Take from the parent what is the same for all variants of a repeated section."""
        parent = next((each for each in bases if getattr(each, "section_by", "")), None)
        if not isinstance(parent, SectionType):
            why = "when= needs a parent with each= and by=, which say what it is compared with"
            raise SchemaError(where=cls.__qualname__, why=why)
        family = cls.section_family = parent.section_family
        cls.section_name = f"{family.section_name}.{cls.section_name}"
        cls.section_optional = family.section_optional
        cls.section_each, cls.section_by = family.section_each, family.section_by

    def __repr__(cls) -> str:
        return f"<section [{cls.section_name}] {cls.__qualname__}>"


class Section(metaclass=SectionType):
    """A section of the configuration: a class of options, and instances that hold their values.

    ``class Api(Section)`` is section ``[api]``; ``class Pool(Section, name="db.pool")`` names
    another, ``name="DEFAULT"`` the one of bare names. ``optional=True`` says that a configuration
    may do without it: its required options are asked for only when something of it is set.

    ``class Backend(Section, each="DEFAULT.enabled_backends")`` is the shape of all sections that
    this list names; ask with ``config.each(Backend)``. With ``by="driver"`` its option ``driver``
    picks among the variants that are loaded, ``class Lvm(Backend, when="lvm")``, each with further
    options of its own. A driver without a variant is an error, unless the option's own type lists
    it: then there are no further options.

    An instance is a frozen value of one generation of the configuration: an attribute read is a
    plain slot, and a reload makes new instances. Printed it shows no secret, nor an option that has
    a secret put into it; an instance with such an option is not pickled either. Made by hand (in
    tests, ``Api(workers=2)``) it checks what it is given and fills in the defaults; it raises
    TypeError for wrong names and `InvalidConfig` for wrong values.
    """

    def __init__(self, **values: object) -> None:
        from bedplate.config.convert import by_hand

        object.__setattr__(self, "_masked", frozenset())
        for name, value in by_hand(type(self), values).items():
            object.__setattr__(self, name, value)

    if not TYPE_CHECKING:  # seen by a type checker they would allow setting any name

        def __setattr__(self, name: str, value: object) -> NoReturn:
            raise AttributeError(f"a section cannot change ({type(self).__name__}.{name})")

        def __delattr__(self, name: str) -> NoReturn:
            raise AttributeError(f"a section cannot change ({type(self).__name__}.{name})")

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in _names(self))

    def __hash__(self) -> int:
        return hash((type(self), *(getattr(self, name) for name in _names(self))))

    def __repr__(self) -> str:
        masked = _masked(self)
        values = ", ".join(
            f"{name}={MASK if name in masked else repr(getattr(self, name))}"
            for name in _names(self)
        )
        return f"{type(self).__name__}({values})"

    def __reduce__(self) -> "tuple[object, ...]":
        if _masked(self):
            raise SecretNotSerialisable(how="pickle")
        return construct, (type(self), {name: getattr(self, name) for name in _names(self)})


def construct(
    cls: type[S], values: Mapping[str, object], masked: frozenset[str] = frozenset()
) -> S:
    """Make an instance of values that were checked before, by `bedplate.config.generation`.

    ``masked`` are the options with a secret put into them.
    """
    instance = cls.__new__(cls)
    object.__setattr__(instance, "_masked", masked)
    for name in cls.section_options:
        object.__setattr__(instance, name, values[name])
    return instance


def _names(section: Section) -> Iterable[str]:
    return type(section).section_options


def _masked(section: Section) -> frozenset[str]:
    return section._masked  # type: ignore[no-any-return, attr-defined]  # noqa: SLF001 - a slot that the metaclass makes
