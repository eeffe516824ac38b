"""The probe command: what it takes, what it asks, what its exit status says."""

import asyncio
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import bedplate
from bedplate.cli import probe
from bedplate.health.board import Board
from bedplate.health.pages import Pages
from bedplate.health.server import listen, listen_unix
from bedplate.testing import FakeClock

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\npass\n"


@contextmanager
def answering(*pieces: bytes, stay: bool = False, family: int = socket.AF_INET) -> Iterator[str]:
    """Serve one connection with these bytes; with ``stay`` it is not closed afterwards."""
    host = "::1" if family == socket.AF_INET6 else "127.0.0.1"
    done = threading.Event()
    with socket.create_server((host, 0), family=family) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                for piece in pieces:
                    try:
                        connection.sendall(piece)
                    except OSError:
                        return  # the probe has heard enough
                if stay:
                    done.wait(60)

        thread = threading.Thread(target=serve)
        thread.start()
        port = server.getsockname()[1]
        yield f"http://[{host}]:{port}" if family == socket.AF_INET6 else f"http://{host}:{port}"
        done.set()
        thread.join()


def started(*, ok: bool = True) -> Pages:
    """Return the pages of a started service, at level full."""
    board = Board(clock=FakeClock())
    board.started()
    if not ok:
        board.indicator("db").fail("REASON")
    return Pages(board, "full")


def patiently(*argv: str) -> int:
    """Run the command with time enough for a busy machine."""
    return probe.main(["--timeout", "30", *argv])


async def run(*argv: str) -> int:
    """Run the command beside the loop that serves it."""
    return await asyncio.to_thread(patiently, *argv)


@pytest.mark.usefixtures("real_time")
async def test_a_good_page_exits_0(capsys: pytest.CaptureFixture[str]) -> None:
    """Against the service's own server; without a path readiness is asked for."""
    async with listen(started()) as listener:
        assert await run(listener.where) == 0
    assert capsys.readouterr() == ("pass\n", "")


