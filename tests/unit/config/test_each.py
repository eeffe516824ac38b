"""Sections that an option names, in a program that runs."""

import pickle
import traceback
from pathlib import Path

import pytest
from tests.unit.config.backends import (
    ALL,
    TEXT,
    Backend,
    Common,
    Lvm,
    Nfs,
    Plain,
    Spare,
    codes,
    load,
)

from bedplate.config import (
    Config,
    Secret,
    Section,
    Url,
    audit,
    check,
    file_lines,
    findings_json,
    findings_sarif,
    findings_text,
    option,
    write_schema,
)
from bedplate.config.readers import sample_ini, sample_toml
from bedplate.errors import InvalidConfig, NoSuchOption, SecretNotSerialisable


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give the path of one file of configuration."""
    return tmp_path / "stock.conf"


def test_each_gives_instances_of_the_variants_in_the_order_of_the_owner(path: Path) -> None:
    """The driver picks the class; a variant is asked for alone by its own class."""
    config = load(TEXT, path=path)
    backends = config.each(Backend)
    assert list(backends) == ["slow", "fast"]
    assert backends["fast"] == Lvm(driver="lvm", group="vg")
    assert backends["slow"] == Nfs(driver="nfs", share="a:/b", size=3)
    assert list(config.each(Lvm)) == ["fast"]
    assert config.each(Backend) is backends
    config.seal()
    assert config.findings == ()
    assert config.sections == ("DEFAULT", "slow", "fast")


def test_rows_and_explain_know_them(path: Path) -> None:
    """Values, origins and advice, without a flag, and secrets masked."""
    config = load(TEXT, path=path, environ={"STOCK_FAST__SIZE": "7"})
    assert config.each(Backend)["fast"].size == 7
    told = config.explain("fast.size")
    assert (told.value, told.flag, told.variable) == ("7", None, "STOCK_FAST__SIZE")
    assert {row.key: row.value for row in config.rows()}["fast.key"] == "****"
    with pytest.raises(NoSuchOption):
        config.explain("fast.share")


def test_names_may_be_written_in_the_environment_or_as_a_reference(path: Path) -> None:
    """The owner has its value as any option has, with what it refers to put in."""
    text = "[DEFAULT]\nenabled_backends = $first\n[a]\ndriver = lvm\ngroup = g\n"
    assert list(load(text, path=path).each(Backend)) == ["a"]
    environ = {
        "STOCK_DEFAULT__ENABLED_BACKENDS": "b-1",
        "STOCK_B_1__DRIVER": "nfs",
        "STOCK_B_1__SHARE": "s",
    }
    assert load("", path=path, environ=environ).each(Nfs)["b-1"].share == "s"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[a]\ndriver = lmv\nshare = x", [(4, "not-a-choice", "a", "driver")]),
        ("[a]\ndriver = lvm\nshare = x\ngroup = g", [(5, "unknown-option", "a", "share")]),
        ("[a]\ndriver = lvm", [(None, "missing-required", "a", "group")]),
        ("[a]\nsize = 1", [(None, "missing-required", "a", "driver")]),
        ("", [(None, "missing-required", "a", "driver")]),
    ],
)
def test_what_is_wrong_is_told_once_and_of_its_own_driver(
    text: str, expected: list[object], path: Path
) -> None:
    """Options of other drivers are unknown, and one mistake is one error."""
    with pytest.raises(InvalidConfig) as caught:
        load(f"[DEFAULT]\nenabled_backends = a\n{text}\n", path=path)
    assert codes(caught.value) == expected


@pytest.mark.parametrize("name", ["api", "API", "a b", "a__b", "default", "-"])
def test_names_that_cannot_be_are_errors_where_they_stand(name: str, path: Path) -> None:
    """A fixed section has its name already, also as a variable; others are no names."""

    class Api(Section):
        size: int = option(default=1)

    with pytest.raises(InvalidConfig) as caught:
        load(f"[DEFAULT]\nenabled_backends = {name}\n", Api, *ALL, path=path)
    assert codes(caught.value) == [(2, "section-name", "DEFAULT", "enabled_backends")]
    path.write_text(f"[DEFAULT]\nenabled_backends = {name}\n[{name}]\ndriver = lvm\ngroup = g\n")
    assert [each.code for each in check([path], sections=[Api, *ALL])] == ["section-name"]


def test_what_is_no_name_is_told_without_its_password(path: Path) -> None:
    """A URL in the wrong option is shown as it is everywhere."""
    with pytest.raises(InvalidConfig, match=r"wrong in item 2, .* not 'pg://me:\*\*\*\*@db'"):
        load("[DEFAULT]\nenabled_backends = a, pg://me:hunter2@db\n[a]\ndriver = lvm", path=path)


def test_two_owners_cannot_name_one_section(path: Path) -> None:
    """It would have two shapes; one owner may say a name twice."""
    text = "[DEFAULT]\nenabled_backends = a, a\nfixed_backends = a\n[a]\ndriver = lvm\ngroup = g\n"
    with pytest.raises(InvalidConfig) as caught:
        load(text, *ALL, Plain, path=path)
    assert codes(caught.value) == [(3, "section-name", "DEFAULT", "fixed_backends")]


def test_a_section_nobody_named_is_a_warning_when_it_has_the_shape(path: Path) -> None:
    """One with other options is as unknown as any, which sealing says."""
    config = load(TEXT.replace("slow, ", ""), path=path)
    config.seal()
    assert [(each.code, each.section) for each in config.findings] == [("unnamed-section", "slow")]
    config = load(f"{TEXT}[other]\nx = 1\n", path=path)
    with pytest.raises(InvalidConfig) as caught:
        config.seal()
    assert codes(caught.value) == [(10, "unknown-section", "other", None)]


def test_without_by_all_have_one_class_and_defaults_do(path: Path) -> None:
    """A section that is named and not written is a warning; an optional one is left out."""
    text = "[DEFAULT]\nfixed_backends = a, b\n[a]\npath = /a\n"
    config = load(text, Common, Plain, path=path)
    assert {name: each.path for name, each in config.each(Plain).items()} == {"a": "/a", "b": "/"}
    assert [(each.code, each.section) for each in config.findings] == [("missing-section", "b")]
    assert list(load(text, Common, Spare, path=path).each(Spare)) == ["a"]


def test_a_program_checks_them_before_it_starts(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A driver that may come later is no error there; one that is misspelt is."""
    with pytest.raises(SystemExit) as ended:
        load(TEXT, Common, Backend, Lvm, path=path, argv=("--check-config",))
    told = capsys.readouterr().out
    assert ended.value.code == 0
    assert "warning: [slow] driver must be 'lvm', not 'nfs'. It is right if" in told
    with pytest.raises(SystemExit) as ended:
        load(TEXT.replace("= lvm", "= lmv"), path=path, argv=("--check-config",))
    assert ended.value.code == 1
    assert "Did you mean 'lvm'?" in capsys.readouterr().out


