"""The board: what is known about this process's health, and what should be looked at next.

Decides, and never acts: it runs no check, opens nothing and waits for nothing. An agent takes the
due checks from it and tells it what they found; the application feeds its indicators; listeners
ask for reports, which are made from what is known already. All methods are safe from any thread.
"""

import threading
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, final

from bedplate.clock import SYSTEM, Clock
from bedplate.errors import DuplicateCheck
from bedplate.health.check import (
    PASS,
    Answer,
    Check,
    Kind,
    Outcome,
    State,
    judge,
    kinds_of,
    late,
    name_of,
    tidy,
)
from bedplate.health.report import Report, Result, weigh, worst

__all__ = ["Board", "Indicator"]

_SERVICE = "service"
_NOT_STARTED = Outcome("fail", "has not started yet")
_NOT_RUN = Outcome("unknown", "has not run yet")
_NOTHING_SEEN = Outcome("unknown", "nothing seen yet")


@final
class Indicator:
    """A passive indicator: real traffic says how it goes, and nothing is probed.

    What was said last holds for ``ttl`` seconds and is ``unknown`` afterwards, which a probe takes
    as a warning: without traffic nobody knows, and a replica taken out would get none. ``ok`` is
    cheap enough for every message (no lock); all methods are safe from any thread.
    """

    __slots__ = ("_clock", "_said", "name", "ttl")

    def __init__(self, name: str, ttl: float, clock: Clock) -> None:
        self.name = name
        self.ttl = ttl
        self._clock = clock
        self._said: tuple[Outcome, float] | None = None

    def ok(self) -> None:
        """Say that it just worked."""
        self._said = (PASS, self._clock.now())

    def warn(self, reason: str, detail: str = "") -> None:
        """Say that it works, but that someone should look."""
        self._said = (Outcome("warn", tidy(reason), tidy(detail)), self._clock.now())

    def fail(self, reason: str, detail: str = "") -> None:
        """Say that it just failed. ``detail`` is shown at level ``full`` only."""
        self._said = (Outcome("fail", tidy(reason), tidy(detail)), self._clock.now())

    def standing(self, now: float) -> tuple[Outcome, float | None]:
        """Return what holds at ``now`` and the seconds since it was said (None: never)."""
        said = self._said
        if said is None:
            return _NOTHING_SEEN, None
        outcome, at = said
        age = now - at
        if age >= self.ttl:
            return Outcome("unknown", f"nothing seen for {self.ttl:g} s"), age
        return outcome, age


class _Slot:
    """An active check and what is known of it. Only touched under the board's lock."""

    __slots__ = ("answered", "began", "check", "due", "outcome", "took")

    def __init__(self, check: Check, now: float, known: Outcome) -> None:
        self.check = check
        self.due = now
        self.began: float | None = None
        self.answered: float | None = None
        self.outcome = known
        self.took: float | None = None

    def standing(self, now: float) -> tuple[Outcome, float | None]:
        """Return what holds at ``now`` and the seconds since it was found (None: never)."""
        check = self.check
        if self.began is not None and now - self.began >= check.deadline:
            return late(check.deadline), now - self.began - check.deadline
        if self.answered is None:
            return self.outcome, None
        age = now - self.answered
        if self.began is None and now - self.due > max(check.period, check.deadline):
            return Outcome("unknown", f"was last checked {age:.0f} s ago"), age
        return self.outcome, age


class _Passive:
    """An indicator and how it counts."""

    __slots__ = ("indicator", "kinds", "shared")

    def __init__(self, indicator: Indicator, kinds: frozenset[Kind], *, shared: bool) -> None:
        self.indicator, self.kinds, self.shared = indicator, kinds, shared


