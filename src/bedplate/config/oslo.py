"""Option sets of services that use oslo.config, as schemas.

Reads what ``oslo-config-generator --format json|yaml`` prints, and the ``oslo.config.opts`` entry
points of what is installed. What the generator leaves out is told by ``overlays/*.toml``. Values
people set are none of its business, and oslo.config is never needed.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from bedplate.config.hints import narrow
from bedplate.config.names import DEFAULT, fold, split_key
from bedplate.config.option import REQUIRED
from bedplate.config.reading import Facts, decoded, parsed
from bedplate.config.schema import OSLO, Schema
from bedplate.config.specs import OptionSpec, SectionSpec, Unresolved
from bedplate.config.tree import Tree
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

__all__ = ["installed_option_set", "option_set", "read_option_set", "with_plugged_in"]

_MOST_OPTIONS: Final = 50_000
_NOTHING: Final = Facts({}, "")

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
    unlisted: tuple[Facts, ...]
    plugged_in: tuple[Facts, ...]
    alike: tuple[Facts, ...]


def read_option_set(data: bytes | str, name: str) -> Schema:
    """Read what ``oslo-config-generator`` printed as JSON or YAML; ``name`` is for messages.

    Options are named as files name them (by their dest: ``log_config_append``), sections but
    DEFAULT are optional, and everything is interpolated. YAML needs the extra ``yaml``.

    Raises `NotASchema` for anything else.
    """
    return option_set(parsed(decoded(data, name), name), name)


def option_set(document: object, name: str) -> Schema:
    """Make a schema of the generator's data, already parsed. Raises `NotASchema`."""
    whole = Facts(document, name)
    if not whole.has("options"):
        raise NotASchema(
            name=name,
            why="it has no mapping 'options', which 'oslo-config-generator --format json' prints",
        )
    overlay, sections, total = _overlay(), [], 0
    for group, about in whole.each("options"):
        total += len(about.items("opts"))
        if total > _MOST_OPTIONS:  # counted before the work: aliases of YAML multiply cheaply
            raise NotASchema(name=name, why=f"it has more than {_MOST_OPTIONS} options")
        sections.append(_section(about.insist_on_name(group), about, overlay))
    return Schema(_with_owners(_with_unlisted(sections, overlay), overlay), dialect=OSLO)


def installed_option_set(namespaces: Sequence[str]) -> Schema:
    """Ask the installed packages for their options, as ``oslo-config-generator`` does.

    Each namespace is an entry point of the group ``oslo.config.opts``. Importing them runs their
    code, and may take seconds. Raises `NotASchema` for a namespace that nobody offers or that
    cannot be imported.
    """
    from bedplate.config.oslo_installed import generated

    return option_set(generated(namespaces), " ".join(namespaces))


def with_plugged_in(schema: Schema, trees: Sequence[Tree]) -> Schema:
    """Return a schema that also knows what libraries add to the sections that are written.

    Such as the ``username`` of ``[keystone_authtoken]``, which keystoneauth reads when
    ``auth_type`` says so, or ``[nova_sys_admin]``, which is another ``[privsep]``: no option set
    lists them. A schema of another dialect stays as it is.
    """
    if schema.dialect != OSLO:
        return schema
    overlay, written = _overlay(), _written(trees)
    more: dict[str, SectionSpec] = {}
    for row in overlay.plugged_in:
        beside = frozenset(map(str, row.items("beside")))
        for section in schema.sections.values():
            here = written.get(fold(section.name), {})
            if not here or not beside <= section.options.keys():
                continue
            if _needs_nothing(here, row):
                more[section.name] = _asking_nothing(more.get(section.name, section), row)
            elsewhere = here.get(row.text("elsewhere"))
            if elsewhere is not None or here.keys() - section.options.keys():
                name = str(elsewhere or section.name)
                known = more.get(name) or schema.sections.get(name)
                known = known or _section(name, _NOTHING, overlay)
                shared = {
                    each: section.options[each]._replace(section=name, was=())
                    for each in beside - {row.text("elsewhere")}
                }
                known = known._replace(options=MappingProxyType({**shared, **known.options}))
                more[name] = _with_more(known, row, overlay)
    for row in overlay.alike:
        pattern = schema.sections.get(row.text("like"))
        for name in map(str, row.items("sections")):
            if pattern and fold(name) in written and name not in schema.sections:
                more[name] = _alike(pattern, name)
    return Schema({**schema.sections, **more}.values(), dialect=OSLO) if more else schema


