"""Links that fail on purpose: any driver, with what goes wrong decided by the test.

::

    faults = Faults()
    transport = Transport.connect("memory://", driver=faulty(MemoryDriver(), faults))
    faults.sending.drop(nth=3)                 # the third message from now on is lost
    faults.arriving.delay(2.0, where=lambda arrival: arrival.kind == "reply")
    faults.freeze()                            # a black hole, until thaw()
    faults.deafen(orders)                      # its receivers are forgotten, without a word
    faults.cut()                               # all links die
    faults.refuse()                            # and none comes back, until accept()

Everything is deterministic: numbers count messages, chances come from the random generator handed
in, time is the event loop's. Without faults the driver behaves as the one inside, and passes the
same contract suite. Knows the contract and no driver.
"""

import asyncio
import contextlib
import heapq
import random
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Generic, TypeVar, cast, final

from bedplate.config import Section
from bedplate.errors import ConnectFailed, LinkLost, TransportError
from bedplate.messaging.driver import (
    Driver,
    Inlet,
    Link,
    LinkEvents,
    PendingReceipt,
    Receipt,
    Sink,
)
from bedplate.messaging.types import (
    Address,
    Arrival,
    Bounce,
    Capabilities,
    InletLost,
    Kind,
    Notice,
    Outbound,
    Outcome,
    Settle,
    Settlement,
    Source,
    Standing,
    Support,
    Topology,
    Want,
)
from bedplate.messaging.url import TransportUrl

__all__ = ["FaultLane", "Faults", "FaultyLink", "faulty"]

T = TypeVar("T", Outbound, Arrival)

_CLAIM: Mapping[Settlement, str] = MappingProxyType(
    {
        Settlement.ACK: "ack",
        Settlement.RETRY: "retry",
        Settlement.REJECT: "reject",
        Settlement.EXTEND: "extend",
    }
)


class _Rule(Generic[T]):
    """One thing that goes wrong with some messages."""

    __slots__ = ("_chance", "_nth", "_seen", "_where", "copies", "cut", "delay", "drop")

    def __init__(
        self, nth: int | None, chance: float | None, where: Callable[[T], bool] | None
    ) -> None:
        if nth is not None and nth < 1:
            raise ValueError("nth counts from 1")
        if chance is not None and not 0 <= chance <= 1:
            raise ValueError("a chance is a number from 0 to 1")
        self._nth, self._chance = nth, chance
        self._where: Callable[[T], bool] | None = where
        self._seen = 0
        self.drop = self.cut = False
        self.delay = 0.0
        self.copies = 0

    def hits(self, message: T, rng: random.Random) -> bool:
        if self._where is not None and not self._where(message):
            return False
        self._seen += 1
        if self._nth is not None and self._seen != self._nth:
            return False
        return self._chance is None or rng.random() < self._chance


@final
class FaultLane(Generic[T]):
    """What goes wrong in one direction, on all links together.

    Each method adds a rule from now on. Its arguments narrow it: ``where`` to messages for which
    it is true, ``nth`` to one of those (counted from 1 and from now), ``chance`` (0 to 1) to some
    of those. Without any it holds for every message. ``clear`` takes back all rules.
    """

    def __init__(self, rng: random.Random, *, repeats: bool) -> None:
        """Made by `Faults`."""
        self._rng = rng
        self._repeats = repeats
        self._rules: list[_Rule[T]] = []

    def drop(
        self,
        *,
        nth: int | None = None,
        chance: float | None = None,
        where: Callable[[T], bool] | None = None,
    ) -> None:
        """Lose messages. The sender hears nothing; a receipt is answered when the link dies.

        A lost arrival stays unsettled at the broker, as after any delivery nobody answers.
        """
        self._add(nth, chance, where).drop = True

    def delay(
        self,
        seconds: float,
        *,
        nth: int | None = None,
        chance: float | None = None,
        where: Callable[[T], bool] | None = None,
    ) -> None:
        """Keep messages back for some seconds; those not kept back overtake them."""
        self._add(nth, chance, where).delay = seconds

    def repeat(
        self,
        copies: int = 1,
        *,
        nth: int | None = None,
        chance: float | None = None,
        where: Callable[[T], bool] | None = None,
    ) -> None:
        """Send messages again under the same id, as a sender does that repeats what was unsure.

        Raises ValueError for arrivals: to the receiver these are two deliveries of one sending.
        """
        if not self._repeats:
            raise ValueError("arrivals are repeated by repeating what is sent")
        self._add(nth, chance, where).copies = copies

    def cut(
        self,
        *,
        nth: int | None = None,
        chance: float | None = None,
        where: Callable[[T], bool] | None = None,
    ) -> None:
        """Let the link die right after the message has passed."""
        self._add(nth, chance, where).cut = True

    def clear(self) -> None:
        """Take back all rules of this lane; what is delayed already stays delayed."""
        self._rules.clear()

    def _add(
        self, nth: int | None, chance: float | None, where: Callable[[T], bool] | None
    ) -> _Rule[T]:
        rule = _Rule(nth, chance, where)
        self._rules.append(rule)
        return rule

    def judge(self, message: T) -> _Rule[T] | None:
        """Say what becomes of a message; None for nothing special."""
        fate: _Rule[T] | None = None
        for rule in self._rules:
            if rule.hits(message, self._rng):
                if fate is None:
                    fate = _Rule(None, None, None)
                fate.drop = fate.drop or rule.drop
                fate.cut = fate.cut or rule.cut
                fate.delay += rule.delay
                fate.copies += rule.copies
        return fate

    @property
    def calm(self) -> bool:
        """Whether there are no rules."""
        return not self._rules


