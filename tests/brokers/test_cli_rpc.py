"""The commands that talk to brokers, each as a process of its own against a real RabbitMQ."""

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from uuid import uuid4

import pytest

from bedplate.testing.brokers import RabbitNode

pytestmark = pytest.mark.needs("rabbit")


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "bedplate.cli", *arguments]


def ran(*arguments: str, given: bytes = b"") -> tuple[int, str, str]:
    """Run a command to its end; return status, output and errors."""
    done = subprocess.run(
        command(*arguments), input=given, capture_output=True, timeout=30, check=False
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@contextlib.contextmanager
def running(*arguments: str, ready_on: str) -> Iterator[subprocess.Popen[str]]:
    """Run a command beside, from its word "ready" on."""
    with subprocess.Popen(
        command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            stream = process.stdout if ready_on == "stdout" else process.stderr
            assert stream is not None
            assert stream.readline() == "ready\n"
            yield process
        finally:
            process.kill()


@pytest.fixture
def url(rabbit: RabbitNode, vhost: str) -> str:
    """Name the module's own virtual host."""
    return rabbit.url(vhost)


@pytest.fixture
def topic() -> str:
    """Return a topic that nobody has used before."""
    return f"topic-{uuid4().hex[:12]}"


def test_calling_finding_and_describing_a_server(url: str, topic: str) -> None:
    """An echo server is called, found and described by other processes, and ends on SIGTERM."""
    with running("rpc", "echo", url, topic, "--server", "h1", ready_on="stdout") as server:
        assert ran("rpc", "call", url, topic, "echo", "a=1", "b=x", "--json") == (
            0,
            '{"a": 1, "b": "x"}\n',
            "",
        )
        assert ran("rpc", "call", url, topic, "note", "n=1", "--cast")[0] == 0
        assert ran("rpc", "call", url, topic, "seen", "--server", "h1")[1] == '[{"n": 1}]\n'
        slow = ("sleep", "seconds=0.7", "--heartbeat", "0.2", "--timeout", "5")
        assert ran("rpc", "call", url, topic, *slow)[1] == "0.7\n"
        status, said, _ = ran("rpc", "ping", url, topic, "--json", "--wait", "0.5")
        (found,) = json.loads(said)
        assert (status, found["server"], found["pid"]) == (0, "h1", server.pid)
        status, said, _ = ran("rpc", "describe", url, topic, "--format", "asyncapi")
        assert set(json.loads(said)["operations"]) == {
            *("echo", "sleep", "fail", "note", "seen", "stats")
        }
        server.send_signal(signal.SIGTERM)
        assert server.wait(5) == 0
        assert server.stderr is not None
        assert server.stderr.read() == ""
    status, said, told = ran("rpc", "call", url, topic, "echo")
    assert (status, said) == (1, "")
    assert told.startswith(f"bedplate: Nobody serves {topic}: ")


def test_failures_have_sentences_of_their_own(
    private_rabbit: RabbitNode, url: str, vhost: str, topic: str
) -> None:
    """A remote error, a lost call, a deadline and wrong credentials are told apart."""
    with running("rpc", "echo", url, topic, ready_on="stdout") as server:
        status, _, told = ran("rpc", "call", url, topic, "fail", "message=boo")
        assert (status, told) == (1, f"bedplate: {topic} answered with ValueError: boo\n")
        status, _, told = ran("rpc", "call", url, topic, "sleep", "seconds=99", "--timeout", "0.5")
        assert (status, "within 0.5 s (waiting for the reply)" in told) == (1, True)
        calling = subprocess.Popen(
            command(
                *("rpc", "call", url, topic, "sleep", "seconds=60"),
                *("--heartbeat", "0.3", "--timeout", "30"),
            ),
            stderr=subprocess.PIPE,
            text=True,
        )
        with calling:
            since = time.monotonic()
            while json.loads(ran("rpc", "call", url, topic, "stats")[1])["running"] < 3:
                assert time.monotonic() - since < 10
            server.send_signal(signal.SIGSTOP)
            _, told = calling.communicate(timeout=20)
            server.send_signal(signal.SIGCONT)
        assert calling.returncode == 1
        assert f"bedplate: {topic} has been silent for 0.3" in told
    wrong = private_rabbit.url(vhost, user="guest:sesame")
    status, _, told = ran("rpc", "call", wrong, topic, "echo")
    assert status == 1
    assert told.endswith(" refused access: the login of user 'guest' failed.\n")
    assert "sesame" not in told
    for lasting in (("rpc", "echo", wrong, topic), ("subscribe", wrong, topic)):
        assert ran(*lasting) == (1, "", told)


def test_a_frozen_broker_does_not_hold_a_command(
    private_rabbit: RabbitNode, url: str, topic: str
) -> None:
    """The timeout holds for connecting to a process that is stopped where it stands."""
    with private_rabbit.frozen():
        since = time.monotonic()
        status, _, told = ran("rpc", "call", url, topic, "echo", "--timeout", "1")
        assert time.monotonic() - since < 3
    assert status == 1
    assert "did not end within 1 s (connecting)" in told


def test_an_alarm_of_the_broker_is_told(private_rabbit: RabbitNode, url: str, topic: str) -> None:
    """What ran out of time because the broker takes nothing says so, be it a call or a search."""
    with running("rpc", "echo", url, topic, ready_on="stdout"), private_rabbit.alarmed():
        for command in (
            ("rpc", "call", url, topic, "echo", "--timeout", "0.5"),
            ("rpc", "ping", url, topic, "--wait", "0.3"),
            ("publish", url, topic, "x", "--timeout", "0.5"),
        ):
            status, said, told = ran(*command)
            assert (status, said) == (1, "")
            assert told.endswith(" The broker takes no messages now (low on memory).\n")
        status, said, told = ran("publish", url, topic, "x", "--timeout", "0.5", "--json")
        assert f"bedplate: {json.loads(said)['error']['message']}\n" == told


def test_bytes_are_published_and_printed(url: str, topic: str) -> None:
    """What is published arrives byte for byte; what nobody keeps is a failure."""
    assert ran("publish", url, topic, "x")[0] == 1
    with running("subscribe", url, topic, "--count", "2", ready_on="stderr") as subscriber:
        assert ran("publish", url, topic, "hello") == (0, "", "")
        assert ran("publish", url, topic, "-", "--ttl", "30", given=b"from stdin")[0] == 0
        said, told = subscriber.communicate(timeout=10)
        assert (subscriber.returncode, said, told) == (0, "hello\nfrom stdin\n", "")


def test_notifications_are_watched_without_taking_them(
    rabbit: RabbitNode, url: str, vhost: str, topic: str
) -> None:
    """Two who watch both see it, and it stays for whoever listens without a pool."""
    tail = ("notify", "tail", url, "--topic", topic, "--count", "1", "--json")
    with running(*tail, ready_on="stderr") as one, running(*tail, ready_on="stderr") as two:
        status, sent, _ = ran("notify", "send", url, "item.created", "n=1", "--topic", topic)
        assert status == 0
        for each in (one, two):
            said, told = each.communicate(timeout=10)
            assert (each.returncode, told) == (0, "")
            assert json.loads(said)["id"] == sent.strip()
            assert json.loads(said)["payload"] == {"n": 1}
    if rabbit.owned:
        assert f"default/{topic}.info" in rabbit.queues(vhost)
    shared = ran("subscribe", url, f"{topic}.info", "--count", "1", "--timeout", "10")
    assert shared[:2] == (0, '{"n":1}\n')
