import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import NamedTuple
from uuid import uuid4

import pytest

from bedplate.errors import ConnectFailed, LinkLost, Unsupported
from bedplate.messaging.driver import Link
from bedplate.messaging.drivers.memory import MemoryDriver, MemoryOptions
from bedplate.messaging.types import (
    Address,
    Entity,
    InletLost,
    Outbound,
    Outcome,
    Settle,
    Settlement,
    Source,
    Topology,
    Want,
)
from bedplate.messaging.url import TransportUrl
from bedplate.testing.contracts._workbench import Basket, Ear, Peer
from bedplate.testing.faulty import Faults, faulty

TOPIC = Address.topic("t")


async def connect(faults: Faults, name: str) -> Peer:
    ear = Ear(60.0)
    driver = faulty(MemoryDriver(), faults)
    link = await driver.connect(TransportUrl(f"memory://{name}/"), MemoryOptions(), ear)
    return Peer(link, ear, 60.0)


class Scene(NamedTuple):
    """A sound server, its basket, and a client whose link has faults."""

    basket: Basket
    client: Peer
    faults: Faults


@contextlib.asynccontextmanager
async def scene(faults: Faults | None = None) -> AsyncIterator[Scene]:
    faults = faults or Faults()
    name = uuid4().hex
    server, client = await connect(Faults(), name), await connect(faults, name)
    yield Scene(await server.take(TOPIC), client, faults)
    await client.link.aclose()
    await server.link.aclose()
    assert client.strangers() == server.strangers() == []


def send(client: Peer, *bodies: bytes) -> None:
    for body in bodies:
        client.send(TOPIC, body)


async def test_the_third_send_is_lost() -> None:
    """``drop(nth=3)`` loses one message, counted from when it was said."""
    async with scene() as (basket, client, faults):
        send(client, b"before")
        faults.sending.drop(nth=3)
        send(client, b"1", b"2", b"3", b"4", b"5", b"6")
        await basket.count(6)
        assert basket.bodies == [b"before", b"1", b"2", b"4", b"5", b"6"]


async def test_a_lost_message_is_never_confirmed() -> None:
    """The receipt of a dropped message waits until the link dies, and then is UNKNOWN."""
    async with scene() as (_, client, faults):
        faults.sending.drop(nth=1)
        lost, kept = client.accept(TOPIC, b"lost"), client.accept(TOPIC, b"kept")
        assert await kept is Outcome.ACCEPTED
        await asyncio.sleep(600.0)
        assert not lost.done()
        faults.cut()
        assert await lost is Outcome.UNKNOWN


async def test_a_delayed_message_is_overtaken() -> None:
    """``delay`` keeps one message back for its time; others pass it."""
    async with scene() as (basket, client, faults):
        loop = asyncio.get_running_loop()
        faults.sending.delay(2.0, where=lambda message: message.body == b"slow")
        before = loop.time()
        send(client, b"slow", b"quick")
        await basket.count(1)
        assert loop.time() == before
        await basket.count(2)
        assert loop.time() == pytest.approx(before + 2.0)
        assert basket.bodies == [b"quick", b"slow"]


async def test_equal_delays_keep_the_order() -> None:
    """Messages that are all late by the same time arrive in the order they were sent."""
    async with scene() as (basket, client, faults):
        faults.sending.delay(1.0)
        sent = [b"%d" % number for number in range(50)]
        send(client, *sent)
        await basket.count(50)
        assert basket.bodies == sent


async def test_a_delayed_message_is_confirmed_late() -> None:
    """The receipt of a delayed message is answered when the message has really been sent."""
    async with scene() as (_, client, faults):
        loop = asyncio.get_running_loop()
        faults.sending.delay(5.0)
        before = loop.time()
        assert await client.accept(TOPIC, b"") is Outcome.ACCEPTED
        assert loop.time() == pytest.approx(before + 5.0)


async def test_a_message_is_repeated_under_its_id() -> None:
    """``repeat`` sends again what was sent, with the same id, as an unsure sender does."""
    async with scene() as (basket, client, faults):
        faults.sending.repeat(2, nth=1)
        send(client, b"thrice", b"once")
        arrivals = await basket.count(4)
        assert basket.bodies == [b"thrice"] * 3 + [b"once"]
        assert len({each.id for each in arrivals[:3]}) == 1


async def test_arrivals_are_not_repeated() -> None:
    """Two deliveries of one sending are the sending lane's business, and asking here says so."""
    with pytest.raises(ValueError, match="repeating what is sent"):
        Faults().arriving.repeat()


