"""What is written on parked messages, and what they are again: no loop, no broker."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.messaging.delivery import Delivery
from bedplate.messaging.intake import ParkedFor, limits
from bedplate.messaging.parking import (
    Slip,
    bounded,
    can_park,
    entity_of,
    message_before,
    message_parked,
    parked_at,
    read,
    said,
)
from bedplate.messaging.types import (
    REPLAY_HEADER,
    Address,
    Arrival,
    Capabilities,
    Headers,
    HeaderValue,
    Message,
    Source,
    Support,
)

ORDERS = Address.topic("orders", exchange="shop")
SLIP = Slip(ParkedFor.ATTEMPTS, 3, 1_700_000_000.5, "host1", "ValueError: no")
FULL = Arrival(
    7,
    b"{}",
    "m1",
    {"colour": "red", "n": 1},
    "application/json",
    "order",
    "c1",
    Address.topic("answers"),
    "key",
)

texts = st.text(max_size=8)
values = st.none() | st.booleans() | st.integers() | st.floats() | texts | st.binary(max_size=4)


def parked(arrival: Arrival = FULL, source: Source | None = None, slip: Slip = SLIP) -> Arrival:
    """Return a message as it is found at its parking place."""
    message = message_parked(Delivery(arrival), source or Source(ORDERS), slip)
    assert message.ttl is None
    return Arrival(
        1,
        message.body,
        message.id or "made",
        message.headers,
        message.content_type,
        message.kind,
        message.correlation_id,
        message.reply_to,
        message.key,
    )


# --- the place ----------------------------------------------------------------------------------


def test_a_topic_parks_in_one_place_and_each_group_in_its_own() -> None:
    """Who looks after a topic need not know the names of its servers."""
    place = parked_at(ORDERS)
    assert place == Address.topic("parked:orders", exchange="shop")
    assert parked_at(Address.server("orders", "h1", exchange="shop")) == place
    assert parked_at(Address.fanout("orders", exchange="shop")) == place
    assert parked_at(ORDERS, "audit") == Address.topic("parked:orders:group:audit", exchange="shop")


@given(st.tuples(texts, st.none() | texts), st.tuples(texts, st.none() | texts))
def test_different_topics_and_groups_never_share_a_place(
    one: tuple[str, str | None], two: tuple[str, str | None]
) -> None:
    """Whatever marks their names contain."""
    places = [parked_at(Address.topic(topic), group) for topic, group in (one, two)]
    assert (places[0] == places[1]) is (one == two)


@pytest.mark.parametrize("address", [Address.private("x"), Address.place("default/orders")])
def test_what_has_no_topic_has_no_place(address: Address) -> None:
    """A private address is gone with its link, and a place is nobody's."""
    with pytest.raises(ValueError, match="no topic"):
        parked_at(address)


def test_a_place_lasts() -> None:
    """However long nobody looks: a message is parked until somebody decides."""
    assert entity_of(parked_at(ORDERS)).expires == math.inf
    assert entity_of(parked_at(ORDERS), 5).limit == 5


@pytest.mark.parametrize(
    ("offers", "source", "can"),
    [
        (Support.NATIVE, Source(ORDERS), True),
        (Support.NATIVE, Source(Address.fanout("orders")), True),
        (Support.NATIVE, Source(ORDERS, ack=False), False),
        (Support.NATIVE, Source(Address.private("x")), False),
        (Support.NO, Source(ORDERS), False),
    ],
)
def test_parking_takes_a_confirmation_and_an_acknowledgement(
    offers: Support, source: Source, *, can: bool
) -> None:
    """Without the one it might be lost, without the other it is gone already."""
    assert can_park(Capabilities(accept=offers, ack=offers), source) is can


# --- the message --------------------------------------------------------------------------------


def test_a_parked_message_is_again_what_it_was() -> None:
    """Body, headers, ids and all: nothing is lost and nothing of the slip stays."""
    before = message_before(parked())
    assert before == Message(
        FULL.body,
        FULL.headers,
        FULL.content_type,
        None,
        FULL.key,
        FULL.id,
        FULL.kind,
        FULL.correlation_id,
        FULL.reply_to,
    )


