import re
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping
from pathlib import Path

import pytest

from bedplate.config import Config, Duration, Finding, Secret, Section, Url, option
from bedplate.config.sources import Memory, Tree
from bedplate.errors import (
    InvalidConfig,
    NoSuchOption,
    ReloadRefused,
    SectionAbsent,
    SourceFailed,
)

CANARY = "hunter2-canary"


class Common(Section, name="DEFAULT"):
    """What everybody has."""

    debug: bool = option(default=False, mutable=True, help="Say more.")


class Api(Section):
    """The public interface."""

    host: str = option(default="127.0.0.1", help="Address to listen on.")
    workers: int = option(default=4, min=1, max=256, mutable=True, help="Worker threads.")
    max_rows: int = option(default=100)
    secure: bool = option(default=True)
    password: Secret[str] = option(default=Secret("changeme"), mutable=True)
    database: Url = option(default=Url("sqlite://"), was=("DEFAULT.sql_connection",))
    names: list[str] = option(default=[])


class Cinder(Section, optional=True):
    """Where volumes come from."""

    url: Url = option()
    wait: Duration = option(default=3, mutable=True)


class Pool(Section):
    """Connections of a driver."""

    size: int = option(default=5, mutable=True)


class Writer:
    """A file that a test writes again and again."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, text: str) -> str:
        self.path.write_text(text)
        return str(self.path)


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    """Give a writer of one file of configuration."""
    return Writer(tmp_path / "inventory.conf")


def load(
    *sections: type[Section],
    argv: tuple[str, ...] = (),
    environ: Mapping[str, str] | None = None,
    files: tuple[str, ...] = (),
) -> Config:
    return Config.load(
        sections or (Common, Api),
        program="inventory",
        argv=argv,
        environ=environ or {},
        files=files,
    )


def problems(*sections: type[Section], **how: object) -> list[Finding]:
    with pytest.raises(InvalidConfig) as caught:
        load(*sections, **how)  # type: ignore[arg-type]  # passed on
    return list(caught.value.findings)


# --- loading ------------------------------------------------------------------------------------


def test_a_section_is_read_from_a_file(write: Writer) -> None:
    """A value of a file is converted, and the rest are defaults."""
    config = load(files=(write("[DEFAULT]\ndebug = yes\n[api]\nworkers = 7\nnames = a, b\n"),))
    assert (config[Common].debug, config[Api].workers, config[Api].names) == (True, 7, ["a", "b"])
    assert config[Api].host == "127.0.0.1"
    assert config[Api] is config[Api]


def test_precedence_is_the_same_for_every_option(tmp_path: Path) -> None:
    """Overrides beat flags, flags variables, variables files, files sources, sources defaults."""
    first, second = Writer(tmp_path / "1.conf"), Writer(tmp_path / "2.conf")
    kept = "[api]\nmax_rows = 3\n"
    given: dict[str, object] = {
        "overrides": {"api": {"max_rows": 7}},
        "argv": ("--api.max-rows", "6"),
        "environ": {"INVENTORY_API__MAX_ROWS": "5"},
        "files": (first(kept), second(kept.replace("3", "4"))),
        "sources": (Memory({"api": {"max_rows": 2}}, name="vault"),),
        "defaults": {"api": {"max_rows": 1}},
    }
    none: dict[str, object] = {
        "overrides": {},
        "argv": (),
        "environ": {},
        "files": (),
        "sources": (),
        "defaults": {},
    }
    found = []
    for left_out in range(len(given) + 1):
        how = none | dict(list(given.items())[left_out:])
        config = Config.load([Common, Api], program="inventory", **how)  # type: ignore[arg-type]  # mixed
        found.append(config[Api].max_rows)
    assert found == [7, 6, 5, 4, 2, 1, 100]


def test_an_old_name_in_the_environment_beats_a_file(write: Writer) -> None:
    """An old name has the precedence of the place where it was written."""
    config = load(
        files=(write("[api]\ndatabase = a://file\n"),),
        environ={"INVENTORY_DEFAULT__SQL_CONNECTION": "a://variable"},
    )
    assert config[Api].database == Url("a://variable")
    (finding,) = config.findings
    assert (finding.code, finding.place) == (
        "deprecated-name",
        "INVENTORY_DEFAULT__SQL_CONNECTION",
    )


def test_every_problem_of_every_source_comes_in_one_error(write: Writer) -> None:
    """One error names file, variable and flag, each as the user spells it."""
    path = write("[api]\nworkers = lots\nwokers = 3\n")
    found = problems(
        files=(path,),
        environ={"INVENTORY_API__SECURE": "perhaps", "INVENTORY_PORT": "tcp://10.0.0.1"},
        argv=("--api.max_rows=3", "--api.hots", "x", "--colour"),
    )
    assert [(each.place, each.code) for each in found] == [
        (f"{path}:2:1", "wrong-type"),
        (f"{path}:3:1", "unknown-option"),
        ("--api.max_rows", "unknown-option"),
        ("--api.hots", "unknown-option"),
        ("--colour", "unknown-option"),
        ("INVENTORY_API__SECURE", "wrong-type"),
    ]
    assert [each.suggestion for each in found] == [
        None,
        "workers",
        "--api.max-rows",
        "--api.host",
        None,
        None,
    ]


def test_a_broken_file_does_not_hide_other_problems(write: Writer) -> None:
    """Syntax errors come with the problems of other sources, and nothing is called missing."""
    path = write("[cinder]\nurl\n")
    found = problems(Cinder, Api, files=(path,), environ={"INVENTORY_API__WORKERS": "x"})
    assert [each.place for each in found] == [f"{path}:2:1", "INVENTORY_API__WORKERS"]


def test_a_missing_required_option_is_not_blamed_on_a_broken_file(write: Writer) -> None:
    """What is required may stand in the file that could not be read."""

    class Needy(Section):
        token: str = option()

    path = write("[needy]\nrubbish\n")
    assert [each.place for each in problems(Needy, files=(path,))] == [f"{path}:2:1"]
    assert [each.code for each in problems(Needy)] == ["missing-required"]


def test_a_file_that_cannot_be_read_is_an_error_by_name(tmp_path: Path) -> None:
    """A file that was asked for and is not there is never passed over."""
    with pytest.raises(SourceFailed, match=re.escape(f"{tmp_path}/none.conf could not be read")):
        load(files=(f"{tmp_path}/none.conf",))


def test_one_path_in_place_of_a_list_is_refused() -> None:
    """A text is a list of letters, and none of them the file that was meant."""
    with pytest.raises(TypeError, match="files a list of paths"):
        Config.load([Api], program="inventory", argv=(), environ={}, files="inventory.conf")


def test_files_on_the_command_line_are_read_in_their_order(tmp_path: Path) -> None:
    """``--config-file`` and ``--config-dir`` replace the given files; later beats earlier."""
    one, two = Writer(tmp_path / "1.conf"), Writer(tmp_path / "2.conf")
    (tmp_path / "d").mkdir()
    third = Writer(tmp_path / "d" / "3.conf")
    one("[api]\nworkers = 1\n")
    two("[api]\nworkers = 2\n")
    third("[api]\nworkers = 3\n")
    flags = f"--config-file={one.path}", "--config-file", str(two.path)
    assert load(argv=flags, files=("/nowhere.conf",))[Api].workers == 2
    assert load(argv=tuple(reversed(flags[:1])) + flags[1:])[Api].workers == 2
    assert load(argv=(*flags, "--config-dir", f"{tmp_path}/d"))[Api].workers == 3
    assert load(argv=("--config-dir", f"{tmp_path}/d", *flags))[Api].workers == 2
    assert load(files=(f"{tmp_path}/d",))[Api].workers == 3


def test_files_are_looked_for_in_the_usual_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without files a program reads what its user keeps for it, directory after file."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".inventory" / "inventory.conf.d").mkdir(parents=True)
    (tmp_path / ".inventory" / "inventory.conf").write_text("[api]\nworkers = 5\nhost = a\n")
    (tmp_path / ".inventory" / "inventory.conf.d" / "1.conf").write_text("[api]\nworkers = 6\n")
    config = Config.load([Common, Api], program="inventory", argv=(), environ={})
    assert (config[Api].workers, config[Api].host) == (6, "a")


def test_the_process_s_own_arguments_and_variables_are_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without argv and environ a program reads those of its process."""
    monkeypatch.setattr(sys, "argv", ["inventory", "--api.workers=9"])
    monkeypatch.setenv("INVENTORY_API__HOST", "there")
    config = Config.load([Common, Api], program="inventory", files=())
    assert (config[Api].workers, config[Api].host) == (9, "there")


