import importlib.metadata
import sys
import zipfile
from pathlib import Path

import pytest

from bedplate._floor import installed

ENTRY_POINTS = """
# a comment
[other]
x = os.path:split
[bedplate.tests]
one = os.path:join
; another
two=os.path : split [extra]
[more]
one = os:sep
"""


def package(folder: Path, name: str, text: str) -> None:
    """Leave what an installed package leaves."""
    (folder / name).mkdir(parents=True)
    (folder / name / "entry_points.txt").write_text(text, encoding="utf-8")


def test_what_is_installed_here_is_found_as_the_standard_library_finds_it() -> None:
    """For every group there is, names and references are those of importlib.metadata."""
    expected = importlib.metadata.entry_points()
    assert {"bedplate.drivers", "console_scripts"} <= set(expected.groups)
    for group in expected.groups:
        points = {(point.name, point.value) for point in expected.select(group=group)}
        assert set(installed.offers(group)) == points


def test_the_file_is_read_line_by_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the group's own lines count; comments and other groups do not."""
    package(tmp_path, "some_thing-1.0.dist-info", ENTRY_POINTS)
    monkeypatch.setattr(sys, "path", [str(tmp_path), str(tmp_path / "absent")])
    assert installed.offers("bedplate.tests") == (
        ("one", "os.path:join"),
        ("two", "os.path : split [extra]"),
    )
    assert installed.offers("bedplate.nothing") == ()


def test_the_first_of_two_installations_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package that is installed twice offers what its first installation does."""
    package(tmp_path / "a", "Some.Thing-2.0.dist-info", "[g]\nnew = os:sep\n")
    package(tmp_path / "b", "some_thing-1.0.egg-info", "[g]\nold = os:sep\n")
    package(tmp_path / "b", "another.egg-info", "[g]\nmore = os:sep\n")
    (tmp_path / "b" / "bare-1.0.dist-info").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path / "a"), str(tmp_path / "b")])
    assert installed.offers("g") == (("new", "os:sep"), ("more", "os:sep"))


def test_a_package_in_an_archive_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the search path holds more than folders, the standard library is asked."""
    archive = tmp_path / "packed.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("packed-1.0.dist-info/METADATA", "Name: packed\nVersion: 1.0\n")
        file.writestr("packed-1.0.dist-info/entry_points.txt", "[g]\nname = os:sep\n")
    monkeypatch.setattr(sys, "path", [str(archive)])
    assert installed.offers("g") == (("name", "os:sep"),)


def test_an_importer_that_knows_packages_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A frozen program's own importer may know packages that lie in no folder."""

    class Frozen:
        def find_spec(self, *_: object) -> None: ...
        def find_distributions(self, *_: object) -> tuple[()]:
            asked.append(True)
            return ()

    asked: list[bool] = []
    monkeypatch.setattr(sys, "meta_path", [Frozen(), *sys.meta_path])
    installed.offers("bedplate.drivers")
    assert asked
