"""Finding the sections a user names as ``module:Name``.

The one place of the command line that imports other people's code. What goes wrong there is told
in a sentence, because the person at the terminal named the module, and need not have written it.
"""

import importlib
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from bedplate.cli.ending import Misuse
from bedplate.config import Section

__all__ = ["load_sections"]


def load_sections(names: Iterable[str]) -> tuple[type[Section], ...]:
    """Import the sections named, each once, in order. Raises `Misuse`.

    A name is ``module:Name`` or ``module:Name,Other``; a Name is a Section or a tuple or list of
    them. Modules are looked for in the working directory too.
    """
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    found: dict[type[Section], None] = {}
    for name in names:
        module, colon, attributes = name.partition(":")
        if not (module and colon and attributes):
            raise Misuse(f"{name!r} names no sections; write them as module:Name.")
        for attribute in attributes.split(","):
            found.update(dict.fromkeys(_named(module, attribute)))
    return tuple(found)


def _named(module: str, attribute: str) -> Iterator[type[Section]]:
    imported = _imported(module)
    target: object = imported
    for part in attribute.split("."):
        if not hasattr(target, part):
            raise Misuse(f"the module {module} has no {attribute!r}{_offer(imported)}.")
        target = getattr(target, part)
    several = target if isinstance(target, tuple | list) else (target,)
    if not several:
        raise Misuse(f"{module}:{attribute} holds no sections.")
    for each in several:
        if not (isinstance(each, type) and issubclass(each, Section)):
            raise Misuse(
                f"{module}:{attribute} is not a section but {_kind(each)}; name a class derived "
                "from bedplate.config.Section, or a tuple of such classes."
            )
        yield each


def _imported(module: str) -> object:
    if not all(part.isidentifier() for part in module.split(".")):
        raise Misuse(f"{module!r} is no name of a module; write it as in an import: stock.options.")
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and (module == error.name or module.startswith(f"{error.name}.")):
            hint = f" (write {module[:-3]!r}, without .py)" if module.endswith(".py") else ""
            raise Misuse(f"there is no module {module!r} here or installed{hint}.") from None
        raise Misuse(f"the module {module} cannot be imported: {error}.") from error
    except (Exception, SystemExit) as error:
        # Code of others may raise anything; whoever typed its name is owed a sentence.
        text = f"{type(error).__name__}: {error}".splitlines()[0]
        raise Misuse(f"the module {module} cannot be imported: {text}.") from error


def _offer(module: object) -> str:
    names = sorted(
        name
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, Section) and value is not Section
    )
    return f" (its sections: {', '.join(names)})" if names else ""


def _kind(value: object) -> str:
    if isinstance(value, type):
        return f"the class {value.__name__}"
    return f"an object of type {type(value).__name__}"
