"""One queue of the memory broker: order, expiry, sharing, redelivery. Pure.

Answers for which message goes to which receiver next. Is told ``now`` (monotonic seconds) and
handed receivers to push to; knows no lock, no loop, no link and no broker.
"""

import heapq
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Protocol

from msgspec import Struct

from bedplate.messaging.types import HeaderValue, Outbound

__all__ = ["Entry", "Queue", "Receiver"]

_NEVER = float("inf")


class Entry(Struct):
    """One message in one queue.

    ``number`` rises from message to message of a broker and is the order in which messages are
    delivered. ``deliveries`` counts how often it was handed to a receiver.
    """

    message: Outbound
    headers: Mapping[str, HeaderValue]
    number: int
    expires: float = _NEVER
    deliveries: int = 0


class Receiver(Protocol):
    """What a queue needs of those it delivers to."""

    credit: int
    acks: bool
    held: deque[Entry]
    """Messages of keys whose earlier messages this receiver still has; it has no credit then."""

    def push(self, entry: Entry) -> None:
        """Take one message. Neither calls back into the queue nor raises."""
        ...


class _Owner:
    """The receiver that has unsettled messages of one key, and how many."""

    __slots__ = ("count", "receiver")

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        self.count = 0


class Queue:
    """Messages waiting for those who share them.

    Messages are delivered in the order they were put, round robin among receivers with credit.
    Those with a key go to the receiver that has unsettled messages of that key, so a key's
    messages never overtake each other; a retry with a delay gives up its place.
    """

    __slots__ = (
        "_eager",
        "_later",
        "_owners",
        "_soonest",
        "_waiting",
        "capacity",
        "declared",
        "expired",
        "idle_since",
        "name",
        "receivers",
    )

    def __init__(
        self, name: str, *, declared: tuple[float | None, int | None], capacity: int, now: float
    ) -> None:
        """Begin empty. ``declared`` is (expires, limit), ``capacity`` the limit in force."""
        self.name, self.declared, self.capacity = name, declared, capacity
        self.expired = 0
        self.idle_since = now
        self.receivers: list[Receiver] = []
        self._eager: deque[Receiver] = deque()
        self._waiting: deque[Entry] = deque()
        self._later: list[tuple[float, int, Entry]] = []
        self._owners: dict[str, _Owner] = {}
        self._soonest = _NEVER

    def size(self, now: float) -> int:
        """How many messages wait, expired ones not counted."""
        self._drop_expired(now)
        held = (entry for receiver in self.receivers for entry in receiver.held)
        later = (entry for _, _, entry in self._later)
        apart = sum(1 for entry in chain(held, later) if entry.expires > now)
        return len(self._waiting) + apart

    def full(self, now: float) -> bool:
        """Whether the next message must be refused."""
        # The length is a lower bound that costs nothing; most queues are almost empty.
        if len(self._waiting) < self.capacity and not self._later and not self._owners:
            return False
        return self.size(now) >= self.capacity

    def unused(self, now: float) -> bool:
        """Whether nobody has received from it for as long as it was declared to live unused."""
        expires = self.declared[0]
        return expires is not None and not self.receivers and now - self.idle_since >= expires

    def put(self, entry: Entry, now: float) -> None:
        """Add the newest message and deliver what can be delivered."""
        if entry.expires < self._soonest:  # noqa: PLR1730 - min() costs as much as the rest
            self._soonest = entry.expires
        self._waiting.append(entry)
        if self._eager:
            self.dispatch(now)

    def put_back(self, entries: Iterable[Entry], now: float) -> None:
        """Return messages to the places they had, then deliver."""
        returned = sorted(entries, key=_number)
        for entry in returned:
            self._soonest = min(self._soonest, entry.expires)
        _merge(self._waiting, returned)
        self.dispatch(now)

    def postpone(self, entry: Entry, due: float) -> None:
        """Keep a message back until ``due``; see ``next_due`` and ``promote``."""
        heapq.heappush(self._later, (due, entry.number, entry))

    def next_due(self) -> float:
        """When the next postponed message is due; infinity if none is."""
        return self._later[0][0] if self._later else _NEVER

    def promote(self, now: float) -> None:
        """Return the postponed messages that are due."""
        due: list[Entry] = []
        while self._later and self._later[0][0] <= now:
            due.append(heapq.heappop(self._later)[2])
        if due:
            self.put_back(due, now)

    def join(self, receiver: Receiver, now: float) -> None:
        """Add a receiver and deliver to it."""
        self.receivers.append(receiver)
        self.promote(now)
        if receiver.credit > 0:
            self._eager.append(receiver)
            self.dispatch(now)

    def leave(self, receiver: Receiver, unsettled: Iterable[Entry], now: float) -> None:
        """Remove a receiver; what it had not settled goes to the others, in its old place."""
        self.receivers.remove(receiver)
        if receiver in self._eager:
            self._eager.remove(receiver)
        for key in [key for key, owner in self._owners.items() if owner.receiver is receiver]:
            del self._owners[key]
        held, receiver.held = receiver.held, deque()
        if not self.receivers:
            self.idle_since = now
        self.put_back([*unsettled, *held], now)

    def grant(self, receiver: Receiver, credit: int, now: float) -> None:
        """Give a receiver more credit and deliver to it."""
        was_open = receiver.credit > 0
        receiver.credit += credit
        held = receiver.held
        while held and receiver.credit > 0:
            entry = held.popleft()
            if entry.expires <= now:
                self.expired += 1
                self._disown(entry)
                continue
            receiver.credit -= 1
            receiver.push(entry)
        if not was_open and receiver.credit > 0:
            self._eager.append(receiver)
        self.dispatch(now)

    def settled(self, entry: Entry) -> None:
        """Forget that a receiver has this message; its key may move to another receiver."""
        if entry.message.key is not None:
            self._disown(entry)

    def dispatch(self, now: float) -> None:
        """Deliver while there are messages and receivers with credit."""
        waiting, eager = self._waiting, self._eager
        while waiting and eager:
            entry = waiting.popleft()
            if entry.expires <= now:
                self.expired += 1
                continue
            receiver = eager[0]
            key = entry.message.key
            if key is not None:
                owner = self._owners.get(key)
                if owner is not None:
                    receiver = owner.receiver
                    owner.count += 1
                    if receiver.credit <= 0:
                        _merge(receiver.held, (entry,))
                        continue
                elif receiver.acks:
                    owner = self._owners[key] = _Owner(receiver)
                    owner.count = 1
            receiver.credit -= 1
            receiver.push(entry)
            if receiver is eager[0]:
                if receiver.credit > 0:
                    eager.rotate(-1)
                else:
                    eager.popleft()
            elif receiver.credit <= 0:
                eager.remove(receiver)

    def _disown(self, entry: Entry) -> None:
        key = entry.message.key
        if key is None:
            return
        owner = self._owners.get(key)
        if owner is not None:
            owner.count -= 1
            if owner.count <= 0:
                del self._owners[key]

    def _drop_expired(self, now: float) -> None:
        if now < self._soonest:
            return
        alive = deque(entry for entry in self._waiting if entry.expires > now)
        self.expired += len(self._waiting) - len(alive)
        # The same deque stays: a dispatch further up may be walking it.
        self._waiting.clear()
        self._waiting.extend(alive)
        self._soonest = min((each.expires for each in alive), default=_NEVER)


def _merge(places: deque[Entry], returned: Sequence[Entry]) -> None:
    if not returned:
        return
    if not places or returned[-1].number < places[0].number:
        places.extendleft(reversed(returned))
    elif returned[0].number > places[-1].number:
        places.extend(returned)
    else:
        merged = list(heapq.merge(returned, places, key=_number))
        places.clear()
        places.extend(merged)


def _number(entry: Entry) -> int:
    return entry.number
