"""Whole checks: the commands users type, right files and wrong ones."""

import sys

import pytest

from bedplate.bench import checking as checking_module
from bedplate.bench.checking import measure_checking
from bedplate.bench.options import Trial
from bedplate.errors import BenchFailed


@pytest.fixture(autouse=True)
def _here(own_cache: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let both run in this environment, where the tests have oslo.config."""
    del own_cache
    monkeypatch.setattr(checking_module, "python_of", lambda _name, _tell: (sys.executable, "-P"))


def test_the_validator_checks_names_and_bedplate_everything(shop: Trial) -> None:
    """Both are given the same files; what each misses is found out, not claimed."""
    few = {what: shop.forms["ini"][what] for what in ("", "all", "wrong type", "unknown option")}
    trial = Trial(shop.given, {"ini": few}, shop.folder)
    ours, ours_of_yaml, theirs, _ = measure_checking(trial, validator=True, tell=str, runs=1)
    assert (ours.name, ours.given, ours.missed) == ("bedplate config check", "JSON", ())
    assert (ours_of_yaml.given, ours_of_yaml.found) == ("YAML", ours.found)
    assert (theirs.name, theirs.given) == ("oslo-config-validator", "YAML")
    assert ours.found == ("wrong type", "unknown option")
    assert (theirs.found, theirs.missed) == (("unknown option",), ("wrong type",))
    assert theirs.best_ms <= theirs.median_ms
    assert theirs.runs == 1


def test_a_right_file_that_is_refused_is_no_figure(shop: Trial) -> None:
    """A check that fails at once would be quick."""
    wrong = {"ini": {**shop.forms["ini"], "": shop.forms["ini"]["wrong type"]}}
    with pytest.raises(BenchFailed, match=r"bedplate config check .* status 1"):
        measure_checking(Trial(shop.given, wrong, shop.folder), validator=False, tell=str, runs=1)


def test_without_pyyaml_it_is_told_what_is_not_measured(
    shop: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No row is left out in silence."""
    told: list[str] = []
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    commands = checking_module._beside_the_validator(shop, told.append)
    assert [command.name for command in commands] == ["oslo-config-validator"] * 2
    assert told == ["PyYAML is not installed: bedplate is not measured with options given as YAML."]
