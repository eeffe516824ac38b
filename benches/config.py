"""What configuration costs at run time: reading an option, loading and checking many."""

import importlib
import importlib.util
import subprocess
import sys
import time
import timeit
from collections.abc import Mapping
from functools import partial
from types import new_class

from benches.measuring import Measurement, best

from bedplate.config import Config, Section, option

__all__ = ["measure"]


class Api(Section):
    """A section to read from."""

    workers: int = option(default=4, min=1, max=256, help="Worker threads.")


class Plain:
    """What a programmer would write by hand."""

    __slots__ = ("workers",)

    def __init__(self) -> None:
        self.workers = 4


def fill(body: Mapping[str, object], namespace: dict[str, object]) -> None:
    """Write a class body."""
    namespace.update(body)


def many_sections(sections: int, options: int) -> tuple[type[Section], ...]:
    """Declare sections of whole numbers, as a large service has them."""
    made: list[type[Section]] = []
    for number in range(sections):
        body: dict[str, object] = {
            f"option_{each}": option(default=each, min=0, help="A whole number.")
            for each in range(options)
        }
        body["__annotations__"] = dict.fromkeys(body, int)
        body["__module__"] = __name__
        made.append(new_class(f"Section{number}", (Section,), exec_body=partial(fill, body)))
    return tuple(made)


def seconds_of(statement: str, times: int, **names: object) -> float:
    """Return the seconds a statement takes in a loop, in the best of several rounds."""
    return min(timeit.repeat(statement, globals=names, number=times, repeat=9)) / times


def measure(size: float = 1.0) -> list[Measurement]:
    """Measure reads against a plain slotted object, and loading against nothing."""
    times = max(1000, int(1_000_000 * size))
    config = Config.load([Api], program="bench", argv=(), environ={}, files=())
    plain, held = Plain(), config[Api]
    by_hand = seconds_of("plain.workers", times, plain=plain)
    of_held = seconds_of("held.workers", times, held=held)
    through = seconds_of("config[Api].workers", times, config=config, Api=Api)
    return [
        Measurement("read of a plain slotted object", by_hand * 1e9, "ns"),
        Measurement(
            "read of a held section", of_held * 1e9, "ns", f"{of_held / by_hand:.1f} times plain"
        ),
        Measurement(
            "read through config[Api]", through * 1e9, "ns", f"{through / by_hand:.1f} times plain"
        ),
        *_beside_oslo(max(1000, times // 10), of_held),
        *_loading(max(10, int(1000 * size)), rounds=3),
    ]


def _beside_oslo(times: int, ours: float) -> list[Measurement]:
    """Measure the same read, the import and its memory with oslo.config, where it is installed."""
    if importlib.util.find_spec("oslo_config") is None:
        return []
    cfg = importlib.import_module("oslo_config.cfg")
    conf = cfg.ConfigOpts()
    conf.register_opts([cfg.IntOpt("workers", default=4, min=1, max=256)], group="api")
    conf([], project="bench", default_config_files=[], default_config_dirs=[])
    read = seconds_of("held.workers", times, held=conf.api)
    here, there = _imported("bedplate.config"), _imported("oslo_config.cfg")
    ratios = [other / one for one, other in zip(here, there, strict=True)]
    return [
        Measurement("oslo.config: read of a held group", read * 1e9, "ns", f"{read / ours:.1f}x"),
        Measurement("import bedplate.config", here[0], "ms"),
        Measurement("oslo.config: import", there[0], "ms", f"{ratios[0]:.1f} times ours"),
        Measurement("memory of that import", here[1], "MiB"),
        Measurement("oslo.config: memory of it", there[1], "MiB", f"{ratios[1]:.1f} times ours"),
    ]


def _imported(module: str) -> tuple[float, float]:
    """Return the milliseconds and MiB an import takes in a fresh process of Linux, best of five."""
    program = (
        "import time\n"
        "def held(): return int(open('/proc/self/statm').read().split()[1]) / 256\n"
        "m, t = held(), time.perf_counter()\n"
        f"import {module}\n"
        "print((time.perf_counter() - t) * 1e3, held() - m)"
    )
    command = [sys.executable, "-c", program]
    runs = [subprocess.check_output(command, text=True).split() for _ in range(5)]
    return min(float(run[0]) for run in runs), min(float(run[1]) for run in runs)


def _loading(options: int, rounds: int) -> list[Measurement]:
    sections = options // 10
    values: Mapping[str, str] = {
        f"BENCH_SECTION{section}__OPTION_{number}": "7"
        for section in range(sections)
        for number in range(10)
    }

    def load() -> float:
        classes = many_sections(sections, 10)
        start = time.perf_counter()
        Config.load(classes, program="bench", argv=(), environ=values, files=())
        return time.perf_counter() - start

    return [Measurement(f"load and check {options} options", best(load, rounds) * 1e3, "ms")]
