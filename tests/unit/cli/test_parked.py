"""``bedplate parked``: what is listed, shown, put back and dropped, and how it fails."""

import io
import json
import sys

import pytest
from tests.unit.cli.conftest import Beside

from bedplate.cli.__main__ import main
from bedplate.messaging import Address, Delivery, Entity, IntakePolicy, Message, Topology, Transport

Captured = pytest.CaptureFixture[str]
ORDERS = Address.topic("orders")


async def park(transport: Transport, *messages: Message, group: str | None = None) -> None:
    """Have messages fail until they are parked."""
    await transport.declare(Topology((Entity(ORDERS, group),)))
    policy = IntakePolicy(attempts=1)
    async with transport.subscribe(ORDERS, group=group, policy=policy) as deliveries:
        for message in messages:
            await transport.publish(ORDERS, message)
            await (await anext(deliveries)).retry(error=ValueError("no such part"))
        # Leaving waits until they are parked for sure.


async def take(transport: Transport, count: int) -> list[Delivery]:
    """Receive so many messages."""
    async with transport.subscribe(ORDERS) as deliveries:
        found = [await anext(deliveries) for _ in range(count)]
        for each in found:
            await each.ack()
    return found


async def count(transport: Transport) -> int:
    """Count what is parked."""
    return await transport.parked(ORDERS).count()


def order(name: str, body: bytes = b"{}") -> Message:
    return Message(body, {"colour": "red"}, "application/json", id=name, kind="order")


def ran(capsys: Captured, *arguments: str) -> tuple[int, str, str]:
    """Run a command and return status, output and errors."""
    status = main(["parked", *arguments])
    said = capsys.readouterr()
    return status, said.out, said.err


# --- list ---------------------------------------------------------------------------------------


def test_what_is_parked_is_listed_the_oldest_first(
    beside: Beside, there: Transport, capsys: Captured
) -> None:
    """A line each, with why and since when; and how many more there are."""
    beside.run(park(there, order("one"), order("two"), order("three")))
    status, said, told = ran(capsys, "list", beside.url, "orders", "--limit", "2")
    lines = said.splitlines()
    assert status == 0
    assert " ".join(lines[0].split()) == "id parked why attempts bytes kind delivered to error"
    assert [line.split()[0] for line in lines[1:]] == ["one", "two"]
    assert "attempts  1         2      order  orders        ValueError: no such part" in lines[1]
    assert told == "bedplate: 2 of 3 are listed; --limit says how many.\n"
    assert beside.run(count(there)) == 3


def test_programs_get_all_facts(beside: Beside, there: Transport, capsys: Captured) -> None:
    """With --json, as one list."""
    beside.run(park(there, order("one")))
    status, said, told = ran(capsys, "list", beside.url, "orders", "--json")
    (found,) = json.loads(said)
    assert (status, told) == (0, "")
    assert found.pop("parked_at").endswith("Z")
    assert found.pop("parked_by")
    assert found == {
        "id": "one",
        "why": "attempts",
        "attempts": 1,
        "error": "ValueError: no such part",
        "exchange": "default",
        "topic": "orders",
        "server": None,
        "delivered_to": "topic",
        "group": None,
        "bytes": 2,
        "kind": "order",
        "content_type": "application/json",
        "expires": None,
        "replay_of": None,
    }


def test_nothing_parked_is_no_failure(beside: Beside, capsys: Captured) -> None:
    """It is the good news, and programs get an empty list."""
    assert ran(capsys, "list", beside.url, "orders") == (
        0,
        "",
        "bedplate: nothing is parked for orders.\n",
    )
    assert ran(capsys, "list", beside.url, "orders", "--json") == (0, "[]\n", "")


def test_a_group_is_asked_for_by_name(beside: Beside, there: Transport, capsys: Captured) -> None:
    """What one group could not handle is not mixed with what another could not."""
    beside.run(park(there, order("one"), group="audit"))
    assert ran(capsys, "list", beside.url, "orders", "--json")[1] == "[]\n"
    status, said, _ = ran(capsys, "list", beside.url, "orders", "--group", "audit", "--json")
    assert (status, json.loads(said)[0]["group"]) == (0, "audit")


