"""The driver suite, run on a real RabbitMQ."""

import asyncio
from typing import cast

import pytest

from bedplate.config import Section
from bedplate.messaging.driver import Driver, Link
from bedplate.messaging.drivers.rabbit import RabbitDriver, RabbitOptions
from bedplate.messaging.drivers.rabbit._link import RabbitLink
from bedplate.messaging.types import Address, Entity, Outcome
from bedplate.testing.brokers import RabbitNode
from bedplate.testing.contracts.driver import DriverContract

pytestmark = pytest.mark.needs("rabbit")


class TestRabbitDriver(DriverContract):
    node: RabbitNode
    vhost: str

    @pytest.fixture(autouse=True)
    def place(self, rabbit: RabbitNode, vhost: str) -> None:
        """Work in the module's own virtual host."""
        self.node, self.vhost = rabbit, vhost

    def driver(self) -> Driver:
        return RabbitDriver()

    def url(self) -> str:
        return self.node.url(self.vhost)

    def refused_url(self) -> str:
        return f"rabbit://guest:{self.canary}@127.0.0.1:1/"

    async def cut(self, link: Link) -> None:
        cast("RabbitLink", link).wire.abort()

    async def cancel(self, address: Address) -> bool:
        # By the protocol, which any server allows, and not by the node's own means.
        async with self.peer() as operator:
            talk = cast("RabbitLink", operator.link)._talk()
            talk.channel.queue_delete(self.driver().dialects["native"].queue(address, None))
            talk.expected = 1
            await cast("RabbitLink", operator.link)._finish(talk)
        return True

    async def set_flow(self, *, opened: bool) -> None:
        if not self.node.owned:
            pytest.skip("rabbit: RABBITMQ_URL names a server that tests must not disturb")
        await asyncio.to_thread(self.node.alarm, on=not opened)


class TestRabbitDriverReplicated(TestRabbitDriver):
    """Quorum queues for topics and servers, streams for fanouts."""

    quiet = 0.1

    def options(self) -> Section:
        return RabbitOptions(quorum=True, stream_fanout=True)

    async def test_a_full_queue_refuses(self) -> None:
        """A limit on a quorum queue is kept, too, but the broker may notice a few late."""
        topic = self.topic()
        async with self.peer() as client:
            await client.declare(Entity(topic, limit=2))
            outcomes: list[Outcome] = []
            async with asyncio.timeout(self.patience):
                while Outcome.REFUSED not in outcomes:
                    outcomes.append(await client.accept(topic, b"%d" % len(outcomes)))
            assert 2 <= outcomes.index(Outcome.REFUSED) <= 10
            basket = await client.take(topic)
            await basket.count(2)
            assert basket.bodies[:2] == [b"0", b"1"]
