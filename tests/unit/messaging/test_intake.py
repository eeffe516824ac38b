import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bedplate._floor.backoff import Backoff
from bedplate.messaging.intake import (
    DEADLINE_HEADER,
    TTL_HEADER,
    Intake,
    LowWater,
    ParkedFor,
    Settling,
    Verdict,
    limit_of,
    limits,
)
from bedplate.messaging.receiving import Ack, IntakePolicy
from bedplate.messaging.types import NO_HEADERS, Arrival, Headers, Settle, Settlement

NOW, WALL = 1_000.0, 1_700_000_000.0
ACK, RETRY, REJECT = (Settle(how) for how in (Settlement.ACK, Settlement.RETRY, Settlement.REJECT))


def opened(policy: IntakePolicy | None = None, *, credit: int = 10, acks: bool = True) -> Intake:
    intake = Intake(policy or IntakePolicy(), credit=credit, acks=acks)
    intake.opened()
    return intake


def arrival(tag: int = 1, **fields: object) -> Arrival:
    return Arrival(tag, b"", **fields)  # type: ignore[arg-type]  # tests name the fields they mean


# --- time to live -------------------------------------------------------------------------------


def test_a_message_without_limits_lives_for_ever() -> None:
    """No header, no end."""
    assert limit_of(NO_HEADERS, NOW, WALL) is None
    assert limit_of({"other": 1}, NOW, WALL) is None


def test_the_time_a_message_was_on_its_way_counts() -> None:
    """What had 30 seconds to live and took 10 to arrive has 20 left."""
    headers = limits({"kept": "yes"}, 30.0, WALL)
    assert headers["kept"] == "yes"
    assert limit_of(headers, NOW, WALL + 10) == NOW + 20


def test_a_sender_whose_clock_runs_ahead_adds_nothing() -> None:
    """A message never lives longer here than it had left when it was sent."""
    headers = limits({}, 30.0, WALL + 3600)
    assert limit_of(headers, NOW, WALL) == NOW + 30


def test_skew_makes_up_for_a_receiver_whose_clock_runs_ahead() -> None:
    """With an allowance, a message is not taken for expired because of that much difference."""
    headers = limits({}, 30.0, WALL)
    late = limit_of(headers, NOW, WALL + 60)
    assert late is not None
    assert late < NOW
    assert limit_of(headers, NOW, WALL + 60, 60.0) == NOW + 30


@pytest.mark.parametrize(
    "value", ["soon", b"1", True, None, math.nan, math.inf, pytest.param(10**400, id="vast")]
)
def test_headers_that_are_no_numbers_limit_nothing(value: str | bytes | float | None) -> None:
    """What strangers write into these headers cannot break or expire anything by accident."""
    headers: Headers = {DEADLINE_HEADER: value, TTL_HEADER: value}
    assert limit_of(headers, NOW, WALL) is None


def test_an_expired_arrival_is_settled_and_not_run() -> None:
    """What arrives after its time is acknowledged away and counted."""
    intake = opened()
    ruling = intake.arrive(arrival(headers=limits({}, 1.0, WALL - 1)), NOW, WALL)
    assert ruling.verdict is Verdict.EXPIRED
    assert ruling.settle == (1, ACK)
    assert (intake.tally.expired, intake.unsettled, intake.in_use) == (1, 0, 0)


def test_what_expires_while_it_waits_does_not_start() -> None:
    """The limit is looked at again at the moment of execution."""
    intake = opened()
    assert intake.arrive(arrival(headers=limits({}, 1.0, WALL)), NOW, WALL).deadline == NOW + 1
    ruling = intake.start(1, NOW + 1)
    assert ruling.verdict is Verdict.EXPIRED
    assert ruling.settle == (1, ACK)


# --- acknowledging ------------------------------------------------------------------------------


def test_ack_start_acknowledges_when_execution_begins() -> None:
    """At most once: the broker forgets the message as it starts, and later settling is nothing."""
    intake = opened(IntakePolicy(ack=Ack.START))
    assert intake.arrive(arrival(), NOW, WALL).settle is None
    ruling = intake.start(1, NOW)
    assert (ruling.verdict, ruling.settle) == (Verdict.RUN, (1, ACK))
    assert intake.settle(1, RETRY, NOW) is None


def test_ack_done_waits_for_the_decision() -> None:
    """At least once: nothing is told at the start, the decision is told once."""
    intake = opened()
    intake.arrive(arrival(), NOW, WALL)
    assert intake.start(1, NOW).settle is None
    assert intake.settle(1, ACK, NOW) == (1, ACK)
    assert intake.settle(1, ACK, NOW) is None


