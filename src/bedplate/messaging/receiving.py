"""How a subscription is to treat its deliveries, and what it counted: the values around `intake`.

Values alone; what decides by them is `intake`.
"""

import enum

from msgspec import Struct

from bedplate._floor.backoff import Backoff

__all__ = ["Ack", "IntakePolicy", "IntakeTally"]


class Ack(enum.Enum):
    """When a delivery is acknowledged."""

    START = "start"
    """When its execution begins: it runs at most once.

    If the link dies before the broker has read that, the broker hands the message out again: this
    receiver drops the repeat, another one cannot know.
    """
    DONE = "done"
    """When it is settled afterwards: it runs at least once."""


class IntakePolicy(Struct, frozen=True, kw_only=True):
    """How one subscription treats its deliveries. Times are in seconds.

    ``attempts`` bounds how often one message runs (None: no bound), counted by the broker where it
    counts and by message id otherwise. After that it is parked, or, without ``park``, rejected,
    which dead-letters it where the broker is set up so. ``park_expired`` and ``park_rejected`` park
    those as well. ``park_limit`` bounds how many messages a parking place holds (None: no bound):
    what finds it full stays where it was, and setting it aside is tried again later. ``backoff``
    paces retries that name no delay. The last ``window`` ids that were done within
    ``window_seconds`` are remembered to drop repeats; 0 remembers none, and messages without id are
    never taken for repeats. ``skew`` is how far ahead of a sender's this machine's clock is
    believed to run at most: so much longer a message counts as alive.
    """

    ack: Ack = Ack.DONE
    attempts: int | None = 10
    backoff: Backoff = Backoff(1.0, 2.0, 300.0)
    window: int = 1000
    window_seconds: float = 300.0
    skew: float = 0.0
    park: bool = True
    park_expired: bool = False
    park_rejected: bool = False
    park_limit: int | None = None


class IntakeTally(Struct):
    """Counts since the subscription began. What is ``parked`` is set aside for sure."""

    received: int = 0
    expired: int = 0
    duplicates: int = 0
    parked: int = 0
    acked: int = 0
    retried: int = 0
    rejected: int = 0
    overrun: int = 0
    """Deliveries beyond the credit granted: a driver or broker that does not keep to it."""
    park_failures: int = 0
    """How often setting a message aside failed; it stays where it was and is tried again."""