def _needs_nothing(here: Mapping[str, object], row: Facts) -> bool:
    """Whether the plug-in of a section is told elsewhere, or is one that needs no options."""
    idle = frozenset(map(str, row.items("idle")))
    return row.text("elsewhere") in here or str(here.get(row.text("picked_by"))) in idle


def _asking_nothing(section: SectionSpec, row: Facts) -> SectionSpec:
    theirs = {entry.text("name") for entry in row.listed("opts")}
    options = {
        name: spec._replace(default=None) if spec.required and name in theirs else spec
        for name, spec in section.options.items()
    }
    return section._replace(options=MappingProxyType(options))


def _alike(pattern: SectionSpec, name: str) -> SectionSpec:
    options = {
        option: spec._replace(section=name, was=()) for option, spec in pattern.options.items()
    }
    return pattern._replace(name=name, options=MappingProxyType(options))


def _written(trees: Iterable[Tree]) -> dict[str, dict[str, object]]:
    """Return what is written, by the folded name of its section and in lower case."""
    written: dict[str, dict[str, object]] = {}
    for tree in trees:
        spelled = {section: fold(section) for section in tree.sections}
        for section, option, raws in tree:
            written.setdefault(spelled[section], {})[option.lower()] = raws[-1].value
    return written


def _with_more(section: SectionSpec, row: Facts, overlay: _Overlay) -> SectionSpec:
    owner = row.text("owner")
    added = [
        _option(section.name, entry, overlay)._replace(owner=owner) for entry in row.listed("opts")
    ]
    options = {spec.name: spec for spec in added} | dict(section.options)
    return section._replace(options=MappingProxyType(options))


def _section(section: str, about: Facts, overlay: _Overlay) -> SectionSpec:
    options: dict[str, OptionSpec] = {}
    for entry in about.listed("opts"):
        spec = _option(section, entry, overlay)
        # Two libraries may register the same option; oslo.config wants them equal, so one will do.
        options.setdefault(spec.name, spec)
    drivers = about.inner("driver_opts")
    return SectionSpec(
        section,
        " ".join(about.text("help").split()),
        section != DEFAULT,
        MappingProxyType(options),
        each=_owner_key(about.text("dynamic_group_owner")),
        driver_option=about.text("driver_option").replace("-", "_"),
        drivers=MappingProxyType(
            {
                str(driver): tuple(map(_option_name, drivers.items(str(driver))))
                for driver in drivers.facts
            }
        ),
    )


def _owner_key(owner: str) -> str:
    section, dot, option = owner.removeprefix(f"{DEFAULT}.").rpartition(".")
    return f"{section}{dot}{option.replace('-', '_')}"


def _option_name(entry: object) -> str:
    named = entry.get("dest") or entry.get("name") if isinstance(entry, Mapping) else entry
    return str(named).replace("-", "_")


def _option(section: str, entry: Facts, overlay: _Overlay) -> OptionSpec:
    dest = entry.text("dest") or entry.text("name").replace("-", "_")
    if not dest:
        entry.refuse("name", "missing")
    entry.insist_on_name(dest)
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
        flagless=True,  # which of them are flags of their programs, the generator does not say
    )


def _farewell(entry: Facts) -> str:
    if not entry.flag("deprecated_for_removal"):
        return ""
    return " ".join(entry.text("deprecated_reason").split()) or "It will be removed."


def _old_names(section: str, dest: str, entry: Facts) -> Iterator[tuple[str, str]]:
    for old in entry.listed("deprecated_opts"):
        where, name = old.text("group") or section, old.text("name")
        if name in ("", entry.text("name")):
            name = dest  # only its group is another: printed is its name, and looked up its dest
        if (where, name) != (section, dest):
            yield where, name


