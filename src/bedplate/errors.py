"""Every error bedplate raises, in one tree.

::

    BedplateError
    ├── PluginNotFound            a name in configuration that no installed package answers to
    ├── BenchFailed               a contestant of a bench was not installed, started or measured
    ├── ConfigError
    │   ├── SchemaError           a Section is declared wrongly (a mistake in a program)
    │   ├── NotASchema            a file that was to describe options does not
    │   ├── InvalidConfig         what a user wrote is wrong; carries every finding at once
    │   ├── SourceFailed          a source could not be read
    │   ├── NoSuchOption          asked for an option that no section declares
    │   ├── SectionAbsent         an optional section that nobody configured was asked for
    │   ├── ReloadRefused         a reload was given up; the old values stay
    │   └── SecretNotSerialisable a secret was handed to pickle, json or the like
    ├── MessagingError
    │   ├── TransportError        between this process and the broker
    │   │   ├── InvalidUrl
    │   │   ├── Unsupported       the driver cannot do this, and says so
    │   │   ├── ConnectFailed     nobody listens, or nobody answers
    │   │   ├── AccessRefused     the broker refused the credentials or the operation
    │   │   ├── NotTrusted        the broker did not prove who it is
    │   │   ├── LinkLost          a connection that was up is gone
    │   │   ├── ProtocolError     AMQP was spoken wrongly, by us or by the peer
    │   │   ├── TransportClosed   used after it was closed, or before it was opened
    │   │   ├── WrongLoop         used from another event loop than its own
    │   │   ├── WouldDeadlock     a blocking call on the thread that would have to answer it
    │   │   ├── Forked            used in a child of the process that opened it
    │   │   ├── PortalStalled     the private event loop does not answer
    │   │   ├── TopologyMismatch  a queue or exchange exists with other properties
    │   │   ├── SubscriptionLost  a subscription ended and cannot be restored
    │   │   ├── PublishRefused    the broker said no
    │   │   ├── PublishUnknown    the link died before the broker answered
    │   │   └── BufferFull        flow is closed and the bounded buffer is full
    │   ├── CallError             what became of one operation, judged here
    │   │   ├── DeadlineExceeded  the time given is over
    │   │   ├── NoSuchTarget      nobody serves the target, nothing takes what is sent
    │   │   ├── CallLost          the server fell silent
    │   │   ├── NotParked         no message of this id is at a parking place
    │   │   └── ReplyPathLost     the link that would have carried the reply is gone
    │   ├── CodecError
    │   │   ├── MalformedMessage  bytes that are not what they claim to be
    │   │   ├── Unencodable       a value that the codec cannot carry
    │   │   └── TooLarge          beyond the size limit
    │   └── RemoteError           what the far end answered instead of a result
    │       ├── NoSuchMethod
    │       ├── BadArguments
    │       ├── UnsupportedVersion
    │       ├── AccessDenied
    │       ├── ServerBusy
    │       └── RequestExpired    the request arrived after its deadline and was not run
    └── HealthError
        ├── DuplicateCheck
        ├── CannotListen
        └── ProbeFailed

Each leaf has typed attributes, a stable ``code`` and a message that says what happened, where,
and what to do. Leaves hold primitives (and tuples of them) and survive pickle. ``retryable`` says
whether trying the same thing again, unchanged, can help *and* is safe. This module imports
nothing of bedplate and knows nothing of how errors are shown.
"""

from typing import ClassVar, NamedTuple, Self

__all__ = [
    "AccessDenied",
    "AccessRefused",
    "BadArguments",
    "BedplateError",
    "BenchFailed",
    "BufferFull",
    "CallError",
    "CallLost",
    "CannotListen",
    "CodecError",
    "ConfigError",
    "ConnectFailed",
    "DeadlineExceeded",
    "DuplicateCheck",
    "Finding",
    "Forked",
    "HealthError",
    "InvalidConfig",
    "InvalidUrl",
    "LinkLost",
    "MalformedMessage",
    "MessagingError",
    "NoSuchMethod",
    "NoSuchOption",
    "NoSuchTarget",
    "NotASchema",
    "NotParked",
    "NotTrusted",
    "PluginNotFound",
    "PortalStalled",
    "ProbeFailed",
    "ProtocolError",
    "PublishRefused",
    "PublishUnknown",
    "ReloadRefused",
    "RemoteError",
    "ReplyPathLost",
    "RequestExpired",
    "SchemaError",
    "SecretNotSerialisable",
    "SectionAbsent",
    "ServerBusy",
    "SourceFailed",
    "SubscriptionLost",
    "TooLarge",
    "TopologyMismatch",
    "TransportClosed",
    "TransportError",
    "Unencodable",
    "Unsupported",
    "UnsupportedVersion",
    "WouldDeadlock",
    "WrongLoop",
]


