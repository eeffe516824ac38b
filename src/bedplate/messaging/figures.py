"""What operators may want to know of a transport, its lines and its consumers: values alone."""

from msgspec import Struct

from bedplate.messaging.receiving import IntakeTally

__all__ = ["ConsumerStatistics", "LineStatistics", "TransportStatistics"]


class LineStatistics(Struct, frozen=True):
    """How one line is doing. ``up_for`` is in seconds; ``why`` says what the last link died of."""

    name: str
    up: bool
    epoch: int
    reconnects: int
    failures: int
    up_for: float
    why: str


class ConsumerStatistics(Struct, frozen=True):
    """How one consumer is doing. ``epoch`` counts how often its source was taken."""

    address: str
    live: bool
    epoch: int
    interruptions: int
    unsettled: int
    in_use: int
    tally: IntakeTally


class TransportStatistics(Struct, frozen=True):
    """What an operator wants to know. Counts are since the transport opened.

    ``flow`` says why the peer takes no messages (empty: it does). Of what was ``published``,
    ``bounced`` reached nobody, ``refused`` was turned down, ``unknown`` was on a link that died
    and ``repeated`` sent again. ``buffered`` messages wait now, ``dropped`` ones expired while
    they did. ``replies`` came to inboxes; ``received``, ``unsettled``, ``expired``, ``duplicates``
    and ``parked`` sum up the subscriptions. ``shortened`` messages asked for a longer ttl than
    they got. ``notices`` are what the driver noticed, by name.
    """

    name: str
    driver: str
    lines: tuple[LineStatistics, ...]
    consumers: tuple[ConsumerStatistics, ...]
    published: int
    bounced: int
    refused: int
    unknown: int
    repeated: int
    buffered: int
    dropped: int
    flow: tuple[str, ...]
    replies: int
    received: int
    unsettled: int
    expired: int
    duplicates: int
    parked: int
    inboxes: int
    timers: int
    shortened: int
    notices: tuple[tuple[str, int], ...]

    @property
    def reconnects(self) -> int:
        """How often a link was replaced, over all lines."""
        return sum(line.reconnects for line in self.lines)