def test_what_strangers_sent_cannot_steer_a_terminal(
    beside: Beside, there: Transport, capsys: Captured
) -> None:
    """Ids, kinds, headers and bodies are spelled out, and a line stays a line."""
    message = Message(
        b"\x1b[2Jhi\x00\xff", {"h\n": "\x1b]0;x\x07"}, id="a\nb\x1b[1m", kind="\t\x9b"
    )
    beside.run(park(there, message))
    _, said, _ = ran(capsys, "list", beside.url, "orders")
    assert len(said.splitlines()) == 2
    assert r"a\nb\u001b[1m" in said
    status, shown, _ = ran(capsys, "show", beside.url, "orders", "a\nb\x1b[1m")
    assert status == 0
    assert r"\u001b[2Jhi\u0000\xff" in shown
    assert not set(said + shown) & {"\x1b", "\x00", "\x07", "\x9b"}


# --- show ---------------------------------------------------------------------------------------


def test_one_message_is_shown_with_headers_and_body(
    beside: Beside, there: Transport, capsys: Captured
) -> None:
    """As text for people, as an object for programs."""
    beside.run(park(there, order("one", b'{"item": "bolt"}')))
    status, said, told = ran(capsys, "show", beside.url, "orders", "one")
    assert (status, told) == (0, "")
    head, _, body = said.partition("\n\n")
    assert body == '{"item": "bolt"}\n'
    for line in ("id: one", "why: attempts", "kind: order", 'header colour: "red"'):
        assert line in head.splitlines()
    status, said, _ = ran(capsys, "show", beside.url, "orders", "one", "--json")
    found = json.loads(said)
    assert (found["body"], found["headers"]) == ('{"item": "bolt"}', {"colour": "red"})


def test_a_long_body_is_cut_for_people(beside: Beside, there: Transport, capsys: Captured) -> None:
    """Programs get all of it, and bytes that are no text as base64."""
    beside.run(park(there, order("long", b"x" * 70_000), order("bytes", b"\xff")))
    _, said, told = ran(capsys, "show", beside.url, "orders", "long")
    assert said.count("x") < 66_000
    assert told == "bedplate: the body has 4464 bytes more; --json shows all.\n"
    found = json.loads(ran(capsys, "show", beside.url, "orders", "long", "--json")[1])
    assert len(found["body"]) == 70_000
    found = json.loads(ran(capsys, "show", beside.url, "orders", "bytes", "--json")[1])
    assert (found["body_base64"], "body" in found) == ("/w==", False)


def test_a_message_that_is_not_there_is_a_failure(
    beside: Beside, there: Transport, capsys: Captured
) -> None:
    """A sentence and status 1; programs get the code of it."""
    beside.run(park(there, order("one")))
    status, said, told = ran(capsys, "show", beside.url, "orders", "other")
    assert (status, said) == (1, "")
    assert told.startswith("bedplate: No message other is parked for orders: ")
    status, said, _ = ran(capsys, "show", beside.url, "orders", "other", "--json")
    assert (status, json.loads(said)["error"]["code"]) == (1, "not-parked")


# --- replay and drop ----------------------------------------------------------------------------


def test_a_replay_puts_messages_back_to_work(
    beside: Beside, there: Transport, capsys: Captured
) -> None:
    """Those named, or all of them."""
    beside.run(park(there, order("one"), order("two"), order("three")))
    assert ran(capsys, "replay", beside.url, "orders", "two", "--ttl", "60") == (
        0,
        "1 replayed\n",
        "",
    )
    (delivery,) = beside.run(take(there, 1))
    assert (delivery.headers["bedplate-replay-of"], delivery.deadline is None) == ("two", False)
    status, said, _ = ran(capsys, "replay", beside.url, "orders", "--all", "--json")
    assert (status, json.loads(said)) == (0, {"replayed": 2, "missing": [], "kept": []})
    assert len(beside.run(take(there, 2))) == 2
    assert beside.run(count(there)) == 0


