"""dynaconf with a validator for each option, and a TOML file."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

__all__ = ["DISTRIBUTION", "FORM", "MODULE", "TERMS", "describe", "load", "reads", "value"]

DISTRIBUTION = "dynaconf"
"""What is measured, by the name under which it is installed."""
MODULE = "dynaconf"
"""What a program imports of it."""
FORM = "toml"
"""What it reads."""
TERMS = (
    "the same values as TOML, with their types; loading parses and judges every option by its "
    "validator, all of them; nothing is converted or interpolated, unknown names are never told, "
    "mistakes are told without file and line"
)
"""What loading does."""

_Option: TypeAlias = Mapping[str, Any]


def describe(options: Sequence[_Option]) -> list[Any]:
    """Write the validators that a program would have written."""
    from dynaconf import Validator  # type: ignore[import-not-found, unused-ignore]  # its own

    kinds: Mapping[str, type | tuple[type, ...]] = {
        "int": int,
        "port": int,
        "float": (int, float),
        "bool": bool,
        "list": list,
        "multi": list,
        "dict": dict,
    }
    validators = []
    for each in options:
        rules: dict[str, Any] = {"is_type_of": kinds.get(each["kind"], str)}
        if each["default"] is not None:
            rules["default"] = each["default"]
        if each["choices"]:
            rules["is_in"] = each["choices"]
        elif each["low"] is not None:
            rules["gte"] = each["low"]
        if each["high"] is not None and not each["choices"]:
            rules["lte"] = each["high"]
        name = f"{each['section']}.{each['name']}"
        validators.append(Validator(name, description=each["help"], **rules))
    return validators


def load(described: list[Any], source: str) -> Any:
    """Read the file and check everything."""
    from dynaconf import Dynaconf

    settings = Dynaconf(settings_files=[source], loaders=[], load_dotenv=False)
    settings.validators.register(*described)
    settings.validators.validate_all()
    return settings


def value(loaded: Any, section: str, name: str) -> object:
    """Return what an option came to."""
    found = loaded[section][name]
    return found.to_list() if hasattr(found, "to_list") else found


def reads(loaded: Any, section: str, name: str) -> Mapping[str, tuple[str, Mapping[str, object]]]:
    """Return the expressions that read an option, with what they stand on."""
    return {
        "held": (f"held.{name}", {"held": loaded[section]}),
        "root": (f"root.{section}.{name}", {"root": loaded}),
        "key": (f"held[{name!r}]", {"held": loaded[section]}),
    }
