"""Commands: what each writes, in which states it may be given, and what it changes."""

from collections.abc import Callable

import pytest
from tests.unit.amqp091.peer import FALSE, TRUE, delivery, frames_of, fresh, method, opened

from bedplate.amqp091 import (
    Cause,
    Channel,
    ChannelClosed,
    ChannelOpened,
    Confirmed,
    Connection,
    FlowChanged,
    Limits,
    Phase,
    Properties,
)
from bedplate.amqp091.spec import METHODS
from bedplate.errors import ProtocolError

Command = Callable[[Channel], object]
ARGUMENTS = {"x-queue-type": "quorum"}

COMMANDS: tuple[tuple[Command, str, list[object]], ...] = (
    (lambda c: c.flow(active=True), "channel.flow", [True]),
    (
        lambda c: c.exchange_declare("e", "topic", durable=True, arguments=ARGUMENTS),
        "exchange.declare",
        ["e", "topic", False, True, False, False, False, ARGUMENTS],
    ),
    (
        lambda c: c.exchange_declare("e", passive=True, auto_delete=True, internal=True),
        "exchange.declare",
        ["e", "direct", True, False, True, True, False, {}],
    ),
    (
        lambda c: c.exchange_delete("e", if_unused=True),
        "exchange.delete",
        ["e", True, False],
    ),
    (
        lambda c: c.exchange_bind("to", "from", "key", arguments=ARGUMENTS),
        "exchange.bind",
        ["to", "from", "key", False, ARGUMENTS],
    ),
    (
        lambda c: c.exchange_unbind("to", "from"),
        "exchange.unbind",
        ["to", "from", "", False, {}],
    ),
    (
        lambda c: c.queue_declare("q", durable=True, arguments=ARGUMENTS),
        "queue.declare",
        ["q", False, True, False, False, False, ARGUMENTS],
    ),
    (
        lambda c: c.queue_declare(passive=True, exclusive=True, auto_delete=True),
        "queue.declare",
        ["", True, False, True, True, False, {}],
    ),
    (lambda c: c.queue_bind("q", "e", "k"), "queue.bind", ["q", "e", "k", False, {}]),
    (lambda c: c.queue_unbind("q", "e", "k"), "queue.unbind", ["q", "e", "k", {}]),
    (lambda c: c.queue_purge("q"), "queue.purge", ["q", False]),
    (
        lambda c: c.queue_delete("q", if_unused=True, if_empty=True),
        "queue.delete",
        ["q", True, True, False],
    ),
    (lambda c: c.qos(20, global_=True), "basic.qos", [0, 20, True]),
    (
        lambda c: c.consume("q", "tag", no_ack=True, arguments=ARGUMENTS),
        "basic.consume",
        ["q", "tag", False, True, False, False, ARGUMENTS],
    ),
    (
        lambda c: c.consume("q", no_local=True, exclusive=True),
        "basic.consume",
        ["q", "", True, False, True, False, {}],
    ),
    (lambda c: c.cancel("tag"), "basic.cancel", ["tag", False]),
    (lambda c: c.get("q", no_ack=True), "basic.get", ["q", True]),
    (lambda c: c.ack(3, multiple=True), "basic.ack", [3, True]),
    (lambda c: c.ack(0, multiple=True), "basic.ack", [0, True]),
    (lambda c: c.nack(3, requeue=False), "basic.nack", [3, False, False]),
    (lambda c: c.nack(0, multiple=True), "basic.nack", [0, True, True]),
    (lambda c: c.reject(3), "basic.reject", [3, True]),
    (lambda c: c.recover(requeue=False), "basic.recover", [False]),
    (lambda c: c.recover_async(), "basic.recover-async", [True]),
    (
        lambda c: c.publish("e", "k", b"", immediate=True),
        "basic.publish",
        ["e", "k", False, True],
    ),
    (lambda c: c.confirm_select(), "confirm.select", [False]),
    (lambda c: c.tx_select(), "tx.select", []),
)
NOWAIT: tuple[tuple[Command, str], ...] = (
    (lambda c: c.exchange_declare("e", nowait=True), "exchange.declare"),
    (lambda c: c.exchange_delete("e", nowait=True), "exchange.delete"),
    (lambda c: c.exchange_bind("a", "b", nowait=True), "exchange.bind"),
    (lambda c: c.exchange_unbind("a", "b", nowait=True), "exchange.unbind"),
    (lambda c: c.queue_declare("q", nowait=True), "queue.declare"),
    (lambda c: c.queue_bind("q", "e", nowait=True), "queue.bind"),
    (lambda c: c.queue_purge("q", nowait=True), "queue.purge"),
    (lambda c: c.queue_delete("q", nowait=True), "queue.delete"),
    (lambda c: c.consume("q", "t", nowait=True), "basic.consume"),
    (lambda c: c.cancel("t", nowait=True), "basic.cancel"),
    (lambda c: c.confirm_select(nowait=True), "confirm.select"),
)


