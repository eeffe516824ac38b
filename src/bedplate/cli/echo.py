"""The methods of ``bedplate rpc echo``. Knows nothing of the command line."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bedplate.messaging.rpc import ServerStatistics

__all__ = ["Echo"]

_NOTES_KEPT = 10_000


class Echo:
    """Answers that tell whether calls arrive, and how."""

    def __init__(self) -> None:
        self._noted: deque[object] = deque(maxlen=_NOTES_KEPT)
        self._statistics: Callable[[], ServerStatistics] | None = None

    async def echo(self, /, **given: object) -> dict[str, object]:
        """Return what it is given."""
        return given

    async def sleep(self, seconds: int | float) -> int | float:  # noqa: PYI041 - 2 is not 2.0
        """Return the seconds after so many of them."""
        await asyncio.sleep(seconds)
        return seconds

    async def fail(self, message: str = "as asked") -> None:
        """Raise ValueError with the message."""
        raise ValueError(message)

    async def note(self, /, **given: object) -> None:
        """Record what it is given; the newest 10 000 notes are kept."""
        self._noted.append(given)

    async def seen(self) -> list[object]:
        """Return what was recorded, oldest first."""
        return list(self._noted)

    async def stats(self) -> dict[str, object]:
        """Return the counts of this server, and how many notes it keeps."""
        noted: dict[str, object] = {"noted": len(self._noted)}
        if self._statistics is None:
            return noted
        counts = self._statistics()
        return {name: getattr(counts, name) for name in counts.__struct_fields__} | noted