def test_a_name_that_stands_twice_is_one_section(path: Path) -> None:
    """Whoever names it twice has one."""
    text = TEXT.replace("slow, fast", "slow, fast, slow")
    assert list(load(text, path=path).each(Backend)) == ["slow", "fast"]


def test_one_that_is_switched_off_is_not_taken_for_another(path: Path) -> None:
    """[lvm2] is near [lvm1] and yet itself; a section that is missing was surely meant."""
    text = "[DEFAULT]\nenabled_backends = lvm1\n[lvm1]\ndriver = lvm\ngroup = a\n"
    other = "[lvm2]\ndriver = lvm\ncapacity = 2\n"
    config = load(text + other, path=path)
    config.seal()
    assert [(each.code, each.section) for each in config.findings] == [("unnamed-section", "lvm2")]
    path.write_text("[DEFAULT]\nenabled_backends = lvm1\n" + other)
    assert [(each.code, each.section, each.suggestion) for each in check([path], sections=ALL)] == [
        ("unknown-section", "lvm2", "lvm1")
    ]


def test_a_variable_of_a_section_nobody_named_is_told_too(path: Path) -> None:
    """It has the shape, so it is a warning."""
    config = load(TEXT, path=path, environ={"STOCK_SPARE__SIZE": "1"})
    config.seal()
    assert [(each.code, each.place) for each in config.findings] == [
        ("unnamed-section", "STOCK_SPARE__SIZE")
    ]


def test_a_secret_names_no_section_and_no_driver(path: Path) -> None:
    """Neither is shown where one is put into it."""

    class Vault(Section):
        word: Secret[str] = option(default=Secret("hunter2"))

    named = "[DEFAULT]\nenabled_backends = $vault.word\n"
    driven = "[DEFAULT]\nenabled_backends = a\n[a]\ndriver = $vault.word\n"
    for text, code in ((named, "section-name"), (driven, "not-a-choice")):
        with pytest.raises(InvalidConfig) as caught:
            load(text, Vault, *ALL, path=path)
        assert [each.code for each in caught.value.findings] == [code]
        found = check([path], sections=[Vault, *ALL])
        assert "hunter2" not in f"{caught.value}{found}{findings_json(found)}"


