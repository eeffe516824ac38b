import pytest

from bedplate.config.sources import Memory


def test_values_are_handed_on_as_they_are() -> None:
    """Native values stay native, and their place says whose they are."""
    items = ["a"]
    tree = Memory({"DEFAULT": {"debug": True}, "api": {"hosts": items}}).load()
    assert tree.get("api", "hosts")[0].value is items
    assert str(tree.get("api", "hosts")[0].origin) == "override api.hosts"
    assert str(tree.get("DEFAULT", "debug")[0].origin) == "override debug"
    assert tree.get("DEFAULT", "debug")[0].origin.source == "override"


def test_an_empty_section_counts_as_written() -> None:
    """A program can name a section without setting anything in it."""
    tree = Memory({"api": {}}, name="application default").load()
    assert tree.sections["api"].source == "application default"
    assert len(tree) == 0


def test_a_section_that_is_no_mapping_is_a_mistake_of_the_program() -> None:
    """The error shows the form and the section, and not what was there instead."""
    source = Memory({"password": "hunter2"})  # type: ignore[dict-item]  # the mistake
    with pytest.raises(TypeError, match="'password' does not hold a mapping") as raised:
        source.load()
    assert "hunter2" not in str(raised.value)


def test_a_refresh_sees_the_mapping_of_now() -> None:
    """The mapping is read each time; nothing announces a change of it."""
    content: dict[str, dict[str, object]] = {}
    source = Memory(content)
    assert len(source.load()) == 0
    content["api"] = {"workers": 4}
    assert len(source.refresh()) == 1
    assert source.next_refresh(0.0) is None
