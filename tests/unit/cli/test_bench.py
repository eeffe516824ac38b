"""``bedplate bench``: what is printed, and what becomes of mistakes."""

import json
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bedplate.bench import Checking, Figures, Load, Loading, Trial
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
            build="plain Python",
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
        "bedplate 1.2, plain Python: without confirms; acknowledged.",
        "aio-pika 1.2, plain Python: without confirms; acknowledged.",
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
        "threads build confirms acks"
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


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Stand in for processes; write a schema and a file, and return what names them."""

    def measure_loading(
        _trial: Trial, name: str, *, tell: Callable[[str], object], processes: int
    ) -> Loading:
        if name == "dynaconf":
            raise BenchFailed(contestant=name, why="it is not installed.")
        tell(f"Measuring {name}.")
        return Loading(
            name=name,
            version="1.2",
            options=1,
            reads={"held": 8.0 if name == "bedplate" else 640.0},
            describe_ms=1.0,
            first_load_ms=2.0,
            load_ms=float(processes),
            import_ms=4.0,
            import_mib=5.0,
            loaded_mib=6.0,
            found=("wrong type",),
            missed=(),
            together=1,
            terms="a file",
        )

    def measure_checking(
        _trial: Trial, *, validator: bool, tell: Callable[[str], object], runs: int
    ) -> tuple[Checking, ...]:
        tell("Measuring whole checks.")
        names = ("ours", "theirs") if validator else ("ours",)
        return tuple(
            Checking(
                name=name,
                version="1.2",
                given="JSON",
                median_ms=100.0,
                best_ms=90.0,
                runs=runs,
                found=("wrong type",),
                missed=(),
            )
            for name in names
        )

    monkeypatch.setattr("bedplate.bench.measure_loading", measure_loading)
    monkeypatch.setattr("bedplate.bench.measure_checking", measure_checking)
    opts = [{"name": "workers", "type": "integer value"}]
    (tmp_path / "shop.json").write_text(json.dumps({"options": {"api": {"opts": opts}}}))
    (tmp_path / "shop.conf").write_text("[api]\nworkers = 3\n")
    return [
        *("bench", "config", str(tmp_path / "shop.conf")),
        *("--schema", str(tmp_path / "shop.json")),
    ]


def test_configuration_is_compared_in_a_table(
    asked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A column each with its ratio, the whole checks below; progress is apart."""
    assert main([*asked, "--peers", "oslo.config", "--processes", "3"]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[1].split() == ["bedplate", "oslo.config"]
    assert lines[2].split()[-3:] == ["8", "640", "(80)"]
    assert "medians of 7:" in out
    assert [line.split()[0] for line in lines[-2:]] == ["ours", "theirs"]
    assert err == "Measuring bedplate.\nMeasuring oslo.config.\nMeasuring whole checks.\n"


def test_programs_get_both_lists_of_figures(
    asked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The names of contestants and fields are a promise."""
    assert main([*asked, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in found["loading"]] == ["bedplate"]
    assert found["loading"][0]["reads"] == {"held": 8.0}
    assert [each["name"] for each in found["checking"]] == ["ours"]
    assert {"median_ms", "found", "missed"} <= found["checking"][0].keys()


def test_who_cannot_be_installed_does_not_stop_the_others(
    asked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The others are shown, and the status says that one is missing."""
    assert main([*asked, "--peers", "dynaconf,environ-config"]) == 1
    out, err = capsys.readouterr()
    assert out.splitlines()[1].split() == ["bedplate", "environ-config"]
    assert "bedplate: dynaconf could not be measured: it is not installed." in err


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--peers", "viper"], "no peer 'viper'; there are oslo.config, pydantic-settings,"),
        (["--processes", "0"], "--processes"),
        (["--schema", "nowhere.json"], "nowhere.json"),
    ],
)
def test_what_cannot_be_compared_is_wrong_use(
    asked: list[str], wrong: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is measured then."""
    assert main([*asked, *wrong]) == 2
    assert said in capsys.readouterr().err


def test_a_schema_that_is_none_is_a_sentence(
    asked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 1 and what was expected."""
    Path(asked[-1]).write_text("{}")
    assert main(asked) == 1
    err = capsys.readouterr().err
    assert "neither the JSON Schema" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("arguments", [["--help"], ["bench", "--help"], ["config", "--help"]])
def test_help_does_not_wait_for_what_it_does_not_need(arguments: list[str]) -> None:
    """Asyncio takes longer to import than the rest of the help takes."""
    program = (
        "import sys; from bedplate.cli.__main__ import main; main(sys.argv[1:]); "
        "print(sorted({'asyncio', 'ssl', 'msgspec'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", program, *arguments]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "Usage:" in said
    assert said.splitlines()[-1] == "[]"
