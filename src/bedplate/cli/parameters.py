"""What arguments and options of commands may be: seconds, counts, names, versions.

Knows no command.
"""

import re
from math import inf

import click

__all__ = ["COUNT", "NAME", "SECONDS", "VERSION"]


class _Seconds(click.ParamType):  # type: ignore[type-arg]  # generic in newer releases only
    """A number of seconds above 0."""

    name = "seconds"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return it. Fails for what is no such number."""
        try:
            seconds = float(str(value))
        except ValueError:
            seconds = 0.0
        if not 0 < seconds < inf:
            self.fail(f"{value!r} is no number of seconds above 0.", param, ctx)
        return seconds


class _Name(click.ParamType):  # type: ignore[type-arg]  # generic in newer releases only
    """A text that is not empty."""

    name = "name"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        """Return it. Fails for an empty one, which an unset variable of a shell leaves behind."""
        if not value:
            self.fail("it is empty.", param, ctx)
        return str(value)


class _Count(click.ParamType):  # type: ignore[type-arg]  # generic in newer releases only
    """A number of things, at least one."""

    name = "count"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Return it. Fails for what is no such number."""
        text = str(value)
        if not (text.isascii() and text.isdigit() and len(text) < 19 and int(text)):
            self.fail(f"{value!r} is no number above 0.", param, ctx)
        return int(text)


class _Version(click.ParamType):  # type: ignore[type-arg]  # generic in newer releases only
    """The version of an interface: numbers with points between."""

    name = "version"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        """Return it. Fails for what no interface can have; none at all is right for any."""
        text = str(value)
        if text and not re.fullmatch(r"[0-9]+(\.[0-9]+){0,2}", text):
            self.fail(f"{value!r} is no version; versions look like 1.0", param, ctx)
        return text


SECONDS = _Seconds()
"""A type of options: seconds above 0."""
COUNT = _Count()
"""A type of options: a number above 0."""
NAME = _Name()
"""A type of arguments and options: what has a name."""
VERSION = _Version()
"""A type of options: the version of an interface, or nothing."""
