"""The memory driver itself: what it offers, its settings, how it connects."""

import asyncio
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, final

from bedplate.config import Section, option
from bedplate.errors import InvalidUrl
from bedplate.messaging.driver import CONTRACT, Link, LinkEvents, Naming, Status
from bedplate.messaging.drivers.memory._broker import NAMING, find
from bedplate.messaging.drivers.memory._link import OFFERS, MemoryLink
from bedplate.messaging.types import Capabilities
from bedplate.messaging.url import TransportUrl

__all__ = ["MemoryDriver", "MemoryOptions"]


class MemoryOptions(Section, name="memory"):
    """The broker inside the process."""

    limit: int = option(
        default=100_000,
        min=1,
        help="Messages a queue may hold, where its declaration says nothing; more are refused.",
    )


@final
class MemoryDriver:
    """Connects to the named brokers of this process."""

    contract: ClassVar[int] = CONTRACT
    name: ClassVar[str] = "memory"
    options: ClassVar[type[Section]] = MemoryOptions
    offers: ClassVar[Capabilities] = OFFERS
    status: ClassVar[Status] = Status()
    dialects: ClassVar[Mapping[str, Naming]] = MappingProxyType({"native": NAMING})

    async def connect(self, url: TransportUrl, options: Section, hear: LinkEvents) -> Link:
        """Open one link. Raises `InvalidUrl`, and `ConnectFailed` while the broker is stopped."""
        if len(url.hosts) > 1 or any(host.port is not None for host in url.hosts):
            raise InvalidUrl(
                url=str(url), why="the memory driver takes one name and no port: memory://NAME/."
            )
        if not isinstance(options, MemoryOptions):
            raise TypeError(f"the memory driver takes MemoryOptions, not {type(options).__name__}")
        name = url.hosts[0].name if url.hosts else ""
        link = MemoryLink(find(name, url.vhost), options.limit, hear)
        await asyncio.sleep(0)
        link.open()
        return link
