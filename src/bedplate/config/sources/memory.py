"""Values a program hands over itself: overrides, application defaults, tests."""

from collections.abc import Mapping

from bedplate.config.names import key_of
from bedplate.config.tree import Origin, Raw, Tree

__all__ = ["Memory"]


class Memory:
    """A nested mapping, ``{"api": {"workers": 4}}``, as a `bedplate.config.sources.Source`.

    Values are native or text, and are handed on as they are; an empty section counts as written.
    ``name`` says what they are to the reader of an explanation (``override``). The mapping is read
    at each load. Raises TypeError at load for a section that is not a mapping.
    """

    __slots__ = ("_content", "name")

    def __init__(
        self, content: Mapping[str, Mapping[str, object]], *, name: str = "override"
    ) -> None:
        self.name = name
        self._content = content

    def load(self) -> Tree:
        """Return the mapping as a tree."""
        tree = Tree()
        name = self.name
        for section, options in self._content.items():
            if not isinstance(options, Mapping):
                raise TypeError(
                    f"{name}: write {{section: {{option: value}}}}, "
                    f"{section!r} does not hold a mapping"
                )
            tree.declare(section, Origin(name, f"{name} [{section}]"))
            for option, value in options.items():
                place = f"{name} {key_of(section, option)}"
                tree.add(section, option, Raw(value, Origin(name, place)))
        return tree

    def next_refresh(self, now: float) -> float | None:  # noqa: ARG002 - the port's signature
        """Never."""
        return None

    def refresh(self) -> Tree:
        """Return the mapping as it is now."""
        return self.load()

    def __repr__(self) -> str:
        return f"Memory({self.name!r})"
