"""The ASGI application, driven as a server drives it."""

import asyncio
import json
from collections.abc import MutableMapping

import pytest

from bedplate.health.agent import Agent
from bedplate.health.asgi import asgi_app
from bedplate.health.board import Board
from bedplate.health.report import Level
from bedplate.testing import FakeClock, TurnedLoop

Message = MutableMapping[str, object]


def board() -> Board:
    """Return a started board with a failed check."""
    made = Board(clock=FakeClock())
    made.started()
    made.indicator("db").fail("REASON", "DETAIL")
    return made


async def talk(scope: Message, *received: Message, level: Level = "status") -> list[Message]:
    """Serve one scope and return what was sent."""
    sent: list[Message] = []
    waiting = list(received)

    async def receive() -> Message:
        await asyncio.sleep(0)
        return waiting.pop(0)

    async def send(message: Message) -> None:
        await asyncio.sleep(0)
        sent.append(message)

    await asgi_app(board(), level)(scope, receive, send)
    return sent


def http(path: str, **more: object) -> Message:
    """Return the scope of a GET."""
    return {"type": "http", "method": "GET", "path": path, "query_string": b"", **more}


async def test_a_get_is_answered_with_the_page() -> None:
    """Status, headers in lower case bytes, and the body in one piece."""
    start, body = await talk(http("/readyz"))
    assert start["type"] == "http.response.start"
    assert start["status"] == 503
    assert start["headers"] == [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"5"),
        (b"cache-control", b"no-store"),
        (b"vary", b"Accept"),
    ]
    assert body == {"type": "http.response.body", "body": b"fail\n"}


async def test_query_and_accept_are_heard() -> None:
    """The client chooses form and detail, up to the application's level."""
    headers = [(b"host", b"x"), (b"accept", b"application/json")]
    _, body = await talk(http("/readyz", query_string=b"verbose", headers=headers), level="reasons")
    assert isinstance(body["body"], bytes)
    assert json.loads(body["body"])["checks"]["db"] == [{"status": "fail", "output": "REASON"}]


async def test_head_has_no_body() -> None:
    """The headers are those of GET."""
    start, body = await talk(http("/livez", method="HEAD"))
    assert start["status"] == 200
    assert body["body"] == b""


async def test_mounted_below_a_path_it_answers_to_the_rest() -> None:
    """Servers differ in whether the path still holds the mount point; both work."""
    for path in ("/internal/livez", "/livez"):
        start, _ = await talk(http(path, root_path="/internal"))
        assert start["status"] == 200
    start, _ = await talk(http("/internallivez", root_path="/internal"))
    assert start["status"] == 404


async def test_another_verb_is_refused_here_and_passed_on_to_nobody() -> None:
    """The refusal is a page of its own."""
    start, body = await talk(http("/health", method="POST"), level="full")
    assert start["status"] == 405
    assert body["body"] == b"only GET and HEAD\n"


async def test_a_poor_scope_is_enough() -> None:
    """Only what ASGI guarantees is relied upon."""
    start, _ = await talk({"type": "http", "path": "/livez"})
    assert start["status"] == 200


async def test_it_can_be_served_alone() -> None:
    """The lifespan protocol is answered, so that servers do not complain."""
    assert await talk(
        {"type": "lifespan"}, {"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}
    ) == [{"type": "lifespan.startup.complete"}, {"type": "lifespan.shutdown.complete"}]


async def test_a_websocket_is_turned_away() -> None:
    """There is nothing to subscribe to."""
    (close,) = await talk({"type": "websocket"}, {"type": "websocket.connect"})
    assert close["type"] == "websocket.close"


async def test_an_unknown_protocol_is_refused_as_asgi_asks() -> None:
    """An exception tells the server that the scope is not supported."""
    with pytest.raises(ValueError, match="serves http, not 'smtp'"):
        await talk({"type": "smtp"})


async def test_a_probe_is_answered_at_once_while_a_check_hangs_for_ever() -> None:
    """The answer comes from what is known; no time passes on the clock."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, TurnedLoop)
    made = Board(clock=loop)
    made.started()
    answers: list[object] = []

    async def hang() -> None:
        await asyncio.Event().wait()

    async def receive() -> Message:
        raise AssertionError("nothing of the request's body is needed")

    async def send(message: Message) -> None:
        answers.append(message.get("status", message.get("body")))

    made.add("hang", hang, deadline=2)
    async with Agent(made):
        await asyncio.sleep(1)
        began = loop.time()
        await asgi_app(made)(http("/readyz"), receive, send)
        await asgi_app(made)(http("/livez"), receive, send)
        assert loop.time() == began
    assert answers == [503, b"fail\n", 200, b"pass\n"]
