import pytest

from bedplate.config.sources import Environment


def names(environ: dict[str, str], prefix: str = "INVENTORY") -> list[tuple[str, str]]:
    return [(section, option) for section, option, _ in Environment(environ, prefix).load()]


def test_section_and_name_are_parted_by_the_first_double_underscore() -> None:
    """Sections may hold single underscores, names may hold any."""
    environ = {
        "INVENTORY_API__WORKERS": "4",
        "INVENTORY_DISK_POOL__MAX_SIZE": "5",
        "INVENTORY_DEFAULT__A__B": "6",
    }
    assert names(environ) == [("API", "WORKERS"), ("DISK_POOL", "MAX_SIZE"), ("DEFAULT", "A__B")]


@pytest.mark.parametrize(
    "variable",
    [
        "INVENTORY_PORT",
        "INVENTORY_SERVICE_HOST",
        "INVENTORY_PORT_80_TCP",
        "INVENTORY__WORKERS",
        "INVENTORY___WORKERS",
        "INVENTORY_API__",
        "INVENTORYAPI__WORKERS",
        "inventory_API__WORKERS",
        "NOVA_INVENTORY_API__WORKERS",
        "PATH",
    ],
)
def test_other_variables_are_never_read(variable: str) -> None:
    """Only a prefix, a section and a name make a variable ours."""
    assert names({variable: "tcp://10.0.0.1:80"}) == []


def test_a_prefix_does_not_take_the_variables_of_a_shorter_one() -> None:
    """A program nova-api does not read what is meant for nova."""
    assert names({"NOVA_DEFAULT__DEBUG": "1"}, "NOVA_API") == []


def test_an_empty_value_is_a_value() -> None:
    """Whether nothing is good enough is for the option's type to say."""
    tree = Environment({"INVENTORY_API__KEY": ""}, "INVENTORY").load()
    assert tree.folded
    (raw,) = tree.get("API", "KEY")
    assert raw.value == ""
    assert raw.origin == ("environment", "INVENTORY_API__KEY", None, None, None)


def test_a_refresh_sees_the_variables_of_now() -> None:
    """The mapping is read each time; but the environment never announces a change."""
    environ: dict[str, str] = {}
    source = Environment(environ, "INVENTORY")
    assert len(source.load()) == 0
    environ["INVENTORY_API__KEY"] = "1"
    assert len(source.refresh()) == 1
    assert source.next_refresh(0.0) is None


def test_every_value_that_is_no_text_is_told() -> None:
    """Bytes that are not UTF-8 are refused by name, without being shown; the rest is read."""
    environ = {f"INVENTORY_API__{name}": f"hunter2\udce9{name}" for name in ("A", "B")}
    environ["INVENTORY_API__C"] = "é"
    tree = Environment(environ, "INVENTORY").load()
    assert [each.place for each in tree.mistakes] == list(environ)[:2]
    assert "hunter2" not in str(tree.findings)
    assert [raw.value for _, _, raws in tree for raw in raws] == ["é"]
