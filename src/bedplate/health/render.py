"""Reports drawn for readers: text for people, JSON for programs. Pure.

Both narrow the report to the listener's level before they look at it, so that what may not be
seen is never part of what they write.
"""

import json
from datetime import UTC, datetime, timedelta

from bedplate.health.check import State
from bedplate.health.report import LEVELS, Level, Report, Result

__all__ = ["as_json", "as_text"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def as_text(report: Report, level: Level) -> str:
    """Draw a report as lines: the state alone, or one line a check in Kubernetes' manner.

    ::

        [+]service ok
        [-]database failed: ConnectionRefusedError
        ready: fail
    """
    seen = report.shown(level)
    if level == "status":
        return f"{seen.state}\n"
    lines = [_line(result, level) for result in seen.results]
    lines.append(f"{seen.kind or 'health'}: {seen.state}")
    return "\n".join(lines) + "\n"


def _line(result: Result, level: Level) -> str:
    sign, word = _sign_and_word(result.state)
    line = f"[{sign}]{result.name} {word}"
    if level == "names":
        return line if result.state == "pass" else f"{line}: reason withheld"
    if result.reason:
        line += f": {result.reason}"
    if result.detail:
        line += f": {result.detail}"
    if result.shared and result.state == "fail":
        line += " (shared: counts as warn)"
    if result.took is not None:
        line += f" [{result.took * 1000:.0f} ms]"
    return line


def _sign_and_word(state: State) -> tuple[str, str]:
    match state:
        case "pass":
            return "+", "ok"
        case "warn":
            return "!", "warns"
        case "fail":
            return "-", "failed"
        case "unknown":
            return "?", "unknown"


def as_json(report: Report, level: Level) -> str:
    """Draw a report as ``application/health+json`` (draft-inadarei-api-health-check-06).

    The draft knows no ``unknown``: such a check has the state it counts as, and ``output`` says
    the rest. ``time`` and the seconds taken appear at level ``full``.
    """
    seen = report.shown(level)
    document: dict[str, object] = {"status": seen.state}
    if level != "status":
        document["checks"] = {each.name: [_component(each, level)] for each in seen.results}
    return json.dumps(document, ensure_ascii=False) + "\n"


def _component(result: Result, level: Level) -> dict[str, object]:
    unknown = result.state == "unknown"
    component: dict[str, object] = {"status": result.counts if unknown else result.state}
    if LEVELS.index(level) < LEVELS.index("reasons"):
        return component
    output = ": ".join(part for part in (result.reason, result.detail) if part)
    if output:
        component["output"] = f"unknown: {output}" if unknown else output
    if result.wall is not None:
        component["time"] = _timestamp(result.wall)
    if result.took is not None:
        component["observedValue"] = round(result.took, 6)
        component["observedUnit"] = "s"
    return component


def _timestamp(wall: float) -> str:
    moment = _EPOCH + timedelta(seconds=wall)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
