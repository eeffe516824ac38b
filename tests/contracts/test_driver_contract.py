"""The suite, run on the drivers that need no server."""

import asyncio
from collections.abc import Callable
from typing import ClassVar
from uuid import uuid4

import pytest

from bedplate.messaging.driver import Driver, Link
from bedplate.messaging.drivers.memory import MemoryBroker, MemoryDriver, broker
from bedplate.messaging.types import Address
from bedplate.testing import TurnedLoop
from bedplate.testing.contracts.driver import DriverContract
from bedplate.testing.faulty import Faults, faulty


class TestMemoryDriver(DriverContract):
    loop_factory: ClassVar[Callable[[], asyncio.AbstractEventLoop]] = TurnedLoop
    broker: MemoryBroker

    @pytest.fixture(autouse=True)
    def fresh_broker(self) -> None:
        """Give each test a broker of its own."""
        self.name = uuid4().hex
        self.broker = broker(self.name)

    def driver(self) -> Driver:
        return MemoryDriver()

    def url(self) -> str:
        return f"memory://{self.name}/"

    def refused_url(self) -> str:
        broker("stopped").stop()
        return f"memory://guest:{self.canary}@stopped/"

    async def cut(self, link: Link) -> None:
        self.broker.cut(link)

    async def cancel(self, address: Address) -> bool:
        return self.broker.cancel_consumers(address) > 0

    async def set_flow(self, *, opened: bool) -> None:
        if opened:
            self.broker.open_flow()
        else:
            self.broker.close_flow()


class TestFaultyDriverWithoutFaults(TestMemoryDriver):
    """A link around a link is a link: with no faults nobody can tell the difference."""

    @pytest.fixture(autouse=True)
    def fresh_faults(self) -> None:
        """Give each test faults of its own."""
        self.faults = Faults()

    def driver(self) -> Driver:
        return faulty(MemoryDriver(), self.faults)

    async def cut(self, link: Link) -> None:
        self.faults.cut(link)
