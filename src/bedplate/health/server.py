"""A small HTTP server for the health pages alone: the service's own port or socket.

Asyncio and the standard library, and only what a probe needs: one request a connection, within
8 KiB and 5 s. What a stranger sends never reaches the event loop as an error and never keeps
another probe from being answered. Says nothing of what is asked: that is `Pages`.
"""

import asyncio
import errno
import os
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, cast, final

from bedplate.errors import CannotListen
from bedplate.health.board import Board
from bedplate.health.pages import Page, Pages, refusal
from bedplate.health.request import Request, read

if TYPE_CHECKING:
    from bedplate.health.options import HealthOptions

__all__ = ["Listener", "listen", "listen_unix", "serve"]

_PATIENCE = 5.0
_LINGER = 1.0
_MOST = 64

_TAKEN = "it is taken; stop whoever listens there, or choose another place."
_FORBIDDEN = "this user may not; choose a port above 1023, or a directory that can be written."
_NO_DIRECTORY = "its directory is not there; create it first."
_ADVICE: Mapping[int | None, str] = MappingProxyType(
    {
        errno.EADDRINUSE: _TAKEN,
        errno.EACCES: _FORBIDDEN,
        errno.EPERM: _FORBIDDEN,
        errno.EADDRNOTAVAIL: "this machine has no such address; write one that it has.",
        errno.ENOENT: _NO_DIRECTORY,
        errno.ENOTDIR: _NO_DIRECTORY,
    }
)


@final
class Listener:
    """Where the pages are served. ``port`` is the real one, also where 0 was asked for."""

    __slots__ = ("host", "path", "port")

    def __init__(self, *, host: str = "", port: int = 0, path: str = "") -> None:
        self.host: Final = host
        self.port: Final = port
        self.path: Final = path

    @property
    def where(self) -> str:
        """The address in the form that ``bedplate health probe`` takes."""
        return f"unix:{self.path}" if self.path else f"http://{_pair(self.host, self.port)}"

    def __repr__(self) -> str:
        return f"Listener({self.where})"


@asynccontextmanager
async def serve(board: Board, options: "HealthOptions") -> AsyncIterator[Listener | None]:
    """Show ``board`` where and as openly as section ``[health]`` says.

    Yields where that is, or None where the operator switched it off. Runs no check: enter an
    `Agent` beside it. Raises `CannotListen` with what to do.
    """
    if not options.enabled:
        yield None
        return
    pages = Pages(board, options.level)
    if options.socket:
        way = listen_unix(pages, options.socket)
    else:
        way = listen(pages, options.host, options.port)
    async with way as listener:
        yield listener


@asynccontextmanager
async def listen(pages: Pages, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Listener]:
    """Serve pages on a TCP port for as long as the ``async with`` lasts; port 0 takes a free one.

    Raises `CannotListen` with what to do.
    """
    callers = _Callers()
    try:
        server = await asyncio.get_running_loop().create_server(
            lambda: _Conversation(pages, callers), host, port
        )
    except (OSError, OverflowError) as error:
        why = _advice(error)
        if isinstance(error, OSError) and error.errno is None:
            # From Python 3.13 on, asyncio says so by an error without a number.
            why = _ADVICE[errno.EADDRNOTAVAIL]
        raise CannotListen(where=_pair(host, port), why=why) from error
    real = cast("tuple[str, int]", server.sockets[0].getsockname())
    try:
        yield Listener(host=real[0], port=real[1])
    finally:
        await _close(server, callers)


@asynccontextmanager
async def listen_unix(pages: Pages, path: str) -> AsyncIterator[Listener]:
    """Serve pages on a unix socket, for its owner and group, while the ``async with`` lasts.

    A socket file that a dead process left behind is replaced, one that still answers is not.
    Raises `CannotListen` with what to do.
    """
    callers = _Callers()
    try:
        bound, inode = _bind(path)
        server = await asyncio.get_running_loop().create_unix_server(
            lambda: _Conversation(pages, callers), sock=bound
        )
    except OSError as error:
        raise CannotListen(where=path, why=_advice(error)) from error
    try:
        yield Listener(path=path)
    finally:
        await _close(server, callers)
        _unlink(path, inode)


