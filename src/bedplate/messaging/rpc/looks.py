"""Looks at the queues of calls that nothing is heard of: is there anybody who serves them?

Acts for `caller`, and tells it what a look told. Knows nothing of what becomes of a call by that.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final, final

from bedplate.errors import MessagingError
from bedplate.messaging.calls import Call
from bedplate.messaging.rpc.endings import Asked
from bedplate.messaging.transport import Transport
from bedplate.messaging.types import Address, Standing

__all__ = ["Looks"]

_log = logging.getLogger("bedplate.messaging.rpc")
_PATIENCE: Final = 10.0


@final
class Looks:
    """One look at a time at each address, or many calls would flood it.

    ``looked`` is told which calls a look was for, and whether their requests are in somebody's
    hands. A look that fails tells nothing.
    """

    __slots__ = ("_in_doubt", "_looked", "_tasks", "_transport")

    def __init__(
        self, transport: Transport, looked: Callable[[list[Call[Asked]], bool], object]
    ) -> None:
        self._transport, self._looked = transport, looked
        self._tasks: dict[Address, asyncio.Task[None]] = {}
        self._in_doubt: dict[Address, list[Call[Asked]]] = {}

    def __len__(self) -> int:
        return len(self._tasks)

    def doubt(self, call: Call[Asked]) -> None:
        """Look for a call."""
        address = call.token.address
        self._in_doubt.setdefault(address, []).append(call)
        if address not in self._tasks:
            look = asyncio.get_running_loop().create_task(self._until_sure(address))
            self._tasks[address] = look

    def close(self) -> None:
        """Look no more."""
        for task in self._tasks.values():
            task.cancel()

    async def _until_sure(self, address: Address) -> None:
        try:
            # Who comes while a look is under way may have been sent after it: theirs is the next.
            while calls := self._in_doubt.pop(address, None):
                await self._look(address, [call for call in calls if call.open])
        finally:
            del self._tasks[address]

    async def _look(self, address: Address, calls: list[Call[Asked]]) -> None:
        now = self._transport.clock.now()
        patience = max((call.deadline for call in calls), default=0.0) - now
        if patience <= 0:
            return
        try:
            standing = await self._transport.look(address, timeout=min(patience, _PATIENCE))
        except MessagingError as error:
            _log.debug("no look at %s: %s", address, error)
            return
        self._looked(calls, _served(standing))


def _served(standing: Standing) -> bool:
    """Whether a request sent there is in somebody's hands, or will be.

    Without consumers it is not while anything lies there; an empty queue may belong to a server
    that took the request and takes no more because it is going to stop.
    """
    if not standing.exists:
        return False
    return standing.consumers != 0 or standing.messages == 0
