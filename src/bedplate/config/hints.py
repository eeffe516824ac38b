"""From what a programmer writes beside an option to the type that reads it.

The only place that looks at Python annotations. Knows nothing of options or sections.
"""

from collections.abc import Iterable
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Literal, Union, cast, get_args, get_origin

from bedplate._floor.secret import Secret
from bedplate._floor.url import Url
from bedplate.config.types import (
    Boolean,
    Choice,
    DurationType,
    Float,
    FrozenList,
    Integer,
    List,
    OptionalType,
    SecretType,
    String,
    Type,
    UrlType,
)

__all__ = ["narrow", "type_of"]


def type_of(annotation: object) -> Type:
    """Return the type that an annotation stands for.

    Raises TypeError, with a sentence, for what an option cannot be.
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        marked = [mark for mark in arguments[1:] if hasattr(mark, "parse")]
        return cast("Type", marked[-1]) if marked else type_of(arguments[0])
    if origin in (Union, UnionType):
        return _optional(arguments)
    if origin is Secret:
        inner = type_of(arguments[0])
        if inner.secret:
            raise TypeError("a Secret inside a Secret hides nothing more; write it once")
        return SecretType(inner)
    if origin in (list, tuple):
        return _list(origin, arguments)
    if origin is Literal:
        return Choice({str(value): value for value in arguments})
    if isinstance(annotation, type):
        simple = _simple(annotation)
        if simple is not None:
            return simple
    if annotation in (list, tuple, Secret):
        raise TypeError(f"say of what: {annotation.__name__}[str], for example")
    raise TypeError(
        f"an option cannot be of type {annotation!r}; a type of your own is named in "
        f"Annotated[…, YourType()]"
    )


def narrow(
    type_: Type,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: Iterable[object] = (),
) -> Type:
    """Return a type with bounds and choices put on its innermost part.

    Raises TypeError where they do not apply, ValueError where they exclude everything.
    """
    if isinstance(type_, OptionalType):
        inner = narrow(type_.inner, minimum=minimum, maximum=maximum, choices=choices)
        return OptionalType(inner)
    if isinstance(type_, SecretType):
        return SecretType(narrow(type_.inner, minimum=minimum, maximum=maximum, choices=choices))
    if isinstance(type_, List):
        item = narrow(type_.item, minimum=minimum, maximum=maximum, choices=choices)
        return List(item, type_.make)
    if minimum is not None or maximum is not None:
        if not isinstance(type_, Integer | Float | DurationType):
            raise TypeError(f"min and max mean nothing for {type_.describe()}")
        type_ = type_.within(minimum, maximum)
    listed = [type_.accept(choice) for choice in choices]
    if not listed:
        return type_
    if isinstance(type_, Boolean | Choice | UrlType):
        raise TypeError(f"choices mean nothing for {type_.describe()}")
    return Choice({type_.show(choice): choice for choice in listed})


def _simple(annotation: type) -> Type | None:
    for plain, made in ((bool, Boolean), (int, Integer), (float, Float), (str, String)):
        if annotation is plain:
            return made()
    if annotation is Url:
        return UrlType()
    if issubclass(annotation, Enum):
        members = list(annotation)
        if not members:
            raise TypeError(f"the Enum {annotation.__name__} has no members")
        if all(isinstance(member.value, str) for member in members):
            return Choice({member.value: member for member in members})
        return Choice({member.name.lower(): member for member in members})
    return None


def _optional(arguments: tuple[object, ...]) -> Type:
    others = [each for each in arguments if each is not NoneType]
    if len(others) != 1 or len(others) == len(arguments):
        raise TypeError("an option has one type, or one type and None: X | None")
    return OptionalType(type_of(others[0]))


def _list(origin: type, arguments: tuple[object, ...]) -> Type:
    if origin is tuple and (len(arguments) != 2 or arguments[1] is not Ellipsis):
        raise TypeError("a tuple of an option is open-ended: tuple[X, ...]")
    item = type_of(arguments[0])
    if isinstance(item, List) or (isinstance(item, SecretType) and isinstance(item.inner, List)):
        raise TypeError("a list of lists has no form as text")
    if isinstance(item, OptionalType):
        raise TypeError("an item of a list is always there: leave out the None")
    return List(item, tuple if origin is tuple else FrozenList)