def open_channel(connection: Connection, *, deliveries: int = 0) -> Channel:
    """Open a channel and let some deliveries come, so that there is something to settle."""
    channel = connection.open_channel()
    connection.receive(method(channel.number, "channel.open-ok"), 0.0)
    for tag in range(1, deliveries + 1):
        connection.receive(delivery(channel.number, tag, b"x"), 0.0)
    connection.take_outgoing(0.0)
    return channel


def opening(connection: Connection) -> Channel:
    channel = connection.open_channel()
    connection.take_outgoing(0.0)
    channel._state.delivered = 9
    return channel


def closing(connection: Connection) -> Channel:
    channel = open_channel(connection, deliveries=9)
    channel.close()
    connection.take_outgoing(0.0)
    return channel


def closed_by_us(connection: Connection) -> Channel:
    channel = closing(connection)
    connection.receive(method(channel.number, "channel.close-ok"), 0.0)
    return channel


def closed_by_the_peer(connection: Connection) -> Channel:
    channel = open_channel(connection, deliveries=9)
    close = method(channel.number, "channel.close", 404, "NOT_FOUND", 60, 20)
    connection.receive(close, 0.0)
    connection.take_outgoing(0.0)
    return channel


def of_a_closing_connection(connection: Connection) -> Channel:
    channel = open_channel(connection, deliveries=9)
    connection.close()
    connection.take_outgoing(0.0)
    return channel


def of_a_dead_connection(connection: Connection) -> Channel:
    channel = open_channel(connection, deliveries=9)
    connection.receive_eof()
    return channel


def test_every_method_that_a_client_may_send_has_its_command() -> None:
    """Each method to the server is a command of the channel, or the connection sends it."""
    covered = {name for _, name, _ in COMMANDS} | {
        "channel.open",
        "channel.close",
        "tx.commit",
        "tx.rollback",
        "channel.flow-ok",
        "channel.close-ok",
        "basic.cancel-ok",
    }
    sent = {
        m.name for m in METHODS.values() if m.to_server and not m.name.startswith("connection.")
    }
    assert covered == sent


@pytest.mark.parametrize(("command", "name", "values"), COMMANDS)
@pytest.mark.parametrize("state", [opening, lambda c: open_channel(c, deliveries=9)])
def test_each_command_writes_its_method_where_it_may(
    state: Callable[[Connection], Channel], command: Command, name: str, values: list[object]
) -> None:
    """On an open channel, and on one still opening, a command queues its frame."""
    connection = opened()
    channel = state(connection)
    waiting = channel.pending
    command(channel)
    first, *_ = frames_of(connection.take_outgoing(0.0))
    assert first == (1, name, values)
    assert channel.pending - waiting == bool(METHODS[name].replies)


@pytest.mark.parametrize(("command", "name"), NOWAIT)
def test_a_command_without_waiting_expects_no_answer(command: Command, name: str) -> None:
    """Nowait is on the wire, and nothing is remembered as unanswered."""
    connection = opened()
    channel = open_channel(connection)
    command(channel)
    (sent,) = frames_of(connection.take_outgoing(0.0))
    assert sent.name == name
    assert True in sent.values
    assert channel.pending == 0


@pytest.mark.parametrize(
    "state",
    [
        closing,
        closed_by_us,
        closed_by_the_peer,
        of_a_closing_connection,
        of_a_dead_connection,
    ],
)
@pytest.mark.parametrize("command", [command for command, _, _ in COMMANDS])
def test_each_command_is_refused_where_it_may_not_be(
    state: Callable[[Connection], Channel], command: Command
) -> None:
    """On a channel that is closing or gone a command raises our misuse and queues nothing."""
    connection = opened()
    channel = state(connection)
    with pytest.raises(ProtocolError, match="channel 1") as caught:
        command(channel)
    assert caught.value.ours
    assert not connection.has_outgoing
    channel.close()
    assert not connection.has_outgoing


