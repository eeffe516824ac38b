"""What a call costs, beside what other libraries make of it on the same machine and broker."""

from bedplate.bench.contest import PEERS as PEERS
from bedplate.bench.contest import Figures as Figures
from bedplate.bench.contest import Load as Load
from bedplate.bench.contest import compete as compete
from bedplate.bench.contest import reach as reach

__all__ = ["PEERS", "Figures", "Load", "compete", "reach"]
