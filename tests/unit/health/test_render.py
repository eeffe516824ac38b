"""How reports are drawn."""

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.health.check import State, tidy
from bedplate.health.render import as_json, as_text
from bedplate.health.report import LEVELS, Level, Report, Result

REPORT = Report(
    "ready",
    "fail",
    (
        Result("service", "pass", "pass"),
        Result("db", "fail", "fail", "ConnectionRefusedError", "db7:5432", wall=1.5, took=0.25),
        Result("mirror", "fail", "warn", "gone", shared=True),
        Result("queue", "warn", "warn", "is long"),
        Result("traffic", "unknown", "warn", "nothing seen yet"),
    ),
)


def test_text_at_level_status_is_one_word() -> None:
    """The default tells the state and nothing else."""
    assert as_text(REPORT, "status") == "fail\n"


def test_text_at_level_names_withholds_reasons() -> None:
    """Kubernetes' manner: what is wrong is named, why is not."""
    assert as_text(REPORT, "names").splitlines() == [
        "[+]service ok",
        "[-]db failed: reason withheld",
        "[-]mirror failed: reason withheld",
        "[!]queue warns: reason withheld",
        "[?]traffic unknown: reason withheld",
        "ready: fail",
    ]


def test_text_at_level_reasons_says_why() -> None:
    """Reasons, but no error texts and no times."""
    assert as_text(REPORT, "reasons").splitlines() == [
        "[+]service ok",
        "[-]db failed: ConnectionRefusedError",
        "[-]mirror failed: gone (shared: counts as warn)",
        "[!]queue warns: is long",
        "[?]traffic unknown: nothing seen yet",
        "ready: fail",
    ]


def test_text_at_level_full_tells_details_and_times() -> None:
    """All that is known."""
    lines = as_text(REPORT, "full").splitlines()
    assert lines[1] == "[-]db failed: ConnectionRefusedError: db7:5432 [250 ms]"


def test_a_report_about_everything_is_headed_health() -> None:
    """The whole has a name of its own."""
    assert as_text(REPORT._replace(kind=None), "names").endswith("health: fail\n")


def test_json_has_the_shape_of_the_draft() -> None:
    """Values of ``checks`` are arrays, and states are the words of the draft."""
    assert json.loads(as_json(REPORT, "full")) == {
        "status": "fail",
        "checks": {
            "service": [{"status": "pass"}],
            "db": [
                {
                    "status": "fail",
                    "output": "ConnectionRefusedError: db7:5432",
                    "time": "1970-01-01T00:00:01.500Z",
                    "observedValue": 0.25,
                    "observedUnit": "s",
                }
            ],
            "mirror": [{"status": "fail", "output": "gone"}],
            "queue": [{"status": "warn", "output": "is long"}],
            "traffic": [{"status": "warn", "output": "unknown: nothing seen yet"}],
        },
    }


def test_json_shows_only_what_its_level_allows() -> None:
    """Narrow levels have narrow documents."""
    assert json.loads(as_json(REPORT, "status")) == {"status": "fail"}
    names = json.loads(as_json(REPORT, "names"))["checks"]
    assert names["db"] == [{"status": "fail"}]
    assert names["traffic"] == [{"status": "warn"}]
    reasons = json.loads(as_json(REPORT, "reasons"))["checks"]
    assert reasons["db"] == [{"status": "fail", "output": "ConnectionRefusedError"}]


STATES: tuple[State, ...] = ("pass", "warn", "fail", "unknown")


@given(
    level=st.sampled_from(LEVELS),
    state=st.sampled_from(STATES),
    reason=st.text(),
    detail=st.text(),
)
def test_no_text_breaks_a_drawing(level: Level, state: State, reason: str, detail: str) -> None:
    """Whatever an error says, text has one line a check and JSON parses."""
    result = Result("x", state, state, tidy(reason), tidy(detail))
    report = Report("live", state, (result, result))
    assert as_text(report, level).encode().count(b"\n") == (1 if level == "status" else 3)
    assert len(as_text(report, level).splitlines()) == (1 if level == "status" else 3)
    assert json.loads(as_json(report, level))["status"] == state


@pytest.mark.parametrize("draw", [as_text, as_json])
@pytest.mark.parametrize(
    ("level", "hidden"),
    [
        ("status", ("db", "REASON", "DETAIL")),
        ("names", ("REASON", "DETAIL")),
        ("reasons", ("DETAIL",)),
    ],
)
def test_what_is_not_allowed_is_not_in_the_drawing(
    draw: Callable[[Report, Level], str], level: Level, hidden: tuple[str, ...]
) -> None:
    """Whoever may not see a thing cannot find it in the bytes."""
    report = Report("ready", "fail", (Result("db", "fail", "fail", "REASON", "DETAIL", took=1.0),))
    for word in hidden:
        assert word not in draw(report, level)
