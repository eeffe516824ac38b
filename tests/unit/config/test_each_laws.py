"""What holds of sections that an option names, whatever stands in the file."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedplate.config import Config, Secret, Section, check, option
from bedplate.errors import InvalidConfig, ReloadRefused


class Common(Section, name="DEFAULT"):
    names: list[str] = option(default=[], mutable=True)
    fixed: list[str] = option(default=[])


class Api(Section):
    size: int = option(default=1)


class Backend(Section, each="names", by="driver"):
    driver: str = option(mutable=True)
    size: int = option(default=1, mutable=True, was=("capacity",))
    still: int = option(default=1)


class Lvm(Backend, when="lvm"):
    place: str = option()


class Nfs(Backend, when="nfs"):
    place: int = option(default=3, mutable=True)
    key: Secret[str] = option(default=Secret("k"))


class Plain(Section, each="fixed", optional=True):
    path: str = option()


CLASSES: tuple[type[Section], ...] = (Common, Api, Backend, Lvm, Nfs, Plain)
_NAMES = st.sampled_from(["a", "b", "c", "d", "api", "A", "a.b"])
_LISTED = st.lists(_NAMES, max_size=3)
_VALUES = {
    "driver": ("lvm", "nfs", "lmv", "$first"),
    "size": ("2", "x"),
    "capacity": ("4",),
    "still": ("5",),
    "place": ("7", "here"),
    "key": ("s",),
    "path": ("/p",),
    "x": ("1",),
}
_LINES = st.sampled_from([f"{key} = {each}" for key, values in _VALUES.items() for each in values])
_SECTIONS = st.dictionaries(_NAMES, st.lists(_LINES, max_size=4), max_size=4)


def _good(name: str) -> st.SearchStrategy[str]:
    lines = st.sampled_from(["size = 2", "size = 3", "still = 5", "capacity = 4", "place = 7"])
    return st.builds(
        lambda driver, more: "\n".join((f"[{name}]", f"driver = {driver}", "place = 1", *more, "")),
        st.sampled_from(["lvm", "nfs"]),
        st.lists(lines, max_size=2),
    )


@st.composite
def files(draw: st.DrawFn) -> str:
    """Draw a file, right or wrong."""
    names, fixed, sections = draw(_LISTED), draw(_LISTED), draw(_SECTIONS)
    lines = ["[DEFAULT]", f"names = {', '.join(names)}", f"fixed = {','.join(fixed)}"]
    for name, written in sections.items():
        lines += [f"[{name}]", *written]
    return "\n".join([*lines, ""])


@st.composite
def right_files(draw: st.DrawFn) -> str:
    """Draw a file in which everything is right."""
    names = draw(st.lists(st.sampled_from("abcd"), max_size=4, unique=True))
    fixed = draw(st.lists(st.sampled_from("xyz"), max_size=2, unique=True))
    head = f"[DEFAULT]\nnames = {','.join(names)}\nfixed = {','.join(fixed)}\n"
    return head + "".join(draw(_good(name)) for name in names)


def load(path: Path) -> Config:
    return Config.load(CLASSES, program="it", argv=(), environ={}, files=[path])


@pytest.fixture(scope="module")
def path() -> Iterator[Path]:
    """Give the path of one file; hypothesis writes it anew each time."""
    with tempfile.TemporaryDirectory() as place:
        yield Path(place) / "it.conf"


@settings(deadline=None)
@given(text=files())
def test_a_start_fails_with_what_a_check_finds(text: str, path: Path) -> None:
    """The same errors, and each once."""
    path.write_text(text)
    found = {each for each in check([path], sections=CLASSES) if each.severity == "error"}
    try:
        config = load(path)
        config.seal()
    except InvalidConfig as invalid:
        told = invalid.findings
        assert len(set(told)) == len(told)
        unknown = {each for each in found if each.code == "unknown-section"}
        if not unknown:
            assert set(told) == found
        # Before the seal nobody says that a section is misspelt, so what it has is missing.
        assert found - unknown <= set(told)
        assert {each for each in told if each.code != "missing-required"} <= found
        return
    assert found == set()
    assert list(config.each(Backend)) == list(dict.fromkeys(config[Common].names))
    assert {each.section for each in config.findings if each.code == "missing-section"} <= {
        *config[Common].fixed
    }


@settings(deadline=None)
@given(before=right_files(), after=right_files())
def test_a_reload_ends_as_a_start_would_where_everything_may_change(
    before: str, after: str, path: Path
) -> None:
    """Names and drivers follow the file; of what stays a section, only mutable options do."""
    path.write_text(before)
    config = load(path)
    old = config.each(Backend)
    path.write_text(after)
    changes = config.reload()
    fresh, now = load(path).each(Backend), config.each(Backend)
    assert list(now) == list(fresh)
    assert set(changes.added) == fresh.keys() - old.keys()
    assert set(changes.removed) == old.keys() - fresh.keys()
    for name, made in now.items():
        assert type(made) is type(fresh[name])
        same = name in old and type(old[name]) is type(made)
        assert made.still == (old[name] if same else fresh[name]).still
        assert made.size == fresh[name].size
    refused = [each for each in changes.findings if each.code == "needs-restart"]
    assert {(each.section, each.option) for each in refused} == {
        (name, option)
        for name, made in old.items()
        if name in fresh and type(fresh[name]) is type(made)
        for option in ("still", *(["place"] if isinstance(made, Lvm) else []))
        if getattr(fresh[name], option) != getattr(made, option)
    } | ({("DEFAULT", "fixed")} if _fixed(before) != _fixed(after) else set())


def _fixed(text: str) -> str:
    return text.splitlines()[2]


@settings(deadline=None)
@given(before=right_files(), after=files())
def test_a_reload_changes_all_or_nothing(before: str, after: str, path: Path) -> None:
    """Refused, it leaves what was; else the sections are those that the list names."""
    path.write_text(before)
    config = load(path)
    old = config.each(Backend)
    path.write_text(after)
    try:
        config.reload()
    except ReloadRefused:
        assert config.each(Backend) is old
    else:
        assert list(config.each(Backend)) == list(dict.fromkeys(config[Common].names))
