"""Raw values with their origin: what every source produces and every later stage reads.

Pure data. A tree knows nothing of schemas, types or precedence.
"""

from collections.abc import Iterator
from typing import NamedTuple, NoReturn

from bedplate._floor.secret import MASK
from bedplate.errors import Finding, SecretNotSerialisable

__all__ = ["Flag", "Origin", "Raw", "Tree"]


class Flag(NamedTuple):
    """What a command-line flag sets: one option of one section.

    Flags travel as a mapping from the positive spelling, dashes included (``--api.workers``,
    ``--debug``), to a Flag. ``--no-api.debug`` is understood for every flag that ``is_bool`` and
    is not in the mapping.
    """

    section: str
    option: str
    is_bool: bool


class Origin(NamedTuple):
    """Where a value was written, as the person who wrote it would say.

    ``source`` is the kind (``command line``, ``environment``, ``file``, ``override``,
    ``application default``, ``default``, or a source's own name); ``place`` the spelling to look
    for: ``inventory.conf:3:1``, ``--api.workers``, ``INVENTORY_API__WORKERS``. ``file``, ``line``
    and ``column`` (from 1) are set for files only.
    """

    source: str
    place: str
    file: str | None = None
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        return self.place or self.source


class Raw:
    """One value before conversion, with its origin. Its printed form never shows the value.

    ``value`` is text from most sources, or a native int, float, bool, str, list or dict from
    formats that have types (TOML, overrides).
    """

    __slots__ = ("origin", "value")

    def __init__(self, value: object, origin: Origin) -> None:
        self.value = value
        self.origin = origin

    def __repr__(self) -> str:
        return f"Raw({MASK}, {self.origin.place or self.origin.source!r})"

    def __reduce__(self) -> NoReturn:
        # Which of them are secrets is not known yet.
        raise SecretNotSerialisable(how="pickle")


class Tree:
    """Sections of options of raw values, in the order they were written.

    An option may be written several times; all its values are kept in order. ``folded`` says that
    the names are environment-like (upper case, every other sign an underscore) and are matched
    against the schema's folded names; otherwise they are exact. ``sections`` remembers also
    sections that were written without any option, with their origin. ``findings`` are what the
    source has to say about what it read: errors for what it could not understand, so that the rest
    can be judged all the same (a tree with errors must never be used), and warnings: an indented
    key, values that are not fresh.
    """

    __slots__ = ("findings", "folded", "sections", "values")

    def __init__(self, *, folded: bool = False, findings: tuple[Finding, ...] = ()) -> None:
        self.folded = folded
        self.findings = findings
        self.values: dict[str, dict[str, list[Raw]]] = {}
        self.sections: dict[str, Origin] = {}

    @property
    def mistakes(self) -> tuple[Finding, ...]:
        """The errors among its findings: what could not be understood."""
        return tuple(each for each in self.findings if each.severity == "error")

    def add(self, section: str, option: str, raw: Raw) -> None:
        """Append one value."""
        self.values.setdefault(section, {}).setdefault(option, []).append(raw)
        self.sections.setdefault(section, raw.origin)

    def declare(self, section: str, origin: Origin) -> None:
        """Remember that a section was written, be it empty; its first origin stays."""
        self.sections.setdefault(section, origin)

    def noting(self, *findings: Finding) -> "Tree":
        """Return a copy whose findings end with these; neither tree sees changes to the other."""
        tree = Tree(folded=self.folded, findings=(*self.findings, *findings))
        tree.sections = dict(self.sections)
        tree.values = {
            section: {option: list(raws) for option, raws in options.items()}
            for section, options in self.values.items()
        }
        return tree

    def get(self, section: str, option: str) -> list[Raw]:
        """Return all values of an option, empty where there are none."""
        return self.values.get(section, {}).get(option, [])

    def __iter__(self) -> Iterator[tuple[str, str, list[Raw]]]:
        for section, options in self.values.items():
            for option, raws in options.items():
                yield section, option, raws

    def __len__(self) -> int:
        return sum(len(options) for options in self.values.values())

    def __repr__(self) -> str:
        return f"Tree({len(self)} options in {len(self.sections)} sections)"