@pytest.mark.parametrize("phase", ["greeting", "closing", "closed"])
def test_commands_of_the_connection_need_an_open_one(phase: str) -> None:
    """The commands open_channel and update_secret are refused before Opened and after close."""
    connection = fresh() if phase == "greeting" else opened()
    if phase == "closing":
        connection.close()
    elif phase == "closed":
        connection.receive_eof()
    connection.take_outgoing(0.0)
    for command in (connection.open_channel, lambda: connection.update_secret("s", "r")):
        with pytest.raises(ProtocolError, match=phase) as caught:
            command()
        assert caught.value.ours
    assert not connection.has_outgoing


@pytest.mark.parametrize(
    "command",
    [
        lambda c: c.queue_declare(5),
        lambda c: c.publish("", "k", b"", Properties(message_id=5)),  # type: ignore[arg-type]
        lambda c: c.publish("", "k", b"", Properties(message_id=b"5")),  # type: ignore[arg-type]
        lambda c: c.publish("", "k", b"", Properties(content_type=b"5")),  # type: ignore[arg-type]
    ],
)
def test_an_argument_of_the_wrong_type_is_refused_and_changes_nothing(command: Command) -> None:
    """What is no text where a text belongs is refused: a TypeError where the module is compiled."""
    connection = opened()
    channel = open_channel(connection)
    connection.take_outgoing(0.0)
    with pytest.raises((ProtocolError, TypeError)):
        command(channel)
    assert not connection.has_outgoing
    assert channel.pending == 0


@pytest.mark.parametrize(
    "command",
    [
        lambda c: c.queue_declare("q" * 256),
        lambda c: c.queue_declare("q", arguments={5: 1}),
        lambda c: c.queue_declare("q", arguments={"a": object()}),
        lambda c: c.queue_declare("q", arguments={"a": "x" * 131_072}),
        lambda c: c.queue_declare("q", arguments=[]),
        lambda c: c.qos(65_536),
        lambda c: c.qos(-1),
        lambda c: c.publish("e" * 256, "", b""),
        lambda c: c.publish("", "k" * 256, b""),
        lambda c: c.publish("", "k", b"", Properties(message_id="x" * 256)),
        lambda c: c.publish("", "k", b"", Properties(message_id="\ud800")),
        lambda c: c.publish("", "k", b"", Properties(message_id="\N{SNOWMAN}" * 86)),
        lambda c: c.publish("", "k", b"", Properties(headers={"\ud800": 1})),
        lambda c: c.publish("", "k", b"", Properties(headers={"k": "\ud800"})),
        lambda c: c.publish("", "k", b"", Properties(priority=256)),
        lambda c: c.publish("", "k", b"", Properties(priority=-1)),
        lambda c: c.publish("", "k", b"", Properties(timestamp=-1)),
        lambda c: c.publish("", "k", b"", Properties(headers={"a": object()})),  # type: ignore[dict-item]
        lambda c: c.publish("", "k", b"", Properties(headers={"a": "x" * 131_072})),
        lambda c: c.publish("", "k", b"12345678901"),
        lambda c: c.consume("q", nowait=True),
        lambda c: c.ack(1),
        lambda c: c.ack(0),
        lambda c: c.ack(-1, multiple=True),
        lambda c: c.nack(1),
        lambda c: c.reject(0),
        lambda c: c.tx_commit(),
        lambda c: c.tx_rollback(),
        lambda c: c.close(1 << 16),
        lambda c: c.close(200, "x" * 256),
    ],
)
def test_what_cannot_be_asked_is_refused_and_changes_nothing(command: Command) -> None:
    """A command with impossible arguments raises our misuse; the channel goes on as before."""
    connection = opened(Limits(body=10))
    channel = open_channel(connection)
    channel.confirm_select(nowait=True)
    connection.take_outgoing(0.0)
    with pytest.raises(ProtocolError) as caught:
        command(channel)
    assert caught.value.ours
    assert not connection.has_outgoing
    assert channel.phase is Phase.OPEN
    assert channel.pending == 0
    assert channel.publish("", "k", b"0123456789") == 1


def test_only_what_was_delivered_can_be_settled() -> None:
    """A tag beyond the last delivery would cost the channel (406), so it is not sent."""
    connection = opened()
    channel = open_channel(connection, deliveries=2)
    channel.ack(2)
    for settle in (channel.ack, channel.nack, channel.reject):
        with pytest.raises(ProtocolError, match="No delivery 3"):
            settle(3)
    assert [heard.values for heard in frames_of(connection.take_outgoing(0.0))] == [[2, False]]


