"""The values that travel: addresses, messages, and what drivers hand up and down.

Made once a message, so they are msgspec Structs (a frozen dataclass costs twenty times as much).
All are immutable by convention and by declaration; none does anything. Durations are seconds.
"""

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Self

from msgspec import Struct

__all__ = [
    "NO_HEADERS",
    "REPLAY_HEADER",
    "Address",
    "Arrival",
    "Bounce",
    "Capabilities",
    "Entity",
    "HeaderValue",
    "Headers",
    "InletLost",
    "Kind",
    "Message",
    "Notice",
    "Outbound",
    "Outcome",
    "Settle",
    "Settlement",
    "Source",
    "Standing",
    "Start",
    "Support",
    "Topology",
    "Want",
]

HeaderValue = str | int | float | bool | bytes | None
"""What a header may hold on every broker."""
Headers = Mapping[str, HeaderValue]
"""The headers of a message, by name."""
NO_HEADERS: Headers = MappingProxyType({})
"""The headers of a message that has none."""
REPLAY_HEADER = "bedplate-replay-of"
"""Header: the id of the message that this one repeats, after it was parked."""


class Kind(enum.Enum):
    """Who of several subscribers gets a message."""

    TOPIC = "topic"
    """One of those that share the topic (one per group)."""
    SERVER = "server"
    """The one server of that name on the topic."""
    FANOUT = "fanout"
    """Every subscriber of the topic."""
    PRIVATE = "private"
    """The one link that opened the address, whose ``name`` is opaque."""
    PLACE = "place"
    """One place where messages wait, by the broker's own name for it. Only to send to."""


class Address(Struct, frozen=True):
    """Where a message goes. The exchange is a name space: equal topics of two never meet.

    ``name`` is the topic (for a private address: the opaque name the driver gave it; for a place:
    the broker's), ``server_name`` the server's, for addresses of kind SERVER only. Build one with
    the class methods.
    """

    kind: Kind
    name: str
    exchange: str = "default"
    server_name: str = ""

    @classmethod
    def topic(cls, name: str, *, exchange: str = "default") -> Self:
        """Address one of those that serve the topic."""
        return cls(Kind.TOPIC, name, exchange)

    @classmethod
    def server(cls, topic: str, server: str, *, exchange: str = "default") -> Self:
        """Address the server of this name on the topic."""
        return cls(Kind.SERVER, topic, exchange, server)

    @classmethod
    def fanout(cls, topic: str, *, exchange: str = "default") -> Self:
        """Address everybody on the topic."""
        return cls(Kind.FANOUT, topic, exchange)

    @classmethod
    def private(cls, name: str) -> Self:
        """Address the link that opened this private address."""
        return cls(Kind.PRIVATE, name, "")

    @classmethod
    def place(cls, name: str) -> Self:
        """Address one place alone, such as that of one group, by what ``Naming.queue`` calls it."""
        return cls(Kind.PLACE, name, "")

    def __str__(self) -> str:
        where = self.name if self.exchange in ("default", "") else f"{self.exchange}/{self.name}"
        if self.kind is Kind.SERVER:
            return f"server {self.server_name} of {where}"
        if self.kind is Kind.FANOUT:
            return f"everybody on {where}"
        return where


class Message(Struct, frozen=True):
    """What an application publishes through the low-level API.

    ``ttl`` is in seconds from publishing; an expired message is not delivered. ``key`` orders:
    messages of one key keep their order where the driver offers ordering by key. ``id`` is made
    by the transport when empty. ``kind`` is free for the application (AMQP's ``type``).
    """

    body: bytes
    headers: Headers = NO_HEADERS
    content_type: str = "application/octet-stream"
    ttl: float | None = None
    key: str | None = None
    id: str = ""
    kind: str = ""
    correlation_id: str = ""
    reply_to: Address | None = None
    persistent: bool = True


class Want(enum.Enum):
    """What the sender wants to hear of a message."""

    NOTHING = "nothing"
    BOUNCE = "bounce"
    """A call of ``LinkEvents.bounced`` if it reaches nobody; silence otherwise."""
    ACCEPT = "accept"
    """A receipt that tells whether the broker took responsibility."""


class Outbound(Struct, frozen=True):
    """A message on its way down to a driver. ``ttl`` is in seconds; None never expires."""

    address: Address
    body: bytes
    id: str
    want: Want = Want.NOTHING
    headers: Headers = NO_HEADERS
    content_type: str = "application/octet-stream"
    ttl: float | None = None
    key: str | None = None
    kind: str = ""
    correlation_id: str = ""
    reply_to: Address | None = None
    persistent: bool = True


