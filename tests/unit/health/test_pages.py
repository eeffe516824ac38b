"""What a request for health is answered."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.health.board import Board
from bedplate.health.pages import PATHS, Page, Pages
from bedplate.health.report import LEVELS, Level
from bedplate.testing import FakeClock


def board() -> Board:
    """Return a started board with one failed and one good check."""
    made = Board(clock=FakeClock())
    made.started()
    made.indicator("db").fail("REASON", "DETAIL")
    made.indicator("own", kinds={"live"}).ok()
    return made


def header(page: Page, name: str) -> str:
    """Return the header of this name."""
    return dict(page.headers)[name]


def test_a_failed_report_is_a_503_and_a_good_one_a_200() -> None:
    """Machines read the status code alone."""
    pages = Pages(board())
    assert pages.answer("GET", "/readyz").status == 503
    assert pages.answer("GET", "/livez").status == 200
    assert pages.answer("GET", "/startedz").status == 200
    assert pages.answer("GET", "/health").status == 503


def test_a_warning_is_a_200() -> None:
    """A degraded service still serves."""
    made = Board(clock=FakeClock())
    made.started()
    made.indicator("db", shared=True).fail("gone")
    page = Pages(made).answer("GET", "/readyz")
    assert (page.status, page.body) == (200, b"warn\n")


def test_the_default_listener_tells_one_word_whatever_is_asked() -> None:
    """Closed by default: a query or a header opens nothing."""
    pages = Pages(board())
    for path in PATHS:
        for query in ("", "verbose", "verbose=1", "full", "level=full"):
            for accept in ("", "text/plain", "application/json", "application/health+json"):
                page = pages.answer("GET", path, query, accept)
                for word in (b"db", b"own", b"REASON", b"DETAIL"):
                    assert word not in page.body


def test_probes_say_one_word_unless_asked_for_more() -> None:
    """The runtime reads the code; a person adds ``?verbose``."""
    pages = Pages(board(), "reasons")
    assert pages.answer("GET", "/readyz").body == b"fail\n"
    assert pages.answer("GET", "/readyz", "a=b&verbose").body == (
        b"[+]service ok\n[-]db failed: REASON\nready: fail\n"
    )


def test_verbose_goes_up_to_the_level_of_the_listener_and_no_further() -> None:
    """A request can lower the level, never raise it."""
    body = Pages(board(), "names").answer("GET", "/readyz", "verbose").body
    assert b"[-]db failed: reason withheld" in body
    assert b"REASON" not in body


def test_the_health_page_is_json_about_everything() -> None:
    """The draft's media type, and checks of every kind."""
    page = Pages(board(), "reasons").answer("GET", "/health", accept="*/*")
    assert header(page, "Content-Type") == "application/health+json"
    assert set(json.loads(page.body)["checks"]) == {"service", "db", "own"}


@pytest.mark.parametrize(
    ("accept", "path", "content_type"),
    [
        ("", "/readyz", "text/plain; charset=utf-8"),
        ("*/*", "/readyz", "text/plain; charset=utf-8"),
        ("application/json", "/readyz", "application/json"),
        ("application/*", "/readyz", "application/health+json"),
        ("text/plain", "/health", "text/plain; charset=utf-8"),
        ("TEXT/*", "/health", "text/plain; charset=utf-8"),
        ("text/plain;q=0.5, application/json", "/readyz", "application/json"),
        ("application/json;q=0.1, text/plain;q=0.2", "/health", "text/plain; charset=utf-8"),
        ("application/json; q=0", "/health", "application/health+json"),
        ("application/json;q=many", "/readyz", "text/plain; charset=utf-8"),
        ("image/png", "/readyz", "text/plain; charset=utf-8"),
        ("image/png", "/health", "application/health+json"),
        ("application/json," * 500, "/readyz", "text/plain; charset=utf-8"),
    ],
)
def test_the_client_chooses_the_form(accept: str, path: str, content_type: str) -> None:
    """The best of what is offered; who likes nothing of it gets an answer all the same."""
    page = Pages(board()).answer("GET", path, accept=accept)
    assert header(page, "Content-Type") == content_type
    assert header(page, "Vary") == "Accept"


def test_answers_are_never_stored() -> None:
    """A cache between would tell of yesterday; refusals are no exception."""
    pages = Pages(board())
    for page in (
        pages.answer("GET", "/livez"),
        pages.answer("GET", "/nowhere"),
        pages.answer("POST", "/livez"),
    ):
        assert header(page, "Cache-Control") == "no-store"


def test_head_answers_like_get_without_a_body() -> None:
    """Same status, same headers, nothing else."""
    pages = Pages(board(), "full")
    for path in (*PATHS, "/nowhere"):
        got, head = pages.answer("GET", path), pages.answer("HEAD", path)
        assert head == got._replace(body=b"")
        assert header(head, "Content-Length") == str(len(got.body))


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "get", ""])
def test_other_verbs_are_refused(method: str) -> None:
    """Only reading is offered, and the answer says so."""
    page = Pages(board(), "full").answer(method, "/health")
    assert page.status == 405
    assert header(page, "Allow") == "GET, HEAD"
    assert page.body == b"only GET and HEAD\n"


@pytest.mark.parametrize(
    "path",
    ["", "/", "/livez/", "/LIVEZ", "/livez/db", "//livez", "/../livez", "/health?x", "/l" * 9999],
)
def test_other_paths_are_not_found(path: str) -> None:
    """A refusal is a page of its own and repeats nothing of the request."""
    page = Pages(board(), "full").answer("GET", path)
    assert page.status == 404
    assert page.body == b"nothing here; try /livez, /readyz, /startedz, /health\n"


def test_an_unknown_level_is_refused() -> None:
    """A misspelt level must not turn into an open one."""
    with pytest.raises(ValueError, match="there is no level 'all'; choose among status, names"):
        Pages(board(), "all")  # type: ignore[arg-type]  # the mistake itself


@given(
    method=st.text(max_size=10),
    path=st.one_of(st.sampled_from(PATHS), st.text()),
    query=st.text(),
    accept=st.text(alphabet=st.sampled_from("aplicton/jsxt*;q=0.19, +h\x00é")),
    level=st.sampled_from(LEVELS),
)
def test_whatever_is_asked_there_is_an_answer(
    method: str, path: str, query: str, accept: str, level: Level
) -> None:
    """No request raises, and each gets one of four answers."""
    page = Pages(board(), level).answer(method, path, query, accept)
    assert page.status in (200, 404, 405, 503)
    assert int(header(page, "Content-Length")) >= len(page.body)
