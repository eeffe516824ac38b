"""Declaring sections that an option names: shapes and variants."""

from pathlib import Path
from typing import Literal

import pytest
from tests.unit.config.backends import (
    ALL,
    TEXT,
    Backend,
    Common,
    FasterStore,
    FastStore,
    Kind,
    Lvm,
    Store,
    codes,
    load,
)

from bedplate.config import HostPort, Schema, Section, option
from bedplate.config.option import SectionType
from bedplate.errors import InvalidConfig, SchemaError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give the path of one file of configuration."""
    return tmp_path / "stock.conf"


def test_flags_do_not_reach_them(path: Path) -> None:
    """Flags are read before anybody knows which sections are named."""
    with pytest.raises(InvalidConfig):
        load(TEXT, path=path, argv=("--fast.size=4",))
    assert "--backend.size" not in Schema.of(ALL).flags


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
