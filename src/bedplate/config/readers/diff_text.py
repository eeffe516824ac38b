"""The difference of two releases as text, as Markdown for release notes, and as data for JSON.

Pure. Only what `bedplate.config.readers.diff` tells is written, and that holds no secret.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from bedplate.config.readers.diff import Difference, Facet, Gone, Renamed
from bedplate.config.readers.pages import code, prose
from bedplate.config.report import plain
from bedplate.config.specs import OptionSpec

__all__ = ["difference_data", "difference_markdown", "difference_text"]

_LINE: Final = 120


def difference_text(found: Difference) -> str:
    """Write it for a terminal: a heading a list, a line an option and one a change of it."""
    return "".join(f"{line}\n" for line in _text_lines(found)) if found else "Nothing changed.\n"


def difference_markdown(found: Difference) -> str:
    """Write it for release notes: a heading a list, an item an option."""
    return "\n".join(_markdown_lines(found)) + "\n" if found else "Nothing changed.\n"


def difference_data(found: Difference) -> dict[str, object]:
    """Return an object of the lists added, gone, renamed and changed, for JSON.

    Every item has section and option. What changed of one stands under its own key (default,
    required, type, choices, range, deprecated), each an object of old and new.
    """
    return {
        "added": [
            {
                "section": spec.section,
                "option": spec.name,
                "type": spec.type.describe(),
                "required": spec.required,
                "default": spec.default_text,
                "help": spec.help,
            }
            for spec in found.added
        ],
        "gone": [
            {"section": each.section, "option": each.option, "announced": each.announced or None}
            for each in found.gone
        ],
        "renamed": [
            {
                "section": each.section,
                "option": each.option,
                "new_section": each.now.section,
                "new_option": each.now.name,
                **_facets(each.facets),
            }
            for each in found.renamed
        ],
        "changed": [
            {"section": spec.section, "option": spec.name, **_facets(facets)}
            for spec, facets in found.changed
        ],
    }


def _facets(facets: Sequence[Facet]) -> dict[str, object]:
    return {facet.what: {"old": facet.old, "new": facet.new} for facet in facets}


def _text_lines(found: Difference) -> Iterator[str]:
    for title, entries in (
        ("Added", [_added(spec) for spec in found.added]),
        ("Gone", [_gone(each) for each in found.gone]),
        ("Renamed", [_renamed(each) for each in found.renamed]),
        ("Changed", [_changed(*each) for each in found.changed]),
    ):
        if entries:
            yield f"{title} ({len(entries)})"
        for first, *rest in entries:
            yield f"  {first}"
            yield from (f"      {line}" for line in rest)


def _added(spec: OptionSpec) -> list[str]:
    default = "required" if spec.required else f"default {_value(spec.default_text)}"
    return [f"{spec.key} ({default})", *([_brief(spec.help)] if spec.help else [])]


def _brief(text: str) -> str:
    """Return the first sentence, or as much of it as a line has room for."""
    first = plain(text).partition(". ")[0].removesuffix(".")
    return f"{first}." if len(first) < _LINE else f"{first[:_LINE].rpartition(' ')[0]} …"


def _gone(each: Gone) -> list[str]:
    reason = f"announced: {plain(each.announced)}" if each.announced else "without announcement"
    return [each.key, reason]


def _renamed(each: Renamed) -> list[str]:
    return [f"{each.key} is now {each.now.key}", *map(_said, each.facets)]


def _changed(spec: OptionSpec, facets: Sequence[Facet]) -> list[str]:
    return [spec.key, *map(_said, facets)]


def _said(facet: Facet) -> str:
    if facet.what == "deprecated":
        return f"newly deprecated: {_value(facet.new)}"
    if facet.what == "required":
        return "now required" if facet.new == "yes" else "no longer required"
    if isinstance(facet.old, tuple) or isinstance(facet.new, tuple):
        return f"{facet.what}: {_choices(facet.old)} -> {_choices(facet.new)}"
    return f"{facet.what}: {_value(facet.old)} -> {_value(facet.new)}"


def _choices(listed: str | tuple[str, ...] | None) -> str:
    return ", ".join(map(_line, listed)) if isinstance(listed, tuple) else "any"


def _value(text: str | tuple[str, ...] | None) -> str:
    return "none" if text is None else _line(str(text)) or "empty"


def _line(text: str) -> str:
    """Put what stands in several lines into one, and make what is not printed visible."""
    return plain(", ".join(text.splitlines()))


def _markdown_lines(found: Difference) -> Iterator[str]:
    if found.added:
        yield from ("## New options", "")
        for spec in found.added:
            default = "required" if spec.required else f"default {_code(spec.default_text)}"
            about = f": {prose(_brief(spec.help))}" if spec.help else ""
            yield f"- {code(spec.key)} ({default}){about}"
        yield ""
    if found.gone:
        yield from ("## Options that are gone", "")
        for each in found.gone:
            yield f"- {code(each.key)}{f': {prose(each.announced)}' if each.announced else ''}"
        yield ""
    if found.renamed:
        yield from ("## Options with a new name", "")
        for renamed in found.renamed:
            yield f"- {code(renamed.key)} is now {code(renamed.now.key)}{_also(renamed.facets)}"
        yield ""
    if found.changed:
        yield from ("## Options that changed", "")
        for spec, facets in found.changed:
            yield f"- {code(spec.key)}{_also(facets)}"
        yield ""


def _also(facets: Sequence[Facet]) -> str:
    return f": {'; '.join(map(_marked, facets))}" if facets else ""


def _marked(facet: Facet) -> str:
    if facet.what == "deprecated":
        return f"newly deprecated, {prose(str(facet.new))}"
    if facet.what in {"required", "type"}:
        return prose(_said(facet))
    return f"{facet.what} {_code(facet.old)} → {_code(facet.new)}"


def _code(value: str | tuple[str, ...] | None) -> str:
    if isinstance(value, tuple):
        return ", ".join(code(each or "empty") for each in value)
    return "none" if value is None else code(_line(value)) if value.strip() else "empty"
