"""What type checkers know about the health room."""

from collections.abc import Awaitable, Callable
from typing import assert_type

from bedplate import health


async def database() -> None:
    """Pass."""


def disk() -> health.Outcome:
    """Warn."""
    return health.warn("nearly full")


board = health.Board()
assert_type(board.add("database", database, kinds={"ready"}, shared=True), health.Check)
assert_type(board.add("disk", disk, kinds=("live", "ready")), health.Check)
assert_type(board.add("truth", lambda: True), health.Check)
assert_type(board.indicator("traffic", ttl=60), health.Indicator)
assert_type(board.report("ready"), health.Report)
assert_type(board.report().state, health.State)
assert_type(board.report().ok, bool)
assert_type(board.report().results, tuple[health.Result, ...])
assert_type(health.fail("gone").reason, str)
assert_type(health.as_text(board.report(), "names"), str)
assert_type(health.HealthOptions().port, int)
assert_type(health.HealthOptions().level, health.Level)
run: Callable[[], health.Answer | Awaitable[health.Answer]] = board.add("last", disk).run


async def serve() -> None:
    """Enter what is entered."""
    async with (
        health.Agent(board) as agent,
        health.serve(board, health.HealthOptions()) as listener,
    ):
        assert_type(agent, health.Agent)
        assert_type(listener, health.Listener | None)
    with health.in_background(board) as nothing:
        assert_type(nothing, None)
