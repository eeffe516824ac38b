"""The automaton of open calls: one end for each, in time, whatever happens in whatever order."""

from collections.abc import Sequence

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bedplate.messaging.calls import (
    LOOK_AFTER,
    RETRY_FIRST,
    RETRY_LONGEST,
    Action,
    Call,
    Calls,
    End,
    Ended,
    LookAt,
    Resend,
)


def ends(actions: Sequence[Action[str]]) -> list[tuple[str, End]]:
    return [(each.call.id, each.how) for each in actions if isinstance(each, Ended)]


def asks(actions: Sequence[Action[str]], kind: type[Resend[str] | LookAt[str]]) -> list[Call[str]]:
    assert all(isinstance(each, kind) for each in actions)
    return [each.call for each in actions]


def opened(calls: Calls[str], call_id: str = "a", **options: float | bool | None) -> Call[str]:
    given = {"deadline": 10.0, **options}
    call = calls.start(call_id, call_id.upper(), 0.0, **given)  # type: ignore[arg-type]  # test data
    calls.sent(call, 1, 0.0)
    return call


def test_a_reply_ends_the_call_once_and_a_second_one_is_late() -> None:
    """The first reply ends the call and gives its token back; a doubled one only counts."""
    calls = Calls[str]()
    opened(calls)
    ended = calls.reply("a")
    assert ended is not None
    assert ended.token == "A"
    assert calls.reply("a") is None
    assert calls.fault("unknown") is None
    assert calls.late == 2
    assert calls.ended(End.RESULT) == 1


def test_a_call_ends_at_its_deadline_not_before() -> None:
    """Nothing happens until the deadline, and at the deadline the call is over."""
    calls = Calls[str]()
    opened(calls, deadline=3.0)
    assert calls.next_due() == 3.0
    assert calls.tick(2.999) == []
    assert ends(calls.tick(3.0)) == [("a", End.DEADLINE)]
    assert calls.next_due() is None


def test_an_id_is_open_once() -> None:
    """Starting a second call under an open id is refused."""
    calls = Calls[str]()
    opened(calls)
    with pytest.raises(ValueError, match="already open"):
        calls.start("a", "A", 0.0, deadline=1.0)


def test_silence_counts_from_the_first_beat_only() -> None:
    """Before the first beat only the deadline rules; after it, silence means the call is lost."""
    calls = Calls[str]()
    opened(calls, deadline=100.0, heartbeat=2.0)
    assert calls.tick(50.0) == []
    assert calls.beat("a", 50.0) is not None
    assert calls.beat("a", 51.5) is not None
    assert calls.next_due() is not None
    assert calls.tick(52.0) == []
    (end,) = calls.tick(53.75)
    assert isinstance(end, Ended)
    assert (end.how, end.silence) == (End.CALL_LOST, 2.25)


def test_a_beat_of_an_unwatched_call_starts_no_watch() -> None:
    """A call without heartbeat ignores beats but for the look they make needless."""
    calls = Calls[str]()
    opened(calls, look=True)
    calls.beat("a", 0.1)
    assert calls.tick(9.9) == []


def test_the_deadline_wins_over_silence_when_it_came_first() -> None:
    """Of two things due at one late tick, the earlier one is what happened."""
    calls = Calls[str]()
    opened(calls, deadline=3.0, heartbeat=5.0)
    calls.beat("a", 2.0)
    assert ends(calls.tick(20.0)) == [("a", End.DEADLINE)]


def test_a_bounce_ends_the_call_at_once() -> None:
    """Without a wait a bounced request means that nobody serves the target."""
    calls = Calls[str]()
    opened(calls)
    end = calls.bounced("a", 0.1)
    assert end is not None
    assert end.how is End.NO_SUCH_TARGET
    assert calls.bounced("a", 0.1) is None
    assert calls.late == 1


def test_a_call_that_may_wait_is_sent_again_until_the_wait_is_over() -> None:
    """Bounces lead to repeats, ever more slowly, and to the end when the wait is over."""
    calls = Calls[str]()
    call = opened(calls, deadline=100.0, wait=5.0)
    now, pauses = 0.0, []
    while (end := calls.bounced("a", now)) is None:
        due = calls.next_due()
        assert due is not None
        pauses.append(due - now)
        now = due
        assert asks(calls.tick(now), Resend) == [call]
        calls.sent(call, 1, now)
    assert now == 5.0
    assert end.how is End.NO_SUCH_TARGET
    assert pauses[0] == RETRY_FIRST
    assert max(pauses) == RETRY_LONGEST


