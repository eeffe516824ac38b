"""What a server serves, told as data: methods, documentation and the schemas of all types.

Describes routes, and writes a description as JSON Schema or AsyncAPI. Pure; knows nothing of how
descriptions travel. Types are described by msgspec, which also checks them.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec
from msgspec import Struct

from bedplate.messaging.rpc.dispatch import Handler, Table
from bedplate.messaging.rpc.interface import Interface

__all__ = [
    "Description",
    "MethodDescription",
    "Schema",
    "ServedInterface",
    "asyncapi",
    "described",
    "json_schema",
]

Schema = dict[str, object]
"""A JSON Schema, draft 2020-12."""

_DEFS = "#/$defs/"


class MethodDescription(Struct, frozen=True, kw_only=True):
    """One method: ``arguments`` is the schema of a JSON object, a property an argument."""

    name: str
    doc: str = ""
    arguments: Schema
    result: Schema


class ServedInterface(Struct, frozen=True, kw_only=True):
    """The methods of one object in a namespace and a version; ``name`` is that of its class."""

    name: str
    namespace: str = ""
    version: str
    doc: str = ""
    methods: tuple[MethodDescription, ...]


class Description(Struct, frozen=True, kw_only=True):
    """All that one server serves.

    ``schemas`` are the named types, which others refer to as ``#/$defs/NAME``. ``server`` is
    empty where the server has no name of its own.
    """

    topic: str
    exchange: str = "default"
    server: str = ""
    interfaces: tuple[ServedInterface, ...]
    schemas: dict[str, Schema] = {}


def described(
    tables: Sequence[Table], *, topic: str, exchange: str = "default", server: str = ""
) -> Description:
    """Describe what is served. A class that msgspec has no schema of is described by its name."""
    handlers = [handler for table in tables for handler in table.methods.values()]
    shapes: list[object] = []
    for number, handler in enumerate(handlers):
        shapes += [_arguments_type(handler, number), handler.signature.result.type]
    schemas, named = _schemas(shapes)
    methods = iter(
        [
            _method(handler, _inlined(schemas[2 * number], named), schemas[2 * number + 1])
            for number, handler in enumerate(handlers)
        ]
    )
    interfaces = tuple(
        ServedInterface(
            name=table.kind.__name__,
            namespace=table.namespace,
            version=table.written,
            doc=_class_doc(table.kind),
            methods=tuple(next(methods) for _ in table.methods),
        )
        for table in tables
    )
    return Description(
        topic=topic, exchange=exchange, server=server, interfaces=interfaces, schemas=named
    )


# --- from routes --------------------------------------------------------------------------------


def _arguments_type(handler: Handler, number: int) -> type[Struct]:
    """Return the arguments of a method under a name that no other type has."""
    signature = handler.signature
    fields = [
        (each.name, each.type, each.default) if not each.required else (each.name, each.type)
        for each in msgspec.structs.fields(signature.arguments)
    ]
    return msgspec.defstruct(
        f"arguments.{number}", fields, kw_only=True, forbid_unknown_fields=not signature.extra
    )


def _schemas(shapes: Iterable[object]) -> tuple[list[Schema], dict[str, Schema]]:
    schemas, named = msgspec.json.schema_components(
        shapes, schema_hook=_foreign, ref_template=f"{_DEFS}{{name}}"
    )
    return list(schemas), dict(named)


def _foreign(kind: type) -> Schema:
    """Describe a class that msgspec has no schema of."""
    return {"title": "anything" if kind is object else kind.__name__}


def _inlined(schema: Schema, named: dict[str, Schema]) -> Schema:
    """Take the schema of arguments out of the named ones: its name is of no use to anybody."""
    ref = schema.get("$ref")
    if not isinstance(ref, str):
        return schema
    arguments = named.pop(ref.removeprefix(_DEFS))
    arguments.pop("title", None)
    return arguments


def _method(handler: Handler, arguments: Schema, result: Schema) -> MethodDescription:
    properties = arguments.get("properties")
    if isinstance(properties, dict):
        for name, value in _defaults(handler.function).items():
            if isinstance(each := properties.get(name), dict):
                properties[name] = {**each, "default": value}
    return MethodDescription(
        name=handler.signature.name.rpartition(".")[2],
        doc=inspect.getdoc(handler.function) or "",
        arguments=arguments,
        result=result,
    )


def _defaults(function: Callable[..., object]) -> Mapping[str, object]:
    """Return the defaults that JSON can tell."""
    found: dict[str, object] = {}
    for each in inspect.signature(function).parameters.values():
        if each.default is not each.empty:
            try:
                found[each.name] = msgspec.json.decode(msgspec.json.encode(each.default))
            except (TypeError, ValueError, OverflowError, RecursionError):
                continue
    return found


def _class_doc(kind: type) -> str:
    """Return what the class says of itself, or what the interface does that it implements."""
    for each in kind.__mro__:
        if each in (Interface, object):
            break
        if each.__dict__.get("__doc__"):
            return inspect.cleandoc(each.__dict__["__doc__"])
    return ""


# --- as documents -------------------------------------------------------------------------------


def json_schema(description: Description) -> Schema:
    """Return a description as one JSON Schema (draft 2020-12).

    It describes an object with a property a method, each an object of ``arguments`` and
    ``result``; the named types are its ``$defs``.
    """
    methods: Schema = {}
    for key, interface, method in _keyed(description):
        methods[key] = {
            "title": f"{interface.name}.{method.name}",
            **_said(method.doc),
            "type": "object",
            "properties": {"arguments": method.arguments, "result": method.result},
        }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": description.topic,
        **_said(_overall_doc(description)),
        "type": "object",
        "properties": methods,
        "$defs": dict(description.schemas),
    }


def asyncapi(description: Description) -> Schema:
    """Return a description as an AsyncAPI 3.0 document: an operation a method, with its reply."""
    schemas = "#/components/schemas/"
    messages: Schema = {}
    operations: Schema = {}
    for name, interface, method in _keyed(description):
        key = _plain(name, messages)
        headers = {"bedplate-method": method.name, "bedplate-version": interface.version}
        if interface.namespace:
            headers["bedplate-namespace"] = interface.namespace
        messages[key] = {
            "name": name,
            "contentType": "application/json",
            "headers": {
                "type": "object",
                "properties": {name: {"const": value} for name, value in headers.items()},
                "required": ["bedplate-method"],
            },
            "payload": _moved(method.arguments, schemas),
        }
        messages[f"{key}.reply"] = {
            "name": f"{name}.reply",
            "contentType": "application/json",
            "payload": _moved(method.result, schemas),
        }
        operations[key] = {
            "action": "receive",
            "channel": {"$ref": "#/channels/requests"},
            **_said(method.doc),
            "messages": [{"$ref": f"#/channels/requests/messages/{key}"}],
            "reply": {
                "address": {"location": "$message.header#/reply_to"},
                "channel": {"$ref": "#/channels/replies"},
                "messages": [{"$ref": f"#/channels/replies/messages/{key}.reply"}],
            },
        }
    version = max((each.version for each in description.interfaces), key=_numbers, default="1.0")
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": description.topic,
            "version": version,
            **_said(_overall_doc(description)),
        },
        "defaultContentType": "application/json",
        "channels": {
            "requests": {
                "address": description.topic,
                "messages": _referred(operations),
            },
            "replies": {
                "address": None,
                "messages": _referred(f"{key}.reply" for key in operations),
            },
        },
        "operations": operations,
        "components": {
            "messages": messages,
            "schemas": {
                name: _moved(schema, schemas) for name, schema in description.schemas.items()
            },
        },
    }


def _keyed(
    description: Description,
) -> Iterable[tuple[str, ServedInterface, MethodDescription]]:
    """Give each method a name of its own: with its namespace, and its version where it must."""
    seen: set[str] = set()
    for interface in description.interfaces:
        for method in interface.methods:
            name = f"{interface.namespace}.{method.name}" if interface.namespace else method.name
            key = f"{name}-{interface.version}" if name in seen else name
            if key not in seen:  # what is served twice is served by the first
                seen.add(key)
                yield key, interface, method


def _overall_doc(description: Description) -> str:
    return "\n\n".join(each.doc for each in description.interfaces if each.doc)


def _said(doc: str) -> Schema:
    return {"description": doc} if doc else {}


def _plain(name: str, taken: Schema) -> str:
    """Spell a name in the characters that keys of AsyncAPI and references to them may have."""
    key = "".join(
        each if each.isascii() and (each.isalnum() or each in "._-") else "_" for each in name
    )
    while key in taken or f"{key}.reply" in taken:
        key += "_"
    return key


def _referred(keys: Iterable[str]) -> Schema:
    return {key: {"$ref": f"#/components/messages/{key}"} for key in keys}


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdigit() else 0 for part in version.split("."))


def _moved(schema: object, where: str) -> object:
    """Return a schema whose references lead to ``where`` instead."""
    if isinstance(schema, dict):
        return {
            key: where + value.removeprefix(_DEFS)
            if key == "$ref" and isinstance(value, str)
            else _moved(value, where)
            for key, value in schema.items()
        }
    if isinstance(schema, list | tuple):
        return [_moved(each, where) for each in schema]
    return schema
