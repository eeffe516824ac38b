"""Decides, for the receiving side of one subscription, what becomes of each delivery.

Run it, drop it as expired or repeated, or park it because it was tried too often; how it is
settled; how much credit to grant; how far each lane may be committed. Pure: told what arrives and
what time it is, answers with what to tell the broker. Knows neither links, loops nor clocks, and
draws no random numbers.
"""

import enum
from collections.abc import Mapping
from math import inf
from typing import Final, NamedTuple, cast, final

from bedplate.messaging.receiving import Ack, IntakePolicy, IntakeTally
from bedplate.messaging.types import NO_HEADERS, Arrival, Headers, Settle, Settlement

__all__ = [
    "DEADLINE_HEADER",
    "TTL_HEADER",
    "Intake",
    "IntakeCounts",
    "LowWater",
    "ParkedFor",
    "Ruling",
    "Settling",
    "Verdict",
    "limit_of",
    "limits",
]

DEADLINE_HEADER: Final = "bedplate-deadline"
"""Header: wall-clock seconds since 1970 after which the message is of no use."""
TTL_HEADER: Final = "bedplate-ttl"
"""Header: seconds of life the message had left when it was sent."""

Settling = tuple[int, Settle]
"""One decision to pass to the broker: the tag it is about, and how it is settled."""


class Verdict(enum.Enum):
    """What is to be done with a delivery."""

    RUN = "run"
    EXPIRED = "expired"
    """Its time is over; it must not run."""
    DUPLICATE = "duplicate"
    """A message of this id was done already, or is at work."""
    PARK = "park"
    """It was tried often enough."""
    GONE = "gone"
    """It is no longer ours: settled, revoked, or of a link that died and will deliver it again."""


class ParkedFor(enum.Enum):
    """Why a message is set aside for a person to look at."""

    ATTEMPTS = "attempts"
    """It was tried often enough."""
    EXPIRED = "expired"
    """Its time was over."""
    REJECTED = "rejected"
    """Its receiver could not use it."""
    ASKED = "asked"
    """Its receiver asked for it."""


_RUN: Final = Verdict.RUN
_START: Final = Ack.START
_RETRY: Final = Settlement.RETRY
_ACK: Final = Settle(Settlement.ACK)
_REJECT: Final = Settle(Settlement.REJECT)


@final
class Ruling:
    """A verdict, the monotonic time the message is good for, and what to tell the broker now.

    ``attempts`` is how often the message was handed over, this time included. With ``park`` the
    broker is told nothing yet: the message is to be set aside first, and `Intake.parked` told.
    """

    __slots__ = ("attempts", "deadline", "park", "settle", "verdict")

    def __init__(
        self,
        verdict: Verdict,
        deadline: float | None = None,
        settle: Settling | None = None,
        attempts: int = 1,
        park: ParkedFor | None = None,
    ) -> None:
        self.verdict = verdict
        self.deadline = deadline
        self.settle = settle
        self.attempts = attempts
        self.park = park


@final
class IntakeCounts:
    """What an `IntakeTally` is made from; counting must cost next to nothing."""

    __slots__ = (
        "acked",
        "duplicates",
        "expired",
        "overrun",
        "park_failures",
        "parked",
        "received",
        "rejected",
        "retried",
    )

    def __init__(self) -> None:
        self.received = self.expired = self.duplicates = self.parked = 0
        self.acked = self.retried = self.rejected = self.overrun = self.park_failures = 0

    def tally(self) -> IntakeTally:
        """Return the counts as they are now."""
        return IntakeTally(
            self.received,
            self.expired,
            self.duplicates,
            self.parked,
            self.acked,
            self.retried,
            self.rejected,
            self.overrun,
            self.park_failures,
        )


