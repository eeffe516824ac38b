"""How values that JSON does not know cross the wire: hooks that the application gives.

Turns the application's functions into an encoder, decoders and what else both ends need; whatever
they raise becomes an error that says whose it is. Knows nothing of calls.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol, TypeVar

import msgspec
from msgspec import Struct

from bedplate.errors import MalformedMessage, Unencodable
from bedplate.messaging.wire import native
from bedplate.messaging.wire.values import Context

__all__ = ["PLAIN", "Codec", "Dumps", "Serializer", "codec_of"]

T = TypeVar("T")


class Serializer(Struct, frozen=True, kw_only=True):
    """Functions for values of the application that msgspec does not know; all may be left out.

    Arguments, results, progress, details of errors and context pass through it, each on the end
    where it is given; dataclasses, msgspec Structs, enums, datetimes, UUIDs, decimals and the like
    need none.

    - ``dump(value)`` returns a value that is not known as one that is. What it returns may hold
      further unknown values.
    - ``load(kind, value)`` returns the value of type ``kind``, which a method is annotated with, of
      what ``dump`` made of it. Where nothing is annotated, ``kind`` is `object` and ``value`` one
      whole argument, result, progress or detail, to be returned as it is if nothing is to be made
      of it. On a server, `context` tells of the request meanwhile.
    - ``dump_context(context)`` returns what travels instead of the caller's ``context``, also of an
      empty one; ``load_context`` turns it back for `Context.values` and access policies.

    One that raises makes the value `Unencodable`, or the arguments `BadArguments`, or the answer
    a `MalformedMessage`; it ends nothing else. They run on the loop and must be quick.
    """

    dump: Callable[[object], object] | None = None
    load: Callable[[type, object], object] | None = None
    dump_context: Callable[[Mapping[str, object]], Mapping[str, object]] | None = None
    load_context: Callable[[Mapping[str, object]], Mapping[str, object]] | None = None


class Dumps(Protocol):
    """Returns a value as JSON text; see `bedplate.messaging.wire.native.dumps`."""

    def __call__(self, value: object, what: str, /) -> bytes:
        """Raise `Unencodable`, naming ``what``, and `TooLarge`."""
        ...


class Codec(Struct, frozen=True):
    """A serializer, ready for use: what is None needs not be done. See `codec_of`.

    ``hook`` is msgspec's ``dec_hook``. ``load`` takes a whole value without annotation and raises
    ValueError; so do ``hook`` and ``load_context``. ``dump_context`` raises `Unencodable`.
    """

    dumps: Dumps = native.dumps
    hook: Callable[[type, object], object] | None = None
    load: Callable[[object], object] | None = None
    dump_context: Callable[[Context], Context] | None = None
    load_context: Callable[[Context], Context] | None = None

    def plain(self, values: Mapping[str, object], what: str) -> dict[str, object]:
        """Return values as JSON will tell them. Raises `Unencodable`, `TooLarge`."""
        return _OBJECT.decode(self.dumps(values, what))

    def loaded(self, text: bytes, where: str) -> object:
        """Return the value of JSON text without annotation. Raises `MalformedMessage`."""
        try:
            value = native.loads(text, _ANY, where)
            return value if self.load is None else self.load(value)
        except ValueError as error:  # msgspec's ValidationError is one
            raise MalformedMessage(where=where, why=str(error)) from error.__cause__


_ANY: msgspec.json.Decoder[object] = msgspec.json.Decoder(object)
_OBJECT = msgspec.json.Decoder(dict[str, object])

PLAIN = Codec()
"""The codec of those who give no serializer."""


def codec_of(serializer: Serializer | None) -> Codec:
    """Build what both ends need of a serializer. Raises TypeError for what cannot be called."""
    if serializer is None:
        return PLAIN
    if not isinstance(serializer, Serializer):
        raise TypeError(f"{serializer!r} is no rpc.Serializer; make one of its functions")
    for name in serializer.__struct_fields__:
        each = getattr(serializer, name)
        if each is not None and not callable(each):
            raise TypeError(
                f"the serializer's {name} is {each!r}: give a function, or leave it out"
            )
    dumps: Dumps = native.dumps
    if serializer.dump is not None:
        encoder = msgspec.json.Encoder(enc_hook=partial(_dump, serializer.dump))
        dumps = partial(native.dumps, encoder=encoder)
    hook = load = dump_context = load_context = None
    if serializer.load is not None:
        hook = partial(_load, serializer.load)
        load = partial(hook, object)
    if serializer.dump is not None or serializer.dump_context is not None:
        dump_context = partial(_dump_context, serializer.dump_context, dumps)
    if serializer.load_context is not None:
        load_context = partial(_load_context, serializer.load_context)
    return Codec(dumps, hook, load, dump_context, load_context)


def _dump(dump: Callable[[object], object], value: object) -> object:
    try:
        return dump(value)
    except Exception as error:
        raise TypeError(
            f"the serializer cannot dump a {type(value).__name__}: {_said(error)}"
        ) from error


def _load(load: Callable[[type, object], object], kind: type, value: object) -> object:
    try:
        return load(kind, value)
    except Exception as error:
        what = "a value" if kind is object else f"a {getattr(kind, '__name__', kind)}"
        raise ValueError(f"the serializer cannot load {what}: {_said(error)}") from error


def _dump_context(
    dump: Callable[[Context], Context] | None, dumps: Dumps, context: Context
) -> Context:
    what = "a context"
    if dump is not None:
        try:
            context = dict(dump(context))
        except Exception as error:
            why = f"the serializer cannot dump it: {_said(error)}"
            raise Unencodable(what=what, why=why) from error
    return _OBJECT.decode(dumps(dict(context), what))


def _load_context(load: Callable[[Context], Context], context: Context) -> Context:
    try:
        return load(context)
    except Exception as error:
        raise ValueError(f"the serializer cannot load the context: {_said(error)}") from error


def _said(error: Exception) -> str:
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - a broken __str__ must not hide the error
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
