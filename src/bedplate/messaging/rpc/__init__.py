"""Remote procedure calls: one contract typed on both ends, or any method by name.

::

    class Stock(rpc.Interface, topic="stock", version="1.2"):
        async def reserve(self, item: str, count: int = 1) -> int: ...

    async with rpc.serve(transport, StockService(), workers=8):
        stock = rpc.client(transport, Stock, timeout=3)
        left = await stock.reserve("bolt", count=2)

Stands on the transport's public API alone.
"""

from bedplate.messaging.rpc.caller import ClientStatistics as ClientStatistics
from bedplate.messaging.rpc.client import Client as Client
from bedplate.messaging.rpc.client import client as client
from bedplate.messaging.rpc.context import Context as Context
from bedplate.messaging.rpc.context import context as context
from bedplate.messaging.rpc.dispatch import Endpoint as Endpoint
from bedplate.messaging.rpc.interface import Interface as Interface
from bedplate.messaging.rpc.options import Choices as Choices
from bedplate.messaging.rpc.options import Options as Options
from bedplate.messaging.rpc.server import Server as Server
from bedplate.messaging.rpc.serving import serve as serve
from bedplate.messaging.rpc.terms import ServerOptions as ServerOptions
from bedplate.messaging.rpc.terms import ServerStatistics as ServerStatistics

__all__ = [
    "Choices",
    "Client",
    "ClientStatistics",
    "Context",
    "Endpoint",
    "Interface",
    "Options",
    "Server",
    "ServerOptions",
    "ServerStatistics",
    "client",
    "context",
    "serve",
]
