"""What is compiled for platform wheels, and how that is asked for."""

import ast
import enum
import importlib
import os
import shutil
import sysconfig
from pathlib import Path

import hatch_build
import pytest
from tests.house import compiled
from tests.house.source import ROOT

EVERY_MODULE = pytest.mark.parametrize("file", compiled.modules(), ids=str)


def parsed(file: Path) -> ast.Module:
    """Return the syntax of a source."""
    return ast.parse((ROOT / file).read_text(encoding="utf-8"))


@EVERY_MODULE
def test_a_module_that_is_compiled_holds_no_values(file: Path) -> None:
    """A Struct would lose its class keywords there, and mypyc takes no heirs of int or str."""
    for each in ast.walk(parsed(file)):
        if isinstance(each, ast.ClassDef):
            names = {ast.unparse(base).partition("[")[0] for base in each.bases}
            assert not names & {"Struct", "int", "str", "dict", "list", "tuple"}, each.name


@EVERY_MODULE
def test_nothing_is_awaited_while_an_error_is_handled(file: Path) -> None:
    """Compiled, the error would stay with whoever runs meanwhile, and a bare raise find another."""
    waits = (ast.Await, ast.AsyncFor, ast.AsyncWith, ast.Yield, ast.YieldFrom)
    for handler in ast.walk(parsed(file)):
        if isinstance(handler, ast.ExceptHandler):
            found = [
                each.lineno
                for part in handler.body
                for each in ast.walk(part)
                if isinstance(each, waits)
            ]
            assert found == [], f"{file}:{found}"


@EVERY_MODULE
def test_a_cause_is_named_by_hand(file: Path) -> None:
    """Compiled, a raise leaves its ``from`` out: `caused` says it to the error itself.

    Of ``from None`` only the traceback shows less.
    """
    for each in ast.walk(parsed(file)):
        if (
            isinstance(each, ast.Raise)
            and each.cause is not None
            and ast.unparse(each.cause) != "None"
        ):
            raised = each.exc
            by_hand = isinstance(raised, ast.Call) and ast.unparse(raised.func) == "caused"
            assert by_hand, f"{file}:{each.lineno}"


@EVERY_MODULE
def test_what_a_compiled_class_inherits_from_holds_nothing(file: Path) -> None:
    """Compiled, a class lays its attributes over those of a plain one it inherits from.

    With a thread for its parent, that ended in the garbage collector. Enums and NamedTuples stay
    plain classes.
    """
    name = ".".join(file.relative_to("src").with_suffix("").parts)
    inside = {
        ".".join(each.relative_to("src").with_suffix("").parts) for each in compiled.modules()
    }
    for each in vars(importlib.import_module(name)).values():
        if (
            not isinstance(each, type)
            or each.__module__ != name
            or issubclass(each, (enum.Enum, tuple))
        ):
            continue
        for parent in each.__mro__[1:]:
            if parent.__module__ not in inside:
                holds = (parent.__basicsize__, parent.__dictoffset__, parent.__weakrefoffset__)
                assert holds == (object.__basicsize__, 0, 0), f"{each} inherits from {parent}"


def test_what_is_lacking_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A compiler and the headers are looked for, each by itself."""
    monkeypatch.setattr(sysconfig, "get_path", lambda _name: str(tmp_path))
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    assert compiled.lacking() == [compiled.COMPILER, compiled.HEADERS]
    (tmp_path / "Python.h").touch()
    assert compiled.lacking() == [compiled.COMPILER]
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    assert compiled.lacking() == []


def test_without_a_compiler_nothing_is_built(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says what is lacking and how to get it, and that is a status of its own."""
    monkeypatch.setattr(compiled, "lacking", lambda: [compiled.COMPILER])
    assert compiled.main([]) == compiled.CANNOT
    said = capsys.readouterr()
    assert said.out == ""
    assert "a C compiler is not there; on Debian and Ubuntu: apt-get install gcc" in said.err


def test_a_changed_source_is_compiled_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What is kept goes by what is in the sources."""
    for name in ("pyproject.toml", "hatch_build.py"):
        shutil.copy(ROOT / name, tmp_path)
    source = tmp_path / "src" / "one.py"
    source.parent.mkdir()
    source.write_text("x = 1\n")
    monkeypatch.setattr(compiled, "ROOT", tmp_path)
    before = compiled.digest()
    assert compiled.digest() == before
    (tmp_path / "examples" / "__pycache__").mkdir(parents=True)
    (tmp_path / "examples" / "__pycache__" / "one.cpython-311.pyc").touch()
    assert compiled.digest() == before
    source.write_text("x = 2\n")
    assert compiled.digest() != before


@pytest.mark.parametrize(
    ("word", "meant"), [("1", True), (" Yes ", True), ("", False), ("off", False)]
)
def test_compiling_is_asked_for(monkeypatch: pytest.MonkeyPatch, word: str, *, meant: bool) -> None:
    """The variable says yes or no in the usual words."""
    monkeypatch.setenv(hatch_build.SWITCH, word)
    assert hatch_build.wanted() is meant


def test_another_word_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody gets a plain wheel because of a typo."""
    monkeypatch.setitem(os.environ, hatch_build.SWITCH, "ture")
    with pytest.raises(ValueError, match="BEDPLATE_COMPILE is 'ture'; set it to 1"):
        hatch_build.wanted()
