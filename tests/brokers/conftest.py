"""One RabbitMQ node a run, started when the first test asks for it; a virtual host a module."""

from collections.abc import Iterator

import pytest

from bedplate.testing.brokers import RabbitNode


@pytest.fixture(scope="session")
def rabbit() -> Iterator[RabbitNode]:
    """Lend the run's one broker."""
    with RabbitNode() as node:
        yield node


@pytest.fixture(scope="module")
def vhost(rabbit: RabbitNode) -> str:
    """Lend a virtual host that no other module uses."""
    return rabbit.vhost()


@pytest.fixture
def private_rabbit(rabbit: RabbitNode) -> RabbitNode:
    """Lend the broker to a test that disturbs it; a server of somebody else's is left alone."""
    if not rabbit.owned:
        pytest.skip("rabbit: RABBITMQ_URL names a server that tests must not disturb")
    return rabbit
