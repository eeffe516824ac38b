"""Messages to AMQP properties and back. Pure; every message passes here."""

from collections.abc import Mapping
from math import ceil
from typing import Final, cast

from bedplate.amqp091 import Delivered
from bedplate.amqp091.properties import Content, decode_values
from bedplate.messaging.drivers.rabbit._names import Correspondents
from bedplate.messaging.types import NO_HEADERS, Arrival, Headers, Outbound

__all__ = ["incoming", "outgoing"]

_NO_HEADERS: Final = NO_HEADERS
_LONGEST: Final = 0xFFFFFFFF
"""The longest expiry (milliseconds) that every RabbitMQ takes; the headers know the real one."""
_COUNTS: Final = ("x-acquired-count", "x-delivery-count")
"""Where a quorum queue says how often it handed a message out before, newest release first."""


def outgoing(message: Outbound, known: Correspondents) -> Content:
    """Return the properties of a message, in the order of `bedplate.amqp091.Properties`.

    Its key travels as ``cluster_id``, which is unused.
    """
    ttl, reply_to = message.ttl, message.reply_to
    return (
        message.content_type,
        None,
        message.headers or None,
        2 if message.persistent else 1,
        None,
        message.correlation_id or None,
        None if reply_to is None else known.text(reply_to),
        None if ttl is None else _expiration(ttl),
        message.id,
        None,
        message.kind or None,
        None,
        None,
        message.key,
    )


def _expiration(ttl: float) -> str:
    wait = ttl * 1000
    if wait >= _LONGEST:
        return str(_LONGEST)
    return str(ceil(wait)) if wait > 0 else "0"


def incoming(
    event: Delivered, known: Correspondents, *, counted: bool, read: bool = False
) -> Arrival:
    """Return a delivery as it goes up; ``counted``: its queue counts deliveries.

    Headers are decoded when somebody looks, or now where that is sure (``read``): a plain dict is
    the quicker to look into. Raises ProtocolError for properties, and headers read, that are none.
    """
    (content_type, _, table, _, _, correlation_id, reply_to, _, id_, _, kind, _, _, key) = (
        decode_values(event.head)
    )
    headers = _NO_HEADERS
    if table is not None:
        headers = cast("Headers", table.decode() if read else table)
    return Arrival(
        event.delivery_tag,
        event.body,
        id_ or "",
        headers,
        content_type or "",
        kind or "",
        correlation_id or "",
        None if reply_to is None else known.address(reply_to),
        key,
        event.redelivered,
        _attempts(event, headers) if counted else None,
    )


def _attempts(event: Delivered, headers: Headers) -> int:
    if not event.redelivered:
        return 1
    sent = cast("Mapping[str, object]", headers)  # a stranger's may be of any type
    for name in _COUNTS:
        count = sent.get(name)
        if isinstance(count, int):
            return count + 1
    return 2
