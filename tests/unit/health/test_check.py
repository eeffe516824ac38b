"""What a check may be called, and what its answers mean."""

import pytest

from bedplate.health.check import PASS, Check, Outcome, blame, fail, judge, late, tidy, warn


def nothing() -> None:
    """Pass."""


@pytest.mark.parametrize("answer", [None, True, PASS])
def test_nothing_true_and_pass_pass(answer: object) -> None:
    """A check passes by returning None, True or an outcome that says so."""
    assert judge(answer) == PASS


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (False, "the check said no"),
        (0, "the check returned a int, not None, a bool or an Outcome"),
        ("fine", "the check returned a str, not None, a bool or an Outcome"),
        (("pass", "", ""), "the check returned a tuple, not None, a bool or an Outcome"),
    ],
)
def test_what_is_no_answer_fails_and_says_so(answer: object, reason: str) -> None:
    """A wrong kind of answer never passes for health, whatever its truth value."""
    assert judge(answer) == fail(reason)


def test_an_outcome_of_no_known_state_fails() -> None:
    """A misspelt state must not break the reports that it would stand in."""
    assert judge(Outcome("OK")) == fail(  # type: ignore[arg-type]  # the mistake itself
        "the check returned an Outcome of a state that there is not"
    )


def test_an_error_given_as_reason_is_taken_as_its_text() -> None:
    """Handing in the error itself is natural enough not to be punished."""
    assert judge(warn(ValueError("x"))).reason == "x"  # type: ignore[arg-type]  # as said


def test_an_outcome_keeps_its_state_and_loses_line_breaks() -> None:
    """What an application writes stays one line, so that it cannot forge other lines."""
    assert judge(warn("slow\n[+]fake ok", "at\tnoon")) == Outcome(
        "warn", "slow [+]fake ok", "at noon"
    )


def test_an_error_gives_its_class_as_reason_and_its_text_as_detail() -> None:
    """The text of an error may name hosts, so it is a detail; the class is harmless."""
    assert blame(ConnectionRefusedError("db7:5432 refused")) == fail(
        "ConnectionRefusedError", "db7:5432 refused"
    )


def test_an_error_that_cannot_be_printed_is_still_a_failure() -> None:
    """A broken ``__str__`` of somebody's error does not break the board."""

    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    assert blame(Broken()) == fail("Broken", "its text cannot be had (RuntimeError)")


def test_a_late_answer_names_the_time_it_had() -> None:
    """The reason of an overrun is the deadline, as people write it."""
    assert late(2.0) == fail("did not answer within 2 s")
    assert late(0.5).reason == "did not answer within 0.5 s"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("amqp://guest:geheim@host:5672/ refused", "amqp://****@host:5672/ refused"),
        ("amqp://guest:ge/he@im@host refused", "amqp://****@host refused"),
        ("login failed: password=geheim, host=h", "login failed: password=****, host=h"),
        ("{'Password': 'geheim und mehr', 'a': 1}", "{'Password': ****, 'a': 1}"),
        ('api_key: "geheim"', "api_key: ****"),
        ("token = geheim", "token = ****"),
        ("no secrets in here", "no secrets in here"),
    ],
)
def test_what_looks_like_a_secret_is_masked(text: str, shown: str) -> None:
    """Foreign error texts carry credentials; the usual shapes of them are not passed on."""
    assert tidy(text) == shown
    assert "geheim" not in tidy(text)


@pytest.mark.parametrize("odd", ["\n", "\x1b", "\x85", "\u2028", "\u202e", "\ud800", "\x00"])
def test_what_cannot_be_printed_becomes_a_blank(odd: str) -> None:
    """Neither line breaks of any script, nor terminal codes, nor half characters pass."""
    assert tidy(f"a{odd}b") == "a b"


def test_a_long_text_is_cut() -> None:
    """A report stays small whatever an error says."""
    assert len(tidy("x" * 10_000_000)) == 300


@pytest.mark.parametrize("name", ["", " db", "a b", "a\n", "é", "-x", "x" * 101, "a?b"])
def test_a_name_that_would_not_fit_into_a_line_or_url_is_refused(name: str) -> None:
    """Names stand in text lines, JSON keys and URLs unescaped."""
    with pytest.raises(ValueError, match="a check cannot be named"):
        Check.of(name, nothing)


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
def test_a_period_or_deadline_that_makes_no_sense_is_refused(seconds: float) -> None:
    """A check that would never run, or always, is a mistake of the program."""
    with pytest.raises(ValueError, match="the period of check 'x' cannot be"):
        Check.of("x", nothing, period=seconds)
    with pytest.raises(ValueError, match="the deadline of check 'x' cannot be"):
        Check.of("x", nothing, deadline=seconds)


def test_a_check_is_of_at_least_one_known_kind() -> None:
    """A misspelt kind would silently never be asked for."""
    with pytest.raises(ValueError, match="check 'x' is of kind reddy; choose among live, ready"):
        Check.of("x", nothing, kinds=["reddy"])  # type: ignore[list-item]  # the mistake itself
    with pytest.raises(ValueError, match="of kind nothing"):
        Check.of("x", nothing, kinds=())


def test_a_single_kind_may_be_written_without_brackets() -> None:
    """A string is one kind, not a bag of letters."""
    assert Check.of("x", nothing, kinds="live").kinds == {"live"}  # type: ignore[arg-type]  # kind to hands


def test_liveness_never_looks_at_a_shared_dependency() -> None:
    """An outage elsewhere must not restart every replica, so the combination is refused."""
    with pytest.raises(ValueError, match="both live and shared"):
        Check.of("x", nothing, kinds={"live", "ready"}, shared=True)
