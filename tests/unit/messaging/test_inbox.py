import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from bedplate._floor.backoff import Backoff
from bedplate.clock import Deadline
from bedplate.errors import (
    BufferFull,
    DeadlineExceeded,
    LinkLost,
    TooLarge,
    TransportClosed,
    TransportError,
)
from bedplate.messaging import (
    Address,
    Bounce,
    Delivery,
    Entity,
    Inbox,
    Observer,
    Outbound,
    RecoveryPolicy,
    Topology,
    Transport,
    TransportPolicy,
    Want,
)
from bedplate.messaging.drivers.memory import MemoryBroker, MemoryDriver, broker
from bedplate.messaging.observe import Received
from bedplate.testing.faulty import Faults, faulty

ORDERS = Address.topic("orders")
POLICY = TransportPolicy(
    recovery=RecoveryPolicy(backoff=Backoff(0.1, 1.0, 0.1), budget=10_000), buffer=2, max_body=100
)


class Listener:
    def __init__(self) -> None:
        self.got: list[Delivery] = []
        self.bounces: list[tuple[str, Bounce]] = []
        self.losses: list[int] = []

    def arrived(self, deliveries: list[Delivery]) -> None:
        self.got.extend(deliveries)

    def bounced(self, message_id: str, why: Bounce) -> None:
        self.bounces.append((message_id, why))

    def lost(self, epoch: int, why: TransportError) -> None:
        assert isinstance(why, TransportError)
        self.losses.append(epoch)


class Scene:
    def __init__(self, transport: Transport, faults: Faults, memory: MemoryBroker) -> None:
        self.transport, self.faults, self.memory = transport, faults, memory
        self.loop = asyncio.get_running_loop()

    def within(self, seconds: float) -> Deadline:
        return Deadline(self.transport.clock.now(), seconds)

    async def inbox(self) -> tuple[Inbox, Listener]:
        listener = Listener()
        inbox = await self.transport.inbox(listener)
        await inbox.ready(self.within(5))
        return inbox, listener


@asynccontextmanager
async def scene(observers: Sequence[Observer] = ()) -> AsyncIterator[Scene]:
    faults = Faults()
    name = f"inbox-{secrets.token_hex(8)}"
    async with Transport.connect(
        f"memory://{name}/",
        driver=faulty(MemoryDriver(), faults),
        policy=POLICY,
        observers=observers,
    ) as transport:
        await transport.declare(Topology((Entity(ORDERS),)))
        yield Scene(transport, faults, broker(name))


def to(
    address: Address, number: int, *, correlation_id: str = "", ttl: float | None = None
) -> Outbound:
    return Outbound(
        address, b"", f"id-{number}", Want.BOUNCE, correlation_id=correlation_id, ttl=ttl
    )


async def test_what_is_sent_to_its_address_arrives() -> None:
    """A private address receives, needs no settling, and is reported when nobody has it."""
    async with scene() as s:
        inbox, listener = await s.inbox()
        inbox.send(to(inbox.address, 1))
        inbox.send(to(Address.private("nobody's"), 2))
        await asyncio.sleep(0.1)
        assert [each.id for each in listener.got] == ["id-1"]
        assert listener.got[0].settled
        assert listener.bounces == [("id-2", Bounce.NO_ROUTE)]


async def test_inboxes_of_one_transport_tell_their_replies_apart() -> None:
    """A reply goes to the inbox whose token it carries, and to all when it carries none."""
    async with scene() as s:
        (one, first), (other, second) = await s.inbox(), await s.inbox()
        assert one.token != other.token
        assert one.address == other.address
        one.send(to(one.address, 1, correlation_id=f"{one.token}.1"))
        one.send(to(one.address, 2, correlation_id=f"{other.token}.1"))
        one.send(to(one.address, 3, correlation_id="somebody's"))
        await asyncio.sleep(0.1)
        assert [each.id for each in first.got] == ["id-1", "id-3"]
        assert [each.id for each in second.got] == ["id-2", "id-3"]
        await other.aclose()
        one.send(to(one.address, 4, correlation_id=f"{other.token}.2"))
        await asyncio.sleep(0.1)
        assert len(second.got) == 2


async def test_more_replies_than_the_credit_keep_coming() -> None:
    """Credit for replies is granted again as they arrive."""
    async with scene() as s:
        inbox, listener = await s.inbox()
        for number in range(3500):
            inbox.send(to(inbox.address, number))
            if number % 100 == 0:
                await asyncio.sleep(0)
        await asyncio.sleep(1)
        assert [each.id for each in listener.got] == [f"id-{number}" for number in range(3500)]


async def test_a_lost_link_is_told_once_and_a_new_address_opens() -> None:
    """Those who wait for replies hear at once that none will come; the next epoch is another."""
    async with scene() as s:
        inbox, listener = await s.inbox()
        old = inbox.address
        s.faults.cut()
        await asyncio.sleep(0)
        assert listener.losses == [1]
        with pytest.raises(LinkLost):
            inbox.send(to(ORDERS, 1))
        with pytest.raises(LinkLost):
            _ = inbox.address
        await inbox.ready(s.within(5))
        assert inbox.epoch == 2
        assert inbox.address != old
        inbox.send(to(inbox.address, 2))
        await asyncio.sleep(0.1)
        assert [each.id for each in listener.got] == ["id-2"]
        assert listener.losses == [1]


