"""What the commands that talk to a broker share: connecting, and giving up in words.

Loads messaging when a command runs, never before. Knows nothing of what is said to the broker.
"""

import contextlib
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from bedplate.cli.ending import Failed, Misuse, say
from bedplate.cli.manual import examples
from bedplate.cli.parameters import NAME, SECONDS
from bedplate.cli.urls import UrlGiven
from bedplate.cli.values import json_text, printable, write

if TYPE_CHECKING:
    import logging

    from bedplate.errors import MessagingError
    from bedplate.messaging import Transport, TransportUrl

    Work = Callable[[Transport, Callable[[], float]], Coroutine[Any, Any, int]]

__all__ = [
    "EXCHANGE",
    "JSON",
    "TIMEOUT",
    "URL",
    "by_url",
    "converse",
    "give_up_after",
]

_PROMPT_CLOSE, _PATIENT_CLOSE = 0.25, 5.0
_LEAST = 0.001


def by_url(*lines: str) -> str:
    """Return the end of a help page: how URL may be given, and lines as they are typed."""
    return (
        "URL is rabbit://user:password@host/vhost, or @PATH to read it from the first line of a "
        "file, or env:NAME to read it from a variable: arguments are no secret.\n\n"
        f"{examples(*lines)}"
    )


URL = click.argument("url", metavar="URL", type=UrlGiven())
"""The broker to talk to; the first argument of every command."""
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
"""What programs ask for."""
EXCHANGE = click.option(
    "--exchange",
    metavar="E",
    type=NAME,
    default="default",
    show_default=True,
    help="The name space of the topic.",
)
"""Where a topic is; equal topics of two exchanges never meet."""
TIMEOUT = click.option(
    "--timeout",
    metavar="S",
    type=SECONDS,
    default=60.0,
    show_default=True,
    help="Seconds for everything together, connecting included.",
)
"""One deadline for a command that ends."""


# --- the conversation ---------------------------------------------------------------------------


def converse(
    url: str, work: "Work", *, timeout: float, as_json: bool = False, lasting: bool = False
) -> int:
    """Connect, do the work, close; return the work's exit status.

    ``work`` gets the transport, and a way to ask how many seconds of ``timeout`` are left.
    Work that is ``lasting`` has ``timeout`` for connecting only; it survives lost links, tells of
    them on standard error, and ends with status 0 on SIGINT and SIGTERM. Other work fails with the
    first connection that does. Raises `Misuse` for a URL that cannot be used, `Failed`.
    """
    import asyncio

    from bedplate.errors import InvalidUrl, MessagingError
    from bedplate.messaging import RecoveryPolicy, Transport, TransportPolicy

    transport = Transport.connect(
        _parsed(url),
        timeout=timeout,
        policy=TransportPolicy(
            recovery=RecoveryPolicy(give_up=None if lasting else 0.0),
            close_timeout=_PATIENT_CLOSE if lasting else _PROMPT_CLOSE,
        ),
    )
    talk = _talk(transport, work, timeout)
    with _logs(lasting=lasting):
        try:
            return asyncio.run(_until_signalled(talk) if lasting else talk)
        except InvalidUrl as error:
            raise Misuse(str(error)) from None
        except MessagingError as error:
            overall = _overall(error, timeout)
            if as_json:
                write(json_text({"error": _as_value(overall)}))
            raise Failed(_told(overall)) from error


async def _talk(transport: "Transport", work: "Work", timeout: float) -> int:  # noqa: ASYNC109 - one deadline covers all stages
    import asyncio

    from bedplate.errors import DeadlineExceeded

    now = asyncio.get_running_loop().time
    until = now() + timeout
    async with transport:
        try:
            return await work(transport, lambda: max(until - now(), _LEAST))
        except DeadlineExceeded as error:
            for why in transport.statistics().flow:
                error.add_note(_closed(why))
            raise
        except Failed as error:
            closed = map(_closed, transport.statistics().flow)
            raise Failed(" ".join((error.message, *closed))) from error


def _closed(why: str) -> str:
    """Say what the sentence about a deadline cannot know: why nothing was to be heard."""
    return f"The broker takes no messages now ({why})."


