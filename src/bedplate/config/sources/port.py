"""The port through which configuration comes in, and what happens when a source fails.

A source gives a whole `Tree` at a time. It knows nothing of schemas, precedence or the other
sources; what its failure means is a policy, applied here before the pipeline sees anything.
"""

from collections.abc import Callable
from math import inf
from typing import Literal, NamedTuple, Protocol

from bedplate.clock import Clock
from bedplate.config.tree import Tree
from bedplate.errors import Finding, SourceFailed

__all__ = ["Policed", "Policy", "Source", "policed"]

_RETRY = 10.0


class Source(Protocol):
    """Where configuration comes from. One caller at a time.

    ``name`` is what an operator would call it: ``inventory.conf``, ``environment``.
    """

    name: str

    def load(self) -> Tree:
        """Read everything.

        What was read and cannot be understood is an error among ``Tree.findings``; the rest of the
        tree is judged all the same, so that a user learns of everything at once. Raises
        `SourceFailed` when it cannot be read at all. Neither holds a value.
        """
        ...

    def next_refresh(self, now: float) -> float | None:
        """Say when a refresh is due, in monotonic seconds and never before ``now``.

        None: never by itself. A file returns None, a source with leases when to renew.
        """
        ...

    def refresh(self) -> Tree:
        """Read everything anew, renewing what can be renewed. Raises as `load` does."""
        ...


class Policy(NamedTuple):
    """What the failure of a source means.

    ``required``: it fails. ``optional``: an unreadable source counts as empty, with a warning; one
    that can be read and holds mistakes still fails. ``last-known-good``: the values it gave last
    stay in force, with a warning each time, until they are ``max_age`` seconds old; then it fails,
    as it does while there are none. A source that stands in for itself is due for another try
    every ``retry`` seconds.
    """

    mode: Literal["required", "optional", "last-known-good"] = "required"
    max_age: float | None = None
    retry: float = _RETRY


class Policed:
    """A source under a policy; itself a `Source`. Made by `policed`.

    ``notices`` are the warnings of the latest load or refresh, empty when it simply succeeded;
    they travel in ``Tree.findings`` too.
    """

    __slots__ = (
        "_clock",
        "_good",
        "_good_at",
        "_policy",
        "_retry_at",
        "_source",
        "name",
        "notices",
    )

    def __init__(self, source: Source, policy: Policy, clock: Clock) -> None:
        self.name = source.name
        self.notices: tuple[Finding, ...] = ()
        self._source = source
        self._policy = policy
        self._clock = clock
        self._good: Tree | None = None
        self._good_at = 0.0
        self._retry_at: float | None = None

    def load(self) -> Tree:
        """Read everything, or do what the policy says instead."""
        return self._read(self._source.load)

    def refresh(self) -> Tree:
        """Read everything anew, or do what the policy says instead."""
        return self._read(self._source.refresh)

    def next_refresh(self, now: float) -> float | None:
        """Say when a refresh is due: the source's own time, or that of the next try."""
        if self._retry_at is None:
            return self._source.next_refresh(now)
        return max(now, self._retry_at)

    def _read(self, read: Callable[[], Tree]) -> Tree:
        mode = self._policy.mode
        try:
            tree = read()
        except SourceFailed as failure:
            if mode == "optional":
                return self._instead(Tree(), self._absent(failure), until=inf)
            kept = self._last_good(failure.why)
            if kept is not None:
                return kept
            if self._good is None:
                raise
            raise SourceFailed(source=self.name, why=self._outdated(failure.why)) from failure
        if tree.mistakes:
            # What an optional source says must be right; only its silence is allowed.
            kept = self._last_good(_first(tree.mistakes))
            return tree if kept is None else kept
        self.notices = ()
        self._retry_at = None
        if mode == "last-known-good":
            self._good, self._good_at = tree.noting(), self._clock.now()
        return tree

    def _last_good(self, why: str) -> Tree | None:
        """Return the last good tree while it may be used."""
        good, max_age = self._good, self._policy.max_age
        self.notices = ()
        if good is None or max_age is None:
            return None
        age = self._clock.now() - self._good_at
        if age < max_age:
            notice = self._stale(why, age, max_age)
            return self._instead(good, notice, until=self._good_at + max_age)
        self._retry_at = self._clock.now() + self._policy.retry
        return None

    def _outdated(self, why: str) -> str:
        age = self._clock.now() - self._good_at
        return (
            f"{why}; its last good values are {age:.0f} s old "
            f"and may be used for {self._policy.max_age:g} s"
        )

    def _instead(self, tree: Tree, notice: Finding, *, until: float) -> Tree:
        self._retry_at = min(self._clock.now() + self._policy.retry, until)
        self.notices = (notice,)
        return tree.noting(notice)

    def _absent(self, failure: SourceFailed) -> Finding:
        message = (
            f"The optional source {self.name} could not be read and counts as empty: {failure.why}"
        )
        return Finding("warning", "source-absent", message, self.name)

    def _stale(self, why: str, age: float, max_age: float) -> Finding:
        message = (
            f"{self.name} could not be read ({why}); its values of {age:.0f} s ago "
            f"stay in force until they are {max_age:g} s old."
        )
        return Finding("warning", "source-stale", message, self.name)


def policed(source: Source, policy: Policy, clock: Clock) -> Policed:
    """Put a source under a policy; ``clock`` tells the age of what it gave last.

    Raises ValueError for a policy that cannot be kept: ``last-known-good`` without a positive
    ``max_age``, another mode with one, or no time at all between two tries.
    """
    stale_allowed = policy.mode == "last-known-good"
    if stale_allowed and not (policy.max_age is not None and policy.max_age > 0):
        raise ValueError("the policy last-known-good needs a max_age above 0 seconds")
    if not stale_allowed and policy.max_age is not None:
        raise ValueError(f"the policy {policy.mode} knows no max_age")
    if not policy.retry > 0:
        raise ValueError("the retry of a policy is a time above 0 seconds")
    return Policed(source, policy, clock)


def _first(mistakes: tuple[Finding, ...]) -> str:
    more = len(mistakes) - 1
    return f"{mistakes[0]}{f' (and {more} more)' if more else ''}"
