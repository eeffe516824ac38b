"""The health pages as a WSGI application, to be served alone or mounted in another.

Answers from what the board knows; it neither runs checks nor waits for them.
"""

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING

from bedplate.health.board import Board
from bedplate.health.pages import Pages
from bedplate.health.report import Level

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

__all__ = ["wsgi_app"]

_Application = Callable[["WSGIEnvironment", "StartResponse"], Iterable[bytes]]
"""A WSGI application."""


def wsgi_app(board: Board, level: Level = "status") -> _Application:
    """Return a WSGI application that shows ``board`` at ``level``, closed by default.

    Mounted below a path, it answers to what ``PATH_INFO`` leaves. Raises ValueError for no such
    level.
    """
    pages = Pages(board, level)

    def app(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        page = pages.answer(
            environ.get("REQUEST_METHOD", "GET"),
            environ.get("PATH_INFO", ""),
            environ.get("QUERY_STRING", ""),
            environ.get("HTTP_ACCEPT", ""),
        )
        start_response(f"{page.status} {HTTPStatus(page.status).phrase}", list(page.headers))
        return [page.body]

    return app
