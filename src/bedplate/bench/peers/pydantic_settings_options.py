"""pydantic-settings with a model for each section, nested in one, and a TOML file."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeAlias

__all__ = ["DISTRIBUTION", "FORM", "MODULE", "TERMS", "describe", "load", "reads", "value"]

DISTRIBUTION = "pydantic-settings"
"""What is measured, by the name under which it is installed."""
MODULE = "pydantic_settings"
"""What a program imports of it."""
FORM = "toml"
"""What it reads."""
TERMS = (
    "the same values as TOML, with their types; loading parses, converts and judges every option "
    "and, told to forbid extras, all names; nothing is interpolated, and mistakes are told at once "
    "but without file and line"
)
"""What loading does."""

_Option: TypeAlias = Mapping[str, Any]


def describe(options: Sequence[_Option]) -> Any:
    """Write the classes that a program would have written."""
    from pydantic import (  # type: ignore[import-not-found, unused-ignore]  # its own
        AnyUrl,
        ConfigDict,
        Field,
        SecretStr,
        create_model,
    )
    from pydantic_settings import (  # type: ignore[import-not-found, unused-ignore]  # its own
        BaseSettings,
        SettingsConfigDict,
        TomlConfigSettingsSource,
    )

    annotations: Mapping[str, Any] = {
        "str": str,
        "int": int,
        "float": float,
        "bool": bool,
        "port": int,
        "list": list[str],
        "dict": dict[str, str],
        "multi": list[str],
        "uri": AnyUrl,
        "host": str,
    }
    fields: dict[str, dict[str, Any]] = {}
    for each in options:
        annotation: Any = SecretStr if each["secret"] else annotations[each["kind"]]
        if each["choices"]:
            annotation = Literal[tuple(each["choices"])]
        elif each["kind"] in ("int", "float", "port"):
            annotation = Annotated[annotation, Field(ge=each["low"], le=each["high"])]
        if each["default"] is None:
            annotation = annotation | None
        field = Field(default=each["default"], description=each["help"])
        fields.setdefault(each["section"], {})[each["name"]] = (annotation, field)
    strict = ConfigDict(extra="forbid", protected_namespaces=())
    models = {
        name: create_model(name, __config__=strict, __base__=None, **body)
        for name, body in fields.items()
    }

    class Settings(BaseSettings):  # type: ignore[misc, unused-ignore]  # known in its environment
        model_config = SettingsConfigDict(extra="forbid")

        @classmethod
        def settings_customise_sources(cls, settings_cls: Any, **_: Any) -> Any:
            return (TomlConfigSettingsSource(settings_cls, cls.model_config["toml_file"]),)

    return create_model(
        "Nova",
        __base__=Settings,
        **{name: (model, Field(default_factory=model)) for name, model in models.items()},
    )


def load(described: Any, source: str) -> Any:
    """Read the file and check everything."""
    described.model_config["toml_file"] = source
    return described()


def value(loaded: Any, section: str, name: str) -> object:
    """Return what an option came to."""
    found = getattr(getattr(loaded, section), name)
    if hasattr(found, "get_secret_value"):
        return found.get_secret_value()
    return str(found) if type(found).__module__.startswith("pydantic") else found


def reads(loaded: Any, section: str, name: str) -> Mapping[str, tuple[str, Mapping[str, object]]]:
    """Return the expressions that read an option, with what they stand on."""
    return {
        "held": (f"held.{name}", {"held": getattr(loaded, section)}),
        "root": (f"root.{section}.{name}", {"root": loaded}),
    }