def test_a_method_fills_its_frame_to_the_last_octet_and_no_further() -> None:
    """The largest arguments that fit are sent; one octet more is our misuse."""
    connection = opened(Limits(frame_max=4096))
    channel = open_channel(connection)
    channel.queue_declare("q", arguments={"k": ""})
    smallest = len(connection.take_outgoing(0.0))
    channel.queue_declare("q", arguments={"k": "x" * (4096 - smallest)})
    assert len(connection.take_outgoing(0.0)) == 4096
    with pytest.raises(ProtocolError, match="4089 bytes does not fit a frame of 4096"):
        channel.queue_declare("q", arguments={"k": "x" * (4097 - smallest)})
    with pytest.raises(ProtocolError, match="do not fit one frame"):
        channel.publish("", "q", b"", Properties(headers={"k": "x" * 4088}))


def test_messages_are_numbered_from_confirm_select_on() -> None:
    """Publish returns 0 before it, then 1, 2, 3: what Confirmed names."""
    connection = opened()
    channel = open_channel(connection)
    assert channel.publish("", "k", b"") == 0
    channel.confirm_select()
    assert [channel.publish("", "k", b"") for _ in range(3)] == [1, 2, 3]
    assert channel.publish("", "other", b"", mandatory=True) == 4
    heard = method(1, "confirm.select-ok") + method(1, "basic.ack", 3, TRUE)
    heard += method(1, "basic.nack", 4, FALSE, FALSE) + method(1, "basic.ack", 0, TRUE)
    assert connection.receive(heard, 0.0)[1:] == [
        Confirmed(1, 3, multiple=True, accepted=True),
        Confirmed(1, 4, multiple=False, accepted=False),
        Confirmed(1, 4, multiple=True, accepted=True),
    ]


def test_confirms_and_transactions_exclude_each_other() -> None:
    """The broker would close the channel; the second request is refused before it is sent."""
    connection = opened()
    confirming, transacting = open_channel(connection), open_channel(connection)
    confirming.confirm_select()
    transacting.tx_select()
    with pytest.raises(ProtocolError, match="confirm mode"):
        confirming.tx_select()
    with pytest.raises(ProtocolError, match="transactions"):
        transacting.confirm_select()


def test_nothing_but_close_may_follow_a_commit_that_is_not_answered() -> None:
    """RabbitMQ ends the connection for any other command in between, so it is not sent."""
    connection = opened()
    channel = open_channel(connection, deliveries=1)
    channel.tx_select()
    channel.publish("", "k", b"")
    channel.tx_commit()
    connection.take_outgoing(0.0)
    for command in (
        lambda: channel.qos(1),
        lambda: channel.ack(1),
        lambda: channel.publish("", "k", b""),
        channel.tx_commit,
        channel.tx_rollback,
    ):
        with pytest.raises(ProtocolError, match=r"tx\.commit is not answered") as caught:
            command()
        assert caught.value.ours
    assert not connection.has_outgoing
    connection.receive(method(1, "tx.select-ok") + method(1, "tx.commit-ok"), 0.0)
    channel.publish("", "k", b"")
    channel.tx_commit()
    channel.close()
    connection.receive(method(1, "tx.commit-ok"), 0.0)
    with pytest.raises(ProtocolError, match="closing"):
        channel.qos(1)


