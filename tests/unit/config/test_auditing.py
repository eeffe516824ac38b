from pathlib import Path

import pytest

from bedplate.config import (
    Config,
    Finding,
    Schema,
    Secret,
    Section,
    Url,
    audit,
    check,
    option,
)
from bedplate.errors import InvalidConfig, NoSuchOption, SectionAbsent, SourceFailed


class Common(Section, name="DEFAULT"):
    """What everybody has."""

    debug: bool = option(default=False)
    state_path: str = option(default="/var/lib")


class Api(Section):
    """The public interface."""

    workers: int = option(default=4, min=1, max=256, was=("threads",))
    level: str = option(default="info", choices=("info", "error"))
    path: str = option(default="")
    password: Secret[str] = option(default=Secret("changeme"))
    legacy: int = option(default=1, deprecated="Nothing reads it.", since="2.0")
    tuning: int = option(default=1, advanced=True)
    store: Url = option(default=Url("sqlite://"))


class Needy(Section):
    """A section with something that must be set."""

    name: str = option()


class Late(Section, optional=True):
    """A section that need not be there."""

    host: str = option()


@pytest.fixture
def found(tmp_path: Path) -> "type[Found]":
    """Give what checks a text."""
    Found.path = tmp_path / "inventory.conf"
    return Found


class Found:
    """Checks a text as inventory.conf, against [DEFAULT] and [api] unless told otherwise."""

    path: Path

    @classmethod
    def of(cls, text: str, *sections: type[Section], **how: object) -> tuple[Finding, ...]:
        cls.path.write_text(text)
        return check([cls.path], sections=sections or (Common, Api), **how)  # type: ignore[arg-type]  # passed on

    @classmethod
    def codes(cls, text: str, *sections: type[Section], **how: object) -> list[tuple[object, str]]:
        return [(each.line, each.code) for each in cls.of(text, *sections, **how)]


@pytest.mark.parametrize(
    ("text", "code", "severity", "suggestion"),
    [
        ("[api]\nwrokers = 1\n", "unknown-option", "error", "workers"),
        ("[DEFAULT]\ndevug = True\n", "unknown-option", "error", "debug"),
        ("[DEFAULT]\nworkers = 1\n", "unknown-option", "error", "api.workers"),
        ("[DEFAULT]\nthreads = 1\n", "unknown-option", "error", "api.workers"),
        ("[api]\nthread = 1\n", "unknown-option", "error", "workers"),
        ("\n[apj]\nworkers = 1\n", "unknown-section", "error", "api"),
        ("\n[default]\ndebug = 1\n", "unknown-section", "error", "DEFAULT"),
        ("\n[ api ]\nworkers = 1\n", "unknown-section", "error", "api"),
        ("[DEFAULT]\nstate-path = /x\n", "unknown-option", "error", "state_path"),
        ("[api]\nworkers =\n", "no-value", "error", None),
        ("[api]\nworkers = x\n", "wrong-type", "error", None),
        ("[api]\nworkers = 257\n", "out-of-range", "error", None),
        ("[api]\nlevel = inof\n", "not-a-choice", "error", "info"),
        ("[api]\npath = $nowhere/x\n", "bad-interpolation", "error", None),
        ("[api]\npath = $path/x\n", "bad-interpolation", "error", None),
        ("[api]\nthreads = 3\n", "deprecated-name", "warning", "workers"),
        ("[api]\nlegacy = 2\n", "deprecated-option", "warning", None),
        ("[api]\nworkers = 4\n", "equals-default", "warning", None),
        ("[api]\ntuning = 2\n", "advanced", "warning", None),
        ("[api]\npassword = a$$b\n", "ambiguous-dollar", "warning", None),
        ("[api]\npath = $password\n", "secret-in-plain-option", "warning", None),
        ("[api]\npath = http://a:b@c/\n", "secret-in-plain-option", "warning", None),
        ("[api] # note\nworkers = 3\n", "bad-section", "error", None),
        ("[api]\npath = x\n  level = error\n", "indented-key", "warning", None),
        ("\ufeff[api]\nworkers = 3\n", "bom", "error", None),
    ],
)
def test_each_kind_of_finding_is_made(
    found: type[Found], text: str, code: str, severity: str, suggestion: str | None
) -> None:
    """One mistake is one finding, at its line, with what was meant."""
    (finding,) = found.of(text)
    assert (finding.code, finding.severity, finding.suggestion) == (code, severity, suggestion)
    line = {"bom": 1, "bad-section": 1, "indented-key": 3}.get(code, 2)
    assert (finding.line, finding.file) == (line, str(found.path))


