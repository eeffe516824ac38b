"""No module keeps state: everything a process shares lives in ``_floor/process.py``."""

import ast
import collections
import functools
import importlib
import queue
import threading
import weakref
from collections.abc import Iterator

import pytest
from tests.house.source import ROOT, modules, parsed

THE_EXCEPTION = "bedplate._floor.process"
MUTABLE = (
    list,
    dict,
    set,
    bytearray,
    collections.deque,
    queue.Queue,
    queue.SimpleQueue,
    threading.Event,
    threading.Condition,
    threading.local,
    type(threading.Lock()),
    type(threading.RLock()),
    weakref.WeakKeyDictionary,
    weakref.WeakValueDictionary,
    weakref.WeakSet,
    functools._lru_cache_wrapper,  # a cache is state that nobody sees
)
LITERALS = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
ALLOWED = frozenset({"__all__", "__slots__", "__match_args__"})


MEMOS = frozenset({"section_described"})
"""Attributes of classes that keep what can be computed from the class alone, and nothing else."""

WRITTEN_BY_PYTHON = ("__", "_abc_", "_field_defaults", "_member_", "_value2member", "_unhashable_")
"""How the names begin that named tuples, enumerations and abstract classes keep for themselves."""


def is_own(name: str) -> bool:
    """Whether an attribute is the author's doing rather than the interpreter's."""
    return not name.startswith(WRITTEN_BY_PYTHON)


@pytest.mark.parametrize("module", [name for name in modules() if name != THE_EXCEPTION])
def test_a_module_holds_nothing_that_changes(module: str) -> None:
    """After import no attribute of a module, or of its classes, is a mutable container or lock."""
    found = importlib.import_module(module)
    held = [
        name
        for name, value in vars(found).items()
        if is_own(name) and isinstance(value, MUTABLE) and not elsewhere(value, module)
    ]
    held += [
        f"{kind.__name__}.{name}"
        for kind in vars(found).values()
        if isinstance(kind, type) and kind.__module__ == module
        for name, value in vars(kind).items()
        if is_own(name) and name not in MEMOS and isinstance(value, MUTABLE)
    ]
    assert held == []


def elsewhere(value: object, module: str) -> bool:
    """Whether a cached function was only imported here, and is judged where it is defined."""
    return isinstance(value, functools._lru_cache_wrapper) and value.__module__ != module


def top_level(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements that run at import, those in blocks and class bodies included.

    A Struct's defaults are left out: it gives each value a copy of its own.
    """
    for node in body:
        yield node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.ClassDef) and "Struct" in map(ast.unparse, node.bases):
            continue
        for field in ("body", "orelse", "finalbody"):
            yield from top_level(getattr(node, field, []))


@pytest.mark.parametrize("module", [name for name in modules() if name != THE_EXCEPTION])
def test_no_source_line_makes_shared_state(module: str) -> None:
    """No list, dict or set is written at the top of a module or class, and no global is rebound."""
    path = modules()[module].relative_to(ROOT)
    wrong = [
        f"{path}:{node.lineno}: global {', '.join(node.names)}"
        for node in ast.walk(parsed(module))
        if isinstance(node, ast.Global)
    ]
    for node in top_level(parsed(module).body):
        if isinstance(node, ast.Assign):
            names, value = [ast.unparse(target) for target in node.targets], node.value
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            names, value = [ast.unparse(node.target)], node.value
        else:
            continue
        if isinstance(value, LITERALS) and not ALLOWED.issuperset(names):
            wrong.append(f"{path}:{node.lineno}: {names[0]} could be changed by anybody")
    assert wrong == []