class Arrival(Struct, frozen=True):
    """A message on its way up from a driver.

    ``tag`` names it to ``Inlet.settle`` and is unique within its inlet. ``headers`` may decode
    lazily. ``attempts`` counts deliveries including this one where the broker counts them, else
    None; ``redelivered`` is what every broker can say. ``lane`` is the partition, 0 where there
    are none; ``position`` the offset in it, where there is one.
    """

    tag: int
    body: bytes
    id: str = ""
    headers: Headers = NO_HEADERS
    content_type: str = ""
    kind: str = ""
    correlation_id: str = ""
    reply_to: Address | None = None
    key: str | None = None
    redelivered: bool = False
    attempts: int | None = None
    lane: int = 0
    position: int | None = None


class Start(enum.Enum):
    """From where a new group begins to read."""

    NEW = "new"
    EARLIEST = "earliest"


class Source(Struct, frozen=True):
    """What to take messages from.

    ``group``: those who name the same group share the messages, different groups get one copy
    each; None joins the group of the address itself. ``lanes`` restricts to partitions. ``ack``
    False means the broker forgets a message once it is handed over (at most once) and
    ``Inlet.settle`` is not used. ``existing`` True takes from what is there, whatever its
    properties, and makes nothing.
    """

    address: Address
    group: str | None = None
    start: Start = Start.NEW
    lanes: frozenset[int] | None = None
    ack: bool = True
    existing: bool = False


class Bounce(enum.Enum):
    """Why a message came back."""

    NO_ROUTE = "no-route"
    REFUSED = "refused"
    EXPIRED = "expired"
    NO_CREDIT = "no-credit"


class Outcome(enum.Enum):
    """What became of one message sent with ``Want.ACCEPT``."""

    ACCEPTED = "accepted"
    UNROUTABLE = "unroutable"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    """The link died first. It may have been accepted."""


class Settlement(enum.Enum):
    """What the receiver decides about one delivery."""

    ACK = "ack"
    RETRY = "retry"
    REJECT = "reject"
    EXTEND = "extend"


class Settle(Struct, frozen=True):
    """A decision about one delivery; ``delay`` (seconds) belongs to RETRY only."""

    how: Settlement
    delay: float = 0.0


class InletLost(enum.Enum):
    """Why an inlet ended."""

    CANCELLED = "cancelled"
    """The broker ended it: queue deleted, node gone, detached."""
    REFUSED = "refused"
    TIMED_OUT = "timed-out"
    """The broker's own delivery acknowledgement timeout."""
    LINK = "link"
    """The link died, or was closed."""
    CLOSED = "closed"
    """We closed it."""


class Notice(Struct, frozen=True):
    """Something a driver noticed that only statistics care about."""

    what: str
    count: int = 1


class Entity(Struct, frozen=True):
    """One thing that must exist before messages can flow: the queue behind a source, an address.

    ``expires`` is how long (seconds) an unused queue lives: None leaves it to the driver, infinity
    is for ever. ``limit`` bounds its messages.
    """

    address: Address
    group: str | None = None
    expires: float | None = None
    limit: int | None = None


class Topology(Struct, frozen=True):
    """What to declare, in one pipeline."""

    entities: tuple[Entity, ...]


class Standing(Struct, frozen=True):
    """What a look at one address told: None where the broker does not say."""

    exists: bool
    messages: int | None = None
    consumers: int | None = None


class Support(enum.Enum):
    """Who provides a capability."""

    NATIVE = "native"
    """The broker."""
    ABOVE = "above"
    """The transport, on top of what the broker has."""
    NO = "no"
    """Nobody; asking for it raises Unsupported."""


class Capabilities(Struct, frozen=True, kw_only=True):
    """What a driver, or the peer it found, offers. The documentation's table is printed from it.

    A claimed capability passes the contract suite; one that is not claimed raises Unsupported.
    Between driver and transport only NATIVE is a claim: for ABOVE and NO the driver raises (for
    ttl: of a message that has one). ``attempts`` and ``key_order`` are never asked for, so without
    them the count is None and the key merely travels.
    """

    bounce: Support = Support.NO
    """Nobody there is reported for ``Want.BOUNCE``."""
    accept: Support = Support.NO
    """``Want.ACCEPT`` gives a receipt."""
    ttl: Support = Support.NO
    """Expired messages are not delivered."""
    fanout: Support = Support.NO
    private: Support = Support.NO
    """Private addresses: without them there is no RPC."""
    groups: Support = Support.NO
    place: Support = Support.NO
    """One place alone can be sent to, without the other groups of its address."""
    ack: Support = Support.NO
    retry: Support = Support.NO
    delay: Support = Support.NO
    """A retry may name a delay."""
    reject: Support = Support.NO
    extend: Support = Support.NO
    park: Support = Support.NO
    """What failed too often is set aside. The transport does it; no driver claims it."""
    attempts: Support = Support.NO
    lanes: Support = Support.NO
    earliest: Support = Support.NO
    key_order: Support = Support.NO
    look: Support = Support.NO
    flow: Support = Support.NO
    """The peer may close and reopen flow."""
    max_body: int = 128 * 1024 * 1024
    """Largest body in bytes."""
