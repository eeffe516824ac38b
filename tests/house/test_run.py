"""The one door: what ``./run`` sets up, when, and what it says when it cannot.

The python it finds here is a stand-in that writes down what it is asked, so nothing is installed.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.house.source import ROOT

STAND_IN = f"""#!/bin/bash
echo "$@" >>"$LOG"
case "$*" in
    *fcntl*) exec {sys.executable} "$@" ;;
    *"import ensurepip"*) exit "${{NO_VENV:-0}}" ;;
    "-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
    *"pip install"*) [[ ${{SLOW:-}} ]] && sleep 0.3; exit "${{NO_INDEX:-0}}" ;;
    *dependency-groups*) printf 'pytest>=8\\nruff\\n' ;;
    *version_info*) exit "${{TOO_OLD:-0}}" ;;
    *tests.house.compiled*) [[ ${{NO_COMPILER:-}} ]] && exit 3; echo "$PWD/compiled" ;;
    *"-m benches"*) echo "measured with ${{PYTHONPATH:-the sources}}: $*" ;;
    *"-m bedplate.cli bench"*) echo "measured with ${{PYTHONPATH:-the sources}}: $*" ;;
    *"-m bedplate.cli pid"*) echo $$ ;;
    *"-m bedplate.cli"*) echo "ran in $PWD: $*" ;;
    *tests.house.everything*) echo "checked: $*" ;;
esac
"""
TOOLS = ("bash", "cat", "cp", "dirname", "mkdir", "rm", "sleep")


class Checkout:
    """A checkout with nothing but the door in it, on a machine with few programs."""

    def __init__(self, folder: Path) -> None:
        """Lay it out in ``folder``."""
        self.root = folder / "the checkout"
        self.programs = folder / "bin"
        self.log = folder / "log"
        self.root.mkdir()
        self.programs.mkdir()
        self.log.touch()
        shutil.copy(ROOT / "run", self.root / "run")
        (self.root / "pyproject.toml").write_text("[project]\n")
        for tool in TOOLS:
            where = shutil.which(tool)
            assert where is not None
            (self.programs / tool).symlink_to(where)
        self.add_python("python3")

    def add_python(self, name: str) -> None:
        """Put a stand-in python on the path."""
        (self.programs / name).write_text(STAND_IN)
        (self.programs / name).chmod(0o755)

    def environ(self, more: dict[str, str]) -> dict[str, str]:
        """Return the environment of a run."""
        return {"PATH": str(self.programs), "LOG": str(self.log), **more}

    def run(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Go through the door, from another directory than its own."""
        return subprocess.run(
            (str(self.root / "run"), *arguments),
            cwd=self.programs,
            env=self.environ(more),
            capture_output=True,
            text=True,
            check=False,
        )

    def installs(self) -> list[str]:
        """Return the installations there were."""
        return [line for line in self.log.read_text().splitlines() if "pip install" in line]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """Give a fresh checkout."""
    return Checkout(tmp_path)


def test_alone_it_lists_the_commands(checkout: Checkout) -> None:
    """Without a command, and with --help, it says what there is and sets up nothing."""
    for arguments in ((), ("--help",)):
        done = checkout.run(*arguments)
        assert done.returncode == 0
        assert all(
            f"  {name}" in done.stdout for name in ("demo", "test", "lint", "types", "bench")
        )
    assert not (checkout.root / ".venv").exists()


def test_an_unknown_command_is_wrong_use(checkout: Checkout) -> None:
    """A misspelt command is named and answered with exit status 2."""
    done = checkout.run("tset")
    assert done.returncode == 2
    assert "there is no command 'tset'" in done.stderr


def test_the_first_use_sets_up_and_says_so_on_standard_error_only(checkout: Checkout) -> None:
    """Standard output belongs to the program; where the user stands stays where they stand."""
    done = checkout.run("bedplate", "config", "check", "my file.conf")
    assert (
        done.stdout == f"ran in {checkout.programs}: -P -m bedplate.cli config check my file.conf\n"
    )
    assert "setting up" in done.stderr
    assert len(checkout.installs()) == 1
    assert f"-m compileall -q {checkout.root}/src" in checkout.log.read_text()


def test_what_is_set_up_is_not_set_up_again(checkout: Checkout) -> None:
    """The second use starts at once; development brings its own tools, once."""
    checkout.run("demo")
    assert checkout.run("demo").stderr == ""
    checkout.run("lint")
    checkout.run("test", "-k", "x")
    assert checkout.run("demo").stderr == ""
    runtime, dev = checkout.installs()
    assert runtime.endswith("the checkout[cli,yaml]")
    assert dev.endswith("the checkout[cli,yaml] pytest>=8 ruff")


