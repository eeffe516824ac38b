"""The pure parts of the RabbitMQ driver: names, properties, settings; no broker is needed."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.amqp091 import Delivered, Properties
from bedplate.amqp091.properties import Content, encode_properties
from bedplate.config import Config, Secret
from bedplate.errors import AccessRefused, ConnectFailed
from bedplate.messaging.drivers.rabbit import RabbitDriver, RabbitNaming, RabbitOptions
from bedplate.messaging.drivers.rabbit._dial import _worst
from bedplate.messaging.drivers.rabbit._message import incoming, outgoing
from bedplate.messaging.drivers.rabbit._names import (
    EXCHANGE,
    Correspondents,
    address_of,
    route,
    text_of,
)
from bedplate.messaging.types import Address, Outbound
from bedplate.messaging.url import TransportUrl
from bedplate.testing.contracts._workbench import Ear

PARTS = st.text(string.ascii_lowercase + "%/@*.:", min_size=1, max_size=6)
SHARED = (
    st.builds(lambda n, e: Address.topic(n, exchange=e), PARTS, PARTS)
    | st.builds(lambda n, s, e: Address.server(n, s, exchange=e), PARTS, PARTS, PARTS)
    | st.builds(lambda n, e: Address.fanout(n, exchange=e), PARTS, PARTS)
)


@given(SHARED, SHARED)
def test_different_addresses_have_different_keys(one: Address, two: Address) -> None:
    """No two addresses share a routing key, whatever stands in their parts."""
    assert (route(one) == route(two)) is (one == two)


@given(SHARED, st.none() | PARTS, SHARED, st.none() | PARTS)
def test_different_places_have_different_queues(
    one: Address, group: str | None, two: Address, other: str | None
) -> None:
    """No two addresses or groups share a queue."""
    naming = RabbitNaming()
    same = naming.queue(one, group) == naming.queue(two, other)
    assert same is ((one, group) == (two, other))


@given(SHARED | st.builds(lambda n: Address.private(f"reply-{n}"), PARTS))
def test_an_address_to_reply_to_comes_back(address: Address) -> None:
    """What is written as ``reply_to`` is read as the same address."""
    assert address_of(text_of(address)) == address


def test_names_carry_the_exchange_and_can_be_read() -> None:
    """An operator finds exchange, topic, server and group in a queue's name."""
    naming = RabbitNaming()
    assert naming.queue(Address.topic("orders"), None) == "default/orders"
    assert naming.queue(Address.topic("orders", exchange="shop"), "audit") == "shop/orders@audit"
    assert naming.queue(Address.server("orders", "h1", exchange="shop"), None) == "shop/orders/h1"
    assert naming.queue(Address.private("reply-1"), None) == "reply-1"


def test_reserved_names_are_avoided() -> None:
    """The broker keeps what begins with "amq." to itself."""
    assert route(Address.topic("x", exchange="amq.mine")).key == "amq%2Emine/x"


def test_a_private_address_is_a_queue_and_a_fanout_may_reach_nobody() -> None:
    """Replies go straight to their queue; only a fanout to nobody is worth no word."""
    assert route(Address.private("reply-1")) == ("", "reply-1", True)
    assert route(Address.topic("x")) == (EXCHANGE, "default/x", True)
    assert route(Address.fanout("x")) == (EXCHANGE, "default/x/*", False)


@pytest.mark.parametrize("text", ["bedplate:", "bedplate:topic/a", "bedplate:what/a/b", "reply-1"])
def test_a_reply_address_of_strangers_is_a_queue(text: str) -> None:
    """What is not of our making names a queue, as everywhere on RabbitMQ."""
    assert address_of(text) == Address.private(text)


@given(st.lists(SHARED | st.builds(Address.private, PARTS) | st.builds(Address.place, PARTS)))
def test_what_a_link_remembers_is_what_it_would_find(addresses: list[Address]) -> None:
    """Ways that were found before are as good as new ones, in whatever order they are asked."""
    known = Correspondents()
    for address in addresses * 2:
        assert known.route(address) == route(address)
        assert known.text(address) == text_of(address)
        assert known.address(text_of(address)) == address_of(text_of(address))


def test_a_link_remembers_so_many_correspondents_only() -> None:
    """Senders without end take no memory without end, and each one's way is still right."""
    known = Correspondents()
    first = known.address("reply-0")
    assert known.address("reply-0") is first
    for number in range(3000):
        assert known.address(f"reply-{number}").name == f"reply-{number}"
        topic = Address.topic(f"{number}")
        assert known.route(topic) == (EXCHANGE, f"default/{number}", True)
    assert known.address("reply-0") is not first
    assert known.address("reply-0") == first


def delivered(properties: Content, *, redelivered: bool = False) -> Delivered:
    """Return a delivery with these properties."""
    head = encode_properties(Properties._make(properties))
    return Delivered(1, "1", 7, redelivered, EXCHANGE, "default/x", head, b"body")


@given(
    st.builds(
        Outbound,
        SHARED,
        st.just(b"body"),
        st.text(min_size=1, max_size=20),
        headers=st.dictionaries(st.text(max_size=8), st.integers(-9, 9) | st.text(max_size=8)),
        content_type=st.text(max_size=20),
        key=st.none() | st.text(max_size=20),
        kind=st.text(max_size=20),
        correlation_id=st.text(max_size=20),
        reply_to=st.none() | SHARED,
        ttl=st.none() | st.floats(0, 1e9),
    )
)
def test_what_a_message_carries_arrives(message: Outbound) -> None:
    """Every field of a message comes out as it went in, through the bytes of the wire."""
    known = Correspondents()
    arrival = incoming(delivered(outgoing(message, known)), known, counted=False)
    assert (arrival.tag, arrival.body, arrival.id) == (7, b"body", message.id)
    assert dict(arrival.headers) == dict(message.headers)
    assert (arrival.content_type, arrival.kind) == (message.content_type, message.kind)
    assert (arrival.correlation_id, arrival.key) == (message.correlation_id, message.key)
    assert (arrival.reply_to, arrival.attempts) == (message.reply_to, None)


