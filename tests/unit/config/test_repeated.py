"""Sections that an option names have the shape that the schema describes."""

from types import MappingProxyType

import pytest

from bedplate.config import Finding, Schema, Secret, Section, option
from bedplate.config.auditing import audit_trees
from bedplate.config.describe import describe
from bedplate.config.document import Document
from bedplate.config.schema import OSLO
from bedplate.config.specs import SectionSpec

CANARY = "hunter2-canary"


class Common(Section, name="DEFAULT"):
    enabled_backends: list[str] = option(default=["standard"])
    by_driver: dict[str, str] = option(default={})


class Backend(Section, name="backend_defaults", optional=True):
    size: int = option(default=1, was=("capacity",))
    path: str = option()


class Rbd(Section, optional=True):
    pool: str = option(default="")


class Vault(Section):
    key: Secret[str] = option()


def shape(spec: SectionSpec, each: str, by: str = "") -> SectionSpec:
    return spec._replace(each=each, by=by)


LISTED = Schema([describe(Common), shape(describe(Backend), "enabled_backends")])
DRIVEN = Schema(
    [
        describe(Common),
        shape(describe(Backend), "by_driver", "file"),
        shape(describe(Rbd), "by_driver", "rbd"),
    ],
    dialect=OSLO,
)


def findings(text: str, schema: Schema = LISTED) -> list[tuple[int | None, str, str | None]]:
    tree = Document.parse(text.encode(), "f.conf").tree()
    found: tuple[Finding, ...] = audit_trees([tree], schema, "X").findings
    return [(each.line, each.code, each.section) for each in found]


def test_named_sections_are_checked_like_the_one_they_are_shaped_after() -> None:
    """Wrong values, unknown and old names, and what is required in each of them."""
    text = (
        "[DEFAULT]\nenabled_backends = fast, slow\n[fast]\npath = /a\nsize = x\npaht = 1\n"
        "[slow]\ncapacity = 3\n"
    )
    assert findings(text) == [
        (5, "wrong-type", "fast"),
        (6, "unknown-option", "fast"),
        (8, "deprecated-name", "slow"),
        (None, "missing-required", "slow"),
    ]


def test_a_section_that_is_named_and_not_there_is_missing() -> None:
    """One that is there and not named is a warning too; defaults name sections."""
    text = "[DEFAULT]\nenabled_backends = fast\n[other]\npath = /a\n"
    assert findings(text) == [(3, "unnamed-section", "other"), (None, "missing-section", "fast")]
    assert findings("[standard]\npath = /a\n") == []
    assert findings("") == [(None, "missing-section", "standard")]


def test_a_driver_picks_the_shape() -> None:
    """Where names stand with drivers, each section has the options of its own driver."""
    text = (
        "[DEFAULT]\nby_driver = a:file,b:rbd\n[a]\npath = /x\npool = y\n[b]\npool = y\npath = /x\n"
    )
    assert findings(text, DRIVEN) == [(5, "unknown-option", "a"), (8, "unknown-option", "b")]


def test_defaults_of_sections_that_nobody_wrote_name_others_in_oslo_config() -> None:
    """There every option has its default, whatever is written."""

    class Ml(Section, optional=True):
        names: list[str] = option(default=["net"])

    grouped = Schema([describe(Ml), shape(describe(Rbd), "ml.names")], dialect=OSLO)
    assert findings("[net]\npol = x\n", grouped) == [(2, "unknown-option", "net")]


@pytest.mark.parametrize("value", ["", "  ", '"'])
def test_a_wrong_list_names_nothing(value: str) -> None:
    """It is wrong where it stands, if at all, and that is all."""
    assert len(findings(f"[DEFAULT]\nenabled_backends = {value}\n")) <= 1


@pytest.mark.parametrize("names", ["a:${vault.key}", "${vault.key}:file"])
def test_what_a_secret_is_put_into_names_nothing(names: str) -> None:
    """Neither a name nor a kind that holds a secret is in any message; a warning tells of it."""
    schema = Schema([*DRIVEN.sections.values(), describe(Vault)], dialect=OSLO)
    text = f"[DEFAULT]\nby_driver = {names}\n[vault]\nkey = {CANARY}\n"
    tree = Document.parse(text.encode(), "f.conf").tree()
    found = audit_trees([tree], schema, "X").findings
    assert [each.code for each in found] == ["secret-in-plain-option"]
    assert CANARY not in str(found)


def test_a_schema_is_as_it_was() -> None:
    """What one file names is known for that file only."""
    findings("[DEFAULT]\nenabled_backends = fast\n[fast]\npath = /a\n")
    assert set(LISTED.sections) == {"DEFAULT", "backend_defaults"}
    assert isinstance(LISTED.sections, MappingProxyType)
