"""Decides, for the receiving side of one subscription, what becomes of each delivery.

Run it, drop it as expired or repeated, or park it because it was tried too often; how it is
settled; how much credit to grant; how far each lane may be committed. Pure: told what arrives and
what time it is, answers with what to tell the broker. Knows neither links, loops nor clocks, and
draws no random numbers.
"""

import enum
import math
from collections.abc import Mapping
from typing import NamedTuple

from msgspec import Struct

from bedplate._floor.backoff import Backoff
from bedplate.messaging.types import NO_HEADERS, Arrival, Headers, Settle, Settlement

__all__ = [
    "DEADLINE_HEADER",
    "TTL_HEADER",
    "Ack",
    "Intake",
    "IntakePolicy",
    "IntakeTally",
    "LowWater",
    "ParkedFor",
    "Ruling",
    "Settling",
    "Verdict",
    "limit_of",
    "limits",
]

DEADLINE_HEADER = "bedplate-deadline"
"""Header: wall-clock seconds since 1970 after which the message is of no use."""
TTL_HEADER = "bedplate-ttl"
"""Header: seconds of life the message had left when it was sent."""

_ACK = Settle(Settlement.ACK)
_REJECT = Settle(Settlement.REJECT)
_NOTHING: "tuple[Settling, ...]" = ()


class Ack(enum.Enum):
    """When a delivery is acknowledged."""

    START = "start"
    """When its execution begins: it runs at most once.

    If the link dies before the broker has read that, the broker hands the message out again: this
    receiver drops the repeat, another one cannot know.
    """
    DONE = "done"
    """When it is settled afterwards: it runs at least once."""


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


class IntakePolicy(Struct, frozen=True, kw_only=True):
    """How one subscription treats its deliveries. Times are in seconds.

    ``attempts`` bounds how often one message runs (None: no bound), counted by the broker where it
    counts and by message id otherwise. After that it is parked, or, without ``park``, rejected,
    which dead-letters it where the broker is set up so. ``park_expired`` and ``park_rejected`` park
    those as well. ``park_limit`` bounds how many messages a parking place holds (None: no bound):
    what finds it full stays where it was, and setting it aside is tried again later. ``backoff``
    paces retries that name no delay. The last ``window`` ids that were done within
    ``window_seconds`` are remembered to drop repeats; 0 remembers none, and messages without id are
    never taken for repeats. ``skew`` is how far ahead of a sender's this machine's clock is
    believed to run at most: so much longer a message counts as alive.
    """

    ack: Ack = Ack.DONE
    attempts: int | None = 10
    backoff: Backoff = Backoff(1.0, 2.0, 300.0)
    window: int = 1000
    window_seconds: float = 300.0
    skew: float = 0.0
    park: bool = True
    park_expired: bool = False
    park_rejected: bool = False
    park_limit: int | None = None


class Settling(NamedTuple):
    """One decision to pass to the broker."""

    tag: int
    how: Settle


class Ruling(NamedTuple):
    """A verdict, the monotonic time the message is good for, and what to tell the broker now.

    ``attempts`` is how often the message was handed over, this time included. With ``park`` the
    broker is told nothing yet: the message is to be set aside first, and `Intake.parked` told.
    """

    verdict: Verdict
    deadline: float | None = None
    settle: "tuple[Settling, ...]" = ()
    attempts: int = 1
    park: ParkedFor | None = None


class IntakeTally(Struct):
    """Counts since the subscription began. What is ``parked`` is set aside for sure."""

    received: int = 0
    expired: int = 0
    duplicates: int = 0
    parked: int = 0
    acked: int = 0
    retried: int = 0
    rejected: int = 0
    overrun: int = 0
    """Deliveries beyond the credit granted: a driver or broker that does not keep to it."""
    park_failures: int = 0
    """How often setting a message aside failed; it stays where it was and is tried again."""


class _Open(Struct):
    id: str
    lane: int
    position: int | None
    deadline: float | None
    attempts: int
    started: bool = False
    parking: bool = False


_GONE = Ruling(Verdict.GONE)


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
    end, left = _number(headers.get(DEADLINE_HEADER)), _number(headers.get(TTL_HEADER))
    if end is not None:
        by_clock = end + skew - wall
        left = by_clock if left is None else min(by_clock, left)
    return None if left is None else now + left


