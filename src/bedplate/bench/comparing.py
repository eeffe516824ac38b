"""Figures of configuration side by side, as text for people.

Knows what the figures are called, nothing of how they were taken.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from bedplate.bench.checking import Checking
from bedplate.bench.loading import Loading

__all__ = ["compared"]


class _Line(NamedTuple):
    """A line of the table: what is in it, and a contestant's figure; None is a dash."""

    what: str
    of: Callable[[Loading], float | None]


_LINES = (
    _Line("read an option of a held section, ns", lambda one: one.reads.get("held")),
    _Line("the same by key, ns", lambda one: one.reads.get("key")),
    _Line("the same for the first time, ns", lambda one: one.reads.get("first")),
    _Line("read it from the root, ns", lambda one: one.reads.get("root")),
    _Line("load and check all, ms", lambda one: one.load_ms),
    _Line("the first load, ms", lambda one: one.first_load_ms),
    _Line("describe all in code, ms", lambda one: one.describe_ms),
    _Line("import, ms", lambda one: one.import_ms),
    _Line("memory of the import, MiB", lambda one: one.import_mib),
    _Line("memory with all loaded, MiB", lambda one: one.loaded_mib),
)


def compared(loadings: Sequence[Loading], checkings: Sequence[Checking] = ()) -> str:
    """Write figures as a table and a sentence for each contestant, ratios to the first in brackets.

    A ratio above 1 means more time or memory than the first one takes.
    """
    lines: list[str] = []
    if loadings:
        lines += [f"{loadings[0].options} options. In brackets: times {loadings[0].name}'s."]
        lines += _table(loadings)
        lines += ["", *(f"{each.name} {each.version} reads {each.terms}." for each in loadings)]
    if checkings:
        lines += ["", f"Whole checks as processes, medians of {checkings[0].runs}:"]
        lines += _aligned(
            (
                f"{each.name} {each.version}, options as {each.given}",
                f"{_figure(each.median_ms)} ms{_ratio(each.median_ms, checkings[0].median_ms)}",
                _mistakes(each),
            )
            for each in checkings
        )
    return "\n".join(lines) + "\n"


def _table(loadings: Sequence[Loading]) -> list[str]:
    rows = [("", *(each.name for each in loadings))]
    for line in _LINES:
        figures = [line.of(each) for each in loadings]
        if any(figure is not None for figure in figures):
            rows.append((line.what, *(_cell(figure, figures[0]) for figure in figures)))
    sorts = len(loadings[0].found) + len(loadings[0].missed)
    rows.append((f"of {sorts} mistakes found", *(str(len(each.found)) for each in loadings)))
    rows.append(("of all at once told", *(str(each.together) for each in loadings)))
    return _aligned(rows)


def _cell(figure: float | None, first: float | None) -> str:
    if figure is None:
        return "-"
    return _figure(figure) + (_ratio(figure, first) if first else "")


def _figure(figure: float) -> str:
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:.3g}"


def _ratio(figure: float, first: float) -> str:
    return "" if figure is first else f" ({figure / first:.2g})"


def _mistakes(one: Checking) -> str:
    if not one.missed:
        return f"finds all {len(one.found)} mistakes"
    return f"finds {len(one.found)} of {len(one.found) + len(one.missed)}; not: " + ", ".join(
        one.missed
    )


def _aligned(rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Set cells below each other: first ones and sentences to the left, the rest to the right."""
    rows = list(rows)
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if at == 0 or " finds" in f" {cell}" else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