async def _until_signalled(talk: Coroutine[Any, Any, int]) -> int:
    """Let a signal end the work in good order; a second one ends the process."""
    import asyncio
    import signal
    import threading

    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    told: list[int] = []
    signals = (signal.SIGINT, signal.SIGTERM)
    if threading.current_thread() is not threading.main_thread():
        return await talk

    def stop() -> None:
        told.append(1)
        for each in signals:
            loop.remove_signal_handler(each)
        if task is not None:
            task.cancel()

    for each in signals:
        loop.add_signal_handler(each, stop)
    try:
        return await talk
    except asyncio.CancelledError:
        if not told:
            raise
        return 0
    finally:
        for each in signals:
            loop.remove_signal_handler(each)


@contextlib.asynccontextmanager
async def give_up_after(seconds: float | None, *, counted: bool) -> AsyncIterator[None]:
    """End a block after so many seconds; that is a failure where something was to be counted."""
    import asyncio

    try:
        async with asyncio.timeout(seconds) as limit:
            yield
    except TimeoutError:
        if not limit.expired():
            raise
        if counted:
            raise Failed(f"fewer than asked for came within {seconds:g} s.") from None


def _parsed(url: str) -> "TransportUrl":
    """Read a URL whose driver is installed. Raises `Misuse`, which names those that are."""
    from bedplate.errors import InvalidUrl, PluginNotFound
    from bedplate.messaging import TransportUrl, find_driver

    try:
        parsed = TransportUrl(url)
        find_driver(parsed.driver)
    except InvalidUrl as error:
        raise Misuse(str(error)) from None
    except PluginNotFound as error:
        if error.name in error.known:  # there are several
            raise Misuse(str(error)) from None
        raise Misuse(
            f"no driver for {error.name}:// is installed (there are: "
            f"{', '.join(error.known) or 'none'}).{error.hint}"
        ) from None
    return parsed


@contextlib.contextmanager
def _logs(*, lasting: bool) -> Iterator[None]:
    """Let what the library logs be sentences on standard error, or keep it to itself.

    What it warns of, such as a driver that is experimental, is a sentence in any case.
    """
    import logging
    import warnings

    logger = logging.getLogger("bedplate")
    handler: logging.Handler = logging.NullHandler()
    if lasting:
        handler = logging.StreamHandler(sys.stderr)
        handler.setLevel(logging.WARNING)
        handler.setFormatter(_formatter())
    logger.addHandler(handler)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_args, **_more: say(str(message))
            yield
    finally:
        logger.removeHandler(handler)


def _formatter() -> "logging.Formatter":
    import logging

    class Sentence(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            error = record.exc_info[1] if record.exc_info else None
            why = f": {type(error).__name__}: {error}" if error is not None else ""
            return f"bedplate: {printable(record.getMessage() + why)}"

    return Sentence()


# --- what went wrong ----------------------------------------------------------------------------


def _overall(error: "MessagingError", timeout: float) -> "MessagingError":
    """Return a deadline's error with the seconds that the user gave, not with what was left."""
    from bedplate.errors import DeadlineExceeded

    if not isinstance(error, DeadlineExceeded):
        return error
    whole = DeadlineExceeded(
        operation=error.operation, target=error.target, timeout=timeout, stage=error.stage
    )
    whole.__cause__ = error.__cause__
    for note in getattr(error, "__notes__", ()):
        whole.add_note(note)
    return whole


def _told(error: "MessagingError") -> str:
    from bedplate.errors import DeadlineExceeded, RemoteError

    if isinstance(error, RemoteError):
        lines = [f"{error.peer or 'The server'} answered with {error}"]
        lines += [f"  caused by {kind}: {text}" for kind, text in error.causes]
        return "\n".join(lines)
    if isinstance(error, DeadlineExceeded):
        cause = () if error.__cause__ is None else (error.__cause__,)
        return " ".join(map(str, (error, *cause, *getattr(error, "__notes__", ()))))
    return str(error)


def _as_value(error: "MessagingError") -> Mapping[str, object]:
    from bedplate.errors import RemoteError

    told: dict[str, object] = {"code": error.code, "type": type(error).__name__}
    if not isinstance(error, RemoteError):
        return {**told, "message": _told(error), "retryable": error.retryable}
    return {
        **told,
        "type": error.type,
        "message": error.message,
        "details": error.details,
        "causes": [list(each) for each in error.causes],
        "retryable": error.retryable,
    }
