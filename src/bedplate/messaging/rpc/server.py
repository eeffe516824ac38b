"""The server: takes requests, runs handlers within bounds, and always answers.

Acts on what `dispatch` (which handler) and `bedplate.messaging.intake` (whether to run at all)
decide. Knows no links and no bytes beyond the envelope.
"""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable
from contextvars import Context as Variables
from contextvars import copy_context
from functools import partial
from types import TracebackType
from typing import Self, final

from bedplate.errors import (
    BadArguments,
    MalformedMessage,
    RemoteError,
    RequestExpired,
    TransportClosed,
)
from bedplate.messaging.consumer import Consumer
from bedplate.messaging.crew import Crew
from bedplate.messaging.delivery import Delivery
from bedplate.messaging.intake import TTL_HEADER, Ack, IntakePolicy, Verdict
from bedplate.messaging.rpc.answers import Answers, Heart
from bedplate.messaging.rpc.context import CURRENT, Context
from bedplate.messaging.rpc.dispatch import Handler, Routes
from bedplate.messaging.rpc.faults import fault_of
from bedplate.messaging.rpc.terms import COUNTED, ServerOptions, ServerStatistics
from bedplate.messaging.transport import Transport
from bedplate.messaging.types import Address, Settle, Settlement, Source
from bedplate.messaging.wheel import Timer
from bedplate.messaging.wire import native
from bedplate.messaging.wire.values import QUEUED, RUNNING, Beat, Cancel, Fault, Request

__all__ = ["Server"]

_log = logging.getLogger("bedplate.messaging.rpc")

_ACK = Settle(Settlement.ACK)
_REJECT = Settle(Settlement.REJECT)
_CANCELS_KEPT = 1000
_LAST_WORDS = 1.0


class _Job:
    """One request in the server's hands."""

    __slots__ = (
        "cancelled",
        "consumer",
        "context",
        "deadline",
        "delivery",
        "expiry",
        "handler",
        "heart",
        "over",
        "request",
        "running",
        "task",
    )

    def __init__(
        self, request: Request, delivery: Delivery, consumer: Consumer, handler: Handler
    ) -> None:
        self.request, self.delivery, self.consumer = request, delivery, consumer
        self.handler = handler
        self.deadline = _call_deadline(request, delivery)
        self.running = self.over = self.cancelled = False
        self.context: Context | None = None
        self.heart: Heart | None = None
        self.expiry: Timer | None = None
        self.task: asyncio.Task[None] | None = None

    def state(self) -> str:
        return RUNNING if self.running else QUEUED


