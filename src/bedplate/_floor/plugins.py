"""Finding plug-ins by name among the installed packages.

Drivers, sources, checks and observers are named in configuration and never imported by bedplate
itself. A scan costs tens of milliseconds (mostly ``importlib.metadata``), so it happens on first
use and once a process.
"""

from typing import TYPE_CHECKING

from bedplate._floor import process
from bedplate.errors import PluginNotFound

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

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
        offered = ", ".join(sorted(point.value for point in found))
        raise PluginNotFound(
            group=group,
            name=name,
            known=names(group),
            hint=f" Several packages offer it ({offered}); uninstall all but one.",
        )
    return found[0].load()


def _scan(group: str) -> "dict[str, tuple[EntryPoint, ...]]":
    cache = process.cell("plugins", _new_cache).get()
    found = cache.get(group)
    if found is None:
        from importlib.metadata import entry_points

        by_name: dict[str, dict[str, EntryPoint]] = {}
        for point in entry_points(group=group):
            # An editable install may list the same object twice.
            by_name.setdefault(point.name, {})[point.value] = point
        found = cache[group] = {name: tuple(each.values()) for name, each in by_name.items()}
    return found


def _new_cache() -> "dict[str, dict[str, tuple[EntryPoint, ...]]]":
    return {}
