"""One stream of deliveries: a channel of its own with one consumer on it.

Answers for credit, for settling, and for what becomes of both when the channel ends. The broker's
own bound (prefetch) counts what is unacknowledged, ours what was granted: so what the broker sends
beyond the credit waits here, never more than the widest window that was ever open.

A stream takes nothing back, and a second consumer of it would read everything again. So its window
is opened once, what is granted or not, and what is to be retried is handed over again from here.
"""

import asyncio
import enum
from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from itertools import count
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, final

from bedplate.amqp091 import (
    Cause,
    Channel,
    ChannelClosed,
    ChannelOpened,
    ConsumerCancelled,
    Consuming,
    Delivered,
    Event,
    FieldTable,
    Phase,
    ReplyCode,
)
from bedplate.errors import ProtocolError, Unsupported
from bedplate.messaging.driver import Sink
from bedplate.messaging.drivers.rabbit._message import incoming
from bedplate.messaging.drivers.rabbit._queues import Queue
from bedplate.messaging.types import Arrival, InletLost, Kind, Settle, Settlement, Source

if TYPE_CHECKING:
    from bedplate.messaging.drivers.rabbit._link import RabbitLink

__all__ = ["RabbitInlet"]

_MOST: Final = 65535
"""The widest window the protocol can express."""
_AHEAD: Final = 100
"""How many messages a stream may be ahead of a receiver with less credit."""
_FROM_NOW: FieldTable = MappingProxyType({"x-stream-offset": "next"})
_NO_ARGUMENTS: FieldTable = MappingProxyType({})


class _Stage(enum.Enum):
    OPENING = "opening"
    RUNNING = "running"
    CLOSING = "closing"
    OVER = "over"


_OPENING: Final = _Stage.OPENING
_RUNNING: Final = _Stage.RUNNING
_CLOSING: Final = _Stage.CLOSING
_OVER: Final = _Stage.OVER
_ACK: Final = Settlement.ACK
_RETRY: Final = Settlement.RETRY
_UNKNOWN: Final = object()
_CHANNEL_OPENING: Final = Phase.OPENING
_CHANNEL_OPEN: Final = Phase.OPEN


