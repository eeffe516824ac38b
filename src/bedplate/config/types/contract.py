"""What a type is: the protocol, the refusal, and what all types share in refusing.

Knows no type in particular.
"""

import re
from typing import NoReturn, Protocol, TypeVar

__all__ = [
    "Refused",
    "Type",
    "match_text",
    "quote",
    "read",
    "refuse_native",
    "refuse_text",
    "valued",
]

T = TypeVar("T")

_SHOWN = 60


class Refused(ValueError):
    """A value does not fit a type.

    ``code`` is that of the finding to be made of it (``no-value``, ``wrong-type``,
    ``out-of-range``, ``not-a-choice``), ``expected`` completes the words "must be", ``got`` the
    words "not" and is empty where the value must not be shown, ``item`` counts from 1 within a
    list, ``among`` holds the choices there were.
    """

    def __init__(
        self,
        code: str,
        expected: str,
        got: str = "",
        *,
        item: int | None = None,
        among: tuple[str, ...] = (),
    ) -> None:
        self.code, self.expected, self.got = code, expected, got
        self.item, self.among = item, among
        what = "must be" if item is None else f"item {item} must be"
        super().__init__(f"{what} {expected}{f', not {got}' if got else ''}")


class Type(Protocol):
    """What the type of an option can do. Immutable."""

    @property
    def secret(self) -> bool:
        """Whether values must never be shown."""
        ...

    def parse(self, text: str) -> object:
        """Read a value from text. Raises `Refused`; ``show(…, reveal=True)`` is the inverse."""
        ...

    def accept(self, native: object) -> object:
        """Check a value that is none of text to be read. Raises `Refused`."""
        ...

    def show(self, value: object, *, reveal: bool = False) -> str:
        """Write a value as text, secrets masked unless ``reveal``."""
        ...

    def describe(self) -> str:
        """Complete the words "must be": ``a whole number from 1 to 256``."""
        ...

    def json_schema(self) -> dict[str, object]:
        """Describe native values in JSON Schema, draft 2020-12."""
        ...


def valued(cls: type[T]) -> type[T]:
    """Let instances of a class be compared, hashed and printed by what their slots hold."""

    def held(each: T) -> tuple[object, ...]:
        return tuple(getattr(each, name) for name in getattr(cls, "__slots__", ()))

    def equal(self: T, other: object) -> bool:
        return held(self) == held(other) if isinstance(other, cls) else NotImplemented

    def printed(self: T) -> str:
        return f"{cls.__name__}({', '.join(map(repr, held(self)))})"

    def hashed(_: T) -> int:
        return hash(cls)  # few types are ever hashed, and what some hold cannot be

    for name, method in (("__eq__", equal), ("__repr__", printed), ("__hash__", hashed)):
        setattr(cls, name, method)
    return cls


def read(type_: Type, value: object) -> object:
    """Convert a raw value: text is parsed, anything else must be acceptable as it is."""
    return type_.parse(value) if type(value) is str else type_.accept(value)


def match_text(pattern: re.Pattern[str], text: str, type_: Type) -> re.Match[str]:
    """Match all of a text, spaces around it aside. Raises `Refused`."""
    match = pattern.fullmatch(text.strip())
    if match is None:
        refuse_text(type_, text)
    return match


def refuse_text(type_: Type, text: str) -> NoReturn:
    """Raise `Refused` for text that a type does not read."""
    if not text.strip():
        raise Refused("no-value", type_.describe())
    raise Refused("wrong-type", type_.describe(), quote(text))


def refuse_native(type_: Type, native: object) -> NoReturn:
    """Raise `Refused` for a native value that is not of a type."""
    kind = type(native).__name__
    short = isinstance(native, bool | int | float | str)
    raise Refused("wrong-type", type_.describe(), f"{kind} {quote(native)}" if short else kind)


def quote(value: object) -> str:
    """Show a value in a message, shortened where it is long."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 2]}…{text[-1]}"
