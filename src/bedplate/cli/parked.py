"""``bedplate parked``: look at what was set aside, put it back to work, or drop it.

Parses, calls `Transport.parked`, prints. Knows nothing of how messages are parked.
"""

import base64
import contextlib
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from bedplate.cli.broker import EXCHANGE, JSON, TIMEOUT, URL, by_url, converse
from bedplate.cli.ending import Failed, Misuse
from bedplate.cli.parameters import COUNT, NAME, SECONDS
from bedplate.cli.table import cell, print_table
from bedplate.cli.values import json_text, printable, write

if TYPE_CHECKING:
    from bedplate.messaging import (
        Message,
        Parked,
        ParkedMessage,
        ParkingPlace,
        Swept,
        Transport,
    )

    Work = Callable[[ParkingPlace, Callable[[], float]], Coroutine[Any, Any, int]]

__all__ = ["parked"]

_MOST_SHOWN = 65_536
"""Bytes of a body that are shown to people."""
_WIDEST_ERROR = 60

_TOPIC = click.argument("topic", metavar="TOPIC", type=NAME)
_GROUP = click.option(
    "--group",
    metavar="G",
    type=NAME,
    help="What members of this group (listeners: pool) could not handle.",
)
_IDS = click.argument("ids", metavar="[ID]...", type=NAME, nargs=-1)
_PATIENCE = click.option(
    "--timeout",
    metavar="S",
    type=SECONDS,
    default=60.0,
    show_default=True,
    help="Seconds for connecting, and for each wait for the broker.",
)


@click.group()
def parked() -> None:
    """See, replay and drop messages that could not be handled.

    What fails too often is parked. TOPIC is the topic it was sent to; a notification's ends with
    its priority, such as notifications.info.
    """


# --- list ---------------------------------------------------------------------------------------


@parked.command(
    "list",
    epilog=by_url(
        "bedplate parked list @broker.url orders",
        "bedplate parked list @broker.url notifications.error --group billing",
    ),
)
@URL
@_TOPIC
@EXCHANGE
@_GROUP
@click.option(
    "--limit",
    metavar="N",
    type=COUNT,
    default=100,
    show_default=True,
    help="List the N that have been there longest.",
)
@TIMEOUT
@JSON
def _list(
    url: str,
    topic: str,
    *,
    exchange: str,
    group: str | None,
    limit: int,
    timeout: float,
    as_json: bool,
) -> int:
    """List what is parked for TOPIC.

    The oldest comes first. Looking moves nothing.
    """

    async def work(place: "ParkingPlace", left: Callable[[], float]) -> int:
        waiting = await place.count(timeout=left())
        found = await place.list(limit, timeout=left())
        if as_json:
            write(json_text([_as_value(each) for each in found]))
            return 0
        if found:
            print_table(_COLUMNS, [_row(each) for each in found])
        else:
            _note(f"nothing is parked for {place}.")
        if waiting > len(found):
            _note(f"{len(found)} of {waiting} are listed; --limit says how many.")
        return 0

    return _converse(url, topic, exchange, group, work, timeout=timeout, as_json=as_json)


_COLUMNS = ("id", "parked", "why", "attempts", "bytes", "kind", "delivered to", "error")


def _row(each: "Parked") -> tuple[str, ...]:
    error = each.error
    if len(error) > _WIDEST_ERROR:
        error = f"{error[: _WIDEST_ERROR - 1]}…"
    return (
        each.id,
        _moment(each.at) or "",
        each.why,
        str(each.attempts),
        str(each.size),
        each.kind,
        str(each.address),
        error,
    )


# --- show ---------------------------------------------------------------------------------------


