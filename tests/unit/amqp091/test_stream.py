"""The byte stream: how it is cut makes no difference, and no bytes do harm."""

import random
import struct
import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.amqp091.peer import (
    FALSE,
    HANDSHAKE,
    HEARTBEAT,
    TRUE,
    content,
    delivery,
    frame,
    fresh,
    method,
    opened,
)

from bedplate.amqp091 import (
    Cause,
    Closed,
    Connection,
    Delivered,
    Event,
    Limits,
    Properties,
)
from bedplate.amqp091.properties import encode_properties
from bedplate.errors import ProtocolError

HEAD = encode_properties(Properties("text/plain", headers={"k": [1, {"x": None}]}, priority=3))
PIECES = (
    HEARTBEAT,
    delivery(1, 1, b""),
    delivery(1, 2, b"x" * 300, HEAD),
    delivery(2, 3, b"CE \xce mark \xce"),
    method(1, "basic.deliver", "t", 4, TRUE, "e", "k") + content(1, b"abcdefgh", most=3),
    method(1, "basic.return", 312, "NO_ROUTE", "e", "k") + content(1, b"back", HEAD),
    method(1, "basic.ack", 2, TRUE),
    method(1, "basic.nack", 1, FALSE, FALSE),
    method(1, "basic.cancel", "t", TRUE),
    method(1, "channel.flow", TRUE),
    method(1, "queue.declare-ok", "q", 5, 6),
    method(2, "basic.get-ok", 9, FALSE, "", "q", 0) + content(2, b"got"),
    method(0, "connection.blocked", "low on memory"),
    method(0, "connection.unblocked"),
    method(2, "channel.close", 404, "NOT_FOUND", 50, 10),
    method(0, "connection.close", 320, "CONNECTION_FORCED", 0, 0),
    b"\x01\x00\x01\x00\x00\x00\x02no\xce",
    delivery(1, 1, b"x")[:-1] + b"!",
    b"HTTP/1.1 200 OK\r\n",
)


def busy(limits: Limits = Limits()) -> Connection:  # noqa: B008 - an immutable value
    """Make a connection with two channels, something published, and requests unanswered."""
    connection = opened(limits)
    one, two = connection.open_channel(), connection.open_channel()
    connection.receive(method(1, "channel.open-ok") + method(2, "channel.open-ok"), 0.0)
    one.confirm_select(nowait=True)
    for _ in range(3):
        one.publish("", "q", b"")
    for _ in range(4):
        one.queue_declare("q")
        two.get("q")
    connection.take_outgoing(0.0)
    return connection


def flat(event: Event) -> object:
    """Return what makes two events equal; errors are compared by what they say."""
    if isinstance(event, Closed):
        return (*event[:-1], str(event.error))
    return type(event), event


def told(connection: Connection, pieces: list[bytes]) -> tuple[list[object], bytes]:
    events = [flat(event) for piece in pieces for event in connection.receive(piece, 0.0)]
    return events, connection.take_outgoing(0.0)


@given(order=st.lists(st.sampled_from(PIECES), max_size=12), cuts=st.data())
@settings(max_examples=300, deadline=None)
def test_how_the_stream_is_cut_makes_no_difference(order: list[bytes], cuts: st.DataObject) -> None:
    """Any cutting of any stream, legal or not, gives the same events and the same answers."""
    stream = b"".join(order)
    places = sorted(cuts.draw(st.lists(st.integers(0, len(stream)), max_size=20)))
    edges = [0, *places, len(stream)]
    pieces = [stream[a:b] for a, b in pairwise(edges)]
    assert told(busy(), [stream]) == told(busy(), pieces)


@given(order=st.lists(st.sampled_from(PIECES), min_size=1, max_size=5))
@settings(max_examples=40, deadline=None)
def test_one_byte_at_a_time_makes_no_difference(order: list[bytes]) -> None:
    """The worst cutting of all, and buffers of other types than bytes."""
    stream = b"".join(order)
    singles = [stream[at : at + 1] for at in range(len(stream))]
    whole = told(busy(), [stream])
    assert told(busy(), singles) == whole
    view = memoryview(bytearray(stream))
    events = [flat(event) for event in busy().receive(view, 0.0)]
    assert events == whole[0]


ALIKE = b"".join(delivery(1, tag, b"body", HEAD[:2] + b"\x04text" + b"\x07") for tag in range(3))


@pytest.mark.parametrize("value", [0, 1, 3, 60, 206, 255])
def test_a_wrong_byte_in_deliveries_that_are_alike_is_seen_as_if_they_were_not(value: int) -> None:
    """Frames heard together and frames heard one by one are judged alike, whatever is wrong."""
    for at in range(len(ALIKE)):
        stream = ALIKE[:at] + bytes((value,)) + ALIKE[at + 1 :] + delivery(1, 9, b"next")
        frames = [stream[at : at + 12] for at in range(0, len(stream), 12)]
        assert told(busy(), [stream]) == told(busy(), frames)


