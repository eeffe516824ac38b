"""Where a command finds a URL: in its argument, in a file, or in a variable.

A password in an argument stands in the list of processes, for every user of the machine to read,
and in the shell's history. One in a file or a variable does not. Knows nothing of what URLs mean.
"""

import os
import stat
from pathlib import Path

import click

from bedplate.cli.ending import Misuse, say

__all__ = ["UrlGiven"]

_LONGEST = 65_536


class UrlGiven(click.ParamType):  # type: ignore[type-arg]  # generic in newer releases only
    """A URL as it is; ``@PATH``: the first line of a file; ``env:NAME``: a variable."""

    name = "url"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        """Return the URL. Raises `Misuse` where none is, and never shows what is there instead."""
        del param, ctx
        text = str(value)
        if text.startswith("@"):
            return _from_file(text[1:])
        if text.startswith("env:"):
            return _from_environment(text[4:])
        return text


def _from_environment(name: str) -> str:
    text = os.environ.get(name, "").strip()
    if text:
        return text
    if not name:
        raise Misuse("env: lacks a name; write env:NAME for the URL in the variable NAME.")
    if name in os.environ:
        raise Misuse(f"the variable {name} is empty; it was to hold a URL.")
    raise Misuse(f"the environment has no variable {name}{_nearest(name)}; it was to hold a URL.")


def _nearest(name: str) -> str:
    import difflib

    near = difflib.get_close_matches(name, os.environ, n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def _from_file(name: str) -> str:
    if not name:
        raise Misuse("@ lacks a file; write @PATH for the URL in the first line of a file.")
    try:
        # No shell looks behind the @ for a home directory.
        with Path(name).expanduser().open("rb") as file:
            line = file.readline(_LONGEST + 1)
            mode = os.fstat(file.fileno()).st_mode
        text = line.decode().strip()
    except UnicodeDecodeError:
        raise Misuse(f"the first line of {name} is no text; it was to hold a URL.") from None
    except (OSError, RuntimeError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise Misuse(f"{name}, where the URL was to be, cannot be read: {why}.") from None
    if len(line) > _LONGEST:
        raise Misuse(f"the first line of {name} is too long; it was to hold a URL.")
    if not text:
        raise Misuse(f"the first line of {name} is empty; it was to hold a URL.")
    # Only told, not refused: Kubernetes and Docker hand secrets to their containers like this.
    if stat.S_ISREG(mode) and mode & stat.S_IROTH and _has_secret(text):
        say(f"every user of this machine may read the password in {name}; chmod o= ends that.")
    return text


def _has_secret(text: str) -> bool:
    from bedplate.config import Url

    try:
        return Url(text).has_secret()
    except ValueError:
        return False
