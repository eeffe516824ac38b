"""What is received: deliveries, the consumer that brings them, and its async-iterator form.

A consumer survives the links it lives on: it takes its source again on each new one, and after
the broker ended it alone ("connected but deaf"). `intake` decides; this file acts.
"""

import asyncio
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Protocol, Self, final

from msgspec import Struct

from bedplate._floor.backoff import Backoff
from bedplate.errors import (
    LinkLost,
    SubscriptionLost,
    TransportClosed,
    TransportError,
    Unsupported,
)
from bedplate.messaging.driver import Inlet, Link
from bedplate.messaging.intake import Intake, IntakePolicy, IntakeTally, Settling, Verdict
from bedplate.messaging.line import Line
from bedplate.messaging.observe import Observers, Received
from bedplate.messaging.types import (
    Address,
    Arrival,
    Capabilities,
    Headers,
    InletLost,
    Settle,
    Settlement,
    Source,
    Support,
)

__all__ = [
    "Consume",
    "Consumer",
    "ConsumerStatistics",
    "Delivery",
    "Dropped",
    "Ended",
    "Receive",
    "Stage",
    "Subscription",
]

_log = logging.getLogger("bedplate.messaging")

_ACK = Settle(Settlement.ACK)
_REJECT = Settle(Settlement.REJECT)
_EXTEND = Settle(Settlement.EXTEND)
_NOW = Settle(Settlement.RETRY)

_DEAF = Backoff(0.1, 2.0, 30.0)
_TAKE_TIMEOUT = 30.0
_PROVEN = 10.0

Receive = Callable[[list["Delivery"]], object]
"""Called on the loop with what one read brought, in order; must neither block nor raise."""
Dropped = Callable[["Delivery", Verdict], object]
"""Called on the loop with a settled message and why it was not handed over: it expired, was
done before, or was tried too often."""
Ended = Callable[[SubscriptionLost], object]
"""Called on the loop, once, when a source cannot be restored."""
Consume = Callable[[Receive, Ended], Awaitable["Consumer"]]
"""Opens a consumer whose credit comes back as its deliveries are settled."""


@final
class Delivery:
    """One received message, to be settled once.

    ``attempts`` is how often it was delivered, this time included (at least: where the broker does
    not count, we can only count what we saw). ``deadline`` is in monotonic seconds of the
    transport's clock (None: never expires);
    ``settled`` is true from the start where the subscription does not acknowledge. Settling again,
    or after the link died (the broker delivers again by itself), has no effect and returns False.
    Use it on the transport's loop.
    """

    __slots__ = ("_arrival", "_consumer", "_epoch", "_held", "attempts", "deadline", "settled")

    def __init__(
        self,
        arrival: Arrival,
        deadline: float | None = None,
        *,
        consumer: "Consumer | None" = None,
        epoch: int = 0,
        attempts: int = 1,
    ) -> None:
        self._arrival = arrival
        self.attempts = attempts
        self._consumer = consumer
        self._epoch = epoch
        self._held = True
        self.deadline = deadline
        self.settled = consumer is None or not consumer.source.ack

    @property
    def body(self) -> bytes:
        """The bytes that were sent."""
        return self._arrival.body

    @property
    def headers(self) -> Headers:
        """The headers, decoded when first looked at."""
        return self._arrival.headers

    @property
    def content_type(self) -> str:
        """What the sender said the body is."""
        return self._arrival.content_type

    @property
    def id(self) -> str:
        """The message's id, empty where the sender gave none."""
        return self._arrival.id

    @property
    def kind(self) -> str:
        """What the application calls this sort of message."""
        return self._arrival.kind

    @property
    def correlation_id(self) -> str:
        """The id of what this message answers."""
        return self._arrival.correlation_id

    @property
    def reply_to(self) -> Address | None:
        """Where the sender waits for an answer."""
        return self._arrival.reply_to

    @property
    def key(self) -> str | None:
        """The key messages are ordered by."""
        return self._arrival.key

    @property
    def redelivered(self) -> bool:
        """Whether it may have been delivered before, to anybody."""
        return self._arrival.redelivered

    async def ack(self) -> bool:
        """Say that it is done. Returns whether that took effect."""
        return self.settle(_ACK)

    async def retry(self, delay: float | None = None) -> bool:
        """Ask for it again after ``delay`` seconds; None waits as the subscription's policy says.

        After the policy's last attempt it is rejected instead.
        """
        return self.settle(
            _NOW if delay is None else Settle(Settlement.RETRY, delay), delay is None
        )

    async def reject(self) -> bool:
        """Say that it cannot be used and must not come again."""
        return self.settle(_REJECT)

    async def extend(self) -> bool:
        """Ask the broker for more time. Raises `Unsupported` where it keeps none."""
        return self.settle(_EXTEND)

    def settle(self, how: Settle, backoff: bool = False) -> bool:  # noqa: FBT001, FBT002 - internal twin of retry()
        """Do the same without await; ``backoff`` lets the policy choose a RETRY's delay."""
        if self._consumer is None:
            return False
        return self._consumer._settle(self, how, backoff=backoff)  # noqa: SLF001 - one mechanism

    def start(self) -> Verdict:
        """Judge once more, right before executing it: only on RUN may it run.

        Anything else has been settled. With `Ack.START` this acknowledges it.
        """
        if self._consumer is None:
            return Verdict.RUN
        return self._consumer._start(self)  # noqa: SLF001 - one mechanism

    def __repr__(self) -> str:
        state = "settled" if self.settled else "unsettled"
        return f"<Delivery {self.id or '(no id)'}, {len(self.body)} bytes, {state}>"


