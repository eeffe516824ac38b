"""The suite, run on the drivers that need no server."""

import asyncio
from collections.abc import Callable, Mapping
from typing import ClassVar
from uuid import uuid4

import pytest
from msgspec import structs

from bedplate.config import Section
from bedplate.errors import LinkLost, Unsupported
from bedplate.messaging.driver import Driver, Link, LinkEvents, Naming, Status
from bedplate.messaging.drivers.memory import MemoryBroker, MemoryDriver, broker
from bedplate.messaging.types import Address, Capabilities, Support
from bedplate.messaging.url import TransportUrl
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


class _Liar:
    """Claims what it cannot do."""

    contract: ClassVar[int] = MemoryDriver.contract
    name: ClassVar[str] = MemoryDriver.name
    options: ClassVar[type[Section]] = MemoryDriver.options
    offers: ClassVar[Capabilities] = structs.replace(MemoryDriver.offers, extend=Support.NATIVE)
    status: ClassVar[Status] = MemoryDriver.status
    dialects: ClassVar[Mapping[str, Naming]] = MemoryDriver.dialects

    async def connect(self, url: TransportUrl, options: Section, hear: LinkEvents) -> Link:
        link = await MemoryDriver().connect(url, options, hear)
        link.offers = self.offers
        return link


class _LyingDriver(TestMemoryDriver):
    __test__ = False

    def driver(self) -> Driver:
        return _Liar()


class _BrokenDriver(TestFaultyDriverWithoutFaults):
    __test__ = False
    patience = 2.0


Break = Callable[[Faults], None]


@pytest.mark.parametrize(
    ("spoil", "test"),
    [
        (lambda f: f.sending.drop(nth=500), "test_of_a_thousand_none_is_lost_and_none_doubled"),
        (lambda f: f.sending.repeat(nth=500), "test_of_a_thousand_none_is_lost_and_none_doubled"),
        (lambda f: f.sending.delay(0.1, nth=3), "test_messages_arrive_in_the_order_they_were_sent"),
        (lambda f: f.sending.drop(), "test_the_broker_accepts"),
        (lambda f: f.sending.drop(), "test_a_message_to_nobody_bounces_under_its_id"),
        (lambda f: f.arriving.drop(nth=1), "test_everybody_hears_a_fanout"),
        (
            lambda f: f.arriving.delay(9.0, nth=4),
            "test_a_closed_inlet_gives_back_what_is_unsettled",
        ),
        (lambda f: f.sending.cut(nth=1), "test_a_full_queue_refuses"),
    ],
)
async def test_the_suite_finds_a_driver_that_fails(spoil: Break, test: str) -> None:
    """A driver that loses, doubles, reorders or dies does not pass."""
    suite = _BrokenDriver()
    suite.name = uuid4().hex
    suite.broker = broker(suite.name)
    suite.faults = Faults()
    spoil(suite.faults)
    with pytest.raises((AssertionError, pytest.fail.Exception, TimeoutError, LinkLost)):
        await getattr(suite, test)()


async def test_the_suite_finds_a_driver_that_claims_too_much() -> None:
    """A capability that is claimed and then refused does not pass."""
    suite = _LyingDriver()
    suite.name = uuid4().hex
    suite.broker = broker(suite.name)
    with pytest.raises(Unsupported):
        await suite.test_more_time_can_be_asked_for_where_it_is_claimed()
