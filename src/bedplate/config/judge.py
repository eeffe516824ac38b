"""Judging names: what nobody declares, what was probably meant, and what is surely missing.

Pure. No message holds the value of an unknown option.
"""

from collections.abc import Iterable

from bedplate.config.merge import Merged
from bedplate.config.names import DEFAULT, key_of
from bedplate.config.notes import about, note
from bedplate.config.schema import Schema
from bedplate.config.tree import Origin, Raw
from bedplate.errors import Finding

__all__ = ["certain", "nearest", "unknown_options", "unknown_sections", "without_flags"]

_MOST_UNKNOWN = 300
_LONGEST_NAME = 100
_JUDGED = frozenset(
    {
        "bad-interpolation",
        "bom",
        "missing-required",
        "not-a-choice",
        "out-of-range",
        "stray-argument",
        "unknown-option",
        "unknown-section",
        "wrong-type",
    }
)
"""Errors about what was read and understood; any other says that something was not."""


def certain(findings: Iterable[Finding], merged: Merged) -> tuple[Finding, ...]:
    """Leave out what is called missing and may well be there.

    It may stand in a part that could not be read, or under a name that was misspelt: one mistake
    is not reported as two.
    """
    findings = tuple(findings)
    errors = [each for each in findings if each.severity == "error"]
    unread = [each for each in errors if each.code not in _JUDGED]
    meant = {_plain(_key_meant(each)) for each in errors if each.code == "unknown-option"}
    meant |= {
        _plain(key_of(each.suggestion, option))
        for each in errors
        if each.code == "unknown-section" and each.suggestion
        for option in merged.values.get(each.section or "", ())
    }
    displaced = {
        each.option
        for each in errors
        if each.code == "unknown-option" and (each.suggestion or "").endswith(f".{each.option}")
    }
    there = {each.suggestion for each in errors if each.code == "unknown-section"}

    def is_certain(each: Finding) -> bool:
        if each.code == "missing-section":
            return each.section not in there
        if each.code != "missing-required":
            return True
        known = _plain(key_of(each.section or DEFAULT, each.option or "")) in meant
        known |= each.option in displaced  # several sections have it: any may be the right one
        return not known and not any(_may_hold(gap, each) for gap in unread)

    return tuple(filter(is_certain, findings))


def _key_meant(unknown: Finding) -> str:
    """Return the key that is suggested, be it by name, by section and name, or as a flag."""
    suggestion = unknown.suggestion or ""
    if suggestion.startswith("--"):
        return suggestion[2:]
    if "." in suggestion:
        return suggestion.removeprefix(f"{DEFAULT}.")
    return key_of(unknown.section or DEFAULT, suggestion)


def _may_hold(gap: Finding, missing: Finding) -> bool:
    """Whether an option may stand where something could not be understood."""
    if gap.section is None:
        return True
    return gap.section == missing.section and gap.option in (None, missing.option)


def unknown_options(
    merged: Merged, schema: Schema, *, severity: str = "error", early: bool = False
) -> tuple[Finding, ...]:
    """Report the options of known sections that nobody declares.

    ``early`` says that somebody still may.
    """
    found = [
        (section, option, raw)
        for section, known in schema.sections.items()
        for option, raws in merged.values.get(section, {}).items()
        if option not in known.options
        for raw in raws
    ]
    told = [_unknown_option(*each, schema, severity, early=early) for each in found[:_MOST_UNKNOWN]]
    return (*told, *_rest(len(found), found[_MOST_UNKNOWN:], severity))


def _rest(count: int, rest: list[tuple[str, str, Raw]], severity: str) -> list[Finding]:
    """Say once that there are more, of a file that most probably is another program's."""
    if not rest:
        return []
    message = f"In all {count} options are unknown; is this the right file?"
    section, option, raw = rest[0]
    origin = raw.origin
    return [
        note(severity, "unknown-option", message, section=section, option=option, origin=origin)
    ]


def unknown_sections(
    merged: Merged, schema: Schema, *, severity: str = "error"
) -> tuple[Finding, ...]:
    """Report the sections that nobody declares."""
    known = {*schema.sections, *schema.old_sections}
    unknown = [each for each in merged.sections.items() if each[0] not in known]
    findings = [
        _unknown_section(section, origin, schema, severity)
        for section, origin in unknown[:_MOST_UNKNOWN]
    ]
    if len(unknown) > _MOST_UNKNOWN:
        section, origin = unknown[_MOST_UNKNOWN]
        message = f"In all {len(unknown)} sections are unknown; is this the right file?"
        findings.append(
            note(severity, "unknown-section", message, section=section, option=None, origin=origin)
        )
    # Of a section that has only old names, other options are as unknown as the section was.
    findings += [
        _unknown_option(section, option, raw, schema, severity)
        for section in schema.old_sections - schema.sections.keys()
        for option, raws in merged.values.get(section, {}).items()
        for raw in raws
    ]
    return tuple(findings)


