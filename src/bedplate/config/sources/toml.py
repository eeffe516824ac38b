"""TOML as configuration: native values, each with the line where its key stands.

A table is a section, its path joined with dots; keys above the first table belong to ``DEFAULT``.
Dotted keys are paths too: ``api.workers = 4`` is ``workers`` of ``api``. An inline table and an
array are values of an option, and the keys inside them have no place of their own. Arrays of
tables (``[[name]]``) are refused: sections have names, not numbers.

The standard library's reader decides what is TOML and what the values are, but tells no places;
a scanner of this module finds the statements in the text that the reader has accepted. It knows
nothing of schemas, and no message of its findings repeats a value.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator
from typing import Literal, NamedTuple

from bedplate.config.document import decode
from bedplate.config.tree import Origin, Raw, Tree
from bedplate.errors import Finding

__all__ = ["parse"]

_GAP = re.compile(r"(?:[ \t\n]+|#[^\n]*)*")
_KEY_PART = re.compile(
    r"""[ \t]*(?:(?P<bare>[A-Za-z0-9_-]+)"""
    r"""|(?P<basic>"(?:[^"\\]|\\.)*")|'(?P<literal>[^']*)')[ \t]*"""
)
# What a value is made of: strings and comments hide everything in them, brackets nest, a line
# break outside of brackets ends it. Longest quotes first; up to two quotes may end a long string.
_VALUE_PART = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}'
    r"|'''.*?'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'"
    r"|#[^\n]*"
    r"|(?P<open>[\[{])|(?P<close>[\]}])|(?P<end>\n)"
    r"|[^\"'#\[\]{}\n]+",
    re.DOTALL,
)
_STATEMENT = re.compile(r"""[ \t]*(?:\[|[\w"'][^=\[\]{},]*=)""")
_DAMAGED = re.compile("[^\n]*[\0\udc80-\udcff][^\n]*")
_TRIES, _LOOKED_BACK, _MENDED = 10, 5, 1 << 20
_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_PLAINER = (
    ("Cannot declare", "This table is declared twice"),
    ("Cannot overwrite", "This key, or a table of its name, stands here a second time"),
    ("Cannot mutate", "This adds to an inline table, which is closed"),
    ("Cannot redefine", "This adds to a table from within another"),
    ("Exceeds the limit", "The file has a number of thousands of digits"),
)


class _Statement(NamedTuple):
    """A key of the text: its full path, and the index where it begins."""

    path: tuple[str, ...]
    start: int
    kind: Literal["key", "header", "array"]


def parse(data: bytes, name: str) -> Tree:
    """Read TOML from bytes; never raises. ``name`` is how findings and origins call them.

    What is wrong is among the tree's findings: encoding, syntax (the first mistake only, as others
    may follow from it), arrays of tables. The tree has whatever stands before and after it.
    """
    text, findings = decode(data, name)
    if findings:
        text = _DAMAGED.sub("", text.removeprefix("\ufeff"))
    text, values, mistakes = _understood(text.replace("\r\n", "\n"), name)
    # In what is damaged, a mistake of syntax is the damage.
    return _tree(text, values, name, findings or mistakes)


def _understood(text: str, name: str) -> tuple[str, dict[str, object], tuple[Finding, ...]]:
    """Read text, leaving out statements until the rest is TOML; the finding is the first mistake.

    What is left out becomes empty lines, so that all the rest keeps its place.
    """
    import tomllib

    findings: tuple[Finding, ...] = ()
    for _ in range(_TRIES if len(text) < _MENDED else 1):
        try:
            return text, tomllib.loads(text), findings
        except (ValueError, RecursionError) as problem:
            mistake = _mistake(problem, text, name)
        findings = findings or (mistake,)
        if mistake.line is None:
            break
        text = _without(text, mistake.line)
    return "", {}, findings


def _without(text: str, line: int) -> str:
    """Blank the statement that is wrong in this line; with a header, all that stands under it."""
    lines = text.split("\n")
    end = min(line, len(lines))
    above = range(end - 2, -1, -1)
    starts = [end - 1, *(index for index in above if _STATEMENT.match(lines[index]))]
    # The statement begins at the nearest line before which all is well.
    start = next((each for each in starts[:_LOOKED_BACK] if _is_toml(lines[:each])), end - 1)
    if start < end - 1 and _STATEMENT.match(lines[end - 1]):
        end -= 1  # it was not closed, which was noticed at the next one only
    if _is_header(lines[start]):
        after = range(start + 1, len(lines))
        end = next((each for each in after if _is_header(lines[each])), len(lines))
    return "\n".join([*lines[:start], *[""] * (end - start), *lines[end:]])