def addressed(channel: int, tag: int, words: str, body: bytes, *, again: bool = False) -> bytes:
    start = method(channel, "basic.deliver", *words[:1], tag, again, *words[1:])
    return start + content(channel, body)


@given(
    order=st.lists(
        st.builds(
            addressed,
            st.sampled_from([1, 1, 1, 2]),
            st.sampled_from([1, 255, 256, 65535, 65536, 65537, 1 << 24, (1 << 64) - 1]),
            st.sampled_from(["tek", "tek", "tel", "tfk", "uek"]),
            st.sampled_from([b"", b"x", b"x" * 90, b"x" * 101, b"y" * 256, b"z" * 65536]),
            again=st.booleans(),
        )
        | st.sampled_from(PIECES),
        max_size=10,
    ),
    body=st.sampled_from([100, 1 << 20]),
)
@settings(max_examples=200, deadline=None)
def test_deliveries_like_the_one_before_are_heard_like_the_first(
    order: list[bytes], body: int
) -> None:
    """Whether a delivery's frames come together, and what came before, makes no difference."""
    limits = Limits(body=body)
    whole = told(busy(limits), [b"".join(order)])
    stream = b"".join(order)
    assert told(busy(limits), [stream[at : at + 40] for at in range(0, len(stream), 40)]) == whole


def test_deliveries_that_are_alike_may_be_cut_anywhere() -> None:
    """Every single cut of such deliveries leads to the same events."""
    whole = told(busy(), [ALIKE])
    for at in range(len(ALIKE)):
        assert told(busy(), [ALIKE[:at], ALIKE[at:]]) == whole


BASIC = struct.pack(">HHQ", 60, 0, 4)


@pytest.mark.parametrize(
    "rest",
    [
        frame(2, 1, BASIC) + frame(3, 1, b"body"),
        frame(2, 1, BASIC + b"\0") + frame(3, 1, b"body"),
        frame(2, 1, bytes((0, 60)) + bytes(12)) + frame(3, 1, b""),
        content(1, b"body", b"\0\0" + b"x" * 4080),
        content(1, b"body" * 1024),
        content(1, b"body", most=2),
        content(1, b"") + method(1, "basic.ack", 1, FALSE),
        content(2, b"body"),
    ],
)
def test_content_that_is_odd_is_heard_frame_by_frame(rest: bytes) -> None:
    """Too short, too long, empty or cut: behind deliveries alike it is judged as anywhere."""
    stream = ALIKE + method(1, "basic.deliver", "tag", 3, FALSE, "", "queue") + rest
    limits = Limits(frame_max=4096)
    singles = [stream[at : at + 1] for at in range(len(stream))]
    assert told(busy(limits), [stream]) == told(busy(limits), singles)


def test_deliveries_that_are_alike_can_all_be_settled_until_the_channel_closes() -> None:
    """Tags count however a delivery was heard; what comes after our close is not heard at all."""
    connection = opened()
    channel = connection.open_channel()
    connection.receive(method(1, "channel.open-ok"), 0.0)
    assert len(connection.receive(ALIKE + delivery(1, 4, b"last"), 0.0)) == 4
    assert len(connection.receive(delivery(1, 5, b"last"), 0.0)) == 1
    channel.ack(5)
    channel.close()
    assert connection.receive(delivery(1, 6, b"late") + delivery(1, 7, b"late"), 0.0) == []


def test_a_channel_that_never_heard_a_delivery_takes_nothing_for_one() -> None:
    """A message that was asked for tells nothing about how a delivery is addressed."""
    got = method(2, "basic.get-ok", 9, FALSE, "", "q", 0) + content(2, b"got")
    strange = b"\x00\x01\x00" + struct.pack(">H", 14) + BASIC + b"\0\0" + frame(3, 2, b"body")
    strange = strange.replace(b"\0\0\x03", b"\0\0\xce\x03")
    assert told(busy(), [got + strange]) == told(busy(), [got, strange[:-1], strange[-1:]])


def test_the_handshake_may_be_cut_anywhere() -> None:
    """Every single cut of the handshake leads to the same Opened and the same answers."""
    whole = told(fresh(), [HANDSHAKE])
    assert len(whole[0]) == 1
    for at in range(len(HANDSHAKE)):
        assert told(fresh(), [HANDSHAKE[:at], HANDSHAKE[at:]]) == whole


