from bedplate.messaging.observe import Closed, GivenUp, Observer, Observers, Opened, Received, Sent
from bedplate.messaging.types import Address

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
        Closed("talk", "here", 1, "cut"),
    )
    observers.opened(events[0])
    observers.sent(events[1])
    observers.received(events[2])
    observers.closed(events[3])
    assert one.heard == other.heard == list(events)


def test_an_observer_that_raises_is_reported_once_and_dropped() -> None:
    """Its error reaches nobody but the report, and the others go on hearing."""
    breaking, hearing = Breaking(), Hearing()
    reports: list[tuple[Observer, Exception]] = []
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
