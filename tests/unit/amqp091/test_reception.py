"""What a channel hears: messages from frames, answers to requests, and what must not come."""

import struct

import pytest
from tests.unit.amqp091.peer import (
    FALSE,
    HEARTBEAT,
    PLAIN_HEAD,
    TRUE,
    content,
    delivery,
    frame,
    frames_of,
    fresh,
    method,
    opened,
)

from bedplate.amqp091 import (
    Cause,
    ChannelClosed,
    ChannelOpened,
    Closed,
    Connection,
    ConsumerCancelled,
    Consuming,
    Delivered,
    Done,
    Limits,
    Oversized,
    Phase,
    Properties,
    QueueDeclared,
    Returned,
)
from bedplate.amqp091.properties import encode_properties
from bedplate.amqp091.spec import METHODS
from bedplate.errors import ProtocolError

DELIVER = method(1, "basic.deliver", "tag", 1, FALSE, "ex", "key")


def with_channel(limits: Limits = Limits()) -> Connection:  # noqa: B008 - an immutable value
    connection = opened(limits)
    connection.open_channel()
    connection.receive(method(1, "channel.open-ok"), 0.0)
    connection.take_outgoing(0.0)
    return connection


def header(size: int, head: bytes = PLAIN_HEAD) -> bytes:
    return frame(2, 1, struct.pack(">HHQ", 60, 0, size) + head)


def fault(connection: Connection, data: bytes) -> Closed:
    """Feed what must not come; return the one event it leads to, and check what it leaves."""
    (closed,) = connection.receive(data, 0.0)
    assert isinstance(closed, Closed)
    assert closed.cause is Cause.FAULT
    assert isinstance(closed.error, ProtocolError)
    assert not closed.error.ours
    assert closed.error.__traceback__ is None  # it would hold the peer's bytes, and the login
    assert connection.phase is Phase.CLOSED
    (told,) = frames_of(connection.take_outgoing(0.0))
    assert (told.name, told.values[0]) == ("connection.close", closed.code)
    assert connection.receive(data, 0.0) == []
    assert connection.receive_eof() == []
    assert not connection.has_outgoing
    return closed


def test_a_delivery_is_put_together_from_its_frames() -> None:
    """Method, header and any number of body frames make one event, heartbeats between them."""
    connection = with_channel()
    head = encode_properties(Properties(correlation_id="c", headers={"a": "b"}))
    pieces = [DELIVER, header(6, head), frame(3, 1, b"abc"), frame(3, 1, b""), frame(3, 1, b"de")]
    for piece in pieces:
        assert connection.receive(piece + HEARTBEAT, 0.0) == []
    (event,) = connection.receive(frame(3, 1, b"f"), 0.0)
    assert isinstance(event, Delivered)
    assert event == (1, "tag", 1, False, "ex", "key", head, b"abcdef")
    assert event.properties() == Properties(correlation_id="c", headers={"a": "b"})


def test_messages_of_several_channels_may_interleave() -> None:
    """Each channel puts its own message together."""
    connection = with_channel()
    connection.open_channel()
    connection.receive(method(2, "channel.open-ok"), 0.0)
    one, two = delivery(1, 1, b"one"), delivery(2, 1, b"two")
    cut = len(method(1, "basic.deliver", "tag", 1, FALSE, "", "queue"))
    events = connection.receive(one[:cut] + two[:cut] + one[cut:] + two[cut:], 0.0)
    assert [event.body for event in events if isinstance(event, Delivered)] == [b"one", b"two"]


