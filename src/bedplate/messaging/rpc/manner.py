"""How a client calls: its options read once, in the form in which each of its calls needs them.

Knows what options mean for a call; knows neither links nor the state of calls.
"""

from typing import Final, final

from bedplate.messaging.rpc.options import Options
from bedplate.messaging.types import Address, Headers

__all__ = ["Form", "Manner"]

_KEPT: Final = 1000


@final
class Form:
    """What the envelopes of all requests for one method have in common."""

    __slots__ = ("content_type", "headers", "kind")

    def __init__(self, headers: Headers, content_type: str, kind: str) -> None:
        self.headers = headers
        self.content_type = content_type
        self.kind = kind


@final
class Manner:
    """Options, ready for use. Times are in seconds.

    ``lifetime`` is what requests without a ttl of their own get, by the transport's rules; None:
    no end but that of the timeout. ``steady``: nothing of what its options say changes from one
    call to the next.
    """

    __slots__ = (
        "_forms",
        "address",
        "heartbeat",
        "lifetime",
        "options",
        "repeats",
        "steady",
        "timeout",
        "ttl",
        "wait",
    )

    def __init__(
        self, options: Options, address: Address, lifetime: float | None, *, steady: bool
    ) -> None:
        self.options = options
        self.address = address
        self.lifetime = lifetime
        self.steady = steady
        self.timeout = options.timeout
        self.heartbeat = options.heartbeat
        self.repeats = options.repeats
        self.ttl = options.ttl
        self.wait = options.wait_for_target
        self._forms: dict[str, Form] = {}

    def form(self, method: str) -> Form | None:
        """Return what is kept for a method."""
        return self._forms.get(method)

    def keep(self, method: str, form: Form) -> None:
        """Keep what the next requests for a method will have in common with this one."""
        if len(self._forms) >= _KEPT:
            self._forms.clear()  # somebody makes up names
        self._forms[method] = form
