"""The server: takes requests, runs handlers within bounds, and always answers.

Acts on what `dispatch` (which handler) and `bedplate.messaging.intake` (whether to run at all)
decide; when and how many at once is a `bedplate.messaging.shift`'s business. Knows no links and no
bytes beyond the envelope.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from types import MappingProxyType, TracebackType
from typing import Self, cast, final

from msgspec import Struct
from msgspec.structs import replace

from bedplate.errors import AccessDenied, BadArguments, MalformedMessage, RemoteError
from bedplate.messaging.delivery import Delivery
from bedplate.messaging.intake import Verdict
from bedplate.messaging.receiving import Ack
from bedplate.messaging.rpc.access import Access, AccessPolicy, admits
from bedplate.messaging.rpc.answers import Answers, Heart, awaited_until
from bedplate.messaging.rpc.context import CURRENT, Context
from bedplate.messaging.rpc.dispatch import Handler, Routes
from bedplate.messaging.rpc.faults import fault_of
from bedplate.messaging.rpc.interceptors import (
    Proceed,
    Quit,
    ServerInterceptor,
    around_handler,
)
from bedplate.messaging.rpc.serializer import PLAIN, Codec
from bedplate.messaging.rpc.signature import Signature
from bedplate.messaging.rpc.terms import COUNTED, ServerOptions, ServerStatistics
from bedplate.messaging.shift import ACK, REJECT, Duties, Job, Shift, Turn, dismiss
from bedplate.messaging.transport import Transport
from bedplate.messaging.types import Address, Source
from bedplate.messaging.wire import native
from bedplate.messaging.wire.values import QUEUED, RUNNING, Beat, Cancel, Request

__all__ = ["Server"]

_log = logging.getLogger("bedplate.messaging.rpc")

_CANCELS_KEPT = 1000
_NOT_RUN = MappingProxyType({Verdict.EXPIRED: "expired", Verdict.PARK: "parked"})
"""What the statistics call it; otherwise it is returned."""


class _Asked(Struct, eq=False):
    """What a turn of a server is about: one request. ``deadline``: when its caller gives up."""

    request: Request
    handler: Handler
    deadline: float | None
    heart: Heart | None = None
    context: Context | None = None
    cancelled: bool = False


_Turn = Turn[_Asked]


@final
class Server:
    """Serves methods on a topic, inside its ``async with`` block. Made by ``rpc.serve``.

    A request is acknowledged when it begins to run (``Ack.START``: at most once) or when it is
    done (``Ack.DONE``: at least once). Whatever happens to a call, its caller is answered; what a
    handler raises is data for the caller, SystemExit and KeyboardInterrupt included, and ends
    neither the server nor the process. Belongs to the transport's loop.
    """

    def __init__(
        self,
        transport: Transport,
        routes: Routes,
        options: ServerOptions,
        access: AccessPolicy | None = None,
        interceptors: Sequence[ServerInterceptor] = (),
        codec: Codec = PLAIN,
    ) -> None:
        self.options = options
        self._access = access
        self._interceptors = tuple(interceptors)
        self._transport = transport
        self._routes = routes
        self._codec = codec
        self._answers = Answers(transport, options.topic, codec)
        self._by_call: dict[str, _Turn] = {}
        self._counts: Counter[str] = Counter()
        self._cancels: dict[str, None] = {}
        self._shift: Shift[_Asked] = Shift(
            transport,
            repr(self),
            options.shift(),
            Duties(
                arrived=self._arrived,
                dropped=self._dropped,
                begin=self._begin,
                missed=self._missed,
                ended=self._ended,
            ),
        )

    async def __aenter__(self) -> Self:
        """Begin to serve. Raises what `Transport.consume` raises."""
        await self._shift.open(map(Source, self._addresses()))
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
        await self._shift.aclose()

    def statistics(self) -> ServerStatistics:
        """Return how the server is doing now."""
        counts = self._counts
        return ServerStatistics(
            running=self._shift.running,
            waiting=self._shift.waiting,
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

    # --- taking ---------------------------------------------------------------------------------

    def _arrived(self, deliveries: list[Delivery]) -> None:
        for delivery in deliveries:
            try:
                value = native.decode(delivery)
            except MalformedMessage as error:
                self._malformed(delivery, error)
                continue
            if type(value) is Request:
                self._take(value, delivery)
            elif type(value) is Cancel:
                dismiss(delivery)
                self._cancel(value.call)
            else:
                why = f"a {delivery.kind} is not for a server"
                self._malformed(delivery, MalformedMessage(where="a message", why=why))

    def _take(self, request: Request, delivery: Delivery) -> None:
        self._counts["received"] += 1
        if self._shift.stopping:
            self._counts["returned"] += 1
            return  # unsettled: closing the shift returns it
        if request.reply_to is not None and self._known(request):
            dismiss(delivery)
            return
        handler = self._routes.find(request.method, request.namespace, request.version)
        deadline = awaited_until(request, delivery)
        if isinstance(handler, RemoteError):
            dismiss(delivery)
            self._refuse(request, deadline, handler)
            return
        if handler.instant:
            self._run_now(request, handler, delivery)
            return
        admitted = self._admit(request, handler)
        if isinstance(admitted, RemoteError):
            dismiss(delivery)
            self._refuse(request, deadline, admitted)
            return
        request = admitted
        asked = _Asked(request, handler, deadline)
        turn = Turn(delivery, asked)
        if request.reply_to is not None:
            self._by_call[request.id] = turn
            if request.heartbeat is not None and not handler.silent:
                asked.heart = Heart(self._answers, request, deadline, partial(_state, turn))
        self._shift.take(turn)
        if asked.heart is not None and not turn.over:
            asked.heart.beat()

    def _admit(self, request: Request, handler: Handler) -> Request | RemoteError:
        """Return a request that is let in, its context loaded, or the fault that answers it."""
        load, policy = self._codec.load_context, self._access
        if load is not None:
            try:
                request = replace(request, context=load(request.context))
            except ValueError as error:
                return BadArguments.say(f"{request.method}(): {error}")
        if policy is not None and not admits(policy, _access(request, handler)):
            return AccessDenied.say(f"{request.method}() is not for you.")
        return request

    def _known(self, request: Request) -> bool:
        """Whether a call was cancelled before it came, or is in hand already."""
        if request.id in self._cancels:
            del self._cancels[request.id]
            self._counts["cancelled"] += 1
            return True
        turn = self._by_call.get(request.id)
        if turn is None:
            return False
        # Sent again over a new link: the answer goes the new way, the work is done once.
        self._counts["repeated"] += 1
        asked = turn.work
        request = replace(request, context=asked.request.context)  # which is loaded
        asked.request = request
        if asked.heart is not None:
            asked.heart.request = request
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
        self._not_run(request, awaited_until(request, delivery), verdict)

    def _malformed(self, delivery: Delivery, error: MalformedMessage) -> None:
        """Reject what cannot be read; answer it where it says to whom."""
        self._counts["malformed"] += 1
        _log.warning("A message to %s was rejected: %s", self.options.topic, error)
        dismiss(delivery, REJECT)
        if delivery.reply_to is not None and delivery.correlation_id:
            request = Request(delivery.correlation_id, "?", reply_to=delivery.reply_to)
            self._answers.fault(request, delivery.deadline, fault_of(error, request.id))

    def _refuse(self, request: Request, deadline: float | None, error: Exception) -> None:
        self._counts["refused"] += 1
        if request.reply_to is None:
            _log.warning("A cast to %s was refused: %s", self.options.topic, error)
        self._answers.fault(request, deadline, fault_of(error, request.id))

    def _cancel(self, call_id: str) -> None:
        turn = self._by_call.get(call_id)
        if turn is None:
            # It may be on its way to us still, or at another server of the topic.
            if len(self._cancels) >= _CANCELS_KEPT:
                del self._cancels[next(iter(self._cancels))]
            self._cancels[call_id] = None
            return
        asked = turn.work
        asked.cancelled = True
        if asked.context is not None:
            asked.context.cancelled = True
        if self._shift.cancel(turn):
            self._finish_cancelled(turn)

    def _run_now(self, request: Request, handler: Handler, delivery: Delivery) -> None:
        """Run what needs no worker: what servers tell of themselves must not wait for one."""
        deadline = awaited_until(request, delivery)
        verdict = delivery.start()
        dismiss(delivery)
        if verdict is not Verdict.RUN:
            self._not_run(request, deadline, verdict)
            return
        asked = _Asked(request, handler, deadline)
        try:
            handler.signature.unbind(request.args, f"the arguments of {request.method}()")
            result = handler.function()
        except (MalformedMessage, ValueError) as error:
            self._refuse(request, deadline, BadArguments.say(f"{request.method}(): {error}"))
        except Exception as error:  # noqa: BLE001 - describing types of the application may raise
            self._finish_failed(asked, error)
        else:
            self._finish(asked, result)

    # --- running --------------------------------------------------------------------------------

    def _begin(self, turn: _Turn) -> Job | None:
        asked = turn.work
        request, signature = asked.request, asked.handler.signature
        context = asked.context = Context(
            method=request.method,
            id=request.id,
            peer=request.peer,
            values=request.context,
            deadline=asked.deadline,
            clock=self._transport.clock,
            report=partial(self._report, turn),
        )
        variables = self._shift.variables()
        variables.run(CURRENT.set, context)
        where = f"the arguments of {request.method}()"
        try:
            if self._codec.hook is None:
                arguments = signature.unbind(request.args, where)
            else:  # which may ask for the context
                arguments = variables.run(signature.unbind, request.args, where)
        except (MalformedMessage, ValueError) as error:
            self._unfit(turn, BadArguments.say(f"{request.method}(): {error}"))
            return None
        except Exception as error:  # noqa: BLE001 - the application's types may raise anything
            self._unfit(turn, error)
            return None
        first = (context,) if signature.takes_context else ()
        function = partial(asked.handler.function, *first, **arguments)
        verb = "cast" if request.reply_to is None else "call"
        name = f"{request.namespace}.{request.method}" if request.namespace else request.method
        if self._interceptors:
            proceed = self._intercepted(context, function, signature)
            return Job(proceed, variables, is_async=True, verb=verb, name=name)
        return Job(function, variables, signature.is_async, verb, name)

    def _intercepted(
        self, context: Context, function: Callable[[], object], signature: Signature
    ) -> Proceed:
        """Return what runs a handler of either colour within the interceptors."""
        run = function if signature.is_async else partial(self._shift.aside, function)
        return around_handler(self._interceptors, context, cast("Proceed", run))

    def _unfit(self, turn: _Turn, why: Exception) -> None:
        """Refuse a request whose arguments the method cannot take."""
        turn.delivery.settle(ACK)
        self._forget(turn.work)
        self._refuse(turn.work.request, turn.work.deadline, why)

    def _ended(self, turn: _Turn, result: object, error: BaseException | None) -> None:
        asked = turn.work
        if isinstance(error, Quit):
            error = turn.trouble = error.__cause__
        cancelled = isinstance(error, asyncio.CancelledError)
        if cancelled and asked.cancelled:
            self._finish_cancelled(turn)
            return
        self._forget(asked)
        if cancelled and self._shift.stopping:
            self._counts["returned"] += 1
            if self.options.ack is Ack.START:  # otherwise it runs again, elsewhere
                self._answers.stopped(asked.request, asked.deadline)
            return
        turn.delivery.settle(ACK)
        if error is None:
            turn.trouble = self._finish(asked, result)
        else:
            self._finish_failed(asked, error)

    def _finish(self, asked: _Asked, result: object) -> Exception | None:
        """Answer with a result; return why that could not be sent."""
        if asked.request.reply_to is None:
            self._counts["done"] += 1
            return None
        why = self._answers.result(asked.request, asked.deadline, result)
        self._counts["results" if why is None else "faults"] += 1
        return why

    def _finish_failed(self, asked: _Asked, error: BaseException) -> None:
        self._counts["faults"] += 1
        request = asked.request
        if not isinstance(error, RemoteError):
            _log.warning("%s of %s raised", request.method, self.options.topic, exc_info=error)
        fault = fault_of(error, request.id, tracebacks=self.options.tracebacks, codec=self._codec)
        self._answers.fault(request, asked.deadline, fault)

    def _finish_cancelled(self, turn: _Turn) -> None:
        self._counts["cancelled"] += 1
        turn.delivery.settle(ACK)
        self._forget(turn.work)
        self._answers.cancelled(turn.work.request, turn.work.deadline)

    def _missed(self, turn: _Turn, verdict: Verdict) -> None:
        self._forget(turn.work)
        self._not_run(turn.work.request, turn.work.deadline, verdict)

    def _not_run(self, request: Request, deadline: float | None, verdict: Verdict) -> None:
        self._counts[_NOT_RUN.get(verdict, "returned")] += 1
        self._answers.not_run(request, deadline, verdict)

    def _forget(self, asked: _Asked) -> None:
        """Beat no more, and know the call no more. Leaves no cycle for the collector to find."""
        if asked.heart is not None:
            asked.heart.stop()
        asked.heart = asked.context = None
        if asked.request.reply_to is not None:
            self._by_call.pop(asked.request.id, None)

    def _report(self, turn: _Turn, progress: object) -> None:
        """Send progress; from another thread by way of the loop."""
        text = self._codec.dumps(progress, "progress")
        loop = self._transport.loop
        if _running_loop() is loop:
            self._report_here(turn, text)
        else:
            loop.call_soon_threadsafe(self._report_here, turn, text)

    def _report_here(self, turn: _Turn, text: bytes) -> None:
        if not turn.over:
            request = turn.work.request
            self._answers.beat(request, turn.work.deadline, Beat(request.id, RUNNING, text))


def _access(request: Request, handler: Handler) -> Access:
    return Access(
        method=request.method,
        namespace=request.namespace,
        version=request.version,
        peer=request.peer,
        context=request.context,
        exposed=handler.exposed,
    )


def _state(turn: _Turn) -> str:
    return RUNNING if turn.running else QUEUED


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
