"""The one value of field tables that Python has no type for.

Answers for moments as the wire counts them; knows nothing of tables. Stands apart from ``fields``
because a subclass of int is what mypyc cannot compile.
"""

from datetime import UTC, datetime, timedelta

__all__ = ["Timestamp"]


class Timestamp(int):
    """Seconds since 1970, UTC, as the wire has them: 64 bits, more than a datetime can hold."""

    __slots__ = ()

    def when(self) -> datetime:
        """Return the moment as an aware datetime; raises OverflowError beyond the year 9999."""
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=int(self))