def _is_header(line: str) -> bool:
    return line.lstrip(" \t").startswith("[")


def _is_toml(lines: list[str]) -> bool:
    import tomllib

    try:
        tomllib.loads("\n".join(lines))
    except (ValueError, RecursionError):
        return False
    return True


def _mistake(problem: ValueError | RecursionError, text: str, name: str) -> Finding:
    if isinstance(problem, RecursionError):
        return Finding("error", "toml-syntax", "The values are nested too deep.", name, name)
    message = str(problem)
    line, column = text.count("\n") + 1, len(text) - text.rfind("\n")
    match = _PLACE.search(message)
    if match is not None:
        message = message[: match.start()]
        if match[1]:
            line, column = int(match[1]), int(match[2])
    message = next((plain for start, plain in _PLAINER if message.startswith(start)), message)
    place = f"{name}:{line}:{column}"
    return Finding("error", "toml-syntax", f"{message}.", place, name, line, column)


def _tree(text: str, values: dict[str, object], name: str, mistakes: tuple[Finding, ...]) -> Tree:
    tree = Tree()
    findings = [*mistakes]
    arrays: set[tuple[str, ...]] = set()
    breaks = [match.start() for match in re.finditer("\n", text)]
    for statement in _statements(text):
        earlier = bisect_left(breaks, statement.start)
        line = earlier + 1
        column = statement.start - (breaks[earlier - 1] if earlier else -1)
        origin = Origin("file", f"{name}:{line}:{column}", name, line, column)
        if statement.kind == "array":
            message = "Arrays of tables hold no sections; write [name] once for each section."
            findings.append(Finding("error", "toml-array", message, *origin[1:]))
            arrays.add(statement.path)
        elif any(statement.path[: len(array)] == array for array in arrays):
            continue  # a part of what was refused
        elif statement.kind == "header":
            tree.declare(".".join(statement.path), origin)
        else:
            *section, option = statement.path
            value = _at(values, statement.path)
            home = ".".join(section) if section else "DEFAULT"
            tree.add(home, option, Raw(value, origin))
    tree.findings = tuple(findings)
    return tree


def _at(values: dict[str, object], path: tuple[str, ...]) -> object:
    found: object = values
    for part in path:
        if isinstance(found, dict):
            found = found[part]
    return found


def _statements(text: str) -> Iterator[_Statement]:
    """Find the headers and the keys of text that is known to be TOML."""
    table: tuple[str, ...] = ()
    index = _end(_GAP, text, 0)
    while index < len(text):
        brackets = 2 if text.startswith("[[", index) else int(text[index] == "[")
        path, after = _key(text, index + brackets)
        if brackets:
            table = path
            yield _Statement(table, index, "array" if brackets == 2 else "header")
            after += brackets
        else:
            yield _Statement((*table, *path), index, "key")
            after = _after_value(text, after + 1)
        index = _end(_GAP, text, after)


def _key(text: str, index: int) -> tuple[tuple[str, ...], int]:
    path = []
    while match := _KEY_PART.match(text, index):
        if match["basic"] is not None:
            path.append(_unquoted(match["basic"]))
        else:
            path.append(match["bare"] or match["literal"])
        index = match.end()
        if text[index : index + 1] != ".":
            break
        index += 1
    return tuple(path), index


def _unquoted(text: str) -> str:
    if "\\" not in text:
        return text[1:-1]
    import tomllib

    value: str = tomllib.loads(f"key = {text}")["key"]
    return value


def _after_value(text: str, index: int) -> int:
    depth = 0
    while match := _VALUE_PART.match(text, index):
        index = match.end()
        if match["open"]:
            depth += 1
        elif match["close"]:
            depth -= 1
        elif match["end"] and not depth:
            break
    return index


def _end(pattern: re.Pattern[str], text: str, index: int) -> int:
    match = pattern.match(text, index)
    return match.end() if match else index
