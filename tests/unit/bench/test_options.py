"""What contestants are given: the same options and the same values, in the form each reads."""

import json
import tomllib
from pathlib import Path

import pytest

from bedplate.bench.options import Trial, material, told, trial
from bedplate.errors import BenchFailed

SORTS = {
    "wrong type",
    "wrong switch",
    "out of range",
    "not a choice",
    "unknown option",
    "unknown section",
}


def test_options_are_told_with_kind_bounds_and_choices(shop: Trial) -> None:
    """What the generator says of a type arrives in words that every library has."""
    by_name = {each.name: each for each in shop.given.options}
    workers, port, password = by_name["workers"], by_name["listen_port"], by_name["password"]
    assert (workers.kind, workers.low, workers.high, workers.default) == ("int", 1, 64, 4)
    assert (port.kind, port.low, port.high) == ("port", 0, 65535)
    assert (password.kind, password.secret, password.default) == ("str", True, None)
    assert by_name["patience"].default == 3.0
    assert by_name["mode"].choices == ("fast", "safe")


def test_a_choice_that_is_blind_to_case_is_given_away_by_its_default(shop: Trial) -> None:
    """The generator prints Days, the default says days: both are choices."""
    (rotation,) = (each for each in shop.given.options if each.name == "log_rotation")
    assert rotation.choices == ("Days", "days")
    assert rotation.default == "days"


def test_a_default_as_documents_show_it_is_left_out_of_the_file(shop: Trial) -> None:
    """Only the service itself knows what ``<this host>`` stands for."""
    assert ("DEFAULT", "host") not in shop.given.texts
    assert "host" not in Path(shop.forms["ini"][""]).read_text()
    assert len(shop.given.texts) == 12


def test_all_forms_say_the_same(shop: Trial) -> None:
    """TOML has types, variables are text, the file is as it was."""
    data = tomllib.loads(Path(shop.forms["toml"][""]).read_text())
    assert data["api"] == {
        "workers": 8,
        "listen_port": 8080,
        "patience": 1.5,
        "tags": ["c", "d"],
        "limits": {"a": "2", "b": "3"},
        "filters": ["one", "two"],
        "password": "pa55",
        "public_url": "http://shop.example.org/",
        "mode": "safe",
    }
    assert data["DEFAULT"]["debug"] is True
    variables = json.loads(Path(shop.forms["variables"][""]).read_text())
    assert variables["APP_API_WORKERS"] == "8"
    assert variables["APP_DEFAULT_DEBUG"] == "true"
    assert variables["APP_API_FILTERS"] == "one,two"
    assert len(variables) == 12


def test_each_mistake_has_a_file_of_its_own_in_each_form(shop: Trial) -> None:
    """The sorts are those that these options allow; 'all' has them together."""
    assert {mistake.what for mistake in shop.given.mistakes} == SORTS
    for form in shop.forms.values():
        assert set(form) == SORTS | {"", "all"}
        texts = {Path(file).read_text() for file in form.values()}
        assert len(texts) == len(form)
    assert tomllib.loads(Path(shop.forms["toml"]["wrong type"]).read_text())["api"] == {
        **tomllib.loads(Path(shop.forms["toml"][""]).read_text())["api"],
        "workers": "many",
    }


def test_what_is_expected_leaves_out_what_refers_to_others(shop: Trial) -> None:
    """Not every library interpolates, so that is nobody's test."""
    said = json.loads(json.dumps(told(shop.given)))
    expected = {(section, name) for section, name, *_ in said["expected"]}
    assert ("DEFAULT", "lock_path") not in expected
    assert ("api", "workers") in expected
    assert said["read"] == ["api", "workers"]


def test_the_folder_is_gone_afterwards(schema: Path, conf: Path) -> None:
    """Nothing of a contest stays behind."""
    with trial(schema, conf) as prepared:
        assert prepared.folder.is_dir()
    assert not prepared.folder.exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}", "neither the JSON Schema"),
        ("[1]", "neither the JSON Schema"),
        ('{"options": {"a-b": {"opts": [{"name": "x", "type": "string value"}]}}}', "attribute"),
    ],
)
def test_a_schema_of_others_is_a_sentence(schema: Path, conf: Path, text: str, said: str) -> None:
    """Only what the generator prints can be given to all contestants."""
    schema.write_text(text)
    with pytest.raises(BenchFailed, match=said):
        material(schema, conf)


def test_our_own_json_schema_is_not_for_others(schema: Path, conf: Path) -> None:
    """It is read well enough, but the validator of oslo.config would not."""
    from bedplate.config import read_schema, write_schema

    schema.write_text(write_schema(read_schema(schema)))
    with pytest.raises(BenchFailed, match="oslo-config-generator --format json"):
        material(schema, conf)


def test_a_file_with_nothing_to_read_is_a_sentence(schema: Path, conf: Path) -> None:
    """A whole number of some section is what reading is measured with."""
    conf.write_text("[DEFAULT]\ndebug = true\n")
    with pytest.raises(BenchFailed, match="sets no whole number"):
        material(schema, conf)
