"""What a server sends back: results, faults and beats, always and in time.

Turns values into messages on the transport and counts what became of them. Knows nothing of
handlers or workers.
"""

import logging
from collections.abc import Callable, Mapping
from typing import cast, final

from bedplate.clock import SYSTEM, Clock
from bedplate.errors import CodecError, MessagingError, RequestExpired
from bedplate.messaging.delivery import Delivery
from bedplate.messaging.intake import TTL_HEADER, Verdict
from bedplate.messaging.rpc.faults import fault_of
from bedplate.messaging.rpc.serializer import Codec
from bedplate.messaging.transport import Transport
from bedplate.messaging.types import NO_HEADERS, Headers, Outbound, Want
from bedplate.messaging.wheel import Timer
from bedplate.messaging.wire import native
from bedplate.messaging.wire.request import Request
from bedplate.messaging.wire.values import Beat, Fault

__all__ = ["Answers", "Heart", "awaited_until"]

_log = logging.getLogger("bedplate.messaging.rpc")

_SHORTEST_BEAT = 0.03
_QUIET = 10.0
"""Seconds between two lines about answers that cannot be sent: there may be thousands."""


@final
class Answers:
    """Answers the requests of one server. ``late`` and ``lost`` count answers not sent."""

    __slots__ = (
        "_dumps",
        "_quiet_until",
        "clock",
        "codec",
        "late",
        "lost",
        "topic",
        "transport",
    )

    def __init__(self, transport: Transport, topic: str, codec: Codec) -> None:
        self.transport, self.topic, self.codec = transport, topic, codec
        self.late = 0
        self.lost = 0
        self.clock: Clock = SYSTEM
        """The transport's, once that is open."""
        self._quiet_until = 0.0
        self._dumps = codec.dumps

    def result(
        self, request: Request, deadline: float | None, result: object, what: str
    ) -> Exception | None:
        """Send a result, or why it cannot be sent; return that why. ``what`` names it there."""
        try:
            self._send(request, deadline, self._dumps(result, what), "reply")
        except Exception as error:  # noqa: BLE001 - the application's types may raise anything
            known = isinstance(error, CodecError)
            _log.warning(
                "The result of %s of %s cannot be sent: %s",
                request.method,
                self.topic,
                error if known else type(error).__name__,
                exc_info=error.__cause__ if known else error,
            )
            self.fault(request, deadline, fault_of(error, request.id, codec=self.codec))
            return error
        return None

    def fault(self, request: Request, deadline: float | None, fault: Fault) -> None:
        """Send a fault; nothing for casts."""
        if request.reply_to is None:
            return
        try:
            body = native.encode(fault).body
            self._send(request, deadline, body, "fault")
        except CodecError:
            bare = Fault(fault.call, fault.code, fault.type, "It cannot be told in full.")
            self._send(request, deadline, native.encode(bare).body, "fault")

    def not_run(self, request: Request, deadline: float | None, verdict: Verdict) -> None:
        """Say that a request was not run; nothing where it will be, by this server or another."""
        if verdict is Verdict.EXPIRED:
            error = RequestExpired.say(f"{request.method}() waited too long and was not run.")
            self.fault(request, deadline, fault_of(error, request.id))
        elif verdict is Verdict.PARK:
            why = f"{request.method}() was begun too often without an end and is put aside."
            self.fault(request, deadline, Fault(request.id, "parked", "Parked", why))

    def cancelled(self, request: Request, deadline: float | None) -> None:
        """Say that a request ended because its caller wished so."""
        fault = Fault(request.id, "cancelled", "CancelledError", "The caller cancelled it.")
        self.fault(request, deadline, fault)

    def stopped(self, request: Request, deadline: float | None) -> None:
        """Say that the server stopped before the request was done."""
        why = f"The server stopped before {request.method}() was done."
        self.fault(request, deadline, Fault(request.id, "server-stopped", "ServerStopped", why))

    def beat(self, request: Request, deadline: float | None, beat: Beat) -> None:
        """Send a sign of life, at most once."""
        if request.reply_to is None:
            return
        message = native.encode(beat)
        ttl = request.heartbeat
        self._send(request, deadline, message.body, message.kind, message.headers, ttl)

    def _send(
        self,
        request: Request,
        deadline: float | None,
        body: bytes,
        kind: str,
        headers: Headers = NO_HEADERS,
        ttl: float | None = None,
    ) -> None:
        """Send one answer; too large ones raise. Nobody waits past ``deadline`` (monotonic)."""
        to = request.reply_to
        if to is None:
            return
        if deadline is not None:
            left = deadline - self.clock.now()
            if left <= 0:
                self.late += kind != "beat"
                return
            ttl = left if ttl is None else min(ttl, left)
        want = Want.NOTHING if kind == "beat" else Want.BOUNCE
        try:
            self.transport.send(
                Outbound(
                    to,
                    body,
                    request.id,
                    want,
                    headers,
                    native.CONTENT_TYPE,
                    ttl,
                    None,
                    kind,
                    request.id,
                    None,
                    persistent=False,
                )
            )
        except CodecError:
            raise
        except MessagingError as error:
            self.lost += 1
            self._report_lost(request, error)

    def _report_lost(self, request: Request, error: MessagingError) -> None:
        now = self.clock.now()
        if now >= self._quiet_until:
            self._quiet_until = now + _QUIET
            which = (request.method, self.topic, self.lost)
            _log.warning("An answer to %s of %s was not sent (%d so far): %s", *which, error)


@final
class Heart:
    """Beats for one request, from now until stopped; ``state`` is what it says."""

    __slots__ = ("_answers", "_deadline", "_state", "_timer", "request")

    def __init__(
        self, answers: Answers, request: Request, deadline: float | None, state: Callable[[], str]
    ) -> None:
        self._answers, self.request, self._deadline = answers, request, deadline
        self._state = state
        self._timer: Timer | None = None

    def beat(self) -> None:
        """Beat now, and again after a third of what the caller calls silence, while it waits."""
        heartbeat, transport, clock = (
            self.request.heartbeat,
            self._answers.transport,
            self._answers.clock,
        )
        if heartbeat is None or (self._deadline is not None and self._deadline <= clock.now()):
            self._timer = None
            return
        self._answers.beat(self.request, self._deadline, Beat(self.request.id, self._state()))
        pause = max(heartbeat / 3, _SHORTEST_BEAT)
        self._timer = transport.after(pause, self.beat)

    def stop(self) -> None:
        """Beat no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def awaited_until(request: Request, delivery: Delivery) -> float | None:
    """Return when the caller of a request stops waiting, in monotonic seconds; None: nobody waits.

    It is the message's own deadline, or later by what it says. A cast's ttl bounds when it begins
    and not how long it may take, so casts have none.
    """
    if request.reply_to is None or delivery.deadline is None:
        return None
    if request.timeout is None:
        return delivery.deadline
    ttl = cast("Mapping[str, object]", delivery.headers).get(TTL_HEADER)
    try:
        beyond = request.timeout - ttl if isinstance(ttl, (int, float)) else 0.0
    except OverflowError:  # not every broker bounds numbers
        beyond = 0.0
    return delivery.deadline + max(0.0, beyond)
