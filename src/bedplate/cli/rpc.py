"""``bedplate rpc``: call methods, find who serves them, and serve some for diagnosis.

Parses, calls `bedplate.messaging.rpc`, prints. Knows nothing of how calls travel.
"""

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import click

from bedplate.cli.arguments import named_values
from bedplate.cli.broker import EXCHANGE, JSON, TIMEOUT, URL, by_url, converse
from bedplate.cli.description import description_text
from bedplate.cli.ending import Failed, Misuse
from bedplate.cli.parameters import NAME, SECONDS, VERSION
from bedplate.cli.table import print_table
from bedplate.cli.values import json_text, printable, write

if TYPE_CHECKING:
    from bedplate.messaging import Transport
    from bedplate.messaging.rpc import Choices, Found

__all__ = ["rpc"]

_QUIET = 0.5
_AT_ONCE = 100


@click.group()
def rpc() -> None:
    """Call methods of services, and find who serves them."""


_TOPIC = click.argument("topic", metavar="TOPIC", type=NAME)
_NAMESPACE = click.option("--namespace", metavar="N", default="", help="Of the method.")
_ASKED = click.option(
    "--server", metavar="S", type=NAME, help="Ask this server, not any that serves the topic."
)


# --- call ---------------------------------------------------------------------------------------


@rpc.command(
    "call",
    epilog=by_url(
        "bedplate rpc call rabbit://localhost/ stock reserve item=bolt count=2",
        "bedplate rpc call @broker.url stock find where='{\"shelf\": 4}' --json",
        "bedplate rpc call @broker.url stock rebuild --timeout 600 --heartbeat 10",
        "bedplate rpc call env:BROKER stock refresh --fanout",
    ),
)
@URL
@_TOPIC
@click.argument("method", metavar="METHOD", type=NAME)
@click.argument("arguments", metavar="[NAME=VALUE]...", nargs=-1)
@_ASKED
@EXCHANGE
@_NAMESPACE
@click.option(
    "--version", metavar="V", type=VERSION, default="", help="Of the interface, such as 1.2."
)
@TIMEOUT
@click.option(
    "--heartbeat",
    metavar="S",
    type=SECONDS,
    help="Give up once the server is silent for so many seconds in the middle of the call.",
)
@click.option(
    "--ttl",
    metavar="S",
    type=SECONDS,
    help="Seconds after which a request that still waits is not run; a call's timeout otherwise.",
)
@click.option("--cast", is_flag=True, help="Do not wait for the method: no result is printed.")
@click.option("--fanout", is_flag=True, help="Cast to every server of the topic.")
@JSON
def _call(  # noqa: PLR0913 - one parameter an option, as click hands them over
    url: str,
    topic: str,
    method: str,
    arguments: tuple[str, ...],
    *,
    server: str | None,
    exchange: str,
    namespace: str,
    version: str,
    timeout: float,
    heartbeat: float | None,
    ttl: float | None,
    cast: bool,
    fanout: bool,
    as_json: bool,
) -> int:
    """Call METHOD of whoever serves TOPIC and print its result.

    A VALUE is JSON (count=2, item='{"id": 7}') or, where it is none, text (item=bolt). A result
    that is text is printed as it is, any other as JSON; --json prints JSON always, for failures an
    object with the member "error".
    """
    if fanout and server is not None:
        raise Misuse("--fanout asks every server, --server one; choose.")
    if (cast or fanout) and heartbeat is not None:
        raise Misuse("--heartbeat watches a call; a cast is not waited for.")
    given = named_values(arguments)
    choices: Choices = {
        "server": server,
        "exchange": exchange,
        "namespace": namespace,
        "version": version,
        "heartbeat": heartbeat,
        "ttl": ttl,
    }

    async def work(transport: "Transport", left: Callable[[], float]) -> int:
        from bedplate.messaging import rpc as rpc_

        client = rpc_.Client(transport, topic=topic, **choices).with_(timeout=left())
        if not (fanout or cast):
            with _progress(f"{method} on {topic}") as on_progress:
                result = await client.with_(on_progress=on_progress).call(method, **given)
            _print_result(result, as_json=as_json)
            return 0
        await (client.fanout(method, **given) if fanout else client.cast(method, **given))
        if as_json:
            write("null")
        return 0

    _check(topic, choices)
    return converse(url, work, timeout=timeout, as_json=as_json)


