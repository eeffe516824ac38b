"""``bedplate health probe``: ask a health page once and say so by the exit status.

Made to be started every few seconds by a container runtime, so it imports next to nothing: no
parser, no HTTP client, not even ``json`` unless ``--json`` asks for it. Speaks HTTP/1.1 over TCP or
a unix socket, and knows nothing of boards.
"""

import socket
import sys
import time

TYPE_CHECKING = False  # not from typing, which takes a third of the time that a probe may
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["main"]

_USAGE = """\
usage: bedplate health probe [--timeout S] [--path PATH] [--json] [--quiet]
                             URL|SOCKET

Ask a health page once. URL is http://host:port/path; SOCKET is /run/name.sock
or unix:/run/name.sock. Without a path, /readyz is asked for.

  --timeout S   seconds that all of it may take (default 1)
  --path PATH   page to ask for, also of a socket: /livez, /readyz?verbose
  --json        print the answer as one JSON object
  --quiet       print nothing; the exit status says it all

Examples:
  bedplate health probe http://127.0.0.1:8086/readyz
  bedplate health probe --path '/readyz?verbose' /run/inventory.sock

Exit status: 0 for a 2xx answer (pass or warn), 1 for any other or none,
2 for wrong use.
"""
_PASS, _FAIL, _WRONG_USE = 0, 1, 2
_LIMIT = 65536


class _WrongUse(Exception):
    """The command line cannot be understood; the text says why."""


class _NoAnswer(Exception):
    """Nobody answered as HTTP asks for; the text says what happened."""


class _Asked:
    """What the command line says."""

    __slots__ = ("as_json", "path", "quiet", "target", "timeout")

    def __init__(self) -> None:
        self.as_json = False
        self.path = ""
        self.quiet = False
        self.target = ""
        self.timeout = 1.0


class _Place:
    """Where to connect: a unix socket, or a host and port."""

    __slots__ = ("host", "path", "port", "socket_path")

    def __init__(self, *, socket_path: str = "", host: str = "", port: int = 80, path: str) -> None:
        self.socket_path, self.host, self.port, self.path = socket_path, host, port, path

    @property
    def authority(self) -> str:
        """The Host header's value."""
        if self.socket_path:
            return "localhost"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def main(argv: list[str]) -> int:
    """Run the command on what follows ``health probe``, print, and return the exit status."""
    try:
        asked = _parse(argv)
        if asked is None:
            print(_USAGE, end="")
            return _PASS
        place = _place(asked)
    except _WrongUse as wrong:
        print(f"bedplate health probe: {wrong} (--help says more)", file=sys.stderr)
        return _WRONG_USE
    began = time.monotonic()
    try:
        accept = "application/health+json" if asked.as_json else "text/plain"
        status, body = _ask(place, asked.timeout, accept)
    except _NoAnswer as why:
        _tell_nothing(asked, str(why))
        return _FAIL
    except KeyboardInterrupt:
        return 130
    ok = 200 <= status <= 299
    if not asked.quiet:
        _tell(asked, ok=ok, status=status, body=body, took=time.monotonic() - began)
    return _PASS if ok else _FAIL


# --- the command line


def _parse(argv: list[str]) -> _Asked | None:
    """Read the arguments; None asks for help."""
    asked = _Asked()
    words = iter(argv)
    for word in words:
        if word in ("-h", "--help"):
            return None
        if word.startswith("-"):
            _flag(asked, word, words)
        elif asked.target:
            raise _WrongUse("one URL or socket at a time")
        else:
            asked.target = word
    if not asked.target:
        raise _WrongUse("a URL or a socket is missing, http://127.0.0.1:8086 or /run/name.sock")
    if asked.quiet and asked.as_json:
        raise _WrongUse("--quiet and --json exclude each other")
    return asked


