"""How a client proves who it is, and what it is willing to agree on.

Answers for the SASL mechanisms and for the tuning of limits; pure functions and values. Knows
nothing of the handshake's order (``connection`` does). A secret is never shown by ``repr``.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from bedplate.amqp091.fields import encode_table
from bedplate.amqp091.spec import FRAME_MIN, ReplyCode
from bedplate.errors import ProtocolError

__all__ = ["AmqPlain", "External", "Limits", "Login", "Plain", "choose_login", "tuned"]


class Login(Protocol):
    """One way to log in. Implement it for a mechanism that is not here."""

    @property
    def mechanism(self) -> str:
        """The mechanism's name, as the broker lists it."""

    def respond(self, challenge: bytes | None) -> bytes:
        """Return the first response (None) or the answer to a challenge.

        Raises ProtocolError (the peer's) for a challenge that the mechanism does not know.
        """


def _unasked(mechanism: str) -> ProtocolError:
    return ProtocolError(
        ours=False,
        reply_code=ReplyCode.COMMAND_INVALID,
        why=f"a challenge, which the mechanism {mechanism} does not have.",
    )


class Plain:
    """User and password in one go (SASL PLAIN, RFC 4616)."""

    mechanism = "PLAIN"
    __slots__ = ("_password", "_user")

    def __init__(self, user: str, password: str) -> None:
        self._user, self._password = user, password

    def __repr__(self) -> str:
        return f"Plain({self._user!r}, ****)"

    def respond(self, challenge: bytes | None) -> bytes:
        """Return both, NUL before each."""
        if challenge is not None:
            raise _unasked(self.mechanism)
        return b"\0" + self._user.encode() + b"\0" + self._password.encode()


class AmqPlain:
    """User and password in a field table: the mechanism of AMQP's own, and oslo's default."""

    mechanism = "AMQPLAIN"
    __slots__ = ("_password", "_user")

    def __init__(self, user: str, password: str) -> None:
        self._user, self._password = user, password

    def __repr__(self) -> str:
        return f"AmqPlain({self._user!r}, ****)"

    def respond(self, challenge: bytes | None) -> bytes:
        """Return the table, without the length that a table usually has."""
        if challenge is not None:
            raise _unasked(self.mechanism)
        return encode_table({"LOGIN": self._user, "PASSWORD": self._password})[4:]


class External:
    """The TLS certificate says who we are; ``identity`` may ask for another than it names."""

    mechanism = "EXTERNAL"
    __slots__ = ("_identity",)

    def __init__(self, identity: str = "") -> None:
        self._identity = identity

    def __repr__(self) -> str:
        return f"External({self._identity!r})"

    def respond(self, challenge: bytes | None) -> bytes:
        """Return the identity; an empty challenge asks for it too."""
        if challenge:
            raise _unasked(self.mechanism)
        return self._identity.encode()


def choose_login(logins: Sequence[Login], offered: bytes) -> Login | None:
    """Return the first login whose mechanism stands in the broker's list, or None."""
    names = offered.split()
    return next((login for login in logins if login.mechanism.encode() in names), None)


class Limits(NamedTuple):
    """What this side is willing to hold. All sizes are in bytes.

    ``frame_max`` and ``channel_max`` are what we propose: the broker may lower them. ``body`` is
    the largest message; one that is larger is skipped and reported as ``Oversized``.
    ``unfinished`` bounds all bodies that are being received together, over all channels.
    ``heartbeat`` is in whole seconds; 0 leaves it to the broker.
    """

    frame_max: int = 131072
    channel_max: int = 2047
    heartbeat: int = 60
    body: int = 128 * 1024 * 1024
    unfinished: int = 256 * 1024 * 1024

    def check(self) -> None:
        """Raise ProtocolError (ours) for limits that cannot be negotiated."""
        if not FRAME_MIN <= self.frame_max < 1 << 32:
            why = f"frame_max must be at least {FRAME_MIN}."
        elif not 1 <= self.channel_max <= 65535:
            why = "channel_max must be 1 to 65535."
        elif not 0 <= self.heartbeat <= 65535:
            why = "heartbeat must be 0 to 65535 seconds."
        elif not 0 <= self.body <= self.unfinished:
            why = "unfinished must be at least as large as body."
        else:
            return
        raise ProtocolError(ours=True, reply_code=ReplyCode.NOT_ALLOWED, why=why)


def tuned(limits: Limits, channel_max: int, frame_max: int, heartbeat: int) -> Limits:
    """Return what both sides can agree on: the lower of each, where 0 means no opinion.

    Raises ProtocolError (the peer's) for a frame_max that the protocol forbids.
    """
    if 0 < frame_max < FRAME_MIN:
        raise ProtocolError(
            ours=False,
            reply_code=ReplyCode.SYNTAX_ERROR,
            why=f"a frame_max of {frame_max}; the least is {FRAME_MIN}.",
        )
    return limits._replace(
        channel_max=min(limits.channel_max, channel_max or 65535),
        frame_max=min(limits.frame_max, frame_max or limits.frame_max),
        heartbeat=min(limits.heartbeat or heartbeat, heartbeat or limits.heartbeat),
    )
