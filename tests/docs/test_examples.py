"""Every example runs as its reader would run it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.house.source import ROOT

from bedplate.cli import probe

EXAMPLES = sorted((ROOT / "examples").glob("*/service.py"))


def test_there_are_examples() -> None:
    """An empty list of examples would pass the other tests."""
    assert EXAMPLES


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.parent.name)
def test_an_example_becomes_ready_and_stops_when_told(example: Path, tmp_path: Path) -> None:
    """Started as a program it becomes ready; a SIGTERM ends it in good order."""
    name = example.parent.name
    where = tmp_path / "health.sock"
    process = subprocess.Popen(
        (sys.executable, str(example), "--config-file", str(example.parent / f"{name}.conf")),
        cwd=tmp_path,
        env={"PATH": os.defpath, f"{name.upper()}_HEALTH__SOCKET": str(where)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        until = time.monotonic() + 20
        while probe.main([str(where), "--quiet"]) != 0:
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < until, "the example did not become ready"
            time.sleep(0.02)  # another process lives in real time
    finally:
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=20)
    assert process.returncode == 0, said
    assert "Traceback" not in said
