"""The memory driver: a broker inside this process, for tests, demos and single-process services.

``memory://NAME/VHOST``: links of one process that name the same broker (and virtual host) meet
there, from whatever thread and event loop; an empty NAME is the broker ``default``. It keeps no
message beyond the process and talks to no other. In everything a program can observe it is meant
to behave as a real broker does: it passes the same contract suite. `broker` gives tests the handle
to break things: cut links, stop, close flow, cancel consumers.

Time is the event loop's, so expiry and delays follow a turned clock. The broker's state is guarded
by one lock; whatever is told to a link is told on the link's own loop, on a later turn, all that
belongs to one turn at once.
"""

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import ClassVar, NamedTuple, cast, final

from bedplate._floor import process
from bedplate.clock import SYSTEM
from bedplate.config import Section, option
from bedplate.errors import (
    AccessRefused,
    ConnectFailed,
    InvalidUrl,
    LinkLost,
    TooLarge,
    TopologyMismatch,
    Unsupported,
)
from bedplate.messaging.driver import (
    CONTRACT,
    Inlet,
    Link,
    LinkEvents,
    Naming,
    PendingReceipt,
    Receipt,
    Sink,
    Status,
)
from bedplate.messaging.drivers._queue import Entry, Queue
from bedplate.messaging.types import (
    NO_HEADERS,
    Address,
    Arrival,
    Bounce,
    Capabilities,
    Entity,
    InletLost,
    Kind,
    Outbound,
    Outcome,
    Settle,
    Settlement,
    Source,
    Standing,
    Start,
    Support,
    Topology,
    Want,
)
from bedplate.messaging.url import TransportUrl

__all__ = [
    "MemoryBroker",
    "MemoryCounts",
    "MemoryDriver",
    "MemoryEntity",
    "MemoryNaming",
    "MemoryOptions",
    "broker",
]

_NEVER = float("inf")
_SHARED = frozenset({Kind.TOPIC, Kind.SERVER})
_NOT_YOURS = "the private address belongs to another link."

_OUTCOMES: Mapping[Bounce | None, Outcome] = MappingProxyType(
    {
        None: Outcome.ACCEPTED,
        Bounce.NO_ROUTE: Outcome.UNROUTABLE,
        Bounce.REFUSED: Outcome.REFUSED,
    }
)

_OFFERS = Capabilities(
    bounce=Support.NATIVE,
    accept=Support.NATIVE,
    ttl=Support.NATIVE,
    fanout=Support.NATIVE,
    private=Support.NATIVE,
    groups=Support.NATIVE,
    ack=Support.NATIVE,
    retry=Support.NATIVE,
    delay=Support.NATIVE,
    reject=Support.NATIVE,
    attempts=Support.NATIVE,
    key_order=Support.NATIVE,
    look=Support.NATIVE,
    flow=Support.NATIVE,
)


class MemoryOptions(Section, name="memory"):
    """The broker inside the process."""

    limit: int = option(
        default=100_000,
        min=1,
        help="Messages a queue may hold, where its declaration says nothing; more are refused.",
    )


class MemoryNaming:
    """Names of queues as the broker's listings and errors show them."""

    envelope = "native"

    def queue(self, address: Address, group: str | None) -> str:
        """Return ``exchange/topic[/server]``, with the group behind an ``@``."""
        name = f"{address.exchange}/{address.name}" if address.exchange else address.name
        if address.server_name:
            name += f"/{address.server_name}"
        if address.kind is Kind.FANOUT:
            name += "/*"
        return name if group is None else f"{name}@{group}"


_NAMING = MemoryNaming()


class MemoryEntity(NamedTuple):
    """One queue as ``MemoryBroker.entities`` lists it."""

    name: str
    messages: int
    consumers: int


class MemoryCounts(NamedTuple):
    """What became of the messages of one broker, counted since it was made.

    ``published`` counts what was sent, whatever became of it; ``returned`` deliveries that came
    back unsettled; ``rejected`` those a receiver rejected (they are dropped); ``overflowed`` the
    copies that a full fanout receiver missed.
    """

    published: int = 0
    unroutable: int = 0
    refused: int = 0
    overflowed: int = 0
    delivered: int = 0
    expired: int = 0
    returned: int = 0
    rejected: int = 0


