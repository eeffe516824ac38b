"""Files of configuration as sources, and where they are looked for.

Only regular files are read, at most 16 MiB of each: a pipe, a device or a wrong file must not
hang or fill a starting service. The suffix says the format: ``.toml``, else the INI dialect.
"""

# Importing pathlib would cost every start some milliseconds, os.path is there already.
# ruff: noqa: PTH100, PTH110, PTH111, PTH116, PTH118, PTH208
import os
import stat

from bedplate.config.document import Document
from bedplate.config.tree import Tree
from bedplate.errors import SourceFailed

__all__ = ["Directory", "File", "search"]

_Path = str | os.PathLike[str]

_MOST_BYTES = 16 * 1024 * 1024
_SUFFIXES = (".conf", ".toml")


class File:
    """One file; a `bedplate.config.sources.Source`. Nothing is opened before `load`.

    ``name`` is the path as it was given. A relative path, or one that begins with ``~``, is
    resolved at the first load and stays, so that a reload after a change of the working
    directory reads the same file; ``at`` says where it lies when that is known already.
    """

    __slots__ = ("_resolved", "name")

    def __init__(self, path: _Path, *, at: str | None = None) -> None:
        self.name = os.fspath(path)
        self._resolved = at

    def load(self) -> Tree:
        """Read and parse the file.

        Mistakes of syntax are among the tree's findings. Raises `SourceFailed` when the file
        cannot be read.
        """
        data = self.content()
        if self.name.lower().endswith(".toml"):
            from bedplate.config.sources.toml import parse

            return parse(data, self.name)
        return Document.parse(data, self.name).tree()

    def content(self) -> bytes:
        """Read the bytes of the file. Raises `SourceFailed` when it cannot be read."""
        if self._resolved is None:
            self._resolved = _resolve(self.name)
        return _read(self._resolved, self.name)

    def next_refresh(self, now: float) -> float | None:  # noqa: ARG002 - the port's signature
        """Never: a file is read again when a reload is asked for."""
        return None

    def refresh(self) -> Tree:
        """Read the file anew."""
        return self.load()

    def __repr__(self) -> str:
        return f"File({self.name!r})"


class Directory:
    """A ``conf.d``: its files are layers, each a source of its own, later beating earlier.

    Files are those named ``*.conf`` or ``*.toml``, in the order of their names; hidden files,
    others and sub-directories of other names are passed over.
    """

    __slots__ = ("_resolved", "name")

    def __init__(self, path: _Path) -> None:
        self.name = os.fspath(path)
        self._resolved: str | None = None

    def files(self) -> tuple[File, ...]:
        """List the files there are now. Raises `SourceFailed` when it cannot be listed."""
        if self._resolved is None:
            self._resolved = _resolve(self.name)
        try:
            names = os.listdir(self._resolved)
        except FileNotFoundError:
            raise SourceFailed(source=self.name, why="there is no such directory.") from None
        except NotADirectoryError:
            why = "it is not a directory; name a file with --config-file."
            raise SourceFailed(source=self.name, why=why) from None
        except (OSError, ValueError) as problem:
            raise SourceFailed(source=self.name, why=_reason(problem)) from problem
        return tuple(
            File(os.path.join(self.name, each), at=os.path.join(self._resolved, each))
            for each in sorted(names)
            if each.endswith(_SUFFIXES) and not each.startswith(".")
        )

    def __repr__(self) -> str:
        return f"Directory({self.name!r})"


def search(
    program: str, *, home: _Path | None = None, etc: _Path = "/etc"
) -> tuple[File | Directory, ...]:
    """Find a program's files where oslo.config looks for them.

    The places, the first hit wins: ``~/.<program>/``, ``~/``, ``/etc/<program>/``, ``/etc/``;
    once for ``<program>.conf`` and once for the directory ``<program>.conf.d``, which comes last
    and so beats the file. ``home`` None is the user's own.
    """
    home = os.path.expanduser("~") if home is None else os.fspath(home)
    etc = os.fspath(etc)
    places = (os.path.join(home, f".{program}"), home, os.path.join(etc, program), etc)
    file = _first(places, f"{program}.conf")
    directory = _first(places, f"{program}.conf.d")
    return ((File(file),) if file else ()) + ((Directory(directory),) if directory else ())


def _first(places: tuple[str, ...], name: str) -> str | None:
    paths = (os.path.join(place, name) for place in places)
    return next((path for path in paths if os.path.exists(path)), None)


def _resolve(path: str) -> str:
    try:
        return os.path.abspath(os.path.expanduser(path))
    except OSError as problem:
        # The working directory itself is gone.
        raise SourceFailed(source=path, why=_reason(problem)) from problem


def _read(path: str, name: str) -> bytes:
    try:
        # Looked at first, because opening alone already acts on some devices; and once more
        # when open, because the name may have come to mean something else in between.
        _insist_on_file(os.stat(path).st_mode, name)
        with open(path, "rb", opener=_open) as file:
            _insist_on_file(os.fstat(file.fileno()).st_mode, name)
            data = file.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        raise SourceFailed(source=name, why="there is no such file.") from None
    except (OSError, ValueError) as problem:
        raise SourceFailed(source=name, why=_reason(problem)) from problem
    if len(data) > _MOST_BYTES:
        why = f"it is larger than {_MOST_BYTES >> 20} MiB; is it a file of configuration at all?"
        raise SourceFailed(source=name, why=why)
    return data


def _open(path: str, flags: int) -> int:
    # Non-blocking: a FIFO put in the file's place would else wait for a writer for ever.
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)


def _insist_on_file(mode: int, name: str) -> None:
    if stat.S_ISREG(mode):
        return
    if stat.S_ISDIR(mode):
        why = "it is a directory; name it with --config-dir to read the files in it."
    else:
        why = "it is a pipe, socket or device, and only regular files are read."
    raise SourceFailed(source=name, why=why)


def _reason(problem: OSError | ValueError) -> str:
    if isinstance(problem, OSError) and problem.strerror:
        return f"{problem.strerror.lower()}."
    return "the path is not one that the system can look up."
