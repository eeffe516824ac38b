"""What a server serves, as people read it. Pure: a description in, text out."""

import json
from collections.abc import Iterator, Mapping
from textwrap import indent
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bedplate.messaging.rpc import Description, MethodDescription, ServedInterface

__all__ = ["description_text"]


def description_text(description: "Description") -> str:
    """Return the methods with their types and words, and the fields of the types they name."""
    who = f", as {description.server} serves it" if description.server else ""
    blocks = [f"{description.topic}{who}"]
    blocks += map(_interface, description.interfaces)
    if description.schemas:
        types = "\n\n".join(_named(*each) for each in sorted(description.schemas.items()))
        blocks.append(f"Types\n\n{indent(types, '  ')}")
    return "\n\n".join(blocks)


def _interface(interface: "ServedInterface") -> str:
    where = f" in the namespace {interface.namespace}" if interface.namespace else ""
    blocks = [f"{interface.name} {interface.version}{where}"]
    if interface.doc:
        blocks[0] += f"\n{indent(interface.doc, '  ')}"
    blocks += [indent(_method(each), "  ") for each in interface.methods]
    return "\n\n".join(blocks)


def _method(method: "MethodDescription") -> str:
    arguments = list(_fields(method.arguments, optional=" = …"))
    if method.arguments.get("additionalProperties", True) is not False:
        arguments.append("**others")
    head = f"{method.name}({', '.join(arguments)}) -> {_phrase(method.result)}"
    return f"{head}\n{indent(method.doc, '    ')}" if method.doc else head


def _named(name: str, schema: Mapping[str, object]) -> str:
    if "properties" not in schema:
        return f"{name}: {_phrase({**schema, 'title': None})}"
    doc = schema.get("description")
    head = f"{name}\n{indent(str(doc), '  ')}" if doc else name
    return "\n".join([head, *(f"    {field}" for field in _fields(schema, optional=" (optional)"))])


def _fields(schema: Mapping[str, object], *, optional: str) -> Iterator[str]:
    """Yield ``name: type``, and the default or ``optional`` where it may be left out."""
    properties, required = schema.get("properties"), schema.get("required")
    for name, each in properties.items() if isinstance(properties, Mapping) else ():
        text = f"{name}: {_phrase(each)}"
        if isinstance(each, Mapping) and "default" in each:
            yield f"{text} = {json.dumps(each['default'], ensure_ascii=False)}"
        elif isinstance(required, list) and name in required:
            yield text
        else:
            yield f"{text}{optional}"


def _phrase(schema: object) -> str:  # noqa: PLR0911 - a table: one return a form
    """Say in a few words what a schema allows; what is not understood is shown as it is."""
    match schema:
        case {"$ref": str(ref)}:
            return ref.rpartition("/")[2]
        case {"anyOf": list(several)}:
            return " | ".join(map(_phrase, several))
        case {"enum": list(values)}:
            return " | ".join(json.dumps(each, ensure_ascii=False) for each in values)
        case {"const": value}:
            return json.dumps(value, ensure_ascii=False)
        case {"type": "array", "items": items}:
            return f"array of {_phrase(items)}"
        case {"type": "array", "prefixItems": list(items)}:
            return f"[{', '.join(map(_phrase, items))}]"
        case {"type": "object", "additionalProperties": dict(values)}:
            return f"object of {_phrase(values)}"
        case {"type": str(kind), **rest}:
            return f"{kind}{_bounds(rest)}"
        case {"title": str(title)}:
            return title
        case _:
            return "anything" if not schema else json.dumps(schema, ensure_ascii=False)


def _bounds(schema: Mapping[object, object]) -> str:
    told = [
        f"{mark} {json.dumps(schema[name], ensure_ascii=False)}"
        for name, mark in (
            ("format", "as"),
            ("minimum", "at least"),
            ("exclusiveMinimum", "above"),
            ("maximum", "at most"),
            ("exclusiveMaximum", "below"),
            ("minLength", "length at least"),
            ("maxLength", "length at most"),
            ("pattern", "matching"),
        )
        if name in schema
    ]
    return f" ({', '.join(told)})" if told else ""