@pytest.mark.parametrize("level", ["demo", "types"])
def test_a_changed_project_is_set_up_again(checkout: Checkout, level: str) -> None:
    """When pyproject.toml changes, so may what it needs."""
    checkout.run(level)
    (checkout.root / "pyproject.toml").write_text("[project]\ndependencies = []\n")
    assert "setting up" in checkout.run(level).stderr
    assert len(checkout.installs()) == 2


def test_an_interrupted_set_up_is_done_again(checkout: Checkout) -> None:
    """A set-up that failed leaves nothing behind that looks finished."""
    failed = checkout.run("demo", NO_INDEX="1")
    assert failed.returncode == 1
    assert "Is the package index reachable?" in failed.stderr
    done = checkout.run("demo")
    assert done.returncode == 0
    assert done.stdout.startswith("ran in")


def test_two_at_once_set_up_once(checkout: Checkout) -> None:
    """The second waits for the first and then finds all done."""
    command = (str(checkout.root / "run"), "demo")
    both = [
        subprocess.Popen(
            command,
            env=checkout.environ({"SLOW": "1"}),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(2)
    ]
    said = [each.communicate()[0] for each in both]
    assert [each.returncode for each in both] == [0, 0]
    assert all(text.startswith(b"ran in") for text in said)
    assert len(checkout.installs()) == 1


def test_a_machine_without_a_new_python_is_told(checkout: Checkout) -> None:
    """It says which versions it looked for and what to install."""
    done = checkout.run("demo", TOO_OLD="1")
    assert done.returncode == 2
    assert "no Python 3.11 or newer was found" in done.stderr
    assert "apt install python3 python3-venv" in done.stderr


def test_a_newer_python_beside_an_old_one_is_found(checkout: Checkout) -> None:
    """Where python3 is old, python3.13 does."""
    (checkout.programs / "python3").write_text("#!/bin/bash\nexit 1\n")
    checkout.add_python("python3.13")
    assert checkout.run("demo").returncode == 0


@pytest.mark.parametrize("name", ["python3", "python3.12"])
def test_the_missing_package_is_named(checkout: Checkout, name: str) -> None:
    """Debian packages venv apart; the package that goes with the python found is named."""
    (checkout.programs / "python3").unlink()
    checkout.add_python(name)
    done = checkout.run("demo", NO_VENV="1")
    assert done.returncode == 2
    assert done.stderr.rstrip().endswith(f"apt install {name}-venv")
    assert not (checkout.root / ".venv").exists()


def test_the_door_becomes_the_program(checkout: Checkout) -> None:
    """It is replaced by what it starts, so a supervisor's signal reaches that."""
    checkout.run("demo")
    command = (str(checkout.root / "run"), "bedplate", "pid")
    process = subprocess.Popen(command, env=checkout.environ({}), stdout=subprocess.PIPE, text=True)
    assert process.communicate()[0] == f"{process.pid}\n"


@pytest.mark.parametrize("command", [("bench", "rabbit"), ("bedplate", "bench", "rpc", "URL")])
def test_what_is_measured_is_compiled(checkout: Checkout, command: tuple[str, ...]) -> None:
    """The compiled copy comes first for whoever measures, and what was there stays behind it."""
    with_compiled = f"measured with {checkout.root}/compiled"
    assert checkout.run(*command).stdout.startswith(f"{with_compiled}: ")
    assert checkout.run(*command, PYTHONPATH="/more").stdout.startswith(f"{with_compiled}:/more: ")


@pytest.mark.parametrize("command", [("bench", "rabbit"), ("bedplate", "bench", "rpc", "URL")])
def test_without_a_compiler_the_sources_are_measured(
    checkout: Checkout, command: tuple[str, ...]
) -> None:
    """Whoever cannot compile says why; measuring goes on."""
    done = checkout.run(*command, NO_COMPILER="1")
    assert done.returncode == 0
    assert done.stdout.startswith("measured with the sources: ")


def test_what_is_not_measured_is_not_compiled(checkout: Checkout) -> None:
    """Everything else runs from the sources, at once."""
    checkout.run("demo")
    checkout.run("bedplate", "config", "check", "x.conf")
    assert "compiled" not in checkout.log.read_text()


def test_uv_is_used_where_it_is(checkout: Checkout) -> None:
    """With uv on the path, it makes the environment and installs into it."""
    uv = checkout.programs / "uv"
    uv.write_text(
        '#!/bin/bash\necho "uv $*" >>"$LOG"\n[[ $1 != venv ]] && exit\n'
        'mkdir -p "$5/bin" && cp "$(dirname "$0")/python3" "$5/bin/python"\n'
    )
    uv.chmod(0o755)
    assert checkout.run("demo").stdout.startswith("ran in")
    (install,) = checkout.installs()
    assert install.startswith("uv pip install --quiet --compile-bytecode --python ")
