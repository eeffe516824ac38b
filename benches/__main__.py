"""Runs the benches named, or all, and prints a table: ``./run bench [--json] [NAME…]``.

Figures are for comparing on one quiet machine, one after another. Nothing here judges them. A bench
that has more to show than a list of figures has a function ``page``.
"""

import importlib
import json
import pkgutil
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from benches.measuring import Measurement

__all__ = ["main", "names"]


def names() -> tuple[str, ...]:
    """Return the names of the benches there are."""
    found = (each.name for each in pkgutil.iter_modules([str(Path(__file__).parent)]))
    return tuple(sorted(set(found) - {"__main__", "measuring"}))


def show(bench: str, measurements: list[Measurement]) -> None:
    """Print one bench's table; a prettier one for a person at a terminal."""
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table

        table = Table("measured", "figure", "remark", title=bench, box=None, title_justify="left")
        table.columns[1].justify = "right"
        for each in measurements:
            table.add_row(each.what, str(each), each.remark)
        Console().print(table)
        return
    print(f"{bench}")
    for each in measurements:
        print(f"  {each.what:<44} {each!s:>16}  {each.remark}".rstrip())


def main(arguments: list[str]) -> int:
    """Measure and print; exit status 2 for a name that is not a bench.

    ``--json`` prints an object with a list of figures for each bench.
    """
    if {"-h", "--help"} & set(arguments):
        print("usage: ./run bench [--json] [NAME …]")
        print(f"There are {', '.join(names())}; without a name all are run.")
        return 0
    wanted = [each for each in arguments if each != "--json"]
    as_json = len(wanted) < len(arguments)
    known = names()
    unknown = [name for name in wanted if name not in known]
    if unknown:
        print(f"there is no bench {unknown[0]!r} (there are: {', '.join(known)})", file=sys.stderr)
        return 2
    taken: dict[str, list[Mapping[str, object]]] = {}
    for name in wanted or known:
        if sys.stderr.isatty():
            print(f"measuring {name} …", file=sys.stderr)
        bench = importlib.import_module(f"benches.{name}")
        measurements, page = _measured(bench)
        if as_json:
            taken[name] = [each._asdict() for each in measurements]
        elif page:
            print(page)
        else:
            show(name, measurements)
    if as_json:
        print(json.dumps(taken, indent=2))
    return 0


def _measured(bench: ModuleType) -> tuple[list[Measurement], str]:
    """Return a bench's figures, and how it would show them if it has ideas of its own."""
    if hasattr(bench, "page"):
        measurements, page = bench.page()
    else:
        measurements, page = bench.measure(), ""
    return measurements, page


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
