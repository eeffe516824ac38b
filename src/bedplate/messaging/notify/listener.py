"""The listener's side of notifications: runs handlers within bounds, retries, parks.

Which notifications are wanted `notification` decides, whether to run at all and when to try again
`bedplate.messaging.intake`; this file acts. Knows no links.
"""

import asyncio
import inspect
import logging
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from contextvars import Context as Variables
from contextvars import copy_context
from functools import partial
from math import inf
from types import MappingProxyType, TracebackType
from typing import Literal, Self, final

import msgspec
from msgspec import Struct

from bedplate._floor.backoff import Backoff
from bedplate.errors import MalformedMessage, TransportClosed
from bedplate.messaging.consumer import Consumer
from bedplate.messaging.crew import Crew
from bedplate.messaging.delivery import Delivery
from bedplate.messaging.intake import Ack, IntakePolicy, Verdict
from bedplate.messaging.notify.notification import PRIORITIES, Filter, Notification, address_of
from bedplate.messaging.transport import Transport
from bedplate.messaging.types import Address, Settle, Settlement, Source, Start
from bedplate.messaging.wire import native
from bedplate.messaging.wire.values import Event

__all__ = ["Listener", "ListenerOptions", "ListenerStatistics", "listen"]

_log = logging.getLogger("bedplate.messaging.notify")

_ACK = Settle(Settlement.ACK)
_RETRY = Settle(Settlement.RETRY)
_REJECT = Settle(Settlement.REJECT)
_LAST_WORDS = 1.0
_ANY: msgspec.json.Decoder[object] = msgspec.json.Decoder(object)

_Handle = Callable[[Notification], object]


class ListenerOptions(Struct, frozen=True, kw_only=True):
    """How a listener works; see `listen`. Times are in seconds."""

    topics: tuple[str, ...]
    exchange: str = "default"
    pool: str | None = None
    workers: int = 8
    accept: int | None = None
    policy: IntakePolicy = IntakePolicy()
    drain: float = 10.0

    def __post_init__(self) -> None:
        if not self.topics:
            raise ValueError("a listener needs at least one topic")
        if self.workers < 1:
            raise ValueError(f"workers={self.workers}: a listener needs at least one")
        if self.accept is not None and self.accept < 0:
            raise ValueError(f"accept={self.accept}: it counts waiting notifications, 0 or more")
        if not 0 <= self.drain < inf:
            raise ValueError(f"drain={self.drain!r}: give a number of seconds")

    @property
    def credit(self) -> int:
        """How many notifications are taken from each address at once: running and waiting."""
        return self.workers + (4 * self.workers if self.accept is None else self.accept)


