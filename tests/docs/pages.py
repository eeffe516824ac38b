"""Reads the blocks of a page and runs them from top to bottom, as a reader would.

- ``python`` blocks run one after another in one module; each page has its own, in its own empty
  folder, with no arguments and no environment but the reader's path.
- a block with ``file=NAME`` is written to that file of the folder instead.
- ``console`` blocks: each ``$ command`` runs there, and what it prints must be the lines below it;
  ``…`` stands for anything within a line, a line of it for any lines. A command that should fail
  says so: ``# exit status 1``.
- ``python sketch`` shows a shape; it must be Python, and does not run.

Nothing else is understood, so that nothing is passed over by a spelling mistake.
"""

import ast
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

__all__ = ["Block", "Console", "blocks", "matches", "run_page"]

FENCE = re.compile(r"^```([^\n`]*)\n(.*?)^```\s*$", re.MULTILINE | re.DOTALL)
PROSE = frozenset({"", "text", "ini", "toml", "json", "sh", "diff", "dockerfile", "yaml"})
STATUS = re.compile(r"\s+# exit status (\d+)$")
RUNNABLE = ("bedplate", "./run bedplate", "./run demo", "python", "cat")


class Block(NamedTuple):
    """One fenced block of a page."""

    language: str
    options: tuple[str, ...]
    text: str
    line: int

    @property
    def file(self) -> str | None:
        """Return the name of the file that it shows, or None."""
        named = [each.removeprefix("file=") for each in self.options if each.startswith("file=")]
        return named[0] if named else None


class Console(NamedTuple):
    """One command of a console block, what it should print and how it should end."""

    command: str
    expected: str
    status: int


def blocks(page: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a page. Raises ValueError for one nobody understands."""
    text = page.read_text(encoding="utf-8")
    for found in FENCE.finditer(text):
        language, *options = found[1].split() or [""]
        line = text.count("\n", 0, found.start()) + 2
        known = all(each.startswith("file=") or each == "sketch" for each in options)
        if not known or language not in PROSE | {"python", "console"}:
            raise ValueError(
                f"{page.name}:{line - 1}: a block of kind {found[1]!r} is not understood"
            )
        yield Block(language, tuple(options), found[2], line)


def commands(block: Block) -> Iterator[Console]:
    """Yield the commands of a console block."""
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, _, expected = part.partition("\n")
        status = STATUS.search(command)
        yield Console(STATUS.sub("", command), expected, int(status[1]) if status else 0)


def matches(expected: str, printed: str) -> bool:
    """Whether what was printed is what a page shows."""
    pattern = "".join(
        r"(?:.*\n)*?" if line.strip() == "…" else re.escape(line).replace("…", ".*") + "\n"
        for line in map(str.rstrip, expected.rstrip().splitlines())
    )
    lines = map(str.rstrip, printed.rstrip().splitlines())
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in lines)) is not None


def run_command(console: Console, folder: Path) -> None:
    """Run one command there, without a shell, and compare; ``NAME=value`` may stand before it."""
    if not console.command.startswith(RUNNABLE) and "=" not in console.command.split()[0]:
        return
    words = shlex.split(console.command, comments=True)
    environ = {"PATH": os.defpath, "COLUMNS": "100", "HOME": str(folder), "LANG": "C.UTF-8"}
    while "=" in words[0]:
        name, _, environ[name] = words.pop(0).partition("=")
    if words[0] == "./run":
        words[:2] = ["bedplate"] if words[1] == "bedplate" else ["bedplate", words[1]]
    if words[0] == "bedplate":
        words[:1] = [sys.executable, "-P", "-m", "bedplate.cli"]
    elif words[0] == "python":
        words[0] = sys.executable
    done = subprocess.run(
        words,
        cwd=folder,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == console.status, f"$ {console.command}\n{done.stdout}"
    if console.expected.strip():
        assert matches(console.expected, done.stdout), f"$ {console.command}\n{done.stdout}"


def run_page(page: Path, folder: Path) -> None:
    """Run a page from top to bottom in an empty folder, which is the working directory."""
    module = ModuleType("page")
    sys.modules["page"] = module  # annotations are looked up there
    try:
        for block in blocks(page):
            if block.file:
                (folder / block.file).write_text(block.text, encoding="utf-8")
            elif block.language == "console":
                for console in commands(block):
                    run_command(console, folder)
            elif block.language == "python":
                tree = ast.parse("\n" * (block.line - 1) + block.text, filename=str(page))
                if "sketch" not in block.options:
                    exec(compile(tree, str(page), "exec"), vars(module))  # noqa: S102 - our page
    finally:
        del sys.modules["page"]
