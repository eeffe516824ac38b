"""Decides when a lost or refused connection is tried again.

Pure: told what happened and when, answers with seconds to wait. Knows neither links nor loops.
"""

from collections import deque

from msgspec import Struct

from bedplate._floor.backoff import Backoff

__all__ = ["Recovery", "RecoveryPolicy"]


class RecoveryPolicy(Struct, frozen=True, kw_only=True):
    """How eagerly to reconnect. Times are in seconds.

    ``backoff`` paces attempts after a loss or a failed attempt; ``refused`` paces them after the
    broker turned down credentials or operation, where hurry only fills its log. A link that lived
    ``proven`` seconds wipes the failures before it; one that died sooner counts as a failure, so a
    broker that accepts and drops is not hammered. At most ``budget`` attempts start in any
    ``period``. After ``give_up`` seconds without a link nothing more is tried; None: never.
    """

    backoff: Backoff = Backoff(0.5, 2.0, 15.0)
    refused: Backoff = Backoff(5.0, 2.0, 60.0)
    proven: float = 10.0
    budget: int = 30
    period: float = 60.0
    give_up: float | None = None


class Recovery:
    """The attempts of one line. Feed it `trying`, then `failed` or `connected`, then `lost`."""

    __slots__ = ("_failures", "_since", "_starts", "_up_since", "policy")

    def __init__(self, policy: RecoveryPolicy) -> None:
        self.policy = policy
        self._failures = 0
        self._since: float | None = None
        self._up_since = 0.0
        self._starts: deque[float] = deque(maxlen=max(policy.budget, 1))

    @property
    def failures(self) -> int:
        """Failures in a row so far."""
        return self._failures

    def trying(self, now: float) -> None:
        """Note that an attempt begins."""
        if self._since is None:
            self._since = now
        self._starts.append(now)

    def failed(self, now: float, chance: float, *, refused: bool = False) -> float | None:
        """Return seconds to wait after a failed attempt; None: give up.

        ``chance`` is drawn evenly from 0 to 1; ``refused`` means the broker said no.
        """
        self._failures += 1
        pace = self.policy.refused if refused else self.policy.backoff
        wait = self._within_budget(now, pace.delay(self._failures, chance))
        give_up = self.policy.give_up
        since = now if self._since is None else self._since
        if give_up is not None and now + wait - since >= give_up:
            return None
        return wait

    def connected(self, now: float) -> None:
        """Note that there is a link again."""
        self._since = None
        self._up_since = now

    def lost(self, now: float, chance: float) -> float | None:
        """Return seconds to wait after a link died; None: give up.

        The first wait is jittered as well: all peers of a broker lose it at the same moment.
        """
        if now - self._up_since >= self.policy.proven:
            self._failures = 0
        self._since = now
        return self.failed(now, chance)

    def _within_budget(self, now: float, wait: float) -> float:
        if len(self._starts) < self.policy.budget:
            return wait
        return max(wait, self._starts[0] + self.policy.period - now)
