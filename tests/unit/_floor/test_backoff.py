import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate._floor.backoff import Backoff


@pytest.mark.parametrize(
    ("failures", "bound"), [(0, 0.5), (1, 0.5), (2, 1.0), (3, 2.0), (5, 8.0), (6, 10.0)]
)
def test_the_bound_doubles_up_to_the_ceiling(failures: int, bound: float) -> None:
    """Each failure doubles the longest wait until the ceiling is met."""
    assert Backoff(0.5, 2.0, 10.0).bound(failures) == bound


@given(
    failures=st.integers(-5, 10**9),
    chance=st.floats(0, 1),
    first=st.floats(0.001, 10),
    factor=st.floats(1, 10),
    ceiling=st.floats(0.001, 3600),
)
def test_a_wait_is_never_negative_nor_beyond_the_ceiling(
    failures: int, chance: float, first: float, factor: float, ceiling: float
) -> None:
    """Whatever happened so often, a wait lies between nothing and the ceiling."""
    assert 0 <= Backoff(first, factor, ceiling).delay(failures, chance) <= ceiling


def test_the_whole_wait_is_jittered() -> None:
    """A chance of 0 waits for nothing and one of 1 for all of the bound."""
    backoff = Backoff(2.0, 2.0, 60.0)
    assert [backoff.delay(3, chance) for chance in (0.0, 0.25, 1.0)] == [0.0, 2.0, 8.0]
