"""What tracing and metrics may hear of a transport: messages, links, and work from begin to end.

Observers never steer. What they may do, beside listening, is give headers to what is sent and set
context variables for a handler: that is all tracing needs. One that raises is reported once and
dropped. Pure; who logs the report is the caller's.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, Protocol, TypeVar, runtime_checkable

from msgspec import Struct

from bedplate.errors import BedplateError
from bedplate.messaging.types import NO_HEADERS, Address, Headers, HeaderValue, Kind

__all__ = [
    "Closed",
    "GivenUp",
    "Leave",
    "Observer",
    "Observers",
    "Opened",
    "Received",
    "Sent",
    "Span",
    "Work",
    "WorkObserver",
    "following",
    "kind_of",
    "outcome_of",
    "place_of",
]

_KINDS = frozenset({"call", "cast", "event", "reply", "fault", "beat", "cancel"})

T = TypeVar("T")
P = ParamSpec("P")


class Sent(Struct, frozen=True):
    """A message was handed to a link. ``size`` is the body's, in bytes.

    A call and all that is said about it have one ``correlation_id``. ``ttl`` is in seconds.
    """

    address: Address
    id: str
    kind: str = ""
    size: int = 0
    headers: Headers = NO_HEADERS
    correlation_id: str = ""
    ttl: float | None = None


class Received(Struct, frozen=True):
    """A message arrived; ``verdict`` is ``run``, ``expired``, ``duplicate`` or ``park``."""

    address: Address
    id: str
    kind: str = ""
    size: int = 0
    headers: Headers = NO_HEADERS
    redelivered: bool = False
    verdict: str = "run"
    correlation_id: str = ""


class GivenUp(Struct, frozen=True):
    """A message will not run here, or not again: ``expired``, a ``duplicate``, or ``park``.

    Told of every such message once: as it arrives, when its time ends while it waits, or after the
    last attempt.
    """

    address: Address
    id: str
    kind: str = ""
    headers: Headers = NO_HEADERS
    verdict: str = "expired"
    correlation_id: str = ""


class Opened(Struct, frozen=True):
    """A link came up. ``line`` is ``talk`` or ``listen``, ``epoch`` counts its links from 1."""

    line: str
    where: str
    epoch: int


class Closed(Struct, frozen=True):
    """A link ended, on purpose or not; ``why`` is a sentence."""

    line: str
    where: str
    epoch: int
    why: str


class Observer(Protocol):
    """Hears of messages and links, on the transport's loop. Must not block."""

    def sent(self, event: Sent) -> None:
        """Hear of a message handed to a link."""
        ...

    def received(self, event: Received) -> None:
        """Hear of an arrived message and what was decided about it."""
        ...

    def given_up(self, event: GivenUp) -> None:
        """Hear of a message that will not run."""
        ...

    def opened(self, event: Opened) -> None:
        """Hear of a link that came up."""
        ...

    def closed(self, event: Closed) -> None:
        """Hear of a link that ended."""
        ...


# --- work ---------------------------------------------------------------------------------------


class Work(Struct, frozen=True, kw_only=True):
    """What begins now and takes its time: sending something, or ``handling`` what came.

    ``verb`` is ``call``, ``cast``, ``fanout``, ``notify`` or ``publish``. A call that is sent lasts
    until its caller has the answer, everything else that is sent until the broker has it; what is
    handled lasts as long as its handler. ``name`` is the method or the type of the event, empty for
    plain messages. ``headers`` are what the message carries already. Of what is handled,
    ``waited`` is the seconds between its arrival here and now. ``driver`` is the transport's.
    """

    verb: str
    address: Address
    handling: bool = False
    name: str = ""
    id: str = ""
    correlation_id: str = ""
    size: int = 0
    headers: Headers = NO_HEADERS
    group: str = ""
    attempts: int = 1
    waited: float = 0.0
    driver: str = ""


Leave = Callable[[], None]
"""Undoes what `Span.enter` did, in the same context."""


class Span(Protocol):
    """One piece of work as one observer follows it, until it has ``ended``."""

    @property
    def headers(self) -> Headers:
        """What a message sent by this work carries with it."""
        ...

    def enter(self) -> Leave:
        """Make this work the current one, in the context variables of whoever calls."""
        ...

    def ended(self, error: BaseException | None) -> None:
        """Hear that it is over; ``error`` is what it failed with. Called once."""
        ...


@runtime_checkable
class WorkObserver(Protocol):
    """An `Observer` that also follows work; called on the transport's loop. Must not block."""

    def begun(self, work: Work) -> Span | None:
        """Hear of work that begins, in the context of whoever does or wants it.

        Return what follows it to its end, or None where it is of no interest.
        """
        ...


