"""Sections that an option names, in a program that runs."""

import threading
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Literal

import pytest

from bedplate.config import (
    Config,
    HostPort,
    Schema,
    Secret,
    Section,
    audit,
    check,
    file_lines,
    findings_json,
    findings_text,
    option,
)
from bedplate.config.option import SectionType
from bedplate.errors import InvalidConfig, NoSuchOption, ReloadRefused, SchemaError


class Common(Section, name="DEFAULT"):
    enabled_backends: list[str] = option(default=[], mutable=True)
    fixed_backends: list[str] = option(default=[])
    first: str = option(default="a")


class Backend(Section, each="DEFAULT.enabled_backends", by="driver"):
    driver: str = option(help="Which kind it is.")
    size: int = option(default=1, mutable=True, was=("capacity",))
    key: Secret[str] = option(default=Secret("k"))


class Lvm(Backend, when="lvm"):
    group: str = option()


class Nfs(Backend, when="nfs"):
    share: str = option()
    size_limit: int = option(default=9)


class Plain(Section, each="fixed_backends"):
    path: str = option(default="/")


class Spare(Section, each="fixed_backends", optional=True):
    path: str = option()


ALL: tuple[type[Section], ...] = (Common, Backend, Lvm, Nfs)
TEXT = """\
[DEFAULT]
enabled_backends = slow, fast
[fast]
driver = lvm
group = vg
[slow]
driver = nfs
share = a:/b
size = 3
"""


