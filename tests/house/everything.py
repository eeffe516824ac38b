"""Runs every check of this repository and reports what ran and what did not.

``python -m tests.house.everything test [pytest arguments]``; ``lint`` and ``types`` run those
alone. The tests print as they go; the other checks run beside them and print what they have to
say afterwards. Knows nothing of how the environment came to be: that is ``run``'s part.
"""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET

from tests.house.compiled import CANNOT

COMPILER = "compiler"
"""What ``--require`` calls a C compiler with Python's headers."""
ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent


class Check(NamedTuple):
    """One thing to run, from the root of the repository."""

    name: str
    command: tuple[str, ...]


class Running:
    """A check started beside the others; what it says goes to a file until it is asked for."""

    def __init__(self, check: Check) -> None:
        """Start it, in a process group of its own so that all of it can be ended."""
        self.check = check
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop()
        self._since = self._ended = time.monotonic()
        self._process = subprocess.Popen(
            check.command,
            cwd=ROOT,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._watch = threading.Thread(target=self._wait)
        self._watch.start()

    def _wait(self) -> None:
        self._process.wait()
        self._ended = time.monotonic()

    def finish(self) -> "Outcome":
        """Wait for the end, and print what it said if it failed."""
        self._watch.join()
        self._output.seek(0)
        said = self._output.read().decode(errors="replace").rstrip()
        status, seconds = self._process.returncode, self._ended - self._since
        if status:
            print(f"\n--- {self.check.name} ---\n{said}", flush=True)
        remark = said.splitlines()[-1] if said and not status else ""
        return Outcome(self.check.name, status, seconds, remark)

    def stop(self) -> None:
        """End it if it still runs, because nobody waits any more."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
        self._watch.join()
        self._output.close()


class Outcome(NamedTuple):
    """How a check ended."""

    name: str
    status: int
    seconds: float
    remark: str = ""

    def __str__(self) -> str:
        word = "passed" if self.status == 0 else f"FAILED (exit status {self.status})"
        tail = f"  {self.remark}" if self.remark else ""
        return f"  {self.name:<8} {word:<8} {self.seconds:6.1f} s{tail}"


def tool(name: str, *arguments: str) -> tuple[str, ...]:
    """Return the command that runs a Python tool of this environment."""
    return (sys.executable, "-m", name, *arguments)


LINT = Check("lint", tool("ruff", "check", "."))
FORMAT = Check("format", tool("ruff", "format", "--check", "."))
TYPES = Check("types", tool("mypy"))
WHEEL = Check("wheel", (sys.executable, str(HERE / "bare_wheel.py")))
COMPILING = Check("compile", tool("tests.house.compiled"))
COMPILED = Check("compiled", tool("tests.house.compiled", "test", "-q"))
REQUIRE = "--require="


def run(check: Check) -> Outcome:
    """Run a check in the foreground, printing as it goes."""
    since = time.monotonic()
    status = subprocess.run(check.command, cwd=ROOT, check=False).returncode
    return Outcome(check.name, status, time.monotonic() - since)


def run_tests(arguments: list[str]) -> tuple[Outcome, list[str], list[str]]:
    """Run pytest; return its outcome, the servers it found, and what it did not run and why."""
    with tempfile.TemporaryDirectory(prefix="bedplate-tests-") as folder:
        record = Path(folder, "tests.xml")
        outcome = run(Check("tests", tool("pytest", f"--junitxml={record}", *arguments)))
        if not record.exists():
            return outcome._replace(remark="no test ran"), [], []
        root = ET.parse(record).getroot()  # noqa: S314 - written by pytest a moment ago
    suites = list(root.iter("testsuite"))
    total = sum(int(suite.get("tests", "0")) for suite in suites)
    skipped = sum(int(suite.get("skipped", "0")) for suite in suites)
    remark = f"{total - skipped} of {total} tests ran"
    if outcome.status > 1:
        remark = "stopped before the end"
    return outcome._replace(remark=remark), servers(root, "found"), did_not_run(root)


def run_compiled(compiling: Outcome, chosen: list[str]) -> tuple[list[Outcome], list[str]]:
    """Run the tests of the message path once more, compiled; return outcomes and what was not run.

    ``compiling`` is how building it ended.
    """
    if compiling.status == CANNOT:
        return [], ["  compiled: not run (the message path cannot be compiled here, see above)"]
    if compiling.status:
        return [compiling], ["  compiled: not run"]
    if chosen:
        return [compiling], ["  compiled: not run (only some tests were asked for)"]
    return [compiling, run(COMPILED)], []


def without_compiler(arguments: list[str]) -> tuple[list[str], bool]:
    """Return what pytest is to get of the arguments, and whether a compiler is required."""
    kept, required = [], False
    for argument in arguments:
        names = argument.removeprefix(REQUIRE).split(",") if argument.startswith(REQUIRE) else []
        if COMPILER in names:
            required = True
            names.remove(COMPILER)
            argument = REQUIRE + ",".join(names)  # noqa: PLW2901 - what is left of it
        kept.append(argument)
    return kept, required


def servers(record: ET.Element, standing: str) -> list[str]:
    """Return the servers whose standing in a JUnit record begins so."""
    kept = [(each.get("name"), each.get("value", "")) for each in record.iter("property")]
    return [f"  {name}: {value}" for name, value in kept if value.startswith(standing)]


def did_not_run(record: ET.Element) -> list[str]:
    """Return what a JUnit record says was not run: absent servers, and tests by reason."""
    reasons = Counter(
        skipped.get("message", "no reason given") for skipped in record.iter("skipped")
    )
    return servers(record, "not run") + [
        f"  {count} test{'' if count == 1 else 's'}: {why}"
        for why, count in sorted(reasons.items())
    ]


def report(outcomes: list[Outcome], found: list[str], missed: list[str], seconds: float) -> int:
    """Print what ran and what did not, and return the exit status of the whole."""
    print("\nWhat ran:")
    print(*outcomes, *found, sep="\n")
    print("What did not run:")
    print(*(missed or ["  nothing: everything ran"]), sep="\n")
    failed = [outcome.name for outcome in outcomes if outcome.status]
    verdict = f"FAILED: {', '.join(failed)}" if failed else "All passed"
    print(f"{verdict}, in {seconds:.0f} s.", flush=True)
    return 1 if failed else 0


def main(arguments: list[str]) -> int:
    """Run ``test`` (everything), ``lint`` or ``types``; return the exit status."""
    what, rest = arguments[0], arguments[1:]
    since = time.monotonic()
    if what == "lint":
        fix = run(Check("lint", (*LINT.command, *rest)))
        return fix.status or run(FORMAT).status
    if what == "types":
        return run(Check("types", (*TYPES.command, *rest))).status
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    run(Check("provide", tool("tests.house.provide")))
    rest, compiler_required = without_compiler(rest)
    beside = [Running(check) for check in (LINT, FORMAT, TYPES, WHEEL, COMPILING)]
    try:
        tests, found, missed = run_tests(rest)
        if chosen := [each for each in rest if not each.startswith((REQUIRE, "-q", "-v"))]:
            missed.append(f"  tests that {' '.join(chosen)} may have left out")
        *outcomes, compiling = [running.finish() for running in beside]
        compiled, unmade = run_compiled(compiling, chosen)
        if compiler_required and compiling.status == CANNOT:
            compiled = [compiling]
        outcomes += [tests, *compiled]
        missed += unmade
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return 130
    finally:
        for running in beside:
            running.stop()
    return report(outcomes, found, missed, time.monotonic() - since)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
