"""The report of a whole run says what ran, what did not, and how it ended."""

import sys

import pytest
from tests.house import everything
from tests.house.compiled import CANNOT
from tests.house.everything import (
    Check,
    Outcome,
    Running,
    report,
    run_compiled,
    without_compiler,
)


def test_all_good_is_status_0(capsys: pytest.CaptureFixture[str]) -> None:
    """Each check has a line with its time; nothing left out is said in words."""
    outcomes = [Outcome("lint", 0, 1.25, "All checks passed!"), Outcome("tests", 0, 60.0)]
    assert report(outcomes, ["  rabbit: found (/x), needed by 2 tests"], [], 61.2) == 0
    said = capsys.readouterr().out.splitlines()
    assert "  lint     passed      1.2 s  All checks passed!" in said
    assert "  rabbit: found (/x), needed by 2 tests" in said
    assert "  nothing: everything ran" in said
    assert said[-1] == "All passed, in 61 s."


def test_one_failure_fails_the_whole(capsys: pytest.CaptureFixture[str]) -> None:
    """The last line names what failed; what did not run is listed."""
    outcomes = [Outcome("lint", 0, 1.0), Outcome("types", 1, 2.0)]
    assert report(outcomes, [], ["  rabbit: not run (no rabbit server is installed)"], 3.0) == 1
    said = capsys.readouterr().out.splitlines()
    assert "  rabbit: not run (no rabbit server is installed)" in said
    assert said[-1] == "FAILED: types, in 3 s."


def python(code: str) -> Check:
    """Return a check that is a line of Python."""
    return Check("line", (sys.executable, "-c", code))


def test_a_check_beside_the_tests_tells_its_last_line(capfd: pytest.CaptureFixture[str]) -> None:
    """A check that passes is quiet and sums itself up."""
    running = Running(python("print('a'); print('all is well')"))
    outcome = running.finish()
    running.stop()
    assert (outcome.status, outcome.remark) == (0, "all is well")
    assert capfd.readouterr().out == ""


def test_a_check_that_fails_prints_all_it_said(capfd: pytest.CaptureFixture[str]) -> None:
    """What went wrong stands under the check's name."""
    running = Running(python("print('a'); raise SystemExit('b')"))
    outcome = running.finish()
    running.stop()
    assert outcome.status == 1
    said = capfd.readouterr().out
    assert "--- line ---" in said
    assert said.rstrip().endswith("a\nb") or said.rstrip().endswith("b\na")


def test_a_check_nobody_waits_for_is_ended() -> None:
    """Stopping ends what still runs, with what it started."""
    running = Running(python("import time; time.sleep(60)"))
    running.stop()
    assert running._process.returncode < 0


def test_lint_and_types_run_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """``./run lint`` and ``./run types`` run their tools, with the arguments given."""
    ran: list[Check] = []

    def remember(check: Check) -> Outcome:
        ran.append(check)
        return Outcome(check.name, 0, 0.0)

    monkeypatch.setattr(everything, "run", remember)
    assert everything.main(["lint", "--fix"]) == 0
    assert everything.main(["types"]) == 0
    assert [check.command[2] for check in ran] == ["ruff", "ruff", "mypy"]
    assert ran[0].command[-1] == "--fix"


def test_a_compiler_is_not_a_server() -> None:
    """``--require=compiler`` is meant for the whole run; pytest gets what is left of it."""
    assert without_compiler(["--require=rabbit,compiler", "-q"]) == (
        ["--require=rabbit", "-q"],
        True,
    )
    assert without_compiler(["--require=rabbit", "-k", "compiler"]) == (
        ["--require=rabbit", "-k", "compiler"],
        False,
    )


def test_the_message_path_is_tested_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it cannot be built, or only some tests were asked for, the report says so."""
    built = Outcome("compile", 0, 80.0)
    monkeypatch.setattr(everything, "run", lambda check: Outcome(check.name, 0, 60.0))
    outcomes, missed = run_compiled(built, [])
    assert [each.name for each in outcomes] == ["compile", "compiled"]
    assert missed == []
    outcomes, missed = run_compiled(built, ["-k", "x"])
    assert [each.name for each in outcomes] == ["compile"]
    assert "only some tests" in missed[0]
    outcomes, missed = run_compiled(built._replace(status=1), [])
    assert (outcomes[0].status, missed) == (1, ["  compiled: not run"])
    outcomes, missed = run_compiled(built._replace(status=CANNOT), [])
    assert outcomes == []
    assert "cannot be compiled here" in missed[0]
