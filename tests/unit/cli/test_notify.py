"""``bedplate notify``: what is sent, and what watching prints and leaves alone."""

import asyncio
import contextlib
import io
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import pytest
from tests.unit.cli.conftest import Beside, Told

from bedplate.cli.__main__ import main
from bedplate.cli.notify import _PRIORITIES
from bedplate.messaging import Address, Transport, notify

Captured = pytest.CaptureFixture[str]


class Tailed(Protocol):
    """Watches while event types are told, and returns the lines printed."""

    def __call__(self, *options: str, told: Sequence[str]) -> list[str]: ...


class Ears:
    """Somebody who listens to everything without a pool."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[notify.Notification] = asyncio.Queue()

    async def __call__(self, notification: notify.Notification) -> None:
        self.heard.put_nowait(notification)


@pytest.fixture
def ears(beside: Beside, there: Transport) -> Iterator[Ears]:
    """Listen over there."""
    ears = Ears()
    with beside.inside(notify.listen(there, ears, drain=0)):
        yield ears


def sent(capsys: Captured, *arguments: str) -> str:
    """Send a notification and return what is printed."""
    assert main(["notify", "send", *arguments]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    return said.out


def failed(capsys: Captured, *arguments: str, status: int = 2) -> str:
    """Run a command that fails, and return its sentence."""
    assert main(["notify", *arguments]) == status
    said = capsys.readouterr()
    assert said.out == ""
    return said.err


def test_a_notification_is_sent(beside: Beside, ears: Ears, capsys: Captured) -> None:
    """The payload is an object of the arguments; the id is printed, and is the listener's."""
    said = sent(capsys, beside.url, "item.created", "item=bolt", "count=2")
    heard = beside.run(ears.heard.get())
    assert said == f"{heard.id}\n"
    assert (heard.event_type, heard.priority) == ("item.created", "info")
    assert heard.payload == {"item": "bolt", "count": 2}
    assert heard.publisher_id.startswith("bedplate.")


def test_priority_publisher_and_topic_can_be_chosen(
    beside: Beside, there: Transport, capsys: Captured
) -> None:
    """They go where the library's options go."""
    ears = Ears()
    with beside.inside(notify.listen(there, ears, topics=("own",), exchange="west", drain=0)):
        options = ("--priority", "critical", "--publisher", "me", "--ttl", "60", "--json")
        where = ("--topic", "own", "--exchange", "west")
        said = sent(capsys, beside.url, "disk.full", *options, *where)
        heard = beside.run(ears.heard.get())
    assert json.loads(said) == {"id": heard.id}
    assert (heard.priority, heard.publisher_id, heard.payload) == ("critical", "me", {})


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["send", "memory://x/", "item.created", "bolt"], "write name=value"),
        (["send", "memory://x/", ""], "'EVENT_TYPE': it is empty"),
        (["send", "memory://x/", "a", "--topic", ""], "topic"),
        (["send", "memory://x/", "a", "--priority", "urgent"], "'critical'"),
        (["send", "memory//x", "a"], "a URL looks like"),
        (["tail", "memory//x"], "a URL looks like"),
        (["tail", "memory://x/", "--priority", "urgent"], "'critical'"),
        (["tail", "memory://x/", "--topic", ""], "topic"),
        (["tail", "memory://x/", "--count", "0"], "'0' is no number above 0"),
    ],
)
def test_wrong_use_is_told(capsys: Captured, arguments: Sequence[str], why: str) -> None:
    """Status 2 and a sentence, before anything is connected."""
    assert why in failed(capsys, *arguments)


def test_the_priorities_are_the_librarys() -> None:
    """The command line lists them without loading messaging."""
    assert _PRIORITIES == notify.PRIORITIES


# --- tail ---------------------------------------------------------------------------------------


async def tell(beside: Beside, errors: Told, *event_types: str) -> None:
    """Send notifications once somebody is ready to hear them."""
    await errors.something()
    async with Transport.connect(beside.url) as transport:
        notifier = notify.Notifier(transport, "inventory.host1", context={"trace": "t1"})
        for event_type in event_types:
            await notifier.info(event_type, {"item": "bolt\x1b"})