async def test_the_link_is_cut_after_the_second_send() -> None:
    """``cut(nth=2)`` lets two messages pass; the third raises, and ``lost`` is told."""
    async with scene() as (basket, client, faults):
        faults.sending.cut(nth=2)
        send(client, b"1", b"2")
        with pytest.raises(LinkLost):
            send(client, b"3")
        await client.lost()
        await basket.count(2)
        assert basket.bodies == [b"1", b"2"]
        assert faults.links == ()


async def test_chances_repeat_with_their_seed() -> None:
    """The same seed loses the same messages; another seed loses others."""

    async def survivors(seed: int) -> list[bytes]:
        async with scene(Faults(seed=seed)) as (basket, client, faults):
            faults.sending.drop(chance=0.5)
            send(client, *[b"%d" % number for number in range(40)])
            faults.sending.clear()
            send(client, b"end")
            await basket.until(lambda: b"end" in basket.bodies, "the end")
            return basket.bodies

    first = await survivors(1)
    assert await survivors(1) == first
    assert await survivors(2) != first
    assert 5 < len(first) < 36


async def test_a_lost_arrival_costs_no_credit_and_comes_again() -> None:
    """A dropped arrival leaves room for the next, and is redelivered when the inlet closes."""
    async with scene() as (_, client, faults):
        other = Address.topic("other")
        basket = await client.take(Source(other), credit=2)
        faults.arriving.drop(nth=1)
        for body in (b"1", b"2", b"3"):
            client.send(other, body)
        await basket.count(2)
        assert basket.bodies == [b"2", b"3"]
        basket.settle(basket.arrivals[0], Settlement.ACK)
        basket.settle(basket.arrivals[1], Settlement.ACK)
        await basket.aclose()
        again = await client.take(Source(other))
        await again.count(1)
        assert again.bodies == [b"1"]
        assert again.arrivals[0].redelivered is True


async def test_an_arrival_may_be_late() -> None:
    """A delayed arrival comes after its time, and not at all once the inlet is closed."""
    async with scene() as (_, client, faults):
        loop = asyncio.get_running_loop()
        other = Address.topic("other")
        basket = await client.take(Source(other))
        faults.arriving.delay(2.0)
        before = loop.time()
        client.send(other, b"1")
        await basket.count(1)
        assert loop.time() == pytest.approx(before + 2.0)
        client.send(other, b"2")
        await asyncio.sleep(1.0)
        await basket.aclose()
        await asyncio.sleep(5.0)
        assert basket.bodies == [b"1"]


async def test_an_arrival_may_be_the_last() -> None:
    """``arriving.cut`` ends the link after an arrival that was still handed over."""
    async with scene() as (_, client, faults):
        other = Address.topic("other")
        basket = await client.take(other)
        faults.arriving.cut(where=lambda arrival: arrival.body == b"2")
        client.send(other, b"1")
        client.send(other, b"2")
        assert await basket.end() is InletLost.LINK
        assert basket.bodies == [b"1", b"2"]


async def test_nothing_passes_a_black_hole() -> None:
    """Frozen, nothing is heard either way and nothing raises; thawed, all comes in order."""
    async with scene() as (basket, client, faults):
        other = Address.topic("other")
        mine = await client.take(Source(other))
        client.send(other, b"seen")
        (seen,) = await mine.count(1)
        faults.freeze()
        assert faults.frozen
        send(client, b"1")
        receipt = client.accept(TOPIC, b"2")
        mine.settle(seen, Settlement.ACK)
        mine.grant(5)
        looking = asyncio.create_task(client.declare(Entity(TOPIC), look=True))
        await asyncio.sleep(3600.0)
        assert basket.arrivals == []
        assert not receipt.done()
        assert not looking.done()
        assert client.ear.losses == []
        faults.thaw()
        assert await receipt is Outcome.ACCEPTED
        await basket.count(2)
        assert basket.bodies == [b"1", b"2"]
        assert (await looking)[0].exists
        await mine.aclose()
        again = await client.take(Source(other))
        await asyncio.sleep(1.0)
        assert again.arrivals == []


