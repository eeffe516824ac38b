"""What the benches share: a measurement as a value, and ways to take one."""

import time
from collections.abc import Callable
from typing import NamedTuple

__all__ = ["Measurement", "best", "seconds_each"]


class Measurement(NamedTuple):
    """One figure and what it says. ``remark`` is for ratios and conditions."""

    what: str
    figure: float
    unit: str
    remark: str = ""

    def __str__(self) -> str:
        figure = f"{self.figure:,.0f}" if self.figure >= 1000 else f"{self.figure:.3g}"
        return f"{figure} {self.unit}"


def seconds_each(action: Callable[[], object], *, times: int, rounds: int = 5) -> float:
    """Return the seconds one call takes in the best of several rounds, the loop taken off."""

    def nothing() -> None:
        pass

    return max(_round(action, times, rounds) - _round(nothing, times, rounds), 1e-10)


def _round(action: Callable[[], object], times: int, rounds: int) -> float:
    best_time = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(times):
            action()
        best_time = min(best_time, time.perf_counter() - start)
    return best_time / times


def best(action: Callable[[], float], rounds: int) -> float:
    """Return the smallest of several measurements: what it costs when nothing disturbs."""
    return min(action() for _ in range(rounds))
