"""How long messages may live: a default and a maximum for each target.

Decides the ttl of one message by where it goes and what it says itself. Pure.
"""

import math
from collections.abc import Iterable
from fnmatch import fnmatchcase

from msgspec import Struct

from bedplate.messaging.types import Address, Kind

__all__ = ["Lifetimes", "TtlRule", "check_ttl"]

_KEPT = 1000
_PARKED = "parked:"
"""How the names of parking places begin, from which nothing may vanish."""


class TtlRule(Struct, frozen=True, kw_only=True):
    """How long what goes to some targets may wait for its receiver, in seconds.

    ``topic`` and ``exchange`` are shell patterns (``notifications.*``) for a topic, its servers and
    its fanout. A message that says no ttl has the ``default``; one that says a longer one than the
    ``maximum``, or would live for ever, has that. Raises ValueError for senseless numbers.
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


def check_ttl(ttl: float | None) -> None:
    """Raise ValueError for what is no time to live: 0 and below."""
    if ttl is not None and not ttl > 0:
        raise ValueError(
            f"ttl={ttl!r}: give a number of seconds above 0, None for what is usual, "
            f"or math.inf for no end"
        )


class Lifetimes:
    """Rules for a transport's messages; of those that match a target the first counts.

    ``shortened`` counts the messages that asked for more than they got.
    """

    __slots__ = ("_known", "rules", "shortened")

    def __init__(self, rules: Iterable[TtlRule]) -> None:
        self.rules = tuple(rules)
        self._known: dict[tuple[str, str], TtlRule | None] = {}
        self.shortened = 0

    def of(self, address: Address, ttl: float | None, default: float | None = None) -> float | None:
        """Return the ttl of a message that says ``ttl`` (`math.inf`: no end); None: no end.

        ``default`` is for one that says nothing where no rule has a default.
        """
        rule = self._rule(address) if self.rules else None
        said = ttl
        if ttl is None:
            ttl = default if rule is None or rule.default is None else rule.default
        if rule is not None and rule.maximum is not None and (ttl is None or ttl > rule.maximum):
            self.shortened += said is not None
            return rule.maximum
        return None if ttl == math.inf else ttl

    def _rule(self, address: Address) -> TtlRule | None:
        if address.kind is Kind.PRIVATE or address.kind is Kind.PLACE:
            return None
        target = (address.exchange, address.name)
        try:
            return self._known[target]
        except KeyError:
            pass
        found: TtlRule | None = None
        if not address.name.startswith(_PARKED):
            found = next((rule for rule in self.rules if _matches(rule, address)), None)
        if len(self._known) >= _KEPT:
            self._known.clear()
        self._known[target] = found
        return found


def _matches(rule: TtlRule, address: Address) -> bool:
    return fnmatchcase(address.name, rule.topic) and fnmatchcase(address.exchange, rule.exchange)
