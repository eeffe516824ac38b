"""The types an option can have: one class a type, each reading, checking and showing values.

A type reads text (`parse`), which means the same in every source, and checks native values
(`accept`) from defaults, overrides and formats that have types. It knows nothing of options,
sections or where a value came from. A type of your own is any object with these methods, named
in ``Annotated[int, YourType()]``.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, NoReturn, Protocol, cast

from bedplate._floor.secret import MASK, Secret
from bedplate._floor.url import Url

__all__ = [
    "Boolean",
    "Choice",
    "Duration",
    "DurationType",
    "Float",
    "FrozenList",
    "Integer",
    "List",
    "OptionalType",
    "Port",
    "Refused",
    "SecretType",
    "String",
    "Type",
    "UrlType",
    "read",
]

_INTEGER = re.compile(r"[+-]?[0-9]{1,1000}")
_FLOAT = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_DURATION = re.compile(rf"({_FLOAT.pattern})\s*(ms|s|m|h|d)?")
_SECONDS = MappingProxyType({"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0})
_BOOLEANS = MappingProxyType(
    dict.fromkeys(("true", "1", "on", "yes"), True)
    | dict.fromkeys(("false", "0", "off", "no"), False)
)
_ITEM = re.compile(r'\s*(?:"((?:[^"]|"")*)"\s*(?=,|\Z)|([^,]*))', re.DOTALL)
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


class Integer:
    """``int``: decimal digits with an optional sign. Neither ``1_000`` nor ``1.0`` nor True."""

    __slots__ = ("maximum", "minimum", "noun")
    secret = False

    def __init__(
        self,
        minimum: float | None = None,
        maximum: float | None = None,
        *,
        noun: str = "a whole number",
    ) -> None:
        self.minimum, self.maximum, self.noun = minimum, maximum, noun

    def within(self, minimum: float | None, maximum: float | None) -> "Integer":
        """Return the same type, narrowed to these bounds where they are given."""
        low, high = _bounds(self.minimum, self.maximum, minimum, maximum)
        return Integer(low, high, noun=self.noun)

    def parse(self, text: str) -> object:
        """Read decimal digits."""
        return self._check(int(_match(_INTEGER, text, self)[0]))

    def accept(self, native: object) -> object:
        """Take an int that is no bool."""
        if isinstance(native, bool) or not isinstance(native, int):
            _refuse_native(self, native)
        return self._check(int(native))

    def show(self, value: object, *, reveal: bool = False) -> str:
        """Write decimal digits."""
        del reveal
        return str(value)

    def describe(self) -> str:
        """Say it with its bounds."""
        return _ranged(self.noun, self.minimum, self.maximum)

    def json_schema(self) -> dict[str, object]:
        """Return ``integer`` with its bounds."""
        return {"type": "integer", **_json_bounds(self.minimum, self.maximum)}

    def _check(self, value: int) -> int:
        _check_range(self, value, self.minimum, self.maximum)
        return value


class Float:
    """``float``: a finite decimal number. Neither ``nan`` nor ``inf`` nor True."""

    __slots__ = ("maximum", "minimum")
    secret = False

    def __init__(self, minimum: float | None = None, maximum: float | None = None) -> None:
        self.minimum, self.maximum = minimum, maximum

    def within(self, minimum: float | None, maximum: float | None) -> "Float":
        """Return the same type, narrowed to these bounds where they are given."""
        return Float(*_bounds(self.minimum, self.maximum, minimum, maximum))

    def parse(self, text: str) -> object:
        """Read a decimal number."""
        return self._check(float(_match(_FLOAT, text, self)[0]))

    def accept(self, native: object) -> object:
        """Take an int or float that is no bool, as a float."""
        return self._check(_real(self, native))

    def show(self, value: object, *, reveal: bool = False) -> str:
        """Write the shortest decimals that read back as the same number."""
        del reveal
        return repr(value)

    def describe(self) -> str:
        """Say it with its bounds."""
        return _ranged("a number", self.minimum, self.maximum)

    def json_schema(self) -> dict[str, object]:
        """Return ``number`` with its bounds."""
        return {"type": "number", **_json_bounds(self.minimum, self.maximum)}

    def _check(self, value: float) -> float:
        _check_range(self, value, self.minimum, self.maximum)
        return value


class DurationType:
    """Seconds as a float, written ``30``, ``1.5s``, ``500ms``, ``5m``, ``2h`` or ``1d``.

    Never negative; bounds are in seconds.
    """

    __slots__ = ("maximum", "minimum")
    secret = False

    def __init__(self, minimum: float | None = 0, maximum: float | None = None) -> None:
        self.minimum, self.maximum = minimum, maximum

    def within(self, minimum: float | None, maximum: float | None) -> "DurationType":
        """Return the same type, narrowed to these bounds where they are given."""
        return DurationType(*_bounds(self.minimum, self.maximum, minimum, maximum))

    def parse(self, text: str) -> object:
        """Read a number with or without a unit; without, it counts seconds."""
        match = _match(_DURATION, text, self)
        unit = match[2]
        number = float(match[1])
        # Divided, because 500 / 1000 is exact where 500 * 0.001 may not be.
        return self._check(number / 1000 if unit == "ms" else number * _SECONDS[unit or "s"])

    def accept(self, native: object) -> object:
        """Take seconds as an int or float."""
        return self._check(_real(self, native))

    def show(self, value: object, *, reveal: bool = False) -> str:
        """Write seconds with their unit: ``30s``, ``0.5s``."""
        del reveal
        return f"{repr(value).removesuffix('.0')}s"

    def describe(self) -> str:
        """Say it with its bounds."""
        low = None if not self.minimum else _seconds(self.minimum)
        high = None if self.maximum is None else _seconds(self.maximum)
        return f"{_ranged('a time', low, high)}, such as 30, 1.5s, 500ms, 5m, 2h or 1d"

    def json_schema(self) -> dict[str, object]:
        """Return ``number`` of seconds with its bounds, or text with a unit."""
        number = {"type": "number", **_json_bounds(self.minimum, self.maximum)}
        return {"anyOf": [number, {"type": "string", "pattern": f"^{_DURATION.pattern}$"}]}

    def _check(self, value: float) -> float:
        _check_range(self, value, self.minimum, self.maximum)
        return value


class Boolean:
    """``bool``: true, 1, on, yes, false, 0, off or no, in any case."""

    __slots__ = ()
    secret = False

    def parse(self, text: str) -> object:
        """Read one of the eight words."""
        value = _BOOLEANS.get(text.strip().lower())
        if value is None:
            _refuse_text(self, text)
        return value

    def accept(self, native: object) -> object:
        """Take a bool, no number."""
        if not isinstance(native, bool):
            _refuse_native(self, native)
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
            _refuse_native(self, native)
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


class UrlType:
    """`Url`. Its text is never shown in a message: it may hold a password."""

    __slots__ = ()
    secret = False

    def parse(self, text: str) -> object:
        """Read ``scheme://…``."""
        stripped = text.strip()
        if not stripped:
            raise Refused("no-value", self.describe())
        url, why = None, ""
        try:
            url = Url(stripped)
        except ValueError as error:
            why = str(error)  # of our own making: it never holds the text
        if url is None:
            raise Refused("wrong-type", f"{self.describe()} ({why})")
        return url

    def accept(self, native: object) -> object:
        """Take a `Url`."""
        if not isinstance(native, Url):
            raise Refused("wrong-type", self.describe(), type(native).__name__)
        return native

    def show(self, value: object, *, reveal: bool = False) -> str:
        """Write the URL, its secrets masked unless ``reveal``."""
        return cast("Url", value).reveal() if reveal else str(value)

    def describe(self) -> str:
        """Say that it is a URL."""
        return "a URL"

    def json_schema(self) -> dict[str, object]:
        """Return ``string`` in the format ``uri``."""
        return {"type": "string", "format": "uri"}


