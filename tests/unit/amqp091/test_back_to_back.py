"""Both ends joined: what one writes the other understands, through whole conversations."""

from tests.unit.amqp091.peer import Broker, converse, fresh

from bedplate.amqp091 import (
    Cause,
    ChannelClosed,
    ChannelOpened,
    Closed,
    Confirmed,
    ConsumerCancelled,
    Consuming,
    Delivered,
    Done,
    Got,
    GotNothing,
    Limits,
    Opened,
    Properties,
    QueueDeclared,
    QueueDeleted,
    QueuePurged,
    Returned,
)


def test_messages_travel_from_publish_to_delivery() -> None:
    """Declared, bound, consumed, published, confirmed, settled, cancelled, closed."""
    connection, broker = fresh(), Broker()
    (opened,) = converse(connection, broker)
    assert isinstance(opened, Opened)
    channel = connection.open_channel()
    channel.exchange_declare("work", durable=True)
    channel.queue_declare("jobs", durable=True)
    channel.queue_bind("jobs", "work", "job")
    channel.qos(10)
    channel.confirm_select()
    channel.consume("jobs", "me")
    properties = Properties("application/json", headers={"n": 1, "inner": {"a": [None]}})
    big = bytes(300_000)
    for body in (b"one", b"", big):
        channel.publish("work", "job", body, properties)
    events = converse(connection, broker)
    setup, rest = events[:6], events[6:]
    assert setup == [
        ChannelOpened(1),
        Done(1, "exchange.declare"),
        QueueDeclared(1, "jobs", 0, 0),
        Done(1, "queue.bind"),
        Done(1, "basic.qos"),
        Done(1, "confirm.select"),
    ]
    assert rest[0] == Consuming(1, "me")
    delivered = [event for event in rest if isinstance(event, Delivered)]
    assert [d.body for d in delivered] == [b"one", b"", big]
    assert [d.delivery_tag for d in delivered] == [1, 2, 3]
    assert all(d.properties() == properties for d in delivered)
    assert [e for e in rest if isinstance(e, Confirmed)] == [
        Confirmed(1, tag, multiple=False, accepted=True) for tag in (1, 2, 3)
    ]
    channel.ack(2, multiple=True)
    channel.reject(3, requeue=False)
    channel.cancel("me")
    channel.close()
    assert converse(connection, broker) == [ChannelClosed(1, Cause.US)]
    settled = [(h.name, list(h.values)) for h in broker.heard if h.name[:7] == "basic.a"]
    assert settled == [("basic.ack", [2, True])]
    connection.close()
    assert converse(connection, broker) == [Closed(Cause.US)]


def test_what_reaches_nobody_comes_back_before_its_confirm() -> None:
    """A mandatory message is returned as it was published."""
    connection, broker = fresh(Limits(frame_max=4096)), Broker()
    converse(connection, broker)
    channel = connection.open_channel()
    channel.confirm_select(nowait=True)
    properties = Properties(message_id="m1")
    body = bytes(10_000)
    channel.publish("", "nowhere", body, properties, mandatory=True)
    events = converse(connection, broker)
    returned, confirmed = events[-2:]
    assert isinstance(returned, Returned)
    assert returned[:5] == (1, 312, "NO_ROUTE", "", "nowhere")
    assert returned.properties() == properties
    assert returned.body == body
    assert confirmed == Confirmed(1, 1, multiple=False, accepted=True)


def test_messages_can_be_fetched_one_by_one() -> None:
    """Get answers with the message and how many are left, or that there is none."""
    connection, broker = fresh(), Broker()
    converse(connection, broker)
    channel = connection.open_channel()
    channel.queue_declare()
    *_, declared = converse(connection, broker)
    assert isinstance(declared, QueueDeclared)
    queue = declared.queue
    channel.publish("", queue, b"first")
    channel.publish("", queue, b"second", Properties(priority=1))
    for _ in range(3):
        channel.get(queue)
    first, second, nothing = converse(connection, broker)
    assert first == Got(1, 1, False, "", queue, 1, b"\0\0", b"first")  # noqa: FBT003 - a tuple
    assert isinstance(second, Got)
    assert (second.messages, second.properties().priority) == (0, 1)
    assert nothing == GotNothing(1)
    channel.nack(2)
    channel.queue_purge(queue)
    channel.queue_delete(queue)
    assert converse(connection, broker) == [QueuePurged(1, 0), QueueDeleted(1, 0)]


def test_every_request_is_answered_under_its_name() -> None:
    """The empty answers are Done, each with the request it belongs to, in order."""
    connection, broker = fresh(), Broker()
    converse(connection, broker)
    channel, other = connection.open_channel(), connection.open_channel()
    channel.flow(active=True)
    channel.exchange_bind("a", "b")
    channel.exchange_unbind("a", "b")
    channel.exchange_delete("a")
    channel.queue_unbind("q", "a")
    channel.recover()
    channel.recover_async()
    channel.tx_select()
    channel.tx_rollback()
    channel.tx_commit()
    other.confirm_select()
    other.cancel("nobody")
    events = converse(connection, broker)
    assert [event.request for event in events if isinstance(event, Done)] == [
        "channel.flow",
        "exchange.bind",
        "exchange.unbind",
        "exchange.delete",
        "queue.unbind",
        "basic.recover",
        "tx.select",
        "tx.rollback",
        "tx.commit",
        "confirm.select",
    ]
    assert events[-1] == ConsumerCancelled(2, "nobody", Cause.US)
    assert (channel.pending, other.pending) == (0, 0)
