"""Consumers that the broker forgot without a word are found, taken again and reported."""

import asyncio
import logging

import pytest

from bedplate._floor.backoff import Backoff
from bedplate.errors import ReplyPathLost
from bedplate.messaging import (
    Address,
    Message,
    RecoveryPolicy,
    Source,
    Transport,
    TransportPolicy,
    rpc,
)
from bedplate.messaging.delivery import Delivery
from bedplate.messaging.drivers.memory import MemoryDriver, broker
from bedplate.messaging.types import Kind, Standing, Topology
from bedplate.testing.faulty import Faults, FaultyLink, faulty

ORDERS = Address.topic("orders")
RECOVERY = RecoveryPolicy(backoff=Backoff(0.1, 1.0, 0.1), budget=10_000)
POLICY = TransportPolicy(recovery=RECOVERY)


def connect(name: str, faults: Faults, policy: TransportPolicy = POLICY) -> Transport:
    """Describe a transport to a broker of this name, with faults."""
    url = f"memory://{name}/"
    return Transport.connect(url, driver=faulty(MemoryDriver(), faults), policy=policy)


class Stock:
    """Answers some time later."""

    async def count(self, after: float = 0.0) -> int:
        await asyncio.sleep(after)
        return 7


def deaf(transport: Transport) -> int:
    """Return how many consumers were found deaf."""
    return dict(transport.statistics().notices).get("deaf-consumer", 0)


async def test_a_forgotten_consumer_is_taken_again(caplog: pytest.LogCaptureFixture) -> None:
    """Within a look and a second one, messages come again, and it is logged and counted."""
    faults = Faults()
    async with (
        connect("forgotten", faults) as transport,
        transport.subscribe(ORDERS) as deliveries,
    ):
        faults.deafen(ORDERS)
        await transport.publish(ORDERS, Message(b"x"))
        with caplog.at_level(logging.WARNING, "bedplate"):
            async with asyncio.timeout(75.0 + 5.0 + 1.0):
                delivery = await anext(deliveries)
        assert delivery.body == b"x"
        await delivery.ack()
        (consumer,) = transport.statistics().consumers
        assert (consumer.live, consumer.epoch, consumer.interruptions) == (True, 2, 1)
        assert deaf(transport) == 1
    assert "the broker knows no consumer here" in caplog.text


async def test_a_place_that_is_gone_is_made_again(caplog: pytest.LogCaptureFixture) -> None:
    """A queue that was deleted without a word is declared and received from again."""
    faults = Faults()
    async with connect("gone", faults) as transport, transport.subscribe(ORDERS) as deliveries:
        faults.deafen(ORDERS)
        await asyncio.sleep(0)
        assert broker("gone").delete(ORDERS) == 0
        with caplog.at_level(logging.WARNING, "bedplate"):
            await asyncio.sleep(81.0)
        await transport.publish(ORDERS, Message(b"x"))
        assert (await anext(deliveries)).body == b"x"
        assert deaf(transport) == 1
    assert "is gone, and the broker did not say so" in caplog.text


async def test_one_of_two_on_one_topic_is_missed() -> None:
    """Fewer consumers than there are here is noticed as well; both are taken again."""
    faults = Faults()
    async with (
        connect("pair", faults) as transport,
        transport.subscribe(ORDERS),
        transport.subscribe(ORDERS),
    ):
        faults.links[1].inlets[0].deafen()
        await asyncio.sleep(81.0)
        assert [each.live for each in transport.statistics().consumers] == [True, True]
        assert broker("pair").entities()[0].consumers == 2
        await asyncio.sleep(600.0)
        assert deaf(transport) == 2


async def test_an_unfinished_delivery_comes_again() -> None:
    """What was at work when its consumer was forgotten goes on, and its repeat is dropped."""
    faults = Faults()
    async with connect("work", faults) as transport, transport.subscribe(ORDERS) as deliveries:
        await transport.publish(ORDERS, Message(b"x", id="1"))
        delivery = await anext(deliveries)
        faults.deafen(ORDERS)
        await asyncio.sleep(70.0)
        await delivery.ack()
        await transport.publish(ORDERS, Message(b"y", id="2"))
        assert (await anext(deliveries)).body == b"y"
        assert transport.statistics().duplicates == 1