def _check(topic: str, choices: "Choices") -> None:
    """Refuse options that make no sense before anything is connected. Raises `Misuse`."""
    from bedplate.messaging import rpc as rpc_

    try:
        rpc_.Options(topic=topic).changed(choices)
    except ValueError as error:
        raise Misuse(f"{error}.") from None


def _print_result(result: object, *, as_json: bool) -> None:
    if as_json or not isinstance(result, str):
        write(json_text(result, indent=2 if sys.stdout.isatty() and not as_json else None))
    else:
        write(printable(result) if sys.stdout.isatty() else result)


@contextlib.contextmanager
def _progress(what: str) -> Iterator[Callable[[object], None] | None]:
    """Show on a terminal that a call takes long, and what its handler says meanwhile."""
    if not sys.stderr.isatty():
        yield None
        return
    import asyncio

    from rich.console import Console
    from rich.text import Text

    status = Console(stderr=True).status(Text(printable(what)))
    timer = asyncio.get_running_loop().call_later(_QUIET, status.start)

    def show(progress: object) -> None:
        status.update(Text(printable(f"{what}: {json_text(progress)}")))

    try:
        yield show
    finally:
        timer.cancel()
        status.stop()


# --- echo ---------------------------------------------------------------------------------------


@rpc.command(
    "echo",
    epilog=by_url(
        "bedplate rpc echo @broker.url diagnosis",
        "bedplate rpc call @broker.url diagnosis echo text=hello",
    ),
)
@URL
@_TOPIC
@click.option("--server", metavar="S", type=NAME, help="This server's own name on the topic.")
@EXCHANGE
@_NAMESPACE
@click.option(
    "--version",
    metavar="V",
    type=VERSION,
    default="1.0",
    show_default=True,
    help="The version to serve.",
)
@click.option(
    "--timeout",
    metavar="S",
    type=SECONDS,
    default=60.0,
    show_default=True,
    help="Seconds in which the broker must be reached at first.",
)
def _echo(
    url: str,
    topic: str,
    *,
    server: str | None,
    exchange: str,
    namespace: str,
    version: str,
    timeout: float,
) -> int:
    """Serve TOPIC for diagnosis, until a signal comes.

    Prints "ready" on a line of its own once it serves. The methods: echo(**any) returns what it is
    given, sleep(seconds) returns the seconds, fail(message) raises ValueError, note(**any) records
    and seen() returns what was recorded, stats() counts.
    """
    import asyncio

    from bedplate.cli.echo import Echo
    from bedplate.messaging import rpc as rpc_

    echo = Echo()
    endpoint = rpc_.Endpoint(handler=echo, namespace=namespace, version=version)

    async def work(transport: "Transport", _: Callable[[], float]) -> int:
        try:
            serving = rpc_.serve(
                transport,
                endpoint,
                topic=topic,
                exchange=exchange,
                server=server,
                workers=_AT_ONCE,
                drain=1.0,
            )
        except (ValueError, TypeError) as error:
            raise Misuse(f"{error}.") from None
        async with serving:
            echo._statistics = serving.statistics  # noqa: SLF001 - public names are served
            write("ready")
            await asyncio.Event().wait()
        return 0

    return converse(url, work, timeout=timeout, lasting=True)


# --- ping ---------------------------------------------------------------------------------------


