"""What a client counts, as a value for whoever watches it."""

from msgspec import Struct

__all__ = ["ClientStatistics"]


class ClientStatistics(Struct, frozen=True):
    """Counts since the client was made.

    ``beats`` are signs of life of open calls, ``late`` answers that nobody waited for any more.
    """

    started: int
    open: int
    results: int
    faults: int
    no_such_target: int
    lost: int
    deadlines: int
    reply_paths_lost: int
    cancelled: int
    beats: int
    late: int
    malformed: int
