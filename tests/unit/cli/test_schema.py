import json
import os
import sys
from pathlib import Path

import pytest

from bedplate.cli.program import run
from bedplate.config import read_schema

DATA = Path(__file__).parents[2] / "data" / "openstack"
OLD, NEW = (str(DATA / f"keystone-{version}-ns.json") for version in ("21.0.1", "30.0.0"))

DECLARED = '''
from bedplate.config import Secret, Section, option


class Api(Section):
    """The public interface."""

    workers: int = option(default=4, min=1, was=("threads",))
    password: Secret[str] = option(default=Secret("hunter2"))
'''


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a working directory with a module of sections in it."""
    (tmp_path / "declared_here.py").write_text(DECLARED)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "declared_here", raising=False)
    return tmp_path


def config(*arguments: str) -> int:
    return run(["config", *arguments])


def test_a_schema_written_is_read_wherever_one_is_wanted(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Sections become a file, and the file gives the same file again, and the same sample."""
    assert config("schema", "--sections", "declared_here:Api", "-o", "a.json") == 0
    assert config("schema", "--schema", "a.json") == 0
    assert capsys.readouterr().out == (place / "a.json").read_text()
    assert "hunter2" not in (place / "a.json").read_text()
    assert config("sample", "--schema", "a.json") == 0
    from_file = capsys.readouterr().out
    assert config("sample", "--sections", "declared_here:Api") == 0
    assert capsys.readouterr().out == from_file
    assert "#workers = 4\n" in from_file


def test_what_the_generator_printed_is_a_schema_too(place: Path) -> None:
    """A released option set goes in, our own file comes out, and both say the same."""
    assert config("schema", "--schema", NEW, "-o", "keystone.json") == 0
    assert read_schema(place / "keystone.json") == read_schema(NEW)


@pytest.mark.parametrize(
    ("form", "begins"),
    [
        ("ini", "[api]\n# The public interface.\n"),
        ("toml", "[api]\n# The public interface.\n"),
        ("markdown", "# Configuration\n"),
        ("md", "# Configuration\n"),
        ("rst", "Configuration\n====="),
    ],
)
def test_samples_come_in_four_forms(
    place: Path, capsys: pytest.CaptureFixture[str], form: str, begins: str
) -> None:
    """A file of one of two formats, or a page of one of two."""
    del place
    assert config("sample", "--sections", "declared_here:Api", "--format", form) == 0
    assert capsys.readouterr().out.startswith(begins)


def test_releases_are_counted_side_by_side(capsys: pytest.CaptureFixture[str]) -> None:
    """Each release is a row called by its file, in a table, in CSV and in JSON."""
    assert config("stats", OLD, NEW) == 0
    assert "keystone-30.0.0-ns        33      217" in capsys.readouterr().out
    assert config("stats", OLD, NEW, "--format", "csv") == 0
    assert capsys.readouterr().out.startswith("name,sections,options,")
    assert config("stats", OLD, NEW, "--format", "svg") == 0
    assert capsys.readouterr().out.startswith("<svg ")
    assert config("stats", OLD, "--json") == 0
    assert json.loads(capsys.readouterr().out)[0]["options"] == 209


