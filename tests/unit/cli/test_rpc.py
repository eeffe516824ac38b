"""``bedplate rpc``: what is called, what is printed, and how failures are told."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import msgspec
import pytest
from tests.unit.cli.conftest import Beside

from bedplate.cli.__main__ import main
from bedplate.errors import RemoteError
from bedplate.messaging import Transport, rpc
from bedplate.messaging.driver import Maturity, Status
from bedplate.messaging.drivers.memory import MemoryDriver

Captured = pytest.CaptureFixture[str]


Count = Annotated[int, msgspec.Meta(ge=1)]


@dataclass
class Part:
    """Something on a shelf."""

    name: str
    weight: float | None = None


class Stock:
    """What lies on the shelves."""

    def __init__(self) -> None:
        self.given: list[object] = []

    async def give(self, /, **given: object) -> object:
        """Return what it is given."""
        return given

    async def say(self, text: str) -> str:
        return text

    async def keep(self, what: object) -> None:
        self.given.append(what)

    async def kept(self) -> list[object]:
        return self.given

    async def fail(self, text: str) -> None:
        raise ValueError(text) from KeyError("no such shelf")

    async def wait(self) -> None:
        await asyncio.Event().wait()

    async def climb(self) -> str:
        rpc.context().report({"step": "[bold]1"})
        return "up"

    async def freeze(self) -> None:
        await asyncio.sleep(0.05)
        time.sleep(0.6)  # noqa: ASYNC251 - to hold up the loop, beats and all, is the point

    async def reserve(
        self, parts: list[Part], count: Annotated[int, msgspec.Meta(ge=1)] = 1
    ) -> Part | None:
        """Take some of it.

        More than one shelf may be meant.
        """
        raise NotImplementedError


@pytest.fixture
def served(beside: Beside, there: Transport) -> Iterator[str]:
    """Serve the topic ``stock`` and return the broker's URL."""
    endpoint = rpc.Endpoint(handler=Stock(), version="1.2")
    with beside.inside(rpc.serve(there, endpoint, topic="stock", server="h1", drain=0)):
        yield beside.url


def called(capsys: Captured, *arguments: str) -> str:
    """Run a command that succeeds and return what it prints."""
    status = main(["rpc", *arguments])
    said = capsys.readouterr()
    assert (status, said.err) == (0, "")
    return said.out


def failed(capsys: Captured, *arguments: str, status: int = 1) -> str:
    """Run a command that fails without a word on standard output, and return the sentence."""
    assert main(["rpc", *arguments]) == status
    said = capsys.readouterr()
    assert said.out == ""
    assert "Traceback" not in said.err
    return said.err


# --- results and arguments ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("a=1", 1),
        ("a=-2.5", -2.5),
        ("a=true", True),
        ("a=null", None),
        ('a="1"', "1"),
        ('a={"b": [1, {}]}', {"b": [1, {}]}),
        ("a=bolt", "bolt"),
        ("a=", ""),
        ("a=b=c", "b=c"),
        ("a=007", "007"),
        ("a=NaN", "NaN"),
        ("a=-Infinity", "-Infinity"),
        ("a=1e999", "1e999"),
        ("a=two words", "two words"),
        ("a=größe", "größe"),
        ("self=1", 1),
        ("method=1", 1),
    ],
)
def test_a_value_is_json_or_else_text(
    served: str, capsys: Captured, argument: str, value: object
) -> None:
    """What JSON can read arrives as that, everything else as text."""
    said = called(capsys, "call", served, "stock", "give", argument)
    assert json.loads(said) == {argument.partition("=")[0]: value}


@pytest.mark.parametrize(
    ("argument", "why"),
    [
        ("bolt", "write name=value"),
        ("=1", "write name=value"),
        ('a={"b": 1', "begins like JSON and is none"),
        ("a=[1,", "begins like JSON and is none"),
        ('a="b', "begins like JSON and is none"),
        ("a=" + "[" * 100_000, "nested too deeply"),
    ],
)
def test_an_argument_that_is_none_is_wrong_use(capsys: Captured, argument: str, why: str) -> None:
    """A slip of the pen is told before anything is sent."""
    assert why in failed(capsys, "call", "memory://x/", "stock", "give", argument, status=2)