@final
class _Open:
    """A delivery that is not settled."""

    __slots__ = ("arrival", "attempts", "deadline", "id", "parking", "started")

    def __init__(
        self, arrival: Arrival, message_id: str, deadline: float | None, attempts: int
    ) -> None:
        self.arrival = arrival
        self.id = message_id
        self.deadline = deadline
        self.attempts = attempts
        self.started = self.parking = False


@final
class _Done:
    """The ids that were done last, at most ``window`` of them, each for so many seconds."""

    __slots__ = ("_first", "_ids", "_seconds", "_until", "_window")

    def __init__(self, window: int, seconds: float) -> None:
        self._window, self._seconds = window, seconds
        self._until: dict[str, float] = {}
        # In the order they were done: a ring that is read from ``_first`` once it is full.
        self._ids: list[str] = []
        self._first = 0

    def has(self, message_id: str, now: float) -> bool:
        """Whether a message of this id was done and is not forgotten."""
        until = self._until.get(message_id)
        return until is not None and now < until

    def add(self, message_id: str, now: float) -> None:
        """Remember an id, or remember it for longer."""
        if not message_id or self._window <= 0:
            return
        if message_id in self._until:
            ids, first = self._ids, self._first
            self._ids, self._first = ids[first:] + ids[:first], 0
            self._ids.remove(message_id)
        self._until[message_id] = now + self._seconds
        if len(self._ids) < self._window:
            self._ids.append(message_id)
            return
        first = self._first
        del self._until[self._ids[first]]
        self._ids[first] = message_id
        self._first = first + 1 if first + 1 < self._window else 0


_GONE: Final = Ruling(Verdict.GONE)


def limits(headers: Headers, ttl: float, wall: float) -> Headers:
    """Return ``headers`` with those that carry a time to live of ``ttl`` seconds from ``wall``."""
    return {**headers, DEADLINE_HEADER: wall + ttl, TTL_HEADER: ttl}


def limit_of(headers: Headers, now: float, wall: float, skew: float = 0.0) -> float | None:
    """Return the monotonic time until which a message is good; None: for ever.

    The headers carry the end by the sender's clock and the seconds that were left at sending. The
    second bounds what a sender's clock running ahead of ours would add; ``skew`` makes up for ours
    running ahead. Headers that are no finite numbers count as absent.
    """
    if headers is NO_HEADERS:
        return None
    sent = cast("Mapping[str, object]", headers)  # a stranger's may be of any type
    found = sent if isinstance(sent, dict) else dict(sent)
    end, left = _number(found.get(DEADLINE_HEADER)), _number(found.get(TTL_HEADER))
    if end != inf:
        by_clock = end + skew - wall
        left = min(left, by_clock)
    return None if left == inf else now + left


def _number(value: object) -> float:
    """Return the number in a header, infinity for what is no finite one."""
    if isinstance(value, float):
        number = value
    elif isinstance(value, int) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:  # not every broker bounds them
            return inf
    else:
        return inf
    return number if -inf < number < inf else inf


