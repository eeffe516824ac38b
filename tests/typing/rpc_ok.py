"""What type checkers know of RPC and notifications."""

from collections.abc import Mapping
from datetime import datetime
from fractions import Fraction
from typing import Literal, assert_type

from bedplate.messaging import Transport, TransportPolicy, TtlRule, notify, rpc


class Stock(rpc.Interface, topic="stock", version="1.2"):
    """A contract."""

    async def reserve(self, item: str, count: int = 1) -> int:
        """Reserve some."""
        raise NotImplementedError

    def lookup(self, item: str) -> list[str]:
        """Look up, blocking."""
        raise NotImplementedError


class StockService(Stock):
    """Its implementation."""

    async def reserve(self, item: str, count: int = 1) -> int:
        """Reserve some."""
        context = rpc.context()
        assert_type(context, rpc.Context)
        return len(item) * count

    @rpc.silent
    @rpc.expose
    async def count(self) -> int:
        """Count them."""
        return 1

    async def rebuild(self, ctx: rpc.Context) -> None:
        """Say what is known."""
        assert_type(ctx.remaining(), float | None)
        assert_type(ctx.cancelled, bool)
        ctx.report({"step": 1})


async def calls(transport: Transport) -> None:
    """Make calls of every kind."""
    stock = rpc.client(transport, Stock, timeout=3)
    assert_type(stock, Stock)
    assert_type(stock.with_(timeout=600, heartbeat=10), Stock)
    assert_type(await stock.with_(server="h1").reserve("bolt", count=2), int)
    assert_type(stock.lookup("bolt"), list[str])
    untyped = rpc.Client(transport, topic="stock")
    assert_type(untyped.with_(ttl=3, wait_for_target=1.5, context={"user": "u"}), rpc.Client)
    assert_type(await untyped.call("rebuild", item="bolt"), object)
    assert_type(await untyped.cast("rebuild"), None)
    assert_type(await untyped.fanout("rebuild"), None)
    async with rpc.serve(transport, StockService(), workers=8) as server:
        assert_type(server, rpc.Server)
        assert_type(server.statistics().running, int)


async def intercept(request: rpc.Context, proceed: rpc.Proceed) -> object:
    """Run around a handler."""
    assert_type(request.values, Mapping[str, object])
    result = await proceed()
    assert_type(result, object)
    return result


async def sign(call: rpc.Outgoing, send: rpc.Send) -> object:
    """Run around a call."""
    assert_type(call.verb, Literal["call", "cast", "fanout"])
    assert_type(call.with_(context={"token": "t"}), rpc.Outgoing)
    return await send(call)


def friends(access: rpc.Access) -> bool:
    """Let friends in."""
    assert_type(access.exposed, bool)
    return access.peer == "friend"


def load(kind: type, value: object) -> object:
    """Make what is wanted."""
    return Fraction(str(value)) if kind is Fraction else value


async def hooks(transport: Transport) -> None:
    """Give both ends all there is to give."""
    assert_type(await StockService().count(), int)
    serializer = rpc.Serializer(dump=str, load=load, dump_context=dict)
    async with rpc.serve(
        transport,
        StockService(),
        methods="exposed",
        access=friends,
        interceptors=[intercept],
        serializer=serializer,
    ):
        stock = rpc.client(transport, Stock, interceptors=(sign,), serializer=serializer)
        assert_type(stock, Stock)
        rpc.Client(transport, topic="stock", interceptors=[sign], serializer=serializer)
    assert_type(await rpc.stats(transport, "stock"), rpc.ServerStatistics)
    policy = TransportPolicy(ttl=(TtlRule(topic="stock", default=3, maximum=5),))
    assert_type(Transport.connect("memory://", policy=policy), Transport)


async def notifications(transport: Transport) -> None:
    """Send and hear notifications."""
    notifier = notify.Notifier(transport, publisher_id="inventory.host1", ttl=60)
    assert_type(await notifier.info("item.created", {"item": "bolt"}), str)
    assert_type(notifier.with_(publisher_id="other", ttl=None), notify.Notifier)
    assert_type(notifier.with_(ttl="default"), notify.Notifier)

    async def hear(notification: notify.Notification) -> None:
        assert_type(notification.payload, object)
        assert_type(notification.when, datetime)

    async with notify.listen(transport, hear, event_types=("item.*",)) as listener:
        assert_type(listener, notify.Listener)
