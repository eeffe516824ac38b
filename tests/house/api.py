"""Writes the public interface down: each public name with its signature, as the source spells it.

``python -m tests.house.api --write`` renews ``tests/house/api.txt``; a test compares. A change of
that file is a change for users and wants a fragment under ``changes/``.
"""

import ast
import sys
from collections.abc import Iterator

from tests.house.source import ROOT, defined_in, modules, parsed

__all__ = ["KEPT", "current", "main"]

KEPT = ROOT / "tests" / "house" / "api.txt"
SPOKEN = frozenset(
    {"__init__", "__call__", "__getitem__", "__iter__", "__aiter__", "__enter__", "__aenter__"}
)


def is_public(name: str) -> bool:
    """Whether users may count on a name."""
    return not name.startswith("_") or name in SPOKEN


def signature(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """Return a function's head in one line."""
    colour = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    marks = "".join(f"@{ast.unparse(mark)} " for mark in node.decorator_list)
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{marks}{colour} {node.name}({ast.unparse(node.args)}){returns}"


def attribute(node: ast.stmt) -> str | None:
    """Return a public attribute's or constant's line, or None."""
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        default = f" = {ast.unparse(node.value)}" if node.value else ""
        line = f"{node.target.id}: {ast.unparse(node.annotation)}{default}"
        name = node.target.id
    elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        line, name = ast.unparse(node), node.targets[0].id
    else:
        return None
    return " ".join(line.split()) if is_public(name) else None


def members(node: ast.ClassDef) -> Iterator[str]:
    """Yield what a class offers, one line each, in the order of the source."""
    for each in node.body:
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef):
            if is_public(each.name):
                yield signature(each)
        elif line := attribute(each):
            yield line


def described(module: str, names: set[str]) -> Iterator[str]:
    """Yield the lines of one module, sorted by name; a class's members stand below it."""
    found: dict[str, list[str]] = {}
    for node in parsed(module).body:
        if isinstance(node, ast.ClassDef):
            given = ", ".join(map(ast.unparse, [*node.bases, *node.keywords]))
            head = f"class {node.name}({given})" if given else f"class {node.name}"
            found[node.name] = [head, *(f"    {line}" for line in members(node))]
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.setdefault(node.name, []).append(signature(node))
        elif line := attribute(node):
            found[line.split(" ")[0].rstrip(":")] = [line]
    for name in sorted(names):
        home = defined_in(module, name)
        if name in found:
            yield from found[name]
        else:
            yield f"{name}  from {home}"


def exported(module: str) -> set[str]:
    """Return a module's ``__all__``."""
    for node in parsed(module).body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if ast.unparse(target) == "__all__":
                return set(ast.literal_eval(node.value))
    return set()


def current() -> str:
    """Return the public interface as text."""
    lines = [
        "# The public interface. Written by ./run api; a change here wants a fragment in changes/.",
    ]
    for module in modules():
        if any(part.startswith("_") for part in module.split(".")):
            continue
        if names := exported(module):
            lines += ["", f"[{module}]", *described(module, names)]
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    """Print the interface, or write it down with ``--write``."""
    if arguments == ["--write"]:
        KEPT.write_text(current(), encoding="utf-8")
        print(f"written: {KEPT.relative_to(ROOT)}")
        return 0
    print(current(), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
