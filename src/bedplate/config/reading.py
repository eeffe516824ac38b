"""Taking parsed JSON or YAML apart, with a sentence for whatever is not as it should be.

Also reads and parses such files within bounds. Knows nothing of what the data means.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final, NoReturn, TypeVar, cast

from bedplate.errors import NotASchema

__all__ = ["Facts", "decoded", "parsed", "read_bounded"]

T = TypeVar("T")

_NAME: Final = re.compile(r"[^\s\[\]=:#;](?:[^\[\]=:]*[^\s\[\]=:])?")
_DEEPEST: Final = 50
_LARGEST: Final = 32 * 1024 * 1024


class Facts:
    """A mapping of a parsed file that knows its place in it. Raises `NotASchema` when asked."""

    __slots__ = ("facts", "file", "where")

    def __init__(self, value: object, file: str, where: str = "") -> None:
        self.file, self.where = file, where
        if not isinstance(value, Mapping):
            self.refuse("", "no mapping")
        self.facts = cast("Mapping[object, object]", value)

    def refuse(self, key: str, what: str) -> NoReturn:
        """Say that what stands under a key, or here, is not what it should be."""
        where = ".".join(each for each in (self.where, key) if each) or "the whole"
        raise NotASchema(name=self.file, why=f"{where} is {what}")

    def has(self, key: str) -> bool:
        """Whether there is anything but null under a key."""
        return self.facts.get(key) is not None

    def insist_on_name(self, name: str) -> str:
        """Return the name of a section or an option, if a file could call anything that."""
        if not _NAME.fullmatch(name) or not name.isprintable():
            self.refuse("", f"called {name!r}, which no section or option can be")
        return name

    def text(self, key: str) -> str:
        """Return a text, empty where there is none."""
        return self._of(key, str, "no text") or ""

    def flag(self, key: str) -> bool:
        """Return whether something is said to be so."""
        return self._of(key, bool, "neither true nor false") or False

    def items(self, key: str) -> list[object]:
        """Return a list, empty where there is none."""
        return self._of(key, list, "no list") or []

    def number(self, key: str) -> float | None:
        """Return a finite number or None."""
        value = self.facts.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or value - value != 0:
            self.refuse(key, "no number")
        return value

    def inner(self, key: str) -> "Facts":
        """Return the mapping under a key, an empty one where there is none."""
        value = self.facts.get(key)
        where = f"{self.where}.{key}" if self.where else key
        return Facts({} if value is None else value, self.file, where)

    def each(self, key: str) -> Iterator[tuple[str, "Facts"]]:
        """Go through a mapping of mappings."""
        below = self.inner(key)
        for name in below.facts:
            if not isinstance(name, str):
                below.refuse(str(name), "called by no text")
            yield name, below.inner(name)

    def listed(self, key: str) -> Iterator["Facts"]:
        """Go through a list of mappings."""
        for number, item in enumerate(self.items(key)):
            yield Facts(item, self.file, f"{self.where}.{key}[{number}]".lstrip("."))

    def _of(self, key: str, kind: type[T], complaint: str) -> T | None:
        value = self.facts.get(key)
        if value is not None and not isinstance(value, kind):
            self.refuse(key, complaint)
        return value


def read_bounded(path: str) -> bytes:
    """Read a regular file of at most 32 MiB. Never waits: a pipe is refused.

    Raises `NotASchema` with the reason.
    """
    import os
    import stat

    why = ""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor, asked what it is first
            mode = os.fstat(descriptor).st_mode
            if stat.S_ISREG(mode):
                data = file.read(_LARGEST + 1)
                if len(data) <= _LARGEST:
                    return data
                why = f"it is larger than {_LARGEST // 1024 // 1024} MiB"
            else:
                why = "it is no regular file"
    except IsADirectoryError:
        why = "it is a directory"
    except FileNotFoundError:
        why = "there is no such file"
    except (OSError, ValueError) as error:
        why = f"it cannot be read ({getattr(error, 'strerror', None) or error})"
    raise NotASchema(name=path, why=why)


def decoded(data: bytes | str, name: str) -> str:
    """Return text in UTF-8, without a mark of byte order. Raises `NotASchema`."""
    if isinstance(data, str):
        return data.removeprefix("\ufeff")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass
    raise NotASchema(name=name, why="it is not text in UTF-8")


def parsed(text: str, name: str) -> object:
    """Parse JSON, or YAML where PyYAML is installed. Raises `NotASchema`, saying where."""
    return (_parsed_json if text.lstrip()[:1] in ("{", "[") else _parsed_yaml)(text, name)


def _parsed_json(text: str, name: str) -> object:
    import json

    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        why = f"it is not JSON ({error.msg} in line {error.lineno}, column {error.colno})"
    except (RecursionError, ValueError):
        why = "it is not JSON that can be read: it nests too deeply, or holds a number too large"
    raise NotASchema(name=name, why=why)


def _parsed_yaml(text: str, name: str) -> object:
    import importlib

    try:
        yaml = importlib.import_module("yaml")
    except ImportError:
        why = (
            "it is not JSON, and YAML is read only where PyYAML is installed: "
            "pip install 'bedplate[yaml]', or print JSON with oslo-config-generator --format json"
        )
        raise NotASchema(name=name, why=why) from None
    # The C loader where there is one: ten times as fast, and as safe, but for nesting: there it
    # would end the process.
    loader, depth, why = getattr(yaml, "CSafeLoader", yaml.SafeLoader), 0, ""
    try:
        for event in yaml.parse(text, loader):
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEEPEST:
                raise NotASchema(name=name, why=f"it nests more than {_DEEPEST} levels deep")
        return cast("object", yaml.load(text, loader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        why = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    except ValueError as error:
        why = f" that can be read ({error})"
    raise NotASchema(name=name, why=f"it is neither JSON nor YAML{why}")
