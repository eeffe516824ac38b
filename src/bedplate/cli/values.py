"""Values as people write them in arguments, and as they are printed: as JSON, or as text.

What is printed may come from anybody: it cannot steer a terminal, and fits the encoding of
standard output. Knows nothing of where values come from.
"""

import json
import re
import sys
from collections.abc import Iterable
from math import inf

from bedplate.cli.sections import Misuse

__all__ = ["json_text", "named_values", "printable", "write", "write_bytes"]


def named_values(texts: Iterable[str]) -> dict[str, object]:
    """Read ``name=value`` arguments: a value is JSON, or else text.

    What begins like an object, an array or a string and is none is refused, because a slip of the
    pen would otherwise arrive as text. Raises `Misuse`.
    """
    values: dict[str, object] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise Misuse(f"{printable(text)!r} is no argument; write name=value.")
        if name in values:
            raise Misuse(f"the argument {printable(name)!r} is given twice.")
        values[name] = _value(name, value)
    return values


def _value(name: str, text: str) -> object:
    try:
        return json.loads(text, parse_constant=_no_constant, parse_float=_number)
    except RecursionError:
        raise Misuse(f"the value of {printable(name)!r} is nested too deeply.") from None
    except ValueError as error:
        if not text.lstrip().startswith(("{", "[", '"')):
            return text
        why = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        raise Misuse(
            f"the value of {printable(name)!r} begins like JSON and is none ({why}). A text that "
            f"begins so is written as a JSON string."
        ) from None


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


def _number(text: str) -> float:
    number = float(text)
    if number in (inf, -inf):
        raise ValueError("a number is too large")
    return number


def printable(text: str) -> str:
    """Return a text that cannot steer a terminal, whoever wrote it; lines stay lines."""
    return _STEERING.sub(_spelled, text)


def json_text(value: object, *, indent: int | None = None) -> str:
    """Return a value as JSON that any terminal and any encoding of standard output can take."""
    text = _STEERING.sub(_spelled, json.dumps(value, ensure_ascii=False, indent=indent))
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(value, indent=indent)
    return text


_STEERING = re.compile("[^\t\n\x20-\x7e]")


def _spelled(match: re.Match[str]) -> str:
    sign = match[0]
    if sign.isprintable():
        return sign
    return f"\\u{ord(sign):04x}" if ord(sign) < 0x10000 else json.dumps(sign)[1:-1]


def write(text: str, *, error: bool = False) -> None:
    """Print a line and let whoever reads it have it now."""
    stream = sys.stderr if error else sys.stdout
    try:
        stream.write(f"{text}\n")
    except UnicodeEncodeError:
        known = stream.encoding or "ascii"
        stream.write(f"{text.encode(known, 'backslashreplace').decode(known)}\n")
    stream.flush()


def write_bytes(body: bytes) -> None:
    """Print bytes as they are, and end the line."""
    sys.stdout.flush()
    sys.stdout.buffer.write(body + b"\n")
    sys.stdout.buffer.flush()
