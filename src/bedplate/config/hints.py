"""From what a programmer writes beside an option to the type that reads it.

The only place that looks at Python annotations. Knows nothing of options or sections.
"""

import re
from collections.abc import Iterable, Mapping
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Literal, Union, cast, get_args, get_origin

from bedplate._floor.secret import Secret
from bedplate._floor.url import Url
from bedplate.config.types import (
    REPEATED,
    Boolean,
    ByteSizeType,
    Choice,
    CidrType,
    DateType,
    Dict,
    DurationType,
    Float,
    FrozenList,
    HostPort,
    HostPortType,
    Integer,
    IpType,
    List,
    Multi,
    OptionalType,
    PathType,
    RangeType,
    RegexType,
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
        return _annotated(arguments)
    made = _composed(origin, arguments)
    if made is None and isinstance(annotation, type):
        made = _simple(annotation)
    if made is not None:
        return made
    for bare in (list, tuple, dict, Secret):
        if annotation is bare:
            of = "[str, int]" if bare is dict else "[str]"
            raise TypeError(f"say of what: {bare.__name__}{of}, for example")
    raise TypeError(
        f"an option cannot be of type {annotation!r}; a type of your own is named in "
        f"Annotated[…, YourType()]"
    )


def _annotated(arguments: tuple[object, ...]) -> Type:
    if REPEATED in arguments[1:]:
        return Multi(_item(get_args(arguments[0])[0]))
    marked = [mark for mark in arguments[1:] if hasattr(mark, "parse")]
    return cast("Type", marked[-1]) if marked else type_of(arguments[0])


def _composed(origin: object, arguments: tuple[object, ...]) -> Type | None:
    if origin in (Union, UnionType):
        return _optional(arguments)
    if origin is Secret:
        inner = type_of(arguments[0])
        if inner.secret:
            raise TypeError("a Secret inside a Secret hides nothing more; write it once")
        return SecretType(inner)
    if origin in (list, tuple):
        return _list(origin, arguments)
    if origin in (dict, Mapping):
        if arguments[0] is not str:
            raise TypeError("the names in a dictionary of an option are text: dict[str, X]")
        return Dict(_item(arguments[1]))
    if origin is re.Pattern and arguments == (str,):
        return RegexType()
    return Choice({str(value): value for value in arguments}) if origin is Literal else None


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
    if minimum is None and maximum is None and not choices:
        return type_
    if isinstance(type_, OptionalType):
        inner = narrow(type_.inner, minimum=minimum, maximum=maximum, choices=choices)
        return OptionalType(inner, blank=type_.blank)
    if isinstance(type_, SecretType):
        return SecretType(narrow(type_.inner, minimum=minimum, maximum=maximum, choices=choices))
    if isinstance(type_, List | Multi | Dict):
        item = narrow(type_.item, minimum=minimum, maximum=maximum, choices=choices)
        if isinstance(type_, List):
            return List(item, type_.make, quotes=type_.quotes)
        return Multi(item) if isinstance(type_, Multi) else Dict(item, quotes=type_.quotes)
    if minimum is not None or maximum is not None:
        if not isinstance(type_, Integer | Float | DurationType | ByteSizeType):
            raise TypeError(f"min and max mean nothing for {type_.describe()}")
        type_ = type_.within(minimum, maximum)
    listed = [type_.accept(choice) for choice in choices]
    if listed and isinstance(type_, Boolean | Choice | UrlType):
        raise TypeError(f"choices mean nothing for {type_.describe()}")
    return Choice({type_.show(choice): choice for choice in listed}) if listed else type_


def _simple(annotation: type) -> Type | None:
    for plain, made in ((bool, Boolean), (int, Integer), (float, Float), (str, String)):
        if annotation is plain:
            return made()
    for ours, of_ours in ((Url, UrlType), (range, RangeType), (HostPort, HostPortType)):
        if annotation is ours:
            return of_ours()
    foreign = _foreign(annotation)
    if foreign is not None:
        return foreign
    if issubclass(annotation, Enum):
        members = list(annotation)
        if not members:
            raise TypeError(f"the Enum {annotation.__name__} has no members")
        if all(isinstance(member.value, str) for member in members):
            return Choice({member.value: member for member in members})
        return Choice({member.name.lower(): member for member in members})
    return None


def _foreign(annotation: type) -> Type | None:
    """Know a class of a module that nobody should have to load for this."""
    match (annotation.__module__.partition(".")[0], annotation.__name__):
        case ("ipaddress", "IPv4Address" | "IPv6Address" as name):
            return IpType(int(name[3]))
        case ("ipaddress", "IPv4Network" | "IPv6Network" as name):
            return CidrType(int(name[3]))
        case ("pathlib", "Path"):
            return PathType()
        case ("datetime", "date"):
            return DateType()
        case ("re", "Pattern"):
            return RegexType()
    return None


def _optional(arguments: tuple[object, ...]) -> Type:
    others = [each for each in arguments if each is not NoneType]
    if len(others) == 2:
        either = [type_of(each) for each in others]
        for kind in (IpType, CidrType):
            if all(isinstance(each, kind) for each in either):
                return kind() if len(others) == len(arguments) else OptionalType(kind())
    if len(others) != 1 or len(others) == len(arguments):
        raise TypeError("an option has one type, or one type and None: X | None")
    return OptionalType(type_of(others[0]))


def _list(origin: object, arguments: tuple[object, ...]) -> Type:
    if origin is tuple and (len(arguments) != 2 or arguments[1] is not Ellipsis):
        raise TypeError("a tuple of an option is open-ended: tuple[X, ...]")
    return List(_item(arguments[0]), tuple if origin is tuple else FrozenList)


def _item(annotation: object) -> Type:
    item = type_of(annotation)
    inner = item.inner if isinstance(item, SecretType) else item
    if isinstance(inner, List | Dict | Multi):
        raise TypeError("a list of lists has no form as text, nor has one of dictionaries")
    if isinstance(item, OptionalType):
        raise TypeError("an item of a list is always there: leave out the None")
    return item
