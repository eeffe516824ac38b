import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from tests.unit.config.drawn import schemas

from bedplate.config import Schema, Secret, Section, option, read_schema, write_schema
from bedplate.config.document import Document
from bedplate.config.oslo import option_set
from bedplate.config.readers.diff import Difference, Facet, concerning, difference, written
from bedplate.config.readers.diff_text import difference_data, difference_markdown, difference_text
from bedplate.config.schema_json import from_json

CANARY = "hunter2"
DATA = Path(__file__).parents[3] / "data" / "openstack"


class Api(Section):
    """The first release."""

    workers: int = option(default=4, min=1, max=8)
    debug: bool = option(default=False)
    host: str = option(default="here", deprecated="Use url.")
    port: int = option(default=80)
    level: str = option(default="a", choices=("a", "b"))
    password: Secret[str] = option(default=Secret(CANARY))


class Newer(Section, name="api"):
    """The second release."""

    workers: int = option(default=8, min=1, max=16)
    debug: str = option(default="no")
    threads: int = option(default=81, was=("port",), help="How many. And more.")
    level: str = option(default="a", choices=("a", "c"), deprecated="Nobody needs it.", since="2")
    password: Secret[str] = option(default=Secret(f"{CANARY}!"))
    name: str = option()


OLD, NEW = Schema.of([Api]), Schema.of([Newer])


def found() -> Difference:
    return difference(OLD, NEW)


def of_file(text: str, old: Schema = OLD, new: Schema = NEW) -> Difference:
    tree = Document.parse(text.encode(), "my.conf").tree()
    return concerning(difference(old, new), old, new, written(tree, old))


def test_two_releases_of_keystone_differ_as_they_are_known_to() -> None:
    """From 21.0.1 to 30.0.0: 18 options new, 10 gone, nothing renamed, four changed."""
    old, new = (read_schema(DATA / f"keystone-{v}-ns.json") for v in ("21.0.1", "30.0.0"))
    known = difference(old, new)
    assert (len(old), len(new)) == (209, 217)
    assert (len(known.added), len(known.gone), len(known.renamed)) == (18, 10, 0)
    assert sum(bool(each.announced) for each in known.gone) == 9
    facets = Counter(facet.what for _, facets in known.changed for facet in facets)
    assert facets == Counter(default=2, choices=1, deprecated=1)
    data = difference_data(known)
    assert {key: len(listed) for key, listed in data.items() if isinstance(listed, list)} == {
        "added": 18,
        "gone": 10,
        "renamed": 0,
        "changed": 4,
    }


def test_each_kind_of_change_is_told() -> None:
    """Default, type, choices, range and a new deprecation stand under the option they are of."""
    changed = {spec.name: facets for spec, facets in found().changed}
    assert changed == {
        "workers": (Facet("default", "4", "8"), Facet("range", "1..8", "1..16")),
        "debug": (
            Facet("default", "false", "no"),
            Facet("type", "true or false (also on, off, yes, no, 1, 0)", "text"),
        ),
        "level": (
            Facet("choices", ("a", "b"), ("a", "c")),
            Facet("deprecated", None, "since 2: Nobody needs it."),
        ),
        "password": (Facet("default", "****", "****"),),
    }


def test_a_renamed_option_stands_only_under_renamed() -> None:
    """It is neither gone nor added, and what else changed of it stands beside its new name."""
    renamed = found().renamed
    assert [(each.key, each.now.key, each.facets) for each in renamed] == [
        ("api.port", "api.threads", (Facet("default", "80", "81"),))
    ]
    assert [spec.key for spec in found().added] == ["api.name"]
    assert [(each.key, each.announced) for each in found().gone] == [("api.host", "Use url.")]


def test_no_secret_is_told() -> None:
    """That the default of a secret changed is said, what it was is not."""
    for text in (
        difference_text(found()),
        difference_markdown(found()),
        json.dumps(difference_data(found())),
    ):
        assert CANARY not in text
        assert "****" in text


def test_a_default_that_a_file_withholds_is_not_called_changed() -> None:
    """Between a schema and its file nothing differs, although the file tells no secret."""
    assert not difference(OLD, from_json(json.loads(write_schema(OLD)), "x"))


@given(schemas())
def test_a_schema_does_not_differ_from_itself(schema: Schema) -> None:
    """Nothing is found where there is nothing."""
    assert not difference(schema, schema)
    assert difference_text(difference(schema, schema)) == "Nothing changed.\n"


@given(schemas(), schemas())
def test_every_difference_stands_in_one_list(old: Schema, new: Schema) -> None:
    """An option is added, gone, renamed or in both releases, and never two of these."""
    known = difference(old, new)
    before = [(spec.section, spec.name) for spec in old]
    after = [(spec.section, spec.name) for spec in new]
    lost = [(each.section, each.option) for each in known.gone]
    lost += [(each.section, each.option) for each in known.renamed]
    assert sorted(lost) == sorted(set(before) - set(after))
    gained = [(spec.section, spec.name) for spec in known.added]
    now = [(each.now.section, each.now.name) for each in known.renamed]
    assert sorted({*gained, *now} - set(before)) == sorted(set(after) - set(before))
    assert not set(gained) & set(now)
    assert all(text.endswith("\n") for text in (difference_text(known), difference_markdown(known)))


