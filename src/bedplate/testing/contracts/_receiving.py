"""The part of the driver suite about receiving: who gets what, credit, settling, redelivery."""

import asyncio
from uuid import uuid4

import pytest

from bedplate.errors import Unsupported
from bedplate.messaging.types import (
    Address,
    Arrival,
    Entity,
    InletLost,
    Outbound,
    Settle,
    Settlement,
    Source,
    Start,
)
from bedplate.testing.contracts._workbench import ACK, Basket, Peer, Workbench

__all__ = ["ReceivingContract"]


class ReceivingContract(Workbench):
    """What a receiver may count on."""

    # --- who gets what --------------------------------------------------------------------------

    async def test_those_on_one_topic_share_its_messages(self) -> None:
        """Each message goes to one of them, and none of them gets all."""
        topic = self.topic()
        async with self.peer() as one, self.peer() as two, self.peer() as client:
            here, there = await one.take(topic), await two.take(topic)
            sent = [b"%d" % number for number in range(100)]
            for body in sent:
                client.send(topic, body)
            await here.until(lambda: len(here.arrivals) > 0, "a share")
            await there.until(lambda: len(there.arrivals) > 0, "a share")
            await self._all_of([here, there], 100)
            assert sorted(here.bodies + there.bodies) == sorted(sent)

    async def test_each_group_gets_a_copy(self) -> None:
        """Within a group messages are shared, between groups they are copied."""
        topic = self.topic()
        async with self.peer() as one, self.peer() as two:
            red, blue = Source(topic, group="red"), Source(topic, group="blue")
            if one.lacks("groups"):
                with pytest.raises(Unsupported):
                    await one.take(red)
                return
            reds = [await one.take(red), await two.take(red)]
            blues = [await one.take(blue)]
            sent = [b"%d" % number for number in range(20)]
            for body in sent:
                two.send(topic, body)
            await self._all_of(reds, 20)
            await self._all_of(blues, 20)
            await self.stay_quiet()
            assert sorted(body for basket in reds for body in basket.bodies) == sorted(sent)
            assert blues[0].bodies == sent

    async def test_a_server_address_reaches_that_server(self) -> None:
        """Of two servers on a topic the one named gets the message."""
        topic = self.topic()
        async with self.peer() as one, self.peer() as two:
            first = await one.take(Address.server(topic.name, "h1"))
            second = await two.take(Address.server(topic.name, "h2"))
            two.send(Address.server(topic.name, "h1"), b"for h1")
            one.send(Address.server(topic.name, "h2"), b"for h2")
            await first.count(1)
            await second.count(1)
            await self.stay_quiet()
            assert (first.bodies, second.bodies) == ([b"for h1"], [b"for h2"])

    async def test_a_private_address_is_one_links_own(self) -> None:
        """It is the same each time, differs between links, and what goes there arrives there."""
        async with self.peer() as one, self.peer() as two:
            if one.lacks("private"):
                with pytest.raises(Unsupported):
                    await one.link.private_address()
                return
            address = await one.link.private_address()
            assert await one.link.private_address() == address
            assert await two.link.private_address() != address
            inbox = await one.take(Source(address, ack=False))
            two.send(address, b"hello")
            await inbox.count(1)
            assert inbox.bodies == [b"hello"]

    async def test_messages_of_one_key_keep_their_order(self) -> None:
        """Where order by key is claimed, receivers that share never have one key at a time."""
        topic = self.topic()
        async with self.peer() as one, self.peer() as two, self.peer() as client:
            baskets = [await one.take(topic), await two.take(topic)]
            for number in range(40):
                message = Outbound(topic, b"%d" % number, uuid4().hex, key=f"k{number % 4}")
                client.post(message)
            await self._all_of(baskets, 40)
            if client.lacks("key_order"):
                return
            for key in ("k0", "k1", "k2", "k3"):
                shares = [
                    [int(each.body) for each in basket.arrivals if each.key == key]
                    for basket in baskets
                ]
                whole = max(shares, key=len)
                assert len(whole) == 10, f"{key} was shared: {shares}"
                assert whole == sorted(whole)

    async def test_a_new_group_begins_where_it_is_told(self) -> None:
        """EARLIEST reads what was there before the group was, where it is claimed."""
        topic = self.topic()
        async with self.peer() as client:
            first = await client.take(topic)
            client.send(topic, b"old")
            await first.count(1)
            source = Source(topic, group="new", start=Start.EARLIEST)
            if client.lacks("earliest"):
                with pytest.raises(Unsupported):
                    await client.take(source)
                return
            basket = await client.take(source)
            await basket.count(1)
            assert basket.bodies == [b"old"]

    async def test_lanes_are_a_choice_where_there_are_lanes(self) -> None:
        """Taking from named lanes works where it is claimed, and raises where not."""
        topic = self.topic()
        async with self.peer() as client:
            source = Source(topic, lanes=frozenset({0}))
            if client.lacks("lanes"):
                with pytest.raises(Unsupported):
                    await client.take(source)
                return
            basket = await client.take(source)
            for number in range(20):
                client.post(Outbound(topic, b"", uuid4().hex, key=str(number)))
            await basket.until(lambda: bool(basket.arrivals), "something on lane 0")
            assert {each.lane for each in basket.arrivals} == {0}

    # --- credit ---------------------------------------------------------------------------------

    async def test_credit_is_never_exceeded(self) -> None:
        """No more arrives than was granted, in however many steps; the rest waits in order."""
        topic = self.topic()
        async with self.peer() as server, self.peer() as client:
            basket = await server.take(topic, credit=3)
            for number in range(10):
                client.send(topic, b"%d" % number)
            await basket.count(3)
            await self.stay_quiet()
            assert len(basket.arrivals) == 3
            basket.grant(2)
            await basket.count(5)
            await self.stay_quiet()
            assert len(basket.arrivals) == 5
            basket.grant(100)
            await basket.count(10)
            assert basket.bodies == [b"%d" % number for number in range(10)]

    async def test_without_credit_nothing_arrives(self) -> None:
        """An inlet opened without credit is silent until the first grant."""
        topic = self.topic()
        async with self.peer() as client:
            basket = await client.take(topic, credit=0)
            client.send(topic, b"x")
            await self.stay_quiet()
            assert basket.arrivals == []
            basket.grant(1)
            await basket.count(1)

    async def test_settling_alone_opens_no_credit(self) -> None:
        """Acknowledging a delivery gives back no credit; only ``grant`` does."""
        topic = self.topic()
        async with self.peer() as client:
            if client.lacks("ack"):
                return
            basket = await client.take(Source(topic), credit=1)
            client.send(topic, b"1")
            client.send(topic, b"2")
            (first,) = await basket.count(1)
            basket.settle(first, Settlement.ACK)
            await self.stay_quiet()
            assert basket.bodies == [b"1"]
            basket.grant(1)
            await basket.count(2)

    # --- settling -------------------------------------------------------------------------------

    async def test_what_was_acknowledged_does_not_come_again(self) -> None:
        """ACK is final: who comes next gets only the rest, marked as redelivered."""
        topic = self.topic()
        async with self.peer() as client:
            if client.lacks("ack"):
                with pytest.raises(Unsupported):
                    await client.take(Source(topic, ack=True))
                return
            basket = await self._with_one_of_each(client, topic)
            basket.settle(basket.arrivals[0], Settlement.ACK)
            basket.settle(basket.arrivals[2], Settlement.ACK)
            await basket.aclose()
            again = await client.take(Source(topic))
            await again.count(1)
            await self.stay_quiet()
            assert again.bodies == [b"1"]
            assert again.arrivals[0].redelivered is True

    async def test_without_acks_a_message_is_handed_over_once(self) -> None:
        """A source without acks forgets what it handed over; settling does no harm."""
        topic = self.topic()
        async with self.peer() as client:
            basket = await client.take(Source(topic, ack=False))
            client.send(topic, b"x")
            await basket.count(1)
            basket.settle(basket.arrivals[0], Settlement.ACK)
            await basket.aclose()
            again = await client.take(Source(topic, ack=False))
            await self.stay_quiet()
            assert again.arrivals == []

    async def test_a_retry_comes_again_and_says_so(self) -> None:
        """RETRY delivers again, as redelivered and, where attempts are counted, as the second."""
        topic = self.topic()
        async with self.peer() as client:
            if client.lacks("ack"):
                return
            basket = await client.take(Source(topic))
            client.send(topic, b"x")
            (first,) = await basket.count(1)
            assert first.redelivered is False
            self._check_attempts(client, first, 1)
            if client.lacks("retry"):
                with pytest.raises(Unsupported):
                    basket.settle(first, Settlement.RETRY)
                return
            basket.settle(first, Settlement.RETRY)
            await basket.count(2)
            second = basket.arrivals[1]
            assert second.body == b"x"
            assert second.redelivered is True
            assert second.tag != first.tag
            self._check_attempts(client, second, 2)
            basket.settle(second, Settlement.ACK)
            await self.stay_quiet()
            assert len(basket.arrivals) == 2

    async def test_a_delayed_retry_comes_after_its_delay(self) -> None:
        """RETRY with a delay holds the message back that long, and others pass it meanwhile."""
        topic = self.topic()
        loop = asyncio.get_running_loop()
        async with self.peer() as client:
            if client.lacks("ack"):
                return
            basket = await client.take(Source(topic))
            client.send(topic, b"late")
            (first,) = await basket.count(1)
            if client.lacks("delay"):
                with pytest.raises(Unsupported):
                    basket.settle(first, Settlement.RETRY, 1.0)
                return
            before = loop.time()
            basket.settle(first, Settlement.RETRY, 1.0)
            client.send(topic, b"soon")
            await basket.count(2)
            assert loop.time() - before < 0.9
            await basket.count(3)
            assert loop.time() - before >= 0.95
            assert basket.bodies == [b"late", b"soon", b"late"]
            assert basket.arrivals[2].redelivered is True

    async def test_a_rejected_message_is_gone(self) -> None:
        """REJECT is final: nobody gets the message again."""
        topic = self.topic()
        async with self.peer() as client:
            if client.lacks("ack"):
                return
            basket = await client.take(Source(topic))
            client.send(topic, b"bad")
            (first,) = await basket.count(1)
            if client.lacks("reject"):
                with pytest.raises(Unsupported):
                    basket.settle(first, Settlement.REJECT)
                return
            basket.settle(first, Settlement.REJECT)
            await basket.aclose()
            again = await client.take(Source(topic))
            await self.stay_quiet()
            assert again.arrivals == []

    async def test_more_time_can_be_asked_for_where_it_is_claimed(self) -> None:
        """EXTEND does not settle: the delivery can be acknowledged afterwards."""
        topic = self.topic()
        async with self.peer() as client:
            if client.lacks("ack"):
                return
            basket = await client.take(Source(topic))
            client.send(topic, b"x")
            (first,) = await basket.count(1)
            if client.lacks("extend"):
                with pytest.raises(Unsupported):
                    basket.settle(first, Settlement.EXTEND)
            else:
                basket.settle(first, Settlement.EXTEND)
            basket.settle(first, Settlement.ACK)
            await basket.aclose()
            again = await client.take(Source(topic))
            await self.stay_quiet()
            assert again.arrivals == []

    async def test_tags_nobody_knows_are_ignored(self) -> None:
        """Settling an unknown tag, or one twice, changes nothing and breaks nothing."""
        topic = self.topic()
        async with self.peer() as client:
            if client.lacks("ack"):
                return
            basket = await client.take(Source(topic))
            client.send(topic, b"1")
            (first,) = await basket.count(1)
            assert basket.inlet is not None
            basket.inlet.settle(first.tag + 1_000_000, ACK)
            basket.settle(first, Settlement.ACK)
            basket.inlet.settle(first.tag, Settle(Settlement.ACK))
            client.send(topic, b"2")
            await basket.count(2)
            assert client.ear.losses == []

    # --- redelivery and ends --------------------------------------------------------------------

    async def test_a_closed_inlet_gives_back_what_is_unsettled(self) -> None:
        """What an inlet had not settled goes to the next, in order and marked."""
        topic = self.topic()
        async with self.peer() as one, self.peer() as two:
            if one.lacks("ack"):
                return
            basket = await self._with_one_of_each(one, topic)
            await basket.aclose()
            again = await two.take(Source(topic))
            await again.count(3)
            assert again.bodies == [b"0", b"1", b"2"]
            assert all(each.redelivered for each in again.arrivals)
            for arrival in again.arrivals:
                self._check_attempts(two, arrival, 2)

    async def test_a_dead_link_gives_back_what_is_unsettled(self) -> None:
        """What a link had not settled when it was cut goes to another, marked."""
        topic = self.topic()
        async with self.peer() as two:
            if two.lacks("ack"):
                return
            async with self.peer() as one:
                basket = await self._with_one_of_each(one, topic)
                again = await two.take(Source(topic))
                await self.cut(one.link)
                await again.count(3)
                assert await basket.end() is InletLost.LINK
            assert again.bodies == [b"0", b"1", b"2"]
            assert all(each.redelivered for each in again.arrivals)

    async def test_an_inlet_that_closes_ends_once_and_falls_silent(self) -> None:
        """``aclose`` tells CLOSED, once, and nothing arrives after; closing again is nothing."""
        topic = self.topic()
        async with self.peer() as client:
            basket = await client.take(topic)
            await basket.aclose()
            assert basket.ends == [InletLost.CLOSED]
            await basket.aclose()
            client.send(topic, b"x")
            basket.grant(10)
            await self.stay_quiet()
            assert basket.ends == [InletLost.CLOSED]
            assert basket.arrivals == []

    async def test_inlets_of_one_link_are_independent(self) -> None:
        """Closing one inlet, or starving it, leaves the others running."""
        one, two, three = self.topic(), self.topic(), self.topic()
        async with self.peer() as client:
            closing = await client.take(one)
            starving = await client.take(two, credit=0)
            running = await client.take(three)
            client.send(two, b"waits")
            client.send(three, b"1")
            await running.count(1)
            await closing.aclose()
            client.send(three, b"2")
            await running.count(2)
            assert starving.arrivals == []
            assert starving.ends == []

    async def test_a_cancelled_consumer_hears_of_it(self) -> None:
        """An inlet the broker cancels ends with CANCELLED; the link and other inlets live on."""
        topic, other = self.topic(), self.topic()
        async with self.peer() as client:
            basket, untouched = await client.take(topic), await client.take(other)
            if not await self.cancel(topic):
                return
            assert await basket.end() is InletLost.CANCELLED
            client.send(other, b"x")
            await untouched.count(1)
            await basket.aclose()
            assert client.ear.losses == []

    async def test_a_declared_queue_keeps_messages_until_somebody_comes(self) -> None:
        """What is sent to a declared topic without receivers waits there."""
        topic = self.topic()
        async with self.peer() as client:
            await client.declare(Entity(topic))
            client.send(topic, b"1")
            client.send(topic, b"2")
            basket = await client.take(topic)
            await basket.count(2)
            assert basket.bodies == [b"1", b"2"]

    # --- words ----------------------------------------------------------------------------------

    async def _with_one_of_each(self, peer: Peer, topic: Address) -> Basket:
        basket = await peer.take(Source(topic))
        for body in (b"0", b"1", b"2"):
            peer.send(topic, body)
        await basket.count(3)
        return basket

    async def _all_of(self, baskets: list[Basket], number: int) -> None:
        def complete() -> bool:
            return sum(len(each.arrivals) for each in baskets) >= number

        # Whoever gets the last one sees the whole sum; the others may never wake again.
        waiting = [
            asyncio.create_task(each.until(complete, f"{number} in all")) for each in baskets
        ]
        done, pending = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await asyncio.wait(waiting)
        for task in done:
            task.result()

    def _check_attempts(self, peer: Peer, arrival: Arrival, number: int) -> None:
        expected = None if peer.lacks("attempts") else number
        assert arrival.attempts == expected
