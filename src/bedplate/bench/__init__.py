"""What calls and configuration cost, beside what other libraries make of them on this machine."""

from bedplate.bench.checking import Checking as Checking
from bedplate.bench.checking import measure_checking as measure_checking
from bedplate.bench.comparing import compared as compared
from bedplate.bench.contest import PEERS as PEERS
from bedplate.bench.contest import Figures as Figures
from bedplate.bench.contest import Load as Load
from bedplate.bench.contest import compete as compete
from bedplate.bench.contest import reach as reach
from bedplate.bench.loading import CONFIG_PEERS as CONFIG_PEERS
from bedplate.bench.loading import Loading as Loading
from bedplate.bench.loading import measure_loading as measure_loading
from bedplate.bench.options import Trial as Trial
from bedplate.bench.options import trial as trial

__all__ = [
    "CONFIG_PEERS",
    "PEERS",
    "Checking",
    "Figures",
    "Load",
    "Loading",
    "Trial",
    "compared",
    "compete",
    "measure_checking",
    "measure_loading",
    "reach",
    "trial",
]