def test_traps_of_the_dialect_say_what_to_write(found: type[Found]) -> None:
    """The sentence tells more than the nearest name."""
    assert (
        "spelled with underscores: 'state_path'" in found.of("[DEFAULT]\nstate-path=/x")[0].message
    )
    assert "Blanks inside the brackets" in found.of("[ api ]\n")[0].message
    assert "in capitals" in found.of("[default]\n")[0].message


def test_findings_about_what_is_absent_have_no_line(found: type[Found]) -> None:
    """What is missing is nowhere: no file, no line; it comes last."""
    assert found.codes("[api]\nworkers = x\n", Needy, Api) == [
        (2, "wrong-type"),
        (None, "missing-required"),
        (None, "missing-section"),
    ]
    assert found.codes("[needy]\n", Needy) == [(None, "missing-required")]
    assert found.codes("", Late) == []


def test_what_is_written_twice_and_under_two_names_is_told(found: type[Found]) -> None:
    """A repetition at its line, an old name beside the present one at the old one's."""
    text = "[api]\nworkers = 3\nthreads = 5\nworkers = 7\n"
    assert found.codes(text) == [(3, "old-and-new"), (4, "repeated")]


def test_errors_and_warnings_stand_in_the_order_of_lines(found: type[Found]) -> None:
    """One pass finds them all, whatever stage each comes from."""
    text = "[api]\nworkers = 4\nnonsense\nlegacy = 1\nwokers = 1\nlevel = x\n[zzz]\n"
    assert found.codes(text) == [
        (2, "equals-default"),
        (3, "no-equals"),
        (4, "deprecated-option"),
        (4, "equals-default"),
        (5, "unknown-option"),
        (6, "not-a-choice"),
        (7, "unknown-section"),
    ]


def test_flags_and_variables_of_ours_are_checked(found: type[Found]) -> None:
    """They are judged like files; what belongs to others is not looked at."""
    environ = {
        "INVENTORY_API__WORKERS": "x",
        "INVENTORY_API__WOKERS": "1",
        "INVENTORY_NOWHERE__X": "1",
        "INVENTORY_PORT": "1",
        "OTHER_API__WOKERS": "1",
    }
    argv = ("--api.levle=x", "--api.tuning=x")
    findings = found.of("", environ=environ, argv=argv)
    assert [(each.place, each.code, each.suggestion) for each in findings] == [
        ("--api.levle", "unknown-option", "--api.level"),
        ("INVENTORY_API__WORKERS", "wrong-type", None),
        ("--api.tuning", "wrong-type", None),
        ("INVENTORY_API__WOKERS", "unknown-option", "workers"),
        ("INVENTORY_NOWHERE__X", "unknown-section", None),
    ]
    assert found.of("", environ={"OS_API__WORKERS": "x"}, env_prefix="OS")[0].code == "wrong-type"
    assert found.of("", environ={"STORE_API__WORKERS": "x"}, program="store")


def test_lax_is_about_unknown_names_only(found: type[Found]) -> None:
    """Options, sections and flags that nobody declares are warnings then."""
    text = "[api]\nwokers = 1\nworkers = x\n[zzz]\n"
    findings = found.of(text, lax=True, argv=("--nothing=1",))
    assert [(each.code, each.severity) for each in findings] == [
        ("unknown-option", "warning"),
        ("wrong-type", "error"),
        ("unknown-section", "warning"),
        ("unknown-option", "warning"),
    ]


def test_a_misspelt_name_is_missing_only_where_that_is_a_warning(found: type[Found]) -> None:
    """Strictly it is one mistake; to the lax the required option is simply not there."""
    assert found.codes("[needy]\nnmae = x\n", Needy) == [(2, "unknown-option")]
    assert found.codes("[nedy]\nname = x\n", Needy) == [(1, "unknown-section")]
    lax = found.codes("[needy]\nnmae = x\n", Needy, lax=True)
    assert lax == [(2, "unknown-option"), (None, "missing-required")]


def test_an_option_in_the_wrong_section_is_missing_in_none_that_has_it(found: type[Found]) -> None:
    """One mistake is one finding, also where several sections have an option of that name."""

    class Twin(Section):
        """Another that needs a name."""

        name: str = option()

    text = "[api]\nname = x\n[needy]\n[twin]\n"
    assert found.codes(text, Api, Needy, Twin) == [(2, "unknown-option")]


