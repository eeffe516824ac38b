"""Notifications from publisher to listeners, over the memory broker and a turned clock."""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.errors import DeadlineExceeded, Unencodable
from bedplate.messaging import Address, Message, Transport, notify
from bedplate.messaging.drivers.memory import MemoryDriver, broker
from bedplate.messaging.notify.notification import Filter
from bedplate.messaging.types import HeaderValue
from bedplate.testing.faulty import Faults, faulty


@pytest.fixture
def url() -> str:
    """Name a broker of this test's own."""
    return f"memory://{secrets.token_hex(8)}/"


@pytest.fixture
def faults() -> Faults:
    """Control what goes wrong on the publisher's links."""
    return Faults()


@pytest.fixture
async def here(url: str, faults: Faults) -> AsyncIterator[Transport]:
    """Open the publisher's transport."""
    async with Transport.connect(url, driver=faulty(MemoryDriver(), faults)) as transport:
        yield transport


@pytest.fixture
async def there(url: str) -> AsyncIterator[Transport]:
    """Open the listeners' transport."""
    async with Transport.connect(url) as transport:
        yield transport


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Keep what listeners log of broken handlers out of the output, and at hand."""
    with caplog.at_level(logging.WARNING, logger="bedplate.messaging.notify"):
        yield caplog


class Ears:
    """A handler that remembers."""

    def __init__(self) -> None:
        self.heard: list[notify.Notification] = []

    async def __call__(self, notification: notify.Notification) -> None:
        self.heard.append(notification)

    @property
    def types(self) -> list[str]:
        return [each.event_type for each in self.heard]


def notifier(transport: Transport) -> notify.Notifier:
    return notify.Notifier(transport, publisher_id="inventory.h1")


async def test_a_listener_hears_everything_that_was_told(here: Transport, there: Transport) -> None:
    """Publisher, type, priority, payload, time and context arrive."""
    ears = Ears()
    async with notify.listen(there, ears):
        tell = notifier(here).with_(context={"request": "r1"})
        told = await tell.info("item.created", {"item": "bolt", "count": 3})
        await asyncio.sleep(0)
        (heard,) = ears.heard
    assert heard.id == told
    assert (heard.publisher_id, heard.event_type, heard.priority, heard.attempt) == (
        "inventory.h1",
        "item.created",
        "info",
        1,
    )
    assert heard.payload == {"item": "bolt", "count": 3}
    assert heard.context == {"request": "r1"}
    assert heard.when == datetime.fromtimestamp(here.clock.wall(), UTC)


async def test_each_priority_has_its_verb(here: Transport, there: Transport) -> None:
    """There is a method a priority, and notify() for them all."""
    ears = Ears()
    tell = notifier(here)
    async with notify.listen(there, ears):
        for priority in notify.PRIORITIES:
            await getattr(tell, priority)("a")
            await tell.notify(priority, "b")
        with pytest.raises(ValueError, match="'urgent' is no priority; there are audit, debug"):
            await tell.notify("urgent", "c")
        await asyncio.sleep(1)
    assert sorted((each.priority, each.event_type) for each in ears.heard) == sorted(
        (priority, kind) for priority in notify.PRIORITIES for kind in "ab"
    )


async def test_what_was_told_before_the_first_listener_is_heard(
    here: Transport, there: Transport
) -> None:
    """A notification waits for a listener that comes later, within its ttl."""
    await notifier(here).with_(ttl=10).info("short")
    await notifier(here).info("long")
    await asyncio.sleep(60)
    ears = Ears()
    async with notify.listen(there, ears):
        await asyncio.sleep(1)
    assert ears.types == ["long"]


async def test_listeners_choose(here: Transport, there: Transport) -> None:
    """By priority, by pattern of the type, by topic; what is not wanted is gone."""
    urgent, items, other = Ears(), Ears(), Ears()
    async with (
        notify.listen(there, urgent, priorities=("error", "critical"), pool="urgent"),
        notify.listen(there, items, event_types=("item.*", "part.?"), pool="items") as listener,
        notify.listen(there, other, topics=("billing",)),
    ):
        tell = notifier(here)
        await tell.info("item.created")
        await tell.error("part.x")
        await tell.critical("disk.full")
        await tell.with_(topic="billing").info("paid")
        await asyncio.sleep(1)
        assert listener.statistics().filtered == 1
    assert sorted(urgent.types) == ["disk.full", "part.x"]
    assert sorted(items.types) == ["item.created", "part.x"]
    assert other.types == ["paid"]


async def test_pools_share_and_pools_copy(here: Transport, there: Transport) -> None:
    """Listeners of a pool share the notifications; every pool gets all of them."""
    one, two, audit = Ears(), Ears(), Ears()
    async with (
        notify.listen(there, one, pool="work"),
        notify.listen(there, two, pool="work"),
        notify.listen(there, audit, pool="audit"),
    ):
        for n in range(10):
            await notifier(here).info(f"n{n}")
        await asyncio.sleep(1)
    assert sorted(one.types + two.types) == sorted(audit.types) == [f"n{n}" for n in range(10)]
    assert one.types
    assert two.types


async def test_an_object_listens_to_the_priorities_it_names(
    here: Transport, there: Transport
) -> None:
    """Methods named after priorities, of either colour, get those and nothing else."""
    heard: list[str] = []

    class Desk:
        async def info(self, notification: notify.Notification) -> None:
            heard.append(f"info {notification.event_type}")

        def error(self, notification: notify.Notification) -> None:
            heard.append(f"error {notification.event_type}")

    async with notify.listen(there, Desk()):
        for priority in ("info", "warn", "error"):
            await notifier(here).notify(priority, "x")
        await asyncio.sleep(1)
    assert sorted(heard) == ["error x", "info x"]
    with pytest.raises(TypeError, match="no method named after a priority"):
        notify.listen(there, object())


async def test_a_failing_handler_is_tried_again_and_then_parked(
    here: Transport, there: Transport, quiet: pytest.LogCaptureFixture
) -> None:
    """Attempts are counted and paced; after the last one the notification is put aside."""
    attempts: list[int] = []

    def fail(notification: notify.Notification) -> None:
        attempts.append(notification.attempt)
        raise SystemExit(1)

    async with notify.listen(there, fail, attempts=4, backoff=10) as listener:
        await notifier(here).info("poison")
        await asyncio.sleep(1000)
        statistics = listener.statistics()
    assert attempts == [1, 2, 3, 4]
    assert (statistics.failed, statistics.parked, statistics.done) == (4, 1, 0)
    assert [record.name for record in quiet.records] == [
        *["bedplate.messaging.notify"] * 4,
        "bedplate.messaging",
    ]
    (parked,) = await there.parked(Address.topic("notifications.info")).list()
    assert (parked.why, parked.attempts, parked.error) == ("attempts", 4, "SystemExit: 1")
    ears = Ears()
    async with notify.listen(there, ears):
        await asyncio.sleep(1000)
    assert ears.heard == [], "it does not come back by itself"


async def test_a_handler_that_recovers_hears_it_once(
    here: Transport, there: Transport, quiet: pytest.LogCaptureFixture
) -> None:
    """A retry that works ends the matter."""
    heard: list[int] = []

    async def flaky(notification: notify.Notification) -> None:
        heard.append(notification.attempt)
        if notification.attempt < 3:
            raise OSError("not yet")

    async with notify.listen(there, flaky) as listener:
        await notifier(here).info("flaky")
        await asyncio.sleep(1000)
        assert listener.statistics().done == 1
    assert heard == [1, 2, 3]
    assert "not yet" in quiet.text


async def test_at_most_once_does_not_try_again(
    here: Transport, there: Transport, quiet: pytest.LogCaptureFixture
) -> None:
    """With ack="start" a failure is final."""
    heard: list[int] = []

    async def fail(notification: notify.Notification) -> None:
        heard.append(notification.attempt)
        raise OSError

    async with notify.listen(there, fail, ack="start"):
        await notifier(here).info("once")
        await asyncio.sleep(1000)
    assert heard == [1]
    assert quiet.records


async def test_a_closing_listener_returns_what_it_did_not_do(
    here: Transport, there: Transport
) -> None:
    """What runs may end, what outlives the drain and what waits goes to the next listener."""
    begun: list[str] = []
    ended: list[str] = []

    async def slow(notification: notify.Notification) -> None:
        begun.append(notification.event_type)
        await asyncio.sleep(5 if notification.event_type == "quick" else 50)
        ended.append(notification.event_type)

    async with notify.listen(there, slow, workers=2, drain=10) as listener:
        for kind in ("quick", "slow", "waiting"):
            await notifier(here).info(kind)
        await asyncio.sleep(1)
    assert (begun, ended) == (["quick", "slow"], ["quick"])
    assert listener.statistics().returned == 2
    ears = Ears()
    async with notify.listen(there, ears):
        await asyncio.sleep(1)
    assert sorted(ears.types) == ["slow", "waiting"]


async def test_no_more_run_at_once_than_there_are_workers(
    here: Transport, there: Transport
) -> None:
    """Workers bound what runs; credit bounds what waits here."""
    running = most = 0

    async def work(_: notify.Notification) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(1)
        running -= 1

    async with notify.listen(there, work, workers=3, accept=2, priorities=("info",)) as listener:
        for _ in range(20):
            await notifier(here).info("x")
        await asyncio.sleep(0.5)
        assert listener.statistics().running + listener.statistics().waiting == 5
        await asyncio.sleep(100)
        assert listener.statistics().done == 20
    assert most == 3


async def test_malformed_messages_are_rejected(
    here: Transport, there: Transport, quiet: pytest.LogCaptureFixture
) -> None:
    """What is no notification is put aside and counted, and the next one is heard."""
    ears = Ears()
    address = Address.topic("notifications.info")
    headers: dict[str, HeaderValue] = {"bedplate-event": "e", "bedplate-timestamp": 1.0}
    headers["bedplate-priority"] = "info"
    async with notify.listen(there, ears) as listener:
        await here.publish(address, Message(b"?", kind="gossip"))
        await here.publish(address, Message(b"{}", kind="event"))
        await here.publish(address, Message(b"{", headers, kind="event"))
        await here.publish(
            address, Message(b"1", {**headers, "bedplate-priority": "odd"}, kind="event")
        )
        await here.publish(address, Message(b"1", headers, kind="event"))
        await asyncio.sleep(1)
        assert listener.statistics().malformed == 4
    assert [each.payload for each in ears.heard] == [1]
    assert len(quiet.records) == 4


async def test_telling_keeps_its_deadline(here: Transport, faults: Faults) -> None:
    """With the broker gone, and with a payload that cannot be sent, the publisher hears in time."""
    loop = asyncio.get_running_loop()
    tell = notifier(here).with_(timeout=3)
    with pytest.raises(Unencodable, match="the payload of item"):
        await tell.info("item", object())
    for _ in range(2):
        faults.freeze()
        start = loop.time()
        with pytest.raises(DeadlineExceeded):
            await tell.info("item")
        assert loop.time() == pytest.approx(start + 3)
        faults.thaw()
        await tell.info("item")


async def test_a_lost_link_loses_nothing(here: Transport, there: Transport, faults: Faults) -> None:
    """A notification whose confirmation was lost is sent again, and heard once."""
    ears = Ears()
    async with notify.listen(there, ears):
        tell = notifier(here)
        await tell.info("first")
        faults.sending.cut(nth=1)
        await tell.info("second")
        await asyncio.sleep(1)
    assert ears.types == ["first", "second"]


def test_senseless_settings_are_refused() -> None:
    """Settings that cannot be meant raise ValueError."""
    options = notify.NotifierOptions(publisher_id="p")
    for wrong in ({"publisher_id": ""}, {"topic": ""}, {"ttl": 0}, {"timeout": 0}):
        with pytest.raises(ValueError, match=r"."):
            notify.NotifierOptions(**{"publisher_id": "p", **wrong})  # type: ignore[arg-type]  # on purpose
    assert options.topic == "notifications"


async def test_senseless_listeners_are_refused(here: Transport) -> None:
    """A listener needs workers, topics, patterns and known priorities."""
    for wrong in (
        {"topics": ()},
        {"workers": 0},
        {"accept": -1},
        {"drain": -1.0},
        {"event_types": ()},
        {"priorities": ("urgent",)},
        {"ack": "maybe"},
    ):
        with pytest.raises(ValueError, match=r"."):
            notify.listen(here, Ears(), **wrong)


@given(st.lists(st.text(), min_size=1), st.text())
def test_a_filter_is_never_surprised(patterns: list[str], event_type: str) -> None:
    """Any patterns and any type give an answer, and a pattern for all wants all."""
    assert isinstance(Filter(patterns).wants(event_type), bool)
    assert Filter([*patterns, "*"]).wants(event_type)


async def test_a_listener_may_outlive_its_transport(here: Transport, url: str) -> None:
    """Closing the transport first does no harm to a listener that is closed later."""
    ears = Ears()
    async with Transport.connect(url) as there, notify.listen(there, ears):
        await notifier(here).info("x")
        await there.aclose()
    async with Transport.connect(url) as there, notify.listen(there, ears):
        await asyncio.sleep(1)
    assert ears.types == ["x"]


async def test_a_cancelled_drain_returns_everything(here: Transport, there: Transport) -> None:
    """Cancelling the drain of a listener gives what it had to the next one."""
    begun: list[str] = []

    async def slow(notification: notify.Notification) -> None:
        begun.append(notification.event_type)
        await asyncio.sleep(500)

    async def listen() -> None:
        async with notify.listen(there, slow, drain=100):
            await notifier(here).info("x")
            await asyncio.sleep(1)

    listening = asyncio.ensure_future(listen())
    await asyncio.sleep(5)
    listening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await listening
    ears = Ears()
    async with notify.listen(there, ears):
        await asyncio.sleep(1)
    assert begun == ears.types == ["x"]


async def test_a_notification_that_waits_expires_in_time(here: Transport, there: Transport) -> None:
    """Its place is free when its time is over, though no worker is; it is counted as expired."""
    begun: list[str] = []

    async def slow(notification: notify.Notification) -> None:
        begun.append(notification.event_type)
        await asyncio.sleep(100)

    async with notify.listen(there, slow, workers=1, priorities=("info",), drain=0) as listener:
        await notifier(here).info("long")
        await notifier(here).with_(ttl=5).info("short")
        await asyncio.sleep(4)
        assert (listener.statistics().waiting, listener.statistics().expired) == (1, 0)
        await asyncio.sleep(1.5)
        assert (listener.statistics().waiting, listener.statistics().expired) == (0, 1)
        await asyncio.sleep(200)
    assert begun == ["long"]


async def test_what_arrives_too_late_is_counted(url: str, here: Transport) -> None:
    """A notification that expired on its way counts as received and expired."""
    slow, ears = Faults(), Ears()
    slow.arriving.delay(10.0)
    async with (
        Transport.connect(url, driver=faulty(MemoryDriver(), slow)) as there,
        notify.listen(there, ears) as listener,
    ):
        await notifier(here).with_(ttl=5).info("late")
        await asyncio.sleep(20)
        assert (listener.statistics().received, listener.statistics().expired) == (1, 1)
    assert ears.heard == []


async def test_what_nobody_wants_does_not_fill_the_broker(here: Transport, url: str) -> None:
    """After a week it is gone, unless the notifier says otherwise; a listener may come as late."""
    place = Address.topic("notifications.info")
    for n in range(1000):
        await notifier(here).info(f"n{n}")
    await notifier(here).with_(ttl=None).info("kept")
    await asyncio.sleep(7 * 24 * 3600 - 1)
    assert (await here.look(place)).messages == 1001
    await asyncio.sleep(2)
    assert (await here.look(place)).messages == 1
    ears = Ears()
    async with Transport.connect(url) as there, notify.listen(there, ears):
        await asyncio.sleep(1)
    assert ears.types == ["kept"]


async def test_a_place_the_broker_forgot_is_made_again(
    here: Transport, there: Transport, url: str
) -> None:
    """Brokers delete what nobody listens at; telling goes on, for a listener still to come."""
    tell = notifier(here)
    await tell.info("before")
    broker(urlsplit(url).netloc).delete(Address.topic("notifications.info"))
    await tell.info("after")
    ears = Ears()
    async with notify.listen(there, ears):
        await asyncio.sleep(1)
    assert ears.types == ["after"]
