"""Reads the source of the package as text: its modules, their imports, where a name is defined.

Nothing is imported, so that a broken module can be judged as well.
"""

import ast
import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

__all__ = ["PACKAGE", "ROOT", "Import", "defined_in", "imports", "is_module", "modules", "parsed"]

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "bedplate"


class Import(NamedTuple):
    """One name asked of one module, as written."""

    module: str
    name: str | None
    line: int


@functools.cache
def modules() -> Mapping[str, Path]:
    """Return every module of the package by its dotted name."""
    found: dict[str, Path] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return MappingProxyType(found)


@functools.cache
def parsed(module: str) -> ast.Module:
    """Return the syntax tree of a module."""
    path = modules()[module]
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imports(module: str) -> Iterator[Import]:
    """Yield all imports of a module, wherever they stand: inside functions and for types too."""
    is_package = modules()[module].name == "__init__.py"
    for node in ast.walk(parsed(module)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, None, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            origin = node.module or ""
            if node.level:
                above = module.split(".")[
                    : None if is_package and node.level == 1 else -node.level + is_package
                ]
                origin = ".".join([*above, *filter(None, [node.module])])
            for alias in node.names:
                yield Import(origin, alias.name, node.lineno)


def defined_in(module: str, name: str | None) -> str:
    """Return the module that defines what an import brings, following re-exports."""
    seen: set[tuple[str, str]] = set()
    while name is not None and module in modules() and (module, name) not in seen:
        seen.add((module, name))
        if onward := _bindings(module).get(name):
            module, name = onward  # a name bound in a package hides a module of that name
        elif f"{module}.{name}" in modules():
            return f"{module}.{name}"
        else:
            return module
    return module


def is_module(module: str, name: str | None) -> bool:
    """Whether an import brings a module, and not a name that hides a module of that name."""
    return f"{module}.{name}" in modules() and name not in _bindings(module)


@functools.cache
def _bindings(module: str) -> Mapping[str, tuple[str, str]]:
    """Return where the names that a module imports from elsewhere come from."""
    found: dict[str, tuple[str, str]] = {}
    for node in ast.walk(parsed(module)):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                found[alias.asname or alias.name] = (node.module, alias.name)
    return found
