"""A secret comes out where it is asked for by name, and nowhere else.

A random token is put into every kind of source, in every place where a secret may stand, rightly or
by mistake; then everything that is printed, logged, raised, pickled or written is searched for it.
"""

import json
import logging
import pickle
import secrets
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bedplate.cli.__main__ import main
from bedplate.clock import SYSTEM
from bedplate.config import (
    Config,
    Schema,
    Secret,
    Section,
    Url,
    audit,
    file_lines,
    findings_json,
    findings_sarif,
    findings_text,
    option,
    read_schema,
    write_schema,
)
from bedplate.config.readers import (
    difference,
    difference_data,
    difference_markdown,
    difference_text,
    page_markdown,
    page_rst,
    sample_ini,
    sample_toml,
)
from bedplate.config.sources import Memory, Policy, policed
from bedplate.errors import BedplateError, Finding, InvalidConfig
from bedplate.testing import FakeClock
from bedplate.testing.contracts.source import FakeSource

DATA = Path(__file__).parents[2] / "data" / "openstack"
TOKEN = f"canary{secrets.token_hex(8)}"


class Guarded(Section):
    """A section with secrets of every shape."""

    password: Secret[str] = option(default=Secret("x"), mutable=True, help="The word.")
    pin: Secret[int] = option(default=Secret(1))
    tokens: list[Secret[str]] = option(default=[])
    all_of_them: Secret[list[str]] = option(default=Secret([]))
    store: Url = option(default=Url("a://b"), mutable=True)
    mixed: str = option(default="", mutable=True)
    number: int = option(default=1)


RIGHT = {
    "password": TOKEN,
    "tokens": f"a, {TOKEN}",
    "all_of_them": f"{TOKEN}, b",
    "store": f"a://u:{TOKEN}@h/?password={TOKEN}",
}
WRONG = (
    f"password = {TOKEN}\npin = {TOKEN}\n",
    f"pasword = {TOKEN}\n{TOKEN}\n",
    f"[{TOKEN[:3]}\npassword = {TOKEN}\n",
    f"number = http://u:{TOKEN}@h/\n",
    f"store = {TOKEN}\n",
    f"password = $x\n  {TOKEN} = {TOKEN}\nstray\n",
    f"mixed = ${{nothing}} {TOKEN}\n",
    f"[nowhere]\nkey = {TOKEN}\n",
    f"mixed = $password\npassword = {TOKEN}\nnumber = $mixed\n",
)


def ini(content: dict[str, str]) -> str:
    return "[guarded]\n" + "".join(f"{name} = {value}\n" for name, value in content.items())


def toml(content: dict[str, str]) -> str:
    return "[guarded]\n" + "".join(
        f"{name} = {json.dumps(text)}\n" for name, text in content.items()
    )


@pytest.fixture(params=["file", "toml", "environment", "override", "default", "source"])
def right(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Config]:
    """Load the token as a secret from one kind of source, beside a text it is put into."""
    content = {**RIGHT, "mixed": "<$password>"}
    kind = request.param
    given: dict[str, object] = {"argv": (), "environ": {}, "files": ()}
    if kind in ("file", "toml"):
        path = tmp_path / f"inventory.{'conf' if kind == 'file' else 'toml'}"
        path.write_text(ini(content) if kind == "file" else toml(content))
        given["files"] = (str(path),)
    elif kind == "environment":
        given["environ"] = {
            f"INVENTORY_GUARDED__{name.upper()}": text for name, text in content.items()
        }
    elif kind == "source":
        given["sources"] = (Memory({"guarded": content}, name="vault"),)
    else:
        given[f"{kind}s"] = {"guarded": content}
    return lambda: Config.load([Guarded], program="inventory", **given)  # type: ignore[arg-type]  # chosen above


def everything(config: Config) -> Iterator[str]:
    """Print a configuration in all the ways there are."""
    section = config[Guarded]
    # The one plain attribute that has the secret put into it is text, and a warning says so.
    assert TOKEN in section.mixed
    yield f"{section} {section!r}"
    yield repr([section.password, section.tokens, section.all_of_them, section.store])
    yield f"{section.password} {section.tokens} {section.store} {section.store!r}"
    yield repr([config, config.snapshot(), config.schema, config.findings, config.rows()])
    for spec in config.schema:
        yield str(config.explain(spec.key)) + repr(config.explain(spec.key))
    yield findings_text(config.findings) + findings_json(config.findings)
    yield findings_sarif(config.findings, version="1")
    yield write_schema(config.schema)


def test_a_secret_in_its_place_shows_nowhere(
    right: Callable[[], Config], caplog: pytest.LogCaptureFixture
) -> None:
    """Neither text, explanations, logs, findings nor schemas have it, whatever it came from."""
    caplog.set_level(logging.DEBUG)
    config = right()
    assert config[Guarded].password.reveal() == TOKEN
    logging.getLogger("x").info("%s %r", config[Guarded].password, config.rows())
    assert TOKEN not in "".join(everything(config)) + caplog.text


