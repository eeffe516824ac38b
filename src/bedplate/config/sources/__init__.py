"""Where configuration comes from, one file a source, and the port they all fit.

Everything here is what a source needs to be written: the port, the tree it gives, the policies it
comes under; and the sources that need nothing but the standard library.
"""

from bedplate.config.sources.arguments import Arguments as Arguments
from bedplate.config.sources.arguments import Given as Given
from bedplate.config.sources.arguments import Split as Split
from bedplate.config.sources.arguments import split as split
from bedplate.config.sources.environment import Environment as Environment
from bedplate.config.sources.files import Directory as Directory
from bedplate.config.sources.files import File as File
from bedplate.config.sources.files import search as search
from bedplate.config.sources.memory import Memory as Memory
from bedplate.config.sources.port import Policed as Policed
from bedplate.config.sources.port import Policy as Policy
from bedplate.config.sources.port import Source as Source
from bedplate.config.sources.port import policed as policed
from bedplate.config.tree import Flag as Flag
from bedplate.config.tree import Origin as Origin
from bedplate.config.tree import Raw as Raw
from bedplate.config.tree import Tree as Tree

__all__ = [
    "Arguments",
    "Directory",
    "Environment",
    "File",
    "Flag",
    "Given",
    "Memory",
    "Origin",
    "Policed",
    "Policy",
    "Raw",
    "Source",
    "Split",
    "Tree",
    "policed",
    "search",
    "split",
]