class Choice:
    """One of a few values, each with its spelling: ``Literal``, an ``Enum``, or ``choices=``.

    An Enum is spelled by its values where all are text, else by its names in lower case.
    """

    __slots__ = ("spellings",)
    secret = False

    def __init__(self, spellings: Mapping[str, object]) -> None:
        self.spellings = MappingProxyType(dict(spellings))

    def parse(self, text: str) -> object:
        """Read a spelling, exactly."""
        for spelling in (text, text.strip()):
            if spelling in self.spellings:
                return self.spellings[spelling]
        if not text.strip():
            raise Refused("no-value", self.describe())
        raise Refused("not-a-choice", self.describe(), _quote(text), among=tuple(self.spellings))

    def accept(self, native: object) -> object:
        """Take one of the values."""
        for value in self.spellings.values():
            if type(value) is type(native) and value == native:
                return value
        raise Refused("not-a-choice", self.describe(), _quote(native), among=tuple(self.spellings))

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
        return f"one of {', '.join(most)} or {last}" if most else last

    def json_schema(self) -> dict[str, object]:
        """Return ``enum`` of the values, spelled where JSON has no such value."""
        return {
            "enum": [
                value if type(value) in (str, int, float, bool) else spelling
                for spelling, value in self.spellings.items()
            ]
        }