@final
class MemoryDriver:
    """Connects to the named brokers of this process."""

    contract: ClassVar[int] = CONTRACT
    name: ClassVar[str] = "memory"
    options: ClassVar[type[Section]] = MemoryOptions
    offers: ClassVar[Capabilities] = _OFFERS
    status: ClassVar[Status] = Status()
    dialects: ClassVar[Mapping[str, Naming]] = MappingProxyType({"native": _NAMING})

    async def connect(self, url: TransportUrl, options: Section, hear: LinkEvents) -> Link:
        """Open one link. Raises `InvalidUrl`, and `ConnectFailed` while the broker is stopped."""
        if len(url.hosts) > 1 or any(host.port is not None for host in url.hosts):
            raise InvalidUrl(
                url=str(url), why="the memory driver takes one name and no port: memory://NAME/."
            )
        if not isinstance(options, MemoryOptions):
            raise TypeError(f"the memory driver takes MemoryOptions, not {type(options).__name__}")
        name = url.hosts[0].name if url.hosts else ""
        link = _Link(_find(name, url.vhost), options.limit, hear)
        await asyncio.sleep(0)
        link.open()
        return link


def broker(name: str = "", vhost: str = "") -> "MemoryBroker":
    """Return the handle on the broker that ``memory://NAME/VHOST`` connects to, made if need be."""
    return MemoryBroker(_find(name, vhost))


@final
class MemoryBroker:
    """A handle on one named broker, for tests: see what is in it and break things.

    Every method is safe from any thread and returns at once; what it does to links is felt there
    on a later turn of their loops.
    """

    __slots__ = ("_core",)

    def __init__(self, core: "_Broker") -> None:
        """Made by `broker`."""
        self._core = core

    def __repr__(self) -> str:
        return f"MemoryBroker({self._core.where!r})"

    @property
    def links(self) -> tuple[Link, ...]:
        """The links that are alive, oldest first."""
        with self._core.lock:
            return tuple(self._core.links)

    def entities(self) -> tuple[MemoryEntity, ...]:
        """List the queues, sorted by name, with their waiting messages and consumers."""
        now = _now()
        with self._core.lock:
            return tuple(
                sorted(
                    MemoryEntity(queue.name, queue.size(now), len(queue.receivers))
                    for queue in self._core.queues(now)
                )
            )

    def counts(self) -> MemoryCounts:
        """Tell what became of the messages so far."""
        with self._core.lock:
            return self._core.counts(_now())

    def cut(self, link: Link | None = None) -> None:
        """Break one link, or all: as when a connection is reset."""
        for each in self.links if link is None else (link,):
            cast("_Link", each).end("it was cut.")

    def stop(self) -> None:
        """Break all links and refuse new ones until ``start``. Queues and messages stay."""
        with self._core.lock:
            self._core.stopped = True
        self.cut()

    def start(self) -> None:
        """Let links in again after ``stop``."""
        with self._core.lock:
            self._core.stopped = False

    def close_flow(self, why: str = "memory is low", address: Address | None = None) -> None:
        """Stop taking messages, for one address or (None) for all.

        As at a broker's memory alarm: what a link sends waits, and after it whatever else that
        link says, its settlements included; links that send nothing go on.
        """
        with self._core.acting() as core:
            core.gates = {**core.gates, address: why}
            for link in core.links:
                link.tell(partial(link.flow_changed, why, address, opened=False))

    def open_flow(self, address: Address | None = None) -> None:
        """Take messages again; what waited is taken first, in its order."""
        with self._core.acting() as core:
            why = core.gates.get(address, "")
            core.gates = {each: why for each, why in core.gates.items() if each != address}
            for link in core.links:
                link.tell(partial(link.flow_changed, why, address, opened=True))

    def cancel_consumers(self, address: Address, *, group: str | None = None) -> int:
        """End the inlets of one queue, keep the queue, and return how many inlets there were."""
        with self._core.acting() as core:
            return core.cancel(address, group, _now())

    def delete(self, address: Address, *, group: str | None = None) -> int:
        """Delete one queue with its messages, end its inlets, and return how many there were."""
        with self._core.acting() as core:
            count = core.cancel(address, group, _now())
            core.forget(address, group)
            return count


