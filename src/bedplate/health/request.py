"""Reading one HTTP/1 request from bytes. Pure: bytes in, a request or a refusal out.

Follows RFC 9112 as far as a probe needs: a body is never read, and one request is all there is.
"""

import re
from typing import NamedTuple

from bedplate.health.pages import Page, refusal

__all__ = ["LIMIT", "Request", "read"]

LIMIT = 8192
"""The most bytes that a request line and its headers may take together."""

_END = re.compile(rb"\r?\n\r?\n")
_BEGIN = re.compile(rb"(?:\r?\n){0,2}([A-Z]|\r?\Z)")
_LINE = re.compile(rb"([A-Z][A-Z_-]{0,31}) ([\x21-\x7e]+) HTTP/([0-9])\.[0-9]")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)")
_AUTHORITY = re.compile(rb"https?://[^/?#]*", re.IGNORECASE)


class Request(NamedTuple):
    """What a client asked for; ``accept`` is empty where it did not say."""

    method: str
    path: str
    query: str
    accept: str


def read(received: bytes, *, ended: bool = False) -> Request | Page | None:
    """Read a request from the bytes received so far.

    Returns None while it is not complete, and a refusal as soon as it cannot become a request:
    not HTTP at all, too long, or ``ended`` by the client before it was complete.
    """
    if not _BEGIN.match(received):
        return refusal(400, "this is not HTTP")
    start = len(received) - len(received.lstrip(b"\r\n"))
    end = _END.search(received, start)
    if end is None or end.start() > LIMIT:
        if end is not None or len(received) > LIMIT + len(b"\r\n\r"):
            return refusal(431, f"a request of more than {LIMIT} bytes is not read")
        return refusal(400, "the request ends in the middle") if ended else None
    return _parse(received[start : end.start()])


def _parse(head: bytes) -> Request | Page:
    first, *lines = head.split(b"\n")
    match = _LINE.fullmatch(first.removesuffix(b"\r"))
    if match is None:
        return refusal(400, "the request line is not one of HTTP/1")
    method, target, major = match.groups()
    if major != b"1":
        return refusal(505, "only HTTP/1 is spoken here")
    accept: list[str] = []
    for line in lines:
        header = _HEADER.fullmatch(line.removesuffix(b"\r"))
        if header is None:
            return refusal(400, "a header line is malformed")
        if header[1].lower() == b"accept":
            accept.append(header[2].decode("latin-1"))
    path, _, query = _AUTHORITY.sub(b"", target, count=1).partition(b"?")
    return Request(method.decode(), path.decode(), query.decode(), ", ".join(accept))
