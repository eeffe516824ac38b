"""How a board decides: what is due, what is late, what counts."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.errors import DuplicateCheck
from bedplate.health.board import Board
from bedplate.health.check import PASS, Outcome, State, fail, warn
from bedplate.health.report import Report, Result
from bedplate.testing import FakeClock


def nothing() -> None:
    """Pass."""


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def board(clock: FakeClock) -> Board:
    return Board(clock=clock)


def one(report: Report, name: str) -> Result:
    """Return the result of this name."""
    (found,) = (each for each in report.results if each.name == name)
    return found


def run(board: Board, name: str, answer: object = None) -> None:
    """Let the check of this name be run at once and answer at once."""
    assert name in [check.name for check in board.begin_due()]
    board.finished(name, answer)


def test_an_empty_board_is_alive(board: Board) -> None:
    """Nothing known to be wrong is no reason for a restart."""
    assert board.report("live") == Report("live", "pass", ())


def test_an_empty_board_is_ready_once_the_service_said_so(board: Board) -> None:
    """Readiness waits for the service, and without checks for nothing else."""
    assert board.report("ready").state == "fail"
    assert one(board.report("ready"), "service").reason == "has not started yet"
    assert board.report("started").state == "fail"
    board.started()
    assert board.report("ready").state == "pass"
    assert board.report("started").state == "pass"
    assert board.report().state == "pass"


def test_a_draining_service_is_alive_and_started_but_not_ready(board: Board) -> None:
    """At SIGTERM the load balancer goes elsewhere and nobody restarts anything."""
    board.started()
    board.draining("SIGTERM")
    assert board.report("ready").state == "fail"
    assert one(board.report("ready"), "service").reason == "SIGTERM"
    assert board.report("live").state == "pass"
    assert board.report("started").state == "pass"
    assert board.report().state == "fail"


def test_readiness_waits_for_the_first_answer_of_each_check(board: Board) -> None:
    """A check that was added but never ran is unknown, and unknown is not ready."""
    board.started()
    board.add("db", nothing)
    assert one(board.report("ready"), "db")[1:4] == ("unknown", "fail", "has not run yet")
    run(board, "db")
    assert board.report("ready").state == "pass"


def test_liveness_does_not_wait_for_a_first_answer(board: Board) -> None:
    """A process that has just begun must not be restarted for it."""
    board.add("loop", nothing, kinds={"live"})
    assert board.report("live").state == "warn"
    assert board.report("live").ok


def test_a_check_speaks_only_about_its_kinds(board: Board) -> None:
    """A failed dependency makes a replica unready, not dead."""
    board.started()
    board.add("db", nothing, kinds={"ready"})
    run(board, "db", answer=False)
    assert board.report("ready").state == "fail"
    assert board.report("live") == Report("live", "pass", ())
    assert board.report().state == "fail"


def test_a_shared_dependency_degrades_and_never_takes_a_replica_out(board: Board) -> None:
    """What all replicas share fails for all; taking all out helps nobody."""
    board.started()
    board.add("db", nothing, shared=True)
    run(board, "db", fail("gone"))
    assert one(board.report("ready"), "db")[1:4] == ("fail", "warn", "gone")
    assert board.report("ready").state == "warn"
    assert board.report("ready").ok


def test_a_running_check_is_never_due(board: Board, clock: FakeClock) -> None:
    """Each check runs once at a time, also when it is stuck for hours or two agents ask."""
    board.add("db", nothing, period=1)
    assert len(board.begin_due()) == 1
    clock.turn(3600)
    assert board.begin_due() == ()
    assert board.next_due() is None


def test_a_check_is_due_again_a_period_after_its_end(board: Board, clock: FakeClock) -> None:
    """Slow checks are not asked back to back."""
    board.add("db", nothing, period=10, deadline=5)
    board.begin_due()
    clock.turn(3)
    board.finished("db", None)
    assert board.next_due() == clock.now() + 10
    clock.turn(9.9)
    assert board.begin_due() == ()
    clock.turn(0.1)
    assert [check.name for check in board.begin_due()] == ["db"]


@pytest.mark.parametrize(("jitter", "after"), [(0.0, 9.0), (0.5, 10.0), (1.0, 11.0)])
def test_jitter_spreads_the_next_run(jitter: float, after: float, clock: FakeClock) -> None:
    """Replicas that started together do not ask the database together for ever."""
    board = Board(clock=clock)
    board.add("db", nothing, period=10)
    board.begin_due()
    board.finished("db", None, jitter=jitter)
    assert board.next_due() == pytest.approx(clock.now() + after)


def test_a_check_past_its_deadline_has_failed_while_it_still_runs(
    board: Board, clock: FakeClock
) -> None:
    """Nobody has to wait for a check that hangs to learn that it hangs."""
    board.started()
    board.add("db", nothing, deadline=2)
    run(board, "db")
    clock.turn(20)
    board.begin_due()
    clock.turn(1.9)
    assert board.report("ready").state == "pass"
    clock.turn(0.1)
    assert one(board.report("ready"), "db")[1:4] == ("fail", "fail", "did not answer within 2 s")


def test_an_answer_after_the_deadline_is_a_failure(board: Board, clock: FakeClock) -> None:
    """A check that passes, but too late, has not passed; the next one in time heals it."""
    board.started()
    board.add("db", nothing, deadline=2, period=10)
    board.begin_due()
    clock.turn(7)
    board.finished("db", None)
    late = one(board.report("ready"), "db")
    assert (late.state, late.reason, late.took) == ("fail", "did not answer within 2 s", 7)
    clock.turn(10)
    run(board, "db")
    assert board.report("ready").state == "pass"


def test_an_answer_at_the_deadline_is_late(board: Board, clock: FakeClock) -> None:
    """Report and record agree about the very moment, or a state could flicker."""
    board.started()
    board.add("db", nothing, deadline=2)
    board.begin_due()
    clock.turn(2)
    assert board.report("ready").state == "fail"
    board.finished("db", None)
    assert board.report("ready").state == "fail"


def test_what_nobody_checks_any_more_becomes_unknown(board: Board, clock: FakeClock) -> None:
    """An old answer is not shown as news when the agent died or its loop is stuck."""
    board.started()
    board.add("db", nothing, period=10)
    board.add("own", nothing, period=10, kinds={"live"})
    assert len(board.begin_due()) == 2
    board.finished("db", None)
    board.finished("own", None)
    clock.turn(20)
    assert board.report().state == "pass"
    clock.turn(0.1)
    assert one(board.report(), "db")[1:4] == ("unknown", "fail", "was last checked 20 s ago")
    assert board.report("live").state == "warn"


def test_an_abandoned_check_is_due_at_once_and_keeps_its_last_answer(
    board: Board, clock: FakeClock
) -> None:
    """An agent that stops in the middle says nothing about the thing that it checked."""
    board.started()
    board.add("db", nothing, period=10)
    run(board, "db", warn("so so"))
    clock.turn(10)
    board.begin_due()
    board.abandoned("db")
    assert one(board.report("ready"), "db").reason == "so so"
    assert len(board.begin_due()) == 1


def test_names_are_unique_among_checks_and_indicators(board: Board) -> None:
    """Two things of one name could not be told apart in a report."""
    board.add("db", nothing)
    board.indicator("traffic")
    for name in ("db", "traffic", "service"):
        with pytest.raises(DuplicateCheck, match=f"named '{name}'"):
            board.add(name, nothing)
        with pytest.raises(DuplicateCheck, match=f"named '{name}'"):
            board.indicator(name)


def test_only_checks_are_run(board: Board) -> None:
    """An agent that mistakes an indicator for a check is told so."""
    board.indicator("traffic")
    with pytest.raises(TypeError, match="'traffic' is an indicator"):
        board.finished("traffic", None)


def test_an_indicator_holds_for_its_ttl_and_is_then_unknown(board: Board, clock: FakeClock) -> None:
    """What traffic said long ago is no news; a probe still succeeds, for who would know better."""
    board.started()
    traffic = board.indicator("traffic", ttl=60)
    assert one(board.report("ready"), "traffic")[1:4] == ("unknown", "warn", "nothing seen yet")
    traffic.fail("ConnectionResetError", "by db7")
    clock.turn(59)
    assert one(board.report("ready"), "traffic")[1:5] == (
        "fail",
        "fail",
        "ConnectionResetError",
        "by db7",
    )
    clock.turn(1)
    assert one(board.report("ready"), "traffic")[1:4] == (
        "unknown",
        "warn",
        "nothing seen for 60 s",
    )
    assert board.report("ready").ok
    traffic.ok()
    assert board.report("ready").state == "pass"
    traffic.warn("slow")
    assert board.report("ready").state == "warn"


def test_a_shared_indicator_degrades_only(board: Board) -> None:
    """Traffic that fails toward a shared dependency fails in every replica."""
    board.started()
    board.indicator("broker", shared=True).fail("gone")
    assert board.report("ready").state == "warn"


def test_an_indicator_cleans_what_it_is_told(board: Board) -> None:
    """Reasons come from foreign errors as often as from the application."""
    board.indicator("db").fail("x\ny", "postgres://me:geheim@h/")
    found = one(board.report("ready"), "db")
    assert (found.reason, found.detail) == ("x y", "postgres://****@h/")


@pytest.mark.parametrize("ttl", [0, -1, float("nan")])
def test_an_indicator_lives_for_some_time(board: Board, ttl: float) -> None:
    """A time to live that makes no sense is a mistake of the program."""
    with pytest.raises(ValueError, match="the ttl of indicator 'x' cannot be"):
        board.indicator("x", ttl=ttl)


def test_times_are_told_on_the_wall_clock(board: Board, clock: FakeClock) -> None:
    """A report says when a thing was found, in seconds since 1970."""
    board.add("db", nothing)
    traffic = board.indicator("traffic")
    run(board, "db")
    traffic.ok()
    then = clock.wall()
    clock.turn(5)
    assert one(board.report(), "db").wall == pytest.approx(then)
    assert one(board.report(), "traffic").wall == pytest.approx(then)


def test_whoever_listens_hears_of_new_checks_until_it_stops(board: Board) -> None:
    """An agent can sleep until there is something new to do."""
    heard: list[str] = []
    stop = board.listen(lambda: heard.append("a"))
    board.listen(lambda: heard.append("b"))
    board.add("one", nothing)
    stop()
    board.add("two", nothing)
    assert heard == ["a", "b", "b"]


def test_a_listener_may_ask_the_board(board: Board) -> None:
    """Listeners are called after the board decided, so they can call back."""
    seen: list[int] = []
    board.listen(lambda: seen.append(len(board.begin_due())))
    board.add("one", nothing)
    assert seen == [1]


def test_threads_share_a_board(board: Board) -> None:
    """Checks are taken once, however many threads ask at the same time."""
    names = [f"check-{number}" for number in range(200)]
    for name in names:
        board.add(name, nothing)
    board.started()
    taken: list[str] = []
    start = threading.Barrier(8)

    def take() -> None:
        start.wait()
        for check in board.begin_due():
            taken.append(check.name)
            board.finished(check.name, None)
            board.report("ready")

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == sorted(names)
    assert board.report("ready").state == "pass"


STEPS = st.lists(
    st.one_of(
        st.just("begin"),
        st.tuples(st.just("finish"), st.sampled_from([None, False, warn("w"), fail("f")])),
        st.just("abandon"),
        st.tuples(st.just("turn"), st.floats(0, 40)),
    ),
    max_size=40,
)


@given(steps=STEPS)
def test_in_any_order_of_events_a_board_keeps_its_promises(steps: list[object]) -> None:
    """One run at a time, late means failed, and the report always follows from the last events."""
    clock = FakeClock()
    board = Board(clock=clock)
    board.started()
    board.add("db", nothing, period=10, deadline=2)
    began: float | None = None
    for step in steps:
        match step:
            case "begin":
                if board.begin_due():
                    assert began is None
                    began = clock.now()
            case ("finish", answer) if began is not None:
                board.finished("db", answer)
                in_time = clock.now() - began < 2
                expected: State = "fail"
                if in_time:
                    expected = answer.state if isinstance(answer, Outcome) else _plain(answer)
                assert one(board.report(), "db").state == expected
                began = None
            case "abandon" if began is not None:
                board.abandoned("db")
                began = None
            case ("turn", float(seconds)):
                clock.turn(seconds)
        assert (board.next_due() is None) == (began is not None)
        if began is not None and clock.now() - began >= 2:
            assert one(board.report("ready"), "db").reason == "did not answer within 2 s"


def _plain(answer: object) -> State:
    return "fail" if answer is False else "pass"


def test_what_is_known_holds_until_the_first_run() -> None:
    """A check added with what is known already does not make readiness wait for its first run."""
    clock = FakeClock()
    board = Board(clock=clock)
    board.add("broker", lambda: None, known=PASS)
    board.started()
    assert board.report("ready").state == "pass"
    (check,) = board.begin_due()
    board.finished(check.name, fail("gone"))
    assert board.report("ready").state == "fail"
