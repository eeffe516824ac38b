"""Types of numbers: whole, decimal, ports, times, sizes, ranges.

Knows nothing of options, sections or where a value came from.
"""

import re
from types import MappingProxyType
from typing import Annotated, cast

from bedplate.config.types.contract import (
    Refused,
    Type,
    match_text,
    quote,
    refuse_native,
    refuse_text,
    valued,
)

__all__ = [
    "ByteSize",
    "ByteSizeType",
    "Duration",
    "DurationType",
    "Float",
    "Integer",
    "Port",
    "RangeType",
]

_INTEGER = re.compile(r"[+-]?[0-9]{1,1000}")
_FLOAT = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_DURATION = re.compile(rf"({_FLOAT.pattern})\s*(ms|s|m|h|d)?")
_SECONDS = MappingProxyType({"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0})
_SIZE = re.compile(r"([0-9]{1,30})(?:\.([0-9]{1,30}))?\s*([A-Za-z]*)")
_BYTES = MappingProxyType(
    {"": 1, "B": 1}
    | {f"{unit}iB": 1024**power for power, unit in enumerate("KMGTPE", 1)}
    | {f"{unit}B": 1000**power for power, unit in enumerate("kMGTPE", 1)}
)
_RANGE = re.compile(r"(-?[0-9]{1,18})(?:\s*-\s*(-?[0-9]{1,18}))?")


@valued
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
        return self._check(int(match_text(_INTEGER, text, self)[0]))

    def accept(self, native: object) -> object:
        """Take an int that is no bool."""
        if isinstance(native, bool) or not isinstance(native, int):
            refuse_native(self, native)
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


@valued
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
        return self._check(float(match_text(_FLOAT, text, self)[0]))

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


@valued
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
        match = match_text(_DURATION, text, self)
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


@valued
class ByteSizeType:
    """Bytes as an int, written ``4096``, ``64KiB``, ``1.5GiB`` or ``10MB``.

    KiB, MiB, GiB, TiB, PiB and EiB count by 1024; kB, MB, GB, TB, PB and EB by 1000, in exactly
    this spelling: a bare ``M`` could mean either. Never negative, and a whole number of bytes.
    """

    __slots__ = ("maximum", "minimum")
    secret = False

    def __init__(self, minimum: float | None = 0, maximum: float | None = None) -> None:
        self.minimum, self.maximum = minimum, maximum

    def within(self, minimum: float | None, maximum: float | None) -> "ByteSizeType":
        """Return the same type, narrowed to these bounds where they are given."""
        return ByteSizeType(*_bounds(self.minimum, self.maximum, minimum, maximum))

    def parse(self, text: str) -> object:
        """Read a number with or without a unit; without, it counts bytes."""
        match = match_text(_SIZE, text, self)
        unit, decimals = _BYTES.get(match[3]), match[2] or ""
        if unit is None:
            refuse_text(self, text)
        size, rest = divmod(int(match[1] + decimals) * unit, 10 ** len(decimals))
        if rest:
            refuse_text(self, text)
        return self._check(size)

    def accept(self, native: object) -> object:
        """Take an int that is no bool."""
        if isinstance(native, bool) or not isinstance(native, int):
            refuse_native(self, native)
        return self._check(native)

    def show(self, value: object, *, reveal: bool = False) -> str:
        """Write it in the largest unit of 1024 that leaves no fraction."""
        del reveal
        size = cast("int", value)
        for unit in ("EiB", "PiB", "TiB", "GiB", "MiB", "KiB"):
            if size and size % _BYTES[unit] == 0:
                return f"{size // _BYTES[unit]}{unit}"
        return str(size)

    def describe(self) -> str:
        """Say it with its bounds."""
        low = None if not self.minimum else self.show(int(self.minimum))
        high = None if self.maximum is None else self.show(int(self.maximum))
        return f"{_ranged('a size in bytes', low, high)}, such as 4096, 64KiB, 1.5GiB or 10MB"

    def json_schema(self) -> dict[str, object]:
        """Return ``integer`` with its bounds, or text with a unit."""
        number = {"type": "integer", **_json_bounds(self.minimum, self.maximum)}
        return {"anyOf": [number, {"type": "string", "pattern": f"^{_SIZE.pattern}$"}]}

    def _check(self, value: int) -> int:
        _check_range(self, value, self.minimum, self.maximum)
        return value


@valued
class RangeType:
    """``range``: whole numbers from one to another, both included: ``3-7``, ``-2-5``, ``7-3``."""

    __slots__ = ()
    secret = False

    def parse(self, text: str) -> object:
        """Read one number or two with a dash between; from a larger to a smaller counts down."""
        match = match_text(_RANGE, text, self)
        first = int(match[1])
        last = first if match[2] is None else int(match[2])
        return range(first, last - 1, -1) if last < first else range(first, last + 1)

    def accept(self, native: object) -> object:
        """Take a range that leaves nothing out and is not empty."""
        if not isinstance(native, range) or native.step not in (1, -1) or not native:
            refuse_native(self, native)
        return native

    def show(self, value: object, *, reveal: bool = False) -> str:
        """Write the first and the last number."""
        del reveal
        numbers = cast("range", value)
        return f"{numbers[0]}-{numbers[-1]}"

    def describe(self) -> str:
        """Say how a range is written."""
        return "a range of whole numbers, such as 3-7"

    def json_schema(self) -> dict[str, object]:
        """Return ``string`` of that form."""
        return {"type": "string", "pattern": f"^{_RANGE.pattern}$"}


ByteSize = Annotated[int, ByteSizeType()]
"""A number of bytes, written ``4096``, ``64KiB``, ``1.5GiB`` or ``10MB``; mypy sees an int."""

Port = Annotated[int, Integer(0, 65535, noun="a port number")]
"""A TCP or UDP port, 0 to 65535, where 0 lets the system choose one; mypy sees an int."""

Duration = Annotated[float, DurationType()]
"""A time in seconds, written ``30``, ``1.5s``, ``500ms``, ``5m``, ``2h`` or ``1d``; a float."""


def _real(type_: Type, native: object) -> float:
    if isinstance(native, bool) or not isinstance(native, int | float):
        refuse_native(type_, native)
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
        raise Refused("out-of-range", type_.describe(), quote(value))


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
