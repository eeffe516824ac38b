"""The publisher's side of notifications: from an event to a message the broker has taken."""

import math
from collections.abc import Mapping
from typing import Literal, Self, TypedDict, Unpack, final

from msgspec import Struct
from msgspec.structs import replace

from bedplate._floor.token import token_hex
from bedplate.clock import Deadline
from bedplate.errors import DeadlineExceeded, NoSuchTarget
from bedplate.messaging.notify.notification import address_of
from bedplate.messaging.observe import Span, Work, following
from bedplate.messaging.transport import Transport
from bedplate.messaging.types import Address, Entity, Message, Topology
from bedplate.messaging.wire import native
from bedplate.messaging.wire.values import NO_CONTEXT, Event

__all__ = ["Notifier", "NotifierChoices", "NotifierOptions"]

# A bound on the age and not on the number: at a number the broker would refuse what is told, and
# with it what pools do hear, because somewhere nobody listens. As long as RabbitMQ keeps a queue
# that has no receivers.
_WEEK = 7 * 24 * 3600.0


class NotifierChoices(TypedDict, total=False):
    """What `Notifier` and its `with_` take; see `NotifierOptions`."""

    topic: str
    exchange: str
    ttl: float | Literal["default"] | None
    timeout: float
    repeats: bool
    context: Mapping[str, object]


class NotifierOptions(Struct, frozen=True, kw_only=True):
    """How notifications are sent. Times are in seconds.

    ``ttl``: how long one may wait for a listener (None: for ever, though brokers forget places
    that nobody listens at); by default what the transport's policy says for the topic and priority
    (``notifications.info``), or a week, so that what nobody wants does not fill the broker.
    ``timeout``: how long sending may take. ``repeats``: send again when the link died before the
    broker confirmed; listeners drop the repeat by its id, most of the time. ``context`` travels
    beside the payload.
    """

    publisher_id: str
    topic: str = "notifications"
    exchange: str = "default"
    ttl: float | Literal["default"] | None = "default"
    timeout: float = 60.0
    repeats: bool = True
    context: Mapping[str, object] = NO_CONTEXT

    def __post_init__(self) -> None:
        if not self.publisher_id:
            raise ValueError('a notifier needs a publisher_id, such as "inventory.host1"')
        if not self.topic:
            raise ValueError("a notifier needs the name of a topic")
        if not self.timeout > 0:
            raise ValueError(f"timeout={self.timeout!r}: give a number of seconds above 0")
        if self.ttl is not None and self.ttl != "default" and not self.ttl > 0:
            raise ValueError(
                f'ttl={self.ttl!r}: give a number of seconds above 0, None or "default"'
            )


