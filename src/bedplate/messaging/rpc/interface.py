"""One contract for both ends: a class whose methods a server implements and a client calls.

Holds what the class says (topic, version) and what its methods take. Knows nothing of how calls
are made: a stub hands them to the client that made it.
"""

import inspect
from collections.abc import Callable
from types import MethodType
from typing import ClassVar, Self, TypeVar, Unpack

from msgspec import Struct

from bedplate.messaging.rpc.options import Choices
from bedplate.messaging.rpc.serializer import PLAIN, Codec
from bedplate.messaging.rpc.signature import Signature, public_methods, read_signature
from bedplate.messaging.rpc.stubcalls import StubCalls

__all__ = ["Contract", "Interface", "calls_of", "contract_of", "stub"]

I = TypeVar("I", bound="Interface")  # noqa: E741 - no other letter says interface


class Contract(Struct, frozen=True):
    """What an interface says of itself."""

    topic: str
    version: str
    namespace: str
    exchange: str


class Interface:
    """What a service offers, declared once and typed on both ends.

    ::

        class Stock(rpc.Interface, topic="stock", version="1.2"):
            async def reserve(self, item: str, count: int = 1) -> int: ...

    A server subclasses it (or looks the same); ``rpc.client(transport, Stock)`` gives an object
    of this type. Methods written ``async def`` are awaited; plain ones block the calling thread,
    which must not be the loop's. ``version`` is ``major.minor``. A class that implements an
    interface is a subclass without ``topic``. The name ``with_`` is taken.
    """

    _bedplate_contract: ClassVar[Contract | None] = None
    _bedplate_calls: StubCalls | None = None

    def __init_subclass__(
        cls,
        *,
        topic: str | None = None,
        version: str = "1.0",
        namespace: str = "",
        exchange: str = "default",
    ) -> None:
        super().__init_subclass__()
        if topic is not None:
            cls._bedplate_contract = Contract(topic, version, namespace, exchange)

    def with_(self, **choices: Unpack[Choices]) -> Self:
        """Return the same stub with other options; see `Choices`. Raises ValueError for bad."""
        calls = calls_of(self)
        other = object.__new__(type(self))
        other._bedplate_calls = calls.again(choices)
        return other


def contract_of(kind: type) -> Contract | None:
    """Return what a class says of itself as an interface; None if it is none."""
    if not issubclass(kind, Interface):
        return None
    return kind._bedplate_contract  # noqa: SLF001 - out of the way of the interface's own names


def calls_of(stub_: Interface) -> StubCalls:
    """Return what makes the calls of a stub. Raises TypeError for what is no stub."""
    calls = stub_._bedplate_calls  # noqa: SLF001 - see contract_of
    if calls is None:
        kind = type(stub_).__name__
        raise TypeError(f"this {kind} is no client's stub; make one with rpc.client(transport, …)")
    return calls


def stub(interface: type[I], calls: StubCalls, codec: Codec = PLAIN) -> I:
    """Make the object through which a client calls the methods of ``interface``.

    Raises TypeError for an interface without topic or with methods that cannot be called.
    """
    if contract_of(interface) is None:
        raise TypeError(
            f"{interface.__name__} names no topic; write "
            f'class {interface.__name__}(rpc.Interface, topic="…")'
        )
    members: dict[str, object] = {}
    for name, method in public_methods(interface, below=Interface).items():
        bound = MethodType(method, interface)
        signature = read_signature(bound, f"{interface.__name__}.{name}", codec=codec)
        make = _awaited if signature.is_async else _blocking
        members[name] = make(name, method, signature)
    kind: type[I] = type(interface.__name__, (interface,), members)
    made = object.__new__(kind)
    made._bedplate_calls = calls
    return made


def _awaited(
    name: str, method: Callable[..., object], signature: Signature
) -> Callable[..., object]:
    async def call(self: Interface, *given: object, **named: object) -> object:
        calls = self._bedplate_calls or calls_of(self)
        return await calls.invoke(name, signature, given, named)

    return _dressed(call, method)


def _blocking(
    name: str, method: Callable[..., object], signature: Signature
) -> Callable[..., object]:
    def call(self: Interface, *given: object, **named: object) -> object:
        return calls_of(self).invoke_blocking(name, signature, given, named)

    return _dressed(call, method)


def _dressed(call: Callable[..., object], method: Callable[..., object]) -> Callable[..., object]:
    for attribute in ("__name__", "__qualname__", "__doc__", "__module__"):
        setattr(call, attribute, getattr(method, attribute, None))
    call.__signature__ = inspect.signature(method)  # type: ignore[attr-defined]  # inspect reads it
    return call
