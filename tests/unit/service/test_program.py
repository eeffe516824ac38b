"""A service as a program: signals, exit status, reload, what operators read."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bedplate import Service
from bedplate.service.program import Program

_PROGRAM = '''
import asyncio
from bedplate import Service
from bedplate.config import Section, option


class Common(Section, name="DEFAULT"):
    shelves: list[str] = option(default=["old"], mutable=True)


class Shelf(Section, each="shelves"):
    size: int = option(default=1)

class Greeting(Section):
    """What is said."""
    word: str = option(default="hello", mutable=True, help="How to greet.")
    tone: str = option(default="calm", help="How to say it.")

async def setup(service):
    if service.config[Greeting].word == "slow":
        await asyncio.sleep(3600)

raise SystemExit(Service("greeter", [Greeting, Common, Shelf], setup).run())
'''

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    """Give the configuration file of the program."""
    file = tmp_path / "greeter.conf"
    file.write_text("[health]\nport = 0\n[greeting]\nword = hello\n", encoding="utf-8")
    return file


@pytest.fixture
def start(tmp_path: Path, conf: Path) -> Iterator[Start]:
    """Start the program and end it, by its own id, when the test is over."""
    program = tmp_path / "greeter.py"
    program.write_text(_PROGRAM, encoding="utf-8")
    started: list[subprocess.Popen[str]] = []

    def begin(*arguments: str, stdout: int | None = None) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, str(program), "--config-file", str(conf), *arguments],
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait(10)
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def _read_until(process: "subprocess.Popen[str]", words: str) -> str:
    """Read what the program says until a line has these words, and return all of it."""
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if words in line:
            return said
    raise AssertionError(f"the program ended without saying {words!r}:\n{said}")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_program_cleanly(start: Start, number: signal.Signals) -> None:
    """SIGTERM and SIGINT end it with status 0 and a line that says why."""
    process = start()
    _read_until(process, "is ready")
    process.send_signal(number)
    said = _read_until(process, "has stopped")
    assert process.wait(10) == 0
    assert number.name in said
    assert "Traceback" not in said


def test_a_signal_during_start_ends_it(start: Start) -> None:
    """A program that still waits in its setup stops at the first signal."""
    process = start("--greeting.word=slow")
    # The health page is up before setup runs, so the log is the only thing to wait for.
    assert process.stderr is not None
    os.set_blocking(process.stderr.fileno(), True)
    _wait_for_handler(process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0


def _wait_for_handler(process: "subprocess.Popen[str]") -> None:
    """Wait until the process has a handler for SIGTERM, as the kernel sees it."""
    status = Path(f"/proc/{process.pid}/status")
    while True:
        caught = next(line for line in status.read_text().splitlines() if line.startswith("SigCgt"))
        if int(caught.split()[1], 16) & (1 << (signal.SIGTERM - 1)):
            return


def test_sighup_reloads_and_says_what_changed(start: Start, conf: Path) -> None:
    """After SIGHUP mutable options have new values; the others are refused with their place."""
    process = start()
    _read_until(process, "is ready")
    conf.write_text(
        "[health]\nport = 0\n[greeting]\nword = bye\ntone = loud\n"
        "[DEFAULT]\nshelves = new\n[new]\nsize = 2\n",
        encoding="utf-8",
    )
    process.send_signal(signal.SIGHUP)
    said = _read_until(process, "configuration read again")
    assert "greeting.word is bye now, was hello" in said
    assert f"{conf}:5:1" in said
    assert "restart" in said
    assert "[new] is named now" in said
    assert "[old] is named no more" in said
    conf.write_text("[greeting]\nwrod = bye\n", encoding="utf-8")
    process.send_signal(signal.SIGHUP)
    said = _read_until(process, "not reloaded")
    said += _read_until(process, "wrod")
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0


def test_help_is_all_that_help_prints(start: Start) -> None:
    """--help lists flags and variables, ends with status 0 and starts nothing."""
    process = start("--help", stdout=subprocess.PIPE)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "--greeting.word VALUE" in out
    assert "GREETER_GREETING__WORD" in out
    assert err == ""


def test_wrong_configuration_ends_it_with_sentences(start: Start, conf: Path) -> None:
    """Every mistake is a line that names its place; no traceback, status 1."""
    conf.write_text("[greeting]\nwrod = bye\n[health]\nport = many\n", encoding="utf-8")
    process = start()
    _, said = process.communicate(timeout=20)
    assert process.returncode == 1
    assert f"{conf}:2:1" in said
    assert "'word'" in said
    assert f"{conf}:4:" in said
    assert "Traceback" not in said


class _Stuck:
    """A part that cannot end."""

    async def __aenter__(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    async def __aexit__(self, *exc_info: object) -> None:
        await asyncio.Event().wait()


@pytest.mark.parametrize("again", [False, True])
async def test_a_stop_that_hangs_ends_by_deadline_or_by_a_second_signal(*, again: bool) -> None:
    """What cannot end is left behind after stop_timeout, or at once when asked again: status 1."""
    loop = asyncio.get_running_loop()
    argv = ("--no-health.enabled", "--service.stop-timeout=100", "--service.drain-delay=5")
    service = Service(
        "stuck", [], lambda it: void(it.live_with(_Stuck())), argv=argv, environ={}, files=()
    )
    began = loop.time()
    if again:
        loop.call_later(30, os.kill, os.getpid(), signal.SIGTERM)
    assert await Program(service).live() == 1
    assert loop.time() - began == pytest.approx(30 if again else 107, abs=0.1)


def void(_: object) -> None:
    """Make nothing of a value, for a lambda that must return none."""


def test_a_missing_file_is_a_sentence(start: Start, conf: Path) -> None:
    """A configuration file that is not there is named, without a traceback."""
    conf.unlink()
    process = start()
    _, said = process.communicate(timeout=20)
    assert process.returncode == 1
    assert str(conf) in said
    assert "Traceback" not in said
