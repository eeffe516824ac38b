"""Counting what a schema has, release by release: text, CSV, and an SVG of how it develops.

Pure.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from bedplate.config.report import plain
from bedplate.config.schema import Schema
from bedplate.config.types import String
from bedplate.config.types.around import inside

__all__ = ["Count", "count", "counts_csv", "counts_svg", "counts_text"]

_WIDE, _HIGH, _MARGIN, _COLUMNS = 300, 150, 40, 2
_DRAWN: Final = ("options", "mutable", "deprecated", "old_names", "secret", "plain", "unchecked")


class Count(NamedTuple):
    """How many options of each kind one release has.

    ``deprecated`` are those that will go, ``old_names`` names still understood. ``plain`` are
    those whose value may be any text; of ``unchecked`` ones nobody but their program knows more.
    """

    name: str
    sections: int
    options: int
    required: int
    mutable: int
    deprecated: int
    old_names: int
    secret: int
    plain: int
    unchecked: int


def count(name: str, schema: Schema) -> Count:
    """Count one schema; ``name`` is that of its release."""
    specs = tuple(schema)
    return Count(
        name,
        len(schema.sections),
        len(specs),
        sum(spec.required for spec in specs),
        sum(spec.mutable for spec in specs),
        sum(bool(spec.deprecated) for spec in specs),
        sum(len(spec.was) for spec in specs),
        sum(spec.secret for spec in specs),
        sum(isinstance(inside(spec.type), String) for spec in specs),
        sum(spec.unchecked for spec in specs),
    )


def counts_text(counts: Sequence[Count]) -> str:
    """Write a table, a row a release."""
    heads = [field.replace("_", " ") for field in Count._fields]
    rows = [heads, *([plain(str(cell)) for cell in each] for each in counts)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
    lines = []
    for first, *rest in rows:
        cells = [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *cells]))
    return "".join(f"{line}\n" for line in lines)


def counts_csv(counts: Sequence[Count]) -> str:
    """Write comma-separated values with a head, as RFC 4180 has it but for plain line feeds."""
    import csv
    import io

    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(Count._fields)
    writer.writerows(counts)
    return out.getvalue()


def counts_svg(counts: Sequence[Count]) -> str:
    """Draw each figure over the releases, in the order given, on a scale of its own from zero."""
    rows = -(-len(_DRAWN) // _COLUMNS)
    wide, high = _WIDE * _COLUMNS, _HIGH * rows
    names = ", ".join(each.name for each in counts)
    size = f'width="{wide}" height="{high}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {wide} {high}"',
        ' font-family="sans-serif" font-size="11" role="img">',
        f"<title>{_escaped(f'Options of {names}')}</title>",
        f'<rect {size} fill="white"/>',
    ]
    for number, field in enumerate(_DRAWN):
        left, top = number % _COLUMNS * _WIDE, number // _COLUMNS * _HIGH
        parts.append(f'<g transform="translate({left} {top})">')
        parts += _panel(field, counts)
        parts.append("</g>")
    return "\n".join([*parts, "</svg>", ""])


def _panel(field: str, counts: Sequence[Count]) -> list[str]:
    values: list[int] = [getattr(each, field) for each in counts]
    top = max([*values, 1])
    inner_wide, inner_high = _WIDE - 2 * _MARGIN, _HIGH - 2 * _MARGIN
    step = inner_wide / max(1, len(values) - 1)
    points = [
        (_MARGIN + step * number, _MARGIN + inner_high * (1 - value / top))
        for number, value in enumerate(values)
    ]
    base = _HIGH - _MARGIN
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    title = field.replace("_", " ")
    parts = [
        f'<text x="{_MARGIN}" y="20" font-weight="bold">{title}</text>',
        f'<path d="M{_MARGIN} {base}H{_WIDE - _MARGIN}" stroke="#bbb"/>',
        f'<polyline points="{line}" fill="none" stroke="#27567b" stroke-width="2"/>',
    ]
    for (x, y), value, each in zip(points, values, counts, strict=True):
        label = f"<title>{_escaped(f'{each.name}: {value}')}</title>"
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="#27567b">{label}</circle>')
    ends = {0, len(values) - 1}
    for number in sorted(ends):
        x, y = points[number]
        name = _escaped(counts[number].name)
        parts.append(
            f'<text x="{x:.1f}" y="{y - 7:.1f}" text-anchor="middle">{values[number]}</text>'
        )
        parts.append(f'<text x="{x:.1f}" y="{base + 14}" text-anchor="middle">{name}</text>')
    return parts


def _escaped(text: str) -> str:
    from html import escape

    return escape("".join(sign if sign.isprintable() else "?" for sign in text))