@final
class RabbitInlet:
    """One consumer. Made by the link, which answers for the queue; begins with ``begin``.

    ``acknowledging`` is whether the broker waits for acknowledgements, the application's or ours.
    Without ``ack`` they are ours, given as a batch is handed over, because only so the broker
    keeps to the credit. A private address is spared them: it gets what was asked for.
    """

    __slots__ = (
        "_acked",
        "_asking",
        "_channel",
        "_counted",
        "_credit",
        "_draining",
        "_gone",
        "_held",
        "_last",
        "_lost_early",
        "_marked",
        "_open",
        "_queue",
        "_read",
        "_ready",
        "_repeats",
        "_settled_above",
        "_stage",
        "_stream",
        "_tag",
        "_tags",
        "_window",
        "acknowledging",
        "answered",
        "link",
        "sink",
        "source",
    )

    def __init__(self, link: "RabbitLink", source: Source, sink: Sink, credit: int) -> None:
        self.link, self.source, self.sink = link, source, sink
        self.answered: Callable[[Event], None] | None = None
        self._channel: Channel | None = None
        self._queue: Queue | None = None
        self._stream = False
        self._stage = _OPENING
        self._credit = credit
        self._window = 0
        self._asking = False  # for a consumer; until it is there it cannot be replaced
        private = source.address.kind is Kind.PRIVATE
        self._read = not private  # replies are not looked into
        self._settled_above = source.ack
        self.acknowledging = source.ack or not private
        self._counted = link.quorum and source.address.kind in (Kind.TOPIC, Kind.SERVER)
        self._tags = count(1)
        self._tag = ""
        self._last = 0
        # Handed over and not settled, in order; of a stream also what it was.
        self._open: dict[int, Delivered | None] = {}
        self._repeats = count(-1, -1)  # tags of what was handed over again from here
        self._acked: list[int] = []
        self._held: deque[Delivered] = deque()
        self._ready: list[Arrival] = []
        self._marked = self._draining = False
        self._lost_early: InletLost | None = None
        self._gone: asyncio.Future[None] = link.loop.create_future()

    # --- the contract ---------------------------------------------------------------------------

    def settle(self, tag: int, how: Settle) -> None:
        """Decide about one delivery; see the contract. RabbitMQ drops or dead-letters a REJECT."""
        decision = how.how
        if decision is not _ACK:
            _check(how)
        if self._stage is not _RUNNING:
            return
        event = self._open.pop(tag, _UNKNOWN)
        if event is not None:
            if isinstance(event, Delivered):
                self._settle_of_stream(event, again=decision is _RETRY)
            return
        if decision is _ACK:
            self._acked.append(tag)
            self._mark()
            return
        channel = self._channel
        if channel is not None and _usable(channel):
            if decision is _RETRY:
                channel.nack(tag, requeue=True)
            else:
                channel.reject(tag, requeue=False)
            self.link.wire.soon()

    def grant(self, credit: int) -> None:
        """Allow further deliveries."""
        if self._stage is not _RUNNING:
            return
        self._credit += credit
        self._drain_soon()
        self._mark()

    async def aclose(self) -> None:
        """Close the channel: what is unsettled goes back to its place. Idempotent."""
        if self._stage is _RUNNING:
            self._stage = _CLOSING
            self.close_channel()
        # Shielded: who gives up waiting must not end the wait of others.
        await asyncio.shield(self._gone)

    # --- what the link asks ---------------------------------------------------------------------

    def attach(self, channel: Channel, queue: Queue) -> None:
        """Use this channel from now on."""
        self._channel, self._queue, self._stream = channel, queue, queue.stream
        self._asking = False

    def consume(self) -> bool:
        """Ask for deliveries, as many as are wanted now; return whether any are."""
        channel, queue = self._channel, self._queue
        wanted = self._wanted()
        if channel is None or queue is None or wanted == 0:
            return False
        former, self._tag = self._tag, str(next(self._tags))
        if self.acknowledging:
            channel.qos(wanted)
        begin = _FROM_NOW if self._stream else _NO_ARGUMENTS
        channel.consume(queue.name, self._tag, no_ack=not self.acknowledging, arguments=begin)
        if former:  # after its successor: a queue may live only while somebody consumes
            channel.cancel(former)
        self._window, self._asking = wanted, True
        self.link.wire.soon()
        return True

    @property
    def queue(self) -> Queue | None:
        """The queue it consumes from, while it does."""
        return self._queue if self._stage is _RUNNING else None

    def begin(self) -> None:
        """Hand over from now on."""
        self._stage = _RUNNING
        if self._lost_early is not None:
            self.link.loop.call_soon(self.end, self._lost_early)
            return
        self._drain()
        self._mark()

    def discard(self) -> None:
        """Forget a take that nobody waits for any more; what it was sent goes back."""
        self._stage = _OVER
        self.answered = None
        self.close_channel()

    def close_channel(self) -> None:
        """Say what is left to say and close."""
        channel = self._channel
        if channel is None or not _usable(channel):
            return
        self.write()
        self._held.clear()
        queue = self._queue
        if queue is not None and queue.exclusive and queue.key:
            channel.queue_delete(queue.name, nowait=True)
        channel.close()
        self.link.wire.soon()

    def end(self, why: InletLost) -> None:
        """Tell the sink of the end, once; a take that is still pending hears it otherwise."""
        if self._stage is _OPENING:
            self._lost_early = why
            return
        if self._stage is not _OVER:
            self._stage = _OVER
            self._held.clear()
            self._ready = []
            self._open.clear()
            self.link.call(self.sink.ended, why)
        if not self._gone.done():
            self._gone.set_result(None)

    # --- what the broker tells ------------------------------------------------------------------

    def deliver(self, event: Delivered) -> None:
        """Take one delivery of this read."""
        if self._credit > 0 and self._stage is _RUNNING and not self._held:
            self._take_in(event)
        elif self._stage in (_OPENING, _RUNNING):
            self._held.append(event)

    def hear(self, event: Event) -> None:
        """Take what else is said on the channel."""
        if isinstance(event, Consuming):
            self._asking = False
            if self._stage is _RUNNING and self._wanted() > self._window:
                self._mark()
        if isinstance(event, ChannelClosed):
            self._closed(event)
        elif isinstance(event, ConsumerCancelled) and event.cause is Cause.PEER:
            if event.consumer_tag != self._tag or self._stage is _CLOSING:
                return
            if not self.link.closing:  # then it ends with the link
                self.close_channel()
                self.end(InletLost.CANCELLED)
        elif self.answered is not None and not isinstance(event, ChannelOpened):
            self.answered(event)

    def refuse(self, tag: int, what: str) -> None:
        """Turn down a delivery that cannot be handed over."""
        self.link.notice(what)
        channel = self._channel
        if self.acknowledging and channel is not None and _usable(channel):
            if self._stream:
                channel.ack(tag)
            else:
                channel.reject(tag, requeue=False)
            self.link.wire.soon()

    def hand_over(self) -> None:
        """Give the sink what one read brought."""
        batch, self._ready = self._ready, []
        if not batch or (self.link.over and self._comes_again):
            return  # what came with the end of the link cannot be acknowledged: it would run twice
        channel = self._channel
        if self._last and channel is not None and _usable(channel):
            channel.ack(self._last, multiple=True)
            self._last = 0
            self.link.wire.soon()
        self.link.call(self.sink.arrived, batch)

    def write(self) -> None:
        """Say what was settled and granted in this turn."""
        self._marked = False
        channel = self._channel
        if channel is None or not _usable(channel):
            return
        if self._acked:
            self._write_acks(channel)
        if self._stage is _RUNNING and not self._asking and self._wanted() > self._window:
            self.consume()

    # --- inside ---------------------------------------------------------------------------------

    @property
    def _comes_again(self) -> bool:
        """Whether the broker gives out again what is not acknowledged, to whoever receives."""
        queue = self._queue
        alone = queue is None or queue.exclusive or queue.stream
        return self.acknowledging and not alone

    def _mark(self) -> None:
        if not self._marked:
            self._marked = True
            self.link.to_write.append(self)
            self.link.wire.soon()

    def _wanted(self) -> int:
        """Return how wide the broker's window must be for the credit to be usable."""
        if not self.acknowledging:
            return min(self._credit, 1)
        if self._stream:
            return self._window or min(max(self._credit, _AHEAD), self.link.prefetch or _MOST)
        return min(self._credit + len(self._open), self.link.prefetch or _MOST)

    def _take_in(self, event: Delivered) -> None:
        try:
            arrival = incoming(event, self.link.known, counted=self._counted, read=self._read)
        except ProtocolError:
            self.refuse(event.delivery_tag, "malformed-message")
            return
        self._credit -= 1
        if self._settled_above:
            self._open[event.delivery_tag] = event if self._stream else None
        elif self.acknowledging:
            self._last = event.delivery_tag
        ready = self._ready
        ready.append(arrival)
        if len(ready) == 1:
            self.link.to_hand_over.append(self)

    def _settle_of_stream(self, event: Delivered, *, again: bool) -> None:
        """Tell a stream that there is room, whatever was decided; repeat what is to be retried."""
        if event.delivery_tag > 0:
            self._acked.append(event.delivery_tag)
            self._mark()
        if again:
            repeat = event._replace(delivery_tag=next(self._repeats), redelivered=True)
            self._held.appendleft(repeat)
            self._drain_soon()

    def _drain_soon(self) -> None:
        if self._held and not self._draining:
            self._draining = True
            self.link.loop.call_soon(self._drain)

    def _drain(self) -> None:
        """Hand over what waited for credit."""
        self._draining = False
        held = self._held
        while held and self._credit > 0 and self._stage is _RUNNING:
            self._take_in(held.popleft())
        self.link.hand_over()

    def _write_acks(self, channel: Channel) -> None:
        acked, self._acked = self._acked, []
        if len(acked) == 1:
            channel.ack(acked[0])
            return
        acked.sort()
        # All before the oldest that is open can be acknowledged in one word.
        oldest = next(iter(self._open), None)
        together = len(acked) if oldest is None else bisect_left(acked, oldest)
        if together:
            channel.ack(acked[together - 1], multiple=together > 1)
        for tag in acked[together:]:
            channel.ack(tag)

    def _closed(self, event: ChannelClosed) -> None:
        self._channel = None
        if self._stage is _OPENING and self.answered is not None:
            self.answered(event)
        elif self._stage is _CLOSING:
            self.end(InletLost.CLOSED)
        else:
            if event.cause is Cause.PEER and self._stage is not _OVER:
                self.link.complain(event, f"receiving from {self.source.address}")
            self.end(_why(event))


def _usable(channel: Channel) -> bool:
    phase = channel.phase
    return phase is _CHANNEL_OPEN or phase is _CHANNEL_OPENING


def _check(how: Settle) -> None:
    """Refuse what RabbitMQ cannot do with a delivery."""
    if how.how is Settlement.EXTEND:
        raise Unsupported(
            driver="rabbit",
            what="extending the time to settle a delivery",
            instead="The broker's consumer_timeout is the same for all.",
        )
    if how.how is _RETRY and how.delay > 0:
        raise Unsupported(driver="rabbit", what="a retry with a delay")


def _why(event: ChannelClosed) -> InletLost:
    """Say in the contract's words why the broker closed a consumer's channel."""
    if event.code == ReplyCode.PRECONDITION_FAILED and "timed out" in event.text:
        return InletLost.TIMED_OUT
    if event.code == ReplyCode.ACCESS_REFUSED:
        return InletLost.REFUSED
    return InletLost.CANCELLED
