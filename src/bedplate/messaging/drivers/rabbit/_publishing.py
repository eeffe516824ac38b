"""The sending half of a link: two channels, with confirms and without, and what comes back.

Answers for the fate of every message that wanted to hear of it.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable
from functools import partial
from itertools import takewhile
from typing import TYPE_CHECKING, Final, final

from bedplate.amqp091 import (
    Cause,
    Channel,
    ChannelClosed,
    Confirmed,
    Delivered,
    Event,
    ReplyCode,
    Returned,
)
from bedplate.errors import ProtocolError, TooLarge
from bedplate.messaging.driver import PendingReceipt
from bedplate.messaging.drivers.rabbit._dial import MAX_BODY
from bedplate.messaging.drivers.rabbit._message import outgoing
from bedplate.messaging.types import Bounce, Outbound, Outcome, Want

if TYPE_CHECKING:
    from bedplate.messaging.drivers.rabbit._link import RabbitLink

__all__ = ["Publisher", "Publishing"]

_ACCEPT: Final = Want.ACCEPT
_BOUNCE: Final = Want.BOUNCE
_LONGEST: Final = MAX_BODY
_UNPROVEN: Final = 64
_NO_RECEIPT: Final[tuple[PendingReceipt | None, str]] = (None, "")


@final
class Publisher:
    """One channel for publishing.

    ``unproven`` holds the ids of the first messages that were to bounce: if the broker refuses the
    exchange, none of them reached anybody. ``unheard`` are the numbers of messages that nobody
    waits for and that the broker has not confirmed, where it is asked to.
    """

    __slots__ = ("channel", "closed", "owner", "unheard", "unproven")

    def __init__(self, owner: "Publishing", channel: Channel, *, unproven: bool) -> None:
        self.owner, self.channel = owner, channel
        self.closed = asyncio.Event()
        self.unproven: list[str] | None = [] if unproven else None
        self.unheard: dict[int, None] = {}

    def hear(self, event: Event) -> None:
        """Take what is said on the channel: but for its end nothing matters."""
        if isinstance(event, ChannelClosed):
            self.closed.set()
            self.owner.closed(self, event)

    def deliver(self, event: Delivered) -> None:
        """Nothing is delivered on a channel that nobody consumes from."""

    def release(self) -> None:
        """Let nobody wait any longer."""
        self.closed.set()


@final
class Publishing:
    """Publishes for one link. A channel is opened when it is first needed, and again when lost."""

    def __init__(self, link: "RabbitLink") -> None:
        self._link = link
        self._wire = link.wire
        self._known = link.known
        self._plain: Publisher | None = None
        self._confirming: Publisher | None = None
        self._receipts: dict[int, tuple[PendingReceipt, str]] = {}
        self._returned: Counter[str] = Counter()
        self._answered = asyncio.Event()

    def send(self, message: Outbound) -> PendingReceipt | None:
        """Queue a message for this turn's write."""
        body, address, want = message.body, message.address, message.want
        if len(body) > _LONGEST:
            raise TooLarge(what=f"A message to {address}", size=len(body), limit=_LONGEST)
        exchange, key, counts = self._known.route(address)
        properties = outgoing(message, self._known)
        if want is _ACCEPT:
            confirming = self._confirming or self._open(confirming=True)
            tag = confirming.channel.publish(exchange, key, body, properties, mandatory=counts)
            receipt = PendingReceipt()
            self._receipts[tag] = (receipt, message.id)
            self._wire.soon()
            return receipt
        plain = self._plain or self._open(confirming=False)
        bounces = counts and want is _BOUNCE
        tag = plain.channel.publish(exchange, key, body, properties, mandatory=bounces)
        if tag:
            plain.unheard[tag] = None
        if plain.unproven is not None and bounces and exchange:
            plain.unproven.append(message.id)
            if len(plain.unproven) > _UNPROVEN:
                plain.unproven = None
        self._wire.soon()
        return None

    def confirmed(self, event: Confirmed) -> None:
        """Answer the receipts that the broker speaks of."""
        plain = self._plain
        if plain is not None and event.channel == plain.channel.number:
            for tag in _meant(event, plain.unheard):
                plain.unheard.pop(tag, None)
            if not plain.unheard:
                self._answered.set()
            return
        receipts = self._receipts
        outcome = Outcome.ACCEPTED if event.accepted else Outcome.REFUSED
        for tag in _meant(event, receipts):
            receipt, message_id = receipts.pop(tag, _NO_RECEIPT)
            if receipt is None:
                continue
            if self._returned and self._returned[message_id] > 0:
                self._returned[message_id] -= 1
                receipt.resolve(Outcome.UNROUTABLE)
            else:
                receipt.resolve(outcome)
        if not receipts:
            self._returned.clear()
            self._answered.set()

    def came_back(self, event: Returned) -> None:
        """Tell of a message that reached nobody; of one to be confirmed, its confirm tells."""
        try:
            message_id = event.properties().message_id or ""
        except ProtocolError:
            self._link.notice("malformed-return")
            return
        confirming = self._confirming
        if confirming is not None and event.channel == confirming.channel.number:
            self._returned[message_id] += 1
        else:
            self._link.later(partial(self._link.hear.bounced, message_id, Bounce.NO_ROUTE))

    def closed(self, publisher: Publisher, event: ChannelClosed) -> None:
        """Answer for what was under way on a channel; the next message opens another."""
        objected = event.cause is Cause.PEER
        if publisher is self._plain:
            self._plain = None
            self._answered.set()
        elif publisher is self._confirming:
            self._confirming = None
            # Of several it cannot be told which one the broker objected to.
            alone = objected and len(self._receipts) == 1
            self.answer_all(Outcome.REFUSED if alone else Outcome.UNKNOWN)
        if not objected:
            return
        self._link.complain(event, "publishing")
        if event.code == ReplyCode.ACCESS_REFUSED:
            # Who may not write to the exchange never could: none of these reached anybody.
            for message_id in publisher.unproven or ():
                self._link.later(partial(self._link.hear.bounced, message_id, Bounce.REFUSED))

    def answer_all(self, outcome: Outcome) -> None:
        """Answer every receipt alike."""
        receipts, self._receipts = self._receipts, {}
        self._returned.clear()
        for receipt, _ in receipts.values():
            receipt.resolve(outcome)
        if self._plain is not None:
            self._plain.unheard.clear()
        self._answered.set()

    async def wind_up(self) -> None:
        """Hear the outcomes that are due, and let the broker take everything that was sent."""
        while self._receipts or (self._plain is not None and self._plain.unheard):
            self._answered.clear()
            await self._answered.wait()
        publishers = [each for each in (self._plain, self._confirming) if each is not None]
        for publisher in publishers:
            publisher.channel.close()
        self._wire.soon()
        for publisher in publishers:
            await publisher.closed.wait()

    def _open(self, *, confirming: bool) -> Publisher:
        channel = self._wire.engine.open_channel()
        publisher = Publisher(self, channel, unproven=not confirming)
        self._link.hands[channel.number] = publisher
        if confirming or self._link.quorum:
            # A replicated queue may lose what is still on its way to it when its channel closes:
            # so even what nobody waits for is confirmed, and closing waits.
            channel.confirm_select(nowait=True)
        if confirming:
            self._confirming = publisher
        else:
            self._plain = publisher
        return publisher


def _meant(event: Confirmed, waiting: Iterable[int]) -> list[int]:
    """Return the numbers that a confirm speaks of, of those ``waiting``, which are in order."""
    if not event.multiple:
        return [event.delivery_tag]
    return list(takewhile(lambda tag: tag <= event.delivery_tag, waiting))
