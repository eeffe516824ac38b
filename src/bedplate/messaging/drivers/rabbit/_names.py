"""Names on the broker: which exchange, routing key and queue an address stands for. Pure.

All routing goes through the exchange ``amq.direct``, which every virtual host has: there is
nothing to declare before publishing, so a publish never fails for want of an exchange, and a group
is one more queue bound with the same key.
"""

from typing import Final, NamedTuple, final
from urllib.parse import unquote

from bedplate.messaging.types import Address, Kind

__all__ = [
    "EXCHANGE",
    "NAMING",
    "Correspondents",
    "RabbitNaming",
    "Route",
    "address_of",
    "route",
    "text_of",
]

EXCHANGE = "amq.direct"
_MARK = "bedplate:"
_ESCAPES = (("%", "%25"), ("/", "%2F"), ("@", "%40"), ("*", "%2A"))
_make: Final = tuple.__new__  # a NamedTuple's own constructor costs four times as much
_KNOWN: Final = 1024
_PRIVATE: Final = Kind.PRIVATE
_PLACE: Final = Kind.PLACE
_NOBODY: Final = Address.private("")


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
        if address.kind is _PRIVATE or address.kind is _PLACE:
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
    if address.kind is _PRIVATE or address.kind is _PLACE:
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
    if address.kind is _PRIVATE or address.kind is _PLACE:
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


@final
class Correspondents:
    """To whom a link writes, and to whom its messages are to be answered: the ways it found.

    They are few, and asked for with every message: to find a way takes ten times as long as to
    remember it. Remembers so many and then begins afresh.
    """

    __slots__ = ("_addresses", "_route", "_routed", "_routes", "_text", "_written")

    def __init__(self) -> None:
        self._routes: dict[Address, Route] = {}
        self._addresses: dict[str, Address] = {}
        self._routed = self._written = _NOBODY  # the last ones, which are found without a look
        self._route = route(_NOBODY)
        self._text = ""

    def route(self, address: Address) -> Route:
        """Return how to publish to an address."""
        if address is not self._routed:
            self._route = self._way(address)
            self._routed = address
        return self._route

    def text(self, address: Address) -> str:
        """Write an address as a ``reply_to``."""
        if address is not self._written:
            self._text = text_of(address)
            self._written = address
        return self._text

    def address(self, text: str) -> Address:
        """Read a ``reply_to``."""
        found = self._addresses.get(text)
        if found is None:
            if len(self._addresses) >= _KNOWN:
                self._addresses.clear()
            found = self._addresses[text] = address_of(text)
        return found

    def _way(self, address: Address) -> Route:
        if address.kind is _PRIVATE:  # quicker than to look: an address takes its time to hash
            return _make(Route, ("", address.name, True))
        found = self._routes.get(address)
        if found is None:
            if len(self._routes) >= _KNOWN:
                self._routes.clear()
            found = self._routes[address] = route(address)
        return found


def _escaped(part: str) -> str:
    # What separates parts of a name must not occur in them, or two queues could share a name.
    for mark, escape in _ESCAPES:
        part = part.replace(mark, escape)
    return part


NAMING = RabbitNaming()
