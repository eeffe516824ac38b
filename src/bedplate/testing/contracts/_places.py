"""The part of the driver suite about single places: sending to one, taking from one that is there.

What parking stands on: putting a message back where it was, and nowhere else.
"""

import math

import pytest

from bedplate.errors import NoSuchTarget, Unsupported
from bedplate.messaging.types import Address, Bounce, Entity, Outcome, Source, Want
from bedplate.testing.contracts._workbench import Workbench

__all__ = ["PlacesContract"]


class PlacesContract(Workbench):
    """What may be done with the one place of an address and group."""

    async def test_a_place_alone_can_be_sent_to(self) -> None:
        """Of the groups of a topic only the one whose place is named gets the message."""
        topic = self.topic()
        naming = self.driver().dialects["native"]
        async with self.peer() as client:
            if client.lacks("place"):
                with pytest.raises(Unsupported):
                    client.send(Address.place(naming.queue(topic, None)), b"")
                return
            ours = await client.take(Source(topic))
            red = await client.take(Source(topic, group="red"))
            client.send(Address.place(naming.queue(topic, "red")), b"for red")
            await red.count(1)
            client.send(Address.place(naming.queue(topic, None)), b"for us")
            await ours.count(1)
            await self.stay_quiet()
            assert (red.bodies, ours.bodies) == ([b"for red"], [b"for us"])

    async def test_a_place_that_is_not_there_is_nobody(self) -> None:
        """A message to it bounces, or its receipt says that it reached nobody."""
        name = self.driver().dialects["native"].queue(self.topic(), None)
        async with self.peer() as client:
            if client.lacks("place"):
                return
            receipt = client.accept(Address.place(name), b"")
            assert await receipt is Outcome.UNROUTABLE
            sent = client.send(Address.place(name), b"", Want.BOUNCE)
            await client.ear.until(lambda: bool(client.ear.bounces), "the bounce")
            assert client.ear.bounces == [(sent, Bounce.NO_ROUTE)]

    async def test_taking_from_what_is_there_makes_nothing(self) -> None:
        """An ``existing`` source that is not there is refused, and is not there afterwards."""
        topic = self.topic()
        async with self.peer() as client:
            for credit in (10, 0):
                with pytest.raises(NoSuchTarget):
                    await client.take(
                        Source(topic, ack=not client.lacks("ack"), existing=True), credit=credit
                    )
            if not client.lacks("look"):
                (standing,) = await client.declare(Entity(topic), look=True)
                assert standing.exists is False

    async def test_what_is_there_is_taken_from_whatever_it_is_like(self) -> None:
        """Nothing is said of a lifetime or limit by who takes from an ``existing`` source."""
        topic = self.topic()
        async with self.peer() as client:
            if client.lacks("ack"):
                return
            await client.declare(Entity(topic, expires=math.inf, limit=5))
            await client.declare(Entity(topic, expires=math.inf, limit=5))
            client.send(topic, b"x")
            basket = await client.take(Source(topic, existing=True))
            await basket.count(1)
            assert basket.bodies == [b"x"]
            assert [each.what for each in client.ear.notices] == []