class _Callers:
    """The connections that are open, oldest first; when there are too many, the oldest goes.

    Whoever holds connections open without asking anything thereby loses them to those who ask.
    """

    __slots__ = ("_open",)

    def __init__(self) -> None:
        self._open: dict[_Conversation, None] = {}

    def enter(self, caller: "_Conversation") -> None:
        if len(self._open) >= _MOST:
            oldest = next(iter(self._open))
            self.leave(oldest)
            oldest.abort()
        self._open[caller] = None

    def leave(self, caller: "_Conversation") -> None:
        self._open.pop(caller, None)

    def all(self) -> "tuple[_Conversation, ...]":
        return tuple(self._open)


class _Conversation(asyncio.Protocol):
    """One connection: reads one request, answers it and hangs up.

    The answer is followed by the end of our side only, and the connection closes when the client
    closes its own: closing both with bytes unread would reset it and could destroy the answer.
    """

    __slots__ = ("_answered", "_callers", "_pages", "_received", "_timer", "_transport")

    def __init__(self, pages: Pages, callers: _Callers) -> None:
        self._pages = pages
        self._callers = callers
        self._received = bytearray()
        self._answered = False
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._timer = asyncio.get_running_loop().call_later(_PATIENCE, self._lose_patience)
        self._callers.enter(self)

    def data_received(self, data: bytes) -> None:
        if self._answered:
            return
        self._received += data
        self._consider(ended=False)

    def eof_received(self) -> None:
        if self._received and not self._answered:
            self._consider(ended=True)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - how it ended does not matter
        if self._timer is not None:
            self._timer.cancel()
        self._callers.leave(self)

    def abort(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def _consider(self, *, ended: bool) -> None:
        asked = read(bytes(self._received), ended=ended)
        if asked is None:
            return
        self._say(asked if isinstance(asked, Page) else self._page(asked))

    def _page(self, asked: Request) -> Page:
        try:
            return self._pages.answer(*asked)
        except Exception:
            import logging

            logging.getLogger(__name__).exception("the health page of %s is broken", asked.path)
            return refusal(500, "the health page is broken; see the log")

    def _say(self, page: Page) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        self._answered = True
        self._received.clear()
        transport.write(_bytes_of(page))
        transport.write_eof()

    def _lose_patience(self) -> None:
        if self._answered:
            self.abort()
            return
        self._say(refusal(408, f"no request came within {_PATIENCE:g} s"))
        self._timer = asyncio.get_running_loop().call_later(_LINGER, self.abort)


def _bytes_of(page: Page) -> bytes:
    lines = [f"HTTP/1.1 {page.status} {HTTPStatus(page.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in page.headers]
    lines.append("Connection: close\r\n\r\n")
    return "\r\n".join(lines).encode("latin-1") + page.body


async def _close(server: asyncio.Server, callers: _Callers) -> None:
    server.close()
    for caller in callers.all():
        caller.abort()
    await asyncio.sleep(0)  # lets the aborted connections close their sockets
    await server.wait_closed()


def _bind(path: str) -> tuple[socket.socket, int]:
    """Bind a unix socket, replacing a file nobody listens at any more; return its inode too."""
    file = Path(path)
    _clear_away(file)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        bound.bind(path)
        file.chmod(0o660)  # nobody can connect before it listens, so there is no gap
    except BaseException:
        bound.close()
        raise
    return bound, file.stat().st_ino


def _clear_away(file: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.settimeout(0)
        try:
            caller.connect(str(file))
        except FileNotFoundError:
            return
        except ConnectionRefusedError:
            if file.is_socket():
                file.unlink()
            return
        except BlockingIOError:
            pass  # somebody listens and is busy
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def _unlink(path: str, inode: int) -> None:
    """Remove our socket file, unless another process has put its own there."""
    file = Path(path)
    try:
        if file.stat().st_ino == inode:
            file.unlink()
    except FileNotFoundError:
        return  # newer versions of Python remove it by themselves


def _advice(error: Exception) -> str:
    if isinstance(error, socket.gaierror):
        return "the name of the host is not known here; write an address."
    advice = _ADVICE.get(getattr(error, "errno", None))
    return advice or f"the system says {getattr(error, 'strerror', None) or str(error)!r}."


def _pair(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
