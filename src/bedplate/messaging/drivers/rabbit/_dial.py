"""How a wire comes to be: which hosts, in which order, over TLS or not, logged in as whom.

Translates every way this can fail into our errors, with host and user and never a password.
"""

import asyncio
import os
import ssl
import sys
from collections.abc import Callable

from bedplate.amqp091 import (
    AmqPlain,
    Cause,
    Closed,
    Connection,
    External,
    Limits,
    Login,
    Plain,
    ReplyCode,
)
from bedplate.config import Host
from bedplate.errors import AccessRefused, ConnectFailed, NotTrusted, TransportError
from bedplate.messaging.drivers.rabbit._options import RabbitOptions
from bedplate.messaging.drivers.rabbit._tls import tls_context, tls_failure
from bedplate.messaging.drivers.rabbit._wire import Wire
from bedplate.messaging.url import TransportUrl

__all__ = ["MAX_BODY", "dial"]

MAX_BODY = 128 * 1024 * 1024
"""Bytes of the largest message: what RabbitMQ takes unless it is told otherwise."""
_PORT, _TLS_PORT = 5672, 5671
_SHUTDOWN = 2.0
"""Seconds the broker has to say goodbye over TLS."""
_DEFAULT_HOST = Host("localhost", None, None, None)
_SILENCE = (
    "Is it a port for TLS? Then connect by rabbits://.",
    "Does it want a certificate of ours? Then name one in ssl_cert_file.",
)
"""What to make of a broker that hangs up without a word, over plain TCP and over TLS."""
_FORBIDDEN = frozenset({ReplyCode.ACCESS_REFUSED, ReplyCode.NOT_ALLOWED})


async def dial(
    url: TransportUrl, options: RabbitOptions, shuffle: Callable[[list[Host]], None]
) -> tuple[Wire, str]:
    """Connect to the first host that lets us in; return the wire and where it leads.

    Raises `ConnectFailed`, `AccessRefused`, `NotTrusted`, `InvalidUrl`.
    """
    secure = options.ssl or url.driver == "rabbits"
    context = tls_context(url, options) if secure else None
    hosts = list(url.hosts or (_DEFAULT_HOST,))
    if options.host_order == "shuffle":
        shuffle(hosts)
    errors: list[TransportError] = []
    for host in hosts:
        port = host.port or (_TLS_PORT if secure else _PORT)
        where = host._replace(name=host.name or "localhost", port=port).where
        try:
            return await _one(host, port, where, url.vhost or "/", options, context), where
        except (ConnectFailed, AccessRefused, NotTrusted) as error:
            errors.append(error)
    raise _worst(errors)


def _worst(errors: list[TransportError]) -> TransportError:
    """Choose what to tell: a refusal will not mend by itself, so it goes first."""
    refused = next((each for each in errors if not isinstance(each, ConnectFailed)), None)
    if refused is not None or len(errors) == 1:
        return refused or errors[0]
    failed = [each for each in errors if isinstance(each, ConnectFailed)]
    where = ", ".join(each.where for each in failed)
    why = " ".join(f"{each.where}: {each.why}" for each in failed)
    summary = ConnectFailed(where=where, why=why)
    summary.__cause__ = failed[-1]
    return summary


async def _one(
    host: Host,
    port: int,
    where: str,
    vhost: str,
    options: RabbitOptions,
    context: ssl.SSLContext | None,
) -> Wire:
    loop = asyncio.get_running_loop()
    user = host.user or "guest"
    password = "guest" if host.password is None else host.password
    wire = Wire(
        Connection(
            _logins(options, user, password),
            now=loop.time(),
            vhost=vhost,
            properties=_who(options),
            limits=Limits(heartbeat=options.link_heartbeat, body=MAX_BODY),
        )
    )
    name = host.name or "localhost"
    try:
        async with asyncio.timeout(options.connect_timeout):
            await loop.create_connection(
                lambda: wire,
                name,
                port,
                ssl=context,
                ssl_shutdown_timeout=None if context is None else _SHUTDOWN,
            )
            answer = await wire.opened
    except TimeoutError:
        wire.abort()
        why = f"no answer within {options.connect_timeout:g} s."
        raise ConnectFailed(where=where, why=why) from None
    except ssl.SSLError as error:
        raise tls_failure(error, where, name) from error
    except OSError as error:
        number = error.errno or 0
        why = os.strerror(number) if number > 0 else str(error)
        raise ConnectFailed(where=where, why=f"{why}.") from error
    except BaseException:
        wire.abort()
        raise
    if isinstance(answer, Closed):
        wire.abort()
        await wire.released.wait()
        if isinstance(wire.failure, ssl.SSLError):  # with TLS 1.3 the broker objects afterwards
            raise tls_failure(wire.failure, where, name) from wire.failure
        raise _refusal(answer, wire, where, user, vhost, _SILENCE[context is not None])
    wire.tune(answer.heartbeat or options.link_heartbeat)
    return wire


def _refusal(
    closed: Closed, wire: Wire, where: str, user: str, vhost: str, silence: str
) -> AccessRefused | ConnectFailed:
    """Say why a broker did not let us in; ``silence``: what to make of one that said nothing."""
    text = closed.text or str(wire.failure or "it hung up.")
    if not wire.heard:
        return ConnectFailed(where=where, why=f"{text} {silence}")
    if closed.code == ReplyCode.ACCESS_REFUSED and closed.cause is Cause.PEER:
        return AccessRefused(where=where, why=f"the login of user {user!r} failed.")
    if closed.code in _FORBIDDEN and "limit" not in text:
        why = f"user {user!r}, virtual host {vhost!r}: {text}"
        return AccessRefused(where=where, why=why)
    return ConnectFailed(where=where, why=text)


def _logins(options: RabbitOptions, user: str, password: str) -> list[Login]:
    if options.login_method == "EXTERNAL":
        return [External()]
    if options.login_method == "AMQPLAIN":
        return [AmqPlain(user, password)]
    return [Plain(user, password)]


def _who(options: RabbitOptions) -> dict[str, str]:
    program = os.path.basename(sys.argv[0] or "python")  # noqa: PTH119 - pathlib weighs
    name = options.connection_name or f"{program}:{os.getpid()}"
    return {"product": "bedplate", "platform": "Python", "connection_name": name}
