"""On what terms a server works, and how it is doing. Values only."""

from msgspec import Struct

from bedplate.messaging.receiving import Ack, IntakePolicy
from bedplate.messaging.staffing import ShiftOptions

__all__ = ["COUNTED", "ServerOptions", "ServerStatistics"]

COUNTED = (
    "received",
    "results",
    "faults",
    "done",
    "refused",
    "expired",
    "parked",
    "cancelled",
    "repeated",
    "returned",
    "malformed",
)
"""What `ServerStatistics` counts, by name."""


class ServerOptions(Struct, frozen=True, kw_only=True):
    """How a server works; see `bedplate.messaging.rpc.serve`. Times are in seconds."""

    topic: str
    exchange: str = "default"
    server: str | None = None
    workers: int = 8
    accept: int | None = None
    ack: Ack = Ack.START
    attempts: int | None = 10
    drain: float = 10.0
    tracebacks: bool = False

    def __post_init__(self) -> None:
        if not self.topic:
            raise ValueError("a server needs the name of a topic")
        self.shift()  # refuses numbers that make no sense

    def shift(self) -> ShiftOptions:
        """Return how much is worked on at once, and how that ends."""
        return ShiftOptions(
            workers=self.workers,
            accept=self.accept,
            policy=IntakePolicy(ack=self.ack, attempts=self.attempts),
            drain=self.drain,
        )


class ServerStatistics(Struct, frozen=True):
    """How a server is doing. Counts are since it was opened.

    ``received`` counts requests; each ends in one of ``results``, ``faults``, ``done`` (casts),
    ``refused`` (unknown method, bad arguments, …), ``expired``, ``parked`` (begun too often without
    an end), ``cancelled``, ``repeated`` (a request already in hand) or ``returned`` to the broker.
    ``late_answers`` were not sent because nobody waited any more, ``lost_answers`` because the
    transport could not.
    """

    running: int
    waiting: int
    received: int
    results: int
    faults: int
    done: int
    refused: int
    expired: int
    parked: int
    cancelled: int
    repeated: int
    returned: int
    malformed: int
    late_answers: int
    lost_answers: int
