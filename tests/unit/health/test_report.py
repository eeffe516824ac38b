"""How single states make a whole, and how a report is narrowed."""

from itertools import permutations

import pytest

from bedplate.health.check import Kind, State
from bedplate.health.report import LEVELS, Report, Result, weigh, worst

RESULT = Result("db", "fail", "warn", "gone", "db7:5432", shared=True, wall=5.0, took=0.1)
REPORT = Report("ready", "warn", (RESULT,))


@pytest.mark.parametrize(
    ("states", "whole"),
    [
        ((), "pass"),
        (("pass", "pass"), "pass"),
        (("pass", "warn"), "warn"),
        (("warn", "unknown", "pass"), "unknown"),
        (("pass", "fail", "warn"), "fail"),
    ],
)
def test_the_whole_is_as_bad_as_its_worst_part(states: tuple[State, ...], whole: State) -> None:
    """The order of the parts does not matter."""
    for order in permutations(states):
        assert worst(order) == whole


@pytest.mark.parametrize(
    ("state", "kind", "shared", "passive", "counts"),
    [
        ("unknown", "ready", False, False, "fail"),
        ("unknown", "started", False, False, "fail"),
        ("unknown", "live", False, False, "warn"),
        ("unknown", "ready", False, True, "warn"),
        ("unknown", "ready", True, False, "warn"),
        ("fail", "ready", True, False, "warn"),
        ("fail", "ready", False, True, "fail"),
        ("warn", "ready", True, True, "warn"),
        ("pass", "ready", True, False, "pass"),
    ],
)
def test_what_a_state_does_to_the_whole(
    *, state: State, kind: Kind, shared: bool, passive: bool, counts: State
) -> None:
    """Unknown never counts as good, and a shared dependency never as worse than a warning."""
    assert weigh(state, kind, shared=shared, passive=passive) == counts


def test_each_level_shows_more_than_the_one_before() -> None:
    """What a level does not allow is not in the narrowed report at all."""
    shown = {level: REPORT.shown(level).results for level in LEVELS}
    assert shown["status"] == ()
    assert shown["names"] == (Result("db", "fail", "warn", shared=True),)
    assert shown["reasons"] == (Result("db", "fail", "warn", "gone", shared=True),)
    assert shown["full"] == (RESULT,)


@pytest.mark.parametrize(("state", "ok"), [("pass", True), ("warn", True), ("fail", False)])
def test_a_probe_succeeds_on_pass_and_warn(*, state: State, ok: bool) -> None:
    """A warning is for people; it takes nobody out of service."""
    assert Report("live", state).ok is ok
