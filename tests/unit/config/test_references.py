"""Options that refer to others, from the file to what a program and its operator get to see."""

from pathlib import Path

import pytest

from bedplate.config import Config, Finding, Repeated, Secret, Section, Url, option
from bedplate.errors import InvalidConfig

CANARY = "canary-c0ffee"


class Common(Section, name="DEFAULT"):
    """What everybody has."""

    state_path: str = option(default="/var/lib", mutable=True)
    cores: int = option(default=2)
    debug: bool = option(default=False)


class Api(Section):
    """The public interface."""

    workers: int = option(default=4, min=1, max=64)
    path: str = option(default="$state_path/api", mutable=True)
    plain: str = option(default="", interpolate=False)
    names: list[str] = option(default=[])
    rules: Repeated[str] = option(default=[])
    password: Secret[str] = option(default=Secret("x"), mutable=True)
    token: Secret[str] = option(default=Secret("x"), interpolate=True)
    text: str = option(default="", mutable=True)
    number: int = option(default=1)
    store: Url = option(default=Url("sqlite://"))
    renamed: str = option(default="", was=("former",))


class Cinder(Section, optional=True):
    """A section that need not be there."""

    host: str = option()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Give the file that `load` reads."""
    return tmp_path / "inventory.conf"


def load(file: Path, text: str) -> Config:
    file.write_text(text)
    return Config.load(
        [Common, Api, Cinder], program="inventory", argv=(), environ={}, files=[str(file)]
    )


def problems(file: Path, text: str) -> tuple[Finding, ...]:
    with pytest.raises(InvalidConfig) as caught:
        load(file, text)
    return caught.value.findings


def test_values_of_other_options_are_put_in_before_conversion(file: Path) -> None:
    """Whatever the type: a number, items of a list, repeated values, an old name, a default."""
    config = load(
        file,
        "[DEFAULT]\nstate_path = /srv\ncores = 8\n[api]\nworkers = ${cores}\nnames = $cores, b$$c\n"
        "rules = a$cores\nrules = b\nformer = $api.workers!\ntext = $DEFAULT.debug $former\n",
    )
    api = config[Api]
    assert (api.workers, api.path, api.renamed) == (8, "/srv/api", "8!")
    assert (api.names, api.rules) == (["8", "b$c"], ["a8", "b"])
    assert api.text == "false 8!"


def test_what_does_not_interpolate_is_taken_as_it_stands(file: Path) -> None:
    """Secrets and URLs by themselves, and whatever says so."""
    config = load(file, "[api]\npassword = pa$word\nplain = $nothing\nstore = a://u:p$word@h/\n")
    assert config[Api].password.reveal() == "pa$word"
    assert config[Api].plain == "$nothing"
    assert config[Api].store.reveal() == "a://u:p$word@h/"
    assert load(file, "[api]\ntoken = <$cores>\n")[Api].token.reveal() == "<2>"


def test_a_wrong_reference_is_told_at_the_option_that_holds_it(file: Path) -> None:
    """Each is one finding; who refers to a wrong one is not wrong itself."""
    found = problems(
        file,
        "[api]\ntext = $path\npath = $nothing\nnames = $nothing.x\nworkers = $workers\n"
        "renamed = $cinder.host\n",
    )
    assert [(each.line, each.code) for each in found] == [
        (3, "bad-interpolation"),
        (4, "bad-interpolation"),
        (5, "bad-interpolation"),
        (6, "bad-interpolation"),
    ]
    assert "[api] path refers to $nothing" in found[0].message
    assert "[api] workers → [api] workers" in found[2].message
    assert "refers to [cinder] host, which has no value" in found[3].message


@pytest.mark.parametrize(
    ("reference", "suggestion"),
    [
        ("$stat_path/x", "state_path"),
        ("$pasth", "path"),
        ("${ap.path}", "api.path"),
        ("$api.pth", "api.path"),
        ("$nothing", None),
        ("$nothing.path", None),
        ("$api.nothing", None),
        ("$text", None),
    ],
)
def test_the_option_that_a_wrong_reference_means_is_suggested(
    file: Path, reference: str, suggestion: str | None
) -> None:
    """Across sections and names, as for options; a circle means nobody else."""
    (finding,) = problems(file, f"[api]\ntext = {reference}\n")
    assert finding.suggestion == suggestion
    assert finding.message.endswith(f"Did you mean ${suggestion}?") is (suggestion is not None)


def test_a_wrong_reference_in_a_secret_shows_nothing_of_it(file: Path) -> None:
    """Not even the name that stands behind the dollar: it is a part of the secret."""
    (finding,) = problems(file, f"[api]\ntoken = $n{CANARY.replace('-', '_')}\n")
    assert finding.code == "bad-interpolation"
    assert CANARY.replace("-", "_") not in repr(finding)


def test_a_wrong_value_is_judged_after_everything_is_put_in(file: Path) -> None:
    """The type sees the text as it will be."""
    (finding,) = problems(file, "[DEFAULT]\ncores = 99\n[api]\nworkers = $cores\n")
    assert (finding.line, finding.code) == (4, "out-of-range")


def test_what_has_a_secret_in_it_is_masked_like_one(file: Path) -> None:
    """In rows, explanations, changes and messages, near and far; a warning says why."""
    text = f"[api]\npassword = {CANARY}\npath = <$password>\ntext = $path\nrenamed = $text\n"
    config = load(file, text)
    assert config[Api].text == f"<{CANARY}>"
    warned = [(each.line, each.code) for each in config.findings]
    assert warned == [(line, "secret-in-plain-option") for line in (3, 4, 5)]
    assert {row.option for row in config.rows() if row.secret} == {
        "password",
        "token",
        "path",
        "text",
        "renamed",
    }
    file.write_text(text.replace(CANARY, f"{CANARY}2").replace("renamed", "# renamed"))
    changes = config.reload()
    assert {change.key for change in changes.changed} >= {"api.path", "api.text"}
    shown = f"{config.rows()}{changes}{config.explain('api.text')}{config.findings}"
    assert CANARY not in shown
    found = problems(file, f"[api]\npassword = {CANARY}\nnumber = $password\n")
    assert [each.code for each in found] == ["wrong-type"]
    assert CANARY not in repr(found)


def test_the_password_of_a_url_taints_as_well(file: Path) -> None:
    """A URL that holds one is put in whole, so what it is put into is masked."""
    config = load(file, f"[api]\nstore = a://u:{CANARY}@h/\ntext = see $store\n")
    assert config[Api].text == f"see a://u:{CANARY}@h/"
    assert CANARY not in str(config.rows())


def test_a_reload_follows_what_is_referred_to(file: Path) -> None:
    """A mutable option changes with another one, though its own text stays."""
    config = load(file, "[DEFAULT]\nstate_path = /a\n")
    file.write_text("[DEFAULT]\nstate_path = /b\n")
    assert {change.key for change in config.reload().changed} == {"state_path", "api.path"}
    assert config[Api].path == "/b/api"


def test_a_change_that_must_wait_is_not_put_in_either(file: Path) -> None:
    """What refers to an option that needs a restart keeps seeing its old value."""
    config = load(file, "[DEFAULT]\ncores = 3\n[api]\ntext = $cores\n")
    file.write_text("[DEFAULT]\ncores = 5\n[api]\ntext = $cores\n")
    changes = config.reload()
    assert [each.code for each in changes.findings] == ["needs-restart"]
    assert config[Api].text == "3"
