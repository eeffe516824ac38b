"""An environment for each peer, made when it is first asked for and kept in the user's cache.

Peers are installed from the package index by ``uv`` where it is there, else by ``venv`` and
``pip``; nothing of them enters the environment bedplate runs in. Knows nothing of what peers do.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from bedplate.errors import BenchFailed

__all__ = ["cache_folder", "python_with"]

_PATIENCE = 600.0


def cache_folder() -> Path:
    """Return where they are kept: bedplate/bench in ``$XDG_CACHE_HOME`` or ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base, "bedplate", "bench")


def python_with(
    requirement: str, *, folder: Path, tell: Callable[[str], object], uv: str | None = None
) -> Path:
    """Return the Python of an environment below ``folder`` that has ``requirement`` installed.

    One that is there is used as it is; otherwise it is made, and ``tell`` hears what takes so
    long. ``uv`` is the program to make it with; None means venv and pip. Raises `BenchFailed`.
    """
    built = f"{requirement} {sys.version} {sys.prefix}"
    mark = hashlib.sha256(built.encode()).hexdigest()[:8]
    home = folder / f"{requirement}-{mark}"
    python = Path("bin", "python")
    if (home / python).exists():
        return home / python
    tell(f"Installing {requirement} into {home}; this is done once.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Made beside it and renamed when whole: what is there can be used, whoever made it.
        made = Path(tempfile.mkdtemp(prefix=f".{requirement}-", dir=folder))
    except OSError as error:
        raise BenchFailed(
            contestant=requirement, why=f"{folder} cannot be written to: {error.strerror}."
        ) from error
    try:
        for command in _commands(requirement, made, made / python, uv):
            _run(requirement, command)
        if not home.exists():
            made.rename(home)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return home / python


def _commands(
    requirement: str, made: Path, python: Path, uv: str | None
) -> tuple[Sequence[str], ...]:
    if uv is not None:
        return (
            (uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(made)),
            (uv, "pip", "install", "--quiet", "--python", str(python), requirement),
        )
    return (
        (sys.executable, "-m", "venv", str(made)),
        (
            str(python),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            requirement,
        ),
    )


def _run(requirement: str, command: Sequence[str]) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - our own words and a name from a fixed list
            command, capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        why = f"its installation did not end within {_PATIENCE:g} s."
        raise BenchFailed(contestant=requirement, why=why) from None
    except OSError as error:
        raise BenchFailed(
            contestant=requirement, why=f"{command[0]} did not start: {error.strerror}."
        ) from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["nothing was said"]
        raise BenchFailed(
            contestant=requirement,
            why=f"it could not be installed ({said[0]}). Is the package index within reach?",
        )