@final
class Intake:
    """The deliveries of one subscription, from arrival to settlement, over all its links.

    ``credit`` is how many deliveries may be on their way, waiting or at work at once. Call
    ``opened`` for each new inlet, ``closed`` when one ends: its tags mean nothing afterwards.
    ``ordered`` is for brokers that only know "everything up to here" per lane: the one thing they
    are told is ACK, held back until all before it in its lane is settled. There a rejected delivery
    counts as settled, and one to be retried stays where it is and may be started again.
    """

    __slots__ = (
        "_acks",
        "_at_start",
        "_attempts",
        "_credit",
        "_done",
        "_in_use",
        "_lanes",
        "_open",
        "_open_ids",
        "_outstanding",
        "_skew",
        "_tries",
        "counts",
        "policy",
    )

    def __init__(
        self, policy: IntakePolicy, *, credit: int, acks: bool = True, ordered: bool = False
    ) -> None:
        if credit < 1:
            raise ValueError(f"a subscription needs a credit of at least 1, not {credit}")
        self.policy = policy
        self.counts = IntakeCounts()
        self._at_start = policy.ack is _START
        self._skew = policy.skew
        self._attempts = policy.attempts
        self._acks = acks
        self._credit = credit
        self._in_use = 0
        self._outstanding = 0
        self._open: dict[int, _Open] = {}
        self._open_ids: set[str] = set()
        self._done = _Done(policy.window, policy.window_seconds)
        self._tries: dict[str, int] = {}
        self._lanes = LowWater() if ordered else None

    @property
    def tally(self) -> IntakeTally:
        """What was counted so far."""
        return self.counts.tally()

    # --- credit ---------------------------------------------------------------------------------

    @property
    def unsettled(self) -> int:
        """Deliveries of the current inlet that are not settled."""
        return len(self._open)

    @property
    def in_use(self) -> int:
        """Deliveries that were handed over and not released, of whatever inlet."""
        return self._in_use

    def opened(self) -> int:
        """Return the credit to open a new inlet with. What is still at work is not granted."""
        self._outstanding = max(self._credit - self._in_use, 0)
        return self._outstanding

    def release(self, count: int = 1) -> None:
        """Give back the credit of deliveries that are off our hands.

        Raises ValueError for more than were handed over.
        """
        if count < 0 or count > self._in_use:
            raise ValueError(f"{count} deliveries released, {self._in_use} are in hand")
        self._in_use -= count

    def grant_due(self) -> int:
        """Return the credit to grant now, 0 until there is enough to be worth a word.

        Enough is half of what is not in use: beside long work the rest must not stand still.
        """
        usable = self._credit - self._in_use
        free = usable - self._outstanding
        if free * 2 < usable or free <= 0:
            return 0
        self._outstanding += free
        return free

    # --- one delivery ---------------------------------------------------------------------------

    def arrive(self, arrival: Arrival, now: float, wall: float) -> Ruling:
        """Judge a delivery. One that is not to run is settled and released by this already.

        Or, if it is to be parked, when `parked` is told so.
        """
        counts = self.counts
        counts.received += 1
        if self._outstanding:
            self._outstanding -= 1
        else:
            counts.overrun += 1
        deadline = limit_of(arrival.headers, now, wall, self._skew)
        if self._lanes is not None and arrival.position is not None:
            self._lanes.arrive(arrival.lane, arrival.position, arrival.tag)
        message_id = arrival.id
        attempts = self._count(arrival, message_id)
        verdict = self._judged(deadline, message_id, attempts, now)
        park = None if verdict is _RUN else self._parked_for(verdict)
        if verdict is _RUN or (park is not None and self._acks):
            self._in_use += 1
            if self._acks:
                self._open[arrival.tag] = entry = _Open(arrival, message_id, deadline, attempts)
                if message_id:
                    self._open_ids.add(message_id)
                if park is not None:
                    entry.started = entry.parking = True
            return Ruling(verdict, deadline, None, attempts, park)
        how = _REJECT if verdict is Verdict.PARK else _ACK
        return Ruling(verdict, deadline, self._told(arrival, arrival.tag, how), attempts)

    def start(self, tag: int, now: float) -> Ruling:
        """Judge again at the moment of execution; only on RUN may it run, and only once.

        With `Ack.START` this is where it is acknowledged. Credit is not released by this.
        """
        entry = self._open.get(tag)
        if entry is None or entry.started:
            return _GONE
        deadline = entry.deadline
        if deadline is not None and deadline <= now:
            self.counts.expired += 1
            if self.policy.park_expired:
                self._set_aside(entry)
                return Ruling(Verdict.EXPIRED, deadline, None, entry.attempts, ParkedFor.EXPIRED)
            return Ruling(Verdict.EXPIRED, deadline, self._close(tag, entry, _ACK))
        if self._done.has(entry.id, now):
            self.counts.duplicates += 1
            return Ruling(Verdict.DUPLICATE, deadline, self._close(tag, entry, _ACK))
        entry.started = True
        if not self._at_start:
            if entry.id:
                self._count_try(entry.id)
            return Ruling(_RUN, deadline)
        self.counts.acked += 1
        self._done.add(entry.id, now)
        return Ruling(_RUN, deadline, self._close(tag, entry, _ACK))

    def late(self, deadline: float | None, now: float) -> bool:
        """Judge a delivery without acknowledgement at the moment of execution: is it too late?"""
        if deadline is None or deadline > now:
            return False
        self.counts.expired += 1
        return True

    def settle(
        self, tag: int, how: Settle, now: float, *, chance: float = 1.0, delay: bool = True
    ) -> Settling | ParkedFor | None:
        """Decide about a delivery once; a later decision, or one for a dead inlet, is nothing.

        What is to be parked is answered with the reason: set it aside, and tell `parked`. Without
        parking a RETRY of the last attempt becomes REJECT. With ``delay`` a RETRY that names none
        waits as the policy's backoff says for ``chance``. Credit is not released by this.
        """
        entry = self._open.get(tag)
        if entry is None or entry.parking:
            return None
        decision = how.how
        if decision is Settlement.EXTEND:
            return tag, how
        if decision is _RETRY:
            bound = self._attempts
            if bound is not None and entry.attempts >= bound:
                if self.policy.park:
                    self._set_aside(entry)
                    return ParkedFor.ATTEMPTS
                self.counts.rejected += 1
                how = _REJECT
            else:
                self.counts.retried += 1
                if delay and how.delay == 0.0:
                    how = Settle(_RETRY, self.policy.backoff.delay(entry.attempts, chance))
                if self._lanes is not None and entry.arrival.position is not None:
                    entry.started, entry.attempts = False, entry.attempts + 1
                    return None
        elif decision is Settlement.ACK:
            self.counts.acked += 1
            self._done.add(entry.id, now)
        elif self.policy.park_rejected:
            self._set_aside(entry)
            return ParkedFor.REJECTED
        else:
            self.counts.rejected += 1
        return self._close(tag, entry, how)

    def park(self, tag: int) -> ParkedFor | None:
        """Decide that a delivery is to be parked; None: it is settled, or of a dead inlet."""
        entry = self._open.get(tag)
        if entry is None or entry.parking:
            return None
        self._set_aside(entry)
        return ParkedFor.ASKED

    def parked(self, tag: int | None, message_id: str, now: float) -> Settling | None:
        """Note that a message is set aside for sure, and say so to the broker.

        ``tag`` None: its inlet ended meanwhile; when the broker delivers it again, it is dropped.
        The credit that setting it aside took is not released by this.
        """
        self.counts.parked += 1
        self._done.add(message_id, now)
        entry = None if tag is None else self._open.get(tag)
        return None if tag is None or entry is None else self._close(tag, entry, _ACK)

    def done(self, message_id: str, now: float) -> None:
        """Note that a message of an inlet that ended was done after all; its repeat is dropped."""
        self._done.add(message_id, now)

    # --- the inlet ------------------------------------------------------------------------------

    def revoke(self, lanes: frozenset[int]) -> None:
        """Forget the deliveries of lanes that were taken away: others will get them."""
        for tag, entry in tuple(self._open.items()):
            if entry.arrival.lane in lanes:
                del self._open[tag]
                self._open_ids.discard(entry.id)
        if self._lanes is not None:
            self._lanes.revoke(lanes)

    def closed(self) -> None:
        """Forget the tags of an inlet that ended: what was unsettled will come again."""
        self._outstanding = 0
        self._open.clear()
        self._open_ids.clear()
        if self._lanes is not None:
            self._lanes = LowWater()

    # --- inside ---------------------------------------------------------------------------------

    def _judged(
        self, deadline: float | None, message_id: str, attempts: int, now: float
    ) -> Verdict:
        if deadline is not None and deadline <= now:
            self.counts.expired += 1
            return Verdict.EXPIRED
        if self._repeated(message_id, now):
            self.counts.duplicates += 1
            return Verdict.DUPLICATE
        if self._attempts is not None and attempts > self._attempts:
            return Verdict.PARK
        return _RUN

    def _parked_for(self, verdict: Verdict) -> ParkedFor | None:
        """Return why a message that does not run is parked; None: it is settled."""
        if verdict is Verdict.EXPIRED:
            return ParkedFor.EXPIRED if self.policy.park_expired else None
        if verdict is not Verdict.PARK:
            return None
        if self.policy.park:
            return ParkedFor.ATTEMPTS
        self.counts.rejected += 1
        return None

    def _set_aside(self, entry: _Open) -> None:
        """Keep a delivery unsettled, and a credit in use, until it is parked."""
        entry.parking = entry.started = True
        self._in_use += 1

    def _close(self, tag: int, entry: _Open, how: Settle) -> Settling | None:
        del self._open[tag]
        self._open_ids.discard(entry.id)
        if self._tries and how.how is not _RETRY:
            self._tries.pop(entry.id, None)
        return self._told(entry.arrival, tag, how)

    def _told(self, arrival: Arrival, tag: int, how: Settle) -> Settling | None:
        """Return what to tell the broker about a decision; None: nothing, or nothing yet."""
        if not self._acks:
            return None
        if self._lanes is None or arrival.position is None:
            return tag, how
        commit = self._lanes.settle(arrival.lane, arrival.position)
        return None if commit is None else (commit, _ACK)

    def _count(self, arrival: Arrival, message_id: str) -> int:
        """Return how often a message was handed over, this time included."""
        counted = arrival.attempts
        if counted is not None:
            return counted
        seen = 1
        if self._tries and message_id:
            seen += self._tries.get(message_id, 0)
        return 2 if seen < 2 and arrival.redelivered else seen

    def _count_try(self, message_id: str) -> None:
        tries = self._tries
        tries[message_id] = tries.pop(message_id, 0) + 1
        while len(tries) > max(self.policy.window, self._credit):
            del tries[next(iter(tries))]

    def _repeated(self, message_id: str, now: float) -> bool:
        if not message_id:
            return False
        return message_id in self._open_ids or self._done.has(message_id, now)


