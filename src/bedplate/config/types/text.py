"""Types of text: any, one of two words, one of a few, patterns, paths and dates.

Knows nothing of options, sections or where a value came from.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

from bedplate.config.types.contract import Refused, quote, refuse_native, refuse_text, valued

__all__ = ["Boolean", "Choice", "DateType", "PathType", "RegexType", "String", "Unchecked"]

if TYPE_CHECKING:
    from datetime import date

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_BOOLEANS = MappingProxyType(
    dict.fromkeys(("true", "1", "on", "yes"), True)
    | dict.fromkeys(("false", "0", "off", "no"), False)
)


@valued
class Boolean:
    """``bool``: true, 1, on, yes, false, 0, off or no, in any case."""

    __slots__ = ()
    secret = False

    def parse(self, text: str) -> object:
        """Read one of the eight words."""
        value = _BOOLEANS.get(text.strip().lower())
        if value is None:
            refuse_text(self, text)
        return value

    def accept(self, native: object) -> object:
        """Take a bool, no number."""
        if not isinstance(native, bool):
            refuse_native(self, native)
        return native

    def show(self, value: object, *, reveal: bool = False) -> str:
        """Write ``true`` or ``false``."""
        del reveal
        return "true" if value else "false"

    def describe(self) -> str:
        """Say which words there are."""
        return "true or false (also on, off, yes, no, 1, 0)"

    def json_schema(self) -> dict[str, object]:
        """Return ``boolean``."""
        return {"type": "boolean"}


@valued
class String:
    """``str``: the text as it stands, empty included."""

    __slots__ = ()
    secret = False

    def parse(self, text: str) -> object:
        """Return the text."""
        return text

    def accept(self, native: object) -> object:
        """Take a str."""
        if not isinstance(native, str):
            refuse_native(self, native)
        return str(native)

    def show(self, value: object, *, reveal: bool = False) -> str:
        """Return the text."""
        del reveal
        return str(value)

    def describe(self) -> str:
        """Say that it is text."""
        return "text"

    def json_schema(self) -> dict[str, object]:
        """Return ``string``."""
        return {"type": "string"}


@valued
class Unchecked:
    """Text of a kind that only its own program can read; ``kind`` is what that calls it.

    Nothing of it is checked, and whoever counts what is checked can tell by the class.
    """

    __slots__ = ("kind",)
    secret = False

    def __init__(self, kind: str = "unknown value") -> None:
        self.kind = kind

    def parse(self, text: str) -> object:
        """Return the text."""
        return text

    def accept(self, native: object) -> object:
        """Take anything, as text."""
        return str(native)

    def show(self, value: object, *, reveal: bool = False) -> str:
        """Return the text."""
        del reveal
        return str(value)

    def describe(self) -> str:
        """Say what its program calls it."""
        return f"what its program reads ({self.kind})"

    def json_schema(self) -> dict[str, object]:
        """Allow anything."""
        return {}


class Choice:
    """One of a few values, each with its spelling: ``Literal``, an ``Enum``, or ``choices=``.

    An Enum is spelled by its values where all are text, else by its names in lower case.
    ``blind`` reads a spelling in any case. ``about`` says of a spelling what it means. Two choices
    are equal when their spellings are: what they stand for is the program's own.
    """

    __slots__ = ("about", "blind", "spellings")
    secret = False

    def __init__(
        self,
        spellings: Mapping[str, object],
        *,
        blind: bool = False,
        about: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.spellings = MappingProxyType(dict(spellings))
        self.blind, self.about = blind, MappingProxyType(dict(about))

    def parse(self, text: str) -> object:
        """Read a spelling, exactly, or in any case where that is said."""
        for spelling in (text, text.strip()):
            if spelling in self.spellings:
                return self.spellings[spelling]
        if not text.strip():
            raise Refused("no-value", self.describe())
        if self.blind:
            for spelling, value in self.spellings.items():
                if spelling.casefold() == text.strip().casefold():
                    return value
        raise Refused("not-a-choice", self.describe(), quote(text), among=tuple(self.spellings))

    def accept(self, native: object) -> object:
        """Take one of the values."""
        for value in self.spellings.values():
            if type(value) is type(native) and value == native:
                return value
        if self.blind and isinstance(native, str) and native:
            return self.parse(native)
        raise Refused("not-a-choice", self.describe(), quote(native), among=tuple(self.spellings))

    def show(self, value: object, *, reveal: bool = False) -> str:
        """Write the spelling."""
        del reveal
        for spelling, each in self.spellings.items():
            if type(each) is type(value) and each == value:
                return spelling
        return str(value)

    def describe(self) -> str:
        """List the spellings."""
        *most, last = map(repr, self.spellings)
        case = ", in any case" if self.blind else ""
        return f"one of {', '.join(most)} or {last}{case}" if most else f"{last}{case}"

    def json_schema(self) -> dict[str, object]:
        """Return ``enum`` of the values, spelled where JSON has no such value."""
        return {
            "enum": [
                value if type(value) in (str, int, float, bool) else spelling
                for spelling, value in self.spellings.items()
            ]
        }

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Choice):
            return NotImplemented
        mine = (list(self.spellings), self.blind, self.about)
        return mine == (list(other.spellings), other.blind, other.about)

    def __hash__(self) -> int:
        return hash(tuple(self.spellings))

    def __repr__(self) -> str:
        return f"Choice({', '.join(map(repr, self.spellings))})"


@valued
class RegexType:
    """``re.Pattern[str]``: a regular expression of Python, flags written inside: ``(?i)abc``."""

    __slots__ = ()
    secret = False

    def parse(self, text: str) -> object:
        """Compile the text."""
        why = ""
        try:
            return re.compile(text)
        except (re.error, OverflowError) as error:
            why = str(error)
        except RecursionError:
            why = "it is nested too deeply"
        raise Refused("wrong-type", f"{self.describe()} ({why})", quote(text))

    def accept(self, native: object) -> object:
        """Take a compiled pattern whose flags are all in its text."""
        if not isinstance(native, re.Pattern) or not isinstance(native.pattern, str):
            refuse_native(self, native)
        if re.compile(native.pattern).flags != native.flags:
            raise Refused("wrong-type", f"{self.describe()} with its flags inside, as in (?i)abc")
        return native

    def show(self, value: object, *, reveal: bool = False) -> str:
        """Write the pattern's text."""
        del reveal
        return cast("re.Pattern[str]", value).pattern

    def describe(self) -> str:
        """Say that it is a regular expression."""
        return "a regular expression"

    def json_schema(self) -> dict[str, object]:
        """Return ``string`` in the format ``regex``."""
        return {"type": "string", "format": "regex"}


