"""What contestants of configuration are given: the same options, and the same file in their forms.

Reads what ``oslo-config-generator --format json`` prints and a file for these options. Knows what
kinds of options and of mistakes there are, nothing of the libraries.
"""

import json
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

from bedplate.config import read_schema
from bedplate.config.sources import File
from bedplate.errors import BenchFailed, NotASchema, SourceFailed

__all__ = ["FORMS", "Described", "Material", "Mistake", "Trial", "material", "told", "trial"]

FORMS = ("ini", "toml", "variables")
"""What contestants read: the file itself, the same as TOML with types, or as variables."""

_KINDS: Mapping[str, str] = MappingProxyType(
    {
        "integer value": "int",
        "port value": "port",
        "floating point value": "float",
        "boolean value": "bool",
        "list value": "list",
        "dict value": "dict",
        "multi valued": "multi",
        "uri value": "uri",
        "host address value": "host",
        "host domain value": "host",
    }
)
_NATIVE: Mapping[str, type] = MappingProxyType(
    {
        "int": int,
        "port": int,
        "float": float,
        "bool": bool,
        "list": list,
        "dict": dict,
        "multi": list,
    }
)
_NUMBERS = ("int", "port", "float")
_SWITCH: Mapping[str, bool] = MappingProxyType(
    {
        **dict.fromkeys(("1", "true", "yes", "on"), True),
        **dict.fromkeys(("0", "false", "no", "off"), False),
    }
)
_NAME = re.compile(r"[A-Za-z]\w*", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """An option as all contestants are told it: of a ``kind``, within bounds, or one of a few.

    ``default`` is None where there is none, or one that only the service itself can make out.
    """

    section: str
    name: str
    kind: str
    default: object
    low: float | None
    high: float | None
    choices: tuple[object, ...]
    secret: bool
    help: str


@dataclass(frozen=True, slots=True)
class Mistake:
    """A line that is wrong, and how: what is ``set`` in a section, which may not exist."""

    what: str
    section: str
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Material:
    """Options, the file that sets many of them, the texts it has, and mistakes to be found.

    ``read`` names the section and the option whose reading is measured. ``left_out`` are lines
    (from 1) of the file that only the service itself understands: a default as documents show it,
    such as ``<host name>``.
    """

    options: tuple[Described, ...]
    schema: Path
    file: Path
    texts: Mapping[tuple[str, str], tuple[str, ...]]
    left_out: frozenset[int]
    mistakes: tuple[Mistake, ...]
    read: tuple[str, str]
    kinds: Mapping[tuple[str, str], str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Trial:
    """What contestants are given, and the files it was written into.

    ``forms`` has paths by form and by what is wrong: nothing (an empty text), a mistake's sort, or
    ``all``. ``folder`` has room for more.
    """

    given: Material
    forms: Mapping[str, Mapping[str, str]]
    folder: Path


@contextmanager
def trial(schema: Path, file: Path) -> Iterator[Trial]:
    """Read both, and write the file in all forms into a folder that is gone afterwards.

    ``schema`` is what ``oslo-config-generator --format json`` printed. Raises `BenchFailed` for
    files that are something else, or have too little to measure.
    """
    given = material(schema, file)
    with tempfile.TemporaryDirectory(prefix="bedplate-bench-") as folder:
        yield Trial(given, _write_forms(given, Path(folder)), Path(folder))


def material(schema: Path, file: Path) -> Material:
    """Read both files. Raises `BenchFailed` for what is not theirs, or too little to measure."""
    try:
        read_schema(schema)  # says better than we could what is wrong with it
        groups = json.loads(schema.read_text(encoding="utf-8-sig")).get("options")
        tree = File(str(file)).load()
    except (NotASchema, SourceFailed) as error:
        raise BenchFailed(contestant="bedplate", why=str(error)) from error
    except json.JSONDecodeError:
        groups = None
    if not isinstance(groups, Mapping):
        raise BenchFailed(
            contestant="bedplate",
            why=f"{schema} is not what 'oslo-config-generator --format json' prints, which is "
            "what all contestants can be given.",
        )
    options = tuple(_options(groups))
    kinds = {(each.section, each.name): each.kind for each in options}
    shown = _shown_defaults(groups)
    texts: dict[tuple[str, str], tuple[str, ...]] = {}
    left_out: set[int] = set()
    for section, name, raws in tree:
        said = tuple(str(raw.value) for raw in raws)
        if said[-1] == shown.get((section, name)):
            left_out |= {raw.origin.line or 0 for raw in raws}
        elif (section, name) in kinds:
            texts[section, name] = said
    read = next(
        (
            at
            for at in texts
            if kinds[at] == "int" and at[0] != "DEFAULT" and "$" not in texts[at][-1]
        ),
        None,
    )
    if read is None:
        raise BenchFailed(
            contestant="bedplate",
            why=f"{file} sets no whole number outside of [DEFAULT], which could be read.",
        )
    mistakes = tuple(_mistakes(options, texts))
    return Material(options, schema, file, texts, frozenset(left_out), mistakes, read, kinds)


_Entry: TypeAlias = Mapping[str, object]


def _entries(groups: Mapping[str, object]) -> Iterator[tuple[str, str, _Entry]]:
    """Go through what the generator says of each option, with its section and name."""
    for section, about in groups.items():
        opts = about.get("opts") if isinstance(about, Mapping) else None
        for entry in opts if isinstance(opts, list) else ():
            yield section, str(entry.get("dest") or entry["name"]).replace("-", "_"), entry


def _shown_defaults(groups: Mapping[str, object]) -> Mapping[tuple[str, str], str]:
    return {
        (section, name): str(entry["sample_default"])
        for section, name, entry in _entries(groups)
        if entry.get("sample_default") is not None
    }


def _options(groups: Mapping[str, object]) -> Iterator[Described]:
    seen: set[tuple[str, str]] = set()
    for section, name, entry in _entries(groups):
        if not _NAME.fullmatch(name) or not _NAME.fullmatch(section):
            raise BenchFailed(
                contestant="bedplate",
                why=f"the option {section}.{name} cannot be the name of an attribute.",
            )
        if (section, name) not in seen:
            seen.add((section, name))
            yield _described(section, name, entry)


def _described(section: str, name: str, entry: _Entry) -> Described:
    kind = _KINDS.get(str(entry.get("type")), "str")
    listed = entry.get("choices")
    pairs = listed if isinstance(listed, list) else []
    choices = [each[0] if isinstance(each, list) else each for each in pairs]
    default = entry.get("default")
    # The generator does not say that a choice is blind to case; the default gives it away.
    if isinstance(default, str) and default.lower() in {str(each).lower() for each in choices}:
        choices += [] if default in choices else [default]
    low, high = (_number(entry.get(key)) for key in ("min", "max"))
    return Described(
        section=section,
        name=name,
        kind=kind,
        default=_usable(default, kind, choices),
        low=0 if kind == "port" and low is None else low,
        high=65535 if kind == "port" and high is None else high,
        choices=tuple(choices),
        secret=bool(entry.get("secret")),
        help=" ".join(str(entry.get("help") or "").split()),
    )


def _number(value: object) -> float | None:
    return value if isinstance(value, int | float) else None


def _usable(default: object, kind: str, choices: list[object]) -> object:
    """Return a default of the option's own type, or None for one that has to be made out first."""
    native = _NATIVE.get(kind, str)
    if native is float and isinstance(default, int) and not isinstance(default, bool):
        default = float(default)
    if type(default) is not native or (choices and default not in choices):
        return None
    if kind in ("host", "uri") and not re.fullmatch(r"[\w.:/%-]+", str(default)):
        return None
    return default


def _mistakes(
    options: Iterable[Described], texts: Mapping[tuple[str, str], tuple[str, ...]]
) -> Iterable[Mistake]:
    """Make one mistake of each sort that these options allow, in options that the file sets."""
    present = [each for each in options if (each.section, each.name) in texts]
    sorts: tuple[tuple[str, Callable[[Described], bool], Callable[[Described], str]], ...] = (
        ("wrong type", lambda one: one.kind == "int", lambda _: "many"),
        ("wrong switch", lambda one: one.kind == "bool", lambda _: "perhaps"),
        (
            "out of range",
            lambda one: one.kind in _NUMBERS and one.high is not None,
            lambda one: str(int((one.high or 0) + 1)),
        ),
        ("not a choice", lambda one: one.kind == "str" and bool(one.choices), lambda _: "nosuch"),
    )
    taken: set[Described | tuple[str, str]] = set()
    for what, fits, text in sorts:
        for one in present:
            if fits(one) and (one.section, one.name) not in taken:
                taken.add((one.section, one.name))
                yield Mistake(what, one.section, one.name, text(one))
                break
    for one in present:
        if one.section != "DEFAULT" and len(one.name) > 3:
            yield Mistake("unknown option", one.section, f"{one.name[1::-1]}{one.name[2:]}", "1")
            break
    yield Mistake("unknown section", "nosuch_section", "nosuch_option", "1")


def _write_forms(given: Material, folder: Path) -> dict[str, dict[str, str]]:
    """Write the file in all forms: right, with each mistake, and with all of them."""
    variants: dict[str, tuple[Mistake, ...]] = {"": (), "all": given.mistakes}
    variants |= {mistake.what: (mistake,) for mistake in given.mistakes}
    lines = given.file.read_text(encoding="utf-8", errors="surrogateescape").split("\n")
    original = "\n".join(
        line for number, line in enumerate(lines, 1) if number not in given.left_out
    )
    written: dict[str, dict[str, str]] = {form: {} for form in FORMS}
    for number, (what, mistakes) in enumerate(variants.items()):
        texts = {**given.texts}
        for mistake in mistakes:
            texts[mistake.section, mistake.name] = (mistake.text,)
        wrong = (f"[{each.section}]\n{each.name} = {each.text}\n" for each in mistakes)
        contents = {
            "ini": f"{original}\n{''.join(wrong)}",
            "toml": _toml(texts, given.kinds),
            "variables": json.dumps(
                {
                    f"APP_{section}_{name}".upper(): ",".join(text) if many else text[-1]
                    for (section, name), text in texts.items()
                    for many in [given.kinds.get((section, name)) == "multi"]
                }
            ),
        }
        for form, content in contents.items():
            file = folder / f"{number}.{form}"
            file.write_text(content, encoding="utf-8", errors="surrogateescape")
            written[form][what] = str(file)
    return written


def told(given: Material) -> dict[str, object]:
    """Return what contestants are told, as JSON can carry it."""
    return {
        "options": [asdict(each) for each in given.options],
        "expected": [
            [section, name, given.kinds[section, name], _native(given.kinds[section, name], text)]
            for (section, name), text in given.texts.items()
            if not any("$" in each for each in text)
        ],
        "read": list(given.read),
    }


def _native(kind: str, texts: tuple[str, ...]) -> object:
    """Return a value as someone would write it in a file that has types; text that is wrong."""
    text = texts[-1]
    if kind == "multi":
        return list(texts)
    if kind == "bool":
        return _SWITCH.get(text.lower(), text)
    if kind == "list":
        return [each.strip() for each in text.split(",")] if text else []
    try:
        if kind == "dict":
            return dict(each.split(":", 1) for each in text.split(",")) if text else {}
        return _NATIVE[kind](text) if kind in _NUMBERS else text
    except ValueError:
        return text


def _toml(
    texts: Mapping[tuple[str, str], tuple[str, ...]], kinds: Mapping[tuple[str, str], str]
) -> str:
    sections: dict[str, list[str]] = {}
    for (section, name), text in texts.items():
        value = _native(kinds.get((section, name), "str"), text)
        sections.setdefault(section, []).append(f"{name} = {_toml_value(value)}\n")
    return "".join(f"[{section}]\n{''.join(lines)}" for section, lines in sections.items())


def _toml_value(value: object) -> str:
    """Write a value in TOML, whose strings, numbers and lists are JSON's."""
    if isinstance(value, Mapping):
        pairs = (f"{json.dumps(key)} = {_toml_value(each)}" for key, each in value.items())
        return f"{{{', '.join(pairs)}}}"
    return json.dumps(value)
