from bedplate.config.tree import Origin, Raw, Tree
from bedplate.errors import Finding

WARNING = Finding("warning", "odd", "This is odd.")


def tree() -> Tree:
    made = Tree()
    made.declare("api", Origin("file", "a.conf:1:1", "a.conf", 1, 1))
    made.add("api", "key", Raw("hunter2", Origin("file", "a.conf:2:1", "a.conf", 2, 1)))
    made.add("api", "key", Raw("hunter3", Origin("file", "a.conf:3:1", "a.conf", 3, 1)))
    return made


def test_all_values_of_an_option_are_kept_in_order() -> None:
    """A tree decides nothing about repeated options: all their values stay."""
    assert [raw.value for raw in tree().get("api", "key")] == ["hunter2", "hunter3"]
    assert tree().get("api", "kye") == []
    assert tree().get("apj", "key") == []
    assert len(tree()) == 1


def test_a_section_keeps_the_origin_it_was_first_written_at() -> None:
    """Reopening a section, or setting an option in it, does not move it."""
    made = tree()
    made.declare("api", Origin("file", "a.conf:9:1", "a.conf", 9, 1))
    assert made.sections["api"].line == 1


def test_an_option_declares_its_section() -> None:
    """A source that knows no headers need not declare its sections."""
    made = Tree()
    made.add("api", "key", Raw(1, Origin("override", "override api.key")))
    assert str(made.sections["api"]) == "override api.key"


def test_no_printed_form_shows_a_value() -> None:
    """Trees and raw values end up in tracebacks; what they hold does not."""
    made = tree()
    printed = f"{made} {made!r} {list(made)!r}"
    assert "hunter" not in printed
    assert "a.conf:2:1" in printed


def test_an_origin_without_a_place_is_called_by_its_source() -> None:
    """An explanation always has a word for where a value came from."""
    assert str(Origin("default", "")) == "default"


def test_noting_adds_findings_to_a_copy() -> None:
    """A tree with one more finding is another tree, and changes to it stay in it."""
    made = tree()
    noted = made.noting(WARNING)
    noted.add("api", "key", Raw("hunter4", Origin("override", "")))
    noted.declare("rpc", Origin("override", ""))
    assert noted.findings == (WARNING,)
    assert noted.noting(WARNING).findings == (WARNING, WARNING)
    assert made.findings == ()
    assert len(made.get("api", "key")) == 2
    assert "rpc" not in made.sections


def test_a_copy_of_folded_names_is_folded() -> None:
    """How names are to be matched survives a finding."""
    assert Tree(folded=True).noting(WARNING).folded
    assert not Tree().noting(WARNING).folded