def test_a_secret_is_neither_pickled_nor_written(right: Callable[[], Config]) -> None:
    """Whoever tries is refused, with an error that does not hold it."""
    section = right()[Guarded]
    for write in (pickle.dumps, json.dumps):
        with pytest.raises((BedplateError, TypeError)) as caught:
            write(section.password)
        assert TOKEN not in "".join(traceback.format_exception(caught.value))
    with pytest.raises((BedplateError, TypeError)) as caught:
        pickle.dumps(section)
    assert TOKEN not in "".join(traceback.format_exception(caught.value))


def pickled_or_why(value: object) -> bytes | str:
    try:
        return pickle.dumps(value)
    except (BedplateError, TypeError) as error:
        return "".join(traceback.format_exception(error))


def test_what_can_be_pickled_does_not_hold_it(tmp_path: Path) -> None:
    """Of all that a configuration gives, whatever pickle takes and repr prints is without it."""
    path = tmp_path / "inventory.conf"
    path.write_text(ini({"password": "old"}))
    config = Config.load([Guarded], program="inventory", argv=(), environ={}, files=[str(path)])
    path.write_text(ini({**RIGHT, "mixed": "<$password>"}))
    made = audit([path], sections=[Guarded])
    given = [config.reload(), config, config.snapshot(), config.schema, config.rows(), made]
    given += [config.findings, made.findings, made.merged, made.converted, made.rows()]
    given += [config.explain(spec.key) for spec in config.schema]
    pickled = 0
    for each in given:
        assert TOKEN not in repr(each)
        written = pickled_or_why(each)
        pickled += isinstance(written, bytes)
        assert TOKEN not in (written if isinstance(written, str) else written.decode("latin-1"))
    assert pickled > len(config.schema)  # explanations, rows, findings and changes


OF_A_SERVICE = f"""\
[DEFAULT]
enabled_backends = a,b
transport_url = rabbit://u:{TOKEN}@h/
instance_format = <$transport_url>
[backend_defaults]
san_password = {TOKEN}
volume_backend_name = <$san_password>
[a]
volume_backend_name = $san_password
replication_device = backend_id:x,password:{TOKEN}
[b]
netapp_password = {TOKEN}
[database]
connection = mysql://u:{TOKEN}@h/
[fc-zone-manager]
fc_fabric_names = left
[left]
fc_fabric_password = {TOKEN}
[keystone_authtoken]
auth_section = users
[users]
auth_type = password
password = {TOKEN}
username = $password
"""


