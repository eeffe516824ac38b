"""What a connection and its channels share: the outgoing frames, the limits, the open channels.

Answers for framing what goes out. Knows the layout of frames, not what they mean.
"""

import enum
import struct
from collections import deque
from typing import Final

from bedplate.amqp091.login import Limits
from bedplate.amqp091.spec import FRAME_END, METHOD, OVERHEAD, ReplyCode
from bedplate.errors import ProtocolError

__all__ = ["ChannelState", "Phase", "Wire", "peer_fault"]

_HEAD: Final = struct.Struct(">BHI")
_END: Final = bytes((FRAME_END,))


class Phase(enum.Enum):
    """How far a connection or a channel has come. GREETING and LOGIN are the connection's only."""

    GREETING = "greeting"
    LOGIN = "login"
    OPENING = "opening"
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


class ChannelState:
    """One channel as both its halves see it: commands write here, and what is heard too.

    ``open`` is whether the phase is OPEN, ``usable`` whether commands may be given. ``waiting``
    holds the names of the requests not yet answered, oldest first. ``published`` counts messages
    in confirm mode, ``delivered`` is the highest delivery tag that came in. ``subscribing`` are
    the consumer tags whose consume is not answered. ``reused`` tells that another channel had the
    number before.
    """

    __slots__ = (
        "confirming",
        "delivered",
        "flowing",
        "number",
        "open",
        "phase",
        "published",
        "reused",
        "subscribing",
        "transacting",
        "usable",
        "waiting",
    )

    def __init__(self, number: int, *, reused: bool) -> None:
        self.number = number
        self.reused = reused
        self.phase = Phase.OPENING
        self.open = False
        self.usable = True
        self.flowing = True
        self.confirming = False
        self.transacting = False
        self.published = 0
        self.delivered = 0
        self.waiting: deque[str] = deque()
        self.subscribing: set[str] = set()

    def end(self, phase: Phase) -> None:
        """Refuse commands from now on."""
        self.phase = phase
        self.open = self.usable = False
        self.waiting.clear()


class Wire:
    """The outgoing buffers and the limits agreed.

    ``payload_max`` is the largest payload of a frame, either way. ``unfinished`` counts the bytes
    of bodies that are being received, over all channels. ``ended`` are the numbers of channels that
    closed and are to be forgotten.
    """

    __slots__ = ("ended", "limits", "out", "payload_max", "unfinished")

    def __init__(self, limits: Limits) -> None:
        self.out: list[bytes | memoryview] = []
        self.ended: list[int] = []
        self.unfinished = 0
        self.agree(limits)

    def agree(self, limits: Limits) -> None:
        """Obey these limits from now on."""
        self.limits = limits
        self.payload_max = limits.frame_max - OVERHEAD

    def send_method(self, channel: int, payload: bytes) -> None:
        """Queue one method frame. Raises ProtocolError (ours) for one beyond frame_max."""
        size = len(payload)
        if size > self.payload_max:
            raise ProtocolError(
                ours=True,
                reply_code=ReplyCode.FRAME_ERROR,
                why=f"A method of {size} bytes does not fit a frame of {self.limits.frame_max}; "
                f"use shorter arguments.",
            )
        self.out += (_HEAD.pack(METHOD, channel, size), payload, _END)


def peer_fault(reply_code: ReplyCode, why: str) -> ProtocolError:
    """Build the error of a peer that broke the protocol."""
    return ProtocolError(ours=False, reply_code=reply_code, why=why)
