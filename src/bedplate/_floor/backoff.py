"""How long to wait before trying again: capped exponential growth with full jitter.

Arithmetic only; the random number comes as an argument, and who tries what is the caller's.
"""

from typing import NamedTuple

__all__ = ["Backoff"]

_STEEP = 64
"""Beyond so many failures growth has long met any ceiling; powers stay finite."""


class Backoff(NamedTuple):
    """Waits that grow by ``factor`` from ``first`` to ``ceiling`` (all in seconds).

    Full jitter: of the bound so reached, a random part is waited, so that many who failed at the
    same moment do not come back at the same moment.
    """

    first: float
    factor: float
    ceiling: float

    def bound(self, failures: int) -> float:
        """Return the longest wait after so many failures in a row (the first has number 1)."""
        steps = min(max(failures - 1, 0), _STEEP)
        return min(self.ceiling, self.first * self.factor**steps)

    def delay(self, failures: int, chance: float) -> float:
        """Return the wait for a ``chance`` drawn evenly from 0 to 1."""
        return self.bound(failures) * chance
