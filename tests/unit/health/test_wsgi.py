"""The WSGI application, under the standard library's validator."""

import io
import json
from wsgiref.types import WSGIEnvironment
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

from bedplate.health.board import Board
from bedplate.health.report import Level
from bedplate.health.wsgi import wsgi_app
from bedplate.testing import FakeClock


def ask(level: Level = "status", /, **environ: str) -> tuple[str, dict[str, str], bytes]:
    """Return status, headers and body of one request."""
    board = Board(clock=FakeClock())
    board.started()
    board.indicator("db").fail("REASON", "DETAIL")
    full: WSGIEnvironment = {
        "PATH_INFO": "/readyz",
        "QUERY_STRING": "",
        "SCRIPT_NAME": "",
        **environ,
    }
    setup_testing_defaults(full)
    full["wsgi.input"] = io.BytesIO()
    heard: list[tuple[str, dict[str, str]]] = []

    def start_response(
        status: str, headers: list[tuple[str, str]], exc_info: object = None
    ) -> "type[object]":
        assert exc_info is None
        heard.append((status, dict(headers)))
        return object

    answer = validator(wsgi_app(board, level))(full, start_response)
    body = b"".join(answer)
    getattr(answer, "close", lambda: None)()
    return *heard[0], body


def test_a_get_is_answered_with_the_page() -> None:
    """Status line, headers and body."""
    status, headers, body = ask()
    assert status == "503 Service Unavailable"
    assert headers["Content-Type"] == "text/plain; charset=utf-8"
    assert headers["Content-Length"] == "5"
    assert headers["Cache-Control"] == "no-store"
    assert body == b"fail\n"


def test_query_and_accept_are_heard() -> None:
    """The client chooses form and detail, up to the application's level."""
    _, _, body = ask("reasons", QUERY_STRING="verbose", HTTP_ACCEPT="application/json")
    assert json.loads(body)["checks"]["db"] == [{"status": "fail", "output": "REASON"}]


def test_head_has_no_body() -> None:
    """The headers are those of GET."""
    status, _, body = ask(REQUEST_METHOD="HEAD", PATH_INFO="/livez")
    assert (status, body) == ("200 OK", b"")


def test_refusals_are_pages_of_their_own() -> None:
    """Another verb and another path are answered here, in words, and never passed on."""
    status, headers, body = ask("full", REQUEST_METHOD="POST", PATH_INFO="/health")
    assert (status, headers["Allow"], body) == (
        "405 Method Not Allowed",
        "GET, HEAD",
        b"only GET and HEAD\n",
    )
    assert ask("full", PATH_INFO="/")[0] == "404 Not Found"
    assert ask("full", PATH_INFO="")[0] == "404 Not Found"


def test_mounted_below_a_path_it_answers_to_the_rest() -> None:
    """The mount point is in SCRIPT_NAME and not looked at."""
    assert ask(SCRIPT_NAME="/internal", PATH_INFO="/livez")[0] == "200 OK"
