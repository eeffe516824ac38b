"""What this installation is."""

from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

from bedplate._floor.build import is_compiled


def test_an_extension_beside_the_source_means_compiled(tmp_path: Path) -> None:
    """One module stands for all: they are compiled together or not at all."""
    room = tmp_path / "amqp091"
    room.mkdir()
    (room / "reception.py").touch()
    assert not is_compiled(tmp_path)
    (room / f"reception{EXTENSION_SUFFIXES[0]}").touch()
    assert is_compiled(tmp_path)