def test_two_releases_are_compared(capsys: pytest.CaptureFixture[str]) -> None:
    """As text, as Markdown, and as an object of four lists; a difference is no failure."""
    assert config("diff", OLD, NEW) == 0
    assert capsys.readouterr().out.startswith("Added (18)\n")
    assert config("diff", OLD, NEW, "--markdown") == 0
    assert "\n## Options that are gone\n" in capsys.readouterr().out
    assert config("diff", OLD, NEW, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert list(told) == ["added", "gone", "renamed", "changed"]
    assert told["changed"][0] == {
        "section": "DEFAULT",
        "option": "max_param_size",
        "deprecated": {"old": None, "new": "since 2025.1: This option has had no effect."},
    }
    assert config("diff", OLD, OLD) == 0
    assert capsys.readouterr().out == "Nothing changed.\n"


def test_a_file_is_told_what_concerns_it(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 1 says that the file has to change; the file may be TOML."""
    (place / "my.conf").write_text("[Memcache]\ndead_retry = 3\n[DEFAULT]\nmax_param_size = 5\n")
    assert config("diff", OLD, NEW, "--file", "my.conf") == 1
    said = capsys.readouterr().out
    assert said.startswith("Gone (1)\n  memcache.dead_retry\n")
    assert said.count("\n  ") == 4
    assert "max_param_size\n      newly deprecated" in said
    (place / "my.toml").write_text("[DEFAULT]\nmax_param_size = 5\n")
    assert config("diff", OLD, NEW, "--file", "my.toml", "--json") == 0
    assert json.loads(capsys.readouterr().out)["gone"] == []


def test_a_value_that_the_new_release_refuses_is_told_with_its_line(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file has to change for it, as it has for what it now lacks; old errors are no news."""
    assert config("schema", "--sections", "declared_here:Api", "-o", "old.json") == 0
    declared = DECLARED.replace("default=4, min=1", "max=8").replace("Api", "Newer")
    declared = declared.replace("Newer(Section", 'Newer(Section, name="api"')
    (place / "declared_now.py").write_text(declared)
    assert config("schema", "--sections", "declared_now:Newer", "-o", "new.json") == 0
    (place / "my.conf").write_text("[api]\nworkers = 9\n")
    assert config("diff", "old.json", "new.json", "--file", "my.conf", "--json") == 1
    told = capsys.readouterr()
    assert [each["option"] for each in json.loads(told.out)["changed"]] == ["workers"]
    assert told.err.startswith("my.conf:2:1: error: [api] workers must be a whole number of at")
    assert told.err.endswith("[out-of-range]\n    workers = 9\n")
    (place / "my.conf").write_text("[api]\nthreads = x\n")
    assert config("diff", "old.json", "new.json", "--file", "my.conf") == 0
    assert capsys.readouterr().err == ""
    (place / "my.conf").write_text("")
    assert config("diff", "old.json", "new.json", "--file", "my.conf") == 1
    told = capsys.readouterr()
    assert "now required" in told.out
    assert "[missing-required]" in told.err


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("schema",), "in one way"),
        (("schema", "--schema", NEW, "--namespace", "x"), "in one way"),
        (("schema", "--namespace", "no.such.namespace"), "no namespace 'no.such.namespace'"),
        (("schema", "--schema", "missing.json"), "there is no such file"),
        (("sample", "--schema", "."), "it is a directory"),
        (("sample", "--schema", "pipe"), "it is no regular file"),
        (("stats", NEW, "binary"), "it is not text in UTF-8"),
        (("stats", "large"), "it is larger than 32 MiB"),
        (("stats", "other.json"), "it is neither the JSON Schema"),
        (("diff", NEW, "broken.json"), "it is not JSON (Expecting"),
        (("diff", OLD, NEW, "--json", "--markdown"), "contradict each other"),
        (("diff", OLD, NEW, "--file", "missing.conf"), "missing.conf could not be read"),
        (("diff", OLD, NEW, "--file", "."), "could not be read"),
        (("diff", OLD, NEW, "--file", "broken.conf"), "broken.conf:1:1: "),
        (("sample", "--schema", NEW, "-o", "no/such/place"), "cannot be written: No such file"),
        (("sample", "--schema", NEW, "-o", "."), "cannot be written: Is a directory"),
        (("sample", "--sections", "nowhere:Api"), "no module 'nowhere'"),
    ],
)
def test_a_users_mistake_is_a_sentence(
    place: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], why: str
) -> None:
    """Whatever is named that cannot be used, the status is 2 and nothing is printed but why."""
    os.mkfifo(place / "pipe")
    (place / "binary").write_bytes(b"\x89PNG\xff\xfe")
    (place / "other.json").write_text('{"name": "package"}')
    (place / "broken.json").write_text("{")
    (place / "broken.conf").write_text("nonsense\n")
    with (place / "large").open("wb") as large:
        large.truncate(100 * 1024 * 1024)
    assert config(*arguments) == 2
    printed = capsys.readouterr()
    assert why in printed.err
    assert "Traceback" not in printed.err
    assert printed.out == ""
