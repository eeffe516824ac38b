"""What the driver suite works with: hooks a subclass fills in, and recorders that can be awaited.

Knows the contract and no driver. Waiting is always for something to be heard, bounded by
``patience``; only the proof that something does *not* happen takes the time ``quiet``.
"""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, ClassVar
from uuid import uuid4

import pytest

from bedplate.config import Section
from bedplate.errors import TransportError
from bedplate.messaging.driver import Driver, Inlet, Link, Receipt
from bedplate.messaging.types import (
    Address,
    Arrival,
    Bounce,
    Entity,
    InletLost,
    Notice,
    Outbound,
    Settle,
    Settlement,
    Source,
    Standing,
    Support,
    Topology,
    Want,
)
from bedplate.messaging.url import TransportUrl

__all__ = ["ACK", "Basket", "Ear", "Peer", "Workbench"]

ACK = Settle(Settlement.ACK)


class _Recorder:
    """Something that hears callbacks and lets a test wait for what it wants to hear."""

    def __init__(self, patience: float) -> None:
        self.strangers: list[str] = []
        """Callbacks that came on a wrong thread, outside the loop, or after the end."""
        self._patience = patience
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._changed = asyncio.Event()

    def _heard(self, what: str) -> None:
        if threading.get_ident() != self._thread:
            self.strangers.append(f"{what} on another thread")
            self._loop.call_soon_threadsafe(self._changed.set)
            return
        self._changed.set()

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until a condition on what was heard holds."""
        try:
            async with asyncio.timeout(self._patience):
                while not condition():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            pytest.fail(f"not heard within {self._patience:g} s: {what}; heard: {self!r}")


class Ear(_Recorder):
    """The `LinkEvents` of one link, written down."""

    def __init__(self, patience: float) -> None:
        super().__init__(patience)
        self.bounces: list[tuple[str, Bounce]] = []
        self.flows: list[tuple[bool, Address | None]] = []
        self.losses: list[TransportError] = []
        self.notices: list[Notice] = []

    def bounced(self, message_id: str, why: Bounce) -> None:
        self.bounces.append((message_id, why))
        self._heard("bounced")

    def flow(self, open: bool, why: str, address: Address | None) -> None:  # noqa: A002, FBT001 - as the protocol has it
        assert isinstance(why, str)
        self.flows.append((open, address))
        self._heard("flow")

    def lost(self, why: TransportError) -> None:
        self.losses.append(why)
        self._heard("lost")

    def noticed(self, note: Notice) -> None:
        self.notices.append(note)
        self._heard("noticed")

    def __repr__(self) -> str:
        return f"Ear(bounces={self.bounces}, flows={self.flows}, losses={self.losses})"


class Basket(_Recorder):
    """The `Sink` of one inlet, written down; counts credit and complains of what exceeds it."""

    inlet: Inlet | None = None
    """None until ``take`` has returned; deliveries may come before that."""

    def __init__(self, patience: float, credit: int, *, settle: bool, grant: bool) -> None:
        super().__init__(patience)
        self.arrivals: list[Arrival] = []
        self.ends: list[InletLost] = []
        self.revocations: list[frozenset[int]] = []
        self._credit = credit
        self._settle, self._grant = settle, grant

    @property
    def bodies(self) -> list[bytes]:
        """The bodies so far, in order of arrival."""
        return [each.body for each in self.arrivals]

    def arrived(self, batch: Sequence[Arrival]) -> None:
        if not batch:
            self.strangers.append("an empty batch")
        if self.ends:
            self.strangers.append("an arrival after the end")
        self._credit -= len(batch)
        if self._credit < 0:
            self.strangers.append(f"{-self._credit} more than the credit")
        self.arrivals.extend(batch)
        if self.inlet is not None:
            self._answer(self.inlet, batch)
        self._heard("arrived")

    def opened(self, inlet: Inlet) -> None:
        """Learn the inlet, and catch up with what came early."""
        self.inlet = inlet
        self._answer(inlet, self.arrivals)

    def _answer(self, inlet: Inlet, arrivals: Sequence[Arrival]) -> None:
        if self._settle:
            for each in arrivals:
                inlet.settle(each.tag, ACK)
        if self._grant and arrivals:
            self._credit += len(arrivals)
            inlet.grant(len(arrivals))

    def revoked(self, lanes: frozenset[int]) -> None:
        self.revocations.append(lanes)
        self._heard("revoked")

    def ended(self, why: InletLost) -> None:
        self.ends.append(why)
        self._heard("ended")

    def grant(self, credit: int) -> None:
        """Grant the inlet more, and expect no more than that."""
        assert self.inlet is not None
        self._credit += credit
        self.inlet.grant(credit)

    def settle(self, arrival: Arrival, how: Settlement, delay: float = 0.0) -> None:
        """Settle one arrival."""
        assert self.inlet is not None
        self.inlet.settle(arrival.tag, Settle(how, delay))

    async def aclose(self) -> None:
        """Close the inlet."""
        assert self.inlet is not None
        await self.inlet.aclose()

    async def count(self, number: int) -> list[Arrival]:
        """Wait for so many arrivals in all, and return them."""
        await self.until(lambda: len(self.arrivals) >= number, f"{number} arrivals")
        return self.arrivals

    async def end(self) -> InletLost:
        """Wait for the end, and return its reason."""
        await self.until(lambda: bool(self.ends), "the end of the inlet")
        return self.ends[0]

    def __repr__(self) -> str:
        return f"Basket({len(self.arrivals)} arrivals: {self.bodies[-5:]!r}, ends={self.ends})"


class Peer:
    """One link with its ear, and short words for what tests do."""

    def __init__(self, link: Link, ear: Ear, patience: float) -> None:
        self.link, self.ear = link, ear
        self.baskets: list[Basket] = []
        self._patience = patience
        self._sent = 0

    def lacks(self, capability: str) -> bool:
        """Whether this peer does not claim a capability: then asking for it must raise."""
        return getattr(self.link.offers, capability) is not Support.NATIVE

    def post(self, message: Outbound) -> Receipt | None:
        """Send a message."""
        return self.link.send(message)

    def send(self, address: Address, body: bytes, want: Want = Want.NOTHING) -> str:
        """Send a body and return the id it was sent under."""
        self._sent += 1
        name = f"{self._sent}-{uuid4().hex}"
        receipt = self.link.send(Outbound(address, body, name, want))
        assert (receipt is not None) is (want is Want.ACCEPT), "a receipt is for ACCEPT, always"
        return name

    def accept(self, address: Address, body: bytes) -> Receipt:
        """Send a body with ACCEPT and return the receipt."""
        receipt = self.link.send(Outbound(address, body, uuid4().hex, Want.ACCEPT))
        assert receipt is not None, "ACCEPT gives a receipt"
        return receipt

    async def take(
        self,
        source: Source | Address,
        *,
        credit: int = 100,
        settle: bool = False,
        grant: bool = False,
    ) -> Basket:
        """Take from a source. ``settle``: acknowledge at once; ``grant``: keep credit open."""
        if isinstance(source, Address):
            source = Source(source, ack=settle)
        basket = Basket(self._patience, credit, settle=settle, grant=grant)
        self.baskets.append(basket)
        basket.opened(await self.link.take(source, basket, credit=credit))
        return basket

    async def declare(self, *entities: Entity, look: bool = False) -> tuple[Standing, ...]:
        """Declare, or look."""
        return await self.link.declare(Topology(entities), look=look)

    async def lost(self) -> TransportError:
        """Wait for the end of the link, and return its reason."""
        await self.ear.until(lambda: bool(self.ear.losses), "the end of the link")
        return self.ear.losses[0]

    def strangers(self) -> list[str]:
        """Return all callbacks that should not have been."""
        return [each for heard in (self.ear, *self.baskets) for each in heard.strangers]


class Workbench:
    """The hooks of the suite; see `bedplate.testing.contracts.driver.DriverContract`."""

    pytestmark = pytest.mark.anyio

    loop_factory: ClassVar[Callable[[], asyncio.AbstractEventLoop]] = asyncio.SelectorEventLoop
    """Makes the loop of each test; a driver that lives in its loop alone may use `TurnedLoop`."""
    patience: ClassVar[float] = 10.0
    """How long (seconds) anything may take before a test gives up."""
    quiet: ClassVar[float] = 0.3
    """How long (seconds) nothing must be heard for "it does not happen" to be believed."""
    large: ClassVar[int] = 4 * 1024 * 1024
    """The largest body (bytes) the suite really sends, where the link takes even larger ones."""
    canary: ClassVar[str] = "c4n4ry-passw0rd"
    """The password ``refused_url`` carries; it must not show up anywhere."""

    # --- what a subclass gives ------------------------------------------------------------------

    def driver(self) -> Driver:
        """Return the driver. Mandatory."""
        raise NotImplementedError("say which driver to test: override driver()")

    def url(self) -> str:
        """Return the URL of a broker that is up and may be used at will. Mandatory."""
        raise NotImplementedError("say which broker to use: override url()")

    def options(self) -> Section:
        """Return the driver's settings; the declared defaults unless overridden."""
        return self.driver().options()

    def refused_url(self) -> str:
        """Return a URL, with the password ``canary``, at which nobody answers. Mandatory."""
        raise NotImplementedError("say where nobody answers: override refused_url()")

    async def cut(self, link: Link) -> None:
        """Break the connection under a link, as a network does. Mandatory."""
        raise NotImplementedError("say how to break a link: override cut()")

    async def cancel(self, address: Address) -> bool:
        """Have the broker end all inlets of an address; False where brokers never do. Mandatory."""
        raise NotImplementedError("say how the broker cancels, or return False: override cancel()")

    async def set_flow(self, *, opened: bool) -> None:
        """Have the broker close or reopen flow for all. Mandatory where ``flow`` is claimed."""
        raise NotImplementedError("the driver claims flow: override set_flow()")

    # --- what the tests use ---------------------------------------------------------------------

    @pytest.fixture
    def anyio_backend(self) -> tuple[str, dict[str, Any]]:
        """Run the suite on asyncio, in the loop the subclass names."""
        return "asyncio", {"loop_factory": type(self).loop_factory}

    @contextlib.asynccontextmanager
    async def peer(self) -> AsyncIterator[Peer]:
        """Open a link and close it; at the end nothing may have been heard that should not."""
        ear = Ear(self.patience)
        driver = self.driver()
        link = await driver.connect(TransportUrl(self.url()), self.options(), ear)
        peer = Peer(link, ear, self.patience)
        try:
            yield peer
        finally:
            await link.aclose()
        assert peer.strangers() == []
        assert len(ear.losses) == 1, "lost is told exactly once, also after aclose"
        for basket in peer.baskets:
            if basket.inlet is not None:
                assert len(basket.ends) == 1, "ended is told exactly once"

    def topic(self) -> Address:
        """Return a topic that nobody has used before."""
        return Address.topic(f"contract-{uuid4().hex}")

    async def stay_quiet(self) -> None:
        """Give what should not happen the time to happen."""
        await asyncio.sleep(self.quiet)
