"""What an HTTP request for health is answered, whoever received it. Pure.

Shared by the ASGI and WSGI applications and by the server of our own. Every request gets a page of
its own, refusals included; nothing is passed on, nothing is run, and a request can only ever lower
the level of detail that its listener was given.
"""

from typing import Final, Literal, NamedTuple, final

from bedplate.health.board import Board
from bedplate.health.check import Kind
from bedplate.health.render import as_json, as_text
from bedplate.health.report import LEVELS, Level

__all__ = ["PATHS", "Page", "Pages", "refusal"]

PATHS = ("/livez", "/readyz", "/startedz", "/health")
"""The paths answered: one for each kind, and one for the whole."""

_Form = Literal["text", "json", "health+json"]

_LONGEST_ACCEPT = 1000
_TEXT = "text/plain; charset=utf-8"
_NO_STORE = ("Cache-Control", "no-store")


class Page(NamedTuple):
    """An HTTP answer. ``body`` is empty for HEAD, whose ``Content-Length`` is that of GET."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


@final
class Pages:
    """The pages of one listener, at its level of detail.

    ``/livez``, ``/readyz`` and ``/startedz`` say one word, and with ``?verbose`` as much as the
    level allows; ``/health`` always says as much as the level allows, about everything.
    """

    __slots__ = ("_board", "level")

    def __init__(self, board: Board, level: Level = "status") -> None:
        """Show ``board`` at ``level``, closed by default. Raises ValueError for no such level."""
        if level not in LEVELS:
            raise ValueError(f"there is no level {level!r}; choose among {', '.join(LEVELS)}")
        self._board: Final = board
        self.level: Final = level

    def answer(self, method: str, path: str, query: str = "", accept: str = "") -> Page:
        """Answer a request. Never raises for what a client sent.

        200 for pass and warn, 503 for fail, 404 for another path, 405 for another method than GET
        and HEAD.
        """
        kind = _kind(path)
        if kind == "nothing":
            page = refusal(404, f"nothing here; try {', '.join(PATHS)}")
        elif method not in ("GET", "HEAD"):
            page = refusal(405, "only GET and HEAD", ("Allow", "GET, HEAD"))
        else:
            page = self._show(kind, query, accept)
        return page._replace(body=b"") if method == "HEAD" else page

    def _show(self, kind: Kind | Literal["all"], query: str, accept: str) -> Page:
        report = self._board.report(None if kind == "all" else kind)
        level: Level = self.level if kind == "all" or _verbose(query) else "status"
        form = _form(accept, "health+json" if kind == "all" else "text")
        if form == "text":
            body, content_type = as_text(report, level), _TEXT
        else:
            body, content_type = as_json(report, level), f"application/{form}"
        return _page(200 if report.ok else 503, body, content_type, (_NO_STORE, ("Vary", "Accept")))


def refusal(status: int, why: str, *headers: tuple[str, str]) -> Page:
    """Make the page of a request that is not served."""
    return _page(status, f"{why}\n", _TEXT, (_NO_STORE, *headers))


def _page(status: int, text: str, content_type: str, headers: tuple[tuple[str, str], ...]) -> Page:
    body = text.encode()
    length = str(len(body))
    return Page(
        status, (("Content-Type", content_type), ("Content-Length", length), *headers), body
    )


def _kind(path: str) -> Kind | Literal["all", "nothing"]:
    match path:
        case "/livez":
            return "live"
        case "/readyz":
            return "ready"
        case "/startedz":
            return "started"
        case "/health":
            return "all"
        case _:
            return "nothing"


def _verbose(query: str) -> bool:
    return any(field.partition("=")[0] == "verbose" for field in query.split("&"))


def _form(accept: str, otherwise: _Form) -> _Form:
    """Choose the form that an Accept header likes best.

    A client that likes nothing of ours still gets an answer: a probe must not fail over taste.
    """
    if len(accept) > _LONGEST_ACCEPT:
        return otherwise
    best, best_quality = otherwise, 0.0
    for entry in accept.split(","):
        media, *parameters = (part.strip().lower() for part in entry.split(";"))
        form = _offered(media, otherwise)
        quality = _quality(parameters)
        if form is not None and quality > best_quality:
            best, best_quality = form, quality
    return best


def _offered(media: str, otherwise: _Form) -> _Form | None:
    match media:
        case "application/health+json":
            return "health+json"
        case "application/json":
            return "json"
        case "text/plain" | "text/*":
            return "text"
        case "application/*":
            return "health+json"
        case "*/*":
            return otherwise
        case _:
            return None


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "q":
            try:
                return min(max(float(value), 0.0), 1.0)
            except ValueError:
                return 0.0
    return 1.0
