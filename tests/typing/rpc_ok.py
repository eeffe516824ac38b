"""What type checkers know of RPC and notifications."""

from datetime import datetime
from typing import assert_type

from bedplate.messaging import Transport, notify, rpc


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


async def notifications(transport: Transport) -> None:
    """Send and hear notifications."""
    notifier = notify.Notifier(transport, publisher_id="inventory.host1", ttl=60)
    assert_type(await notifier.info("item.created", {"item": "bolt"}), str)
    assert_type(notifier.with_(publisher_id="other", ttl=None), notify.Notifier)

    async def hear(notification: notify.Notification) -> None:
        assert_type(notification.payload, object)
        assert_type(notification.when, datetime)

    async with notify.listen(transport, hear, event_types=("item.*",)) as listener:
        assert_type(listener, notify.Listener)
