"""How a command ends that did not do what it was for: with a sentence, and status 1 or 2.

What is said cannot steer a terminal and shows no password of a URL. Knows no command.
"""

import re

import click

from bedplate.cli.values import printable, write

__all__ = ["Failed", "Misuse", "say", "sayable"]

_MASK = "****"
_WORD = re.compile(r"\S+")


class Misuse(click.ClickException):
    """Wrong use that click itself cannot see; exit status 2."""

    exit_code = 2


class Failed(click.ClickException):
    """What was asked for could not be done; exit status 1."""

    exit_code = 1


def say(sentence: str) -> None:
    """Print a sentence of this program on standard error."""
    write(f"bedplate: {sayable(sentence)}", error=True)


def sayable(text: str) -> str:
    """Return a text fit for a terminal, without the passwords of URLs that somebody mistyped.

    An argument that is none of a command's is repeated to whoever wrote it, and may be a URL.
    """
    return printable(_WORD.sub(_masked, text) if "://" in text else text)


def _masked(word: re.Match[str]) -> str:
    """Mask from the first colon behind ``://`` to the last ``@``: a password may hold anything."""
    before, slashes, rest = word[0].partition("://")
    login, at, place = rest.rpartition("@")
    user, colon, _ = login.partition(":")
    if not (at and colon) or "@" not in rest.replace(f":{_MASK}@", ""):
        return word[0]
    return f"{before}{slashes}{user}:{_MASK}@{place}"
