"""What a handler may know of the request it serves, and tell its caller meanwhile."""

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import final

from bedplate.clock import Clock
from bedplate.messaging.wire.values import NO_CONTEXT

__all__ = ["CURRENT", "Context", "context"]


@final
class Context:
    """One request, as its handler sees it.

    A handler gets it as its first parameter where that is annotated `Context`, and from
    `context` anywhere beneath, in threads of plain handlers too.
    """

    __slots__ = (
        "_clock",
        "_report",
        "cancelled",
        "deadline",
        "id",
        "method",
        "peer",
        "values",
    )

    def __init__(
        self,
        *,
        method: str,
        id: str = "",  # noqa: A002 - the word every value here uses
        peer: str = "",
        values: Mapping[str, object] = NO_CONTEXT,
        deadline: float | None = None,
        clock: Clock,
        report: Callable[[object], None],
    ) -> None:
        self.method = method
        self.id = id
        """The call's id; of a cast, the message's."""
        self.peer = peer
        """The name the caller gave its client; empty if none. Not authenticated."""
        self.values = values
        """What the caller sent as ``context=``: plain JSON values."""
        self.deadline = deadline
        """Monotonic seconds at which the caller stops waiting; None for casts."""
        self.cancelled = False
        """Whether the caller gave up. An async handler is cancelled; a plain one may look here."""
        self._clock, self._report = clock, report

    def remaining(self) -> float | None:
        """Seconds until the caller stops waiting, never below 0; None for casts.

        Calls made from within a handler never take longer than this.
        """
        if self.deadline is None:
            return None
        return max(0.0, self.deadline - self._clock.now())

    def report(self, progress: object) -> None:
        """Send ``progress`` (a JSON value) to the caller as a sign of life; from any thread.

        At most once, unconfirmed; nothing happens for casts. Raises `Unencodable`, `TooLarge`.
        """
        self._report(progress)

    def __repr__(self) -> str:
        return f"Context(method={self.method!r}, id={self.id!r})"


CURRENT: ContextVar[Context | None] = ContextVar("bedplate.rpc.context", default=None)
"""The request being served; set by the server, in a copy of its variables for each request."""


def context() -> Context:
    """Return the request being served by the code that asks.

    Raises LookupError where no request is being served: outside of handlers.
    """
    request = CURRENT.get()
    if request is None:
        raise LookupError("no request is being served here; this is known in handlers only")
    return request
