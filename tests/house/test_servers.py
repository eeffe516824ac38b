"""Absent servers are told, never passed over in silence."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.house.everything import did_not_run
from tests.house.source import ROOT

NEEDING = '''
import pytest

@pytest.mark.needs("rabbit")
def test_with_a_server():
    """A test that needs a server."""

def test_without():
    """A test that needs none."""
'''


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """Make a small project that has our conftest, one test with and one without a server."""
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path / "conftest.py")
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = needs(*servers)\n")
    (tmp_path / "test_it.py").write_text(NEEDING)
    return tmp_path


def run(house: Path, *arguments: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run pytest there, with nothing but ``path`` to find programs in."""
    return subprocess.run(
        (sys.executable, "-m", "pytest", "-p", "no:randomly", "--strict-markers", *arguments),
        cwd=house,
        env={"PATH": str(path or ""), "BEDPLATE_SBIN": ""},
        capture_output=True,
        text=True,
        check=False,
    )


def with_a_server(house: Path) -> Path:
    """Put a program of the server's name where only this run finds it."""
    folder = house / "bin"
    folder.mkdir()
    server = folder / "rabbitmq-server"
    server.write_text("#!/bin/sh\n")
    server.chmod(0o755)
    return folder


def test_an_absent_server_is_told_at_the_top_and_at_the_end(house: Path) -> None:
    """The header names the server; its test is not run and says why; the rest runs."""
    done = run(house, "-rs")
    assert "server rabbit: not run (no rabbit server is installed)" in done.stdout
    assert "SKIPPED [1] test_it.py" in done.stdout
    assert "1 passed, 1 skipped" in done.stdout
    assert done.returncode == 0


def test_a_required_server_that_is_absent_fails_the_run_at_once(house: Path) -> None:
    """``--require`` turns an absent server into a failure before the first test."""
    done = run(house, "--require=rabbit")
    assert done.returncode != 0
    assert "--require=rabbit: not run (no rabbit server is installed)" in done.stderr
    assert "passed" not in done.stdout


def test_a_server_that_is_there_is_used(house: Path) -> None:
    """With the server found, its tests run, required or not."""
    done = run(house, "--require=rabbit", path=with_a_server(house))
    assert "server rabbit: found (" in done.stdout
    assert "2 passed" in done.stdout


def test_a_server_nobody_knows_is_refused(house: Path) -> None:
    """A misspelt name would be absent for ever, or required for nothing."""
    done = run(house, "--require=rabit")
    assert done.returncode != 0
    assert "no server is named rabit (known: rabbit)" in done.stderr
    (house / "test_it.py").write_text(NEEDING.replace('"rabbit"', '"rabit"'))
    done = run(house)
    assert done.returncode != 0
    assert "no server is named rabit (known: rabbit)" in done.stderr


def test_the_report_counts_what_did_not_run_and_why(house: Path) -> None:
    """The record of a run yields the absent servers and the skipped tests by reason."""
    from xml.etree import ElementTree as ET

    run(house, "--junitxml=record.xml")
    record = ET.parse(house / "record.xml").getroot()  # noqa: S314 - written by pytest above
    assert did_not_run(record) == [
        "  rabbit: not run (no rabbit server is installed), needed by 1 test",
        "  1 test: rabbit: not run (no rabbit server is installed)",
    ]
