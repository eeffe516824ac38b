from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.config import Schema, Secret, Section, Url, option
from bedplate.config.describe import describe
from bedplate.config.names import DEFAULT, fold, key_of, split_key
from bedplate.config.option import SectionType
from bedplate.config.tree import Flag
from bedplate.errors import SchemaError


class Api(Section):
    """The public interface.

    More about it.
    """

    version: ClassVar[int] = 3

    max_rows: int = option(default=4, min=1, max=256, help="Rows\n    of a page.", mutable=True)
    debug: bool = option(default=False)
    password: Secret[str] = option()
    database: "Url" = option(default=Url("sqlite://"), was=("DEFAULT.sql_connection", "db"))


class Common(Section, name="DEFAULT"):
    """What everybody has."""

    debug: bool = option(default=False)


def made(
    body: dict[str, object], annotations: dict[str, object], **keywords: object
) -> SectionType:
    """Make a section as a class body would."""
    namespace = {"__annotations__": annotations, "__module__": __name__, "__qualname__": "Odd"}
    return SectionType("Odd", (Section,), namespace | body, **keywords)  # type: ignore[arg-type]  # of a parametrised test


def test_an_option_is_described_once_and_whole() -> None:
    """The description of an option holds all that was declared, checked and resolved."""
    section = describe(Api)
    assert (section.name, section.doc, section.optional) == ("api", "The public interface.", False)
    assert list(section.options) == ["max_rows", "debug", "password", "database"]
    rows = section.options["max_rows"]
    assert (rows.key, rows.default, rows.help) == ("api.max_rows", 4, "Rows of a page.")
    assert (rows.mutable, rows.secret, rows.required, rows.interpolate) == (
        True,
        False,
        False,
        True,
    )
    password = section.options["password"]
    assert (password.secret, password.required, password.interpolate) == (True, True, False)
    assert section.options["database"].was == (("DEFAULT", "sql_connection"), ("api", "db"))
    assert describe(Api) is section


def test_the_same_class_is_described_under_another_name() -> None:
    """Bound to a section of another name, a class takes its bare old names along, no others."""
    section = describe(Api, "api.second")
    assert section.name == "api.second"
    assert section.options["database"].was == (("api.second", "db"),)
    assert describe(Api).name == "api"
    assert describe(Api, "api.second") is section


def test_names_in_every_source_are_generated() -> None:
    """Flag and variable of an option follow from its name; a secret has no flag."""
    options = describe(Api).options
    assert options["max_rows"].flag == "--api.max-rows"
    assert options["max_rows"].variable("INVENTORY") == "INVENTORY_API__MAX_ROWS"
    assert options["password"].flag is None
    bare = describe(Common).options["debug"]
    assert (bare.flag, bare.key) == ("--debug", "debug")
    assert bare.variable("INVENTORY") == "INVENTORY_DEFAULT__DEBUG"


def test_a_schema_puts_sections_together() -> None:
    """A schema finds options, flags, folded names and old names."""
    schema = Schema.of([Api, Common])
    assert (len(schema), list(schema.sections)) == (5, ["api", "DEFAULT"])
    assert schema.flags["--api.debug"] == Flag("api", "debug", is_bool=True)
    assert schema.flags["--debug"] == Flag("DEFAULT", "debug", is_bool=True)
    assert "--api.password" not in schema.flags
    assert schema.folded["API", "MAX_ROWS"] == ("api", "max_rows")
    assert schema.folded["DEFAULT", "SQL_CONNECTION"] == ("DEFAULT", "sql_connection")
    assert schema.renames["DEFAULT", "sql_connection"].key == "api.database"
    assert schema.get("api", "nothing") is None
    assert schema.get("nothing", "debug") is None


def test_adding_makes_another_schema() -> None:
    """A late section is added to a copy; the schema itself stays what it was."""
    first = Schema.of([Common])
    second = first.adding(Api).adding(Api, "api.second")
    assert list(first.sections) == ["DEFAULT"]
    assert list(second.sections) == ["DEFAULT", "api", "api.second"]
    assert second.has(Api)
    assert not first.has(Api)


def test_two_classes_share_a_section_when_their_options_do_not_clash() -> None:
    """Options of one section may come from several classes, disjoint or equal."""

    class Other(Section, name="DEFAULT"):
        debug: bool = option(default=False)
        colour: str = option(default="red")

    schema = Schema.of([Common, Other])
    assert list(schema.sections["DEFAULT"].options) == ["debug", "colour"]


def test_two_classes_that_declare_an_option_differently_are_refused() -> None:
    """The refusal names the option and both classes."""

    class Other(Section, name="DEFAULT"):
        debug: bool = option(default=True)

    with pytest.raises(SchemaError, match=r"Other\.debug: \[DEFAULT\] debug .* by Common"):
        Schema.of([Common, Other])


def test_what_one_class_needs_of_a_shared_section_stays_needed() -> None:
    """An option is dispensable only where every class that has it is optional."""

    class Maybe(Section, name="shared", optional=True):
        url: str = option()
        size: int = option()

    class Surely(Section, name="shared"):
        size: int = option()

    options = Schema.of([Maybe, Surely]).sections["shared"].options
    assert (options["url"].optional, options["size"].optional) == (True, False)


