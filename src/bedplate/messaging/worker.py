"""The threads of a crew, which know that they are.

Apart from `crew`, because what is compiled must not be a kind of `threading.Thread`: `threading`
keeps weak references to its threads, for which a compiled class has no room.
"""

import threading

__all__ = ["Worker", "in_crew"]


class Worker(threading.Thread):
    """A thread of a crew; the loop's clock is held for what it does."""


def in_crew() -> bool:
    """Whether the calling thread belongs to a crew."""
    return isinstance(threading.current_thread(), Worker)
