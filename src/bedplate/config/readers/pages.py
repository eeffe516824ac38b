"""A reference page of a schema, as Markdown or reStructuredText.

Pure: a schema in, text out. Help texts of others are escaped, so that no sign in them is taken for
markup. No secret default is written.
"""

import re
from collections.abc import Callable, Iterator
from typing import Final

from bedplate.config.readers.sample import about, in_order, remarks
from bedplate.config.report import plain
from bedplate.config.schema import Schema
from bedplate.config.specs import OptionSpec, SectionSpec

__all__ = ["code", "page_markdown", "page_rst", "prose"]

_MARKUP: Final = re.compile(r"([\\`*_\[\]<>|#~!])")
_RST_MARKUP: Final = re.compile(r"([\\`*|]|_(?=\W|$))")
_TICKS: Final = re.compile(r"`+")


def page_markdown(schema: Schema, title: str = "Configuration") -> str:
    """Write a heading a section and an option, the facts of each as a list."""
    lines = [f"# {prose(title)}", ""]
    for section in schema.sections.values():
        lines += [f"## {prose(f'[{section.name}]')}", ""]
        for paragraph in about(section):
            lines += [prose(paragraph), ""]
        for spec in in_order(section):
            lines += [f"### {code(spec.name)}", ""]
            lines += [prose(spec.help), ""] if spec.help else []
            lines += [f"- {fact}" for fact in _facts(spec, section, prose, code)]
            lines.append("")
    return "\n".join(lines)


def page_rst(schema: Schema, title: str = "Configuration") -> str:
    """Write it for docutils or Sphinx; no directive beyond plain docutils is used."""
    lines = [*_heading(_rst(title), "="), ""]
    for section in schema.sections.values():
        lines += [*_heading(_rst(f"[{section.name}]"), "-"), ""]
        for paragraph in about(section):
            lines += [_rst(paragraph), ""]
        for spec in in_order(section):
            lines += [*_heading(_rst(spec.name), "~"), ""]
            lines += [_rst(spec.help), ""] if spec.help else []
            lines += [f"- {fact}" for fact in _facts(spec, section, _rst, _literal)]
            lines.append("")
    return "\n".join(lines)


def prose(text: str) -> str:
    """Escape text for Markdown: every sign stands for itself, and line breaks are spaces."""
    return _MARKUP.sub(r"\\\1", _line(text))


def code(text: str) -> str:
    """Write text as a code span of Markdown, whatever it holds."""
    text = _line(text)
    longest = max(map(len, _TICKS.findall(text)), default=0)
    fence = "`" * (longest + 1)
    padding = " " if longest and (text[0] == "`" or text[-1] == "`") else ""
    return f"{fence}{padding}{text}{padding}{fence}"


def _facts(
    spec: OptionSpec,
    section: SectionSpec,
    say: Callable[[str], str],
    literal: Callable[[str], str],
) -> Iterator[str]:
    if not spec.required and not spec.hides_default:
        default = spec.default_text
        empty = "none" if default is None else "empty"
        yield f"Default: {literal(default) if default and default.strip() else empty}."
    if spec.sample.strip():
        yield f"Example: {literal(spec.sample)}."
    yield from map(say, remarks(spec, section))


def _rst(text: str) -> str:
    return _RST_MARKUP.sub(r"\\\1", _line(text))


def _literal(text: str) -> str:
    text = _line(text)
    # A literal of reStructuredText cannot begin or end with a space or hold its own end.
    return f"``{text}``" if "``" not in text and text[-1] != "`" else _rst(text)


def _line(text: str) -> str:
    return plain(" ".join(text.split()))


def _heading(text: str, sign: str) -> tuple[str, str]:
    return text, sign * len(text)
