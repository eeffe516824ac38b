"""The server: takes requests, runs handlers within bounds, and always answers.

Acts on what `dispatch` (which handler) and `bedplate.messaging.intake` (whether to run at all)
decide; when and how many at once is a `bedplate.messaging.shift`'s business. Knows no links and no
bytes beyond the envelope.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from types import TracebackType
from typing import Self, cast, final

from bedplate.clock import SYSTEM, Clock
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
from bedplate.messaging.wire.request import Request
from bedplate.messaging.wire.values import QUEUED, RUNNING, Beat, Cancel

__all__ = ["Server"]

_log = logging.getLogger("bedplate.messaging.rpc")

_CANCELS_KEPT = 1000
_SET_CURRENT = CURRENT.set


@final
class _Asked:
    """What a turn of a server is about: one request. ``deadline``: when its caller gives up."""

    __slots__ = ("call", "cancelled", "context", "deadline", "handler", "heart", "request")

    def __init__(
        self, request: Request, handler: Handler, deadline: float | None, call: str | None
    ) -> None:
        self.request, self.handler, self.deadline = request, handler, deadline
        self.call = call
        """The id of a call; None for casts."""
        self.heart: Heart | None = None
        self.context: Context | None = None
        self.cancelled = False


_Turn = Turn[_Asked]


@final
class _Tally:
    """What became of the requests of a server; see `ServerStatistics`."""

    __slots__ = COUNTED

    def __init__(self) -> None:
        self.received = 0
        self.results = 0
        self.faults = 0
        self.done = 0
        self.refused = 0
        self.expired = 0
        self.parked = 0
        self.cancelled = 0
        self.repeated = 0
        self.returned = 0
        self.malformed = 0


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
        self._selective = access is not None or codec.load_context is not None
        self._interceptors = tuple(interceptors)
        self._transport = transport
        self._routes = routes
        self._codec = codec
        self._clock: Clock = SYSTEM  # the transport's, once it is open
        self._answers = Answers(transport, options.topic, codec)
        self._by_call: dict[str, _Turn] = {}
        self._tally = _Tally()
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
        self._clock = self._answers.clock = self._transport.clock
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
        tally = self._tally
        return ServerStatistics(
            running=self._shift.running,
            waiting=self._shift.waiting,
            late_answers=self._answers.late,
            lost_answers=self._answers.lost,
            **{name: getattr(tally, name) for name in COUNTED},
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
        self._tally.received += 1
        if self._shift.stopping:
            self._tally.returned += 1
            return  # unsettled: closing the shift returns it
        call = None if request.reply_to is None else request.id
        if call is not None and self._known(request, call):
            dismiss(delivery)
            return
        handler = self._routes.find(request.method, request.namespace, request.version)
        deadline = None if call is None else awaited_until(request, delivery)
        if not isinstance(handler, Handler):
            dismiss(delivery)
            self._refuse(request, deadline, handler)
            return
        if handler.instant:
            self._run_now(request, handler, delivery)
            return
        if self._selective:
            admitted = self._admit(request, handler)
            if not isinstance(admitted, Request):
                dismiss(delivery)
                self._refuse(request, deadline, admitted)
                return
            request = admitted
        asked = _Asked(request, handler, deadline, call)
        turn = Turn(delivery, asked)
        if call is None:
            self._shift.take(turn)
            return
        self._by_call[call] = turn
        heart: Heart | None = None
        if request.heartbeat is not None and not handler.silent:
            heart = asked.heart = Heart(self._answers, request, deadline, partial(_state, turn))
        self._shift.take(turn)
        if heart is not None and not turn.over:
            heart.beat()

    def _admit(self, request: Request, handler: Handler) -> Request | RemoteError:
        """Return a request that is let in, its context loaded, or the fault that answers it."""
        load, policy = self._codec.load_context, self._access
        if load is not None:
            try:
                request = request.within(load(request.context))
            except ValueError as error:
                return BadArguments.say(f"{request.method}(): {error}")
        if policy is not None and not admits(policy, _access(request, handler)):
            return AccessDenied.say(f"{request.method}() is not for you.")
        return request

    def _known(self, request: Request, call: str) -> bool:
        """Whether a call was cancelled before it came, or is in hand already."""
        if self._cancels and call in self._cancels:
            del self._cancels[call]
            self._tally.cancelled += 1
            return True
        turn = self._by_call.get(call)
        if turn is None:
            return False
        # Sent again over a new link: the answer goes the new way, the work is done once.
        self._tally.repeated += 1
        asked = turn.work
        request = request.within(asked.request.context)  # which is loaded
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
        self._tally.received += 1
        self._not_run(request, awaited_until(request, delivery), verdict)

    def _malformed(self, delivery: Delivery, error: MalformedMessage) -> None:
        """Reject what cannot be read; answer it where it says to whom."""
        self._tally.malformed += 1
        _log.warning("A message to %s was rejected: %s", self.options.topic, error)
        dismiss(delivery, REJECT)
        if delivery.reply_to is not None and delivery.correlation_id:
            request = Request(delivery.correlation_id, "?", reply_to=delivery.reply_to)
            self._answers.fault(request, delivery.deadline, fault_of(error, request.id))

    def _refuse(self, request: Request, deadline: float | None, error: Exception) -> None:
        self._tally.refused += 1
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
        asked = _Asked(request, handler, deadline, None if request.reply_to is None else request.id)
        try:
            handler.signature.unbind(request.args, handler.arguments)
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
        request, handler = asked.request, asked.handler
        signature = handler.signature
        context = Context(
            method=request.method,
            id=request.id,
            peer=request.peer,
            values=request.context,
            deadline=asked.deadline,
            clock=self._clock,
            report=_Progress(self, turn),
        )
        asked.context = context
        variables = self._shift.variables()
        variables.run(_SET_CURRENT, context)
        try:
            if self._codec.hook is None:
                arguments = signature.unbind(request.args, handler.arguments)
            else:  # which may ask for the context
                arguments = variables.run(signature.unbind, request.args, handler.arguments)
        except (MalformedMessage, ValueError) as error:
            self._unfit(turn, BadArguments.say(f"{request.method}(): {error}"))
            return None
        except Exception as error:  # noqa: BLE001 - the application's types may raise anything
            self._unfit(turn, error)
            return None
        first = (context,) if signature.takes_context else ()
        function: Callable[[], object] = partial(handler.function, *first, **arguments)
        is_async = signature.is_async
        if self._interceptors:
            function, is_async = self._intercepted(context, function, signature), True
        verb = "cast" if asked.call is None else "call"
        return Job(function, variables, is_async=is_async, verb=verb, name=handler.name)

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
        if error is not None and isinstance(error, Quit):
            error = turn.trouble = error.__cause__
        cancelled = error is not None and isinstance(error, asyncio.CancelledError)
        if cancelled and asked.cancelled:
            self._finish_cancelled(turn)
            return
        self._forget(asked)
        if cancelled and self._shift.stopping:
            self._tally.returned += 1
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
        if asked.call is None:
            self._tally.done += 1
            return None
        what = asked.handler.result
        why = self._answers.result(asked.request, asked.deadline, result, what)
        if why is None:
            self._tally.results += 1
        else:
            self._tally.faults += 1
        return why

    def _finish_failed(self, asked: _Asked, error: BaseException) -> None:
        self._tally.faults += 1
        request = asked.request
        if not isinstance(error, RemoteError):
            _log.warning("%s of %s raised", request.method, self.options.topic, exc_info=error)
        fault = fault_of(error, request.id, tracebacks=self.options.tracebacks, codec=self._codec)
        self._answers.fault(request, asked.deadline, fault)

    def _finish_cancelled(self, turn: _Turn) -> None:
        self._tally.cancelled += 1
        turn.delivery.settle(ACK)
        self._forget(turn.work)
        self._answers.cancelled(turn.work.request, turn.work.deadline)

    def _missed(self, turn: _Turn, verdict: Verdict) -> None:
        self._forget(turn.work)
        self._not_run(turn.work.request, turn.work.deadline, verdict)

    def _not_run(self, request: Request, deadline: float | None, verdict: Verdict) -> None:
        if verdict is Verdict.EXPIRED:
            self._tally.expired += 1
        elif verdict is Verdict.PARK:
            self._tally.parked += 1
        else:
            self._tally.returned += 1
        self._answers.not_run(request, deadline, verdict)

    def _forget(self, asked: _Asked) -> None:
        """Beat no more, and know the call no more. Leaves no cycle for the collector to find."""
        if asked.heart is not None:
            asked.heart.stop()
            asked.heart = None
        asked.context = None
        if asked.call is not None:
            self._by_call.pop(asked.call, None)

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


@final
class _Progress:
    """How the handler of one turn reports to its caller."""

    __slots__ = ("_server", "_turn")

    def __init__(self, server: Server, turn: _Turn) -> None:
        self._server, self._turn = server, turn

    def __call__(self, progress: object) -> None:
        self._server._report(self._turn, progress)  # noqa: SLF001 - a part of the server


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
