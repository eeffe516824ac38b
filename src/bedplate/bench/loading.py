"""The contest of configuration: the same options and the same file, in each library in turn.

Decides what is measured and what the figures mean. What goes on inside a contestant's process is
`options_runner`'s, what it is given `options`'.
"""

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

from bedplate.bench.options import Trial, told
from bedplate.bench.processes import output, python_of
from bedplate.errors import BenchFailed

__all__ = ["CONFIG_PEERS", "Loading", "measure_loading"]

CONFIG_PEERS = ("oslo.config", "pydantic-settings", "dynaconf", "environ-config")
"""Whom bedplate's configuration may be compared with."""


class _Contestant(NamedTuple):
    """Which file it is, what a program imports of it, and in which form it reads values."""

    file: str
    module: str
    form: str


_CONTESTANTS: Mapping[str, _Contestant] = MappingProxyType(
    {
        "bedplate": _Contestant("bedplate_options.py", "bedplate.config", "ini"),
        "oslo.config": _Contestant("oslo_config_options.py", "oslo_config.cfg", "ini"),
        "pydantic-settings": _Contestant(
            "pydantic_settings_options.py", "pydantic_settings", "toml"
        ),
        "dynaconf": _Contestant("dynaconf_options.py", "dynaconf", "toml"),
        "environ-config": _Contestant("environ_config_options.py", "environ", "variables"),
    }
)
_HERE = Path(__file__).parent
_LOADS = 5  # after the first, in each process
_IMPORTING = """
import time
def held():
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1])
    except OSError:
        return 0
pages, began = held(), time.perf_counter()
import {module}
took, pages = time.perf_counter() - began, held() - pages
import json, resource
print(json.dumps([took, pages * resource.getpagesize()]))
"""

_Answer: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loading:
    """What was measured of one library, in medians of several processes.

    ``reads`` are nanoseconds by way: ``held`` (an attribute of a section that is held), ``root``
    (from the configuration itself), and where a library has them ``key`` (by key) and ``first``
    (as if for the first time). ``*_ms`` are milliseconds: of describing the options in code, of
    the first load, of one after it, of the import. ``*_mib`` is memory (on Linux) beyond that of a
    bare interpreter: with the library imported, and with the options described and loaded too.
    ``found`` and ``missed`` are sorts of mistakes, ``together`` is how many of them one error
    tells.
    """

    name: str
    version: str
    options: int
    reads: Mapping[str, float]
    describe_ms: float
    first_load_ms: float
    load_ms: float
    import_ms: float
    import_mib: float
    loaded_mib: float
    found: tuple[str, ...]
    missed: tuple[str, ...]
    together: int
    terms: str


def measure_loading(
    trial: Trial,
    name: str = "bedplate",
    *,
    tell: Callable[[str], object],
    processes: int = 5,
    times: int = 100_000,
) -> Loading:
    """Measure one library: bedplate itself, or one of `CONFIG_PEERS`.

    Blocks. Each of ``processes`` describes the options, loads six times and reads ``times`` times;
    as many others only import. A peer is installed first if it is not there; ``tell`` hears what
    takes long. Raises `BenchFailed`.
    """
    contestant, python = _CONTESTANTS[name], python_of(name, tell)
    tell(f"Measuring {name}: {len(trial.given.options)} options, {processes} processes.")
    importing = (*python, "-c", _IMPORTING.format(module=contestant.module))
    output(name, importing)  # once before, so that its byte code is there
    imports = [json.loads(output(name, importing)) for _ in range(processes)]
    order = json.dumps(_order(trial, contestant, times))
    runner = (*python, str(_HERE / "options_runner.py"))
    runs = [_asked(name, runner, order) for _ in range(processes)]
    return _summed_up(name, trial, imports, runs)


def _order(trial: Trial, contestant: _Contestant, times: int) -> Mapping[str, object]:
    wrong = dict(trial.forms[contestant.form])
    return {
        **told(trial.given),
        "contestant": str(_HERE / "peers" / contestant.file),
        "right": wrong.pop(""),
        "wrong": wrong,
        "names": [mistake.name for mistake in trial.given.mistakes],
        "loads": _LOADS,
        "times": times,
    }


def _asked(name: str, command: Sequence[str], order: str) -> _Answer:
    answer: _Answer = json.loads(output(name, command, order))
    if "error" in answer:
        raise BenchFailed(contestant=name, why=f"it said {' '.join(answer['error'].split())}")
    return answer


def _summed_up(
    name: str, trial: Trial, imports: Sequence[tuple[float, int]], runs: Sequence[_Answer]
) -> Loading:
    def middle(of: Callable[[_Answer], float]) -> float:
        return round(1e3 * statistics.median(map(of, runs)), 3)

    first = runs[0]
    held = statistics.median(size for _, size in imports)
    return Loading(
        name=name,
        version=first["version"],
        options=len(trial.given.options),
        reads={way: _nanoseconds(runs, way) for way in first["reads"]},
        describe_ms=middle(lambda run: run["describing"]),
        first_load_ms=middle(lambda run: run["first"]),
        load_ms=middle(lambda run: statistics.median(run["loads"])),
        import_ms=round(1e3 * statistics.median(took for took, _ in imports), 3),
        import_mib=round(held / 2**20, 2),
        loaded_mib=round((held + statistics.median(run["held"] for run in runs)) / 2**20, 2),
        found=tuple(first["found"]),
        missed=tuple(each.what for each in trial.given.mistakes if each.what not in first["found"]),
        together=first["together"],
        terms=first["terms"],
    )


def _nanoseconds(runs: Sequence[_Answer], way: str) -> float:
    return round(float(1e9 * statistics.median(run["reads"][way] for run in runs)), 3)
