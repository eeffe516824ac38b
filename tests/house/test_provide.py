"""Installing the servers that tests want."""

import os
import shutil
from pathlib import Path

import pytest
from tests.house import provide


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[str, ...]]:
    """Pretend to be root on a Debian without the server; return what apt-get was asked."""
    asked: list[tuple[str, ...]] = []

    def apt_get(*arguments: str) -> bool:
        asked.append((*arguments, "held" if provide.POLICY.exists() else "free"))
        return True

    monkeypatch.setattr(provide, "apt_get", apt_get)
    monkeypatch.setattr(provide, "POLICY", tmp_path / "policy-rc.d")

    def which(name: str, *, path: str = "") -> str | None:
        return "/usr/bin/apt-get" if name == "apt-get" and not path else None

    monkeypatch.setattr(shutil, "which", which)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.delenv("RABBITMQ_URL", raising=False)
    return asked


def test_an_absent_server_is_installed_and_not_started(machine: list[tuple[str, ...]]) -> None:
    """As root on Debian the package is installed, while services are kept from starting."""
    provide.provide_rabbit()
    assert machine == [
        ("update", "held"),
        ("install", "--no-install-recommends", "rabbitmq-server", "openssl", "held"),
    ]
    assert not provide.POLICY.exists()


def test_somebody_elses_policy_is_left_alone(machine: list[tuple[str, ...]]) -> None:
    """A machine that already decides which services start keeps its own decision."""
    provide.POLICY.write_text("#!/bin/sh\nexit 0\n", encoding="utf-8")
    provide.provide_rabbit()
    assert provide.POLICY.read_text(encoding="utf-8") == "#!/bin/sh\nexit 0\n"
    assert len(machine) == 2


def test_where_nothing_may_be_installed_it_says_how(
    machine: list[tuple[str, ...]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Without the right to install, a sentence names the command."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    provide.provide_rabbit()
    assert machine == []
    assert "sudo apt-get install rabbitmq-server" in capsys.readouterr().err


def test_a_server_given_by_url_is_enough(
    machine: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """RABBITMQ_URL in the environment wins over installing anything."""
    monkeypatch.setenv("RABBITMQ_URL", "amqp://localhost/")
    provide.provide_rabbit()
    assert machine == []
