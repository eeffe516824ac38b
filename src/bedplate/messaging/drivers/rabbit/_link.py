"""One link to RabbitMQ: the contract, on top of a wire.

Answers for publishing, declaring and looking, and for dealing out what the broker tells. Opens a
channel for each thing that may be refused, so that a refusal closes nothing else.
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import ParamSpec, final

from msgspec.structs import replace

from bedplate.amqp091 import (
    Blocked,
    Cause,
    ChannelClosed,
    Closed,
    Confirmed,
    Delivered,
    Event,
    FlowChanged,
    Oversized,
    QueueDeclared,
    ReplyCode,
    Returned,
    Unblocked,
)
from bedplate.errors import (
    AccessRefused,
    LinkLost,
    NoSuchTarget,
    TopologyMismatch,
    TransportError,
    Unsupported,
)
from bedplate.messaging.driver import Inlet, LinkEvents, Receipt, Sink
from bedplate.messaging.drivers.rabbit._dial import MAX_BODY
from bedplate.messaging.drivers.rabbit._inlet import RabbitInlet
from bedplate.messaging.drivers.rabbit._names import NAMING, Correspondents
from bedplate.messaging.drivers.rabbit._options import RabbitOptions
from bedplate.messaging.drivers.rabbit._publishing import Publisher, Publishing
from bedplate.messaging.drivers.rabbit._queues import (
    Queue,
    fanout_queue,
    is_adoptable,
    private_queue,
    shared_queue,
)
from bedplate.messaging.drivers.rabbit._talk import Talk
from bedplate.messaging.drivers.rabbit._wire import Wire
from bedplate.messaging.types import (
    Address,
    Capabilities,
    Entity,
    InletLost,
    Kind,
    Notice,
    Outbound,
    Outcome,
    Source,
    Standing,
    Start,
    Support,
    Topology,
)

__all__ = ["OFFERS", "RabbitLink"]

_log = logging.getLogger("bedplate.messaging")

OFFERS = Capabilities(
    bounce=Support.NATIVE,
    accept=Support.NATIVE,
    ttl=Support.NATIVE,
    fanout=Support.NATIVE,
    private=Support.NATIVE,
    groups=Support.NATIVE,
    place=Support.NATIVE,
    ack=Support.NATIVE,
    retry=Support.NATIVE,
    reject=Support.NATIVE,
    attempts=Support.NATIVE,
    look=Support.NATIVE,
    flow=Support.NATIVE,
    max_body=MAX_BODY,
)
_SHARED = frozenset({Kind.TOPIC, Kind.SERVER})
_THERE = Standing(exists=True)
_NOT_YOURS = "the private address belongs to another link."

P = ParamSpec("P")


@final
class RabbitLink:
    """One connection. Everything happens on its loop; nothing here is safe across threads."""

    def __init__(self, wire: Wire, where: str, options: RabbitOptions, hear: LinkEvents) -> None:
        self.quorum, self.prefetch = options.quorum, options.prefetch
        self.offers = OFFERS if options.quorum else replace(OFFERS, attempts=Support.NO)
        self.wire, self.loop = wire, wire.loop
        self.to_write: list[RabbitInlet] = []
        self.to_hand_over: list[RabbitInlet] = []
        self.hands: dict[int, RabbitInlet | Talk | Publisher] = {}
        self.hear = hear
        self.known = Correspondents()
        self._where, self._options = where, options
        self._engine = wire.engine
        self._publishing = Publishing(self)
        self._opening: set[Talk] = set()
        self._news: list[Callable[[], None]] = []
        self._shut: dict[str, str] = {}
        self._private: Address | None = None
        self._private_declared = False
        self.closing = False
        self._over: LinkLost | None = None
        self._gone = asyncio.Event()
        wire.attach(tell=self._events, paused=self._paused, prepare=self._prepare)

    # --- sending --------------------------------------------------------------------------------

    def send(self, message: Outbound) -> Receipt | None:
        """Publish at the end of this turn; see the contract.

        Order holds among messages of one want; those with ACCEPT travel on a channel of their own.
        """
        if self._over is not None or self.closing:
            raise self._lost()
        return self._publishing.send(message)

    # --- declaring ------------------------------------------------------------------------------

    async def declare(self, topology: Topology, *, look: bool = False) -> tuple[Standing, ...]:
        """Make the entities exist, or look at them: all at once, on channels of their own."""
        self._check()
        entities = topology.entities
        if look:
            return await self._look(entities)
        for entity in entities:
            if entity.address.kind is Kind.PRIVATE and entity.address != self._private:
                raise AccessRefused(where=self._where, why=_NOT_YOURS)
        shared = [each for each in entities if each.address.kind in _SHARED]
        if not shared:
            return (_THERE,) * len(entities)
        talk = self._talk()
        for entity in shared:
            talk.expected += shared_queue(entity, self._options).declare(talk.channel)
        closed = await self._finish(talk)
        if closed is not None:
            raise self._refused(closed, str(shared[len(talk.answers) // 2].address))
        found = iter(talk.answers[::2])
        return tuple(
            _standing(next(found)) if each.address.kind in _SHARED else _THERE for each in entities
        )

    async def _look(self, entities: Sequence[Entity]) -> tuple[Standing, ...]:
        """Look at all of them on one channel; one that is absent costs it, so on as many more."""
        places = [self._places(entity) for entity in entities]
        queues = [queue for each in places for queue in each]
        found: list[Standing] = []
        while len(found) < len(queues):
            talk = self._talk()
            for queue in queues[len(found) :]:
                talk.channel.queue_declare(queue.name, passive=True)
                talk.expected += 1
            closed = await self._finish(talk)
            found += [_seen(queues[len(found) + n], each) for n, each in enumerate(talk.answers)]
            if closed is None:
                continue
            if closed.code == ReplyCode.NOT_FOUND:
                found.append(Standing(exists=False))
            elif closed.code == ReplyCode.RESOURCE_LOCKED:
                found.append(_THERE)  # so much it says of another's private queue, and no more
            else:
                raise self._refused(closed, queues[len(found)].name)
        told = iter(found)
        return tuple(_together([next(told) for _ in each]) for each in places)

    def _places(self, entity: Entity) -> list[Queue]:
        """Return the queues of an entity; of a fanout those of our receivers, others are unseen."""
        if entity.address.kind is not Kind.FANOUT:
            name = NAMING.queue(entity.address, entity.group)
            return [private_queue(name)]
        inlets = [each for each in self.hands.values() if isinstance(each, RabbitInlet)]
        ours = [each.queue for each in inlets if each.source.address == entity.address]
        return [queue for queue in ours if queue is not None]

    async def private_address(self) -> Address:
        """Return the address of this link's own reply queue, making it the first time."""
        self._check()
        if self._private is None or not self._private_declared:
            self._private = self._private or Address.private(f"reply-{os.urandom(12).hex()}")
            talk = self._talk()
            talk.channel.queue_declare(self._private.name, exclusive=True)
            talk.expected = 1
            closed = await self._finish(talk)
            if closed is not None:
                raise self._refused(closed, "the private address")
            self._private_declared = True
        return self._private

    def _talk(self) -> Talk:
        channel = self._engine.open_channel()
        talk = self.hands[channel.number] = Talk(channel, self.loop)
        return talk

    async def _finish(self, talk: Talk) -> ChannelClosed | None:
        """Wait for the answers; return what the broker closed the channel with, if it did."""
        self.wire.soon()
        try:
            await talk.done
        finally:
            if talk.closed is None and self._over is None:
                talk.channel.close()
                self.wire.soon()
        if self._over is not None and talk.closed is None and len(talk.answers) < talk.expected:
            raise self._lost()
        return talk.closed

    # --- receiving ------------------------------------------------------------------------------

    async def take(self, source: Source, sink: Sink, *, credit: int) -> Inlet:
        """Start deliveries, declaring the queue in the same breath."""
        self._check()
        address = source.address
        if source.lanes is not None:
            raise Unsupported(driver="rabbit", what="lanes")
        if source.start is not Start.NEW:
            raise Unsupported(driver="rabbit", what="reading from the earliest message")
        if source.group is not None and address.kind not in _SHARED:
            raise Unsupported(driver="rabbit", what=f"a group of {address}")
        if address.kind is Kind.PRIVATE and address != self._private:
            raise AccessRefused(where=self._where, why=_NOT_YOURS)
        if address.kind is Kind.PLACE:
            raise Unsupported(driver="rabbit", what="taking from a place by its name")
        inlet = RabbitInlet(self, source, sink, credit)
        queue = self._queue(source)
        try:
            closed = await self._open_inlet(inlet, queue, declare=not source.existing)
            if closed is not None and is_adoptable(closed):
                self.notice("queue-adopted")
                closed = await self._open_inlet(inlet, queue, declare=False)
        except BaseException:
            inlet.discard()
            raise
        if closed is not None:
            inlet.discard()
            if source.existing and closed.code == ReplyCode.NOT_FOUND:
                raise NoSuchTarget(target=queue.name)
            raise self._refused(closed, str(address))
        inlet.begin()
        return inlet

    def _queue(self, source: Source) -> Queue:
        if source.address.kind is Kind.PRIVATE:
            return private_queue(source.address.name)
        if source.address.kind is Kind.FANOUT:
            return fanout_queue(source.address, self._options)
        return shared_queue(Entity(source.address, source.group), self._options)

    async def _open_inlet(
        self, inlet: RabbitInlet, queue: Queue, *, declare: bool
    ) -> ChannelClosed | None:
        channel = self._engine.open_channel()
        self.hands[channel.number] = inlet
        expected = 0
        if declare:
            expected = queue.declare(channel)
        elif inlet.source.existing:
            channel.queue_declare(queue.name, passive=True)
            expected = 1
        inlet.attach(channel, queue)
        if inlet.consume():
            expected += 2 if inlet.acknowledging else 1
        self.wire.soon()
        if not expected:
            return None  # without credit, of a queue that is there
        talk = Talk(channel, self.loop)
        talk.expected = expected
        inlet.answered = talk.hear
        self._opening.add(talk)
        try:
            await talk.done
        finally:
            self._opening.discard(talk)
            inlet.answered = None
        if self._over is not None:
            raise self._lost()
        return talk.closed

    # --- the end --------------------------------------------------------------------------------

    async def aclose(self) -> None:
        """Hear the outcomes that are due, let the broker take what was sent, and close."""
        first, self.closing = not self.closing, True
        try:
            if first and self._over is None:
                await self._publishing.wind_up()
                await self._delete_private()
                self._engine.close()
                self.wire.soon()
            await self._gone.wait()
            await self.wire.released.wait()
        except asyncio.CancelledError:
            self.wire.abort()
            raise

    async def _delete_private(self) -> None:
        """Have the reply queue gone before the link is: newer brokers delete it some time after.

        Until then a reply would be taken for delivered instead of coming back.
        """
        if self._private is None or self._over is not None:
            return
        with contextlib.suppress(TransportError):  # no channel is free, or the link died
            talk = self._talk()
            talk.channel.queue_delete(self._private.name)
            talk.expected = 1
            await self._finish(talk)

    def _bury(self) -> None:
        self._publishing.answer_all(Outcome.UNKNOWN)
        hands, self.hands = self.hands, {}
        for hand in hands.values():
            if isinstance(hand, RabbitInlet):
                hand.end(InletLost.LINK)
            else:
                hand.release()
        for talk in self._opening:
            talk.release()
        self._gone.set()
        self.call(self.hear.lost, self._lost())

    # --- what the wire tells --------------------------------------------------------------------

    def _events(self, events: Sequence[Event]) -> None:
        hands = self.hands
        for event in events:
            if type(event) is Delivered:
                hand = hands.get(event.channel)
                if hand is not None and not self.closing:
                    hand.deliver(event)
            elif type(event) is Confirmed:
                self._publishing.confirmed(event)
            elif type(event) is Returned:
                self._publishing.came_back(event)
            elif type(event) is Closed:
                why = _end_of(event, self.wire.failure)
                self._over = LinkLost(where=self._where, why=why)
            else:
                self._other(event)
        # Now, when all of it is known, whoever is told may use the link.
        if self._news:
            news, self._news = self._news, []
            for each in news:
                self.call(each)
        self.hand_over()
        if self._over is not None:
            self._bury()

    def _other(self, event: Event) -> None:
        if isinstance(event, Blocked):
            why = event.reason or "the broker is short of resources"
            self.later(partial(self._flow, "broker", why))
        elif isinstance(event, Unblocked):
            self.later(partial(self._flow, "broker", None))
        elif isinstance(event, Oversized):
            self._oversized(event)
        elif isinstance(event, FlowChanged):
            # RabbitMQ has not done so for a decade; nothing here could wait for its end.
            self.notice("channel-flow")
            self.wire.abort()
        else:
            number = getattr(event, "channel", 0)
            hand = self.hands.get(number)
            if isinstance(event, ChannelClosed):
                self.hands.pop(number, None)
            if hand is not None:
                hand.hear(event)

    def _oversized(self, event: Oversized) -> None:
        inner = event.event
        hand = self.hands.get(inner.channel)
        if isinstance(inner, Delivered) and isinstance(hand, RabbitInlet):
            hand.refuse(inner.delivery_tag, "oversized-message")

    def _paused(self, paused: bool) -> None:  # noqa: FBT001 - the wire's word
        self._flow("socket", "the connection is slower than what is sent" if paused else None)

    def _flow(self, who: str, why: str | None) -> None:
        """Keep account of who stopped us, and tell when the first does and the last no more."""
        if why is not None:
            self._shut[who] = why
            if len(self._shut) == 1:
                self.call(self.hear.flow, open=False, why=why, address=None)
        elif self._shut.pop(who, None) is not None and not self._shut:
            self.call(self.hear.flow, open=True, why="", address=None)

    def _prepare(self) -> None:
        """Add to this turn's write what the inlets have to say."""
        if self.to_write:
            inlets, self.to_write = self.to_write, []
            for inlet in inlets:
                inlet.write()

    def hand_over(self) -> None:
        """Give all sinks what this read brought."""
        while self.to_hand_over:
            inlets, self.to_hand_over = self.to_hand_over, []
            for inlet in inlets:
                inlet.hand_over()

    @property
    def over(self) -> bool:
        """Whether nothing can be said to the broker any more."""
        return self._over is not None

    # --- small things ---------------------------------------------------------------------------

    def call(self, callback: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """Call back; the contract forbids to raise, and who does must not deafen the others."""
        try:
            callback(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - reported, as a loop does for callbacks
            context = {"message": "A callback of a RabbitMQ link raised.", "exception": error}
            self.loop.call_exception_handler(context)

    def later(self, news: Callable[[], None]) -> None:
        """Call when all of this read is known; only then may the link be used again."""
        self._news.append(news)

    def notice(self, what: str) -> None:
        """Count something for the statistics."""
        self.call(self.hear.noticed, Notice(what))

    def complain(self, event: ChannelClosed, doing: str) -> None:
        """Say in the log why the broker closed a channel: nobody may be waiting to hear it."""
        self.notice("channel-closed")
        _log.warning("%s closed a channel (%s): %s", self._where, doing, event.text)

    def _check(self) -> None:
        if self._over is not None or self.closing:
            raise self._lost()

    def _lost(self) -> LinkLost:
        why = "this side closes it." if self._over is None else self._over.why
        return LinkLost(where=self._where, why=why)

    def _refused(self, closed: ChannelClosed, entity: str) -> TransportError:
        """Translate the broker's objection to an entity."""
        if closed.code in (ReplyCode.ACCESS_REFUSED, ReplyCode.RESOURCE_LOCKED):
            return AccessRefused(where=self._where, why=f"{entity}: {closed.text}")
        return TopologyMismatch(entity=entity, why=closed.text)


def _seen(queue: Queue, event: Event) -> Standing:
    # A stream keeps what was read, and does not say who reads.
    return _THERE if queue.stream else _standing(event)


def _together(standings: Sequence[Standing]) -> Standing:
    """Return one standing for the queues of one entity."""
    if not standings:
        return _THERE
    if len(standings) == 1 or not all(each.exists for each in standings):
        return next((each for each in standings if not each.exists), standings[0])
    if any(each.consumers is None for each in standings):
        return _THERE
    return Standing(
        exists=True,
        messages=sum(each.messages or 0 for each in standings),
        consumers=sum(each.consumers or 0 for each in standings),
    )


def _standing(event: Event) -> Standing:
    if not isinstance(event, QueueDeclared):
        return _THERE
    return Standing(exists=True, messages=event.messages, consumers=event.consumers)


def _end_of(closed: Closed, error: Exception | None) -> str:
    """Say in a sentence why a connection is over."""
    if closed.cause is Cause.US:
        return "this side closed it."
    if closed.cause is Cause.PEER:
        return f"the broker closed it: {closed.text}"
    return closed.text if error is None else f"{closed.text} {error}"