def test_the_prefix_of_variables_can_be_chosen() -> None:
    """With the prefix OS variables are spelled as oslo.config's."""
    config = Config.load(
        [Api],
        program="inventory",
        argv=(),
        environ={"OS_API__WORKERS": "3", "INVENTORY_API__WORKERS": "x"},
        files=(),
        env_prefix="OS",
    )
    assert config[Api].workers == 3


def test_switches_have_two_spellings() -> None:
    """A bool is switched on by its flag and off by ``--no-``; a bare flag belongs to DEFAULT."""
    config = load(argv=("--debug", "--no-api.secure"))
    assert (config[Common].debug, config[Api].secure) == (True, False)


def test_help_is_printed_and_the_program_ends(capsys: pytest.CaptureFixture[str]) -> None:
    """``--help`` prints the flags on standard output and exits with status 0."""
    with pytest.raises(SystemExit) as caught:
        load(argv=("--help", "--rubbish"))
    assert caught.value.code == 0
    assert "--api.workers VALUE" in capsys.readouterr().out


def test_the_version_is_printed_and_the_program_ends(capsys: pytest.CaptureFixture[str]) -> None:
    """``--version`` prints the version of the package that is called like the program."""
    with pytest.raises(SystemExit):
        Config.load([Api], program="pytest", argv=("--version",), environ={}, files=())
    assert capsys.readouterr().out == f"pytest {pytest.__version__}\n"
    with pytest.raises(SystemExit):
        load(argv=("--version",))
    assert capsys.readouterr().out == "inventory (not installed as a package: no version)\n"


