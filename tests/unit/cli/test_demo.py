"""``bedplate demo``: a service to watch."""

import sys

import pytest

from bedplate.cli.__main__ import main


@pytest.mark.parametrize("status", [0, 1])
def test_the_demo_runs_and_its_status_is_ours(
    status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command runs the demo and ends as it does."""

    def shortened() -> int:
        sys.stdout.write("a tour\n")
        return status

    monkeypatch.setattr("bedplate.demo.main", shortened)
    assert main(["demo"]) == status
    assert capsys.readouterr().out == "a tour\n"
