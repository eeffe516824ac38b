"""``rpc.serve``: from handlers and keywords to a server. Decides what is taken from where."""

from collections.abc import Sequence
from typing import Literal

from bedplate.messaging.receiving import Ack
from bedplate.messaging.rpc.access import AccessPolicy, Served, check_access
from bedplate.messaging.rpc.dispatch import Routes
from bedplate.messaging.rpc.endpoint import Endpoint
from bedplate.messaging.rpc.interceptors import ServerInterceptor, checked
from bedplate.messaging.rpc.interface import Contract, contract_of
from bedplate.messaging.rpc.introspect import NAMESPACE, Introspection
from bedplate.messaging.rpc.serializer import Serializer, codec_of
from bedplate.messaging.rpc.server import Server
from bedplate.messaging.rpc.terms import ServerOptions
from bedplate.messaging.transport import Transport

__all__ = ["serve"]


def serve(  # noqa: PLR0913 - keywords with defaults, each written only where it is meant
    transport: Transport,
    *handlers: object,
    topic: str | None = None,
    exchange: str | None = None,
    server: str | None = None,
    workers: int = 8,
    accept: int | None = None,
    ack: Literal["start", "done"] | Ack = "start",
    attempts: int | None = 10,
    drain: float = 10.0,
    tracebacks: bool = False,
    introspect: bool = True,
    methods: Served = "public",
    access: AccessPolicy | None = None,
    interceptors: Sequence[ServerInterceptor] = (),
    serializer: Serializer | None = None,
) -> Server:
    """Serve the public methods of ``handlers``; enter the result with ``async with``.

    A handler is an object, or an `Endpoint` where it needs a namespace or version of its own.
    Methods may be async or plain; plain ones run in threads. ``topic`` and ``exchange`` are the
    interface's where the first handler implements one. ``server`` is the name by which this very
    server is asked, beside topic and fanout. At most ``workers`` requests run at once, and at
    most ``accept`` more (four times as many) are taken from each address to wait here, where they
    beat; the others wait in the broker. ``ack="start"``: acknowledged when it begins to run, at
    most once; ``"done"``: afterwards, at least once. Then one that was begun ``attempts`` times
    without an end (None: no bound) is parked instead of run again, see `Transport.parked`. Leaving
    the block lets what runs end within ``drain`` seconds. ``tracebacks`` adds the traceback to
    faults, for callers you trust.
    ``introspect``: answer ``ping``, ``describe`` and ``stats`` in the namespace ``bedplate``,
    to anybody and also when all workers are busy. ``methods="exposed"`` serves only methods marked
    with `expose`. ``access`` says, request by request, who is let in (everybody); whoever is not
    hears `AccessDenied`.
    ``interceptors`` run around each handler, the first outermost; see `ServerInterceptor`.
    ``serializer`` carries values of the application that JSON does not know; see `Serializer`.

    Raises TypeError for handlers that cannot be served, ValueError for senseless numbers.
    """
    if not handlers:
        raise TypeError("serve() needs at least one object whose methods to serve")
    declared = _first_contract(handlers)
    if topic is None:
        if declared is None:
            raise TypeError(
                f"{type(handlers[0]).__name__} implements no rpc.Interface: say topic=…"
            )
        topic = declared.topic
    if exchange is None:
        exchange = declared.exchange if declared is not None else "default"
    options = ServerOptions(
        topic=topic,
        exchange=exchange,
        server=server,
        workers=workers,
        accept=accept,
        ack=Ack(ack),
        attempts=attempts,
        drain=drain,
        tracebacks=tracebacks,
    )
    check_access(methods, access)
    checked(interceptors)
    codec = codec_of(serializer)
    routes = Routes(handlers, methods, codec)
    made = Server(transport, routes, options, access, interceptors, codec)
    if not introspect:
        return made
    if any(table.namespace == NAMESPACE for table in routes.tables):
        raise TypeError(
            f"the namespace {NAMESPACE!r} is where servers tell of themselves; choose another, "
            f"or say introspect=False"
        )
    about = Introspection(routes.tables, options)
    routes.add(Endpoint(handler=about, namespace=NAMESPACE), instant=True)
    about._watch(made.statistics)  # noqa: SLF001 - no name without underscore: those are served
    return made


def _first_contract(handlers: tuple[object, ...]) -> Contract | None:
    for each in handlers:
        handler = each.handler if isinstance(each, Endpoint) else each
        contract = contract_of(type(handler))
        if contract is not None:
            return contract
    return None
