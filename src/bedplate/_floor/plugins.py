"""Finding plug-ins by name among the installed packages.

Drivers, sources, checks and observers are named in configuration and never imported by bedplate
itself. A scan reads the folders of the search path, so it happens on first use and once a process.
"""

from functools import reduce
from importlib import import_module

from bedplate._floor import installed, process
from bedplate.errors import PluginNotFound

__all__ = ["load", "names"]


def names(group: str) -> tuple[str, ...]:
    """Return the names offered in an entry point group, sorted."""
    return tuple(sorted(_scan(group)))


def load(group: str, name: str, *, hint: str = "") -> object:
    """Import and return the object that a package offers as ``name`` in ``group``.

    Raises `PluginNotFound` when there is none, or when two packages offer different objects under
    the same name; whatever its import raises passes through.
    """
    found = _scan(group).get(name, ())
    if not found:
        raise PluginNotFound(group=group, name=name, known=names(group), hint=hint)
    if len(found) > 1:
        offered = ", ".join(sorted(found))
        raise PluginNotFound(
            group=group,
            name=name,
            known=names(group),
            hint=f" Several packages offer it ({offered}); uninstall all but one.",
        )
    module, _, attributes = found[0].partition("[")[0].strip().partition(":")
    parts = filter(None, attributes.strip().split("."))
    return reduce(getattr, parts, import_module(module.strip()))


def _scan(group: str) -> dict[str, tuple[str, ...]]:
    cache = process.cell("plugins", _new_cache).get()
    found = cache.get(group)
    if found is None:
        by_name: dict[str, dict[str, None]] = {}
        for name, value in installed.offers(group):
            # An editable install may list the same object twice.
            by_name.setdefault(name, {})[value] = None
        found = cache[group] = {name: tuple(each) for name, each in by_name.items()}
    return found


def _new_cache() -> dict[str, dict[str, tuple[str, ...]]]:
    return {}
