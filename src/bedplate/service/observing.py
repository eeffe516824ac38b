"""The observers of a service: found by the names that its configuration gives.

Knows no observer: packages offer them by entry point, and one that needs a library which is not
there says so where it is named.
"""

import difflib
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import Protocol, cast, runtime_checkable

from bedplate._floor import plugins
from bedplate.config import Config, Finding, Origin
from bedplate.errors import InvalidConfig, PluginNotFound
from bedplate.messaging import Observer
from bedplate.service.options import ServiceOptions

__all__ = ["finding_at", "found", "observers"]

_GROUP = "bedplate.observers"
_OPTION = "observers"
_SECTION = ServiceOptions.section_name

_Make = Callable[[], Observer]


@runtime_checkable
class _Closing(Protocol):
    """An observer that holds something which the next one may need."""

    def close(self) -> object: ...


def observers(config: Config, stack: AsyncExitStack) -> tuple[Observer, ...]:
    """Make the observers that a configuration names, each once. Raises `InvalidConfig`.

    Those that have a method ``close`` are closed with the stack.
    """
    names = config[ServiceOptions].observers
    if not names:
        return ()
    origin = config.explain(f"{_SECTION}.{_OPTION}").origin
    makes, findings = found(names, origin)
    made: list[Observer] = []
    for name, make in makes:
        try:
            made.append(observer := make())
        except Exception as error:  # noqa: BLE001 - somebody else's; a sentence at its place
            findings.append(_finding(origin, f"the observer {name!r} cannot be made: {error}"))
        else:
            if isinstance(observer, _Closing):
                stack.callback(observer.close)
    if findings:
        raise InvalidConfig(findings=tuple(findings))
    return tuple(made)


def found(
    names: Sequence[str], origin: Origin | None
) -> tuple[list[tuple[str, _Make]], list[Finding]]:
    """Return what makes the observers of these names, and what is wrong with the other names."""
    makes: list[tuple[str, _Make]] = []
    findings: list[Finding] = []
    for name in dict.fromkeys(names):
        try:
            makes.append((name, cast("_Make", plugins.load(_GROUP, name))))
        except PluginNotFound as error:
            near = difflib.get_close_matches(name, error.known, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            there = ", ".join(error.known) or "none"
            why = f"no observer is called {name!r} (there are: {there}).{hint}"
            if name in error.known:
                why = str(error)  # there are several
            findings.append(_finding(origin, why, near[0] if near else None))
        except ImportError as error:
            why = (
                f"the observer {name!r} needs a library that is not installed ({error.name}): "
                f"pip install 'bedplate[{name}]', if it is one of bedplate's."
            )
            findings.append(_finding(origin, why))
    return makes, findings


def finding_at(
    origin: Origin | None, section: str, option: str, message: str, suggestion: str | None = None
) -> Finding:
    """Return an error about the value of an option, at the place where it was written."""
    text = f"[{section}] {option}: {message}"
    if origin is None:
        return Finding("error", "not-a-choice", text, section=section, option=option)
    place = (str(origin), origin.file, origin.line, origin.column)
    return Finding("error", "not-a-choice", text, *place, section, option, suggestion)


def _finding(origin: Origin | None, message: str, suggestion: str | None = None) -> Finding:
    return finding_at(origin, _SECTION, _OPTION, message, suggestion)
