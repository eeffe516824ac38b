"""Which driver and which settings a URL means, and how often they let it connect again."""

import asyncio
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

import pytest

from bedplate._floor.backoff import Backoff
from bedplate.config import Section
from bedplate.errors import ConnectFailed, DeadlineExceeded, InvalidUrl, PluginNotFound
from bedplate.messaging import RecoveryPolicy, Transport
from bedplate.messaging.driver import CONTRACT, Driver, Link, LinkEvents, Naming, Status
from bedplate.messaging.drivers.memory import MemoryOptions
from bedplate.messaging.drivers.rabbit import RabbitDriver, RabbitOptions
from bedplate.messaging.lookup import find_driver, options_for, pace
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


@pytest.mark.parametrize(
    ("scheme", "hint"),
    [
        ("rabit", "Did you mean rabbit://?"),
        ("amqp", "Did you mean rabbit://?"),
        ("amqps", "Did you mean rabbits://?"),
    ],
)
def test_a_scheme_that_is_none_of_ours_has_a_hint(scheme: str, hint: str) -> None:
    """A slip, and how other libraries call RabbitMQ, are told as what was probably meant."""
    with pytest.raises(PluginNotFound) as caught:
        find_driver(scheme)
    assert str(caught.value).endswith(hint)
    assert caught.value.hint.strip() == hint


def test_old_names_of_options_hold_in_a_url_too() -> None:
    """What a file may say in an old name, a URL's query may; mistakes show it as written."""
    url = "rabbit://localhost/?rabbit_qos_prefetch_count=5&heartbeat_timeout_threshold=7"
    options = options_for(RabbitDriver(), TransportUrl(url), None)
    assert isinstance(options, RabbitOptions)
    assert (options.prefetch, options.link_heartbeat) == (5, 7)
    unfit = TransportUrl("rabbit://localhost/?heartbeat_timeout_threshold=x")
    with pytest.raises(InvalidUrl, match="heartbeat_timeout_threshold must be"):
        options_for(RabbitDriver(), unfit, None)
    slip = TransportUrl("rabbit://localhost/?rabbit_qos_prefetch_cuont=5")
    with pytest.raises(InvalidUrl, match="Did you mean 'rabbit_qos_prefetch_count'"):
        options_for(RabbitDriver(), slip, None)