# --- sections that come late, that may be absent, that have several names -------------------------


def test_a_late_section_is_resolved_when_it_is_asked_for(write: Writer) -> None:
    """A section nobody named at load is read from what was loaded."""
    config = load(files=(write("[pool]\nsize = 9\n"),), environ={"INVENTORY_CINDER__WAIT": "5s"})
    assert config[Pool].size == 9
    assert config[Pool] is config[Pool]
    assert config.sections == ("DEFAULT", "api", "pool")


def test_a_late_section_is_checked_alone(write: Writer) -> None:
    """What is wrong in a late section is an error when it is asked for, each time."""
    config = load(files=(write("[pool]\nsize = many\nseize = 1\n"),))
    for _ in range(2):
        with pytest.raises(InvalidConfig) as caught:
            config[Pool]
        assert [each.code for each in caught.value.findings] == ["wrong-type", "unknown-option"]
    assert config[Api].workers == 4


def test_a_section_must_be_asked_for_by_its_class() -> None:
    """Asking by name is a programmer's mistake and says so."""
    with pytest.raises(TypeError, match=r"ask with the class of a section, config\[Api\]"):
        load()["api"]  # type: ignore[index]  # the mistake under test


def test_an_optional_section_may_be_absent(write: Writer) -> None:
    """An optional section that nobody configured is None, and an error when it is insisted on."""
    config = load(Api, Cinder, files=(write("[cinder]\n"),))
    assert config.get(Cinder) is None
    with pytest.raises(SectionAbsent, match=r"\[cinder\] is not configured"):
        config[Cinder]
    present = load(Api, Cinder, environ={"INVENTORY_CINDER__URL": "a://b"}).get(Cinder)
    assert present is not None
    assert (present.url, present.wait) == (Url("a://b"), 3.0)


def test_one_class_serves_several_sections(write: Writer) -> None:
    """The same class is bound to sections of other names, which are known from then on."""
    config = load(Api, files=(write("[transport.rpc]\nsize = 1\n[transport.notify]\nsize = 2\n"),))
    rpc = config.named(Pool, "transport.rpc")
    assert (rpc.size, config.named(Pool, "transport.notify").size) == (1, 2)
    assert config.named(Pool, "transport.rpc") is rpc
    assert config.explain("transport.notify.size").value == "2"
    config.seal()


