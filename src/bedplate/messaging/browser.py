"""Looks through what waits at one place, in its order, and hands back what was not settled.

Takes with acknowledgements from the first message on and holds what it was given: so nothing is
lost or moved, also if this process dies over it. Works on one link; when that dies, the look ends.
"""

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Self, final

from bedplate.errors import DeadlineExceeded, LinkLost, NoSuchTarget, SubscriptionLost
from bedplate.messaging.driver import Inlet, Link
from bedplate.messaging.line import Line
from bedplate.messaging.types import (
    Arrival,
    Entity,
    InletLost,
    Settle,
    Settlement,
    Source,
    Support,
    Topology,
)

__all__ = ["Browser"]

_ACK = Settle(Settlement.ACK)
_WINDOW = 100
_QUIET = 0.5
_PATIENCE = 4
_SOON = (0.02, 0.05, 0.1, 0.2, 0.3)


@final
class Browser:
    """One look through the messages of a source, inside its ``async with`` block.

    At most ``most`` are taken (None: all), with ``standing`` none of those that come while it
    lasts; 100 at a time are on their way. ``timeout`` (seconds) bounds each wait for the broker. It
    is the sink of its inlet.
    """

    def __init__(
        self,
        line: Line,
        source: Source,
        *,
        most: int | None = None,
        standing: bool = False,
        timeout: float,
    ) -> None:
        self.total: int | None = None
        """How many messages waited when the look began; None where the broker does not say."""
        self._line, self._source, self._timeout = line, source, timeout
        self._most, self._standing = most, standing
        self._granted = self._taken = self._done = 0
        self._link: Link | None = None
        self._inlet: Inlet | None = None
        self._ready: deque[Arrival] = deque()
        self._heard = asyncio.Event()
        self._over: InletLost | None = None

    async def __aenter__(self) -> Self:
        """Begin to take. A place that is not there is an empty one.

        Raises `DeadlineExceeded`, `AccessRefused`, `Unsupported`, and what ended the line.
        """
        with self._limit():
            link = self._link = await self._line.ready()
            self.total = await self._count(link)
            if self.total == 0:
                # Replicated queues have what was handed back to them a moment later.
                await asyncio.sleep(_QUIET)
                self.total = await self._count(link)
            if self._standing and self.total is not None:
                self._most = self.total
            if self.total == 0:
                self._most = 0
                return self
            self._granted = _WINDOW if self._most is None else min(_WINDOW, self._most)
            try:
                self._inlet = await link.take(self._source, self, credit=self._granted)
            except NoSuchTarget:
                self._most = 0
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Hand back what was not settled, and let it arrive there.

        Raises what ended the look if something was `done`: the broker may not have heard of it.
        """
        if self._inlet is not None and self._over is None:
            with self._limit():
                await self._inlet.aclose()
                if error is None and self._over is InletLost.CLOSED:
                    await self._arrival()
        if error is None and self._done and self._over is not InletLost.CLOSED:
            self._check()

    async def some(self) -> list[Arrival]:
        """Return the next messages, at least one; none: these were all, or as many as are given.

        Raises `LinkLost`, `SubscriptionLost`, and `DeadlineExceeded` where all were wanted, there
        are more, and the broker does not give them.
        """
        silent = 0
        while not self._ready:
            self._check()
            if self._inlet is None or self._taken == self._most:
                return []
            if self.total is not None and self._taken >= self.total and await self._exhausted():
                return []
            if not await self._something():
                silent += 1
                if await self._exhausted():
                    return []
                if silent >= _PATIENCE:
                    return self._stuck()
        found = list(self._ready)
        self._ready.clear()
        self._taken += len(found)
        self._grant()
        return found

    def done(self, arrival: Arrival) -> None:
        """Have the broker forget a message."""
        if self._inlet is not None:
            self._done += 1
            self._inlet.settle(arrival.tag, _ACK)

    # --- what the driver calls ------------------------------------------------------------------

    def arrived(self, batch: Sequence[Arrival]) -> None:
        """Keep what comes until it is asked for."""
        self._ready.extend(batch)
        self._heard.set()

    def revoked(self, lanes: frozenset[int]) -> None:
        """Hear that others have it: as good as the end."""
        del lanes
        self.ended(InletLost.CANCELLED)

    def ended(self, why: InletLost) -> None:
        """Hear of the end."""
        self._over = why
        self._heard.set()

    # --- inside ---------------------------------------------------------------------------------

    def _grant(self) -> None:
        """Have more sent, before what is on its way runs out."""
        if self._inlet is None or (self._granted - self._taken) * 2 > _WINDOW:
            return
        further = self._taken + _WINDOW - self._granted
        if self._most is not None:
            further = min(further, self._most - self._granted)
        if further > 0:
            self._granted += further
            self._inlet.grant(further)

    async def _something(self) -> bool:
        """Wait a little for something to be heard; return whether it was."""
        self._heard.clear()
        try:
            with self._line.route.wheel.limit(_QUIET):
                await self._heard.wait()
        except TimeoutError:
            return False
        return True

    async def _arrival(self) -> None:
        """Wait a moment for what was handed back: replicated queues have it a little later.

        Who looks next would find the messages in another order.
        """
        if self._link is None or self.total is None:
            return
        for pause in _SOON:
            here = await self._count(self._link)
            if here is None or here >= self.total - self._done:
                return
            await asyncio.sleep(pause)

    def _stuck(self) -> list[Arrival]:
        """End where the broker bounds how much one may hold: good enough for a part of it all."""
        if self._most is not None:
            return []
        raise DeadlineExceeded(
            operation="browsing",
            target=str(self._source.address),
            timeout=_PATIENCE * _QUIET,
            stage=f"waiting for more than {self._taken} messages",
        )

    async def _exhausted(self) -> bool:
        """Whether the silence means that nothing more is there."""
        if self._link is None:
            return True
        with self._limit():
            return not await self._count(self._link)

    async def _count(self, link: Link) -> int | None:
        if link.offers.look is not Support.NATIVE:
            return None
        entity = Entity(self._source.address, self._source.group)
        (standing,) = await link.declare(Topology((entity,)), look=True)
        return (standing.messages or 0) if standing.exists else 0

    def _check(self) -> None:
        if self._over is InletLost.LINK:
            raise LinkLost(where=self._line.route.where, why="it broke while it was looked through")
        if self._over is not None:
            address = str(self._source.address)
            raise SubscriptionLost(
                address=address, why=f"the broker ended it ({self._over.value})."
            )

    @contextmanager
    def _limit(self) -> Iterator[None]:
        """Bound one wait for the broker."""
        try:
            with self._line.route.wheel.limit(self._timeout):
                yield
        except DeadlineExceeded:
            raise
        except TimeoutError:
            raise DeadlineExceeded(
                operation="browsing",
                target=str(self._source.address),
                timeout=self._timeout,
                stage="connecting" if self._link is None else "confirmation",
            ) from self._line.trouble
