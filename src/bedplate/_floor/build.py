"""What this installation is: plain Python, or with the path of messages compiled.

Looks at the files; imports nothing of what it speaks of.
"""

from importlib import machinery
from pathlib import Path

__all__ = ["is_compiled"]


def is_compiled(package: Path | None = None) -> bool:
    """Return whether messages go through compiled modules, as in wheels made for a platform.

    ``package`` is the folder to look at: this installation's own, if none is given.
    """
    first = (package or Path(__file__).parents[1]) / "amqp091" / "reception"
    return any(first.with_suffix(suffix).exists() for suffix in machinery.EXTENSION_SUFFIXES)
