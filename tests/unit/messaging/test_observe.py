import asyncio

import pytest

from bedplate.errors import NoSuchTarget, RemoteError
from bedplate.messaging import Message, Transport
from bedplate.messaging.observe import (
    Closed,
    GivenUp,
    Leave,
    Observers,
    Opened,
    Received,
    Sent,
    Work,
    following,
    kind_of,
    outcome_of,
    place_of,
)
from bedplate.messaging.types import NO_HEADERS, Address, Headers

ADDRESS = Address.topic("orders")


class Hearing:
    def __init__(self) -> None:
        self.heard: list[object] = []

    def sent(self, event: Sent) -> None:
        self.heard.append(event)

    def received(self, event: Received) -> None:
        self.heard.append(event)

    def given_up(self, event: GivenUp) -> None:
        self.heard.append(event)

    def opened(self, event: Opened) -> None:
        self.heard.append(event)

    def closed(self, event: Closed) -> None:
        self.heard.append(event)


class Breaking(Hearing):
    def sent(self, event: Sent) -> None:
        super().sent(event)
        raise RuntimeError("an observer with a bug")


def test_every_observer_hears_every_event_in_order() -> None:
    """All observers get the same values in the same order."""
    one, other = Hearing(), Hearing()
    observers = Observers((one, other), lambda *_: None)
    events = (
        Opened("talk", "here", 1),
        Sent(ADDRESS, "1"),
        Received(ADDRESS, "1"),
        GivenUp(ADDRESS, "1"),
        Closed("talk", "here", 1, "cut"),
    )
    observers.opened(events[0])
    observers.sent(events[1])
    observers.received(events[2])
    observers.given_up(events[3])
    observers.closed(events[4])
    assert one.heard == other.heard == list(events)


def test_an_observer_that_raises_is_reported_once_and_dropped() -> None:
    """Its error reaches nobody but the report, and the others go on hearing."""
    breaking, hearing = Breaking(), Hearing()
    reports: list[tuple[object, Exception]] = []
    observers = Observers((breaking, hearing), lambda who, error: reports.append((who, error)))
    for number in range(3):
        observers.sent(Sent(ADDRESS, str(number)))
    assert [who for who, _ in reports] == [breaking]
    assert len(breaking.heard) == 1
    assert len(hearing.heard) == 3
    assert len(observers) == 1


def test_nobody_listening_is_cheap_to_ask() -> None:
    """Observers are false while there is nobody to tell."""
    assert not Observers((), lambda *_: None)
    assert Observers((Hearing(),), lambda *_: None)


# --- work ---------------------------------------------------------------------------------------


class Span:
    """Follows one piece of work, and raises where it is told to."""

    def __init__(self, name: str, heard: list[str], breaks: str) -> None:
        self._name, self._heard, self._breaks = name, heard, breaks

    @property
    def headers(self) -> Headers:
        self._hear("headers")
        return {self._name: "here", "who": self._name}

    def enter(self) -> Leave:
        self._hear("enter")
        return lambda: self._hear("leave")

    def ended(self, error: BaseException | None) -> None:
        self._hear(f"ended {outcome_of(error)}")

    def _hear(self, what: str) -> None:
        self._heard.append(f"{self._name} {what}")
        if what.startswith(self._breaks):
            raise RuntimeError("an observer with a bug")


class Following(Hearing):
    """An observer that follows work."""

    def __init__(self, name: str, log: list[str], breaks: str = "-") -> None:
        super().__init__()
        self._name, self._log, self._breaks = name, log, breaks

    def begun(self, work: Work) -> Span | None:
        self._log.append(f"{self._name} {work.verb}")
        if self._breaks == "begun":
            raise RuntimeError("an observer with a bug")
        return None if self._breaks == "nothing" else Span(self._name, self._log, self._breaks)


WORK = Work(verb="call", address=ADDRESS)


def silent(*_: object) -> None:
    """Report nothing."""


def test_all_that_follow_work_are_asked_as_one() -> None:
    """Headers are put together, what was entered is left in reverse, and all hear of the end."""
    log: list[str] = []
    followers = Observers((Following("a", log), Hearing(), Following("b", log)), silent)
    assert followers.follow
    with following(followers.begun(WORK)) as span:
        assert span.headers == {"a": "here", "b": "here", "who": "b"}
        span.enter()()
    assert log == [
        *("a call", "b call", "a headers", "b headers", "a enter", "b enter"),
        *("b leave", "a leave", "a ended ok", "b ended ok"),
    ]


def test_observers_that_only_hear_follow_no_work() -> None:
    """There is nobody to ask where none of the observers follows work."""
    assert not Observers((Hearing(),), silent).follow