def test_malformed_properties_harm_only_who_looks_at_them() -> None:
    """A broker passes on what a publisher wrote: the message is bad, the connection is not."""
    connection = with_channel()
    bad_table = b"\x20\x00" + struct.pack(">I", 3) + b"\x09ab"
    heads = [
        b"\x80\x00\xffshort",
        b"\x00\x01",
        b"\x00\x02",
        b"\x10\x00",
        b"\x20\x00\xff\xff\xff\xff",
    ]
    data = b"".join(DELIVER + content(1, b"x", head) for head in [*heads, bad_table])
    events = connection.receive(data, 0.0)
    assert len(events) == 6
    for event in events:
        assert isinstance(event, Delivered)
        with pytest.raises(ProtocolError) as caught:
            len(event.properties().headers or {})
        assert not caught.value.ours
    assert connection.phase is Phase.OPEN


def test_text_that_is_no_utf8_keeps_its_bytes() -> None:
    """Another client's names and ids need not be UTF-8: they survive as surrogates, and back."""
    connection = with_channel()
    payload = struct.pack(">I", METHODS["basic.deliver"].number)
    payload += b"\x01\xff" + struct.pack(">QB", 1, 0) + b"\x01\xfe" + b"\x02\xc3("
    head = b"\x04\x00\x01\xff"
    (event,) = connection.receive(frame(1, 1, payload) + content(1, b"", head), 0.0)
    assert isinstance(event, Delivered)
    assert event.routing_key.encode("utf-8", "surrogateescape") == b"\xc3("
    assert encode_properties(event.properties()) == head


def test_answers_belong_to_requests_in_their_order() -> None:
    """Pipelined requests are answered one by one, each under its own name."""
    connection = opened()
    channel = connection.open_channel()
    channel.queue_declare("a")
    channel.queue_bind("a", "e")
    channel.queue_declare("b")
    answers = method(1, "channel.open-ok") + method(1, "queue.declare-ok", "a", 1, 2)
    answers += method(1, "queue.bind-ok") + method(1, "queue.declare-ok", "b", 0, 0)
    assert connection.receive(answers, 0.0) == [
        ChannelOpened(1),
        QueueDeclared(1, "a", 1, 2),
        Done(1, "queue.bind"),
        QueueDeclared(1, "b", 0, 0),
    ]
    assert channel.pending == 0


def test_answers_out_of_order_are_the_peers_fault() -> None:
    """A channel is answered in the order of its requests, or nobody could tell what is meant."""
    connection = with_channel()
    channel = connection.open_channel()
    channel.qos(1)
    channel.queue_bind("q", "e")
    connection.take_outgoing(0.0)
    connection.receive(method(2, "channel.open-ok"), 0.0)
    assert fault(connection, method(2, "queue.bind-ok")).code == 503


def test_answers_of_queues_may_be_overtaken() -> None:
    """RabbitMQ's queues answer consume and cancel themselves, its channel the rest."""
    connection = with_channel()
    channel = connection.open_channel()
    channel.consume("q", "a", nowait=True)
    channel.cancel("a")
    channel.consume("q", "b")
    channel.qos(1)
    channel.queue_bind("q", "e")
    data = method(2, "channel.open-ok") + method(2, "basic.qos-ok")
    data += method(2, "basic.cancel-ok", "a")
    data += method(2, "queue.bind-ok") + method(2, "basic.consume-ok", "b")
    assert connection.receive(data, 0.0) == [
        ChannelOpened(2),
        Done(2, "basic.qos"),
        ConsumerCancelled(2, "a", Cause.US),
        Done(2, "queue.bind"),
        Consuming(2, "b"),
    ]
    assert channel.pending == 0
    connection.take_outgoing(0.0)
    assert fault(connection, method(2, "basic.consume-ok", "b")).code == 503


def test_a_consumer_that_the_broker_ends_is_told() -> None:
    """RabbitMQ cancels without asking for an answer; who asks for one gets it."""
    connection = with_channel()
    event = ConsumerCancelled(1, "tag", Cause.PEER)
    assert connection.receive(method(1, "basic.cancel", "tag", TRUE), 0.0) == [event]
    assert not connection.has_outgoing
    assert connection.receive(method(1, "basic.cancel", "tag", FALSE), 0.0) == [event]
    assert frames_of(connection.take_outgoing(0.0)) == [(1, "basic.cancel-ok", ["tag"])]