class BedplateError(Exception):
    """Root of all errors raised by bedplate.

    ``code`` is stable across releases: match on it, or on the class, never on the text.
    """

    code: str = "bedplate"
    _retryable: ClassVar[bool] = False

    @property
    def retryable(self) -> bool:
        """Whether trying again unchanged can help and cannot do harm."""
        return self._retryable

    def __reduce__(self) -> "tuple[object, ...]":
        return _rebuild, (type(self), self.args, dict(self.__dict__))


def _rebuild(
    kind: "type[BedplateError]", args: "tuple[object, ...]", state: "dict[str, object]"
) -> BedplateError:
    error = kind.__new__(kind, *args)
    error.args = args  # OSError, behind TimeoutError, leaves them to __init__
    error.__dict__.update(state)
    return error


def _nearest(suggestion: "str | None") -> str:
    return f" Did you mean {suggestion!r}?" if suggestion else ""


class PluginNotFound(BedplateError):
    """No installed package offers a plug-in of this name.

    ``group`` is the entry point group, ``known`` the names that are there, ``hint`` what to do.
    """

    code = "plugin-not-found"

    def __init__(self, *, group: str, name: str, known: "tuple[str, ...]", hint: str = "") -> None:
        self.group, self.name, self.known, self.hint = group, name, known, hint
        listed = ", ".join(known) or "none"
        super().__init__(
            f"No plug-in named {name!r} is installed in {group!r} (installed: {listed}).{hint}"
        )


class BenchFailed(BedplateError):
    """One contestant of a bench could not be installed, started or measured."""

    code = "bench-failed"

    def __init__(self, *, contestant: str, why: str) -> None:
        self.contestant, self.why = contestant, why
        super().__init__(f"{contestant} could not be measured: {why}")


# --- configuration ------------------------------------------------------------------------------


class ConfigError(BedplateError):
    """Root of what goes wrong with configuration."""

    code = "config"


class SchemaError(ConfigError):
    """A Section is declared wrongly. Raised to the programmer, never because of a user's file."""

    code = "schema"

    def __init__(self, *, where: str, why: str) -> None:
        self.where, self.why = where, why
        super().__init__(f"{where}: {why}")


class NotASchema(ConfigError):
    """A file was to describe the options of a service, and does not, or not in a way known here.

    ``name`` is the file, or whatever its bytes came from; ``why`` a sentence without its end.
    """

    code = "not-a-schema"

    def __init__(self, *, name: str, why: str) -> None:
        self.name, self.why = name, why
        super().__init__(f"{name} does not describe options: {why}.")


class Finding(NamedTuple):
    """One thing found wrong, or worth a word, in what a user configured.

    ``place`` is where the user wrote it, as the user spells it: ``inventory.conf:3:1``,
    ``--api.workers`` or ``INVENTORY_API__WORKERS``; empty when the finding is about something
    absent. ``line`` and ``column`` count from 1 and are None outside files. ``message`` never
    holds the value of a secret or of an unknown option.
    """

    severity: str
    code: str
    message: str
    place: str = ""
    file: "str | None" = None
    line: "int | None" = None
    column: "int | None" = None
    section: "str | None" = None
    option: "str | None" = None
    suggestion: "str | None" = None

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message


class InvalidConfig(ConfigError):
    """The configuration cannot be used; ``findings`` holds everything that is wrong with it."""

    code = "invalid-config"

    def __init__(self, *, findings: "tuple[Finding, ...]") -> None:
        self.findings = findings
        count = len(findings)
        head = f"The configuration has {count} problem{'' if count == 1 else 's'}:"
        super().__init__("\n  ".join([head, *map(str, findings)]))


class SourceFailed(ConfigError):
    """A source of configuration could not be read. ``source`` names it as the operator does."""

    code = "source-failed"
    _retryable = True

    def __init__(self, *, source: str, why: str) -> None:
        self.source, self.why = source, why
        super().__init__(f"{source} could not be read: {why}")