def test_a_section_may_be_shared_with_a_late_class(write: Writer) -> None:
    """With names put off, a driver adds its options to a section that is known already."""

    class Transport(Section, name="transport.rpc", optional=True):
        url: Url = option()

    config = Config.load(
        [Transport],
        program="inventory",
        argv=(),
        environ={},
        files=(write("[transport.rpc]\nurl = a://b\nsize = 3\n"),),
        unknown="defer",
    )
    assert config.named(Pool, "transport.rpc").size == 3
    assert config[Transport].url == Url("a://b")
    config.seal()


# --- strictness -----------------------------------------------------------------------------------


def test_unknown_sections_wait_for_seal(write: Writer) -> None:
    """A section nobody has declared yet is judged only when no more are to come."""
    config = load(files=(write("[pool]\nsize = 1\n[poll]\nsize = 1\n"),))
    config[Pool]
    with pytest.raises(InvalidConfig) as caught:
        config.seal()
    (finding,) = caught.value.findings
    assert (finding.code, finding.section, finding.suggestion) == (
        "unknown-section",
        "poll",
        "pool",
    )
    assert finding.line == 3


def test_a_section_that_comes_after_seal_is_judged_alone(write: Writer) -> None:
    """What seal found wrong elsewhere does not stand in the way of a later section."""
    config = load(files=(write("[pool]\nsize = 1\n[poll]\nsize = 1\n"),))
    with pytest.raises(InvalidConfig):
        config.seal()
    assert config[Pool].size == 1


class ReloadedFirst:
    """A lock that a reload has had just before, whoever asks for it."""

    def __init__(self, config: Config) -> None:
        self.config: Config | None = config
        self.lock = config._held.known.lock

    def __enter__(self) -> None:
        config, self.config = self.config, None
        if config is not None:
            config.reload()
        self.lock.acquire()

    def __exit__(self, *_: object) -> None:
        self.lock.release()


def test_seal_judges_what_a_reload_made_meanwhile(write: Writer) -> None:
    """A seal that had to wait for a reload judges its outcome, not what it replaced."""
    config = load(files=(write("[api]\nworkers = 1\n"),))
    write("[api]\nworkers = 1\n[poll]\nsize = 1\n")
    config._held.known.lock = ReloadedFirst(config)  # type: ignore[assignment]  # enough of a lock
    with pytest.raises(InvalidConfig, match="poll"):
        config.seal()
    assert config.generation == 2


def test_unknown_names_can_be_warnings(write: Writer) -> None:
    """In the lax mode unknown names are among the findings and the program starts."""
    path = write("[api]\nwokers = 1\n[pole]\nsize = 1\n")
    config = Config.load(
        [Api], program="inventory", argv=(), environ={}, files=(path,), unknown="warn"
    )
    assert [each.code for each in config.findings] == ["unknown-option"]
    config.seal()
    assert [each.code for each in config.findings] == ["unknown-option", "unknown-section"]
    assert {each.severity for each in config.findings} == {"warning"}


def test_unknown_options_can_wait_for_seal(write: Writer) -> None:
    """Put off, an unknown option of a known section is judged by seal as an error."""
    path = write("[api]\nwokers = 1\n")
    config = Config.load(
        [Api], program="inventory", argv=(), environ={}, files=(path,), unknown="defer"
    )
    assert config.findings == ()
    with pytest.raises(InvalidConfig, match="Did you mean 'workers'"):
        config.seal()


def test_all_problems_come_at_once_whatever_kind_they_are(tmp_path: Path) -> None:
    """A mistake of syntax hides nothing: wrong values in the same and other sources are told."""
    first, second = tmp_path / "a.conf", tmp_path / "b.toml"
    first.write_text("[api]\nthis is no option\nsecure = many\n")
    second.write_text("debug = 'maybe'\nbroken 3\n[api]\nworkers = 999\nwokers = 1\n")
    found = problems(
        Common,
        Api,
        argv=("--api.hots=x", "--api.max-rows=few"),
        environ={"INVENTORY_API__NAMES": "\udcff", "INVENTORY_API__SECONDS": "3"},
        files=(str(first), str(second)),
    )
    assert [(Path(each.file).name if each.file else each.place, each.line) for each in found] == [
        ("a.conf", 2),
        ("a.conf", 3),
        ("b.toml", 1),
        ("b.toml", 2),
        ("b.toml", 4),
        ("b.toml", 5),
        ("INVENTORY_API__NAMES", None),
        ("--api.hots", None),
        ("--api.max-rows", None),
        ("INVENTORY_API__SECONDS", None),
    ]


