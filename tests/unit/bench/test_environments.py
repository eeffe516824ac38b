"""Where peers live: made once, whole or not at all."""

import sys
from pathlib import Path

import pytest

from bedplate.bench.environments import _commands, cache_folder, python_with
from bedplate.errors import BenchFailed

UV = """#!/bin/sh
echo "$@" >> "{log}"
case "$1" in
venv) for folder; do :; done; mkdir -p "$folder/bin"; : > "$folder/bin/python" ;;
pip) {pip} ;;
esac
"""


def uv(folder: Path, pip: str = ":") -> str:
    """Write a program that pretends to be uv and keeps a log."""
    program = folder / "uv"
    program.write_text(UV.format(log=folder / "log", pip=pip))
    program.chmod(0o755)
    return str(program)


def test_an_environment_is_made_once(tmp_path: Path) -> None:
    """The first use installs and says so, the second finds it."""
    told: list[str] = []
    program = uv(tmp_path)
    for _ in range(2):
        python = python_with("aiormq", folder=tmp_path / "cache", tell=told.append, uv=program)
        assert python.exists()
        assert python.is_relative_to(tmp_path / "cache")
    verbs = [line.split()[0] for line in (tmp_path / "log").read_text().splitlines()]
    assert verbs == ["venv", "pip"]
    assert len(told) == 1
    assert "Installing aiormq" in told[0]


def test_what_cannot_be_installed_leaves_nothing_behind(tmp_path: Path) -> None:
    """A failed installation is a sentence with the installer's last words, and is undone."""
    program = uv(tmp_path, pip="echo working >&2; echo no route to the index >&2; exit 2")
    with pytest.raises(BenchFailed, match=r"aiormq .*no route to the index.*within reach"):
        python_with("aiormq", folder=tmp_path / "cache", tell=str, uv=program)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """The folder is in the sentence, for whoever must mend it."""
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(BenchFailed, match=r"cache/inner cannot be written to"):
        python_with("aiormq", folder=tmp_path / "cache" / "inner", tell=str)


def test_an_installer_that_does_not_start_is_named(tmp_path: Path) -> None:
    """A uv that is no program is a sentence."""
    with pytest.raises(BenchFailed, match="/nowhere/uv did not start"):
        python_with("aiormq", folder=tmp_path, tell=str, uv="/nowhere/uv")


def test_without_uv_the_standard_tools_do() -> None:
    """The module venv makes the environment, its own pip installs into it."""
    make, install = _commands("aiormq", Path("/made"), Path("/made/bin/python"), None)
    assert make == (sys.executable, "-m", "venv", "/made")
    assert install[:4] == ("/made/bin/python", "-m", "pip", "install")
    assert install[-1] == "aiormq"


def test_the_cache_is_where_the_user_keeps_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    """XDG_CACHE_HOME counts, else it is ~/.cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert cache_folder() == Path("/elsewhere/bedplate/bench")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert cache_folder() == Path("/home/somebody/.cache/bedplate/bench")
