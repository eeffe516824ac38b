"""Where a command finds a URL, so that its password need not be an argument."""

import os
from pathlib import Path

import pytest

from bedplate.cli.__main__ import main

Captured = pytest.CaptureFixture[str]

URL = "rabbit://me:sesame@127.0.0.1:1/"  # nobody listens at port 1
REFUSED = "bedplate: No connection to 127.0.0.1:1: Connection refused.\n"

COMMANDS = (
    ("rpc", "call", "URL", "t", "m"),
    ("rpc", "ping", "URL", "t"),
    ("rpc", "describe", "URL", "t"),
    ("publish", "URL", "t", "x"),
    ("notify", "send", "URL", "e"),
)
LASTING = (
    ("rpc", "echo", "URL", "t", "--timeout", "0.1"),
    ("subscribe", "URL", "t", "--timeout", "0.1"),
    ("notify", "tail", "URL", "--timeout", "0.1"),
)


def told(capsys: Captured, where: str, command: tuple[str, ...] = COMMANDS[0]) -> tuple[int, str]:
    """Run a command with this for its URL; return its status and its words, without a password."""
    status = main([where if word == "URL" else word for word in command])
    said = capsys.readouterr()
    assert said.out == ""
    assert "sesame" not in said.err
    assert "Traceback" not in said.err
    return status, said.err


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """Lend a file that holds a URL and is nobody else's business."""
    file = tmp_path / "broker.url"
    file.write_text(f"{URL}\n# not a URL\n")
    file.chmod(0o600)
    return file


@pytest.mark.parametrize("command", [*COMMANDS, *LASTING], ids=lambda each: " ".join(each[:2]))
def test_every_command_reads_its_url_from_a_file_or_a_variable(
    capsys: Captured,
    monkeypatch: pytest.MonkeyPatch,
    kept: Path,
    command: tuple[str, ...],
) -> None:
    """The connection is refused where the URL leads, so it was read."""
    monkeypatch.setenv("BROKER", f" {URL} ")
    for where in (f"@{kept}", "env:BROKER"):
        status, words = told(capsys, where, command)
        assert status == 1
        assert "127.0.0.1:1" in words
        assert "refused" in words


def test_so_does_the_bench(capsys: Captured, kept: Path) -> None:
    """Which refuses this one because two processes cannot meet there."""
    kept.write_text("memory://here/\n")
    status, words = told(capsys, f"@{kept}", ("bench", "rpc", "URL"))
    assert status == 2
    assert "memory://here/ cannot be used: client and server are processes of their own" in words


def test_a_file_may_be_a_pipe_or_in_the_home(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, kept: Path
) -> None:
    """Process substitution works, so the URL need not be kept at all; no shell expands @~."""
    reading, writing = os.pipe()
    with os.fdopen(reading), os.fdopen(writing, "w") as pipe:
        pipe.write(f"{URL}\n")
        pipe.flush()
        assert told(capsys, f"@/dev/fd/{reading}") == (1, REFUSED)
    monkeypatch.setenv("HOME", str(kept.parent))
    assert told(capsys, "@~/broker.url") == (1, REFUSED)


def test_a_password_that_everybody_may_read_is_told(capsys: Captured, kept: Path) -> None:
    """The command runs all the same: containers are given their secrets like this."""
    kept.chmod(0o604)
    status, words = told(capsys, f"@{kept}")
    assert status == 1
    assert words == (
        f"bedplate: every user of this machine may read the password in {kept}; "
        f"chmod o= ends that.\n{REFUSED}"
    )
    kept.write_text(URL.replace("me:sesame@", ""))
    assert told(capsys, f"@{kept}") == (1, REFUSED)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "the first line of {} is empty"),
        (b"\n" + URL.encode(), "the first line of {} is empty"),
        (b"\xff\xfesesame", "the first line of {} is no text"),
        (b"x" * 70_000, "the first line of {} is too long"),
        (b"sesame\n", "a URL looks like scheme://host:port/path"),
        (b"sesame\x00\n", "a URL looks like scheme://host:port/path"),
        (b"rabit://me:sesame@h/\n", "Did you mean rabbit://?"),
        (b"rabbit://me:sesame@h:port/\n", "the port of a URL"),
    ],
)
def test_a_file_that_holds_no_url_is_wrong_use(
    capsys: Captured, kept: Path, content: bytes, why: str
) -> None:
    """It may be any file, by mistake: nothing of it is shown."""
    kept.write_bytes(content)
    status, words = told(capsys, f"@{kept}")
    assert status == 2
    assert why.format(kept) in words


@pytest.mark.parametrize(
    ("where", "why"),
    [
        ("@", "write @PATH"),
        ("@/nowhere/broker.url", "cannot be read: No such file or directory"),
        ("@.", "cannot be read: Is a directory"),
        ("@a\0b", "cannot be read"),
        ("env:", "write env:NAME"),
        ("env:BROKR", "no variable BROKR (did you mean BROKER?)"),
        ("env:EMPTY", "the variable EMPTY is empty"),
        ("env:NOT_A_URL", "a URL looks like scheme://host:port/path"),
    ],
)
def test_a_place_without_a_url_is_wrong_use(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, where: str, why: str
) -> None:
    """The sentence names the place, with status 2."""
    for name, value in (("BROKER", URL), ("EMPTY", " "), ("NOT_A_URL", "sesame")):
        monkeypatch.setenv(name, value)
    status, words = told(capsys, where)
    assert status == 2
    assert why in words
    assert words.startswith("bedplate: ")


@pytest.mark.parametrize(
    "command",
    [
        ("rpc", "URL", "call"),
        ("rpc", "ping", "memory://x/", "t", "URL"),
        ("rpc", "call", "memory://x/", "t", "m", "URL"),
        ("rpc", "call", "memory://x/", "t", "m", "--timeout", "URL"),
        ("URL",),
        ("publish", "--exchange", "x", "--haeder", "URL"),
        ("notify", "tail", "--priority", "URL"),
        ("config", "check", "URL"),
    ],
    ids=" ".join,
)
def test_a_url_in_the_wrong_place_is_not_repeated_with_its_password(
    capsys: Captured, command: tuple[str, ...]
) -> None:
    """Whoever errs about the order of arguments does not find the password in a log."""
    assert told(capsys, URL, command)[0] == 2
