"""The protocol as data: every method of AMQP 0-9-1 and of RabbitMQ's extensions to it.

Answers for the numbers: class and method ids, the wire kind of every argument, who sends a method,
which reply it asks for, frame types, reply codes. Does nothing with them (``methods`` does) and
knows nothing of states. Source: the AMQP 0-9-1 specification's XML grammar, and RabbitMQ's
published extensions (confirm, basic.nack, exchange.bind, connection.blocked, update-secret).
"""

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

__all__ = [
    "BODY",
    "FRAME_END",
    "FRAME_MIN",
    "HEADER",
    "HEARTBEAT",
    "METHOD",
    "METHODS",
    "OVERHEAD",
    "PROTOCOL",
    "Kind",
    "Method",
    "ReplyCode",
    "number_of",
]

PROTOCOL = b"AMQP\x00\x00\x09\x01"
"""What a client says first."""
METHOD: Final = 1
"""The type of frames that carry a method."""
HEADER: Final = 2
"""The type of frames that carry a content header."""
BODY: Final = 3
"""The type of frames that carry a piece of a body."""
HEARTBEAT: Final = 8
"""The type of frames that carry nothing."""
FRAME_END: Final = 0xCE
"""The last octet of every frame."""
OVERHEAD: Final = 8
"""Octets of a frame that are not payload: seven before it, the end mark after it."""
FRAME_MIN = 4096
"""The smallest ``frame_max`` two peers may agree on."""


class Kind(enum.Enum):
    """How one argument of a method lies on the wire."""

    OCTET = "o"
    SHORT = "h"
    LONG = "l"
    LONGLONG = "q"
    BIT = "b"
    SHORTSTR = "s"
    LONGSTR = "S"
    TABLE = "t"


class ReplyCode(enum.IntEnum):
    """What a close, a return or a fault says in a number."""

    SUCCESS = 200
    CONTENT_TOO_LARGE = 311
    NO_ROUTE = 312
    NO_CONSUMERS = 313
    CONNECTION_FORCED = 320
    INVALID_PATH = 402
    ACCESS_REFUSED = 403
    NOT_FOUND = 404
    RESOURCE_LOCKED = 405
    PRECONDITION_FAILED = 406
    FRAME_ERROR = 501
    SYNTAX_ERROR = 502
    COMMAND_INVALID = 503
    CHANNEL_ERROR = 504
    UNEXPECTED_FRAME = 505
    RESOURCE_ERROR = 506
    NOT_ALLOWED = 530
    NOT_IMPLEMENTED = 540
    INTERNAL_ERROR = 541


class Method(NamedTuple):
    """One method: ``name`` is ``class.method``, ``number`` both ids in 32 bits, class first.

    ``replies`` are the names of the methods that may answer it. ``to_client`` and ``to_server``
    say who may receive it; ``content`` whether a header and a body follow.
    """

    name: str
    number: int
    fields: tuple[tuple[str, Kind], ...]
    replies: tuple[str, ...] = ()
    to_client: bool = False
    to_server: bool = False
    content: bool = False