def test_only_what_concerns_a_file_is_left() -> None:
    """Of a file's own options all is told; of others only what is required and new."""
    concerned = of_file("[api]\nhost = a\nworkers = 3\n")
    assert [each.key for each in concerned.gone] == ["api.host"]
    assert [spec.key for spec, _ in concerned.changed] == ["api.workers"]
    assert [spec.key for spec in concerned.added] == ["api.name"]
    assert not concerned.renamed
    assert not of_file("[other]\nx = 1\n", new=OLD)


def test_an_option_that_is_required_from_now_on_is_told_to_whoever_lacks_it() -> None:
    """That it was optional concerns a file which does not set it, if it has the section."""

    class Now(Section, name="api"):
        """All the same, but for the workers."""

        workers: int = option(min=1, max=8)

    class Before(Section, name="api", optional=True):
        """Optional as a whole."""

        workers: int = option(default=4, min=1, max=8)

    class After(Section, name="api", optional=True):
        """Still optional as a whole."""

        workers: int = option(min=1, max=8)

    lacking = of_file("[other]\nx = 1\n", new=Schema.of([Now]))
    assert [spec.key for spec, _ in lacking.changed] == ["api.workers"]
    before, after = Schema.of([Before]), Schema.of([After])
    assert not of_file("[other]\nx = 1\n", before, after)
    assert of_file("[api]\nx = 1\n", before, after).changed


def test_an_old_name_that_is_no_longer_understood_is_told() -> None:
    """A file may use a name that even the old release only tolerated."""

    class First(Section, name="api"):
        size: int = option(default=1, was=("width",))
        depth: int = option(default=1, was=("height",))

    class Second(Section, name="api"):
        size: int = option(default=1)

    concerned = of_file("[api]\nwidth = 3\nheight = 4\n", Schema.of([First]), Schema.of([Second]))
    assert [(each.key, each.now.key) for each in concerned.renamed] == [("api.width", "api.size")]
    assert [each.key for each in concerned.gone] == ["api.depth", "api.height"]


def test_sections_are_found_in_any_case_where_oslo_finds_them() -> None:
    """A file of an oslo.config service may spell a section as it likes, DEFAULT excepted."""
    groups = {"Api": {"opts": [{"name": "host", "type": "string value", "default": "x"}]}}
    old = option_set({"options": groups}, "old")
    new = option_set({"options": {"Api": {"opts": []}}}, "new")
    assert [each.key for each in of_file("[aPI]\nhost = 1\n", old, new).gone] == ["Api.host"]
    assert not of_file("[default]\nhost = 1\n", old, new)


def test_what_is_written_says_all_of_it() -> None:
    """Text and Markdown have a heading a list, and name what changed."""
    assert difference_text(found()) == (
        "Added (1)\n"
        "  api.name (required)\n"
        "Gone (1)\n"
        "  api.host\n"
        "      announced: Use url.\n"
        "Renamed (1)\n"
        "  api.port is now api.threads\n"
        "      default: 80 -> 81\n"
        "Changed (4)\n"
        "  api.workers\n"
        "      default: 4 -> 8\n"
        "      range: 1..8 -> 1..16\n"
        "  api.debug\n"
        "      default: false -> no\n"
        "      type: true or false (also on, off, yes, no, 1, 0) -> text\n"
        "  api.level\n"
        "      choices: a, b -> a, c\n"
        "      newly deprecated: since 2: Nobody needs it.\n"
        "  api.password\n"
        "      default: **** -> ****\n"
    )
    assert difference_markdown(found()) == (
        "## New options\n\n"
        "- `api.name` (required)\n\n"
        "## Options that are gone\n\n"
        "- `api.host`: Use url.\n\n"
        "## Options with a new name\n\n"
        "- `api.port` is now `api.threads`: default `80` → `81`\n\n"
        "## Options that changed\n\n"
        "- `api.workers`: default `4` → `8`; range `1..8` → `1..16`\n"
        "- `api.debug`: default `false` → `no`; type: true or false (also on, off, yes, no, 1, 0) "
        "-\\> text\n"
        "- `api.level`: choices `a`, `b` → `a`, `c`; newly deprecated, since 2: Nobody needs it.\n"
        "- `api.password`: default `****` → `****`\n\n"
    )


@pytest.mark.parametrize(
    ("old", "new", "facet"),
    [
        ({"default": None}, {"default": "a"}, Facet("default", None, "a")),
        ({"required": True}, {"default": "a"}, Facet("required", "yes", "no")),
        ({}, {"secret": True}, Facet("type", "text", "a secret: text")),
        (
            {"type": "list value"},
            {"type": "multi valued"},
            Facet("type", "a list of which each is text", "text, written several times"),
        ),
        (
            {"type": "integer value", "min": 0},
            {"type": "integer value"},
            Facet("range", "0..", None),
        ),
        (
            {"type": "integer value", "choices": [1, 2]},
            {"type": "integer value"},
            Facet("choices", ("1", "2"), None),
        ),
        (
            {"type": "dict value"},
            {"type": "unknown value"},
            Facet(
                "type",
                "name:value of which each value is text",
                "what its program reads (unknown value)",
            ),
        ),
    ],
)
def test_facets_are_told_apart(
    old: dict[str, object], new: dict[str, object], facet: Facet
) -> None:
    """A change of one thing is told as that thing and nothing else."""
    before, after = (
        option_set(
            {"options": {"a": {"opts": [{"name": "x", "type": "string value"} | each]}}}, "x"
        )
        for each in (old, new)
    )
    assert [facets for _, facets in difference(before, after).changed] == [(facet,)]
    assert difference_text(difference(before, after))