def test_a_channel_that_the_broker_closes_is_told_and_answered() -> None:
    """The reason and the offending request are in the event; other channels go on."""
    connection = with_channel()
    channel = connection.open_channel()
    channel.queue_declare("missing", passive=True)
    connection.receive(method(2, "channel.open-ok"), 0.0)
    connection.take_outgoing(0.0)
    close = method(2, "channel.close", 404, "NOT_FOUND - no queue", 50, 10)
    assert connection.receive(close + delivery(1, 1, b"x"), 0.0) == [
        ChannelClosed(2, Cause.PEER, 404, "NOT_FOUND - no queue", "queue.declare"),
        Delivered(1, "tag", 1, FALSE, "", "queue", PLAIN_HEAD, b"x"),
    ]
    assert frames_of(connection.take_outgoing(0.0)) == [(2, "channel.close-ok", [])]
    assert channel.pending == 0


def test_a_refused_open_of_a_channel_is_told() -> None:
    """A channel may be closed while it is still opening."""
    connection = opened()
    connection.open_channel()
    close = method(1, "channel.close", 504, "no", 20, 10)
    assert connection.receive(close, 0.0) == [
        ChannelClosed(1, Cause.PEER, 504, "no", "channel.open")
    ]


def test_a_closing_channel_hears_nothing_but_its_end() -> None:
    """Deliveries and answers that were on their way are thrown away, half ones too."""
    connection = with_channel()
    channel = connection.open_channel()
    channel.queue_declare("q")
    half = method(2, "channel.open-ok") + method(2, "basic.deliver", "t", 1, FALSE, "", "")
    assert connection.receive(half, 0.0) == [ChannelOpened(2)]
    channel.close()
    late = content(2, b"rest") + method(2, "queue.declare-ok", "q", 0, 0) + delivery(2, 2, b"more")
    late += frame(1, 2, b"\xff\xff\xff\xff unknown") + method(2, "basic.ack", 9, FALSE)
    assert connection.receive(late, 0.0) == []
    assert connection.receive(method(2, "channel.close-ok"), 0.0) == [ChannelClosed(2, Cause.US)]


def test_a_body_beyond_the_limit_is_skipped_and_told() -> None:
    """The message can still be rejected, so it does not come back for ever."""
    connection = with_channel(Limits(body=10, unfinished=10))
    events = connection.receive(delivery(1, 1, b"x" * 11) + delivery(1, 2, b"0123456789"), 0.0)
    oversized, fitting = events
    assert oversized == Oversized(Delivered(1, "tag", 1, FALSE, "", "queue", PLAIN_HEAD, b""), 11)
    assert isinstance(fitting, Delivered)
    assert fitting.body == b"0123456789"
    back = method(1, "basic.return", 312, "NO_ROUTE", "e", "k") + content(1, b"y" * 20, most=7)
    assert connection.receive(back, 0.0) == [
        Oversized(Returned(1, 312, "NO_ROUTE", "e", "k", PLAIN_HEAD, b""), 20)
    ]


def test_unfinished_bodies_are_limited_over_all_channels() -> None:
    """Many half messages together are refused; finished ones and closed channels make room."""
    connection = opened(Limits(body=10, unfinished=20))
    for number in range(1, 5):
        connection.open_channel()
        connection.receive(method(number, "channel.open-ok"), 0.0)

    def half(number: int) -> bytes:
        start = method(number, "basic.deliver", "t", 1, FALSE, "", "")
        return start + frame(2, number, struct.pack(">HHQ", 60, 0, 10) + PLAIN_HEAD)

    for number in (1, 2):
        piece = half(number) + frame(3, number, b"eight by")
        assert connection.receive(piece, 0.0) == []
    assert len(connection.receive(frame(3, 1, b"te"), 0.0)) == 1
    assert connection.receive(half(3) + frame(3, 3, b"eight by"), 0.0) == []
    (closed,) = connection.receive(method(3, "channel.close", 541, "", 0, 0), 0.0)
    assert isinstance(closed, ChannelClosed)
    assert connection.receive(half(4) + frame(3, 4, b"eight by"), 0.0) == []
    (last,) = connection.receive(half(1) + frame(3, 1, b"five!"), 0.0)
    assert isinstance(last, Closed)
    assert last.code == 506