def load(
    text: str | Path,
    *sections: type[Section],
    environ: Mapping[str, str] | None = None,
    argv: tuple[str, ...] = (),
    path: Path | None = None,
) -> Config:
    assert path is not None
    path.write_text(str(text))
    return Config.load(
        sections or ALL, program="stock", argv=argv, environ=environ or {}, files=(path,)
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give the path of one file of configuration."""
    return tmp_path / "stock.conf"


def codes(error: InvalidConfig) -> list[tuple[int | None, str, str | None, str | None]]:
    return [(each.line, each.code, each.section, each.option) for each in error.findings]


def test_each_gives_instances_of_the_variants_in_the_order_of_the_owner(path: Path) -> None:
    """The driver picks the class; a variant is asked for alone by its own class."""
    config = load(TEXT, path=path)
    backends = config.each(Backend)
    assert list(backends) == ["slow", "fast"]
    assert backends["fast"] == Lvm(driver="lvm", group="vg")
    assert backends["slow"] == Nfs(driver="nfs", share="a:/b", size=3)
    assert list(config.each(Lvm)) == ["fast"]
    assert config.each(Backend) is backends
    config.seal()
    assert config.findings == ()
    assert config.sections == ("DEFAULT", "slow", "fast")


def test_rows_and_explain_know_them(path: Path) -> None:
    """Values, origins and advice, without a flag, and secrets masked."""
    config = load(TEXT, path=path, environ={"STOCK_FAST__SIZE": "7"})
    assert config.each(Backend)["fast"].size == 7
    told = config.explain("fast.size")
    assert (told.value, told.flag, told.variable) == ("7", None, "STOCK_FAST__SIZE")
    assert {row.key: row.value for row in config.rows()}["fast.key"] == "****"
    with pytest.raises(NoSuchOption):
        config.explain("fast.share")


def test_names_may_be_written_in_the_environment_or_as_a_reference(path: Path) -> None:
    """The owner has its value as any option has, with what it refers to put in."""
    text = "[DEFAULT]\nenabled_backends = $first\n[a]\ndriver = lvm\ngroup = g\n"
    assert list(load(text, path=path).each(Backend)) == ["a"]
    environ = {
        "STOCK_DEFAULT__ENABLED_BACKENDS": "b-1",
        "STOCK_B_1__DRIVER": "nfs",
        "STOCK_B_1__SHARE": "s",
    }
    assert load("", path=path, environ=environ).each(Nfs)["b-1"].share == "s"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[a]\ndriver = lmv\nshare = x", [(4, "not-a-choice", "a", "driver")]),
        ("[a]\ndriver = lvm\nshare = x\ngroup = g", [(5, "unknown-option", "a", "share")]),
        ("[a]\ndriver = lvm", [(None, "missing-required", "a", "group")]),
        ("[a]\nsize = 1", [(None, "missing-required", "a", "driver")]),
        ("", [(None, "missing-required", "a", "driver")]),
    ],
)
def test_what_is_wrong_is_told_once_and_of_its_own_driver(
    text: str, expected: list[object], path: Path
) -> None:
    """Options of other drivers are unknown, and one mistake is one error."""
    with pytest.raises(InvalidConfig) as caught:
        load(f"[DEFAULT]\nenabled_backends = a\n{text}\n", path=path)
    assert codes(caught.value) == expected


@pytest.mark.parametrize("name", ["api", "API", "a b", "a__b", "default", "-"])
def test_names_that_cannot_be_are_errors_where_they_stand(name: str, path: Path) -> None:
    """A fixed section has its name already, also as a variable; others are no names."""

    class Api(Section):
        size: int = option(default=1)

    with pytest.raises(InvalidConfig) as caught:
        load(f"[DEFAULT]\nenabled_backends = {name}\n", Api, *ALL, path=path)
    assert codes(caught.value) == [(2, "section-name", "DEFAULT", "enabled_backends")]
    path.write_text(f"[DEFAULT]\nenabled_backends = {name}\n[{name}]\ndriver = lvm\ngroup = g\n")
    assert [each.code for each in check([path], sections=[Api, *ALL])] == ["section-name"]


def test_what_is_no_name_is_told_without_its_password(path: Path) -> None:
    """A URL in the wrong option is shown as it is everywhere."""
    with pytest.raises(InvalidConfig, match=r"wrong in item 2, .* not 'pg://me:\*\*\*\*@db'"):
        load("[DEFAULT]\nenabled_backends = a, pg://me:hunter2@db\n[a]\ndriver = lvm", path=path)


def test_two_owners_cannot_name_one_section(path: Path) -> None:
    """It would have two shapes; one owner may say a name twice."""
    text = "[DEFAULT]\nenabled_backends = a, a\nfixed_backends = a\n[a]\ndriver = lvm\ngroup = g\n"
    with pytest.raises(InvalidConfig) as caught:
        load(text, *ALL, Plain, path=path)
    assert codes(caught.value) == [(3, "section-name", "DEFAULT", "fixed_backends")]


def test_a_section_nobody_named_is_a_warning_when_it_has_the_shape(path: Path) -> None:
    """One with other options is as unknown as any, which sealing says."""
    config = load(TEXT.replace("slow, ", ""), path=path)
    config.seal()
    assert [(each.code, each.section) for each in config.findings] == [("unnamed-section", "slow")]
    config = load(f"{TEXT}[other]\nx = 1\n", path=path)
    with pytest.raises(InvalidConfig) as caught:
        config.seal()
    assert codes(caught.value) == [(10, "unknown-section", "other", None)]


def test_without_by_all_have_one_class_and_defaults_do(path: Path) -> None:
    """A section that is named and not written is a warning; an optional one is left out."""
    text = "[DEFAULT]\nfixed_backends = a, b\n[a]\npath = /a\n"
    config = load(text, Common, Plain, path=path)
    assert {name: each.path for name, each in config.each(Plain).items()} == {"a": "/a", "b": "/"}
    assert [(each.code, each.section) for each in config.findings] == [("missing-section", "b")]
    assert list(load(text, Common, Spare, path=path).each(Spare)) == ["a"]


def test_a_class_may_come_late(path: Path) -> None:
    """A library asks with a class that nobody loaded, and it is checked then."""
    config = load("[DEFAULT]\nfixed_backends = a\n[a]\npath = /a\n", Common, path=path)
    assert config.each(Plain)["a"].path == "/a"
    config.seal()
    assert config.findings == ()
    config = load("[DEFAULT]\nfixed_backends = a\n[a]\npaht = /a\n", Common, path=path)
    with pytest.raises(InvalidConfig):
        config.each(Plain)


def test_flags_do_not_reach_them(path: Path) -> None:
    """Flags are read before anybody knows which sections are named."""
    with pytest.raises(InvalidConfig):
        load(TEXT, path=path, argv=("--fast.size=4",))
    assert "--backend.size" not in Schema.of(ALL).flags


def test_a_reload_adds_and_removes_what_a_mutable_owner_names(path: Path) -> None:
    """The sections themselves tell of values; a snapshot stays what it was."""
    config = load(TEXT, path=path)
    before = config.snapshot()
    kept = before.each(Backend)
    path.write_text(
        "[DEFAULT]\nenabled_backends = fast, new\n[fast]\ndriver = lvm\ngroup = vg\nsize = 2\n"
        "[new]\ndriver = nfs\nshare = n\n"
    )
    changes = config.reload()
    assert (changes.added, changes.removed) == (("new",), ("slow",))
    assert [each.key for each in changes.changed] == ["enabled_backends", "fast.size"]
    assert list(config.each(Backend)) == ["fast", "new"]
    assert config.each(Backend)["fast"].size == 2
    assert before.each(Backend) is kept
    assert changes.findings == ()


def test_a_reload_keeps_what_a_fixed_owner_names(path: Path) -> None:
    """One warning says why, and the section has all that it had."""
    config = load("[DEFAULT]\nfixed_backends = a\n[a]\npath = /a\n", Common, Plain, path=path)
    path.write_text("[DEFAULT]\nfixed_backends = b\n[b]\npath = /b\n")
    changes = config.reload()
    assert not changes
    assert {name: each.path for name, each in config.each(Plain).items()} == {"a": "/a"}
    assert [(each.code, each.option) for each in changes.findings] == [
        ("needs-restart", "fixed_backends")
    ]


def test_a_reload_does_not_change_a_driver(path: Path) -> None:
    """The section stays as it was in all its options, and the rest is taken over."""
    config = load(TEXT, path=path)
    path.write_text(
        TEXT.replace("driver = lvm\ngroup = vg", "driver = nfs\nshare = x\nsize = 8").replace(
            "size = 3", "size = 4"
        )
    )
    changes = config.reload()
    assert [each.key for each in changes.changed] == ["slow.size"]
    assert config.each(Backend)["fast"] == Lvm(driver="lvm", group="vg")
    assert [(each.line, each.code, each.section, each.option) for each in changes.findings] == [
        (4, "needs-restart", "fast", "driver")
    ]


def test_a_reload_changes_a_driver_that_is_mutable(path: Path) -> None:
    """The section is of another class then."""

    class Store(Section, each="enabled_backends", by="kind"):
        kind: str = option(default="one", mutable=True)

    class One(Store, when="one"):
        x: int = option()

    class Two(Store, when="two"):
        y: int = option()

    config = load("[DEFAULT]\nenabled_backends=s\n[s]\nx = 1\n", Common, One, Two, path=path)
    assert config.each(Store) == {"s": One(x=1)}
    path.write_text("[DEFAULT]\nenabled_backends=s\n[s]\nkind = two\ny = 2\n")
    assert config.reload()
    assert config.each(Store) == {"s": Two(kind="two", y=2)}


def test_one_section_is_asked_for_by_name_or_not_at_all(path: Path) -> None:
    """Classes of repeated sections stand for no section of their own."""
    config = load(TEXT, path=path)
    with pytest.raises(TypeError, match=r"config\.each"):
        config.named(Backend, "fast")
    with pytest.raises(TypeError, match=r"config\.each"):
        config[Backend]
    with pytest.raises(TypeError, match="each="):
        config.each(Common)


def test_declarations_that_make_no_sense_are_refused(path: Path) -> None:
    """Each says what is missing."""
    with pytest.raises(SchemaError, match="each="):
        SectionType("X", (Section,), {}, by="driver")
    with pytest.raises(SchemaError, match="when="):
        SectionType("X", (Section,), {}, when="lvm")
    with pytest.raises(SchemaError, match="when="):
        SectionType("X", (Backend,), {}, when="lvm", name="x")
    with pytest.raises(SchemaError, match="by="):
        Schema.of([SectionType("X", (Section,), {}, each="DEFAULT.a", by="driver")])
    with pytest.raises(SchemaError, match="as it is in a file"):
        SectionType("X", (Store,), {}, when=Kind.FAST)  # type: ignore[arg-type]  # on purpose
    with pytest.raises(SchemaError, match="none can be named"):
        Schema.of([SectionType("X", (Section,), {}, each="a", name="DEFAULT")])
    with pytest.raises(SchemaError, match="load its section"):
        load("", Backend, path=path)

    class Wrong(Section, each="DEFAULT.first"):
        size: int = option(default=1)

    with pytest.raises(SchemaError, match="must be a list"):
        load("", Common, Wrong, path=path)


def test_shapes_that_contradict_each_other_are_refused(path: Path) -> None:
    """Two for one driver, two for all, two ways to tell drivers, an old name that is another's."""

    class Again(Backend, when="lvm"):
        size: int = option(default=2)

    class Other(Section, each="enabled_backends", by="driver"):
        driver: str = option()

    class Renamed(Backend, when="r"):
        room: int = option(default=1, was=("size",))

    for classes, why in (
        ((Again, Lvm), "when='lvm'"),
        ((Backend, Other), "each='enabled_backends'"),
        ((Backend, Store), "each='enabled_backends'"),
        ((Renamed,), "old name 'backend.renamed.size'"),
    ):
        with pytest.raises(SchemaError, match=why):
            load(TEXT, Common, *classes, path=path)


def test_an_old_name_of_a_named_section_is_one_of_it(path: Path) -> None:
    """An option of one section could not become one of many."""

    class Moved(Section, each="fixed_backends"):
        size: int = option(default=1, was=("DEFAULT.size",))

    with pytest.raises(SchemaError, match="would be that of many"):
        load("", Common, Moved, path=path)


def test_a_class_that_nobody_can_name_does_no_harm(path: Path) -> None:
    """Asking for it is refused, and the configuration goes on as before."""

    class Lost(Section, each="api.names"):
        size: int = option(default=1)

    config = load(TEXT, path=path)
    with pytest.raises(SchemaError, match="load its section"):
        config.each(Lost)
    assert config.reload().generation == 2


def test_an_ordinary_subclass_is_a_section_of_its_own(path: Path) -> None:
    """Only ``when=`` makes a variant."""

    class Own(Backend):
        """Inherits options."""

    assert load("[own]\ndriver = x\n", *ALL, Own, path=path)[Own].driver == "x"


def test_help_shows_the_shape(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What names them, and how their variables are spelled; no flags."""
    with pytest.raises(SystemExit):
        load("", path=path, argv=("--help",))
    text = capsys.readouterr().out
    assert "[backend] (each section that enabled_backends names)" in text
    assert "STOCK_<SECTION>__SIZE_LIMIT" in text
    assert "--backend" not in text


def test_a_program_checks_them_before_it_starts(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A driver that may come later is no error there; one that is misspelt is."""
    with pytest.raises(SystemExit) as ended:
        load(TEXT, Common, Backend, Lvm, path=path, argv=("--check-config",))
    told = capsys.readouterr().out
    assert ended.value.code == 0
    assert "warning: [slow] driver must be 'lvm', not 'nfs'. It is right if" in told
    with pytest.raises(SystemExit) as ended:
        load(TEXT.replace("= lvm", "= lmv"), path=path, argv=("--check-config",))
    assert ended.value.code == 1
    assert "Did you mean 'lvm'?" in capsys.readouterr().out


def test_two_drivers_may_have_an_option_of_one_name(path: Path) -> None:
    """Each reads it with its own type, and old names are those of each section."""

    class Disk(Backend, when="disk"):
        place: Path = option(was=("where",))

    class Net(Backend, when="net"):
        place: HostPort = option()

    text = (
        "[DEFAULT]\nenabled_backends = a, b\n[a]\ndriver = disk\nwhere = /x\n"
        "[b]\ndriver = net\nplace = h:1\ncapacity = 3\n"
    )
    config = load(text, Common, Disk, Net, path=path)
    assert config.each(Disk)["a"].place == Path("/x")
    assert config.each(Net)["b"] == Net(driver="net", place=HostPort("h", 1), size=3)
    assert [(each.line, each.code) for each in config.findings] == [
        (5, "deprecated-name"),
        (9, "deprecated-name"),
    ]


class Kind(Enum):
    FAST = "fast"
    PLAIN = "plain"


class Store(Section, each="enabled_backends", by="kind"):
    kind: Kind = option(default=Kind.PLAIN)


class FastStore(Store, when="fast"):
    speed: int = option()


class FasterStore(FastStore, when="plain"):
    """Varies what varies; not loaded in all tests."""


def test_a_driver_that_its_type_lists_needs_no_variant(path: Path) -> None:
    """It has the options of all and no more; variants may vary further."""
    text = "[DEFAULT]\nenabled_backends = a, b\n[a]\nkind = fast\nspeed = 3\n"
    config = load(text + "[b]\n", Common, Store, FastStore, path=path)
    assert config.each(Store) == {"a": FastStore(kind=Kind.FAST, speed=3), "b": Store()}
    with pytest.raises(InvalidConfig) as caught:
        load(f"{text}[b]\nspeed = 1\n", Common, Store, FastStore, path=path)
    assert codes(caught.value) == [(7, "unknown-option", "b", "speed")]
    assert "counts only where kind is 'fast'" in str(caught.value)
    config = load(f"{text}[b]\nspeed = 1\n", Common, FasterStore, FastStore, path=path)
    assert config.each(FastStore) == {
        "a": FastStore(kind=Kind.FAST, speed=3),
        "b": FasterStore(speed=1),
    }


def test_a_variant_may_say_an_option_of_all_otherwise(path: Path) -> None:
    """Its own word counts for its sections: here the driver has one value and need not be given."""

    class Ram(Backend, when="ram"):
        driver: Literal["ram"] = option(default="ram")
        size: int = option(default=64, max=100)

    text = "[DEFAULT]\nenabled_backends = a\n[a]\ndriver = ram\nsize = {}\n"
    assert load(text.format(99), Common, Ram, path=path).each(Backend) == {"a": Ram(size=99)}
    with pytest.raises(InvalidConfig) as caught:
        load(text.format(101), Common, Ram, path=path)
    assert codes(caught.value) == [(5, "out-of-range", "a", "size")]


def test_a_name_that_stands_twice_is_one_section(path: Path) -> None:
    """Whoever names it twice has one."""
    text = TEXT.replace("slow, fast", "slow, fast, slow")
    assert list(load(text, path=path).each(Backend)) == ["slow", "fast"]


def test_one_that_is_switched_off_is_not_taken_for_another(path: Path) -> None:
    """[lvm2] is near [lvm1] and yet itself; a section that is missing was surely meant."""
    text = "[DEFAULT]\nenabled_backends = lvm1\n[lvm1]\ndriver = lvm\ngroup = a\n"
    other = "[lvm2]\ndriver = lvm\ncapacity = 2\n"
    config = load(text + other, path=path)
    config.seal()
    assert [(each.code, each.section) for each in config.findings] == [("unnamed-section", "lvm2")]
    path.write_text("[DEFAULT]\nenabled_backends = lvm1\n" + other)
    assert [(each.code, each.section, each.suggestion) for each in check([path], sections=ALL)] == [
        ("unknown-section", "lvm2", "lvm1")
    ]


def test_a_variable_of_a_section_nobody_named_is_told_too(path: Path) -> None:
    """It has the shape, so it is a warning."""
    config = load(TEXT, path=path, environ={"STOCK_SPARE__SIZE": "1"})
    config.seal()
    assert [(each.code, each.place) for each in config.findings] == [
        ("unnamed-section", "STOCK_SPARE__SIZE")
    ]


def test_a_driver_may_come_late(path: Path) -> None:
    """Until the seal nobody knows whether it will; its sections have the options of all."""
    path.write_text(TEXT)
    late = Config.load(
        [Common, Backend], program="stock", argv=(), environ={}, files=[path], unknown="defer"
    )
    assert {name: each.driver for name, each in late.each(Backend).items()} == {
        "slow": "nfs",
        "fast": "lvm",
    }
    assert type(late.each(Backend)["slow"]) is Backend
    assert [row.key for row in late.rows() if row.section == "slow"] == [
        "slow.driver",
        "slow.size",
        "slow.key",
    ]
    before = late.snapshot()
    assert late.each(Nfs) == {"slow": Nfs(driver="nfs", share="a:/b", size=3)}
    assert type(before.each(Backend)["slow"]) is Nfs
    with pytest.raises(InvalidConfig) as caught:
        late.seal()
    assert codes(caught.value) == [(4, "not-a-choice", "fast", "driver")]
    assert list(late.each(Lvm)) == ["fast"]
    late.seal()
    assert late.reload().generation == 2
    assert late.each(Nfs)["slow"].share == "a:/b"


def test_threads_that_bring_one_class_get_one_answer(path: Path) -> None:
    """It is taken in once, whoever asks first."""
    path.write_text(TEXT)
    late = Config.load(
        [Common, Backend], program="stock", argv=(), environ={}, files=[path], unknown="defer"
    )
    ready, found = threading.Barrier(8), list[Mapping[str, Backend]]()

    def ask(cls: type[Backend]) -> None:
        ready.wait()
        found.append(late.each(cls))

    threads = [threading.Thread(target=ask, args=(each,)) for each in (Lvm, Nfs) * 4]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(found) == 8
    assert {tuple(each) for each in found} == {("fast",), ("slow",)}
    assert {type(made) for each in found for made in each.values()} == {Lvm, Nfs}
    late.seal()


def test_a_late_driver_is_checked_when_it_comes(path: Path) -> None:
    """What is wrong in its sections is an error then, and in no others."""
    path.write_text(TEXT.replace("group = vg", "gruop = vg"))
    late = Config.load(
        [Common, Backend], program="stock", argv=(), environ={}, files=[path], unknown="defer"
    )
    assert list(late.each(Nfs)) == ["slow"]
    with pytest.raises(InvalidConfig) as caught:
        late.each(Lvm)
    assert codes(caught.value) == [(None, "missing-required", "fast", "group")]


def test_without_any_variant_no_driver_is_known(path: Path) -> None:
    """It is said in words that make sense without a list."""
    with pytest.raises(
        InvalidConfig, match=r"driver must be a driver that is loaded, .* not 'nfs'"
    ):
        load(TEXT.replace("slow, fast", "slow"), Common, Backend, path=path)


def test_a_section_that_comes_late_cannot_be_one_that_is_named(path: Path) -> None:
    """Which of the two it is nobody could say; the name in the file has to change."""

    class Fast(Section):
        size: int = option(default=1)

    config = load(TEXT, path=path)
    for ask in (lambda: config[Fast], lambda: config.named(Common, "slow")):
        with pytest.raises(InvalidConfig) as caught:
            ask()
        assert {each.code for each in caught.value.findings} == {"section-name"}
        assert caught.value.findings[0].line == 2


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (TEXT.replace("slow, fast", "slow, fast, gone"), "missing-required"),
        (TEXT.replace("slow, fast", "slow, fast, a b"), "section-name"),
        (TEXT.replace("slow, fast", "slow, fast, default"), "section-name"),
        (TEXT.replace("slow, fast", "new") + "[new]\ndriver = lmv\n", "not-a-choice"),
        (TEXT.replace("share = a:/b", "shrae = a:/b"), "unknown-option"),
    ],
)
def test_a_reload_of_what_is_wrong_changes_nothing(text: str, code: str, path: Path) -> None:
    """A section is missing, its name is none, its driver or an option of it is not known."""
    config = load(TEXT, path=path)
    before = config.each(Backend)
    path.write_text(text)
    with pytest.raises(ReloadRefused) as caught:
        config.reload()
    cause = caught.value.__cause__
    assert isinstance(cause, InvalidConfig)
    assert code in {each.code for each in cause.findings}
    assert config.each(Backend) is before