def without_flags(findings: Iterable[Finding], schema: Schema, prefix: str) -> tuple[Finding, ...]:
    """Tell who gave as a flag what has none, a secret for one, how to give it instead."""
    findings = tuple(findings)
    if not any(finding.code == "unknown-option" for finding in findings):
        return findings
    flagless = {f"--{spec.key.replace('_', '-')}": spec for spec in schema if spec.flag is None}
    told = []
    for finding in findings:
        spec = flagless.get(finding.place)
        if spec is None or finding.code != "unknown-option":
            told.append(finding)
            continue
        if spec.secret:
            why = "a list of processes would show the secret"
        else:
            why = "flags are read before it is known which sections there are"
        message = (
            f"has no flag, because {why}: set the environment "
            f"variable {spec.variable(prefix)}, or write it in a configuration file."
        )
        told.append(
            about(spec, Origin("command line", finding.place), "error", finding.code, message)
        )
    return tuple(told)


def nearest(word: str, names: Iterable[str]) -> str | None:
    """Return the name that a mistyped word most probably means, None if none is close.

    Counts letters inserted, left out, exchanged or swapped with their neighbour; upper case and
    dashes for underscores count nothing.
    """
    plain = _plain(word)
    best, best_distance = None, max(1, min(3, len(plain) // 3)) + 1
    for name in names:
        other = _plain(name)
        if abs(len(other) - len(plain)) >= best_distance:
            continue
        distance = _distance(plain, other)
        if distance < best_distance and distance < max(len(plain), len(other)):
            best, best_distance = name, distance
    return best


def _named(name: str) -> str:
    """Shorten a name for a message: one that nobody declares may be anything."""
    return name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…"


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")


def _distance(one: str, other: str) -> int:
    """Edit distance in which swapping two neighbours is one step (optimal string alignment)."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        above_before, before, row = before, row, [i]
        for j, another in enumerate(other, 1):
            step = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != another))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == another:
                step = min(step, above_before[j - 2] + 1)
            row.append(step)
    return row[-1]


def _unknown_option(
    section: str, option: str, raw: Raw, schema: Schema, severity: str, *, early: bool = False
) -> Finding:
    suggestion, advice = _meant(section, option, schema)
    has_not = f"[{section}] has no option {_named(option)!r}"
    if early:
        has_not += " among those known so far"
        advice = advice or " It is judged again when everything has been loaded."
    return note(
        severity,
        "unknown-option",
        f"{has_not}.{advice}",
        section=section,
        option=option,
        origin=raw.origin,
        suggestion=suggestion,
    )


def _meant(section: str, option: str, schema: Schema) -> tuple[str | None, str]:
    """Guess which option was meant; the name to suggest, and a sentence."""
    known = schema.sections.get(section)
    elsewhere = [
        other.name
        for other in schema.sections.values()
        if other.name != section and option in other.options
    ]
    here = nearest(option, known.options) if known else None
    if elsewhere and (len(elsewhere) == 1 or here is None):
        where = nearest(section, elsewhere) or elsewhere[0]
        return f"{where}.{option}", f" There is one in [{where}]: is it in the wrong section?"
    if here is not None and here == option.replace("-", "_"):
        return here, f" In a file it is spelled with underscores: {here!r}."
    if here is not None:
        return here, f" Did you mean {here!r}?"
    old = [name for old_section, name in schema.renames if old_section == section]
    meant_old = nearest(option, old)
    if meant_old is not None:
        spec = schema.renames[section, meant_old]
        name = spec.name if spec.section == section else f"{spec.section}.{spec.name}"
        return name, f" Did you mean {name!r}, which was called {meant_old!r}?"
    return _meant_elsewhere(option, schema)


def _meant_elsewhere(option: str, schema: Schema) -> tuple[str | None, str]:
    former = [spec for (_, name), spec in schema.renames.items() if name == option]
    if former:
        key = f"{former[0].section}.{former[0].name}"
        return key, f" It was once an option elsewhere, and is {key!r} now."
    far = {name: other.name for other in schema.sections.values() for name in other.options}
    guess = nearest(option, far)
    if guess is None or _distance(_plain(option), _plain(guess)) > 1:
        return None, ""
    return f"{far[guess]}.{guess}", f" Did you mean {guess!r} in [{far[guess]}]?"


def _unknown_section(section: str, origin: Origin, schema: Schema, severity: str) -> Finding:
    suggestion = nearest(section, schema.sections)
    advice = f" Did you mean [{suggestion}]?" if suggestion else ""
    if section == DEFAULT:
        suggestion, advice = None, " Its options belong in other sections."
    elif section.upper() == DEFAULT and DEFAULT in schema.sections:
        suggestion, advice = DEFAULT, f" Did you mean [{DEFAULT}], in capitals?"
    elif section.strip() in schema.sections:
        suggestion = section.strip()
        advice = f" Blanks inside the brackets belong to the name: write [{suggestion}]."
    return note(
        severity,
        "unknown-section",
        f"Nobody declares a section [{_named(section)}].{advice}",
        section=section,
        option=None,
        origin=origin,
        suggestion=suggestion,
    )
