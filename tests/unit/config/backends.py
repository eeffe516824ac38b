"""Sections that an option names, for the tests of them."""

from collections.abc import Mapping
from enum import Enum
from pathlib import Path

from bedplate.config import Config, Secret, Section, option
from bedplate.errors import InvalidConfig

__all__ = [
    "ALL",
    "TEXT",
    "Backend",
    "Common",
    "FastStore",
    "FasterStore",
    "Kind",
    "Lvm",
    "Nfs",
    "Plain",
    "Spare",
    "Store",
    "codes",
    "load",
]


class Common(Section, name="DEFAULT"):
    enabled_backends: list[str] = option(default=[], mutable=True)
    fixed_backends: list[str] = option(default=[])
    first: str = option(default="a")


class Backend(Section, each="DEFAULT.enabled_backends", by="driver"):
    driver: str = option(help="Which kind it is.")
    size: int = option(default=1, mutable=True, was=("capacity",))
    key: Secret[str] = option(default=Secret("k"))


class Lvm(Backend, when="lvm"):
    group: str = option()


class Nfs(Backend, when="nfs"):
    share: str = option()
    size_limit: int = option(default=9)


class Plain(Section, each="fixed_backends"):
    path: str = option(default="/")


class Spare(Section, each="fixed_backends", optional=True):
    path: str = option()


class Kind(Enum):
    FAST = "fast"
    PLAIN = "plain"


class Store(Section, each="enabled_backends", by="kind"):
    kind: Kind = option(default=Kind.PLAIN)


class FastStore(Store, when="fast"):
    speed: int = option()


class FasterStore(FastStore, when="plain"):
    """Varies what varies; not loaded in all tests."""


ALL: tuple[type[Section], ...] = (Common, Backend, Lvm, Nfs)
TEXT = """\
[DEFAULT]
enabled_backends = slow, fast
[fast]
driver = lvm
group = vg
[slow]
driver = nfs
share = a:/b
size = 3
"""


def load(
    text: str,
    *sections: type[Section],
    path: Path,
    environ: Mapping[str, str] | None = None,
    argv: tuple[str, ...] = (),
) -> Config:
    """Load a file of this text, with all sections unless some are named."""
    path.write_text(text)
    return Config.load(
        sections or ALL, program="stock", argv=argv, environ=environ or {}, files=(path,)
    )


def codes(error: InvalidConfig) -> list[tuple[int | None, str, str | None, str | None]]:
    """Return line, code, section and option of each finding."""
    return [(each.line, each.code, each.section, each.option) for each in error.findings]
