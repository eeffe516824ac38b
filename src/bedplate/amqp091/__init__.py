"""A client's engine for AMQP 0-9-1 as RabbitMQ speaks it: bytes in, events out, and nothing else.

Theory of operation
===================

``Connection`` never reads, writes, waits or asks the time. Its caller, which owns a socket, does::

    connection = Connection([Plain("guest", "guest")], now=clock())
    socket.sendall(connection.take_outgoing(clock()))         # after every step
    for event in connection.receive(socket.recv(65536), clock()): ...
    connection.tick(clock())                                  # no later than next_timeout()
    connection.receive_eof()                                  # when the socket ends

The handshake runs by itself, up to ``Opened``. Then ``open_channel`` gives a ``Channel``, whose
methods are the commands of the protocol. They only append to the outgoing bytes, so a hundred
commands are one write, and requests may be pipelined, on a channel that is still opening too.
What the broker answers comes as events: values, in the order of the wire.

=================  ===========================================================================
``spec``           the methods as data: numbers, arguments, answers
``fields``         field tables; ``properties``: message properties, both lazy about headers
``timestamp``      the one type of field tables that Python lacks
``methods``        any method to bytes and back, by the table
``login``          mechanisms, limits and their negotiation
``events``         what is told
``channel``        commands of a channel; publish and settle packed by hand
``reception``      what a channel hears; deliveries and confirms unpacked by hand
``connection``     frames, handshake, heartbeats, the end
=================  ===========================================================================

Promises: whatever bytes come in, ``receive`` returns events, and the last of them may be
``Closed`` with the one ProtocolError that ended the connection; no other exception, and no more
memory than twice what ``Limits`` says. How the bytes are cut makes no difference. A command works
or raises ProtocolError with ``ours`` set, and then nothing was queued and nothing changed. No
secret is in a message or a repr. Imports nothing but the standard library and ``bedplate.errors``;
not thread-safe: one connection belongs to one loop or one thread.
"""

from bedplate.amqp091.channel import Channel
from bedplate.amqp091.connection import Connection
from bedplate.amqp091.events import (
    Blocked,
    Cause,
    ChannelClosed,
    ChannelOpened,
    Closed,
    Confirmed,
    ConsumerCancelled,
    Consuming,
    Delivered,
    Done,
    Event,
    FlowChanged,
    Got,
    GotNothing,
    Opened,
    Oversized,
    QueueDeclared,
    QueueDeleted,
    QueuePurged,
    Returned,
    SecretUpdated,
    Unblocked,
)
from bedplate.amqp091.fields import FieldTable, FieldValue, Table, Tagged
from bedplate.amqp091.login import AmqPlain, External, Limits, Login, Plain
from bedplate.amqp091.properties import Properties
from bedplate.amqp091.spec import ReplyCode
from bedplate.amqp091.timestamp import Timestamp
from bedplate.amqp091.wire import Phase

__all__ = [
    "AmqPlain",
    "Blocked",
    "Cause",
    "Channel",
    "ChannelClosed",
    "ChannelOpened",
    "Closed",
    "Confirmed",
    "Connection",
    "ConsumerCancelled",
    "Consuming",
    "Delivered",
    "Done",
    "Event",
    "External",
    "FieldTable",
    "FieldValue",
    "FlowChanged",
    "Got",
    "GotNothing",
    "Limits",
    "Login",
    "Opened",
    "Oversized",
    "Phase",
    "Plain",
    "Properties",
    "QueueDeclared",
    "QueueDeleted",
    "QueuePurged",
    "ReplyCode",
    "Returned",
    "SecretUpdated",
    "Table",
    "Tagged",
    "Timestamp",
    "Unblocked",
]
