"""What importing a room costs: which modules come with it."""

import subprocess
import sys

import pytest

HEAVY = frozenset(
    (
        *("argparse", "asyncio", "concurrent.futures", "dataclasses", "difflib", "email", "http"),
        *("importlib.metadata", "inspect", "json", "logging", "multiprocessing", "pathlib"),
        *("random", "socket", "ssl", "subprocess", "tempfile", "tomllib"),
        *("ipaddress", "unittest", "urllib.parse", "urllib.request", "zipfile"),
    )
)
"""Parts of the standard library that cost milliseconds and that declaring options does not need."""


UNUSED = frozenset(
    (
        *("argparse", "difflib", "email", "hashlib", "http", "importlib.metadata", "json"),
        *(
            "multiprocessing",
            "pathlib",
            "random",
            "secrets",
            "shutil",
            "tempfile",
            "tomllib",
            "zipfile",
        ),
    )
)
"""What a client that calls and is answered has no use for."""


def brought_by(statement: str) -> set[str]:
    """Return the modules that a statement loads into a bare interpreter."""
    code = f"import sys; before = set(sys.modules); {statement}; print(*set(sys.modules) - before)"
    done = subprocess.run(
        (sys.executable, "-I", "-S", "-c", f"import sys; sys.path[:0] = {paths()!r}; {code}"),
        check=True,
        capture_output=True,
        text=True,
    )
    return set(done.stdout.split())


def paths() -> list[str]:
    """Return the search path without the working directory, for an interpreter without site."""
    import bedplate

    source = bedplate.__file__.rpartition("/bedplate/")[0]
    return [source, *(path for path in sys.path if path.endswith("site-packages"))]


def foreign(names: set[str]) -> set[str]:
    """Return the top-level packages that are neither ours nor the standard library's."""
    return {name.partition(".")[0] for name in names} - sys.stdlib_module_names - {"bedplate"}


def test_configuration_brings_nothing_foreign_and_nothing_heavy() -> None:
    """``import bedplate.config`` loads no library of others and nothing that starts slowly."""
    brought = brought_by("import bedplate.config")
    assert foreign(brought) == set()
    assert brought & HEAVY == set()
    assert {name for name in brought if name.startswith("bedplate.")} == {
        name for name in brought if name.startswith(("bedplate.config", "bedplate._floor"))
    } | {"bedplate.errors"} | ({"bedplate.clock"} & brought)


def test_a_client_brings_nothing_it_does_not_use() -> None:
    """RPC with the RabbitMQ driver, which weighs 6 MB as it is, loads none of these heavy parts."""
    client = "from bedplate.messaging import Transport, rpc, find_driver; find_driver('rabbit')"
    brought = brought_by(client) - brought_by("import asyncio, msgspec")
    assert "bedplate.messaging.drivers.rabbit._link" in brought
    assert foreign(brought) <= {"msgspec", "typing_extensions"}
    assert brought & UNUSED == set()


def test_the_package_itself_brings_almost_nothing() -> None:
    """``import bedplate`` tells the version and loads no room."""
    assert {name for name in brought_by("import bedplate") if "bedplate" in name} == {"bedplate"}


@pytest.mark.parametrize("room", ["errors", "clock", "messaging.types", "health", "testing"])
def test_a_room_does_not_bring_the_command_line(room: str) -> None:
    """No room loads click, rich or pytest: those are for extras.

    (msgspec takes typing_extensions where it happens to be installed.)
    """
    assert foreign(brought_by(f"import bedplate.{room}")) <= {"msgspec", "typing_extensions"}
