"""aiormq: a bare client, so the call is written here with as little as it can be done with.

Each publish and acknowledgement waits until it is written, which is aiormq's default and its
back-pressure. With ``wait=False`` it is about twice as quick, and nothing bounds what waits.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

__all__ = ["ACKS", "BUILD", "CONFIRMS", "DISTRIBUTION", "client", "server"]

DISTRIBUTION = "aiormq"
"""What is measured, by the name under which it is installed."""
BUILD = "plain Python"
"""What the library itself is made of."""
CONFIRMS = (
    "calls and replies are published without confirms, each write waited for; calls mandatory"
)
"""How calls and replies are published."""
ACKS = "requests are acknowledged one by one as they start; replies need none"
"""How what arrives is acknowledged."""


@asynccontextmanager
async def server(url: str, topic: str, width: int) -> AsyncIterator[None]:
    """Answer on one connection, each request as it comes."""
    import aiormq  # type: ignore[import-not-found, unused-ignore]  # in its own environment

    connection = await aiormq.connect(url)
    try:
        channel = await connection.channel(publisher_confirms=False)

        async def answer(message: Any) -> None:
            asked = message.header.properties
            await channel.basic_ack(message.delivery.delivery_tag)
            said = aiormq.spec.Basic.Properties(correlation_id=asked.correlation_id)
            await channel.basic_publish(message.body, routing_key=asked.reply_to, properties=said)

        await channel.basic_qos(prefetch_count=width)
        await channel.queue_declare(topic, exclusive=False, auto_delete=True)
        await channel.basic_consume(topic, answer)
        yield
    finally:
        await connection.close()


@asynccontextmanager
async def client(
    url: str, topic: str, width: int
) -> AsyncIterator[Callable[[str], Awaitable[str]]]:
    """Call over one connection with one reply queue."""
    import aiormq  # type: ignore[import-not-found, unused-ignore]  # in its own environment

    del width
    numbers = itertools.count()
    waiting: dict[str, asyncio.Future[str]] = {}
    loop = asyncio.get_running_loop()
    connection = await aiormq.connect(url)
    try:
        channel = await connection.channel(publisher_confirms=False)

        async def arrived(message: Any) -> None:
            future = waiting.pop(message.header.properties.correlation_id)
            future.set_result(message.body.decode())

        replies = (await channel.queue_declare(exclusive=True, auto_delete=True)).queue
        await channel.basic_consume(replies, arrived, no_ack=True)

        async def call(text: str) -> str:
            number = str(next(numbers))
            waiting[number] = future = loop.create_future()
            said = aiormq.spec.Basic.Properties(correlation_id=number, reply_to=replies)
            await channel.basic_publish(
                text.encode(), routing_key=topic, properties=said, mandatory=True
            )
            return await asyncio.wait_for(future, 60)

        yield call
    finally:
        await connection.close()
