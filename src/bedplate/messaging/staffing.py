"""How many work on deliveries at once, and how long they have at the end. Values only."""

from math import inf

from msgspec import Struct

from bedplate.messaging.receiving import IntakePolicy

__all__ = ["ShiftOptions"]


class ShiftOptions(Struct, frozen=True, kw_only=True):
    """How much is worked on at once, and how it ends.

    At most ``workers`` run at once; ``accept`` more from each source wait (None: four times as
    many). What runs when the shift ends has ``drain`` seconds.
    """

    workers: int = 8
    accept: int | None = None
    policy: IntakePolicy = IntakePolicy()
    drain: float = 10.0

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ValueError(f"workers={self.workers}: at least one is needed")
        if self.accept is not None and self.accept < 0:
            raise ValueError(f"accept={self.accept}: it counts what may wait, 0 or more")
        if not 0 <= self.drain < inf:
            raise ValueError(f"drain={self.drain!r}: give a number of seconds")

    @property
    def credit(self) -> int:
        """How many deliveries are taken from each source at once: running and waiting."""
        return self.workers + (4 * self.workers if self.accept is None else self.accept)
