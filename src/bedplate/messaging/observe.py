"""What tracing and metrics may hear of a transport: values, handed over after the fact.

Observers never steer: they return nothing, and one that raises is reported once and dropped.
Pure; who logs the report is the caller's.
"""

from collections.abc import Callable, Iterable
from typing import Protocol

from msgspec import Struct

from bedplate.messaging.types import NO_HEADERS, Address, Headers

__all__ = ["Closed", "Observer", "Observers", "Opened", "Received", "Sent"]


class Sent(Struct, frozen=True):
    """A message was handed to a link. ``size`` is the body's, in bytes.

    A call and all that is said about it have one ``correlation_id``. ``ttl`` is in seconds.
    """

    address: Address
    id: str
    kind: str = ""
    size: int = 0
    headers: Headers = NO_HEADERS
    correlation_id: str = ""
    ttl: float | None = None


class Received(Struct, frozen=True):
    """A message arrived; ``verdict`` is ``run``, ``expired``, ``duplicate`` or ``park``."""

    address: Address
    id: str
    kind: str = ""
    size: int = 0
    headers: Headers = NO_HEADERS
    redelivered: bool = False
    verdict: str = "run"
    correlation_id: str = ""


class Opened(Struct, frozen=True):
    """A link came up. ``line`` is ``talk`` or ``listen``, ``epoch`` counts its links from 1."""

    line: str
    where: str
    epoch: int


class Closed(Struct, frozen=True):
    """A link ended, on purpose or not; ``why`` is a sentence."""

    line: str
    where: str
    epoch: int
    why: str


class Observer(Protocol):
    """Hears of messages and links, on the transport's loop. Must not block."""

    def sent(self, event: Sent) -> None:
        """Hear of a message handed to a link."""
        ...

    def received(self, event: Received) -> None:
        """Hear of an arrived message and what was decided about it."""
        ...

    def opened(self, event: Opened) -> None:
        """Hear of a link that came up."""
        ...

    def closed(self, event: Closed) -> None:
        """Hear of a link that ended."""
        ...


class Observers:
    """The observers of one transport. True while there is anybody to tell."""

    __slots__ = ("_all", "_report")

    def __init__(
        self, observers: Iterable[Observer], report: Callable[[Observer, Exception], None]
    ) -> None:
        self._all = tuple(observers)
        self._report = report

    def __bool__(self) -> bool:
        return bool(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def sent(self, event: Sent) -> None:
        """Tell all of a message handed to a link."""
        self._tell(lambda each: each.sent(event))

    def received(self, event: Received) -> None:
        """Tell all of an arrived message."""
        self._tell(lambda each: each.received(event))

    def opened(self, event: Opened) -> None:
        """Tell all of a link that came up."""
        self._tell(lambda each: each.opened(event))

    def closed(self, event: Closed) -> None:
        """Tell all of a link that ended."""
        self._tell(lambda each: each.closed(event))

    def _tell(self, tell: Callable[[Observer], None]) -> None:
        for each in self._all:
            try:
                tell(each)
            except Exception as error:  # noqa: BLE001 - whatever it is, it must not reach us
                self._all = tuple(other for other in self._all if other is not each)
                self._report(each, error)
