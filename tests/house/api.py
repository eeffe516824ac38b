"""Writes the public interface down: what users import, with signatures as the source spells them.

``python -m tests.house.api --write`` renews ``tests/house/api.txt``; a test compares. A change of
that file is a change for users and wants a fragment under ``changes/``.
"""

import ast
import functools
import sys
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from tests.house.source import ROOT, defined_in, modules, parsed

__all__ = ["KEPT", "current", "main"]

KEPT = ROOT / "tests" / "house" / "api.txt"
FILES = frozenset({"clock", "errors", "messaging.driver", "messaging.types", "messaging.url"})
"""Modules that are doors without being packages: for everybody, and for authors of drivers."""

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


@functools.cache
def definitions(module: str) -> Mapping[str, tuple[str, ...]]:
    """Return the lines that describe each definition of a module; members stand below a class."""
    found: dict[str, tuple[str, ...]] = {}
    for node in parsed(module).body:
        if isinstance(node, ast.ClassDef):
            given = ", ".join(map(ast.unparse, [*node.bases, *node.keywords]))
            head = f"class {node.name}({given})" if given else f"class {node.name}"
            found[node.name] = (head, *(f"    {line}" for line in members(node)))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found[node.name] = (*found.get(node.name, ()), signature(node))
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            found[ast.unparse(target)] = (" ".join(ast.unparse(node).split()),)
    return MappingProxyType(found)


def exported(module: str) -> list[str]:
    """Return a module's ``__all__``."""
    (line,) = definitions(module).get("__all__", ("__all__ = []",))
    names = ast.literal_eval(line.partition(" = ")[2])
    return sorted(names)


def doors() -> Iterator[str]:
    """Yield the modules that users import from: packages, and the few files meant for them."""
    for module, path in modules().items():
        below = module.partition(".")[2]
        is_door = path.name == "__init__.py" or below in FILES or below.startswith("testing.")
        if is_door and not any(part.startswith("_") for part in module.split(".")):
            yield module


def current() -> str:
    """Return the public interface as text."""
    lines = [
        "# The public interface, door by door. Written by ./run api; whoever changes it for users",
        "# adds a fragment under changes/.",
    ]
    for module in doors():
        names = exported(module)
        lines += ["", f"[{module}]"] if names else []
        for name in names:
            if name == "__version__":
                continue  # changes with every release
            home = defined_in(module, name)
            lines += definitions(home).get(name, (f"{name}  (module {home})",))
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
