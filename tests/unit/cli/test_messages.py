"""``bedplate publish`` and ``bedplate subscribe``: what is sent, and what is printed of it."""

import asyncio
import contextlib
import io
import json
import os
import signal
import sys
from collections.abc import Sequence

import pytest
from tests.unit.cli.conftest import Beside, Told

from bedplate.cli.__main__ import main
from bedplate.messaging import Address, Delivery, Entity, Message, Topology, Transport

Captured = pytest.CaptureFixture[str]
ORDERS = Address.topic("orders")


async def declare(transport: Transport, *addresses: Address, group: str | None = None) -> None:
    await transport.declare(Topology(tuple(Entity(each, group) for each in addresses)))


async def take(transport: Transport, address: Address, count: int) -> list[Delivery]:
    """Receive so many messages."""
    found: list[Delivery] = []
    async with transport.subscribe(address) as deliveries:
        async for delivery in deliveries:
            await delivery.ack()
            found.append(delivery)
            if len(found) == count:
                break
    return found


@pytest.fixture
def orders(beside: Beside, there: Transport) -> str:
    """Have a place where orders are kept, and return the broker's URL."""
    beside.run(declare(there, ORDERS))
    return beside.url


def published(capsys: Captured, *arguments: str) -> None:
    """Publish, which succeeds in silence."""
    assert main(["publish", *arguments]) == 0
    assert capsys.readouterr() == ("", "")


def failed(capsys: Captured, *arguments: str, status: int = 1) -> str:
    """Run a command that fails and return its sentence."""
    assert main([*arguments]) == status
    said = capsys.readouterr()
    assert said.out == ""
    return said.err


# --- publish ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("hello", "text/plain; charset=utf-8"),
        ("größe", "text/plain; charset=utf-8"),
        ('{"a": 1}', "application/json"),
        ("[1", "text/plain; charset=utf-8"),
        ("", "text/plain; charset=utf-8"),
        ("\udcff", "application/octet-stream"),
    ],
)
def test_a_body_arrives_as_it_is_with_its_type(
    orders: str, beside: Beside, there: Transport, capsys: Captured, body: str, kind: str
) -> None:
    """The content type is found out: JSON objects and arrays, text, bytes."""
    published(capsys, orders, "orders", body)
    (delivery,) = beside.run(take(there, ORDERS, 1))
    assert delivery.body == os.fsencode(body)
    assert delivery.content_type == kind


def test_headers_ttl_and_type_are_sent(
    orders: str, beside: Beside, there: Transport, capsys: Captured
) -> None:
    """A header's value is a number, a truth value or else text; the ttl becomes a deadline."""
    headers = ("a=1", "b=2.5", "c=true", "d=x", "e=007")
    options = [part for header in headers for part in ("--header", header)]
    published(
        capsys, orders, "orders", "x", *options, "--ttl", "30", "--content-type", "text/plain"
    )
    (delivery,) = beside.run(take(there, ORDERS, 1))
    assert delivery.content_type == "text/plain"
    assert delivery.deadline is not None
    wanted = {"a": 1, "b": 2.5, "c": True, "d": "x", "e": "007"}
    assert {name: delivery.headers[name] for name in wanted} == wanted


def test_a_dash_reads_standard_input(
    orders: str,
    beside: Beside,
    there: Transport,
    capsys: Captured,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Bytes that are no text can be sent as well."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\x00\xff")))
    published(capsys, orders, "orders", "-")
    (delivery,) = beside.run(take(there, ORDERS, 1))
    assert (delivery.body, delivery.content_type) == (b"\x00\xff", "application/octet-stream")


