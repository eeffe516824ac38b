"""Contestants as processes: which Python is theirs, what they say, what becomes of failures."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence

from bedplate.bench.environments import cache_folder, python_with
from bedplate.errors import BenchFailed

__all__ = ["output", "python_of", "status"]

_PATIENCE = 300.0
_LONGEST = 300


def python_of(contestant: str, tell: Callable[[str], object]) -> tuple[str, ...]:
    """Return how to start the Python that has a contestant, which is installed first if need be.

    ``tell`` hears what takes long. Raises `BenchFailed`.
    """
    if contestant == "bedplate":
        return (sys.executable, "-P")
    python = python_with(contestant, folder=cache_folder(), tell=tell, uv=shutil.which("uv"))
    return (str(python), "-I")


def output(contestant: str, command: Sequence[str], said: str = "") -> str:
    """Run a command that is given ``said``, and return what it printed. Raises `BenchFailed`."""
    done = _run(contestant, command, said)
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).rpartition("\n")[2][:_LONGEST]
        raise BenchFailed(
            contestant=contestant, why=f"its process ended with status {done.returncode}: {last}"
        )
    return done.stdout


def status(contestant: str, command: Sequence[str]) -> int:
    """Run a command and return its exit status. Raises `BenchFailed` if it does not end."""
    return _run(contestant, command, "").returncode


def _run(contestant: str, command: Sequence[str], said: str) -> "subprocess.CompletedProcess[str]":
    # What is installed has its byte code; a checkout may have none, or none that is new.
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(cache_folder() / "bytecode")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    try:
        return subprocess.run(  # noqa: S603 - a Python and programs of ours and of the contestant's
            command,
            input=said,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        why = f"its process did not end within {_PATIENCE:g} s."
    except OSError as error:
        why = f"{command[0]} did not start: {error.strerror}."
    raise BenchFailed(contestant=contestant, why=why)
