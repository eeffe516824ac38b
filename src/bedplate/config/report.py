"""Findings as people and programs read them: text, JSON, SARIF.

Findings in, text out (only `tell` prints); lines of files come as an argument, for which
`file_lines` reads files again. Nothing here can show more than a finding does, but for the line it
is about, of which only what is surely no secret is shown.
"""

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from bedplate._floor.secret import MASK
from bedplate.config.notes import discreet
from bedplate.config.schema import Schema
from bedplate.config.specs import OptionSpec
from bedplate.config.types import UrlType
from bedplate.errors import Finding, SourceFailed

if TYPE_CHECKING:
    from bedplate.config.auditing import Audit

__all__ = [
    "Lines",
    "excerpt",
    "file_lines",
    "findings_json",
    "findings_sarif",
    "findings_text",
    "plain",
    "put_out",
    "tell",
    "verdict",
]

Lines = Callable[[str, int], str | None]
"""Gives a line (from 1) of a file; None where it cannot."""

_KEYS = (
    "severity",
    "code",
    "file",
    "line",
    "column",
    "section",
    "option",
    "message",
    "suggestion",
)
_HIDDEN = frozenset({"indented-key", "secret-in-plain-option", "stray-continuation"})
_HEADER = re.compile(r"\s*\[+[^\[\]=:]*\]+")
_KEY = re.compile(r"[^=:\s][^=:]*[=:]")
_WIDEST = 120
_SARIF = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)


def findings_text(
    findings: Iterable[Finding], *, schema: Schema | None = None, lines: Lines | None = None
) -> str:
    """Write findings for people, one a line, each with the line of the file it is about.

    Values of secrets and of unknown options are masked in these; without ``schema`` all are.
    """
    written = []
    for finding in findings:
        place = f"{finding.place}: " if finding.place else ""
        written.append(plain(f"{place}{finding.severity}: {finding.message} [{finding.code}]"))
        line = None
        if lines is not None and finding.file is not None and finding.line is not None:
            line = lines(finding.file, finding.line)
        shown = None if line is None else excerpt(line, finding, schema)
        if shown:
            written.append(f"    {shown}")
    return "".join(f"{line}\n" for line in written)


def verdict(findings: Iterable[Finding], *, fatal_warnings: bool = False) -> str:
    """Say in a few words what findings come to: ``good``, or how many there are.

    With ``fatal_warnings`` nothing is good that has a warning.
    """
    severities = [finding.severity for finding in findings]
    errors = severities.count("error")
    warnings = len(severities) - errors
    if not errors and not (fatal_warnings and warnings):
        return f"good, with {_count(warnings, 'warning')}" if warnings else "good"
    counts = ((errors, "error"), (warnings, "warning"))
    return " and ".join(_count(number, what) for number, what in counts if number)


def tell(audit: "Audit", what: str, *, fatal_warnings: bool = False) -> int:
    """Print what was found in a configuration, which is called ``what``, and the verdict.

    Returns the exit status: 1 if anything is wrong, else 0. With ``fatal_warnings`` warnings count.
    """
    text = findings_text(audit.findings, schema=audit.schema, lines=file_lines())
    said = verdict(audit.findings, fatal_warnings=fatal_warnings)
    put_out(f"{text}{plain(what)}: {said}\n")
    return 1 if audit.errors or (fatal_warnings and audit.findings) else 0


def put_out(text: str) -> None:
    """Print a text; what the encoding of standard output lacks is spelled out."""
    try:
        sys.stdout.write(text)
    except UnicodeEncodeError:
        known = sys.stdout.encoding
        sys.stdout.write(text.encode(known, "backslashreplace").decode(known))


def findings_json(findings: Iterable[Finding]) -> str:
    """Write findings as a JSON list of objects that have always the same keys.

    The keys are severity, code, file, line, column, section, option, message and suggestion; what
    does not apply is null. Outside of files the message says the place.
    """
    import json

    return json.dumps([_object(finding) for finding in findings], indent=2) + "\n"


