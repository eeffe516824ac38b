"""The contest: from two processes to figures."""

import socket
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedplate.bench import contest
from bedplate.bench.contest import Figures, Load, percentile, reach
from bedplate.errors import BenchFailed, ConnectFailed, InvalidUrl
from bedplate.messaging import TransportUrl

CONTESTANT = """
import time
from contextlib import asynccontextmanager
DISTRIBUTION, BUILD, CONFIRMS, ACKS = "msgspec", "raw", "none", "some"

@asynccontextmanager
async def server(url, topic, width):
    yield

@asynccontextmanager
async def client(url, topic, width):
    async def call(text):
        if url == "wrong":
            raise PermissionError("sesame is not the word")
        if url == "stuck":
            time.sleep(60)
        until = time.process_time() + 0.001
        while time.process_time() < until:
            pass
        return text
    yield call
"""


def measured(folder: Path, url: str = "", load: Load | None = None) -> Figures:
    """Measure a contestant of our own that takes a millisecond of processor time a call."""
    file = folder / "contestant.py"
    file.write_text(CONTESTANT)
    setting = {"contestant": str(file), "url": url, "topic": "t", "width": 2}
    with ExitStack() as stack:
        server, client = (
            stack.enter_context(
                contest._Side(
                    "ours", (sys.executable, "-P"), {**setting, "role": role}, ("sesame",)
                )
            )
            for role in ("server", "client")
        )
        return contest._measured("ours", load or Load(40, 2, 10), client, server)


def test_the_figures_are_those_of_the_calls(tmp_path: Path) -> None:
    """A call that takes a millisecond of processor time is found to take that."""
    figures = measured(tmp_path)
    assert figures.name == "ours"
    assert 900 <= figures.client_cpu_us <= 3000
    assert figures.server_cpu_us < 900
    assert 1 <= figures.p50_ms <= figures.p99_ms <= figures.p999_ms
    assert 0 < figures.calls_per_second <= 1000
    assert (figures.calls, figures.concurrency, figures.size) == (40, 2, 10)
    assert (figures.build, figures.confirms, figures.acks) == ("raw", "none", "some")
    assert (figures.connections, figures.threads) == (0, 1)
    assert figures.rss_mb > 1


def test_the_quick_are_warmed_up_as_long_as_the_slow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tenth of few calls would be over before a broker and an interpreter are at their speed."""
    rounds: list[tuple[object, float]] = []
    ask = contest._Side.ask

    def listening(
        side: contest._Side, order: Mapping[str, object], patience: float = 60.0
    ) -> contest._Answer:
        answer = ask(side, order, patience)
        if order.get("do") == "calls":
            rounds.append((order["calls"], answer.number("seconds")))
        return answer

    monkeypatch.setattr(contest._Side, "ask", listening)
    measured(tmp_path, load=Load(50, 2, 10))
    *warming, (calls, _) = rounds
    assert calls == 50
    assert {each for each, _ in warming} == {5}
    assert 0.5 <= sum(seconds for _, seconds in warming) < 1.5


def test_what_a_contestant_says_is_told_without_the_password(tmp_path: Path) -> None:
    """An error of a library is shown, and never shows the password of the URL."""
    with pytest.raises(BenchFailed, match=r"client said PermissionError: \*\*\*\* is not the word"):
        measured(tmp_path, "wrong")


def test_a_contestant_that_hangs_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for ever; what hangs is ended and named."""
    monkeypatch.setattr(contest, "_CALL_PATIENCE", 0.0)
    monkeypatch.setattr(contest, "_START_PATIENCE", 0.8)
    began = time.monotonic()
    with pytest.raises(BenchFailed, match=r"its client ended, or was ended after 0\.8 s"):
        measured(tmp_path, "stuck")
    assert time.monotonic() - began < 20


def test_a_python_that_is_not_there_is_named() -> None:
    """A program that cannot be started is a sentence."""
    side = contest._Side("ours", ("/nowhere/python",), {"role": "server"}, ())
    with pytest.raises(BenchFailed, match=r"ours .*/nowhere/python did not start"):
        side.__enter__()


def test_answers_of_the_wrong_kind_are_refused() -> None:
    """What is missing from an answer is named, not taken for nothing."""
    answer = contest._Answer("ours", {"seconds": "3", "latencies": [], "acks": None})
    for read, name in (
        (answer.number, "seconds"),
        (answer.numbers, "latencies"),
        (answer.text, "acks"),
    ):
        with pytest.raises(BenchFailed, match=f"did not answer with '{name}'"):
            read(name)


@settings(max_examples=100)
@given(st.lists(st.floats(0, 1e6), min_size=1).map(sorted), st.floats(0.1, 100))
def test_a_percentile_is_the_least_that_covers(numbers: Sequence[float], percent: float) -> None:
    """So many of the numbers do not exceed it, and it is one of them."""
    found = percentile(numbers, percent)
    assert found in numbers
    assert sum(each <= found for each in numbers) >= len(numbers) * percent / 100 - 1e-6
    assert sum(each < found for each in numbers) < len(numbers) * percent / 100 + 1e-6


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        ("bedplate", "rabbit://u:p%40@a:1,u:q@b:2/v%2F1?heartbeat=3"),
        ("oslo.messaging", "rabbit://u:p%40@a:1,u:q@b:2/v%2F1"),
        ("aio-pika", "amqp://u:p%40@a:1/v%2F1"),
        ("aiormq", "amqp://u:p%40@a:1/v%2F1"),
    ],
)
def test_each_contestant_gets_the_address_in_its_own_spelling(peer: str, expected: str) -> None:
    """User, password and virtual host stay as written; options and further hosts may not."""
    url = TransportUrl("rabbit://u:p%40@a:1,u:q@b:2/v%2F1?heartbeat=3")
    assert contest._address_for(peer, url) == expected


def test_peers_are_not_compared_over_tls() -> None:
    """What of our options a peer would need for it cannot be translated."""
    with pytest.raises(BenchFailed, match="plain connections"):
        contest._address_for("aiormq", TransportUrl("rabbits://a/"))


async def test_a_broker_within_a_process_is_no_meeting_place() -> None:
    """Two processes cannot share a broker that lives in one."""
    with pytest.raises(InvalidUrl, match="rabbit://"):
        await reach("memory://")


@pytest.mark.usefixtures("real_time")
async def test_nobody_there_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is measured, the broker is asked once."""
    monkeypatch.setattr(contest, "_REACH_PATIENCE", 0.3)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(ConnectFailed, match="refused"):
            await reach(f"rabbit://127.0.0.1:{port}/")
