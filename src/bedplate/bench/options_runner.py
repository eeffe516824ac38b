"""One contestant of configuration in a process of its own: describes, loads, reads, says figures.

Run as a program by whatever Python the contestant has, so it uses the standard library alone and
imports nothing of bedplate. Standard input is one JSON object (what ``options`` there are, what is
``expected`` of them, where the ``right`` and the ``wrong`` files are); the answer on standard
output is another, or one with ``error``.
"""

import gc
import importlib
import importlib.metadata
import importlib.util
import json
import os
import resource
import sys
import time
import timeit
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

__all__ = ["answer", "main", "resident"]

_Setting: TypeAlias = Mapping[str, Any]


def main() -> int:
    """Answer what standard input asks; return the exit status, 0 also for an error that is told."""
    with os.fdopen(os.dup(1), "w") as out:
        os.dup2(2, 1)  # what libraries print must not be taken for an answer
        try:
            said: Mapping[str, object] = answer(json.loads(sys.stdin.read()))
        except Exception as error:  # noqa: BLE001 - whatever a library raises is the answer
            said = {"error": f"{type(error).__name__}: {error}"[:500]}
        json.dump(said, out)
    return 0


def answer(setting: _Setting) -> Mapping[str, object]:
    """Measure one contestant. Times are in seconds, memory in bytes."""
    contestant = _contestant(Path(setting["contestant"]))
    importlib.import_module(contestant.MODULE)
    right, wrong = setting["right"], setting["wrong"]
    gc.collect()
    before, began = resident(), time.perf_counter()
    described = contestant.describe(setting["options"])
    describing = time.perf_counter() - began

    def load(file: str) -> tuple[float, Any]:
        source = file if contestant.FORM != "variables" else json.loads(Path(file).read_text())
        start = time.perf_counter()
        loaded = contestant.load(described, source)
        return time.perf_counter() - start, loaded

    first, loaded = load(right)
    held = resident() - before
    _insist(contestant, loaded, setting["expected"])
    found, together = _mistakes(load, wrong, setting["names"])
    section, name = setting["read"]
    return {
        "version": importlib.metadata.version(contestant.DISTRIBUTION),
        "terms": contestant.TERMS,
        "describing": describing,
        "first": first,
        "loads": sorted(load(right)[0] for _ in range(setting["loads"])),
        "held": held,
        "found": found,
        "together": together,
        "reads": {
            way: _seconds_of(statement, names, setting["times"])
            for way, (statement, names) in contestant.reads(loaded, section, name).items()
        },
    }


def _contestant(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python module")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def resident() -> int:
    """Return the bytes of memory this process holds; where there is no ``/proc``, ever held."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _insist(contestant: ModuleType, loaded: object, expected: list[Any]) -> None:
    """Raise unless all values came through: who reads nothing is quick."""
    for section, name, kind, wanted in expected:
        value = wanted
        found = contestant.value(loaded, section, name)
        if isinstance(found, Mapping):
            found = dict(found)
        elif isinstance(found, list | tuple):
            found = list(found)
        elif kind == "uri":  # some complete it with the path that goes without saying
            found, value = str(found).rstrip("/"), value.rstrip("/")
        if found != value:
            raise ValueError(f"{section}.{name} was read as {found!r}, not {value!r}")


def _mistakes(
    load: Callable[[str], object], wrong: Mapping[str, str], names: list[str]
) -> tuple[list[str], int]:
    """Return the sorts of mistakes that are noticed, and how many are told at once."""
    found, together = [], 0
    for what, file in wrong.items():
        try:
            load(file)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - each has its own
            if what == "all":
                together = max(1, sum(name in str(error) for name in names))
            else:
                found.append(what)
    return found, together


def _seconds_of(statement: str, names: Mapping[str, object], times: int) -> float:
    """Return what an expression takes in the best of several rounds, as `timeit` does it."""
    return min(timeit.repeat(statement, globals=dict(names), number=times, repeat=7)) / times


if __name__ == "__main__":
    sys.exit(main())
