"""Says what an error comes from where ``raise … from`` is not enough."""

from typing import TypeVar

__all__ = ["caused"]

E = TypeVar("E", bound=BaseException)


def caused(error: E, by: BaseException | None) -> E:
    """Return an error that comes from another, to be raised ``from`` it all the same.

    Compiled, a raise leaves its ``from`` out; uncompiled this changes nothing.
    """
    error.__cause__ = by
    return error
