"""The listener's side of notifications: hands them to handlers, retries, parks.

Which notifications are wanted `notification` decides, whether to run at all and when to try again
`bedplate.messaging.intake`; how many at once is a `bedplate.messaging.shift`'s business. Knows no
links.
"""

import asyncio
import inspect
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType, TracebackType
from typing import Literal, Self, final

import msgspec
from msgspec import Struct

from bedplate._floor.backoff import Backoff
from bedplate.errors import MalformedMessage
from bedplate.messaging.delivery import Delivery
from bedplate.messaging.intake import Verdict
from bedplate.messaging.notify.notification import PRIORITIES, Filter, Notification, address_of
from bedplate.messaging.receiving import Ack, IntakePolicy
from bedplate.messaging.shift import (
    ACK,
    REJECT,
    Duties,
    Job,
    Shift,
    Turn,
    dismiss,
)
from bedplate.messaging.staffing import ShiftOptions
from bedplate.messaging.transport import Transport
from bedplate.messaging.types import Address, Settle, Settlement, Source, Start
from bedplate.messaging.wire import native
from bedplate.messaging.wire.values import Event

__all__ = ["Listener", "ListenerOptions", "ListenerStatistics", "listen"]

_log = logging.getLogger("bedplate.messaging.notify")

_RETRY = Settle(Settlement.RETRY)
_ANY: msgspec.json.Decoder[object] = msgspec.json.Decoder(object)

_Handle = Callable[[Notification], object]


class ListenerOptions(Struct, frozen=True, kw_only=True):
    """What a listener listens to, and on what terms; see `listen`."""

    topics: tuple[str, ...]
    exchange: str = "default"
    pool: str | None = None
    shift: ShiftOptions = ShiftOptions()

    def __post_init__(self) -> None:
        if not self.topics:
            raise ValueError("a listener needs at least one topic")


class ListenerStatistics(Struct, frozen=True):
    """How a listener is doing. Counts are since it was opened.

    ``received`` counts deliveries; each ends in one of ``done``, ``filtered`` (not wanted),
    ``failed`` (the handler raised: tried again, or after the last attempt also ``parked``),
    ``parked`` (it had come too often), ``expired``, ``malformed`` or ``returned`` to the broker.
    Without parking those that would be parked are ``rejected``.
    """

    running: int
    waiting: int
    received: int
    done: int
    filtered: int
    failed: int
    parked: int
    expired: int
    malformed: int
    returned: int
    rejected: int


class _Heard(Struct):
    """What a turn of a listener is about: one event, and who handles it."""

    event: Event
    handle: _Handle


_Turn = Turn[_Heard]