class NoSuchOption(ConfigError):
    """No loaded section declares the option asked for."""

    code = "no-such-option"

    def __init__(self, *, name: str, suggestion: "str | None" = None) -> None:
        self.name, self.suggestion = name, suggestion
        super().__init__(f"No loaded section declares an option {name!r}.{_nearest(suggestion)}")


class SectionAbsent(ConfigError):
    """An optional section was asked for as if it were there; ask with ``config.get()``."""

    code = "section-absent"

    def __init__(self, *, section: str) -> None:
        self.section = section
        super().__init__(
            f"The optional section [{section}] is not configured; "
            f"use config.get(), which answers None for it."
        )


class ReloadRefused(ConfigError):
    """A reload was given up and the values from before it stay in force."""

    code = "reload-refused"

    def __init__(self, *, why: str) -> None:
        self.why = why
        super().__init__(f"The configuration was not reloaded, the old values stay: {why}")


class SecretNotSerialisable(ConfigError, TypeError):
    """A secret was about to be written where it could be read."""

    code = "secret-not-serialisable"

    def __init__(self, *, how: str) -> None:
        self.how = how
        super().__init__(
            f"A secret cannot go through {how}; hand over secret.reveal() where that is meant."
        )


# --- messaging ----------------------------------------------------------------------------------


class MessagingError(BedplateError):
    """Root of what goes wrong with messages."""

    code = "messaging"


class TransportError(MessagingError):
    """Something between this process and the broker."""

    code = "transport"


class InvalidUrl(TransportError):
    """A transport URL cannot be understood. ``url`` is masked."""

    code = "invalid-url"

    def __init__(self, *, url: str, why: str) -> None:
        self.url, self.why = url, why
        super().__init__(f"The transport URL {url} cannot be used: {why}")


class Unsupported(TransportError):
    """The driver or the peer cannot do what was asked, and refuses instead of pretending."""

    code = "unsupported"

    def __init__(self, *, driver: str, what: str, instead: str = "") -> None:
        self.driver, self.what, self.instead = driver, what, instead
        hint = f" {instead}" if instead else ""
        super().__init__(f"The {driver} driver does not offer {what}.{hint}")


class ConnectFailed(TransportError):
    """No connection to the broker could be made. ``where`` is host and port, or a name."""

    code = "connect-failed"
    _retryable = True

    def __init__(self, *, where: str, why: str) -> None:
        self.where, self.why = where, why
        super().__init__(f"No connection to {where}: {why}")


class AccessRefused(TransportError):
    """The broker refused the credentials, the virtual host or the operation."""

    code = "access-refused"

    def __init__(self, *, where: str, why: str) -> None:
        self.where, self.why = where, why
        super().__init__(f"{where} refused access: {why}")


class NotTrusted(TransportError):
    """The broker did not prove who it is: its certificate was not accepted."""

    code = "not-trusted"

    def __init__(self, *, where: str, why: str) -> None:
        self.where, self.why = where, why
        super().__init__(f"The certificate of {where} is not accepted: {why}")


class LinkLost(TransportError):
    """A connection that was up is gone."""

    code = "link-lost"
    _retryable = True

    def __init__(self, *, where: str, why: str) -> None:
        self.where, self.why = where, why
        super().__init__(f"The link to {where} was lost: {why}")


class ProtocolError(TransportError):
    """AMQP 0-9-1 was spoken wrongly.

    ``ours`` tells the two faces apart: True means this side asked for something that the protocol
    or the state of the connection forbids, and nothing was sent; False means the peer broke the
    protocol, and the connection is over. ``reply_code`` is the protocol's number for the fault.
    """

    code = "protocol"

    def __init__(self, *, ours: bool, reply_code: int, why: str) -> None:
        self.ours, self.reply_code, self.why = ours, int(reply_code), why
        super().__init__(why if ours else f"AMQP fault of the peer ({self.reply_code}): {why}")


class TransportClosed(TransportError):
    """The transport, subscription or server is closed, or was never opened."""

    code = "transport-closed"

    def __init__(self, *, what: str) -> None:
        self.what = what
        super().__init__(f"{what} is closed; use it inside its 'async with' block.")


class WrongLoop(TransportError):
    """An object of one event loop was used from another."""

    code = "wrong-loop"

    def __init__(self, *, what: str) -> None:
        self.what = what
        super().__init__(
            f"{what} belongs to another event loop; open one in this loop, "
            f"or use the blocking API from threads."
        )


