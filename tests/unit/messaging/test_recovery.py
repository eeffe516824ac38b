from hypothesis import given
from hypothesis import strategies as st

from bedplate._floor.backoff import Backoff
from bedplate.messaging.recovery import Recovery, RecoveryPolicy

POLICY = RecoveryPolicy(
    backoff=Backoff(1.0, 2.0, 8.0),
    refused=Backoff(10.0, 2.0, 60.0),
    proven=10.0,
    budget=1000,
)


def test_failed_attempts_are_spaced_further_and_further() -> None:
    """Each failure doubles the wait before the next attempt, up to the ceiling."""
    recovery = Recovery(POLICY)
    waits = [recovery.failed(0.0, 1.0) for _ in range(5)]
    assert waits == [1.0, 2.0, 4.0, 8.0, 8.0]
    assert recovery.failures == 5


def test_a_broker_that_refused_is_asked_more_slowly() -> None:
    """Credentials that were turned down are tried again, but without hurry."""
    recovery = Recovery(POLICY)
    assert recovery.failed(0.0, 1.0, refused=True) == 10.0
    assert recovery.failed(0.0, 1.0, refused=True) == 20.0


def test_a_link_that_lived_wipes_earlier_failures() -> None:
    """After a proven link the first wait is the shortest again."""
    recovery = Recovery(POLICY)
    for _ in range(4):
        recovery.failed(0.0, 1.0)
    recovery.connected(100.0)
    assert recovery.lost(110.0, 1.0) == 1.0


def test_a_broker_that_accepts_and_drops_is_not_hammered() -> None:
    """Links that die at once count as failures, so waits keep growing."""
    recovery = Recovery(POLICY)
    waits = []
    for now in (0.0, 10.0, 20.0, 30.0):
        recovery.trying(now)
        recovery.connected(now)
        waits.append(recovery.lost(now + 9.9, 1.0))
    assert waits == [1.0, 2.0, 4.0, 8.0]


def test_even_the_first_wait_after_a_loss_is_jittered() -> None:
    """Those who lose a broker at the same moment do not all come back at the same moment."""
    recovery = Recovery(POLICY)
    recovery.connected(0.0)
    assert recovery.lost(50.0, 0.25) == 0.25


def test_the_budget_bounds_attempts_of_a_period() -> None:
    """When the attempts of a period are spent, the next one waits for the period to pass."""
    recovery = Recovery(RecoveryPolicy(backoff=Backoff(1.0, 1.0, 1.0), budget=3, period=60.0))
    for now in (0.0, 1.0, 2.0):
        recovery.trying(now)
    assert recovery.failed(2.0, 0.0) == 58.0


def test_it_gives_up_when_told_to() -> None:
    """No attempt starts after the time without a link that the policy allows."""
    recovery = Recovery(RecoveryPolicy(backoff=Backoff(1.0, 1.0, 1.0), give_up=5.0))
    recovery.trying(0.0)
    assert recovery.failed(3.9, 1.0) == 1.0
    assert recovery.failed(4.0, 1.0) is None


def test_the_time_to_give_up_counts_from_the_loss() -> None:
    """An outage begins when the link dies, however long ago it had come up."""
    recovery = Recovery(RecoveryPolicy(backoff=Backoff(1.0, 1.0, 1.0), give_up=5.0))
    recovery.trying(0.0)
    recovery.connected(1.0)
    assert recovery.lost(1000.0, 1.0) == 1.0
    assert recovery.failed(1004.5, 1.0) is None


@given(
    gaps=st.lists(st.floats(0, 30), min_size=1, max_size=60),
    budget=st.integers(1, 5),
    chance=st.floats(0, 1),
)
def test_no_period_sees_more_attempts_than_the_budget(
    gaps: list[float], budget: int, chance: float
) -> None:
    """Whatever fails whenever, attempts in any period stay within the budget."""
    period = 20.0
    recovery = Recovery(
        RecoveryPolicy(backoff=Backoff(0.1, 2.0, 5.0), budget=budget, period=period)
    )
    now, starts = 0.0, []
    for gap in gaps:
        recovery.trying(now)
        starts.append(now)
        now += min(gap, 3.0)
        wait = recovery.failed(now, chance)
        assert wait is not None
        now += wait
    for first, later in zip(starts, starts[budget:], strict=False):
        assert later - first >= period - 1e-6
