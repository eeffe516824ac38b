"""Which room may import which: the one place this is written down.

Each row names what a room may import beside itself and the standard library. A name is judged by
the file that defines it, so that no front door smuggles; a *door* may be entered only through the
package's own ``__init__``, as any outsider would. When a row turns out wrong, change it and say
why.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

__all__ = ["PLANNED", "ROOMS", "Row", "row_of"]


class Row(NamedTuple):
    """What a room may import; a room is named below ``bedplate.`` and includes what is in it."""

    may: tuple[str, ...] = ()
    """Rooms (and all in them) whose definitions it may use."""
    doors: tuple[str, ...] = ()
    """Packages and modules it may use by their front door only."""
    but_not: tuple[str, ...] = ()
    """Exceptions to ``may``."""
    third: tuple[str, ...] = ()
    """Libraries of others."""
    never: tuple[str, ...] = ()
    """Modules of the standard library it must not touch, not even inside a function."""
    exact: bool = False
    """Whether the row is for this one file, and what lies below needs rows of its own."""
    alone: bool = False
    """Whether files of this room must not import each other, those named ``_so`` excepted."""


IMPURE = ("asyncio", "random", "threading", "time")
"""What a pure file gets as arguments instead of importing it."""

WORLD = (*IMPURE, "selectors", "signal", "socket", "ssl", "subprocess")
"""What a protocol engine never touches."""

PURE = (
    "messaging.types",
    "messaging.calls",
    "messaging.receiving",
    "messaging.intake",
    "messaging.recovery",
    "messaging.figures",
    "messaging.policy",
    "messaging.observe",
)
"""The pure files of messaging, lowest first: each may use those before it."""

TRANSPORT = tuple(
    f"messaging.{name}"
    for name in (
        "transport",
        "lookup",
        "lifetimes",
        "switchboard",
        "inbox",
        "subscription",
        "consumer",
        "inflow",
        "parked",
        "browser",
        "parker",
        "parking",
        "delivery",
        "lookout",
        "line",
        "stage",
        "outbox",
        "wheel",
        "crew",
        "worker",
        "shift",
        "staffing",
    )
)
"""The files of the transport, and of what RPC and notifications share on top of it."""

CONFIG = ("config", "_floor.secret", "_floor.url")
"""Configuration, with the value types of its front door that live on the floor."""

BENEATH_TRANSPORT = (
    *PURE,
    "messaging.wire",
    "messaging.driver",
    "messaging.url",
    "config",
    "_floor",
    "clock",
    "errors",
)

FRONT_DOORS = (
    "bedplate",
    "config",
    "config.oslo",  # apart, because reading the option sets of others takes more than declaring
    "config.readers",  # apart, because a program that reads its configuration needs none of it
    "config.sources",
    "errors",
    "clock",
    "messaging",
    "messaging.rpc",
    "messaging.notify",
    "messaging.blocking",
    "health",
)

PLANNED = frozenset({"messaging.blocking", "pytest_plugin"})
"""Rooms whose rows stand before their first file."""

ROOMS: Mapping[str, Row] = MappingProxyType(
    {
        "bedplate": Row(doors=("service",), exact=True),
        "errors": Row(never=WORLD),
        "clock": Row(may=("errors",), never=("asyncio",)),
        "_floor": Row(may=("errors",), never=("asyncio",)),
        "_floor.portal": Row(may=("errors", "_floor")),
        "amqp091": Row(may=("errors",), never=WORLD),
        "config": Row(may=("_floor", "clock", "errors"), but_not=("_floor.portal",)),
        "config.sources": Row(
            may=("config", "_floor", "clock", "errors"), but_not=("_floor.portal",)
        ),
        **{
            name: Row(
                may=(*PURE[:height], "_floor.backoff", "clock", "errors"),
                third=("msgspec",),
                never=IMPURE,
            )
            for height, name in enumerate(PURE)
        },
        "messaging": Row(may=("messaging",), but_not=("messaging.drivers",), exact=True),
        "messaging.url": Row(may=(*CONFIG, "errors")),
        "messaging.wire": Row(
            may=("messaging.types", "_floor.cause", "errors"), third=("msgspec",), never=IMPURE
        ),
        "messaging.driver": Row(may=("messaging.types", "messaging.url", *CONFIG, "errors")),
        "messaging.drivers": Row(
            may=(
                "messaging.driver",
                "messaging.types",
                "messaging.url",
                *CONFIG,
                "clock",
                "errors",
                "amqp091",
            ),
            third=("msgspec",),
            alone=True,
        ),
        # The named brokers of the memory driver outlive its links; process-wide state has one home.
        "messaging.drivers.memory": Row(
            may=(
                "messaging.driver",
                "messaging.types",
                "messaging.url",
                *CONFIG,
                "clock",
                "errors",
                "_floor.process",
            ),
            third=("msgspec",),
        ),
        # A row of its own, so that its files may use each other; its queues need random names.
        "messaging.drivers.rabbit": Row(
            may=(
                "messaging.driver",
                "messaging.types",
                "messaging.url",
                *CONFIG,
                "clock",
                "errors",
                "_floor.token",
                "amqp091",
            ),
            third=("msgspec",),
        ),
        **{
            name: Row(may=(*TRANSPORT, *BENEATH_TRANSPORT), third=("msgspec",))
            for name in TRANSPORT
        },
        "messaging.rpc": Row(may=(*TRANSPORT, *BENEATH_TRANSPORT), third=("msgspec",)),
        "messaging.notify": Row(may=(*TRANSPORT, *BENEATH_TRANSPORT), third=("msgspec",)),
        "messaging.blocking": Row(
            may=(
                "messaging.transport",
                "messaging.rpc",
                "messaging.notify",
                "_floor.portal",
                "errors",
            )
        ),
        "health": Row(may=("config", "_floor", "clock", "errors")),
        "observability": Row(may=("messaging.observe",), doors=("health", "config"), alone=True),
        "observability.otel": Row(
            may=("messaging.observe",), doors=("health", "config"), third=("opentelemetry",)
        ),
        "observability.prometheus": Row(
            may=("messaging.observe",), doors=("health", "config"), third=("prometheus_client",)
        ),
        # Which options [transport.rpc] has, the driver of its URL says.
        "service": Row(may=("_floor",), doors=(*FRONT_DOORS, "messaging.driver", "messaging.url")),
        "demo": Row(doors=(*FRONT_DOORS, "service", "testing")),
        "bench": Row(may=("_floor.build",), doors=(*FRONT_DOORS, "service", "testing")),
        # Run by the Python of an environment that has this library and not bedplate.
        "bench.runner": Row(),
        "bench.peers.aio_pika_rpc": Row(third=("aio_pika",)),
        "bench.peers.aiormq_rpc": Row(third=("aiormq",)),
        "bench.peers.oslo_messaging_rpc": Row(third=("oslo_config", "oslo_messaging")),
        "bench.options_runner": Row(),
        "bench.peers.oslo_config_options": Row(third=("oslo_config",)),
        "bench.peers.pydantic_settings_options": Row(third=("pydantic", "pydantic_settings")),
        "bench.peers.dynaconf_options": Row(third=("dynaconf",)),
        "bench.peers.environ_config_options": Row(third=("attrs", "environ")),
        "cli": Row(
            may=("_floor.build",),
            doors=(*FRONT_DOORS, "service", "demo", "bench", "testing"),
            third=("click", "rich"),
        ),
        "testing": Row(
            may=("messaging.driver", "messaging.types", "messaging.url", "clock"),
            doors=FRONT_DOORS,
            third=("anyio", "pytest"),
        ),
        "pytest_plugin": Row(third=("pytest",)),
    }
)


def row_of(module: str) -> tuple[str, Row]:
    """Return the row that holds for a module (named below ``bedplate``): the most precise one."""
    name = module
    while name:
        if name in ROOMS and (name == module or not ROOMS[name].exact):
            return name, ROOMS[name]
        name = name.rpartition(".")[0]
    raise KeyError(module)
