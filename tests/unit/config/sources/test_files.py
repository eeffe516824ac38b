import os
import socket
from pathlib import Path

import pytest

from bedplate.config.sources import Directory, File, search
from bedplate.config.sources import files as module
from bedplate.errors import SourceFailed

INI = "[api]\nworkers = 4\n"


def why(source: File | Directory) -> str:
    """Return the reason for which a source fails, which it gives under its name."""
    with pytest.raises(SourceFailed) as raised:
        source.load() if isinstance(source, File) else source.files()
    assert raised.value.source == source.name
    return raised.value.why


# --- one file -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["inventory.conf", "inventory.ini", "inventory", "toml"])
def test_a_file_of_any_other_suffix_is_ini(tmp_path: Path, name: str) -> None:
    """The INI dialect is the rule, and values are text."""
    (tmp_path / name).write_text(INI)
    (raw,) = File(tmp_path / name).load().get("api", "workers")
    assert raw.value == "4"
    assert raw.origin.place == f"{tmp_path / name}:2:1"


@pytest.mark.parametrize("name", ["inventory.toml", "INVENTORY.TOML"])
def test_the_suffix_toml_makes_it_toml(tmp_path: Path, name: str) -> None:
    """TOML is the exception, and values are native."""
    (tmp_path / name).write_text(INI)
    (raw,) = File(tmp_path / name).load().get("api", "workers")
    assert raw.value == 4
    assert raw.origin.place == f"{tmp_path / name}:2:1"


def test_a_file_is_called_as_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Origins and errors say the path as the operator typed it."""
    monkeypatch.chdir(tmp_path)
    Path("inventory.conf").write_text(INI)
    file = File("inventory.conf")
    assert file.name == "inventory.conf"
    assert file.load().get("api", "workers")[0].origin.place == "inventory.conf:2:1"


def test_a_relative_path_stays_the_same_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service that changes its directory reloads the file it was started with."""
    monkeypatch.chdir(tmp_path)
    Path("inventory.conf").write_text(INI)
    file = File("inventory.conf")
    file.load()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert len(file.refresh()) == 1
    assert "no such file" in why(File("inventory.conf"))


def test_a_tilde_is_the_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell does not expand it in --config-file=~/inventory.conf, so this does."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "inventory.conf").write_text(INI)
    assert len(File("~/inventory.conf").load()) == 1


def test_a_refresh_reads_anew(tmp_path: Path) -> None:
    """A file announces nothing, and is read again when asked."""
    path = tmp_path / "inventory.conf"
    path.write_text(INI)
    file = File(path)
    file.load()
    path.write_text("[api]\nworkers = 5\n")
    assert file.refresh().get("api", "workers")[0].value == "5"
    assert file.next_refresh(0.0) is None


def test_making_a_file_touches_nothing(tmp_path: Path) -> None:
    """A source can be made before its file is there."""
    file = File(tmp_path / "inventory.conf")
    (tmp_path / "inventory.conf").write_text(INI)
    assert len(file.load()) == 1


def test_syntax_errors_come_all_and_with_the_warnings(tmp_path: Path) -> None:
    """The tree holds all there is to say about the file, and what could be read of it."""
    path = tmp_path / "inventory.conf"
    path.write_text("lost = 1\n[api]\nkey = 1\n  other = 2\nnonsense\n")
    tree = File(path).load()
    codes = [finding.code for finding in tree.findings]
    assert codes == ["no-section", "indented-key", "no-equals"]
    assert [finding.code for finding in tree.mistakes] == ["no-section", "no-equals"]
    assert len(tree.get("api", "key")) == 1


def test_warnings_alone_travel_with_the_tree(tmp_path: Path) -> None:
    """A file with something odd in it is still read."""
    path = tmp_path / "inventory.conf"
    path.write_text("[api]\nkey = 1\n  other = 2\n")
    assert [finding.code for finding in File(path).load().findings] == ["indented-key"]


# --- what cannot be read ------------------------------------------------------------------------


def test_a_file_that_is_missing_is_told(tmp_path: Path) -> None:
    """The commonest mistake has the plainest sentence."""
    assert why(File(tmp_path / "missing.conf")) == "there is no such file."
    (tmp_path / "dangling.conf").symlink_to("nowhere")
    assert why(File(tmp_path / "dangling.conf")) == "there is no such file."


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    """And the message says how directories are given."""
    assert "--config-dir" in why(File(tmp_path))


def test_pipes_sockets_and_devices_are_refused_at_once(tmp_path: Path) -> None:
    """Reading them could wait for ever, or never end."""
    os.mkfifo(tmp_path / "pipe.conf")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket.conf"))
        for path in (tmp_path / "pipe.conf", tmp_path / "socket.conf", Path("/dev/zero")):
            assert "only regular files are read" in why(File(path))