@pytest.mark.parametrize("size", [0, 1, 4087, 4088, 4089, 8176, 8177, 20_000])
def test_a_body_is_cut_to_frames_of_at_most_frame_max(size: int) -> None:
    """No frame is larger than agreed, and the pieces are the body."""
    connection = opened(Limits(frame_max=4096))
    channel = open_channel(connection)
    body = bytes(range(256)) * 80
    channel.publish("", "k", body[:size])
    data = connection.take_outgoing(0.0)
    publish, header, *pieces = frames_of(data)
    assert (publish.name, header.name) == ("basic.publish", "header")
    assert isinstance(header.values[0], bytes)
    assert int.from_bytes(header.values[0][4:12]) == size
    sizes = [len(piece.values[0]) for piece in pieces]  # type: ignore[arg-type]  # bytes
    assert all(0 < each <= 4088 for each in sizes)
    assert len(sizes) == -(-size // 4088)
    assert b"".join(piece.values[0] for piece in pieces) == body[:size]  # type: ignore[misc]


def test_a_body_may_be_any_buffer_and_is_copied() -> None:
    """What is published is what the buffer held then, whatever happens to it before the write."""
    connection = opened()
    channel = open_channel(connection)
    body = bytearray(b"before")
    channel.publish("", "k", body)
    channel.publish("", "k", memoryview(body)[1:3])
    body[:] = b"after!"
    bodies = [f.values[0] for f in frames_of(connection.take_outgoing(0.0)) if f.name == "body"]
    assert bodies == [b"before", b"ef"]


def test_many_targets_do_not_grow_the_channel() -> None:
    """Publishing to thousands of routing keys remembers only some of them."""
    connection = opened()
    channel = open_channel(connection)
    for number in range(2000):
        channel.publish("", f"reply-{number}", b"")
    assert len(channel._targets) <= 256
    names = [f.values[1] for f in frames_of(connection.take_outgoing(0.0)) if f.values[1:]]
    assert names == [f"reply-{number}" for number in range(2000)]


def test_a_stopped_flow_refuses_messages_until_it_goes_on() -> None:
    """The broker's flow is answered and told; publishing is our misuse while it is stopped."""
    connection = opened()
    channel = open_channel(connection)
    stop = method(1, "channel.flow", FALSE)
    assert connection.receive(stop, 0.0) == [FlowChanged(1, active=False)]
    assert frames_of(connection.take_outgoing(0.0)) == [(1, "channel.flow-ok", [False])]
    assert not channel.flowing
    with pytest.raises(ProtocolError, match="stopped the flow") as caught:
        channel.publish("", "k", b"")
    assert caught.value.ours
    channel.queue_declare("q")
    connection.receive(method(1, "channel.flow", TRUE), 0.0)
    assert channel.flowing
    channel.publish("", "k", b"")


def test_numbers_of_closed_channels_rest_as_long_as_possible() -> None:
    """A new channel gets a number that was never used while there are any."""
    connection = opened(Limits(channel_max=3))
    first = open_channel(connection)
    connection.receive(method(1, "channel.close", 404, "", 0, 0), 0.0)
    assert first.phase is Phase.CLOSED
    assert [connection.open_channel().number for _ in range(3)] == [2, 3, 1]


def test_a_consumer_is_cancelled_only_after_it_is_there() -> None:
    """RabbitMQ ends the connection for a cancel that comes before its queue has answered."""
    connection = opened()
    channel = open_channel(connection)
    channel.consume("q", "tag")
    channel.consume("q", "other", nowait=True)
    channel.cancel("other")
    with pytest.raises(ProtocolError, match="not there yet") as caught:
        channel.cancel("tag")
    assert caught.value.ours
    connection.receive(method(1, "basic.consume-ok", "tag"), 0.0)
    channel.cancel("tag")


def test_numbers_of_closed_channels_are_used_again() -> None:
    """When all numbers were used the lowest free one is, and there are as many as agreed."""
    connection = opened(Limits(channel_max=3))
    channels = [open_channel(connection) for _ in range(3)]
    assert [channel.number for channel in channels] == [1, 2, 3]
    with pytest.raises(ProtocolError, match="All 3 channels"):
        connection.open_channel()
    channels[1].close()
    with pytest.raises(ProtocolError, match="All 3 channels"):
        connection.open_channel()
    assert connection.receive(method(2, "channel.close-ok"), 0.0) == [ChannelClosed(2, Cause.US)]
    again = connection.open_channel()
    assert again.number == 2
    assert again.phase is Phase.OPENING
    assert repr(channels[1]) == "<Channel 2 closed>"
    assert connection.receive(method(2, "channel.open-ok"), 0.0) == [ChannelOpened(2)]


def test_two_closes_of_a_channel_that_cross_are_both_answered() -> None:
    """Ours waits for its answer; the peer's reason is what is told, once."""
    connection = opened()
    channel = open_channel(connection)
    channel.close()
    connection.take_outgoing(0.0)
    close = method(1, "channel.close", 404, "NOT_FOUND", 60, 20)
    assert connection.receive(close, 0.0) == []
    assert frames_of(connection.take_outgoing(0.0)) == [(1, "channel.close-ok", [])]
    assert connection.receive(method(1, "channel.close-ok"), 0.0) == [
        ChannelClosed(1, Cause.PEER, 404, "NOT_FOUND", "basic.consume")
    ]