def test_a_reload_tells_what_became_of_options_inside(path: Path) -> None:
    """Mutable ones change, others wait, and a secret is told by no letter."""
    config = load(TEXT.replace("size = 3", "size = 3\nkey = hunter2"), path=path)
    path.write_text(TEXT.replace("size = 3", "size = 4\nkey = hunter3").replace("a:/b", "c:/d"))
    changes = config.reload()
    assert [(each.key, each.old, each.new) for each in changes.changed] == [("slow.size", "3", "4")]
    assert [(each.section, each.option) for each in changes.findings] == [
        ("slow", "key"),
        ("slow", "share"),
    ]
    kept = config.each(Nfs)["slow"]
    assert (kept.share, kept.size, kept.key.reveal()) == ("a:/b", 4, "hunter2")
    assert "hunter" not in f"{changes!r}{config.each(Backend)!r}{config.rows()!r}{config!r}"
    assert "hunter" not in str(config.explain("slow.key"))


def test_a_section_comes_back_with_another_driver(path: Path) -> None:
    """Named no more, it is forgotten; named again, it is a new one."""
    config = load(TEXT, path=path)
    path.write_text(TEXT.replace("slow, fast", "slow"))
    assert config.reload().removed == ("fast",)
    with pytest.raises(NoSuchOption):
        config.explain("fast.size")
    path.write_text(TEXT.replace("driver = lvm\ngroup = vg", "driver = nfs\nshare = z"))
    changes = config.reload()
    assert (changes.added, changes.findings) == (("fast",), ())
    assert config.each(Nfs)["fast"].share == "z"


