"""The driver contract, version 1: what a broker family must provide, and nothing more.

A driver translates between our values and one broker's protocol. It does not retry, reconnect,
keep deadlines, start threads beyond what its client library needs, or hold global state: the
transport above does what is common to all. The contract can be run:
`bedplate.testing.contracts.driver.DriverContract`, and `docs/writing-a-driver.md` explains it.

Every method is called on the loop the link was opened on.
"""

import asyncio
import enum
from collections.abc import Generator, Mapping, Sequence
from typing import ClassVar, NamedTuple, Protocol, final, runtime_checkable

from bedplate.config import Section
from bedplate.errors import TransportError
from bedplate.messaging.types import (
    Address,
    Arrival,
    Bounce,
    Capabilities,
    InletLost,
    Notice,
    Outbound,
    Outcome,
    Settle,
    Source,
    Standing,
    Topology,
)
from bedplate.messaging.url import TransportUrl

__all__ = [
    "CONTRACT",
    "Driver",
    "Inlet",
    "Link",
    "LinkEvents",
    "Maturity",
    "Naming",
    "Pacing",
    "PendingReceipt",
    "Receipt",
    "Sink",
    "Status",
]

CONTRACT = 1
"""The version of this contract."""


class Maturity(enum.Enum):
    """Where a driver stands in its life."""

    SUPPORTED = "supported"
    EXPERIMENTAL = "experimental"
    DEPRECATED = "deprecated"


class Status(NamedTuple):
    """Where a driver stands in its life, and what a user should know of it.

    ``reason`` says why it is experimental; ``since``, ``removal`` (versions) and ``instead``
    belong to a deprecated one.
    """

    maturity: Maturity = Maturity.SUPPORTED
    reason: str = ""
    since: str = ""
    removal: str = ""
    instead: str = ""


@runtime_checkable
class Pacing(Protocol):
    """What a driver's settings may say of connecting again, which is the transport's business.

    In seconds; None leaves it to the application's `RecoveryPolicy`.
    """

    reconnect_first: float | None
    """The longest first wait."""
    reconnect_most: float | None
    """The longest wait of all."""


class Naming(Protocol):
    """How a dialect names things on this broker."""

    envelope: str
    """Which of `bedplate.messaging.wire` the bodies follow: ``native`` or ``oslo``."""

    def queue(self, address: Address, group: str | None) -> str:
        """Return the broker's name of the place an address (and group) delivers to."""
        ...


class LinkEvents(Protocol):
    """What a link tells the transport. Called on the link's loop; neither blocks nor raises."""

    def bounced(self, message_id: str, why: Bounce) -> None:
        """Report that a message sent with ``Want.BOUNCE`` reached nobody."""
        ...

    def flow(self, open: bool, why: str, address: Address | None) -> None:  # noqa: A002, FBT001
        """Report that the peer stops or resumes taking messages; None means all addresses."""
        ...

    def lost(self, why: TransportError) -> None:
        """Report the end of the link: exactly once, also when idle, also after ``aclose``.

        It comes last: receipts have been answered and inlets have ended before it.
        """
        ...

    def noticed(self, note: Notice) -> None:
        """Report something for the statistics."""
        ...


class Receipt(Protocol):
    """The answer to one ``Want.ACCEPT`` message. Awaiting it gives the `Outcome`.

    It never raises by itself; a link that dies settles all its receipts with ``UNKNOWN``.
    """

    def __await__(self) -> Generator[object, None, Outcome]:
        """Wait for the outcome; may be awaited once or many times."""
        ...

    def done(self) -> bool:
        """Whether the outcome is known."""
        ...


@final
class PendingReceipt:
    """A `Receipt` for drivers to hand out and resolve; any number of tasks may await it.

    A task that is cancelled while it waits cancels nobody else. Not safe across threads.
    """

    __slots__ = ("_outcome", "_waiters")

    def __init__(self) -> None:
        self._outcome: Outcome | None = None
        self._waiters: list[asyncio.Future[Outcome]] = []

    def resolve(self, outcome: Outcome) -> None:
        """Give the answer; the first one stands."""
        if self._outcome is None:
            self._outcome = outcome
            for waiter in self._waiters:
                if not waiter.done():
                    waiter.set_result(outcome)
            self._waiters = []

    def done(self) -> bool:
        """Whether the outcome is known."""
        return self._outcome is not None

    def __await__(self) -> Generator[object, None, Outcome]:
        if self._outcome is not None:
            return self._outcome
        waiter: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        return (yield from waiter)


