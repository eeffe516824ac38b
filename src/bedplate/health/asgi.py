"""The health pages as an ASGI application, to be served alone or mounted in another.

Answers from what the board knows; it neither runs checks nor waits for them.
"""

from collections.abc import Awaitable, Callable, MutableMapping

from bedplate.health.board import Board
from bedplate.health.pages import Pages
from bedplate.health.report import Level

__all__ = ["asgi_app"]

_Message = MutableMapping[str, object]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]

_Application = Callable[[_Message, _Receive, _Send], Awaitable[None]]
"""An ASGI 3 application."""


def asgi_app(board: Board, level: Level = "status") -> _Application:
    """Return an ASGI application that shows ``board`` at ``level``, closed by default.

    Mounted below a path, it answers to the rest of the path (``root_path`` is taken off). Raises
    ValueError for no such level.
    """
    pages = Pages(board, level)

    async def app(scope: _Message, receive: _Receive, send: _Send) -> None:
        match scope["type"]:
            case "http":
                await _answer(pages, scope, send)
            case "lifespan":
                await _live(receive, send)
            case "websocket":
                await receive()
                await send(
                    {"type": "websocket.close", "code": 1008, "reason": "no websockets here"}
                )
            case other:
                raise ValueError(f"the health application serves http, not {other!r}")

    return app


async def _answer(pages: Pages, scope: _Message, send: _Send) -> None:
    method, path, query, root = (
        str(scope.get("method", "GET")),
        str(scope.get("path", "")),
        scope.get("query_string", b""),
        str(scope.get("root_path", "")),
    )
    page = pages.answer(
        method,
        path[len(root) :] if root and path.startswith(f"{root}/") else path,
        query.decode("latin-1") if isinstance(query, bytes) else "",
        _accept(scope.get("headers")),
    )
    headers = [(name.lower().encode(), value.encode()) for name, value in page.headers]
    await send({"type": "http.response.start", "status": page.status, "headers": headers})
    await send({"type": "http.response.body", "body": page.body})


def _accept(headers: object) -> str:
    if isinstance(headers, list | tuple):
        for name, value in headers:
            if name == b"accept":
                return str(value, "latin-1")
    return ""


async def _live(receive: _Receive, send: _Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