@final
class Faults:
    """What goes wrong on the links of one faulty driver. Change it at any time, on their loop.

    ``sending`` and ``arriving`` are the two directions; ``seed`` makes the chances repeatable.
    """

    def __init__(self, *, seed: int = 0) -> None:
        rng = random.Random(seed)  # noqa: S311 - chances of a test, not secrets
        self.sending: FaultLane[Outbound] = FaultLane(rng, repeats=True)
        self.arriving: FaultLane[Arrival] = FaultLane(rng, repeats=False)
        self._links: list[FaultyLink] = []
        self._thawed = asyncio.Event()
        self._thawed.set()
        self._refusing: str | None = None

    @property
    def links(self) -> "tuple[FaultyLink, ...]":
        """The links that are alive, oldest first."""
        return tuple(self._links)

    @property
    def frozen(self) -> bool:
        """Whether nothing passes."""
        return not self._thawed.is_set()

    def freeze(self) -> None:
        """Let nothing pass any more, in either direction, and nobody notice.

        What is said meanwhile waits for ``thaw``, in order; never thawed, it is a black hole.
        Closing a link works, as it does without a network. New links wait, too.
        """
        self._thawed.clear()

    def thaw(self) -> None:
        """Let everything pass again, first what waited."""
        self._thawed.set()
        for link in self.links:
            link.thaw()

    def cut(self, link: Link | None = None, *, why: str = "it was cut.") -> None:
        """Break one link, or all. They hear of it on a later turn."""
        for each in self.links:
            if link is None or each is link:
                each.cut(why)

    def deafen(self, address: Address | None = None) -> None:
        """Have the broker forget who receives from an address (None: from any), without a word.

        Their inlets stay open and nothing comes through them.
        """
        for link in self.links:
            for inlet in tuple(link.inlets):
                if address is None or inlet.address == address:
                    inlet.deafen()

    def refuse(self, why: str = "nobody listens.") -> None:
        """Let every attempt to connect fail."""
        self._refusing = why

    def accept(self) -> None:
        """Let links be opened again."""
        self._refusing = None

    async def admit(self, where: str) -> None:
        """Wait while frozen; raise `ConnectFailed` while refusing."""
        await self._thawed.wait()
        if self._refusing is not None:
            raise ConnectFailed(where=where, why=self._refusing)

    def joined(self, link: "FaultyLink") -> None:
        """Remember a link."""
        self._links.append(link)

    def left(self, link: "FaultyLink") -> None:
        """Forget a link."""
        if link in self._links:
            self._links.remove(link)


def faulty(driver: Driver, faults: Faults) -> Driver:
    """Return a driver whose links are those of ``driver`` with ``faults``."""
    return cast("Driver", _FaultyDriver(driver, faults))


class _FaultyDriver:
    """The driver inside, but for its links. What a class declares is here the instance's."""

    def __init__(self, driver: Driver, faults: Faults) -> None:
        self._driver, self._faults = driver, faults
        self.contract, self.name, self.options = driver.contract, driver.name, driver.options
        self.offers, self.status, self.dialects = driver.offers, driver.status, driver.dialects

    async def connect(self, url: TransportUrl, options: Section, hear: LinkEvents) -> Link:
        where = ",".join(host.where for host in url.hosts) or url.driver
        await self._faults.admit(where)
        link = FaultyLink(self._faults, hear, where)
        link.carry(await self._driver.connect(url, options, link))
        return link


