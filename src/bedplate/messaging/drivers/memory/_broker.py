"""The broker inside the process: its queues, its routes, and who is at them.

Decides what becomes of a message; knows no event loop but to ring a link. Its state is guarded by
one lock. Whatever is told to a link is told on the link's own loop, on a later turn.
"""

import asyncio
import contextlib
import threading
from collections.abc import Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from bedplate._floor import process
from bedplate.clock import SYSTEM
from bedplate.errors import NoSuchTarget, TopologyMismatch
from bedplate.messaging.drivers.memory._queue import Entry, Queue
from bedplate.messaging.types import (
    NO_HEADERS,
    Address,
    Bounce,
    Entity,
    InletLost,
    Kind,
    Outbound,
    Standing,
)

if TYPE_CHECKING:
    from bedplate.messaging.drivers.memory._link import MemoryInlet, MemoryLink

__all__ = [
    "NAMING",
    "NEVER",
    "SHARED",
    "Broker",
    "MemoryCounts",
    "MemoryNaming",
    "find",
    "now_here",
    "ring",
]

SHARED = frozenset({Kind.TOPIC, Kind.SERVER})
"""Kinds of address whose queues outlive the links that use them."""
NEVER = float("inf")

_ESCAPES = (("%", "%25"), ("/", "%2F"), ("@", "%40"), ("*", "%2A"))


class MemoryNaming:
    """Names of queues as the broker's listings and errors show them."""

    envelope = "native"

    def queue(self, address: Address, group: str | None) -> str:
        """Return ``exchange/topic[/server]``, with the group behind an ``@``.

        The marks ``% / @ *`` inside a part are percent-encoded.
        """
        if address.kind is Kind.PLACE:
            return address.name
        parts = [address.exchange, address.name] if address.exchange else [address.name]
        if address.server_name:
            parts.append(address.server_name)
        name = "/".join(map(_escaped, parts))
        if address.kind is Kind.FANOUT:
            name += "/*"
        return name if group is None else f"{name}@{_escaped(group)}"


def _escaped(part: str) -> str:
    # What separates parts of a name must not occur in them, or two queues could share a name.
    for mark, escape in _ESCAPES:
        part = part.replace(mark, escape)
    return part


NAMING = MemoryNaming()


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


class _Registry:
    """The named brokers of this process."""

    __slots__ = ("brokers", "lock")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.brokers: dict[tuple[str, str], Broker] = {}


def find(name: str, vhost: str) -> "Broker":
    registry = process.cell("memory brokers", _Registry).get()
    key = (name or "default", vhost)
    with registry.lock:
        found = registry.brokers.get(key)
        if found is None:
            found = registry.brokers[key] = Broker(f"memory://{key[0]}/{vhost}")
        return found


def now_here() -> float:
    try:
        return asyncio.get_running_loop().time()
    except RuntimeError:
        return SYSTEM.now()


class Broker:
    """Queues and who is at them. All but ``acting`` is called with the lock held."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.lock = threading.Lock()
        self.links: list[MemoryLink] = []
        self.gates: Mapping[Address | None, str] = {}
        self.stopped = False
        self.serial = 0
        self._wakes: list[MemoryLink] = []
        self._routes: dict[Address, dict[str | None, Queue]] = {}
        self._fanouts: dict[Address, list[Queue]] = {}
        self._mortal = False
        self._number = 0
        self._past_expired = 0
        self.published = self.unroutable = self.refused = self.overflowed = 0
        self.delivered = self.returned = self.rejected = 0

    @contextlib.contextmanager
    def acting(self) -> "Iterator[Broker]":
        """Hold the lock, then wake the links that have something to hear."""
        with self.lock:
            yield self
            wakes = self.take_wakes()
        ring(wakes)

    def wake(self, link: "MemoryLink") -> None:
        self._wakes.append(link)

    def take_wakes(self) -> "list[MemoryLink]":
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
            groups = self._routes.get(address) or self._place(address, now)
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
        expires = NEVER if message.ttl is None else now + message.ttl
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
            name = NAMING.queue(address, group)
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

    def existing(self, address: Address, group: str | None, now: float) -> Queue:
        """Return the queue that is there. Raises NoSuchTarget if none is."""
        self._sweep(address, now)
        queue = self._routes.get(address, {}).get(group)
        if queue is None:
            raise NoSuchTarget(target=NAMING.queue(address, group))
        return queue

    def fanout(self, address: Address, capacity: int, now: float) -> Queue:
        """Make the queue of one more receiver of a fanout."""
        name = NAMING.queue(address, None)
        queue = Queue(name, declared=(None, None), capacity=capacity, now=now)
        self._fanouts.setdefault(address, []).append(queue)
        return queue

    def look(self, address: Address, group: str | None, now: float) -> Standing:
        """Tell what is there."""
        if address.kind is Kind.FANOUT:
            queues = self._fanouts.get(address, [])
        else:
            self._sweep(address, now)
            queue = (self._routes.get(address) or self._place(address, now)).get(group)
            queues = [] if queue is None else [queue]
        if not queues:
            return Standing(exists=False, messages=0, consumers=0)
        return Standing(
            exists=True,
            messages=sum(queue.size(now) for queue in queues),
            consumers=sum(len(queue.receivers) for queue in queues),
        )

    def part(self, inlet: "MemoryInlet", now: float, why: InletLost | None) -> None:
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

    def drop(self, link: "MemoryLink", now: float) -> None:
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

    def _place(self, address: Address, now: float) -> dict[str | None, Queue]:
        """Find the one queue that a place names."""
        if address.kind is not Kind.PLACE:
            return {}
        named = next((each for each in self.queues(now) if each.name == address.name), None)
        return {} if named is None else {None: named}

    def _sweep(self, address: Address, now: float) -> None:
        if not self._mortal:
            return
        for group, queue in tuple(self._routes.get(address, {}).items()):
            if queue.unused(now):
                self.forget(address, group)


def ring(links: "list[MemoryLink]", here: asyncio.AbstractEventLoop | None = None) -> None:
    for link in links:
        link.ring(here)
