"""Looks from time to time whether the broker still serves those who receive here.

A broker tells of most consumers it ends. Of some it does not: the word was lost, a queue's leader
died, an operator made the queue anew. Then a receiver is connected and deaf. So the places that are
received from are looked at, on the links they are received on, beside the messages. What is found
is told to whom it concerns, who takes the source again. Knows the `Watched` and no broker.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

from msgspec import Struct

from bedplate._floor.token import chance
from bedplate.errors import TransportError
from bedplate.messaging.line import Line
from bedplate.messaging.types import Entity, Standing, Support, Topology

__all__ = ["Lookout", "Sight", "Watched"]

_log = logging.getLogger("bedplate.messaging")

_SURE_AFTER = 5.0
_STALLED_AFTER = 300.0
"""Long, because a large message may be on its way over a slow line, and is seen when it is here."""
_PATIENCE = 30.0


class Sight(Struct, frozen=True):
    """Who receives, as seen from here.

    ``epoch`` counts how often the source was taken, ``received`` what came; ``idle``: nothing is
    in hand, so that nothing keeps the broker from sending.
    """

    entity: Entity
    line: Line
    epoch: int
    received: int
    idle: bool


class Watched(Protocol):
    """Who receives from one source."""

    def sight(self) -> Sight | None:
        """Return how it is doing; None while it does not receive, or is about to end."""
        ...

    def interrupt(self, why: str) -> None:
        """Take the source again: the broker does not serve us there, and did not say so."""
        ...


class _Doubt(NamedTuple):
    """What looked wrong since when; ``stalled``: nothing comes, which may have other reasons."""

    epoch: int
    received: int
    stalled: bool
    since: float


class Lookout:
    """Looks at those ``watched`` now, about every ``every`` seconds; 0 is never.

    One look is no proof: a broker that is short of time, or changes a queue's leader, may answer
    that nobody is there. What looks wrong is looked at again some seconds later. ``found`` hears
    of each that was interrupted.
    """

    def __init__(
        self,
        watched: Callable[[], Iterable[Watched]],
        *,
        every: float,
        found: Callable[[], object],
    ) -> None:
        self._watched, self._every, self._found = watched, every, found
        self._doubts: dict[Watched, _Doubt] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, now that somebody receives. Idempotent."""
        if self._task is None and self._every > 0:
            self._task = asyncio.get_running_loop().create_task(
                self._keep(), name="bedplate lookout"
            )

    async def aclose(self) -> None:
        """Stop. Idempotent."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    # --- inside ---------------------------------------------------------------------------------

    async def _keep(self) -> None:
        while True:
            # Spread out: a fleet that was started at once must not look at once.
            wait = self._every * (0.75 + chance() / 2)
            if any(not doubt.stalled for doubt in self._doubts.values()):
                wait = min(wait, _SURE_AFTER)
            await asyncio.sleep(wait)
            try:
                await self._look()
            except Exception:  # noqa: BLE001 - a driver may have bugs; the next look may go well
                _log.exception("Looking after the consumers failed")

    async def _look(self) -> None:
        seen = {each: sight for each in self._watched() if (sight := each.sight()) is not None}
        self._doubts = {each: doubt for each, doubt in self._doubts.items() if each in seen}
        for line in {sight.line for sight in seen.values()}:
            here = {each: sight for each, sight in seen.items() if sight.line is line}
            standings = await _standings(line, {sight.entity for sight in here.values()})
            # Who has moved on meanwhile was not looked at.
            here = {each: sight for each, sight in here.items() if _goes_on(each, sight)}
            ours = Counter(sight.entity for sight in here.values())
            for each, sight in here.items():
                standing = standings.get(sight.entity)
                if standing is not None:
                    self._judge(each, sight, _wrong(sight, standing, ours[sight.entity]))

    def _judge(self, each: Watched, sight: Sight, wrong: tuple[str, bool]) -> None:
        why, stalled = wrong
        now = asyncio.get_running_loop().time()
        former = self._doubts.pop(each, None)
        if not why:
            return
        doubt = _Doubt(sight.epoch, sight.received if stalled else 0, stalled, now)
        if former is None or former[:3] != doubt[:3]:
            self._doubts[each] = doubt
        elif stalled and now - former.since < _STALLED_AFTER:
            self._doubts[each] = former
        else:
            self._found()
            each.interrupt(why)


async def _standings(line: Line, entities: Iterable[Entity]) -> dict[Entity, Standing]:
    """Look; what cannot be told in time is not in the answer."""
    link, asked = line.link, tuple(entities)
    if link is None or link.offers.look is not Support.NATIVE:
        return {}
    try:
        with line.route.wheel.limit(_PATIENCE):
            told = await link.declare(Topology(asked), look=True)
    except (TransportError, TimeoutError) as error:
        _log.debug("Looking after the consumers on the %s line: %s", line.name, error)
        return {}
    return dict(zip(asked, told, strict=True))


def _goes_on(each: Watched, before: Sight) -> bool:
    now = each.sight()
    return now is not None and (now.epoch, now.line) == (before.epoch, before.line)


def _wrong(sight: Sight, standing: Standing, ours: int) -> tuple[str, bool]:
    """Say what is wrong, if anything, and whether it may be no more than slow."""
    if not standing.exists:
        return "the place it received from is gone, and the broker did not say so", False
    if standing.consumers is not None and standing.consumers < ours:
        knows = (
            f"only {standing.consumers} of the {ours} consumers"
            if standing.consumers
            else "no consumer"
        )
        return f"the broker knows {knows} here, and did not say so", False
    if sight.idle and standing.messages:
        why = f"{standing.messages} messages wait and for {_STALLED_AFTER:g} s none came"
        return why, True
    return "", False
