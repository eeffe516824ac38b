"""Clients: typed stubs of an interface, and an untyped client for whatever a topic serves.

Thin: options and names go in, `caller` makes the calls. Knows nothing of links and messages.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Self, TypeVar, Unpack, final

from bedplate.errors import DeadlineExceeded
from bedplate.messaging.rpc.caller import Caller
from bedplate.messaging.rpc.endings import deadline_error
from bedplate.messaging.rpc.faults import Errors
from bedplate.messaging.rpc.interceptors import (
    ClientInterceptor,
    Outgoing,
    Send,
    around_sending,
    checked,
)
from bedplate.messaging.rpc.interface import Interface, contract_of, stub
from bedplate.messaging.rpc.options import Choices, Options
from bedplate.messaging.rpc.serializer import Serializer, codec_of
from bedplate.messaging.rpc.signature import Signature
from bedplate.messaging.rpc.statistics import ClientStatistics
from bedplate.messaging.rpc.stubcalls import StubCalls
from bedplate.messaging.transport import Transport

__all__ = ["Client", "client"]

I = TypeVar("I", bound=Interface)  # noqa: E741 - no other letter says interface

_NO_ERRORS: Errors = MappingProxyType({})
_STAGE = "in an interceptor"
_GRACE = 0.05
"""Seconds for interceptors to hear that the deadline is over, before they are cut off."""


@final
class Client:
    """Calls methods by name, without knowing their types.

    ::

        stock = rpc.Client(transport, topic="stock", timeout=3)
        left = await stock.with_(server="h1").call("reserve", item="bolt", count=2)

    Arguments are keywords of the remote method; how to call is set by `with_` and never mixes
    with them. ``errors`` maps codes of faults to the classes to raise for them; nothing else is
    ever looked up. ``name`` is what servers see as the peer. ``interceptors`` run around each call,
    cast and fanout, the first outermost; see `ClientInterceptor`. ``serializer`` carries values of
    the application that JSON does not know; see `Serializer`. Belongs to the transport's loop.
    """

    __slots__ = ("_caller", "_codec", "_errors", "_interceptors", "_manner", "options")

    def __init__(
        self,
        transport: Transport,
        *,
        topic: str,
        errors: Errors = _NO_ERRORS,
        name: str = "",
        interceptors: Sequence[ClientInterceptor] = (),
        serializer: Serializer | None = None,
        **choices: Unpack[Choices],
    ) -> None:
        checked(interceptors)
        self.options = Options(topic=topic).changed(choices)
        self._errors = MappingProxyType(dict(errors))
        self._interceptors = tuple(interceptors)
        self._codec = codec_of(serializer)
        self._caller = Caller(transport, name, self._codec)
        self._manner = self._caller.manner(self.options)

    def with_(self, **choices: Unpack[Choices]) -> Self:
        """Return the same client with other options. Raises ValueError for senseless ones."""
        other = object.__new__(type(self))
        other.options = self.options.changed(choices)
        other._errors = self._errors
        other._interceptors = self._interceptors
        other._codec, other._caller = self._codec, self._caller
        other._manner = self._caller.manner(other.options)
        return other

    async def call(self, method: str, /, **args: object) -> object:
        """Run a method and return its result: plain JSON values.

        Raises, all within ``timeout`` seconds: `RemoteError` and its leaves, or a class of
        ``errors``, for what the server answered; `NoSuchTarget`, `CallLost`, `ReplyPathLost`,
        `DeadlineExceeded` for what became of the call; `TransportError`; `Unencodable` and
        `TooLarge` before anything is sent. Cancelling it cancels the handler. At most once,
        except with ``repeats``.
        """
        if self._interceptors:
            call = Outgoing(method, "call", args, self.options)
            return await self._intercepted(call, self._send)
        body = self._codec.dumps(args, f"the arguments of {method}()")
        return await self._caller.call(
            self._manner, method, body, self._errors, self._reading(method)
        )

    async def cast(self, method: str, /, **args: object) -> None:
        """Have a method run without waiting for it; return when the broker has the request.

        Raises `NoSuchTarget`, `DeadlineExceeded`, `TransportError`, `CodecError`.
        """
        await self._told(Outgoing(method, "cast", args, self.options))

    async def fanout(self, method: str, /, **args: object) -> None:
        """Have every server of the topic run a method; return when the broker has the request.

        Nobody there is no error. Raises `DeadlineExceeded`, `TransportError`, `CodecError`.
        """
        await self._told(Outgoing(method, "fanout", args, self.options))

    async def invoke(
        self, method: str, signature: Signature, arguments: Mapping[str, object]
    ) -> object:
        """Call for a stub: arguments are encoded, the result is decoded as annotated."""
        return await self._stub_calls().invoke(method, signature, (), dict(arguments))

    def invoke_blocking(
        self, method: str, signature: Signature, arguments: Mapping[str, object]
    ) -> object:
        """Call for a stub from a thread other than the loop's, and wait for the result.

        Raises what `call` raises, and `WouldDeadlock` on the loop's own thread.
        """
        return self._stub_calls().invoke_blocking(method, signature, (), dict(arguments))

    def _stub_calls(self) -> StubCalls:
        around = self._invoke_intercepted if self._interceptors else None
        return StubCalls(self._caller, self._manner, self._errors, self._stub_with, around)

    def _stub_with(self, choices: Choices) -> StubCalls:
        return self.with_(**choices)._stub_calls()  # noqa: SLF001 - another of this class

    async def _invoke_intercepted(
        self, method: str, signature: Signature, arguments: Mapping[str, object]
    ) -> object:
        async def send(call: Outgoing) -> object:
            body = signature.bind(call.arguments)
            if call.verb == "call":
                return await self._answer(call, body, signature.read_result)
            await self._cast(call, body)
            return None

        return await self._intercepted(Outgoing(method, "call", arguments, self.options), send)

    async def _told(self, call: Outgoing) -> None:
        if self._interceptors:
            await self._intercepted(call, self._send)
        else:
            await self._send(call)

    async def _intercepted(self, call: Outgoing, send: Send) -> object:
        """Pass a request out through the interceptors, all within the caller's timeout."""
        caller, method, address = self._caller, call.method, call.options.address
        clock = caller.transport.clock
        deadline = caller.deadline(call.options.timeout, method, address, clock.now())

        async def innermost(call: Outgoing) -> object:
            left = deadline.remaining(clock.now())
            if left <= 0:
                raise deadline_error(method, address, deadline.timeout, _STAGE)
            return await send(call if call.options.timeout <= left else call.with_(timeout=left))

        limit = caller.transport.limit(deadline.timeout + _GRACE)
        try:
            with limit:
                return await around_sending(self._interceptors, innermost)(call)
        except TimeoutError as error:
            if isinstance(error, DeadlineExceeded) or not limit.expired:
                raise
            raise deadline_error(method, address, deadline.timeout, _STAGE) from None

    async def _send(self, call: Outgoing) -> object:
        body = self._codec.dumps(call.arguments, f"the arguments of {call.method}()")
        if call.verb != "call":
            await self._cast(call, body)
            return None
        return await self._answer(call, body, self._reading(call.method))

    async def _answer(self, call: Outgoing, body: bytes, read: Callable[[bytes], object]) -> object:
        same = call.options is self.options
        manner = self._manner if same else self._caller.manner(call.options)
        return await self._caller.call(manner, call.method, body, self._errors, read)

    def _reading(self, method: str) -> Callable[[bytes], object]:
        return partial(self._codec.loaded, where=f"the result of {method}()")

    async def _cast(self, call: Outgoing, body: bytes) -> None:
        fanout = call.verb == "fanout"
        await self._caller.cast(call.options, call.method, body, fanout=fanout)

    def statistics(self) -> ClientStatistics:
        """Return the counts over this client and all its copies."""
        return self._caller.statistics()

    async def aclose(self) -> None:
        """End what is open with `TransportClosed`, in all copies. Idempotent.

        Not needed before the transport is closed, which does the same.
        """
        await self._caller.aclose()

    def __repr__(self) -> str:
        return f"Client({self.options.address})"


def client(
    transport: Transport,
    interface: type[I],
    *,
    errors: Errors = _NO_ERRORS,
    name: str = "",
    interceptors: Sequence[ClientInterceptor] = (),
    serializer: Serializer | None = None,
    **choices: Unpack[Choices],
) -> I:
    """Return an object of type ``interface`` whose methods are calls.

    Arguments are checked against the annotations before anything is sent (TypeError), results
    after (`MalformedMessage`). Otherwise the methods raise what `Client.call` raises. Options are
    given here or by ``with_`` on the stub. Raises TypeError for an interface without topic,
    ValueError for senseless options.
    """
    contract = contract_of(interface)
    if contract is None:
        raise TypeError(f"{interface.__name__} is no interface with a topic; see rpc.Interface")
    given: Choices = {
        "exchange": contract.exchange,
        "namespace": contract.namespace,
        "version": contract.version,
        **choices,
    }
    made = Client(
        transport,
        topic=contract.topic,
        errors=errors,
        name=name,
        interceptors=interceptors,
        serializer=serializer,
        **given,
    )
    return stub(interface, made._stub_calls(), made._codec)  # noqa: SLF001 - of the class above
