"""The contest of configuration: contestants in processes of their own, and what is made of them."""

import sys
from pathlib import Path

import pytest

from bedplate.bench import loading as loading_module
from bedplate.bench import processes
from bedplate.bench.loading import CONFIG_PEERS, measure_loading
from bedplate.bench.options import Trial
from bedplate.errors import BenchFailed


@pytest.fixture
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let peers run in this environment, where the tests have oslo.config."""
    monkeypatch.setattr(loading_module, "python_of", lambda _name, _tell: (sys.executable, "-I"))


@pytest.mark.usefixtures("own_cache")
def test_bedplate_finds_every_mistake(shop: Trial) -> None:
    """All figures are taken, all mistakes found, and progress is told."""
    told: list[str] = []
    figures = measure_loading(shop, tell=told.append, processes=1, times=10)
    assert figures.missed == ()
    assert set(figures.found) == {mistake.what for mistake in shop.given.mistakes}
    assert figures.together == len(figures.found) - 1  # sections are judged when all are known
    assert figures.options == len(shop.given.options)
    assert set(figures.reads) == {"held", "root"}
    assert all(figure > 0 for figure in figures.reads.values())
    assert 0 < figures.load_ms < 1000
    assert figures.import_ms > 0
    assert figures.loaded_mib >= figures.import_mib >= 0
    assert told == [f"Measuring bedplate: {figures.options} options, 1 processes."]


@pytest.mark.usefixtures("own_cache", "_here")
def test_oslo_config_is_given_the_same_and_misses_names(shop: Trial) -> None:
    """It reads the same values, or it would be refused; unknown names it never tells."""
    figures = measure_loading(shop, "oslo.config", tell=str, processes=1, times=10)
    assert figures.missed == ("unknown option", "unknown section")
    assert set(figures.reads) == {"held", "root", "key", "first"}
    assert figures.reads["first"] > figures.reads["held"]


def test_every_peer_has_a_file() -> None:
    """Who can be named can be measured."""
    known = loading_module._CONTESTANTS
    assert set(known) == {"bedplate", *CONFIG_PEERS}
    folder = Path(loading_module.__file__).parent / "peers"
    assert all((folder / each.file).exists() for each in known.values())


@pytest.mark.usefixtures("own_cache", "_here")
def test_a_library_that_is_not_there_is_a_sentence(shop: Trial) -> None:
    """Its process's last words say what is missing."""
    with pytest.raises(BenchFailed, match=r"dynaconf could not be measured.*No module named"):
        measure_loading(shop, "dynaconf", tell=str, processes=1)


@pytest.mark.usefixtures("own_cache")
def test_what_a_contestant_complains_of_is_told(shop: Trial) -> None:
    """An error inside the process is an error of the contest, with its words."""
    wrong = {**shop.forms, "ini": {**shop.forms["ini"], "": shop.forms["ini"]["wrong type"]}}
    broken = Trial(shop.given, wrong, shop.folder)
    with pytest.raises(BenchFailed, match=r"InvalidConfig.*workers must be a whole number"):
        measure_loading(broken, tell=str, processes=1, times=10)


def test_a_process_that_does_not_start_or_end_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither waits for ever nor ends in a traceback."""
    with pytest.raises(BenchFailed, match="/nowhere/python did not start"):
        processes.output("dynaconf", ("/nowhere/python",))
    monkeypatch.setattr(processes, "_PATIENCE", 0.05)
    with pytest.raises(BenchFailed, match=r"did not end within 0\.05 s"):
        processes.status("dynaconf", (sys.executable, "-c", "import time; time.sleep(60)"))