@final
class FaultyLink:
    """A `Link` that fails as its `Faults` say. It is also the `LinkEvents` of the link inside."""

    def __init__(self, faults: Faults, hear: LinkEvents, where: str) -> None:
        """Made by the driver that `faulty` returns; ``carry`` gives it the link inside."""
        self.offers = Capabilities()
        self._faults, self._hear, self._where = faults, hear, where
        self._loop = asyncio.get_running_loop()
        self._inside: Link | None = None
        self._died: TransportError | None = None
        self.inlets: list[_FaultyInlet] = []
        self._receipts: set[PendingReceipt] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._frozen: list[Callable[[], object]] = []
        self._later: list[tuple[float, int, Callable[[], object]]] = []
        self._serial = 0
        self._timer: asyncio.TimerHandle | None = None
        self._changed = asyncio.Event()
        self._told = asyncio.Event()

    def carry(self, inside: Link) -> None:
        """Learn the link inside."""
        self._inside, self.offers = inside, inside.offers
        if self._died is None:
            self._faults.joined(self)

    # --- Link -----------------------------------------------------------------------------------

    async def declare(self, topology: Topology, *, look: bool = False) -> tuple[Standing, ...]:
        """Declare, once things pass."""
        return await (await self.through()).declare(topology, look=look)

    def send(self, message: Outbound) -> Receipt | None:
        """Send, or what the faults make of it."""
        inside = self._alive()
        sending = self._faults.sending
        fate = None if sending.calm else sending.judge(message)
        if (fate is None and not self._faults.frozen) or self._refuses(message):
            answer = inside.send(message)
            return None if answer is None else self._relay(answer, self._promise())
        receipt = self._promise() if message.want is Want.ACCEPT else None
        post = partial(self._post, message, receipt)
        if fate is None:
            self.let_pass(post)
            return receipt
        if not fate.drop:
            for _ in range(1 + fate.copies):
                self.let_pass(post, fate.delay)
        if fate.cut:
            self.let_pass(partial(self.cut, "it was cut after a message."), fate.delay)
        return receipt

    async def take(self, source: Source, sink: Sink, *, credit: int) -> Inlet:
        """Take, once things pass."""
        inside = await self.through()
        inlet = _FaultyInlet(self, self._faults, source.address, sink)
        inlet.opened(await inside.take(source, inlet, credit=credit))
        self._alive()
        self.inlets.append(inlet)
        return inlet

    async def private_address(self) -> Address:
        """Return the private address of the link inside, once things pass."""
        return await (await self.through()).private_address()

    async def aclose(self) -> None:
        """Close the link inside; works while frozen."""
        if self._died is None and self._inside is not None:
            await self._inside.aclose()
        await self._told.wait()
        if self._tasks:
            await asyncio.wait(self._tasks)

    # --- LinkEvents, heard from the link inside -------------------------------------------------

    def bounced(self, message_id: str, why: Bounce) -> None:
        """Pass a bounce on."""
        self.let_pass(partial(self._hear.bounced, message_id, why))

    def flow(self, open: bool, why: str, address: Address | None) -> None:  # noqa: A002, FBT001 - as the protocol has it
        """Pass a change of flow on."""
        self.let_pass(partial(self._hear.flow, open, why, address))

    def lost(self, why: TransportError) -> None:
        """Die with the link inside."""
        self._die(why)

    def noticed(self, note: Notice) -> None:
        """Pass a notice on."""
        self.let_pass(partial(self._hear.noticed, note))

    # --- faults ---------------------------------------------------------------------------------

    def cut(self, why: str) -> None:
        """Die now, and let the link inside follow."""
        if self._died is None:
            self._die(LinkLost(where=self._where, why=why))
            if self._inside is not None:
                self.do(self._inside.aclose())

    def thaw(self) -> None:
        """Let pass what waited."""
        self._changed.set()
        frozen, self._frozen = self._frozen, []
        for each in frozen:
            self.let_pass(each)

    def let_pass(self, run: Callable[[], object], delay: float = 0.0) -> None:
        """Do something now, or ``delay`` seconds from now, but not before things pass."""
        if self._died is not None:
            return
        if delay > 0:
            self._serial += 1
            heapq.heappush(self._later, (self._loop.time() + delay, self._serial, run))
            self._arm()
        elif self._faults.frozen:
            self._frozen.append(run)
        else:
            run()

    # --- inside ---------------------------------------------------------------------------------

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._later[0][0], self._due) if self._later else None

    def _due(self) -> None:
        self._timer = None
        now = self._loop.time()
        # One turn of a loop may come a little early by its own clock.
        while self._later and self._later[0][0] <= now:
            self.let_pass(heapq.heappop(self._later)[2])
        if self._died is None:
            self._arm()

    def _refuses(self, message: Outbound) -> bool:
        offers = self.offers
        return (
            len(message.body) > offers.max_body
            or (message.want is Want.ACCEPT and offers.accept is not Support.NATIVE)
            or (message.want is Want.BOUNCE and offers.bounce is not Support.NATIVE)
            or (message.ttl is not None and offers.ttl is not Support.NATIVE)
            or (message.address.kind is Kind.FANOUT and offers.fanout is not Support.NATIVE)
            or (message.address.kind is Kind.PLACE and offers.place is not Support.NATIVE)
        )

    def _promise(self) -> PendingReceipt:
        receipt = PendingReceipt()
        self._receipts.add(receipt)
        return receipt

    def _post(self, message: Outbound, receipt: PendingReceipt | None) -> None:
        if self._inside is not None:
            answer = self._inside.send(message)
            if answer is not None and receipt is not None:
                self._relay(answer, receipt)

    def _relay(self, answer: Receipt, receipt: PendingReceipt) -> PendingReceipt:
        async def relay() -> None:
            self.let_pass(partial(self._answer, receipt, await answer))

        self.do(relay())
        return receipt

    def _answer(self, receipt: PendingReceipt, outcome: Outcome) -> None:
        receipt.resolve(outcome)
        self._receipts.discard(receipt)

    def do(self, work: Coroutine[object, None, None]) -> None:
        """Do something beside."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _alive(self) -> Link:
        if self._died is not None or self._inside is None:
            raise LinkLost(where=self._where, why="the link has ended.")
        return self._inside

    async def through(self) -> Link:
        """Wait while nothing passes, and return the link inside."""
        inside = self._alive()
        while self._faults.frozen:
            self._changed.clear()
            await self._changed.wait()
            self._alive()
        return inside

    def _die(self, why: TransportError) -> None:
        if self._died is None:
            self._died = why
            self._faults.left(self)
            self._loop.call_soon(self._tell)

    def _tell(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._later.clear()
        self._frozen.clear()
        self._changed.set()
        for receipt in self._receipts:
            receipt.resolve(Outcome.UNKNOWN)
        self._receipts.clear()
        for inlet in tuple(self.inlets):
            inlet.end(InletLost.LINK)
        if self._died is not None:
            self._hear.lost(self._died)
        self._told.set()


class _FaultyInlet:
    """The inlet as the receiver sees it, and the sink as the inlet inside sees it."""

    def __init__(self, link: FaultyLink, faults: Faults, address: Address, sink: Sink) -> None:
        self._link, self._faults, self._sink = link, faults, sink
        self.address = address
        self._deaf = False
        self._inside: Inlet | None = None
        self._ended = False
        self._lost = 0

    def opened(self, inside: Inlet) -> None:
        self._inside = inside
        self._replace_credit()

    # --- Inlet ----------------------------------------------------------------------------------

    def settle(self, tag: int, how: Settle) -> None:
        if self._inside is not None:
            settle = partial(self._inside.settle, tag, how)
            if self._faults.frozen and not self._refuses(how):
                self._link.let_pass(settle)
            else:
                settle()

    def grant(self, credit: int) -> None:
        if self._inside is not None:
            self._link.let_pass(partial(self._inside.grant, credit))

    async def aclose(self) -> None:
        with contextlib.suppress(LinkLost):
            await self._link.through()
        if self._inside is not None:
            await self._inside.aclose()
        if self._deaf:
            self.end(InletLost.CLOSED)

    def deafen(self) -> None:
        """Close the inlet inside and tell nobody."""
        if self._inside is not None and not self._deaf:
            self._deaf = True
            self._link.do(self._inside.aclose())

    def _refuses(self, how: Settle) -> bool:
        offers = self._link.offers
        return getattr(offers, _CLAIM[how.how]) is not Support.NATIVE or (
            how.delay > 0 and offers.delay is not Support.NATIVE
        )

    # --- Sink -----------------------------------------------------------------------------------

    def arrived(self, batch: Sequence[Arrival]) -> None:
        lane = self._faults.arriving
        if lane.calm:
            self._link.let_pass(partial(self._hand_over, batch))
            return
        cut = False
        for arrival in batch:
            fate = lane.judge(arrival)
            if fate is not None:
                cut = cut or fate.cut
                if fate.drop:
                    self._lost += 1
                    continue
            delay = 0.0 if fate is None else fate.delay
            self._link.let_pass(partial(self._hand_over, (arrival,)), delay)
        self._replace_credit()
        if cut:
            self._link.let_pass(partial(self._link.cut, "it was cut after an arrival."))

    def revoked(self, lanes: frozenset[int]) -> None:
        self._link.let_pass(partial(self._sink.revoked, lanes))

    def ended(self, why: InletLost) -> None:
        if not self._deaf:
            self._link.let_pass(partial(self.end, why))

    def end(self, why: InletLost) -> None:
        """Tell the receiver of the end, once."""
        if not self._ended:
            self._ended = True
            if self in self._link.inlets:
                self._link.inlets.remove(self)
            self._sink.ended(why)

    def _hand_over(self, batch: Sequence[Arrival]) -> None:
        if not self._ended:
            self._sink.arrived(batch)

    def _replace_credit(self) -> None:
        # Only the message is lost, not the receiver's idea of how many may still come.
        if self._lost and self._inside is not None:
            self._inside.grant(self._lost)
            self._lost = 0
