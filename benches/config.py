"""What configuration costs: reading an option, loading and checking many, beside other libraries.

nova's: 1137 options in 62 sections, and a file that sets most of them. Each of the others gets the
same, and is installed into an environment of its own in the user's cache when it is first measured.
"""

import sys
import time
import timeit
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import new_class

from benches.measuring import Measurement, best

from bedplate.bench import (
    CONFIG_PEERS,
    Checking,
    Loading,
    compared,
    measure_checking,
    measure_loading,
    trial,
)
from bedplate.config import Config, Section, option

__all__ = ["measure", "page"]

DATA = Path(__file__).parents[1] / "tests" / "data" / "openstack"


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
    """Measure bedplate alone, and at full size beside others on nova's options."""
    return page(size)[0]


def page(size: float = 1.0) -> tuple[list[Measurement], str]:
    """Do the same, and say it in a table too, with who checks what.

    Below full size nothing is installed and no process started: others are not measured.
    """
    taken = _here(size)
    if size < 1:
        return taken, ""
    with trial(DATA / "nova.json", DATA / "nova.full.conf") as given:
        loadings = [
            measure_loading(given, name, tell=_tell) for name in ("bedplate", *CONFIG_PEERS)
        ]
        checkings = measure_checking(given, validator=True, tell=_tell)
    alone = "".join(f"{each.what}: {each} {each.remark}".rstrip() + "\n" for each in taken)
    figures = [*taken, *_flat(loadings, checkings)]
    return figures, f"{compared(loadings, checkings)}\nbedplate alone:\n{alone}"


def _tell(sentence: str) -> None:
    print(sentence, file=sys.stderr)


def _here(size: float) -> list[Measurement]:
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
        *_loading(max(10, int(1000 * size)), rounds=3),
    ]


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


def _flat(loadings: list[Loading], checkings: tuple[Checking, ...]) -> list[Measurement]:
    """Return the same figures one by one, for programs."""
    taken: list[Measurement] = []
    for each in loadings:
        missed = ", ".join(each.missed)
        verdict = f"missed: {missed}" if missed else "all of them"
        taken += [
            *(
                Measurement(f"{each.name}: read, {way}", figure, "ns")
                for way, figure in each.reads.items()
            ),
            Measurement(f"{each.name}: load and check", each.load_ms, "ms"),
            Measurement(f"{each.name}: first load", each.first_load_ms, "ms"),
            Measurement(f"{each.name}: describe", each.describe_ms, "ms"),
            Measurement(f"{each.name}: import", each.import_ms, "ms"),
            Measurement(f"{each.name}: memory of the import", each.import_mib, "MiB"),
            Measurement(f"{each.name}: memory with all loaded", each.loaded_mib, "MiB"),
            Measurement(f"{each.name}: mistakes found", len(each.found), "", verdict),
        ]
    return taken + [
        Measurement(f"{each.name}, options as {each.given}", each.median_ms, "ms", each.version)
        for each in checkings
    ]
