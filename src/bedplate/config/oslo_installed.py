"""Asking installed packages for their options, in the form that ``oslo-config-generator`` prints.

Loads entry points, and so runs other people's code. Knows nothing of schemas, and imports nothing
of oslo.config itself: the objects that packages hand out say all there is.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from bedplate.config.judge import nearest
from bedplate.errors import NotASchema

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["generated"]

_OPTIONS = "oslo.config.opts"


def generated(namespaces: Sequence[str]) -> dict[str, object]:
    """Return the options of some namespaces, group by group, as the generator would print them.

    Raises `NotASchema` where a namespace is unknown or its package cannot be imported.
    """
    groups: dict[str, dict[str, object]] = {"DEFAULT": {"help": "", "opts": []}}
    loaded = [(namespace, _load(_OPTIONS, namespace)) for namespace in namespaces]
    for namespace in namespaces:
        update = _load(f"{_OPTIONS}.defaults", namespace, needed=False)
        _call(update, namespace) if update is not None else None
    for namespace, list_options in loaded:
        for group, options in _pairs(_call(list_options, namespace), namespace):
            _add(groups, group, options, namespace, namespaces)
    return {"options": groups}


def _load(group: str, name: str, *, needed: bool = True) -> object:
    from importlib.metadata import entry_points

    found: Sequence[EntryPoint] = tuple(entry_points(group=group, name=name))
    if not found:
        if not needed:
            return None
        known = sorted({point.name for point in entry_points(group=group)})
        there = f"there are: {', '.join(known)}" if known else "no installed package offers any"
        meant = nearest(name, known)
        there = f"did you mean {meant!r}? {there}" if meant else there
        raise NotASchema(name=name, why=f"no namespace {name!r} is installed ({there})")
    try:
        return found[0].load()
    except Exception as error:
        why = f"{found[0].value} cannot be imported ({type(error).__name__}: {error})"
        raise NotASchema(name=name, why=why) from error


def _call(function: object, namespace: str) -> object:
    if not callable(function):
        raise NotASchema(name=namespace, why="its entry point is nothing that can be called")
    try:
        return function()
    except Exception as error:
        why = f"its entry point failed ({type(error).__name__}: {error})"
        raise NotASchema(name=namespace, why=why) from error


def _pairs(listing: object, namespace: str) -> Iterable[tuple[object, list[object]]]:
    if not isinstance(listing, Iterable):
        raise NotASchema(name=namespace, why="its entry point returned no list of groups")
    for group, options in listing:
        yield group, list(options)


def _add(
    groups: dict[str, dict[str, object]],
    group: object,
    options: list[object],
    namespace: str,
    namespaces: Sequence[str],
) -> None:
    if not options and not getattr(group, "driver_option", ""):
        return
    name = str(getattr(group, "name", group) or "DEFAULT")
    name = name.upper() if name.upper() == "DEFAULT" else name.lower()
    about = groups.setdefault(name, {"help": "", "opts": []})
    if hasattr(group, "name"):
        about["help"] = getattr(group, "help", None) or about["help"]
        about["dynamic_group_owner"] = getattr(group, "dynamic_group_owner", "")
        driver_option = getattr(group, "driver_option", "")
        if driver_option:
            drivers = _drivers(driver_option, namespaces)
            about["driver_option"] = driver_option
            about["driver_opts"] = {
                driver: [str(getattr(each, "name", "")) for each in theirs]
                for driver, theirs in drivers.items()
            }
            options += [each for theirs in drivers.values() for each in theirs]
    entries = about["opts"]
    if isinstance(entries, list):
        # Of two that one namespace lists the last one counts, and of two namespaces the first.
        known = {entry["dest"]: entry for entry in entries}
        for option in options:
            entry = _entry(option, name, namespace)
            before = known.setdefault(entry["dest"], entry)
            if before is entry:
                entries.append(entry)
            elif before["namespace"] == namespace:
                before.clear()
                before.update(entry)


def _drivers(driver_option: str, namespaces: Sequence[str]) -> dict[str, list[object]]:
    drivers: dict[str, list[object]] = {}
    for namespace in namespaces:
        listing = _load(f"{_OPTIONS}.{driver_option}", namespace, needed=False)
        if listing is None:
            continue
        listed = _call(listing, namespace)
        if isinstance(listed, Mapping):
            for driver, options in listed.items():
                drivers.setdefault(str(driver), []).extend(options)
    return drivers


def _entry(option: object, group: str, namespace: str) -> dict[str, object]:
    """Describe one option: its public attributes, and what its type says of itself."""
    type_ = getattr(option, "type", None)
    choices = getattr(type_, "choices", None)
    entry: dict[str, object] = {
        key: value for key, value in vars(option).items() if not key.startswith("_")
    }
    # A library's own kind of option may lack what it has no use for.
    entry["dest"] = getattr(option, "dest", None) or str(entry.get("name", "")).replace("-", "_")
    entry["namespace"] = namespace
    entry["type"] = _type_name(type_)
    entry["choices"] = [list(pair) for pair in choices.items()] if choices else []
    entry["min"] = getattr(type_, "min", None)
    entry["max"] = getattr(type_, "max", None)
    entry["multi"] = bool(getattr(option, "multi", False))
    entry["ignore_case"] = bool(getattr(type_, "ignore_case", False))
    entry["help"] = None if entry.get("help") is None else str(entry["help"])
    entry["deprecated_opts"] = [
        {"group": old.group or group, "name": old.name or entry["dest"]}
        for old in entry.get("deprecated_opts") or ()  # type: ignore[attr-defined]  # of whatever kind
        if "-"
        not in (old.name or "")  # files are looked up by underscores: such a name never works
    ]
    return entry


def _type_name(type_: object) -> str:
    plain = {str: "string value", int: "integer value", float: "floating point value"}
    name = getattr(type_, "type_name", None)
    return name if isinstance(name, str) else plain.get(type_, "unknown value")  # type: ignore[call-overload]  # of whatever kind
