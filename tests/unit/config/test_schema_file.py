import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from tests.unit.config.drawn import schemas

from bedplate.config import Schema, Secret, Section, Url, option, read_schema, write_schema
from bedplate.config.schema_json import from_json, to_json
from bedplate.config.specs import WITHHELD
from bedplate.config.types import Integer, Unchecked
from bedplate.errors import NotASchema

CANARY = "hunter2"
DATA = Path(__file__).parents[2] / "data" / "openstack"


class Api(Section):
    """The public interface."""

    workers: int = option(default=4, min=1, help="Threads.", was=("DEFAULT.threads",))
    password: Secret[str] = option(default=Secret(CANARY))
    database: Url = option(default=Url(f"pg://me:{CANARY}@db/x"))
    name: str = option()


class Log(Section, optional=True):
    """What is written down."""

    level: str = option(default="info", choices=("info", "debug"))
    place: str = option()


def written(value: object, tmp_path: Path) -> Path:
    path = tmp_path / "schema.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(schemas())
def test_a_schema_reads_back_as_it_was_written(schema: Schema) -> None:
    """Nothing that is described is lost in the file, whatever the schema."""
    assert from_json(json.loads(json.dumps(to_json(schema))), "drawn") == schema


@pytest.mark.parametrize("name", ["cinder", "glance", "nova", "keystone", "keystone-21.0.1-ns"])
def test_released_option_sets_read_back(name: str, tmp_path: Path) -> None:
    """What the generator prints and what we write of it describe the same options."""
    schema = read_schema(DATA / f"{name}.json")
    assert read_schema(written(write_schema(schema), tmp_path)) == schema


def test_editors_are_told_in_the_words_of_json_schema() -> None:
    """Types, limits, defaults, old names and what is required are said for any reader."""
    document = json.loads(write_schema(Schema.of([Api, Log])))
    assert document["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert document["required"] == ["api"]
    assert document["additionalProperties"] is False
    api = document["properties"]["api"]
    assert api["required"] == ["name"]
    facts = api["properties"]["workers"].pop("x-bedplate")
    assert api["properties"]["workers"] == {
        "description": "Threads.",
        "type": "integer",
        "minimum": 1,
        "default": 4,
    }
    assert facts["type"] == {"is": "int", "minimum": 1}
    old = document["properties"]["DEFAULT"]["properties"]["threads"]
    assert (old["deprecated"], old["description"]) == (True, "Now api.workers.")
    assert document["properties"]["log"]["properties"]["level"]["enum"] == ["info", "debug"]


def test_no_secret_is_in_the_file() -> None:
    """The default of a secret, and a password in a URL, are withheld; that they exist is told."""
    text = write_schema(Schema.of([Api]))
    assert CANARY not in text
    schema = from_json(json.loads(text), "x")
    for name in ("password", "database"):
        spec = schema.get("api", name)
        assert spec is not None
        assert (spec.default, spec.default_text, spec.required) == (WITHHELD, "****", False)


def test_a_type_of_ones_own_reads_back_as_text_that_nobody_checks() -> None:
    """A file names no code to run: what only a program can read is described, no more."""

    class Even(Integer):
        def describe(self) -> str:
            return "an even number"

    spec = next(iter(Schema.of([Api])))
    schema = Schema.of([Api])
    odd = schema.sections["api"]._replace(options={"n": spec._replace(name="n", type=Even())})
    back = from_json(json.loads(write_schema(Schema([odd]))), "x").get("api", "n")
    assert back is not None
    assert (back.type, back.unchecked) == (Unchecked("an even number"), True)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda s: s["x-bedplate"].update(format=2), "its x-bedplate.format is not 1"),
        (lambda s: s["x-bedplate"].update(dialect="klingon"), "neither native nor oslo"),
        (lambda s: s.update(properties=[]), "properties is no mapping"),
        (
            lambda s: s["properties"]["api"]["properties"]["workers"].update(default="many"),
            "properties.api.properties.workers.default must be a whole number of at least 1",
        ),
        (lambda s: facts(s).update(type="magic"), "workers.x-bedplate.type.is is none of text,"),
        (lambda s: facts(s).pop("type"), "workers.x-bedplate.type is no mapping"),
        (lambda s: facts(s).update(type={"is": "int", "minimum": "x"}), "minimum is no number"),
        (lambda s: facts(s).update(type={"is": "int", "minimum": 1e999}), "minimum is no number"),
        (lambda s: facts(s).update(type={"is": "choice"}), "type.spellings is missing"),
        (
            lambda s: facts(s).update(type={"is": "choice", "spellings": {"a": []}}),
            "type.spellings.a is no choice",
        ),
        (lambda s: facts(s).update(type={"is": "list"}), "type.type is no mapping"),
        (lambda s: facts(s).update(type={"is": "ip", "version": 5}), "neither 4 nor 6"),
        (lambda s: facts(s).update(type={"is": "host-port", "port": -1}), "no port"),
        (
            lambda s: facts(s).update(type={"is": "list", "item": "text", "make": "set"}),
            "neither tuple nor list",
        ),
        (lambda s: facts(s).update(type=nested(99)), "nested too deeply"),
        (lambda s: facts(s).update(was=["a"]), "no list of pairs"),
        (lambda s: facts(s).update(mutable="yes"), "neither true nor false"),
    ],
)
def test_a_damaged_schema_is_refused_with_its_place(change: object, why: str) -> None:
    """Whatever is wrong in a schema is one sentence with the file and the place in it."""
    document = json.loads(write_schema(Schema.of([Api])))
    change(document)  # type: ignore[operator]  # of a parametrised test
    with pytest.raises(NotASchema) as refused:
        from_json(document, "odd.json")
    assert str(refused.value).startswith("odd.json does not describe options: ")
    assert why in str(refused.value)


def facts(
    document: dict[str, dict[str, dict[str, dict[str, dict[str, dict[str, object]]]]]],
) -> dict[str, object]:
    return document["properties"]["api"]["properties"]["workers"]["x-bedplate"]


def nested(levels: int) -> object:
    return "text" if not levels else {"is": "list", "item": nested(levels - 1)}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"a": 1}', "it is neither the JSON Schema that 'bedplate config schema' writes nor"),
        ("[1]", "it is neither the JSON Schema"),
        ("{", "it is not JSON"),
    ],
)
def test_a_file_of_something_else_is_refused(text: str, why: str, tmp_path: Path) -> None:
    """JSON of anything else is told apart from a schema that is damaged."""
    with pytest.raises(NotASchema, match=why):
        read_schema(written(text, tmp_path))


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    """A directory, a pipe, a missing or an endless file ends in a sentence, not in waiting."""
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "large").open("wb") as large:
        large.truncate(100 * 1024 * 1024)
    for name, why in (
        ("", "it is a directory"),
        ("pipe", "it is no regular file"),
        ("large", "it is larger than 32 MiB"),
        ("missing", "there is no such file"),
        ("a\0b", "it cannot be read"),
    ):
        with pytest.raises(NotASchema, match=why):
            read_schema(f"{tmp_path}/{name}")
    with pytest.raises(NotASchema, match="it is no regular file"):
        read_schema("/dev/zero")
