"""The part of the driver suite about sending: order, fates, expiry, what a message carries."""

import asyncio
from uuid import uuid4

import pytest

from bedplate.errors import TooLarge, Unsupported
from bedplate.messaging.types import (
    Address,
    Bounce,
    Entity,
    HeaderValue,
    Outbound,
    Outcome,
    Source,
    Want,
)
from bedplate.testing.contracts._workbench import Workbench

__all__ = ["SendingContract"]


class SendingContract(Workbench):
    """What a sender may count on."""

    async def test_messages_arrive_in_the_order_they_were_sent(self) -> None:
        """What one link sends to one address arrives in that order."""
        topic = self.topic()
        async with self.peer() as server, self.peer() as client:
            basket = await server.take(topic)
            for number in range(50):
                client.send(topic, b"%d" % number)
            await basket.count(50)
            assert basket.bodies == [b"%d" % number for number in range(50)]

    async def test_of_a_thousand_none_is_lost_and_none_doubled(self) -> None:
        """A thousand messages sent at once arrive once each, in order, acknowledged in passing."""
        topic = self.topic()
        async with self.peer() as server, self.peer() as client:
            settle = not server.lacks("ack")
            basket = await server.take(topic, credit=64, settle=settle, grant=True)
            for number in range(1000):
                client.send(topic, b"%d" % number)
            await basket.count(1000)
            await self.stay_quiet()
            assert basket.bodies == [b"%d" % number for number in range(1000)]

    async def test_a_message_to_nobody_bounces_under_its_id(self) -> None:
        """Of a topic nobody ever used the sender hears NO_ROUTE, and only for that message."""
        topic, nowhere = self.topic(), self.topic()
        async with self.peer() as server, self.peer() as client:
            basket = await server.take(topic)
            if client.lacks("bounce"):
                with pytest.raises(Unsupported):
                    client.send(nowhere, b"", Want.BOUNCE)
                return
            client.send(topic, b"before", Want.BOUNCE)
            name = client.send(nowhere, b"", Want.BOUNCE)
            client.send(topic, b"after", Want.BOUNCE)
            await client.ear.until(lambda: bool(client.ear.bounces), "a bounce")
            await basket.count(2)
            await self.stay_quiet()
            assert client.ear.bounces == [(name, Bounce.NO_ROUTE)]
            assert basket.bodies == [b"before", b"after"]

    async def test_a_bounce_is_told_on_a_later_turn(self) -> None:
        """``send`` calls nobody back before it returns."""
        async with self.peer() as client:
            if client.lacks("bounce"):
                return
            client.send(self.topic(), b"", Want.BOUNCE)
            assert client.ear.bounces == []
            await client.ear.until(lambda: bool(client.ear.bounces), "a bounce")

    async def test_a_server_that_is_not_there_bounces(self) -> None:
        """A topic's server of another name is somebody else: NO_ROUTE."""
        topic = self.topic()
        async with self.peer() as server, self.peer() as client:
            await server.take(Address.server(topic.name, "h1"))
            if client.lacks("bounce"):
                return
            name = client.send(Address.server(topic.name, "h2"), b"", Want.BOUNCE)
            await client.ear.until(lambda: bool(client.ear.bounces), "a bounce")
            assert client.ear.bounces == [(name, Bounce.NO_ROUTE)]

    async def test_what_is_wanted_quietly_is_not_told(self) -> None:
        """With NOTHING a message to nobody vanishes in silence."""
        async with self.peer() as client:
            client.send(self.topic(), b"")
            await self.stay_quiet()
            assert client.ear.bounces == []

    async def test_the_broker_accepts(self) -> None:
        """A receipt says ACCEPTED, later than ``send``, and to all who ask, however often."""
        topic = self.topic()
        async with self.peer() as server, self.peer() as client:
            await server.take(topic)
            if client.lacks("accept"):
                with pytest.raises(Unsupported):
                    client.send(topic, b"", Want.ACCEPT)
                return
            receipt = client.accept(topic, b"")
            assert not receipt.done()
            async with asyncio.timeout(self.patience):
                assert await receipt is Outcome.ACCEPTED
            assert receipt.done()
            assert await receipt is Outcome.ACCEPTED

    async def test_many_receipts_are_each_answered(self) -> None:
        """A hundred receipts, asked for at once and among them one to nobody, each say its own."""
        topic, nowhere = self.topic(), self.topic()
        async with self.peer() as server, self.peer() as client:
            if client.lacks("accept"):
                return
            await server.take(topic, credit=0)
            receipts = [
                client.accept(nowhere if number == 50 else topic, b"") for number in range(100)
            ]
            async with asyncio.timeout(self.patience):
                outcomes = [await receipt for receipt in receipts]
            assert [n for n, each in enumerate(outcomes) if each is not Outcome.ACCEPTED] == [50]
            assert outcomes[50] is Outcome.UNROUTABLE

    async def test_a_message_to_nobody_is_unroutable(self) -> None:
        """A receipt says UNROUTABLE of a topic nobody ever used; the link lives on."""
        async with self.peer() as client:
            if client.lacks("accept"):
                return
            async with asyncio.timeout(self.patience):
                assert await client.accept(self.topic(), b"") is Outcome.UNROUTABLE
            assert client.ear.losses == []
            assert client.ear.bounces == []

    async def test_a_full_queue_refuses(self) -> None:
        """A queue declared with a limit refuses what is beyond it, and keeps what it has."""
        topic = self.topic()
        async with self.peer() as client:
            try:
                await client.declare(Entity(topic, limit=2))
            except Unsupported:
                return
            if client.lacks("accept"):
                return
            async with asyncio.timeout(self.patience):
                outcomes = [await client.accept(topic, b"%d" % number) for number in range(3)]
            assert outcomes == [Outcome.ACCEPTED, Outcome.ACCEPTED, Outcome.REFUSED]
            basket = await client.take(topic)
            await basket.count(2)
            await self.stay_quiet()
            assert basket.bodies == [b"0", b"1"]

    async def test_a_waiter_that_gives_up_leaves_the_receipt_to_others(self) -> None:
        """Cancelling one task that awaits a receipt cancels no other."""
        topic = self.topic()
        async with self.peer() as server, self.peer() as client:
            if client.lacks("accept"):
                return
            await server.take(topic)
            receipt = client.accept(topic, b"")

            async def wait() -> Outcome:
                return await receipt

            hasty, patient = asyncio.create_task(wait()), asyncio.create_task(wait())
            hasty.cancel()
            async with asyncio.timeout(self.patience):
                assert await patient is Outcome.ACCEPTED

    async def test_an_expired_message_is_not_delivered(self) -> None:
        """A message whose ttl ran out in the queue is gone, those around it are not."""
        topic = self.topic()
        async with self.peer() as client:
            await client.declare(Entity(topic))
            message = Outbound(topic, b"short", uuid4().hex, ttl=0.1)
            if client.lacks("ttl"):
                with pytest.raises(Unsupported):
                    client.post(message)
                return
            client.send(topic, b"first")
            client.post(message)
            client.post(Outbound(topic, b"long", uuid4().hex, ttl=60.0))
            client.send(topic, b"last")
            await asyncio.sleep(0.1 + self.quiet)
            basket = await client.take(topic)
            await basket.count(3)
            await self.stay_quiet()
            assert basket.bodies == [b"first", b"long", b"last"]

    async def test_a_message_in_time_is_delivered(self) -> None:
        """A ttl does no harm to a message that somebody waits for."""
        topic = self.topic()
        async with self.peer() as client:
            if client.lacks("ttl"):
                return
            basket = await client.take(topic)
            client.post(Outbound(topic, b"x", uuid4().hex, ttl=30.0))
            await basket.count(1)

    async def test_exchanges_keep_equal_topics_apart(self) -> None:
        """Two topics of the same name in two exchanges never meet."""
        name = self.topic().name
        ours = Address.topic(name, exchange=f"a-{uuid4().hex}")
        theirs = Address.topic(name, exchange=f"b-{uuid4().hex}")
        async with self.peer() as client:
            one, two = await client.take(ours), await client.take(theirs)
            client.send(theirs, b"theirs")
            client.send(ours, b"ours")
            await one.count(1)
            await two.count(1)
            await self.stay_quiet()
            assert (one.bodies, two.bodies) == ([b"ours"], [b"theirs"])

    async def test_bodies_are_bytes_and_nothing_else(self) -> None:
        """Empty, binary and text-like bodies arrive as they were."""
        topic = self.topic()
        bodies = [b"", b"\0", bytes(range(256)), b"{}", "später".encode()]
        async with self.peer() as client:
            basket = await client.take(topic)
            for body in bodies:
                client.send(topic, body)
            await basket.count(len(bodies))
            assert basket.bodies == bodies

    async def test_a_large_body_arrives(self) -> None:
        """A body of the largest size arrives whole, and does not disturb its neighbours."""
        topic = self.topic()
        async with self.peer() as client:
            size = min(client.link.offers.max_body, self.large)
            body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
            basket = await client.take(topic)
            client.send(topic, b"before")
            client.send(topic, body)
            client.send(topic, b"after")
            await basket.count(3)
            assert basket.bodies[0::2] == [b"before", b"after"]
            assert len(basket.bodies[1]) == size
            assert basket.bodies[1] == body

    async def test_a_body_beyond_the_limit_is_too_large(self) -> None:
        """One byte more than ``max_body`` raises TooLarge with the numbers; the link lives on."""
        topic = self.topic()
        async with self.peer() as client:
            limit = client.link.offers.max_body
            basket = await client.take(topic)
            with pytest.raises(TooLarge) as caught:
                client.send(topic, bytes(limit + 1))
            assert (caught.value.size, caught.value.limit) == (limit + 1, limit)
            client.send(topic, b"small")
            await basket.count(1)

    @pytest.mark.parametrize(
        "value",
        [
            "",
            "text",
            "grüße ✓",
            0,
            1,
            -1,
            2**31,
            -(2**31) - 1,
            2**62,
            0.0,
            1.5,
            -2.25e100,
            True,
            False,
            b"",
            b"\x00\xff",
            None,
        ],
        ids=repr,
    )
    async def test_a_header_keeps_its_value_and_type(self, value: HeaderValue) -> None:
        """A header of every type comes out as it went in."""
        topic = self.topic()
        async with self.peer() as client:
            basket = await client.take(topic)
            client.post(Outbound(topic, b"", "1", headers={"x-value": value, "other": "o"}))
            (arrival,) = await basket.count(1)
            assert arrival.headers["x-value"] == value
            assert type(arrival.headers["x-value"]) is type(value)
            assert arrival.headers["other"] == "o"

    async def test_headers_are_those_at_the_time_of_sending(self) -> None:
        """A mapping that its owner changes after ``send`` arrives as it was."""
        topic = self.topic()
        headers: dict[str, HeaderValue] = {"n": 1}
        async with self.peer() as client:
            basket = await client.take(topic)
            client.post(Outbound(topic, b"", "1", headers=headers))
            headers["n"] = 2
            (arrival,) = await basket.count(1)
            assert dict(arrival.headers) == {"n": 1}

    async def test_properties_arrive(self) -> None:
        """Id, content type, kind, correlation id, key and an empty header table arrive."""
        topic = self.topic()
        async with self.peer() as client:
            basket = await client.take(topic)
            client.post(
                Outbound(
                    topic,
                    b"",
                    "the-id",
                    content_type="application/json",
                    kind="call",
                    correlation_id="the-call",
                    key="k",
                )
            )
            (arrival,) = await basket.count(1)
            assert arrival.id == "the-id"
            assert arrival.content_type == "application/json"
            assert arrival.kind == "call"
            assert arrival.correlation_id == "the-call"
            assert arrival.key == "k"
            assert arrival.reply_to is None
            assert dict(arrival.headers) == {}
            assert arrival.redelivered is False

    async def test_a_reply_finds_the_address_it_was_given(self) -> None:
        """``reply_to`` arrives as an address that can be sent to, from inside the callback too."""
        topic = self.topic()
        async with self.peer() as server, self.peer() as client:
            back = self.topic() if client.lacks("private") else await client.link.private_address()
            replies = await client.take(Source(back, ack=False))
            requests = await server.take(topic)
            client.post(Outbound(topic, b"ping", "1", reply_to=back))
            (request,) = await requests.count(1)
            assert request.reply_to == back
            server.send(request.reply_to, b"pong")
            await replies.count(1)
            assert replies.bodies == [b"pong"]

    async def test_closed_flow_is_told_and_loses_nothing(self) -> None:
        """What is sent into closed flow waits, and goes on in order when flow opens."""
        topic = self.topic()
        async with self.peer() as server, self.peer() as client:
            if client.lacks("flow"):
                return
            basket = await server.take(topic)
            client.send(topic, b"0")
            await basket.count(1)
            await self.set_flow(opened=False)
            try:
                # Some brokers tell only those who publish.
                client.send(topic, b"1")
                await client.ear.until(lambda: (False, None) in client.ear.flows, "the end of flow")
                client.send(topic, b"2")
                await self.stay_quiet()
                assert basket.bodies == [b"0"]
            finally:
                await self.set_flow(opened=True)
            await client.ear.until(lambda: (True, None) in client.ear.flows, "flow again")
            client.send(topic, b"3")
            await basket.count(4)
            assert basket.bodies == [b"0", b"1", b"2", b"3"]