def test_an_argument_is_given_once(capsys: Captured) -> None:
    """Of two values one would silently win."""
    said = failed(capsys, "call", "memory://x/", "stock", "give", "a=1", "a=2", status=2)
    assert said == "bedplate: the argument 'a' is given twice.\n"


def test_a_text_is_printed_as_it_is_and_with_json_as_json(served: str, capsys: Captured) -> None:
    """Scripts get a text without quotes, programs get JSON on one line."""
    say = ("call", served, "stock", "say", "text=one\ntwo")
    assert called(capsys, *say) == "one\ntwo\n"
    assert called(capsys, *say, "--json") == '"one\\ntwo"\n'
    assert called(capsys, "call", served, "stock", "keep", "what=1") == "null\n"


def test_a_result_cannot_steer_a_terminal(
    served: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Escape sequences of a peer are spelled out, in texts for people and in all JSON."""
    say = ("call", served, "stock", "say", "text=a\x1b]0;b\x07\u202e\U000e0001")
    assert called(capsys, *say, "--json") == '"a\\u001b]0;b\\u0007\\u202e\\udb40\\udc01"\n'
    assert called(capsys, *say) == "a\x1b]0;b\x07\u202e\U000e0001\n"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert called(capsys, *say) == "a\\u001b]0;b\\u0007\\u202e\\udb40\\udc01\n"


def test_options_choose_who_is_asked(
    served: str, beside: Beside, there: Transport, capsys: Captured
) -> None:
    """Server, exchange, namespace and version go where the library's options go."""
    other = rpc.Endpoint(handler=Stock(), namespace="admin", version="3.1")
    with beside.inside(rpc.serve(there, other, topic="stock", exchange="west", server="h2")):
        where = ("--exchange", "west", "--namespace", "admin", "--version", "3.0")
        call = ("call", served, "stock", "say", "text=x")
        assert called(capsys, *call, *where, "--server", "h2") == "x\n"
        assert "'admin'" in failed(capsys, *call, "--namespace", "admin")
        assert "3.1, not in 1.2" in failed(capsys, *call, *where[:4], "--version", "1.2")
        assert "server h2 of stock" in failed(capsys, *call, "--server", "h2")


def test_casts_are_not_waited_for(served: str, capsys: Captured) -> None:
    """A cast and a fanout print nothing (with --json: null), and are run."""
    keep = ("call", served, "stock", "keep")
    assert called(capsys, *keep, "what=1", "--cast") == ""
    assert called(capsys, *keep, "what=2", "--fanout", "--ttl", "5") == ""
    assert called(capsys, *keep, "what=3", "--cast", "--server", "h1", "--json") == "null\n"
    kept: list[int] = []
    for _ in range(50):  # the three take different ways, so a call may overtake them
        kept = json.loads(called(capsys, "call", served, "stock", "kept"))
        if len(kept) == 3:
            break
    assert sorted(kept) == [1, 2, 3]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--fanout", "--server", "h1"], "choose"),
        (["--cast", "--heartbeat", "3"], "a cast is not waited for"),
        (["--heartbeat", "0.01"], "at least 0.1 seconds"),
        (["--timeout", "0"], "'0' is no number of seconds above 0"),
        (["--timeout", "nan"], "'nan' is no number of seconds above 0"),
        (["--ttl", "inf"], "'inf' is no number of seconds above 0"),
        (["--timeot", "3"], "--timeout"),
        (["--version", "one"], "versions look like 1.0"),
    ],
)
def test_options_that_make_no_sense_are_wrong_use(
    capsys: Captured, options: list[str], why: str
) -> None:
    """They are refused with status 2 before anything is connected."""
    assert why in failed(capsys, "call", "memory://x/", "stock", "say", *options, status=2)