def test_a_delivery_starts_only_once() -> None:
    """Starting what runs already, or what was settled, is GONE."""
    intake = opened()
    intake.arrive(arrival(), NOW, WALL)
    assert intake.start(1, NOW).verdict is Verdict.RUN
    assert intake.start(1, NOW).verdict is Verdict.GONE
    assert intake.start(99, NOW).verdict is Verdict.GONE


def test_extending_does_not_settle() -> None:
    """A delivery may be extended often and is settled afterwards."""
    intake = opened()
    intake.arrive(arrival(), NOW, WALL)
    extend = Settle(Settlement.EXTEND)
    assert intake.settle(1, extend, NOW) == (1, extend)
    assert intake.settle(1, extend, NOW) == (1, extend)
    assert intake.settle(1, REJECT, NOW) == (1, REJECT)


# --- attempts -----------------------------------------------------------------------------------


def told(
    intake: Intake, tag: int, how: Settle, now: float = NOW, *, delay: bool = True
) -> Settling | None:
    """Settle what is not parked by that."""
    answer = intake.settle(tag, how, now, delay=delay)
    assert not isinstance(answer, ParkedFor)
    return answer


def test_retries_wait_longer_each_time_and_end_in_parking() -> None:
    """With a broker that counts, the last attempt is not retried but parked."""
    intake = opened(IntakePolicy(attempts=3, backoff=Backoff(1.0, 2.0, 60.0)))
    answers: list[Settling | ParkedFor | None] = []
    for attempt in (1, 2, 3):
        intake.arrive(arrival(attempt, id="m", attempts=attempt), NOW, WALL)
        intake.start(attempt, NOW)
        answers.append(intake.settle(attempt, RETRY, NOW))
    retry = Settlement.RETRY
    assert answers == [
        (1, Settle(retry, 1.0)),
        (2, Settle(retry, 2.0)),
        ParkedFor.ATTEMPTS,
    ]
    assert (intake.tally.retried, intake.tally.parked, intake.unsettled) == (2, 0, 1)


def test_without_parking_the_last_attempt_is_rejected() -> None:
    """Who wants no parking place has it dropped, or dead-lettered by the broker, and counted."""
    intake = opened(IntakePolicy(attempts=1, park=False))
    intake.arrive(arrival(attempts=1), NOW, WALL)
    assert told(intake, 1, RETRY) == (1, REJECT)
    ruling = intake.arrive(arrival(2, attempts=2), NOW, WALL)
    assert (ruling.verdict, ruling.settle) == (Verdict.PARK, (2, REJECT))
    assert (intake.tally.rejected, intake.tally.parked) == (2, 0)


def test_what_is_being_parked_stays_unsettled_until_that_is_sure() -> None:
    """Nobody else decides about it meanwhile; then it is acknowledged, and its repeat dropped."""
    intake = opened(IntakePolicy(attempts=1))
    intake.arrive(arrival(id="m", attempts=1), NOW, WALL)
    assert intake.settle(1, RETRY, NOW) is ParkedFor.ATTEMPTS
    assert told(intake, 1, ACK) is None
    assert intake.park(1) is None
    assert intake.start(1, NOW).verdict is Verdict.GONE
    assert intake.parked(1, "m", NOW) == (1, ACK)
    assert intake.parked(1, "m", NOW) is None
    ruling = intake.arrive(arrival(2, id="m", attempts=2), NOW, WALL)
    assert (ruling.verdict, ruling.settle) == (Verdict.DUPLICATE, (2, ACK))


def test_what_was_parked_after_its_inlet_ended_is_not_parked_again() -> None:
    """The broker delivers it once more, for it heard of nothing; then it is dropped."""
    intake = opened(IntakePolicy(attempts=1))
    intake.arrive(arrival(id="m", attempts=2), NOW, WALL)
    intake.closed()
    intake.opened()
    assert intake.parked(None, "m", NOW) is None
    assert intake.arrive(arrival(id="m", attempts=3), NOW, WALL).verdict is Verdict.DUPLICATE


def test_what_is_being_parked_takes_a_credit() -> None:
    """However many are to be parked, no more are held here than the credit allows."""
    intake = opened(IntakePolicy(attempts=1), credit=4)
    for tag in range(4):
        assert intake.arrive(arrival(tag, attempts=2), NOW, WALL).park is ParkedFor.ATTEMPTS
    assert (intake.in_use, intake.grant_due()) == (4, 0)
    for tag in range(4):
        intake.parked(tag, "", NOW)
        intake.release()
    assert (intake.in_use, intake.grant_due()) == (0, 4)


