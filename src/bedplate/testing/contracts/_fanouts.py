"""The part of the driver suite about fanouts: everybody hears, and each receiver is on its own."""

import pytest

from bedplate.errors import Unsupported
from bedplate.messaging.types import Address, Settlement, Source
from bedplate.testing.contracts._workbench import Workbench

__all__ = ["FanoutContract"]


class FanoutContract(Workbench):
    """What a receiver of a fanout may count on."""

    async def test_everybody_hears_a_fanout(self) -> None:
        """A fanout reaches all who take from it, on one link or on two."""
        topic = Address.fanout(self.topic().name)
        async with self.peer() as one, self.peer() as two:
            if one.lacks("fanout"):
                with pytest.raises(Unsupported):
                    await one.take(topic)
                return
            baskets = [await one.take(topic), await one.take(topic), await two.take(topic)]
            two.send(topic, b"all")
            for basket in baskets:
                await basket.count(1)
            await self.stay_quiet()
            assert [basket.bodies for basket in baskets] == [[b"all"]] * 3

    async def test_who_comes_late_to_a_fanout_has_missed_it(self) -> None:
        """A fanout keeps nothing for those who come later, and nobody there is no error."""
        topic = Address.fanout(self.topic().name)
        async with self.peer() as client:
            if client.lacks("fanout"):
                with pytest.raises(Unsupported):
                    client.send(topic, b"")
                return
            client.send(topic, b"to nobody")
            basket = await client.take(topic)
            client.send(topic, b"to all")
            await basket.count(1)
            await basket.aclose()
            client.send(topic, b"between")
            late = await client.take(topic)
            client.send(topic, b"later")
            await late.count(1)
            await self.stay_quiet()
            assert (basket.bodies, late.bodies) == ([b"to all"], [b"later"])
            assert client.ear.bounces == []

    async def test_a_topic_and_its_fanout_are_apart(self) -> None:
        """Who takes from a topic does not hear its fanout, nor the other way round."""
        topic = self.topic()
        async with self.peer() as client:
            if client.lacks("fanout"):
                return
            shared = await client.take(topic)
            everybody = await client.take(Address.fanout(topic.name))
            client.send(Address.fanout(topic.name), b"all")
            client.send(topic, b"one")
            await shared.count(1)
            await everybody.count(1)
            await self.stay_quiet()
            assert (shared.bodies, everybody.bodies) == ([b"one"], [b"all"])

    async def test_a_fanout_keeps_to_each_receivers_credit(self) -> None:
        """Who has no credit waits, who has it goes on, and nothing of what waits is lost."""
        topic = Address.fanout(self.topic().name)
        async with self.peer() as one, self.peer() as two:
            if one.lacks("fanout"):
                return
            slow, none = await one.take(topic, credit=3), await one.take(topic, credit=0)
            quick = await two.take(topic)
            sent = [b"%d" % number for number in range(10)]
            for body in sent:
                two.send(topic, body)
            await quick.count(10)
            await slow.count(3)
            await self.stay_quiet()
            assert (len(slow.arrivals), none.arrivals) == (3, [])
            slow.grant(2)
            none.grant(100)
            await slow.count(5)
            await none.count(10)
            await self.stay_quiet()
            assert len(slow.arrivals) == 5
            slow.grant(100)
            await slow.count(10)
            assert [basket.bodies for basket in (slow, none, quick)] == [sent] * 3

    async def test_of_a_long_fanout_nothing_is_lost(self) -> None:
        """A thousand messages reach two receivers in order, one of them acknowledging."""
        topic = Address.fanout(self.topic().name)
        async with self.peer() as one, self.peer() as two, self.peer() as client:
            if one.lacks("fanout"):
                return
            settle = not one.lacks("ack")
            baskets = [
                await one.take(topic, credit=16, settle=settle, grant=True),
                await two.take(topic, credit=200, grant=True),
            ]
            sent = [b"%d" % number for number in range(1000)]
            for body in sent:
                client.send(topic, body)
            for basket in baskets:
                await basket.count(1000)
            await self.stay_quiet()
            assert [basket.bodies for basket in baskets] == [sent] * 2

    async def test_a_retry_of_a_fanout_is_one_receivers_own(self) -> None:
        """Who settles a fanout's delivery by RETRY has it again, however often; others do not."""
        topic = Address.fanout(self.topic().name)
        async with self.peer() as one, self.peer() as two:
            if one.lacks("fanout") or one.lacks("ack") or one.lacks("retry"):
                return
            unsure, sure = await one.take(Source(topic)), await two.take(Source(topic))
            two.send(topic, b"x")
            for number in (1, 2):
                arrival = (await unsure.count(number))[-1]
                assert arrival.redelivered is (number > 1)
                unsure.settle(arrival, Settlement.RETRY)
            await unsure.count(3)
            unsure.settle(unsure.arrivals[2], Settlement.ACK)
            two.send(topic, b"y")
            await unsure.count(4)
            await sure.count(2)
            await self.stay_quiet()
            assert (unsure.bodies, sure.bodies) == ([b"x", b"x", b"x", b"y"], [b"x", b"y"])
            assert len({arrival.tag for arrival in unsure.arrivals}) == 4

    async def test_a_retry_of_a_fanout_waits_for_credit(self) -> None:
        """What is to be retried comes again when there is credit for it, and not before."""
        topic = Address.fanout(self.topic().name)
        async with self.peer() as client:
            if client.lacks("fanout") or client.lacks("ack") or client.lacks("retry"):
                return
            basket = await client.take(Source(topic), credit=1)
            client.send(topic, b"x")
            (first,) = await basket.count(1)
            basket.settle(first, Settlement.RETRY)
            await self.stay_quiet()
            assert len(basket.arrivals) == 1
            basket.grant(1)
            await basket.count(2)
            assert basket.arrivals[1].redelivered is True

    async def test_a_rejected_delivery_of_a_fanout_is_gone(self) -> None:
        """REJECT ends it for this receiver, and what comes after still comes."""
        topic = Address.fanout(self.topic().name)
        async with self.peer() as client:
            if client.lacks("fanout") or client.lacks("ack") or client.lacks("reject"):
                return
            basket, other = await client.take(Source(topic)), await client.take(Source(topic))
            client.send(topic, b"bad")
            (bad,) = await basket.count(1)
            await other.count(1)
            basket.settle(bad, Settlement.REJECT)
            client.send(topic, b"good")
            await basket.count(2)
            await other.count(2)
            await self.stay_quiet()
            assert basket.bodies == other.bodies == [b"bad", b"good"]
            assert client.ear.losses == []