def test_the_slip_says_why_when_where_and_by_whom() -> None:
    """What a person wants to know at three in the morning."""
    facts = read(parked(source=Source(ORDERS, group="audit")), ORDERS, "audit")
    assert (facts.id, facts.why, facts.attempts) == ("m1", "attempts", 3)
    assert (facts.at, facts.by, facts.error) == (1_700_000_000.5, "host1", "ValueError: no")
    assert (facts.address, facts.group, facts.size) == (ORDERS, "audit", 2)
    assert (facts.kind, facts.content_type, facts.expires) == ("order", "application/json", None)
    assert facts.replay_of == ""


@pytest.mark.parametrize(
    "address",
    [
        ORDERS,
        Address.server("orders", "h1", exchange="shop"),
        Address.fanout("orders", exchange="shop"),
    ],
)
def test_it_says_where_it_was_delivered(address: Address) -> None:
    """The topic, one of its servers, or everybody: it goes back there."""
    assert read(parked(source=Source(address)), ORDERS, None).address == address


def test_a_time_to_live_stands_still_where_it_is_parked() -> None:
    """When it would have ended is noted; nothing expires before somebody has looked at it."""
    arrival = Arrival(1, b"", headers=limits({"kept": 1}, 30.0, 1_700_000_000.0))
    found = parked(arrival)
    assert read(found, ORDERS, None).expires == 1_700_000_030.0
    assert not any(name in found.headers for name in ("bedplate-deadline", "bedplate-ttl"))
    assert message_before(found).headers == {"kept": 1}


def test_a_replay_is_a_new_message_that_names_the_first() -> None:
    """Its id is not what was tried before, and after several replays the first id is known."""
    once = message_before(parked(), again=True)
    assert (once.id, once.headers[REPLAY_HEADER]) == ("", "m1")
    again = parked(Arrival(1, b"", "m2", once.headers))
    assert read(again, ORDERS, None).replay_of == "m1"
    assert message_before(again, again=True).headers[REPLAY_HEADER] == "m1"


def test_a_message_parked_twice_carries_one_slip() -> None:
    """What was noted before does not mix with what is noted now."""
    slip = Slip(ParkedFor.ASKED, 1, 5.0, "host2")
    again = parked(parked(), slip=slip)
    facts = read(again, ORDERS, None)
    assert (facts.why, facts.by, facts.error, facts.attempts) == ("asked", "host2", "", 1)
    assert message_before(again).headers == FULL.headers


@given(st.dictionaries(st.sampled_from(["why", "attempts", "at", "by", "kind", "server"]), values))
def test_a_slip_that_anybody_wrote_is_read_with_care(notes: dict[str, HeaderValue]) -> None:
    """Whatever stands there, it is facts of the right types or none."""
    headers: Headers = {f"bedplate-parked-{name}": value for name, value in notes.items()}
    facts = read(Arrival(1, b"", headers={**headers, REPLAY_HEADER: 5}), ORDERS, None)
    assert isinstance(facts.why, str)
    assert isinstance(facts.attempts, int)
    assert math.isfinite(facts.at)
    assert facts.replay_of == ""
    assert facts.address.name == "orders"
    assert message_before(Arrival(1, b"", headers=headers)).headers == {}


# --- what failed --------------------------------------------------------------------------------


def test_an_error_is_noted_in_bounds_and_without_passwords() -> None:
    """Its type and text, as much as fits a header, and of a URL never the password."""
    assert said(None) == ""
    assert said(KeyError()) == "KeyError"
    url = "no route to rabbit://app:s3cr3t@mq1:5672/shop and amqp://b:hi@d/den@h"
    told = said(OSError(url))
    assert told == "OSError: no route to rabbit://app:****@mq1:5672/shop and amqp://b:****@h"
    assert len(said(ValueError("x" * 10_000))) == 500
    assert bounded("short") == "short"


def test_an_error_that_cannot_be_told_is_named() -> None:
    """The application's errors may fail even at that."""

    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert said(Mute()) == "Mute"
