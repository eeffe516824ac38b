"""A default and a maximum of ttl for each target: the rules, and the verbs they apply to."""

import asyncio
import math
import secrets
from collections.abc import AsyncIterator
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.errors import DeadlineExceeded, RequestExpired
from bedplate.messaging import Address, Message, Transport, TransportPolicy, TtlRule, notify, rpc
from bedplate.messaging.intake import TTL_HEADER
from bedplate.messaging.lifetimes import Lifetimes
from bedplate.messaging.parking import parked_at
from bedplate.messaging.types import Entity, Outbound, Topology

STOCK = Address.topic("stock")
RULES = (
    TtlRule(topic="notifications.*", default=3600, maximum=86400),
    TtlRule(topic="stock", exchange="shop", default=5),
    TtlRule(topic="stock", default=10, maximum=20),
    TtlRule(topic="bound*", maximum=30),
    TtlRule(topic="free.*", default=8),
    TtlRule(exchange="old", maximum=1),
)
SECONDS = st.floats(min_value=0.001, max_value=1e9)


# --- the rules ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "asked", "given_"),
    [
        (STOCK, None, 10),
        (STOCK, 15.0, 15),
        (STOCK, 25.0, 20),
        (STOCK, math.inf, 20),
        (Address.fanout("stock"), None, 10),
        (Address.server("stock", "one"), 600.0, 20),
        (Address.topic("stock", exchange="shop"), None, 5),
        (Address.topic("stock", exchange="shop"), math.inf, 20),
        (Address.topic("free.one"), None, 8),
        (Address.topic("free.one"), math.inf, None),
        (Address.topic("free.one", exchange="old"), None, 1),
        (Address.topic("bound.less"), None, 30),
        (Address.topic("notifications.info"), None, 3600),
        (Address.topic("anything", exchange="old"), None, 1),
        (Address.topic("free"), None, None),
        (Address.topic("free"), 7.0, 7),
        (Address.topic("free"), math.inf, None),
        (Address.private("stock"), None, None),
        (Address.place("stock"), 600.0, 600),
    ],
)
def test_the_first_default_and_the_first_maximum_that_match_count(
    address: Address, asked: float | None, given_: float | None
) -> None:
    """By topic and exchange, for servers and fanouts too; other kinds of address have no rules."""
    assert Lifetimes(RULES).of(address, asked) == given_


def test_nothing_vanishes_from_parking_places() -> None:
    """A rule for everything is not one for what was set aside for a person to look at."""
    lifetimes = Lifetimes([TtlRule(default=1, maximum=2)])
    assert lifetimes.of(parked_at(STOCK), None) is None
    assert lifetimes.of(parked_at(STOCK, "group"), 600) == 600


def test_only_what_asked_for_more_counts_as_shortened() -> None:
    """Getting a default, or a maximum for want of one, takes nothing away."""
    lifetimes = Lifetimes(RULES)
    for asked in (None, 5.0, 20.0):
        lifetimes.of(STOCK, asked)
    lifetimes.of(Address.topic("bound"), None)
    assert lifetimes.shortened == 0
    for asked in (21.0, math.inf):
        lifetimes.of(STOCK, asked)
    assert lifetimes.shortened == 2


@given(asked=SECONDS | st.just(math.inf) | st.none(), maximum=SECONDS, fallback=SECONDS | st.none())
def test_no_message_lives_longer_than_the_maximum_or_it_asked_for(
    asked: float | None, maximum: float, fallback: float | None
) -> None:
    """Whatever is asked for; and asking again with the answer changes nothing."""
    lifetimes = Lifetimes([TtlRule(maximum=maximum)])
    ttl = lifetimes.of(STOCK, asked, fallback)
    assert ttl is not None
    assert ttl <= maximum
    assert asked is None or ttl <= asked
    assert lifetimes.of(STOCK, ttl) == ttl


def test_many_targets_do_not_fill_the_memory() -> None:
    """What is known of targets is bounded; the rules go on to hold."""
    lifetimes = Lifetimes(RULES)
    for number in range(3000):
        assert lifetimes.of(Address.topic(f"bound.{number}"), None) == 30
    assert len(lifetimes._known) <= 1000


@pytest.mark.parametrize("seconds", [0.0, -1.0, math.inf, math.nan])
def test_senseless_rules_are_refused(seconds: float) -> None:
    """A rule names seconds above 0, and no default beyond its own maximum."""
    with pytest.raises(ValueError, match="a number of seconds above 0, or None"):
        TtlRule(default=seconds)
    with pytest.raises(ValueError, match="a number of seconds above 0, or None"):
        TtlRule(maximum=seconds)
    with pytest.raises(ValueError, match=r"default=3 is more than maximum=2"):
        TtlRule(default=3, maximum=2)


# --- the verbs ----------------------------------------------------------------------------------


@pytest.fixture
def url() -> str:
    """Name a broker of this test's own."""
    return f"memory://{secrets.token_hex(8)}/"


@pytest.fixture
async def here(url: str) -> AsyncIterator[Transport]:
    """Open a transport with rules."""
    async with Transport.connect(url, policy=TransportPolicy(ttl=RULES)) as transport:
        yield transport


