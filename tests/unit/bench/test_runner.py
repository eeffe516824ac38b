"""One side of a contest: how it calls, what it counts, how it answers."""

import asyncio
import json
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bedplate.bench import runner

CONTESTANT = """
from contextlib import asynccontextmanager, contextmanager
DISTRIBUTION, BUILD, CONFIRMS, ACKS = "msgspec", "raw", "none", "some"

@contextmanager
def server(url, topic, width):
    print("a library talks to itself")
    yield

@asynccontextmanager
async def client(url, topic, width):
    if url == "nowhere":
        raise ExceptionGroup("several", [ConnectionError("nobody answers")])
    async def call(text):
        return text
    yield call
"""


def run(folder: Path, setting: dict[str, object], *orders: dict[str, object]) -> list[object]:
    """Run a side on a contestant of our own, ask it line by line, return what it answered."""
    file = folder / "contestant.py"
    file.write_text(CONTESTANT)
    given = [{"contestant": str(file), "topic": "t", "width": 2, "url": "u", **setting}, *orders]
    with subprocess.Popen(
        [sys.executable, "-P", runner.__file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        bufsize=1,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        said: list[object] = []
        for order in given:
            process.stdin.write(json.dumps(order) + "\n")
            said.append(json.loads(process.stdout.readline()))
        process.stdin.close()
        assert process.wait(20) == (1 if "error" in str(said[-1]) else 0)
    return said


async def test_calls_are_made_as_many_at_a_time_as_was_asked() -> None:
    """All the calls are made, never more in flight than told, and that many at once."""
    flying, most, made = 0, 0, 0

    async def call(text: str) -> str:
        nonlocal flying, most, made
        flying, made = flying + 1, made + 1
        most = max(most, flying)
        await asyncio.sleep(1)
        flying -= 1
        return text

    answer = await runner.make_calls(call, {"calls": 50, "concurrency": 8, "size": 3})
    latencies = answer["latencies"]
    assert (made, most) == (50, 8)
    assert isinstance(latencies, list)
    assert len(latencies) == 50
    assert latencies == sorted(latencies)
    assert "threads" not in answer


async def test_a_wrong_echo_is_no_call() -> None:
    """What comes back must be what was sent, or the figures mean nothing."""

    async def call(text: str) -> str:
        return text[1:]

    with pytest.raises(RuntimeError, match="the echo of 3 characters came back as 'xx'"):
        await runner.make_calls(call, {"calls": 5, "concurrency": 2, "size": 3})


def test_threads_call_side_by_side() -> None:
    """A blocking client is called from as many threads as calls are to be in flight."""
    together = threading.Barrier(4)

    def call(text: str) -> str:
        together.wait(20)  # breaks unless four are in here at a time
        return text

    order: runner.Order = {"calls": 40, "concurrency": 4, "size": 0, "look": True}
    answer = runner.make_calls_in_threads(call, order)
    latencies, threads = answer["latencies"], answer["threads"]
    assert isinstance(latencies, list)
    assert len(latencies) == 40
    assert isinstance(threads, int)
    assert threads > 4


def test_what_fails_in_a_thread_is_raised() -> None:
    """An error of one caller is the outcome of the round."""

    def call(text: str) -> str:
        raise ConnectionError(text)

    with pytest.raises(ConnectionError, match="x"):
        runner.make_calls_in_threads(call, {"calls": 4, "concurrency": 2, "size": 1})


@pytest.mark.skipif(sys.platform != "linux", reason="counts are read from /proc")
def test_connections_are_the_established_ones_of_this_process() -> None:
    """Listening is not a connection; both ends of one, if both are ours, are two."""
    before = runner.facts()["connections"]
    with socket.create_server(("127.0.0.1", 0)) as listening:
        assert runner.facts()["connections"] == before
        with socket.create_connection(listening.getsockname()), listening.accept()[0]:
            now = runner.facts()
    assert now["connections"] == before + 2
    assert now["rss"] > 1_000_000
    assert now["cpu"] > 0


def test_a_client_obeys_line_by_line(tmp_path: Path) -> None:
    """It tells its terms, makes the calls it is told to make, and says what it uses."""
    order: dict[str, object] = {"do": "calls", "calls": 7, "concurrency": 2, "size": 9}
    terms, calls, facts = run(tmp_path, {"role": "client"}, order, {"do": "facts"})
    assert isinstance(terms, dict)
    assert isinstance(calls, dict)
    assert isinstance(facts, dict)
    assert (terms["build"], terms["confirms"], terms["acks"]) == ("raw", "none", "some")
    assert len(calls["latencies"]) == 7
    assert facts.keys() == {"cpu", "rss", "connections", "threads"}


def test_what_a_library_prints_is_no_answer(tmp_path: Path) -> None:
    """Standard output is for answers alone, whatever runs in the process."""
    terms, facts = run(tmp_path, {"role": "server"}, {"do": "facts"})
    assert isinstance(terms, dict)
    assert isinstance(facts, dict)
    assert terms["acks"] == "some"
    assert facts["rss"] > 0


def test_what_goes_wrong_is_an_answer(tmp_path: Path) -> None:
    """An error, also one in a group, is told in one line."""
    said = run(tmp_path, {"role": "client", "url": "nowhere"})
    assert said == [{"error": "ConnectionError: nobody answers"}]