async def test_a_private_address_that_is_deleted_is_opened_again() -> None:
    """Connected but deaf: whose reply queue is taken away hears of it and gets another."""
    async with scene() as s:
        inbox, listener = await s.inbox()
        s.memory.delete(inbox.address)
        await asyncio.sleep(0.1)
        assert listener.losses == [1]
        await inbox.ready(s.within(5))
        assert inbox.epoch == 2
        inbox.send(to(inbox.address, 1))
        await asyncio.sleep(0.1)
        assert [each.id for each in listener.got] == ["id-1"]
        assert s.transport.statistics().reconnects == 0


async def test_waiting_for_an_address_ends_at_its_deadline() -> None:
    """Without a link there is no address, and the wait for one is bounded."""
    async with scene() as s:
        inbox, _ = await s.inbox()
        s.faults.refuse()
        s.faults.cut()
        await asyncio.sleep(0)
        began = s.loop.time()
        with pytest.raises(DeadlineExceeded) as caught:
            await inbox.ready(s.within(3))
        assert s.loop.time() - began == 3.0
        assert caught.value.stage == "connecting"
        s.faults.accept()


async def test_what_waited_for_flow_goes_or_dies_with_its_link() -> None:
    """A request held back by flow leaves when flow opens, and never on another link."""
    async with scene() as s:
        inbox, listener = await s.inbox()
        s.memory.close_flow()
        await asyncio.sleep(0.1)
        inbox.send(to(inbox.address, 1))
        s.memory.open_flow()
        await asyncio.sleep(0.1)
        assert [each.id for each in listener.got] == ["id-1"]
        s.memory.close_flow()
        await asyncio.sleep(0.1)
        inbox.send(to(ORDERS, 2))
        s.faults.cut()
        s.memory.open_flow()
        await inbox.ready(s.within(5))
        await asyncio.sleep(5)
        assert (await s.transport.look(ORDERS)).messages == 0


async def test_what_cannot_be_sent_is_said_at_once() -> None:
    """A full buffer and a message too large are errors of send() itself."""
    async with scene() as s:
        inbox, _ = await s.inbox()
        with pytest.raises(TooLarge):
            inbox.send(Outbound(ORDERS, b"x" * 101, "large"))
        s.memory.close_flow()
        await asyncio.sleep(0.1)
        inbox.send(to(ORDERS, 1, ttl=5.0))
        inbox.send(to(ORDERS, 2, ttl=5.0))
        with pytest.raises(BufferFull):
            inbox.send(to(ORDERS, 3))
        await asyncio.sleep(6)
        inbox.send(to(ORDERS, 4))
        s.memory.open_flow()
        await asyncio.sleep(0.1)
        assert (await s.transport.look(ORDERS)).messages == 1


async def test_replies_are_observed_and_counted() -> None:
    """What comes to a private address is heard by observers and shows in the statistics."""
    heard: list[str] = []

    class Hearing:
        def sent(self, event: object) -> None: ...
        def opened(self, event: object) -> None: ...
        def closed(self, event: object) -> None: ...
        def given_up(self, event: object) -> None: ...
        def received(self, event: Received) -> None:
            heard.append(event.id)

    async with scene(observers=[Hearing()]) as s:
        inbox, _ = await s.inbox()
        inbox.send(to(inbox.address, 1))
        await asyncio.sleep(0.1)
        assert heard == ["id-1"]
        assert s.transport.statistics().replies == 1


async def test_a_listener_that_raises_harms_nobody_else() -> None:
    """Its bug goes to the loop's exception handler; the other inboxes still receive."""

    class Broken(Listener):
        def arrived(self, deliveries: list[Delivery]) -> None:
            super().arrived(deliveries)
            raise ValueError("a bug")

    async with scene() as s:
        reported: list[object] = []
        s.loop.set_exception_handler(lambda _, context: reported.append(context["exception"]))
        broken = Broken()
        await s.transport.inbox(broken)
        inbox, listener = await s.inbox()
        inbox.send(to(inbox.address, 1))
        await asyncio.sleep(0.1)
        s.loop.set_exception_handler(None)
        assert len(broken.got) == len(listener.got) == 1
        assert [type(each) for each in reported] == [ValueError]


async def test_a_closed_inbox_is_closed() -> None:
    """Neither inbox nor transport can be used through an inbox that was closed."""
    async with scene() as s:
        inbox, listener = await s.inbox()
        left, heard = await s.inbox()
        await inbox.aclose()
        await inbox.aclose()
        with pytest.raises(TransportClosed):
            inbox.send(to(ORDERS, 1))
        with pytest.raises(TransportClosed):
            await inbox.ready(s.within(1))
    assert listener.losses == []
    assert heard.losses == [1]
    with pytest.raises(TransportClosed):
        left.send(to(ORDERS, 1))
