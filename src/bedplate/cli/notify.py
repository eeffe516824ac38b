"""``bedplate notify``: send notifications, and watch those of others.

Parses, calls `bedplate.messaging.notify`, prints. Knows nothing of how notifications travel.
"""

import secrets
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from bedplate.cli.arguments import named_values
from bedplate.cli.broker import EXCHANGE, JSON, TIMEOUT, URL, by_url, converse, give_up_after
from bedplate.cli.parameters import COUNT, NAME, SECONDS
from bedplate.cli.values import in_a_line, json_text, write

if TYPE_CHECKING:
    from bedplate.messaging import Transport
    from bedplate.messaging.notify import Notification

__all__ = ["notify"]

_OWN_POOL_LASTS = 60.0
_PRIORITIES = ("audit", "debug", "info", "warn", "error", "critical", "sample")


@click.group()
def notify() -> None:
    """Send notifications, and watch those of others."""


# --- send ---------------------------------------------------------------------------------------


@notify.command(
    "send",
    epilog=by_url(
        "bedplate notify send @broker.url item.created id=7 name=bolt",
        "bedplate notify send @broker.url disk.full host=mq1 --priority error",
    ),
)
@URL
@click.argument("event_type", metavar="EVENT_TYPE", type=NAME)
@click.argument("payload", metavar="[NAME=VALUE]...", nargs=-1)
@click.option(
    "--priority",
    metavar="P",
    type=click.Choice(_PRIORITIES),
    default="info",
    show_default=True,
    help=f"One of {', '.join(_PRIORITIES)}.",
)
@click.option(
    "--topic", metavar="T", type=NAME, default="notifications", show_default=True, help="Where to."
)
@EXCHANGE
@click.option(
    "--publisher", metavar="P", default=None, help="Who says so; bedplate and this host otherwise."
)
@click.option(
    "--ttl", metavar="S", type=SECONDS, help="Seconds it may wait for a listener; else for ever."
)
@TIMEOUT
@JSON
def _send(  # noqa: PLR0913 - one parameter an option, as click hands them over
    url: str,
    event_type: str,
    payload: tuple[str, ...],
    *,
    priority: str,
    topic: str,
    exchange: str,
    publisher: str | None,
    ttl: float | None,
    timeout: float,
    as_json: bool,
) -> int:
    """Send a notification of EVENT_TYPE and print its id.

    Waits until the broker has it. The payload is an object of the NAMEs; a VALUE is JSON (count=2)
    or, where it is none, text.
    """
    given = named_values(payload)

    async def work(transport: "Transport", left: Callable[[], float]) -> int:
        import socket

        from bedplate.messaging import notify as notify_

        notifier = notify_.Notifier(
            transport,
            publisher or f"bedplate.{socket.gethostname()}",
            topic=topic,
            exchange=exchange,
            ttl=ttl,
            timeout=left(),
        )
        sent = await notifier.notify(priority, event_type, given)
        write(json_text({"id": sent}) if as_json else sent)
        return 0

    return converse(url, work, timeout=timeout, as_json=as_json)


# --- tail ---------------------------------------------------------------------------------------


