"""The benches run. What they measure is for people to compare; nothing here judges it."""

import importlib

import pytest
from benches.__main__ import main, names
from benches.measuring import Measurement


@pytest.mark.parametrize("name", names())
def test_a_bench_measures_something(name: str) -> None:
    """Every bench gives figures, even at a hundredth of its size."""
    measured = importlib.import_module(f"benches.{name}").measure(size=0.001)
    assert measured
    assert all(isinstance(each, Measurement) and each.figure == each.figure for each in measured)


def test_a_bench_nobody_wrote_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt name is answered with the names there are."""
    assert main(["imprts"]) == 2
    assert "imports" in capsys.readouterr().err


def test_the_table_has_a_line_for_each_figure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was measured is printed with its unit and remark."""
    figures = [
        Measurement("a thing", 12.345, "ms", "over nothing"),
        Measurement("calls", 9e4, "/s"),
    ]
    monkeypatch.setattr("benches.config.measure", lambda: figures)
    assert main(["config"]) == 0
    said = capsys.readouterr().out
    assert "12.3 ms" in said
    assert "over nothing" in said
    assert "90,000 /s" in said
