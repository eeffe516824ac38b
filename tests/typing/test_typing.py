"""The public API as mypy sees it: every ``*_ok.py`` and ``*_errors.py`` in this folder.

A file of ``assert_type`` must pass. In a file of errors each line that ends in ``# E: <text>``
must be reported with that text, and no other line may be. mypy runs once for all of them.
"""

import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
OK = sorted(HERE.glob("*_ok.py"))
WRONG = sorted(HERE.glob("*_errors.py"))

_REPORT = re.compile(r"(?P<file>[^:]+):(?P<line>\d+): error: (?P<message>.*)")

Reported = dict[str, dict[int, list[str]]]


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Reported:
    """Run mypy over all files of this folder; give its messages by file and line."""
    cache = tmp_path_factory.mktemp("mypy")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--no-pretty", "--hide-error-context",
         "--no-color-output", f"--cache-dir={cache}", *map(str, (*OK, *WRONG))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stdout + done.stderr
    found: Reported = defaultdict(lambda: defaultdict(list))
    for line in done.stdout.splitlines():
        match = _REPORT.match(line)
        if match:
            found[Path(match["file"]).name][int(match["line"])].append(match["message"])
    return found


def expected(path: Path) -> dict[int, str]:
    """Return the texts a file asks for, by line."""
    lines = path.read_text().splitlines()
    marks = ((number, line.partition("# E: ")[2]) for number, line in enumerate(lines, 1))
    return {number: text.strip() for number, text in marks if text}


@pytest.mark.parametrize("path", OK, ids=lambda path: path.stem)
def test_types_are_what_the_file_asserts(path: Path, reported: Reported) -> None:
    """A file of assert_type passes mypy in strict mode."""
    assert dict(reported.get(path.name, {})) == {}


@pytest.mark.parametrize("path", WRONG, ids=lambda path: path.stem)
def test_each_marked_mistake_is_reported_and_nothing_else(path: Path, reported: Reported) -> None:
    """A line marked with a message is reported with it, and an unmarked line is not reported."""
    wanted, said = expected(path), reported.get(path.name, {})
    assert wanted, f"{path.name} marks no line"
    silent = {
        line: text
        for line, text in wanted.items()
        if not any(text in message for message in said.get(line, ()))
    }
    unmarked = {line: messages for line, messages in said.items() if line not in wanted}
    assert (silent, unmarked) == ({}, {})
