"""``bedplate config check``: what it prints, and what its exit status means."""

import json
import os
import sys
from pathlib import Path

import pytest

from bedplate.cli.__main__ import main

DECLARED = '''
from bedplate.config import Secret, Section, Url, option

class Api(Section):
    """The public interface."""
    workers: int = option(default=4, min=1, max=64, help="Worker threads.")
    password: Secret[str] = option(default=Secret(""), help="Administrator's password.")
    store: Url = option(default=Url("sqlite://"), help="Where things are kept.")
    title: str = option(default="", help="What is shown.")
    base: str = option(default="/srv", advanced=True, help="Where it lives.")

class Log(Section, name="DEFAULT"):
    """How much is told."""
    debug: bool = option(default=False, help="Tell everything.")

EVERYTHING = (Api, Log)

class Backend(Section, each="DEFAULT.enabled_backends"):
    """Named by an option that is not here."""
    size: int = option(default=1)
'''
OPTIONS = {
    "options": {
        "DEFAULT": {
            "help": "",
            "opts": [
                {
                    "name": "log-level",
                    "dest": "log_level",
                    "type": "string value",
                    "default": "info",
                    "choices": [["info", "All."], ["error", "Little."]],
                    "deprecated_opts": [{"group": "DEFAULT", "name": "verbosity"}],
                },
                {"name": "port", "dest": "port", "type": "port value", "default": 80},
            ],
        }
    }
}
KEYS = [
    "severity",
    "code",
    "file",
    "line",
    "column",
    "section",
    "option",
    "message",
    "suggestion",
]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a folder with a module of sections, without variables of anybody."""
    (tmp_path / "declared.py").write_text(DECLARED)
    (tmp_path / "options.json").write_text(json.dumps(OPTIONS))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "declared", raising=False)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return tmp_path


def check(text: str | bytes, *arguments: str) -> int:
    """Check a file with this text, against the classes unless something else is named."""
    data = text if isinstance(text, bytes) else text.encode()
    Path("inventory.conf").write_bytes(data)
    named = () if "--schema" in arguments else ("--sections", "declared:EVERYTHING")
    return main(["config", "check", "inventory.conf", *arguments, *named])


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


# --- text ---------------------------------------------------------------------------------------


def test_each_finding_stands_above_the_line_it_is_about(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Place, severity, sentence and code; then the line, values of secrets and unknowns masked."""
    text = (
        "[api]\nworkers = many\npasword = sesame\npassword = pa${x}\ntitle: http://a:sesame@b/\n"
        "store = sqlite://u:sesame@h/\nstore = sesame\nsesame\n  title = sesame\n[apj]\n"
    )
    assert check(text) == 1
    lines = said(capsys).splitlines()
    shown = [line.strip() for line in lines if line.startswith("    ")]
    assert shown == [
        "workers = many",
        "pasword = ****",
        "password = ****",
        "store = ****",
        "store = ****",
        "[apj]",
    ]
    assert lines[0].startswith("inventory.conf:2:1: error: [api] workers must be a whole number")
    assert lines[0].endswith("not 'many'. [wrong-type]")
    assert "sesame" not in "".join(lines)


def test_the_verdict_stands_last(capsys: pytest.CaptureFixture[str]) -> None:
    """A good file is good, warnings are counted and leave it good, errors are counted."""
    assert check("[api]\nworkers = 8\n") == 0
    assert said(capsys) == "inventory.conf: good\n"
    assert check("[api]\nworkers = 4\nbase = /x\n") == 0
    assert said(capsys).splitlines()[-1] == "inventory.conf: good, with 2 warnings"
    assert check("[api]\nworkers = 4\nwokers = 5\n") == 1
    assert said(capsys).splitlines()[-1] == "inventory.conf: 1 error and 1 warning"


def test_warnings_can_be_fatal(capsys: pytest.CaptureFixture[str]) -> None:
    """With --fatal-warnings a warning gives status 1, and what fails is not called good."""
    assert check("[api]\nworkers = 4\n", "--fatal-warnings") == 1
    assert capsys.readouterr().out.endswith("inventory.conf: 1 warning\n")
    assert check("[api]\nworkers = 5\n", "--fatal-warnings") == 0
    assert capsys.readouterr().out == "inventory.conf: good\n"