def test_what_a_handler_reports_is_shown_on_a_terminal(
    served: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Progress goes to standard error, and only where somebody watches."""
    monkeypatch.setattr("bedplate.cli.rpc._QUIET", 0.0)
    climb = ("call", served, "stock", "climb", "--heartbeat", "5")
    assert called(capsys, *climb) == "up\n"
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert main(["rpc", *climb]) == 0
    said = capsys.readouterr()
    assert said.out == "up\n"
    assert "climb on stock" in said.err


# --- failures -----------------------------------------------------------------------------------


def test_a_remote_error_is_told_with_its_causes(served: str, capsys: Captured) -> None:
    """Who answered, with which error, and what was behind it; escape sequences spelled out."""
    said = failed(capsys, "call", served, "stock", "fail", "text=the shelf\x1b[31m is empty")
    assert said == (
        "bedplate: stock answered with ValueError: the shelf\\u001b[31m is empty\n"
        "  caused by KeyError: 'no such shelf'\n"
    )


def test_a_failure_is_an_object_for_programs(served: str, capsys: Captured) -> None:
    """With --json a failure is printed too, with the code to match on; the sentence stays."""
    assert main(["rpc", "call", served, "stock", "fail", "text=empty", "--json"]) == 1
    said = capsys.readouterr()
    assert json.loads(said.out)["error"] == {
        "code": "value-error",
        "type": "ValueError",
        "message": "empty",
        "details": {},
        "causes": [["KeyError", "'no such shelf'"]],
        "retryable": False,
    }
    assert said.err.startswith("bedplate: stock answered with ValueError: empty")
    assert main(["rpc", "call", served, "nobody", "fail", "--json"]) == 1
    error = json.loads(capsys.readouterr().out)["error"]
    assert (error["code"], error["retryable"]) == ("no-such-target", True)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["stock", "sai"], "stock answered with NoSuchMethod: No method 'sai' is served."),
        (["stock", "say"], "stock answered with BadArguments: say(): missing the argument `text`"),
        (["nobody", "say"], "Nobody serves nobody: is a server of that name running?"),
        (
            ["stock", "wait", "--timeout", "0.2"],
            "The call of wait to stock did not end within 0.2 s (waiting for the reply).",
        ),
        (
            ["stock", "freeze", "--heartbeat", "0.1"],
            "stock has been silent for 0.1",
        ),
    ],
)
def test_each_way_to_fail_has_its_sentence(
    served: str, capsys: Captured, arguments: list[str], sentence: str
) -> None:
    """A remote error, nobody there, a deadline and a lost call are told apart."""
    assert failed(capsys, "call", served, *arguments).startswith(f"bedplate: {sentence}")


def test_a_refused_connection_is_told_at_once(capsys: Captured) -> None:
    """Nobody listens at the port: there is no use in waiting, and no password in the sentence."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        url = f"rabbit://me:sesame@127.0.0.1:{port}/"
        said = failed(capsys, "call", url, "stock", "say")
    assert said == f"bedplate: No connection to 127.0.0.1:{port}: Connection refused.\n"


def test_a_host_that_never_answers_is_left_after_the_timeout(capsys: Captured) -> None:
    """The deadline holds for connecting too."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        where = f"127.0.0.1:{silent.getsockname()[1]}"
        since = time.monotonic()
        said = failed(
            capsys, "call", f"rabbit://me:sesame@{where}/", "stock", "say", "--timeout", "0.5"
        )
        assert time.monotonic() - since < 1.5
    assert said == f"bedplate: connecting to {where} did not end within 0.5 s (connecting).\n"


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("localhost:5672", "a URL looks like scheme://host:port/path"),
        ("rabbit://me:sesame@host:port/", "the port of a URL is a number"),
        ("rabit://me:sesame@host/", "no driver for rabit:// is installed (there are: memory, "),
        ("rabit://me:sesame@host/", "Did you mean rabbit://?"),
        ("amqp://me:sesame@host/", "Did you mean rabbit://?"),
        ("rabbit://me:sesame@host/?link_hartbeat=3", "Did you mean 'link_heartbeat'?"),
        ("rabbit://me:sesame@host/?link_heartbeat=often", "link_heartbeat"),
        ("rabbit://me:sesame@host/?ssl_key_pasword=sesame", "Did you mean 'ssl_key_password'?"),
        ("\x1b[2J://me:sesame@host/", "a URL looks like"),
    ],
)
@pytest.mark.parametrize("command", [["call", "say"], ["ping"], ["describe"], ["echo"]])
def test_a_url_that_cannot_be_used_is_wrong_use(
    capsys: Captured, url: str, sentence: str, command: list[str]
) -> None:
    """It is told what is wrong with it, and what was meant, without the password."""
    verb, *more = command
    said = failed(capsys, verb, url, "stock", *more, status=2)
    assert sentence in said
    assert "sesame" not in said
    assert "\x1b" not in said


@pytest.mark.filterwarnings("always:The memory driver")
def test_a_warning_is_a_sentence(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a driver is worth is said without the place in a program where it was found."""
    status = Status(Maturity.EXPERIMENTAL, reason="it is new.")
    monkeypatch.setattr(MemoryDriver, "status", status)
    assert failed(capsys, "call", "memory://warned/", "stock", "say").splitlines() == [
        "bedplate: The memory driver is experimental: it is new.",
        "bedplate: Nobody serves stock: is a server of that name running?",
    ]


# --- echo ---------------------------------------------------------------------------------------


async def diagnose(url: str) -> list[object]:
    """Use the echo server as its users do."""
    async with Transport.connect(url) as transport:
        echo = rpc.Client(transport, topic="diag", wait_for_target=5, timeout=5)
        answers = [
            await echo.call("echo", a=1, self="x"),
            await echo.call("sleep", seconds=0),
            await echo.call("note", n=1),
            await echo.with_(server="h1").call("seen"),
        ]
        with pytest.raises(RemoteError) as failure:
            await echo.call("fail", message="as told")
        answers.append((failure.value.type, failure.value.message))
        stats = await echo.call("stats")
        assert isinstance(stats, dict)
        return [*answers, (stats["noted"], stats["results"])]


async def diagnosed(url: str, sent: int) -> list[object]:
    """Do so and end the server with a signal, whatever came of it."""
    try:
        return await diagnose(url)
    finally:
        os.kill(os.getpid(), sent)


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_the_echo_server_answers_until_a_signal_comes(
    beside: Beside, capsys: Captured, sent: int
) -> None:
    """It says when it is ready, answers as documented, and ends with status 0."""
    diagnosis = asyncio.run_coroutine_threadsafe(diagnosed(beside.url, sent), beside.loop)
    assert main(["rpc", "echo", beside.url, "diag", "--server", "h1"]) == 0
    said = capsys.readouterr()
    assert said.out == "ready\n"
    assert said.err == "bedplate: fail of diag raised: ValueError: as told\n"
    assert diagnosis.result(5) == [
        {"a": 1, "self": "x"},
        0,
        None,
        [{"n": 1}],
        ("ValueError", "as told"),
        (1, 4),
    ]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.parametrize(
    ("options", "why"),
    [(["--version", "one"], "versions look like 1.0"), (["--namespace", "bedplate"], "namespace")],
)
def test_an_echo_server_that_cannot_be_is_wrong_use(
    beside: Beside, capsys: Captured, options: list[str], why: str
) -> None:
    """What the library refuses to serve is told as a sentence."""
    assert why in failed(capsys, "echo", beside.url, "diag", *options, status=2)


# --- ping ---------------------------------------------------------------------------------------


def test_ping_shows_who_serves_a_topic(
    served: str, beside: Beside, there: Transport, capsys: Captured
) -> None:
    """Every server has a row, one that says nothing of itself too."""
    silent = rpc.serve(there, Stock(), topic="stock", introspect=False)
    with beside.inside(silent):
        lines = called(capsys, "ping", served, "stock", "--wait", "0.3").splitlines()
        told = json.loads(called(capsys, "ping", served, "stock", "--wait", "0.3", "--json"))
    assert lines[0].split() == ["server", "process", "version", "methods", "up", "answered"]
    assert sorted(line.split()[0] for line in lines[1:]) == ["(does", "h1"]
    named, unnamed = sorted(told, key=lambda each: "fault" in each)
    assert (named["server"], named["pid"], named["versions"]) == ("h1", os.getpid(), ["1.2"])
    assert set(named) == {
        *("server", "host", "pid", "versions", "methods", "uptime", "milliseconds")
    }
    assert unnamed["fault"] == "no-such-method"


def test_a_server_cannot_forge_a_row(beside: Beside, there: Transport, capsys: Captured) -> None:
    """Ends of lines in its name are spelled out, as is whatever would steer a terminal."""
    with beside.inside(rpc.serve(there, Stock(), topic="stock", server="h1\nh2\t\x1b")):
        lines = called(capsys, "ping", beside.url, "stock", "--wait", "0.2").splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("h1\\nh2\\t\\u001b  ")


def test_ping_draws_a_table_on_a_terminal(
    served: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """People get lines around it."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    said = called(capsys, "ping", served, "stock", "--wait", "0.2")
    assert said.startswith("┏")
    assert "server" in said
    assert "│ h1" in said


def test_ping_fails_when_nobody_answers(served: str, capsys: Captured) -> None:
    """An empty list is printed for programs, and the status is 1."""
    said = failed(capsys, "ping", served, "nobody", "--wait", "0.1")
    assert said == "bedplate: nobody who serves nobody answered within 0.1 s.\n"
    assert main(["rpc", "ping", served, "nobody", "--wait", "0.1", "--json"]) == 1
    assert capsys.readouterr().out == "[]\n"


# --- describe -----------------------------------------------------------------------------------

DESCRIBED = """\
  reserve(parts: array of Part, count: integer (at least 1) = 1) -> Part | null
      Take some of it.

      More than one shelf may be meant.
"""


def test_describe_is_readable(served: str, capsys: Captured) -> None:
    """Methods with types, defaults and words, and the fields of the types they name."""
    said = called(capsys, "describe", served, "stock")
    assert said.startswith("stock, as h1 serves it\n\nStock 1.2\n  What lies on the shelves.\n\n")
    assert DESCRIBED in said
    assert "  give(**others) -> anything\n" in said
    assert said.endswith(
        "Types\n\n  Part\n    Something on a shelf.\n      name: string\n"
        "      weight: number | null = null\n"
    )


@pytest.mark.parametrize(
    ("options", "key"),
    [
        (["--format", "json-schema"], "$defs"),
        (["--json"], "$defs"),
        (["--format", "asyncapi"], "operations"),
    ],
)
def test_describe_writes_documents(
    served: str, capsys: Captured, options: list[str], key: str
) -> None:
    """The forms for programs are JSON."""
    assert json.loads(called(capsys, "describe", served, "stock", *options))[key]


def test_a_server_that_does_not_describe_itself_is_told(
    beside: Beside, there: Transport, capsys: Captured
) -> None:
    """It is there, which is not the same as nobody."""
    with beside.inside(rpc.serve(there, Stock(), topic="stock", introspect=False)):
        said = failed(capsys, "describe", beside.url, "stock")
    assert said == "bedplate: stock is served, by a server that does not describe itself.\n"
    assert "Nobody serves stock" in failed(capsys, "describe", beside.url, "stock")
    both = ("--json", "--format", "asyncapi")
    assert "excludes" in failed(capsys, "describe", beside.url, "stock", *both, status=2)


def test_help_does_not_load_messaging() -> None:
    """Whoever only looks what there is does not wait for what is not used."""
    code = (
        "import sys; from bedplate.cli.__main__ import main; main(['rpc', 'call', '--help']); "
        "print({'msgspec', 'rich', 'bedplate.messaging'} & set(sys.modules))"
    )
    done = subprocess.run((sys.executable, "-c", code), capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"
