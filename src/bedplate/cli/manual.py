"""How the command line explains itself: examples in help, and nouns that are loaded when used.

Help is looked at more often than any command is run, so it loads nothing but itself. Knows no
command by name.
"""

import importlib

import click

__all__ = ["Later", "examples"]


class Later(click.Command):
    """A command that stands in lists by its sentence, and is loaded when it is used.

    ``where`` is ``module:name`` of the command itself.
    """

    def __init__(self, name: str, where: str, sentence: str) -> None:
        super().__init__(name, help=sentence, add_help_option=False)
        self._where = where

    def load(self) -> click.Command:
        """Return the command itself."""
        module, _, name = self._where.partition(":")
        loaded = getattr(importlib.import_module(module), name)
        if not isinstance(loaded, click.Command):
            raise TypeError(f"{self._where} is no command")
        return loaded

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: object,
    ) -> click.Context:
        """Begin to run the command itself."""
        return self.load().make_context(info_name, args, parent, **extra)


def examples(*lines: str) -> str:
    """Return the end of a help page that shows lines as they are typed."""
    return "\n".join(("\b", "Examples:", *(f"  {line}" for line in lines)))
