from collections.abc import Iterator

import pytest

from bedplate._floor import installed, plugins, process
from bedplate.errors import PluginNotFound

GROUP = "bedplate.tests"
KNOWN = ("broken", "deep", "module", "path", "two")


@pytest.fixture
def scans(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Offer plug-ins without installing them; give the groups that were scanned for."""
    asked: list[str] = []
    offered = [
        ("path", "os.path:join"),
        ("path", "os.path:join"),
        ("two", "os.path:join"),
        ("two", "os.path:split"),
        ("broken", "nowhere.at_all:x"),
        ("deep", "pathlib : Path.home [extra]"),
        ("module", "os.path"),
    ]

    def offers(group: str) -> list[tuple[str, str]]:
        asked.append(group)
        return offered if group == GROUP else []

    monkeypatch.setattr(installed, "offers", offers)
    cache = process.cell("plugins", dict[str, object])
    cache.empty()
    yield asked
    cache.empty()


def test_a_plug_in_is_found_by_name(scans: list[str]) -> None:
    """The object offered under a name is imported; installed twice it is still one."""
    import os.path

    assert plugins.load(GROUP, "path") is os.path.join
    assert plugins.names(GROUP) == KNOWN
    assert scans == [GROUP]


def test_a_plug_in_may_be_a_module_or_lie_deep(scans: list[str]) -> None:
    """The reference names a module and what to take from it; extras behind it mean nothing here."""
    import os.path
    from pathlib import Path

    assert plugins.load(GROUP, "module") is os.path
    assert plugins.load(GROUP, "deep") == Path.home
    assert scans == [GROUP]


def test_an_unknown_name_says_what_there_is(scans: list[str]) -> None:
    """The error names the group, what is installed in it, and a hint if one was given."""
    with pytest.raises(PluginNotFound) as caught:
        plugins.load(GROUP, "kafka", hint=" Install bedplate[kafka].")
    error = caught.value
    assert (error.group, error.name, error.known) == (GROUP, "kafka", KNOWN)
    assert str(error).endswith(f"(installed: {', '.join(KNOWN)}). Install bedplate[kafka].")
    assert scans == [GROUP]


def test_a_group_of_nothing_says_so(scans: list[str]) -> None:
    """Where nothing is installed the error says none."""
    with pytest.raises(PluginNotFound, match=r"\(installed: none\)"):
        plugins.load("bedplate.empty", "x")
    assert plugins.names("bedplate.empty") == ()
    assert scans == ["bedplate.empty"]


def test_two_packages_under_one_name_are_refused(scans: list[str]) -> None:
    """Nobody guesses which of two different plug-ins was meant."""
    del scans
    with pytest.raises(PluginNotFound, match=r"os\.path:join, os\.path:split.*uninstall all but"):
        plugins.load(GROUP, "two")


def test_what_an_import_raises_passes_through(scans: list[str]) -> None:
    """A plug-in that cannot be imported fails with its own error."""
    del scans
    with pytest.raises(ModuleNotFoundError, match="nowhere"):
        plugins.load(GROUP, "broken")


def test_the_shipped_drivers_are_found() -> None:
    """The installed package offers the memory driver."""
    assert "memory" in plugins.names("bedplate.drivers")
