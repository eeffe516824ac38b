"""What changed between two descriptions of a service's options: text, Markdown, JSON.

Pure. An option that has a new name is only ever called renamed. Defaults of secrets are compared
where both are known and never shown.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from bedplate.config.names import DEFAULT, key_of
from bedplate.config.repeated import Shapes, resolve
from bedplate.config.schema import OSLO, Schema
from bedplate.config.specs import OptionSpec, Unresolved, Withheld
from bedplate.config.tree import Tree
from bedplate.config.types import Choice, Dict, Integer, List, Multi, SecretType, String, Type
from bedplate.config.types.around import inside

__all__ = ["Difference", "Facet", "Gone", "Renamed", "concerning", "difference", "written"]


class Facet(NamedTuple):
    """One thing about an option that changed.

    ``what`` is default, required, type, choices, range or deprecated. ``old`` and ``new`` are text
    (a tuple of texts for choices), None where there is none.
    """

    what: str
    old: str | tuple[str, ...] | None
    new: str | tuple[str, ...] | None


class Gone(NamedTuple):
    """An option the new release no longer has; ``announced`` says why, where the old one did."""

    section: str
    option: str
    announced: str

    @property
    def key(self) -> str:
        """What people call it."""
        return key_of(self.section, self.option)


class Renamed(NamedTuple):
    """An option that is called otherwise now, and what else of it changed."""

    section: str
    option: str
    now: OptionSpec
    facets: tuple[Facet, ...]

    @property
    def key(self) -> str:
        """What people called it."""
        return key_of(self.section, self.option)


class Difference(NamedTuple):
    """What changed, each list in the order of its release."""

    added: tuple[OptionSpec, ...]
    gone: tuple[Gone, ...]
    renamed: tuple[Renamed, ...]
    changed: tuple[tuple[OptionSpec, tuple[Facet, ...]], ...]

    def __bool__(self) -> bool:
        return any((self.added, self.gone, self.renamed, self.changed))


def difference(old: Schema, new: Schema) -> Difference:
    """Compare two releases, the older first."""
    gone, renamed, changed = [], [], []
    for spec in old:
        same = new.get(spec.section, spec.name)
        if same is not None:
            facets = tuple(_facets(spec, same))
            changed += [(same, facets)] if facets else []
            continue
        now = new.renames.get((spec.section, spec.name))
        if now is None:
            gone.append(Gone(spec.section, spec.name, spec.deprecated))
        else:
            renamed.append(Renamed(spec.section, spec.name, now, tuple(_facets(spec, now))))
    taken = {each.now.key for each in renamed}
    added = [
        spec for spec in new if old.get(spec.section, spec.name) is None and spec.key not in taken
    ]
    return Difference(tuple(added), tuple(gone), tuple(renamed), tuple(changed))


def concerning(
    found: Difference, old: Schema, new: Schema, written: Collection[tuple[str, str]]
) -> Difference:
    """Keep what concerns a file, of which ``written`` is what it sets, as sections and options.

    Old names in the file count too: one that the new release no longer understands stands among
    the renamed, or among the gone. Of what the file does not set, only what it now lacks is kept:
    options required from now on, of sections that it has, or that are neither optional nor named
    by an option.
    """
    sections = {section for section, _ in written}

    def lacked(spec: OptionSpec) -> bool:
        needed = not (spec.optional or new.sections[spec.section].each)
        return spec.required and (needed or spec.section in sections)

    live = {spec.key for spec in (_live(old, *each) for each in written) if spec is not None}
    gone, renamed = list(found.gone), list(found.renamed)
    for section, option in sorted(written):
        was = old.renames.get((section, option))
        if was is None or old.get(section, option) or new.get(section, option):
            continue
        if (section, option) not in new.renames:
            now = new.get(was.section, was.name) or new.renames.get((was.section, was.name))
            if now is None:
                gone.append(Gone(section, option, was.deprecated))
            else:
                renamed.append(Renamed(section, option, now, ()))
            live.add(key_of(section, option))
    return Difference(
        tuple(filter(lacked, found.added)),
        tuple(each for each in gone if each.key in live),
        tuple(each for each in renamed if each.key in live),
        tuple(
            (spec, facets)
            for spec, facets in found.changed
            if spec.key in live or (_newly_required(facets) and lacked(spec))
        ),
    )


def _newly_required(facets: Iterable[Facet]) -> bool:
    return any(each.what == "required" and each.new == "yes" for each in facets)


def written(tree: Tree, schema: Schema) -> frozenset[tuple[str, str]]:
    """Return what a tree sets, under the names of the schema.

    Sections are called as there where case does not count, and those that an option names as the
    shape is that has the option.
    """
    named = resolve((tree,), schema).named
    names = {section.casefold(): section for section, _ in schema.renames}
    names |= {section.casefold(): section for section in schema.sections if section != DEFAULT}
    names = names if schema.dialect == OSLO else {}
    return frozenset(
        (_shape(named[section], option), option)
        if section in named
        else (section if section == DEFAULT else names.get(section.casefold(), section), option)
        for section, option, _ in tree
    )


def _shape(shapes: Shapes, option: str) -> str:
    """Return the name of the shape that has an option, by its name or an old one."""
    for shape in reversed(shapes):
        old = {name for spec in shape.options.values() for _, name in spec.was}
        if option in shape.options or option in old:
            return shape.name
    return shapes[0].name


def _live(schema: Schema, section: str, option: str) -> OptionSpec | None:
    return schema.get(section, option) or schema.renames.get((section, option))


def _facets(old: OptionSpec, new: OptionSpec) -> Iterator[Facet]:
    if old.required != new.required:
        yield Facet("required", _yes(old.required), _yes(new.required))
    elif _default(old) != _default(new) and not _untold(old, new):
        yield Facet("default", old.default_text, new.default_text)
    if _kind(old.type) != _kind(new.type):
        yield Facet("type", _kind(old.type), _kind(new.type))
    if _choices(old.type) != _choices(new.type):
        yield Facet("choices", _choices(old.type) or None, _choices(new.type) or None)
    if _range(old.type) != _range(new.type):
        yield Facet("range", _range(old.type), _range(new.type))
    if new.deprecated and not old.deprecated:
        since = f"since {new.since}: " if new.since else ""
        yield Facet("deprecated", None, f"{since}{new.deprecated}")


def _yes(value: bool) -> str:  # noqa: FBT001 - a word for a flag
    return "yes" if value else "no"


def _default(spec: OptionSpec) -> str | None:
    if spec.required or spec.default is None:
        return None
    if isinstance(spec.default, Unresolved):
        return spec.default.text
    return "" if isinstance(spec.default, Withheld) else spec.type.show(spec.default, reveal=True)


def _untold(old: OptionSpec, new: OptionSpec) -> bool:
    """Whether a default is withheld on either side, and there is one on both."""
    told = isinstance(old.default, Withheld) or isinstance(new.default, Withheld)
    return told and old.default is not None and new.default is not None


def _kind(type_: Type) -> str:
    """Name a type without its range, its choices, and whether it may be absent."""
    secret = "a secret: " if _secret(type_) else ""
    bare = inside(type_)
    if isinstance(bare, List):
        return f"{secret}a list of which each is {_kind(bare.item)}"
    if isinstance(bare, Multi):
        return f"{secret}{_kind(bare.item)}, written several times"
    if isinstance(bare, Dict):
        return f"{secret}name:value of which each value is {_kind(bare.item)}"
    if isinstance(bare, Choice):
        values = set(map(type, bare.spellings.values()))
        bare = Integer() if values == {int} else String()
    elif hasattr(bare, "minimum"):
        bare = type(bare)(noun=bare.noun) if isinstance(bare, Integer) else type(bare)()
    return f"{secret}{bare.describe()}"


def _secret(type_: Type) -> bool:
    while hasattr(type_, "inner"):
        if isinstance(type_, SecretType):
            return True
        type_ = type_.inner
    return False


def _items(type_: Type) -> Type:
    bare = inside(type_)
    return inside(bare.item) if isinstance(bare, List | Multi | Dict) else bare


def _choices(type_: Type) -> tuple[str, ...]:
    bare = _items(type_)
    return tuple(bare.spellings) if isinstance(bare, Choice) else ()


def _range(type_: Type) -> str | None:
    bare = _items(type_)
    low, high = getattr(bare, "minimum", None), getattr(bare, "maximum", None)
    if low is None and high is None:
        return None
    return f"{'' if low is None else low}..{'' if high is None else high}"
