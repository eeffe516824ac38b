"""What starting costs: a bare interpreter, with configuration, with the probe."""

import subprocess
import tempfile
import time
import venv
from pathlib import Path

from benches.measuring import Measurement, best

import bedplate

__all__ = ["measure"]

DECLARED = """
from bedplate.config import Config, Section, option
class Api(Section):
    workers: int = option(default=4)
config = Config.load([Api], program="bench", argv=(), environ={}, files=())
assert config[Api].workers == 4
"""


def measure(size: float = 1.0) -> list[Measurement]:
    """Compare with an interpreter that does nothing, where nothing but bedplate is installed."""
    rounds = max(2, int(20 * size))
    with tempfile.TemporaryDirectory(prefix="bedplate-bench-") as folder:
        venv.create(folder)
        python = str(Path(folder, "bin", "python"))
        (packages,) = Path(folder).glob("lib/python*/site-packages")
        (packages / "bedplate").symlink_to(Path(bedplate.__file__).parent)

        def started(*arguments: str) -> float:
            return best(lambda: _seconds(python, *arguments), rounds)

        bare = started("-c", "pass")
        config = started("-c", "import bedplate.config")
        declared = started("-c", DECLARED)
        probe = started("-m", "bedplate.cli", "health", "probe", "http://127.0.0.1:9/")
    over = f"over {bare * 1e3:.1f} ms of a bare interpreter"
    return [
        Measurement("import bedplate.config", (config - bare) * 1e3, "ms", over),
        Measurement("declare, load and read one option", (declared - bare) * 1e3, "ms", over),
        Measurement("bedplate health probe, refused", (probe - bare) * 1e3, "ms", over),
    ]


def _seconds(*command: str) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=False, capture_output=True)
    return time.perf_counter() - start