@pytest.mark.usefixtures("real_time")
async def test_a_failed_page_exits_1_and_says_what_the_page_says(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The page is the answer, so it goes to standard output."""
    async with listen(started(ok=False)) as listener:
        assert await run(f"{listener.where}/readyz?verbose") == 1
        assert await run(f"{listener.where}/livez") == 0
    assert capsys.readouterr() == ("[+]service ok\n[-]db failed: REASON\nready: fail\npass\n", "")


@pytest.mark.usefixtures("real_time")
async def test_a_unix_socket_is_asked_by_its_path(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container without curl can be probed through a file; each spelling works."""
    monkeypatch.chdir(tmp_path)
    path = str(tmp_path / "health.sock")
    async with listen_unix(started(), path) as listener:
        for target in (path, f"unix:{path}", listener.where, "./health.sock", "unix:health.sock"):
            assert await run(target) == 0
        assert await run(path, "--path", "/livez?verbose") == 0
    assert capsys.readouterr().out == "pass\n" * 5 + "live: pass\n"


@pytest.mark.usefixtures("real_time")
async def test_quiet_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """The exit status says it all."""
    async with listen(started(ok=False)) as listener:
        assert await run("--quiet", listener.where) == 1
    assert await run("--quiet", listener.where) == 1  # and nobody listens any more
    assert capsys.readouterr() == ("", "")


@pytest.mark.usefixtures("real_time")
async def test_json_is_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    """The service's own JSON stands inside."""
    async with listen(started(ok=False)) as listener:
        assert await run("--json", f"{listener.where}/readyz?verbose") == 1
    told = json.loads(capsys.readouterr().out)
    assert told.pop("seconds") < 30
    assert told == {
        "where": f"{listener.where}/readyz?verbose",
        "ok": False,
        "status": 503,
        "answer": {
            "status": "fail",
            "checks": {
                "service": [{"status": "pass"}],
                "db": [{"status": "fail", "output": "REASON", "time": "2023-11-14T22:13:20.000Z"}],
            },
        },
    }


def test_json_tells_of_silence_too(capsys: pytest.CaptureFixture[str]) -> None:
    """A program gets an object in each case, and text that is no JSON as text."""
    assert probe.main(["--json", "unix:/nowhere/health.sock"]) == 1
    assert json.loads(capsys.readouterr().out) == {
        "where": "unix:/nowhere/health.sock",
        "ok": False,
        "status": None,
        "error": "no such file or directory",
    }
    with answering(GOOD) as url:
        assert patiently("--json", url) == 0
    assert json.loads(capsys.readouterr().out)["answer"] == "pass"


def test_nobody_there_exits_1_with_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    """No traceback, and the place is named."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert probe.main([f"http://127.0.0.1:{port}"]) == 1
    assert capsys.readouterr() == (
        "",
        f"http://127.0.0.1:{port} gave no usable answer: connection refused\n",
    )


@pytest.mark.parametrize(
    "pieces",
    [
        (),
        (b"HTTP/1.1 200 OK\r\n",),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\npass",),
    ],
)
def test_silence_ends_at_the_timeout(
    pieces: tuple[bytes, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """A service that accepts and then hangs has failed; all of it takes what was allowed."""
    with answering(*pieces, stay=True) as url:
        assert probe.main(["--timeout=0.05", url]) == 1
    assert capsys.readouterr().err == (
        f"{url} gave no usable answer: no complete answer within 0.05 s\n"
    )


@pytest.mark.parametrize(
    ("pieces", "why"),
    [
        ((), "it closed the connection without an answer"),
        ((b"HTTP/1.1 200 OK\r\nA: b\r\n",), "it closed the connection without an answer"),
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npass",), "its answer ends in the middle"),
        ((b"SSH-2.0-OpenSSH\r\n",), "it does not speak HTTP/1"),
        ((b"HTTP/1.1 abc\r\n\r\n",), "it does not speak HTTP/1"),
        ((b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 70000), "its answer is longer than 65536 bytes"),
        (
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",),
            "its answer is cut into chunks wrongly",
        ),
    ],
)
def test_what_is_no_answer_exits_1_and_says_why(
    pieces: tuple[bytes, ...], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Half answers are none, and other protocols are recognised."""
    with answering(*pieces) as url:
        assert patiently(url) == 1
    assert capsys.readouterr().err == f"{url} gave no usable answer: {why}\n"


@pytest.mark.parametrize("status", [199, 204, 299, 301, 302, 404, 500, 503])
def test_only_2xx_is_good(status: int) -> None:
    """A redirect would mean that somebody else answers for the service."""
    expected = 0 if 200 <= status <= 299 else 1
    with answering(f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n".encode()) as url:
        assert patiently("--quiet", url) == expected


def test_a_status_line_may_lack_its_words() -> None:
    """Newer servers leave the reason phrase out, and its blank with it."""
    for line in (b"HTTP/1.1 200", b"HTTP/1.1 200 "):
        assert probe._answer(line + b"\r\n\r\nok", ended=True) == (200, b"ok")


def test_an_answer_need_not_end_with_the_connection() -> None:
    """Its length, or its last chunk, says where it ends; interim answers are passed over."""
    chunked = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3;a=b\r\npas\r\n2\r\ns\n\r\n0\r\n\r\n"
    )
    for answer in (GOOD, chunked, b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + GOOD):
        for cut in range(len(answer) - 5):
            assert probe._answer(answer[:cut], ended=False) is None
        assert probe._answer(answer, ended=False) == (200, b"pass\n")
        with answering(answer, stay=True) as url:
            assert patiently("--quiet", url) == 0


def test_an_ipv6_address_is_asked() -> None:
    """In brackets, as URLs want it."""
    try:
        with answering(GOOD, family=socket.AF_INET6) as url:
            assert patiently(url) == 0
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")


def test_what_a_service_says_cannot_steer_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Escape codes of a hostile page are shown, not obeyed."""
    with answering(b"HTTP/1.1 200 OK\r\n\r\n\x1b]0;owned\x07\xff\nsecond") as url:
        assert patiently(url) == 0
    assert capsys.readouterr().out == "?]0;owned?\ufffd\nsecond\n"


def test_an_empty_page_is_told_by_its_status(capsys: pytest.CaptureFixture[str]) -> None:
    """Something is always said."""
    with answering(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n") as url:
        assert patiently(url) == 0
    assert capsys.readouterr().out == "status 204\n"


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        ([], "a URL or a socket is missing"),
        (["--timeout"], "--timeout needs a value"),
        (["--timeout=", "/s"], "--timeout needs a value"),
        (["--timeout", "0", "/s"], "--timeout takes seconds"),
        (["--timeout", "nan", "/s"], "--timeout takes seconds"),
        (["--timeout", "soon", "/s"], "--timeout takes seconds"),
        (["--json", "--quiet", "/s"], "exclude each other"),
        (["--verbose", "/s"], "there is no flag --verbose"),
        (["/a", "/b"], "one URL or socket at a time"),
        (["https://h/"], "https is not spoken here"),
        (["ftp://h/"], "ftp is not spoken here"),
        (["localhost:8086"], "neither a URL nor a socket"),
        (["http://"], "the URL names no host"),
        (["http:///livez"], "the URL names no host"),
        (["http://ho st/"], "the URL names no host"),
        (["http://hé/"], "the URL names no host"),
        (["http://h\a/"], "the URL names no host"),
        (["http://h/a\a"], "printable ASCII"),
        (["http://h:x/"], "a number from 1 to 65535"),
        (["http://h:0/"], "a number from 1 to 65535"),
        (["http://h:65536/"], "a number from 1 to 65535"),
        (["http://::1/"], "stands in brackets"),
        (["http://[::1/"], "stands in brackets"),
        (["http://[::1]8086/"], "stands in brackets"),
        (["http://me:geheim@h/"], "no user and password"),
        (["http://h/a b"], "printable ASCII"),
        (["http://h/a\r\nX: y"], "printable ASCII"),
        (["http://h/é"], "printable ASCII"),
        (["--path", "livez", "/s"], "begins with a slash"),
        (["--path", "/livez", "http://h/readyz"], "exclude each other"),
    ],
)
def test_wrong_use_exits_2_with_a_sentence(
    argv: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is asked, nothing goes to standard output, and no secret is repeated."""
    assert probe.main(argv) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert why in told.err
    assert told.err.count("\n") == 1
    assert "geheim" not in told.err


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_says_how(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Asked for, help is no mistake."""
    assert probe.main([flag]) == 0
    assert "Exit status: 0 for a 2xx answer" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("target", "host", "port", "path"),
    [
        ("http://h", "h", 80, "/readyz"),
        ("http://h/", "h", 80, "/readyz"),
        ("HTTP://h:1/livez", "h", 1, "/livez"),
        ("http://h?verbose", "h", 80, "/readyz?verbose"),
        ("http://h/health?a=/b#c", "h", 80, "/health?a=/b"),
        ("http://[fe80::1]:8086/x", "fe80::1", 8086, "/x"),
    ],
)
def test_a_url_is_taken_apart(target: str, host: str, port: int, path: str) -> None:
    """Host, port and page; what is left out has a default."""
    asked = probe._parse([target])
    assert asked is not None
    place = probe._place(asked)
    assert (place.host, place.port, place.path) == (host, port, path)


STARTS = (b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")


@given(start=st.sampled_from(STARTS), received=st.binary(max_size=300), ended=st.booleans())
def test_no_bytes_of_a_server_break_the_probe(
    start: bytes, received: bytes, *, ended: bool
) -> None:
    """Garbage is an answer, a wait for more that still may come, or a sentence."""
    with suppress(probe._NoAnswer):
        answer = probe._answer(start + received, ended=ended)
        assert answer is None or 200 <= answer[0] <= 999
        assert answer is not None or not ended


HEAVY = (
    *("argparse", "asyncio", "click", "dataclasses", "email", "encodings", "http", "importlib"),
    *("json", "logging", "msgspec", "re", "rich", "stringprep", "typing", "urllib"),
)


@pytest.mark.parametrize("where", ["unix:/nowhere/health.sock", "http://localhost:1/livez"])
def test_the_probe_starts_with_next_to_nothing_loaded(where: str) -> None:
    """It runs every few seconds on every machine, so what it imports is counted here."""
    program = (
        "import sys; before = set(sys.modules)\n"
        "from bedplate.cli.__main__ import main\n"
        f"status = main(['health', 'probe', '--quiet', {where!r}])\n"
        "print(status, *sorted(set(sys.modules) - before))"
    )
    ended = subprocess.run(
        [sys.executable, "-S", "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(Path(bedplate.__file__).parents[1])},
    )
    status, *loaded = ended.stdout.split()
    assert status == "1"
    assert not [name for name in loaded if name.split(".")[0] in HEAVY]
    ours = [name for name in loaded if name.startswith("bedplate")]
    assert ours == ["bedplate", "bedplate.cli", "bedplate.cli.__main__", "bedplate.cli.probe"]