# --- inside ---------------------------------------------------------------------------------------


class _Registry:
    """The named brokers of this process."""

    __slots__ = ("brokers", "lock")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.brokers: dict[tuple[str, str], _Broker] = {}


def _find(name: str, vhost: str) -> "_Broker":
    registry = process.cell("memory brokers", _Registry).get()
    key = (name or "default", vhost)
    with registry.lock:
        found = registry.brokers.get(key)
        if found is None:
            found = registry.brokers[key] = _Broker(f"memory://{key[0]}/{vhost}")
        return found


def _now() -> float:
    try:
        return asyncio.get_running_loop().time()
    except RuntimeError:
        return SYSTEM.now()


class _Broker:
    """Queues and who is at them. All but ``acting`` is called with the lock held."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.lock = threading.Lock()
        self.links: list[_Link] = []
        self.gates: Mapping[Address | None, str] = {}
        self.stopped = False
        self.serial = 0
        self._wakes: list[_Link] = []
        self._routes: dict[Address, dict[str | None, Queue]] = {}
        self._fanouts: dict[Address, list[Queue]] = {}
        self._mortal = False
        self._number = 0
        self._past_expired = 0
        self.published = self.unroutable = self.refused = self.overflowed = 0
        self.delivered = self.returned = self.rejected = 0

    @contextlib.contextmanager
    def acting(self) -> "Iterator[_Broker]":
        """Hold the lock, then wake the links that have something to hear."""
        with self.lock:
            yield self
            wakes = self.take_wakes()
        _ring(wakes)

    def wake(self, link: "_Link") -> None:
        self._wakes.append(link)

    def take_wakes(self) -> "list[_Link]":
        wakes = self._wakes
        if wakes:
            self._wakes = []
        return wakes

    def route(self, message: Outbound, now: float) -> Bounce | None:
        """Put a message where it belongs, or say why not."""
        self.published += 1
        address = message.address
        if address.kind is Kind.FANOUT:
            # Nobody there is no error: a fanout reaches all there are, even if that is none.
            queues = self._fanouts.get(address, ())
            targets = [queue for queue in queues if not queue.full(now)]
            self.overflowed += len(queues) - len(targets)
        else:
            if self._mortal:
                self._sweep(address, now)
            groups = self._routes.get(address)
            if not groups:
                self.unroutable += 1
                return Bounce.NO_ROUTE
            targets = list(groups.values())
            for queue in targets:
                if queue.full(now):
                    self.refused += 1
                    return Bounce.REFUSED
        headers = message.headers
        if headers is not NO_HEADERS:
            # What a sender does to its headers later is not seen by receivers.
            headers = MappingProxyType(dict(headers))
        expires = _NEVER if message.ttl is None else now + message.ttl
        for queue in targets:
            self._number += 1
            queue.put(Entry(message, headers, self._number, expires), now)
        return None

    def ensure(self, entity: Entity, capacity: int, now: float, *, exact: bool) -> Queue:
        """Return the queue of an entity, made if need be. With ``exact``, raise on a mismatch."""
        address, group = entity.address, entity.group
        self._sweep(address, now)
        groups = self._routes.setdefault(address, {})
        queue = groups.get(group)
        declared = (entity.expires, entity.limit)
        if queue is None:
            limit = capacity if entity.limit is None else entity.limit
            name = _NAMING.queue(address, group)
            queue = groups[group] = Queue(name, declared=declared, capacity=limit, now=now)
            self._mortal = self._mortal or entity.expires is not None
        elif exact and queue.declared != declared:
            raise TopologyMismatch(
                entity=queue.name,
                why=f"it exists with expires={queue.declared[0]}, limit={queue.declared[1]} and "
                f"was asked for with expires={entity.expires}, limit={entity.limit}; "
                f"declare it the same way everywhere, or delete it first.",
            )
        elif exact and not queue.receivers:
            queue.idle_since = now
        return queue

    def fanout(self, address: Address, capacity: int, now: float) -> Queue:
        """Make the queue of one more receiver of a fanout."""
        name = _NAMING.queue(address, None)
        queue = Queue(name, declared=(None, None), capacity=capacity, now=now)
        self._fanouts.setdefault(address, []).append(queue)
        return queue

    def look(self, address: Address, group: str | None, now: float) -> Standing:
        """Tell what is there."""
        if address.kind is Kind.FANOUT:
            queues = self._fanouts.get(address, [])
        else:
            self._sweep(address, now)
            queue = self._routes.get(address, {}).get(group)
            queues = [] if queue is None else [queue]
        if not queues:
            return Standing(exists=False, messages=0, consumers=0)
        return Standing(
            exists=True,
            messages=sum(queue.size(now) for queue in queues),
            consumers=sum(len(queue.receivers) for queue in queues),
        )

    def part(self, inlet: "_Inlet", now: float, why: InletLost | None) -> None:
        """Take an inlet off its queue; what it has not settled goes back. ``why``: tell it."""
        if inlet.parted:
            return
        inlet.parted = True
        inlet.link.inlets.remove(inlet)
        unsettled, seen = inlet.take_back()
        self.returned += seen
        address = inlet.address
        if address.kind is Kind.FANOUT:
            queues = self._fanouts[address]
            queues.remove(inlet.queue)
            self._past_expired += inlet.queue.expired
            if not queues:
                del self._fanouts[address]
        else:
            inlet.queue.leave(inlet, unsettled, now)
        if why is not None:
            inlet.link.tell(partial(inlet.tell_end, why))

    def drop(self, link: "_Link", now: float) -> None:
        """Forget a link that died and all that was its own."""
        self.links.remove(link)
        for inlet in tuple(link.inlets):
            self.part(inlet, now, InletLost.LINK)
        if link.private is not None:
            self.forget(link.private, None)

    def cancel(self, address: Address, group: str | None, now: float) -> int:
        """End the inlets of a queue."""
        inlets = [
            inlet
            for link in self.links
            for inlet in link.inlets
            if inlet.address == address and inlet.group == group
        ]
        for inlet in inlets:
            self.part(inlet, now, InletLost.CANCELLED)
        return len(inlets)

    def forget(self, address: Address, group: str | None) -> None:
        """Delete a queue with what is in it."""
        groups = self._routes.get(address, {})
        queue = groups.pop(group, None)
        if queue is not None:
            self._past_expired += queue.expired
        if not groups:
            self._routes.pop(address, None)

    def queues(self, now: float) -> list[Queue]:
        """Return every queue."""
        for address in tuple(self._routes):
            self._sweep(address, now)
        found = [queue for groups in self._routes.values() for queue in groups.values()]
        return found + [queue for queues in self._fanouts.values() for queue in queues]

    def counts(self, now: float) -> MemoryCounts:
        """Return the counts; what expired by now is counted."""
        expired = self._past_expired
        for queue in self.queues(now):
            queue.size(now)
            expired += queue.expired
        return MemoryCounts(
            published=self.published,
            unroutable=self.unroutable,
            refused=self.refused,
            overflowed=self.overflowed,
            delivered=self.delivered,
            expired=expired,
            returned=self.returned,
            rejected=self.rejected,
        )

    def _sweep(self, address: Address, now: float) -> None:
        if not self._mortal:
            return
        for group, queue in tuple(self._routes.get(address, {}).items()):
            if queue.unused(now):
                self.forget(address, group)


def _ring(links: "list[_Link]", here: asyncio.AbstractEventLoop | None = None) -> None:
    for link in links:
        link.ring(here)


class _Link:
    """One link. What is told to it waits in lists until the next turn of its loop."""

    def __init__(self, core: _Broker, limit: int, hear: LinkEvents) -> None:
        self.offers = _OFFERS
        self.loop = asyncio.get_running_loop()
        self.private: Address | None = None
        self.inlets: list[_Inlet] = []
        self.core, self._limit, self._hear = core, limit, hear
        # Guarded by the broker's lock:
        self._woken = False
        self._died: str | None = None
        self._gently = False
        self._dirty: list[_Inlet] = []
        self._news: list[Callable[[], None]] = []
        self._postponed = False
        # Only ever touched on the loop:
        self._answers: list[tuple[PendingReceipt, Outcome]] = []
        self._bounces: list[tuple[str, Bounce]] = []
        self._held: deque[_Held] = deque()
        self._waiting: set[asyncio.Future[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._gone = asyncio.Event()

    # --- the contract ---------------------------------------------------------------------------

    async def declare(self, topology: Topology, *, look: bool = False) -> tuple[Standing, ...]:
        """Make the entities exist, in order, or look at them; the first mismatch stops it."""
        await self._round_trip()
        now = self.loop.time()
        core = self.core
        standings = []
        with core.lock:
            for entity in topology.entities:
                address = entity.address
                if not look and address.kind is Kind.PRIVATE and address != self.private:
                    raise AccessRefused(where=core.where, why=_NOT_YOURS)
                if not look and address.kind in _SHARED:
                    core.ensure(entity, self._limit, now, exact=True)
                standing = core.look(address, entity.group, now)
                if not look and not standing.exists:
                    # A fanout needs nothing of its own to exist.
                    standing = Standing(exists=True, messages=0, consumers=0)
                standings.append(standing)
        return tuple(standings)

    def send(self, message: Outbound) -> Receipt | None:
        """Route a message at once; what becomes of it is told on a later turn."""
        if self._died is not None:
            raise self._lost()
        if len(message.body) > _OFFERS.max_body:
            raise TooLarge(
                what=f"A message to {message.address}",
                size=len(message.body),
                limit=_OFFERS.max_body,
            )
        receipt = PendingReceipt() if message.want is Want.ACCEPT else None
        if (self._held or self.core.gates) and self._gated(message.address):
            publish = partial(self._publish, message, receipt)
            self._held.append(_Held(message.address, publish, receipt))
        else:
            self._publish(message, receipt)
        return receipt

    async def take(self, source: Source, sink: Sink, *, credit: int) -> Inlet:
        """Start deliveries from the queue of a source, made if need be."""
        address = source.address
        if source.lanes is not None:
            raise Unsupported(driver="memory", what="lanes")
        if source.start is not Start.NEW:
            raise Unsupported(driver="memory", what="reading from the earliest message")
        if source.group is not None and address.kind not in _SHARED:
            raise Unsupported(driver="memory", what=f"a group of {address}")
        await self._round_trip()
        now = self.loop.time()
        core = self.core
        with core.acting():
            if address.kind is Kind.FANOUT:
                queue = core.fanout(address, self._limit, now)
            elif address.kind is Kind.PRIVATE and address != self.private:
                raise AccessRefused(where=core.where, why=_NOT_YOURS)
            else:
                queue = core.ensure(Entity(address, source.group), self._limit, now, exact=False)
            inlet = _Inlet(self, source, queue, sink, credit)
            self.inlets.append(inlet)
            queue.join(inlet, now)
            if queue.next_due() < _NEVER:
                self.postponed()
        return inlet

    async def private_address(self) -> Address:
        """Return the private address of this link; messages for it wait until it is taken from."""
        await self._round_trip()
        core = self.core
        with core.lock:
            if self.private is None:
                core.serial += 1
                self.private = Address.private(f"private-{core.serial}")
                now = self.loop.time()
                core.ensure(Entity(self.private), self._limit, now, exact=False)
            return self.private

    async def aclose(self) -> None:
        """Tell what is still to be told, and end."""
        self.end("this side closed it.", gently=True)
        await self._gone.wait()

    # --- what the broker and the inlets ask -----------------------------------------------------

    def open(self) -> None:
        """Step up to the broker. Raises ConnectFailed while it is stopped."""
        with self.core.acting() as core:
            if core.stopped:
                raise ConnectFailed(where=core.where, why="the broker is stopped.")
            core.links.append(self)
            for address, why in core.gates.items():
                self.tell(partial(self.flow_changed, why, address, opened=False))

    def end(self, why: str, *, gently: bool = False) -> None:
        """Die, unless dead already. Safe from any thread. Gently: known outcomes are still told."""
        with self.core.acting() as core:
            if self._died is None:
                self._died, self._gently = why, gently
                core.drop(self, _now())
                self.wake()

    def wake(self) -> None:
        """Ask for a turn. Called with the lock held."""
        if not self._woken:
            self._woken = True
            self.core.wake(self)

    def tell(self, news: Callable[[], None]) -> None:
        """Have something called on the loop. Called with the lock held."""
        self._news.append(news)
        self.wake()

    def ready(self, inlet: "_Inlet") -> None:
        """Remember that an inlet has arrivals. Called with the lock held."""
        self._dirty.append(inlet)
        self.wake()

    def postponed(self) -> None:
        """Remember that a queue has messages for later. Called with the lock held."""
        self._postponed = True
        self.wake()

    def ring(self, here: asyncio.AbstractEventLoop | None) -> None:
        """Schedule the turn that was asked for; ``here`` is the running loop, if known."""
        if here is self.loop:
            self.loop.call_soon(self._turn)
            return
        try:
            self.loop.call_soon_threadsafe(self._turn)
        except RuntimeError:
            # Its loop was closed under it: a link nobody can hear of any more.
            self.end("its event loop was closed.")

    def flow_changed(self, why: str, address: Address | None, *, opened: bool) -> None:
        """Tell of flow, and send what waited for it."""
        self._hear.flow(opened, why, address)
        if opened:
            held, self._held = self._held, deque()
            for each in held:
                if self._gated(each.address):
                    self._held.append(each)
                else:
                    each.run()

    def stuck(self) -> bool:
        """Whether nothing this link says is read for now: it has sent into closed flow."""
        return bool(self._held) and (None in self.core.gates or not self.core.gates)

    def hold(self, run: Callable[[], None]) -> None:
        """Say something after what is held."""
        self._held.append(_Held(None, run, None))

    # --- turns ----------------------------------------------------------------------------------

    def _publish(self, message: Outbound, receipt: PendingReceipt | None) -> None:
        core = self.core
        with core.lock:
            why = core.route(message, self.loop.time())
            if receipt is not None:
                self._answers.append((receipt, _OUTCOMES[why]))
                self.wake()
            elif why is not None and message.want is Want.BOUNCE:
                self._bounces.append((message.id, why))
                self.wake()
            wakes = core.take_wakes()
        if wakes:
            _ring(wakes, self.loop)

    def _turn(self) -> None:
        """Tell everything there is to tell."""
        core = self.core
        with core.lock:
            self._woken = True
            if self._postponed:
                self._promote()
            self._woken = False
            dirty, self._dirty = self._dirty, []
            batches = [(inlet.sink, inlet.drain()) for inlet in dirty]
            news, self._news = self._news, []
            died = self._died
            wakes = core.take_wakes()
        if wakes:
            _ring(wakes, self.loop)
        if self._answers or self._bounces:
            self._answer(told=died is None or self._gently)
        for sink, batch in batches:
            if batch:
                sink.arrived(batch)
        for each in news:
            each()
        if died is not None and not self._gone.is_set():
            self._bury()

    def _answer(self, *, told: bool) -> None:
        answers, self._answers = self._answers, []
        bounces, self._bounces = self._bounces, []
        for receipt, outcome in answers:
            receipt.resolve(outcome if told else Outcome.UNKNOWN)
        if told:
            for message_id, why in bounces:
                self._hear.bounced(message_id, why)

    def _promote(self) -> None:
        now = self.loop.time()
        due = _NEVER
        for inlet in self.inlets:
            inlet.queue.promote(now)
            due = min(due, inlet.queue.next_due())
        self._postponed = due < _NEVER
        if self._postponed and (self._timer is None or due < self._timer.when()):
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self.loop.call_at(due, self._timed)

    def _timed(self) -> None:
        self._timer = None
        self._turn()

    def _bury(self) -> None:
        self._gone.set()
        if self._timer is not None:
            self._timer.cancel()
        for each in self._held:
            if each.receipt is not None:
                each.receipt.resolve(Outcome.UNKNOWN)
        self._held.clear()
        for turn in self._waiting:
            _release(turn)
        self._hear.lost(self._lost())

    def _gated(self, address: Address | None) -> bool:
        gates = self.core.gates
        if None in gates:
            return address is not None or bool(self._held)
        if address is not None and address in gates:
            return True
        # What waits for the turn that flow was opened in must not be overtaken.
        return any(each.address in (None, address) for each in self._held)

    async def _round_trip(self) -> None:
        if self._died is not None:
            raise self._lost()
        turn: asyncio.Future[None] = self.loop.create_future()
        if self.stuck():
            self.hold(partial(_release, turn))
        else:
            self.loop.call_soon(_release, turn)
        self._waiting.add(turn)
        try:
            await turn
        finally:
            self._waiting.discard(turn)
        if self._died is not None:
            raise self._lost()

    def _lost(self) -> LinkLost:
        return LinkLost(where=self.core.where, why=self._died or "it is gone.")


class _Held(NamedTuple):
    """Something a link says that is not read yet; ``address`` of a message, else None."""

    address: Address | None
    run: Callable[[], None]
    receipt: PendingReceipt | None


class _Inlet:
    """One stream of deliveries. Its fields are guarded by the broker's lock."""

    def __init__(self, link: _Link, source: Source, queue: Queue, sink: Sink, credit: int) -> None:
        self.link, self.queue, self.sink = link, queue, sink
        self.address, self.group = source.address, source.group
        self.credit, self.acks = credit, source.ack
        self.held: deque[Entry] = deque()
        self.parted = False
        self._over = asyncio.Event()
        self._tag = 0
        self._ready: list[Arrival] = []
        self._unsettled: dict[int, Entry] = {}

    def settle(self, tag: int, how: Settle) -> None:
        """Decide about one delivery; see the contract. A rejected message is dropped."""
        decision = how.how
        if decision is Settlement.EXTEND:
            raise Unsupported(
                driver="memory",
                what="extending the time to settle a delivery",
                instead="It sets no such time, so there is nothing to extend.",
            )
        link = self.link
        if link.stuck():
            link.hold(partial(self.settle, tag, how))
            return
        core = link.core
        with core.lock:
            entry = self._unsettled.pop(tag, None)
            if entry is None:
                return
            queue = self.queue
            queue.settled(entry)
            if decision is Settlement.REJECT:
                core.rejected += 1
            elif decision is Settlement.RETRY:
                now = link.loop.time()
                if how.delay > 0:
                    queue.postpone(entry, now + how.delay)
                    for receiver in queue.receivers:
                        cast("_Inlet", receiver).link.postponed()
                else:
                    queue.put_back((entry,), now)
            wakes = core.take_wakes()
        if wakes:
            _ring(wakes, link.loop)

    def grant(self, credit: int) -> None:
        """Allow further deliveries."""
        link = self.link
        if link.stuck():
            link.hold(partial(self.grant, credit))
            return
        with link.core.lock:
            if self.parted:
                return
            self.queue.grant(self, credit, link.loop.time())
            wakes = link.core.take_wakes()
        if wakes:
            _ring(wakes, link.loop)

    async def aclose(self) -> None:
        """Leave the queue; what is unsettled goes back to its place."""
        with self.link.core.acting() as core:
            core.part(self, self.link.loop.time(), InletLost.CLOSED)
        await self._over.wait()

    def push(self, entry: Entry) -> None:
        """Take one message from the queue, for the next turn. Called with the lock held."""
        self._tag = tag = self._tag + 1
        message = entry.message
        entry.deliveries = attempts = entry.deliveries + 1
        self._unsettled[tag] = entry
        ready = self._ready
        ready.append(
            Arrival(
                tag,
                message.body,
                message.id,
                entry.headers,
                message.content_type,
                message.kind,
                message.correlation_id,
                message.reply_to,
                message.key,
                attempts > 1,
                attempts,
            )
        )
        if len(ready) == 1:
            self.link.ready(self)

    def drain(self) -> list[Arrival]:
        """Hand over what is ready. Called with the lock held."""
        ready, self._ready = self._ready, []
        self.link.core.delivered += len(ready)
        if not self.acks:
            self._unsettled.clear()
        return ready

    def take_back(self) -> tuple[list[Entry], int]:
        """Give up everything unsettled, and say how many of it had been handed over."""
        entries = list(self._unsettled.values())
        for arrival in self._ready:
            # Nobody has seen these: they were not delivered.
            self._unsettled[arrival.tag].deliveries -= 1
        seen = len(entries) - len(self._ready)
        self._unsettled.clear()
        self._ready = []
        return entries, seen

    def tell_end(self, why: InletLost) -> None:
        """Tell the sink of the end."""
        self._over.set()
        self.sink.ended(why)


def _release(turn: "asyncio.Future[None]") -> None:
    if not turn.done():
        turn.set_result(None)
