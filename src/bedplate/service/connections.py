"""The transports of a service: which sections make them, and how health sees them."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack

from bedplate import health
from bedplate.config import Config
from bedplate.errors import SectionAbsent
from bedplate.messaging import Observer, Transport, TransportPolicy, TtlRule, find_driver
from bedplate.messaging.url import TransportUrl
from bedplate.service.observing import observers
from bedplate.service.options import NotifyTransport, RpcTransport, ServiceOptions

__all__ = ["Connections"]

_PERIOD = 1.0
_RPC, _NOTIFY = "transport.rpc", "transport.notify"


class Connections:
    """The transports that the configuration asks for. Made by ``open``, within a stack."""

    def __init__(self) -> None:
        self._rpc: Transport | None = None
        self._notify: Transport | None = None

    @classmethod
    async def open(cls, stack: AsyncExitStack, config: Config) -> "Connections":
        """Connect ``[transport.rpc]`` and ``[transport.notify]``, where they are configured.

        Raises `PluginNotFound`, `InvalidConfig` and whatever keeps a transport from connecting
        within ``start_timeout``.
        """
        connections = cls()
        watching = observers(config, stack)
        calls, notifications = config.get(RpcTransport), config.get(NotifyTransport)
        if calls is not None:
            connections._rpc = await _connect(stack, config, calls, watching)
        if notifications is not None:
            connections._notify = await _connect(stack, config, notifications, watching)
        return connections

    def watch(self, board: health.Board) -> None:
        """Let readiness depend on the transports from now on; they have just connected."""
        for transport in (self._rpc, self._notify):
            if transport is not None:
                board.add(transport.name, _check_of(transport), period=_PERIOD, known=health.PASS)

    @property
    def rpc(self) -> Transport:
        """The transport for calls. Raises `SectionAbsent`."""
        if self._rpc is None:
            raise SectionAbsent(section=_RPC)
        return self._rpc

    @property
    def notify(self) -> Transport:
        """The transport for notifications, by default the one for calls. Raises `SectionAbsent`."""
        return self.rpc if self._notify is None else self._notify


async def _connect(
    stack: AsyncExitStack,
    config: Config,
    chosen: RpcTransport | NotifyTransport,
    watching: tuple[Observer, ...],
) -> Transport:
    url, name = chosen.url, type(chosen).section_name
    driver = find_driver(url.scheme)
    return await stack.enter_async_context(
        Transport.connect(
            TransportUrl(url),
            driver=driver,
            options=config.named(driver.options, name),
            observers=watching,
            timeout=config[ServiceOptions].start_timeout,
            name=name,
            policy=TransportPolicy(ttl=tuple(_rules(chosen))),
        )
    )


def _rules(chosen: RpcTransport | NotifyTransport) -> Iterator[TtlRule]:
    for target, seconds in chosen.ttl_default.items():
        exchange, _, topic = target.rpartition("/")
        yield TtlRule(topic=topic, exchange=exchange or "*", default=seconds)
    for target, seconds in chosen.ttl_maximum.items():
        exchange, _, topic = target.rpartition("/")
        yield TtlRule(topic=topic, exchange=exchange or "*", maximum=seconds)


def _check_of(transport: Transport) -> Callable[[], Awaitable[health.Answer]]:
    async def check() -> health.Answer:
        known = transport.statistics()
        down = [line for line in known.lines if not line.up]
        if down:
            names = ", ".join(line.name for line in down)
            return health.fail(f"not connected ({names})", down[0].why)
        deaf = [consumer.address for consumer in known.consumers if not consumer.live]
        if deaf:
            return health.fail("connected, but not receiving", ", ".join(deaf))
        if known.flow:
            return health.warn("the broker takes no messages for now", "; ".join(known.flow))
        return None

    return check
