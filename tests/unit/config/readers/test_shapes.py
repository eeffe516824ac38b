"""Sections that an option names, in all that is written from a schema."""

import json
import tomllib

import pytest

from bedplate.config import Schema, Secret, Section, audit, option, read_schema, write_schema
from bedplate.config.document import Document
from bedplate.config.readers import (
    Difference,
    concerning,
    count,
    difference,
    difference_text,
    page_markdown,
    page_rst,
    sample_ini,
    sample_toml,
    written,
)
from bedplate.config.schema_json import from_json, to_json
from bedplate.errors import InvalidConfig, SchemaError

CANARY = "hunter2"


class Common(Section, name="DEFAULT"):
    """What everybody has."""

    enabled_backends: list[str] = option(default=["one"])


class Backend(Section, each="enabled_backends", by="driver"):
    """A place for things."""

    driver: str = option(help="Which kind it is.")
    size: int = option(default=1, was=("capacity",))
    key: Secret[str] = option(default=Secret(CANARY))


class Lvm(Backend, when="lvm"):
    """A disk."""

    place: str = option()


class Nfs(Backend, when="nfs"):
    """A share."""

    place: int = option(default=3)


OLD = Schema.of([Common, Lvm, Nfs])


def newer() -> Schema:
    class Backend(Section, each="enabled_backends", by="driver"):
        driver: str = option()
        room: int = option(default=2, was=("size",))
        key: Secret[str] = option(default=Secret(CANARY))

    class Lvm(Backend, when="lvm"):
        place: str = option(deprecated="Say where.")
        where: str = option()

    class Cloud(Backend, when="cloud"):
        token: Secret[str] = option()

    return Schema.of([Common, Lvm, Cloud])


NEW = newer()


def of_file(text: str) -> Difference:
    tree = Document.parse(text.encode(), "my.conf").tree()
    return concerning(difference(OLD, NEW), OLD, NEW, written(tree, OLD))


def test_a_schema_holds_what_all_have_and_what_each_driver_adds() -> None:
    """An option is described once, where it is declared."""
    assert {name: list(each.options) for name, each in OLD.sections.items()} == {
        "DEFAULT": ["enabled_backends"],
        "backend": ["driver", "size", "key"],
        "backend.lvm": ["place"],
        "backend.nfs": ["place"],
    }
    assert Schema.of([Common, Backend, Lvm, Nfs]) == OLD


def test_it_is_read_back_without_loss() -> None:
    """What names them, by which option, and which driver; an editor allows any section."""
    document = to_json(OLD)
    back = from_json(json.loads(json.dumps(document)), "it")
    assert back == OLD
    assert back.sections["backend.nfs"][4:7] == ("enabled_backends", "nfs", "driver")
    assert list(back.flags) == list(OLD.flags) == ["--enabled-backends"]
    assert document["additionalProperties"] == {"type": "object"}
    assert "required" not in document
    assert CANARY not in json.dumps(document)


