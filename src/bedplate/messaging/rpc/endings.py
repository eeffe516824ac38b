"""What the caller hears when its call ends without an answer. Pure but for the future it holds."""

import asyncio
from typing import final

from bedplate.errors import (
    CallLost,
    DeadlineExceeded,
    MessagingError,
    NoSuchTarget,
    PublishRefused,
    ReplyPathLost,
    TransportClosed,
)
from bedplate.messaging.calls import Call, End, Ended
from bedplate.messaging.rpc.faults import Errors
from bedplate.messaging.rpc.manner import Manner
from bedplate.messaging.types import Address, Bounce, Headers

__all__ = ["Asked", "bounce_error", "deadline_error", "end_error", "late_error"]


@final
class Asked:
    """What belongs to one open call besides its state.

    ``outcome`` gives the result's JSON text; None means: send it again, unless the call ended
    between, by an ``error`` or a ``result``. ``timeout`` is in seconds. ``headers`` are further
    ones for the request.
    """

    __slots__ = ("error", "errors", "headers", "manner", "method", "outcome", "result", "timeout")

    def __init__(
        self,
        manner: Manner,
        method: str,
        timeout: float,
        errors: Errors,
        outcome: "asyncio.Future[bytes | None]",
        headers: Headers,
    ) -> None:
        self.manner = manner
        self.method = method
        self.timeout = timeout
        self.errors = errors
        self.outcome = outcome
        self.headers = headers
        self.error: Exception | None = None
        self.result: bytes | None = None

    @property
    def address(self) -> Address:
        """Where it was sent."""
        return self.manner.address

    def again(self) -> None:
        """Have it sent again, unless the caller gave up already."""
        if not self.outcome.done():
            self.outcome.set_result(None)

    def renew(self, outcome: "asyncio.Future[bytes | None]") -> None:
        """Expect another outcome, for it is sent again. Raises the error that came in between."""
        if self.error is not None:
            raise self.error
        if self.result is not None:
            outcome.set_result(self.result)
        self.outcome = outcome

    def answer(self, result: bytes) -> None:
        """Let the caller have the result, unless it gave up already."""
        if self.outcome.done():
            self.result = result  # it may be about to send again
        else:
            self.outcome.set_result(result)

    def fail(self, error: Exception) -> None:
        """Let the caller have an error, unless it gave up already."""
        if self.outcome.done():
            self.error = error  # it may be about to send again
        else:
            self.outcome.set_exception(error)


def end_error(ended: Ended[Asked], *, held: bool = False) -> MessagingError:
    """Return the error of a call that ended by something else than an answer.

    ``held``: its request had not left yet.
    """
    asked = ended.call.token
    target = str(asked.address)
    match ended.how:
        case End.CALL_LOST:
            return CallLost(target=target, silence=ended.silence)
        case End.NO_SUCH_TARGET:
            return NoSuchTarget(target=target, queued=ended.queued)
        case End.REPLY_PATH_LOST:
            return ReplyPathLost(target=target)
        case End.CLOSED:
            return TransportClosed(what="The client")
        case _:
            return late_error(ended.call, held=held)


def bounce_error(asked: Asked, why: Bounce) -> MessagingError:
    """Return the error of a request that somebody refused or nobody took in time."""
    if why is Bounce.EXPIRED:
        return deadline_error(asked.method, asked.address, asked.timeout, "in the queue")
    return PublishRefused(address=str(asked.address), why="the queue takes no more messages.")


def late_error(call: Call[Asked], *, held: bool = False) -> DeadlineExceeded:
    """Return the error of a call whose time is over; ``held``: its request had not left yet."""
    asked = call.token
    stage = "sending" if held else "waiting for the reply" if call.sends else "connecting"
    return deadline_error(asked.method, asked.address, asked.timeout, stage)


def deadline_error(method: str, address: Address, timeout: float, stage: str) -> DeadlineExceeded:
    """Return the error of a call whose ``timeout`` (seconds) ended in this stage."""
    return DeadlineExceeded(
        operation=f"The call of {method}", target=str(address), timeout=timeout, stage=stage
    )