def test_a_secret_names_no_section_and_no_driver(path: Path) -> None:
    """Neither is shown where one is put into it."""

    class Vault(Section):
        word: Secret[str] = option(default=Secret("hunter2"))

    named = "[DEFAULT]\nenabled_backends = $vault.word\n"
    driven = "[DEFAULT]\nenabled_backends = a\n[a]\ndriver = $vault.word\n"
    for text, code in ((named, "section-name"), (driven, "not-a-choice")):
        with pytest.raises(InvalidConfig) as caught:
            load(text, Vault, *ALL, path=path)
        assert [each.code for each in caught.value.findings] == [code]
        found = check([path], sections=[Vault, *ALL])
        assert "hunter2" not in f"{caught.value}{found}{findings_json(found)}"


def test_a_mistaken_driver_shows_nothing_of_what_stands_beside_it(path: Path) -> None:
    """Which options are secrets is not known then, so none is shown."""

    class Cloud(Backend, when="cloud"):
        token: Secret[str] = option()

    path.write_text("[DEFAULT]\nenabled_backends = a\n[a]\ndriver = clod\ntoken = hunter2\n")
    found = audit([path], sections=[Common, Cloud, Nfs])
    assert [(each.code, each.suggestion) for each in found.findings] == [("not-a-choice", "cloud")]
    text = findings_text(found.findings, schema=found.schema, lines=file_lines())
    assert "driver = clod" in text
    assert "hunter2" not in f"{text}{found!r}"