class Needy(Section):
    name: str = option()
    size: int = option()


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("[needy]\nnmae = x\n", ["size"]),
        ("[needy]\nnmae = x\nthis is no option\n", []),
        ("[other\nkey = x\n", []),
        ("[api]\nthis is no option\n", ["name", "size"]),
        ("\ufeff[needy]\nsize = x\n", ["name"]),
        ("[nedy]\nname = x\n", ["name", "size"]),
    ],
)
def test_what_may_be_there_is_not_called_missing(
    write: Writer, text: str, missing: list[str]
) -> None:
    """Neither what a misspelt name means nor what a line may hold that nobody understands."""
    found = problems(Needy, Api, files=(write(text),))
    assert [each.option for each in found if each.code == "missing-required"] == missing
    assert len(found) > len(missing) or missing == ["name", "size"]


def test_what_a_misspelt_flag_means_is_not_called_missing() -> None:
    """One mistake is reported once, on the command line as in a file."""
    found = problems(Needy, argv=("--needy.nmae=x",))
    assert [(each.code, each.option) for each in found] == [
        ("unknown-option", None),
        ("missing-required", "size"),
    ]


def test_unknown_options_do_not_wait_when_there_are_errors(write: Writer) -> None:
    """Seal will never be reached then, so they are told at once, as what is known so far."""
    path = write("[api]\nwokers = 1\ncolour = red\nworkers = x\n[pool]\nsize = x\n")
    with pytest.raises(InvalidConfig) as caught:
        Config.load([Api], program="inventory", argv=(), environ={}, files=(path,), unknown="defer")
    assert [each.line for each in caught.value.findings] == [2, 3, 4]
    near, far, _ = (each.message for each in caught.value.findings)
    assert near == (
        "[api] has no option 'wokers' among those known so far. Did you mean 'workers'?"
    )
    assert far == (
        "[api] has no option 'colour' among those known so far. "
        "It is judged again when everything has been loaded."
    )


