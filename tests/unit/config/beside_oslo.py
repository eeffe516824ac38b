"""oslo.config itself, asked for what it makes of options and of a file, and bedplate beside it.

Options are made by oslo.config's own classes, and reach bedplate through its own generator. The
values of both are written as text, so that values of equal type and content are equal.
"""

import json
import tempfile
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from oslo_config import cfg, generator, types

from bedplate.config import Secret
from bedplate.config.auditing import audit_trees
from bedplate.config.document import Document
from bedplate.config.oslo import option_set
from bedplate.config.specs import Unresolved

__all__ = [
    "NOT_USED",
    "REFUSED",
    "Asked",
    "Entry",
    "Made",
    "Name",
    "Values",
    "described",
    "ours",
    "printed",
    "read_alone",
    "theirs",
]

REFUSED, NOT_USED = "<refused>", "<not used>"

Name = tuple[str, str]
"""Group and dest of an option."""

Entry = Mapping[str, Any]
"""One option, as the generator prints it."""

Values = dict[Name, str]

_KINDS: Mapping[str, type[types.ConfigType]] = MappingProxyType(
    {
        "string value": types.String,
        "integer value": types.Integer,
        "floating point value": types.Float,
        "boolean value": types.Boolean,
        "port value": types.Port,
        "list value": types.List,
        "dict value": types.Dict,
        "multi valued": types.MultiString,
        "range value": types.Range,
        "IP address value": types.IPAddress,
        "hostname value": types.Hostname,
        "host address value": types.HostAddress,
        "host domain value": types.HostDomain,
        "uri value": types.URI,
    }
)


class Made(NamedTuple):
    """An option of some group."""

    group: str
    option: cfg.Opt

    @property
    def name(self) -> Name:
        """Under which a file sets it, and a program reads it."""
        return self.group, self.option.dest


def printed(options: Sequence[Made]) -> dict[str, Any]:
    """Return what ``oslo-config-generator --format json`` prints of options, by their groups."""
    listing: dict[str, list[cfg.Opt]] = {}
    for group, option in options:
        listing.setdefault(group, []).append(option)
    # Its public way is a process, or an installed package, for each set.
    groups = generator._get_groups([("made", list(listing.items()))])
    data = generator._generate_machine_readable_data(groups, cfg.ConfigOpts())
    read: dict[str, Any] = json.loads(json.dumps(data))["options"]
    return read


def described(about: Entry) -> cfg.Opt:
    """Make an option of what is printed of it, and of nothing else."""
    facts: dict[str, Any] = {}
    if about["choices"]:
        facts["choices"] = [tuple(each) for each in about["choices"]]
    for bound in ("min", "max"):
        if about.get(bound) is not None and about["type"] != "range value":
            facts[bound] = about[bound]
    type_ = _KINDS.get(about["type"], types.String)(**facts)
    old = [
        # Printed is the name of an option that has moved, and looked up its dest.
        cfg.DeprecatedOpt(each["name"] if each["name"] != about["name"] else None, each["group"])
        for each in about["deprecated_opts"]
    ]
    facts = {"dest": about["dest"], "default": about["default"], "secret": about["secret"]}
    facts["required"] = about.get("required", False)
    if about["type"] == "multi valued":
        return cfg.MultiOpt(about["name"], item_type=type_, deprecated_opts=old, **facts)
    return cfg.Opt(about["name"], type=type_, deprecated_opts=old, **facts)


def _registered(options: Sequence[Made]) -> cfg.ConfigOpts:
    conf = cfg.ConfigOpts()
    for group, option in options:
        conf.register_opt(option, group=None if group == "DEFAULT" else group)
    return conf


def _parsed(options: Sequence[Made], data: bytes) -> cfg.ConfigOpts | None:
    conf = _registered(options)
    with tempfile.NamedTemporaryFile(suffix=".conf") as file:
        file.write(data)
        file.flush()
        try:
            conf(
                ["--config-file", file.name],
                project="made",
                default_config_files=[],
                default_config_dirs=[],
                use_env=False,
            )
        except cfg.ConfigFileParseError:
            return None
        except (cfg.Error, ValueError, RecursionError):
            pass  # told of one option, and the file is read by now
    return conf


class Asked(NamedTuple):
    """What oslo.config makes of options and a file.

    ``values`` are those it returns, ``written`` the texts it found for an option, before it looked
    at them, and ``keys`` all it found in the file, whether there are such options or not.
    """

    values: Values
    written: Mapping[Name, list[str]]
    keys: frozenset[Name]


def theirs(options: Sequence[Made], data: bytes) -> Asked | None:
    """Parse with oslo.config, and read every option; None if it does not take the file."""
    conf = _parsed(options, data)
    if conf is None or conf._namespace is None:
        return None
    # What it found has no public way out.
    written: dict[Name, list[str]] = {}
    for made in options:
        group = None if made.group == "DEFAULT" else made.group
        try:
            value, _ = made.option._get_from_namespace(conf._namespace, group)
        except KeyError:
            continue
        written[made.name] = value if made.option.multi else [value]
    found = conf._namespace._normalized
    return Asked(
        {each.name: _value(conf, each) for each in options},
        written,
        frozenset((group, key) for each in found for group, keys in each.items() for key in keys),
    )


def _value(conf: cfg.ConfigOpts, made: Made) -> str:
    holder = conf if made.group == "DEFAULT" else conf[made.group]
    try:
        value = getattr(holder, made.option.dest)
        return REFUSED if value is None and made.option.required else _shown(value)
    except (ValueError, cfg.Error, RecursionError):
        return REFUSED


def read_alone(option: cfg.Opt, written: object) -> str:
    """Return what oslo.config makes of one option by itself, when this is written for it.

    No dollar of it means anything.
    """
    try:
        if option.multi and isinstance(written, list):
            return _shown([option.type(each) for each in written])
        return _shown(option.type(written))
    except ValueError:
        return REFUSED


def ours(options: Mapping[str, Any], data: bytes) -> Values | None:
    """Read with bedplate, which knows what is printed; None if it does not take the file.

    An option of a section that is not configured is `NOT_USED`.
    """
    schema = option_set({"options": options}, "made")
    document = Document.parse(data, "made.conf")
    if any(each.severity == "error" for each in document.findings):
        return None
    seen = audit_trees([document.tree()], schema, "OS")
    wrong = {
        (each.section, each.option) for each in seen.converted.findings if each.severity == "error"
    }
    found: Values = {}
    for spec in schema:
        at = spec.section, spec.name
        values = seen.converted.values.get(spec.section, {})
        if at in wrong:
            found[at] = REFUSED
        else:
            found[at] = _shown(values[spec.name]) if spec.name in values else NOT_USED
    return found


def _shown(value: object) -> str:
    if isinstance(value, Unresolved):
        return REFUSED  # what it refers to is wrong, which is told there
    if isinstance(value, Secret):
        value = value.reveal()
    if isinstance(value, Mapping):
        return repr({name: _shown(value[name]) for name in sorted(value)})
    if isinstance(value, list | tuple):
        return repr([_shown(each) for each in value])
    if isinstance(value, range):
        # '3' has one number, whichever way it is counted.
        return repr((value[0], value[-1])) if value else "()"
    return repr(value) if isinstance(value, bool | int | float | None) else repr(str(value))