STRAY = {
    "an answer nobody asked for": (method(1, "queue.bind-ok"), 503),
    "a second open-ok": (method(1, "channel.open-ok"), 503),
    "close-ok without close": (method(1, "channel.close-ok"), 503),
    "a client's method": (method(1, "queue.declare", "q", *[FALSE] * 5, {}), 503),
    "a connection's method": (method(1, "connection.blocked", "x"), 503),
    "an unknown method": (frame(1, 1, b"\x00\x3c\x00\xff"), 503),
    "a method frame without a method": (frame(1, 1, b"\x00\x3c"), 501),
    "a method cut short": (frame(1, 1, method(1, "basic.cancel", "t", FALSE)[7:-2]), 502),
    "a method with more behind it": (frame(1, 1, method(1, "basic.cancel", "t", TRUE)[7:]), 502),
    "a delivery cut short": (frame(1, 1, DELIVER[7:-2]), 502),
    "a delivery with more behind it": (frame(1, 1, DELIVER[7:]), 502),
    "a delivery of nothing": (frame(1, 1, DELIVER[7:11]), 502),
    "a confirm cut short": (frame(1, 1, method(1, "basic.ack", 1, FALSE)[7:-2]), 502),
    "a confirm outside confirm mode": (method(1, "basic.ack", 1, FALSE), 503),
    "a header without a method": (header(0), 505),
    "a body without a method": (frame(3, 1, b"x"), 505),
    "a body instead of a header": (DELIVER + frame(3, 1, b"x"), 505),
    "a method instead of a header": (DELIVER + DELIVER, 505),
    "a method instead of a body": (DELIVER + header(1) + method(1, "basic.cancel", "t", 0), 505),
    "an ack instead of a body": (DELIVER + header(1) + method(1, "basic.ack", 1, FALSE), 505),
    "a header instead of a body": (DELIVER + header(1) + header(1), 505),
    "a header of another class": (DELIVER + frame(2, 1, struct.pack(">HHQH", 50, 0, 0, 0)), 501),
    "a header that is too short": (DELIVER + frame(2, 1, struct.pack(">HHQ", 60, 0, 0)), 501),
    "more body than announced": (DELIVER + header(2) + frame(3, 1, b"abc"), 501),
    "a frame without its end": (DELIVER[:-1] + b"\x00", 501),
    "a frame of unknown type": (frame(7, 1, b""), 501),
    "a heartbeat on a channel": (frame(8, 1, b""), 501),
    "a heartbeat with a load": (frame(8, 0, b"x"), 505),
    "a header on channel 0": (frame(2, 0, b"12345678901234"), 505),
    "a channel's method on channel 0": (method(0, "basic.cancel", "t", TRUE), 503),
    "an unknown method on channel 0": (frame(1, 0, b"\xff\xff\xff\xff"), 503),
    "a second start": (method(0, "connection.start", 0, 9, {}, b"", b""), 503),
    "a second tune": (method(0, "connection.tune", 1, 4096, 1), 503),
    "a second connection open-ok": (method(0, "connection.open-ok"), 503),
    "connection close-ok without close": (method(0, "connection.close-ok"), 503),
    "a secret that nobody renewed": (method(0, "connection.update-secret-ok"), 503),
    "a channel that is not open": (method(7, "basic.cancel", "t", TRUE), 504),
    "a frame beyond frame_max": (struct.pack(">BHI", 3, 1, 131065) + b"x", 501),
    "line noise": (b"\r\n\r\nhello?", 501),
}