class WouldDeadlock(TransportError):
    """A blocking call was made on the thread of the very event loop that has to carry it out."""

    code = "would-deadlock"

    def __init__(self, *, what: str) -> None:
        self.what = what
        super().__init__(
            f"{what} blocks, and this thread runs the event loop that has to carry it out; "
            f"declare it 'async def' and await it, or call it from another thread."
        )


class Forked(TransportError):
    """An object opened by the parent process was used in its child."""

    code = "forked"

    def __init__(self, *, what: str) -> None:
        self.what = what
        super().__init__(f"{what} was opened before fork(); open one in the child process.")


class PortalStalled(TransportError):
    """The thread that runs the private event loop did not answer in time."""

    code = "portal-stalled"

    def __init__(self, *, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(
            f"The event loop thread did not answer within {seconds:g} s; "
            f"is the process stopped, or were threads disabled by its server?"
        )


class TopologyMismatch(TransportError):
    """A queue or exchange of this name exists with other properties."""

    code = "topology-mismatch"

    def __init__(self, *, entity: str, why: str) -> None:
        self.entity, self.why = entity, why
        super().__init__(f"{entity} cannot be declared: {why}")


class SubscriptionLost(TransportError):
    """A subscription ended and cannot be restored."""

    code = "subscription-lost"

    def __init__(self, *, address: str, why: str) -> None:
        self.address, self.why = address, why
        super().__init__(f"The subscription to {address} ended: {why}")


class PublishRefused(TransportError):
    """The broker refused a message."""

    code = "publish-refused"

    def __init__(self, *, address: str, why: str) -> None:
        self.address, self.why = address, why
        super().__init__(f"The broker refused a message to {address}: {why}")


class PublishUnknown(TransportError):
    """The link died before the broker answered: the message may or may not have arrived.

    Not retryable by itself: a repeat may deliver twice. Where that is harmless, say so when
    publishing, and the transport repeats within the deadline.
    """

    code = "publish-unknown"

    def __init__(self, *, address: str) -> None:
        self.address = address
        super().__init__(
            f"The link was lost before the broker confirmed a message to {address}; "
            f"whether it arrived is unknown."
        )


class BufferFull(TransportError):
    """The broker accepts no messages for now and the bounded buffer is full."""

    code = "buffer-full"
    _retryable = True

    def __init__(self, *, address: str, limit: int) -> None:
        self.address, self.limit = address, limit
        super().__init__(
            f"{limit} messages already wait for the broker to accept more; "
            f"the one to {address} was not queued."
        )


class CallError(MessagingError):
    """What became of one operation, as judged on this side."""

    code = "call"


class DeadlineExceeded(CallError, TimeoutError):
    """The time given for the whole operation is over.

    ``stage`` says what it was waiting for: connecting, sending, confirmation or the reply.
    """

    code = "deadline-exceeded"

    def __init__(self, *, operation: str, target: str, timeout: float, stage: str) -> None:
        self.operation, self.target, self.timeout, self.stage = operation, target, timeout, stage
        super().__init__(
            f"{operation} to {target} did not end within {round(timeout, 3):g} s ({stage})."
        )


class NoSuchTarget(CallError):
    """Nobody serves the target, or nothing takes what is sent to it.

    ``queued`` False: the message came back, it reached no one, and a repeat is safe. True: it lies
    in a queue that nobody reads, and a server that starts before the message expires will run it.
    ``asked`` is what was sent: a ``call``, a ``cast``, or any other kind of message.
    """

    code = "no-such-target"

    def __init__(self, *, target: str, queued: bool = False, asked: str = "call") -> None:
        self.target, self.queued, self.asked = target, queued, asked
        if asked in ("call", "cast"):
            why = f"Nobody serves {target}: is a server of that name running?"
        else:
            why = f"Nothing takes messages for {target}: no queue keeps them, nobody is subscribed."
        fate = " The request waits in its queue until its ttl ends." if queued else ""
        super().__init__(f"{why}{fate}")

    @property
    def retryable(self) -> bool:
        """Whether it is certain that nothing was delivered."""
        return not self.queued


class CallLost(CallError):
    """The server fell silent for longer than the heartbeat allows. ``silence`` is in seconds."""

    code = "call-lost"

    def __init__(self, *, target: str, silence: float) -> None:
        self.target, self.silence = target, silence
        super().__init__(
            f"{target} has been silent for {round(silence, 3):g} s in the middle of a call."
        )


class NotParked(CallError):
    """No message of this id is at a parking place."""

    code = "not-parked"

    def __init__(self, *, id: str, place: str) -> None:  # noqa: A002 - what it is called everywhere
        self.id, self.place = id, place
        super().__init__(
            f"No message {id} is parked for {place}: was it replayed or dropped, or is it parked "
            f"for another group?"
        )


class ReplyPathLost(CallError):
    """The link that would have carried the reply is gone; the call may have run."""

    code = "reply-path-lost"

    def __init__(self, *, target: str) -> None:
        self.target = target
        super().__init__(
            f"The link was lost while waiting for a reply of {target}; the call may have run."
        )


class CodecError(MessagingError):
    """Between values and bytes."""

    code = "codec"


class MalformedMessage(CodecError):
    """Bytes from outside are not what they claim to be."""

    code = "malformed-message"

    def __init__(self, *, where: str, why: str) -> None:
        self.where, self.why = where, why
        super().__init__(f"{where} is malformed: {why}")


class Unencodable(CodecError):
    """A value cannot be carried by the codec."""

    code = "unencodable"

    def __init__(self, *, what: str, why: str) -> None:
        self.what, self.why = what, why
        super().__init__(f"{what} cannot be encoded: {why}")


class TooLarge(CodecError):
    """A message exceeds the limit. Sizes are in bytes."""

    code = "too-large"

    def __init__(self, *, what: str, size: int, limit: int) -> None:
        self.what, self.size, self.limit = what, size, limit
        super().__init__(f"{what} has {size} bytes, more than the limit of {limit}.")


class RemoteError(MessagingError):
    """The far end answered with a fault instead of a result.

    ``type`` is the name of the error's class over there, ``message`` its text, ``details`` what
    the server chose to add (plain JSON values), ``causes`` the chain behind it as
    ``(type, message)`` pairs, nearest first. ``code`` comes from the wire. ``peer`` is the target
    that answered, empty while the error has not travelled.
    """

    code = "remote"

    def __init__(
        self,
        *,
        type: str,  # noqa: A002 - the field's name on the wire and in every peer
        message: str,
        code: str = "remote",
        details: "dict[str, object] | None" = None,
        causes: "tuple[tuple[str, str], ...]" = (),
        retryable: bool = False,
    ) -> None:
        self.type, self.message, self.code = type, message, code
        self.details: dict[str, object] = details or {}
        self.causes = causes
        self.peer = ""
        self._remote_retryable = retryable
        super().__init__(f"{type}: {message}" if message else type)

    @property
    def retryable(self) -> bool:
        """What the server said of it."""
        return self._remote_retryable

    @classmethod
    def say(
        cls, message: str, *, details: "dict[str, object] | None" = None, retryable: bool = False
    ) -> Self:
        """Build a fault of this class as a server does, with the code of the class."""
        return cls(
            type=cls.__name__,
            message=message,
            code=cls.code,
            details=details,
            retryable=retryable,
        )


class NoSuchMethod(RemoteError):
    """The server is there and serves no method of this name."""

    code = "no-such-method"


class BadArguments(RemoteError):
    """The arguments do not fit the method."""

    code = "bad-arguments"


class UnsupportedVersion(RemoteError):
    """The server is there and serves other versions of the interface."""

    code = "unsupported-version"


class AccessDenied(RemoteError):
    """The server's access policy forbids the method."""

    code = "access-denied"


class ServerBusy(RemoteError):
    """The server sheds load; ``details["retry_after"]`` is in seconds."""

    code = "server-busy"


class RequestExpired(RemoteError):
    """The request's time was over before it could run; it did not run."""

    code = "request-expired"


# --- health -------------------------------------------------------------------------------------


class HealthError(BedplateError):
    """Root of what goes wrong with health reporting itself."""

    code = "health"


class DuplicateCheck(HealthError):
    """Two checks of one board have the same name."""

    code = "duplicate-check"

    def __init__(self, *, name: str) -> None:
        self.name = name
        super().__init__(f"The board already has a check named {name!r}; choose another name.")


class CannotListen(HealthError):
    """The health listener's address cannot be used."""

    code = "cannot-listen"

    def __init__(self, *, where: str, why: str) -> None:
        self.where, self.why = where, why
        super().__init__(f"Health cannot listen on {where}: {why}")


class ProbeFailed(HealthError):
    """A probe got no usable answer."""

    code = "probe-failed"

    def __init__(self, *, where: str, why: str) -> None:
        self.where, self.why = where, why
        super().__init__(f"{where} gave no usable answer: {why}")
