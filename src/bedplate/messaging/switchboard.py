"""The open half of a transport: its lines, its outbox, its consumers and its private address.

Acts on one loop, in one process, from opening to closing. `transport` is its public face.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from itertools import count
from typing import Final, final

from msgspec.structs import replace

from bedplate._floor.backoff import Backoff
from bedplate._floor.token import chance, token_hex
from bedplate.clock import Clock
from bedplate.errors import (
    DeadlineExceeded,
    LinkLost,
    NoSuchTarget,
    PublishRefused,
    PublishUnknown,
    TooLarge,
    TopologyMismatch,
    TransportClosed,
    TransportError,
)
from bedplate.messaging.consumer import Consumer
from bedplate.messaging.driver import Link, Receipt
from bedplate.messaging.inbox import PrivateDesk
from bedplate.messaging.intake import limits
from bedplate.messaging.line import Line, Route
from bedplate.messaging.lookout import Lookout, Watched
from bedplate.messaging.observe import Closed, Observer, Observers, Opened, Sent
from bedplate.messaging.outbox import Held, Outbox
from bedplate.messaging.stage import Stage
from bedplate.messaging.types import (
    Address,
    Bounce,
    Capabilities,
    Entity,
    Kind,
    Notice,
    Outbound,
    Outcome,
    Source,
    Topology,
    Want,
)
from bedplate.messaging.wheel import Timer

__all__ = ["Counts", "Switchboard"]

_log = logging.getLogger("bedplate.messaging")

_REPEAT = Backoff(0.05, 2.0, 2.0)
_LINGER: Final = 0.001
_ACCEPT: Final = Want.ACCEPT
_PRIVATE: Final = Kind.PRIVATE


@final
class Counts:
    """What a transport counts itself; the last four are of consumers that are closed."""

    __slots__ = (
        "bounced",
        "dropped",
        "duplicates",
        "expired",
        "parked",
        "published",
        "received",
        "refused",
        "repeated",
        "unknown",
    )

    def __init__(self) -> None:
        self.published = self.bounced = self.refused = self.unknown = self.repeated = 0
        self.dropped = self.received = self.expired = self.duplicates = self.parked = 0


@final
class Switchboard:
    """Everything of a transport that lives on its loop."""

    def __init__(
        self,
        route: Route,
        *,
        what: str,
        buffer: int,
        max_body: int,
        look_every: float,
        observers: Iterable[Observer],
    ) -> None:
        self.route = route
        self.what = what
        observing = Observers(observers, self._observer_failed)
        self.stage = Stage(what, route.clock, route.wheel, observing, route.url.driver)
        self.counts = Counts()
        self.notices: Counter[str] = Counter()
        self.outbox = Outbox(buffer, self._send)
        self.talk = Line("talk", route, self)
        self.listen: Line | None = None
        self.consumers: dict[int, Consumer] = {}
        self.desk = PrivateDesk(self)
        self.lookout = Lookout(self._watched, every=look_every, found=self._found_deaf)
        self._max_body = max_body
        self._largest = self._largest_now()
        self._topology: dict[Entity, None] = {}
        self._id_prefix = f"{token_hex(8)}-"
        self._ids = count(1)
        self._unsent = 0

    # --- what everything here stands on ---------------------------------------------------------

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The one loop it belongs to."""
        return self.stage.loop

    @property
    def clock(self) -> Clock:
        """Where time comes from."""
        return self.route.clock

    def new_id(self) -> str:
        """Return an id that no other message has: random for the transport, counted within it."""
        return f"{self._id_prefix}{next(self._ids):x}"

    def after(self, seconds: float, callback: Callable[[], object]) -> Timer:
        """Call back later."""
        return self.route.wheel.after(seconds, callback)

    def check(self) -> None:
        """Raise `Forked`, `WrongLoop` or `TransportClosed` unless it may be used here and now."""
        self.stage.check()

    @property
    def offers(self) -> Capabilities:
        """What the peer grants, or the driver promises while there is none."""
        link = self.talk.link
        return self.route.driver.offers if link is None else link.offers

    # --- sending --------------------------------------------------------------------------------

    async def deliver(self, held: Held, *, repeats: bool) -> None:
        """Hand a message over and see what becomes of it; the caller bounds the time."""
        tries = 0
        while True:
            await self._hand_over(held)
            if held.receipt is None:
                return
            held.stage = "confirmation"
            outcome = await held.receipt
            if outcome is Outcome.ACCEPTED:
                return
            address = str(held.message.address)
            if outcome is Outcome.UNROUTABLE:
                self.counts.bounced += 1
                raise NoSuchTarget(target=address, asked=held.message.kind)
            if outcome is Outcome.REFUSED:
                self.counts.refused += 1
                raise PublishRefused(address=address, why="it did not say why; is a limit reached?")
            self.counts.unknown += 1
            if not repeats:
                raise PublishUnknown(address=address)
            self.counts.repeated += 1
            tries += 1
            held.stage = "sending"
            if self.talk.link is not None:
                await asyncio.sleep(_REPEAT.delay(tries, chance()))

    async def _hand_over(self, held: Held) -> None:
        if self.outbox.free(held.message.address):
            try:
                self._send(held)
            except LinkLost:
                pass  # its end was not announced yet; wait with the others
            else:
                return
        if self.talk.failure is not None:
            raise self.talk.failure
        held.stage = "connecting" if self.talk.link is None else "sending"
        waiting: asyncio.Future[None] = self.stage.loop.create_future()

        def gone(error: Exception | None) -> None:
            if waiting.done():
                return
            if error is None:
                waiting.set_result(None)
            else:
                waiting.set_exception(error)

        held.gone = gone
        self.outbox.put(held)
        try:
            await waiting
        finally:
            self.outbox.drop(held)

    def post(self, message: Outbound, epoch: int | None = None) -> None:
        """Send, or let wait, without hearing of it again; with ``epoch`` on that link or never.

        Raises `BufferFull`, `TooLarge`, `LinkLost`.
        """
        if message.want is _ACCEPT:
            raise ValueError("what is sent without waiting cannot want ACCEPT; use publish()")
        self.refuse_large(message)
        link, ttl = self.talk.link, message.ttl
        if link is not None and self.outbox.free(message.address):
            try:
                self._pass_on(link, message, ttl, "sending", waited=False)
            except LinkLost:
                if epoch is not None:
                    raise
            else:
                return
        held = Held(message, None if ttl is None else self.stage.now() + ttl, epoch, self._unheard)
        self.outbox.put(held)
        if ttl is not None:
            # A moment late, so that who gives up just then can see that it is still here.
            held.timer = self.after(ttl + _LINGER, partial(self._drop_late, held))

    def refuse_large(self, message: Outbound) -> None:
        """Raise `TooLarge` for a body beyond the limit."""
        size = len(message.body)
        limit = self._largest
        if size > limit:
            raise TooLarge(what=f"A message to {message.address}", size=size, limit=limit)

    def _largest_now(self) -> int:
        """Return the size of the largest body that may be sent."""
        return min(self._max_body, self.offers.max_body)

    def _unheard(self, error: Exception | None) -> None:
        """Report what nobody waits for any more: many at once, when a link dies, in one line."""
        if error is None or isinstance(error, DeadlineExceeded):
            return
        self.counts.dropped += 1
        self._unsent += 1
        if self._unsent == 1:
            self.stage.loop.call_soon(self._report_unsent, error)

    def _report_unsent(self, why: Exception) -> None:
        count, self._unsent = self._unsent, 0
        _log.warning("Messages that waited were not sent (%d): %s", count, why)

    def _drop_late(self, held: Held) -> None:
        if self.outbox.drop(held):
            self.counts.dropped += 1

    def _send(self, held: Held) -> None:
        link = self.talk.link
        if link is None:
            raise LinkLost(where=self.route.where, why="there is no link just now")
        left = None if held.until is None else held.until - self.stage.now()
        waited = held.key != 0
        held.receipt = self._pass_on(link, held.message, left, held.stage, waited=waited)

    def _pass_on(
        self, link: Link, message: Outbound, left: float | None, stage: str, *, waited: bool
    ) -> Receipt | None:
        """Hand a message that has ``left`` seconds to live to the link."""
        if left is not None:
            if left <= 0:
                self.counts.dropped += 1
                raise DeadlineExceeded(
                    operation="publish",
                    target=str(message.address),
                    timeout=message.ttl or 0.0,
                    stage=stage,
                )
            if message.address.kind is not _PRIVATE:
                headers = limits(message.headers, left, self.stage.wall())
                message = replace(message, ttl=left, headers=headers)
            elif waited:  # who receives privately knows for how long it is of use
                message = replace(message, ttl=left)
        receipt = link.send(message)
        self.counts.published += 1
        observers = self.stage.observers
        if observers is not None:
            observers.sent(
                Sent(
                    message.address,
                    message.id,
                    message.kind,
                    len(message.body),
                    message.headers,
                    message.correlation_id,
                    message.ttl,
                )
            )
        return receipt

    # --- receiving ------------------------------------------------------------------------------

    def line_for(self, source: Source) -> Line:
        """Return the line a source is taken on, begun if need be."""
        if not source.ack:
            return self.talk
        if self.listen is None or self.listen.failure is not None:
            self.listen = Line("listen", self.route, self)
            self.listen.start()
        return self.listen

    def left(self, consumer: Consumer) -> None:
        """Forget a consumer that ended, keeping its counts."""
        if self.consumers.pop(id(consumer), None) is None:
            return
        tally, counts = consumer.statistics().tally, self.counts
        counts.received += tally.received
        counts.expired += tally.expired
        counts.duplicates += tally.duplicates
        counts.parked += tally.parked

    def _watched(self) -> tuple[Watched, ...]:
        return (*self.consumers.values(), self.desk)

    def _found_deaf(self) -> None:
        self.notices["deaf-consumer"] += 1

    def remember(self, topology: Topology) -> None:
        """Declare these again on every new link."""
        self._topology.update(dict.fromkeys(topology.entities))

    # --- what lines tell ------------------------------------------------------------------------

    async def restore(self, line: Line, link: Link) -> None:
        """Declare once an epoch what was declared before."""
        if line is not self.talk or not self._topology:
            return
        entities = tuple(self._topology)
        try:
            await link.declare(Topology(entities))
        except TopologyMismatch:
            pass  # one misfit must not keep the others away
        else:
            return
        for entity in entities:
            try:
                await link.declare(Topology((entity,)))
            except TopologyMismatch as error:
                self.notices["topology-mismatch"] += 1
                _log.error("%s", error)

    def up(self, line: Line) -> None:
        """Send what waited."""
        observers = self.stage.observers
        if observers is not None:
            observers.opened(Opened(line.name, self.route.where, line.epoch))
        if line is self.talk:
            self._largest = self._largest_now()
            self.outbox.link_up()

    def down(self, line: Line, why: TransportError) -> None:
        """Hold back, and tell those who wait for replies."""
        if line is self.talk:
            self._largest = self._largest_now()
            self.outbox.link_down(why)
            self.desk.lost(why)
        observers = self.stage.observers
        if observers is not None:
            observers.closed(Closed(line.name, self.route.where, line.epoch, str(why)))

    def ended(self, line: Line, why: TransportError) -> None:
        """Let nothing wait for a link that will not come."""
        if line is self.talk:
            self.outbox.fail(why)

    def bounced(self, message_id: str, why: Bounce) -> None:
        """Tell those who may have sent it."""
        self.counts.bounced += 1
        self.desk.bounced(message_id, why)

    def flow(self, line: Line, address: Address | None, why: str | None) -> None:
        """Hold back or go on, as the peer says."""
        if line is self.talk:
            self.outbox.flow_changed(address, why)

    def noticed(self, note: Notice) -> None:
        """Count it."""
        self.notices[note.what] += note.count

    # --- the end --------------------------------------------------------------------------------

    async def aclose(self) -> None:
        """Close all in good order: consumers, then lines, each bounded by ``close_timeout``."""
        self.stage.here()
        if self.stage.closed:
            return
        await self.lookout.aclose()
        await asyncio.gather(*(each.aclose() for each in tuple(self.consumers.values())))
        self.stage.closed = True
        self.outbox.fail(TransportClosed(what=self.what))
        await self.desk.aclose()
        lines = (self.talk,) if self.listen is None else (self.listen, self.talk)
        await asyncio.gather(*(line.aclose() for line in lines))
        self.route.wheel.clear()

    def _observer_failed(self, observer: object, error: Exception) -> None:
        self.notices["observer-dropped"] += 1
        _log.error(
            "The observer %s raised %s and is not asked again",
            type(observer).__qualname__,
            type(error).__name__,
            exc_info=error,
        )
