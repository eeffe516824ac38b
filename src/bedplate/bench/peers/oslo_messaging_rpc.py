"""oslo.messaging as services use it: threads on both ends, the defaults of its RabbitMQ driver.

Two settings are not defaults: as many server threads and pooled connections as calls in flight,
so that none waits for another, and queues that go away.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["ACKS", "BUILD", "CONFIRMS", "DISTRIBUTION", "client", "server"]

DISTRIBUTION = "oslo.messaging"
"""What is measured, by the name under which it is installed."""
BUILD = "plain Python"
"""What the library itself is made of."""
CONFIRMS = "calls and replies are published with confirms, each waited for"
"""How calls and replies are published."""
ACKS = "requests and replies are acknowledged one by one as they arrive"
"""How what arrives is acknowledged."""


class _Endpoint:
    """What is served."""

    def echo(self, context: object, text: str) -> str:
        """Return what it was given."""
        del context
        return text


@contextmanager
def server(url: str, topic: str, width: int) -> Iterator[None]:
    """Answer from a pool of threads."""
    import oslo_messaging  # type: ignore[import-not-found, unused-ignore]  # in its own environment

    transport = _transport(oslo_messaging, url, width)
    target = oslo_messaging.Target(topic=topic, server="bench", exchange=topic)
    made = oslo_messaging.get_rpc_server(transport, target, [_Endpoint()], executor="threading")
    made.start()
    try:
        yield
    finally:
        made.stop()
        made.wait()
        transport.cleanup()


@contextmanager
def client(url: str, topic: str, width: int) -> Iterator[Callable[[str], str]]:
    """Call from as many threads as there are calls in flight."""
    import oslo_messaging  # type: ignore[import-not-found, unused-ignore]  # in its own environment

    transport = _transport(oslo_messaging, url, width)
    target = oslo_messaging.Target(topic=topic, exchange=topic)
    made = oslo_messaging.get_rpc_client(transport, target, timeout=60)

    def call(text: str) -> str:
        answer: str = made.call({}, "echo", text=text)
        return answer

    try:
        yield call
    finally:
        transport.cleanup()


def _transport(library: Any, url: str, width: int) -> Any:
    from oslo_config import (  # type: ignore[import-not-found, unused-ignore]  # comes with it
        cfg,
    )

    # It declares its options when it first needs them; the environment is there before that.
    os.environ["OS_DEFAULT__EXECUTOR_THREAD_POOL_SIZE"] = str(width)
    os.environ["OS_OSLO_MESSAGING_RABBIT__RPC_CONN_POOL_SIZE"] = str(max(width, 30))
    os.environ["OS_OSLO_MESSAGING_RABBIT__AMQP_AUTO_DELETE"] = "true"
    cfg.CONF([], project="bench")  # the global one: it looks for its tracing options there alone
    return library.get_rpc_transport(cfg.CONF, url=url)
