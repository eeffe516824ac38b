"""Mistakes with the health room that type checkers report."""

from bedplate import health


def text() -> str:
    """Return no answer."""
    return "fine"


board = health.Board()
board.add("text", text)  # E: Argument 2 to "add" of "Board" has incompatible type
board.add("kind", lambda: None, kinds={"reddy"})  # E: Argument 1 to <set> has incompatible type
board.report("alive")  # E: Argument 1 to "report" of "Board" has incompatible type
health.as_text(board.report(), "all")  # E: Argument 2 to "as_text" has incompatible type
health.HealthOptions(level="open")  # E: Argument "level" to "HealthOptions" has incompatible type
misspelt = board.report().state == "ok"  # E: Non-overlapping equality check