@final
class Board:
    """The checks and indicators of one process.

    Readiness and start fail until ``started()`` was called, and readiness fails again once
    ``draining()`` was; both show as a check named ``service``. Liveness passes as long as no check
    of kind ``live`` fails: an empty board is alive.
    """

    def __init__(self, *, clock: Clock = SYSTEM) -> None:
        """Begin empty and not started. ``clock`` must be the clock of whoever runs the checks."""
        self.clock: Final = clock
        self._lock = threading.Lock()
        self._slots: dict[str, _Slot | _Passive] = {}
        self._listeners: tuple[Callable[[], None], ...] = ()
        self._started = False
        self._draining: Outcome | None = None

    # --- what the application says

    def add(
        self,
        name: str,
        run: Callable[[], Answer | Awaitable[Answer]],
        *,
        kinds: Iterable[Kind] = ("ready",),
        period: float = 10.0,
        deadline: float = 2.0,
        shared: bool = False,
        known: Outcome = _NOT_RUN,
    ) -> Check:
        """Add an active check, due at once.

        ``period`` is the time between the end of a run and the next, ``deadline`` how long a run
        may take (both in seconds). ``known`` holds until it has run for the first time; without
        it readiness waits for that.

        Raises `DuplicateCheck`, and ValueError for what makes no sense.
        """
        check = Check.of(name, run, kinds=kinds, period=period, deadline=deadline, shared=shared)
        self._enter(name, _Slot(check, self.clock.now(), known))
        for listener in self._listeners:
            listener()
        return check

    def indicator(
        self,
        name: str,
        *,
        kinds: Iterable[Kind] = ("ready",),
        ttl: float = 300.0,
        shared: bool = False,
    ) -> Indicator:
        """Add a passive indicator; what it is told holds for ``ttl`` seconds.

        Raises `DuplicateCheck`, and ValueError for what makes no sense.
        """
        if not ttl > 0:
            raise ValueError(f"the ttl of indicator {name!r} cannot be {ttl!r} seconds")
        chosen = kinds_of(name, kinds, shared=shared)
        indicator = Indicator(name_of(name), float(ttl), self.clock)
        self._enter(name, _Passive(indicator, chosen, shared=shared))
        return indicator

    def started(self) -> None:
        """Say that the service has started: all its checks are added and it takes work."""
        with self._lock:
            self._started = True

    def draining(self, reason: str = "is stopping") -> None:
        """Say that the service takes no new work: not ready from now on, for good."""
        with self._lock:
            self._draining = Outcome("fail", tidy(reason))

    # --- what an agent does

    def begin_due(self) -> tuple[Check, ...]:
        """Return the checks whose time has come and mark them as running.

        A running check is never due: it runs once at a time, however many agents ask. Each must be
        followed by one ``finished`` or ``abandoned``.
        """
        now = self.clock.now()
        with self._lock:
            due = [slot for slot in self._active() if slot.began is None and slot.due <= now]
            for slot in due:
                slot.began = now
            return tuple(slot.check for slot in due)

    def next_due(self) -> float | None:
        """Return when, in the clock's seconds, a check will be due; None while all run."""
        with self._lock:
            return min((slot.due for slot in self._active() if slot.began is None), default=None)

    def finished(self, name: str, answer: object, *, jitter: float = 0.5) -> None:
        """Say what a running check returned; it is due again after its period.

        An answer after the deadline is a failure, whatever it says. ``jitter``, from 0 to 1,
        spreads the next run over 90 to 110 % of the period.
        """
        outcome = judge(answer)
        now = self.clock.now()
        with self._lock:
            slot = self._running(name)
            began = now if slot.began is None else slot.began
            slot.took = now - began
            slot.outcome = (
                late(slot.check.deadline) if slot.took >= slot.check.deadline else outcome
            )
            slot.began, slot.answered = None, now
            slot.due = now + slot.check.period * (0.9 + 0.2 * jitter)

    def abandoned(self, name: str) -> None:
        """Say that a running check was given up without an answer; it is due at once."""
        with self._lock:
            slot = self._running(name)
            slot.began, slot.due = None, self.clock.now()

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call ``listener``, from any thread, when a check was added; return how to stop that."""
        with self._lock:
            self._listeners = (*self._listeners, listener)

        def stop() -> None:
            with self._lock:
                self._listeners = tuple(each for each in self._listeners if each is not listener)

        return stop

    # --- what a listener asks

    def report(self, kind: Kind | None = None) -> Report:
        """Say how it stands now, from what is known: nothing is run and nothing waited for.

        ``kind`` None asks about everything.
        """
        now, wall = self.clock.now(), self.clock.wall()
        with self._lock:
            phase = self._phase(kind)
            known = [_result(slot, kind, now, wall) for slot in self._slots.values()]
        results = tuple(each for each in (phase, *known) if each is not None)
        return Report(kind, worst(each.counts for each in results), results)

    def _phase(self, kind: Kind | None) -> Result | None:
        if kind == "live":
            return None
        outcome = PASS if self._started else _NOT_STARTED
        if self._draining is not None and kind != "started":
            outcome = self._draining
        return Result(_SERVICE, outcome.state, outcome.state, outcome.reason)

    def _enter(self, name: str, slot: "_Slot | _Passive") -> None:
        with self._lock:
            if name in self._slots or name == _SERVICE:
                raise DuplicateCheck(name=name)
            self._slots[name] = slot

    def _active(self) -> "Iterable[_Slot]":
        return (slot for slot in self._slots.values() if isinstance(slot, _Slot))

    def _running(self, name: str) -> _Slot:
        slot = self._slots[name]
        if not isinstance(slot, _Slot):
            raise TypeError(f"{name!r} is an indicator; only checks are run")
        return slot


def _result(slot: "_Slot | _Passive", kind: Kind | None, now: float, wall: float) -> Result | None:
    """Return how one entry stands, or None when it does not speak about ``kind``."""
    if isinstance(slot, _Slot):
        passive, name, kinds, shared = False, slot.check.name, slot.check.kinds, slot.check.shared
        (outcome, age), took = slot.standing(now), slot.took
    else:
        passive, name, kinds, shared = True, slot.indicator.name, slot.kinds, slot.shared
        (outcome, age), took = slot.indicator.standing(now), None
    asked = kinds if kind is None else kinds & {kind}
    if not asked:
        return None
    counts: State = worst(
        weigh(outcome.state, each, shared=shared, passive=passive) for each in asked
    )
    found = None if age is None else wall - age
    return Result(name, outcome.state, counts, outcome.reason, outcome.detail, shared, found, took)
