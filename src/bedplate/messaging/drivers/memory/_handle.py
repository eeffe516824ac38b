"""The handle that tests have on a memory broker: see what is in it, and break things."""

from functools import partial
from typing import NamedTuple, cast, final

from bedplate.messaging.driver import Link
from bedplate.messaging.drivers.memory._broker import Broker, MemoryCounts, find, now_here
from bedplate.messaging.drivers.memory._link import MemoryLink
from bedplate.messaging.types import Address

__all__ = ["MemoryBroker", "MemoryEntity", "broker"]


class MemoryEntity(NamedTuple):
    """One queue as ``MemoryBroker.entities`` lists it."""

    name: str
    messages: int
    consumers: int


def broker(name: str = "", vhost: str = "") -> "MemoryBroker":
    """Return the handle on the broker that ``memory://NAME/VHOST`` connects to, made if need be."""
    return MemoryBroker(find(name, vhost))


@final
class MemoryBroker:
    """A handle on one named broker, for tests: see what is in it and break things.

    Every method is safe from any thread and returns at once; what it does to links is felt there
    on a later turn of their loops.
    """

    __slots__ = ("_core",)

    def __init__(self, core: "Broker") -> None:
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
        now = now_here()
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
            return self._core.counts(now_here())

    def cut(self, link: Link | None = None) -> None:
        """Break one link, or all: as when a connection is reset."""
        for each in self.links if link is None else (link,):
            cast("MemoryLink", each).end("it was cut.")

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
            if address not in core.gates:
                return
            why = core.gates[address]
            core.gates = {each: why for each, why in core.gates.items() if each != address}
            for link in core.links:
                link.tell(partial(link.flow_changed, why, address, opened=True))

    def cancel_consumers(self, address: Address, *, group: str | None = None) -> int:
        """End the inlets of one queue, keep the queue, and return how many inlets there were."""
        with self._core.acting() as core:
            return core.cancel(address, group, now_here())

    def delete(self, address: Address, *, group: str | None = None) -> int:
        """Delete one queue with its messages, end its inlets, and return how many there were."""
        with self._core.acting() as core:
            count = core.cancel(address, group, now_here())
            core.forget(address, group)
            return count
