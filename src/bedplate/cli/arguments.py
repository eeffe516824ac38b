"""Values as people write them in arguments: as JSON, or else as text.

Knows nothing of what becomes of them.
"""

import json
from collections.abc import Iterable
from math import inf

from bedplate.cli.ending import Misuse

__all__ = ["named_values"]


def named_values(texts: Iterable[str]) -> dict[str, object]:
    """Read ``name=value`` arguments: a value is JSON, or else text.

    What begins like an object, an array or a string and is none is refused, because a slip of the
    pen would otherwise arrive as text. Raises `Misuse`.
    """
    values: dict[str, object] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise Misuse(f"{text!r} is no argument; write name=value.")
        if name in values:
            raise Misuse(f"the argument {name!r} is given twice.")
        values[name] = _value(name, value)
    return values


def _value(name: str, text: str) -> object:
    try:
        return json.loads(text, parse_constant=_no_constant, parse_float=_number)
    except RecursionError:
        raise Misuse(f"the value of {name!r} is nested too deeply.") from None
    except ValueError as error:
        if not text.lstrip().startswith(("{", "[", '"')):
            return text
        why = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        raise Misuse(
            f"the value of {name!r} begins like JSON and is none ({why}). A text that "
            f"begins so is written as a JSON string."
        ) from None


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


def _number(text: str) -> float:
    number = float(text)
    if number in (inf, -inf):
        raise ValueError("a number is too large")
    return number
