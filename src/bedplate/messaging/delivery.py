"""One received message in the hands of its receiver, to be settled once.

Carries what arrived and passes every decision on to whom it came through. Knows no broker.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, final

from bedplate.messaging.intake import Verdict
from bedplate.messaging.observe import Span, following
from bedplate.messaging.types import Address, Arrival, Headers, Settle, Settlement

if TYPE_CHECKING:
    from bedplate.messaging.inflow import Inflow

__all__ = ["Delivery", "Dropped", "Receive"]

_ACK: Final = Settle(Settlement.ACK)
_REJECT: Final = Settle(Settlement.REJECT)
_EXTEND: Final = Settle(Settlement.EXTEND)
_NOW: Final = Settle(Settlement.RETRY)

Receive = Callable[[list["Delivery"]], object]
"""Called on the loop with what one read brought, in order; must neither block nor raise."""
Dropped = Callable[["Delivery", Verdict], object]
"""Called on the loop with a message and why it was not handed over: it expired, was done before,
or was tried too often. Deciding about it has no effect: that is done."""


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

    __slots__ = ("_arrival", "_held", "_keeper", "arrived", "attempts", "deadline", "settled")

    def __init__(
        self,
        arrival: Arrival,
        deadline: float | None = None,
        *,
        keeper: "Inflow | None" = None,
        settled: bool = True,
        attempts: int = 1,
    ) -> None:
        self._arrival = arrival
        self._keeper = keeper
        self._held = keeper is not None
        self.arrived = 0.0
        """When it arrived (monotonic); known only where somebody follows work."""
        self.attempts = attempts
        self.deadline = deadline
        self.settled = settled

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

    async def retry(
        self, delay: float | None = None, *, error: BaseException | None = None
    ) -> bool:
        """Ask for it again after ``delay`` seconds; None waits as the subscription's policy says.

        After the policy's last attempt it is parked instead, with a note of what ``error`` says,
        or rejected where the policy does not park.
        """
        how = _NOW if delay is None else Settle(Settlement.RETRY, delay)
        return self.settle(how, delay is None, error)

    async def reject(self) -> bool:
        """Say that it cannot be used and must not come again."""
        return self.settle(_REJECT)

    async def park(self, why: str = "") -> bool:
        """Set it aside for a person to look at; ``why`` is a note for them.

        It is acknowledged when the broker has confirmed that it keeps it at its parking place (see
        `Transport.parked`); until then it stays unsettled, and it is not lost.
        """
        if self.settled or self._keeper is None:
            return False
        return self._keeper.park(self, self._arrival.tag, why)

    async def extend(self) -> bool:
        """Ask the broker for more time. Raises `Unsupported` where it keeps none."""
        return self.settle(_EXTEND)

    def settle(
        self,
        how: Settle,
        backoff: bool = False,  # noqa: FBT001, FBT002 - internal twin of retry()
        error: BaseException | None = None,
    ) -> bool:
        """Do the same without await; ``backoff`` lets the policy choose a RETRY's delay."""
        if self.settled or self._keeper is None:
            return False
        return self._keeper.settle(self, self._arrival.tag, how, backoff=backoff, error=error)

    def start(self) -> Verdict:
        """Judge once more, right before executing it: only on RUN may it run.

        Anything else has been settled. With `Ack.START` this acknowledges it.
        """
        if self._keeper is None:
            return Verdict.RUN
        return self._keeper.start(self, self._arrival.tag)

    @contextmanager
    def handling(self) -> Iterator[None]:
        """Say what its handling is: everything in the ``with`` block.

        Traced, it is a span of the trace that the message came with, and what is sent inside
        belongs to it. Measured, it is as long as the block, and what the block raises is how it
        ended. For the iterator form; handlers of servers and listeners are followed anyway.
        """
        span = self.follow("publish")
        if span is None:
            yield
            return
        with following(span):
            leave = span.enter()
            try:
                yield
            finally:
                leave()

    def follow(self, verb: str, name: str = "") -> Span | None:
        """Tell who follows work that its handling begins; None where nobody does.

        ``verb`` and ``name`` are those of `bedplate.messaging.observe.Work`.
        """
        return None if self._keeper is None else self._keeper.follow(self, verb, name)

    def release(self) -> None:
        """Give its credit back: it is off the receiver's hands. Idempotent.

        For the callback form; to an iterator's deliveries it happens as they are settled.
        """
        if self._held and self._keeper is not None:
            self._held = False
            self._keeper.release()

    def __repr__(self) -> str:
        state = "settled" if self.settled else "unsettled"
        return f"<Delivery {self.id or '(no id)'}, {len(self.body)} bytes, {state}>"
