"""``bedplate bench rpc``: what is printed, and what becomes of mistakes."""

import json
import socket
from collections.abc import Callable

import pytest

from bedplate.bench import Figures, Load
from bedplate.cli.__main__ import main
from bedplate.errors import BenchFailed

URL = "rabbit://guest:sesame@127.0.0.1:1/"


@pytest.fixture
def _contest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in for broker and processes: each peer is half as quick; aiormq is not installed."""

    async def reach(url: str) -> None:
        assert url == URL

    def compete(url: str, load: Load, peer: str, *, tell: Callable[[str], object]) -> Figures:
        assert url == URL
        if peer == "aiormq":
            raise BenchFailed(contestant=peer, why="it is not installed.")
        tell(f"Measuring {peer}.")
        return Figures(
            name=peer,
            version="1.2",
            calls_per_second=5000.0 if peer == "bedplate" else 2500.0,
            p50_ms=1.5,
            p99_ms=2.5,
            p999_ms=3.5,
            client_cpu_us=40.0,
            server_cpu_us=60.0,
            rss_mb=30.5,
            connections=1,
            threads=2,
            server_rss_mb=31.5,
            server_connections=2,
            server_threads=1,
            calls=load.calls,
            concurrency=load.concurrency,
            size=load.size,
            confirms="without confirms",
            acks="acknowledged",
        )

    monkeypatch.setattr("bedplate.bench.reach", reach)
    monkeypatch.setattr("bedplate.bench.compete", compete)


@pytest.mark.usefixtures("_contest")
def test_the_table_compares_with_bedplate(capsys: pytest.CaptureFixture[str]) -> None:
    """A line each with its part of bedplate's rate, and each one's terms; progress is apart."""
    assert main(["bench", "rpc", URL, "--peers", "aio-pika,aio-pika", "--calls", "7"]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert "7 calls, 64 in flight, 64 bytes" in lines[0]
    assert "of bedplate" in lines[1]
    assert lines[2].split() == [
        "bedplate",
        "5000",
        "1.00",
        "x",
        "1.500",
        "2.500",
        "3.500",
        "40",
        "60",
        "30.5",
        "1",
        "2",
    ]
    assert lines[3].split()[:4] == ["aio-pika", "2500", "0.50", "x"]
    assert lines[5:] == [
        "bedplate 1.2: without confirms; acknowledged.",
        "aio-pika 1.2: without confirms; acknowledged.",
    ]
    assert err == "Measuring bedplate.\nMeasuring aio-pika.\n"


@pytest.mark.usefixtures("_contest")
def test_programs_get_a_list_with_an_object_a_contestant(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The names of contestants and fields are a promise."""
    arguments = ["--concurrency", "3", "--size", "9", "--json", "--peers", "oslo.messaging"]
    assert main(["bench", "rpc", URL, *arguments]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in found] == ["bedplate", "oslo.messaging"]
    promised = (
        "calls_per_second p50_ms p99_ms p999_ms client_cpu_us server_cpu_us rss_mb connections "
        "threads confirms acks"
    )
    assert set(promised.split()) <= found[0].keys()
    assert (found[0]["concurrency"], found[0]["size"]) == (3, 9)


@pytest.mark.usefixtures("_contest")
def test_who_cannot_take_part_does_not_stop_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    """The others are shown, the failure is told, and the status says that one is missing."""
    assert main(["bench", "rpc", URL, "--peers", "aiormq,aio-pika"]) == 1
    out, err = capsys.readouterr()
    assert "aio-pika" in out
    assert "bedplate: aiormq could not be measured: it is not installed." in err


def test_a_peer_nobody_knows_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    """The known ones are named, and nothing is started."""
    assert main(["bench", "rpc", URL, "--peers", "celery"]) == 2
    assert "no peer 'celery'; there are oslo.messaging, aio-pika, aiormq" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [["--calls", "0"], ["--concurrency", "0"], ["--size", "-1"]])
def test_numbers_without_sense_are_wrong_use(wrong: list[str]) -> None:
    """No call, or none at a time, cannot be measured."""
    assert main(["bench", "rpc", URL, *wrong]) == 2


def test_a_broker_that_is_not_there_is_a_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Status 1, where it was looked for, and no password."""
    monkeypatch.setattr("bedplate.bench.contest._REACH_PATIENCE", 0.3)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        assert main(["bench", "rpc", f"rabbit://guest:sesame@127.0.0.1:{port}/"]) == 1
    err = capsys.readouterr().err
    assert f"bedplate: No connection to 127.0.0.1:{port}: Connection refused" in err
    assert "sesame" not in err
    assert "Traceback" not in err
