"""One RabbitMQ node a run, started when the first test asks for it; a virtual host a module."""

from collections.abc import Iterator

import pytest

from bedplate.testing.brokers import RabbitNode

STRICT = """
deprecated_features.permit.transient_nonexcl_queues = false
max_message_size = 134217728
"""
"""What RabbitMQ 4.3 refuses; Debian's package of it permits that unless it is told.

Larger messages than the 16 MiB it takes by itself are for tests of what is too large for us.
"""


@pytest.fixture(scope="session")
def rabbit(request: pytest.FixtureRequest) -> Iterator[RabbitNode]:
    """Lend the run's one broker."""
    root = request.config.getoption("--rabbitmq-root")
    with RabbitNode(root=root, settings=STRICT if root else "") as node:
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
