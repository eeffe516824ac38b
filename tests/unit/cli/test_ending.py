"""What is fit to be said: nothing that steers a terminal, and no password."""

import time

import pytest

from bedplate.cli.ending import sayable


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ""),
        ("no URL: a@b", "no URL: a@b"),
        ("'rabbit://me:sesame@h/'.", "'rabbit://me:****@h/'."),
        ("x rabbit://me:ses@me@h/ y", "x rabbit://me:****@h/ y"),
        ("rabbit://me:ses/a,me:b@h/", "rabbit://me:****@h/"),
        ("rabbit://:sesame@h", "rabbit://:****@h"),
        ("rabbit://me:a@h1,me:b@h2/", "rabbit://me:****@h2/"),
        ("rabbit://me:****@h1,me:****@h2/", "rabbit://me:****@h1,me:****@h2/"),
        ("rabbit://me:****@h1,me:b@h2/", "rabbit://me:****@h2/"),
        ("rabbit://me@h:5672/", "rabbit://me@h:5672/"),
        ("http://h:80/a b@c", "http://h:80/a b@c"),
        ("a\x1b[2J\u202e\n", "a\\u001b[2J\\u202e\n"),
    ],
)
def test_a_sentence_is_fit_to_be_said(text: str, said: str) -> None:
    """Passwords of URLs are masked wherever they stand, and control characters spelled out."""
    assert sayable(text) == said


@pytest.mark.parametrize("part", ["://a:", "a@", "rabbit://a:b ", "://", "@:", "rabbit://a:b@c "])
def test_what_a_stranger_makes_long_takes_no_long_time(part: str) -> None:
    """A server may answer with an error of megabytes."""
    text = part * (2_000_000 // len(part))
    since = time.process_time()
    sayable(text)
    assert time.process_time() - since < 5
