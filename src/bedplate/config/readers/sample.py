"""A file with every option of a schema, explained and commented out: INI or TOML.

Lines that a person may want to switch on begin with ``#`` and no space; explanations with ``# ``.
As it stands such a file sets nothing. Knows nothing of files, and no secret default is in it.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from bedplate.config.report import plain
from bedplate.config.schema import Schema
from bedplate.config.specs import OptionSpec, SectionSpec, Unresolved
from bedplate.config.type_json import native_of
from bedplate.config.types import (
    ByteSizeType,
    Choice,
    DurationType,
    Multi,
    String,
)
from bedplate.config.types.around import inside

__all__ = ["about", "in_order", "remarks", "sample_ini", "sample_toml"]

_WIDTH: Final = 78
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")


def sample_ini(schema: Schema) -> str:
    """Write the sample as oslo.config's INI dialect."""
    return _sample(schema, _ini_header, _ini_lines)


def sample_toml(schema: Schema) -> str:
    """Write the sample as TOML."""
    return _sample(schema, _toml_header, _toml_lines)


def in_order(section: SectionSpec) -> Iterator[OptionSpec]:
    """Go through the options of a section, advanced ones last."""
    yield from sorted(section.options.values(), key=lambda spec: spec.advanced)


def about(section: SectionSpec) -> Iterator[str]:
    """Say what there is to know of a section, a paragraph at a time."""
    if section.doc:
        yield section.doc
    if section.optional:
        yield "Optional: nothing of it is asked for while nothing of it is set."
    if section.each and (section.drivers or not section.driver_option):
        which = f" as {section.by}" if section.by else ""
        yield f"Sections of this shape are those that {section.each} names{which}."
    elif section.by:
        which = f"whose {section.driver_option} is {section.by}"
        yield f"Of the sections that {section.each} names, those {which} have these options too."
    elif section.each:
        yield f"All sections that {section.each} names have these options."


def remarks(spec: OptionSpec, section: SectionSpec) -> Iterator[str]:
    """Say in sentences what there is to know of an option besides its help and its default."""
    kind = inside(spec.type)
    if not isinstance(kind, String):
        yield f"It must be {spec.type.describe()}."
    if isinstance(kind, Choice):
        yield from (f"{spelling!r}: {kind.about[spelling]}" for spelling in kind.about)
    if spec.required:
        yield "Required."
    if spec.secret:
        yield "It is a secret."
    if spec.hides_default:
        yield "Its default is not shown."
    drivers = [driver for driver, names in section.drivers.items() if spec.name in names]
    if drivers:
        yield f"It counts only where {section.driver_option} is {' or '.join(drivers)}."
    yield from _life(spec)


def _life(spec: OptionSpec) -> Iterator[str]:
    if spec.advanced:
        yield "Advanced: most services never change it."
    if spec.mutable:
        yield "A reload changes it."
    if spec.was:
        old = ", ".join(f"[{name}] {option}" for name, option in spec.was)
        yield f"Its old name is {old}." if len(spec.was) == 1 else f"Its old names are {old}."
    if spec.deprecated:
        yield f"Deprecated{f' since {spec.since}' if spec.since else ''}: {spec.deprecated}"


def _sample(
    schema: Schema,
    header: Callable[[str], str],
    lines: Callable[[OptionSpec], Iterable[str]],
) -> str:
    written: list[str] = []
    for section in schema.sections.values():
        written.append(header(section.name))
        for paragraph in about(section):
            written += _comment(paragraph)
        for spec in in_order(section):
            written.append("")
            if spec.help:
                written += _comment(spec.help)
            for remark in remarks(spec, section):
                written += _comment(remark)
            # A line break would let the rest of a value out of its comment.
            written += [f"#{line}" for each in lines(spec) for line in each.split("\n")]
        written.append("")
    return "\n".join(written)


def _comment(paragraph: str) -> Iterator[str]:
    line = "#"
    for word in plain(" ".join(paragraph.split())).split(" "):
        if len(line) + 1 + len(word) > _WIDTH and line != "#":
            yield line
            line = "#"
        line += f" {word}"
    yield line


def _ini_header(section: str) -> str:
    return f"[{section}]"


def _ini_lines(spec: OptionSpec) -> Iterator[str]:
    kind = inside(spec.type)
    value = _shown_default(spec)
    texts = [value]
    if isinstance(kind, Multi) and not isinstance(spec.default, Unresolved):
        texts = value.split("\n")
    for text in texts:
        yield f"{spec.name} = {_ini_text(text)}".rstrip()


def _ini_text(text: str) -> str:
    quoted = len(text) > 1 and text[0] in "\"'" and text[0] == text[-1]
    text = f'"{text}"' if quoted or text != text.strip() else text
    # A tab is a sign like any other here; what else cannot be printed is spelled out.
    lines = ("\t".join(map(plain, line.split("\t"))) for line in text.splitlines())
    return "\n    ".join(lines)


def _toml_header(section: str) -> str:
    return f"[{'.'.join(map(_toml_key, section.split('.')))}]"


def _toml_lines(spec: OptionSpec) -> Iterator[str]:
    default: object = _shown_default(spec)
    spelled = isinstance(inside(spec.type), DurationType | ByteSizeType)
    spelled |= isinstance(spec.default, Unresolved | None) or spec.required
    if not (spec.sample or spelled or spec.hides_default):
        default = native_of(spec.type, spec.default)
    yield f"{_toml_key(spec.name)} = {_toml_value(default)}"


def _toml_key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _toml_text(name)


def _toml_value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list):
        return f"[{', '.join(_toml_value(each) for each in value)}]"
    if isinstance(value, dict):
        pairs = (f"{_toml_key(name)} = {_toml_value(each)}" for name, each in value.items())
        return f"{{ {', '.join(pairs)} }}" if value else "{}"
    return _toml_text(str(value))


def _toml_text(text: str) -> str:
    import json

    # A basic string of TOML is one of JSON, but for what neither escapes and TOML forbids.
    text = json.dumps(text, ensure_ascii=False)
    return "".join(sign if sign.isprintable() else f"\\U{ord(sign):08x}" for sign in text)


def _shown_default(spec: OptionSpec) -> str:
    """Return the text behind the equals sign: the sample, or the default where it may be told."""
    return spec.sample or ("" if spec.hides_default else spec.default_text or "")