@parked.command("show", epilog=by_url("bedplate parked show @broker.url orders 4f1c09d2a7b3e856-1"))
@URL
@_TOPIC
@click.argument("id_", metavar="ID", type=NAME)
@EXCHANGE
@_GROUP
@TIMEOUT
@JSON
def _show(
    url: str,
    topic: str,
    id_: str,
    *,
    exchange: str,
    group: str | None,
    timeout: float,
    as_json: bool,
) -> int:
    """Show one parked message.

    With its headers and its body, which cannot steer the terminal; --json has all of it.
    """

    async def work(place: "ParkingPlace", left: Callable[[], float]) -> int:
        found = await place.show(id_, timeout=left())
        if as_json:
            write(json_text({**_as_value(found.facts), **_content(found.message)}))
        else:
            _print_message(found)
        return 0

    return _converse(url, topic, exchange, group, work, timeout=timeout, as_json=as_json)


def _print_message(found: "ParkedMessage") -> None:
    facts, message = found.facts, found.message
    told = {
        "id": facts.id,
        "delivered to": str(facts.address),
        "group": facts.group,
        "parked": " by ".join(filter(None, (_moment(facts.at), facts.by))),
        "why": facts.why,
        "attempts": str(facts.attempts),
        "error": facts.error,
        "time was over": _moment(facts.expires),
        "replay of": facts.replay_of,
        "kind": facts.kind,
        "correlation id": message.correlation_id,
        "reply to": None if message.reply_to is None else str(message.reply_to),
        "key": message.key,
        "content type": facts.content_type,
    }
    for name, text in told.items():
        if text:
            write(f"{name}: {cell(text)}")
    for header, value in message.headers.items():
        write(f"header {cell(header)}: {cell(json_text(_plain(value)))}")
    write("")
    body = message.body[:_MOST_SHOWN].decode(errors="backslashreplace")
    write(printable(body))
    beyond = len(message.body) - _MOST_SHOWN
    if beyond > 0:
        _note(f"the body has {beyond} bytes more; --json shows all.")


def _plain(value: object) -> object:
    return value if isinstance(value, str | int | float | bool | None) else repr(value)


def _content(message: "Message") -> Mapping[str, object]:
    try:
        body = {"body": message.body.decode()}
    except UnicodeDecodeError:
        body = {"body_base64": base64.b64encode(message.body).decode()}
    return {
        "headers": {name: _plain(value) for name, value in message.headers.items()},
        "correlation_id": message.correlation_id,
        "reply_to": None if message.reply_to is None else str(message.reply_to),
        "key": message.key,
        **body,
    }


# --- replay -------------------------------------------------------------------------------------


@parked.command(
    "replay",
    epilog=by_url(
        "bedplate parked replay @broker.url orders 4f1c09d2a7b3e856-1",
        "bedplate parked replay @broker.url orders --all --ttl 3600",
    ),
)
@URL
@_TOPIC
@_IDS
@click.option("--all", "everything", is_flag=True, help="All that is parked there now.")
@EXCHANGE
@_GROUP
@click.option(
    "--ttl", metavar="S", type=SECONDS, help="Seconds after which they are not run; else for ever."
)
@_PATIENCE
@JSON
def _replay(  # noqa: PLR0913 - one parameter an option, as click hands them over
    url: str,
    topic: str,
    ids: tuple[str, ...],
    *,
    everything: bool,
    exchange: str,
    group: str | None,
    ttl: float | None,
    timeout: float,
    as_json: bool,
) -> int:
    """Put parked messages back to work.

    Each goes to the place it came from, and to no other group, with all its attempts before it.
    Start what handles them first. If this breaks off, some may be handled twice, none is lost.
    """
    _check_chosen(ids, everything=everything)

    async def work(place: "ParkingPlace", _: Callable[[], float]) -> int:
        with _progress("replaying") as progress:
            if everything:
                swept = await place.replay_all(ttl=ttl, timeout=timeout, progress=progress)
            else:
                swept = await place.replay(ids, ttl=ttl, timeout=timeout, progress=progress)
        return _tell(swept, "replayed", place, as_json=as_json)

    return _converse(url, topic, exchange, group, work, timeout=timeout, as_json=as_json)


# --- drop ---------------------------------------------------------------------------------------


