"""Observers that carry what a transport does to where it is watched, each behind an extra.

Nothing is handed on from here: each module needs a library of its own.
"""

__all__: list[str] = []
