"""What mypy must refuse in configuration. Each line marked must be reported, and no other."""

import re
from datetime import date
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from bedplate.config import (
    ByteSize,
    Config,
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


class Api(Section):
    """A section with mistakes beside it."""

    workers: int = option(default=4)
    password: Secret[str] = option()
    port: Port = option(default=80)


class Wrong(Section):
    """A section of mistakes."""

    count: int = option(default="4")  # E: Incompatible types in assignment
    place: Url = option(default="sqlite://")  # E: Incompatible types in assignment
    word: Secret[str] = option(default="x")  # E: expected "Secret[str]"
    positional: int = option(4)  # E: No overload variant of "option" matches
    unheard: int = option(default=4, minimum=1)  # E: Unexpected keyword argument "minimum"


class WrongKinds(Section):
    """Defaults that are of no such kind: text stands for a value in files only."""

    limits: dict[str, int] = option(default={"read": "1"})  # E: Dict entry 0 has incompatible type
    keys: dict[str, Secret[str]] = option(default={"a": "b"})  # E: Dict entry 0 has incompatible
    pattern: re.Pattern[str] = option(default="a")  # E: expected "Pattern[str]"
    address: IPv4Address = option(default="10.0.0.1")  # E: Incompatible types in assignment
    cidr: IPv4Network = option(default="10.0.0.0/8")  # E: Incompatible types in assignment
    peer: HostPort = option(default="db:5432")  # E: Incompatible types in assignment
    name: HostName = option(default=IPv4Address("10.0.0.1"))  # E: Incompatible types in assignment
    link: Uri = option(default=Url("sqlite://"))  # E: Incompatible types in assignment
    spool: Path = option(default="/var/spool")  # E: Incompatible types in assignment
    cache: ByteSize = option(default="64MiB")  # E: Incompatible types in assignment
    day: date = option(default="2027-01-31")  # E: Incompatible types in assignment
    plugins: Repeated[str] = option(default="one")  # E: expected "list[str]"


class Backend(Section, each="DEFAULT.enabled_backends", by="driver"):
    """The shape of sections that are named."""

    driver: str = option()


class Lvm(Backend, when="lvm"):
    """A variant."""

    group: str = option()


def naming(config: Config) -> None:
    """Mistakes with sections that are named."""
    config.each("backend")  # E: Argument 1 to "each" of "Config" has incompatible type "str"
    config.each(str)  # E: Value of type variable "S" of "each" of "Config" cannot be "str"
    size = config.each(Backend).size  # E: "Mapping[str, Backend]" has no attribute "size"
    group = config.each(Backend)["a"].group  # E: "Backend" has no attribute "group"
    config.each(Lvm)["a"] = Lvm(group="b", driver="lvm")  # E: Unsupported target for indexed
    Lvm(group="b")  # E: Missing named argument "driver" for "Lvm"
    assert size + group


def reading(api: Api, config: Config) -> None:
    """Mistakes in reading."""
    api.workers = 5  # E: Property "workers" defined in "Api" is read-only
    api.other = 5  # E: "Api" has no attribute "other"
    wrong = api.wokers  # E: "Api" has no attribute "wokers"
    api.password.upper()  # E: "Secret[str]" has no attribute "upper"
    len(api.password)  # E: Argument 1 to "len" has incompatible type
    text: str = api.workers  # E: Incompatible types in assignment
    config["api"]  # E: Invalid index type "str" for "Config"
    other = config.get(Api).workers  # E: Item "None" of "Api | None" has no attribute "workers"
    assert text + wrong + other


def making() -> None:
    """Mistakes in making and loading."""
    Api()  # E: Missing named argument "password" for "Api"
    Api(Secret("x"))  # E: Too many positional arguments for "Api"
    Api(password="x")  # E: Argument "password" to "Api" has incompatible type "str"
    Config.load([Api])  # E: Missing named argument "program" for "load" of "Config"
    Config.load([Api], program="x", unknown="hide")  # E: Argument "unknown" to "load"
    Config.load([str], program="x")  # E: List item 0 has incompatible type "type[str]"
