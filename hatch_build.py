"""Builds the wheel: as it is, or, where that is asked for, with the message path compiled.

``BEDPLATE_COMPILE=1 pip install .`` (or any other way to build a wheel) compiles the modules listed
in ``pyproject.toml`` with mypyc, which needs a C compiler and Python's headers, takes a minute or
two and gives a wheel for this Python and this platform. Without it the wheel is plain Python and
runs everywhere. The sources are the same: what is compiled behaves alike, and is quicker.
"""

import os
import shutil
import tempfile
from pathlib import Path

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SWITCH = "BEDPLATE_COMPILE"
YES, NO = ("1", "yes", "true", "on"), ("", "0", "no", "false", "off")


def wanted() -> bool:
    """Return whether the environment asks for it. Raises ValueError for an unknown word."""
    word = os.environ.get(SWITCH, "").strip().lower()
    if word not in (*YES, *NO):
        raise ValueError(f"{SWITCH} is {word!r}; set it to 1 to compile the message path, or to 0.")
    return word in YES


class CompileHook(BuildHookInterface[BuilderConfig]):
    """Adds the compiled modules to a wheel."""

    def dependencies(self) -> list[str]:
        """Return what compiling needs, and nothing where nothing is compiled."""
        return [str(each) for each in self.config["needs"]] if wanted() else []

    def initialize(self, version: str, build_data: dict[str, object]) -> None:
        """Compile, and have what came of it put beside its sources."""
        self._folder: Path | None = None
        if self.target_name != "wheel" or version == "editable" or not wanted():
            return
        self._folder = Path(tempfile.mkdtemp(prefix="bedplate-compile-"))
        modules = [str(each) for each in self.config["modules"]]
        built = compile_modules(Path(self.root), modules, self._folder)
        included = build_data["force_include"]
        assert isinstance(included, dict)  # noqa: S101 - hatchling's own word for it
        for file in built.rglob("*.so"):
            included[str(file)] = file.relative_to(built).as_posix()
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, object], artifact_path: str) -> None:
        """Leave nothing behind."""
        del version, build_data, artifact_path
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def compile_modules(root: Path, modules: list[str], folder: Path) -> Path:
    """Compile modules, named as files below ``root``; return the folder they are in, as packages.

    They become one library, so that they call each other directly.
    """
    # Both are there only while a wheel is built so.
    from mypyc.build import mypycify
    from setuptools import (  # type: ignore[import-not-found, import-untyped, unused-ignore]
        Distribution,
    )

    # What is followed is not what is asked about, and its optional libraries may be absent.
    options = [
        f"--config-file={root / 'pyproject.toml'}",
        f"--cache-dir={folder / 'cache'}",
        "--follow-imports=silent",
        "--no-warn-unused-ignores",
    ]
    extensions = mypycify(
        [*options, *modules],
        opt_level="3",
        debug_level="0",
        target_dir=str(folder / "c"),
        group_name="bedplate",
    )
    distribution = Distribution({"name": "bedplate", "ext_modules": extensions})
    command = distribution.get_command_obj("build_ext")
    command.build_lib, command.build_temp = str(folder / "lib"), str(folder / "temp")
    command.ensure_finalized()
    command.run()
    return folder / "lib"