@pytest.mark.parametrize("asked", [True, False])
def test_the_expired_and_the_rejected_are_parked_where_that_is_asked_for(asked: bool) -> None:  # noqa: FBT001 - both
    """Otherwise they are gone."""
    intake = opened(IntakePolicy(park_expired=asked, park_rejected=asked))
    ruling = intake.arrive(arrival(1, headers=limits({}, 1.0, WALL - 1)), NOW, WALL)
    assert (ruling.verdict, ruling.park) == (
        Verdict.EXPIRED,
        ParkedFor.EXPIRED if asked else None,
    )
    intake.arrive(arrival(2, headers=limits({}, 1.0, WALL)), NOW, WALL)
    assert intake.start(2, NOW + 1).park is (ParkedFor.EXPIRED if asked else None)
    intake.arrive(arrival(3), NOW, WALL)
    answer = intake.settle(3, REJECT, NOW)
    assert answer == (ParkedFor.REJECTED if asked else (3, REJECT))
    assert (intake.tally.expired, intake.unsettled) == (2, 3 if asked else 0)


def test_the_application_may_park_what_it_has_in_hand() -> None:
    """Asking is a decision like the others: there is one, and only while it is ours."""
    intake = opened()
    intake.arrive(arrival(), NOW, WALL)
    intake.start(1, NOW)
    assert intake.park(1) is ParkedFor.ASKED
    assert intake.park(1) is None
    assert intake.park(99) is None


def test_what_nobody_acknowledges_is_not_parked() -> None:
    """At most once: the broker has forgotten it, and there is nothing to keep back."""
    intake = opened(IntakePolicy(attempts=1, park_expired=True), acks=False)
    assert intake.arrive(arrival(1, attempts=2), NOW, WALL).park is None
    late = arrival(2, headers=limits({}, 1.0, WALL - 1))
    assert intake.arrive(late, NOW, WALL).park is None
    assert intake.in_use == 0


def test_a_named_delay_is_kept() -> None:
    """Who says how long to wait is not overruled, and without backoff 0 means at once."""
    intake = opened()
    for tag in (1, 2):
        intake.arrive(arrival(tag), NOW, WALL)
    later = Settle(Settlement.RETRY, 7.5)
    assert told(intake, 1, later) == (1, later)
    assert told(intake, 2, RETRY, delay=False) == (2, RETRY)


def test_what_was_delivered_too_often_is_parked_unseen() -> None:
    """A message that killed its consumers before they could decide is not run again."""
    intake = opened(IntakePolicy(attempts=3))
    ruling = intake.arrive(arrival(attempts=4), NOW, WALL)
    assert (ruling.verdict, ruling.settle) == (Verdict.PARK, None)
    assert ruling.park is ParkedFor.ATTEMPTS


def test_attempts_are_counted_by_id_where_the_broker_does_not() -> None:
    """A broker that says no more than 'again' cannot make a message run without end."""
    intake = opened(IntakePolicy(attempts=3))
    ran = 0
    for tag in range(10):
        again = arrival(tag, id="m", redelivered=tag > 0)
        if intake.arrive(again, NOW, WALL).verdict is not Verdict.RUN:
            break
        intake.start(tag, NOW)
        ran += 1
        if intake.settle(tag, RETRY, NOW) is ParkedFor.ATTEMPTS:
            break
    assert ran == 3


# --- repeats ------------------------------------------------------------------------------------


def test_a_repeat_of_what_was_done_is_dropped() -> None:
    """A message sent twice under one id, because its fate was unknown, runs once."""
    intake = opened()
    intake.arrive(arrival(1, id="m"), NOW, WALL)
    assert intake.arrive(arrival(2, id="m"), NOW, WALL).verdict is Verdict.DUPLICATE
    intake.settle(1, ACK, NOW)
    ruling = intake.arrive(arrival(3, id="m"), NOW + 299, WALL)
    assert (ruling.verdict, ruling.settle) == (Verdict.DUPLICATE, (3, ACK))
    assert intake.arrive(arrival(4, id="m"), NOW + 301, WALL).verdict is Verdict.RUN
    assert intake.tally.duplicates == 2


