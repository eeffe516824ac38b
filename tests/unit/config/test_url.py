import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.config import Host, Url
from bedplate.errors import SecretNotSerialisable

CANARY = "hunter2-canary"


def test_a_url_comes_apart() -> None:
    """Scheme, hosts, path, query and fragment are attributes."""
    url = Url("Rabbit://bob:p%40ss@mq1:5672,ann@[::1]:5673/v%2Fhost?heartbeat=5&x=#top")
    assert url.scheme == "rabbit"
    assert [tuple(host) for host in url.hosts] == [
        ("mq1", 5672, "bob", "p@ss"),
        ("::1", 5673, "ann", None),
    ]
    assert (url.path, url.query, url.fragment) == (
        "/v%2Fhost",
        (("heartbeat", "5"), ("x", "")),
        "top",
    )
    assert (url.host, url.port, url.user) == ("mq1", 5672, "bob")
    assert [host.where for host in url.hosts] == ["mq1:5672", "[::1]:5673"]


def test_a_url_may_have_no_host() -> None:
    """``sqlite:///x`` has a path and no host."""
    url = Url("sqlite:///var/x.db")
    assert (url.hosts, url.host, url.port, url.user, url.path) == ((), "", None, None, "/var/x.db")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"a://u:{CANARY}@h", "a://u:****@h"),
        (f"a://:{CANARY}@h:1/v", "a://:****@h:1/v"),
        (f"a://u:{CANARY}@h1,v:{CANARY}@h2/", "a://u:****@h1,v:****@h2/"),
        (f"a://u:x{CANARY}:y@h", "a://u:****@h"),
        (f"a://u:x@{CANARY}@h", "a://u:****@h"),
        (f"a://h?password={CANARY}&x=1", "a://h?password=****&x=1"),
        (f"a://h?API-Key={CANARY}", "a://h?API-Key=****"),
        (f"a://h?pass%77ord={CANARY}", "a://h?pass%77ord=****"),
        ("a://u@h?monkey=1", "a://u@h?monkey=1"),
    ],
)
def test_what_must_not_be_seen_is_masked(text: str, shown: str) -> None:
    """Passwords and values of secret-looking keys are masked in every printed form."""
    url = Url(text)
    assert (str(url), repr(url), f"{url}") == (shown, f"Url({shown!r})", shown)
    assert CANARY not in repr(url.hosts)
    assert url.reveal() == text
    assert url.has_secret() == (text != shown)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "host:5672",
        "no url",
        "://h",
        f"a://u:{CANARY}@h:99999",
        f"a://u:{CANARY}@h:port",
        f"a://u:{CANARY}@[::1",
        f"a://u:{CANARY}@[::1]x",
    ],
)
def test_what_is_no_url_is_refused_without_its_text(text: str) -> None:
    """The refusal says what a URL looks like and never repeats what was given."""
    with pytest.raises(ValueError, match=r"a URL") as caught:
        Url(text)
    assert CANARY not in str(caught.value)


@given(st.text(st.characters(blacklist_characters="@,/?#:[]", codec="utf-8"), max_size=20))
def test_a_quoted_password_reads_back(password: str) -> None:
    """A percent-encoded password is what it was before, and is never printed."""
    from urllib.parse import quote

    url = Url(f"a://user:{quote(password, safe='')}@host/")
    assert url.hosts[0].password == password
    assert str(url) == "a://user:****@host/"


@given(st.text())
def test_any_text_is_a_url_or_a_value_error(text: str) -> None:
    """No text makes reading fail in another way, and a URL keeps its text."""
    try:
        url = Url(text)
    except ValueError:
        return
    assert url.reveal() == text
    assert Url(url.reveal()) == url


def test_a_url_cannot_change() -> None:
    """A URL is a value: it is compared and hashed by its text and never changes."""
    url = Url("a://b")
    with pytest.raises(AttributeError, match="a Url cannot change"):
        url.scheme = "c"
    assert {url: 1}[Url("a://b")] == 1
    assert url != Url("a://c")
    assert url != "a://b"


def test_a_url_with_a_password_is_not_pickled() -> None:
    """A plain URL is pickled, one that holds a secret refused; copies are the URL itself."""
    plain, secret = Url("a://b"), Url(f"a://u:{CANARY}@b")
    assert pickle.loads(pickle.dumps(plain)) == plain  # noqa: S301 - our own bytes
    with pytest.raises(SecretNotSerialisable):
        pickle.dumps(secret)
    assert copy.deepcopy(secret) is copy.copy(secret) is secret


def test_a_host_prints_without_credentials() -> None:
    """The printed form of a host is its address."""
    assert repr(Host("mq", 5672, "bob", CANARY)) == "Host(mq:5672)"
    assert str(Host("::1", None, None, None)) == "Host([::1])"
