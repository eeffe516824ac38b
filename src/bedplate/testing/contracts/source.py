"""What every source of configuration promises, as a suite to subclass; and a source to play with.

Give `SourceContract` a source that holds some values, one of them with the canary in it, and let
pytest collect the subclass::

    class TestInventoryStore(SourceContract):
        def source(self) -> Source:
            return InventoryStore(content={"api": {"password": SourceContract.canary}})

        def expected(self) -> Content:
            return {"api": {"password": [SourceContract.canary]}}

        def failing(self) -> Source:
            return InventoryStore(unreachable=True)

`FakeSource` is slow, fails or leases as it is told, on a clock that is turned. It knows nothing of
what reads it.
"""

import os
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import ClassVar

from bedplate.config.sources import Memory, Source, Tree
from bedplate.errors import Finding, SourceFailed
from bedplate.testing.clock import FakeClock

__all__ = ["Content", "FakeSource", "SourceContract", "content_of"]

Content = Mapping[str, Mapping[str, Sequence[object]]]
"""Sections of options of all their values, as a source should give them."""


def content_of(tree: Tree) -> dict[str, dict[str, list[object]]]:
    """Return the bare values of a tree, origins left out, for comparing."""
    content: dict[str, dict[str, list[object]]] = {}
    for section, option, raws in tree:
        content.setdefault(section, {})[option] = [raw.value for raw in raws]
    return content


class FakeSource:
    """A source that does as it is told; a `bedplate.config.sources.Source`.

    ``content`` is nested as for `Memory`. Each load and refresh takes ``delay`` seconds of
    ``clock`` and, with a ``lease``, begins one of so many seconds, at whose end a refresh is due.
    ``loads`` and ``refreshes`` count the attempts, failed ones included.
    """

    def __init__(
        self,
        content: Mapping[str, Mapping[str, object]],
        *,
        clock: FakeClock,
        name: str = "fake",
        lease: float | None = None,
        delay: float = 0.0,
    ) -> None:
        self.name = name
        self.content = content
        self.delay = delay
        self.loads = 0
        self.refreshes = 0
        self._clock = clock
        self._lease = lease
        self._leased_at: float | None = None
        self._failure: SourceFailed | None = None
        self._mistakes: tuple[Finding, ...] = ()

    def fail(self, why: str = "nobody answers.") -> None:
        """From now on, raise `SourceFailed` for this reason."""
        self._failure = SourceFailed(source=self.name, why=why)

    def spoil(self, *mistakes: Finding) -> None:
        """From now on, give the content with these mistakes in it."""
        self._mistakes = mistakes

    def heal(self) -> None:
        """From now on, succeed again."""
        self._failure = None
        self._mistakes = ()

    def load(self) -> Tree:
        """Give the content, as slowly as told, or fail."""
        self.loads += 1
        return self._give()

    def refresh(self) -> Tree:
        """Give the content as it is now, and begin a new lease, or fail."""
        self.refreshes += 1
        return self._give()

    def next_refresh(self, now: float) -> float | None:
        """Say when the lease ends: at once while there is none yet, never without leases."""
        if self._lease is None:
            return None
        return now if self._leased_at is None else max(now, self._leased_at + self._lease)

    def _give(self) -> Tree:
        self._clock.turn(self.delay)
        if self._failure is not None:
            raise self._failure.with_traceback(None)
        self._leased_at = self._clock.now()
        return Memory(self.content, name=self.name).load().noting(*self._mistakes)

    def __repr__(self) -> str:
        return f"FakeSource({self.name!r})"


