"""The relay passes everything on, and breaks it as it is told."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from bedplate.testing.relay import Relay

pytestmark = pytest.mark.usefixtures("real_time")


@pytest.fixture
async def relay() -> AsyncIterator[Relay]:
    """Put a relay before a server that returns what it is sent."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with server, Relay("127.0.0.1", server.sockets[0].getsockname()[1]) as relay:
        yield relay


class Line:
    """One connection through the relay."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def say(self, data: bytes) -> bytes:
        self.writer.write(data)
        return await asyncio.wait_for(self.reader.readexactly(len(data)), 5)

    async def hears_nothing(self) -> bool:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(self.reader.read(1), 0.1)
        return True


async def connect(relay: Relay) -> Line:
    """Connect through the relay."""
    return Line(*await asyncio.open_connection("127.0.0.1", relay.port))


async def test_everything_passes_both_ways(relay: Relay) -> None:
    """A megabyte there and back is the same, and counted."""
    line = await connect(relay)
    data = bytes(range(256)) * 4096
    assert await line.say(data) == data
    assert relay.passed == 2 * len(data)
    assert relay.connections == 1
    line.writer.close()


async def test_the_end_of_one_side_is_passed_on(relay: Relay) -> None:
    """A client that closes ends the far connection too."""
    line = await connect(relay)
    await line.say(b"x")
    line.writer.close()
    async with asyncio.timeout(5):
        while relay.connections:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)


async def test_a_delay_holds_both_ways(relay: Relay) -> None:
    """With 50 ms each way, there and back takes 100."""
    line = await connect(relay)
    relay.delay = 0.05
    since = time.monotonic()
    await line.say(b"x")
    assert 0.1 <= time.monotonic() - since < 0.5
    line.writer.close()


async def test_a_throttle_bounds_the_speed(relay: Relay) -> None:
    """A hundred kilobytes at a megabyte a second take a tenth of one, each way."""
    line = await connect(relay)
    relay.throttle = 1_000_000
    since = time.monotonic()
    await line.say(bytes(100_000))
    assert 0.1 <= time.monotonic() - since < 1.0
    line.writer.close()


async def test_a_stall_loses_nothing(relay: Relay) -> None:
    """What was sent into a stall comes when it ends."""
    line = await connect(relay)
    await line.say(b"before")
    relay.stall()
    line.writer.write(b"during")
    assert await line.hears_nothing()
    await relay.heal()
    assert await asyncio.wait_for(line.reader.readexactly(6), 5) == b"during"
    line.writer.close()


async def test_a_peer_that_vanished_swallows(relay: Relay) -> None:
    """A half-open connection takes everything, gives nothing, and is not closed."""
    line = await connect(relay)
    relay.vanish()
    line.writer.write(b"lost")
    assert await line.hears_nothing()
    await relay.heal()
    assert await line.say(b"after") == b"after"
    line.writer.close()


async def test_a_cut_resets(relay: Relay) -> None:
    """All connections end with a reset, or the one that is named."""
    one, two = await connect(relay), await connect(relay)
    await one.say(b"x")
    await two.say(b"x")
    relay.cut(one.writer.get_extra_info("sockname"))
    with pytest.raises(ConnectionResetError):
        await one.say(b"x")
    assert await two.say(b"y") == b"y"
    relay.cut()
    with pytest.raises(ConnectionResetError):
        await two.say(b"x")


async def test_a_refusal_is_for_new_connections(relay: Relay) -> None:
    """Old connections live on while new ones are refused; healing takes the same port again."""
    line = await connect(relay)
    await line.say(b"x")
    relay.refuse()
    with pytest.raises(ConnectionRefusedError):
        await connect(relay)
    assert await line.say(b"y") == b"y"
    await relay.heal()
    other = await connect(relay)
    assert await other.say(b"z") == b"z"
    line.writer.close()
    other.writer.close()


async def test_a_far_end_that_is_absent_resets() -> None:
    """Where nobody listens behind it, the connection is accepted and reset."""
    async with Relay("127.0.0.1", 1) as relay:
        line = await connect(relay)
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await line.say(b"x")