# One line a method: name, class id, method id, direction (">" to the server, "<" to the client,
# "*" both), arguments as name:kind with the letters of Kind, "+" when content follows, "=" and
# the replies. An argument whose name starts with "_" is reserved and always empty.
_TABLE = """
connection.start 10 10 < major:o minor:o properties:t mechanisms:S locales:S = connection.start-ok
connection.start-ok 10 11 > properties:t mechanism:s response:S locale:s
connection.secure 10 20 < challenge:S = connection.secure-ok
connection.secure-ok 10 21 > response:S
connection.tune 10 30 < channel_max:h frame_max:l heartbeat:h = connection.tune-ok
connection.tune-ok 10 31 > channel_max:h frame_max:l heartbeat:h
connection.open 10 40 > vhost:s _1:s _2:b = connection.open-ok
connection.open-ok 10 41 < _1:s
connection.close 10 50 * code:h text:s class_id:h method_id:h = connection.close-ok
connection.close-ok 10 51 *
connection.blocked 10 60 * reason:s
connection.unblocked 10 61 *
connection.update-secret 10 70 > secret:S reason:s = connection.update-secret-ok
connection.update-secret-ok 10 71 <
channel.open 20 10 > _1:s = channel.open-ok
channel.open-ok 20 11 < _1:S
channel.flow 20 20 * active:b = channel.flow-ok
channel.flow-ok 20 21 * active:b
channel.close 20 40 * code:h text:s class_id:h method_id:h = channel.close-ok
channel.close-ok 20 41 *
exchange.declare 40 10 > _1:h exchange:s type:s passive:b durable:b auto_delete:b internal:b \
nowait:b arguments:t = exchange.declare-ok
exchange.declare-ok 40 11 <
exchange.delete 40 20 > _1:h exchange:s if_unused:b nowait:b = exchange.delete-ok
exchange.delete-ok 40 21 <
exchange.bind 40 30 > _1:h destination:s source:s routing_key:s nowait:b arguments:t \
= exchange.bind-ok
exchange.bind-ok 40 31 <
exchange.unbind 40 40 > _1:h destination:s source:s routing_key:s nowait:b arguments:t \
= exchange.unbind-ok
exchange.unbind-ok 40 51 <
queue.declare 50 10 > _1:h queue:s passive:b durable:b exclusive:b auto_delete:b nowait:b \
arguments:t = queue.declare-ok
queue.declare-ok 50 11 < queue:s messages:l consumers:l
queue.bind 50 20 > _1:h queue:s exchange:s routing_key:s nowait:b arguments:t = queue.bind-ok
queue.bind-ok 50 21 <
queue.purge 50 30 > _1:h queue:s nowait:b = queue.purge-ok
queue.purge-ok 50 31 < messages:l
queue.delete 50 40 > _1:h queue:s if_unused:b if_empty:b nowait:b = queue.delete-ok
queue.delete-ok 50 41 < messages:l
queue.unbind 50 50 > _1:h queue:s exchange:s routing_key:s arguments:t = queue.unbind-ok
queue.unbind-ok 50 51 <
basic.qos 60 10 > prefetch_size:l prefetch_count:h global:b = basic.qos-ok
basic.qos-ok 60 11 <
basic.consume 60 20 > _1:h queue:s consumer_tag:s no_local:b no_ack:b exclusive:b nowait:b \
arguments:t = basic.consume-ok
basic.consume-ok 60 21 < consumer_tag:s
basic.cancel 60 30 * consumer_tag:s nowait:b = basic.cancel-ok
basic.cancel-ok 60 31 * consumer_tag:s
basic.publish 60 40 > _1:h exchange:s routing_key:s mandatory:b immediate:b +
basic.return 60 50 < code:h text:s exchange:s routing_key:s +
basic.deliver 60 60 < consumer_tag:s delivery_tag:q redelivered:b exchange:s routing_key:s +
basic.get 60 70 > _1:h queue:s no_ack:b = basic.get-ok basic.get-empty
basic.get-ok 60 71 < delivery_tag:q redelivered:b exchange:s routing_key:s messages:l +
basic.get-empty 60 72 < _1:s
basic.ack 60 80 * delivery_tag:q multiple:b
basic.reject 60 90 > delivery_tag:q requeue:b
basic.recover-async 60 100 > requeue:b
basic.recover 60 110 > requeue:b = basic.recover-ok
basic.recover-ok 60 111 <
basic.nack 60 120 * delivery_tag:q multiple:b requeue:b
confirm.select 85 10 > nowait:b = confirm.select-ok
confirm.select-ok 85 11 <
tx.select 90 10 > = tx.select-ok
tx.select-ok 90 11 <
tx.commit 90 20 > = tx.commit-ok
tx.commit-ok 90 21 <
tx.rollback 90 30 > = tx.rollback-ok
tx.rollback-ok 90 31 <
"""


def _read(line: str) -> Method:
    left, _, right = line.partition("=")
    name, class_id, method_id, direction, *rest = left.split()
    fields = tuple(
        (field, Kind(kind))
        for field, _, kind in (word.partition(":") for word in rest if word != "+")
    )
    return Method(
        name=name,
        number=int(class_id) << 16 | int(method_id),
        fields=fields,
        replies=tuple(right.split()),
        to_client=direction in "<*",
        to_server=direction in ">*",
        content="+" in rest,
    )


METHODS: Mapping[str, Method] = MappingProxyType(
    {method.name: method for method in map(_read, _TABLE.strip().splitlines())}
)
"""Every method by its name."""


def number_of(name: str) -> int:
    """Return both ids of a method in 32 bits, class first."""
    return METHODS[name].number
