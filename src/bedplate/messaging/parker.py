"""Sets messages aside: publishes them to their parking place and hears that they are kept there.

Tries until it is done or the original comes again by itself, beside everything else. Knows how, not
when: that `intake` decides.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Protocol, final

from bedplate._floor.backoff import Backoff
from bedplate.clock import Clock
from bedplate.errors import MessagingError, NoSuchTarget, TopologyMismatch
from bedplate.messaging.delivery import Delivery
from bedplate.messaging.intake import IntakeCounts, ParkedFor
from bedplate.messaging.observe import Leave, Span
from bedplate.messaging.parking import Slip, entity_of, message_parked, parked_at
from bedplate.messaging.types import (
    NO_HEADERS,
    Address,
    Headers,
    InletLost,
    Message,
    Source,
    Topology,
)

__all__ = ["AS_IT_IS", "Carrier", "Gone", "Parkings", "SetAside", "set_aside"]

_log = logging.getLogger("bedplate.messaging")

_AGAIN = Backoff(1.0, 2.0, 300.0)
_TIMEOUT = 30.0


SetAside = Callable[[Delivery, Source, ParkedFor, str], Awaitable[None]]
"""Publishes a delivery to its parking place; returns once that is confirmed. The text is a note."""

Gone = asyncio.Future[InletLost]
"""Is done when the inlet is over that a delivery came through."""


@final
class _AsItIs:
    """A span that adds nothing: what is parked and replayed keeps the trace it belongs to."""

    __slots__ = ()

    headers: Headers = NO_HEADERS

    def enter(self) -> Leave:
        """Change nothing."""
        return self._stay

    def ended(self, error: BaseException | None) -> None:
        """Tell nobody."""

    def _stay(self) -> None:
        pass


AS_IT_IS: Span = _AsItIs()
"""With this a message is sent with the headers it has, whoever follows work."""


class Carrier(Protocol):
    """What parking needs of a transport."""

    @property
    def clock(self) -> Clock:
        """Where time comes from."""
        ...

    async def publish(
        self,
        address: Address,
        message: Message,
        *,
        timeout: float,  # noqa: ASYNC109 - as the transport has it
        repeats: bool,
        span: Span | None,
    ) -> None:
        """Send a message and wait until the broker has taken responsibility for it."""
        ...

    async def declare(self, topology: Topology) -> None:
        """Make entities exist."""
        ...


async def set_aside(
    carrier: Carrier,
    limit: int | None,
    delivery: Delivery,
    source: Source,
    why: ParkedFor,
    note: str,
) -> None:
    """Publish a delivery of a source to its parking place, which is made if need be.

    Returns when the broker has confirmed it. Sent again where the broker's word is lost, it may be
    there twice. ``limit`` bounds what a place that is made holds. Raises what publishing and
    declaring raise.
    """
    slip = Slip(why, delivery.attempts, carrier.clock.wall(), socket.gethostname(), note)
    message = message_parked(delivery, source, slip)
    place = parked_at(source.address, source.group)
    try:
        await carrier.publish(place, message, timeout=_TIMEOUT, repeats=True, span=AS_IT_IS)
    except NoSuchTarget:
        # The first one ever, or the first since somebody deleted the place.
        await _make(carrier, place, limit)
        await carrier.publish(place, message, timeout=_TIMEOUT, repeats=True, span=AS_IT_IS)


async def _make(carrier: Carrier, place: Address, limit: int | None) -> None:
    # One that is there as somebody else wanted it is good enough to keep messages.
    with contextlib.suppress(TopologyMismatch):
        await carrier.declare(Topology((entity_of(place, limit),)))


@final
class Parkings:
    """The deliveries of one inlet that are being parked. Their number is bounded by its credit."""

    __slots__ = ("_counts", "_found", "_set_aside", "_source", "_tasks", "_turn")

    def __init__(self, source: Source, set_aside: SetAside, counts: IntakeCounts) -> None:
        self._source, self._set_aside, self._counts = source, set_aside, counts
        self._tasks: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()
        self._found = False

    def begin(
        self,
        delivery: Delivery,
        why: ParkedFor,
        note: str,
        gone: Gone,
        done: Callable[[bool], object],
    ) -> None:
        """Set a delivery aside, and again until it works or its inlet is ``gone``.

        ``done`` hears, once, whether it is set aside for sure.
        """
        task = asyncio.get_running_loop().create_task(
            self._keep_trying(delivery, why, note, gone, done),
            name=f"bedplate parking of {delivery.id} from {self._source.address}",
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def over(self) -> None:
        """Wait until none is being parked any more; the caller bounds the time."""
        while self._tasks:
            await asyncio.wait(tuple(self._tasks))

    async def _keep_trying(
        self,
        delivery: Delivery,
        why: ParkedFor,
        note: str,
        gone: Gone,
        done: Callable[[bool], object],
    ) -> None:
        parked, failures = False, 0
        try:
            parked = await self._try(delivery, why, note, gone)
            while not parked and not gone.done():
                failures += 1
                self._counts.park_failures += 1
                await asyncio.wait((gone,), timeout=_AGAIN.delay(failures, 1.0))
                if not gone.done():
                    parked = await self._try(delivery, why, note, gone)
        finally:
            done(parked)

    async def _try(self, delivery: Delivery, why: ParkedFor, note: str, gone: Gone) -> bool:
        what = f"A message to {self._source.address} ({delivery.id or 'without id'})"
        try:
            if not await self._in_order(delivery, why, note, gone):
                return False
        except Exception as error:  # noqa: BLE001 - a driver may fail in any way; the message stays
            _log.error(
                "%s cannot be parked and stays where it is: %s",
                what,
                error,
                exc_info=None if isinstance(error, MessagingError) else error,
            )
            return False
        if why is ParkedFor.ATTEMPTS:
            _log.warning("%s was parked, after attempt %d", what, delivery.attempts)
        else:
            _log.warning("%s was parked (%s)", what, why.value)
        return True

    async def _in_order(self, delivery: Delivery, why: ParkedFor, note: str, gone: Gone) -> bool:
        """Let the first one find or make the place, lest those behind it overtake it meanwhile.

        All pass by the lock, which lets them on in the order they came.
        """
        async with self._turn:
            if gone.done():
                return False
            if not self._found:
                await self._set_aside(delivery, self._source, why, note)
                self._found = True
                return True
        await self._set_aside(delivery, self._source, why, note)
        return True
