"""bedplate's own part of the contest of configuration: a class for each section."""

from collections.abc import Mapping, Sequence
from functools import partial
from types import new_class
from typing import Any, Literal, Optional, TypeAlias

__all__ = ["DISTRIBUTION", "FORM", "MODULE", "TERMS", "describe", "load", "reads", "value"]

DISTRIBUTION = "bedplate"
"""What is measured, by the name under which it is installed."""
MODULE = "bedplate.config"
"""What a program imports of it."""
FORM = "ini"
"""What it reads."""
TERMS = (
    "the file as it is; loading converts and judges every option and all names, interpolates, and "
    "keeps where each value was written"
)
"""What loading does."""

_Option: TypeAlias = Mapping[str, Any]
_Classes: TypeAlias = Mapping[str, type]


def describe(options: Sequence[_Option]) -> _Classes:
    """Write the classes that a program would have written."""
    from bedplate.config import HostAddress, Port, Repeated, Secret, Section, Uri, option

    annotations: Mapping[str, Any] = {
        "str": str,
        "int": int,
        "float": float,
        "bool": bool,
        "port": Port,
        "list": tuple[str, ...],
        "dict": Mapping[str, str],
        "multi": Repeated[str],
        "uri": Uri,
        "host": HostAddress,
    }
    bodies: dict[str, dict[str, Any]] = {}
    for each in options:
        annotation = annotations[each["kind"]]
        if each["choices"]:
            annotation = Literal[tuple(each["choices"])]
        if each["secret"]:
            annotation = Secret[annotation]  # type: ignore[valid-type]  # a value here
        body = bodies.setdefault(each["section"], {"__annotations__": {}, "__module__": __name__})
        body["__annotations__"][each["name"]] = (
            Optional[annotation] if each["default"] is None else annotation  # noqa: UP045 - a value
        )
        bounds = {}
        if each["kind"] in ("int", "float") and not each["choices"]:
            bounds = {"min": each["low"], "max": each["high"]}
        body[each["name"]] = option(default=_default(each), help=each["help"], **bounds)
    return {
        name: new_class(name, (Section,), {"name": name}, partial(_fill, body))
        for name, body in bodies.items()
    }


def _fill(body: Mapping[str, object], namespace: dict[str, object]) -> None:
    namespace.update(body)


def _default(option: _Option) -> Any:
    default = option["default"]
    if default is not None and option["secret"]:
        from bedplate.config import Secret

        return Secret(default)
    return tuple(default) if isinstance(default, list) else default


def load(described: _Classes, source: str) -> tuple[_Classes, Any]:
    """Read the file and check everything."""
    from bedplate.config import Config

    config = Config.load(described.values(), program="bench", argv=(), environ={}, files=[source])
    config.seal()  # no section comes later: what nobody asked for is unknown
    return described, config


def value(loaded: tuple[_Classes, Any], section: str, name: str) -> object:
    """Return what an option came to."""
    described, config = loaded
    found = getattr(config[described[section]], name)
    return found.reveal() if hasattr(found, "reveal") else found


def reads(
    loaded: tuple[_Classes, Any], section: str, name: str
) -> Mapping[str, tuple[str, Mapping[str, object]]]:
    """Return the expressions that read an option, with what they stand on."""
    described, config = loaded
    cls = described[section]
    return {
        "held": (f"held.{name}", {"held": config[cls]}),
        "root": (f"config[cls].{name}", {"config": config, "cls": cls}),
    }