def test_what_failed_or_has_no_id_is_no_repeat() -> None:
    """Retried and rejected messages may come again, and so may those without an id."""
    intake = opened()
    for tag, how in ((1, RETRY), (2, REJECT), (3, ACK)):
        message_id = "" if how is ACK else "m"
        assert intake.arrive(arrival(tag, id=message_id), NOW, WALL).verdict is Verdict.RUN
        intake.settle(tag, how, NOW)
    assert intake.arrive(arrival(4), NOW, WALL).verdict is Verdict.RUN


def test_the_window_is_bounded() -> None:
    """Only so many ids are remembered; the oldest goes first, and 0 remembers none."""
    small, none = opened(IntakePolicy(window=2)), opened(IntakePolicy(window=0))
    for intake in (small, none):
        for tag in (1, 2, 3):
            intake.arrive(arrival(tag, id=str(tag)), NOW, WALL)
            intake.settle(tag, ACK, NOW)
    assert small.arrive(arrival(4, id="1"), NOW, WALL).verdict is Verdict.RUN
    assert small.arrive(arrival(5, id="3"), NOW, WALL).verdict is Verdict.DUPLICATE
    assert none.arrive(arrival(6, id="3"), NOW, WALL).verdict is Verdict.RUN


def test_work_done_after_its_link_died_is_not_done_again() -> None:
    """The broker delivers again what it heard nothing of; if it was done, the repeat is dropped."""
    intake = opened()
    intake.arrive(arrival(1, id="m"), NOW, WALL)
    intake.start(1, NOW)
    intake.closed()
    intake.opened()
    assert intake.arrive(arrival(1, id="m", redelivered=True), NOW, WALL).verdict is Verdict.RUN
    intake.done("m", NOW)
    ruling = intake.start(1, NOW)
    assert (ruling.verdict, ruling.settle) == (Verdict.DUPLICATE, (1, ACK))


# --- credit -------------------------------------------------------------------------------------


def test_credit_is_granted_in_bulk() -> None:
    """Nothing is granted until half of what is not in use is free."""
    intake = opened(credit=10)
    for tag in range(4):
        intake.arrive(arrival(tag), NOW, WALL)
    intake.release(4)
    assert intake.grant_due() == 0
    intake.arrive(arrival(4), NOW, WALL)
    intake.release()
    assert intake.grant_due() == 5
    assert intake.grant_due() == 0


def test_what_is_long_in_use_does_not_keep_the_rest_of_the_credit() -> None:
    """Where nothing more may come, the little that is free is granted."""
    intake = opened(credit=10)
    for tag in range(10):
        intake.arrive(arrival(tag), NOW, WALL)
    assert intake.grant_due() == 0
    intake.release()
    assert intake.grant_due() == 1
    assert intake.grant_due() == 0


def test_what_is_at_work_is_not_granted_to_a_new_link() -> None:
    """After a loss no more is asked for than there is room for."""
    intake = opened(credit=10)
    for tag in range(4):
        intake.arrive(arrival(tag), NOW, WALL)
    intake.closed()
    assert intake.opened() == 6
    intake.release(4)
    assert intake.grant_due() == 0
    for tag in range(1):
        intake.arrive(arrival(tag), NOW, WALL)
    intake.release()
    assert intake.grant_due() == 5


def test_releasing_more_than_was_handed_over_is_an_error() -> None:
    """A receiver that grants too much is told, for it would break the bound."""
    intake = opened()
    intake.arrive(arrival(), NOW, WALL)
    with pytest.raises(ValueError, match="2 deliveries released, 1 are in hand"):
        intake.release(2)


def test_a_subscription_without_credit_is_refused() -> None:
    """With a credit of 0 nothing would ever come, so it cannot be made."""
    with pytest.raises(ValueError, match="credit of at least 1"):
        Intake(IntakePolicy(), credit=0)


# --- lanes --------------------------------------------------------------------------------------


def test_a_lane_is_committed_up_to_the_first_unsettled_position() -> None:
    """Later ones that are done first wait for it, and one word then covers them all."""
    intake = Intake(IntakePolicy(), credit=10, ordered=True)
    intake.opened()
    for tag in (1, 2, 3):
        intake.arrive(arrival(tag, position=tag * 10), NOW, WALL)
    assert intake.settle(2, ACK, NOW) is None
    assert intake.settle(1, ACK, NOW) == (2, ACK)
    assert intake.settle(3, REJECT, NOW) == (3, ACK)


