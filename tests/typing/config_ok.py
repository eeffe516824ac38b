"""What mypy must know of a configuration, without a plug-in. Checked, never run."""

import re
from collections.abc import Mapping
from datetime import date
from enum import Enum
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)
from pathlib import Path
from typing import Literal, assert_type

from bedplate.config import (
    ByteSize,
    Changes,
    Config,
    Duration,
    Explanation,
    Finding,
    HostAddress,
    HostName,
    HostPort,
    Port,
    Repeated,
    Secret,
    Section,
    Uri,
    Url,
    option,
)


class Mode(Enum):
    FAST = "fast"
    SAFE = "safe"


class Api(Section):
    """The public interface."""

    host: str = option(default="127.0.0.1", help="Address to listen on.")
    workers: int = option(default=4, min=1, max=256, mutable=True)
    ratio: float = option(default=1)
    debug: bool = option(default=False)
    password: Secret[str] = option(help="Administrator's password.")
    spare: Secret[str] | None = option(default=None)
    keys: list[Secret[str]] = option(default=[])
    bundle: Secret[list[str]] = option(default=Secret(["a"]))
    names: tuple[str, ...] = option(default=())
    database: Url = option(default=Url("sqlite://"), was=("DEFAULT.sql_connection",))
    port: Port = option(default=8080)
    wait: Duration = option(default=2.5)
    level: Literal["low", "high"] = option(default="low")
    mode: Mode = option(default=Mode.FAST)
    proxy: str | None = option(default=None)


class Wide(Api, name="api.wide", optional=True):
    """Inherits the options of another section."""

    width: int = option()

    @property
    def area(self) -> int:
        return self.width * self.workers


class Net(Section):
    """Every other kind of value."""

    limits: dict[str, int] = option(default={"read": 1})
    keys: dict[str, Secret[str]] = option(default={})
    weights: Secret[dict[str, int]] = option(default=Secret({"a": 1}))
    pattern: re.Pattern[str] = option(default=re.compile("a"))
    address: IPv4Address = option(default=IPv4Address("10.0.0.1"))
    either: IPv4Address | IPv6Address = option(default=IPv6Address("::1"))
    cidr: IPv4Network = option(default=IPv4Network("10.0.0.0/8"))
    cidrs: list[IPv4Network | IPv6Network] = option(default=[])
    own: IPv4Interface | IPv6Interface = option(default=IPv4Interface("10.0.0.1/8"))
    name: HostName = option(default="db.example.org")
    host: HostAddress = option(default="10.0.0.1")
    peer: HostPort = option(default=HostPort("db.example.org", 5432))
    peers: list[HostPort] = option(default=[])
    link: Uri = option(default="urn:isbn:0451450523")
    spool: Path = option(default=Path("/var/spool"))
    maybe: Path | None = option(default=None)
    cache: ByteSize = option(default=64 * 2**20, min=1)
    day: date = option(default=date(2027, 1, 31))
    plugins: Repeated[str] = option(default=[])
    ports: range = option(default=range(1, 3))


class Common(Section, name="DEFAULT"):
    """The one that names others."""

    enabled_backends: list[str] = option(default=[], mutable=True)


class Backend(Section, each="DEFAULT.enabled_backends", by="driver"):
    """The shape of what is named."""

    driver: str = option()
    size: int = option(default=1)


class Lvm(Backend, when="lvm"):
    """A variant; it may say what it is."""

    driver: Literal["lvm"] = option(default="lvm")
    group: str = option()


class Plain(Section, each="enabled_backends", optional=True):
    """A shape without variants."""

    size: int = option(default=1)


def kinds(net: Net) -> None:
    """Each attribute is of the class that its annotation names."""
    assert_type(net.limits, dict[str, int])
    assert_type(net.limits["read"], int)
    assert_type(net.keys["a"], Secret[str])
    assert_type(net.weights.reveal(), dict[str, int])
    assert_type(net.pattern, re.Pattern[str])
    assert_type(net.pattern.match("a"), re.Match[str] | None)
    assert_type(net.address, IPv4Address)
    assert_type(net.either, IPv4Address | IPv6Address)
    assert_type(net.cidr, IPv4Network)
    assert_type(net.cidrs, list[IPv4Network | IPv6Network])
    assert_type(net.own, IPv4Interface | IPv6Interface)
    assert_type(net.name, str)
    assert_type(net.host, str)
    assert_type(net.peer, HostPort)
    assert_type(net.peer.host, str)
    assert_type(net.peer.port, int)
    assert_type(net.peers, list[HostPort])
    assert_type(net.link, str)
    assert_type(net.spool, Path)
    assert_type(net.maybe, Path | None)
    assert_type(net.cache, int)
    assert_type(net.day, date)
    assert_type(net.plugins, list[str])
    assert_type(net.ports, range)


def named_sections(config: Config) -> None:
    """Sections that an option names come under their names; a variant's are of its own class."""
    assert_type(config.each(Backend), Mapping[str, Backend])
    assert_type(config.each(Lvm), Mapping[str, Lvm])
    assert_type(config.each(Plain)["a"].size, int)
    with config.snapshot() as snapshot:
        assert_type(snapshot.each(Lvm)["a"].group, str)
    for name, backend in config.each(Backend).items():
        assert_type(name, str)
        assert_type(backend.driver, str)
        if isinstance(backend, Lvm):
            assert_type(backend.group, str)
            assert_type(backend.driver, Literal["lvm"])
    assert_type(Lvm(group="vg"), Lvm)
    changes = config.reload()
    assert_type(changes.added, tuple[str, ...])
    assert_type(changes.removed, tuple[str, ...])


def attributes(api: Api) -> None:
    """Each attribute has the type of its annotation."""
    assert_type(api.host, str)
    assert_type(api.workers, int)
    assert_type(api.ratio, float)
    assert_type(api.debug, bool)
    assert_type(api.password, Secret[str])
    assert_type(api.password.reveal(), str)
    assert_type(api.spare, Secret[str] | None)
    assert_type(api.keys, list[Secret[str]])
    assert_type(api.bundle.reveal(), list[str])
    assert_type(api.names, tuple[str, ...])
    assert_type(api.database, Url)
    assert_type(api.port, int)
    assert_type(api.wait, float)
    assert_type(api.level, Literal["low", "high"])
    assert_type(api.mode, Mode)
    assert_type(api.proxy, str | None)


def construction() -> None:
    """Sections are made by keyword; what has a default may be left out."""
    assert_type(Api(password=Secret("x")), Api)
    assert_type(Api(password=Secret("x"), workers=2).workers, int)
    wide = Wide(password=Secret("x"), width=3)
    assert_type(wide.area, int)
    assert_type(wide.host, str)


def asking(config: Config) -> None:
    """Asking with a class gives an instance of it."""
    assert_type(config[Api], Api)
    assert_type(config[Api].workers, int)
    assert_type(config.get(Wide), Wide | None)
    assert_type(config.named(Api, "api.second"), Api)
    assert_type(config.explain("api.workers"), Explanation)
    assert_type(config.findings, tuple[Finding, ...])
    assert_type(config.generation, int)
    assert_type(config.reload(), Changes)
    with config.snapshot() as snapshot:
        assert_type(snapshot[Api].port, int)
        assert_type(snapshot.get(Wide), Wide | None)


def loading() -> None:
    """Load takes everything by keyword and returns a Config."""
    config = Config.load([Api, Wide], program="inventory", argv=(), environ={}, unknown="defer")
    assert_type(config, Config)


def covariance(secret: Secret[bool]) -> Secret[int]:
    """Pass a secret of a subtype for a secret of the type."""
    return secret
