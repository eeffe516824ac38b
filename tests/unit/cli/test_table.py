"""Tables on standard output."""

import io
import sys

import pytest

from bedplate.cli.table import cell, print_table


def test_a_pipe_gets_plain_columns(capsys: pytest.CaptureFixture[str]) -> None:
    """Columns are as wide as their widest cell, and no line ends in blanks."""
    print_table(("id", "why"), [("4f1c", "x"), ("7", "")])
    assert capsys.readouterr().out == "id    why\n4f1c  x\n7     -\n"


def test_a_terminal_gets_rules_and_whole_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    """However narrow it is, the first cell stays in one piece."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("COLUMNS", "40")
    name = "4f1c09d2a7b3e856-1"
    print_table(("id", "why"), [(name, "it was tried ten times and failed each time")])
    lines = screen.getvalue().splitlines()
    assert any(name in line for line in lines)
    assert any("─" in line or "━" in line for line in lines)


def test_a_cell_cannot_steer_a_terminal() -> None:
    """Escapes are spelled out, lines stay in their cell, and nothing is a dash."""
    assert cell("a\x1b[2J\nb") == "a\\u001b[2J\\nb"
    assert cell("") == "-"
