"""What an operator's settings say of connecting again."""

import asyncio
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

import pytest

from bedplate._floor.backoff import Backoff
from bedplate.config import Section
from bedplate.errors import ConnectFailed, DeadlineExceeded
from bedplate.messaging import RecoveryPolicy, Transport
from bedplate.messaging.driver import CONTRACT, Driver, Link, LinkEvents, Naming, Status
from bedplate.messaging.drivers.memory import MemoryOptions
from bedplate.messaging.drivers.rabbit import RabbitOptions
from bedplate.messaging.lookup import pace
from bedplate.messaging.types import Capabilities
from bedplate.messaging.url import TransportUrl

POLICY = RecoveryPolicy(backoff=Backoff(0.5, 2.0, 15.0), budget=1000)


def test_without_a_word_the_application_decides() -> None:
    """Settings that are not set, or that a driver has not, change nothing."""
    assert pace(POLICY, RabbitOptions()) == POLICY
    assert pace(POLICY, MemoryOptions()) == POLICY


@pytest.mark.parametrize(
    ("first", "most", "backoff"),
    [
        (2.0, None, Backoff(2.0, 2.0, 15.0)),
        (None, 40.0, Backoff(0.5, 2.0, 40.0)),
        (2.0, 40.0, Backoff(2.0, 2.0, 40.0)),
        (30.0, None, Backoff(30.0, 2.0, 30.0)),
        (None, 0.2, Backoff(0.5, 2.0, 0.2)),
    ],
)
def test_an_operator_goes_before(first: float | None, most: float | None, backoff: Backoff) -> None:
    """What is set counts, one by one, and the rest of the policy stays."""
    paced = pace(POLICY, RabbitOptions(reconnect_first=first, reconnect_most=most))
    assert paced.backoff == backoff
    assert (paced.budget, paced.refused) == (POLICY.budget, POLICY.refused)


class Absent:
    """A driver whose broker is never there; counts the attempts."""

    contract: ClassVar[int] = CONTRACT
    name: ClassVar[str] = "absent"
    options: ClassVar[type[Section]] = RabbitOptions
    offers: ClassVar[Capabilities] = Capabilities()
    status: ClassVar[Status] = Status()
    dialects: ClassVar[Mapping[str, Naming]] = MappingProxyType({})

    def __init__(self) -> None:
        self.attempts = 0

    async def connect(self, url: TransportUrl, options: Section, hear: LinkEvents) -> Link:
        """Fail."""
        del url, options, hear
        self.attempts += 1
        await asyncio.sleep(0)
        raise ConnectFailed(where="nowhere", why="Connection refused.")


async def test_a_transport_heeds_the_settings() -> None:
    """With a longest wait of 50 ms in the URL, one second brings twenty attempts or more."""
    driver = Absent()
    absent: Driver = driver
    with pytest.raises(DeadlineExceeded):
        async with Transport.connect(
            "absent://nowhere/?reconnect_most=0.05", driver=absent, timeout=1.0
        ):
            pass
    assert 20 <= driver.attempts <= 31  # no more than the policy's budget
