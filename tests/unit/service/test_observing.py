"""The observers that a service's configuration names."""

import sys
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from bedplate import Service
from bedplate._floor import plugins
from bedplate.config import Finding
from bedplate.errors import InvalidConfig
from bedplate.messaging import notify

RPC, NOTIFY = "memory://observed-calls/", "memory://observed-events/"
_ARGV = ("--no-health.enabled", f"--transport.rpc.url={RPC}", f"--transport.notify.url={NOTIFY}")


def _service(conf: Path, text: str) -> Service:
    conf.write_text(f"[service]\nobservers = {text}\n")
    return Service("watched", argv=_ARGV, environ={}, files=(str(conf),))


class Hearing:
    """An observer that keeps what it hears."""

    made: "list[Hearing]"

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.made.append(self)

    def sent(self, _: object) -> None:
        self.heard.append("sent")

    def received(self, _: object) -> None:
        self.heard.append("received")

    def given_up(self, _: object) -> None:
        self.heard.append("given up")

    def opened(self, _: object) -> None:
        self.heard.append("opened")

    def closed(self, _: object) -> None:
        self.heard.append("closed")


def _offer(monkeypatch: pytest.MonkeyPatch, made: object) -> None:
    """Let every name of an observer be that of ``made``."""
    load = plugins.load

    def offered(group: str, name: str) -> object:
        return made if group == "bedplate.observers" else load(group, name)

    monkeypatch.setattr(plugins, "load", offered)


async def test_an_observer_named_in_configuration_hears_all_transports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each name makes one observer, which both transports of the service share."""
    Hearing.made = []
    _offer(monkeypatch, Hearing)
    async with _service(tmp_path / "watched.conf", "hearing, hearing") as service:
        await notify.Notifier(service.notify, "me").info("item.created")
    (one,) = Hearing.made
    assert one.heard.count("opened") == one.heard.count("closed") == 2
    assert one.heard.count("sent") == 1


async def test_a_service_may_follow_another_in_one_process(tmp_path: Path) -> None:
    """What an observer holds for the process, Prometheus its metrics, goes with its service."""
    for _ in range(2):
        async with _service(tmp_path / "watched.conf", "prometheus"):
            up = REGISTRY.get_sample_value("bedplate_links", {"line": "talk"})
            assert up == 2
        assert REGISTRY.get_sample_value("bedplate_links", {"line": "talk"}) is None


def _problems(service: Service) -> tuple[Finding, ...]:
    with pytest.raises(InvalidConfig) as caught, service:
        pass
    return caught.value.findings


def test_unknown_observers_are_told_with_their_place_and_the_nearest_name(tmp_path: Path) -> None:
    """All wrong names come at once, at start and from a check alike."""
    conf = tmp_path / "watched.conf"
    started = _problems(_service(conf, "otle, otel, nothing"))
    checked = _service(conf, "otle, otel, nothing").check().errors
    for findings in (started, checked):
        there = "(there are: otel, prometheus)."
        assert [str(each) for each in findings] == [
            f"{conf}:2:1: [service] observers: no observer is called {name} {there}{hint}"
            for name, hint in (("'otle'", " Did you mean 'otel'?"), ("'nothing'", ""))
        ]
        assert findings[0].suggestion == "otel"


def test_an_observer_whose_library_is_missing_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The extra is named, and so is the place where the observer was asked for."""
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    monkeypatch.delitem(sys.modules, "bedplate.observability.otel", raising=False)
    service = _service(tmp_path / "watched.conf", "otel")
    for findings in (service.check().errors, _problems(service)):
        (finding,) = findings
        assert "pip install 'bedplate[otel]'" in finding.message
        assert finding.line == 2


def test_an_observer_that_cannot_be_made_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What its constructor raises is told at the place of its name."""

    def broken() -> None:
        raise ValueError("there is one already")

    _offer(monkeypatch, broken)
    (finding,) = _problems(_service(tmp_path / "watched.conf", "broken"))
    assert "the observer 'broken' cannot be made: there is one already" in finding.message
