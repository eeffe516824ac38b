"""What a message costs in the AMQP engine, beside pamqp in the same run.

pamqp is a codec only: its side marshals or unmarshals the frames and keeps no state, ours also
numbers, checks and makes events. The ratio is pamqp's time over ours.
"""

import struct
from collections.abc import Callable
from functools import partial

import pamqp.body
import pamqp.commands
import pamqp.frame
import pamqp.header
from benches.measuring import Measurement, seconds_each

from bedplate.amqp091 import Channel, Connection, Delivered, Plain, Properties
from bedplate.amqp091.methods import encode_method
from bedplate.amqp091.properties import encode_properties

__all__ = ["measure"]

BATCH = 100
BODY = b"x" * 200
CALL = Properties(
    content_type="application/json",
    headers={"bedplate-method": "reserve", "bedplate-ttl": "59.98", "bedplate-heartbeat": "10"},
    delivery_mode=1,
    correlation_id="c" * 32,
    reply_to="amq.gen-abcdefghijklmnopqrstuv",
    expiration="60000",
    message_id="m" * 32,
    type="call",
)


def frame(kind: int, channel: int, payload: bytes) -> bytes:
    """Pack a frame as a broker does."""
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + b"\xce"


def method(channel: int, name: str, *arguments: object) -> bytes:
    """Pack a method frame as a broker does."""
    return frame(1, channel, encode_method(name, arguments))


DELIVERIES = BATCH * (
    method(1, "basic.deliver", "ctag1", 1, 0, "", "rpc.stock")
    + frame(2, 1, struct.pack(">HHQ", 60, 0, len(BODY)) + encode_properties(CALL))
    + frame(3, 1, BODY)
)
CONFIRMS = BATCH * method(1, "basic.ack", 1, 1)


def opened() -> tuple[Connection, Channel]:
    """Make an open connection with a confirming channel that has something to settle."""
    connection = Connection([Plain("guest", "guest")], now=0.0)
    connection.receive(method(0, "connection.start", 0, 9, {}, b"PLAIN", b"en_US"), 0.0)
    connection.receive(method(0, "connection.tune", 0, 131072, 60), 0.0)
    connection.receive(method(0, "connection.open-ok"), 0.0)
    channel = connection.open_channel()
    channel.confirm_select(nowait=True)
    channel.publish("", "rpc.stock", BODY)
    connection.receive(method(1, "channel.open-ok") + DELIVERIES, 0.0)
    connection.take_outgoing(0.0)
    return connection, channel


def their_publish() -> bytes:
    """Marshal a batch of messages with pamqp, its objects made anew as a publish makes them."""
    out = []
    values = {**CALL._asdict(), "headers": dict(CALL.headers or {})}
    values["message_type"] = values.pop("type")
    del values["cluster_id"]
    properties = pamqp.commands.Basic.Properties(**values)
    for _ in range(BATCH):
        start = pamqp.commands.Basic.Publish(0, "", "rpc.stock", mandatory=True)
        header = pamqp.header.ContentHeader(0, len(BODY), properties)
        out.append(pamqp.frame.marshal(start, 1))
        out.append(pamqp.frame.marshal(header, 1))
        out.append(pamqp.frame.marshal(pamqp.body.ContentBody(BODY), 1))
    return b"".join(out)


def their_acknowledge() -> bytes:
    """Marshal a batch of acks with pamqp."""
    acks = [pamqp.commands.Basic.Ack(1) for _ in range(BATCH)]
    return b"".join([pamqp.frame.marshal(ack, 1) for ack in acks])


def their_unmarshal(data: bytes) -> None:
    """Unmarshal with pamqp, from slices: it copies all that it is given."""
    at, size = 0, len(data)
    while at < size:
        used, _, _ = pamqp.frame.unmarshal(data[at : at + 1024])
        at += used


def measure(size: float = 1.0) -> list[Measurement]:
    """Measure publish, deliver, ack and confirm, both ways of doing each."""
    compare = partial(compared, times=max(2, int(30 * size)))
    connection, channel = opened()

    def publish() -> None:
        for _ in range(BATCH):
            channel.publish("", "rpc.stock", BODY, CALL, mandatory=True)
        connection.take_outgoing(0.0)

    def acknowledge() -> None:
        for _ in range(BATCH):
            channel.ack(1)
        connection.take_outgoing(0.0)

    def look() -> None:
        for event in connection.receive(DELIVERIES, 0.0):
            if type(event) is Delivered:
                dict(event.properties().headers or {})

    return [
        compare("publish, 8 properties, 3 headers, 200 bytes", publish, their_publish),
        compare(
            "deliver, nothing looked at",
            lambda: connection.receive(DELIVERIES, 0.0),
            lambda: their_unmarshal(DELIVERIES),
        ),
        compare("deliver, everything looked at", look, lambda: their_unmarshal(DELIVERIES)),
        compare("ack sent", acknowledge, their_acknowledge),
        compare(
            "confirm received",
            lambda: connection.receive(CONFIRMS, 0.0),
            lambda: their_unmarshal(CONFIRMS),
        ),
    ]


def compared(
    what: str, ours: Callable[[], object], theirs: Callable[[], object], *, times: int
) -> Measurement:
    """Measure both, a message at a time."""
    mine, other = (seconds_each(each, times=times) / BATCH * 1e6 for each in (ours, theirs))
    remark = f"{1e6 / mine:,.0f}/s; pamqp {other:.3g} µs, {other / mine:.1f} times ours"
    return Measurement(what, mine, "µs", remark)