def test_a_directory_named_relatively_stays_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service that changes its directory reloads the files it was started with, new ones too."""
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "a.conf").write_text("[api]\nworkers = 1\n")
    monkeypatch.chdir(tmp_path)
    config = load(argv=("--config-dir", "conf.d"))
    (tmp_path / "conf.d" / "b.conf").write_text("[api]\nworkers = 2\n")
    monkeypatch.chdir("/")
    config.reload()
    assert config.explain("api.workers").origin.place == "conf.d/b.conf:2:1"


def test_foreign_variables_are_nobody_s_business() -> None:
    """Variables a container platform injects are never errors, not even after seal."""
    config = load(
        environ={"INVENTORY_PORT": "x", "INVENTORY_SERVICE_HOST": "y", "INVENTORYX_API__Z": "z"}
    )
    config.seal()
    assert config.findings == ()


# --- explaining -----------------------------------------------------------------------------------


def test_an_explanation_names_origin_and_losers(write: Writer) -> None:
    """An explanation tells the winner, why it won, and every value that lost."""
    path = write("[api]\nworkers = 5\nworkers = 6\n")
    config = load(files=(path,), environ={"INVENTORY_API__WORKERS": "7"}, argv=("--api.workers=8",))
    told = config.explain("api.workers")
    assert (told.value, str(told.origin)) == ("8", "--api.workers")
    assert told.why == "command line beats environment, file"
    assert [(each.value, str(each.origin)) for each in told.losers] == [
        ("7", "INVENTORY_API__WORKERS"),
        ("6", f"{path}:3:1"),
        ("5", f"{path}:2:1"),
        ("4", "declared default"),
    ]
    assert config.explain("debug").value == config.explain("DEFAULT.debug").value == "false"


def test_an_old_name_explains_the_option_that_replaced_it() -> None:
    """Who looks for an old name finds the present one."""
    assert load().explain("sql_connection").key == "api.database"


def test_an_option_that_is_not_there_is_an_error_with_the_nearest_name() -> None:
    """Explaining a mistyped name says which was meant."""
    with pytest.raises(NoSuchOption, match=r"'api\.wokers'\. Did you mean 'api\.workers'\?"):
        load().explain("api.wokers")
    with pytest.raises(SectionAbsent):
        load(Cinder).explain("cinder.url")


def test_effective_values_come_in_rows() -> None:
    """Every option that has a value is a row with its origin; secrets are masked."""
    config = load(Common, Cinder, Api, environ={"INVENTORY_API__PASSWORD": CANARY})
    rows = {row.key: row for row in config.rows()}
    assert next(iter(rows)) == "debug"
    assert "cinder.url" not in rows
    assert rows["api.password"].value == "****"
    assert str(rows["api.password"].origin) == "INVENTORY_API__PASSWORD"
    assert rows["api.password"].secret


# --- reloading ------------------------------------------------------------------------------------


def test_a_reload_takes_over_what_is_mutable(write: Writer) -> None:
    """A new value of a mutable option is there after a reload, and told as a change."""
    config = load(files=(write("[api]\nworkers = 5\n"),))
    before = config[Api]
    write("[api]\nworkers = 6\n")
    changes = config.reload()
    assert [(each.key, each.old, each.new) for each in changes.changed] == [
        ("api.workers", "5", "6")
    ]
    assert str(changes.changed[0].origin).endswith("inventory.conf:2:1")
    assert (changes.generation, config.generation) == (2, 2)
    assert (config[Api].workers, before.workers) == (6, 5)
    assert changes


def test_a_reload_without_changes_says_so(write: Writer) -> None:
    """A reload that finds everything as it was reports no change; yes for true is none."""
    config = load(files=(write("[DEFAULT]\ndebug = yes\n"),))
    write("[DEFAULT]\ndebug = true\n")
    assert not config.reload()


def test_a_change_that_needs_a_restart_is_refused_alone(write: Writer) -> None:
    """What is not mutable keeps its value and is a warning with file and line; the rest changes."""
    config = load(files=(write("[api]\nhost = a\nworkers = 5\n"),))
    write("[api]\nworkers = 6\nhost = b\n")
    changes = config.reload()
    assert (config[Api].host, config[Api].workers) == ("a", 6)
    (finding,) = changes.findings
    assert (finding.code, finding.severity, finding.line) == ("needs-restart", "warning", 3)
    assert config.findings == changes.findings
    assert config.explain("api.host").value == "a"
    assert config.explain("api.host").origin.line == 2
    write("[api]\nworkers = 6\nhost = a\n")
    assert config.reload().findings == ()


def test_a_late_class_does_not_undo_what_waits_for_a_restart(write: Writer) -> None:
    """A refused change stays refused when another class of its section comes late."""

    class More(Section, name="api"):
        colour: str = option(default="red")

    config = load(files=(write("[api]\nhost = a\n"),))
    write("[api]\nhost = b\n")
    config.reload()
    assert config[More].colour == "red"
    assert config.explain("api.host").value == config[Api].host == "a"
    assert config.explain("api.host").losers[0].value == "127.0.0.1"


def test_an_option_that_is_set_no_more_returns_to_its_default(write: Writer) -> None:
    """Removing a mutable option is a change to the default; removing another needs a restart."""
    config = load(files=(write("[api]\nhost = a\nworkers = 5\n"),))
    write("")
    changes = config.reload()
    assert [(each.key, each.new, each.origin) for each in changes.changed] == [
        ("api.workers", "4", None)
    ]
    (finding,) = changes.findings
    assert (finding.code, finding.place, finding.line) == ("needs-restart", "", None)
    assert "[api] host is not set any more" in finding.message
    assert config[Api].host == "a"


def test_an_optional_section_does_not_come_or_go_in_a_running_program(write: Writer) -> None:
    """A section that appears or disappears needs a restart, whole."""
    config = load(Api, Cinder, files=(write(""),))
    write("[cinder]\nurl = a://b\n")
    assert [each.code for each in config.reload().findings] == ["needs-restart"]
    assert config.get(Cinder) is None
    config = load(Api, Cinder, files=(str(write.path),))
    write("")
    assert [each.code for each in config.reload().findings] == ["needs-restart"]
    assert config[Cinder].url == Url("a://b")
    assert config.reload().generation == 3


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[api]\nworkers = lots\n", "inventory.conf:2:1: .api. workers must be"),
        ("[api]\nwokers = 1\n", "has no option 'wokers'"),
        ("[api]\nrubbish\n", "inventory.conf:2:1"),
        ("[pole]\nx = 1\n", "Nobody declares a section"),
    ],
)
def test_a_reload_that_finds_mistakes_changes_nothing(write: Writer, text: str, why: str) -> None:
    """Anything wrong gives the reload up, and the old values stay, all of them."""
    config = load(files=(write("[api]\nworkers = 5\n"),))
    config.seal()
    held = config[Api]
    write(text)
    with pytest.raises(ReloadRefused, match=why) as caught:
        config.reload()
    assert isinstance(caught.value.__cause__, InvalidConfig)
    assert config[Api] is held
    assert config.generation == 1


def test_a_file_that_vanished_refuses_the_reload(write: Writer) -> None:
    """A missing file is no empty file."""
    config = load(files=(write("[api]\nworkers = 5\n"),))
    write.path.unlink()
    with pytest.raises(ReloadRefused, match=r"no such file"):
        config.reload()
    assert config[Api].workers == 5


def test_what_a_source_raises_is_not_repeated() -> None:
    """A foreign error refuses the reload by its class: its text may hold a secret."""

    class Moody:
        name = "moody"
        ready = True

        def load(self) -> Tree:
            return Tree()

        def next_refresh(self, now: float) -> None:
            del now

        def refresh(self) -> Tree:
            raise RuntimeError(CANARY)

    config = Config.load([Api], program="x", argv=(), environ={}, files=(), sources=[Moody()])
    with pytest.raises(ReloadRefused, match="a source raised RuntimeError") as caught:
        config.reload()
    assert CANARY not in str(caught.value)


def test_a_reload_inside_a_reload_is_refused() -> None:
    """A reload asked for by a signal handler in the middle of one does not wait for itself."""
    config: list[Config] = []

    class Eager:
        name = "eager"

        def load(self) -> Tree:
            return Tree()

        def next_refresh(self, now: float) -> None:
            del now

        def refresh(self) -> Tree:
            with pytest.raises(ReloadRefused, match="under way in this thread"):
                config[0].reload()
            return Tree()

    config.append(Config.load([Api], program="x", argv=(), environ={}, files=(), sources=[Eager()]))
    assert config[0].reload().generation == 2
    assert config[0].reload().generation == 3


def test_late_sections_are_reloaded_too(write: Writer) -> None:
    """A section that came late, or under another name, follows a reload as any other."""
    config = load(files=(write("[pool]\nsize = 1\n[other]\nsize = 1\n"),))
    assert (config[Pool].size, config.named(Pool, "other").size) == (1, 1)
    write("[pool]\nsize = 2\n[other]\nsize = 3\n")
    assert [each.key for each in config.reload().changed] == ["pool.size", "other.size"]
    assert (config[Pool].size, config.named(Pool, "other").size) == (2, 3)


def test_a_section_that_could_not_come_holds_up_no_reload(write: Writer) -> None:
    """What is wrong in a late section nobody has yet is no reason to refuse the others' news."""
    config = load(files=(write("[api]\nworkers = 1\n[pool]\nsize = many\n"),))
    with pytest.raises(InvalidConfig):
        config[Pool]
    write("[api]\nworkers = 2\n[pool]\nsize = many\n")
    assert [each.key for each in config.reload().changed] == ["api.workers"]
    write("[api]\nworkers = 2\n[pool]\nsize = 3\n")
    config.reload()
    assert config[Pool].size == 3