def _flag(asked: _Asked, word: str, words: "Iterator[str]") -> None:
    name, equals, value = word.partition("=")
    if word == "--json":
        asked.as_json = True
    elif word == "--quiet":
        asked.quiet = True
    elif name in ("--timeout", "--path"):
        value = value if equals else next(words, "")
        if not value:
            raise _WrongUse(f"{name} needs a value")
        if name == "--timeout":
            asked.timeout = _seconds(value)
        else:
            asked.path = value
    else:
        raise _WrongUse(f"there is no flag {_printable(name)}")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 3600:
        raise _WrongUse("--timeout takes seconds, more than 0 and at most 3600")
    return seconds


def _place(asked: _Asked) -> _Place:
    """Find out where to connect and what to ask for."""
    target = asked.target
    if target.startswith(("/", "./", "../", "unix:")):
        return _Place(socket_path=target.removeprefix("unix:"), path=_page(asked.path))
    scheme, separator, rest = target.partition("://")
    if not separator:
        raise _WrongUse(
            "that is neither a URL nor a socket; write http://host:port/path, /path/to/socket "
            "or unix:socket"
        )
    if scheme.lower() == "https":
        raise _WrongUse("https is not spoken here; probe the service's own http port or socket")
    if scheme.lower() != "http":
        raise _WrongUse(f"{_printable(scheme)} is not spoken here, only http and unix sockets")
    rest = rest.partition("#")[0]
    cut = min((at for at in (rest.find("/"), rest.find("?")) if at >= 0), default=len(rest))
    host, port = _host_and_port(rest[:cut])
    path = rest[cut:]
    if asked.path and path not in ("", "/"):
        raise _WrongUse("--path and a path in the URL exclude each other")
    return _Place(host=host, port=port, path=_page(asked.path or path))


def _host_and_port(authority: str) -> tuple[str, int]:
    if "@" in authority:
        raise _WrongUse("a health page takes no user and password; leave them out of the URL")
    if authority.startswith("["):
        host, bracket, port = authority[1:].partition("]")
        if not bracket or (port and not port.startswith(":")):
            raise _WrongUse("an IPv6 address stands in brackets: http://[::1]:8086")
        port = port[1:]
    else:
        host, _, port = authority.partition(":")
        if ":" in port:
            raise _WrongUse("an IPv6 address stands in brackets: http://[::1]:8086")
    if not host or not host.isascii() or not host.isprintable() or " " in host:
        raise _WrongUse("the URL names no host; write http://127.0.0.1:8086")
    if port and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise _WrongUse("the port of a URL is a number from 1 to 65535")
    return host, int(port) if port else 80


def _page(path: str) -> str:
    if path in ("", "/"):
        return "/readyz"
    if path.startswith("?"):
        path = f"/readyz{path}"
    if not path.startswith("/"):
        raise _WrongUse("the path of a page begins with a slash: /livez")
    if not path.isascii() or not path.isprintable() or " " in path:
        raise _WrongUse("the path of a page is made of printable ASCII without blanks")
    return path


# --- the conversation


def _ask(place: _Place, timeout: float, accept: str) -> tuple[int, bytes]:
    """Return status and body of the page, or raise `_NoAnswer`; all within ``timeout`` seconds."""
    end = time.monotonic() + timeout
    request = (
        f"GET {place.path} HTTP/1.1\r\nHost: {place.authority}\r\nAccept: {accept}\r\n"
        "User-Agent: bedplate-probe\r\nConnection: close\r\n\r\n"
    )
    received = b""
    try:
        with _connect(place, end) as connection:
            connection.settimeout(_left(end))
            connection.sendall(request.encode())
            while True:
                connection.settimeout(_left(end))
                piece = connection.recv(8192)
                received += piece
                answer = _answer(received, ended=not piece)
                if answer is not None:
                    return answer
                if len(received) > _LIMIT:
                    raise _NoAnswer(f"its answer is longer than {_LIMIT} bytes")
    except TimeoutError:
        raise _NoAnswer(f"no complete answer within {timeout:g} s") from None
    except OSError as error:
        raise _NoAnswer((error.strerror or str(error)).lower()) from error


