"""Errors as data: what a handler raised becomes a fault, and a fault an exception again.

Nothing is imported or looked up because the wire says so: a fault becomes a `RemoteError`, one of
its few protocol leaves, or a class from the registry that the application filled. Sends neither
tracebacks nor arguments of exceptions by itself. Pure.
"""

import logging
import re
import traceback
from collections.abc import Mapping
from types import MappingProxyType

from bedplate.errors import (
    AccessDenied,
    BadArguments,
    BedplateError,
    CodecError,
    NoSuchMethod,
    RemoteError,
    RequestExpired,
    ServerBusy,
    UnsupportedVersion,
)
from bedplate.messaging.rpc.serializer import PLAIN, Codec
from bedplate.messaging.wire.values import NO_CONTEXT, Fault

__all__ = ["Errors", "error_of", "fault_of"]

_log = logging.getLogger("bedplate.messaging.rpc")

Errors = Mapping[str, type[Exception]]
"""A registry: the code of a fault to the class that the client raises for it."""

_PROTOCOL: Mapping[str, type[RemoteError]] = MappingProxyType(
    {
        leaf.code: leaf
        for leaf in (
            AccessDenied,
            BadArguments,
            NoSuchMethod,
            RequestExpired,
            ServerBusy,
            UnsupportedVersion,
        )
    }
)

_LONGEST = 4096
_DEEPEST = 8
_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_CODE = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def fault_of(
    error: BaseException, call: str, *, tracebacks: bool = False, codec: Codec = PLAIN
) -> Fault:
    """Describe an exception as data; never raises, whatever the exception does.

    The code is the exception's ``code`` where that is a string fit to be one, else the name of
    its class in kebab case: ``OutOfStock`` is ``out-of-stock``. ``details`` (a mapping of JSON
    values) and ``retryable`` are taken from attributes of that name. Errors of bedplate that come
    out of a handler speak of a call further on, so they are never retryable here.
    """
    details = _details(error, codec)
    if tracebacks:
        trace = "".join(traceback.format_exception(error))[-_LONGEST * 4 :]
        details = {**details, "traceback": _clean(trace)}
    return Fault(
        call,
        _code(error),
        _type(error),
        _message(error),
        details,
        _causes(error),
        _retryable(error),
    )


def error_of(fault: Fault, target: str, errors: Errors, codec: Codec = PLAIN) -> Exception:
    """Build the exception a client raises for a fault of ``target``.

    A class of the registry that is a `RemoteError` is built as one; any other gets the message
    as its only argument and the `RemoteError` as its cause. One that cannot be built so gives
    way to the `RemoteError`.
    """
    chosen = errors.get(fault.code)
    kind = _PROTOCOL.get(fault.code, RemoteError)
    if chosen is not None and issubclass(chosen, RemoteError):
        kind = chosen
    remote = kind(
        type=fault.type,
        message=fault.message,
        code=fault.code,
        details=_loaded(fault, codec),
        causes=fault.causes,
        retryable=fault.retryable,
    )
    remote.peer = target
    if chosen is None or kind is chosen:
        return remote
    try:
        error = chosen(fault.message)
    except Exception:  # noqa: BLE001 - the registry's class is not ours; the fault must arrive
        return remote
    error.__cause__ = remote
    return error


def _code(error: BaseException) -> str:
    code = _attribute(error, "code")
    if isinstance(error, RemoteError) and error.peer and error.code in _PROTOCOL:
        # Said of another server's method, it would be taken for one of ours.
        return RemoteError.code
    if isinstance(code, str) and _CODE.fullmatch(code):
        return code
    return _WORDS.sub("-", type(error).__name__).lower()[:64]


def _type(error: BaseException) -> str:
    name = _attribute(error, "type") if isinstance(error, RemoteError) else None
    return name if isinstance(name, str) else type(error).__name__


def _message(error: BaseException) -> str:
    try:
        return _clean(str(error.message if isinstance(error, RemoteError) else error))
    except Exception:  # noqa: BLE001 - a broken __str__ must not silence the fault
        return ""


def _clean(text: str) -> str:
    return text[:_LONGEST].encode("utf-8", "backslashreplace").decode()


def _details(error: BaseException, codec: Codec) -> Mapping[str, object]:
    details = _attribute(error, "details")
    if not isinstance(details, Mapping):
        return NO_CONTEXT
    given: dict[str, object] = {str(key): value for key, value in details.items()}
    try:
        if codec is not PLAIN:
            return codec.plain(given, "details")
        codec.dumps(given, "details")
    except CodecError:
        return NO_CONTEXT
    return given


def _loaded(fault: Fault, codec: Codec) -> dict[str, object]:
    """Return details as the serializer loads them; as they came where it cannot."""
    details = dict(fault.details)
    if codec.load is None:
        return details
    try:
        return {name: codec.load(value) for name, value in details.items()}
    except ValueError as error:
        # The fault itself matters more, and must arrive.
        _log.warning("The details of a fault stay as they came: %s", error)
        return details


def _causes(error: BaseException) -> tuple[tuple[str, str], ...]:
    causes: list[tuple[str, str]] = []
    seen = {id(error)}
    while len(causes) < _DEEPEST:
        cause = error.__cause__
        if cause is None and not error.__suppress_context__:
            cause = error.__context__
        if cause is None or id(cause) in seen:
            break
        seen.add(id(cause))
        causes.append((_type(cause), _message(cause)))
        error = cause
    return tuple(causes)


def _retryable(error: BaseException) -> bool:
    if isinstance(error, RemoteError):
        return bool(_attribute(error, "retryable")) and not error.peer
    return not isinstance(error, BedplateError) and _attribute(error, "retryable") is True


def _attribute(error: BaseException, name: str) -> object:
    try:
        return getattr(error, name, None)
    except Exception:  # noqa: BLE001 - a property of somebody else's exception
        return None
