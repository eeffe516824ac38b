"""Findings about options, all in the same words: ``[api] workers must be …``.

Pure. Knows how a finding is made, not when.
"""

from bedplate.config.specs import OptionSpec
from bedplate.config.tree import Origin
from bedplate.errors import Finding

__all__ = ["about", "label", "note"]


def label(section: str, option: str) -> str:
    """Write a name as it stands in messages: ``[api] workers``."""
    return f"[{section}] {option}"


def note(
    severity: str,
    code: str,
    message: str,
    *,
    section: str,
    option: str | None,
    origin: Origin | None = None,
    suggestion: str | None = None,
) -> Finding:
    """Make a finding about a name; without an origin it is about something absent."""
    if origin is None:
        return Finding(
            severity, code, message, section=section, option=option, suggestion=suggestion
        )
    return Finding(
        severity,
        code,
        message,
        str(origin),
        origin.file,
        origin.line,
        origin.column,
        section,
        option,
        suggestion,
    )


def about(
    spec: OptionSpec,
    origin: Origin | None,
    severity: str,
    code: str,
    message: str,
    suggestion: str | None = None,
) -> Finding:
    """Make a finding about an option: its name, and what else there is to say."""
    return note(
        severity,
        code,
        f"{label(spec.section, spec.name)} {message}",
        section=spec.section,
        option=spec.name,
        origin=origin,
        suggestion=suggestion,
    )
