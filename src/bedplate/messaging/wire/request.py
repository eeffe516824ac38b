"""What a caller asks of a server, whatever envelope carries it.

Apart from the other values because a server looks at nothing else so often: a plain class, which
can be compiled. Knows nothing of brokers, calls or handlers.
"""

from typing import final

from bedplate.messaging.types import Address
from bedplate.messaging.wire.values import NO_CONTEXT, Context

__all__ = ["Request"]


@final
class Request:
    """Run a method. ``args`` is a JSON object of the arguments by name.

    With ``reply_to`` it is a call, without a cast. ``timeout`` is what the caller had left when
    it sent, where that differs from the message's ttl. ``version`` empty: whatever is served.
    """

    __slots__ = (
        "args",
        "context",
        "heartbeat",
        "id",
        "method",
        "namespace",
        "peer",
        "reply_to",
        "timeout",
        "version",
    )

    def __init__(  # noqa: PLR0913, PLR0917 - a value of ten fields
        self,
        id: str,  # noqa: A002 - the word every value here uses
        method: str,
        args: bytes = b"{}",
        reply_to: Address | None = None,
        namespace: str = "",
        version: str = "",
        heartbeat: float | None = None,
        timeout: float | None = None,
        peer: str = "",
        context: Context = NO_CONTEXT,
    ) -> None:
        self.id = id
        self.method = method
        self.args = args
        self.reply_to = reply_to
        self.namespace = namespace
        self.version = version
        self.heartbeat = heartbeat
        self.timeout = timeout
        self.peer = peer
        self.context = context

    def within(self, context: Context) -> "Request":
        """Return the same request with another context."""
        return Request(
            self.id,
            self.method,
            self.args,
            self.reply_to,
            self.namespace,
            self.version,
            self.heartbeat,
            self.timeout,
            self.peer,
            context,
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Request):
            return NotImplemented
        return self._fields() == other._fields()

    __hash__ = None  # type: ignore[assignment]  # a context may be any mapping

    def __repr__(self) -> str:
        return f"Request({', '.join(map(repr, self._fields()))})"

    def _fields(self) -> tuple[object, ...]:
        return (
            self.id,
            self.method,
            self.args,
            self.reply_to,
            self.namespace,
            self.version,
            self.heartbeat,
            self.timeout,
            self.peer,
            dict(self.context),
        )
