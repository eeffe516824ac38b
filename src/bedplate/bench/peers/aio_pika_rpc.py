"""aio-pika with the RPC pattern it ships, in JSON."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

__all__ = ["ACKS", "BUILD", "CONFIRMS", "DISTRIBUTION", "client", "server"]

DISTRIBUTION = "aio-pika"
"""What is measured, by the name under which it is installed."""
BUILD = "plain Python"
"""What the library itself is made of."""
CONFIRMS = "calls and replies are published without confirms; calls mandatory"
"""How calls and replies are published."""
ACKS = "requests are acknowledged one by one when answered; replies need none"
"""How what arrives is acknowledged."""


@asynccontextmanager
async def server(url: str, topic: str, width: int) -> AsyncIterator[None]:
    """Answer on one connection, each request as it comes."""
    import aio_pika  # type: ignore[import-not-found, unused-ignore]  # in its own environment
    from aio_pika.patterns import (  # type: ignore[import-not-found, unused-ignore]  # as above
        JsonRPC,
    )

    async def echo(*, text: str) -> str:
        return text

    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel(publisher_confirms=False)
        await channel.set_qos(prefetch_count=width)
        pattern = await JsonRPC.create(channel)
        await pattern.register(topic, echo, auto_delete=True)
        yield
        await pattern.close()


@asynccontextmanager
async def client(
    url: str, topic: str, width: int
) -> AsyncIterator[Callable[[str], Awaitable[str]]]:
    """Call over one connection with one reply queue."""
    import aio_pika  # type: ignore[import-not-found, unused-ignore]  # in its own environment
    from aio_pika.patterns import (  # type: ignore[import-not-found, unused-ignore]  # as above
        JsonRPC,
    )

    del width
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel(publisher_confirms=False)
        pattern = await JsonRPC.create(channel)

        async def call(text: str) -> str:
            answer: str = await asyncio.wait_for(pattern.call(topic, {"text": text}), 60)
            return answer

        yield call
        await pattern.close()
