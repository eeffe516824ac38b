"""Builds the wheel, installs it without extras in a fresh environment and imports every module.

The demo must run there too, from the example that the wheel carries. Modules that are an extra's
own may ask for that extra's library, and for nothing else. Knows nothing of what the modules do.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Runs in the bare environment. A module may fail for want of the libraries named beside it.
IMPORT_ALL = """
import importlib, pkgutil, sys
import bedplate

EXTRAS = {"bedplate.cli": "click rich", "bedplate.testing": "pytest anyio",
          "bedplate.pytest_plugin": "pytest",
          "bedplate.observability": "opentelemetry prometheus_client"}
done, waiting = 0, []

def failed(name):
    raise

for found in pkgutil.walk_packages(bedplate.__path__, "bedplate.", onerror=failed):
    try:
        importlib.import_module(found.name)
        done += 1
    except ModuleNotFoundError as error:
        room = ".".join(found.name.split(".")[:2])
        if found.name == room or error.name not in EXTRAS.get(room, "").split():
            raise
        waiting.append((found.name, error.name))
for library in ("click", "rich", "pytest", "anyio"):
    assert library not in sys.modules, f"{library} is installed in the bare environment"
libraries = sorted({library for _, library in waiting})
print(f"bedplate {bedplate.__version__}: {done} modules import without extras;",
      f"{len(waiting)} ask for {' or '.join(libraries)}")
"""


def run(*command: str | Path) -> str:
    """Run a command and return what it printed; end with its output when it fails."""
    done = subprocess.run(
        command, cwd=ROOT, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command[:4]))} … failed:\n{done.stdout}")
    return done.stdout


def install(python: Path, wheel: Path) -> None:
    """Install the wheel and what it depends on, with the installer at hand."""
    uv = shutil.which("uv")
    if uv:
        run(uv, "pip", "install", "--quiet", "--python", python, wheel)
    else:
        run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", wheel)


def main() -> None:
    """Build, install, import; print one line."""
    with tempfile.TemporaryDirectory(prefix="bedplate-wheel-") as name:
        folder = Path(name)
        run(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder)
        (wheel,) = folder.glob("*.whl")
        run(sys.executable, "-m", "venv", "--without-pip", folder / "bare")
        python = folder / "bare" / "bin" / "python"
        install(python, wheel)
        run(python, "-I", "-W", "error", "-c", "import sys, bedplate.demo as d; sys.exit(d.main())")
        print(run(python, "-I", "-W", "error", "-c", IMPORT_ALL).strip())


if __name__ == "__main__":
    main()