@notify.command(
    "tail",
    epilog=by_url(
        "bedplate notify tail @broker.url --event-type 'item.*'",
        "bedplate notify tail @broker.url --priority error --priority critical --json",
    ),
)
@URL
@click.option(
    "--topic",
    "topics",
    metavar="T",
    type=NAME,
    multiple=True,
    default=("notifications",),
    show_default=True,
    help="What to listen to; may be given several times.",
)
@EXCHANGE
@click.option(
    "--event-type",
    "event_types",
    metavar="GLOB",
    multiple=True,
    default=("*",),
    help="Which to print, such as 'item.*'; may be given several times.",
)
@click.option(
    "--priority",
    "priorities",
    metavar="P",
    type=click.Choice(_PRIORITIES),
    multiple=True,
    help=f"Which to listen to, of {', '.join(_PRIORITIES)}; may be given several times, all "
    "otherwise.",
)
@click.option(
    "--pool",
    metavar="P",
    type=NAME,
    help="Share with the listeners of this pool, instead of getting a copy of everything.",
)
@click.option("--count", metavar="N", type=COUNT, help="End after so many notifications.")
@click.option(
    "--timeout",
    metavar="S",
    type=SECONDS,
    help="End after so many seconds, with status 1 if --count was not reached.",
)
@JSON
def _tail(  # noqa: PLR0913 - one parameter an option, as click hands them over
    url: str,
    *,
    topics: tuple[str, ...],
    exchange: str,
    event_types: tuple[str, ...],
    priorities: tuple[str, ...],
    pool: str | None,
    count: int | None,
    timeout: float | None,
    as_json: bool,
) -> int:
    """Print notifications from now on.

    One a line, until a signal comes. They come to a pool of this command's own, which takes nothing
    from other listeners and is gone a minute after it. "ready" on standard error says that
    notifications are heard from now on.
    """
    wanted = priorities or _PRIORITIES

    async def work(transport: "Transport", _: Callable[[], float]) -> int:
        from bedplate.messaging import notify as notify_

        shown = _Shown()
        mine = pool or f"tail-{secrets.token_hex(6)}"
        async with give_up_after(timeout, counted=count is not None):
            if pool is None:
                await _declare(transport, topics, wanted, exchange, mine)
            listening = notify_.listen(
                transport,
                shown.hear,
                topics=topics,
                priorities=wanted,
                event_types=event_types,
                exchange=exchange,
                pool=mine,
                workers=1,
                accept=0,
                drain=1.0,
            )
            async with listening:
                write("ready", error=True)
                await shown.show(count, as_json=as_json)
        return 0

    return converse(url, work, timeout=timeout or 60.0, as_json=as_json, lasting=True)


async def _declare(
    transport: "Transport",
    topics: tuple[str, ...],
    priorities: tuple[str, ...],
    exchange: str,
    pool: str,
) -> None:
    """Make the places of a pool that outlives its listener by a minute, not by a week."""
    from bedplate.messaging import Address, Entity, Topology

    entities = tuple(
        Entity(
            Address.topic(f"{topic}.{priority}", exchange=exchange), pool, expires=_OWN_POOL_LASTS
        )
        for topic in topics
        for priority in priorities
    )
    await transport.declare(Topology(entities))


class _Shown:
    """Hands notifications from the listener to the printer, one at a time.

    The listener's handler ends when its notification is printed. Those that nobody prints any more
    are given back to the broker.
    """

    def __init__(self) -> None:
        import asyncio

        self._loop = asyncio.get_running_loop()
        self._heard: asyncio.Queue[Notification] = asyncio.Queue()
        self._unprinted: deque[asyncio.Future[None]] = deque()

    async def hear(self, notification: "Notification") -> None:
        """Wait until it is printed."""
        printed = self._loop.create_future()
        self._heard.put_nowait(notification)
        self._unprinted.append(printed)
        await printed

    async def show(self, count: int | None, *, as_json: bool) -> None:
        """Print what is heard, ``count`` of it or without end."""
        shown = 0
        try:
            while count is None or shown < count:
                _print(await self._heard.get(), as_json=as_json)
                printed = self._unprinted.popleft()
                if not printed.done():
                    printed.set_result(None)
                shown += 1
        finally:
            # When the listener is closing: what is cancelled before would count as failed.
            self._loop.call_soon(self._give_back)

    def _give_back(self) -> None:
        for printed in self._unprinted:
            printed.cancel()


def _print(notification: "Notification", *, as_json: bool) -> None:
    when = notification.when.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if as_json:
        write(
            json_text(
                {
                    "id": notification.id,
                    "event_type": notification.event_type,
                    "publisher_id": notification.publisher_id,
                    "priority": notification.priority,
                    "timestamp": when,
                    "payload": notification.payload,
                    "context": dict(notification.context),
                    "attempt": notification.attempt,
                }
            )
        )
        return
    words = (when, notification.priority, notification.publisher_id, notification.event_type)
    line = " ".join(map(in_a_line, words))
    write(f"{line} {json_text(notification.payload)}")
