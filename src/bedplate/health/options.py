"""What operators choose about health: section ``[health]``."""

from bedplate.config import Port, Section, option
from bedplate.health.report import Level

__all__ = ["HealthOptions"]


class HealthOptions(Section, name="health"):
    """Where and how openly the health of the service is shown."""

    enabled: bool = option(default=True, help="Show health at all.")
    host: str = option(
        default="127.0.0.1", help="Address to listen on; 0.0.0.0 or :: for probes from elsewhere."
    )
    port: Port = option(default=8086, help="Port to listen on; 0 takes a free one.")
    socket: str = option(
        default="", help="Path of a unix socket to listen on, instead of host and port."
    )
    level: Level = option(
        default="status",
        help="How much whoever asks may see: the status alone, also the names of checks, "
        "also reasons, or all (error texts, times).",
    )
