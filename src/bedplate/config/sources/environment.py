"""Environment variables as a source.

Only ``PREFIX_<SECTION>__<NAME>`` is ours (sections spelled out, DEFAULT too): container platforms
inject variables that begin with a service's name, such as ``INVENTORY_PORT``, and those are
nobody's configuration. What a variable means is for the schema to say, which knows the names.
"""

from collections.abc import Mapping

from bedplate.config.tree import Origin, Raw, Tree
from bedplate.errors import Finding

__all__ = ["Environment"]


class Environment:
    """The variables of one prefix; a `bedplate.config.sources.Source` giving a folded tree.

    ``environ`` is read at each load. The first double underscore after ``prefix_`` ends the
    section, so a section may hold single ones: ``INVENTORY_DISK_POOL__MAX_SIZE`` is ``MAX_SIZE``
    of ``DISK_POOL``. Variables of any other shape are never read. An empty value is a value.
    """

    __slots__ = ("_environ", "_start", "name")

    def __init__(self, environ: Mapping[str, str], prefix: str) -> None:
        self.name = "environment"
        self._environ = environ
        self._start = prefix + "_"

    def load(self) -> Tree:
        """Read the variables; a value that is not text is an error in the tree's findings."""
        tree = Tree(folded=True)
        findings = []
        start, skip = self._start, len(self._start)
        for variable, value in self._environ.items():
            if not variable.startswith(start):
                continue
            section, separator, option = variable[skip:].partition("__")
            if not (separator and section and option):
                continue
            origin = Origin("environment", variable)
            if not value.isascii() and not _is_text(value):
                message = "The value of this variable is not UTF-8."
                findings.append(Finding("error", "not-utf-8", message, variable))
                continue
            tree.add(section, option, Raw(value, origin))
        tree.findings = tuple(findings)
        return tree

    def next_refresh(self, now: float) -> float | None:  # noqa: ARG002 - the port's signature
        """Never: the environment of a process changes only by itself."""
        return None

    def refresh(self) -> Tree:
        """Read the variables anew."""
        return self.load()

    def __repr__(self) -> str:
        return f"Environment({self._start!r})"


def _is_text(value: str) -> bool:
    # The bytes of a variable that are not text arrive as lone surrogates.
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