async def test_arrivals_wait_in_a_black_hole() -> None:
    """What the broker delivers or returns while frozen is handed over after the thaw."""
    faults, name, other = Faults(), uuid4().hex, Address.topic("other")
    client, server = await connect(faults, name), await connect(Faults(), name)
    basket = await client.take(other)
    client.send(Address.topic("nowhere"), b"", Want.BOUNCE)
    faults.freeze()
    server.send(other, b"1")
    server.send(other, b"2")
    await asyncio.sleep(5.0)
    assert basket.arrivals == []
    assert client.ear.bounces == []
    faults.thaw()
    await basket.count(2)
    assert basket.bodies == [b"1", b"2"]
    await client.ear.until(lambda: bool(client.ear.bounces), "the bounce")
    await client.link.aclose()
    await server.link.aclose()


async def test_what_is_asked_of_a_frozen_link_can_be_given_up() -> None:
    """Whoever waits at a frozen link may cancel, and the link works after the thaw."""
    async with scene() as (_, client, faults):
        faults.freeze()
        for work in (client.declare(Entity(TOPIC)), client.take(TOPIC)):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1.0):
                    await work
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0):
                await client.link.private_address()
        faults.thaw()
        assert (await client.link.private_address()).name


async def test_a_frozen_link_still_refuses_what_it_does_not_offer() -> None:
    """Unsupported does not wait for a thaw."""
    async with scene() as (_, client, faults):
        other = Address.topic("other")
        basket = await client.take(Source(other))
        client.send(other, b"")
        (arrival,) = await basket.count(1)
        faults.freeze()
        assert basket.inlet is not None
        with pytest.raises(Unsupported):
            basket.inlet.settle(arrival.tag, Settle(Settlement.EXTEND))
        faults.thaw()


async def test_a_frozen_link_can_be_closed() -> None:
    """Closing works without a network: what waited is lost, its receipts are UNKNOWN."""
    async with scene() as (basket, client, faults):
        faults.freeze()
        receipt = client.accept(TOPIC, b"x")
        taking = asyncio.create_task(client.take(TOPIC))
        await asyncio.sleep(0)
        await client.link.aclose()
        assert await receipt is Outcome.UNKNOWN
        with pytest.raises(LinkLost):
            await taking
        assert len(client.ear.losses) == 1
        assert basket.arrivals == []


async def test_links_can_be_refused() -> None:
    """While refusing, connecting raises ConnectFailed; links that are up stay up."""
    async with scene() as (basket, client, faults):
        faults.refuse("it is raining.")
        with pytest.raises(ConnectFailed, match="raining"):
            await connect(faults, "elsewhere")
        send(client, b"still here")
        await basket.count(1)
        faults.accept()
        other = await connect(faults, "elsewhere")
        assert len(faults.links) == 2
        await other.link.aclose()
        assert len(faults.links) == 1


async def test_connecting_into_a_black_hole_waits() -> None:
    """A frozen broker answers no connection attempt; the caller gives up by itself."""
    faults = Faults()
    faults.freeze()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(3.0):
            await connect(faults, "silent")
    faults.thaw()
    peer = await connect(faults, "silent")
    await peer.link.aclose()


async def test_a_cut_link_gives_back_at_the_broker() -> None:
    """The link inside ends with the one outside: what was unsettled goes to others."""
    async with scene() as (_, client, faults):
        other, name = Address.topic("other"), uuid4().hex
        one, two = await connect(faults, name), await connect(Faults(), name)
        mine = await one.take(Source(other))
        two.send(other, b"x")
        await mine.count(1)
        theirs = await two.take(Source(other))
        faults.cut(one.link)
        await theirs.count(1)
        assert theirs.arrivals[0].redelivered is True
        assert client.ear.losses == []
        await one.link.aclose()
        await two.link.aclose()


async def test_an_impossible_plan_is_refused() -> None:
    """Counting from zero and chances beyond one are mistakes, and told at once."""
    faults = Faults()
    with pytest.raises(ValueError, match="counts from 1"):
        faults.sending.drop(nth=0)
    with pytest.raises(ValueError, match="0 to 1"):
        faults.sending.drop(chance=1.5)


async def test_the_link_inside_may_die_by_itself() -> None:
    """When the link inside is lost the one outside is, once, with the same reason."""
    async with scene() as (_, client, faults):
        inside: Link = client.link._inside  # type: ignore[attr-defined]  # to break what is inside
        receipt = client.accept(TOPIC, b"")
        await inside.aclose()
        why = await client.lost()
        assert isinstance(why, LinkLost)
        assert receipt.done()
        with pytest.raises(LinkLost):
            await client.link.declare(Topology(()))
        assert faults.links == ()
        with pytest.raises(LinkLost):
            client.post(Outbound(TOPIC, b"", "1"))