class FrozenList(list[object]):
    """A list that belongs to the configuration: it reads like any list and cannot be changed.

    ``copy()``, slices and sums are ordinary lists.
    """

    __slots__ = ()

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("a list of the configuration cannot be changed; copy() it")

    append = extend = insert = remove = pop = clear = sort = reverse = _refuse
    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse

    def __hash__(self) -> int:  # type: ignore[override]  # lists change, this one does not
        return hash(tuple(self))

    def __reduce__(self) -> "tuple[type[FrozenList], tuple[list[object]]]":
        return FrozenList, (list(self),)

    def __copy__(self) -> "FrozenList":
        return self

    def __deepcopy__(self, memo: object) -> "FrozenList":
        return self


class List:
    """``list[X]`` or ``tuple[X, ...]``: items between commas, spaces around them dropped.

    An item that holds a comma or an odd quote stands in double quotes (a quote inside is doubled).
    Empty text is an empty list, one comma at the end is dropped. In text a list is one value: the
    last one written wins, as for every type.
    """

    __slots__ = ("item", "make")

    def __init__(self, item: Type, make: Callable[[Iterable[object]], Sequence[object]]) -> None:
        self.item, self.make = item, make

    @property
    def secret(self) -> bool:
        """Whether its items are secret."""
        return self.item.secret

    def parse(self, text: str) -> object:
        """Read items between commas."""
        items: list[str] = []
        for item in _split_items(text):
            if item is None:
                # Most likely a file took the outer pair of '"a,b", "c"' for quotes of the whole.
                expected = (
                    "closed where a double quote opens; a value that begins and ends with quotes "
                    "loses them in a file, so put the whole in quotes once more"
                )
                raise Refused("wrong-type", expected, item=len(items) + 1)
            items.append(item)
        return self._each(items, self.item.parse)

    def accept(self, native: object) -> object:
        """Take a list or tuple; items that are text are read as text."""
        if not isinstance(native, list | tuple):
            got = "" if self.secret else type(native).__name__
            raise Refused("wrong-type", self.describe(), got)
        return self._each(native, lambda item: read(self.item, item))

    def show(self, value: object, *, reveal: bool = False) -> str:
        """Write items between commas; wholly masked when they are secret."""
        if self.secret and not reveal:
            return MASK
        items = [self.item.show(each, reveal=reveal) for each in cast("Sequence[object]", value)]
        return ", ".join(map(_quote_item, items))

    def describe(self) -> str:
        """Say what the items are."""
        return f"a list, with commas between, of which each is {self.item.describe()}"

    def json_schema(self) -> dict[str, object]:
        """Return ``array`` of its items."""
        return {"type": "array", "items": self.item.json_schema()}

    def _each(self, items: Iterable[object], convert: Callable[..., object]) -> Sequence[object]:
        made: list[object] = []
        refused: Refused | None = None
        for item in items:
            try:
                made.append(convert(item))
            except Refused as each:
                refused = each
                break
        if refused is not None:
            # A new one, outside the handler: no context that might hold what must not be seen.
            raise Refused(
                "wrong-type" if refused.code == "no-value" else refused.code,
                refused.expected,
                refused.got or ("" if self.secret else "empty" * (refused.code == "no-value")),
                item=len(made) + 1,
                among=refused.among,
            )
        return self.make(made)


class OptionalType:
    """``X | None``: what X is, or empty text for None. An optional text is never empty."""

    __slots__ = ("inner",)

    def __init__(self, inner: Type) -> None:
        self.inner = inner

    @property
    def secret(self) -> bool:
        """Whether X is secret."""
        return self.inner.secret

    def parse(self, text: str) -> object:
        """Read an X, or None from empty text."""
        return self.inner.parse(text) if text.strip() else None

    def accept(self, native: object) -> object:
        """Take an X or None."""
        return None if native is None or native == "" else self.inner.accept(native)

    def show(self, value: object, *, reveal: bool = False) -> str:
        """Write an X, or nothing for None."""
        return "" if value is None else self.inner.show(value, reveal=reveal)

    def describe(self) -> str:
        """Say what X is, and that it may be absent."""
        return f"{self.inner.describe()}, or empty for none"

    def json_schema(self) -> dict[str, object]:
        """Any of X and ``null``."""
        return {"anyOf": [self.inner.json_schema(), {"type": "null"}]}


