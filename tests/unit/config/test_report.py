"""What programs print about their configuration by themselves."""

import io
import sys

import pytest

from bedplate.config.report import put_out


@pytest.mark.parametrize(
    ("encoding", "printed"), [("ascii", rb"gr\xf6\xdfe"), ("utf-8", "größe".encode())]
)
def test_what_an_encoding_lacks_is_spelled_out(
    encoding: str, printed: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Help and findings of a program are no reason for it to end with a traceback."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, errors="strict")
    monkeypatch.setattr(sys, "stdout", stream)
    put_out("größe")
    stream.flush()
    assert raw.getvalue() == printed