@pytest.mark.parametrize("wrong", ["", f"passwrod = {TOKEN}\n", f"[nowhere]\nkey = {TOKEN}\n"])
def test_a_service_with_oslo_config_shows_nothing(
    wrong: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not in sections that options name, nor what plug-ins read, in no command's output."""
    path, schema = tmp_path / "cinder.conf", str(DATA / "cinder.json")
    path.write_text(OF_A_SERVICE + wrong)
    keys = ["transport_url", "instance_format", "a.san_password", "a.volume_backend_name"]
    keys += ["b.netapp_password", "left.fc_fabric_password", "users.password", "users.username"]
    commands = [["check", str(path)], ["check", "--json", str(path)]]
    commands += [
        ["check", "--sarif", str(path)],
        ["show", str(path)],
        ["show", "--json", str(path)],
    ]
    commands += [["explain", key, str(path)] for key in keys]
    for command in commands:
        status = main(["config", *command, "--schema", schema, "--no-environment"])
        assert (status == 1) is (bool(wrong) and command[0] == "check")
        told = capsys.readouterr()
        assert told.out + told.err
        assert TOKEN not in told.out + told.err
    for form in ([], ["--json"], ["--markdown"]):
        main(["config", "diff", schema, str(DATA / "glance.json"), "--file", str(path), *form])
        told = capsys.readouterr()
        assert "san_password" in told.out
        assert TOKEN not in told.out + told.err


def test_a_reload_shows_nothing(tmp_path: Path) -> None:
    """Changes, refusals and their causes tell of secrets without them."""
    path = tmp_path / "inventory.conf"
    path.write_text(ini({"password": "old", "mixed": "<$password>"}))
    config = Config.load([Guarded], program="inventory", argv=(), environ={}, files=[str(path)])
    config.seal()
    path.write_text(ini({**RIGHT, "mixed": "<$password>"}))
    changes = config.reload()
    assert {change.key for change in changes.changed} >= {"guarded.password", "guarded.mixed"}
    shown = f"{changes} {changes.findings}"
    for wrong in WRONG:
        path.write_text("[guarded]\n" + wrong)
        with pytest.raises(BedplateError) as caught:
            config.reload()
        shown += "".join(traceback.format_exception(caught.value))
    assert TOKEN not in shown


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("suffix", ["conf", "toml"])
def test_no_mistake_shows_a_secret(
    wrong: str, suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Errors, their tracebacks and pickles, and every report on a wrong file are without it."""
    path = tmp_path / f"inventory.{suffix}"
    path.write_text("[guarded]\n" + wrong)
    with pytest.raises(InvalidConfig) as caught:
        Config.load([Guarded], program="inventory", argv=(), environ={}, files=[str(path)]).seal()
    error = caught.value
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - just made
    shown = [*traceback.format_exception(error), str(again), repr(again.findings)]
    made = audit([path], sections=[Guarded])
    shown.append(findings_text(made.findings, schema=made.schema, lines=file_lines()))
    shown.append(findings_text(made.findings, lines=file_lines()))
    shown.append(findings_json(made.findings) + findings_sarif(made.findings, version="1"))
    schema = tmp_path / "schema.json"
    schema.write_text(write_schema(made.schema))
    assert len(read_schema(schema)) == len(made.schema)
    for command in (["check"], ["check", "--json"], ["check", "--sarif"], ["show"], ["explain"]):
        status = main(["config", *command, str(path), "--schema", str(schema)])
        assert status == 1 or command[0] != "check"
        told = capsys.readouterr()
        shown.append(told.out + told.err)
    assert TOKEN not in "".join(shown).replace(f"[{TOKEN[:3]}", "")


@pytest.mark.parametrize(
    "argv",
    [
        ("--guarded.password", TOKEN),
        (f"--guarded.pasword={TOKEN}",),
        (f"--guarded.number={TOKEN}", "--guarded.mixed", "x"),
        (TOKEN,),
        (f"-p{TOKEN}",),
        ("--guarded.mixed=x", "--", TOKEN),
    ],
)
def test_no_flag_shows_what_was_given_to_it(argv: tuple[str, ...]) -> None:
    """Unless the option is known and plain: a number that is none is shown."""
    plain = any("number" in each for each in argv)
    with pytest.raises(InvalidConfig) as caught:
        Config.load([Guarded], program="inventory", argv=argv, environ={}, files=())
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value.findings)
    assert (TOKEN in shown) is plain


def test_what_is_written_from_a_schema_shows_no_default_of_a_secret(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Help, schemas, samples, pages and differences: a default is a secret too."""

    class Plain(Section, name="careless"):
        password: Secret[str] = option(default=Secret("x"))
        tokens: list[Secret[str]] = option(default=[])
        store: Url = option(default=Url("a://h"))

    class Careless(Section):
        password: Secret[str] = option(default=Secret(TOKEN))
        tokens: list[Secret[str]] = option(default=[Secret(TOKEN)])
        store: Url = option(default=Url(f"a://u:{TOKEN}@h"))

    with pytest.raises(SystemExit):
        Config.load([Careless], program="inventory", argv=("--help",), environ={}, files=())
    before, after = Schema.of([Plain]), Schema.of([Careless])
    changed = difference(before, after)
    written = [
        write_schema(after),
        sample_ini(after),
        sample_toml(after),
        page_markdown(after),
        page_rst(after),
    ]
    written += [difference_text(changed), difference_markdown(changed)]
    written.append(json.dumps(difference_data(changed)))
    assert len(set(written)) == len(written)
    assert TOKEN not in "".join(written) + capsys.readouterr().out


def test_a_source_that_fails_shows_nothing() -> None:
    """What it held before stays hidden in warnings and in the error at the end."""
    clock = FakeClock()
    store = FakeSource({"guarded": RIGHT}, clock=clock, name="vault")
    source = policed(store, Policy("last-known-good", max_age=60), clock)
    config = Config.load(
        [Guarded], program="inventory", argv=(), environ={}, files=(), sources=[source]
    )
    store.spoil(Finding("error", "torn", "A record cannot be read.", "vault:3"))
    shown = repr(config.reload().findings)
    store.fail("sealed.")
    clock.turn(100)
    with pytest.raises(BedplateError) as caught:
        config.reload()
    shown += "".join(traceback.format_exception(caught.value)) + repr([source, store.name, SYSTEM])
    assert TOKEN not in shown


class Announced(Section):
    """A section without a secret of its own."""

    text: str = option(default="")
    other: str = option(default="plain")


def test_a_section_with_a_secret_put_into_it_is_printed_masked_and_not_pickled() -> None:
    """What a secret was put into is hidden as the secret is; the rest of the section shows."""
    given = {"guarded": {"password": TOKEN}, "announced": {"text": "<${guarded.password}>"}}
    config = Config.load(
        [Guarded, Announced], program="inventory", argv=(), environ={}, files=(), overrides=given
    )
    section = config[Announced]
    assert TOKEN in section.text
    assert repr(section) == "Announced(text=****, other='plain')"
    with pytest.raises(BedplateError) as caught:
        pickle.dumps(section)
    assert TOKEN not in "".join(traceback.format_exception(caught.value))
    plain = Announced(text="x")
    assert pickle.loads(pickle.dumps(plain)) == plain  # noqa: S301 - our own bytes
