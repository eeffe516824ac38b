"""What a notification is, and which ones a listener wants. Values and decisions only."""

import fnmatch
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from msgspec import Struct

from bedplate.messaging.types import Address
from bedplate.messaging.wire.values import NO_CONTEXT

__all__ = ["PRIORITIES", "Filter", "Notification", "address_of"]

PRIORITIES = ("audit", "debug", "info", "warn", "error", "critical", "sample")
"""The priorities there are. Each has an address of its own, so listeners choose by them."""


class Notification(Struct, frozen=True):
    """Something that happened, told to whoever listens.

    ``payload`` and ``context`` are plain JSON values; ``timestamp`` is in seconds since 1970, of
    the publisher's clock; ``attempt`` counts from 1 how often a listener was given it.
    """

    id: str
    event_type: str
    publisher_id: str
    priority: str
    payload: object = None
    timestamp: float = 0.0
    context: Mapping[str, object] = NO_CONTEXT
    attempt: int = 1

    @property
    def when(self) -> datetime:
        """The timestamp as an aware datetime in UTC."""
        return datetime.fromtimestamp(self.timestamp, UTC)


class Filter:
    """Chooses by event type: shell patterns, of which one must match (``item.*``)."""

    __slots__ = ("_match", "patterns")

    def __init__(self, patterns: Iterable[str]) -> None:
        """Take the patterns. Raises ValueError for none: that would listen to nothing."""
        self.patterns = (patterns,) if isinstance(patterns, str) else tuple(patterns)
        if not self.patterns:
            raise ValueError('event_types needs at least one pattern; "*" is for all')
        self._match = re.compile("|".join(map(fnmatch.translate, self.patterns))).match

    def wants(self, event_type: str) -> bool:
        """Whether notifications of this type are wanted."""
        return self._match(event_type) is not None


def address_of(topic: str, priority: str, exchange: str) -> Address:
    """Return where notifications of a priority go. Raises ValueError for an unknown priority."""
    if priority not in PRIORITIES:
        raise ValueError(f"{priority!r} is no priority; there are {', '.join(PRIORITIES)}")
    return Address.topic(f"{topic}.{priority}", exchange=exchange)
