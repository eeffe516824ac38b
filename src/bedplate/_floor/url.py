"""``Url``: a URL whose password, and whatever else looks like a key, is never printed.

Splits the classic form ``scheme://user:password@host:port/path?query#fragment`` and the list form
that brokers use, ``scheme://u1:p1@h1:1,u2:p2@h2:2/path``. Knows nothing of what schemes mean.
"""

import re
from typing import NamedTuple, final

from bedplate._floor.secret import MASK
from bedplate.errors import SecretNotSerialisable

__all__ = ["Host", "Url"]

_SHAPE = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]*)://(?P<netloc>[^/?#]*)(?P<path>[^?#]*)"
    r"(?:\?(?P<query>[^#]*))?(?:#(?P<fragment>.*))?",
    re.DOTALL,
)
_SECRET_KEY = re.compile(r"pass|secret|token|(^|[_\-])key|credential|signature", re.IGNORECASE)


class Host(NamedTuple):
    """One ``user:password@host:port`` of a URL, percent-decoded.

    ``name`` is the bare address (no brackets around IPv6), ``port`` None where none is written.
    """

    name: str
    port: "int | None"
    user: "str | None"
    password: "str | None"

    def __repr__(self) -> str:
        return f"Host({self.where})"

    @property
    def where(self) -> str:
        """Host and port as people write them, without credentials."""
        name = f"[{self.name}]" if ":" in self.name else self.name
        return name if self.port is None else f"{name}:{self.port}"


@final
class Url:
    """An immutable URL that masks its secrets in every printed form.

    Passwords and the values of query keys that look secret print as ``****``; ``reveal()`` gives
    the text as it was written. pickle refuses it when it holds a password. Equality compares the
    text. Raises ValueError (with a masked text) for what is no URL.
    """

    __slots__ = ("_masked", "_text", "fragment", "hosts", "path", "query", "scheme")

    scheme: str
    hosts: tuple[Host, ...]
    path: str
    query: tuple[tuple[str, str], ...]
    fragment: str
    _masked: str
    _text: str

    def __init__(self, text: str) -> None:
        match = _SHAPE.fullmatch(text)
        if match is None:
            raise ValueError("a URL looks like scheme://host:port/path")
        put = object.__setattr__
        put(self, "_text", text)
        put(self, "scheme", match["scheme"].lower())
        put(self, "hosts", tuple(_host(part) for part in _split_hosts(match["netloc"])))
        put(self, "path", match["path"])
        put(self, "query", _query(match["query"]) if match["query"] else ())
        put(self, "fragment", match["fragment"] or "")
        put(self, "_masked", _mask(match))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Url cannot change ({name})")

    def reveal(self) -> str:
        """Return the URL as it was written, secrets included."""
        return self._text

    @property
    def host(self) -> str:
        """Name of the first host, empty where there is none (``sqlite://``)."""
        return self.hosts[0].name if self.hosts else ""

    @property
    def port(self) -> "int | None":
        """Port of the first host."""
        return self.hosts[0].port if self.hosts else None

    @property
    def user(self) -> "str | None":
        """User of the first host, percent-decoded."""
        return self.hosts[0].user if self.hosts else None

    def has_secret(self) -> bool:
        """Whether printing it in full would show something that must not be seen."""
        return self._masked != self._text

    def __eq__(self, other: object) -> bool:
        return self._text == other._text if isinstance(other, Url) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._text)

    def __str__(self) -> str:
        return self._masked

    def __repr__(self) -> str:
        return f"Url({self._masked!r})"

    def __copy__(self) -> "Url":
        return self

    def __deepcopy__(self, memo: object) -> "Url":
        return self

    def __reduce__(self) -> "tuple[type[Url], tuple[str]]":
        if self.has_secret():
            raise SecretNotSerialisable(how="pickle")
        return Url, (self.reveal(),)


# urllib.parse takes a tenth of the import of configuration, and most URLs have no need of it.


def _query(text: str) -> tuple[tuple[str, str], ...]:
    from urllib.parse import parse_qsl

    return tuple(parse_qsl(text, keep_blank_values=True, max_num_fields=100))


def _decoded(text: str) -> str:
    if "%" not in text:
        return text
    from urllib.parse import unquote

    return unquote(text)


def _split_hosts(netloc: str) -> list[str]:
    if not netloc:
        return []
    # A comma separates hosts only before the last '@' has been seen of each part, so a comma in
    # a password must be percent-encoded, as in every other broker URL.
    return netloc.split(",")


def _host(part: str) -> Host:
    credentials, at, address = part.rpartition("@")
    user: str | None = None
    password: str | None = None
    if at:
        user_text, colon, password_text = credentials.partition(":")
        user = _decoded(user_text)
        password = _decoded(password_text) if colon else None
    if address.startswith("["):
        name, bracket, rest = address[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError("an IPv6 address in a URL stands in brackets: [::1]:5672")
        port_text = rest[1:]
    else:
        name, _, port_text = address.partition(":")
    if port_text and not (port_text.isascii() and port_text.isdigit() and int(port_text) < 65536):
        raise ValueError("the port of a URL is a number from 0 to 65535")
    return Host(_decoded(name), int(port_text) if port_text else None, user, password)


def _mask(match: "re.Match[str]") -> str:
    hosts = []
    for part in _split_hosts(match["netloc"]):
        credentials, at, address = part.rpartition("@")
        user, colon, _ = credentials.partition(":")
        hosts.append(f"{user}:{MASK}@{address}" if colon else f"{credentials}{at}{address}")
    text = f"{match['scheme']}://{','.join(hosts)}{match['path']}"
    if match["query"] is not None:
        text += "?" + "&".join(_mask_field(field) for field in match["query"].split("&"))
    if match["fragment"] is not None:
        text += f"#{match['fragment']}"
    return text


def _mask_field(field: str) -> str:
    key, equals, _ = field.partition("=")
    return f"{key}={MASK}" if equals and _SECRET_KEY.search(_decoded(key)) else field
