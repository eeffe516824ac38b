"""``bedplate config``: what people and programs get to read."""

import json
import sys
from pathlib import Path

import pytest

from bedplate.cli.__main__ import main

DECLARED = '''
from bedplate.config import Secret, Section, option

class Api(Section):
    """The public interface."""
    workers: int = option(default=4, min=1, max=64, help="Worker threads.")
    password: Secret[str] = option(help="Administrator's password.")

class Log(Section, name="DEFAULT"):
    """How much is told."""
    debug: bool = option(default=False, help="Tell everything.")

EVERYTHING = (Api, Log)
A_LIST = [Log]
NOTHING = ()
NUMBER = 3
MIXED = (Api, int)
'''
GOOD = "debug = true\n[api]\nworkers = 8\npassword = sesame\n".replace("debug", "[DEFAULT]\ndebug")


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a folder with a module of sections and a good file, and no variables set."""
    (tmp_path / "declared.py").write_text(DECLARED)
    (tmp_path / "inventory.conf").write_text(GOOD)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "declared", raising=False)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return tmp_path


def config(verb: str, *arguments: str, sections: str = "declared:EVERYTHING") -> int:
    """Run a command on the good file unless others are named."""
    return main(["config", verb, *arguments, "--sections", sections])


# --- check --------------------------------------------------------------------------------------


def test_a_good_file_is_good(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing found is one line and status 0."""
    assert config("check", "inventory.conf") == 0
    assert capsys.readouterr().out == "inventory.conf: good\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("inventory.conf", "--sections", "declared:Api", "declared:Log"),
        ("--sections", "declared:Api", "declared:Log", "inventory.conf"),
        ("--sections=declared:Api", "declared:Log", "--json", "inventory.conf"),
        ("--sections", "declared:Api", "--sections", "declared:Log", "inventory.conf"),
    ],
)
def test_sections_may_be_named_one_after_the_other(arguments: tuple[str, ...]) -> None:
    """--sections takes all the names that follow it, before or after the files."""
    assert main(["config", "check", *arguments]) == 0