class Sink(Protocol):
    """Where an inlet delivers. Called on the link's loop; neither blocks nor raises."""

    def arrived(self, batch: Sequence[Arrival]) -> None:
        """Hand over what one read brought, in order; never more than the open credit."""
        ...

    def revoked(self, lanes: frozenset[int]) -> None:
        """Report lanes taken away; settling their deliveries has no effect any more."""
        ...

    def ended(self, why: InletLost) -> None:
        """Report the end of the inlet, exactly once; nothing follows."""
        ...


class Inlet(Protocol):
    """One stream of deliveries."""

    def settle(self, tag: int, how: Settle) -> None:
        """Decide about one delivery. A tag is settled once (EXTEND does not settle).

        Queued and coalesced; unknown tags and tags of a dead link are ignored, because the peer
        will deliver those again anyway. Raises `Unsupported` for what the link does not offer.
        """
        ...

    def grant(self, credit: int) -> None:
        """Allow ``credit`` further deliveries, on top of what is still open."""
        ...

    async def aclose(self) -> None:
        """Stop deliveries, tell ``ended(CLOSED)``, give back what is unsettled. Idempotent."""
        ...


class Link(Protocol):
    """One connection epoch on one loop. It dies once and never heals.

    It knows no deadline: a caller that has waited enough cancels, and cancelling leaves the link
    usable. After its death every method raises `LinkLost`.
    """

    offers: Capabilities
    """What this peer grants: never more than ``Driver.offers``."""

    async def declare(self, topology: Topology, *, look: bool = False) -> tuple[Standing, ...]:
        """Make the entities exist, in one pipeline, and return one standing each, in order.

        With ``look`` nothing is created and the standings tell what is there. Idempotent; a
        fanout needs nothing to exist. Raises
        `TopologyMismatch` for one that exists with other properties; the link lives on.
        """
        ...

    def send(self, message: Outbound) -> Receipt | None:
        """Queue a message for the wire, in order, and return at once.

        Returns a receipt for ``Want.ACCEPT`` and None otherwise. A bounce is reported to
        `LinkEvents` under the message's id. A message to a topic that nobody ever subscribed to
        is kept or dropped as the broker does; with BOUNCE it bounces, with ACCEPT its outcome is
        UNROUTABLE; a fanout that finds nobody is no error. Nobody is called back before it
        returns, and what the sender does to its headers later is not sent. The key travels
        whether or not it orders. Raises `TooLarge` beyond ``offers.max_body``, `Unsupported`,
        `LinkLost`.
        """
        ...

    async def take(self, source: Source, sink: Sink, *, credit: int) -> Inlet:
        """Start deliveries from a source, declaring what it needs; at most ``credit`` at first.

        Each delivery uses one credit; ``grant`` opens more. Without acks settling is not needed.
        Deliveries may begin before the caller has the inlet in hand. What was delivered to a
        take that is cancelled goes back. Raises `Unsupported`, `AccessRefused`,
        `TopologyMismatch`, `NoSuchTarget` for an ``existing`` source that is not there; the link
        lives on.
        """
        ...

    async def private_address(self) -> Address:
        """Return the private address of this link, the same each time; take from it to receive.

        It vanishes with the link. Raises `Unsupported` where there is none.
        """
        ...

    async def aclose(self) -> None:
        """Flush, close, and end with ``lost`` (idempotent)."""
        ...


class Driver(Protocol):
    """One broker family. Stateless; ``connect`` gets everything it may know."""

    contract: ClassVar[int]
    """The `CONTRACT` it was written for."""
    name: ClassVar[str]
    options: ClassVar[type[Section]]
    """Its settings, declared once; documented and checked by the configuration room.

    Those that are `Pacing` are heeded by the transport.
    """
    offers: ClassVar[Capabilities]
    status: ClassVar[Status]
    dialects: ClassVar[Mapping[str, Naming]]

    async def connect(self, url: TransportUrl, options: Section, hear: LinkEvents) -> Link:
        """Open one link. Raises `ConnectFailed`, `AccessRefused`, `NotTrusted`, `InvalidUrl`."""
        ...
