"""Figures side by side: every contestant a column, every check a line."""

from bedplate.bench.checking import Checking
from bedplate.bench.comparing import compared
from bedplate.bench.loading import Loading


def figures(name: str, factor: float, *missed: str, **reads: float) -> Loading:
    """Make up what was measured."""
    return Loading(
        name=name,
        version="1.2",
        options=1137,
        reads={"held": 8.0 * factor, **reads},
        describe_ms=4.0 * factor,
        first_load_ms=28.0 * factor,
        load_ms=15.0 * factor,
        import_ms=23.0 * factor,
        import_mib=4.0 * factor,
        loaded_mib=7.0 * factor,
        found=("wrong type", "unknown option")[: 2 - len(missed)],
        missed=missed,
        together=2 - len(missed),
        terms="a file",
    )


def check(name: str, milliseconds: float, *missed: str) -> Checking:
    """Make up what a check took."""
    return Checking(
        name=name,
        version="1.2",
        given="JSON",
        median_ms=milliseconds,
        best_ms=milliseconds,
        runs=11,
        found=("wrong type", "unknown option")[len(missed) :],
        missed=missed,
    )


def test_each_contestant_is_a_column_with_its_ratio() -> None:
    """The first is what the others are compared with; what one does not have is a dash."""
    text = compared(
        [figures("bedplate", 1), figures("oslo.config", 75.5, "unknown option", key=250.0)]
    )
    lines = text.splitlines()
    assert lines[:4] == [
        "1137 options. In brackets: times bedplate's.",
        "                                      bedplate  oslo.config",
        "read an option of a held section, ns         8     604 (76)",
        "the same by key, ns                          -          250",
    ]
    assert "of 2 mistakes found                          2            1" in lines
    assert "for the first time" not in text
    assert lines[-1] == "oslo.config 1.2 reads a file."


def test_whole_checks_say_what_they_miss() -> None:
    """A quick check that finds nothing is no better."""
    text = compared([], [check("ours", 100), check("theirs", 1200, "wrong type")])
    assert text.splitlines() == [
        "",
        "Whole checks as processes, medians of 11:",
        "ours 1.2, options as JSON           100 ms  finds all 2 mistakes",
        "theirs 1.2, options as JSON  1,200 ms (12)  finds 1 of 2; not: wrong type",
    ]
