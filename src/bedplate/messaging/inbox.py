"""Private addresses: where replies come to, anew on each link.

All inboxes of a transport share the link's one private address; what arrives is handed to the
inbox whose token the correlation id begins with. Knows nothing of calls.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Protocol, final

from bedplate._floor.backoff import Backoff
from bedplate._floor.cause import caused
from bedplate._floor.token import chance, token_hex
from bedplate.clock import Deadline
from bedplate.errors import DeadlineExceeded, LinkLost, TransportClosed, TransportError, Unsupported
from bedplate.messaging.delivery import Delivery
from bedplate.messaging.driver import Inlet, Link
from bedplate.messaging.lookout import Sight
from bedplate.messaging.observe import Observers, Received
from bedplate.messaging.types import (
    Address,
    Arrival,
    Bounce,
    Entity,
    InletLost,
    Outbound,
    Source,
)

if TYPE_CHECKING:
    from bedplate.messaging.switchboard import Switchboard

__all__ = ["Inbox", "InboxListener", "PrivateDesk"]

_log = logging.getLogger("bedplate.messaging")

_CREDIT = 1000
_AGAIN = Backoff(0.1, 2.0, 15.0)
_TAKE_TIMEOUT = 30.0


class InboxListener(Protocol):
    """Who waits for replies. Called on the loop; must neither block nor raise."""

    def arrived(self, deliveries: list[Delivery]) -> None:
        """Take what arrived, in order; nothing of it needs settling."""
        ...

    def bounced(self, message_id: str, why: Bounce) -> None:
        """Hear that a message reached nobody. Ids of other senders are to be ignored."""
        ...

    def lost(self, epoch: int, why: TransportError) -> None:
        """Hear that the private address of that epoch is gone, and with it replies to it."""
        ...


@final
class PrivateDesk:
    """The private address of a transport's talk line, and those who receive at it."""

    __slots__ = (
        "_board",
        "_line",
        "_listeners",
        "_open",
        "_sink",
        "_stage",
        "_task",
        "address",
        "epoch",
        "failure",
        "received",
    )

    def __init__(self, board: "Switchboard") -> None:
        self._board, self._line, self._stage = board, board.talk, board.stage
        self.received = 0
        self._listeners: dict[str, InboxListener] = {}
        self._open = asyncio.Event()
        self._sink: _Sink | None = None
        self._task: asyncio.Task[None] | None = None
        self.address: Address | None = None
        self.epoch = 0
        self.failure: TransportError | None = None

    def __len__(self) -> int:
        return len(self._listeners)

    def add(self, token: str, listener: InboxListener) -> None:
        """Begin to hand over; opens the private address with the first."""
        self._listeners[token] = listener
        if self._task is None or self._task.done():
            self.failure = None
            self._task = asyncio.get_running_loop().create_task(
                self._keep(), name="bedplate private address"
            )

    def remove(self, token: str) -> None:
        """Hand nothing more to this listener."""
        self._listeners.pop(token, None)

    @property
    def where(self) -> str:
        """The brokers, for messages."""
        return self._line.route.where

    def sight(self) -> Sight | None:
        """Return how receiving goes, for whoever looks after it; None while there is no address."""
        if self.address is None:
            return None
        return Sight(Entity(self.address), self._line, self.epoch, self.received, idle=True)

    def interrupt(self, why: str) -> None:
        """Open the address again: the broker delivers nothing to it any more."""
        if self.address is not None and self._sink is not None:
            self._sink.deaf = why
            self._sink.ended(InletLost.CANCELLED)

    @property
    def trouble(self) -> TransportError | None:
        """Why there is no link just now."""
        return self._line.trouble

    async def wait(self, deadline: Deadline) -> None:
        """Wait for an address. Raises `DeadlineExceeded`, or what made it impossible."""
        route = self._line.route
        try:
            with route.wheel.limit(deadline.remaining(route.clock.now())):
                while self.address is None:
                    if self.failure is not None:
                        raise self.failure
                    await self._open.wait()
        except TimeoutError:
            late = DeadlineExceeded(
                operation="opening a private address",
                target=route.where,
                timeout=deadline.timeout,
                stage="connecting",
            )
            raise caused(late, self._line.trouble) from self._line.trouble

    def holds(self, message_id: str) -> bool:
        """Whether a message waits on this side."""
        return self._board.outbox.holds(message_id)

    def check(self) -> None:
        """Raise unless it may be used here and now."""
        self._stage.check()

    def send(self, message: Outbound) -> None:
        """Send on the link of the current address, on that link only. Raises `LinkLost`."""
        if self.address is None:
            raise LinkLost(where=self.where, why="there is no link just now")
        self._board.post(message, self._line.epoch)

    def bounced(self, message_id: str, why: Bounce) -> None:
        """Tell everybody: only the sender knows the id."""
        for listener in tuple(self._listeners.values()):
            self._tell(partial(listener.bounced, message_id, why))

    def lost(self, why: TransportError) -> None:
        """Forget the address and tell everybody."""
        if self.address is None:
            return
        self.address = None
        self._open.clear()
        for listener in tuple(self._listeners.values()):
            self._tell(partial(listener.lost, self.epoch, why))

    async def aclose(self) -> None:
        """Stop. Those who wait for an address hear that it is closed."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        closed = TransportClosed(what="The inbox")
        self._fail(closed)

    # --- inside ---------------------------------------------------------------------------------

    def arrived(self, batch: Sequence[Arrival]) -> None:
        """Hand each arrival to the inbox it is for, or to all where its id does not say."""
        self.received += len(batch)
        observers = self._stage.observers
        if observers is not None:
            self._observe(observers, batch)
        deliveries = [Delivery(arrival) for arrival in batch]
        listeners = self._listeners
        if len(listeners) == 1:
            self._tell(partial(next(iter(listeners.values())).arrived, deliveries))
            return
        sorted_: dict[str, list[Delivery]] = {}
        for delivery in deliveries:
            sorted_.setdefault(delivery.correlation_id.partition(".")[0], []).append(delivery)
        for token, group in sorted_.items():
            to = (listeners[token],) if token in listeners else tuple(listeners.values())
            for listener in to:
                self._tell(partial(listener.arrived, group))

    def _observe(self, observers: Observers, batch: Sequence[Arrival]) -> None:
        address = self.address or Address.private("")
        for arrival in batch:
            observers.received(
                Received(
                    address,
                    arrival.id,
                    arrival.kind,
                    len(arrival.body),
                    arrival.headers,
                    correlation_id=arrival.correlation_id,
                )
            )

    def _tell(self, tell: Callable[[], object]) -> None:
        try:
            tell()
        except Exception as error:  # noqa: BLE001 - reported; the other inboxes still count
            asyncio.get_running_loop().call_exception_handler(
                {"message": "an inbox's listener raised", "exception": error}
            )

    async def _keep(self) -> None:
        failures, epoch = 0, 0
        try:
            while True:
                link = await self._line.ready(after=epoch)
                epoch = self._line.epoch
                failures = 0
                while await self._one_inlet(link):
                    failures += 1
                    wait = _AGAIN.delay(failures, chance())
                    _log.warning("The private address was lost; opening one in %.1f s", wait)
                    await asyncio.sleep(wait)
        except TransportError as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001 - a driver may have bugs; it is logged and told
            _log.exception("Opening a private address failed")
            why = f"the driver failed with {type(error).__name__}."
            self._fail(LinkLost(where=self.where, why=why))

    async def _one_inlet(self, link: Link) -> bool:
        """Receive until it ends; return whether to try again on the same link."""
        sink = self._sink = _Sink(self, asyncio.get_running_loop().create_future())
        try:
            with self._line.route.wheel.limit(_TAKE_TIMEOUT):
                address = await link.private_address()
                source = Source(address, ack=False)
                inlet = sink.inlet = await link.take(source, sink, credit=_CREDIT)
        except LinkLost:
            return False
        except Unsupported:
            raise
        except TransportError as error:
            _log.warning("No private address: %s", error)
            return True
        except TimeoutError:
            _log.warning("No private address: no answer within %g s", _TAKE_TIMEOUT)
            return True
        if self._line.link is not link or sink.over.done():
            return self._line.link is link
        self.address = address
        self.epoch += 1
        self._open.set()
        ended = await sink.over
        if ended in (InletLost.LINK, InletLost.CLOSED):
            return False
        why = f"the private address: {sink.deaf or ended.value}"
        self.lost(LinkLost(where=self._line.route.where, why=why))
        if sink.deaf:
            _log.warning("The private address: %s", sink.deaf)
            await self._leave(inlet)
        return True

    async def _leave(self, inlet: Inlet) -> None:
        """Close an inlet that nothing comes through, as far as the broker answers."""
        try:
            with self._line.route.wheel.limit(self._line.route.close_timeout):
                await inlet.aclose()
        except (TimeoutError, TransportError) as error:
            why = str(error) or f"it took more than {self._line.route.close_timeout:g} s"
            _log.warning("A deaf private address did not close in good order: %s", why)

    def _fail(self, error: TransportError) -> None:
        self.lost(error)
        self.failure = error
        self._open.set()


@final
class _Sink:
    __slots__ = ("_spent", "deaf", "desk", "inlet", "over")

    def __init__(self, desk: PrivateDesk, over: "asyncio.Future[InletLost]") -> None:
        self.desk = desk
        self.over = over
        self.inlet: Inlet | None = None
        self.deaf = ""
        self._spent = 0

    def arrived(self, batch: Sequence[Arrival]) -> None:
        self._spent += len(batch)
        if self._spent * 2 >= _CREDIT and self.inlet is not None:
            spent, self._spent = self._spent, 0
            self.inlet.grant(spent)
        self.desk.arrived(batch)

    def revoked(self, lanes: frozenset[int]) -> None:
        """Private addresses have no lanes."""

    def ended(self, why: InletLost) -> None:
        if not self.over.done():
            self.over.set_result(why)


@final
class Inbox:
    """A private address to receive replies at, and the way to send what is to be replied to.

    ``epoch`` and ``address`` are those of the current link; both change when the link does.
    Correlation ids of what is sent here should begin with ``token`` and a dot (``"k3v9.17"``): by
    that inboxes of one transport tell their replies apart.
    """

    __slots__ = ("_closed", "_desk", "token")

    def __init__(self, desk: PrivateDesk, listener: InboxListener) -> None:
        self._desk = desk
        self._closed = False
        self.token = token_hex(6)
        desk.add(self.token, listener)

    @property
    def epoch(self) -> int:
        """Counts the private addresses so far, from 1; 0 before the first."""
        return self._desk.epoch

    @property
    def address(self) -> Address:
        """Where replies are to go. Raises `LinkLost` while there is no link; see `ready`."""
        address = self._desk.address
        if address is None:
            raise LinkLost(where=self._desk.where, why="there is no link just now")
        return address

    def holds(self, message_id: str) -> bool:
        """Whether what was sent here is still on this side, because the broker takes nothing."""
        return self._desk.holds(message_id)

    @property
    def trouble(self) -> TransportError | None:
        """Why there is no link just now; None while there is one."""
        return self._desk.trouble

    async def ready(self, deadline: Deadline) -> None:
        """Wait until there is an address.

        Raises `DeadlineExceeded` (stage ``connecting``), `Unsupported` where the driver has no
        private addresses, `TransportClosed`.
        """
        self._check()
        if self._desk.address is None:
            await self._desk.wait(deadline)

    def send(self, message: Outbound) -> None:
        """Send on the current link, or never: what waits for flow is dropped with the link.

        For ``Want.BOUNCE`` and ``Want.NOTHING``. Raises `LinkLost` when there is no link just
        now, `BufferFull`, `TooLarge`.
        """
        self._check()
        self._desk.send(message)

    async def aclose(self) -> None:
        """Receive nothing more here. Idempotent."""
        self._closed = True
        self._desk.remove(self.token)

    def _check(self) -> None:
        if self._closed:
            raise TransportClosed(what="The inbox")
        self._desk.check()
