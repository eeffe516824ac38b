import re
import tomllib
from collections.abc import Callable
from datetime import date
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from hypothesis import given, settings
from tests.unit.config.drawn import schemas

from bedplate.config import (
    ByteSize,
    Config,
    Duration,
    HostPort,
    Repeated,
    Schema,
    Secret,
    Section,
    Url,
    option,
    read_schema,
)
from bedplate.config.document import Document
from bedplate.config.oslo import option_set
from bedplate.config.readers import page_markdown, page_rst, sample_ini, sample_toml
from bedplate.config.readers.pages import code
from bedplate.config.sources.toml import parse

CANARY = "hunter2"
DATA = Path(__file__).parents[3] / "data" / "openstack"


class Common(Section, name="DEFAULT"):
    """What everybody has."""

    debug: bool = option(default=False, mutable=True, help="Say more.")
    text: str = option(default="  $5 'and' more ")
    dollars: str = option(default="$debug and $$debug")
    quoted: str = option(default='"x"')
    nothing: str = option(default="")


class Pool(Section, name="db.pool", optional=True):
    """Connections that are kept open."""

    size: int = option(default=4, min=1, max=8, was=("DEFAULT.pool", "width"), advanced=True)
    wait: Duration = option(default=1.5)
    ratio: float = option(default=1e22)
    memory: ByteSize = option(default=2**20)
    hosts: list[str] = option(default=["a", "b,c", 'd"e'])
    weights: dict[str, int] = option(default={"a": 1, "b:c": 2})
    lines: Repeated[str] = option(default=["one", "two  three"])
    day: date = option(default=date(2027, 1, 31))
    ip: IPv4Address = option(default=IPv4Address("10.0.0.1"))
    place: Path = option(default=Path("/x y"))
    peer: HostPort = option(default=HostPort("::1", 80))
    pattern: re.Pattern[str] = option(default=re.compile(r"^a#;=b$"))
    database: Url = option(default=Url("sqlite://"))
    limit: int | None = option(default=None)
    level: str = option(default="a", choices=("a", "b"), deprecated="Unused.", since="2.0")
    example: str = option(default="x", sample="<your name here>")


class Keys(Section, optional=True):
    """What must not be seen."""

    password: Secret[str] = option(default=Secret(CANARY))
    database: Url = option(default=Url(f"pg://me:{CANARY}@db/"))
    token: Secret[str] = option(help="Given by\nthe   server.")


SCHEMA = Schema.of([Common, Pool, Keys])
WRITERS: tuple[Callable[[Schema], str], ...] = (
    sample_ini,
    sample_toml,
    page_markdown,
    page_rst,
)


def without_files(*sections: type[Section]) -> Config:
    return Config.load(sections, program="x", argv=(), environ={}, files=())


@pytest.mark.parametrize(("write", "name"), [(sample_ini, "a.conf"), (sample_toml, "a.toml")])
def test_a_sample_sets_nothing(write: Callable[[Schema], str], name: str, tmp_path: Path) -> None:
    """As it stands, a sample is a file of sections without options."""
    (tmp_path / name).write_text(write(SCHEMA))
    config = Config.load(
        [Common, Pool, Keys], program="x", argv=(), environ={}, files=[str(tmp_path / name)]
    )
    config.seal()
    assert config[Common] == without_files(Common, Pool)[Common]
    assert config.get(Keys) is None


@pytest.mark.parametrize(("write", "name"), [(sample_ini, "a.conf"), (sample_toml, "a.toml")])
def test_an_uncommented_sample_sets_the_defaults(
    write: Callable[[Schema], str], name: str, tmp_path: Path
) -> None:
    """Every line switched on means what is so without it, dollars, quotes and spaces included."""
    text = re.sub(r"(?m)^#(?=[^ \n])", "", write(Schema.of([Common, Pool])))
    assert len(re.findall(r"(?m)^\w+ =", text)) >= len(Schema.of([Common, Pool]))
    text = re.sub(r"(?m)^example = .*\n", "", text)
    (tmp_path / name).write_text(text)
    config = Config.load(
        [Common, Pool], program="x", argv=(), environ={}, files=[str(tmp_path / name)]
    )
    config.seal()
    assert [finding.code for finding in config.findings] == ["deprecated-option"]
    assert config[Common] == without_files(Common, Pool)[Common]
    assert config[Common].dollars == "false and $debug"
    assert config[Pool] == Pool()


