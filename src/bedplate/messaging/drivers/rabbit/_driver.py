"""The RabbitMQ driver itself: what it offers, its settings, how it connects."""

import os
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import ClassVar, final

from bedplate.config import Host, Section
from bedplate.messaging.driver import CONTRACT, Link, LinkEvents, Naming, Status
from bedplate.messaging.drivers.rabbit._dial import dial
from bedplate.messaging.drivers.rabbit._link import OFFERS, RabbitLink
from bedplate.messaging.drivers.rabbit._names import NAMING
from bedplate.messaging.drivers.rabbit._options import RabbitOptions
from bedplate.messaging.types import Capabilities
from bedplate.messaging.url import TransportUrl

__all__ = ["RabbitDriver"]


def _shuffle(hosts: list[Host]) -> None:
    hosts.sort(key=lambda _: os.urandom(8))


@final
class RabbitDriver:
    """Connects to RabbitMQ. ``shuffle`` decides in which order hosts are tried, in place."""

    contract: ClassVar[int] = CONTRACT
    name: ClassVar[str] = "rabbit"
    options: ClassVar[type[Section]] = RabbitOptions
    offers: ClassVar[Capabilities] = OFFERS
    status: ClassVar[Status] = Status()
    dialects: ClassVar[Mapping[str, Naming]] = MappingProxyType({"native": NAMING})

    def __init__(self, shuffle: Callable[[list[Host]], None] = _shuffle) -> None:
        self._shuffle = shuffle

    async def connect(self, url: TransportUrl, options: Section, hear: LinkEvents) -> Link:
        """Open one link to the first host that answers and lets us in.

        Raises `ConnectFailed`, `AccessRefused`, `NotTrusted` (these two go before the failures of
        other hosts), `InvalidUrl`.
        """
        if not isinstance(options, RabbitOptions):
            raise TypeError(f"the rabbit driver takes RabbitOptions, not {type(options).__name__}")
        wire, where = await dial(url, options, self._shuffle)
        return RabbitLink(wire, where, options, hear)
