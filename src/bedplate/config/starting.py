"""What a program reads when it starts: which sources there are, and in which rank.

Turns a command line, an environment and paths into layers. Reads nothing before it is asked to, and
knows nothing of what becomes of it.
"""

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from bedplate.config.judge import nearest
from bedplate.config.names import fold
from bedplate.config.schema import Schema
from bedplate.config.tree import Tree

if TYPE_CHECKING:
    from bedplate.config.sources.arguments import Split
    from bedplate.config.sources.files import Directory, File
    from bedplate.config.sources.port import Source

__all__ = ["Layers", "Start", "begin"]

_Path = str | os.PathLike[str]
_Values = Mapping[str, Mapping[str, object]]


class Layers(NamedTuple):
    """Every source in its rank, the lowest first; directories are listed anew at each read."""

    below: "tuple[Source, ...]"
    files: "tuple[File | Directory, ...]"
    above: "tuple[Source, ...]"

    def read(self, *, anew: bool = False) -> tuple[Tree, ...]:
        """Read all. Raises `SourceFailed` for a source that could not be read."""
        return tuple(source.refresh() if anew else source.load() for source in self._sources())

    def _sources(self) -> "Iterator[Source]":
        from bedplate.config.sources.files import Directory

        yield from self.below
        for place in self.files:
            yield from place.files() if isinstance(place, Directory) else (place,)
        yield from self.above


class Start(NamedTuple):
    """The sources of a start, the prefix of its variables, and its command line taken apart."""

    layers: Layers
    prefix: str
    given: "Split"


def begin(  # noqa: PLR0913 - see Config.load
    schema: Schema,
    *,
    program: str,
    argv: Sequence[str] | None,
    environ: Mapping[str, str] | None,
    files: Iterable[_Path] | None,
    sources: "Iterable[Source]" = (),
    overrides: _Values | None = None,
    defaults: _Values | None = None,
    env_prefix: str | None = None,
) -> Start:
    """Find out what there is to read, as `Config.load` describes it. Raises TypeError."""
    from bedplate.config.sources.arguments import Arguments, split
    from bedplate.config.sources.environment import Environment
    from bedplate.config.sources.memory import Memory

    if not program or isinstance(files, str | os.PathLike):
        raise TypeError("program is a name that is not empty, files a list of paths")
    prefix = fold(program if env_prefix is None else env_prefix)
    argv = tuple(sys.argv[1:] if argv is None else argv)
    given = split(argv)
    places: Iterable[tuple[str, _Path]] = given.paths
    if not given.paths:
        places = _search(program) if files is None else (("", path) for path in files)
    layers = Layers(
        (Memory(defaults or {}, name="application default"), *sources),
        tuple(_place(kind, path) for kind, path in places),
        (
            Environment(os.environ if environ is None else environ, prefix),
            Arguments(argv, schema.flags if given.rest else {}, nearest=nearest),
            Memory(overrides or {}, name="override"),
        ),
    )
    return Start(layers, prefix, given)


def _place(kind: str, path: _Path) -> "File | Directory":
    from bedplate.config.sources.files import Directory, File

    is_directory = kind == "dir" or (not kind and os.path.isdir(path))  # noqa: PTH112 - no pathlib here
    return Directory(path) if is_directory else File(path)


def _search(program: str) -> Iterator[tuple[str, _Path]]:
    from bedplate.config.sources.files import Directory, search

    for found in search(program):
        yield "dir" if isinstance(found, Directory) else "file", found.name