def test_a_wait_as_long_as_the_call_ends_as_no_such_target() -> None:
    """Who waited for the target until the deadline hears that there was none."""
    calls = Calls[str]()
    opened(calls, deadline=3.0, wait=60.0)
    calls.bounced("a", 2.9)
    assert ends(calls.tick(3.0)) == [("a", End.NO_SUCH_TARGET)]


def test_a_bounce_of_an_earlier_sending_is_late() -> None:
    """A bounce that belongs to a sending already repeated does not touch the call."""
    calls = Calls[str]()
    call = opened(calls, wait=1.0)
    calls.bounced("a", 0.0, attempt=1)
    calls.tick(1.0)
    calls.sent(call, 1, 1.0)
    assert calls.bounced("a", 1.0, attempt=1) is None
    assert "a" in calls
    assert calls.late == 1


def test_nothing_heard_leads_to_a_look() -> None:
    """After 250 ms without beat or reply the queue is looked at, once if somebody serves it."""
    calls = Calls[str]()
    call = opened(calls, look=True)
    assert calls.next_due() == LOOK_AFTER
    assert asks(calls.tick(LOOK_AFTER), LookAt) == [call]
    assert calls.looked("a", 0.3, served=True) is None
    assert calls.next_due() == 10.0


def test_a_look_that_finds_nobody_ends_the_call() -> None:
    """A queue without a consumer is nobody there, after the wait if there is one."""
    calls = Calls[str]()
    opened(calls, look=True)
    opened(calls, "b", look=True, wait=1.0)
    calls.tick(LOOK_AFTER)
    end = calls.looked("a", 0.3, served=False)
    assert end is not None
    assert end.how is End.NO_SUCH_TARGET
    assert calls.looked("b", 0.3, served=False) is None
    assert calls.tick(1.0) != []
    end = calls.looked("b", 1.0, served=False)
    assert end is not None
    assert end.how is End.NO_SUCH_TARGET


def test_a_look_overtaken_by_a_beat_is_void() -> None:
    """Somebody who beats is there, whatever a look begun earlier says."""
    calls = Calls[str]()
    opened(calls, look=True)
    calls.tick(LOOK_AFTER)
    calls.beat("a", 0.3)
    assert calls.looked("a", 0.4, served=False) is None
    assert "a" in calls


def test_a_lost_link_ends_what_was_on_it() -> None:
    """Calls sent on the lost link end, or are sent again where repeats are allowed."""
    calls = Calls[str]()
    opened(calls)
    repeated = opened(calls, "b", repeats=True, heartbeat=1.0)
    calls.beat("b", 0.1)
    unsent = calls.start("c", "C", 0.0, deadline=5.0)
    later = calls.start("d", "D", 0.0, deadline=5.0)
    calls.sent(later, 2, 0.0)
    actions = calls.lost(1)
    assert ends(actions) == [("a", End.REPLY_PATH_LOST)]
    assert [each.call for each in actions if isinstance(each, Resend)] == [repeated]
    assert unsent.open
    assert later.open
    assert calls.tick(1.5) == [], "silence is not counted while the call is on no link"


def test_a_cancelled_call_is_forgotten() -> None:
    """Cancelling ends a call, and its reply is late."""
    calls = Calls[str]()
    opened(calls)
    assert calls.cancel("a") is not None
    assert calls.cancel("a") is None
    assert calls.reply("a") is None
    assert calls.late == 1


def test_closing_ends_all_that_is_open() -> None:
    """Each open call is handed back once when the caller's side closes."""
    calls = Calls[str]()
    opened(calls)
    opened(calls, "b")
    assert ends(calls.close()) == [("a", End.CLOSED), ("b", End.CLOSED)]
    assert len(calls) == 0


def test_answered_calls_leave_no_timers_behind() -> None:
    """A hundred thousand calls answered long before their deadline cost no memory."""
    calls = Calls[str]()
    for n in range(20_000):
        opened(calls, str(n), deadline=60.0, look=True)
        calls.reply(str(n))
    assert len(calls._heap) + len(calls._young) < 200


