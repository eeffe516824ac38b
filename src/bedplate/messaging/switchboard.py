"""The open half of a transport: its lines, its outbox, its consumers and its private address.

Acts on one loop, in one process, from opening to closing. `transport` is its public face.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import count

from msgspec import Struct
from msgspec.structs import replace

from bedplate._floor.backoff import Backoff
from bedplate._floor.process import birth
from bedplate._floor.token import chance, token_hex
from bedplate.clock import Clock
from bedplate.errors import (
    DeadlineExceeded,
    Forked,
    LinkLost,
    NoSuchTarget,
    PublishRefused,
    PublishUnknown,
    TooLarge,
    TopologyMismatch,
    TransportClosed,
    TransportError,
    WrongLoop,
)
from bedplate.messaging.consumer import Consumer
from bedplate.messaging.driver import Link
from bedplate.messaging.inbox import PrivateDesk
from bedplate.messaging.intake import limits
from bedplate.messaging.line import Line, Route
from bedplate.messaging.lookout import Lookout, Watched
from bedplate.messaging.observe import Closed, Observer, Observers, Opened, Sent
from bedplate.messaging.outbox import Held, Outbox
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
_LINGER = 0.001


class Counts(Struct):
    """What a transport counts itself; the last four are of consumers that are closed."""

    published: int = 0
    bounced: int = 0
    refused: int = 0
    unknown: int = 0
    repeated: int = 0
    dropped: int = 0
    received: int = 0
    expired: int = 0
    duplicates: int = 0
    parked: int = 0


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
        self.now: Callable[[], float] = route.clock.now
        """Monotonic seconds."""
        self.wall: Callable[[], float] = route.clock.wall
        """Seconds since 1970."""
        self.counts = Counts()
        self.notices: Counter[str] = Counter()
        self.observers = Observers(observers, self._observer_failed)
        self.followers = self.observers if self.observers.follow else None
        self.scheme = route.url.driver
        self.outbox = Outbox(buffer, self._send)
        self.talk = Line("talk", route, self)
        self.listen: Line | None = None
        self.consumers: dict[int, Consumer] = {}
        self.desk = PrivateDesk(
            self.talk, self.post_on, self.outbox.holds, self.check, self.observers
        )
        self.lookout = Lookout(self._watched, every=look_every, found=self._found_deaf)
        self._max_body = max_body
        self._topology: dict[Entity, None] = {}
        self._loop = asyncio.get_running_loop()
        self._birth = birth()
        self._id_prefix = f"{token_hex(8)}-"
        self._ids = count(1)
        self._unsent = 0
        self._closed = False

    # --- what everything here stands on ---------------------------------------------------------

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The one loop it belongs to."""
        return self._loop

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
        self.here()
        if self._closed:
            raise TransportClosed(what=self.what)

    def here(self) -> None:
        """Raise `Forked` or `WrongLoop` unless used where it was opened."""
        # The process first: a forked child may run the very loop it inherited.
        if birth() is not self._birth:
            raise Forked(what=self.what)
        try:
            here = asyncio.get_running_loop()
        except RuntimeError:
            raise WrongLoop(what=self.what) from None
        if here is not self._loop:
            raise WrongLoop(what=self.what)

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
        waiting: asyncio.Future[None] = self._loop.create_future()

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

    def post(self, held: Held) -> None:
        """Send, or let wait, without hearing of it again. Raises `BufferFull`, `TooLarge`."""
        if held.message.want is Want.ACCEPT:
            raise ValueError("what is sent without waiting cannot want ACCEPT; use publish()")
        self.refuse_large(held.message)
        if self.outbox.free(held.message.address):
            try:
                self._send(held)
            except LinkLost:
                if held.epoch is not None:
                    raise
            else:
                return
        held.gone = self._unheard
        self.outbox.put(held)
        if held.until is not None:
            # A moment late, so that who gives up just then can see that it is still here.
            left = held.until - self.now() + _LINGER
            held.timer = self.after(left, lambda: self._drop_late(held))

    def post_on(self, message: Outbound, epoch: int) -> None:
        """Send on the link of this epoch or not at all."""
        until = None if message.ttl is None else self.now() + message.ttl
        self.post(Held(message, until=until, epoch=epoch))

    def refuse_large(self, message: Outbound) -> None:
        """Raise `TooLarge` for a body beyond the limit."""
        size = len(message.body)
        limit = min(self._max_body, self.offers.max_body)
        if size > limit:
            raise TooLarge(what=f"A message to {message.address}", size=size, limit=limit)

    def _unheard(self, error: Exception | None) -> None:
        """Report what nobody waits for any more: many at once, when a link dies, in one line."""
        if error is None or isinstance(error, DeadlineExceeded):
            return
        self.counts.dropped += 1
        self._unsent += 1
        if self._unsent == 1:
            self._loop.call_soon(self._report_unsent, error)

    def _report_unsent(self, why: Exception) -> None:
        count, self._unsent = self._unsent, 0
        _log.warning("Messages that waited were not sent (%d): %s", count, why)

    def _drop_late(self, held: Held) -> None:
        if self.outbox.drop(held):
            self.counts.dropped += 1

    def _send(self, held: Held) -> None:
        link, message = self.talk.link, held.message
        if link is None:
            raise LinkLost(where=self.route.where, why="there is no link just now")
        if held.until is not None:
            left = held.until - self.now()
            if left <= 0:
                self.counts.dropped += 1
                raise DeadlineExceeded(
                    operation="publish",
                    target=str(message.address),
                    timeout=message.ttl or 0.0,
                    stage=held.stage,
                )
            if message.address.kind is not Kind.PRIVATE:
                headers = limits(message.headers, left, self.wall())
                message = replace(message, ttl=left, headers=headers)
            elif held.key:  # it waited; who receives privately knows for how long it is of use
                message = replace(message, ttl=left)
        held.receipt = link.send(message)
        self.counts.published += 1
        if self.observers:
            self.observers.sent(
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
            for entity in entities:  # one misfit must not keep the others away
                try:
                    await link.declare(Topology((entity,)))
                except TopologyMismatch as error:
                    self.notices["topology-mismatch"] += 1
                    _log.error("%s", error)

    def up(self, line: Line) -> None:
        """Send what waited."""
        if self.observers:
            self.observers.opened(Opened(line.name, self.route.where, line.epoch))
        if line is self.talk:
            self.outbox.link_up()

    def down(self, line: Line, why: TransportError) -> None:
        """Hold back, and tell those who wait for replies."""
        if line is self.talk:
            self.outbox.link_down(why)
            self.desk.lost(why)
        if self.observers:
            self.observers.closed(Closed(line.name, self.route.where, line.epoch, str(why)))

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
        self.here()
        if self._closed:
            return
        await self.lookout.aclose()
        await asyncio.gather(*(each.aclose() for each in tuple(self.consumers.values())))
        self._closed = True
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
