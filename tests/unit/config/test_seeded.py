"""Mistakes put into the files of real services are found where they are, and nothing else is."""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from bedplate.config import Finding, OptionSpec, Schema, check, read_schema
from bedplate.config.auditing import audit_trees
from bedplate.config.document import Document, Entry
from bedplate.config.types import Boolean, Choice, Float, Integer

DATA = Path(__file__).parents[2] / "data" / "openstack"
SERVICES = ("keystone", "nova")
Seed = tuple[Entry, str, str, str | None]
"""A place, the line to put there, the code to be found, and the suggestion if there is one."""


@cache
def schema_of(service: str) -> Schema:
    return read_schema(DATA / f"{service}.json")


@cache
def text_of(service: str) -> str:
    return (DATA / f"{service}.full.conf").read_text()


def judged(service: str, text: str) -> tuple[Finding, ...]:
    tree = Document.parse(text.encode(), "f.conf").tree()
    return audit_trees([tree], schema_of(service), "OS").findings


def entries(service: str, step: int) -> Iterator[tuple[Entry, OptionSpec]]:
    """Choose options of a full file, one in so many."""
    document = Document.parse(text_of(service).encode(), "f.conf")
    single = [each for each in document.entries if each.height == 1]
    for entry in single[::step]:
        spec = schema_of(service).get(entry.section, entry.key)
        assert spec is not None
        yield entry, spec


def is_optional(spec: OptionSpec) -> bool:
    return spec.default is None


def kind_of(spec: OptionSpec) -> object:
    kind: object = spec.type
    while hasattr(kind, "inner"):
        kind = kind.inner
    return kind


def transposed(name: str) -> str:
    """Swap two neighbours that differ, near the middle."""
    at = len(name) // 2
    while at + 1 < len(name) and name[at] == name[at + 1]:
        at += 1
    return name[:at] + name[at + 1 : at + 2] + name[at] + name[at + 2 :]


def misspelt(service: str) -> Iterator[Seed]:
    for entry, spec in entries(service, 11):
        name = transposed(spec.name)
        if schema_of(service).get(spec.section, name) is None and name != spec.name:
            yield entry, f"{name} = {entry.value}", "unknown-option", spec.name


def misplaced(service: str) -> Iterator[Seed]:
    schema = schema_of(service)
    others = {spec.name: spec for spec in schema}
    unique = [
        spec
        for spec in others.values()
        if sum(spec.name in section.options for section in schema.sections.values()) == 1
        and (spec.section, spec.name) not in schema.renames
    ]
    for (entry, _), spec in zip(entries(service, 13), unique[:: len(unique) // 30], strict=False):
        known = spec.section == entry.section or (entry.section, spec.name) in schema.renames
        if not known:
            suggestion = f"{spec.section}.{spec.name}"
            yield entry, f"{spec.name} = x", "unknown-option", suggestion


def ill_typed(service: str) -> Iterator[Seed]:
    for entry, spec in entries(service, 5):
        if isinstance(kind_of(spec), Integer | Float | Boolean):
            yield entry, f"{spec.name} = many", "wrong-type", None


def out_of_range(service: str) -> Iterator[Seed]:
    for entry, spec in entries(service, 2):
        kind = kind_of(spec)
        if isinstance(kind, Integer) and kind.maximum is not None:
            yield entry, f"{spec.name} = {kind.maximum + 1:.0f}", "out-of-range", None
        elif isinstance(kind, Integer) and kind.minimum is not None:
            yield entry, f"{spec.name} = {kind.minimum - 1:.0f}", "out-of-range", None


def ill_chosen(service: str) -> Iterator[Seed]:
    for entry, spec in entries(service, 1):
        if isinstance(kind_of(spec), Choice):
            yield entry, f"{spec.name} = such a thing", "not-a-choice", None


def empty(service: str) -> Iterator[Seed]:
    for entry, spec in entries(service, 7):
        if isinstance(kind_of(spec), Integer | Boolean) and not is_optional(spec):
            yield entry, f"{spec.name} =", "no-value", None


def dangling(service: str) -> Iterator[Seed]:
    for entry, spec in entries(service, 19):
        yield entry, f"{spec.name} = a$no_such_option", "bad-interpolation", None


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize(
    "seeds", [misspelt, misplaced, ill_typed, out_of_range, ill_chosen, empty, dangling]
)
def test_a_mistake_is_found_at_its_line_and_nothing_else_is(
    service: str, seeds: Callable[[str], Iterator[Seed]]
) -> None:
    """Each seed alone gives one error there, with what was meant, and changes no other finding."""
    lines = text_of(service).splitlines()
    before = judged(service, text_of(service))
    tried = 0
    for entry, line, code, suggestion in seeds(service):
        seeded = [*lines[: entry.line - 1], line, *lines[entry.line :]]
        found = judged(service, "\n".join(seeded))
        here = [each for each in found if each.line == entry.line and each.severity == "error"]
        assert [(each.code, each.suggestion) for each in here] == [(code, suggestion)], line
        elsewhere = [each for each in found if each.line != entry.line]
        assert elsewhere == [each for each in before if each.line != entry.line], line
        tried += 1
    assert tried >= 4


@pytest.mark.parametrize("service", SERVICES)
def test_a_full_file_has_no_errors(service: str) -> None:
    """A file that sets everything as documented is right; most of it could be left out."""
    found = check([DATA / f"{service}.full.conf"], schema=schema_of(service))
    assert {each.severity for each in found} == {"warning"}
    assert {each.code for each in found} <= {"equals-default", "deprecated-option", "advanced"}