@pytest.fixture
async def there(url: str) -> AsyncIterator[Transport]:
    """Open a transport without."""
    async with Transport.connect(url) as transport:
        yield transport


async def told(transport: Transport, address: Address) -> object:
    """Return the ttl that the next message at an address was sent with."""
    async with asyncio.timeout(1), transport.subscribe(address) as deliveries:
        async for delivery in deliveries:
            await delivery.ack()
            return delivery.headers.get(TTL_HEADER)
    return None


async def test_what_is_published_or_sent_lives_as_the_rules_say(
    here: Transport, there: Transport
) -> None:
    """Defaults are given, long lives shortened and counted, and no end where none is wanted."""
    free = Address.topic("free")
    await here.declare(Topology((Entity(STOCK), Entity(free))))
    for address, asked, got in (
        (STOCK, None, 10),
        (STOCK, 12.0, 12),
        (STOCK, 600.0, 20),
        (free, None, None),
        (free, math.inf, None),
    ):
        await here.publish(address, Message(b"published", ttl=asked))
        assert await told(there, address) == got
        here.send(Outbound(address, b"sent", "id", ttl=asked))
        assert await told(there, address) == got
    assert here.statistics().shortened == 2
    assert there.statistics().shortened == 0


@pytest.mark.parametrize("ttl", [0.0, -3.0, math.nan])
async def test_no_time_to_live_is_a_mistake(here: Transport, there: Transport, ttl: float) -> None:
    """On every verb, with rules and without, before anything is sent."""
    for transport in (here, there):
        with pytest.raises(ValueError, match="give a number of seconds above 0"):
            await transport.publish(STOCK, Message(b"", ttl=ttl))
        with pytest.raises(ValueError, match="give a number of seconds above 0"):
            rpc.Client(transport, topic="stock", ttl=ttl)
        with pytest.raises(ValueError, match="give a number of seconds above 0"):
            notify.Notifier(transport, publisher_id="p", ttl=ttl)
        assert transport.statistics().published == 0


async def test_casts_and_fanouts_live_as_the_rules_say(here: Transport, there: Transport) -> None:
    """The rule of the topic is that of its fanout, and ``math.inf`` asks for no end."""
    await here.declare(Topology((Entity(STOCK),)))
    client = rpc.Client(here, topic="stock")
    await client.cast("work")
    assert await told(there, STOCK) == 10
    await client.with_(ttl=600).cast("work")
    assert await told(there, STOCK) == 20
    async with there.subscribe(Address.fanout("stock")) as everybody:
        await client.with_(ttl=3).fanout("work")
        await client.fanout("work")
        ttls = []
        async for delivery in everybody:
            await delivery.ack()
            ttls.append(delivery.headers.get(TTL_HEADER))
            if len(ttls) == 2:
                break
        assert ttls == [3, 10]
    free = Address.topic("free.one")
    await here.declare(Topology((Entity(free),)))
    await rpc.Client(here, topic="free.one").cast("work")
    assert await told(there, free) == 8
    await rpc.Client(here, topic="free.one", ttl=math.inf).cast("work")
    assert await told(there, free) is None


async def test_a_call_expires_by_the_rules_and_is_answered_until_its_timeout(
    here: Transport, there: Transport
) -> None:
    """What waited too long never runs; what began in time may take as long as its caller waits."""

    class Stock:
        async def work(self, seconds: float) -> str:
            await asyncio.sleep(seconds)
            return "done"

    async with rpc.serve(there, Stock(), topic="stock", workers=1) as server:
        client = rpc.Client(here, topic="stock", timeout=600)
        start = here.clock.now()
        working = asyncio.ensure_future(client.call("work", seconds=60))
        await asyncio.sleep(1)
        with pytest.raises(RequestExpired):
            await client.call("work", seconds=0)
        assert here.clock.now() - start == pytest.approx(11, abs=0.1)
        with pytest.raises(RequestExpired):
            await client.with_(ttl=300).call("work", seconds=0)
        assert here.clock.now() - start == pytest.approx(31, abs=0.1)
        with pytest.raises(DeadlineExceeded):
            await client.with_(timeout=2).call("work", seconds=0)
        assert await working == "done"
        assert (server.statistics().expired, here.statistics().shortened) == (3, 1)


async def test_notifications_live_as_the_rules_say_or_a_week(
    here: Transport, there: Transport
) -> None:
    """The notifier's own ttl first, then the rule of the place, then a week; None asks for ever."""
    place = Address.topic("notifications.info")
    notifier = notify.Notifier(here, publisher_id="p")
    wanted: list[tuple[float | Literal["default"] | None, int | None]]
    wanted = [("default", 3600), (60.0, 60), (None, 86400)]
    for asked, got in wanted:
        await notifier.with_(ttl=asked).info("event")
        assert await told(there, place) == got
    plain = notify.Notifier(there, publisher_id="p")
    wanted = [("default", 7 * 86400), (60.0, 60), (None, None)]
    for asked, got in wanted:
        await plain.with_(ttl=asked).info("event")
        assert await told(there, place) == got
