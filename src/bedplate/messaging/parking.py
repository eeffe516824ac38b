"""Where and how messages are set aside that could not be handled, for a person to look at.

Decides which place is whose, what is written on a parked message and what it is again when it
goes back. Pure: knows no broker, no loop and no clock.
"""

import math
import re

from msgspec import Struct

from bedplate.messaging.delivery import Delivery
from bedplate.messaging.intake import DEADLINE_HEADER, TTL_HEADER, ParkedFor
from bedplate.messaging.types import (
    REPLAY_HEADER,
    Address,
    Arrival,
    Capabilities,
    Entity,
    Headers,
    HeaderValue,
    Kind,
    Message,
    Source,
    Support,
)

__all__ = [
    "Parked",
    "ParkedMessage",
    "Slip",
    "bounded",
    "can_park",
    "entity_of",
    "message_before",
    "message_parked",
    "parked_at",
    "read",
    "said",
]

_MARK = "bedplate-parked-"
_LONGEST = 500
_PASSWORD = re.compile(r"(://[^\s:/@]*):\S*@")
_ESCAPES = (("%", "%25"), (":", "%3A"))


class Slip(Struct, frozen=True):
    """What is noted when a message is set aside.

    ``at`` is in seconds since 1970, ``by`` the name of the host, ``error`` what the last attempt
    failed with, or what the application had to say.
    """

    why: ParkedFor
    attempts: int
    at: float
    by: str
    error: str = ""


class Parked(Struct, frozen=True):
    """What is known of one parked message. ``size`` is its body's, in bytes.

    ``why`` is a value of `ParkedFor`, empty for a message that somebody else put there;
    ``at`` is when it was parked (seconds since 1970; 0 if nobody noted it) and ``expires`` when its
    time was or will be over (None: never). ``address`` and ``group`` say where it was delivered.
    ``replay_of`` is the id it had before it was first replayed, if it was.
    """

    id: str
    why: str
    attempts: int
    at: float
    by: str
    error: str
    address: Address
    group: str | None
    size: int
    kind: str
    content_type: str
    expires: float | None
    replay_of: str


class ParkedMessage(Struct, frozen=True):
    """A parked message: what is known of it, and the message as it was before."""

    facts: Parked
    message: Message


# --- the place ----------------------------------------------------------------------------------


def parked_at(address: Address, group: str | None = None) -> Address:
    """Return the parking place of an address and group.

    Servers and fanouts of a topic share the topic's. Raises ValueError for addresses that nobody
    can come back to: private ones and places.
    """
    if address.kind is Kind.PRIVATE or address.kind is Kind.PLACE:
        raise ValueError(f"{address} is no topic; only what has one has a parking place")
    parts = ["parked", _escaped(address.name)]
    if group is not None:
        parts += ["group", _escaped(group)]
    return Address.topic(":".join(parts), exchange=address.exchange)


def can_park(offers: Capabilities, source: Source) -> bool:
    """Whether what is delivered from a source can be parked: confirmed first, acknowledged then."""
    confirmed = offers.accept is Support.NATIVE and source.ack
    return confirmed and source.address.kind is not Kind.PRIVATE


def entity_of(place: Address, limit: int | None = None) -> Entity:
    """Return how a parking place is declared: it stays, whether or not anybody looks at it."""
    return Entity(place, expires=math.inf, limit=limit)


def _escaped(part: str) -> str:
    # What separates parts of a name must not occur in them, or two could share a place.
    for mark, escape in _ESCAPES:
        part = part.replace(mark, escape)
    return part


# --- the message --------------------------------------------------------------------------------


def said(error: BaseException | None) -> str:
    """Return what is noted of an error: its type and text, bounded, without passwords of URLs."""
    if error is None:
        return ""
    name = type(error).__name__
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - the application's errors may fail to say what they are
        return name
    return bounded(f"{name}: {text}" if text else name)


def bounded(text: str) -> str:
    """Return a note that fits a header and gives no password of a URL away."""
    text = _PASSWORD.sub(r"\1:****@", text)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def message_parked(delivery: Delivery, source: Source, slip: Slip) -> Message:
    """Return a delivery as it is to be parked: all it carries, and the slip in its headers.

    Its time to live is over or stands still: it is noted, and nothing there expires.
    """
    origin = source.address
    notes: dict[str, HeaderValue] = {
        "why": slip.why.value,
        "attempts": slip.attempts,
        "at": slip.at,
        "by": slip.by,
        "exchange": origin.exchange,
        "topic": origin.name,
        "kind": origin.kind.value,
    }
    if origin.server_name:
        notes["server"] = origin.server_name
    if source.group is not None:
        notes["group"] = source.group
    if slip.error:
        notes["error"] = bounded(slip.error)
    headers = dict(_plain(delivery.headers))
    deadline = delivery.headers.get(DEADLINE_HEADER)
    if deadline is not None:
        notes["deadline"] = deadline
    headers |= {_MARK + name: value for name, value in notes.items()}
    return Message(
        delivery.body,
        headers,
        delivery.content_type,
        None,
        delivery.key,
        delivery.id,
        delivery.kind,
        delivery.correlation_id,
        delivery.reply_to,
    )


def _plain(headers: Headers) -> Headers:
    """Return the headers that say nothing of parking or time to live."""
    return {
        name: value
        for name, value in headers.items()
        if not name.startswith(_MARK) and name not in (DEADLINE_HEADER, TTL_HEADER)
    }


class _Notes:
    """The slip of a parked message, read with care: anybody may have written it."""

    def __init__(self, headers: Headers) -> None:
        self._headers = headers

    def text(self, name: str) -> str:
        value = self._headers.get(_MARK + name)
        return value if isinstance(value, str) else ""

    def number(self, name: str) -> float | None:
        value = self._headers.get(_MARK + name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        return value if math.isfinite(value) else None

    def origin(self, address: Address) -> Address:
        """Return where it was delivered, of what parks at the place of ``address``."""
        kind = self.text("kind")
        if kind == Kind.SERVER.value and self.text("server"):
            return Address.server(address.name, self.text("server"), exchange=address.exchange)
        if kind == Kind.FANOUT.value:
            return Address.fanout(address.name, exchange=address.exchange)
        return Address.topic(address.name, exchange=address.exchange)


def read(arrival: Arrival, address: Address, group: str | None) -> Parked:
    """Return what is known of a message found at the parking place of an address and group."""
    notes = _Notes(arrival.headers)
    again = arrival.headers.get(REPLAY_HEADER)
    return Parked(
        id=arrival.id,
        why=notes.text("why"),
        attempts=int(notes.number("attempts") or 0),
        at=notes.number("at") or 0.0,
        by=notes.text("by"),
        error=notes.text("error"),
        address=notes.origin(address),
        group=group,
        size=len(arrival.body),
        kind=arrival.kind,
        content_type=arrival.content_type,
        expires=notes.number("deadline"),
        replay_of=again if isinstance(again, str) else "",
    )


def message_before(arrival: Arrival, *, again: bool = False) -> Message:
    """Return a parked message as it was before, without the slip and without a time to live.

    ``again``: as it goes back to work, without the id it had, so that nobody takes it for what was
    tried before; the id is kept in a header.
    """
    headers = dict(_plain(arrival.headers))
    if again and arrival.id:
        headers.setdefault(REPLAY_HEADER, arrival.id)  # of several replays the first id counts
    return Message(
        arrival.body,
        headers,
        arrival.content_type,
        None,
        arrival.key,
        "" if again else arrival.id,
        arrival.kind,
        arrival.correlation_id,
        arrival.reply_to,
    )
