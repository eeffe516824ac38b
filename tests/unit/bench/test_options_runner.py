"""One contestant in a process: what it says of itself, and who is refused."""

import io
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bedplate.bench import options_runner

CONTESTANT = """
import tomllib
DISTRIBUTION, MODULE, FORM, TERMS = "msgspec", "tomllib", "toml", "a file, and judges numbers"

def describe(options):
    return {(each["section"], each["name"]): each["kind"] for each in options}

def load(described, source):
    with open(source, "rb") as file:
        data = tomllib.load(file)
    wrong = [name for (section, name), kind in described.items()
             if kind == "int" and not isinstance(data[section][name], int)]
    if wrong:
        raise ValueError(f"wrong: {wrong}")
    return data

def value(loaded, section, name):
    return loaded[section][name]

def reads(loaded, section, name):
    return {"held": (f"held[{name!r}]", {"held": loaded[section]})}
"""


def setting(folder: Path, **changes: object) -> Mapping[str, Any]:
    """Write a contestant and its files, and return what it is told."""
    for name, text in (("c.py", CONTESTANT), ("r.toml", "a.n = 1"), ("w.toml", "a.n = 'x'")):
        (folder / name).write_text(text)
    wrong = str(folder / "w.toml")
    return {
        "contestant": str(folder / "c.py"),
        "options": [{"section": "a", "name": "n", "kind": "int"}],
        "expected": [["a", "n", "int", 1]],
        "right": str(folder / "r.toml"),
        "wrong": {"wrong type": wrong, "all": wrong, "none": str(folder / "r.toml")},
        "names": ["n", "else"],
        "read": ["a", "n"],
        "loads": 3,
        "times": 10,
        **changes,
    }


def test_the_figures_of_a_contestant(tmp_path: Path) -> None:
    """Times, memory, what it noticed, and how many mistakes at once."""
    said = options_runner.answer(setting(tmp_path))
    assert said["found"] == ["wrong type"]
    assert said["together"] == 1
    assert said["terms"] == "a file, and judges numbers"
    loads, reads = said["loads"], said["reads"]
    assert isinstance(loads, list)
    assert isinstance(reads, dict)
    assert len(loads) == 3
    assert loads == sorted(loads)
    assert 0 < reads["held"] < 1e-3
    assert isinstance(said["held"], int)


def test_who_reads_something_else_is_no_contestant(tmp_path: Path) -> None:
    """A library that skips the work would win."""
    with pytest.raises(ValueError, match=r"a\.n was read as 1, not 2"):
        options_runner.answer(setting(tmp_path, expected=[["a", "n", "int", 2]]))


def test_addresses_may_be_completed(tmp_path: Path) -> None:
    """A path that goes without saying makes no difference."""
    told = setting(tmp_path, expected=[["a", "n", "uri", "1/"]])
    assert options_runner.answer(told)["version"]


@pytest.mark.parametrize("changes", [{}, {"contestant": "nowhere.py"}])
def test_the_answer_is_one_object_on_standard_output(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    changes: dict[str, object],
) -> None:
    """A failure is told in it; what the library prints is not taken for it."""
    told = setting(tmp_path, **changes)
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(told)))
    out = os.dup(1)
    try:
        assert options_runner.main() == 0
    finally:
        os.dup2(out, 1)
        os.close(out)
    said = json.loads(capfd.readouterr().out)
    assert ("error" in said) is bool(changes)
