"""Remote procedure calls: one contract typed on both ends, or any method by name.

::

    class Stock(rpc.Interface, topic="stock", version="1.2"):
        async def reserve(self, item: str, count: int = 1) -> int: ...

    async with rpc.serve(transport, StockService(), workers=8):
        stock = rpc.client(transport, Stock, timeout=3)
        left = await stock.reserve("bolt", count=2)

Stands on the transport's public API alone.
"""

from bedplate.messaging.rpc.access import Access as Access
from bedplate.messaging.rpc.access import AccessPolicy as AccessPolicy
from bedplate.messaging.rpc.access import Served as Served
from bedplate.messaging.rpc.client import Client as Client
from bedplate.messaging.rpc.client import client as client
from bedplate.messaging.rpc.context import Context as Context
from bedplate.messaging.rpc.context import context as context
from bedplate.messaging.rpc.description import Description as Description
from bedplate.messaging.rpc.description import MethodDescription as MethodDescription
from bedplate.messaging.rpc.description import Schema as Schema
from bedplate.messaging.rpc.description import ServedInterface as ServedInterface
from bedplate.messaging.rpc.description import asyncapi as asyncapi
from bedplate.messaging.rpc.description import json_schema as json_schema
from bedplate.messaging.rpc.endpoint import Endpoint as Endpoint
from bedplate.messaging.rpc.interceptors import ClientInterceptor as ClientInterceptor
from bedplate.messaging.rpc.interceptors import Outgoing as Outgoing
from bedplate.messaging.rpc.interceptors import Proceed as Proceed
from bedplate.messaging.rpc.interceptors import Send as Send
from bedplate.messaging.rpc.interceptors import ServerInterceptor as ServerInterceptor
from bedplate.messaging.rpc.interface import Interface as Interface
from bedplate.messaging.rpc.introspect import Found as Found
from bedplate.messaging.rpc.introspect import Presence as Presence
from bedplate.messaging.rpc.introspect import describe as describe
from bedplate.messaging.rpc.introspect import stats as stats
from bedplate.messaging.rpc.introspect import survey as survey
from bedplate.messaging.rpc.marks import expose as expose
from bedplate.messaging.rpc.marks import silent as silent
from bedplate.messaging.rpc.options import Choices as Choices
from bedplate.messaging.rpc.options import Options as Options
from bedplate.messaging.rpc.serializer import Serializer as Serializer
from bedplate.messaging.rpc.server import Server as Server
from bedplate.messaging.rpc.serving import serve as serve
from bedplate.messaging.rpc.statistics import ClientStatistics as ClientStatistics
from bedplate.messaging.rpc.terms import ServerOptions as ServerOptions
from bedplate.messaging.rpc.terms import ServerStatistics as ServerStatistics

__all__ = [
    "Access",
    "AccessPolicy",
    "Choices",
    "Client",
    "ClientInterceptor",
    "ClientStatistics",
    "Context",
    "Description",
    "Endpoint",
    "Found",
    "Interface",
    "MethodDescription",
    "Options",
    "Outgoing",
    "Presence",
    "Proceed",
    "Schema",
    "Send",
    "Serializer",
    "Served",
    "ServedInterface",
    "Server",
    "ServerInterceptor",
    "ServerOptions",
    "ServerStatistics",
    "asyncapi",
    "client",
    "context",
    "describe",
    "expose",
    "json_schema",
    "serve",
    "silent",
    "stats",
    "survey",
]