class Stage(Protocol):
    """What a consumer needs of its transport."""

    observers: Observers

    def now(self) -> float:
        """Monotonic seconds."""
        ...

    def wall(self) -> float:
        """Seconds since 1970."""
        ...

    def after(self, seconds: float, callback: Callable[[], object]) -> object:
        """Call back later."""
        ...

    def here(self) -> None:
        """Refuse another loop or process."""
        ...

    def left(self, consumer: "Consumer") -> None:
        """Forget a consumer that ended."""
        ...


class ConsumerStatistics(Struct, frozen=True):
    """How one consumer is doing. ``epoch`` counts how often its source was taken."""

    address: str
    live: bool
    epoch: int
    interruptions: int
    unsettled: int
    in_use: int
    tally: IntakeTally


class _Sink:
    """Where one inlet delivers, for as long as it is the consumer's."""

    __slots__ = ("consumer", "early", "inlet", "opened", "over")

    def __init__(self, consumer: "Consumer", over: "asyncio.Future[InletLost]") -> None:
        self.consumer = consumer
        self.over = over
        self.inlet: Inlet | None = None
        self.opened = False
        self.early: list[Arrival] = []

    def arrived(self, batch: Sequence[Arrival]) -> None:
        if self.over.done():
            return
        if self.opened:
            self.consumer._arrived(batch)  # noqa: SLF001 - one mechanism
        else:
            self.early.extend(batch)  # deliveries may outrun the answer to take()

    def revoked(self, lanes: frozenset[int]) -> None:
        self.consumer._intake.revoke(lanes)  # noqa: SLF001 - one mechanism

    def ended(self, why: InletLost) -> None:
        if not self.over.done():
            self.over.set_result(why)
            self.consumer._ended(self)  # noqa: SLF001 - one mechanism


