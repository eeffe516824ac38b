"""What the tests of commands about messages share: a loop beside the one that the command runs."""

import asyncio
import contextlib
import io
import secrets
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any, TypeVar

import pytest

from bedplate.messaging import Transport

T = TypeVar("T")


class Beside:
    """An event loop in a thread of its own, with a transport: who the command talks to."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something over there and return its result."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

    def start(self, work: Coroutine[Any, Any, T]) -> "asyncio.Future[T]":
        """Begin something over there."""

        async def begin() -> asyncio.Future[T]:
            return asyncio.ensure_future(work)

        return self.run(begin())

    @contextlib.contextmanager
    def inside(self, block: contextlib.AbstractAsyncContextManager[T]) -> Iterator[T]:
        """Hold an ``async with`` block open over there."""
        stack = contextlib.AsyncExitStack()
        value = self.run(stack.enter_async_context(block))
        try:
            yield value
        finally:
            self.run(stack.aclose())

    @contextlib.asynccontextmanager
    async def transport(self) -> AsyncIterator[Transport]:
        """Connect to the same broker."""
        async with Transport.connect(self.url) as transport:
            yield transport

    def close(self) -> None:
        """End the loop and its thread."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


class Told(io.StringIO):
    """A standard stream for a command, on which those beside can wait for the first line.

    Put in place inside a test by `contextlib.redirect_stderr`: what a fixture puts there, capsys
    takes away again.
    """

    def __init__(self, beside: Beside) -> None:
        super().__init__()
        self._beside = beside
        self._event = asyncio.Event()

    def write(self, text: str) -> int:
        self._beside.loop.call_soon_threadsafe(self._event.set)
        return super().write(text)

    async def something(self) -> None:
        """Wait, beside, until something was written."""
        await self._event.wait()


@pytest.fixture
def errors(beside: Beside) -> Told:
    """Lend a stream for standard error, where commands say that they are ready."""
    return Told(beside)


@pytest.fixture
def beside() -> Iterator[Beside]:
    """Lend a loop beside, and a broker of this test's own."""
    made = Beside(f"memory://{secrets.token_hex(8)}/")
    yield made
    made.close()


@pytest.fixture
def there(beside: Beside) -> Iterator[Transport]:
    """Lend a transport that lives over there."""
    with beside.inside(beside.transport()) as transport:
        yield transport
