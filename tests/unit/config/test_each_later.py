"""Sections that an option names, while a program runs: reloads, late classes, threads."""

import threading
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.unit.config.backends import TEXT, Backend, Common, Lvm, Nfs, Plain, codes, load

from bedplate.config import Config, Section, option
from bedplate.errors import InvalidConfig, NoSuchOption, ReloadRefused


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give the path of one file of configuration."""
    return tmp_path / "stock.conf"


def test_a_class_may_come_late(path: Path) -> None:
    """A library asks with a class that nobody loaded, and it is checked then."""
    config = load("[DEFAULT]\nfixed_backends = a\n[a]\npath = /a\n", Common, path=path)
    assert config.each(Plain)["a"].path == "/a"
    config.seal()
    assert config.findings == ()
    config = load("[DEFAULT]\nfixed_backends = a\n[a]\npaht = /a\n", Common, path=path)
    with pytest.raises(InvalidConfig):
        config.each(Plain)


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


def test_an_old_generation_learns_what_came_after_it(path: Path) -> None:
    """A driver that came with a later one is known in it too, whatever it is asked for first."""

    class Other(Section):
        size: int = option(default=1)

    path.write_text(TEXT)
    late = Config.load(
        [Common, Backend], program="stock", argv=(), environ={}, files=[path], unknown="defer"
    )
    old = late.snapshot()
    late.reload()
    assert list(late.each(Nfs)) == ["slow"]
    assert old[Other] == Other()
    assert old.each(Backend)["slow"] == Nfs(driver="nfs", share="a:/b", size=3)
    assert type(old.each(Backend)["fast"]) is Backend


def test_a_class_that_came_since_is_no_change_of_a_driver(path: Path) -> None:
    """A reload takes over what is mutable, and has nothing to refuse."""
    path.write_text(TEXT)
    late = Config.load(
        [Common, Backend], program="stock", argv=(), environ={}, files=[path], unknown="defer"
    )
    old = late.snapshot()
    late.reload()
    assert list(old.each(Nfs)) == ["slow"]
    path.write_text(TEXT.replace("size = 3", "size = 4"))
    changes = late.reload()
    assert [each.key for each in changes.changed] == ["slow.size"]
    assert changes.findings == ()
    assert late.each(Nfs)["slow"].size == 4
