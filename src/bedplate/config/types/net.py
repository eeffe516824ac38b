"""Types of addresses: URL and URI, IP address and network, host, host and port.

``ipaddress`` is loaded when the first address is read, not before.

Knows nothing of options, sections or where a value came from.
"""

import re
from typing import TYPE_CHECKING, Annotated, NamedTuple, cast

from bedplate._floor.url import Url
from bedplate.config.types.contract import (
    Refused,
    match_text,
    quote,
    refuse_native,
    refuse_text,
    valued,
)

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

__all__ = [
    "CidrType",
    "HostAddress",
    "HostName",
    "HostNameType",
    "HostPort",
    "HostPortType",
    "IpType",
    "Uri",
    "UriType",
    "UrlType",
]

_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")
_LABEL_OR_UNDERSCORE = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_ZONE = re.compile(r"[A-Za-z0-9._~\-]+")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:[!#-;=?-\[\]_a-z~A-Z%]*")
_URI_WITH_HOST = re.compile(
    r"[A-Za-z][A-Za-z0-9+.\-]*://"
    r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:%]*@)?"
    r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-._~!$&'()*+,;=%]+)(?::[0-9]*)?"
    r"(?:[/?#][!#-;=?-\[\]_a-z~A-Z%]*)?"
)
_HOST_PORT = re.compile(r"(?:\[([^\]]*)\]|([^:\[\]]*))(?::([0-9]{1,5}))?")


@valued
class UrlType:
    """`Url`. Its text is never shown in a message: it may hold a password."""

    __slots__ = ()
    secret = False

    def parse(self, text: str) -> object:
        """Read ``scheme://…``."""
        stripped = text.strip()
        if not stripped:
            raise Refused("no-value", self.describe())
        url, why = None, ""
        try:
            url = Url(stripped)
        except ValueError as error:
            why = str(error)  # of our own making: it never holds the text
        if url is None:
            raise Refused("wrong-type", f"{self.describe()} ({why})")
        return url

    def accept(self, native: object) -> object:
        """Take a `Url`."""
        if not isinstance(native, Url):
            raise Refused("wrong-type", self.describe(), type(native).__name__)
        return native

    def show(self, value: object, *, reveal: bool = False) -> str:
        """Write the URL, its secrets masked unless ``reveal``."""
        return cast("Url", value).reveal() if reveal else str(value)

    def describe(self) -> str:
        """Say that it is a URL."""
        return "a URL"

    def json_schema(self) -> dict[str, object]:
        """Return ``string`` in the format ``uri``."""
        return {"type": "string", "format": "uri"}


@valued
class UriType:
    """`Uri`: a URI as text, ``urn:isbn:…`` as well as ``https://…``; ``host`` wants one named.

    Where a password can be, `Url` is better: an option of this type is a plain str that anybody
    can print. Its text is in no message, and a password in it is masked where it is shown.
    """

    __slots__ = ("host",)
    secret = False

    def __init__(self, *, host: bool = False) -> None:
        self.host = host

    def parse(self, text: str) -> object:
        """Read a scheme, a colon, and what RFC 3986 allows behind it."""
        uri = text.strip()
        if not uri:
            raise Refused("no-value", self.describe())
        if not (_URI_WITH_HOST if self.host else _URI).fullmatch(uri):
            raise Refused("wrong-type", self.describe())
        return uri

    def accept(self, native: object) -> object:
        """Take a str that is one."""
        if not isinstance(native, str):
            raise Refused("wrong-type", self.describe(), type(native).__name__)
        return self.parse(native)

    def show(self, value: object, *, reveal: bool = False) -> str:
        """Write the URI, its password masked unless ``reveal``."""
        text = str(value)
        if reveal:
            return text
        try:
            return str(Url(text))
        except ValueError:
            return text  # no authority, where a password would stand

    def describe(self) -> str:
        """Say what it has to have."""
        return "a URI with a scheme and a host" if self.host else "a URI with a scheme"

    def json_schema(self) -> dict[str, object]:
        """Return ``string`` in the format ``uri``."""
        return {"type": "string", "format": "uri"}


@valued
class IpType:
    """``IPv4Address``, ``IPv6Address`` or either. No leading zeros, no shortened forms of IPv4."""

    __slots__ = ("version",)
    secret = False

    def __init__(self, version: int | None = None) -> None:
        self.version = version

    def parse(self, text: str) -> object:
        """Read an address."""
        address = _address(text.strip())
        if address is None or not self._fits(address.version):
            refuse_text(self, text)
        return address

    def accept(self, native: object) -> object:
        """Take an address."""
        from ipaddress import IPv4Address, IPv6Address

        if not isinstance(native, IPv4Address | IPv6Address) or not self._fits(native.version):
            refuse_native(self, native)
        return native

    def show(self, value: object, *, reveal: bool = False) -> str:
        """Write the address."""
        del reveal
        return str(value)

    def describe(self) -> str:
        """Say of which version."""
        return f"an IPv{self.version} address" if self.version else "an IP address"

    def json_schema(self) -> dict[str, object]:
        """Return ``string`` in the format ``ipv4``, ``ipv6`` or either."""
        versions = (self.version,) if self.version else (4, 6)
        formats: list[object] = [{"type": "string", "format": f"ipv{each}"} for each in versions]
        return {"anyOf": formats} if len(formats) > 1 else cast("dict[str, object]", formats[0])

    def _fits(self, version: int) -> bool:
        return self.version is None or self.version == version