def test_a_file_that_turns_into_a_pipe_is_refused_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was looked at and what was opened need not be the same."""
    os.mkfifo(tmp_path / "pipe.conf")
    regular = Path(__file__).stat()
    monkeypatch.setattr(os, "stat", lambda _: regular)
    assert "only regular files are read" in why(File(tmp_path / "pipe.conf"))


def test_a_file_without_permission_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's own reason is given; root, who may read everything, is told so by a fake."""
    path = tmp_path / "inventory.conf"
    path.write_text(INI)

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(module, "_open", refuse)
    assert why(File(path)) == "permission denied."


def test_a_file_that_is_far_too_large_is_refused(tmp_path: Path) -> None:
    """A wrong path must not fill the memory of a service; 16 MiB is the limit."""
    path = tmp_path / "inventory.conf"
    with path.open("wb") as file:
        file.truncate(16 * 1024 * 1024 + 1)
    assert "larger than 16 MiB" in why(File(path))
    os.truncate(path, 16 * 1024 * 1024)
    assert File(path).load().mistakes


def test_a_path_that_cannot_be_one_is_told() -> None:
    """A NUL or an endless name is a failure like any other."""
    assert "not one that the system can look up" in why(File("a\0b"))
    assert "not one that the system can look up" in why(Directory("a\0b"))
    assert why(File("x" * 5000)) == "file name too long."


def test_a_vanished_working_directory_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative path means nothing there."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert why(File("inventory.conf")) == "no such file or directory."


# --- a directory --------------------------------------------------------------------------------


def test_the_files_of_a_directory_are_layers_in_order_of_their_names(tmp_path: Path) -> None:
    """INI and TOML mix; hidden files, others and what lies deeper are passed over."""
    for name in ("20-b.toml", "10-a.conf", "b.conf", ".hidden.conf", "a.conf~", "README", "x.ini"):
        (tmp_path / name).write_text(INI)
    (tmp_path / "deeper.d").mkdir()
    (tmp_path / "deeper.d" / "c.conf").write_text(INI)
    names = [Path(file.name).name for file in Directory(tmp_path).files()]
    assert names == ["10-a.conf", "20-b.toml", "b.conf"]


def test_a_directory_is_listed_anew_each_time(tmp_path: Path) -> None:
    """A reload finds files that were added, and misses those that are gone."""
    directory = Directory(tmp_path)
    assert directory.files() == ()
    (tmp_path / "a.conf").write_text(INI)
    assert [len(file.load()) for file in directory.files()] == [1]


def test_a_relative_directory_stays_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its files too are those of the start, though called as the operator would."""
    monkeypatch.chdir(tmp_path)
    Path("conf.d").mkdir()
    Path("conf.d/a.conf").write_text(INI)
    directory = Directory("conf.d")
    directory.files()
    monkeypatch.chdir("/")
    (file,) = directory.files()
    assert file.name == "conf.d/a.conf"
    assert len(file.load()) == 1


def test_a_directory_that_cannot_be_listed_is_told(tmp_path: Path) -> None:
    """A directory that was asked for must be there, and be one."""
    assert why(Directory(tmp_path / "missing.d")) == "there is no such directory."
    (tmp_path / "a.conf").write_text(INI)
    assert "--config-file" in why(Directory(tmp_path / "a.conf"))


# --- where they are looked for ------------------------------------------------------------------


@pytest.fixture
def places(tmp_path: Path) -> list[Path]:
    """Make the four places where files are looked for, the first to be hit first."""
    home, etc = tmp_path / "home", tmp_path / "etc"
    found = [home / ".inventory", home, etc / "inventory", etc]
    for place in found:
        place.mkdir(parents=True, exist_ok=True)
    return found


def found_in(places: list[Path]) -> list[str]:
    return [source.name for source in search("inventory", home=places[1], etc=places[3])]


def test_nothing_found_is_nothing_to_load(places: list[Path]) -> None:
    """A service can run without any file."""
    assert found_in(places) == []


def test_the_first_place_that_has_it_wins(places: list[Path]) -> None:
    """A file of the user's own hides the system's, for the file and the directory each."""
    for place in reversed(places):
        (place / "inventory.conf").write_text(INI)
        assert found_in(places) == [str(place / "inventory.conf")]
    for place in reversed(places):
        (place / "inventory.conf.d").mkdir()
        assert found_in(places) == [
            str(places[0] / "inventory.conf"),
            str(place / "inventory.conf.d"),
        ]


def test_what_is_found_is_of_the_right_kind(places: list[Path]) -> None:
    """The file comes before the directory, whose files beat it."""
    (places[0] / "inventory.conf.d").mkdir()
    (places[3] / "inventory.conf").write_text(INI)
    file, directory = search("inventory", home=places[1], etc=places[3])
    assert isinstance(file, File)
    assert isinstance(directory, Directory)


def test_the_home_directory_is_the_users_own(
    places: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a home given, the one of the environment is searched."""
    monkeypatch.setenv("HOME", str(places[1]))
    (places[1] / "inventory.conf").write_text(INI)
    (file,) = search("inventory", etc=places[3])
    assert file.name == str(places[1] / "inventory.conf")