@parked.command(
    "drop",
    epilog=by_url(
        "bedplate parked drop @broker.url orders 4f1c09d2a7b3e856-1",
        "bedplate parked drop @broker.url orders --all --yes",
    ),
)
@URL
@_TOPIC
@_IDS
@click.option("--all", "everything", is_flag=True, help="All that is parked there now.")
@click.option("--yes", is_flag=True, help="Do not ask whether all may be dropped.")
@EXCHANGE
@_GROUP
@_PATIENCE
@JSON
def _drop(  # noqa: PLR0913 - one parameter an option, as click hands them over
    url: str,
    topic: str,
    ids: tuple[str, ...],
    *,
    everything: bool,
    yes: bool,
    exchange: str,
    group: str | None,
    timeout: float,
    as_json: bool,
) -> int:
    """Drop parked messages for good.

    To drop all of them takes a yes.
    """
    _check_chosen(ids, everything=everything)
    if everything and not yes:
        if not sys.stdin.isatty():
            raise Misuse("--all drops for good whatever is there; add --yes if that is meant.")
        click.confirm(
            f"Drop for good all that is parked for {printable(topic)}?", abort=True, err=True
        )

    async def work(place: "ParkingPlace", _: Callable[[], float]) -> int:
        with _progress("dropping") as progress:
            if everything:
                swept = await place.drop_all(timeout=timeout, progress=progress)
            else:
                swept = await place.drop(ids, timeout=timeout, progress=progress)
        return _tell(swept, "dropped", place, as_json=as_json)

    return _converse(url, topic, exchange, group, work, timeout=timeout, as_json=as_json)


# --- what they share ----------------------------------------------------------------------------


def _converse(
    url: str,
    topic: str,
    exchange: str,
    group: str | None,
    work: "Work",
    *,
    timeout: float,
    as_json: bool,
) -> int:
    async def talk(transport: "Transport", left: Callable[[], float]) -> int:
        from bedplate.messaging import Address

        return await work(
            transport.parked(Address.topic(topic, exchange=exchange), group=group), left
        )

    return converse(url, talk, timeout=timeout, as_json=as_json)


def _check_chosen(ids: tuple[str, ...], *, everything: bool) -> None:
    if everything and ids:
        raise Misuse("--all means whatever is there; name messages or say --all.")
    if not everything and not ids:
        raise Misuse(
            "which messages? Name their ids, as 'bedplate parked list' has them, or --all."
        )


def _tell(swept: "Swept", verb: str, place: "ParkingPlace", *, as_json: bool) -> int:
    """Say what became of the messages; some that are still there, or never were, are a failure."""
    if as_json:
        kept = [{"why": why, "count": count} for why, count in swept.kept]
        write(json_text({verb: swept.done, "missing": list(swept.missing), "kept": kept}))
    else:
        write(f"{swept.done} {verb}")
    problems = [f"no message {each} is parked for {place}." for each in swept.missing]
    problems += [f"{count} stay parked: {why}." for why, count in swept.kept]
    if problems:
        raise Failed(" ".join(problems))
    return 0


def _as_value(each: "Parked") -> dict[str, object]:
    return {
        "id": each.id,
        "why": each.why,
        "attempts": each.attempts,
        "parked_at": _moment(each.at),
        "parked_by": each.by,
        "error": each.error,
        "exchange": each.address.exchange,
        "topic": each.address.name,
        "server": each.address.server_name or None,
        "delivered_to": each.address.kind.value,
        "group": each.group,
        "bytes": each.size,
        "kind": each.kind,
        "content_type": each.content_type,
        "expires": _moment(each.expires),
        "replay_of": each.replay_of or None,
    }


def _moment(seconds: float | None) -> str | None:
    """Return a moment as people and programs read it; None if there is none."""
    if not seconds:
        return None
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        return None  # whoever wrote it did not mean a time
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _note(sentence: str) -> None:
    write(f"bedplate: {printable(sentence)}", error=True)


@contextlib.contextmanager
def _progress(doing: str) -> Iterator[Callable[[int, int], object] | None]:
    """Show on a terminal how far it is."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console

    with Console(stderr=True).status(f"{doing} …") as status:
        yield lambda done, total: status.update(f"{doing}: {done} of {total}")