@rpc.command(
    "ping",
    epilog=by_url(
        "bedplate rpc ping @broker.url stock",
        "bedplate rpc ping @broker.url stock --wait 5 --json",
    ),
)
@URL
@_TOPIC
@EXCHANGE
@click.option(
    "--wait",
    metavar="S",
    type=SECONDS,
    default=1.0,
    show_default=True,
    help="Seconds for answers to come in.",
)
@click.option(
    "--timeout",
    metavar="S",
    type=SECONDS,
    default=10.0,
    show_default=True,
    help="Seconds for what comes before: connecting and asking.",
)
@JSON
def _ping(
    url: str, topic: str, *, exchange: str, wait: float, timeout: float, as_json: bool
) -> int:
    """Find everybody who serves TOPIC.

    All servers are asked at once, and answer however busy they are. Exit status 1 if nobody does.
    """

    async def work(transport: "Transport", left: Callable[[], float]) -> int:
        from bedplate.messaging import rpc as rpc_

        found = await rpc_.survey(transport, topic, exchange=exchange, wait=wait, timeout=left())
        if as_json:
            write(json_text([_found_value(each) for each in found]))
        elif found:
            print_table(_COLUMNS, [_found_row(each) for each in found])
        if not found:
            raise Failed(f"nobody who serves {topic} answered within {wait:g} s.")
        return 0

    return converse(url, work, timeout=timeout, as_json=as_json)


_COLUMNS = ("server", "process", "version", "methods", "up", "answered")


def _found_row(found: "Found") -> tuple[str, ...]:
    took = f"{1000 * found.seconds:.1f} ms"
    who = found.presence
    if who is None:
        return (f"(does not say: {found.fault})", "-", "-", "-", "-", took)
    return (
        who.server or "-",
        f"{who.host}/{who.pid}",
        ", ".join(who.versions),
        str(who.methods),
        _span(who.uptime),
        took,
    )


def _span(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def _found_value(found: "Found") -> dict[str, object]:
    who = found.presence
    told: dict[str, object] = {"milliseconds": round(1000 * found.seconds, 3)}
    if who is None:
        return {"fault": found.fault, **told}
    return {
        "server": who.server or None,
        "host": who.host,
        "pid": who.pid,
        "versions": list(who.versions),
        "methods": who.methods,
        "uptime": round(who.uptime, 3),
        **told,
    }


# --- describe -----------------------------------------------------------------------------------


@rpc.command(
    "describe",
    epilog=by_url(
        "bedplate rpc describe @broker.url stock",
        "bedplate rpc describe @broker.url stock --format asyncapi > stock.json",
    ),
)
@URL
@_TOPIC
@_ASKED
@EXCHANGE
@click.option(
    "--format",
    "form",
    type=click.Choice(("text", "json-schema", "asyncapi")),
    default=None,
    help="How to write it; as text unless said otherwise.",
)
@TIMEOUT
@click.option("--json", "as_json", is_flag=True, help="The same as --format json-schema.")
def _describe(
    url: str,
    topic: str,
    *,
    server: str | None,
    exchange: str,
    form: str | None,
    timeout: float,
    as_json: bool,
) -> int:
    """Print what is served on TOPIC.

    One server tells its methods, their types and their documentation.
    """
    if as_json and form not in (None, "json-schema"):
        raise Misuse(f"--json means --format json-schema, and excludes --format {form}.")
    as_schema = as_json or form == "json-schema"

    async def work(transport: "Transport", left: Callable[[], float]) -> int:
        from bedplate.errors import NoSuchMethod
        from bedplate.messaging import rpc as rpc_

        try:
            told = await rpc_.describe(
                transport, topic, server=server, exchange=exchange, timeout=left()
            )
        except NoSuchMethod:
            raise Failed(f"{topic} is served, by a server that does not describe itself.") from None
        if as_schema:
            write(json_text(rpc_.json_schema(told), indent=2))
        elif form == "asyncapi":
            write(json_text(rpc_.asyncapi(told), indent=2))
        else:
            write(printable(description_text(told)))
        return 0

    return converse(url, work, timeout=timeout, as_json=as_json)