class _Lane(NamedTuple):
    tags: dict[int, int]
    """Unsettled and settled positions above the mark, in order of arrival, with their tags."""
    settled: set[int]


@final
class LowWater:
    """How far each lane may be committed: up to where everything is settled, never beyond.

    Positions of a lane arrive in rising order, with gaps where the broker has none.
    """

    __slots__ = ("_lanes",)

    def __init__(self) -> None:
        self._lanes: dict[int, _Lane] = {}

    def arrive(self, lane: int, position: int, tag: int) -> None:
        """Note a delivery that must be settled before anything behind it is committed."""
        here = self._lanes.get(lane)
        if here is None:
            here = self._lanes[lane] = _Lane({}, set())
        here.tags[position] = tag

    def settle(self, lane: int, position: int) -> int | None:
        """Return the tag up to which the lane may now be committed; None: no further than before.

        A position that did not arrive, was settled before, or whose lane was revoked is ignored.
        """
        here = self._lanes.get(lane)
        if here is None or position not in here.tags:
            return None
        here.settled.add(position)
        commit: int | None = None
        while here.tags:
            first = next(iter(here.tags))
            if first not in here.settled:
                break
            here.settled.remove(first)
            commit = here.tags.pop(first)
        return commit

    def pending(self, lane: int) -> Mapping[int, int]:
        """Return the positions of a lane that are not committed yet, with their tags."""
        here = self._lanes.get(lane)
        return {} if here is None else dict(here.tags)

    def revoke(self, lanes: frozenset[int]) -> None:
        """Forget lanes that belong to others now."""
        for lane in lanes:
            self._lanes.pop(lane, None)