class SecretType:
    """``Secret[X]``: read as X, never shown, in no message either."""

    __slots__ = ("inner",)
    secret = True

    def __init__(self, inner: Type) -> None:
        self.inner = inner

    def parse(self, text: str) -> object:
        """Read an X and hide it."""
        return self._hide(self.inner.parse, text)

    def accept(self, native: object) -> object:
        """Take an X, hidden or not."""
        open_value = native.reveal() if isinstance(native, Secret) else native
        return self._hide(self.inner.accept, open_value)

    def show(self, value: object, *, reveal: bool = False) -> str:
        """Write the mask, or the X itself with ``reveal``."""
        if not reveal:
            return MASK
        return self.inner.show(cast("Secret[object]", value).reveal(), reveal=True)

    def describe(self) -> str:
        """Say what X is."""
        return self.inner.describe()

    def json_schema(self) -> dict[str, object]:
        """Return X's, marked as written and never read."""
        return {**self.inner.json_schema(), "writeOnly": True}

    def _hide(self, convert: Callable[..., object], value: object) -> Secret[object]:
        refused: Refused | None = None
        hidden: Secret[object] | None = None
        try:
            hidden = Secret(convert(value))
        except Refused as each:
            refused = each
        if hidden is None:
            code = refused.code if refused else "wrong-type"
            expected = refused.expected if refused else self.describe()
            # A new one, outside the handler: no context that might hold the value.
            raise Refused(code, expected, item=refused.item if refused else None)
        return hidden


Port = Annotated[int, Integer(0, 65535, noun="a port number")]
"""A TCP or UDP port, 0 to 65535, where 0 lets the system choose one; mypy sees an int."""

Duration = Annotated[float, DurationType()]
"""A time in seconds, written ``30``, ``1.5s``, ``500ms``, ``5m``, ``2h`` or ``1d``; a float."""


def read(type_: Type, value: object) -> object:
    """Convert a raw value: text is parsed, anything else must be acceptable as it is."""
    return type_.parse(value) if type(value) is str else type_.accept(value)


def _match(pattern: re.Pattern[str], text: str, type_: Type) -> re.Match[str]:
    match = pattern.fullmatch(text.strip())
    if match is None:
        _refuse_text(type_, text)
    return match


def _refuse_text(type_: Type, text: str) -> NoReturn:
    if not text.strip():
        raise Refused("no-value", type_.describe())
    raise Refused("wrong-type", type_.describe(), _quote(text))


def _refuse_native(type_: Type, native: object) -> NoReturn:
    kind = type(native).__name__
    short = isinstance(native, bool | int | float | str)
    raise Refused("wrong-type", type_.describe(), f"{kind} {_quote(native)}" if short else kind)


def _real(type_: Type, native: object) -> float:
    if isinstance(native, bool) or not isinstance(native, int | float):
        _refuse_native(type_, native)
    try:
        value = float(native)
    except OverflowError:
        value = float("inf")
    return value


def _check_range(type_: Type, value: float, minimum: float | None, maximum: float | None) -> None:
    finite = value - value == 0  # neither nan nor an infinity
    low = minimum is not None and value < minimum
    high = maximum is not None and value > maximum
    if low or high or not finite:
        raise Refused("out-of-range", type_.describe(), _quote(value))


def _bounds(
    low: float | None, high: float | None, minimum: float | None, maximum: float | None
) -> tuple[float | None, float | None]:
    low = minimum if low is None else low if minimum is None else max(low, minimum)
    high = maximum if high is None else high if maximum is None else min(high, maximum)
    if low is not None and high is not None and low > high:
        raise ValueError(f"nothing lies between a min of {low:g} and a max of {high:g}")
    return low, high


def _ranged(noun: str, low: object, high: object) -> str:
    if low is None and high is None:
        return noun
    if high is None:
        return f"{noun} of at least {low}"
    return f"{noun} of at most {high}" if low is None else f"{noun} from {low} to {high}"


def _seconds(value: float) -> str:
    return f"{value:g}s"


def _json_bounds(low: float | None, high: float | None) -> dict[str, object]:
    bounds = {"minimum": low, "maximum": high}
    return {name: bound for name, bound in bounds.items() if bound is not None}


def _quote(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 2]}…{text[-1]}"


def _split_items(text: str) -> list[str | None]:
    """Split at commas outside of double quotes; None stands for an item with an odd quote."""
    items: list[str | None] = []
    text, position = text.strip(), 0
    while position < len(text):
        match = _ITEM.match(text, position)
        if match is None:  # pragma: no cover - its second half matches anything
            break
        if match[1] is not None:
            items.append(match[1].replace('""', '"'))
        else:
            items.append(None if match[2].count('"') % 2 else match[2].strip())
        position = match.end() + 1
    return items


def _quote_item(item: str) -> str:
    plain = item and "," not in item and item[0] != '"' and item == item.strip()
    plain = plain and item.count('"') % 2 == 0
    return item if plain else '"' + item.replace('"', '""') + '"'