def test_a_snapshot_learns_sections_in_any_order(write: Writer) -> None:
    """One that came late in a newer generation can be asked for after another in an older one."""

    class First(Section):
        size: int = option(default=1)

    class Second(Section):
        size: int = option(default=2)

    config = load(files=(write("[first]\nsize = 3\n"),))
    held = config.snapshot()
    config.reload()
    assert config[First].size == 3
    assert held[Second].size == 2
    assert held[First].size == 3


def test_a_snapshot_holds_one_generation(write: Writer) -> None:
    """Inside a snapshot all sections are of one generation, late ones included."""
    config = load(files=(write("[api]\nworkers = 5\n[pool]\nsize = 5\n"),))
    with config.snapshot() as held:
        write("[api]\nworkers = 6\n[pool]\nsize = 6\n")
        config.reload()
        assert (held[Api].workers, held[Pool].size, held.generation) == (5, 5, 1)
        assert (config[Api].workers, config[Pool].size) == (6, 6)
        assert held.explain("pool.size").value == "5"


def test_readers_never_see_a_mixture(write: Writer) -> None:
    """While one thread reloads, another reads pairs that were always written together."""
    config = load(Api, Pool, files=(write("[api]\nworkers = 1\n[pool]\nsize = 1\n"),))
    torn: list[tuple[int, int]] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            with config.snapshot() as held:
                pair = held[Api].workers, held[Pool].size
            if pair[0] != pair[1]:
                torn.append(pair)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(2, 40):
        write(f"[api]\nworkers = {number}\n[pool]\nsize = {number}\n")
        config.reload()
    stop.set()
    reader.join()
    assert torn == []
    assert config[Pool].size == 39


