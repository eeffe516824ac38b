"""What a method takes and gives, read once from its annotations.

Both ends use the same reading: a client checks and encodes arguments by it and decodes results, a
server decodes and checks arguments. Pure; knows nothing of topics, transports or calls.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, final, get_type_hints

import msgspec
from msgspec import UNSET, Struct, UnsetType, convert

from bedplate._floor.cause import caused
from bedplate.errors import MalformedMessage
from bedplate.messaging.rpc.context import Context
from bedplate.messaging.rpc.serializer import PLAIN, Codec
from bedplate.messaging.wire.native import loads

__all__ = ["Signature", "public_methods", "read_signature", "readable"]

_Kind = inspect.Parameter


@final
class Signature:
    """A method as peers see it. ``name`` is for messages: ``Stock.reserve``.

    ``arguments`` is a Struct of the parameters, unset where a default stands; ``extra`` says that
    others are taken too (``**kwargs``). ``untyped`` are parameters that take anything, and
    ``return`` if the result is anything.
    """

    __slots__ = (
        "_dumps",
        "_free",
        "_given",
        "_load",
        "_result",
        "arguments",
        "codec",
        "extra",
        "is_async",
        "name",
        "parameters",
        "reader",
        "result",
        "takes_context",
        "untyped",
    )

    def __init__(  # noqa: PLR0913 - made in one place, by name
        self,
        *,
        name: str,
        parameters: tuple[str, ...],
        arguments: type[Struct],
        reader: msgspec.json.Decoder[Struct],
        result: msgspec.json.Decoder[object],
        extra: bool,
        takes_context: bool,
        is_async: bool,
        untyped: frozenset[str],
        codec: Codec,
    ) -> None:
        self.name, self.parameters, self.arguments = name, parameters, arguments
        self.reader, self.result = reader, result
        self.extra, self.takes_context, self.is_async = extra, takes_context, is_async
        self.untyped, self.codec = untyped, codec
        self._load, self._dumps = codec.load, codec.dumps
        self._free = "return" in untyped
        self._given = f"the arguments of {name}()"
        self._result = f"the result of {name}()"

    def named(self, given: tuple[object, ...], named: dict[str, object]) -> Mapping[str, object]:
        """Return a caller's arguments by name.

        Raises TypeError, as a call of a plain function does, for more than there are parameters,
        and for two values of one.
        """
        if not given:
            return named
        parameters = self.parameters
        if len(given) > len(parameters):
            raise TypeError(
                f"{self.name}() takes {len(parameters)} arguments, {len(given)} were given"
            )
        values = {**named}
        for at, value in enumerate(given):
            name = parameters[at]
            if name in values:
                raise TypeError(f"{self.name}() got two values for the argument {name!r}")
            values[name] = value
        return values

    def bind(self, values: Mapping[str, object]) -> bytes:
        """Return a caller's arguments as JSON text.

        Raises TypeError, as a call of a plain function does, for arguments that do not fit the
        parameters or their annotations; `Unencodable` and `TooLarge`.
        """
        try:
            arguments = convert(values, self.arguments)
        except msgspec.ValidationError as error:
            wrong = TypeError(f"{self.name}(): {readable(error)}")
            raise caused(wrong, None) from None
        if not self.extra:
            return self._dumps(arguments, self._given)
        return self._dumps({**values, **_set(self.parameters, arguments)}, self._given)

    def unbind(self, text: bytes, where: str) -> dict[str, object]:
        """Return the arguments of a request by name, leaving out those that have defaults.

        Raises `MalformedMessage`, and ValueError with a readable reason for text that is sound and
        does not fit.
        """
        try:
            arguments = _set(self.parameters, loads(text, self.reader, where))
            if self.extra:
                arguments = loads(text, _OBJECT, where) | arguments
        except msgspec.ValidationError as error:
            raise caused(ValueError(readable(error)), error.__cause__) from error.__cause__
        load = self._load
        if load is not None:
            for name, value in arguments.items():
                if name in self.untyped or name not in self.parameters:
                    arguments[name] = load(value)
        return arguments

    def read_result(self, text: bytes) -> object:
        """Return a result. Raises `MalformedMessage` for one that does not fit the annotation."""
        if self._free:
            return self.codec.loaded(text, self._result)
        try:
            return loads(text, self.result, self._result)
        except msgspec.ValidationError as error:
            wrong = MalformedMessage(where=self._result, why=readable(error))
            raise caused(wrong, error.__cause__) from error.__cause__


_OBJECT = msgspec.json.Decoder(dict[str, object])


def _set(parameters: tuple[str, ...], arguments: Struct) -> dict[str, object]:
    found: dict[str, object] = {}
    for name in parameters:
        value: object = getattr(arguments, name)
        if value is not UNSET:
            found[name] = value
    return found


def readable(error: msgspec.ValidationError) -> str:
    """Return the reason of a validation error in the words of arguments, not of JSON objects."""
    text = str(error)
    for theirs, ours in _PHRASES:
        text = text.replace(theirs, ours)
    return text


_PHRASES = (
    ("Object missing required field", "missing the argument"),
    ("Object contains unknown field", "there is no argument"),
    (" - at `$.", " - at `"),
    (" - at `$[", " - at `["),
    (" - at `$`", ""),
)


def public_methods(kind: type, *, below: type = object) -> dict[str, Callable[..., object]]:
    """Return what ``kind`` offers to peers: its methods without leading underscore.

    Those of ``below`` and its ancestors are left out, and so is what is no method: properties,
    nested classes, plain values. Nothing is evaluated.
    """
    found: dict[str, Callable[..., object]] = {}
    for name in dir(kind):
        if name.startswith("_") or hasattr(below, name):
            continue
        static = inspect.getattr_static(kind, name)
        method = static.__func__ if isinstance(static, staticmethod | classmethod) else static
        if inspect.isroutine(method):
            found[name] = method
    return found


def read_signature(
    method: Callable[..., object],
    name: str,
    declared: Callable[..., object] | None = None,
    codec: Codec = PLAIN,
) -> Signature:
    """Read a bound method; annotations it lacks are taken from ``declared``.

    Raises TypeError, saying what to change, for what cannot be called from afar.
    """
    hints = {**(_hints(declared, name) if declared else {}), **_hints(method, name)}
    parameters = list(inspect.signature(method).parameters.values())
    takes_context = bool(parameters) and hints.get(parameters[0].name) is Context
    if takes_context:
        del parameters[0]
    fields: list[tuple[str, Any, Any] | tuple[str, Any]] = []
    extra = False
    for each in parameters:
        hint = hints.get(each.name, object)
        if each.kind is _Kind.VAR_KEYWORD:
            extra = True
        elif each.kind in (_Kind.VAR_POSITIONAL, _Kind.POSITIONAL_ONLY):
            raise TypeError(
                f"{name}(): arguments travel by name, and {each.name!r} can have none; "
                f"make it an ordinary parameter"
            )
        elif each.default is _Kind.empty:
            fields.append((each.name, hint))
        else:
            # `object` takes anything, and takes no part in a union.
            known = hint is object or hint is Any
            fields.append((each.name, hint if known else hint | UnsetType, UNSET))
    if inspect.isasyncgenfunction(method) or inspect.isgeneratorfunction(method):
        raise TypeError(f"{name}() is a generator; a method answers once, with a value")
    try:
        arguments = msgspec.defstruct(
            "Arguments", fields, kw_only=True, forbid_unknown_fields=not extra
        )
        reader = msgspec.json.Decoder(arguments, dec_hook=codec.hook)
        result = msgspec.json.Decoder(hints.get("return", object), dec_hook=codec.hook)
    except (TypeError, ValueError) as error:
        wrong = TypeError(f"{name}(): an annotation cannot be used: {error}")
        raise caused(wrong, error) from error
    return Signature(
        name=name,
        parameters=tuple(field[0] for field in fields),
        arguments=arguments,
        reader=reader,
        result=result,
        extra=extra,
        takes_context=takes_context,
        is_async=inspect.iscoroutinefunction(method),
        untyped=frozenset(
            name
            for name in (*(each.name for each in parameters), "return")
            if hints.get(name, object) in (object, Any)
        ),
        codec=codec,
    )


def _hints(method: Callable[..., object], name: str) -> dict[str, Any]:
    try:
        return get_type_hints(method, include_extras=True)
    except NameError as error:
        wrong = TypeError(
            f"{name}(): the annotation {error.name!r} is not there at run time; "
            f"import it outside of TYPE_CHECKING"
        )
        raise caused(wrong, error) from error
