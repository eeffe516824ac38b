"""Queues: how those behind addresses are made, as RabbitMQ 4.3 takes them: durable or exclusive.

Pure but for the words it puts on a channel. Knows names and settings; waits for nothing.
"""

import os
from math import inf
from typing import NamedTuple

from bedplate.amqp091 import Channel, ChannelClosed, FieldTable, FieldValue, ReplyCode
from bedplate.messaging.drivers.rabbit._names import EXCHANGE, NAMING, route
from bedplate.messaging.drivers.rabbit._options import RabbitOptions
from bedplate.messaging.types import Address, Entity

__all__ = ["Queue", "fanout_queue", "is_adoptable", "private_queue", "shared_queue"]

_ADOPTED = (
    *("x-expires", "x-max-length", "x-overflow", "x-delivery-limit", "x-message-ttl"),
    *("x-max-age", "x-max-length-bytes", "x-stream-max-segment-size-bytes"),
)
"""Properties of a queue that make no difference to who only receives from it."""
_SEGMENTS = 8
"""How many files a stream is kept in: what is too much or too old goes by whole files."""
_LEAST_SEGMENT = 1024 * 1024
_ENDLESS = 2**31 - 1
"""A delivery limit for what must never be dropped, however often somebody looks at it and hands it
back: RabbitMQ 4 has a limit of 20 where none is given, and older ones know no word for none."""


class Queue(NamedTuple):
    """A queue as it is to be, and the key it is bound with (none: routed to by its name).

    ``stream``: it keeps what it delivered, and each of its consumers reads all of it.
    """

    name: str
    key: str
    exclusive: bool
    arguments: FieldTable
    stream: bool = False

    def declare(self, channel: Channel) -> int:
        """Ask for it and its binding; return the number of answers to come."""
        channel.queue_declare(
            self.name,
            durable=not self.exclusive,
            exclusive=self.exclusive,
            arguments=self.arguments,
        )
        if not self.key:
            return 1
        channel.queue_bind(self.name, EXCHANGE, self.key)
        return 2


def shared_queue(entity: Entity, options: RabbitOptions) -> Queue:
    """Return the queue of a topic, server or group."""
    arguments: dict[str, FieldValue] = {}
    expires = entity.expires or options.queue_expires
    if expires != inf:
        arguments["x-expires"] = int(1000 * expires)
    if entity.limit is not None:
        arguments["x-max-length"] = entity.limit
        arguments["x-overflow"] = "reject-publish"
    if options.quorum:
        arguments["x-queue-type"] = "quorum"
        if expires == inf:
            arguments["x-delivery-limit"] = _ENDLESS
        elif options.delivery_limit:
            arguments["x-delivery-limit"] = options.delivery_limit
    name = NAMING.queue(entity.address, entity.group)
    return Queue(name, route(entity.address).key, exclusive=False, arguments=arguments)


def fanout_queue(address: Address, options: RabbitOptions) -> Queue:
    """Return where a receiver of a fanout reads: a queue of its own, or the stream of them all."""
    key = route(address).key
    if not options.stream_fanout:
        name = key.encode()[:200].decode(errors="ignore") + os.urandom(12).hex()
        limit: FieldTable = {"x-max-length": options.fanout_limit}
        return Queue(name, key, exclusive=True, arguments=limit)
    arguments: dict[str, FieldValue] = {
        "x-queue-type": "stream",
        "x-max-length-bytes": options.stream_max_bytes,
        "x-stream-max-segment-size-bytes": max(
            options.stream_max_bytes // _SEGMENTS, _LEAST_SEGMENT
        ),
    }
    if options.stream_max_age > 0:
        arguments["x-max-age"] = f"{max(round(options.stream_max_age), 1)}s"
    return Queue(key, key, exclusive=False, arguments=arguments, stream=True)


def private_queue(name: str) -> Queue:
    """Return the queue of a link's private address."""
    return Queue(name, "", exclusive=True, arguments={})


def is_adoptable(closed: ChannelClosed) -> bool:
    """Whether a queue exists with other properties, of those a receiver need not care about."""
    return (
        closed.code == ReplyCode.PRECONDITION_FAILED
        and closed.request == "queue.declare"
        and any(f"inequivalent arg '{name}'" in closed.text for name in _ADOPTED)
    )
