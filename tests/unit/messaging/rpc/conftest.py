"""What the tests of RPC share: two transports that meet, and one whose links fail on order."""

import secrets
from collections.abc import AsyncIterator

import pytest

from bedplate.messaging import Transport
from bedplate.messaging.drivers.memory import MemoryDriver
from bedplate.testing.faulty import Faults, faulty


@pytest.fixture
def url() -> str:
    """Name a broker of this test's own."""
    return f"memory://{secrets.token_hex(8)}/"


@pytest.fixture
def faults() -> Faults:
    """Control what goes wrong on the caller's links."""
    return Faults()


@pytest.fixture
async def there(url: str) -> AsyncIterator[Transport]:
    """Open the transport of the servers."""
    async with Transport.connect(url) as transport:
        yield transport


@pytest.fixture
async def here(url: str, faults: Faults) -> AsyncIterator[Transport]:
    """Open the transport of the callers."""
    async with Transport.connect(url, driver=faulty(MemoryDriver(), faults)) as transport:
        yield transport
