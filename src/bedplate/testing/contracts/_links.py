"""The part of the driver suite about links: opening, declaring, dying, and telling the truth."""

import asyncio
import contextlib
from collections.abc import Coroutine

import pytest

from bedplate.config import Section
from bedplate.errors import ConnectFailed, LinkLost, TopologyMismatch, TransportError, Unsupported
from bedplate.messaging.driver import CONTRACT, Maturity
from bedplate.messaging.types import (
    Address,
    Bounce,
    Capabilities,
    Entity,
    InletLost,
    Outcome,
    Settle,
    Settlement,
    Source,
    Standing,
    Support,
    Topology,
    Want,
)
from bedplate.messaging.url import TransportUrl
from bedplate.testing.contracts._workbench import Ear, Workbench

__all__ = ["LinkContract"]


class LinkContract(Workbench):
    """What the transport may count on."""

    # --- opening --------------------------------------------------------------------------------

    async def test_nobody_there_is_connect_failed(self) -> None:
        """A broker that does not answer is ConnectFailed, retryable, and shows no password."""
        assert self.canary in TransportUrl(self.refused_url()).url.reveal(), "see refused_url()"
        ear = Ear(self.patience)
        with pytest.raises(ConnectFailed) as caught:
            await self.driver().connect(TransportUrl(self.refused_url()), self.options(), ear)
        assert caught.value.retryable
        error: BaseException | None = caught.value
        while error is not None:
            assert self.canary not in f"{error} {error!r}"
            error = error.__cause__ or error.__context__
        assert ear.losses == [], "a link that never was is not lost"

    async def test_a_driver_says_what_it_is(self) -> None:
        """Contract version, name, settings, status and a native dialect are there."""
        driver = self.driver()
        assert driver.contract == CONTRACT
        assert driver.name
        assert issubclass(driver.options, Section)
        assert driver.status.maturity in Maturity
        assert "native" in driver.dialects

    async def test_a_link_offers_no_more_than_its_driver(self) -> None:
        """What a peer grants is a part of what the driver claims."""
        driver = self.driver()
        async with self.peer() as client:
            for name in Capabilities.__struct_fields__:
                claimed, granted = getattr(driver.offers, name), getattr(client.link.offers, name)
                if isinstance(claimed, Support):
                    assert granted in (claimed, Support.NO), name
                else:
                    assert granted <= claimed, name

    async def test_names_of_different_addresses_differ(self) -> None:
        """A dialect gives each address, and each group, a name of its own, the same each time."""
        naming = self.driver().dialects["native"]
        assert naming.envelope == "native"
        places: list[tuple[Address, str | None]] = [
            (Address.topic("a"), None),
            (Address.topic("a"), "g"),
            (Address.topic("a"), "h"),
            (Address.topic("b"), None),
            (Address.topic("a", exchange="b"), None),
            (Address.topic("b", exchange="a"), None),
            (Address.server("a", "b"), None),
            (Address.server("a", "c"), None),
            (Address.server("b", "a"), None),
            (Address.topic("a/b"), None),
            (Address.topic("a.b"), None),
            (Address.topic("a@g"), None),
            (Address.topic("a%2Fb"), None),
            (Address.server("a", "*"), None),
        ]
        names = [naming.queue(address, group) for address, group in places]
        assert len(set(names)) == len(places)
        assert names == [naming.queue(address, group) for address, group in places]

    async def test_two_links_live_side_by_side(self) -> None:
        """Cutting one link leaves another of the same driver alone."""
        topic = self.topic()
        async with self.peer() as one, self.peer() as two:
            basket = await two.take(topic)
            await self.cut(one.link)
            await one.lost()
            two.send(topic, b"x")
            await basket.count(1)
            assert two.ear.losses == []

    # --- declaring ------------------------------------------------------------------------------

    async def test_declaring_again_changes_nothing(self) -> None:
        """``declare`` is idempotent and answers one standing each, in order."""
        topic, server = self.topic(), self.topic()
        entities = (Entity(topic), Entity(Address.server(server.name, "h")))
        async with self.peer() as client:
            first = await client.declare(*entities)
            assert [each.exists for each in first] == [True, True]
            client.send(topic, b"kept")
            second = await client.declare(*entities)
            assert [each.exists for each in second] == [True, True]
            basket = await client.take(topic)
            await basket.count(1)

    async def test_declaring_nothing_is_nothing(self) -> None:
        """An empty topology is declared at once."""
        async with self.peer() as client:
            assert await client.declare() == ()

    async def test_a_look_tells_and_creates_nothing(self) -> None:
        """``look`` says what exists, waits and listens, and leaves no trace."""
        topic, nowhere = self.topic(), self.topic()
        async with self.peer() as client:
            if client.lacks("look"):
                with pytest.raises(Unsupported):
                    await client.declare(Entity(topic), look=True)
                return
            for _ in range(2):
                (standing,) = await client.declare(Entity(nowhere), look=True)
                assert standing.exists is False
            await client.declare(Entity(topic))
            client.send(topic, b"1")
            client.send(topic, b"2")
            await self.stay_quiet()
            assert await client.declare(Entity(topic), look=True) == (Standing(True, 2, 0),)  # noqa: FBT003 - the fields stand in the class
            basket = await client.take(topic)
            await basket.count(2)
            (standing,) = await client.declare(Entity(topic), look=True)
            assert (standing.exists, standing.consumers) == (True, 1)

    async def test_a_mismatch_is_told_and_breaks_nothing(self) -> None:
        """Declaring with other properties raises; the link and its inlets live on."""
        topic, other = self.topic(), self.topic()
        async with self.peer() as client:
            basket = await client.take(other)
            try:
                await client.declare(Entity(topic, limit=5))
            except Unsupported:
                return
            with pytest.raises(TopologyMismatch) as caught:
                await client.declare(Entity(topic, limit=6))
            assert topic.name in str(caught.value)
            client.send(other, b"x")
            await basket.count(1)
            assert (await client.declare(Entity(topic, limit=5)))[0].exists
            assert client.ear.losses == []

    async def test_a_cancelled_declare_leaves_the_link_usable(self) -> None:
        """A caller that gives up a declaration can go on with the link."""
        topic = self.topic()
        async with self.peer() as client:
            await self._give_up(client.declare(Entity(self.topic())))
            assert (await client.declare(Entity(topic)))[0].exists
            basket = await client.take(topic)
            client.send(topic, b"x")
            await basket.count(1)

    async def test_a_cancelled_take_swallows_nothing(self) -> None:
        """What arrives at a topic whose taker gave up goes to the next one."""
        topic = self.topic()
        async with self.peer() as client:
            await client.declare(Entity(topic))
            await self._give_up(client.take(topic))
            basket = await client.take(topic)
            for number in range(4):
                client.send(topic, b"%d" % number)
            await basket.count(4)
            assert basket.bodies == [b"0", b"1", b"2", b"3"]

    # --- dying ----------------------------------------------------------------------------------

    async def test_an_idle_link_hears_of_its_end(self) -> None:
        """A link that does nothing hears ``lost`` when it is cut, once, and not again later."""
        async with self.peer() as client:
            await self.cut(client.link)
            assert isinstance(await client.lost(), TransportError)
            await client.link.aclose()
            await self.stay_quiet()
            assert len(client.ear.losses) == 1

    async def test_closing_ends_with_lost(self) -> None:
        """``aclose`` tells the inlets LINK, then ``lost``, once however often it is called."""
        async with self.peer() as client:
            basket = await client.take(self.topic())
            await asyncio.gather(client.link.aclose(), client.link.aclose())
            await client.link.aclose()
            await self.stay_quiet()
            assert basket.ends == [InletLost.LINK]
            assert len(client.ear.losses) == 1

    async def test_a_cut_ends_every_inlet(self) -> None:
        """All inlets of a link that is cut end with LINK, before ``lost`` is told."""
        async with self.peer() as client:
            baskets = [await client.take(self.topic()) for _ in range(3)]
            await self.cut(client.link)
            await client.lost()
            assert [basket.ends for basket in baskets] == [[InletLost.LINK]] * 3

    async def test_a_dead_link_refuses_everything(self) -> None:
        """After its end every method raises LinkLost; what is left of its inlets does no harm."""
        topic = self.topic()
        async with self.peer() as client:
            basket = await client.take(topic)
            client.send(topic, b"x")
            (arrival,) = await basket.count(1)
            await self.cut(client.link)
            await client.lost()
            for want in (Want.NOTHING, Want.BOUNCE, Want.ACCEPT):
                with pytest.raises(LinkLost):
                    client.send(topic, b"", want)
            with pytest.raises(LinkLost):
                await client.declare(Entity(topic))
            with pytest.raises(LinkLost):
                await client.link.declare(Topology((Entity(topic),)), look=True)
            with pytest.raises(LinkLost):
                await client.take(Source(topic, ack=False))
            with pytest.raises(LinkLost):
                await client.link.private_address()
            assert basket.inlet is not None
            basket.inlet.settle(arrival.tag, Settle(Settlement.ACK))
            basket.inlet.grant(1)
            await basket.aclose()
            await client.link.aclose()

    async def test_what_was_under_way_is_unknown(self) -> None:
        """Receipts of a link that is cut are all answered, and none claims more than is true."""
        topic = self.topic()
        async with self.peer() as witness:
            await witness.declare(Entity(topic))
            async with self.peer() as client:
                if client.lacks("accept"):
                    return
                receipts = [client.accept(topic, b"%d" % number) for number in range(50)]
                await self.cut(client.link)
                await client.lost()
                assert all(receipt.done() for receipt in receipts), "lost comes last"
                outcomes = [await receipt for receipt in receipts]
                assert set(outcomes) <= {Outcome.ACCEPTED, Outcome.UNKNOWN}
            basket = await witness.take(topic)
            accepted = {b"%d" % n for n, each in enumerate(outcomes) if each is Outcome.ACCEPTED}
            await self.stay_quiet()
            assert accepted <= set(basket.bodies)

    async def test_closing_flushes(self) -> None:
        """What was sent before ``aclose`` is at the broker after it."""
        topic = self.topic()
        async with self.peer() as witness:
            basket = await witness.take(topic)
            async with self.peer() as client:
                for number in range(20):
                    client.send(topic, b"%d" % number)
            await basket.count(20)

    async def test_a_pending_take_ends_with_the_link(self) -> None:
        """Whoever waits for the broker when the link dies hears LinkLost and does not hang."""
        async with self.peer() as client:
            pending = asyncio.create_task(client.take(self.topic()))
            await asyncio.sleep(0)
            await self.cut(client.link)
            async with asyncio.timeout(self.patience):
                # A quick broker may have answered before it was cut.
                with contextlib.suppress(LinkLost):
                    await pending
            await client.lost()

    async def test_a_private_address_vanishes_with_its_link(self) -> None:
        """What is sent to a link that is gone reaches nobody, and the sender can hear so."""
        async with self.peer() as client:
            if client.lacks("private"):
                return
            async with self.peer() as gone:
                address = await gone.link.private_address()
                await gone.take(Source(address, ack=False))
            if client.lacks("bounce"):
                return
            name = client.send(address, b"too late", Want.BOUNCE)
            await client.ear.until(lambda: bool(client.ear.bounces), "a bounce")
            assert client.ear.bounces == [(name, Bounce.NO_ROUTE)]

    async def _give_up(self, work: Coroutine[object, None, object]) -> None:
        task = asyncio.create_task(work)
        await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