@valued
class PathType:
    """``pathlib.Path``: a path as it stands; neither ``~`` nor ``..`` is resolved."""

    __slots__ = ()
    secret = False

    def parse(self, text: str) -> object:
        """Read a path that is not blank."""
        from pathlib import Path

        if not text.strip() or "\0" in text:
            refuse_text(self, text)
        return Path(text)

    def accept(self, native: object) -> object:
        """Take a Path."""
        from pathlib import Path

        if not isinstance(native, Path):
            refuse_native(self, native)
        return native

    def show(self, value: object, *, reveal: bool = False) -> str:
        """Write the path."""
        del reveal
        return str(value)

    def describe(self) -> str:
        """Say that it is a path."""
        return "a path"

    def json_schema(self) -> dict[str, object]:
        """Return ``string`` that is not empty."""
        return {"type": "string", "minLength": 1}


@valued
class DateType:
    """``datetime.date``: a day, written ``2027-01-31``."""

    __slots__ = ()
    secret = False

    def parse(self, text: str) -> object:
        """Read year, month and day."""
        from datetime import date

        day: date | None = None
        if _DATE.fullmatch(text.strip()):
            try:
                day = date.fromisoformat(text.strip())
            except ValueError:
                day = None
        if day is None:
            refuse_text(self, text)
        return day

    def accept(self, native: object) -> object:
        """Take a date that is no date and time."""
        from datetime import date

        if type(native) is not date:
            refuse_native(self, native)
        return native

    def show(self, value: object, *, reveal: bool = False) -> str:
        """Write year, month and day."""
        del reveal
        return cast("date", value).isoformat()

    def describe(self) -> str:
        """Say how a day is written."""
        return "a day, such as 2027-01-31"

    def json_schema(self) -> dict[str, object]:
        """Return ``string`` in the format ``date``."""
        return {"type": "string", "format": "date"}