class SourceContract:
    """Subclass it as ``Test…``, say how to make the source and what it must give."""

    canary: ClassVar[str] = "canary-7f3b9c"
    """A value to put into the source; it must come out in the tree and show nowhere else."""

    def source(self) -> Source:
        """Make a source that holds what `expected` says, always of the same content."""
        raise NotImplementedError

    def expected(self) -> Content:
        """Say what it holds: all values of each option, in order, the canary in one of them."""
        raise NotImplementedError

    def failing(self) -> Source | None:
        """Make a source that can be made but not loaded; None where nothing can go wrong.

        If it can hold the canary and still fail, it should.
        """
        raise NotImplementedError

    def mistaken(self) -> Source | None:
        """Make a source of which something cannot be understood; None where all makes sense.

        Let it hold the canary, best in the very place that cannot be understood.
        """
        return None

    def test_it_gives_what_is_written(self) -> None:
        """A load gives every section, option and value, in order, and nothing else."""
        assert content_of(self.source().load()) == self.expected()

    def test_it_has_a_name(self) -> None:
        """A source has a name for the operator, before and after it was loaded."""
        source = self.source()
        name = source.name
        source.load()
        assert name
        assert source.name == name

    def test_every_value_says_where_it_was_written(self) -> None:
        """Each value's origin names its kind and a place to look at."""
        for _, _, raws in self.source().load():
            for raw in raws:
                origin = raw.origin
                assert origin.source
                assert origin.place
                if origin.file is not None:
                    assert origin.line is not None
                    assert origin.line >= 1
                    assert origin.column is not None
                    assert origin.column >= 1
                    assert origin.place == f"{origin.file}:{origin.line}:{origin.column}"

    def test_every_section_is_declared(self) -> None:
        """A tree knows the origin of each section that has values."""
        tree = self.source().load()
        assert set(tree.values) <= set(tree.sections)

    def test_nothing_is_wrong_with_what_is_right(self) -> None:
        """A tree of values that make sense has no mistakes."""
        assert self.source().load().mistakes == ()

    def test_mistakes_travel_with_the_rest(self) -> None:
        """What cannot be understood is an error of the tree that says where, and shows no value."""
        source = self.mistaken()
        if source is None:
            import pytest

            pytest.skip("everything this source can hold makes sense")
        for read in (source.load, source.refresh):
            tree = read()
            assert tree.mistakes, "something should be wrong with it"
            for finding in tree.findings:
                assert finding.severity in ("error", "warning")
                assert finding.code
                assert finding.message
                assert finding.place
            assert self.canary not in repr(tree.findings)

    def test_a_second_load_equals_the_first(self) -> None:
        """Loading twice gives equal trees, and a change to one does not reach the other."""
        source = self.source()
        first = source.load()
        origins = [[raw.origin for raw in raws] for _, _, raws in first]
        first.values.clear()
        second = source.load()
        assert content_of(second) == self.expected()
        assert [[raw.origin for raw in raws] for _, _, raws in second] == origins

    def test_a_refresh_equals_a_load_while_nothing_changed(self) -> None:
        """A refresh gives the whole tree, not a difference, with or without a load before it."""
        source = self.source()
        assert content_of(source.refresh()) == self.expected()
        source.load()
        assert content_of(source.refresh()) == self.expected()

    def test_the_next_refresh_is_not_in_the_past(self) -> None:
        """A refresh is due now, later or never, whatever the time and however often asked."""
        source = self.source()
        for _ in range(2):
            for now in (0.0, 1_000.0, 1e9):
                due = source.next_refresh(now)
                assert due is None or (due >= now and isfinite(due))
            source.load()

    def test_it_leaves_nothing_open(self) -> None:
        """Loads, good and bad, leave no more files or sockets open than a first load did."""
        source, failing = self.source(), self.failing()
        source.load()
        before = _open_files()
        for _ in range(3):
            source.load()
            source.refresh()
        if failing is not None:
            _failure_of(failing)
        assert _open_files() <= before

    def test_no_printed_form_shows_a_value(self) -> None:
        """Neither the source nor a tree, a raw value or a finding prints what was read."""
        source = self.source()
        tree = source.load()
        assert self.canary in str(content_of(tree)), "put the canary into the source"
        raws = [raw for _, _, found in tree for raw in found]
        origins = [*tree.sections.values(), *(raw.origin for raw in raws)]
        printed = f"{source!r} {source} {tree!r} {raws!r} {origins!r} {tree.findings!r}"
        assert self.canary not in printed

    def test_a_failure_names_the_source_and_no_value(self) -> None:
        """A source that cannot be read says so, in one kind of error, each time it is asked."""
        source = self.failing()
        if source is None:
            import pytest

            pytest.skip("nothing can go wrong with this source")
        for _ in range(2):
            failure = _failure_of(source)
            assert source.name in str(failure)
            assert self.canary not in f"{failure} {failure!r} {failure.__dict__}"
            for cause in (failure.__cause__, failure.__context__):
                assert self.canary not in f"{cause} {cause!r}"

    def test_a_failing_source_still_tells_its_refresh(self) -> None:
        """After a failure it can be asked when to try next, and answers as promised."""
        source = self.failing()
        if source is not None:
            _failure_of(source)
            due = source.next_refresh(1_000.0)
            assert due is None or due >= 1_000.0


def _failure_of(source: Source) -> SourceFailed:
    for read in (source.refresh, source.load):
        try:
            read()
        except SourceFailed as failure:
            found = failure
        else:
            raise AssertionError(f"{source!r} should fail and gave a tree")
    return found


def _open_files() -> int:
    # Listing opens one descriptor itself, the same one each time.
    return len(os.listdir("/dev/fd"))  # noqa: PTH208 - counting, nothing is joined