def _number(value: object) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    return None


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
        "_credit",
        "_done",
        "_in_use",
        "_lanes",
        "_open",
        "_open_ids",
        "_outstanding",
        "_tries",
        "policy",
        "tally",
    )

    def __init__(
        self, policy: IntakePolicy, *, credit: int, acks: bool = True, ordered: bool = False
    ) -> None:
        if credit < 1:
            raise ValueError(f"a subscription needs a credit of at least 1, not {credit}")
        self.policy = policy
        self.tally = IntakeTally()
        self._acks = acks
        self._credit = credit
        self._in_use = 0
        self._outstanding = 0
        self._open: dict[int, _Open] = {}
        self._open_ids: set[str] = set()
        self._done: dict[str, float] = {}
        self._tries: dict[str, int] = {}
        self._lanes = LowWater() if ordered else None

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
        tally = self.tally
        tally.received += 1
        if self._outstanding:
            self._outstanding -= 1
        else:
            tally.overrun += 1
        deadline = limit_of(arrival.headers, now, wall, self.policy.skew)
        ordered = self._lanes is not None and arrival.position is not None
        if ordered:
            self._lane_arrived(arrival)
        attempts = self._attempts(arrival)
        policy = self.policy
        verdict = Verdict.RUN
        how = park = None
        if deadline is not None and deadline <= now:
            tally.expired += 1
            verdict, how = Verdict.EXPIRED, _ACK
            park = ParkedFor.EXPIRED if policy.park_expired else None
        elif self._repeated(arrival.id, now):
            tally.duplicates += 1
            verdict, how = Verdict.DUPLICATE, _ACK
        elif policy.attempts is not None and attempts > policy.attempts:
            verdict, how = Verdict.PARK, _REJECT
            park = ParkedFor.ATTEMPTS if policy.park else None
            tally.rejected += park is None
        if how is None or (park is not None and self._acks):
            self._in_use += 1
            if self._acks:
                position = arrival.position if ordered else None
                self._open[arrival.tag] = entry = _Open(
                    arrival.id, arrival.lane, position, deadline, attempts
                )
                if arrival.id:
                    self._open_ids.add(arrival.id)
                if park is not None:
                    entry.started = entry.parking = True
            return Ruling(verdict, deadline, _NOTHING, attempts, park)
        settle = self._tell(arrival.tag, arrival.lane, arrival.position if ordered else None, how)
        return Ruling(verdict, deadline, settle, attempts)

    def start(self, tag: int, now: float) -> Ruling:
        """Judge again at the moment of execution; only on RUN may it run, and only once.

        With `Ack.START` this is where it is acknowledged. Credit is not released by this.
        """
        entry = self._open.get(tag)
        if entry is None or entry.started:
            return _GONE
        if entry.deadline is not None and entry.deadline <= now:
            self.tally.expired += 1
            if self.policy.park_expired:
                self._set_aside(entry)
                return Ruling(
                    Verdict.EXPIRED, entry.deadline, _NOTHING, entry.attempts, ParkedFor.EXPIRED
                )
            return Ruling(Verdict.EXPIRED, entry.deadline, self._close(tag, entry, _ACK))
        if self._done_before(entry.id, now):
            self.tally.duplicates += 1
            return Ruling(Verdict.DUPLICATE, entry.deadline, self._close(tag, entry, _ACK))
        entry.started = True
        if entry.id:
            self._count_try(entry.id)
        if self.policy.ack is Ack.DONE:
            return Ruling(Verdict.RUN, entry.deadline)
        self.tally.acked += 1
        self._remember(entry.id, now)
        return Ruling(Verdict.RUN, entry.deadline, self._close(tag, entry, _ACK))

    def late(self, deadline: float | None, now: float) -> bool:
        """Judge a delivery without acknowledgement at the moment of execution: is it too late?"""
        if deadline is None or deadline > now:
            return False
        self.tally.expired += 1
        return True

    def settle(
        self, tag: int, how: Settle, now: float, *, chance: float = 1.0, delay: bool = True
    ) -> tuple[Settling, ...] | ParkedFor:
        """Decide about a delivery once; a later decision, or one for a dead inlet, is nothing.

        What is to be parked is answered with the reason: set it aside, and tell `parked`. Without
        parking a RETRY of the last attempt becomes REJECT. With ``delay`` a RETRY that names none
        waits as the policy's backoff says for ``chance``. Credit is not released by this.
        """
        entry = self._open.get(tag)
        if entry is None or entry.parking:
            return _NOTHING
        if how.how is Settlement.EXTEND:
            return (Settling(tag, how),)
        if how.how is Settlement.RETRY:
            bound = self.policy.attempts
            if bound is not None and entry.attempts >= bound:
                if self.policy.park:
                    self._set_aside(entry)
                    return ParkedFor.ATTEMPTS
                self.tally.rejected += 1
                how = _REJECT
            else:
                self.tally.retried += 1
                if delay and how.delay == 0.0:
                    how = Settle(
                        Settlement.RETRY, self.policy.backoff.delay(entry.attempts, chance)
                    )
                if entry.position is not None:
                    entry.started, entry.attempts = False, entry.attempts + 1
                    return _NOTHING
        elif how.how is Settlement.ACK:
            self.tally.acked += 1
            self._remember(entry.id, now)
        elif self.policy.park_rejected:
            self._set_aside(entry)
            return ParkedFor.REJECTED
        else:
            self.tally.rejected += 1
        return self._close(tag, entry, how)

    def park(self, tag: int) -> ParkedFor | None:
        """Decide that a delivery is to be parked; None: it is settled, or of a dead inlet."""
        entry = self._open.get(tag)
        if entry is None or entry.parking:
            return None
        self._set_aside(entry)
        return ParkedFor.ASKED

    def parked(self, tag: int | None, message_id: str, now: float) -> tuple[Settling, ...]:
        """Note that a message is set aside for sure, and say so to the broker.

        ``tag`` None: its inlet ended meanwhile; when the broker delivers it again, it is dropped.
        The credit that setting it aside took is not released by this.
        """
        self.tally.parked += 1
        self._remember(message_id, now)
        entry = None if tag is None else self._open.get(tag)
        return _NOTHING if tag is None or entry is None else self._close(tag, entry, _ACK)

    def done(self, message_id: str, now: float) -> None:
        """Note that a message of an inlet that ended was done after all; its repeat is dropped."""
        self._remember(message_id, now)

    # --- the inlet ------------------------------------------------------------------------------

    def revoke(self, lanes: frozenset[int]) -> None:
        """Forget the deliveries of lanes that were taken away: others will get them."""
        for tag, entry in tuple(self._open.items()):
            if entry.lane in lanes:
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

    def _set_aside(self, entry: _Open) -> None:
        """Keep a delivery unsettled, and a credit in use, until it is parked."""
        entry.parking = entry.started = True
        self._in_use += 1

    def _close(self, tag: int, entry: _Open, how: Settle) -> tuple[Settling, ...]:
        del self._open[tag]
        self._open_ids.discard(entry.id)
        if how.how is not Settlement.RETRY:
            self._tries.pop(entry.id, None)
        return self._tell(tag, entry.lane, entry.position, how)

    def _tell(self, tag: int, lane: int, position: int | None, how: Settle) -> tuple[Settling, ...]:
        if not self._acks:
            return _NOTHING
        if self._lanes is None or position is None:
            return (Settling(tag, how),)
        commit = self._lanes.settle(lane, position)
        return _NOTHING if commit is None else (Settling(commit, _ACK),)

    def _lane_arrived(self, arrival: Arrival) -> None:
        if self._lanes is not None and arrival.position is not None:
            self._lanes.arrive(arrival.lane, arrival.position, arrival.tag)

    def _attempts(self, arrival: Arrival) -> int:
        if arrival.attempts is not None:
            return arrival.attempts
        seen = self._tries.get(arrival.id, 0) + 1 if arrival.id else 1
        return max(seen, 2) if arrival.redelivered else seen

    def _count_try(self, message_id: str) -> None:
        tries = self._tries
        tries[message_id] = tries.pop(message_id, 0) + 1
        while len(tries) > max(self.policy.window, self._credit):
            del tries[next(iter(tries))]

    def _repeated(self, message_id: str, now: float) -> bool:
        if not message_id:
            return False
        return message_id in self._open_ids or self._done_before(message_id, now)

    def _done_before(self, message_id: str, now: float) -> bool:
        until = self._done.get(message_id)
        return until is not None and now < until

    def _remember(self, message_id: str, now: float) -> None:
        window = self.policy.window
        if not message_id or not window:
            return
        done = self._done
        done.pop(message_id, None)
        done[message_id] = now + self.policy.window_seconds
        if len(done) > window:
            del done[next(iter(done))]


class _Lane(NamedTuple):
    tags: dict[int, int]
    """Unsettled and settled positions above the mark, in order of arrival, with their tags."""
    settled: set[int]


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
