"""Names on the broker: which exchange, routing key and queue an address stands for. Pure.

All routing goes through the exchange ``amq.direct``, which every virtual host has: there is
nothing to declare before publishing, so a publish never fails for want of an exchange, and a group
is one more queue bound with the same key.
"""

from typing import NamedTuple, final
from urllib.parse import unquote

from bedplate.messaging.types import Address, Kind

__all__ = ["EXCHANGE", "NAMING", "RabbitNaming", "Route", "address_of", "route", "text_of"]

EXCHANGE = "amq.direct"
_MARK = "bedplate:"
_ESCAPES = (("%", "%25"), ("/", "%2F"), ("@", "%40"), ("*", "%2A"))


@final
class RabbitNaming:
    """Names of queues in the native dialect."""

    envelope = "native"

    def queue(self, address: Address, group: str | None) -> str:
        """Return ``exchange/topic[/server]``, with the group behind an ``@``.

        The marks ``% / @ *`` inside a part are percent-encoded. The queues of a fanout's receivers
        have names of their own; this is the key they are bound with. RabbitMQ takes names of up to
        255 bytes.
        """
        if address.kind is Kind.PRIVATE or address.kind is Kind.PLACE:
            return address.name
        name = route(address).key
        return name if group is None else f"{name}@{_escaped(group)}"


class Route(NamedTuple):
    """How to publish to an address; ``counts``: reaching nobody is worth telling."""

    exchange: str
    key: str
    counts: bool


def route(address: Address) -> Route:
    """Return how to publish to an address."""
    if address.kind is Kind.PRIVATE or address.kind is Kind.PLACE:
        return Route("", address.name, counts=True)
    parts = [address.exchange, address.name]
    if address.kind is Kind.SERVER:
        parts.append(address.server_name)
    key = "/".join(map(_escaped, parts))
    if key.startswith("amq."):  # reserved by the broker
        key = f"amq%2E{key[4:]}"
    if address.kind is Kind.FANOUT:
        return Route(EXCHANGE, f"{key}/*", counts=False)
    return Route(EXCHANGE, key, counts=True)


def text_of(address: Address) -> str:
    """Write an address as a ``reply_to``: a private one is the queue's name, as everywhere."""
    if address.kind is Kind.PRIVATE or address.kind is Kind.PLACE:
        return address.name
    return f"{_MARK}{address.kind.value}/{route(address).key}"


def address_of(text: str) -> Address:
    """Read a ``reply_to``."""
    if not text.startswith(_MARK):
        return Address.private(text)
    kind, _, key = text.removeprefix(_MARK).partition("/")
    parts = [unquote(part) for part in key.split("/")]
    if kind == Kind.SERVER.value and len(parts) == 3:
        return Address.server(parts[1], parts[2], exchange=parts[0])
    if kind == Kind.TOPIC.value and len(parts) == 2:
        return Address.topic(parts[1], exchange=parts[0])
    if kind == Kind.FANOUT.value and len(parts) == 3:
        return Address.fanout(parts[1], exchange=parts[0])
    return Address.private(text)


def _escaped(part: str) -> str:
    # What separates parts of a name must not occur in them, or two queues could share a name.
    for mark, escape in _ESCAPES:
        part = part.replace(mark, escape)
    return part


NAMING = RabbitNaming()