@pytest.mark.parametrize(
    ("ttl", "expiration"),
    [(None, None), (0.0, "0"), (0.0001, "1"), (1.5, "1500"), (-3.0, "0"), (1e9, "4294967295")],
)
def test_a_ttl_is_whole_milliseconds(ttl: float | None, expiration: str | None) -> None:
    """Seconds become milliseconds, rounded up, never negative nor beyond what brokers take."""
    message = Outbound(Address.topic("x"), b"", "1", ttl=ttl)
    assert Properties._make(outgoing(message, Correspondents())).expiration == expiration


def test_only_persistent_messages_are_written_to_disk() -> None:
    """The delivery mode says whether a message survives a restart."""
    topic, known = Address.topic("x"), Correspondents()
    kept = outgoing(Outbound(topic, b"", "1"), known)
    assert Properties._make(kept).delivery_mode == 2
    lost = outgoing(Outbound(topic, b"", "1", persistent=False), known)
    assert Properties._make(lost).delivery_mode == 1


@pytest.mark.parametrize(
    ("headers", "redelivered", "attempts"),
    [
        (None, False, 1),
        (None, True, 2),
        ({"x-delivery-count": 2}, True, 3),
        ({"x-delivery-count": 1, "x-acquired-count": 4}, True, 5),
        ({"x-delivery-count": "many"}, True, 2),
    ],
)
def test_a_quorum_queue_counts_deliveries(
    *, headers: dict[str, int | str] | None, redelivered: bool, attempts: int
) -> None:
    """Attempts are what the broker counted, this delivery included."""
    event = delivered(Properties(headers=headers), redelivered=redelivered)
    assert incoming(event, Correspondents(), counted=True).attempts == attempts


def test_messages_of_strangers_may_lack_everything() -> None:
    """A message without any property is a message."""
    arrival = incoming(delivered(Properties()), Correspondents(), counted=False)
    assert (arrival.id, arrival.content_type, arrival.kind) == ("", "", "")
    assert (dict(arrival.headers), arrival.reply_to, arrival.key) == ({}, None, None)


def test_settings_know_their_old_names() -> None:
    """A section of oslo.messaging's is read where its options still mean something."""
    config = Config.load(
        [RabbitOptions],
        program="test",
        argv=(),
        environ={},
        overrides={
            "oslo_messaging_rabbit": {
                "rabbit_quorum_queue": True,
                "heartbeat_timeout_threshold": 30,
                "rabbit_stream_fanout": True,
                "rabbit_retry_interval": 2,
                "rabbit_interval_max": 40,
                "rabbit_transient_queues_ttl": 600,
            }
        },
    )
    options = config[RabbitOptions]
    assert (options.quorum, options.link_heartbeat) == (True, 30)
    assert (options.stream_fanout, options.stream_max_age) == (True, 600.0)
    assert (options.reconnect_first, options.reconnect_most) == (2.0, 40.0)


def test_a_key_password_is_not_printed() -> None:
    """The password of the private key is a secret in every printed form."""
    assert "hush" not in repr(RabbitOptions(ssl_key_password=Secret("hush")))


def test_a_refusal_goes_before_failures_of_other_hosts() -> None:
    """Of several hosts that did not let us in, the refusal is told: it will not mend by itself."""
    down = ConnectFailed(where="h1:5672", why="Connection refused.")
    deaf = ConnectFailed(where="h2:5672", why="no answer within 5 s.")
    barred = AccessRefused(where="h3:5672", why="the login of user 'app' failed.")
    assert _worst([down, barred, deaf]) is barred
    assert _worst([down]) is down
    assert str(_worst([down, deaf])) == (
        "No connection to h1:5672, h2:5672: "
        "h1:5672: Connection refused. h2:5672: no answer within 5 s."
    )


@pytest.mark.usefixtures("real_time")
async def test_hosts_are_tried_in_the_order_that_was_shuffled() -> None:
    """The order is the shuffle's, or the URL's when it is to be kept."""
    url = TransportUrl("rabbit://127.0.0.1:1,127.0.0.1:2/")
    driver = RabbitDriver(shuffle=lambda hosts: hosts.reverse())
    for order, where in (("shuffle", "127.0.0.1:2, 127.0.0.1:1"), ("given", "127.0.0.1:1, 127.")):
        with pytest.raises(ConnectFailed) as caught:
            await driver.connect(url, RabbitOptions(host_order=order), Ear(1.0))
        assert caught.value.where.startswith(where)


async def test_settings_of_another_driver_are_wrong_use() -> None:
    """Options must be this driver's."""
    from bedplate.messaging.drivers.memory import MemoryOptions

    with pytest.raises(TypeError, match="RabbitOptions"):
        await RabbitDriver().connect(TransportUrl("rabbit://h/"), MemoryOptions(), Ear(1.0))


def test_the_fanout_kind_has_a_key_of_its_own() -> None:
    """A topic and its fanout never meet, not even where a server is named like the mark."""
    keys = {
        route(Address.fanout("x")).key,
        route(Address.topic("x")).key,
        route(Address.server("x", "*")).key,
    }
    assert len(keys) == 3