def findings_sarif(findings: Iterable[Finding], *, version: str) -> str:
    """Write findings as SARIF 2.1.0, which code review understands; ``version`` is bedplate's.

    A file's path becomes a reference relative to wherever the reader says, or a ``file:`` URI.
    """
    import json

    findings = tuple(findings)
    codes = sorted({finding.code for finding in findings})
    run = {
        "tool": {
            "driver": {
                "name": "bedplate",
                "semanticVersion": version,
                "rules": [{"id": code} for code in codes],
            }
        },
        "columnKind": "unicodeCodePoints",
        "results": [_result(finding, codes) for finding in findings],
    }
    log = {"$schema": _SARIF, "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=2) + "\n"


def file_lines() -> Lines:
    """Return a reader of lines, for which each file is read once; what cannot be read has none."""
    from bedplate.config.sources.files import File

    known: dict[str, list[str]] = {}

    def line(file: str, number: int) -> str | None:
        if file not in known:
            try:
                text = File(file).content().decode("utf-8", "replace")
            except SourceFailed:
                text = ""
            known[file] = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        return known[file][number - 1] if number <= len(known[file]) else None

    return line


def excerpt(line: str, finding: Finding, schema: Schema | None) -> str | None:
    """Return what may be shown of the line a finding is about; None if that is nothing.

    The value is shown of an option that is known and neither secret nor a URL, unless a dollar in
    it is the matter, which may be one of a password; of any other only the key. Of what is neither
    key nor section nothing is shown.
    """
    line = line.strip()
    if finding.code in _HIDDEN:
        return None
    if finding.option is not None and schema is not None and finding.code != "bad-interpolation":
        name = (finding.section or "", finding.option)
        spec = schema.get(*name) or schema.renames.get(name)
        if spec is not None and _open(spec):
            return _cut(plain(discreet(line)))
    header = _HEADER.match(line)
    if header is not None:
        return _cut(plain(header[0]))
    key = _KEY.match(line)
    return _cut(plain(f"{key[0]} {MASK}")) if key is not None and finding.option else None


def plain(text: str) -> str:
    """Spell out what would break a line, or speak to the terminal instead of to its reader."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _open(spec: OptionSpec) -> bool:
    type_ = spec.type
    while hasattr(type_, "inner"):
        type_ = type_.inner
    return not spec.secret and not isinstance(type_, UrlType)


def _cut(text: str) -> str:
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"


def _object(finding: Finding) -> Mapping[str, object]:
    return {**dict.fromkeys(_KEYS), **_facts(finding), "message": _message(finding)}


def _facts(finding: Finding) -> Mapping[str, object]:
    return {key: value for key, value in finding._asdict().items() if key in _KEYS}


def _message(finding: Finding) -> str:
    outside = finding.file is None and finding.place
    return f"{finding.place}: {finding.message}" if outside else finding.message


def _result(finding: Finding, codes: list[str]) -> Mapping[str, object]:
    result: dict[str, object] = {
        "ruleId": finding.code,
        "ruleIndex": codes.index(finding.code),
        "level": finding.severity,
        "message": {"text": _message(finding)},
    }
    location: dict[str, object] = {}
    if finding.file is not None:
        place: dict[str, object] = {"artifactLocation": {"uri": _uri(finding.file)}}
        if finding.line is not None:
            place["region"] = {
                "startLine": finding.line,
                **({"startColumn": finding.column} if finding.column is not None else {}),
            }
        location["physicalLocation"] = place
    if finding.section is not None:
        name = finding.section if finding.option is None else f"{finding.section}.{finding.option}"
        location["logicalLocations"] = [{"fullyQualifiedName": name}]
    if location:
        result["locations"] = [location]
    return result


def _uri(path: str) -> str:
    from urllib.parse import quote

    quoted = quote(path.encode("utf-8", "surrogateescape"))
    if path.startswith("/"):
        return f"file://{quoted}"
    # A colon before the first slash would be read as the end of a scheme.
    return f"./{quoted}" if ":" in path.split("/", 1)[0] else quoted