def test_what_could_not_be_replayed_is_said(
    beside: Beside, there: Transport, capsys: Captured
) -> None:
    """Ids that are not there, and why others stay, are a failure; what worked has worked."""
    beside.run(park(there, order("one")))
    status, said, told = ran(capsys, "replay", beside.url, "orders", "one", "ghost")
    assert (status, said) == (1, "1 replayed\n")
    assert told == "bedplate: no message ghost is parked for orders.\n"

    async def to_everybody() -> None:
        everybody = Address.fanout("orders")
        async with there.subscribe(everybody) as deliveries:
            await there.publish(everybody, order("all"))
            await (await anext(deliveries)).park()

    beside.run(to_everybody())
    status, said, told = ran(capsys, "replay", beside.url, "orders", "--all")
    assert (status, said) == (1, "0 replayed\n")
    assert told.startswith("bedplate: 1 stay parked: it was sent to everybody, ")


def test_dropping_all_takes_a_yes(beside: Beside, there: Transport, capsys: Captured) -> None:
    """A slip of the hand in a script drops nothing."""
    beside.run(park(there, order("one"), order("two"), order("three")))
    assert ran(capsys, "drop", beside.url, "orders", "two") == (0, "1 dropped\n", "")
    status, said, told = ran(capsys, "drop", beside.url, "orders", "--all")
    assert (status, said, "add --yes" in told) == (2, "", True)
    assert beside.run(count(there)) == 2
    assert ran(capsys, "drop", beside.url, "orders", "--all", "--yes")[:2] == (0, "2 dropped\n")
    assert beside.run(count(there)) == 0


@pytest.mark.parametrize(("answer", "left"), [("y\n", 0), ("n\n", 1), ("", 1)])
def test_a_person_is_asked(
    beside: Beside,
    there: Transport,
    capsys: Captured,
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    left: int,
) -> None:
    """On a terminal, before anything is dropped; no answer is a no."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    beside.run(park(there, order("one")))
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    status = main(["parked", "drop", beside.url, "orders", "--all"])
    assert "Drop for good all that is parked for orders?" in capsys.readouterr().err
    assert (status == 0) is (left == 0)
    assert beside.run(count(there)) == left


def test_on_a_terminal_one_sees_how_far_it_is(
    beside: Beside, there: Transport, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tables are tables there, and long work says that it goes on."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    beside.run(park(there, order("an id that is not broken"), order("one")))
    listed = ran(capsys, "list", beside.url, "orders")[1]
    assert "┃" in listed
    assert "an id that is not broken" in listed
    assert ran(capsys, "drop", beside.url, "orders", "one")[1] == "1 dropped\n"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["replay", "URL", "orders"], "which messages?"),
        (["drop", "URL", "orders"], "which messages?"),
        (["replay", "URL", "orders", "one", "--all"], "name messages or say --all"),
        (["replay", "URL", "orders", "one", "--ttl", "0"], "no number of seconds above 0"),
        (["list", "URL", "orders", "--limit", "0"], "no number above 0"),
        (["list", "URL", ""], "is empty"),
        (["list", "memry://x/", "orders"], "Did you mean memory://?"),
    ],
)
def test_wrong_use_is_told(
    beside: Beside, capsys: Captured, arguments: list[str], why: str
) -> None:
    """A sentence and status 2."""
    given = [beside.url if each == "URL" else each for each in arguments]
    status, said, told = ran(capsys, *given)
    assert (status, said) == (2, "")
    assert why in told


def test_a_broker_that_is_not_there_is_a_failure(capsys: Captured) -> None:
    """At once, in a sentence, without the password."""
    url = "rabbit://guest:s3cr3t@127.0.0.1:1/"
    for arguments in (["list", url, "o"], ["replay", url, "o", "x"], ["drop", url, "o", "x"]):
        status, said, told = ran(capsys, *arguments)
        assert (status, said) == (1, "")
        assert told.startswith("bedplate: ")
        assert "127.0.0.1:1" in told
        assert "s3cr3t" not in told
