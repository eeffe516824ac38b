"""Reading requests from bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.health.pages import Page
from bedplate.health.request import LIMIT, Request, read

CURL = b"GET /readyz?verbose HTTP/1.1\r\nHost: localhost:8086\r\nAccept: */*\r\n\r\n"


def refused(received: bytes, *, ended: bool = False) -> int:
    """Return the status of the refusal that these bytes get."""
    page = read(received, ended=ended)
    assert isinstance(page, Page)
    return page.status


def test_a_request_is_read_when_it_is_complete() -> None:
    """Until then more is waited for."""
    for end in range(len(CURL)):
        assert read(CURL[:end]) is None
    assert read(CURL) == Request("GET", "/readyz", "verbose", "*/*")


@pytest.mark.parametrize(
    ("received", "request_"),
    [
        (b"HEAD /livez HTTP/1.0\r\n\r\n", Request("HEAD", "/livez", "", "")),
        (b"GET /livez HTTP/1.0\n\n", Request("GET", "/livez", "", "")),
        (b"\r\nGET /livez HTTP/1.1\r\n\r\n", Request("GET", "/livez", "", "")),
        (b"GET http://h:1/livez?a HTTP/1.1\r\n\r\n", Request("GET", "/livez", "a", "")),
        (b"GET /x?a?b HTTP/1.1\r\n\r\n", Request("GET", "/x", "a?b", "")),
        (
            b"GET / HTTP/1.1\r\nACCEPT: a/b\r\nX:\r\naccept:c/d\r\n\r\nbody",
            Request("GET", "/", "", "a/b, c/d"),
        ),
        (b"OPTIONS * HTTP/1.0\r\n\r\n", Request("OPTIONS", "*", "", "")),
    ],
)
def test_what_probes_send_is_understood(received: bytes, request_: Request) -> None:
    """Old and new HTTP/1, typed by hand or by a machine."""
    assert read(received) == request_


@pytest.mark.parametrize(
    "received",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # a TLS greeting
        b"\x00" * 20,
        b"get / HTTP/1.1\r\n\r\n",
        b"{}",
        b"\r\n\r\n\r\n",
        b"\n\n\n",
        b" GET / HTTP/1.1",
    ],
)
def test_what_is_not_http_is_refused_at_once(received: bytes) -> None:
    """Nobody waits for the rest of what cannot become a request."""
    assert refused(received) == 400


@pytest.mark.parametrize(
    "received",
    [
        b"GET /livez\r\n\r\n",
        b"GET  /livez HTTP/1.1\r\n\r\n",
        b"GET /li vez HTTP/1.1\r\n\r\n",
        b"GET /liv\xc3\xa9 HTTP/1.1\r\n\r\n",
        b"GET /livez HTTP/1.1 \r\n\r\n",
        b"GET /livez HTTP/11\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost : x\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nA: b\r\n folded\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nA: b\rc\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nA: b\x00c\r\n\r\n",
        b"A" * 40 + b" / HTTP/1.1\r\n\r\n",
    ],
)
def test_what_is_almost_http_is_refused(received: bytes) -> None:
    """No guessing: what is malformed gets 400."""
    assert refused(received) == 400


def test_another_http_is_refused_by_name() -> None:
    """HTTP/2 with prior knowledge begins with a line of its own."""
    assert refused(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") == 505


def test_a_request_of_more_than_the_limit_is_not_read() -> None:
    """Neither in one piece nor in many, and one of the limit's size is."""
    room = LIMIT - len(b"GET / HTTP/1.1\r\nA: ")
    fits = b"GET / HTTP/1.1\r\nA: " + b"x" * room + b"\r\n\r\n"
    assert read(fits) == Request("GET", "/", "", "")
    assert [read(fits[:-missing]) for missing in (1, 2, 3, 4)] == [None] * 4
    assert refused(fits.replace(b"x\r", b"xx\r")) == 431
    assert refused(b"G" * (LIMIT + 4)) == 431


def test_a_client_that_ends_in_the_middle_is_told_so() -> None:
    """Half a request and an end of file are no request."""
    assert refused(b"GET / HT", ended=True) == 400


PIECES = st.sampled_from(
    (
        *(b"GET", b"HEAD", b" ", b"/", b"/livez", b"?a", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0"),
        *(b"\r\n", b"\n", b"\r", b"Host: x", b"Accept: a/b", b":", b"\x00", b"\xff", b"x" * 3000),
    )
)


@given(st.one_of(st.binary(max_size=200), st.lists(PIECES, max_size=14).map(b"".join)))
def test_any_bytes_in_any_pieces_give_the_same_answer(received: bytes) -> None:
    """Nothing raises, and it does not matter how the network cut it."""
    whole = read(received)
    steps = range(1, len(received) + 1, 1 if len(received) < 500 else 97)
    piecewise = next((found for end in steps if (found := read(received[:end]))), None)
    if piecewise is None:
        piecewise = read(received)
    assert piecewise == whole