def test_namespaces_follow_one_another_like_sections(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a package offers and no file is called is one more namespace; all else is a file."""
    pytest.importorskip("oslo_config")
    arguments = ["config", "check", "--namespace", "oslo.config", "oslo.config", "a.conf"]
    (place / "a.conf").write_text("")
    assert main(arguments) == 0
    assert capsys.readouterr().out == "a.conf: good\n"
    (place / "oslo.config").write_text("")
    assert main(arguments) == 0
    assert capsys.readouterr().out == "oslo.config, a.conf: good\n"
    assert main([*arguments, "b.conf"]) == 2
    assert "there is no file b.conf" in capsys.readouterr().err


def test_lax_lets_unknown_names_pass_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    """Names nobody declares become warnings; wrong values stay errors."""
    assert check("[api]\nwokers = 5\n[apj]\nx = 1\n", "--lax") == 0
    assert said(capsys).count(" warning: ") == 2
    assert check("[api]\nwokers = 5\nworkers = x\n", "--lax") == 1


def test_a_line_cannot_speak_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Signs that are not for reading are spelled out, long lines cut."""
    assert check(b"[api]\nworkers = \x1b[31m\n[\x1b]\n[" + b"x" * 500 + b"]\n") == 1
    lines = said(capsys)
    assert "\x1b" not in lines
    assert max(map(len, lines.splitlines()[1::2])) <= 130


# --- for programs -------------------------------------------------------------------------------


def test_json_is_a_list_of_findings_with_the_same_keys(capsys: pytest.CaptureFixture[str]) -> None:
    """Each finding is an object of nine keys, null where something does not apply."""
    assert check("[api]\nwrokers = 3\npassword = ${sesame}\n", "--json") == 1
    out = said(capsys)
    first, second = json.loads(out)
    assert list(first) == list(second) == KEYS
    assert first == {
        "severity": "error",
        "code": "unknown-option",
        "file": "inventory.conf",
        "line": 2,
        "column": 1,
        "section": "api",
        "option": "wrokers",
        "message": "[api] has no option 'wrokers'. Did you mean 'workers'?",
        "suggestion": "workers",
    }
    assert second["code"] == "ambiguous-dollar"
    assert "sesame" not in out
    assert check("[api]\nworkers = 5\n", "--json") == 0
    assert json.loads(said(capsys)) == []


def test_variables_are_checked_and_named_in_the_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ours are, in the form that names a section; whatever else begins alike is foreign."""
    monkeypatch.setenv("INVENTORY_API__WOKERS", "sesame")
    monkeypatch.setenv("INVENTORY_PORT", "tcp://10.0.0.1")
    monkeypatch.setenv("OTHER_API__WOKERS", "1")
    assert check("[api]\nworkers = 5\n", "--json") == 1
    (finding,) = json.loads(said(capsys))
    assert (finding["file"], finding["line"], finding["suggestion"]) == (None, None, "workers")
    assert finding["message"].startswith("INVENTORY_API__WOKERS: [api] has no option 'wokers'.")
    assert check("[api]\nworkers = 5\n", "--no-environment") == 0


def test_sarif_says_rule_level_and_place(capsys: pytest.CaptureFixture[str]) -> None:
    """A log of one run in version 2.1.0: rules, results, and their places."""
    assert check("[api]\nwokers = 1\nworkers = 4\n", "--sarif") == 1
    log = json.loads(said(capsys))
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    error, warning = run["results"]
    assert (error["level"], warning["level"]) == ("error", "warning")
    assert rules[error["ruleIndex"]]["id"] == error["ruleId"] == "unknown-option"
    (location,) = error["locations"]
    assert location["physicalLocation"] == {
        "artifactLocation": {"uri": "inventory.conf"},
        "region": {"startLine": 2, "startColumn": 1},
    }
    assert location["logicalLocations"] == [{"fullyQualifiedName": "api.wokers"}]


def test_a_program_reads_one_form(capsys: pytest.CaptureFixture[str]) -> None:
    """JSON and SARIF at once are wrong use."""
    assert check("", "--json", "--sarif") == 2
    assert "exclude each other" in capsys.readouterr().err


# --- schemas ------------------------------------------------------------------------------------


def test_a_schema_may_come_from_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    """What oslo-config-generator prints describes options as well as classes do."""
    text = "[DEFAULT]\nverbosity = erorr\nlog-level = info\nprot = 1\nport = 70000\n"
    assert check(text, "--schema", "options.json", "--json") == 1
    found = [(each["line"], each["code"], each["suggestion"]) for each in json.loads(said(capsys))]
    assert found == [
        (2, "deprecated-name", "log_level"),
        (2, "not-a-choice", "error"),
        (3, "unknown-option", "log_level"),
        (4, "unknown-option", "port"),
        (5, "out-of-range", None),
    ]


def test_values_of_a_schema_can_be_shown_and_explained(capsys: pytest.CaptureFixture[str]) -> None:
    """The other commands of the noun take the same schemas."""
    Path("inventory.conf").write_text("[DEFAULT]\nport = 81\n")
    assert main(["config", "show", "inventory.conf", "--schema", "options.json"]) == 0
    assert "port      = 81  (inventory.conf:2:1)" in said(capsys)
    assert main(["config", "explain", "inventory.conf", "port", "--schema", "options.json"]) == 0
    assert said(capsys).startswith("port = 81\n  from inventory.conf:2:1: nothing else sets it\n")


def test_variables_of_oslo_config_begin_with_os(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its option sets know no other prefix; a program can be named all the same."""
    monkeypatch.setenv("OS_DEFAULT__PORT", "x")
    assert check("", "--schema", "options.json") == 1
    assert "OS_DEFAULT__PORT: error: [DEFAULT] port must be" in said(capsys)
    assert check("", "--schema", "options.json", "--program", "inventory") == 0


@pytest.mark.parametrize(
    "named",
    [
        (),
        ("--schema", "options.json", "--sections", "declared:Api"),
        ("--namespace", "nova.conf", "--schema", "options.json"),
    ],
)
def test_the_schema_is_named_in_one_way(
    named: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """None, or two at once, is wrong use."""
    Path("inventory.conf").write_text("")
    assert main(["config", "check", "inventory.conf", *named]) == 2
    assert "in one way" in capsys.readouterr().err


@pytest.mark.parametrize(
    "named",
    [
        ("--schema", "none.json"),
        ("--schema", "."),
        ("--schema", "pipe"),
        ("--schema", "declared.py"),
        ("--schema", "binary"),
        ("--schema", "empty.json"),
        ("--namespace", "nobody.has.this"),
    ],
)
def test_a_schema_that_is_none_is_wrong_use(
    named: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """Missing, a folder, a pipe, no schema: one sentence with status 2."""
    os.mkfifo("pipe")
    Path("binary").write_bytes(bytes(range(256)) * 100)
    Path("empty.json").write_text("{}")
    Path("inventory.conf").write_text("")
    assert main(["config", "check", "inventory.conf", *named]) == 2
    err = capsys.readouterr().err
    assert err.startswith("bedplate: ")
    assert len(err.splitlines()) == 1


# --- files that are none ------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["check", "show", "explain"])
@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("none.conf", "none.conf"),
        ("folder", "is a directory"),
        ("pipe", "only regular files are read"),
        ("huge", "larger than 16 MiB"),
    ],
)
def test_a_file_that_cannot_be_read_is_wrong_use(
    command: str, name: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence with status 2, soon, and without reading what has no end."""
    Path("folder").mkdir()
    os.mkfifo("pipe")
    with Path("huge").open("wb") as file:
        file.truncate(100 << 20)
    assert main(["config", command, name, "--sections", "declared:EVERYTHING"]) == 2
    err = capsys.readouterr().err
    assert why in err
    assert len(err.splitlines()) == 1


def test_sections_that_make_no_sense_are_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    """The options of a section stand in another one, which was not named as well."""
    Path("inventory.conf").touch()
    assert main(["config", "check", "inventory.conf", "--sections", "declared:Backend"]) == 2
    assert "load its section as well" in capsys.readouterr().err


def test_a_binary_file_is_told_in_a_few_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """What is no text at all is not taken apart line by line."""
    assert check(bytes(range(256)) * 1000) == 1
    lines = said(capsys).splitlines()
    assert len(lines) == 3
    assert "is not UTF-8" in lines[0] + lines[1]