@valued
class CidrType:
    """``IPv4Network``, ``IPv6Network`` or either: ``10.0.0.0/8``, no bits set behind the prefix."""

    __slots__ = ("version",)
    secret = False

    def __init__(self, version: int | None = None) -> None:
        self.version = version

    def parse(self, text: str) -> object:
        """Read a network; an address alone is a network of one."""
        from ipaddress import ip_network

        if not text.strip():
            refuse_text(self, text)
        why = ""
        try:
            network = ip_network(text.strip())
        except ValueError as error:
            why = str(error)
        else:
            if self._fits(network.version):
                return network
        bits = f"{self.describe()} without bits behind its prefix"
        expected = bits if "host bits" in why else self.describe()
        raise Refused("wrong-type", expected, quote(text))

    def accept(self, native: object) -> object:
        """Take a network."""
        from ipaddress import IPv4Network, IPv6Network

        if not isinstance(native, IPv4Network | IPv6Network) or not self._fits(native.version):
            refuse_native(self, native)
        return native

    def show(self, value: object, *, reveal: bool = False) -> str:
        """Write the network with its prefix."""
        del reveal
        return str(value)

    def describe(self) -> str:
        """Say of which version, and how it is written."""
        example = "2001:db8::/32" if self.version == 6 else "10.0.0.0/8"
        kind = f"an IPv{self.version} network" if self.version else "a network"
        return f"{kind} such as {example}"

    def json_schema(self) -> dict[str, object]:
        """Return ``string`` with a prefix allowed."""
        return {"type": "string", "pattern": "^[0-9A-Fa-f:.]+(/[0-9.]+)?$"}

    def _fits(self, version: int) -> bool:
        return self.version is None or self.version == version


@valued
class HostNameType:
    """A host's name as text, after RFC 1123; ``address`` allows IP addresses as well.

    At most 253 signs in labels of at most 63, the last of which is not all digits; one dot at the
    end is dropped. ``underscore`` allows that sign too, as in names of services.
    """

    __slots__ = ("address", "underscore")
    secret = False

    def __init__(self, *, address: bool = False, underscore: bool = False) -> None:
        self.address, self.underscore = address, underscore

    def parse(self, text: str) -> object:
        """Read a name, or an address where that is allowed."""
        name = text.strip()
        if self.address and _address(name) is not None:
            return name
        bare = name.removesuffix(".")
        label = _LABEL_OR_UNDERSCORE if self.underscore else _LABEL
        labels = bare.split(".")
        if (
            len(name) > 253
            or not all(map(label.fullmatch, labels))
            or not labels[-1].strip("0123456789_")
        ):
            refuse_text(self, text)
        return bare

    def accept(self, native: object) -> object:
        """Take a str that is one."""
        if not isinstance(native, str):
            refuse_native(self, native)
        return self.parse(native)

    def show(self, value: object, *, reveal: bool = False) -> str:
        """Write the name."""
        del reveal
        return str(value)

    def describe(self) -> str:
        """Say whether an address will do."""
        return "a host name or an IP address" if self.address else "a host name"

    def json_schema(self) -> dict[str, object]:
        """Return ``string`` of a name's length."""
        return {"type": "string", "minLength": 1, "maxLength": 254}


class HostPort(NamedTuple):
    """A host and a port, written ``host:port``, ``[::1]:port`` for IPv6."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@valued
class HostPortType:
    """`HostPort`: ``db.example.org:5432``, ``10.0.0.1:80``, ``[::1]:80``; ``port`` fills in."""

    __slots__ = ("port",)
    secret = False

    def __init__(self, port: int | None = None) -> None:
        self.port = port

    def parse(self, text: str) -> object:
        """Read host and port."""
        match = match_text(_HOST_PORT, text, self)
        port = self.port if match[3] is None else int(match[3])
        made = None if port is None else _host_port(match[1], match[2], port)
        if made is None:
            refuse_text(self, text)
        return made

    def accept(self, native: object) -> object:
        """Take a `HostPort`."""
        if not isinstance(native, HostPort) or type(native.port) is not int:
            refuse_native(self, native)
        return self.parse(str(native))

    def show(self, value: object, *, reveal: bool = False) -> str:
        """Write host and port."""
        del reveal
        return str(value)

    def describe(self) -> str:
        """Say how it is written."""
        default = f" (port {self.port} if none is said)" if self.port is not None else ""
        return f"a host and a port, such as db.example.org:5432 or [::1]:80{default}"

    def json_schema(self) -> dict[str, object]:
        """Return ``string`` of that form."""
        return {"type": "string", "pattern": f"^{_HOST_PORT.pattern}$"}


HostName = Annotated[str, HostNameType()]
"""A host's name; mypy sees a str."""

HostAddress = Annotated[str, HostNameType(address=True)]
"""A host's name or its IP address; mypy sees a str."""

Uri = Annotated[str, UriType()]
"""A URI as text, ``urn:`` and the like included; mypy sees a str."""


def _address(text: str) -> "IPv4Address | IPv6Address | None":
    from ipaddress import ip_address

    _, scoped, zone = text.partition("%")
    if scoped and not _ZONE.fullmatch(zone):
        return None  # the standard library takes anything for a zone, blanks included
    try:
        return ip_address(text)
    except ValueError:
        return None


def _host_port(bracketed: str | None, name: str | None, port: int) -> HostPort | None:
    if port > 65535:
        return None
    if bracketed is not None:
        address = _address(bracketed)
        return HostPort(bracketed, port) if address is not None and address.version == 6 else None
    try:
        return HostPort(str(HostNameType(address=True).parse(name or "")), port)
    except Refused:
        return None
