"""How sections and options are called: by people, in files and in the environment.

Knows nothing of what they are.
"""

import re

__all__ = ["DEFAULT", "fold", "is_header", "is_section_name", "key_of", "split_key"]

DEFAULT = "DEFAULT"
"""The section whose options are called by their bare names."""

_HEADER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.\-]*[A-Za-z0-9])?")
_NOT_A_WORD = re.compile(r"[^A-Za-z0-9]")


def fold(name: str) -> str:
    """Spell a name as in the environment: upper case, every other sign an underscore."""
    if not (name.isascii() and name.isidentifier()):  # else there is nothing to replace
        name = _NOT_A_WORD.sub("_", name)
    return name.upper()


def is_header(name: str) -> bool:
    """Whether a section can be called so as a header, or once could."""
    return _HEADER.fullmatch(name) is not None


def is_section_name(name: str) -> bool:
    """Whether a section can be called so: as a header, and with ``__`` behind it in a variable."""
    return is_header(name) and "__" not in fold(name)


def key_of(section: str, option: str) -> str:
    """Call an option as people do: ``api.workers``, and ``debug`` for one of DEFAULT."""
    return option if section == DEFAULT else f"{section}.{option}"


def split_key(key: str) -> tuple[str, str]:
    """Take ``api.workers`` or ``debug`` apart into section and option."""
    section, dot, option = key.rpartition(".")
    return (section, option) if dot else (DEFAULT, key)