def test_in_a_lane_a_retry_stays_where_it_is() -> None:
    """What is to be tried again keeps its place: nothing behind it is committed."""
    intake = Intake(IntakePolicy(attempts=2), credit=10, ordered=True)
    intake.opened()
    for tag in (1, 2):
        intake.arrive(arrival(tag, position=tag), NOW, WALL)
        intake.start(tag, NOW)
    assert intake.settle(1, RETRY, NOW) is None
    assert intake.settle(2, ACK, NOW) is None
    assert intake.start(1, NOW).verdict is Verdict.RUN
    assert intake.settle(1, RETRY, NOW) is ParkedFor.ATTEMPTS
    assert intake.parked(1, "", NOW) == (2, ACK)
    assert intake.tally.parked == 1


def test_revoked_lanes_are_none_of_ours() -> None:
    """Settling what another consumer has by now is told to nobody; other lanes go on."""
    intake = opened()
    intake.arrive(arrival(1, lane=0), NOW, WALL)
    intake.arrive(arrival(2, lane=1), NOW, WALL)
    intake.revoke(frozenset({0}))
    assert intake.start(1, NOW).verdict is Verdict.GONE
    assert intake.settle(1, ACK, NOW) is None
    assert intake.settle(2, ACK, NOW) == (2, ACK)


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(1, 3), st.integers(0, 1 << 30)), max_size=40)
)
def test_a_commit_never_passes_an_unsettled_position(steps: list[tuple[int, int, int]]) -> None:
    """Whatever the order of settling, gaps and lanes, everything up to a commit is settled."""
    water = LowWater()
    next_position = {0: 0, 1: 0, 2: 0}
    unsettled: dict[int, list[int]] = {0: [], 1: [], 2: []}
    committed = {0: -1, 1: -1, 2: -1}
    for lane, gap, pick in steps:
        next_position[lane] += gap
        water.arrive(lane, next_position[lane], next_position[lane])
        unsettled[lane].append(next_position[lane])
        if pick % 3:
            continue
        position = unsettled[lane].pop(pick % len(unsettled[lane]))
        commit = water.settle(lane, position)
        assert water.settle(lane, position) is None
        if commit is not None:
            assert commit > committed[lane]
            committed[lane] = commit
        assert all(open_ > committed[lane] for open_ in unsettled[lane])
    for lane, rest in unsettled.items():
        for position in rest:
            commit = water.settle(lane, position)
            if commit is not None:
                committed[lane] = commit
        assert committed[lane] == (next_position[lane] or -1)
        assert water.pending(lane) == {}


# --- all orders of events -----------------------------------------------------------------------

CREDIT, ATTEMPTS = 4, 3