class Consumer:
    """Brings the messages of one source to a callback, across all links.

    Made by ``Transport.consume``. Each delivery uses one of ``credit``; `grant` gives it back.
    """

    def __init__(
        self,
        stage: Stage,
        line: Line,
        source: Source,
        receive: Receive,
        *,
        credit: int,
        policy: IntakePolicy,
        ended: Ended | None,
        self_granting: bool = False,
    ) -> None:
        self.source = source
        self.dropped: Dropped | None = None
        """Hears of messages that are settled without being handed over; may be set any time."""
        self._stage = stage
        self._line = line
        self._receive = receive
        self._on_end = ended
        self._self_granting = self_granting
        self._intake = Intake(policy, credit=credit, acks=source.ack)
        self._sink: _Sink | None = None
        self._offers: Capabilities | None = None
        self._epoch = 0
        self._interruptions = 0
        self._first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    def statistics(self) -> ConsumerStatistics:
        """How it is doing now."""
        return ConsumerStatistics(
            address=str(self.source.address),
            live=self._sink is not None and self._sink.inlet is not None,
            epoch=self._epoch,
            interruptions=self._interruptions,
            unsettled=self._intake.unsettled,
            in_use=self._intake.in_use,
            tally=self._intake.tally,
        )

    @property
    def closed(self) -> bool:
        """Whether it was closed, or ended for good."""
        return self._closed

    def grant(self, count: int = 1) -> None:
        """Give back the credit of ``count`` deliveries that are off the receiver's hands.

        Raises ValueError for more than were handed over.
        """
        self._stage.here()
        self._intake.release(count)
        self._grant_due()

    async def aclose(self) -> None:
        """Stop deliveries; what is unsettled goes back to the broker. Idempotent."""
        self._stage.here()
        if not self._closed:
            await self._stop()

    async def open(self) -> None:
        """Take the source for the first time; raises what the broker answers to that."""
        self._task = asyncio.get_running_loop().create_task(
            self._hold(), name=f"bedplate consumer of {self.source.address}"
        )
        try:
            await self._first
        except BaseException:
            await self._stop()
            raise

    # --- called by deliveries and sinks ---------------------------------------------------------

    def _arrived(self, batch: Sequence[Arrival]) -> None:
        now, wall = self._stage.now(), self._stage.wall()
        intake, epoch = self._intake, self._epoch
        ready: list[Delivery] = []
        for arrival in batch:
            ruling = intake.arrive(arrival, now, wall)
            if ruling.verdict is Verdict.RUN:
                ready.append(
                    Delivery(
                        arrival,
                        ruling.deadline,
                        consumer=self,
                        epoch=epoch,
                        attempts=ruling.attempts,
                    )
                )
            else:
                self._tell(ruling.settle)
                if self.dropped is not None:
                    dropped = Delivery(arrival, ruling.deadline, attempts=ruling.attempts)
                    self._report_dropped(dropped, ruling.verdict)
            if self._stage.observers:
                self._observe(arrival, ruling.verdict)
        self._grant_due()
        if ready:
            self._hand_over(ready)

    def _report_dropped(self, delivery: Delivery, verdict: Verdict) -> None:
        try:
            if self.dropped is not None:
                self.dropped(delivery, verdict)
        except Exception as error:  # noqa: BLE001 - reported; what was decided stays
            asyncio.get_running_loop().call_exception_handler(
                {
                    "message": f"who hears of drops at {self.source.address} raised",
                    "exception": error,
                }
            )

    def _hand_over(self, ready: list[Delivery]) -> None:
        try:
            self._receive(ready)
        except Exception as error:  # noqa: BLE001 - reported; the messages go back
            asyncio.get_running_loop().call_exception_handler(
                {"message": f"the receiver of {self.source.address} raised", "exception": error}
            )
            for delivery in ready:
                if not delivery.settled or not self.source.ack:
                    self._settle(delivery, _NOW, backoff=True)
                    self._release(delivery)

    def _settle(self, delivery: Delivery, how: Settle, *, backoff: bool = False) -> bool:
        self._stage.here()
        if delivery.settled:
            return False
        self._require(how.how)
        extending = how.how is Settlement.EXTEND
        if not extending:
            delivery.settled = True
        if delivery._epoch != self._epoch or self._sink is None:  # noqa: SLF001 - one mechanism
            if how.how is Settlement.ACK:
                self._intake.done(delivery.id, self._stage.now())
            told: tuple[Settling, ...] = ()
        else:
            told = self._intake.settle(
                delivery._arrival.tag,  # noqa: SLF001 - one mechanism
                how,
                self._stage.now(),
                chance=random.random() if backoff else 1.0,  # noqa: S311 - jitter
                delay=backoff,
            )
            self._tell(told)
        if self._self_granting and not extending:
            self._release(delivery)
        return bool(told)

    def _start(self, delivery: Delivery) -> Verdict:
        self._stage.here()
        now = self._stage.now()
        if not self.source.ack:
            verdict = Verdict.EXPIRED if self._intake.late(delivery.deadline, now) else Verdict.RUN
            if self._self_granting:
                self._release(delivery)
            return verdict
        if delivery.settled or delivery._epoch != self._epoch or self._sink is None:  # noqa: SLF001 - one mechanism
            verdict = Verdict.GONE
        else:
            ruling = self._intake.start(delivery._arrival.tag, now)  # noqa: SLF001 - one mechanism
            verdict = ruling.verdict
            if ruling.settle or verdict is not Verdict.RUN:
                delivery.settled = True
            self._tell(ruling.settle)
        if self._self_granting and (delivery.settled or verdict is not Verdict.RUN):
            self._release(delivery)
        return verdict

    def _ended(self, sink: _Sink) -> None:
        if sink is self._sink:
            self._sink = None
            self._intake.closed()

    # --- inside ---------------------------------------------------------------------------------

    def _release(self, delivery: Delivery) -> None:
        if delivery._held:  # noqa: SLF001 - one mechanism
            delivery._held = False  # noqa: SLF001 - one mechanism
            self._intake.release()
            self._grant_due()

    def _require(self, how: Settlement) -> None:
        if self._offers is None or how is Settlement.ACK:
            return
        offered = {
            Settlement.RETRY: self._offers.retry,
            Settlement.REJECT: self._offers.reject,
            Settlement.EXTEND: self._offers.extend,
        }[how]
        if offered is Support.NO:
            raise Unsupported(driver=self._line.route.url.driver, what=how.value)

    def _tell(self, settlings: tuple[Settling, ...]) -> None:
        sink = self._sink
        if sink is None or sink.inlet is None:
            return
        for tag, how in settlings:
            delayed = how.how is Settlement.RETRY and how.delay > 0
            if delayed and self._offers is not None and self._offers.delay is not Support.NATIVE:
                # The broker cannot wait, so we do, holding the delivery unsettled towards it.
                self._stage.after(how.delay, partial(self._tell_late, sink, tag))
            else:
                sink.inlet.settle(tag, how)

    def _tell_late(self, sink: _Sink, tag: int) -> None:
        if sink is self._sink and sink.inlet is not None:
            sink.inlet.settle(tag, _NOW)

    def _grant_due(self) -> None:
        if self._sink is not None and self._sink.inlet is not None:
            due = self._intake.grant_due()
            if due:
                self._sink.inlet.grant(due)

    def _observe(self, arrival: Arrival, verdict: Verdict) -> None:
        self._stage.observers.received(
            Received(
                self.source.address,
                arrival.id,
                arrival.kind,
                len(arrival.body),
                arrival.headers,
                arrival.redelivered,
                verdict.value,
            )
        )

    async def _hold(self) -> None:
        """Keep an inlet open for as long as the line and the consumer live."""
        epoch = 0
        try:
            while True:
                link = await self._line.ready(after=epoch)
                epoch = self._line.epoch
                await self._stay(link)
        except Exception as error:  # noqa: BLE001 - a driver may have bugs; all is reported there
            self._fail(error)

    async def _stay(self, link: Link) -> None:
        """Take the source for as long as the link lives; raise what forbids taking it again."""
        failures = 0
        while True:
            began = self._stage.now()
            why, retryable = await self._one_inlet(link)
            if why is None:
                return
            if not retryable or not self._first.done():
                raise why
            failures = 1 if self._stage.now() - began >= _PROVEN else failures + 1
            wait = _DEAF.delay(failures, random.random())  # noqa: S311 - jitter
            self._interruptions += 1
            _log.warning("%s; taking it again in %.1f s", str(why).rstrip("."), wait)
            await asyncio.sleep(wait)

    async def _one_inlet(self, link: Link) -> tuple[TransportError | None, bool]:
        """Take the source and stay until the inlet ends.

        Returns why it ended and whether to take it again on the same link; None: the link died.
        """
        address = str(self.source.address)
        sink = _Sink(self, asyncio.get_running_loop().create_future())
        self._sink, self._offers = sink, link.offers
        self._epoch += 1
        try:
            with self._line.route.wheel.limit(_TAKE_TIMEOUT):
                inlet = await link.take(self.source, sink, credit=self._intake.opened())
        except TimeoutError:
            self._drop(sink)
            why = f"the broker did not answer within {_TAKE_TIMEOUT:g} s"
            return SubscriptionLost(address=address, why=why), True
        except LinkLost:
            self._drop(sink)
            return None, True
        except TransportError as error:
            self._drop(sink)
            return error, not isinstance(error, Unsupported)
        except BaseException:
            self._drop(sink)
            raise
        sink.inlet = inlet
        if not self._first.done():
            self._first.set_result(None)
            await asyncio.sleep(0)  # whoever waits for the consumer has it before its deliveries
        sink.opened = True
        if sink.early and not sink.over.done():
            early, sink.early = sink.early, []
            self._arrived(early)
        why_ended = await sink.over
        if why_ended in (InletLost.LINK, InletLost.CLOSED):
            return None, True
        why = f"the broker ended it ({why_ended.value})"
        return SubscriptionLost(address=address, why=why), True

    def _drop(self, sink: _Sink) -> None:
        sink.over.cancel()
        self._ended(sink)

    def _fail(self, error: Exception) -> None:
        if not self._first.done():
            self._first.set_exception(error)
            return
        self._closed = True
        self._stage.left(self)
        lost = SubscriptionLost(address=str(self.source.address), why=str(error))
        lost.__cause__ = error
        if self._on_end is not None:
            asyncio.get_running_loop().call_soon(self._on_end, lost)
        if not isinstance(error, TransportClosed):
            _log.error("%s", lost, exc_info=None if isinstance(error, TransportError) else error)

    async def _stop(self) -> None:
        self._closed = True
        sink, task = self._sink, self._task
        self._task = None
        if task is not None and task is not asyncio.current_task():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if self._first.done() and not self._first.cancelled():
            self._first.exception()
        try:
            if sink is not None and sink.inlet is not None:
                with self._line.route.wheel.limit(self._line.route.close_timeout):
                    await sink.inlet.aclose()
        except (TimeoutError, TransportError) as error:
            _log.warning("A consumer did not close in good order: %s", error)
        finally:
            if sink is not None:
                self._drop(sink)
            self._stage.left(self)


