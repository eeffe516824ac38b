"""What the engine tells: every event is a value, made of what the broker sent.

Answers for the vocabulary only. NamedTuples, because some are made for every message and this room
knows nothing but the standard library. ``channel`` is always the channel's number.
"""

import enum
from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

from bedplate.amqp091.fields import FieldValue
from bedplate.amqp091.properties import Properties, decode_properties
from bedplate.errors import ProtocolError

__all__ = [
    "Blocked",
    "Cause",
    "ChannelClosed",
    "ChannelOpened",
    "Closed",
    "Confirmed",
    "ConsumerCancelled",
    "Consuming",
    "Delivered",
    "Done",
    "Event",
    "FlowChanged",
    "Got",
    "GotNothing",
    "Opened",
    "Oversized",
    "QueueDeclared",
    "QueueDeleted",
    "QueuePurged",
    "Returned",
    "SecretUpdated",
    "Unblocked",
]


class Cause(enum.Enum):
    """Who or what ended a connection or a channel."""

    US = "us"
    """We closed it, and the peer agreed or went away meanwhile."""
    PEER = "peer"
    """The peer closed it, with a code and a text."""
    FAULT = "fault"
    """The peer broke the protocol; the event carries the error."""
    SILENCE = "silence"
    """Nothing was heard for two heartbeat intervals."""
    EOF = "eof"
    """The byte stream ended without a word."""


class Opened(NamedTuple):
    """The connection is open, with these limits agreed. ``heartbeat`` is in seconds, 0 is none."""

    server_properties: Mapping[str, FieldValue]
    frame_max: int
    channel_max: int
    heartbeat: int


class Closed(NamedTuple):
    """The connection is over, with all its channels. The last event, exactly once.

    ``code`` is a ReplyCode's number or another the peer chose, 0 where there is none. ``request``
    names the method of ours that the peer objects to, where it says. ``error`` is there for FAULT.
    """

    cause: Cause
    code: int = 0
    text: str = ""
    request: str = ""
    error: ProtocolError | None = None


class Blocked(NamedTuple):
    """The broker stops reading from connections that publish, until ``Unblocked``."""

    reason: str


class Unblocked(NamedTuple):
    """The broker reads again."""


class SecretUpdated(NamedTuple):
    """The broker took the new secret of ``Connection.update_secret``."""


class ChannelOpened(NamedTuple):
    """The broker opened the channel."""

    channel: int


class ChannelClosed(NamedTuple):
    """The channel is over and its number is free; ``cause`` is US or PEER.

    Whatever it still waited for will not come.
    """

    channel: int
    cause: Cause
    code: int = 0
    text: str = ""
    request: str = ""


class FlowChanged(NamedTuple):
    """The broker asks to stop publishing on the channel (``active`` False), or to go on."""

    channel: int
    active: bool


class Done(NamedTuple):
    """The broker did what was asked and has nothing to add. ``request`` is as ``queue.bind``."""

    channel: int
    request: str


class QueueDeclared(NamedTuple):
    """The queue exists: its name (the broker's, if none was given), messages and consumers."""

    channel: int
    queue: str
    messages: int
    consumers: int


class QueuePurged(NamedTuple):
    """The queue is empty; ``messages`` were dropped."""

    channel: int
    messages: int


class QueueDeleted(NamedTuple):
    """The queue is gone, and ``messages`` with it."""

    channel: int
    messages: int


class Consuming(NamedTuple):
    """The broker began to deliver for this consumer tag."""

    channel: int
    consumer_tag: str


class ConsumerCancelled(NamedTuple):
    """No more deliveries for the tag: we asked for it (US), or the broker ended it (PEER)."""

    channel: int
    consumer_tag: str
    cause: Cause


class Confirmed(NamedTuple):
    """The broker took (``accepted``) or refused what ``Channel.publish`` numbered.

    ``delivery_tag`` is the number that publish returned; ``multiple``: and all before it that
    were not confirmed yet.
    """

    channel: int
    delivery_tag: int
    multiple: bool
    accepted: bool


class Delivered(NamedTuple):
    """A message for a consumer. ``head`` is its properties, undecoded."""

    channel: int
    consumer_tag: str
    delivery_tag: int
    redelivered: bool
    exchange: str
    routing_key: str
    head: bytes
    body: bytes

    def properties(self) -> Properties:
        """Decode the properties. Raises ProtocolError for malformed ones; the rest stays good."""
        return decode_properties(self.head)


class Got(NamedTuple):
    """The message that ``Channel.get`` asked for; ``messages`` are left. ``head`` as delivered."""

    channel: int
    delivery_tag: int
    redelivered: bool
    exchange: str
    routing_key: str
    messages: int
    head: bytes
    body: bytes

    def properties(self) -> Properties:
        """Decode the properties. Raises ProtocolError for malformed ones; the rest stays good."""
        return decode_properties(self.head)


class GotNothing(NamedTuple):
    """``Channel.get`` found the queue empty."""

    channel: int


class Returned(NamedTuple):
    """A mandatory message that reached no queue, as it was published."""

    channel: int
    code: int
    text: str
    exchange: str
    routing_key: str
    head: bytes
    body: bytes

    def properties(self) -> Properties:
        """Decode the properties. Raises ProtocolError for malformed ones; the rest stays good."""
        return decode_properties(self.head)


class Oversized(NamedTuple):
    """A message whose body of ``size`` bytes is beyond the limit; the body was thrown away.

    ``event`` is what would have come, with an empty body: a delivery can still be rejected.
    """

    event: Delivered | Got | Returned
    size: int


Event: TypeAlias = (
    Opened
    | Closed
    | Blocked
    | Unblocked
    | SecretUpdated
    | ChannelOpened
    | ChannelClosed
    | FlowChanged
    | Done
    | QueueDeclared
    | QueuePurged
    | QueueDeleted
    | Consuming
    | ConsumerCancelled
    | Confirmed
    | Delivered
    | Got
    | GotNothing
    | Returned
    | Oversized
)
"""All that the engine tells."""
