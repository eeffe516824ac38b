"""Clients: typed stubs of an interface, and an untyped client for whatever a topic serves.

Thin: options and names go in, `caller` makes the calls. Knows nothing of links and messages.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Self, TypeVar, Unpack, final

import msgspec

from bedplate.errors import MalformedMessage
from bedplate.messaging.rpc.caller import Caller, ClientStatistics
from bedplate.messaging.rpc.faults import Errors
from bedplate.messaging.rpc.interface import Interface, contract_of, stub
from bedplate.messaging.rpc.options import Choices, Options
from bedplate.messaging.rpc.signature import Signature
from bedplate.messaging.transport import Transport
from bedplate.messaging.wire import native

__all__ = ["Client", "client"]

I = TypeVar("I", bound=Interface)  # noqa: E741 - no other letter says interface

_ANY: msgspec.json.Decoder[object] = msgspec.json.Decoder(object)
_NO_ERRORS: Errors = MappingProxyType({})


@final
class Client:
    """Calls methods by name, without knowing their types.

    ::

        stock = rpc.Client(transport, topic="stock", timeout=3)
        left = await stock.with_(server="h1").call("reserve", item="bolt", count=2)

    Arguments are keywords of the remote method; how to call is set by `with_` and never mixes
    with them. ``errors`` maps codes of faults to the classes to raise for them; nothing else is
    ever looked up. ``name`` is what servers see as the peer. Belongs to the transport's loop.
    """

    __slots__ = ("_caller", "_errors", "options")

    def __init__(
        self,
        transport: Transport,
        *,
        topic: str,
        errors: Errors = _NO_ERRORS,
        name: str = "",
        **choices: Unpack[Choices],
    ) -> None:
        self.options = Options(topic=topic).changed(choices)
        self._errors = MappingProxyType(dict(errors))
        self._caller = Caller(transport, name)

    def with_(self, **choices: Unpack[Choices]) -> Self:
        """Return the same client with other options. Raises ValueError for senseless ones."""
        other = object.__new__(type(self))
        other.options = self.options.changed(choices)
        other._errors = self._errors
        other._caller = self._caller
        return other

    async def call(self, method: str, /, **args: object) -> object:
        """Run a method and return its result: plain JSON values.

        Raises, all within ``timeout`` seconds: `RemoteError` and its leaves, or a class of
        ``errors``, for what the server answered; `NoSuchTarget`, `CallLost`, `ReplyPathLost`,
        `DeadlineExceeded` for what became of the call; `TransportError`; `Unencodable` and
        `TooLarge` before anything is sent. Cancelling it cancels the handler. At most once,
        except with ``repeats``.
        """
        what = f"the arguments of {method}()"
        body = await self._caller.call(self.options, method, native.dumps(args, what), self._errors)
        where = f"the result of {method}()"
        try:
            return native.loads(body, _ANY, where)
        except msgspec.ValidationError as error:
            raise MalformedMessage(where=where, why=str(error)) from None

    async def cast(self, method: str, /, **args: object) -> None:
        """Have a method run without waiting for it; return when the broker has the request.

        Raises `NoSuchTarget`, `DeadlineExceeded`, `TransportError`, `CodecError`.
        """
        await self._cast(method, args, fanout=False)

    async def fanout(self, method: str, /, **args: object) -> None:
        """Have every server of the topic run a method; return when the broker has the request.

        Nobody there is no error. Raises `DeadlineExceeded`, `TransportError`, `CodecError`.
        """
        await self._cast(method, args, fanout=True)

    async def _cast(self, method: str, args: Mapping[str, object], *, fanout: bool) -> None:
        body = native.dumps(args, f"the arguments of {method}()")
        await self._caller.cast(self.options, method, body, fanout=fanout)

    async def invoke(self, method: str, signature: Signature, arguments: bytes) -> object:
        """Call for a stub: arguments are encoded, the result is decoded as annotated."""
        body = await self._caller.call(self.options, method, arguments, self._errors)
        return signature.read_result(body)

    def invoke_blocking(self, method: str, signature: Signature, arguments: bytes) -> object:
        """Call for a stub from a thread other than the loop's, and wait for the result.

        Raises what `call` raises, and `WouldDeadlock` on the loop's own thread.
        """
        return self._caller.crossing.wait(
            lambda: self.invoke(method, signature, arguments),
            self.options.timeout,
            f"{signature.name}()",
        )

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
    return stub(
        interface, Client(transport, topic=contract.topic, errors=errors, name=name, **given)
    )
