import pytest

from bedplate.config.sources import Policed, Policy, policed
from bedplate.errors import Finding, SourceFailed
from bedplate.testing import FakeClock
from bedplate.testing.contracts.source import FakeSource, content_of

CONTENT = {"api": {"workers": 4}}
CONTENT_READ = {"api": {"workers": [4]}}
MISTAKES = (
    Finding("error", "no-equals", "This is no option.", "store:3"),
    Finding("error", "no-equals", "Nor is this.", "store:4"),
)


class Stage:
    """A source that fails on order, its clock, and the same source under a policy."""

    def __init__(self, policy: Policy, *, lease: float | None = None) -> None:
        self.clock = FakeClock(now=0.0)
        self.inner = FakeSource(CONTENT, clock=self.clock, name="store", lease=lease)
        self.source: Policed = policed(self.inner, policy, self.clock)


LAST_GOOD = Policy("last-known-good", max_age=60, retry=10)


@pytest.mark.parametrize("policy", [Policy(), Policy("optional"), LAST_GOOD])
def test_a_source_that_works_is_left_alone(policy: Policy) -> None:
    """A policy is about failure: values, name and refresh are the source's own."""
    stage = Stage(policy, lease=30)
    assert stage.source.name == "store"
    assert stage.source.next_refresh(0.0) == 0.0
    assert content_of(stage.source.load()) == {"api": {"workers": [4]}}
    assert stage.source.next_refresh(0.0) == 30.0
    assert stage.source.refresh().findings == ()
    assert len(stage.source.notices) == 0
    assert (stage.inner.loads, stage.inner.refreshes) == (1, 1)


def test_a_required_source_fails() -> None:
    """There is no start and no reload without it."""
    stage = Stage(Policy("required"))
    stage.source.load()
    stage.inner.fail("nobody answers.")
    with pytest.raises(SourceFailed):
        stage.source.refresh()
    stage.inner.heal()
    stage.inner.spoil(*MISTAKES)
    assert stage.source.refresh().mistakes == MISTAKES


# --- optional -----------------------------------------------------------------------------------


def test_an_optional_source_that_fails_is_empty_and_says_so() -> None:
    """Its absence is a warning, in the tree and on the source, each time."""
    stage = Stage(Policy("optional"))
    stage.inner.fail("nobody answers.")
    for read in (stage.source.load, stage.source.refresh):
        tree = read()
        assert len(tree) == 0
        (notice,) = tree.findings
        assert (notice.severity, notice.code, notice.place) == ("warning", "source-absent", "store")
        assert "nobody answers." in notice.message
        assert stage.source.notices == (notice,)
    stage.inner.heal()
    assert len(stage.source.refresh()) == 1
    assert len(stage.source.notices) == 0


def test_an_optional_source_must_not_hold_mistakes() -> None:
    """It may be silent, but what it says must be right."""
    stage = Stage(Policy("optional"))
    stage.inner.spoil(*MISTAKES)
    tree = stage.source.load()
    assert tree.findings == MISTAKES
    assert content_of(tree) == CONTENT_READ


def test_an_optional_source_that_failed_is_tried_again() -> None:
    """A try is due every so often until it answers, though it would never ask for one itself."""
    stage = Stage(Policy("optional", retry=10))
    stage.inner.fail()
    stage.source.load()
    assert stage.source.next_refresh(0.0) == 10.0
    assert stage.source.next_refresh(99.0) == 99.0
    stage.inner.heal()
    stage.source.refresh()
    assert stage.source.next_refresh(0.0) is None


# --- last known good ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("failing", "reason"), [(True, "(no answer.)"), (False, "This is no option. (and 1 more)")]
)
def test_the_last_good_values_stay_until_their_age_is_up(*, failing: bool, reason: str) -> None:
    """Silence and mistakes alike leave the old values, with a warning, and then fail."""
    stage = Stage(LAST_GOOD)
    stage.source.load()
    if failing:
        stage.inner.fail("no answer.")
    else:
        stage.inner.content = {"api": {"workers": 5}}
        stage.inner.spoil(*MISTAKES)
    stage.clock.turn(59)
    tree = stage.source.refresh()
    assert content_of(tree) == {"api": {"workers": [4]}}
    (notice,) = tree.findings
    assert (notice.severity, notice.code, notice.place) == ("warning", "source-stale", "store")
    assert "59 s ago" in notice.message
    assert reason in notice.message
    assert stage.source.notices == (notice,)
    stage.clock.turn(1)
    if failing:
        with pytest.raises(SourceFailed, match="60 s old") as raised:
            stage.source.refresh()
        assert isinstance(raised.value.__cause__, SourceFailed)
    else:
        assert stage.source.refresh().mistakes == MISTAKES
    assert len(stage.source.notices) == 0
    assert stage.source.next_refresh(60.0) == 70.0


