"""How long messages may live: a default and a maximum for each target.

Decides the ttl of one message by where it goes and what it says itself. Pure.
"""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from math import inf
from typing import Final, final

from bedplate.messaging.policy import TtlRule
from bedplate.messaging.types import Address, Kind

__all__ = ["Lifetimes", "check_ttl"]

_KEPT: Final = 1000
_PARKED: Final = "parked:"
"""How the names of parking places begin, from which nothing may vanish."""


def check_ttl(ttl: float | None) -> None:
    """Raise ValueError for what is no time to live: 0 and below."""
    if ttl is not None and not ttl > 0:
        raise ValueError(
            f"ttl={ttl!r}: give a number of seconds above 0, None for what is usual, "
            f"or math.inf for no end"
        )


@final
class Lifetimes:
    """Rules for a transport's messages; see `TtlRule`. Keeps what they say of each target.

    ``shortened`` counts the messages that asked for more than they got.
    """

    __slots__ = ("_known", "rules", "shortened")

    def __init__(self, rules: Iterable[TtlRule]) -> None:
        self.rules = tuple(rules)
        self._known: dict[tuple[str, str], _Bounds] = {}
        self.shortened = 0

    def of(self, address: Address, ttl: float | None, default: float | None = None) -> float | None:
        """Return the ttl of a message that says ``ttl`` (`math.inf`: no end); None: no end.

        ``default`` is for one that says nothing where no rule has a default.
        """
        if not self.rules:
            said = default if ttl is None else ttl
            return None if said is None or said == inf else said
        usual, most = self._bounds(address)
        said = ttl
        if ttl is None:
            ttl = default if usual is None else usual
        if most is not None and (ttl is None or ttl > most):
            self.shortened += said is not None
            return most
        return None if ttl == inf else ttl

    def _bounds(self, address: Address) -> "_Bounds":
        """Return default and maximum of a target."""
        if address.kind is Kind.PRIVATE or address.kind is Kind.PLACE:
            return _FREE
        target = (address.exchange, address.name)
        known = self._known.get(target)
        if known is None:
            known = _FREE if address.name.startswith(_PARKED) else self._found(address)
            if len(self._known) >= _KEPT:
                self._known.clear()
            self._known[target] = known
        return known

    def _found(self, address: Address) -> "_Bounds":
        rules = [rule for rule in self.rules if _matches(rule, address)]
        return (
            next((each.default for each in rules if each.default is not None), None),
            next((each.maximum for each in rules if each.maximum is not None), None),
        )


_Bounds = tuple[float | None, float | None]
_FREE: _Bounds = (None, None)


def _matches(rule: TtlRule, address: Address) -> bool:
    return fnmatchcase(address.name, rule.topic) and fnmatchcase(address.exchange, rule.exchange)