@contextmanager
def following(span: Span) -> Iterator[Span]:
    """Follow what is done in the ``with`` block, as one piece of work."""
    try:
        yield span
    except BaseException as error:
        span.ended(error)
        raise
    else:
        span.ended(None)


# --- words for labels: few of them, whatever a peer sends -----------------------------------------


def outcome_of(error: BaseException | None) -> str:
    """Return how work ended, in one of few words: for labels, never for people.

    ``ok``, the code of bedplate's errors, ``cancelled``, or ``failed`` for errors of others. What
    a code says on the wire does not count, so that no peer can invent words.
    """
    if error is None:
        return "ok"
    if isinstance(error, BedplateError):
        return type(error).code
    # asyncio's, and not named by its class: nothing here knows of loops.
    return "cancelled" if type(error).__name__ == "CancelledError" else "failed"


def place_of(address: Address) -> str:
    """Return the topic, with the exchange where it is not the default; empty for private ones."""
    if address.kind is Kind.PRIVATE:
        return ""
    if address.exchange in ("default", ""):
        return address.name
    return f"{address.exchange}/{address.name}"


def kind_of(event: Sent | Received | GivenUp) -> str:
    """Return the kind of a message where it is one of bedplate's own, else ``other``."""
    return event.kind if event.kind in _KINDS else "other"


# --- those who hear -----------------------------------------------------------------------------


class Observers:
    """The observers of one transport, as if they were one. True while there is anybody to tell."""

    __slots__ = ("_all", "_following", "_report")

    def __init__(
        self, observers: Iterable[Observer], report: Callable[[object, Exception], None]
    ) -> None:
        self._all = tuple(observers)
        self._following = tuple(each for each in self._all if isinstance(each, WorkObserver))
        self._report = report

    def __bool__(self) -> bool:
        return bool(self._all)

    def __len__(self) -> int:
        return len(self._all)

    @property
    def follow(self) -> bool:
        """Whether any of them follows work."""
        return bool(self._following)

    def sent(self, event: Sent) -> None:
        """Tell all of a message handed to a link."""
        self._tell(lambda each: each.sent(event))

    def received(self, event: Received) -> None:
        """Tell all of an arrived message."""
        self._tell(lambda each: each.received(event))

    def given_up(self, event: GivenUp) -> None:
        """Tell all of a message that will not run."""
        self._tell(lambda each: each.given_up(event))

    def opened(self, event: Opened) -> None:
        """Tell all of a link that came up."""
        self._tell(lambda each: each.opened(event))

    def closed(self, event: Closed) -> None:
        """Tell all of a link that ended."""
        self._tell(lambda each: each.closed(event))

    def begun(self, work: Work) -> Span:
        """Tell those that follow work of some; return what follows it for all of them."""
        spans: list[tuple[object, Span]] = []
        for each in self._following:
            span = self.guard(each, each.begun, work)
            if span is not None:
                spans.append((each, span))
        return _Spans(self, spans)

    def _tell(self, tell: Callable[[Observer], None]) -> None:
        for each in self._all:
            self.guard(each, tell, each)

    def guard(self, who: object, ask: Callable[P, T], *args: P.args, **named: P.kwargs) -> T | None:
        """Return what one observer answers; one that raises is asked nothing any more."""
        if who not in self._all:
            return None
        try:
            return ask(*args, **named)
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not reach us
            self._all = tuple(each for each in self._all if each is not who)
            self._following = tuple(each for each in self._following if each is not who)
            self._report(who, error)
            return None


class _Spans:
    """One piece of work as all observers follow it."""

    __slots__ = ("_all", "_observers")

    def __init__(self, observers: Observers, spans: list[tuple[object, Span]]) -> None:
        self._observers, self._all = observers, spans

    @property
    def headers(self) -> Headers:
        found: dict[str, HeaderValue] = {}
        for who, span in self._all:
            found.update(self._observers.guard(who, _headers_of, span) or {})
        return found

    def enter(self) -> Leave:
        left: list[tuple[object, Leave]] = []
        for who, span in self._all:
            leave = self._observers.guard(who, _enter, span)
            if leave is not None:
                left.append((who, leave))

        def leave_all() -> None:
            for who, leave in reversed(left):
                self._observers.guard(who, leave)

        return leave_all

    def ended(self, error: BaseException | None) -> None:
        for who, span in self._all:
            self._observers.guard(who, _end, span, error)


# Asked inside the guard, so that even what is no whole span does no harm.


def _headers_of(span: Span) -> Headers:
    return span.headers


def _enter(span: Span) -> Leave:
    return span.enter()


def _end(span: Span, error: BaseException | None) -> None:
    span.ended(error)
