"""Everything that can go wrong with links, at random and repeatably, on the turned clock."""

import asyncio
import random
import secrets

import pytest

from bedplate._floor.backoff import Backoff
from bedplate.messaging import (
    Address,
    Entity,
    IntakePolicy,
    Message,
    RecoveryPolicy,
    Subscription,
    Topology,
    Transport,
    TransportPolicy,
)
from bedplate.messaging.drivers.memory import MemoryDriver, broker
from bedplate.testing.faulty import Faults, faulty

ORDERS = Address.topic("orders")
POLICY = TransportPolicy(
    recovery=RecoveryPolicy(backoff=Backoff(0.1, 2.0, 2.0), budget=1_000_000),
    intake=IntakePolicy(attempts=None, window=100_000, window_seconds=1e9),
)
MESSAGES = 200


class Chaos:
    """Cuts, refusals, black holes, deaf consumers and closed flow, one after the other."""

    def __init__(self, name: str, rng: random.Random) -> None:
        self.faults = Faults()
        self.memory = broker(name)
        self.rng = rng

    async def reign(self) -> None:
        while True:
            await asyncio.sleep(self.rng.uniform(0, 2))
            what = self.rng.choice([self.cut, self.deafen, self.refuse, self.freeze, self.shut])
            what()
            await asyncio.sleep(self.rng.uniform(0, 2))
            self.mend()

    def cut(self) -> None:
        self.faults.cut()

    def deafen(self) -> None:
        self.memory.cancel_consumers(ORDERS)

    def refuse(self) -> None:
        self.faults.refuse()
        self.faults.cut()

    def freeze(self) -> None:
        self.faults.freeze()

    def shut(self) -> None:
        self.memory.close_flow()

    def mend(self) -> None:
        self.faults.accept()
        self.faults.thaw()
        self.memory.open_flow()


@pytest.mark.parametrize("seed", range(5))
async def test_nothing_confirmed_is_lost_and_nothing_done_is_done_again(seed: int) -> None:
    """Whatever happens to links, each confirmed message is done, once, and nothing leaks."""
    rng = random.Random(seed)  # noqa: S311 - a repeatable course of events
    name = f"chaos-{seed}-{secrets.token_hex(8)}"
    chaos = Chaos(name, rng)
    done: list[bytes] = []

    async def work(deliveries: Subscription) -> None:
        async for delivery in deliveries:
            await asyncio.sleep(rng.uniform(0, 0.2))
            if rng.random() < 0.1:
                await delivery.retry(delay=rng.random())
            elif await delivery.ack():
                done.append(delivery.body)

    async def publish(transport: Transport, number: int) -> None:
        await asyncio.sleep(rng.uniform(0, 60))
        await transport.publish(ORDERS, Message(b"%d" % number), timeout=30, repeats=True)

    driver = faulty(MemoryDriver(), chaos.faults)
    async with Transport.connect(f"memory://{name}/", driver=driver, policy=POLICY) as transport:
        await transport.declare(Topology((Entity(ORDERS),)))
        async with transport.subscribe(ORDERS, credit=10) as deliveries:
            workers = [asyncio.create_task(work(deliveries)) for _ in range(5)]
            reign = asyncio.create_task(chaos.reign())
            await asyncio.gather(*(publish(transport, number) for number in range(MESSAGES)))
            reign.cancel()
            chaos.mend()
            await asyncio.sleep(60)
            end = transport.statistics()
            assert set(done) <= {b"%d" % number for number in range(MESSAGES)}
            assert len(done) == len(set(done))
            assert (end.unsettled, end.buffered, end.timers) == (0, 0, 0)
            assert end.consumers[0].in_use == 0
            assert sum(entity.messages for entity in chaos.memory.entities()) == 0
            assert end.reconnects + end.consumers[0].interruptions > 3
        await asyncio.gather(*workers)
        # What was done on a link that died before the ack was heard: known, and not done again.
        assert MESSAGES - len(done) <= end.duplicates