# --- secrets --------------------------------------------------------------------------------------


def test_a_secret_has_no_flag() -> None:
    """A secret cannot be given on the command line, and the attempt does not repeat it."""
    (finding,) = problems(argv=("--api.password", CANARY))
    assert CANARY not in repr(finding)
    assert finding.message == (
        "[api] password has no flag, because a list of processes would show the secret: "
        "set the environment variable INVENTORY_API__PASSWORD, or write it in a configuration file."
    )


def test_a_secret_is_nowhere_to_be_seen(write: Writer) -> None:
    """No printed form of a loaded configuration holds a secret, whichever source it came from."""

    class Guarded(Section):
        one: Secret[str] = option()
        two: Secret[str] = option(mutable=True)
        three: list[Secret[str]] = option()
        place: Url = option()

    path = write(f"[guarded]\none = {CANARY}\nplace = a://u:{CANARY}@h\n")
    environ = {"INVENTORY_GUARDED__TWO": CANARY}
    config = Config.load(
        [Guarded],
        program="inventory",
        argv=(),
        environ=environ,
        files=(path,),
        overrides={"guarded": {"three": [CANARY]}},
        defaults={"guarded": {"one": CANARY}},
    )
    environ["INVENTORY_GUARDED__TWO"] = CANARY + "2"
    write(f"[guarded]\none = {CANARY}3\nplace = a://u:{CANARY}4@h\n")
    seen = [config.rows(), config[Guarded], config, config.schema, config.reload(), config.findings]
    seen += [config.explain(f"guarded.{name}") for name in ("one", "two", "three", "place")]
    seen += [str(config.explain(f"guarded.{name}")) for name in ("one", "two", "three", "place")]
    assert CANARY not in repr(seen)
    assert config[Guarded].one.reveal() == CANARY
    assert config[Guarded].two.reveal() == CANARY + "2"


def test_a_traceback_shows_no_secret(write: Writer) -> None:
    """The error of a bad configuration holds no secret, nor does anything it came from."""

    class Guarded(Section):
        pin: Secret[int] = option()
        pins: list[Secret[int]] = option()

    path = write(f"[guarded]\npin = {CANARY}\npins = 1, {CANARY}\npassword = {CANARY}\n")
    with pytest.raises(InvalidConfig) as caught:
        load(Guarded, files=(path,))
    assert len(caught.value.findings) == 3
    assert CANARY not in "".join(traceback.format_exception(caught.value))


# --- what it costs --------------------------------------------------------------------------------


def test_importing_configuration_loads_little() -> None:
    """Importing the room pulls in nothing third-party and none of the slow standard modules."""
    heavy = ["asyncio", "argparse", "logging", "importlib.metadata", "dataclasses", "tomllib"]
    heavy += ["difflib", "inspect", "msgspec", "pathlib", "hmac", "socket", "ssl", "json"]
    code = f"import sys, bedplate.config; print(*(set({heavy!r}) & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


def test_any_program_can_check_its_configuration(
    write: Writer, capsys: pytest.CaptureFixture[str]
) -> None:
    """--check-config prints every finding and ends, though sections may come later."""
    with pytest.raises(SystemExit) as caught:
        load(
            files=(write("[api]\nwokers = 1\nworkers = 4\n[late]\nx = 1\n"),),
            argv=("--check-config",),
        )
    assert caught.value.code == 1
    told = capsys.readouterr().out
    assert [line.rpartition(" ")[2] for line in told.splitlines()[::2]] == [
        "[unknown-option]",
        "[equals-default]",
        "[unknown-section]",
        "warnings",
    ]