class Life(RuleBasedStateMachine):
    """A broker that keeps to credit, and a receiver that does things in any order."""

    ack = Ack.DONE

    def __init__(self) -> None:
        super().__init__()
        policy = IntakePolicy(
            ack=self.ack,
            attempts=ATTEMPTS,
            window=6,
            window_seconds=50.0,
            park_expired=True,
            park_rejected=True,
        )
        self.intake = Intake(policy, credit=CREDIT)
        self.now = 0.0
        self.allowed = self.intake.opened()
        self.tag = 0
        self.on_inlet: dict[int, str] = {}
        self.limits: dict[int, float | None] = {}
        self.told: set[int] = set()
        self.held: list[tuple[int, int]] = []
        self.parking: list[tuple[int, int, str]] = []
        self.epoch = 0
        self.ran: dict[str, int] = {}

    def hear(self, settling: Settling | None) -> None:
        if settling is None:
            return
        tag, how = settling
        assert how.how is not Settlement.EXTEND
        assert tag in self.on_inlet, "settled what did not arrive"
        assert tag not in self.told, "settled twice"
        self.told.add(tag)

    def take_grant(self) -> None:
        self.allowed += self.intake.grant_due()

    @precondition(lambda self: self.allowed > 0)
    @rule(number=st.integers(0, 3), ttl=st.none() | st.integers(0, 5), again=st.booleans())
    def arrive(self, number: int, ttl: int | None, again: bool) -> None:  # noqa: FBT001 - drawn
        self.tag += 1
        self.allowed -= 1
        message_id = f"m{number}" if number else f"unique{self.tag}"
        headers = NO_HEADERS if ttl is None else limits({}, float(ttl), self.now)
        self.on_inlet[self.tag] = message_id
        ruling = self.intake.arrive(
            Arrival(self.tag, b"", message_id, headers, redelivered=again), self.now, self.now
        )
        self.hear(ruling.settle)
        if ruling.park is not None:
            assert not ruling.settle
            self.parking.append((self.epoch, self.tag, message_id))
        elif ruling.verdict is Verdict.RUN:
            assert ttl != 0
            self.limits[self.tag] = None if ttl is None else self.now + ttl
            self.held.append((self.epoch, self.tag))
        else:
            assert self.tag in self.told
        self.take_grant()

    @precondition(lambda self: self.held)
    @rule(pick=st.integers(0, 10))
    def start(self, pick: int) -> None:
        epoch, tag = self.held[pick % len(self.held)]
        if epoch != self.epoch:
            return  # the transport knows the epoch of a delivery and does not ask
        ruling = self.intake.start(tag, self.now)
        self.hear(ruling.settle)
        if ruling.park is not None:
            self.parking.append((epoch, tag, self.on_inlet[tag]))
        limit = self.limits[tag]
        if ruling.verdict is Verdict.RUN:
            assert limit is None or limit > self.now, "ran what had expired"
            message_id = self.on_inlet[tag]
            self.ran[message_id] = self.ran.get(message_id, 0) + 1
            if self.ack is Ack.START:
                assert tag in self.told

    @precondition(lambda self: self.held)
    @rule(pick=st.integers(0, 10), how=st.sampled_from([ACK, RETRY, REJECT]))
    def settle(self, pick: int, how: Settle) -> None:
        epoch, tag = self.held.pop(pick % len(self.held))
        if epoch == self.epoch:
            answer = self.intake.settle(tag, how, self.now)
            if isinstance(answer, ParkedFor):
                self.parking.append((epoch, tag, self.on_inlet[tag]))
            else:
                self.hear(answer)
                if answer is not None and answer[1].how is not Settlement.RETRY:
                    self.ran.pop(self.on_inlet[tag], None)
        self.intake.release()
        self.take_grant()

    @precondition(lambda self: self.parking)
    @rule(pick=st.integers(0, 10), done=st.booleans())
    def park(self, pick: int, done: bool) -> None:  # noqa: FBT001 - drawn
        epoch, tag, message_id = self.parking[pick % len(self.parking)]
        if epoch == self.epoch and not done:
            return  # it is tried again for as long as the inlet lives
        self.parking.remove((epoch, tag, message_id))
        if done:
            here = tag if epoch == self.epoch else None
            self.hear(self.intake.parked(here, message_id, self.now))
            assert here is None or tag in self.told
        self.intake.release()
        self.take_grant()

    @rule()
    def lose(self) -> None:
        self.intake.closed()
        self.epoch += 1
        self.on_inlet.clear()
        self.told.clear()
        self.tag = 0
        self.allowed = self.intake.opened()

    @rule(seconds=st.integers(1, 4))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @invariant()
    def credit_is_never_exceeded(self) -> None:
        assert self.allowed + len(self.held) <= CREDIT
        assert self.intake.in_use == len(self.held) + len(self.parking)
        assert self.intake.tally.overrun == 0

    @invariant()
    def credit_is_never_lost(self) -> None:
        assert self.held or self.parking or self.allowed * 2 > CREDIT

    @invariant()
    def what_is_unsettled_was_not_told(self) -> None:
        assert self.intake.unsettled == len(self.on_inlet) - len(self.told)


class LifeAtMostOnce(Life):
    ack = Ack.START


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestLifeAtMostOnce = LifeAtMostOnce.TestCase
TestLifeAtMostOnce.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@given(st.lists(st.sampled_from(["retry", "lose", "other"]), max_size=30), st.integers(1, 5))
def test_no_message_runs_more_often_than_its_attempts(events: list[str], attempts: int) -> None:
    """However it fails, and however often links die in between, the bound of attempts holds."""
    intake = opened(IntakePolicy(attempts=attempts, window=5), credit=3)
    ran, tag = 0, 0
    for event in events:
        tag += 1
        if event == "other":
            intake.arrive(arrival(tag), NOW, WALL)
            intake.start(tag, NOW)
            intake.settle(tag, ACK, NOW)
            intake.release()
            continue
        poison = arrival(tag, id="poison", redelivered=ran > 0)
        if intake.arrive(poison, NOW, WALL).verdict is not Verdict.RUN:
            break
        assert intake.start(tag, NOW).verdict is Verdict.RUN
        ran += 1
        if event == "lose":
            intake.closed()
            intake.release()
            intake.opened()
            continue
        answer = intake.settle(tag, RETRY, NOW)
        intake.release()
        if isinstance(answer, ParkedFor):
            break
    assert ran <= attempts
