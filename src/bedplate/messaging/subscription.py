"""A source as an async iterable: deliveries wait here for whoever iterates.

Stands on a consumer, which brings them; knows nothing of links.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Self, final

from bedplate.errors import SubscriptionLost, TransportClosed
from bedplate.messaging.consumer import Consumer, Ended
from bedplate.messaging.delivery import Delivery, Receive
from bedplate.messaging.figures import ConsumerStatistics
from bedplate.messaging.intake import Verdict

__all__ = ["Consume", "Subscription"]

Consume = Callable[[Receive, Ended], Awaitable[Consumer]]
"""Opens a consumer whose credit comes back as its deliveries are settled."""


@final
class Subscription:
    """A source as an async iterable of `Delivery`, inside its ``async with`` block.

    At most ``credit`` deliveries are in hand at once: those waiting here and those handed out and
    not settled. Several tasks may iterate; each delivery goes to one of them. Leaving the block
    returns what is unsettled to the broker. Iterating raises `SubscriptionLost` when the source
    cannot be restored, and ends when the subscription is closed.
    """

    __slots__ = ("_consume", "_consumer", "_end", "_ready", "_wakers")

    def __init__(self, consume: Consume) -> None:
        self._consume = consume
        self._consumer: Consumer | None = None
        self._ready: deque[Delivery] = deque()
        self._wakers: deque[asyncio.Future[None]] = deque()
        self._end: SubscriptionLost | None = None

    async def __aenter__(self) -> Self:
        if self._consumer is not None:
            raise TransportClosed(what="A subscription that was left before")
        self._consumer = await self._consume(self._arrived, self._lost)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End the iteration and return what is unsettled to the broker. Idempotent."""
        if self._consumer is not None:
            await self._consumer.aclose()
        self._ready.clear()
        self._wake(len(self._wakers))

    def statistics(self) -> ConsumerStatistics:
        """How it is doing now."""
        return self._opened().statistics()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Delivery:
        consumer = self._opened()
        while True:
            while self._ready:
                delivery = self._ready.popleft()
                if delivery.start() is Verdict.RUN:
                    return delivery
            if self._end is not None:
                raise self._end
            if consumer.closed:
                raise StopAsyncIteration
            await self._something()

    async def _something(self) -> None:
        waker: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._wakers.append(waker)
        try:
            await waker
        except asyncio.CancelledError:
            if waker in self._wakers:
                self._wakers.remove(waker)
            elif self._ready:
                self._wake(1)  # it was our turn, and now it is another's
            raise

    def _opened(self) -> Consumer:
        if self._consumer is None:
            raise TransportClosed(what="A subscription that was not entered")
        return self._consumer

    def _arrived(self, deliveries: list[Delivery]) -> None:
        self._ready.extend(deliveries)
        self._wake(len(deliveries))

    def _lost(self, why: SubscriptionLost) -> None:
        self._end = why
        self._wake(len(self._wakers))

    def _wake(self, count: int) -> None:
        while count > 0 and self._wakers:
            waker = self._wakers.popleft()
            if not waker.done():
                waker.set_result(None)
                count -= 1
