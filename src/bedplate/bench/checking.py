"""Whole checks of a file, as a user starts them: ``bedplate config check`` and the validator.

Decides which commands are compared and what they are given. Knows nothing of how they check.
"""

import importlib.util
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bedplate import __version__
from bedplate.bench.options import Trial
from bedplate.bench.processes import output, python_of, status

__all__ = ["Checking", "measure_checking"]

_PEER = "oslo.config"
_AS_YAML = """
import importlib.metadata, json, sys, yaml
with open(sys.argv[1], encoding="utf-8-sig") as source, open(sys.argv[2], "w") as target:
    yaml.safe_dump(json.load(source), target, default_flow_style=False)
print(importlib.metadata.version("oslo.config"))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checking:
    """What a command took that checks a file: milliseconds of a process from start to end.

    ``given`` is the form of the schema. ``found`` and ``missed`` are the sorts of mistakes in
    files of which each has one; found is what ends with a status other than 0.
    """

    name: str
    version: str
    given: str
    median_ms: float
    best_ms: float
    runs: int
    found: tuple[str, ...]
    missed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Command:
    name: str
    version: str
    given: str
    words: tuple[str, ...]


def measure_checking(
    trial: Trial, *, validator: bool, tell: Callable[[str], object], runs: int = 11
) -> tuple[Checking, ...]:
    """Measure ``bedplate config check`` and, if wanted, ``oslo-config-validator``.

    Blocks. The validator is given the options as YAML, which it is made for, and as the JSON that
    bedplate is given (which is YAML too); bedplate also as YAML, where PyYAML is installed. The
    commands take turns, after one round that is not counted. Raises `BenchFailed`.
    """
    commands = [_ours("JSON", trial.given.schema)]
    if validator:
        commands += _beside_the_validator(trial, tell)
    tell(f"Measuring whole checks: {len(commands)} commands, {runs} runs of each.")
    wrong = dict(trial.forms["ini"])
    right = wrong.pop("")
    del wrong["all"]
    taken: list[list[float]] = [[] for _ in commands]
    for _ in range(runs + 1):
        for command, seconds in zip(commands, taken, strict=True):
            began = time.perf_counter()
            output(command.name, (*command.words, right))
            seconds.append(time.perf_counter() - began)
    return tuple(
        _checked(command, seconds[1:], wrong)
        for command, seconds in zip(commands, taken, strict=True)
    )


def _ours(given: str, schema: Path) -> _Command:
    words = ("-m", "bedplate.cli", "config", "check", "--no-environment", "--schema", str(schema))
    python = python_of("bedplate", str)
    return _Command("bedplate config check", __version__, given, (*python, *words))


def _beside_the_validator(trial: Trial, tell: Callable[[str], object]) -> Sequence[_Command]:
    python = python_of(_PEER, tell)
    yaml = trial.folder / "schema.yaml"
    version = output(_PEER, (*python, "-c", _AS_YAML, str(trial.given.schema), str(yaml))).strip()
    program = (*python, str(Path(python[0]).with_name("oslo-config-validator")))

    def theirs(given: str, schema: Path) -> _Command:
        words = (*program, "--opt-data", str(schema), "--input-file")
        return _Command("oslo-config-validator", version, given, words)

    commands = [theirs("YAML", yaml), theirs("JSON", trial.given.schema)]
    if importlib.util.find_spec("yaml") is not None:
        commands.insert(0, _ours("YAML", yaml))
    else:
        tell("PyYAML is not installed: bedplate is not measured with options given as YAML.")
    return commands


def _checked(command: _Command, seconds: Sequence[float], wrong: Mapping[str, str]) -> Checking:
    found = [what for what, file in wrong.items() if status(command.name, (*command.words, file))]
    return Checking(
        name=command.name,
        version=command.version,
        given=command.given,
        median_ms=round(1e3 * statistics.median(seconds), 1),
        best_ms=round(1e3 * min(seconds), 1),
        runs=len(seconds),
        found=tuple(found),
        missed=tuple(what for what in wrong if what not in found),
    )
