"""Private brokers of tests, as far as no broker is needed to see it."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from bedplate.testing.brokers import RabbitNode

# Starts a program as a node starts its server, and says which.
STARTER = """
import pathlib, sys, time
from bedplate.testing.brokers import RabbitNode
node = RabbitNode()
node._home = pathlib.Path(sys.argv[1])
node._environment = {"PATH": "/usr/bin:/bin"}
process = node._spawn("said.log", ["sleep", "1000"])
print(process.pid, flush=True)
time.sleep(1000)
"""


def _runs(pid: int) -> bool:
    """Whether there is such a process, ended ones that nobody asked about aside."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def _ends(pid: int) -> bool:
    for _ in range(500):
        if not _runs(pid):
            return True
        time.sleep(0.01)
    return False


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_server_ends_with_a_test_run_that_was_killed(tmp_path: Path) -> None:
    """Who is killed can stop nothing, and leaves no broker behind all the same."""
    (tmp_path / "log").mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", STARTER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as starter:
        assert starter.stdout is not None
        server = int(starter.stdout.readline())
        assert _runs(server)
        starter.kill()
    assert _ends(server)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_server_that_is_ended_leaves_nothing(tmp_path: Path) -> None:
    """Neither the program nor what watches over it is there afterwards."""
    (tmp_path / "log").mkdir()
    node = RabbitNode()
    node._home, node._environment = tmp_path, {"PATH": "/usr/bin:/bin"}
    process = node._spawn("said.log", ["sleep", "1000"])
    watchers = [
        int(each.name)
        for each in Path("/proc").iterdir()
        if each.name.isdigit() and _group(int(each.name)) == process.pid
    ]
    node._end(process)
    assert all(_ends(pid) for pid in watchers)
    assert process.stdin is not None
    assert process.stdin.closed


def _group(pid: int) -> int:
    try:
        return int(
            Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[2]
        )
    except OSError:
        return 0
