"""The configuration room's front door."""

from bedplate._floor.secret import Secret as Secret
from bedplate._floor.url import Host as Host
from bedplate._floor.url import Url as Url

__all__ = ["Host", "Secret", "Url"]
