"""Rows under headings: ruled on a terminal, in plain columns for whoever reads a pipe.

Knows nothing of what the rows are about.
"""

import sys
from collections.abc import Sequence

from bedplate.cli.values import in_a_line, write

__all__ = ["cell", "print_table"]


def cell(text: str) -> str:
    """Return a text that cannot steer a terminal and stays in its cell; a dash for none."""
    return in_a_line(text) or "-"


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows of texts, whoever wrote them.

    The first cell of a row is never broken over two lines, so that it can be copied.
    """
    cells = [tuple(map(cell, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Column, Table
        from rich.text import Text

        table = Table(Column(columns[0], min_width=widths[0]), *columns[1:])
        for row in cells:
            table.add_row(*map(Text, row))
        Console().print(table)
        return
    for row in (tuple(columns), *cells):
        padded = (text.ljust(width) for text, width in zip(row, widths, strict=True))
        write("  ".join(padded).rstrip())
