"""The bounded buffer for what cannot be sent now: no link is up, or the peer takes nothing.

Decides what may go, what must wait and in which order; sending is a callable handed in. Messages
to one address leave in the order they came.
"""

from collections import Counter
from collections.abc import Callable
from typing import final

from bedplate.errors import BufferFull, LinkLost
from bedplate.messaging.driver import Receipt
from bedplate.messaging.types import Address, Outbound
from bedplate.messaging.wheel import Timer

__all__ = ["Held", "Outbox"]


@final
class Held:
    """One message on its way to a link, which may have to wait.

    ``until`` ends the message's life (monotonic), ``epoch`` is the only one it is for. ``gone``
    hears once how a wait ended: None for handed over. ``receipt`` is the link's, ``stage`` says
    what the sender is waiting for.
    """

    __slots__ = ("epoch", "gone", "key", "message", "receipt", "stage", "timer", "until")

    def __init__(
        self,
        message: Outbound,
        until: float | None = None,
        epoch: int | None = None,
        gone: Callable[[Exception | None], object] | None = None,
    ) -> None:
        self.message, self.until, self.epoch, self.gone = message, until, epoch, gone
        self.receipt: Receipt | None = None
        self.timer: Timer | None = None
        self.stage = "sending"
        self.key = 0


class Outbox:
    """Messages waiting for one line. ``closed`` until its link is up and takes messages."""

    __slots__ = ("_addresses", "_draining", "_flow", "_held", "_limit", "_send", "_serial", "_up")

    def __init__(self, limit: int, send: Callable[[Held], None]) -> None:
        """``send`` hands a message to the link; LinkLost from it puts the message back."""
        self._limit = limit
        self._send = send
        self._up = False
        self._flow: dict[Address | None, str] = {}
        self._held: dict[int, Held] = {}
        self._addresses: Counter[Address] = Counter()
        self._serial = 0
        self._draining = False

    def __len__(self) -> int:
        return len(self._held)

    @property
    def flow(self) -> tuple[str, ...]:
        """Why the peer takes nothing, a sentence for each address it said so of; empty: it does."""
        return tuple(
            why if address is None else f"{address}: {why}" for address, why in self._flow.items()
        )

    def free(self, address: Address) -> bool:
        """Whether a message to this address may be sent at once, overtaking nobody."""
        if not self._up:
            return False
        if not self._held and not self._flow:
            return True
        return not self._shut(address) and not self._addresses[address]

    def holds(self, message_id: str) -> bool:
        """Whether a message of this id waits here. Looks through all: for the rare question."""
        return any(held.message.id == message_id for held in self._held.values())

    def put(self, held: Held) -> None:
        """Let a message wait. Raises `BufferFull`."""
        if len(self._held) >= self._limit:
            raise BufferFull(address=str(held.message.address), limit=self._limit)
        self._serial += 1
        held.key = self._serial
        self._held[held.key] = held
        self._addresses[held.message.address] += 1

    def drop(self, held: Held) -> bool:
        """Forget a message; whether it was still waiting."""
        if self._held.pop(held.key, None) is None:
            return False
        if held.timer is not None:
            held.timer.cancel()
        address = held.message.address
        self._addresses[address] -= 1
        if not self._addresses[address]:
            del self._addresses[address]
        return True

    def link_up(self) -> None:
        """Send what waited, in order."""
        self._up = True
        self._flow.clear()
        self.drain()

    def link_down(self, why: Exception) -> None:
        """Hold back from now on; drop what was meant for that link only."""
        self._up = False
        self._flow.clear()
        for held in tuple(self._held.values()):
            if held.epoch is not None:
                self._end(held, why)

    def flow_changed(self, address: Address | None, why: str | None) -> None:
        """Stop (``why`` is given) or resume sending to an address, or to all for None."""
        if why is None:
            self._flow.pop(address, None)
            self.drain()
        else:
            self._flow[address] = why or "the peer takes no messages for now"

    def fail(self, error: Exception) -> None:
        """Give up everything that waits."""
        self._up = False
        for held in tuple(self._held.values()):
            self._end(held, error)

    def drain(self) -> None:
        """Send what may be sent, and what is put in while doing so."""
        if self._draining:
            return
        self._draining = True
        try:
            seen = -1
            while self._up and seen != self._serial:
                seen = self._serial
                self._pass()
        finally:
            self._draining = False

    def _pass(self) -> None:
        for held in tuple(self._held.values()):
            # Sending may bring news: each message is judged by how things are when its turn comes.
            if not self._up:
                break
            if self._shut(held.message.address) or held.key not in self._held:
                continue
            try:
                self._send(held)
            except LinkLost:
                self._up = False
            except Exception as error:  # noqa: BLE001 - for whoever wanted it sent
                self._end(held, error)
            else:
                self._end(held, None)

    def _shut(self, address: Address) -> bool:
        return None in self._flow or address in self._flow

    def _end(self, held: Held, error: Exception | None) -> None:
        if self.drop(held) and held.gone is not None:
            held.gone(error)