@pytest.mark.parametrize("name", STRAY)
def test_what_must_not_come_is_the_peers_fault(name: str) -> None:
    """One Closed with the protocol's code, the same code told to the peer, then silence."""
    data, code = STRAY[name]
    assert fault(with_channel(), data).code == code


def test_events_before_a_fault_are_not_lost() -> None:
    """What was decoded from the same bytes comes first, the end last."""
    connection = with_channel()
    events = connection.receive(delivery(1, 1, b"good") + b"bad bytes!", 0.0)
    assert [type(event) for event in events] == [Delivered, Closed]


@pytest.mark.parametrize("tag", [4, 0, 1 << 63])
def test_a_confirm_of_what_was_not_published_is_the_peers_fault(tag: int) -> None:
    """Tags beyond the last published, and 0 for a single one, cannot be."""
    connection = opened()
    channel = connection.open_channel()
    channel.confirm_select(nowait=True)
    for _ in range(3):
        channel.publish("", "q", b"")
    connection.receive(method(1, "channel.open-ok"), 0.0)
    connection.take_outgoing(0.0)
    assert fault(connection, method(1, "basic.ack", tag, FALSE)).code == 503


@pytest.mark.parametrize("name", ["queue.bind-ok", "basic.deliver", "channel.flow"])
def test_a_channel_that_is_opening_hears_only_that(name: str) -> None:
    """Before open-ok only open-ok or a close may come, whatever was asked meanwhile."""
    connection = opened()
    channel = connection.open_channel()
    channel.queue_bind("q", "e")
    connection.take_outgoing(0.0)
    early = {
        "queue.bind-ok": method(1, "queue.bind-ok"),
        "basic.deliver": DELIVER,
        "channel.flow": method(1, "channel.flow", TRUE),
    }
    assert fault(connection, early[name]).code == 504


def test_a_closed_channel_may_still_be_sent_frames() -> None:
    """RabbitMQ closes a channel while its queues still write to it: those frames are dropped."""
    close = method(1, "channel.close", 404, "", 0, 0)
    more = (
        DELIVER,
        header(0),
        frame(3, 1, b"x"),
        method(1, "basic.ack", 1, TRUE),
        frame(1, 1, b""),
    )
    for late in more:
        connection = with_channel()
        (closed,) = connection.receive(close + late, 0.0)
        assert isinstance(closed, ChannelClosed)
        assert connection.receive(late, 0.0) == []
        assert connection.phase is Phase.OPEN


def test_a_number_used_again_may_still_get_frames_of_the_channel_before() -> None:
    """Until open-ok they are dropped; a number's first channel has no such excuse."""
    connection = opened(Limits(channel_max=1))
    connection.open_channel()
    connection.receive(method(1, "channel.open-ok"), 0.0)
    connection.receive(method(1, "channel.close", 404, "", 0, 0), 0.0)
    connection.open_channel()
    late = delivery(1, 1, b"late") + method(1, "basic.consume-ok", "t")
    assert connection.receive(late, 0.0) == []
    opens = method(1, "channel.open-ok") + delivery(1, 1, b"new")
    assert [type(event) for event in connection.receive(opens, 0.0)] == [ChannelOpened, Delivered]


def test_a_table_nested_too_deep_in_the_greeting_is_the_peers_fault() -> None:
    """Tables that the engine itself reads obey the limits at once."""
    table = b""
    for _ in range(40):
        table = b"\x01tF" + struct.pack(">I", len(table)) + table
    raw = struct.pack(">I", 0x000A000A) + b"\0\x09" + struct.pack(">I", len(table)) + table
    raw += struct.pack(">I", 5) + b"PLAIN" + struct.pack(">I", 5) + b"en_US"
    (closed,) = fresh().receive(frame(1, 0, raw), 0.0)
    assert isinstance(closed, Closed)
    assert "nested deeper" in closed.text
