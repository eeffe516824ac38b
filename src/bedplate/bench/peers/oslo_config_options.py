"""oslo.config as services use it: options registered in groups, then a file given."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

__all__ = ["DISTRIBUTION", "FORM", "MODULE", "TERMS", "describe", "load", "reads", "value"]

DISTRIBUTION = "oslo.config"
"""What is measured, by the name under which it is installed."""
MODULE = "oslo_config.cfg"
"""What a program imports of it."""
FORM = "ini"
"""What it reads."""
TERMS = (
    "the file as it is; options are converted and judged when they are first read, so loading here "
    "registers them, parses and reads every one; unknown names are never told, the first mistake "
    "is the only one told"
)
"""What loading does."""

_Option: TypeAlias = Mapping[str, Any]
_Groups: TypeAlias = Mapping[str, list[Any]]


def describe(options: Sequence[_Option]) -> _Groups:
    """Make the options that a program would have made."""
    from oslo_config import cfg, types  # type: ignore[import-not-found, unused-ignore]  # its own

    plain = {
        "str": types.String,
        "int": types.Integer,
        "float": types.Float,
        "port": types.Port,
        "uri": types.URI,
        "bool": types.Boolean,
        "list": types.List,
        "dict": types.Dict,
        "host": types.HostAddress,
        "multi": types.String,
    }
    groups: dict[str, list[Any]] = {}
    for each in options:
        facts: dict[str, Any] = {}
        if each["choices"]:
            facts = {"choices": each["choices"]}
        elif each["kind"] in ("int", "float"):
            facts = {"min": each["low"], "max": each["high"]}
        kind = plain[each["kind"]](**facts)
        about = {"default": each["default"], "secret": each["secret"], "help": each["help"]}
        make = (
            partial(cfg.MultiOpt, item_type=kind)
            if each["kind"] == "multi"
            else partial(cfg.Opt, type=kind)
        )
        groups.setdefault(each["section"], []).append(make(each["name"], **about))
    return groups


def load(described: _Groups, source: str) -> Any:
    """Register, parse, and read every option, which is when it is checked."""
    from oslo_config import cfg

    conf = cfg.ConfigOpts()
    for group, options in described.items():
        conf.register_opts(options, group=None if group == "DEFAULT" else group)
    conf(
        ["--config-file", source],
        project="bench",
        default_config_files=[],
        default_config_dirs=[],
        use_env=False,
    )
    for group, options in described.items():
        holder = conf if group == "DEFAULT" else conf[group]
        for option in options:
            getattr(holder, option.dest)
    return conf


def value(loaded: Any, section: str, name: str) -> object:
    """Return what an option came to."""
    return loaded[name] if section == "DEFAULT" else loaded[section][name]


def reads(loaded: Any, section: str, name: str) -> Mapping[str, tuple[str, Mapping[str, object]]]:
    """Return the expressions that read an option, with what they stand on."""
    held = loaded[section]
    forget = loaded._ConfigOpts__cache.clear  # noqa: SLF001 - to read as if for the first time
    return {
        "held": (f"held.{name}", {"held": held}),
        "root": (f"conf.{section}.{name}", {"conf": loaded}),
        "key": (f"held[{name!r}]", {"held": held}),
        "first": (f"forget(); held.{name}", {"held": held, "forget": forget}),
    }
