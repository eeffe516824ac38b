"""The benches run. What they measure is for people to compare; nothing here judges it."""

import importlib
import json

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
    monkeypatch.setattr("benches.imports.measure", lambda: figures)
    assert main(["imports"]) == 0
    said = capsys.readouterr().out
    assert "12.3 ms" in said
    assert "over nothing" in said
    assert "90,000 /s" in said


def test_programs_get_the_figures_as_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An object with a list for each bench, whatever it would show to people."""
    figures = [Measurement("a thing", 12.345, "ms", "over nothing")]
    monkeypatch.setattr("benches.imports.measure", lambda: figures)
    monkeypatch.setattr("benches.config.page", lambda: (figures, "a table"))
    assert main(["--json", "imports", "config"]) == 0
    said = json.loads(capsys.readouterr().out)
    thing = {"what": "a thing", "figure": 12.345, "unit": "ms", "remark": "over nothing"}
    assert said == {"imports": [thing], "config": [thing]}


def test_a_bench_may_show_its_figures_in_its_own_way(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where there is more to say than a list can, the bench says it."""
    monkeypatch.setattr("benches.config.page", lambda: ([], "a table"))
    assert main(["config"]) == 0
    assert capsys.readouterr().out == "a table\n"
