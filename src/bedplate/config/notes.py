"""Findings about options, all in the same words: ``[api] workers must be …``.

And what may be shown of a value that is no secret by its declaration.

Pure. Knows how a finding is made, not when.
"""

import re

from bedplate._floor.secret import MASK
from bedplate.config.specs import OptionSpec
from bedplate.config.tree import Origin
from bedplate.errors import Finding

__all__ = ["about", "discreet", "holds_password", "label", "note"]

_PASSWORD = re.compile(r"(://[^/\s:@]*:)[^/\s]*(?=@)")


def label(section: str, option: str) -> str:
    """Write a name as it stands in messages: ``[api] workers``."""
    return f"[{section}] {option}"


def holds_password(text: str) -> bool:
    """Whether a URL with a password is in a text, whatever the text is for."""
    return "://" in text and _PASSWORD.search(text) is not None


def discreet(text: str) -> str:
    """Mask the passwords of URLs, which an option may hold that is not made for them."""
    return _PASSWORD.sub(rf"\1{MASK}", text)


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
