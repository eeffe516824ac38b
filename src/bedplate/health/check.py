"""What a check is and what it may answer. Pure: no clock, no loop, no thread.

A check is a plain or an ``async`` function without arguments. It passes by returning ``None`` or
``True``, says more with an `Outcome`, and fails by returning ``False`` or by raising. Knows nothing
of when checks run or of who reads the answers.
"""

import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Literal, NamedTuple, Self, cast, get_args

from bedplate._floor.secret import MASK

__all__ = [
    "KINDS",
    "PASS",
    "Answer",
    "Check",
    "Kind",
    "Outcome",
    "State",
    "blame",
    "fail",
    "judge",
    "kinds_of",
    "late",
    "name_of",
    "tidy",
    "warn",
]

State = Literal["pass", "warn", "fail", "unknown"]
"""How one thing, or the whole, is: the words of ``application/health+json``, and ``unknown``."""

Kind = Literal["live", "ready", "started"]
"""What a check speaks about: this process only, what it needs, or the end of its start."""

_STATES: tuple[State, ...] = get_args(State)

KINDS: tuple[Kind, ...] = get_args(Kind)
"""All kinds."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,99}")
_CREDENTIALS = re.compile(r"(://)\S*@")
_SECRET = re.compile(
    r"((?:pass|secret|token|api[_-]?key)\w*[\"']?\s*[=:]\s*)(?:'[^']*'?|\"[^\"]*\"?|[^\s,;&)]+)",
    re.IGNORECASE,
)
_LONGEST = 300


class Outcome(NamedTuple):
    """What one run of a check found.

    ``reason`` is shown from level ``reasons`` on and ``detail`` at level ``full`` only: what could
    name hosts, accounts or data belongs into ``detail``. Neither may hold a secret.
    """

    state: State
    reason: str = ""
    detail: str = ""


Answer = Outcome | bool | None
"""What a check may return: ``None`` and ``True`` pass, ``False`` fails."""

PASS = Outcome("pass")
"""It works."""


def warn(reason: str, detail: str = "") -> Outcome:
    """Say that it works, but that someone should look. A probe still succeeds."""
    return Outcome("warn", reason, detail)


def fail(reason: str, detail: str = "") -> Outcome:
    """Say that it does not work."""
    return Outcome("fail", reason, detail)


class Check(NamedTuple):
    """An active check: a function that is run in the background every ``period`` seconds.

    A run that takes longer than ``deadline`` seconds counts as failed from that moment, even while
    it still runs. ``shared`` marks a dependency that all replicas use: its failure degrades
    readiness to ``warn`` instead of taking every replica out at once.
    """

    name: str
    run: Callable[[], Answer | Awaitable[Answer]]
    kinds: frozenset[Kind]
    period: float
    deadline: float
    shared: bool

    @classmethod
    def of(
        cls,
        name: str,
        run: Callable[[], Answer | Awaitable[Answer]],
        *,
        kinds: Iterable[Kind] = ("ready",),
        period: float = 10.0,
        deadline: float = 2.0,
        shared: bool = False,
    ) -> Self:
        """Make a check. Raises ValueError with a sentence when a value makes no sense."""
        for what, seconds in (("period", period), ("deadline", deadline)):
            if not 0 < seconds < float("inf"):
                raise ValueError(f"the {what} of check {name!r} cannot be {seconds!r} seconds")
        chosen = kinds_of(name, kinds, shared=shared)
        return cls(name_of(name), run, chosen, float(period), float(deadline), shared)


def name_of(name: str) -> str:
    """Return a name that can stand in a line, a JSON key and a URL; raise ValueError else."""
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"a check cannot be named {name!r}: use 1 to 100 of the characters "
            "A-Z a-z 0-9 . _ : / @ -, beginning with a letter or digit"
        )
    return name


def kinds_of(name: str, kinds: Iterable[Kind], *, shared: bool) -> frozenset[Kind]:
    """Return the kinds as a set. Raises ValueError for none, an unknown one, or shared and live."""
    chosen = frozenset((kinds,) if isinstance(kinds, str) else kinds)
    strange = sorted(chosen.difference(KINDS))
    if strange or not chosen:
        raise ValueError(
            f"check {name!r} is of kind {', '.join(strange) or 'nothing'}; "
            f"choose among {', '.join(KINDS)}"
        )
    if shared and "live" in chosen:
        raise ValueError(
            f"check {name!r} cannot be both live and shared: liveness looks at this process only, "
            "or an outage elsewhere would restart every replica"
        )
    return cast("frozenset[Kind]", chosen)


def judge(answer: object) -> Outcome:
    """Turn what a check returned into an outcome; what is no answer is a failure that says so."""
    if isinstance(answer, Outcome):
        if answer.state not in _STATES:
            return fail("the check returned an Outcome of a state that there is not")
        return Outcome(answer.state, tidy(answer.reason), tidy(answer.detail))
    if answer is None or answer is True:
        return PASS
    if answer is False:
        return fail("the check said no")
    return fail(f"the check returned a {type(answer).__name__}, not None, a bool or an Outcome")


def blame(error: BaseException) -> Outcome:
    """Turn what a check raised into a failure: the class is the reason, the text a detail."""
    try:
        text = str(error)
    except Exception as broken:  # noqa: BLE001 - an error that cannot be printed is still a failure
        text = f"its text cannot be had ({type(broken).__name__})"
    return fail(type(error).__name__, tidy(text))


def late(deadline: float) -> Outcome:
    """Return the failure of a check that was still silent after ``deadline`` seconds."""
    return fail(f"did not answer within {deadline:g} s")


def tidy(text: str) -> str:
    """Make a text fit for one line of a report.

    What cannot be printed becomes a blank, and the text is cut at 300 characters. Credentials in
    URLs and the values of what is called password, secret or token are masked: other people's
    error messages carry them. That is a net under the rule, and no reason to put a secret in.
    """
    # Callers without a type checker hand in the error itself.
    line = "".join(each if each.isprintable() else " " for each in str(text)[: 4 * _LONGEST])
    line = _SECRET.sub(rf"\1{MASK}", _CREDENTIALS.sub(rf"\1{MASK}@", line.strip()))
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
