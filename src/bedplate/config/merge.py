"""From the trees of all sources to one candidate list per option.

Each tree is a layer. Old names are replaced inside their layer, so that precedence stays the same
for every option, however it is spelled; then layers are stacked, and the losers are kept. Pure:
knows the schema's names and which keys may be repeated, but no values.
"""

from collections.abc import Iterable, Mapping
from functools import reduce
from typing import NamedTuple

from bedplate.config.names import DEFAULT, fold
from bedplate.config.schema import OSLO, Schema
from bedplate.config.specs import OptionSpec
from bedplate.config.tree import Origin, Raw, Tree
from bedplate.config.types import Multi
from bedplate.config.types.around import inside
from bedplate.errors import Finding

__all__ = [
    "Merged",
    "Pins",
    "exact",
    "is_many",
    "layer",
    "merge",
    "pin",
    "rename",
    "repeats",
    "stack",
]

Pins = Mapping[str, Mapping[str, tuple[Raw, ...]]]
"""Candidates that stay what they were, by section and option; none means: set by nobody."""


class Merged(NamedTuple):
    """What all layers together say. Values are never changed once made.

    ``values`` holds, for a section and an option, everything that was written for it: the winner
    first, then the losers in falling precedence. ``sections`` holds where each section was first
    written, also those without options.
    """

    values: Mapping[str, Mapping[str, tuple[Raw, ...]]]
    sections: Mapping[str, Origin]

    def get(self, section: str, option: str) -> tuple[Raw, ...]:
        """Return the candidates of an option, the winner first; empty when there are none."""
        return self.values.get(section, {}).get(option, ())

    def has(self, section: str) -> bool:
        """Whether anything of a section is set."""
        return bool(self.values.get(section))


def merge(layers: Iterable[Tree], schema: Schema) -> tuple[Merged, tuple[Finding, ...]]:
    """Stack layers, the lowest first, under the exact and present names of a schema.

    The findings are the warnings of the sources, and those about repeated and old names.
    """
    findings: list[Finding] = []
    levels = []
    for tree in layers:
        known = exact(tree, schema)
        renamed, old = rename(known, schema)
        findings += (*tree.findings, *repeats(known, schema), *old)
        levels.append(layer(renamed))
    return reduce(stack, levels, Merged({}, {})), tuple(findings)


def exact(tree: Tree, schema: Schema) -> Tree:
    """Return a tree with exact names in place of environment-like ones.

    A name that nothing in the schema has becomes lower case, to be reported or to wait for a late
    section.
    """
    if not tree.folded:
        return _in_any_case(tree, schema) if schema.dialect == OSLO else tree
    known = {fold(section): section for section in schema.sections}
    result = Tree(findings=tree.findings)
    for section, option, raws in tree:
        names = schema.folded.get((section, option))
        if names is None:
            names = known.get(section, section.lower()), option.lower()
        for raw in raws:
            result.add(*names, raw)
    return result


def _in_any_case(tree: Tree, schema: Schema) -> Tree:
    """Return a tree whose sections are spelled as in the schema; DEFAULT has one spelling only."""
    spellings = {name.lower(): name for name in (*schema.old_sections, *schema.sections)}
    meant = {
        section: spellings[section.lower()]
        for section in tree.sections
        if section not in schema.sections and section.lower() in spellings
    }
    meant = {section: name for section, name in meant.items() if name.upper() != DEFAULT}
    if not meant:
        return tree
    result = Tree(findings=tree.findings)
    for section, origin in tree.sections.items():
        result.declare(meant.get(section, section), origin)
    for section, option, raws in tree:
        for raw in raws:
            result.add(meant.get(section, section), option, raw)
    return result


