"""What handlers say of their own methods: marks that decorators leave on functions.

A mark on the declaration in an `Interface` holds for the method that implements it. Marks change
nothing about a function; knows nothing of what they are read for.
"""

import inspect
from collections.abc import Callable
from typing import TypeVar

__all__ = ["expose", "is_exposed", "is_silent", "silent"]

F = TypeVar("F", bound=Callable[..., object])

_EXPOSED = "_bedplate_exposed"
_SILENT = "_bedplate_silent"


def expose(method: F) -> F:
    """Mark a method as meant for callers; see ``methods=`` of `bedplate.messaging.rpc.serve`.

    Raises TypeError for names with a leading underscore, which are never served, and for what is
    no method.
    """
    function = _function(method)
    if function.__name__.startswith("_"):
        raise TypeError(f"{function.__name__} cannot be exposed: its underscore keeps it private")
    setattr(function, _EXPOSED, True)
    return method


def silent(method: F) -> F:
    """Let no beats be sent for calls of a method, whatever heartbeat its callers ask for.

    Then only their timeout counts, until it calls `Context.report` for the first time: from there
    on each report is a sign of life, and a method that hangs is lost to its caller, which it is not
    while the server beats for it. Raises TypeError for what is no method.
    """
    setattr(_function(method), _SILENT, True)
    return method


def is_exposed(*methods: object) -> bool:
    """Whether one of these functions or bound methods is marked with `expose`."""
    return any(getattr(each, _EXPOSED, False) is True for each in methods)


def is_silent(*methods: object) -> bool:
    """Whether one of these functions or bound methods is marked with `silent`."""
    return any(getattr(each, _SILENT, False) is True for each in methods)


def _function(method: object) -> Callable[..., object]:
    function = method.__func__ if isinstance(method, staticmethod | classmethod) else method
    if not inspect.isroutine(function):
        raise TypeError(f"{method!r} cannot be marked: only methods can")
    return function
