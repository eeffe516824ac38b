"""What all tests share: async tests run in a loop whose clock jumps; servers are asked for by name.

A test that must live in real time (sockets of other processes, threads) takes ``real_time``.
A test that needs a server on this machine says ``@pytest.mark.needs("rabbit")``: where the server
is absent it is reported as not run, and under ``--require=rabbit`` the whole run fails at once.
"""

import asyncio
import os
import shutil
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import pytest

from bedplate.testing import TurnedLoop


@pytest.fixture
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Choose the loop of an async test: the turned one, or the system's for ``real_time``."""
    real = "real_time" in request.fixturenames
    return "asyncio", {"loop_factory": asyncio.SelectorEventLoop if real else TurnedLoop}


@pytest.fixture
def real_time() -> None:
    """Ask for the system's event loop and the machine's clock."""


# --- servers ------------------------------------------------------------------------------------


def program(name: str) -> str:
    """Return where a server's program is, or an empty string; sbin is not on everybody's path."""
    path = os.environ.get("PATH", os.defpath)
    sbin = os.environ.get("BEDPLATE_SBIN", "/usr/sbin:/usr/local/sbin")
    return shutil.which(name, path=os.pathsep.join(filter(None, (path, sbin)))) or ""


def given(variable: str) -> str:
    """Return the name of a variable that names a server; its value may hold a password."""
    return variable if os.environ.get(variable) else ""


SERVERS: Mapping[str, Callable[[], str]] = MappingProxyType(
    {
        "rabbit": lambda: (
            given("RABBITMQ_URL") or given("RABBITMQ_ROOT") or program("rabbitmq-server")
        )
    }
)
"""How to find each server: an answer says where it is, an empty one that it is absent."""


def standing(server: str) -> str:
    """Say in a few words whether a server can be had here."""
    where = SERVERS[server]()
    return f"found ({where})" if where else f"not run (no {server} server is installed)"


def check_names(names: list[str], where: str) -> None:
    """Refuse names of servers that do not exist, which would otherwise pass in silence."""
    unknown = sorted(set(names) - set(SERVERS))
    if unknown:
        known = ", ".join(SERVERS)
        raise pytest.UsageError(
            f"{where}: no server is named {', '.join(unknown)} (known: {known})"
        )


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer ``--require``."""
    parser.addoption(
        "--require",
        default="",
        metavar="NAME,…",
        help=f"fail when one of these servers is absent: {', '.join(SERVERS)}",
    )
    parser.addoption(
        "--rabbitmq-root",
        default="",
        metavar="DIR",
        help="start the RabbitMQ of the system installed in this folder, by chroot",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Fail before the first test when a required server is absent."""
    if root := config.getoption("--rabbitmq-root"):
        os.environ["RABBITMQ_ROOT"] = root
    required = [name for name in config.getoption("--require").split(",") if name]
    check_names(required, "--require")
    absent = [name for name in required if not SERVERS[name]()]
    if absent:
        raise pytest.UsageError("; ".join(f"--require={name}: {standing(name)}" for name in absent))


def pytest_report_header() -> list[str]:
    """Tell at the top which servers there are."""
    return [f"server {name}: {standing(name)}" for name in SERVERS]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests whose servers are absent, each saying which one."""
    for item in items:
        for marker in item.iter_markers("needs"):
            check_names(list(marker.args), item.nodeid)
            for name in marker.args:
                if not SERVERS[name]():
                    item.add_marker(pytest.mark.skip(reason=f"{name}: {standing(name)}"))


@pytest.fixture(scope="session", autouse=True)
def _record_servers(
    request: pytest.FixtureRequest, record_testsuite_property: Callable[[str, object], None]
) -> None:
    """Leave the servers' standing in the JUnit record, for whoever reports the whole run."""
    for name in SERVERS:
        needing = sum(
            name in marker.args
            for item in request.session.items
            for marker in item.iter_markers("needs")
        )
        tests = f"{needing} test{'' if needing == 1 else 's'}"
        record_testsuite_property(name, f"{standing(name)}, needed by {tests}")