@final
class Server:
    """Serves methods on a topic, inside its ``async with`` block. Made by ``rpc.serve``.

    A request is acknowledged when it begins to run (``Ack.START``: at most once) or when it is
    done (``Ack.DONE``: at least once). Whatever happens to a call, its caller is answered; what a
    handler raises is data for the caller, SystemExit and KeyboardInterrupt included, and ends
    neither the server nor the process. Belongs to the transport's loop.
    """

    def __init__(self, transport: Transport, routes: Routes, options: ServerOptions) -> None:
        self.options = options
        self._transport = transport
        self._routes = routes
        self._answers = Answers(transport, options.topic)
        self._jobs: set[_Job] = set()
        self._by_call: dict[str, _Job] = {}
        self._waiting: deque[_Job] = deque()
        self._counts: Counter[str] = Counter()
        self._cancels: dict[str, None] = {}
        self._consumers: list[Consumer] = []
        self._crew: Crew | None = None
        self._idle = asyncio.Event()
        self._variables = Variables()
        self._opened = self._stopping = self._starting = False

    # --- life -----------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        """Begin to serve. Raises what `Transport.consume` raises."""
        if self._opened:
            raise TransportClosed(what=f"{self!r}, which was entered before,")
        self._opened = True
        self._variables = copy_context()
        loop = asyncio.get_running_loop()
        self._crew = Crew(self.options.workers, loop, f"bedplate-{self.options.topic}")
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
        """Take nothing more, let what runs end, return the rest to the broker. Idempotent.

        What still runs after ``drain`` seconds is cancelled; threads cannot be: their callers are
        told, and they end on their own.
        """
        if self._stopping:
            return
        self._stopping = True
        at_start = self.options.ack is Ack.START
        try:
            if at_start:
                # What is not begun is not acknowledged: closing returns it to the broker.
                await self._close_consumers()
            for job in self._waiting:
                self._counts["returned"] += 1
                self._let_go(job)
            self._waiting.clear()
            await self._until_idle(self.options.drain)
            self._cancel_all()
            await self._until_idle(_LAST_WORDS)
        finally:
            self._cancel_all()
            for job in tuple(self._jobs):
                self._speak_for(job)
            # What is acknowledged when it is done could be so until now.
            await self._close_consumers()
            if self._crew is not None:
                self._crew.close()

    def statistics(self) -> ServerStatistics:
        """Return how the server is doing now."""
        counts = self._counts
        return ServerStatistics(
            running=0 if self._crew is None else self._crew.running,
            waiting=len(self._waiting),
            late_answers=self._answers.late,
            lost_answers=self._answers.lost,
            **{name: counts[name] for name in COUNTED},
        )

    def __repr__(self) -> str:
        return f"Server({self.options.topic!r})"

    def _addresses(self) -> list[Address]:
        topic, exchange = self.options.topic, self.options.exchange
        addresses = [
            Address.fanout(topic, exchange=exchange),
            Address.topic(topic, exchange=exchange),
        ]
        if self.options.server is not None:
            addresses.append(Address.server(topic, self.options.server, exchange=exchange))
        return addresses

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
            Source(address),
            hand_over,
            credit=self.options.credit,
            dropped=self._dropped,
            policy=IntakePolicy(ack=self.options.ack),
        )
        self._consumers.append(consumer)
        receive = partial(self._arrived, consumer)
        if early:
            receive(early)

    async def _close_consumers(self) -> None:
        consumers, self._consumers = self._consumers, []
        for consumer in consumers:
            await consumer.aclose()

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
            _log.warning("%d requests of %s still run", len(self._jobs), self.options.topic)

    def _speak_for(self, job: _Job) -> None:
        """Answer for a handler that does not end: its caller need not wait for the deadline."""
        if self.options.ack is Ack.START:
            self._answers.fault(job.request, job.deadline, _stopping(job.request))
        self._counts["returned"] += 1
        self._let_go(job)

    # --- taking ---------------------------------------------------------------------------------

    def _arrived(self, consumer: Consumer, deliveries: list[Delivery]) -> None:
        for delivery in deliveries:
            try:
                value = native.decode(delivery)
            except MalformedMessage as error:
                self._malformed(delivery, consumer, error)
                continue
            if type(value) is Request:
                self._take(value, delivery, consumer)
            elif type(value) is Cancel:
                _dismiss(delivery, consumer)
                self._cancel(value.call)
            else:
                why = f"a {delivery.kind} is not for a server"
                misled = MalformedMessage(where="a message", why=why)
                self._malformed(delivery, consumer, misled)

    def _take(self, request: Request, delivery: Delivery, consumer: Consumer) -> None:
        self._counts["received"] += 1
        if self._stopping:
            self._counts["returned"] += 1
            return  # unsettled: closing the consumer returns it
        if request.reply_to is not None and self._known(request):
            _dismiss(delivery, consumer)
            return
        handler = self._routes.find(request.method, request.namespace, request.version)
        if isinstance(handler, RemoteError):
            _dismiss(delivery, consumer)
            self._refuse(request, _call_deadline(request, delivery), handler)
            return
        job = _Job(request, delivery, consumer, handler)
        self._jobs.add(job)
        if request.reply_to is not None:
            self._by_call[request.id] = job
            if request.heartbeat is not None:
                job.heart = Heart(self._answers, request, job.deadline, job.state)
        self._waiting.append(job)
        self._start_waiting()
        if not job.running and not job.over:
            self._watch_expiry(job)
        if job.heart is not None and not job.over:
            job.heart.beat()

    def _known(self, request: Request) -> bool:
        """Whether a call was cancelled before it came, or is in hand already."""
        if request.id in self._cancels:
            del self._cancels[request.id]
            self._counts["cancelled"] += 1
            return True
        job = self._by_call.get(request.id)
        if job is None:
            return False
        # Sent again over a new link: the answer goes the new way, the work is done once.
        self._counts["repeated"] += 1
        job.request = request
        if job.heart is not None:
            job.heart.request = request
        return True

    def _dropped(self, delivery: Delivery, verdict: Verdict) -> None:
        """Answer a call that will not run: it came too late, or was tried too often."""
        if verdict not in (Verdict.EXPIRED, Verdict.PARK):
            return  # a repeat: the first one is answered
        try:
            request = native.decode(delivery)
        except MalformedMessage as error:
            _log.debug("an expired message was malformed as well: %s", error)
            return
        if type(request) is not Request:
            return
        self._counts["received"] += 1
        self._not_run(request, _call_deadline(request, delivery), verdict)

    def _malformed(self, delivery: Delivery, consumer: Consumer, error: MalformedMessage) -> None:
        """Reject what cannot be read; answer it where it says to whom."""
        self._counts["malformed"] += 1
        _log.warning("A message to %s was rejected: %s", self.options.topic, error)
        delivery.settle(_REJECT)
        consumer.grant(1)
        if delivery.reply_to is not None and delivery.correlation_id:
            request = Request(delivery.correlation_id, "?", reply_to=delivery.reply_to)
            fault = fault_of(error, request.id)
            self._answers.fault(request, delivery.deadline, fault)

    def _refuse(self, request: Request, deadline: float | None, error: Exception) -> None:
        self._counts["refused"] += 1
        if request.reply_to is None:
            _log.warning("A cast to %s was refused: %s", self.options.topic, error)
        self._answers.fault(request, deadline, fault_of(error, request.id))

    def _cancel(self, call_id: str) -> None:
        job = self._by_call.get(call_id)
        if job is None:
            # It may be on its way to us still, or at another server of the topic.
            if len(self._cancels) >= _CANCELS_KEPT:
                del self._cancels[next(iter(self._cancels))]
            self._cancels[call_id] = None
            return
        job.cancelled = True
        if job.context is not None:
            job.context.cancelled = True
        if job.task is not None:
            job.task.cancel()
        elif not job.running:
            self._waiting.remove(job)
            self._finish_cancelled(job)

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
            self._not_run(job.request, job.deadline, verdict)
            self._let_go(job)
            return
        request, signature = job.request, job.handler.signature
        try:
            where = f"the arguments of {request.method}()"
            arguments = signature.unbind(request.args, where)
        except (MalformedMessage, ValueError) as error:
            job.delivery.settle(_ACK)
            why = BadArguments.say(f"{request.method}(): {error}")
            self._refuse(request, job.deadline, why)
            self._let_go(job)
            return
        job.running = True
        if job.expiry is not None:
            job.expiry.cancel()
        context = job.context = self._context(job)
        variables = self._variables.copy()
        variables.run(CURRENT.set, context)
        first = (context,) if signature.takes_context else ()
        function = partial(job.handler.function, *first, **arguments)
        done = partial(self._ended, job)
        job.task = crew.run(function, done, variables, is_async=signature.is_async)

    def _watch_expiry(self, job: _Job) -> None:
        """Let a caller hear that its request expired when it does, not when a worker is free."""
        deadline = job.delivery.deadline
        if deadline is not None:
            left = deadline - self._transport.clock.now()
            job.expiry = self._transport.after(max(left, 0.0), partial(self._expire, job))

    def _expire(self, job: _Job) -> None:
        deadline = job.delivery.deadline
        if job.running or job.over or deadline is None:
            return
        if self._transport.clock.now() < deadline:
            self._watch_expiry(job)
            return
        self._waiting.remove(job)
        self._not_run(job.request, job.deadline, job.delivery.start())
        self._let_go(job)

    def _context(self, job: _Job) -> Context:
        request = job.request
        return Context(
            method=request.method,
            id=request.id,
            peer=request.peer,
            values=request.context,
            deadline=job.deadline,
            clock=self._transport.clock,
            report=partial(self._report, job),
        )

    def _ended(self, job: _Job, result: object, error: BaseException | None) -> None:
        if not job.over:
            cancelled = isinstance(error, asyncio.CancelledError)
            if cancelled and job.cancelled:
                self._finish_cancelled(job)
            elif cancelled and self._stopping:
                self._speak_for(job)
            else:
                self._finish(job, result, error)
        self._start_waiting()

    def _finish(self, job: _Job, result: object, error: BaseException | None) -> None:
        request = job.request
        job.delivery.settle(_ACK)
        if error is not None:
            self._counts["faults"] += 1
            if not isinstance(error, RemoteError):
                _log.warning("%s of %s raised", request.method, self.options.topic, exc_info=error)
            fault = fault_of(error, request.id, tracebacks=self.options.tracebacks)
            self._answers.fault(request, job.deadline, fault)
        elif request.reply_to is None:
            self._counts["done"] += 1
        else:
            sent = self._answers.result(request, job.deadline, result)
            self._counts["results" if sent else "faults"] += 1
        self._let_go(job)

    def _finish_cancelled(self, job: _Job) -> None:
        self._counts["cancelled"] += 1
        job.delivery.settle(_ACK)
        why = "The caller cancelled it."
        self._answers.fault(
            job.request, job.deadline, Fault(job.request.id, "cancelled", "CancelledError", why)
        )
        self._let_go(job)

    def _not_run(self, request: Request, deadline: float | None, verdict: Verdict) -> None:
        if verdict is Verdict.EXPIRED:
            self._counts["expired"] += 1
            error = RequestExpired.say(f"{request.method}() waited too long and was not run.")
            self._answers.fault(request, deadline, fault_of(error, request.id))
        elif verdict is Verdict.PARK:
            self._counts["refused"] += 1
            why = f"{request.method}() was begun too often without an end and is put aside."
            self._answers.fault(request, deadline, Fault(request.id, "parked", "Parked", why))
        else:
            self._counts["returned"] += 1

    def _let_go(self, job: _Job) -> None:
        """End a request: no more beats, its credit back, and maybe the server is idle."""
        job.over = True
        if job.heart is not None:
            job.heart.stop()
        if job.expiry is not None:
            job.expiry.cancel()
        self._jobs.discard(job)
        if job.request.reply_to is not None:
            self._by_call.pop(job.request.id, None)
        if not self._stopping:
            job.consumer.grant(1)
        elif not self._jobs:
            self._idle.set()

    def _report(self, job: _Job, progress: object) -> None:
        """Send progress; from a plain handler's thread by way of the loop."""
        text = native.dumps(progress, "progress")
        if not job.handler.signature.is_async:
            self._transport.loop.call_soon_threadsafe(self._report_here, job, text)
        else:
            self._report_here(job, text)

    def _report_here(self, job: _Job, text: bytes) -> None:
        if not job.over:
            self._answers.beat(job.request, job.deadline, Beat(job.request.id, RUNNING, text))


def _dismiss(delivery: Delivery, consumer: Consumer) -> None:
    delivery.settle(_ACK)
    consumer.grant(1)


def _call_deadline(request: Request, delivery: Delivery) -> float | None:
    """Return when the caller stops waiting: the message's own deadline, or later by what it says.

    A cast's ttl bounds when it begins and not how long it may take, so casts have none.
    """
    if request.reply_to is None or delivery.deadline is None:
        return None
    if request.timeout is None:
        return delivery.deadline
    ttl = delivery.headers.get(TTL_HEADER)
    beyond = request.timeout - ttl if isinstance(ttl, int | float) else 0.0
    return delivery.deadline + max(0.0, beyond)


def _stopping(request: Request) -> Fault:
    why = f"The server stopped before {request.method}() was done."
    return Fault(request.id, "server-stopped", "ServerStopped", why)