def test_a_flag_is_told_how_else_to_say_it(path: Path) -> None:
    """The variable of the section that is meant."""
    with pytest.raises(InvalidConfig, match="STOCK_FAST__SIZE"):
        load(TEXT, path=path, argv=("--fast.size=4",))


def test_sections_of_toml_are_named_alike(path: Path) -> None:
    """A list of names, and a table each."""
    path = path.with_suffix(".toml")
    text = '[DEFAULT]\nenabled_backends = ["a"]\n[a]\ndriver = "lvm"\ngroup = "g"\nsize = 2\n'
    assert load(text, path=path).each(Lvm) == {"a": Lvm(driver="lvm", group="g", size=2)}


def test_threads_see_sections_of_one_generation(path: Path) -> None:
    """While a name comes and goes, a snapshot has it or has it not, in all it says."""
    texts = (TEXT, TEXT.replace("slow, fast", "slow"))
    config, wrong, done = load(TEXT, path=path), list[object](), threading.Event()

    def look() -> None:
        while not done.is_set():
            with config.snapshot() as snapshot:
                named = list(snapshot[Common].enabled_backends)
                if named != list(snapshot.each(Backend)) or (
                    list(snapshot.each(Lvm)) != [name for name in named if name == "fast"]
                ):
                    wrong.append(named)

    threads = [threading.Thread(target=look) for _ in range(2)]
    for each in threads:
        each.start()
    for number in range(16):
        path.write_text(texts[number % 2])
        config.reload()
    done.set()
    for each in threads:
        each.join()
    assert wrong == []
    assert config.generation == 17