@given(
    data=st.lists(
        st.binary(max_size=60)
        | st.sampled_from(PIECES)
        | st.builds(frame, st.sampled_from([1, 2, 3, 8]), st.integers(0, 3), st.binary(max_size=40))
        | st.builds(
            lambda number, rest: frame(1, 1, struct.pack(">HH", *number) + rest),
            st.tuples(st.sampled_from([10, 20, 40, 50, 60, 85, 90]), st.integers(0, 130)),
            st.binary(max_size=30),
        ),
        max_size=8,
    ),
    started=st.booleans(),
)
@settings(max_examples=500, deadline=None)
def test_any_bytes_give_events_and_at_most_one_end(data: list[bytes], *, started: bool) -> None:
    """No bytes raise; Closed comes once at most, and last; looking closer raises ours only."""
    connection = busy() if started else fresh()
    events = [event for piece in data for event in connection.receive(piece, 0.0)]
    ends = [event for event in events if isinstance(event, Closed)]
    assert len(ends) <= 1
    assert not ends or events[-1] is ends[0]
    for event in events:
        if isinstance(event, Delivered):
            try:
                dict(event.properties().headers or {})
            except ProtocolError as error:
                assert str(error)  # noqa: PT017 - not every one raises
    assert len(ends) + len(connection.receive_eof()) == 1


def peak_of(connection: Connection, pieces: list[bytes]) -> tuple[int, list[Event]]:
    """Feed the pieces and return the most memory that was held meanwhile, in bytes."""
    tracemalloc.start()
    try:
        events = [event for piece in pieces for event in connection.receive(piece, 0.0)]
        return tracemalloc.get_traced_memory()[1], events
    finally:
        tracemalloc.stop()


LIMITS = Limits(frame_max=4096, channel_max=8, body=64 * 1024, unfinished=256 * 1024)
HELD = LIMITS.unfinished + LIMITS.frame_max * (1 + LIMITS.channel_max)
"""What the limits allow to be held at one moment."""


def announced(channel: int, size: int) -> bytes:
    start = method(channel, "basic.deliver", "t", 1, FALSE, "", "")
    return start + frame(2, channel, struct.pack(">HHQ", 60, 0, size) + b"\0\0")


def test_an_announced_body_is_not_paid_in_advance() -> None:
    """A header that promises the whole limit costs nothing until bytes come."""
    connection = busy(LIMITS)
    peak, _ = peak_of(connection, [announced(1, LIMITS.body), announced(2, LIMITS.body)])
    assert peak < LIMITS.frame_max * 4


def test_many_small_pieces_cost_no_more_than_their_bytes() -> None:
    """A body in frames of two bytes needs no more than twice the body."""
    connection = busy(LIMITS)
    tiny = frame(3, 1, b"xy")
    body = [tiny * 256] * (LIMITS.body // 512)
    peak, events = peak_of(connection, [announced(1, LIMITS.body), *body])
    assert len(events) == 1
    assert peak < 2 * HELD


def test_half_messages_on_all_channels_stay_within_the_limits() -> None:
    """Every open channel half full: the limit of all together ends it before memory does."""
    connection = opened(LIMITS)
    for number in range(1, 9):
        connection.open_channel()
        connection.receive(method(number, "channel.open-ok"), 0.0)
    pieces = [announced(number, LIMITS.body) for number in range(1, 9)]
    filling = frame(3, 1, b"z" * 4000)
    for _ in range(16):
        pieces += [struct.pack(">BH", 3, n) + filling[3:] for n in range(1, 9)]
    peak, events = peak_of(connection, pieces)
    (closed,) = events
    assert isinstance(closed, Closed)
    assert (closed.cause, closed.code) == (Cause.FAULT, 506)
    assert peak < 2 * HELD


def test_a_frame_that_never_ends_costs_no_more_than_a_frame() -> None:
    """Bytes that promise a long frame are refused by its head, not collected."""
    connection = busy(LIMITS)
    stream = struct.pack(">BHI", 3, 1, 4088) + b"x" * 4088
    peak, events = peak_of(connection, [stream[at : at + 1] for at in range(len(stream))])
    assert events == []
    assert peak < 4 * LIMITS.frame_max
    (closed,) = busy(LIMITS).receive(struct.pack(">BHI", 3, 1, 4089) + b"x", 0.0)
    assert isinstance(closed, Closed)


def test_a_flood_of_garbage_leaves_nothing_behind() -> None:
    """After the fault further bytes are not kept."""
    noise = random.Random(5).randbytes(4096)  # noqa: S311 - noise, not a secret
    peak, events = peak_of(busy(LIMITS), [noise] * 500)
    assert len(events) == 1
    assert peak < 2 * HELD


def test_a_long_oversized_body_is_not_kept() -> None:
    """A body beyond the limit passes through without being collected."""
    connection = busy(LIMITS)
    size = 4 * 1024 * 1024
    piece = frame(3, 1, b"o" * 4000)
    peak, events = peak_of(connection, [announced(1, size), *[piece] * (size // 4000)])
    assert events == []
    assert peak < HELD
