"""environ-config with a class for each section, nested in one, and variables."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

__all__ = ["DISTRIBUTION", "FORM", "MODULE", "TERMS", "describe", "load", "reads", "value"]

DISTRIBUTION = "environ-config"
"""What is measured, by the name under which it is installed."""
MODULE = "environ"
"""What a program imports of it."""
FORM = "variables"
"""What it reads."""
TERMS = (
    "the same texts as variables, from a dict, for it reads no files; loading converts and judges "
    "every option; nothing is interpolated, unknown names are never told, the first mistake is the "
    "only one told"
)
"""What loading does."""

_Option: TypeAlias = Mapping[str, Any]


def describe(options: Sequence[_Option]) -> Any:
    """Write the classes that a program would have written."""
    import environ  # type: ignore[import-not-found, unused-ignore]  # in its own environment

    bodies: dict[str, dict[str, Any]] = {}
    for each in options:
        variable = environ.var(
            default=each["default"],
            converter=_converter(each),
            validator=_validator(each),
            help=each["help"],
        )
        bodies.setdefault(each["section"], {})[each["name"]] = variable
    groups = {
        name: environ.group(environ.config(prefix=name)(type(name, (), body)))
        for name, body in bodies.items()
    }
    return environ.config(prefix="APP")(type("Nova", (), groups))


def _converter(option: _Option) -> Callable[[Any], Any] | None:
    from attrs import converters  # type: ignore[import-not-found, unused-ignore]  # its own

    kinds: Mapping[str, Callable[[Any], Any]] = {
        "int": int,
        "port": int,
        "float": float,
        "bool": converters.to_bool,
        "list": _list,
        "multi": _list,
        "dict": _dict,
    }
    convert = kinds.get(option["kind"])
    return converters.optional(convert) if convert and option["default"] is None else convert


def _validator(option: _Option) -> Any:
    from attrs import validators

    rules = []
    if option["choices"]:
        rules.append(validators.in_(option["choices"]))
    else:
        if option["low"] is not None:
            rules.append(validators.ge(option["low"]))
        if option["high"] is not None:
            rules.append(validators.le(option["high"]))
    if not rules:
        return None
    return validators.optional(rules) if option["default"] is None else rules


def _list(text: Any) -> list[str]:
    if isinstance(text, list):
        return text
    return [each.strip() for each in text.split(",")] if text else []


def _dict(text: Any) -> dict[str, str]:
    if isinstance(text, dict):
        return text
    return dict(each.split(":", 1) for each in text.split(",")) if text else {}


def load(described: Any, source: Any) -> Any:
    """Take the variables and check everything."""
    import environ

    return environ.to_config(described, source)


def value(loaded: Any, section: str, name: str) -> object:
    """Return what an option came to."""
    return getattr(getattr(loaded, section), name)


def reads(loaded: Any, section: str, name: str) -> Mapping[str, tuple[str, Mapping[str, object]]]:
    """Return the expressions that read an option, with what they stand on."""
    return {
        "held": (f"held.{name}", {"held": getattr(loaded, section)}),
        "root": (f"root.{section}.{name}", {"root": loaded}),
    }