@final
class Subscription:
    """A source as an async iterable of `Delivery`, inside its ``async with`` block.

    At most ``credit`` deliveries are in hand at once: those waiting here and those handed out and
    not settled. Several tasks may iterate; each delivery goes to one of them. Leaving the block
    returns what is unsettled to the broker. Iterating raises `SubscriptionLost` when the source
    cannot be restored, and ends when the subscription is closed.
    """

    __slots__ = ("_consume", "_consumer", "_end", "_ready", "_wakers")

    def __init__(self, consume: Consume) -> None:
        self._consume = consume
        self._consumer: Consumer | None = None
        self._ready: deque[Delivery] = deque()
        self._wakers: deque[asyncio.Future[None]] = deque()
        self._end: SubscriptionLost | None = None

    async def __aenter__(self) -> Self:
        if self._consumer is not None:
            raise TransportClosed(what="A subscription that was left before")
        self._consumer = await self._consume(self._arrived, self._lost)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End the iteration and return what is unsettled to the broker. Idempotent."""
        if self._consumer is not None:
            await self._consumer.aclose()
        self._ready.clear()
        self._wake(len(self._wakers))

    def statistics(self) -> ConsumerStatistics:
        """How it is doing now."""
        return self._opened().statistics()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Delivery:
        consumer = self._opened()
        while True:
            while self._ready:
                delivery = self._ready.popleft()
                if delivery.start() is Verdict.RUN:
                    return delivery
            if self._end is not None:
                raise self._end
            if consumer.closed:
                raise StopAsyncIteration
            await self._something()

    async def _something(self) -> None:
        waker: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._wakers.append(waker)
        try:
            await waker
        except asyncio.CancelledError:
            if waker in self._wakers:
                self._wakers.remove(waker)
            elif self._ready:
                self._wake(1)  # it was our turn, and now it is another's
            raise

    def _opened(self) -> Consumer:
        if self._consumer is None:
            raise TransportClosed(what="A subscription that was not entered")
        return self._consumer

    def _arrived(self, deliveries: list[Delivery]) -> None:
        self._ready.extend(deliveries)
        self._wake(len(deliveries))

    def _lost(self, why: SubscriptionLost) -> None:
        self._end = why
        self._wake(len(self._wakers))

    def _wake(self, count: int) -> None:
        while count > 0 and self._wakers:
            waker = self._wakers.popleft()
            if not waker.done():
                waker.set_result(None)
                count -= 1
