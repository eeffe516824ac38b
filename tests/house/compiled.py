"""Keeps a copy of bedplate with its message path compiled, for what is to be measured or tested so.

``python -m tests.house.compiled`` prints the folder to put on ``PYTHONPATH``, building it if the
sources have changed since; ``… test [pytest arguments]`` runs the tests of what is compiled on it.
Exit status 3: it cannot be built here, and standard error says why. Uses nothing but the standard
library and the installer at hand; what is compiled, and how, is ``hatch_build.py``'s part.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / ".run" / "compiled"
CANNOT = 3
TESTS = (
    "tests/unit/amqp091",
    "tests/fuzz",
    "tests/unit/messaging",
    "tests/unit/observability",
    "tests/contracts",
    "tests/brokers",
)
"""What is run on the compiled copy: everything through which messages go."""
WARNED = "ignore:the (type, exc, tb) signature of throw:DeprecationWarning"
"""What 3.12 and newer have to say of how mypyc throws into a coroutine; it is mypyc's to change."""
HEADERS = "the headers of Python (Python.h)"
COMPILER = "a C compiler"


def modules() -> list[Path]:
    """Return the sources that are compiled, relative to the root."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    hook = settings["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["custom"]
    return [Path(each) for each in hook["modules"]]


def lacking() -> list[str]:
    """Return what is not here of what compiling needs."""
    compiler = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
    found = {
        COMPILER: shutil.which(compiler) is not None,
        HEADERS: Path(sysconfig.get_path("include"), "Python.h").exists(),
    }
    return [what for what, there in found.items() if not there]


def digest() -> str:
    """Return a word for these sources, this Python and this platform."""
    seen = hashlib.sha256(f"{sys.version} {sysconfig.get_platform()}".encode())
    for file in (ROOT / "pyproject.toml", ROOT / "hatch_build.py", *_sources()):
        seen.update(f"{file.relative_to(ROOT)}\0".encode() + file.read_bytes() + b"\0")
    return seen.hexdigest()[:16]


def _sources() -> list[Path]:
    return sorted((ROOT / "src").rglob("*.py")) + sorted((ROOT / "examples").rglob("*.py"))


def folder() -> Path:
    """Return the compiled copy of these sources, built now where there is none yet."""
    wanted = KEPT / digest()
    if wanted.exists():
        return wanted
    KEPT.mkdir(parents=True, exist_ok=True)
    say("compiling bedplate's message path; this takes a minute or two, once for these sources")
    with tempfile.TemporaryDirectory(prefix="making-", dir=KEPT) as place:
        (wheel,) = build(Path(place))
        made = Path(place, "made")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(made)
        for old in KEPT.iterdir():
            if old.name != Path(place).name and not old.name.startswith("making-"):
                shutil.rmtree(old, ignore_errors=True)
        made.replace(wanted)
    say("compiled")
    return wanted


def build(place: Path) -> list[Path]:
    """Build the compiled wheel; end with what the installer said where that fails."""
    uv = shutil.which("uv")
    if uv:
        command = [uv, "build", "--wheel", "--python", sys.executable, "--out-dir", str(place)]
    else:
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel"]
        command += ["--no-deps", "--wheel-dir", str(place)]
    done = subprocess.run(
        [*command, str(ROOT)],
        env={**os.environ, "BEDPLATE_COMPILE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.stderr.write(done.stdout[-4000:])
        raise SystemExit("run: bedplate could not be compiled; the lines above say why")
    return list(place.glob("*.whl"))


def say(text: str) -> None:
    """Tell the person who waits."""
    print(f"run: {text}", file=sys.stderr, flush=True)


def main(arguments: list[str]) -> int:
    """Print the folder, or run the tests on it."""
    missing = lacking()
    if missing:
        say(
            f"bedplate's message path cannot be compiled: {' and '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} not there; "
            "on Debian and Ubuntu: apt-get install gcc libc6-dev python3-dev"
        )
        return CANNOT
    place = folder()
    if not arguments:
        print(place)
        return 0
    path = os.pathsep.join(filter(None, (str(place), os.environ.get("PYTHONPATH", ""))))
    environ = {**os.environ, "PYTHONPATH": path}
    make_sure(environ)
    command = [sys.executable, "-m", "pytest", "-W", WARNED, *TESTS, *arguments[1:]]
    return subprocess.run(command, cwd=ROOT, env=environ, check=False).returncode


def make_sure(environ: dict[str, str]) -> None:
    """End unless every module that is listed comes compiled to whoever imports it."""
    names = [".".join(file.relative_to("src").with_suffix("").parts) for file in modules()]
    code = (
        "import importlib, sys; print(*(importlib.import_module(n).__file__ for n in sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, *names]
    said = subprocess.run(command, cwd=ROOT, env=environ, check=True, stdout=subprocess.PIPE).stdout
    plain = [file for file in said.decode().split() if file.endswith(".py")]
    if plain:
        raise SystemExit(f"run: these are not compiled: {', '.join(plain)}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
