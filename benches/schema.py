"""What a real service's options cost: reading what describes them, and checking a full file.

nova's: 1137 options in 62 sections, and a file that sets 612 of them. What others take is measured
by the bench ``config``.
"""

import importlib
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from benches.measuring import Measurement, best, seconds_each

from bedplate.config import audit, read_schema, write_schema
from bedplate.config.readers import difference, sample_ini

__all__ = ["measure"]

DATA = Path(__file__).parents[1] / "tests" / "data" / "openstack"
OPTIONS, FILE = DATA / "nova.json", DATA / "nova.full.conf"


def measure(size: float = 1.0) -> list[Measurement]:
    """Read, write and compare nova's options, and check its file against them."""
    rounds = max(1, int(5 * size))

    def timed(action: Callable[[], object]) -> float:
        return best(lambda: seconds_each(action, times=1, rounds=1), rounds) * 1e3

    schema = read_schema(OPTIONS)
    options = f"{len(schema)} options"
    checked = timed(lambda: audit([FILE], schema=schema))
    taken = [
        Measurement("read the generator's JSON", timed(lambda: read_schema(OPTIONS)), "ms", options)
    ]
    taken += _as_yaml(timed)
    with TemporaryDirectory(prefix="bedplate-bench-") as folder:
        ours = Path(folder) / "nova.json"
        ours.write_text(write_schema(schema))
        taken += [
            Measurement("write JSON Schema", timed(lambda: write_schema(schema)), "ms"),
            Measurement("read JSON Schema", timed(lambda: read_schema(ours)), "ms"),
        ]
    taken += [
        Measurement("write a sample file", timed(lambda: sample_ini(schema)), "ms"),
        Measurement("compare it with itself", timed(lambda: difference(schema, schema)), "ms"),
        Measurement("check nova's full file", checked, "ms", "read, convert and judge all"),
    ]
    return taken


def _as_yaml(timed: Callable[[Callable[[], object]], float]) -> list[Measurement]:
    if importlib.util.find_spec("yaml") is None:
        return []
    yaml = importlib.import_module("yaml")
    with TemporaryDirectory(prefix="bedplate-bench-") as folder:
        file = Path(folder) / "nova.yaml"
        file.write_text(yaml.dump(json.loads(OPTIONS.read_text()), Dumper=yaml.CSafeDumper))
        return [Measurement("read the generator's YAML", timed(lambda: read_schema(file)), "ms")]
