"""What mypy must know of a configuration, without a plug-in. Checked, never run."""

from enum import Enum
from typing import Literal, assert_type

from bedplate.config import (
    Changes,
    Config,
    Duration,
    Explanation,
    Finding,
    Port,
    Secret,
    Section,
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
