"""What a text may hold at most, whoever sent it. Values only."""

from msgspec import Struct

__all__ = ["DEFAULT_LIMITS", "Limits"]


class Limits(Struct, frozen=True):
    """How large (``body``, bytes) and how deeply nested (``depth``) JSON text may be."""

    body: int = 16 * 1024 * 1024
    depth: int = 64


DEFAULT_LIMITS = Limits()
"""The limits of whoever sets none."""