def test_a_mistaken_driver_shows_nothing_of_what_stands_beside_it(path: Path) -> None:
    """Which options are secrets is not known then, so none is shown."""

    class Cloud(Backend, when="cloud"):
        token: Secret[str] = option()

    path.write_text("[DEFAULT]\nenabled_backends = a\n[a]\ndriver = clod\ntoken = hunter2\n")
    found = audit([path], sections=[Common, Cloud, Nfs])
    assert [(each.code, each.suggestion) for each in found.findings] == [("not-a-choice", "cloud")]
    text = findings_text(found.findings, schema=found.schema, lines=file_lines())
    assert "driver = clod" in text
    assert "hunter2" not in f"{text}{found!r}"


def test_a_flag_is_told_how_else_to_say_it(path: Path) -> None:
    """The variable of the section that is meant."""
    with pytest.raises(InvalidConfig, match="STOCK_FAST__SIZE"):
        load(TEXT, path=path, argv=("--fast.size=4",))


def test_sections_have_every_source(path: Path) -> None:
    """Overrides, variables, files and defaults of the program, in the usual rank."""
    path.write_text("[a]\nsize = 3\nkey = file\n")
    config = Config.load(
        ALL,
        program="stock",
        argv=("--enabled-backends=a",),
        environ={"STOCK_A__SIZE": "4", "STOCK_A__KEY": "variable"},
        files=[path],
        overrides={"a": {"size": 5}},
        defaults={"a": {"driver": "lvm", "group": "g", "size": 2}},
    )
    assert config.each(Backend) == {
        "a": Lvm(driver="lvm", group="g", size=5, key=Secret("variable"))
    }
    assert [each.value for each in config.explain("a.size").losers] == ["4", "3", "2", "1"]


def test_sections_of_toml_are_named_alike(path: Path) -> None:
    """A list of names, and a table each."""
    path = path.with_suffix(".toml")
    text = '[DEFAULT]\nenabled_backends = ["a"]\n[a]\ndriver = "lvm"\ngroup = "g"\nsize = 2\n'
    assert load(text, path=path).each(Lvm) == {"a": Lvm(driver="lvm", group="g", size=2)}


class Cloud(Backend, when="cloud"):
    token: Secret[str] = option(default=Secret("hunter2-default"))
    store: Url = option(default=Url("a://b"))


@pytest.mark.parametrize("kind", ["conf", "toml", "environment"])
def test_secrets_of_named_sections_show_nowhere(kind: str, path: Path) -> None:
    """Whatever they come from, and however they are printed; of a mistake beside them as well."""
    secret, environ = "hunter2", dict[str, str]()
    text = (
        "[DEFAULT]\nenabled_backends = ['a']\n[a]\ndriver = 'cloud'\nkey = '{0}'\ntoken = '{0}'\n"
    )
    text = f"{text.format(secret)}store = 'a://u:{secret}@h/'\n"
    if kind == "conf":
        text = text.replace("['a']", "a")
    elif kind == "environment":
        names = {"KEY": secret, "TOKEN": secret, "STORE": f"a://u:{secret}@h/"}
        environ = {f"STOCK_A__{name}": value for name, value in names.items()}
        text = "[DEFAULT]\nenabled_backends = a\n[a]\ndriver = cloud\n"
    path = path.with_suffix(".toml" if kind == "toml" else ".conf")
    config = load(text, Common, Cloud, path=path, environ=environ)
    made = config.each(Cloud)["a"]
    assert (made.key.reveal(), made.token.reveal()) == (secret, secret)
    printed = [f"{config.each(Backend)!r}{made!r}{config!r}{config.rows()!r}{config.schema!r}"]
    printed += [
        f"{row}{config.explain(row.key)}{config.explain(row.key)!r}" for row in config.rows()
    ]
    printed += [write_schema(config.schema), sample_ini(config.schema), sample_toml(config.schema)]
    with pytest.raises(SecretNotSerialisable):
        pickle.dumps(made)
    for old, new in (("cloud", "clodu"), ("driver", "drivre"), ("enabled_", "unabled_")):
        with pytest.raises(InvalidConfig) as caught:
            load(text.replace(old, new), Common, Cloud, path=path, environ=environ).seal()
        found = audit([path], sections=[Common, Cloud], program="stock", environ=environ)
        printed += [str(caught.value), "".join(traceback.format_exception(caught.value))]
        printed += [pickle.dumps(caught.value).decode("latin-1"), findings_json(found.findings)]
        printed += [findings_text(found.findings, schema=found.schema, lines=file_lines())]
        printed += [findings_sarif(found.findings, version="1")]
    assert secret not in "".join(printed)