def test_an_endless_standard_input_is_not_read_to_its_end(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No more is read than a message can hold, and one byte."""
    endless = io.BytesIO(bytes(128 * 1024 * 1024 + 5))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(endless))
    said = failed(capsys, "publish", "memory://x/", "orders", "-")
    assert said.startswith("bedplate: standard input has more than 134217728 bytes")
    assert len(endless.read()) == 4


def test_an_address_may_be_a_server_or_everybody(
    beside: Beside, there: Transport, capsys: Captured
) -> None:
    """--server and --exchange name one place, --fanout all who listen, who may be nobody."""
    west = Address.server("orders", "s1", exchange="west")
    beside.run(declare(there, west))
    published(capsys, beside.url, "orders", "x", "--server", "s1", "--exchange", "west")
    assert beside.run(take(there, west, 1))[0].body == b"x"
    published(capsys, beside.url, "orders", "x", "--fanout")
    assert main(["publish", beside.url, "orders", "--fanout", "--json"]) == 0
    assert capsys.readouterr().out == "null\n"


def test_a_message_that_reaches_nobody_is_a_failure(beside: Beside, capsys: Captured) -> None:
    """Nothing keeps messages for this topic: the sender hears of it."""
    said = failed(capsys, "publish", beside.url, "nowhere", "x")
    assert said.startswith("bedplate: Nothing takes messages for nowhere: ")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--fanout", "--server", "s"], "choose"),
        (["--header", "a"], "write name=value"),
        (["--header", "a=[1]"], "no number and no text"),
        (["--ttl", "-1"], "no number of seconds above 0"),
    ],
)
def test_what_cannot_be_sent_is_wrong_use(
    capsys: Captured, options: Sequence[str], why: str
) -> None:
    """It is refused with status 2 before anything is connected."""
    assert why in failed(capsys, "publish", "memory://x/", "orders", "x", *options, status=2)
    assert "'TOPIC': it is empty" in failed(capsys, "publish", "memory://x/", "", status=2)


# --- subscribe ----------------------------------------------------------------------------------


async def send(transport: Transport, *bodies: bytes, address: Address = ORDERS) -> None:
    for body in bodies:
        await transport.publish(address, Message(body, {"n": 1}, "text/plain"))


def test_bodies_are_printed_one_a_line_and_acknowledged(
    orders: str, beside: Beside, there: Transport, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """As many as asked for are taken, byte for byte; the others stay where they are."""
    beside.run(send(there, b"one", b"\xff\x1b", b"three"))
    assert main(["subscribe", orders, "orders", "--count", "2", "--timeout", "10"]) == 0
    said = capfdbinary.readouterr()
    assert said.out == b"one\n\xff\x1b\n"
    assert said.err == b"ready\n"
    assert [each.body for each in beside.run(take(there, ORDERS, 1))] == [b"three"]


def test_programs_get_objects(
    orders: str, beside: Beside, there: Transport, capsys: Captured
) -> None:
    """With --json each message is an object on a line; bytes that are no text are base64."""
    beside.run(send(there, b"one", b"\xff"))
    assert main(["subscribe", orders, "orders", "--count", "2", "--timeout", "10", "--json"]) == 0
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first["id"]
    assert first == {
        "id": first["id"],
        "body": "one",
        "content_type": "text/plain",
        "headers": {"n": 1},
        "kind": "",
        "correlation_id": "",
        "key": None,
        "attempts": 1,
        "redelivered": False,
    }
    assert second["body_base64"] == "/w=="


def test_a_terminal_is_not_steered(
    orders: str,
    beside: Beside,
    there: Transport,
    capsys: Captured,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a stranger sent is spelled out where somebody looks at it."""
    beside.run(send(there, b"a\x1b[2Jb\xff"))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert main(["subscribe", orders, "orders", "--count", "1", "--timeout", "10"]) == 0
    assert capsys.readouterr().out == "a\\u001b[2Jb\\xff\n"


def test_a_group_takes_nothing_away(
    orders: str, beside: Beside, there: Transport, capsys: Captured
) -> None:
    """Each group gets a copy of what is sent after it first existed."""
    beside.run(declare(there, ORDERS, group="audit"))
    beside.run(send(there, b"one"))
    assert main(["subscribe", orders, "orders", "--count", "1", "--group", "audit"]) == 0
    assert capsys.readouterr().out == "one\n"
    assert [each.body for each in beside.run(take(there, ORDERS, 1))] == [b"one"]


def test_it_ends_after_the_timeout(orders: str, capsys: Captured) -> None:
    """Without --count that is the end, with it a failure."""
    assert main(["subscribe", orders, "orders", "--timeout", "0.1"]) == 0
    assert capsys.readouterr().err == "ready\n"
    command = ["subscribe", orders, "orders", "--timeout", "0.1", "--count", "1"]
    assert main(command) == 1
    assert capsys.readouterr().err.endswith("fewer than asked for came within 0.1 s.\n")


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_good_order(beside: Beside, errors: Told, sent: int) -> None:
    """Messages are printed as they come, until a signal; then the status is 0."""
    printed = Told(beside)

    async def disturb() -> None:
        async with Transport.connect(beside.url) as transport:
            await errors.something()
            await send(transport, b"x", address=Address.fanout("orders"))
            await printed.something()
            os.kill(os.getpid(), sent)

    disturbing = beside.start(disturb())
    command = ["subscribe", beside.url, "orders", "--fanout", "--json", "--timeout", "10"]
    with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(printed):
        assert main(command) == 0
    beside.run(asyncio.wait_for(disturbing, 5))
    assert json.loads(printed.getvalue())["body"] == "x"
    assert errors.getvalue() == "ready\n"


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--fanout", "--server", "s"], "choose"),
        (["--fanout", "--group", "g"], "everybody gets a copy"),
        (["--count", "0"], "0"),
    ],
)
def test_what_cannot_be_subscribed_to_is_wrong_use(
    capsys: Captured, options: Sequence[str], why: str
) -> None:
    """It is refused with status 2."""
    assert why in failed(capsys, "subscribe", "memory://x/", "orders", *options, status=2)