def test_there_must_have_been_good_values() -> None:
    """At the first start nothing is known yet, and the failure is what it is."""
    stage = Stage(LAST_GOOD)
    stage.inner.spoil(*MISTAKES)
    assert stage.source.load().mistakes == MISTAKES
    stage.inner.fail()
    with pytest.raises(SourceFailed, match="nobody answers"):
        stage.source.load()


def test_an_answer_begins_the_age_anew() -> None:
    """Each success counts, be it a load or a refresh; a use of old values doesn't."""
    stage = Stage(LAST_GOOD)
    stage.source.load()
    stage.clock.turn(50)
    stage.inner.content = {"api": {"workers": 5}}
    stage.source.refresh()
    stage.inner.fail()
    for _ in range(2):
        stage.clock.turn(29)
        assert content_of(stage.source.refresh()) == {"api": {"workers": [5]}}
    stage.clock.turn(2)
    with pytest.raises(SourceFailed):
        stage.source.refresh()
    stage.inner.heal()
    assert stage.source.refresh().findings == ()


def test_a_lease_that_cannot_be_renewed_is_tried_again_at_a_bearable_pace() -> None:
    """A due refresh that fails is due again after a while, not at once."""
    stage = Stage(LAST_GOOD, lease=30)
    stage.source.load()
    stage.inner.fail()
    assert stage.source.next_refresh(stage.clock.turn(30)) == 30.0
    stage.source.refresh()
    assert stage.source.next_refresh(30.0) == 40.0
    stage.clock.turn(25)
    stage.source.refresh()
    assert stage.source.next_refresh(55.0) == 60.0, "the end of the age is due as well"
    stage.clock.turn(5)
    with pytest.raises(SourceFailed):
        stage.source.refresh()
    assert stage.source.next_refresh(60.0) == 70.0


def test_what_a_caller_does_to_a_tree_does_not_change_the_last_good_values() -> None:
    """Trees are given away; what is kept is a copy."""
    stage = Stage(LAST_GOOD)
    stage.source.load().values.clear()
    stage.inner.fail()
    stage.source.refresh().values["api"]["workers"].clear()
    assert content_of(stage.source.refresh()) == {"api": {"workers": [4]}}


# --- policies -----------------------------------------------------------------------------------


def test_ages_and_retries_may_be_short() -> None:
    """Any time above 0 will do."""
    clock = FakeClock()
    policy = Policy("last-known-good", max_age=0.5, retry=0.1)
    assert policed(FakeSource(CONTENT, clock=clock), policy, clock).next_refresh(0.0) is None


@pytest.mark.parametrize(
    "policy",
    [
        Policy("last-known-good"),
        Policy("last-known-good", max_age=0),
        Policy("last-known-good", max_age=float("nan")),
        Policy("required", max_age=60),
        Policy("optional", max_age=60),
        Policy("optional", retry=0),
    ],
)
def test_a_policy_that_cannot_be_kept_is_refused(policy: Policy) -> None:
    """Old values need an age at which they end, and only they have one."""
    clock = FakeClock()
    with pytest.raises(ValueError, match=r"polic"):
        policed(FakeSource(CONTENT, clock=clock), policy, clock)


def test_other_errors_are_nobodys_policy() -> None:
    """A mistake of a program is not an absent source."""

    class Broken(FakeSource):
        def load(self) -> None:  # type: ignore[override]  # it never returns
            raise ZeroDivisionError

    clock = FakeClock()
    with pytest.raises(ZeroDivisionError):
        policed(Broken(CONTENT, clock=clock), Policy("optional"), clock).load()  # type: ignore[arg-type]  # see above