@pytest.mark.parametrize(
    ("body", "annotations", "why"),
    [
        ({"a": option(default="4")}, {"a": int}, r"Odd\.a: the default must be a whole number"),
        ({"a": option(default=9, max=5)}, {"a": int}, r"Odd\.a: the default must be .*at most 5"),
        ({"a": option(min=9, max=5)}, {"a": int}, r"Odd\.a: nothing lies between"),
        ({"a": option(min=9)}, {"a": str}, r"Odd\.a: min and max mean nothing"),
        ({"a": option(choices=(1, "x"))}, {"a": int}, r"Odd\.a: the default and choices must be"),
        ({"a": option(default=True)}, {}, r"Odd\.a: an option needs an annotation"),
        ({"a": 5}, {"a": int}, r"Odd\.a: an annotated name of a Section is an option"),
        ({}, {"a": int}, r"Odd\.a: an annotated name of a Section is an option"),
        ({"a": option()}, {"a": bytes}, r"Odd\.a: an option cannot be of type"),
        ({"a": option()}, {"a": "Nowhere"}, r"annotations cannot be resolved: .*Nowhere"),
        ({"a": option(default=1, was="x.")}, {"a": int}, r"Odd\.a: the old name 'x\.'"),
        ({"a": option(default=1, was=[".x"])}, {"a": int}, r"Odd\.a: the old name '\.x'"),
    ],
)
def test_a_declaration_that_makes_no_sense_is_refused(
    body: dict[str, object], annotations: dict[str, object], why: str
) -> None:
    """A mistake of a programmer is a SchemaError that names class and option."""
    with pytest.raises(SchemaError, match=why):
        describe(made(body, annotations))


@pytest.mark.parametrize("name", ["", "a b", "a]", "a__b", "a_.b", "_a", "a.", "-a", "default"])
def test_a_name_that_no_section_can_have_is_refused(name: str) -> None:
    """A section's name is spelled alike in files, flags and the environment, or refused."""
    with pytest.raises(SchemaError, match="Odd: "):
        describe(made({}, {}, name=name))


def test_a_flag_that_every_program_has_is_not_an_option() -> None:
    """A bare option cannot be called like a flag that is always there."""
    odd = made({"config_file": option(default="x")}, {"config_file": str}, name="DEFAULT")
    with pytest.raises(SchemaError, match="has a flag of this name already"):
        describe(odd)


def collision(*sections: SectionType) -> str:
    with pytest.raises(SchemaError) as caught:
        Schema.of(sections)
    return str(caught.value)


def test_names_that_fold_to_one_variable_are_refused() -> None:
    """Two options never share an environment variable."""
    one = made({"x": option(default=1)}, {"x": int}, name="a.b")
    two = made({"x": option(default=1)}, {"x": int}, name="a-b")
    assert "would share the environment variable …_A_B__X" in collision(one, two)


def test_an_old_name_that_is_alive_is_refused() -> None:
    """An old name never takes the values of a present option."""
    one = made({"x": option(default=1)}, {"x": int}, name="one")
    two = made({"y": option(default=1, was=("one.x",))}, {"y": int}, name="two")
    assert "old name 'one.x' is the name of an option of" in collision(one, two)


def test_an_old_name_of_two_options_is_refused() -> None:
    """An old name has one successor."""
    one = made({"x": option(default=1, was=("old.z",))}, {"x": int}, name="one")
    two = made({"y": option(default=1, was=("old.z",))}, {"y": int}, name="two")
    assert "old name 'old.z' is also that of 'one.x'" in collision(one, two)


def test_flags_that_mean_two_things_are_refused() -> None:
    """``no_x`` beside the switch ``x``, or two spellings of one flag, are refused."""
    bare = made(
        {"x": option(default=True), "no_x": option(default=1)},
        {"x": bool, "no_x": int},
        name="DEFAULT",
    )
    assert "switches 'x' off" in collision(bare)
    in_a_section = describe(made({"x": option(default=1)}, {"x": int}, name="a"))
    dotted = in_a_section.options["x"]._replace(section=DEFAULT, name="a.x")
    with pytest.raises(SchemaError, match=r"share the flag --a\.x with 'a\.x'"):
        Schema([in_a_section, in_a_section._replace(name=DEFAULT, options={"a.x": dotted})])


def test_two_spellings_of_one_option_are_one_old_name() -> None:
    """Old names that fold alike may belong to one option."""
    both = made({"y": option(default=1, was=("a-b.x", "a.b.x"))}, {"y": int}, name="two")
    assert Schema.of([both]).folded["A_B", "X"] == ("a-b", "x")


@given(st.text(min_size=1))
def test_folding_is_idempotent(name: str) -> None:
    """Folding what is folded changes nothing, and gives what a variable may be called."""
    folded = fold(name)
    assert fold(folded) == folded
    assert set(folded) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")


@given(
    st.from_regex(r"[a-z]{1,5}(\.[a-z]{1,5}){0,2}", fullmatch=True), st.sampled_from(["x", "y_z"])
)
def test_a_key_names_section_and_option(section: str, name: str) -> None:
    """Taking a key apart gives what it was made of."""
    assert split_key(key_of(section, name)) == (section, name)
    assert split_key(key_of(DEFAULT, name)) == (DEFAULT, name)