def test_work_of_no_interest_has_nothing_to_carry() -> None:
    """An observer may decline; the work goes on without headers."""
    log: list[str] = []
    span = Observers((Following("a", log, "nothing"),), silent).begun(WORK)
    span.enter()()
    span.ended(None)
    assert span.headers == NO_HEADERS
    assert log == ["a call"]


@pytest.mark.parametrize("breaks", ["begun", "headers", "enter", "leave", "ended"])
def test_one_that_raises_while_it_follows_work_is_dropped(breaks: str) -> None:
    """Wherever it raises, it is reported once and asked nothing any more; the others go on."""
    log: list[str] = []
    reports: list[object] = []
    broken = Following("broken", log, breaks)
    followers = Observers((broken, Following("good", log)), lambda who, _: reports.append(who))
    for _ in range(2):
        with following(followers.begun(WORK)) as span:
            assert span.headers["good"] == "here"
            leave = span.enter()
            leave()
    assert reports == [broken]
    assert log.count("good ended ok") == 2
    assert log.count("broken call") == 1
    followers.sent(Sent(ADDRESS, "1"))
    assert broken.heard == []


def test_an_observer_that_lacks_a_method_is_dropped_like_one_that_raises() -> None:
    """One written for an older bedplate, or half a span, harms nobody."""
    reports: list[object] = []

    class Half(Following):
        def __getattribute__(self, name: str) -> object:
            if name == "given_up":
                raise AttributeError(name)
            return super().__getattribute__(name)

        def begun(self, _: Work) -> Span | None:
            return object()  # type: ignore[return-value]  # no span at all

    half, half_span, good = Half("half", []), Half("half", []), Hearing()
    observers = Observers((half, good), lambda who, _: reports.append(who))
    observers.given_up(GivenUp(ADDRESS, "1"))
    assert good.heard == [GivenUp(ADDRESS, "1")]
    following_one = Observers((half_span,), lambda who, _: reports.append(who))
    span = following_one.begun(WORK)
    assert span.headers == {}
    span.enter()()
    span.ended(None)
    assert reports == [half, half_span]


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (None, "ok"),
        (NoSuchTarget(target="stock"), "no-such-target"),
        (RemoteError(type="Odd", message="", code="invented-by-a-peer"), "remote"),
        (asyncio.CancelledError(), "cancelled"),
        (KeyError("of the application"), "failed"),
        (SystemExit(), "failed"),
    ],
)
def test_work_ends_in_one_of_few_words(error: BaseException | None, outcome: str) -> None:
    """Labels made of it stay few, whatever applications raise and peers send."""
    assert outcome_of(error) == outcome


def test_places_and_kinds_are_few_as_well() -> None:
    """Private addresses have no name that lasts; a kind somebody invented is another one."""
    assert place_of(Address.private("reply-1")) == ""
    assert place_of(ADDRESS) == "orders"
    assert place_of(Address.fanout("orders", exchange="shop")) == "shop/orders"
    assert kind_of(Sent(ADDRESS, "1", "call")) == "call"
    assert kind_of(Received(ADDRESS, "1", "invented")) == "other"


@pytest.mark.parametrize("raising", [False, True])
async def test_what_handling_a_delivery_is_ends_with_its_block(*, raising: bool) -> None:
    """It is entered and left in the block, and ends as the block does."""
    log: list[str] = []
    async with (
        Transport.connect("memory://handled/", observers=[Following("a", log)]) as transport,
        transport.subscribe(ADDRESS) as orders,
    ):
        await transport.publish(ADDRESS, Message(b"1"))
        order = await anext(orders)
        del log[:]
        if raising:
            with pytest.raises(KeyError), order.handling():
                raise KeyError
        else:
            with order.handling():
                log.append("inside")
        await order.ack()
    end = ("a leave", "a ended failed") if raising else ("inside", "a leave", "a ended ok")
    assert log == ["a publish", "a enter", *end]


async def test_without_observers_handling_a_delivery_is_nothing_special() -> None:
    """The block may stand there for programs that nobody watches."""
    async with (
        Transport.connect("memory://handled/") as transport,
        transport.subscribe(ADDRESS) as orders,
    ):
        await transport.publish(ADDRESS, Message(b"1"))
        order = await anext(orders)
        with order.handling():
            assert order.body == b"1"
        await order.ack()


async def test_what_cannot_be_published_ends_as_such() -> None:
    """The work of a publish that raises ends with what it raises."""
    log: list[str] = []
    observers = [Following("a", log)]
    async with Transport.connect("memory://unread/", observers=observers) as transport:
        with pytest.raises(NoSuchTarget):
            await transport.publish(ADDRESS, Message(b"1"))
    assert log[-1] == "a ended no-such-target"
