"""What mypy must refuse in configuration. Each line marked must be reported, and no other."""

from bedplate.config import Config, Port, Secret, Section, Url, option


class Api(Section):
    """A section with mistakes beside it."""

    workers: int = option(default=4)
    password: Secret[str] = option()
    port: Port = option(default=80)


class Wrong(Section):
    """A section of mistakes."""

    count: int = option(default="4")  # E: Incompatible types in assignment
    place: Url = option(default="sqlite://")  # E: Incompatible types in assignment
    word: Secret[str] = option(default="x")  # E: expected "Secret[str]"
    positional: int = option(4)  # E: No overload variant of "option" matches
    unheard: int = option(default=4, minimum=1)  # E: Unexpected keyword argument "minimum"


def reading(api: Api, config: Config) -> None:
    """Mistakes in reading."""
    api.workers = 5  # E: Property "workers" defined in "Api" is read-only
    api.other = 5  # E: "Api" has no attribute "other"
    wrong = api.wokers  # E: "Api" has no attribute "wokers"
    api.password.upper()  # E: "Secret[str]" has no attribute "upper"
    len(api.password)  # E: Argument 1 to "len" has incompatible type
    text: str = api.workers  # E: Incompatible types in assignment
    config["api"]  # E: Invalid index type "str" for "Config"
    other = config.get(Api).workers  # E: Item "None" of "Api | None" has no attribute "workers"
    assert text + wrong + other


def making() -> None:
    """Mistakes in making and loading."""
    Api()  # E: Missing named argument "password" for "Api"
    Api(Secret("x"))  # E: Too many positional arguments for "Api"
    Api(password="x")  # E: Argument "password" to "Api" has incompatible type "str"
    Config.load([Api])  # E: Missing named argument "program" for "load" of "Config"
    Config.load([Api], program="x", unknown="hide")  # E: Argument "unknown" to "load"
    Config.load([str], program="x")  # E: List item 0 has incompatible type "type[str]"