def test_what_is_right_for_a_start_is_right_for_a_check(found: type[Found]) -> None:
    """The errors of a check are those with which a load fails."""
    text = "[api]\nworkers = 0\nwokers = 1\nlevel=\nnonsense\npath = $nothing\n"
    errors = {each for each in found.of(text, Common, Api, Needy) if each.severity == "error"}
    with pytest.raises(InvalidConfig) as caught:
        Config.load(
            [Common, Api, Needy], program="inventory", argv=(), environ={}, files=[str(found.path)]
        )
    assert {*caught.value.findings} == errors
    assert len(errors) == 6


def test_several_files_and_directories_are_one_configuration(tmp_path: Path) -> None:
    """Later ones beat earlier ones, and the findings are ordered by file."""
    (tmp_path / "b.conf").write_text("[api]\nworkers = x\nlevel = y\n")
    (tmp_path / "a.d").mkdir()
    (tmp_path / "a.d" / "1.conf").write_text("[api]\nworkers = 3\nwokers = 1\n")
    findings = check([tmp_path / "b.conf", tmp_path / "a.d"], sections=[Api])
    assert [(Path(each.file or "").name, each.line) for each in findings] == [
        ("1.conf", 3),
        ("b.conf", 3),
    ]


def test_a_file_that_cannot_be_read_is_an_error_of_its_own(tmp_path: Path) -> None:
    """There is nothing to say about what is in it."""
    with pytest.raises(SourceFailed, match="no such file"):
        check([tmp_path / "none.conf"], sections=[Api])


def test_what_there_may_be_must_be_said(tmp_path: Path) -> None:
    """Without sections or schema, or without a name for the variables, nothing can be judged."""
    with pytest.raises(TypeError, match="sections=… or schema=…"):
        check([tmp_path / "a.conf"])
    with pytest.raises(TypeError, match="program must be named"):
        check([], sections=[Api])
    assert check([], sections=[Api], program="inventory") == ()


def test_classes_and_a_schema_go_together(found: type[Found]) -> None:
    """Classes add to a schema, as a library's do to a service's."""
    schema = Schema.of([Common])
    assert found.codes("[api]\nworkers = x\n", Api, schema=schema) == [(2, "wrong-type")]


# --- values -------------------------------------------------------------------------------------


def test_an_audit_knows_the_values_as_well(tmp_path: Path) -> None:
    """Rows and explanations are those of a program that would start."""
    path = tmp_path / "inventory.conf"
    path.write_text("[api]\npath = $state_path/x\nstore = a://u:hunter2@h/\n")
    made = audit([path], sections=[Common, Api, Late])
    values = {row.key: row.value for row in made.rows()}
    assert values["api.path"] == "/var/lib/x"
    assert "hunter2" not in str(values)
    assert made.explain("api.threads").key == "api.workers"
    with pytest.raises(NoSuchOption, match=r"Did you mean 'api\.path'"):
        made.explain("api.pth")
    with pytest.raises(SectionAbsent):
        made.explain("late.host")


def test_values_of_what_is_wrong_are_refused(tmp_path: Path) -> None:
    """Where anything is wrong no value is in force."""
    path = tmp_path / "inventory.conf"
    path.write_text("[api]\nworkers = x\n")
    with pytest.raises(InvalidConfig):
        audit([path], sections=[Api]).rows()


# --- what is far too much -----------------------------------------------------------------------


def test_a_file_of_another_program_is_told_in_bounds(found: type[Found]) -> None:
    """Of thousands of unknown names some hundreds are told, and how many there are."""
    options = "".join(f"some_name_{number} = 1\n" for number in range(5000))
    findings = found.of(f"[api]\n{options}")
    assert len(findings) == 301
    assert "In all 5000 options are unknown" in findings[-1].message
    sections = "".join(f"[some_{number}]\n" for number in range(5000))
    findings = found.of(sections)
    assert len(findings) == 301
    assert "In all 5000 sections are unknown" in findings[-1].message


def test_a_file_without_end_is_not_read_to_its_end(found: type[Found]) -> None:
    """Nothing that people write has hundreds of thousands of lines."""
    (finding,) = found.of("\n" * 300_000)
    assert (finding.line, finding.code) == (200_001, "too-many-errors")
    assert found.codes("\n" * 199_000 + "[api]\nworkers = x\n") == [(199_002, "wrong-type")]
