import pytest

from bedplate.errors import SourceFailed
from bedplate.testing import FakeClock
from bedplate.testing.contracts.source import FakeSource, SourceContract, content_of

CONTENT = {"api": {"key": "a"}}


def test_a_lease_makes_a_refresh_due_when_it_ends() -> None:
    """A refresh is due at once, then a lease's length after each success."""
    clock = FakeClock(now=100.0)
    source = FakeSource(CONTENT, clock=clock, lease=30)
    assert source.next_refresh(clock.now()) == 100.0
    source.load()
    assert source.next_refresh(clock.now()) == 130.0
    clock.turn(10)
    source.refresh()
    assert source.next_refresh(clock.now()) == 140.0
    assert source.next_refresh(200.0) == 200.0


def test_a_failed_renewal_does_not_prolong_a_lease() -> None:
    """Failures are counted, take their time, and leave the lease to end."""
    clock = FakeClock(now=100.0)
    source = FakeSource(CONTENT, clock=clock, lease=30, delay=5)
    source.load()
    source.fail("sealed.")
    with pytest.raises(SourceFailed, match=r"^fake could not be read: sealed\.$"):
        source.refresh()
    assert clock.now() == 110.0
    assert source.next_refresh(clock.now()) == 135.0
    assert (source.loads, source.refreshes) == (1, 1)


def test_content_may_change_between_reads() -> None:
    """A test rotates a value by setting it."""
    source = FakeSource(CONTENT, clock=FakeClock())
    source.load()
    source.content = {"api": {"key": "b"}}
    assert content_of(source.refresh()) == {"api": {"key": ["b"]}}


class Leaky(FakeSource):
    """Puts its values where they can be seen."""

    def __repr__(self) -> str:
        return f"Leaky({self.content!r})"


class Growing(FakeSource):
    """Gives more with every load."""

    def load(self):  # type: ignore[no-untyped-def]  # noqa: ANN201 - wrong on purpose
        self.content = {**self.content, f"more{self.loads}": {"key": 1}}
        return super().load()


class Hasty(FakeSource):
    """Wants to have been refreshed long ago."""

    def next_refresh(self, now: float) -> float:
        return now - 1


class Careless(FakeSource):
    """Tells in its failure what it was to keep."""

    def fail(self, why: str = SourceContract.canary) -> None:
        super().fail(why)


class Unfailing(FakeSource):
    """Pretends to work."""

    def fail(self, why: str = "") -> None:
        pass


@pytest.mark.parametrize(
    ("kind", "test"),
    [
        (Leaky, "test_no_printed_form_shows_a_value"),
        (Growing, "test_a_second_load_equals_the_first"),
        (Growing, "test_it_gives_what_is_written"),
        (Hasty, "test_the_next_refresh_is_not_in_the_past"),
        (Careless, "test_a_failure_names_the_source_and_no_value"),
        (Unfailing, "test_a_failure_names_the_source_and_no_value"),
    ],
)
def test_the_contract_notices_a_source_that_breaks_it(kind: type[FakeSource], test: str) -> None:
    """Each of these sources is wrong in one way, and the suite says so."""

    class Suite(SourceContract):
        def source(self) -> FakeSource:
            return kind({"api": {"key": self.canary}}, clock=FakeClock())

        def expected(self) -> dict[str, dict[str, list[object]]]:
            return {"api": {"key": [self.canary]}}

        def failing(self) -> FakeSource:
            source = self.source()
            source.fail()
            return source

    with pytest.raises(AssertionError):
        getattr(Suite(), test)()
