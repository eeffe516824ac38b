"""The report: what a board said at one moment, as a value. Pure.

A report can be narrowed to a level of detail; whoever draws it gets only what may be seen. Knows
nothing of checks that run, of HTTP or of clocks.
"""

from collections.abc import Iterable
from typing import Literal, NamedTuple, Self, get_args

from bedplate.health.check import Kind, State

__all__ = ["LEVELS", "Level", "Report", "Result", "weigh", "worst"]

Level = Literal["status", "names", "reasons", "full"]
"""How much a listener shows: each level shows what the one before shows, and more."""

LEVELS: tuple[Level, ...] = get_args(Level)
"""All levels, from the most closed to the most open."""

_FROM_BAD_TO_GOOD: tuple[State, ...] = ("fail", "unknown", "warn", "pass")


class Result(NamedTuple):
    """How one check or indicator stands.

    ``state`` is what it found itself, ``counts`` what that does to the whole: the failure of a
    shared dependency counts as ``warn``. ``wall`` is when it was found, in seconds since 1970, and
    ``took`` how many seconds that lasted; both are None where nothing was measured.
    """

    name: str
    state: State
    counts: State
    reason: str = ""
    detail: str = ""
    shared: bool = False
    wall: float | None = None
    took: float | None = None


class Report(NamedTuple):
    """The answer to one question: ``kind`` None asks about everything.

    ``results`` stand in the order in which the checks were added; at level ``status`` there are
    none.
    """

    kind: Kind | None
    state: State
    results: tuple[Result, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether a probe succeeds: ``pass`` and ``warn`` do."""
        return self.state in ("pass", "warn")

    def shown(self, level: Level) -> Self:
        """Return the report without what ``level`` does not allow to be seen."""
        if level == "full":
            return self
        if level == "reasons":
            return self._replace(results=tuple(_without_detail(each) for each in self.results))
        if level == "names":
            return self._replace(results=tuple(_without_reason(each) for each in self.results))
        return self._replace(results=())


def _without_detail(result: Result) -> Result:
    return result._replace(detail="", wall=None, took=None)


def _without_reason(result: Result) -> Result:
    return _without_detail(result)._replace(reason="")


def weigh(state: State, kind: Kind, *, shared: bool, passive: bool) -> State:
    """Say what a state does to the whole.

    Unknown is a warning, except where readiness or start still waits for the answer of an active
    check: that is a failure. A shared dependency never does worse than ``warn``.
    """
    if state == "unknown":
        state = "warn" if passive or kind == "live" else "fail"
    return "warn" if shared and state == "fail" else state


def worst(states: Iterable[State]) -> State:
    """Return the worst of some states; ``pass`` for none at all."""
    return min(states, key=_FROM_BAD_TO_GOOD.index, default="pass")
