"""Values as they are printed: as JSON, or as text.

They may come from anybody: what is printed cannot steer a terminal, and fits the encoding of
standard output. Knows nothing of where values come from.
"""

import json
import re
import sys

__all__ = ["in_a_line", "json_text", "printable", "write", "write_bytes"]


def printable(text: str) -> str:
    """Return a text that cannot steer a terminal, whoever wrote it; lines stay lines."""
    return _STEERING.sub(_spelled, text)


def in_a_line(text: str) -> str:
    """Return a text that cannot steer a terminal and stays in its line, and in its column."""
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")


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
