"""Option sets of services that use oslo.config, as schemas.

Reads what ``oslo-config-generator --format json|yaml`` prints, and the ``oslo.config.opts`` entry
points of what is installed. What the generator leaves out is told by ``overlays/*.toml``. Values
people set are none of its business, and oslo.config is never needed.
"""

import importlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple, cast

from bedplate.config.hints import narrow
from bedplate.config.option import REQUIRED
from bedplate.config.schema import DEFAULT, OSLO, OptionSpec, Schema, SectionSpec, Unresolved
from bedplate.config.types import (
    Boolean,
    Choice,
    Dict,
    Float,
    FrozenList,
    HostNameType,
    Integer,
    IpType,
    List,
    Multi,
    OptionalType,
    RangeType,
    Refused,
    SecretType,
    String,
    Type,
    Unchecked,
    UriType,
    read,
)
from bedplate.errors import NotASchema

__all__ = ["installed_option_set", "option_set", "read_option_set"]

_MOST_OPTIONS: Final = 50_000
_DEEPEST: Final = 50

_TYPES: Mapping[str, Type] = MappingProxyType(
    {
        "string value": String(),
        "integer value": Integer(),
        "floating point value": Float(),
        "boolean value": Boolean(),
        "port value": Integer(0, 65535, noun="a port number"),
        "list value": List(String(), FrozenList, quotes=False),
        "dict value": Dict(String(), quotes=False),
        "multi valued": Multi(String()),
        "range value": RangeType(),
        "IP address value": IpType(),
        "hostname value": HostNameType(),
        "host address value": HostNameType(address=True),
        "host domain value": HostNameType(address=True, underscore=True),
        "uri value": UriType(host=True),
    }
)


class _Overlay(NamedTuple):
    """Facts that the generator leaves out."""

    repeated: tuple[Mapping[str, str], ...]
    several: frozenset[str]
    any_case: frozenset[str]


def read_option_set(data: bytes | str, name: str) -> Schema:
    """Read what ``oslo-config-generator`` printed as JSON or YAML; ``name`` is for messages.

    Options are named as files name them (by their dest: ``log_config_append``), sections but
    DEFAULT are optional, and everything is interpolated. YAML needs the extra ``yaml``.

    Raises `NotASchema` for anything else.
    """
    text = _decoded(data, name)
    return option_set(_parsed(text, name), name)


def option_set(document: object, name: str) -> Schema:
    """Make a schema of the generator's data, already parsed. Raises `NotASchema`."""
    groups = _mapping(document, name, "the whole").get("options")
    if not isinstance(groups, Mapping):
        raise NotASchema(
            name=name,
            why="it has no mapping 'options', which 'oslo-config-generator --format json' prints",
        )
    overlay, sections, total = _overlay(), [], 0
    for group, about in groups.items():
        section = _mapping(about, name, f"options.{group}")
        options = section.get("opts", [])
        total += len(options) if isinstance(options, list) else 0
        if total > _MOST_OPTIONS:  # counted before the work: aliases of YAML multiply cheaply
            raise NotASchema(name=name, why=f"it has more than {_MOST_OPTIONS} options")
        sections.append(_section(group, section, name, overlay))
    return Schema(_with_owners(sections, overlay), dialect=OSLO)


def installed_option_set(namespaces: Sequence[str]) -> Schema:
    """Ask the installed packages for their options, as ``oslo-config-generator`` does.

    Each namespace is an entry point of the group ``oslo.config.opts``. Importing them runs their
    code, and may take seconds. Raises `NotASchema` for a namespace that nobody offers or that
    cannot be imported.
    """
    from bedplate.config.oslo_installed import generated

    return option_set(generated(namespaces), " ".join(namespaces))


def _decoded(data: bytes | str, name: str) -> str:
    if isinstance(data, str):
        return data.removeprefix("\ufeff")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass
    raise NotASchema(name=name, why="it is not text in UTF-8")


def _parsed(text: str, name: str) -> object:
    if text.lstrip().startswith("{"):
        return parsed_json(text, name)
    return _parsed_yaml(text, name)