def _connect(place: _Place, end: float) -> socket.socket:
    if place.socket_path:
        return _connected(socket.AF_UNIX, place.socket_path, end)
    refused: OSError | None = None
    # As bytes, because text would load the codec for foreign scripts; the host is ASCII already.
    host = place.host.encode()
    for family, _, _, _, address in socket.getaddrinfo(host, place.port, type=socket.SOCK_STREAM):
        try:
            return _connected(family, address, end)
        except TimeoutError:
            raise
        except OSError as error:
            refused = error
    raise refused or OSError("the host has no address")


def _connected(family: int, address: "str | tuple[object, ...]", end: float) -> socket.socket:
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.settimeout(_left(end))
        connection.connect(address)
    except BaseException:
        connection.close()
        raise
    return connection


def _left(end: float) -> float:
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _answer(received: bytes, *, ended: bool) -> tuple[int, bytes] | None:
    """Read an HTTP/1 answer from what came so far; None while more must come.

    Raises `_NoAnswer` for what is not HTTP/1 or ends in the middle.
    """
    head, blank, body = received.partition(b"\r\n\r\n")
    if not b"HTTP/1.".startswith(head[:7]) and not head.startswith(b"HTTP/1."):
        raise _NoAnswer("it does not speak HTTP/1")
    if not blank:
        if ended:
            raise _NoAnswer("it closed the connection without an answer")
        return None
    first, *lines = head.split(b"\r\n")
    words = first.split(b" ", 2)
    if len(words) < 2 or len(words[1]) != 3 or not words[1].isdigit():
        raise _NoAnswer("it does not speak HTTP/1")
    status = int(words[1])
    if status < 200:
        return _answer(body, ended=ended)
    whole = _body(_headers(lines), body, ended=ended)
    if whole is None:
        if ended:
            raise _NoAnswer("its answer ends in the middle")
        return None
    return status, whole


def _headers(lines: list[bytes]) -> dict[bytes, bytes]:
    pairs = (line.partition(b":") for line in lines)
    return {name.strip().lower(): value.strip().lower() for name, _, value in pairs}


def _body(headers: dict[bytes, bytes], body: bytes, *, ended: bool) -> bytes | None:
    """Return the body once it is whole, as its headers say, or None."""
    if headers.get(b"transfer-encoding", b"").endswith(b"chunked"):
        return _joined(body)
    length = headers.get(b"content-length", b"")
    if length.isdigit():
        return body[: int(length)] if len(body) >= int(length) else None
    return body if ended else None


def _joined(body: bytes) -> bytes | None:
    whole = b""
    while True:
        size, line_end, rest = body.partition(b"\r\n")
        if not line_end:
            return None
        try:
            length = int(size.partition(b";")[0], 16)
        except ValueError:
            raise _NoAnswer("its answer is cut into chunks wrongly") from None
        if length <= 0:
            return whole
        if len(rest) < length + 2:
            return None
        whole += rest[:length]
        body = rest[length + 2 :]


# --- what is printed


def _tell(asked: _Asked, *, ok: bool, status: int, body: bytes, took: float) -> None:
    text = body.decode("utf-8", "replace")
    if asked.as_json:
        _tell_json(where=asked.target, ok=ok, status=status, seconds=round(took, 6), answer=text)
        return
    for line in text.splitlines() or [f"status {status}"]:
        print(_printable(line))


def _tell_nothing(asked: _Asked, why: str) -> None:
    if asked.as_json:
        _tell_json(where=asked.target, ok=False, status=None, error=why)
    elif not asked.quiet:
        print(f"{_printable(asked.target)} gave no usable answer: {why}", file=sys.stderr)


def _tell_json(**facts: object) -> None:
    import json

    answer = facts.get("answer")
    if isinstance(answer, str):
        try:
            facts["answer"] = json.loads(answer)
        except ValueError:
            facts["answer"] = answer.strip()
    print(json.dumps(facts))


def _printable(text: str) -> str:
    """Return a text that cannot steer a terminal, whoever wrote it."""
    return "".join(each if each.isprintable() else "?" for each in text)
