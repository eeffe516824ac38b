"""Mistakes with RPC and notifications that type checkers report."""

from bedplate.messaging import Transport, notify, rpc


class Stock(rpc.Interface, topic="stock"):
    """A contract."""

    async def reserve(self, item: str, count: int = 1) -> int:
        """Reserve some."""
        raise NotImplementedError


class WrongStock(Stock):
    """Breaks it."""

    async def reserve(self, item: str) -> int:  # E: Signature of "reserve" incompatible with
        """Reserve one."""
        return len(item)


class Plain:
    """No contract."""


class Misspelt(rpc.Interface, topik="stock"):  # E: Unexpected keyword argument "topik"
    """Says no topic."""


async def later(access: rpc.Access) -> bool:
    """Decide too late."""
    return access.exposed


def refuse(request: rpc.Context, proceed: rpc.Proceed) -> None:
    """Intercept nothing: it is not async."""


async def mistakes(transport: Transport) -> None:
    """Make them."""
    stock = rpc.client(transport, Stock)
    await stock.reserve("bolt", "two")  # E: Argument 2 to "reserve" of "Stock" has incompatible
    await stock.reserve("bolt", cuont=2)  # E: Unexpected keyword argument "cuont"
    text: str = await stock.reserve("bolt")  # E: expression has type "int", variable has type "str"
    await stock.reserv("bolt")  # E: "Stock" has no attribute "reserv"
    stock.with_(timout=3)  # E: Unexpected keyword argument "timout" for "with_"
    stock.with_(timeout="3")  # E: Argument "timeout" to "with_" of "Interface" has incompatible
    rpc.client(transport, Plain)  # E: Value of type variable "I" of "client" cannot be "Plain"
    rpc.client(transport, Stock, timout=3)  # E: Unexpected keyword argument "timout" for "client"
    rpc.Client(transport)  # E: Missing named argument "topic" for "Client"
    rpc.serve(transport, Plain(), ack="never")  # E: Argument "ack" to "serve" has incompatible
    rpc.serve(transport, Plain(), methods="marked")  # E: Argument "methods" to "serve" has
    rpc.serve(transport, Plain(), access=later)  # E: Argument "access" to "serve" has incompatible
    rpc.serve(transport, Plain(), interceptors=[refuse])  # E: List item 0 has incompatible type
    rpc.client(transport, Stock, interceptors=[refuse])  # E: List item 0 has incompatible type
    rpc.client(transport, Stock, serializer=str)  # E: Argument "serializer" to "client" has
    notifier = notify.Notifier(transport)  # E: Missing positional argument "publisher_id"
    notifier.with_(ttl="never")  # E: Argument "ttl" to "with_" of "Notifier" has incompatible type
    await notifier.inform("x", text)  # E: "Notifier" has no attribute "inform"