def rename(tree: Tree, schema: Schema) -> tuple[Tree, tuple[Finding, ...]]:
    """Move values from old names to present ones, inside one layer.

    Where a layer has both, the present name beats the old, whichever was written later; of
    several old names the one listed first wins. What loses stays in the list, as a loser. Renaming
    what was renamed changes nothing.
    """
    renames = schema.renames
    old = [(section, option) for section, option, _ in tree if (section, option) in renames]
    if not old:
        return tree, ()
    result = Tree(findings=tree.findings)
    for section, origin in tree.sections.items():
        if section not in schema.old_sections or section in schema.sections:
            result.declare(section, origin)
    # The lowest first, because in a layer the last one wins: least favoured old names, then
    # better ones, then whatever stands under its own name.
    old.sort(key=lambda name: -renames[name].was.index(name))
    for name in old:
        spec = renames[name]
        for raw in tree.get(*name):
            result.add(spec.section, spec.name, raw)
    for section, option, raws in tree:
        if (section, option) not in renames:
            for raw in raws:
                result.add(section, option, raw)
    return result, tuple(_about_old(tree, result, name, schema) for name in old)


def _about_old(tree: Tree, result: Tree, name: tuple[str, str], schema: Schema) -> Finding:
    spec, origin = schema.renames[name], tree.get(*name)[-1].origin
    winner = result.get(spec.section, spec.name)[-1].origin
    called = f"[{name[0]}] {name[1]}"
    present = f"[{spec.section}] {spec.name}"
    if winner == origin:
        code = "deprecated-name"
        message = f"{called} is the old name of {present}; write that instead."
    else:
        code = "old-and-new"
        message = (
            f"{called} is an old name of {present}, which is set as well ({winner}) and counts; "
            f"remove this one."
        )
    suggestion = spec.name if spec.section == name[0] else f"{spec.section}.{spec.name}"
    return Finding("warning", code, message, *_at(origin), *name, suggestion)


def _at(origin: Origin) -> tuple[str, str | None, int | None, int | None]:
    return str(origin), origin.file, origin.line, origin.column


def is_many(spec: OptionSpec) -> bool:
    """Whether the key of an option may be repeated, and every value counts."""
    return isinstance(inside(spec.type), Multi)


def repeats(tree: Tree, schema: Schema) -> tuple[Finding, ...]:
    """Report what one file says again, at each repetition: only the last one counts."""
    findings = []
    for section, option, raws in tree:
        if len(raws) < 2 or raws[0].origin.line is None:
            continue
        spec = schema.get(section, option) or schema.renames.get((section, option))
        if spec is not None and is_many(spec):
            continue
        first, last = raws[0].origin, raws[-1].origin
        for raw in raws[1:]:
            counts = "this one counts" if raw is raws[-1] else f"the last one counts ({last})"
            message = f"[{section}] {option} is set again (first: {first}); {counts}."
            findings.append(
                Finding("warning", "repeated", message, *_at(raw.origin), section, option)
            )
    return tuple(findings)


def layer(tree: Tree) -> Merged:
    """Return one layer alone. In it, what was written last wins."""
    values: dict[str, dict[str, tuple[Raw, ...]]] = {}
    for section, option, raws in tree:
        values.setdefault(section, {})[option] = tuple(reversed(raws))
    return Merged(values, dict(tree.sections))


def stack(lower: Merged, upper: Merged) -> Merged:
    """Put one layer, or several stacked, upon others. Associative; the empty one is neutral."""
    values = dict(lower.values)
    for section, options in upper.values.items():
        below = values.get(section)
        if below is None:
            values[section] = options
            continue
        together = dict(below)
        for option, raws in options.items():
            together[option] = raws + together.get(option, ())
        values[section] = together
    return Merged(values, {**upper.sections, **lower.sections})


def pin(merged: Merged, pins: Pins) -> Merged:
    """Put these candidates in the place of what the layers say."""
    if not pins:
        return merged
    values = dict(merged.values)
    for section, options in pins.items():
        together = {**values.get(section, {}), **options}
        values[section] = {option: raws for option, raws in together.items() if raws}
    return merged._replace(values=values)
