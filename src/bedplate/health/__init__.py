"""The health room's front door.

A `Board` knows how a process is, an `Agent` runs its checks, and listeners show it: ``serve`` on a
port or socket of its own, ``asgi_app`` and ``wsgi_app`` inside another server. What needs asyncio
or the configuration is loaded when it is first asked for.
"""

from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING

from bedplate.health.board import Board as Board
from bedplate.health.board import Indicator as Indicator
from bedplate.health.check import PASS as PASS
from bedplate.health.check import Answer as Answer
from bedplate.health.check import Check as Check
from bedplate.health.check import Kind as Kind
from bedplate.health.check import Outcome as Outcome
from bedplate.health.check import State as State
from bedplate.health.check import fail as fail
from bedplate.health.check import warn as warn
from bedplate.health.render import as_json as as_json
from bedplate.health.render import as_text as as_text
from bedplate.health.report import Level as Level
from bedplate.health.report import Report as Report
from bedplate.health.report import Result as Result

if TYPE_CHECKING:
    from bedplate.health.agent import Agent as Agent
    from bedplate.health.agent import in_background as in_background
    from bedplate.health.asgi import asgi_app as asgi_app
    from bedplate.health.options import HealthOptions as HealthOptions
    from bedplate.health.server import Listener as Listener
    from bedplate.health.server import serve as serve
    from bedplate.health.wsgi import wsgi_app as wsgi_app

__all__ = [
    "PASS",
    "Agent",
    "Answer",
    "Board",
    "Check",
    "HealthOptions",
    "Indicator",
    "Kind",
    "Level",
    "Listener",
    "Outcome",
    "Report",
    "Result",
    "State",
    "as_json",
    "as_text",
    "asgi_app",
    "fail",
    "in_background",
    "serve",
    "warn",
    "wsgi_app",
]

_LATER = MappingProxyType(
    {
        "Agent": "agent",
        "HealthOptions": "options",
        "Listener": "server",
        "asgi_app": "asgi",
        "in_background": "agent",
        "serve": "server",
        "wsgi_app": "wsgi",
    }
)


def __getattr__(name: str) -> object:
    home = _LATER.get(name)
    if home is None:
        raise AttributeError(f"module 'bedplate.health' has no attribute {name!r}")
    return getattr(import_module(f"bedplate.health.{home}"), name)