class AllOrders(RuleBasedStateMachine):
    """Events in any order: one end a call, none late, none forgotten."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = Calls[str]()
        self.now = 0.0
        self.epoch = 1
        self.all: dict[str, Call[str]] = {}
        self.over: dict[str, End] = {}
        self.to_send: set[str] = set()

    def end(self, call_id: str, how: End) -> None:
        assert call_id not in self.over, "a call ends once"
        self.over[call_id] = how
        self.to_send.discard(call_id)

    def act(self, actions: Sequence[Action[str]]) -> None:
        for action in actions:
            if isinstance(action, Ended):
                self.end(action.call.id, action.how)
            elif isinstance(action, Resend):
                assert action.call.epoch == 0
                self.to_send.add(action.call.id)

    ids = st.integers(0, 9).map(str)
    seconds = st.sampled_from([0.0, 0.05, 0.25, 0.5, 1.0, 3.0])

    @rule(
        timeout=seconds,
        heartbeat=st.none() | st.sampled_from([0.25, 1.0]),
        repeats=st.booleans(),
        wait=seconds,
        look=st.booleans(),
        sent=st.booleans(),
    )
    def start(
        self,
        *,
        timeout: float,
        heartbeat: float | None,
        repeats: bool,
        wait: float,
        look: bool,
        sent: bool,
    ) -> None:
        call_id = str(len(self.all))
        call = self.calls.start(
            call_id,
            call_id,
            self.now,
            deadline=self.now + timeout,
            heartbeat=heartbeat,
            repeats=repeats,
            wait=wait,
            look=look,
        )
        self.all[call_id] = call
        if sent:
            self.calls.sent(call, self.epoch, self.now)
        else:
            self.to_send.add(call_id)

    @precondition(lambda self: self.to_send)
    @rule()
    def send(self) -> None:
        call_id = min(self.to_send)
        self.to_send.discard(call_id)
        self.calls.sent(self.all[call_id], self.epoch, self.now)

    @rule(call_id=ids)
    def reply(self, call_id: str) -> None:
        if self.calls.reply(call_id) is not None:
            self.end(call_id, End.RESULT)

    @rule(call_id=ids)
    def fault(self, call_id: str) -> None:
        if self.calls.fault(call_id) is not None:
            self.end(call_id, End.FAULT)

    @rule(call_id=ids)
    def beat(self, call_id: str) -> None:
        assert (self.calls.beat(call_id, self.now) is not None) == (
            call_id in self.all and call_id not in self.over
        )

    @rule(call_id=ids, attempt=st.none() | st.integers(1, 3))
    def bounce(self, call_id: str, attempt: int | None) -> None:
        end = self.calls.bounced(call_id, self.now, attempt=attempt)
        if end is not None:
            self.act([end])

    @rule(call_id=ids, served=st.booleans())
    def look(self, call_id: str, *, served: bool) -> None:
        end = self.calls.looked(call_id, self.now, served=served)
        if end is not None:
            assert not served
            self.act([end])

    @rule()
    def lose(self) -> None:
        on_it = {i for i in self.all if i not in self.over and self.all[i].epoch == self.epoch}
        actions = self.calls.lost(self.epoch)
        assert {each.call.id for each in actions} == on_it
        self.act(actions)
        self.epoch += 1

    @rule(call_id=ids)
    def cancel(self, call_id: str) -> None:
        if self.calls.cancel(call_id) is not None:
            self.end(call_id, End.CANCELLED)

    @rule(seconds=seconds)
    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.act(self.calls.tick(self.now))
        for call_id, call in self.all.items():
            if call_id not in self.over:
                assert call.deadline > self.now
                assert call.silent_at > self.now

    @invariant()
    def none_is_forgotten(self) -> None:
        still = {i: c for i, c in self.all.items() if i not in self.over}
        assert len(self.calls) == len(still)
        assert all(i in self.calls and c.open for i, c in still.items())
        due = self.calls.next_due()
        if still:
            assert due is not None
            assert due <= min(min(c.deadline, c.silent_at) for c in still.values())
        else:
            assert due is None

    def teardown(self) -> None:
        """Let all the time pass: every call ends."""
        self.now += 1_000.0
        self.act(self.calls.tick(self.now))
        assert set(self.over) == set(self.all)
        assert sum(self.calls.ended(how) for how in End) == len(self.all)


AllOrders.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestAllOrders = AllOrders.TestCase