@final
class Listener:
    """Hands notifications to handlers, inside its ``async with`` block. Made by `listen`.

    Belongs to the transport's loop.
    """

    def __init__(
        self,
        transport: Transport,
        handlers: Mapping[str, _Handle],
        wanted: Filter,
        options: ListenerOptions,
    ) -> None:
        self.options = options
        self._handlers, self._wanted = handlers, wanted
        self._counts: Counter[str] = Counter()
        self._shift: Shift[_Heard] = Shift(
            transport,
            repr(self),
            options.shift,
            Duties(
                arrived=self._arrived,
                dropped=self._dropped,
                begin=self._begin,
                missed=self._missed,
                ended=self._ended,
            ),
        )

    async def __aenter__(self) -> Self:
        """Begin to listen. Raises what `Transport.consume` raises."""
        pool = self.options.pool
        await self._shift.open(Source(each, pool, Start.NEW) for each in self._addresses())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Let what runs end within ``drain`` seconds, return the rest to the broker. Idempotent.

        What still runs then is cancelled (threads cannot be) and delivered again, to somebody.
        """
        await self._shift.aclose()

    def statistics(self) -> ListenerStatistics:
        """Return how the listener is doing now."""
        counts = self._counts
        return ListenerStatistics(
            running=self._shift.running,
            waiting=self._shift.waiting,
            **{name: counts[name] for name in _COUNTED},
        )

    def __repr__(self) -> str:
        return f"Listener({', '.join(self.options.topics)})"

    def _addresses(self) -> list[Address]:
        return [
            address_of(topic, priority, self.options.exchange)
            for topic in self.options.topics
            for priority in self._handlers
        ]

    # --- taking ---------------------------------------------------------------------------------

    def _arrived(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            self._counts["received"] += 1
            if self._shift.stopping:
                self._counts["returned"] += 1
                continue  # unsettled: closing the shift returns it
            try:
                event = native.decode(delivery)
            except MalformedMessage as error:
                self._malformed(error)
                dismiss(delivery, REJECT)
                continue
            handle = self._handlers.get(event.priority) if type(event) is Event else None
            if type(event) is not Event or handle is None:
                self._malformed("it is no notification of a known priority")
                dismiss(delivery, REJECT)
            elif self._wanted.wants(event.event_type):
                self._shift.take(Turn(delivery, _Heard(event, handle)))
            else:
                self._counts["filtered"] += 1
                dismiss(delivery)

    def _dropped(self, _: Delivery, verdict: Verdict) -> None:
        if verdict is Verdict.EXPIRED or verdict is Verdict.PARK:
            self._counts["received"] += 1
            self._counts["expired" if verdict is Verdict.EXPIRED else self._last()] += 1

    def _malformed(self, why: object) -> None:
        self._counts["malformed"] += 1
        _log.warning("A message to %r was rejected: %s", self, why)

    # --- running --------------------------------------------------------------------------------

    def _begin(self, turn: _Turn) -> Job | None:
        event, handle = turn.work.event, turn.work.handle
        try:
            payload = native.loads(event.payload, _ANY, f"the payload of {event.event_type}")
        except (MalformedMessage, msgspec.ValidationError) as error:
            self._malformed(error)
            turn.delivery.settle(REJECT)
            return None
        notification = Notification(
            event.id,
            event.event_type,
            event.publisher_id,
            event.priority,
            payload,
            event.timestamp,
            event.context,
            turn.delivery.attempts,
        )
        return Job(
            partial(handle, notification),
            self._shift.variables(),
            is_async=_is_async(handle),
            verb="notify",
            name=event.event_type,
        )

    def _missed(self, _: _Turn, verdict: Verdict) -> None:
        self._counts["expired" if verdict is Verdict.EXPIRED else "returned"] += 1

    def _ended(self, turn: _Turn, _: object, error: BaseException | None) -> None:
        if error is None:
            self._counts["done"] += 1
            turn.delivery.settle(ACK)
        elif self._shift.stopping and isinstance(error, asyncio.CancelledError):
            self._counts["returned"] += 1
        else:
            self._failed(turn, error)

    def _failed(self, turn: _Turn, error: BaseException) -> None:
        """Try again after a pause, until the last attempt: then it is parked."""
        self._counts["failed"] += 1
        delivery, attempts = turn.delivery, self.options.shift.policy.attempts
        _log.warning(
            "The handler of %s raised (attempt %d)",
            turn.work.event.event_type,
            delivery.attempts,
            exc_info=error,
        )
        if delivery.settled:
            return  # acknowledged when it began: at most once means now or never
        if attempts is not None and delivery.attempts >= attempts:
            self._counts[self._last()] += 1
        delivery.settle(_RETRY, backoff=True, error=error)

    def _last(self) -> str:
        """Say what becomes of one after its last attempt."""
        return "parked" if self.options.shift.policy.park else "rejected"


_COUNTED = (
    "received",
    "done",
    "filtered",
    "failed",
    "parked",
    "expired",
    "malformed",
    "returned",
    "rejected",
)


def listen(  # noqa: PLR0913 - keywords with defaults, each written only where it is meant
    transport: Transport,
    handler: object,
    *,
    topics: Sequence[str] = ("notifications",),
    priorities: Sequence[str] | None = None,
    event_types: Sequence[str] = ("*",),
    exchange: str = "default",
    pool: str | None = None,
    workers: int = 8,
    accept: int | None = None,
    ack: Literal["start", "done"] | Ack = "done",
    attempts: int | None = 10,
    backoff: float = 1.0,
    park: bool = True,
    park_expired: bool = False,
    park_rejected: bool = False,
    drain: float = 10.0,
) -> Listener:
    """Hand notifications to ``handler``; enter the result with ``async with``.

    ``handler`` is a callable that takes a `Notification`, async or plain (those run in threads),
    or an object with such methods named after priorities: then only those priorities are listened
    to. ``event_types`` are shell patterns of which one must match; the others are acknowledged
    and dropped. Listeners of one ``pool`` share the notifications, each pool gets all that is
    sent after it first existed; None joins everybody without one. At most ``workers`` handlers
    run at once and ``accept`` more notifications (four times as many) wait here. ``ack="done"``:
    a notification whose handler raises comes again after up to ``backoff`` seconds, then twice that
    and so on up to five minutes; after ``attempts`` it is parked (see `Transport.parked`), or,
    without ``park``, rejected. ``park_expired`` parks those whose time was over when they came, and
    ``park_rejected`` what is no notification. ``"start"``: at most once. Leaving the block lets
    handlers end within ``drain`` seconds; what they leave is delivered again.

    Raises TypeError for a handler that cannot be used, ValueError for unknown priorities.
    """
    chosen = _handlers(handler, None if priorities is None else tuple(priorities))
    options = ListenerOptions(
        topics=(topics,) if isinstance(topics, str) else tuple(topics),
        exchange=exchange,
        pool=pool,
        shift=ShiftOptions(
            workers=workers,
            accept=accept,
            policy=IntakePolicy(
                ack=Ack(ack),
                attempts=attempts,
                backoff=Backoff(backoff, 2.0, 300.0),
                park=park,
                park_expired=park_expired,
                park_rejected=park_rejected,
            ),
            drain=drain,
        ),
    )
    return Listener(transport, chosen, Filter(event_types), options)


def _handlers(handler: object, priorities: tuple[str, ...] | None) -> Mapping[str, _Handle]:
    for each in priorities or ():
        if each not in PRIORITIES:
            raise ValueError(f"{each!r} is no priority; there are {', '.join(PRIORITIES)}")
    if callable(handler):
        return MappingProxyType(dict.fromkeys(priorities or PRIORITIES, handler))
    found = {
        priority: method
        for priority in priorities or PRIORITIES
        if callable(method := getattr(handler, priority, None))
    }
    if not found:
        raise TypeError(
            f"{type(handler).__name__} can be no handler: it is no function and has no method "
            f"named after a priority ({', '.join(priorities or PRIORITIES)})"
        )
    return MappingProxyType(found)


def _is_async(handle: _Handle) -> bool:
    return inspect.iscoroutinefunction(handle) or inspect.iscoroutinefunction(
        getattr(handle, "__call__", None)  # noqa: B004 - an object whose __call__ may be async
    )