@pytest.fixture
def tailed(beside: Beside, errors: Told, capsys: Captured) -> Tailed:
    """Watch while event types are told, and return the lines printed."""

    def watch(*options: str, told: Sequence[str]) -> list[str]:
        telling = beside.start(tell(beside, errors, *told))
        with contextlib.redirect_stderr(errors):
            assert main(["notify", "tail", beside.url, "--timeout", "10", *options]) == 0
        beside.run(asyncio.wait_for(telling, 5))
        assert errors.getvalue() == "ready\n"
        return capsys.readouterr().out.splitlines()

    return watch


def test_tailing_prints_what_is_wanted(tailed: Tailed) -> None:
    """One line each: when, priority, publisher, type and payload; others are not shown."""
    options = ("--event-type", "item.*", "--event-type", "disk.*", "--count", "2")
    told = ("item.created", "host.up", "disk.full")
    lines = tailed(*options, told=told)
    assert sorted(line.partition(" ")[2] for line in lines) == [
        'info inventory.host1 disk.full {"item": "bolt\\u001b"}',
        'info inventory.host1 item.created {"item": "bolt\\u001b"}',
    ]
    assert all(line.partition(" ")[0].endswith("Z") for line in lines)


def test_programs_get_objects(tailed: Tailed) -> None:
    """With --json each notification is an object on a line."""
    (line,) = tailed("--count", "1", "--json", told=["item.created"])
    told = json.loads(line)
    assert told.pop("id")
    assert told.pop("timestamp").endswith("Z")
    assert told == {
        "event_type": "item.created",
        "publisher_id": "inventory.host1",
        "priority": "info",
        "payload": {"item": "bolt\x1b"},
        "context": {"trace": "t1"},
        "attempt": 1,
    }


def test_tailing_takes_nothing_from_others(beside: Beside, ears: Ears, tailed: Tailed) -> None:
    """Who listens without a pool still hears everything."""
    tailed("--count", "2", told=["a", "b"])
    assert [beside.run(ears.heard.get()).event_type for _ in "ab"] == ["a", "b"]


def test_what_comes_after_the_last_one_stays_with_the_pool(
    beside: Beside, there: Transport, tailed: Tailed
) -> None:
    """In a shared pool nothing is taken that is not printed."""
    pool = ("--pool", "night", "--count", "1")
    (first,) = tailed(*pool, told=["a", "b", "c"])
    ears = Ears()
    with beside.inside(notify.listen(there, ears, pool="night", drain=0)):
        rest = [beside.run(ears.heard.get()).event_type for _ in "bc"]
    assert sorted([first.split()[3], *rest]) == ["a", "b", "c"]


def test_a_pool_of_its_own_does_not_outlive_it_for_long(
    beside: Beside, there: Transport, tailed: Tailed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was made for watching is told to the broker as short-lived."""
    monkeypatch.setattr("bedplate.cli.notify._OWN_POOL_LASTS", 0.01)
    monkeypatch.setattr("bedplate.cli.notify.secrets.token_hex", lambda _: "mine")
    tailed("--count", "1", told=["a"])

    async def gone() -> None:
        place = Address.topic("notifications.info")
        while (await there.look(place, group="tail-mine")).exists:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.01)

    beside.run(asyncio.wait_for(gone(), 5))


def test_it_ends_after_the_timeout(beside: Beside, capsys: Captured) -> None:
    """Without --count that is the end, with it a failure."""
    assert main(["notify", "tail", beside.url, "--timeout", "0.1"]) == 0
    assert capsys.readouterr() == ("", "ready\n")
    said = failed(capsys, "tail", beside.url, "--timeout", "0.1", "--count", "1", status=1)
    assert said.endswith("fewer than asked for came within 0.1 s.\n")


class Closed(io.StringIO):
    """A pipe whose reader has gone."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor

    def write(self, text: str) -> int:  # noqa: ARG002 - as streams have it
        raise BrokenPipeError

    def fileno(self) -> int:
        return self._descriptor


def test_a_reader_who_leaves_ends_it(beside: Beside, errors: Told) -> None:
    """``bedplate notify tail … | head -1`` ends when head does, with status 1 and no more words."""
    telling = beside.start(tell(beside, errors, "a"))
    with (
        Path(os.devnull).open("wb") as pipe,
        contextlib.redirect_stderr(errors),
        contextlib.redirect_stdout(Closed(pipe.fileno())),
    ):
        assert main(["notify", "tail", beside.url, "--timeout", "10"]) == 1
    beside.run(asyncio.wait_for(telling, 5))
    assert errors.getvalue() == "ready\n"