async def test_the_private_address_is_looked_after(caplog: pytest.LogCaptureFixture) -> None:
    """A client whose reply path died in silence hears so, and its next call is answered."""
    faults = Faults()

    async with (
        Transport.connect("memory://private/") as there,
        connect("private", faults) as here,
        rpc.serve(there, Stock(), topic="stock"),
    ):
        client = rpc.Client(here, topic="stock", timeout=600)
        assert await client.call("count") == 7
        for inlet in faults.links[0].inlets:
            assert inlet.address.kind is Kind.PRIVATE
            inlet.deafen()
        with caplog.at_level(logging.WARNING, "bedplate"), pytest.raises(ReplyPathLost):
            await client.call("count", after=3.0)
        assert await client.call("count") == 7
        assert deaf(here) == 1
    assert "The private address: the broker knows no consumer here" in caplog.text


async def test_what_is_well_is_left_alone() -> None:
    """Hours of looks interrupt nobody: topics, groups, servers, fanouts, private addresses."""
    faults = Faults()
    kinds = (ORDERS, Address.server("orders", "h1"), Address.fanout("orders"))
    async with connect("well", faults) as transport:
        for address in kinds:
            await transport.consume(Source(address), _ignore, credit=1)
            await transport.consume(Source(address, ack=False), _ignore, credit=1)
        await transport.consume(Source(ORDERS, "audit"), _ignore, credit=1)
        async with rpc.serve(transport, Stock(), topic="stock"):
            assert await rpc.Client(transport, topic="stock").call("count") == 7
            await asyncio.sleep(6 * 3600.0)
            assert deaf(transport) == 0
            assert {each.epoch for each in transport.statistics().consumers} == {1}


async def test_one_look_is_no_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that once says nobody is there, as busy ones do, interrupts nobody."""
    looks = 0
    declare = FaultyLink.declare

    async def unsure(
        self: FaultyLink, topology: Topology, *, look: bool = False
    ) -> tuple[Standing, ...]:
        nonlocal looks
        standings = await declare(self, topology, look=look)
        if not look:
            return standings
        looks += 1
        return (Standing(True, 0, 0),) if looks % 2 else standings  # noqa: FBT003 - the fields stand in the class

    monkeypatch.setattr(FaultyLink, "declare", unsure)
    async with connect("unsure", Faults()) as transport, transport.subscribe(ORDERS):
        await asyncio.sleep(3600.0)
        assert looks > 60
        assert deaf(transport) == 0


async def test_no_progress_is_deafness_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages that wait while the receiver is free mean, after five minutes, that it is deaf."""
    declare, waiting = FaultyLink.declare, [3]

    async def piling(
        self: FaultyLink, topology: Topology, *, look: bool = False
    ) -> tuple[Standing, ...]:
        standings = await declare(self, topology, look=look)
        return (Standing(True, waiting[0], 1),) if look else standings  # noqa: FBT003 - the fields stand in the class

    monkeypatch.setattr(FaultyLink, "declare", piling)
    async with connect("stalled", Faults()) as transport, transport.subscribe(ORDERS) as orders:
        for _ in range(6):  # slow, and not deaf: something comes within five minutes
            await asyncio.sleep(200.0)
            await transport.publish(ORDERS, Message(b"x"))
            await (await anext(orders)).ack()
        assert deaf(transport) == 0
        await asyncio.sleep(75.0 + 300.0 + 75.0)
        assert deaf(transport) == 1
        waiting[0] = 0
        await asyncio.sleep(3600.0)
        assert deaf(transport) == 1


async def test_a_receiver_at_work_is_not_idle() -> None:
    """While it has something in hand, what waits for it proves nothing."""
    faults = Faults()
    async with connect("busy", faults) as transport:
        busy = transport.subscribe(ORDERS, credit=1)
        async with busy as deliveries:
            for _ in range(3):
                await transport.publish(ORDERS, Message(b"x"))
            delivery = await anext(deliveries)
            await asyncio.sleep(3600.0)
            assert deaf(transport) == 0
            await delivery.ack()


async def test_looking_can_be_switched_off() -> None:
    """With 0 nobody looks; a forgotten consumer stays deaf."""
    faults = Faults()
    policy = TransportPolicy(recovery=RECOVERY, look_every=0)
    async with connect("off", faults, policy) as transport, transport.subscribe(ORDERS):
        faults.deafen(ORDERS)
        await asyncio.sleep(3600.0)
        assert deaf(transport) == 0
        assert transport.statistics().timers == 0


async def test_a_silent_broker_holds_nobody() -> None:
    """A look without an answer is given up, later ones go on, and closing waits for none."""
    faults = Faults()
    async with connect("silent", faults) as transport, transport.subscribe(ORDERS):
        faults.freeze()
        await asyncio.sleep(600.0)
        faults.thaw()
        faults.deafen(ORDERS)
        await asyncio.sleep(120.0)
        assert deaf(transport) == 1
        faults.freeze()
        await asyncio.sleep(76.0)


def _ignore(deliveries: list[Delivery]) -> None:
    """Receive and do nothing."""