@final
class Notifier:
    """Tells whoever listens what happened.

    ::

        notifier = notify.Notifier(transport, publisher_id="inventory.host1")
        await notifier.info("item.created", {"item": "bolt"})

    Each method returns the notification's id when the broker has taken it: notifications are
    delivered at least once, also to a listener that comes later, because the place where they
    wait is declared before the first one is sent. Belongs to the transport's loop.
    """

    __slots__ = ("_declared", "_transport", "options")

    def __init__(
        self, transport: Transport, publisher_id: str, **choices: Unpack[NotifierChoices]
    ) -> None:
        self.options = replace(NotifierOptions(publisher_id=publisher_id), **choices)
        self._transport = transport
        self._declared: set[Address] = set()

    def with_(self, *, publisher_id: str | None = None, **choices: Unpack[NotifierChoices]) -> Self:
        """Return the same notifier with other options. Raises ValueError for senseless ones."""
        other = object.__new__(type(self))
        named = self.options.publisher_id if publisher_id is None else publisher_id
        other.options = replace(self.options, publisher_id=named, **choices)
        other._transport = self._transport
        other._declared = self._declared
        return other

    async def notify(self, priority: str, event_type: str, payload: object = None) -> str:
        """Send a notification of any priority.

        ``payload`` is anything JSON carries, dataclasses and msgspec Structs included. Raises
        ValueError for an unknown priority; `Unencodable`, `TooLarge`; `DeadlineExceeded`,
        `PublishRefused`, `PublishUnknown` (without ``repeats``), `BufferFull`.
        """
        options, transport = self.options, self._transport
        if not event_type:
            raise ValueError('a notification needs an event type, such as "item.created"')
        address = address_of(options.topic, priority, options.exchange)
        event = Event(
            token_hex(8),
            event_type,
            options.publisher_id,
            priority,
            transport.clock.wall(),
            native.dumps(payload, f"the payload of {event_type}"),
            options.context,
        )
        message = replace(native.encode(event), ttl=self._ttl(address))
        deadline = Deadline(transport.clock.now(), options.timeout)
        if transport.followers is None:
            await self._tell(address, message, deadline, event_type)
            return event.id
        work = Work(
            verb="notify",
            address=address,
            name=event_type,
            id=event.id,
            size=len(message.body),
            headers=message.headers,
            driver=transport.url.driver,
        )
        with following(transport.followers.begun(work)) as span:
            await self._tell(address, message, deadline, event_type, span)
        return event.id

    def _ttl(self, address: Address) -> float | None:
        match self.options.ttl:
            case None:
                return math.inf
            case "default":
                return self._transport.lifetime(address, None, _WEEK)
            case seconds:
                return seconds

    async def _tell(
        self,
        address: Address,
        message: Message,
        deadline: Deadline,
        event_type: str,
        span: Span | None = None,
    ) -> None:
        """Publish; once more where the broker forgot the place, as nobody listened for long."""
        try:
            await self._tell_once(address, message, deadline, event_type, span)
        except NoSuchTarget:
            self._declared.discard(address)
            await self._tell_once(address, message, deadline, event_type, span)

    async def _tell_once(
        self,
        address: Address,
        message: Message,
        deadline: Deadline,
        event_type: str,
        span: Span | None,
    ) -> None:
        """Publish to a place that is sure to exist, or was when last seen."""
        transport = self._transport
        if address not in self._declared:
            left = deadline.remaining(transport.clock.now())
            await transport.declare(Topology((Entity(address),)), timeout=left)
            self._declared.add(address)
        left = deadline.remaining(transport.clock.now())
        if left <= 0:
            raise DeadlineExceeded(
                operation=f"The notification {event_type}",
                target=str(address),
                timeout=deadline.timeout,
                stage="declaring",
            )
        await transport.publish(
            address, message, timeout=left, repeats=self.options.repeats, span=span
        )

    async def audit(self, event_type: str, payload: object = None) -> str:
        """Send a notification of priority audit; see `notify`."""
        return await self.notify("audit", event_type, payload)

    async def debug(self, event_type: str, payload: object = None) -> str:
        """Send a notification of priority debug; see `notify`."""
        return await self.notify("debug", event_type, payload)

    async def info(self, event_type: str, payload: object = None) -> str:
        """Send a notification of priority info; see `notify`."""
        return await self.notify("info", event_type, payload)

    async def warn(self, event_type: str, payload: object = None) -> str:
        """Send a notification of priority warn; see `notify`."""
        return await self.notify("warn", event_type, payload)

    async def error(self, event_type: str, payload: object = None) -> str:
        """Send a notification of priority error; see `notify`."""
        return await self.notify("error", event_type, payload)

    async def critical(self, event_type: str, payload: object = None) -> str:
        """Send a notification of priority critical; see `notify`."""
        return await self.notify("critical", event_type, payload)

    async def sample(self, event_type: str, payload: object = None) -> str:
        """Send a notification of priority sample; see `notify`."""
        return await self.notify("sample", event_type, payload)

    def __repr__(self) -> str:
        return f"Notifier({self.options.publisher_id!r}, topic={self.options.topic!r})"
