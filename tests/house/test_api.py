"""The public interface changes on purpose only."""

import difflib

from tests.house.api import KEPT, current


def test_the_public_interface_is_the_one_written_down() -> None:
    """Names and signatures are those of ``api.txt``; a change is written there knowingly."""
    kept, now = KEPT.read_text(encoding="utf-8"), current()
    changes = difflib.unified_diff(
        kept.splitlines(), now.splitlines(), "kept", "now", lineterm="", n=0
    )
    assert kept == now, "\n".join(
        [*changes, "If this is meant: ./run api, and a fragment under changes/ for users."]
    )
