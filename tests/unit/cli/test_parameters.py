"""What arguments and options may be, and how it is said when they are not."""

import click
import pytest

from bedplate.cli.__main__ import main
from bedplate.cli.parameters import COUNT, NAME, SECONDS, VERSION

Captured = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (SECONDS, "0.5", 0.5),
        (SECONDS, "1e3", 1000.0),
        (COUNT, "1", 1),
        (COUNT, "007", 7),
        (NAME, " ", " "),
        (NAME, "größe", "größe"),
        (VERSION, "", ""),
        (VERSION, "1", "1"),
        (VERSION, "10.2.3", "10.2.3"),
    ],
)
def test_what_is_meant_is_understood(
    kind: "click.ParamType[object]", text: str, value: object
) -> None:
    """Seconds are numbers, counts whole numbers, names and versions texts."""
    assert kind.convert(text, None, None) == value


@pytest.mark.parametrize(
    ("kind", "text", "why"),
    [
        *((SECONDS, text, "no number of seconds above 0") for text in ("0", "-1", "inf", "x", "")),
        *(
            (COUNT, text, "no number above 0")
            for text in ("0", "-1", "1.5", "x", "", "9" * 30, "²")
        ),
        (NAME, "", "it is empty"),
        *((VERSION, text, "versions look like 1.0") for text in ("x", "1.", "1.2.3.4", "²")),
    ],
)
def test_what_is_not_meant_is_refused(kind: "click.ParamType[object]", text: str, why: str) -> None:
    """The sentence says what would be right."""
    with pytest.raises(click.BadParameter, match=why):
        kind.convert(text, None, None)


@pytest.mark.parametrize(
    ("arguments", "where"),
    [
        (["rpc", "call", "memory://x/", "", "echo"], "'TOPIC'"),
        (["rpc", "call", "memory://x/", "t", ""], "'METHOD'"),
        (["rpc", "call", "memory://x/", "t", "m", "--server", ""], "'--server'"),
        (["rpc", "call", "memory://x/", "t", "m", "--exchange", ""], "'--exchange'"),
        (["rpc", "ping", "memory://x/", ""], "'TOPIC'"),
        (["rpc", "describe", "memory://x/", ""], "'TOPIC'"),
        (["rpc", "echo", "memory://x/", ""], "'TOPIC'"),
        (["subscribe", "memory://x/", ""], "'TOPIC'"),
        (["subscribe", "memory://x/", "t", "--group", ""], "'--group'"),
        (["notify", "tail", "memory://x/", "--pool", ""], "'--pool'"),
    ],
)
def test_an_unset_variable_of_a_shell_is_noticed(
    capsys: Captured, arguments: list[str], where: str
) -> None:
    """What leaves an empty argument is wrong use, told by the argument's name."""
    assert main(arguments) == 2
    assert f"Invalid value for {where}: it is empty." in capsys.readouterr().err
