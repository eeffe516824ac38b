"""Runs the benches named, or all, and prints a table: ``./run bench [NAME…]``.

Figures are for comparing on one quiet machine, one after another. Nothing here judges them.
"""

import importlib
import pkgutil
import sys
from pathlib import Path

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


def main(wanted: list[str]) -> int:
    """Measure and print; exit status 2 for a name that is not a bench."""
    known = names()
    unknown = [name for name in wanted if name not in known]
    if unknown:
        print(f"there is no bench {unknown[0]!r} (there are: {', '.join(known)})", file=sys.stderr)
        return 2
    for name in wanted or known:
        if sys.stderr.isatty():
            print(f"measuring {name} …", file=sys.stderr)
        measurements: list[Measurement] = importlib.import_module(f"benches.{name}").measure()
        show(name, measurements)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
