"""What a transport allows itself, and how long messages may live: values alone."""

import math

from msgspec import Struct

from bedplate.messaging.receiving import IntakePolicy
from bedplate.messaging.recovery import RecoveryPolicy

__all__ = ["TransportPolicy", "TtlRule"]


class TtlRule(Struct, frozen=True, kw_only=True):
    """How long what goes to some targets may wait for its receiver, in seconds.

    ``topic`` and ``exchange`` are shell patterns (``notifications.*``) for a topic, its servers and
    its fanout. A message that says no ttl has the ``default``; one that says a longer one than the
    ``maximum``, or would live for ever, has that. Of the rules that match a target the first that
    has a default and the first that has a maximum count. Raises ValueError for senseless numbers.
    """

    topic: str = "*"
    exchange: str = "*"
    default: float | None = None
    maximum: float | None = None

    def __post_init__(self) -> None:
        for name, seconds in (("default", self.default), ("maximum", self.maximum)):
            if seconds is not None and not 0 < seconds < math.inf:
                raise ValueError(f"{name}={seconds!r}: give a number of seconds above 0, or None")
        if self.default is not None and self.maximum is not None and self.default > self.maximum:
            raise ValueError(f"default={self.default!r} is more than maximum={self.maximum!r}")


class TransportPolicy(Struct, frozen=True, kw_only=True):
    """What a transport allows itself. Times are in seconds, sizes in bytes.

    ``buffer`` is how many messages may wait while no link is up or the peer takes none.
    ``max_body`` bounds what is sent further down than driver and peer do. ``intake`` is how
    subscriptions treat their deliveries unless they say otherwise. The rules of ``ttl`` bound how
    long what is sent to their targets may wait. About every ``look_every`` seconds the broker is
    asked whether it still knows our consumers (0: never), because it does not tell of all that it
    loses; those it forgot are made again.
    """

    recovery: RecoveryPolicy = RecoveryPolicy()
    intake: IntakePolicy = IntakePolicy()
    ttl: tuple[TtlRule, ...] = ()
    buffer: int = 1000
    max_body: int = 128 * 1024 * 1024
    connect_timeout: float = 10.0
    close_timeout: float = 5.0
    look_every: float = 60.0
