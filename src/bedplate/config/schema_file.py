"""Reading and writing a schema as a file, whoever wrote it.

Our own JSON Schema, and what ``oslo-config-generator`` prints as JSON or YAML, are read alike.
Knows which is which, nothing of what stands in either.
"""

from os import PathLike, fspath

from bedplate.config.schema import Schema
from bedplate.errors import NotASchema

__all__ = ["read_schema", "write_schema"]


def read_schema(path: str | PathLike[str]) -> Schema:
    """Read the description of a service's options from a file of at most 32 MiB.

    Understands what `write_schema` writes, and what ``oslo-config-generator --format json`` or
    ``yaml`` prints (YAML needs the extra ``yaml``). Nothing in the file is executed or imported.

    Raises `NotASchema`, with the place, for everything else: a missing file, a directory and a
    pipe included.
    """
    from bedplate.config.oslo import option_set
    from bedplate.config.reading import decoded, parsed, read_bounded
    from bedplate.config.schema_json import from_json

    name = fspath(path)
    document = parsed(decoded(read_bounded(name), name), name)
    if isinstance(document, dict) and "x-bedplate" in document:
        return from_json(document, name)
    if isinstance(document, dict) and "options" in document:
        return option_set(document, name)
    raise NotASchema(
        name=name,
        why="it is neither the JSON Schema that 'bedplate config schema' writes nor what "
        "'oslo-config-generator --format json' prints",
    )


def write_schema(schema: Schema) -> str:
    """Write a schema as JSON Schema, draft 2020-12, with what that cannot say in ``x-bedplate``.

    `read_schema` reads it back without loss, with two exceptions: the default of a secret is not
    written, only that there is one, and a type of a program's own becomes text nobody checks.
    """
    import json

    from bedplate.config.schema_json import to_json

    return json.dumps(to_json(schema), indent=1, ensure_ascii=False) + "\n"
