"""Links and inlets of the memory driver: what is said to the broker, and told by it, on one loop.

A link says things at once and hears of them on a later turn of its loop, all that belongs to one
turn together: that is what makes it behave, and cost, like a wire.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import NamedTuple, ParamSpec, cast

from bedplate.errors import AccessRefused, ConnectFailed, LinkLost, TooLarge, Unsupported
from bedplate.messaging.driver import Inlet, LinkEvents, PendingReceipt, Receipt, Sink
from bedplate.messaging.drivers.memory._broker import NEVER, SHARED, Broker, now_here, ring
from bedplate.messaging.drivers.memory._queue import Entry, Queue
from bedplate.messaging.types import (
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

__all__ = ["OFFERS", "MemoryInlet", "MemoryLink"]

_OUTCOMES: Mapping[Bounce | None, Outcome] = MappingProxyType(
    {
        None: Outcome.ACCEPTED,
        Bounce.NO_ROUTE: Outcome.UNROUTABLE,
        Bounce.REFUSED: Outcome.REFUSED,
    }
)

OFFERS = Capabilities(
    bounce=Support.NATIVE,
    accept=Support.NATIVE,
    ttl=Support.NATIVE,
    fanout=Support.NATIVE,
    private=Support.NATIVE,
    groups=Support.NATIVE,
    place=Support.NATIVE,
    ack=Support.NATIVE,
    retry=Support.NATIVE,
    delay=Support.NATIVE,
    reject=Support.NATIVE,
    attempts=Support.NATIVE,
    key_order=Support.NATIVE,
    look=Support.NATIVE,
    flow=Support.NATIVE,
)
P = ParamSpec("P")

_NOT_YOURS = "the private address belongs to another link."


class MemoryLink:
    """One link. What is told to it waits in lists until the next turn of its loop."""

    def __init__(self, core: Broker, limit: int, hear: LinkEvents) -> None:
        self.offers = OFFERS
        self.loop = asyncio.get_running_loop()
        self.private: Address | None = None
        self.inlets: list[MemoryInlet] = []
        self.core, self._limit, self._hear = core, limit, hear
        # Guarded by the broker's lock:
        self._woken = False
        self._died: str | None = None
        self._gently = False
        self._dirty: list[MemoryInlet] = []
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
                if not look and address.kind in SHARED:
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
        if len(message.body) > OFFERS.max_body:
            raise TooLarge(
                what=f"A message to {message.address}",
                size=len(message.body),
                limit=OFFERS.max_body,
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
        if source.group is not None and address.kind not in SHARED:
            raise Unsupported(driver="memory", what=f"a group of {address}")
        if address.kind is Kind.PLACE:
            raise Unsupported(driver="memory", what="taking from a place by its name")
        await self._round_trip()
        now = self.loop.time()
        core = self.core
        with core.acting():
            if address.kind is Kind.FANOUT:
                queue = core.fanout(address, self._limit, now)
            elif address.kind is Kind.PRIVATE and address != self.private:
                raise AccessRefused(where=core.where, why=_NOT_YOURS)
            elif source.existing:
                queue = core.existing(address, source.group, now)
            else:
                queue = core.ensure(Entity(address, source.group), self._limit, now, exact=False)
            inlet = MemoryInlet(self, source, queue, sink, credit)
            self.inlets.append(inlet)
            queue.join(inlet, now)
            if queue.next_due() < NEVER:
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
                core.drop(self, now_here())
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

    def ready(self, inlet: "MemoryInlet") -> None:
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
            ring(wakes, self.loop)

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
            ring(wakes, self.loop)
        if self._answers or self._bounces:
            self._answer(told=died is None or self._gently)
        for sink, batch in batches:
            if batch:
                self._call(sink.arrived, batch)
        for each in news:
            self._call(each)
        if died is not None and not self._gone.is_set():
            self._bury()

    def _call(self, callback: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            callback(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - reported below, as a loop does for callbacks
            # The contract forbids it; whoever does it anyway must not deafen the others.
            context = {"message": "A callback of a memory link raised.", "exception": error}
            self.loop.call_exception_handler(context)

    def _answer(self, *, told: bool) -> None:
        answers, self._answers = self._answers, []
        bounces, self._bounces = self._bounces, []
        for receipt, outcome in answers:
            receipt.resolve(outcome if told else Outcome.UNKNOWN)
        if told:
            for message_id, why in bounces:
                self._call(self._hear.bounced, message_id, why)

    def _promote(self) -> None:
        now = self.loop.time()
        due = NEVER
        for inlet in self.inlets:
            inlet.queue.promote(now)
            due = min(due, inlet.queue.next_due())
        self._postponed = due < NEVER
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


class MemoryInlet:
    """One stream of deliveries. Its fields are guarded by the broker's lock."""

    def __init__(
        self, link: MemoryLink, source: Source, queue: Queue, sink: Sink, credit: int
    ) -> None:
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
                        cast("MemoryInlet", receiver).link.postponed()
                else:
                    queue.put_back((entry,), now)
            wakes = core.take_wakes()
        if wakes:
            ring(wakes, link.loop)

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
            ring(wakes, link.loop)

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
