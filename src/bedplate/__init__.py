"""bedplate: the plate a Python service is bolted to.

Configuration, messaging and health, made to work together and each usable alone. This module
holds the version and hands out the front door of the service room when it is first asked for;
importing it loads nothing else.
"""

TYPE_CHECKING = False  # not from typing, whose import takes a third of what a probe may cost
if TYPE_CHECKING:
    from bedplate.service import Service as Service

__all__ = ["Service", "__version__"]

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    if name == "Service":
        from bedplate.service import Service

        return Service
    raise AttributeError(f"module 'bedplate' has no attribute {name!r}")