def parsed_json(text: str, name: str) -> object:
    """Parse JSON. Raises `NotASchema`, saying where it breaks off."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        why = f"it is not JSON ({error.msg} in line {error.lineno}, column {error.colno})"
    except (RecursionError, ValueError):
        why = "it is not JSON that can be read: it nests too deeply, or holds a number too large"
    raise NotASchema(name=name, why=why)


def _parsed_yaml(text: str, name: str) -> object:
    try:
        yaml = importlib.import_module("yaml")
    except ImportError:
        why = (
            "it is not JSON, and YAML is read only where PyYAML is installed: "
            "pip install 'bedplate[yaml]', or print JSON with oslo-config-generator --format json"
        )
        raise NotASchema(name=name, why=why) from None
    # The C loader where there is one: ten times as fast, and as safe, but for nesting: there it
    # would end the process.
    loader, depth, why = getattr(yaml, "CSafeLoader", yaml.SafeLoader), 0, ""
    try:
        for event in yaml.parse(text, loader):
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEEPEST:
                raise NotASchema(name=name, why=f"it nests more than {_DEEPEST} levels deep")
        return cast("object", yaml.load(text, loader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        why = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    except ValueError as error:
        why = f" that can be read ({error})"
    raise NotASchema(name=name, why=f"it is neither JSON nor YAML{why}")


def _section(
    group: object, about: Mapping[str, object], name: str, overlay: _Overlay
) -> SectionSpec:
    where = f"options.{group}"
    section = str(group)
    entries = about.get("opts", [])
    if not isinstance(entries, list):
        raise NotASchema(name=name, why=f"{where}.opts is no list")
    options: dict[str, OptionSpec] = {}
    for number, entry in enumerate(entries):
        place = f"{where}.opts[{number}]"
        spec = _option(section, _Entry(_mapping(entry, name, place), name, place), overlay)
        # Two libraries may register the same option; oslo.config wants them equal, so one will do.
        options.setdefault(spec.name, spec)
    drivers = about.get("driver_opts") or {}
    return SectionSpec(
        section,
        " ".join(str(about.get("help") or "").split()),
        section != DEFAULT,
        MappingProxyType(options),
        each=_owner_key(str(about.get("dynamic_group_owner") or "")),
        driver_option=str(about.get("driver_option") or ""),
        drivers=MappingProxyType(
            {
                str(driver): tuple(_option_name(each) for each in names)
                for driver, names in _mapping(drivers, name, f"{where}.driver_opts").items()
                if isinstance(names, list)
            }
        ),
    )


def _owner_key(owner: str) -> str:
    return owner.removeprefix(f"{DEFAULT}.").replace("-", "_")


def _option_name(entry: object) -> str:
    named = entry.get("dest") or entry.get("name") if isinstance(entry, Mapping) else entry
    return str(named).replace("-", "_")


class _Entry:
    """One option as the generator tells it, read with a sentence for what is not as it should."""

    __slots__ = ("facts", "file", "where")

    def __init__(self, facts: Mapping[str, object], file: str, where: str) -> None:
        self.facts, self.file, self.where = facts, file, where

    def text(self, key: str) -> str:
        """Return a text, empty where there is none."""
        value = self.facts.get(key)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise NotASchema(name=self.file, why=f"{self.where}.{key} is no text")
        return value

    def flag(self, key: str) -> bool:
        """Return whether something is said to be so."""
        return bool(self.facts.get(key))

    def items(self, key: str) -> list[object]:
        """Return a list, empty where there is none."""
        value = self.facts.get(key) or []
        if not isinstance(value, list):
            raise NotASchema(name=self.file, why=f"{self.where}.{key} is no list")
        return value

    def number(self, key: str) -> float | None:
        """Return a number or None."""
        value = self.facts.get(key)
        if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
            return value
        raise NotASchema(name=self.file, why=f"{self.where}.{key} is no number")


def _option(section: str, entry: _Entry, overlay: _Overlay) -> OptionSpec:
    dest = entry.text("dest") or entry.text("name").replace("-", "_")
    if not dest:
        raise NotASchema(name=entry.file, why=f"{entry.where} has no name")
    type_ = _type(dest, entry, overlay)
    default = _default(type_, entry)
    sample = entry.facts.get("sample_default")
    return OptionSpec(
        section,
        dest,
        type_,
        default,
        " ".join(entry.text("help").split()),
        entry.flag("mutable"),
        section != DEFAULT,
        tuple(_old_names(section, dest, entry)),
        _farewell(entry),
        entry.text("deprecated_since"),
        entry.flag("advanced"),
        "" if sample is None else _as_text(sample),
        interpolate=True,
        owner=entry.text("namespace"),
    )


def _farewell(entry: _Entry) -> str:
    if not entry.flag("deprecated_for_removal"):
        return ""
    return " ".join(entry.text("deprecated_reason").split()) or "It will be removed."


def _old_names(section: str, dest: str, entry: _Entry) -> Iterator[tuple[str, str]]:
    for number, old in enumerate(entry.items("deprecated_opts")):
        place = f"{entry.where}.deprecated_opts[{number}]"
        facts = _mapping(old, entry.file, place)
        name = str(facts.get("name") or dest)
        where = str(facts.get("group") or section)
        if (where, name) != (section, dest):
            yield where, name


def _type(dest: str, entry: _Entry, overlay: _Overlay) -> Type:
    kind = entry.text("type")
    type_ = _TYPES.get(kind) or Unchecked(kind or "unknown value")
    choices = [_choice(each) for each in entry.items("choices")]
    if choices:
        type_ = _chosen(choices, entry, any_case=dest in overlay.any_case)
    elif isinstance(type_, Integer | Float):
        low, high = entry.number("min"), entry.number("max")
        try:
            type_ = narrow(type_, minimum=low, maximum=high)
        except ValueError as error:
            raise NotASchema(name=entry.file, why=f"{entry.where}: {error}") from None
    if dest in overlay.several or entry.flag("multi"):
        type_ = type_ if isinstance(type_, Multi) else Multi(type_)
    if entry.flag("secret"):
        type_ = SecretType(type_)
    if entry.facts.get("default") is not None or entry.flag("required"):
        return type_
    # oslo.config reads a blank number as None and leaves other blanks to the type.
    return OptionalType(type_, blank=isinstance(type_, Integer | Float))


def _choice(choice: object) -> tuple[object, str]:
    """Return a choice and what it means: the generator prints pairs, or bare choices."""
    if isinstance(choice, list | tuple) and len(choice) == 2:
        return choice[0], " ".join(str(choice[1] or "").split())
    return choice, ""


def _chosen(choices: Sequence[tuple[object, str]], entry: _Entry, *, any_case: bool) -> Choice:
    spelled = {_as_text(choice): choice for choice, _ in choices}
    default = entry.facts.get("default")
    folded = {spelling.casefold() for spelling in spelled}
    return Choice(
        spelled,
        blind=any_case
        or (isinstance(default, str) and default not in spelled and default.casefold() in folded),
        about={_as_text(choice): meaning for choice, meaning in choices if meaning},
    )


def _default(type_: Type, entry: _Entry) -> object:
    default = entry.facts.get("default")
    if default is None:
        return REQUIRED if entry.flag("required") else None
    text = _as_text(default)
    if "$" in text:
        return Unresolved(text)
    try:
        return read(type_, default)
    except Refused:
        return Unresolved(text)


def _as_text(value: object) -> str:
    """Write a native value as the generator's sample file would."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ",".join(map(_as_text, value))
    if isinstance(value, Mapping):
        return ",".join(f"{name}:{_as_text(each)}" for name, each in value.items())
    return str(value)


def _mapping(value: object, name: str, where: str) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise NotASchema(name=name, why=f"{where} is no mapping")
    return value


def _with_owners(sections: Iterable[SectionSpec], overlay: _Overlay) -> Iterator[SectionSpec]:
    listed = {section.name: section for section in sections}
    default = listed.get(DEFAULT)
    for row in overlay.repeated:
        section = listed.get(row["section"])
        owner = default.options.get(row["each"]) if default else None
        needed = row.get("needs", row["section"]) in listed
        if section is not None and owner is not None and needed and not section.each:
            listed[section.name] = section._replace(each=row["each"], by=row.get("by", ""))
    yield from listed.values()


def _overlay() -> _Overlay:
    import pkgutil
    import tomllib

    data = pkgutil.get_data("bedplate.config", "overlays/oslo.toml") or b""
    rows = tomllib.loads(data.decode())
    return _Overlay(
        tuple(rows["repeated"]),
        frozenset(row["option"] for row in rows["several"]),
        frozenset(row["option"] for row in rows["any_case"]),
    )
