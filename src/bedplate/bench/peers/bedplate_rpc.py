"""bedplate's own part of the contest: an interface with one method."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from bedplate._floor.build import is_compiled
from bedplate.messaging import Transport, rpc

__all__ = ["ACKS", "BUILD", "CONFIRMS", "DISTRIBUTION", "Echo", "EchoService", "client", "server"]

DISTRIBUTION = "bedplate"
"""What is measured, by the name under which it is installed."""
BUILD = "message path compiled" if is_compiled() else "plain Python"
"""What the library itself is made of."""
CONFIRMS = "calls and replies are published mandatory, without confirms"
"""How calls and replies are published."""
ACKS = "requests are acknowledged when they start, many at a time; replies need none"
"""How what arrives is acknowledged."""


class Echo(rpc.Interface, topic="bedplate-bench", version="1.0"):
    """The least a server can do."""

    async def echo(self, text: str) -> str:
        """Return what it was given."""
        raise NotImplementedError


class EchoService(Echo):
    """Implements it."""

    async def echo(self, text: str) -> str:
        """Return what it was given."""
        return text


@asynccontextmanager
async def server(url: str, topic: str, width: int) -> AsyncIterator[None]:
    """Answer on one connection to take from and one to send on."""
    async with (
        Transport.connect(url, timeout=10) as transport,
        rpc.serve(transport, EchoService(), exchange=topic, workers=width),
    ):
        yield


@asynccontextmanager
async def client(
    url: str, topic: str, width: int
) -> AsyncIterator[Callable[[str], Awaitable[str]]]:
    """Call over one connection, whatever the width."""
    del width
    async with Transport.connect(url, timeout=10) as transport:
        yield rpc.client(transport, Echo, exchange=topic, timeout=60, wait_for_target=10).echo
