"""What all tests share: async tests run in a loop whose clock jumps.

A test that must live in real time (sockets of other processes, threads) takes ``real_time``.
"""

import asyncio
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