class ListenerStatistics(Struct, frozen=True):
    """How a listener is doing. Counts are since it was opened.

    ``received`` counts deliveries; each ends in one of ``done``, ``filtered`` (not wanted),
    ``failed`` (the handler raised: tried again, or ``parked`` after the last attempt),
    ``expired``, ``malformed`` (rejected) or ``returned`` to the broker.
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


class _Job(Struct, eq=False):
    event: Event
    delivery: Delivery
    consumer: Consumer
    handle: _Handle
    task: "asyncio.Task[None] | None" = None
    over: bool = False


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
        self._transport = transport
        self._handlers, self._wanted = handlers, wanted
        self._counts: Counter[str] = Counter()
        self._jobs: set[_Job] = set()
        self._waiting: deque[_Job] = deque()
        self._consumers: list[Consumer] = []
        self._crew: Crew | None = None
        self._idle = asyncio.Event()
        self._variables = Variables()
        self._opened = self._stopping = self._starting = False

    async def __aenter__(self) -> Self:
        """Begin to listen. Raises what `Transport.consume` raises."""
        if self._opened:
            raise TransportClosed(what=f"{self!r}, which was entered before,")
        self._opened = True
        self._variables = copy_context()
        loop = asyncio.get_running_loop()
        self._crew = Crew(self.options.workers, loop, "bedplate-listener")
        try:
            await self._consume_all()
        except BaseException:
            await self.aclose()
            raise
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
        if self._stopping:
            return
        self._stopping = True
        for job in self._waiting:
            self._counts["returned"] += 1
            self._let_go(job)
        self._waiting.clear()
        try:
            await self._until_idle(self.options.drain)
            self._cancel_all()
            await self._until_idle(_LAST_WORDS)
        finally:
            self._cancel_all()
            for job in tuple(self._jobs):
                self._counts["returned"] += 1
                self._let_go(job)
            consumers, self._consumers = self._consumers, []
            for consumer in consumers:
                await consumer.aclose()
            if self._crew is not None:
                self._crew.close()

    def statistics(self) -> ListenerStatistics:
        """Return how the listener is doing now."""
        counts = self._counts
        return ListenerStatistics(
            running=0 if self._crew is None else self._crew.running,
            waiting=len(self._waiting),
            **{name: counts[name] for name in _COUNTED},
        )

    def __repr__(self) -> str:
        return f"Listener({', '.join(self.options.topics)})"

    # --- taking ---------------------------------------------------------------------------------

    def _addresses(self) -> list[Address]:
        return [
            address_of(topic, priority, self.options.exchange)
            for topic in self.options.topics
            for priority in self._handlers
        ]

    async def _consume_all(self) -> None:
        # Together: each takes a journey to the broker and back.
        consuming = map(self._consume, self._addresses())
        for each in await asyncio.gather(*consuming, return_exceptions=True):
            if each is not None:
                raise each

    async def _consume(self, address: Address) -> None:
        """Take from one address. Deliveries may outrun the answer that names their consumer."""
        early: list[Delivery] = []
        receive: Callable[[list[Delivery]], object] = early.extend

        def hand_over(deliveries: list[Delivery]) -> None:
            receive(deliveries)

        consumer = await self._transport.consume(
            Source(address, self.options.pool, Start.NEW),
            hand_over,
            credit=self.options.credit,
            policy=self.options.policy,
        )
        self._consumers.append(consumer)
        receive = partial(self._arrived, consumer)
        if early:
            receive(early)

    def _arrived(self, consumer: Consumer, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            self._counts["received"] += 1
            if self._stopping:
                self._counts["returned"] += 1
                continue  # unsettled: closing the consumer returns it
            try:
                event = native.decode(delivery)
            except MalformedMessage as error:
                self._malformed(delivery, consumer, str(error))
                continue
            handle = self._handlers.get(event.priority) if type(event) is Event else None
            if type(event) is not Event or handle is None:
                self._malformed(delivery, consumer, "it is no notification of a known priority")
                continue
            if not self._wanted.wants(event.event_type):
                self._counts["filtered"] += 1
                delivery.settle(_ACK)
                consumer.grant(1)
                continue
            job = _Job(event, delivery, consumer, handle)
            self._jobs.add(job)
            self._waiting.append(job)
        self._start_waiting()

    def _malformed(self, delivery: Delivery, consumer: Consumer, why: str) -> None:
        self._counts["malformed"] += 1
        _log.warning("A message to %r was rejected: %s", self, why)
        delivery.settle(_REJECT)
        consumer.grant(1)

    # --- running --------------------------------------------------------------------------------

    def _start_waiting(self) -> None:
        crew = self._crew
        if crew is None or self._starting:
            return  # a handler that ended while it was started: the loop below goes on
        self._starting = True
        try:
            while self._waiting and crew.free:
                self._start(self._waiting.popleft(), crew)
        finally:
            self._starting = False

    def _start(self, job: _Job, crew: Crew) -> None:
        verdict = job.delivery.start()
        if verdict is not Verdict.RUN:
            self._counts["expired" if verdict is Verdict.EXPIRED else "returned"] += 1
            self._let_go(job)
            return
        event = job.event
        try:
            where = f"the payload of {event.event_type}"
            payload = native.loads(event.payload, _ANY, where)
        except (MalformedMessage, msgspec.ValidationError) as error:
            self._counts["malformed"] += 1
            _log.warning("A message to %r was rejected: %s", self, error)
            job.delivery.settle(_REJECT)
            self._let_go(job)
            return
        notification = Notification(
            event.id,
            event.event_type,
            event.publisher_id,
            event.priority,
            payload,
            event.timestamp,
            event.context,
            job.delivery.attempts,
        )
        job.task = crew.run(
            partial(job.handle, notification),
            partial(self._ended, job),
            self._variables.copy(),
            is_async=_is_async(job.handle),
        )

    def _ended(self, job: _Job, _: object, error: BaseException | None) -> None:
        if not job.over:
            if error is None:
                self._counts["done"] += 1
                job.delivery.settle(_ACK)
            elif self._stopping and isinstance(error, asyncio.CancelledError):
                self._counts["returned"] += 1
            else:
                self._failed(job, error)
            self._let_go(job)
        self._start_waiting()

    def _failed(self, job: _Job, error: BaseException) -> None:
        """Try again after a pause, until the last attempt: then it is parked."""
        self._counts["failed"] += 1
        event, attempts = job.event, self.options.policy.attempts
        _log.warning(
            "The handler of %s raised (attempt %d)",
            event.event_type,
            job.delivery.attempts,
            exc_info=error,
        )
        if job.delivery.settled:
            return  # acknowledged when it began: at most once means now or never
        if attempts is not None and job.delivery.attempts >= attempts:
            self._counts["parked"] += 1
        job.delivery.settle(_RETRY, backoff=True)

    def _let_go(self, job: _Job) -> None:
        job.over = True
        self._jobs.discard(job)
        if not self._stopping:
            job.consumer.grant(1)
        elif not self._jobs:
            self._idle.set()

    def _cancel_all(self) -> None:
        for job in self._jobs:
            if job.task is not None:
                job.task.cancel()

    async def _until_idle(self, seconds: float) -> None:
        if not self._jobs:
            return
        self._idle.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            _log.warning("%d handlers of %r still run", len(self._jobs), self)


_COUNTED = (
    "received",
    "done",
    "filtered",
    "failed",
    "parked",
    "expired",
    "malformed",
    "returned",
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
    and so on up to five minutes, and is rejected (parked, where the broker does that) after
    ``attempts``; ``"start"``: at most once. Leaving
    the block lets handlers end within ``drain`` seconds; what they leave is delivered again.

    Raises TypeError for a handler that cannot be used, ValueError for unknown priorities.
    """
    chosen = _handlers(handler, None if priorities is None else tuple(priorities))
    options = ListenerOptions(
        topics=(topics,) if isinstance(topics, str) else tuple(topics),
        exchange=exchange,
        pool=pool,
        workers=workers,
        accept=accept,
        policy=IntakePolicy(ack=Ack(ack), attempts=attempts, backoff=Backoff(backoff, 2.0, 300.0)),
        drain=drain,
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
