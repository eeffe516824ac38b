"""Where the command line starts, and how it ends."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import bedplate
from bedplate.cli.__main__ import main
from bedplate.cli.program import program, run
from bedplate.errors import ProbeFailed


def test_help_lists_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    """``--help`` names every noun and what the exit statuses mean."""
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    assert all(f"\n  {noun} " in said for noun in ("config", "demo", "health"))
    assert "0 good, 1 findings or failure, 2 wrong use" in said


def test_every_command_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    """Each command has a line in its noun's help, and help of its own."""
    for noun, verbs in (("config", ("check", "show", "explain")), ("health", ("probe",))):
        assert main([noun, "--help"]) == 0
        listed = capsys.readouterr().out
        for verb in verbs:
            assert f"\n  {verb} " in listed
            assert main([noun, verb, "--help"]) == 0
            assert f"bedplate {noun} {verb}" in capsys.readouterr().out


def test_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """``--version`` prints the name and the version of the package."""
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"bedplate {bedplate.__version__}\n"


@pytest.mark.parametrize("arguments", [[], ["confog"], ["config", "chek"], ["--loud"]])
def test_wrong_use_is_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What the command line does not know is answered on standard error with status 2."""
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "Usage: bedplate" in said.err


def test_an_error_of_ours_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An error that a command raises is told in its own words, with status 1 and no traceback."""

    def fail(*_: object, **__: object) -> None:
        raise ProbeFailed(where="http://x/", why="nobody is at home")

    monkeypatch.setattr(program, "main", fail)
    assert run(["config"]) == 1
    said = capsys.readouterr()
    assert said.err.startswith("bedplate: ")
    assert "nobody is at home" in said.err


def test_an_interrupt_is_status_130(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends a command without a traceback and with the shell's usual status."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(program, "main", interrupted)
    assert run([]) == 130


def test_an_interrupt_while_loading_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C right after the start is no traceback either."""

    class Interrupted:
        def __getattr__(self, name: str) -> object:
            raise KeyboardInterrupt

    monkeypatch.setattr("bedplate.cli.program", Interrupted())
    assert main(["rpc"]) == 130


def started(*arguments: str, options: tuple[str, ...] = (), code: str = "") -> list[str]:
    """Return the command that starts an interpreter, and with ``code`` runs that first."""
    if code:
        return [sys.executable, *options, "-c", code, *arguments]
    return [sys.executable, *options, "-m", "bedplate.cli", *arguments]


def test_a_reader_who_leaves_is_no_error() -> None:
    """When the reader of the output has gone, the command ends in silence."""
    with subprocess.Popen(
        started("--help"), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("publish", "memory://here/", "t", "--fanout", "--json"),
        ("config", "diff", "-h"),
    ],
)
def test_output_that_cannot_be_written_is_told(arguments: tuple[str, ...]) -> None:
    """A full disk behind standard output is one sentence with status 1."""
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device, not a path
        done = subprocess.run(
            started(*arguments), stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    assert done.stderr == (
        "bedplate: what was to be printed cannot be written: No space left on device.\n"
    )


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_an_encoding_is_no_reason_to_fail(tmp_path: Path, encoding: str) -> None:
    """What it lacks is spelled out, in JSON so that it stays JSON; so are undecodable names."""
    (tmp_path / "declared.py").write_text(
        "from bedplate.config import Section, option\n"
        "class Api(Section):\n    title: str = option(default='größe €', help='Ein Größe.')\n",
        encoding="utf-8",
    )
    (tmp_path / "a.conf").write_text("[api]\ntitle = größe € 𝄞\n", encoding="utf-8")

    def said(*arguments: str) -> bytes:
        done = subprocess.run(
            started("config", *arguments, "--sections", "declared:Api"),
            cwd=tmp_path,
            env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"},
            capture_output=True,
            check=False,
        )
        assert b"Traceback" not in done.stderr
        return done.stdout + done.stderr

    assert "größe € 𝄞" in json.loads(said("show", "a.conf", "--json").decode(encoding))[0]["value"]
    shown = said("show", "a.conf").decode(encoding)
    assert {
        "ascii": r"gr\u00f6\u00dfe \u20ac \ud834\udd1e",
        "latin-1": r"größe \u20ac \ud834\udd1e",
        "utf-8": "größe € 𝄞",
    }[encoding] in shown
    said("check", "a.conf")
    said("sample")
    said("check", "gr\udcf6.conf")


def test_a_command_without_streams_runs(tmp_path: Path) -> None:
    """Where the standard streams are closed, as some schedulers do, nothing breaks."""
    script = 'exec "$0" -m bedplate.cli publish memory://here/ t - --fanout --json <&- >&- 2>&-'
    done = subprocess.run(("/bin/sh", "-c", script, sys.executable), cwd=tmp_path, check=False)
    assert done.returncode == 0


WITHOUT_CLICK = """
import sys
sys.modules["click"] = None
from bedplate.cli.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


def test_without_the_extra_it_says_how_to_install_it() -> None:
    """Without click the command line says what to install, with status 2; the probe works."""
    done = subprocess.run(
        started("config", "check", code=WITHOUT_CLICK), capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "pip install 'bedplate[cli]'" in done.stderr
    assert "Traceback" not in done.stderr
    probed = subprocess.run(
        started("health", "probe", "--help", code=WITHOUT_CLICK),
        capture_output=True,
        text=True,
        check=False,
    )
    assert probed.returncode == 0
    assert "usage: bedplate health probe" in probed.stdout


def test_the_probe_starts_before_anything_else_is_loaded() -> None:
    """``health probe`` loads neither click nor any room: it is started every few seconds."""
    code = (
        "import sys; from bedplate.cli.__main__ import main; main(['health', 'probe', '--help']); "
        "print(*sorted(name for name in sys.modules if 'bedplate' in name or name == 'click'))"
    )
    done = subprocess.run(started(code=code), capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1].split() == [
        "bedplate",
        "bedplate.cli",
        "bedplate.cli.__main__",
        "bedplate.cli.probe",
    ]


def test_the_probe_can_be_reached_through_help_as_well(capfd: pytest.CaptureFixture[str]) -> None:
    """Flags of bedplate before the noun do not hide the probe."""
    assert run(["health", "probe", "--help"]) == 0
    assert "usage: bedplate health probe" in capfd.readouterr().out


def test_the_module_and_the_script_are_the_same(tmp_path: Path) -> None:
    """``python -m bedplate.cli`` ends with the status of the command."""
    done = subprocess.run(
        started("config", "show", "nowhere.conf", "--sections", "x:Y"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == "bedplate: there is no module 'x' here or installed.\n"
