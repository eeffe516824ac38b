"""``bedplate publish`` and ``bedplate subscribe``: bytes to an address, and from one.

Parses, calls the low-level API of `bedplate.messaging`, prints. Knows no envelope.
"""

import base64
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from bedplate.cli.arguments import named_values
from bedplate.cli.broker import EXCHANGE, JSON, TIMEOUT, URL, by_url, converse, give_up_after
from bedplate.cli.ending import Failed, Misuse
from bedplate.cli.parameters import COUNT, NAME, SECONDS
from bedplate.cli.values import json_text, printable, write, write_bytes

if TYPE_CHECKING:
    from bedplate.messaging import Address, Delivery, Transport

__all__ = ["publish", "subscribe"]

_CREDIT = 100


@click.command(
    "publish",
    epilog=by_url(
        "bedplate publish @broker.url orders 'two bolts' --ttl 60",
        "bedplate publish @broker.url orders - --header urgent=true < order.json",
        "bedplate publish @broker.url refresh --fanout",
    ),
)
@URL
@click.argument("topic", metavar="TOPIC", type=NAME)
@click.argument("body", metavar="[BODY|-]", required=False, default="")
@click.option("--fanout", is_flag=True, help="To everybody who is subscribed so.")
@click.option("--server", metavar="S", type=NAME, help="To the server of this name.")
@EXCHANGE
@click.option(
    "--header",
    "headers",
    metavar="K=V",
    multiple=True,
    help="A header, its value a number, true, false, null or else text; may be given repeatedly.",
)
@click.option(
    "--ttl", metavar="S", type=SECONDS, help="Seconds after which it is not delivered any more."
)
@click.option(
    "--content-type",
    metavar="T",
    default=None,
    help="What the body is; found out from the body otherwise: JSON, text or bytes.",
)
@TIMEOUT
@JSON
def publish(  # noqa: PLR0913 - one parameter an option, as click hands them over
    url: str,
    topic: str,
    body: str,
    *,
    fanout: bool,
    server: str | None,
    exchange: str,
    headers: tuple[str, ...],
    ttl: float | None,
    content_type: str | None,
    timeout: float,
    as_json: bool,
) -> int:
    """Send a message to a topic.

    Waits until the broker has it. BODY is text; "-" reads standard input, nothing sends an empty
    body.
    """
    given = _headers(headers)
    content = _standard_input() if body == "-" else body.encode("utf-8", "surrogateescape")
    kind = content_type or _content_type(content)
    address = _address(topic, exchange=exchange, server=server, fanout=fanout)

    async def work(transport: "Transport", left: Callable[[], float]) -> int:
        from bedplate.messaging import Message

        message = Message(content, given, kind, ttl=ttl)
        await transport.publish(address, message, timeout=left())
        if as_json:
            write("null")
        return 0

    return converse(url, work, timeout=timeout, as_json=as_json)


def _standard_input() -> bytes:
    """Read it to its end, or to where it is more than a message can hold. Raises `Failed`."""
    from bedplate.messaging import TransportPolicy

    most = TransportPolicy().max_body
    content = sys.stdin.buffer.read(most + 1)
    if len(content) > most:
        raise Failed(f"standard input has more than {most} bytes, the most a message may hold.")
    return content


def _address(topic: str, *, exchange: str, server: str | None, fanout: bool) -> "Address":
    from bedplate.messaging import Address

    if fanout and server is not None:
        raise Misuse("--fanout means everybody, --server one; choose.")
    if fanout:
        return Address.fanout(topic, exchange=exchange)
    if server is not None:
        return Address.server(topic, server, exchange=exchange)
    return Address.topic(topic, exchange=exchange)


def _headers(texts: tuple[str, ...]) -> dict[str, str | int | float | bool | None]:
    headers: dict[str, str | int | float | bool | None] = {}
    for name, value in named_values(texts).items():
        if not isinstance(value, str | int | float | bool | None):
            raise Misuse(f"the header {name!r} is no number and no text.")
        headers[name] = value
    return headers


def _content_type(body: bytes) -> str:
    import json

    try:
        text = body.decode()
    except UnicodeDecodeError:
        return "application/octet-stream"
    if text.lstrip().startswith(("{", "[")):
        try:
            json.loads(text)
        except (ValueError, RecursionError):
            return "text/plain; charset=utf-8"
        return "application/json"
    return "text/plain; charset=utf-8"


# --- subscribe ----------------------------------------------------------------------------------


@click.command(
    "subscribe",
    epilog=by_url(
        "bedplate subscribe @broker.url orders --count 1 --timeout 5",
        "bedplate subscribe @broker.url orders --group audit --json",
    ),
)
@URL
@click.argument("topic", metavar="TOPIC", type=NAME)
@click.option("--fanout", is_flag=True, help="Hear what is sent to everybody on the topic.")
@click.option("--server", metavar="S", type=NAME, help="Hear what is sent to this server.")
@EXCHANGE
@click.option(
    "--group",
    metavar="G",
    type=NAME,
    help="Share with the members of this group, which gets a copy of all that is sent. Without, "
    "messages are taken away from whoever else receives them.",
)
@click.option("--count", metavar="N", type=COUNT, help="End after so many messages.")
@click.option(
    "--timeout",
    metavar="S",
    type=SECONDS,
    help="End after so many seconds, with status 1 if --count was not reached.",
)
@JSON
def subscribe(  # noqa: PLR0913 - one parameter an option, as click hands them over
    url: str,
    topic: str,
    *,
    fanout: bool,
    server: str | None,
    exchange: str,
    group: str | None,
    count: int | None,
    timeout: float | None,
    as_json: bool,
) -> int:
    """Print the messages sent to a topic.

    One a line, until a signal comes: bodies as they are, or with --json as objects. A message is
    acknowledged once it is printed. "ready" on standard error says that messages are heard from
    now on.
    """
    address = _address(topic, exchange=exchange, server=server, fanout=fanout)
    if fanout and group is not None:
        raise Misuse("--fanout needs no group: everybody gets a copy.")

    async def work(transport: "Transport", _: Callable[[], float]) -> int:
        credit = _CREDIT if count is None else min(count, _CREDIT)
        subscription = transport.subscribe(address, credit=credit, group=group)
        left = count
        async with give_up_after(timeout, counted=count is not None), subscription as deliveries:
            write("ready", error=True)
            async for delivery in deliveries:
                _print(delivery, as_json=as_json)
                await delivery.ack()
                left = None if left is None else left - 1
                if left == 0:
                    break
        return 0

    return converse(url, work, timeout=timeout or 60.0, as_json=as_json, lasting=True)


def _print(delivery: "Delivery", *, as_json: bool) -> None:
    if as_json:
        write(json_text(_as_value(delivery)))
    elif sys.stdout.isatty():
        write(printable(delivery.body.decode(errors="backslashreplace")))
    else:
        write_bytes(delivery.body)


def _as_value(delivery: "Delivery") -> dict[str, object]:
    try:
        body = {"body": delivery.body.decode()}
    except UnicodeDecodeError:
        body = {"body_base64": base64.b64encode(delivery.body).decode()}
    return {
        "id": delivery.id,
        **body,
        "content_type": delivery.content_type,
        "headers": {
            name: value if isinstance(value, str | int | float | bool | None) else repr(value)
            for name, value in delivery.headers.items()
        },
        "kind": delivery.kind,
        "correlation_id": delivery.correlation_id,
        "key": delivery.key,
        "attempts": delivery.attempts,
        "redelivered": delivery.redelivered,
    }