@pytest.mark.parametrize("service", ["cinder", "glance", "nova"])
def test_the_sample_of_a_released_service_has_all_its_options(service: str) -> None:
    """Each of its options stands in its section once, commented out, in both formats."""
    schema = read_schema(DATA / f"{service}.json")
    wanted = sorted((spec.section, spec.name) for spec in schema)
    bare = re.sub(r"(?m)^#(?=[^ \n])", "", sample_ini(schema)).encode()
    tree = Document.parse(bare, "nova.conf").tree()
    assert not tree.findings
    assert sorted((section, option) for section, option, _ in tree) == wanted
    bare = re.sub(r"(?m)^#(?=[^ \n])", "", sample_toml(schema)).encode()
    toml = parse(bare, "nova.toml")
    assert not toml.findings
    assert sorted((section, option) for section, option, _ in toml) == wanted


@pytest.mark.parametrize("write", WRITERS)
def test_no_secret_is_written(write: Callable[[Schema], str]) -> None:
    """Neither the default of a secret nor a password in a URL is in a sample or on a page."""
    text = write(SCHEMA)
    assert CANARY not in text
    assert text.count("Its default is not shown.") == 2


@settings(deadline=None, max_examples=50)
@given(schemas())
def test_whatever_a_schema_holds_it_stays_a_comment(schema: Schema) -> None:
    """No text of a schema, wherever it comes from, gets out of its comment and sets something."""
    tree = Document.parse(sample_ini(schema).encode(), "a.conf").tree()
    assert not list(tree)
    assert not any(finding.severity == "error" for finding in tree.findings)
    values = tomllib.loads(sample_toml(schema))
    assert not any(values.values())
    for write in WRITERS:
        assert write(schema).endswith("\n")


def test_an_option_is_explained_above_its_line() -> None:
    """Help, type, old names, what a reload does and farewell stand there, advanced ones last."""
    text = sample_ini(SCHEMA)
    assert text.startswith(
        "[DEFAULT]\n"
        "# What everybody has.\n"
        "\n"
        "# Say more.\n"
        "# It must be true or false (also on, off, yes, no, 1, 0).\n"
        "# A reload changes it.\n"
        "#debug = false\n"
        "\n"
    )
    assert (
        "# It must be a whole number from 1 to 8.\n"
        "# Advanced: most services never change it.\n"
        "# Its old names are [DEFAULT] pool, [db.pool] width.\n"
        "#size = 4\n"
        "\n"
        "[keys]\n"
    ) in text
    assert "# It must be one of 'a' or 'b'.\n# Deprecated since 2.0: Unused.\n#level = a\n" in text
    assert "#lines = one\n#lines = two  three\n" in text
    assert "#example = <your name here>\n" in text
    assert "# Given by the server.\n# Required.\n# It is a secret.\n#token =\n" in text


def test_a_set_of_a_service_says_its_own() -> None:
    """Choices with their meaning, drivers and owners of repeated sections are told."""
    about = {
        "driver_option": "kind",
        "driver_opts": {"fast": ["size"]},
        "dynamic_group_owner": "enabled",
        "opts": [
            {"name": "size", "type": "integer value", "default": 1},
            {"name": "kind", "type": "string value", "choices": [["fast", "Soon."]]},
            {"name": "place", "type": "string value", "default": "$size/x"},
        ],
    }
    text = sample_ini(option_set({"options": {"store": about}}, "x"))
    assert "# Sections of this shape are those that enabled names.\n" in text
    assert "# It counts only where kind is fast.\n#size = 1\n" in text
    assert "# 'fast': Soon.\n#kind =\n" in text
    assert "#place = $size/x\n" in text


def test_pages_escape_what_others_wrote() -> None:
    """Signs of markup in a help text stand for themselves."""

    class Odd(Section):
        """Uses <b>, *stars* and a_b_."""

        tick: str = option(default="a`b", help="See `x_`, |y| and [z](http://w).")

    markdown = page_markdown(Schema.of([Odd]), "An *odd* page")
    assert markdown == (
        "# An \\*odd\\* page\n\n"
        "## \\[odd\\]\n\n"
        "Uses \\<b\\>, \\*stars\\* and a\\_b\\_.\n\n"
        "### `tick`\n\n"
        "See \\`x\\_\\`, \\|y\\| and \\[z\\](http://w).\n\n"
        "- Default: ``a`b``.\n"
    )
    rst = page_rst(Schema.of([Odd]))
    assert rst == (
        "Configuration\n=============\n\n"
        "[odd]\n-----\n\n"
        "Uses <b>, \\*stars\\* and a_b\\_.\n\n"
        "tick\n~~~~\n\n"
        "See \\`x\\_\\`, \\|y\\| and [z](http://w).\n\n"
        "- Default: ``a`b``.\n"
    )


@pytest.mark.parametrize(
    ("text", "span"),
    [("a", "`a`"), ("a`b", "``a`b``"), ("`a`", "`` `a` ``"), ("a\n b", "`a b`")],
)
def test_code_spans_hold_anything(text: str, span: str) -> None:
    """A fence is longer than any run of its sign inside."""
    assert code(text) == span
