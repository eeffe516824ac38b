"""The import table holds: every import of the package is one its room may make."""

import sys

import pytest
from tests.house.rooms import PLANNED, ROOMS, Row, row_of
from tests.house.source import ROOT, Import, defined_in, imports, is_module, modules


def below(module: str) -> str:
    """Return a module's name below the package, ``bedplate`` for the package itself."""
    return module.partition(".")[2] or module


def inside(name: str, rooms: tuple[str, ...]) -> bool:
    """Whether a module is one of the rooms or lies in one."""
    return any(name == room or name.startswith(f"{room}.") for room in rooms)


def judge(module: str, asked: Import) -> str | None:
    """Return what is wrong with an import, or None."""
    room, row = row_of(below(module))
    top = asked.module.partition(".")[0]
    if top != "bedplate":
        return judge_foreign(room, row, top, asked)
    home = below(defined_in(asked.module, asked.name))
    written = home if is_module(asked.module, asked.name) else below(asked.module)
    parent, _, last = home.rpartition(".")
    if last.startswith("_") and parent and below(module).startswith(f"{parent}."):
        return None
    if inside(home, (room,)) and not (row.alone and home not in (below(module), room)):
        return None
    if written in row.doors or (inside(home, row.may) and not inside(home, row.but_not)):
        return None
    return f"the room {room} may not import {asked.name or written} of bedplate.{home}"


def judge_foreign(room: str, row: Row, top: str, asked: Import) -> str | None:
    """Return what is wrong with an import from outside the package, or None."""
    if top in sys.stdlib_module_names or top == "_typeshed":
        if top in row.never:
            return f"the room {room} gets {top} as an argument or not at all"
        return None
    if top in row.third:
        return None
    return f"the room {room} may not depend on {asked.module}"


@pytest.mark.parametrize("module", modules())
def test_a_module_imports_only_what_its_room_may(module: str) -> None:
    """Each import is one that the table of rooms allows."""
    path = modules()[module].relative_to(ROOT)
    wrong = [
        f"{path}:{asked.line}: {why}" for asked in imports(module) if (why := judge(module, asked))
    ]
    assert not wrong, "\n".join([*wrong, "the table is in tests/house/rooms.py"])


def test_every_module_belongs_to_a_room() -> None:
    """A new room needs a row before its first file."""
    without = []
    for module in modules():
        try:
            row_of(below(module))
        except KeyError:
            without.append(module)
    assert without == []


def test_the_table_names_rooms_and_not_ghosts() -> None:
    """A misspelt room in the table would allow nothing and hide that."""
    known = {below(module) for module in modules()} | PLANNED
    named = set(ROOMS)
    for row in ROOMS.values():
        named.update(row.may, row.doors, row.but_not)
    assert named - known == set()


@pytest.mark.parametrize(
    ("module", "asked"),
    [
        ("bedplate.errors", Import("bedplate.clock", "Clock", 1)),
        ("bedplate.config.tree", Import("msgspec", None, 1)),
        ("bedplate.config.tree", Import("bedplate._floor.portal", "Portal", 1)),
        ("bedplate.health", Import("bedplate.messaging", "Address", 1)),
        ("bedplate.messaging.types", Import("asyncio", None, 1)),
        ("bedplate.messaging.types", Import("bedplate.messaging.transport", None, 1)),
        ("bedplate.messaging.driver", Import("bedplate.messaging.transport", "Transport", 1)),
        ("bedplate.messaging.drivers.memory", Import("bedplate.messaging.transport", None, 1)),
        ("bedplate.messaging.drivers.other", Import("bedplate.messaging.drivers.memory", None, 1)),
        ("bedplate.messaging.transport", Import("bedplate.messaging.drivers.memory", None, 1)),
        ("bedplate.messaging.transport", Import("click", None, 1)),
        ("bedplate.cli", Import("bedplate._floor.plugins", "find", 1)),
        ("bedplate.cli", Import("bedplate.config.tree", "Tree", 1)),
        ("bedplate.demo", Import("bedplate._floor", None, 1)),
        ("bedplate.amqp091", Import("socket", "socket", 1)),
    ],
)
def test_what_the_table_forbids_is_seen(module: str, asked: Import) -> None:
    """The judge finds fault with imports that break the plan of the house."""
    assert judge(module, asked)


@pytest.mark.parametrize(
    ("module", "asked"),
    [
        ("bedplate.config.tree", Import("bedplate.errors", "Finding", 1)),
        ("bedplate.cli", Import("bedplate.config", "Config", 1)),
        ("bedplate.cli", Import("click", None, 1)),
        ("bedplate.messaging.transport", Import("bedplate.config", "Section", 1)),
        ("bedplate.messaging.transport", Import("asyncio", None, 1)),
        ("bedplate.service", Import("bedplate.messaging", "rpc", 1)),
        ("bedplate.service", Import("bedplate.config", "option", 1)),
    ],
)
def test_what_the_table_allows_passes(module: str, asked: Import) -> None:
    """The judge has nothing against imports that follow the plan of the house."""
    assert judge(module, asked) is None


def test_a_re_exported_name_is_judged_where_it_is_defined() -> None:
    """A front door cannot smuggle a name past the table."""
    assert defined_in("bedplate.config", "Host") == "bedplate._floor.url"