def test_every_problem_is_told_with_its_place(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All problems come at once, each at file, line and column, with what was meant."""
    (place / "bad.conf").write_text("[api]\nworkers = many\npasword = sesame\n")
    assert config("check", "bad.conf") == 1
    said = capsys.readouterr().out
    lines = said.splitlines()
    assert any(line.startswith("bad.conf:2:") and "[wrong-type]" in line for line in lines)
    assert any(line.startswith("bad.conf:3:") and "'password'" in line for line in lines)
    assert lines[-1] == "bad.conf: 2 errors"
    assert "sesame" not in said


def test_a_file_that_is_not_text_is_a_problem_with_a_place(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bytes that are not UTF-8, and a byte order mark, are told where they are."""
    (place / "latin.conf").write_bytes(b"[api]\npassword = caf\xe9\n")
    (place / "bom.conf").write_bytes(b"\xef\xbb\xbf[api]\npassword = x\n")
    assert config("check", "latin.conf") == 1
    assert "latin.conf:2:" in capsys.readouterr().out
    assert config("check", "bom.conf") == 1
    assert "bom.conf:1:" in capsys.readouterr().out


def test_several_files_are_one_configuration(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A later file beats an earlier one, and both are judged together."""
    (place / "base.conf").write_text("[api]\npassword = sesame\n")
    (place / "site.conf").write_text("[api]\nworkers = 2\n")
    assert config("check", "base.conf", "site.conf") == 0
    assert capsys.readouterr().out == "base.conf, site.conf: good\n"


# --- show ---------------------------------------------------------------------------------------


def test_values_in_force_are_shown_with_their_origin(capsys: pytest.CaptureFixture[str]) -> None:
    """Each option stands with its value and where it was written; a secret is masked."""
    assert config("show", "inventory.conf") == 0
    said = capsys.readouterr().out
    assert "api.workers  = 8  (inventory.conf:4:1)" in said
    assert "api.password = ****  (inventory.conf:5:1)" in said
    assert "debug        = true  (inventory.conf:2:1)" in said
    assert "sesame" not in said


def test_variables_count_as_they_would_for_the_service(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Variables of the service, named after the file or by --program, beat files unless refused."""
    monkeypatch.setenv("INVENTORY_API__WORKERS", "2")
    monkeypatch.setenv("STORE_API__WORKERS", "3")
    config("show", "inventory.conf")
    assert "api.workers  = 2  (INVENTORY_API__WORKERS)" in capsys.readouterr().out
    config("show", "inventory.conf", "--program", "store")
    assert "api.workers  = 3  (STORE_API__WORKERS)" in capsys.readouterr().out
    config("show", "inventory.conf", "--no-environment")
    assert "api.workers  = 8" in capsys.readouterr().out


def test_rows_are_data_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    """``--json`` gives section, option, value and the parts of its origin."""
    assert config("show", "inventory.conf", "--json", sections="declared:Api") == 0
    said = capsys.readouterr().out
    workers, password = json.loads(said)
    assert (workers["key"], workers["value"]) == ("api.workers", "8")
    assert (workers["origin"]["file"], workers["origin"]["line"]) == ("inventory.conf", 4)
    assert (password["value"], password["secret"]) == ("****", True)
    assert "sesame" not in said


def test_on_a_terminal_a_table_is_drawn(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A person gets a table with a head; values are text, never markup."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("INVENTORY_DEFAULT__DEBUG", "true")
    assert config("show", "inventory.conf") == 0
    said = capsys.readouterr().out
    assert "option" in said.splitlines()[0]
    assert "INVENTORY_DEFAULT__DEBUG" in said


def test_a_value_cannot_speak_to_the_terminal(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Signs that are not for reading, and ends of lines, are spelled out."""
    (place / "declared.py").write_text(
        "from bedplate.config import Section, option\n"
        "class Api(Section):\n    title: str = option(default='', help='A title.')\n"
    )
    (place / "loud.conf").write_bytes(b"[api]\ntitle = \x1b[31mred\n  and more\n")
    assert config("show", "loud.conf", sections="declared:Api") == 0
    said = capsys.readouterr().out
    assert len(said.splitlines()) == 1
    assert "\x1b" not in said
    assert r"\x1b[31mred" in said


def test_a_wrong_file_cannot_be_shown(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Showing values that are not valid is refused with what is wrong, on standard error."""
    (place / "bad.conf").write_text("[api]\nworkers = 99\npassword = x\n")
    assert config("show", "bad.conf") == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "bad.conf:2:1" in said.err


# --- explain ------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [("api.workers", "inventory.conf"), ("inventory.conf", "debug")])
def test_an_option_is_explained(order: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """Options and files may stand in any order; the value comes with origin and losers."""
    assert config("explain", *order) == 0
    said = capsys.readouterr().out
    assert "inventory.conf:" in said
    assert "declared default" in said


def test_all_options_are_explained_when_none_is_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Without a name every option is explained, as data if asked for, secrets masked."""
    assert config("explain", "inventory.conf", "--json") == 0
    said = capsys.readouterr().out
    assert [each["key"] for each in json.loads(said)] == ["api.workers", "api.password", "debug"]
    assert json.loads(said)[0]["losers"][0]["value"] == "4"
    assert "sesame" not in said


def test_an_unknown_option_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt option is answered with the nearest name."""
    assert config("explain", "api.workes", "inventory.conf") == 2
    said = capsys.readouterr().err
    assert "'api.workes' is not a file here" in said
    assert "api.workers" in said


def test_an_option_without_its_section_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever leaves the section out is told where there is such an option."""
    assert config("explain", "workers", "inventory.conf") == 2
    assert "Did you mean 'api.workers'?" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["explain", "api.workers"], ["show"]])
def test_without_files_the_service_is_named(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Then it is about defaults and its variables; without either there is nothing to read."""
    verb, *names = command
    assert config(verb, *names) == 2
    assert "or with --program the service that is meant" in capsys.readouterr().err
    monkeypatch.setenv("INVENTORY_API__WORKERS", "12")
    monkeypatch.setenv("INVENTORY_API__PASSWORD", "sesame")
    assert config(verb, *names, "--program", "inventory") == 0
    said = capsys.readouterr().out
    assert "INVENTORY_API__WORKERS" in said
    assert "12" in said
    assert "sesame" not in said


# --- wrong use ----------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["check", "show"])
@pytest.mark.parametrize(
    ("file", "why"), [("none.conf", "there is no file none.conf"), (".", ". is a directory")]
)
def test_a_file_that_is_none_is_wrong_use(
    verb: str, file: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A missing file and a directory are told in a sentence, with status 2."""
    assert config(verb, file) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"bedplate: {why}")
    assert len(said.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("named", "why"),
    [
        ("nowhere:Api", "there is no module 'nowhere' here or installed."),
        ("../declared:Api", "'../declared' is no name of a module; write it as in an import"),
        ("./declared.py:Api", "is no name of a module"),
        ("declared.py:Api", "(write 'declared', without .py)"),
        ("declared:Appi", "no 'Appi' (its sections: Api, Log)"),
        ("declared:NUMBER", "declared:NUMBER is not a section but an object of type int"),
        ("declared:MIXED", "is not a section but the class int"),
        ("declared:NOTHING", "holds no sections"),
        ("declared", "write them as module:Name"),
        ("broken:Api", "the module broken cannot be imported: ZeroDivisionError"),
        ("leaving:Api", "the module leaving cannot be imported: SystemExit"),
        ("wanting:Api", "the module wanting cannot be imported: No module named 'a_library'"),
    ],
)
def test_sections_that_are_none_are_wrong_use(
    place: Path, named: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever is wrong with the sections named is one sentence with status 2."""
    (place / "broken.py").write_text("1 / 0\n")
    (place / "leaving.py").write_text("raise SystemExit('bye')\n")
    (place / "wanting.py").write_text("import a_library\n")
    assert config("check", "inventory.conf", sections=named) == 2
    said = capsys.readouterr().err
    assert said.startswith("bedplate: ")
    assert why in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("named", ["declared:Api,Log", "declared:EVERYTHING", "declared:A_LIST"])
def test_sections_are_named_in_several_ways(named: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A class, several of them, a tuple or a list: each gives its sections once."""
    arguments = ["config", "show", "inventory.conf", "--sections", named]
    assert main([*arguments, "--sections", "declared:Api"]) == 0
    said = capsys.readouterr().out
    assert said.count("api.workers") == 1
    assert said.count("debug") == 1