def _type(dest: str, entry: Facts, overlay: _Overlay) -> Type:
    kind = entry.text("type")
    type_ = _TYPES.get(kind) or Unchecked(kind or "unknown value")
    is_number = isinstance(type_, Integer | Float)
    # None among them is what its program takes for nothing said: no text means it.
    choices = [each for each in map(_choice, entry.items("choices")) if each[0] is not None]
    if choices:
        type_ = _chosen(
            choices, entry, any_case=dest in overlay.any_case or entry.flag("ignore_case")
        )
    elif isinstance(type_, Integer | Float):
        low, high = entry.number("min"), entry.number("max")
        try:
            type_ = narrow(type_, minimum=low, maximum=high)
        except ValueError as error:
            raise NotASchema(name=entry.file, why=f"in {entry.where} {error}") from None
    if dest in overlay.several or entry.flag("multi"):
        type_ = type_ if isinstance(type_, Multi) else Multi(type_)
    if entry.flag("secret"):
        type_ = SecretType(type_)
    if entry.facts.get("default") is not None or entry.flag("required"):
        return type_
    # oslo.config reads a blank number as None and leaves other blanks to the type.
    return OptionalType(type_, blank=is_number)


def _choice(choice: object) -> tuple[object, str]:
    """Return a choice and what it means: the generator prints pairs, or bare choices."""
    if isinstance(choice, list | tuple) and len(choice) == 2:
        return choice[0], " ".join(str(choice[1] or "").split())
    return choice, ""


def _chosen(choices: Sequence[tuple[object, str]], entry: Facts, *, any_case: bool) -> Choice:
    spelled = {_as_text(choice): choice for choice, _ in choices}
    default = entry.facts.get("default")
    folded = {spelling.casefold() for spelling in spelled}
    return Choice(
        spelled,
        blind=any_case
        or (isinstance(default, str) and default not in spelled and default.casefold() in folded),
        about={_as_text(choice): meaning for choice, meaning in choices if meaning},
    )


def _default(type_: Type, entry: Facts) -> object:
    default = entry.facts.get("default")
    if default is None:
        return REQUIRED if entry.flag("required") else None
    text = _as_text(default)
    if "$" in text:
        return Unresolved(text)
    for value in (default, text):  # as text where an item is no text: types of items are not told
        try:
            return read(type_, value)
        except Refused:
            continue
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


def _with_unlisted(sections: Iterable[SectionSpec], overlay: _Overlay) -> list[SectionSpec]:
    listed = {section.name: section for section in sections}
    for row in overlay.unlisted:
        if row.text("needs") in listed:
            for name in map(str, row.items("sections")):
                known = listed.get(name) or _section(name, _NOTHING, overlay)
                listed[name] = _with_more(known, row, overlay)
    return list(listed.values())


def _with_owners(sections: Iterable[SectionSpec], overlay: _Overlay) -> Iterator[SectionSpec]:
    listed = {section.name: section for section in sections}
    for row in overlay.repeated:
        section = listed.get(row["section"])
        group, option = split_key(row["each"])
        owned = group in listed and option in listed[group].options
        needed = row.get("needs", row["section"]) in listed
        if section is not None and owned and needed and not section.each:
            listed[section.name] = section._replace(each=row["each"], by=row.get("by", ""))
    yield from listed.values()


def _overlay() -> _Overlay:
    import pkgutil
    import tomllib

    name = "overlays/oslo.toml"
    data = pkgutil.get_data("bedplate.config", name) or b""
    rows = tomllib.loads(data.decode())
    facts = Facts(rows, name)
    return _Overlay(
        tuple(rows["repeated"]),
        frozenset(row["option"] for row in rows["several"]),
        frozenset(row["option"] for row in rows["any_case"]),
        tuple(facts.listed("unlisted")),
        tuple(facts.listed("plugged_in")),
        tuple(facts.listed("alike")),
    )