@pytest.mark.parametrize("how", ["classes", "file"])
def test_a_file_is_checked_alike_by_classes_and_by_what_is_written_of_them(
    how: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Names, drivers, types and advice are the same where the code is not installed."""
    place = tmp_path_factory.mktemp("check")
    schema = OLD
    if how == "file":
        (place / "it.json").write_text(write_schema(OLD))
        schema = read_schema(place / "it.json")
    path = place / "my.conf"
    path.write_text(
        "[DEFAULT]\nenabled_backends = a, b, c\n[a]\ndriver = lvm\nplace = x\nsize = y\n"
        "[b]\ndriver = nfs\nplace = x\n[c]\ndriver = nsf\nplace = z\n[d]\ndriver = nfs\n"
    )
    found = audit([path], schema=schema).findings
    assert [(each.line, each.code, each.suggestion) for each in found] == [
        (6, "wrong-type", None),
        (9, "wrong-type", None),
        (11, "not-a-choice", "nfs"),
        (13, "unnamed-section", None),
    ]


def test_values_are_shown_and_explained(tmp_path_factory: pytest.TempPathFactory) -> None:
    """By the names that the file gives; secrets masked."""
    path = tmp_path_factory.mktemp("show") / "my.conf"
    path.write_text("[DEFAULT]\nenabled_backends = a\n[a]\ndriver = nfs\ncapacity = 5\n")
    found = audit([path], schema=OLD)
    assert [(row.key, row.value) for row in found.rows()] == [
        ("enabled_backends", "a"),
        ("a.driver", "nfs"),
        ("a.size", "5"),
        ("a.key", "****"),
        ("a.place", "3"),
    ]
    told = found.explain("a.capacity")
    assert (told.key, told.value, told.flag, told.variable) == ("a.size", "5", None, "MY_A__SIZE")


def test_what_makes_no_sense_is_told_before_any_file_is_read() -> None:
    """A schema of shapes alone has nobody who names them."""
    with pytest.raises(SchemaError, match="load its section"):
        audit([], schema=Schema.of([Lvm]), program="it")
    with pytest.raises(InvalidConfig):
        audit([], schema=OLD, program="it").rows()


def test_a_sample_says_which_sections_have_an_option() -> None:
    """The options of all stand in one place, those of a driver beside it."""
    text = sample_ini(OLD)
    assert (
        "[backend]\n# A place for things.\n# All sections that enabled_backends names have these "
        "options.\n" in text
    )
    assert (
        "[backend.lvm]\n# A disk.\n# Of the sections that enabled_backends names, those whose "
        "driver is lvm have\n# these options too.\n\n# Required.\n#place =\n" in text
    )
    assert tomllib.loads(sample_toml(OLD))["backend"] == {"lvm": {}, "nfs": {}}
    assert CANARY not in text


def test_pages_say_so_too() -> None:
    """As Markdown and as reStructuredText."""
    said = "Of the sections that enabled_backends names, those whose driver is nfs have"
    assert said in page_markdown(OLD).replace("\\_", "_")
    assert said in page_rst(OLD)


def test_figures_count_an_option_once() -> None:
    """However many drivers inherit it."""
    counted = count("1", OLD)
    assert (counted.sections, counted.options, counted.secret, counted.old_names) == (4, 6, 1, 1)


def test_a_difference_names_shapes() -> None:
    """What is renamed for all is told once, what a driver has beside its own name."""
    text = difference_text(difference(OLD, NEW))
    assert "  backend.size is now backend.room\n      default: 1 -> 2\n" in text
    assert "  backend.lvm.place\n      newly deprecated: Say where.\n" in text
    assert text.count("backend.key") == 0
    assert CANARY not in text


def test_what_concerns_a_file_is_found_by_the_names_in_it() -> None:
    """[fast] is asked about as what it is: by its driver, and by old names as well."""
    found = of_file("[DEFAULT]\nenabled_backends = a\n[a]\ndriver = lvm\nplace = x\nsize = 3\n")
    assert [each.key for each in found.renamed] == ["backend.size"]
    assert [each[0].key for each in found.changed] == ["backend.lvm.place"]
    assert [each.key for each in found.added] == ["backend.lvm.where"]
    assert found.gone == ()
    found = of_file("[DEFAULT]\nenabled_backends = b\n[b]\ndriver = nfs\nplace = 3\ncapacity = 3\n")
    assert [each.key for each in found.gone] == ["backend.nfs.place"]
    assert {(each.key, each.now.key) for each in found.renamed} == {
        ("backend.size", "backend.room"),
        ("backend.capacity", "backend.room"),
    }
    assert found.added == ()


def test_a_section_that_nobody_names_concerns_nobody() -> None:
    """Nothing reads it in either release."""
    assert not of_file("[DEFAULT]\nenabled_backends =\n[a]\ndriver = lvm\nplace = x\nsize = 3\n")
