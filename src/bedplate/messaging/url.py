"""``TransportUrl``: which driver, which broker hosts, which virtual host, which option values.

``driver://[user:password@]host[:port][,user:password@host:port…][/vhost][?option=value]``; one
thing only is special: of the path the first slash separates and the rest, percent-decoded, is the
virtual host, so ``//`` means the virtual host ``/``.
"""

from typing import final
from urllib.parse import unquote

from bedplate.config import Host, Url
from bedplate.errors import InvalidUrl

__all__ = ["TransportUrl"]


@final
class TransportUrl:
    """A parsed transport URL; every printed form masks its passwords. Immutable.

    ``options`` are the query's pairs; the driver's Section checks them. Raises `InvalidUrl`.
    """

    __slots__ = ("driver", "hosts", "options", "url", "vhost")

    driver: str
    hosts: tuple[Host, ...]
    options: tuple[tuple[str, str], ...]
    url: Url
    vhost: str

    def __init__(self, url: "str | Url | TransportUrl") -> None:
        if isinstance(url, TransportUrl):
            parsed = url.url
        elif isinstance(url, Url):
            parsed = url
        else:
            try:
                parsed = Url(url)
            except ValueError as error:
                # The text may hold a password anywhere: it is not repeated.
                raise InvalidUrl(url="given", why=f"{error}.") from None
        put = object.__setattr__
        put(self, "url", parsed)
        put(self, "driver", parsed.scheme)
        put(self, "hosts", parsed.hosts)
        put(self, "vhost", unquote(parsed.path[1:]))
        put(self, "options", parsed.query)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a TransportUrl cannot change ({name})")

    def __eq__(self, other: object) -> bool:
        return self.url == other.url if isinstance(other, TransportUrl) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.url)

    def __str__(self) -> str:
        return str(self.url)

    def __repr__(self) -> str:
        return f"TransportUrl({str(self.url)!r})"
