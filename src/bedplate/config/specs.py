"""What is known of one option, and of one section.

Values that every reader shares: loading, checking, help, documents and migration. Knows nothing of
classes, sources, or of the values people set.
"""

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final, NamedTuple

from bedplate._floor.secret import MASK
from bedplate.config.names import fold, key_of
from bedplate.config.option import Required
from bedplate.config.types import Boolean, Type, Unchecked
from bedplate.config.types.around import inside

__all__ = [
    "WITHHELD",
    "OptionSpec",
    "SectionSpec",
    "Unresolved",
    "Withheld",
]


class Withheld(Enum):
    """A default that is there and is not told: that of a secret, in a schema read from a file."""

    WITHHELD = "withheld"

    def __repr__(self) -> str:
        return self.name


WITHHELD: Final = Withheld.WITHHELD
"""Stands where a default would that nobody may see."""


class Unresolved(NamedTuple):
    """A default that stands as text: it refers to other options, or its own type refuses it."""

    text: str


class OptionSpec(NamedTuple):
    """All that is known of one option.

    ``default`` is a checked value, ``REQUIRED``, `Unresolved` text or ``WITHHELD``;
    `default_text` shows any of them. ``was`` holds old names as section and option. ``optional``
    says that it is not asked for while nothing of its section is set. ``owner`` says in which
    class or by whom it is declared, for messages. ``annotation`` is what a class says of its type
    and None where there is no class. ``flagless`` says that its section is named by an option, and
    flags are read before that.
    """

    section: str
    name: str
    type: Type
    default: object
    help: str
    mutable: bool
    optional: bool
    was: tuple[tuple[str, str], ...]
    deprecated: str
    since: str
    advanced: bool
    sample: str
    interpolate: bool
    owner: str
    annotation: object = None
    flagless: bool = False

    @property
    def key(self) -> str:
        """What people call it: ``api.workers``, and ``debug`` for one of DEFAULT."""
        return key_of(self.section, self.name)

    @property
    def secret(self) -> bool:
        """Whether its value must never be shown."""
        return self.type.secret

    @property
    def required(self) -> bool:
        """Whether somebody must set it."""
        return isinstance(self.default, Required)

    @property
    def unchecked(self) -> bool:
        """Whether nothing of its value can be checked, for only its own program reads it."""
        return isinstance(inside(self.type), Unchecked)

    @property
    def hides_default(self) -> bool:
        """Whether its default would show what must not be seen: a secret, a password in a URL."""
        if self.default is None or isinstance(self.default, Required):
            return False
        if self.secret or isinstance(self.default, Withheld):
            return True
        if isinstance(self.default, Unresolved):
            return False
        return self.type.show(self.default) != self.type.show(self.default, reveal=True)

    @property
    def default_text(self) -> str | None:
        """Its default as text, masked for a secret; None where there is none."""
        if self.default is None or isinstance(self.default, Required):
            return None
        if self.secret or isinstance(self.default, Withheld):
            return MASK
        if isinstance(self.default, Unresolved):
            return self.default.text
        return self.type.show(self.default)

    @property
    def is_bool(self) -> bool:
        """Whether its flag is a switch."""
        return isinstance(inside(self.type), Boolean)

    @property
    def flag(self) -> str | None:
        """Its flag, ``--api.max-rows``.

        None for a secret, which a process list would show, and in sections that an option names.
        """
        return None if self.flagless or self.type.secret else f"--{self.key.replace('_', '-')}"

    def variable(self, prefix: str) -> str:
        """Return its environment variable: ``INVENTORY_API__WORKERS``."""
        return f"{prefix}_{fold(self.section)}__{fold(self.name)}"

    def agrees_with(self, other: "OptionSpec") -> bool:
        """Whether another declaration of the same name, in the same section, says the same."""
        if self is other:
            return True
        mine = self._replace(optional=False, owner="")
        return mine == other._replace(optional=False, owner="")


class SectionSpec(NamedTuple):
    """All that is known of one section; several classes may have contributed to it.

    ``each`` is the key of the option that names sections of this shape (``enabled_backends``),
    empty for a section that stands for itself. ``by`` is the driver that picks this shape among
    several; empty, it takes all names. The driver is the value of the option ``driver_option`` in
    the section that is named, whose shape is then that of ``by`` beside that of all; or, without
    such an option, what stands with the name in a dictionary of the option ``each``.

    ``drivers`` is what oslo.config's generator has instead: by the value of ``driver_option``, the
    options of this section that one driver only has.
    """

    name: str
    doc: str
    optional: bool
    options: Mapping[str, OptionSpec]
    each: str = ""
    by: str = ""
    driver_option: str = ""
    drivers: Mapping[str, tuple[str, ...]] = MappingProxyType({})
