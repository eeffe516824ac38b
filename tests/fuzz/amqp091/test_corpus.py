"""A short, repeatable run of the fuzzer: its corpus, and some thousands of mutations."""

from pathlib import Path

import pytest
from tests.fuzz.amqp091.fuzz import CORPUS, check, fuzz, mend, seeds

FILES = sorted(CORPUS.glob("*.bin"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_input_of_the_corpus_keeps_the_promises(path: Path) -> None:
    """What behaved in its own way once is checked again: whole, cut, and among commands."""
    assert check(path.read_bytes())


def test_the_corpus_is_there() -> None:
    """An empty corpus would make the test above say nothing."""
    assert len(FILES) >= len(seeds())


def test_mutations_keep_the_promises() -> None:
    """Two thousand inputs from a fixed seed; longer runs stand in the log."""
    assert "no failure" in fuzz(7, runs=2000)


def test_mended_bytes_are_frames() -> None:
    """Mending makes lengths and end marks right and leaves good frames alone."""
    good = seeds()["basic.deliver-1"]
    assert mend(good) == good
    assert mend(good[:-1] + b"\0" + good).endswith(b"\xce")
