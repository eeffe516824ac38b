"""What peers say to each other beside requests, whatever envelope carries it.

Values only. The free part of each (arguments, result, payload) stays JSON text, because only who
knows the types can check and decode it in one pass; `bedplate.messaging.wire.native` reads and
writes it. Knows nothing of brokers, calls or handlers. Durations are seconds.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

from msgspec import Struct

from bedplate.messaging.types import Address, Headers

__all__ = [
    "NO_CONTEXT",
    "QUEUED",
    "RUNNING",
    "Beat",
    "Cancel",
    "Context",
    "Event",
    "Fault",
    "FaultText",
    "Received",
    "Reply",
]

Context = Mapping[str, object]
"""What a caller sends along beside the arguments: plain JSON values."""

NO_CONTEXT: Context = MappingProxyType({})
"""The context of a request that carries none."""

QUEUED = "queued"
"""State of a request that waits for a worker."""

RUNNING = "running"
"""State of a request that is being worked on."""


class Reply(Struct, frozen=True):
    """The result of a call, as JSON text."""

    call: str
    result: bytes = b"null"


class Fault(Struct, frozen=True):
    """Why a call has no result: an error as data.

    ``type`` is the name of the error's class over there, ``causes`` are pairs of type and
    message, nearest first. ``details`` are plain JSON values.
    """

    call: str
    code: str
    type: str
    message: str = ""
    details: Context = NO_CONTEXT
    causes: tuple[tuple[str, str], ...] = ()
    retryable: bool = False


class FaultText(Struct):
    """What is written of a fault where the call it ends is known: its JSON, field by field."""

    code: str
    type: str
    message: str = ""
    details: dict[str, object] = {}
    causes: tuple[tuple[str, str], ...] = ()
    retryable: bool = False


class Beat(Struct, frozen=True):
    """A sign of life of a call. ``progress`` is JSON text where the handler told of some.

    Receivers take a state they do not know for a sign of life like any other.
    """

    call: str
    state: str = RUNNING
    progress: bytes | None = None


class Cancel(Struct, frozen=True):
    """The caller no longer waits for a call."""

    call: str


class Event(Struct, frozen=True):
    """A notification; ``payload`` is JSON text, ``timestamp`` in seconds since 1970."""

    id: str
    event_type: str
    publisher_id: str
    priority: str
    timestamp: float
    payload: bytes = b"null"
    context: Context = NO_CONTEXT


class Received(Protocol):
    """What a decoder needs to see of a message: an `Arrival` or a delivery."""

    @property
    def id(self) -> str:
        """The message's id, possibly empty."""
        ...

    @property
    def kind(self) -> str:
        """What the sender said it is."""
        ...

    @property
    def correlation_id(self) -> str:
        """The call it belongs to, possibly empty."""
        ...

    @property
    def reply_to(self) -> Address | None:
        """Where answers go."""
        ...

    @property
    def headers(self) -> Headers:
        """Its headers."""
        ...

    @property
    def body(self) -> bytes:
        """Its body."""
        ...
