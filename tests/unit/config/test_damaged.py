"""Schemas and option sets with something else in a place of theirs, wherever that is."""

import copy
import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.config.drawn import schemas

from bedplate.config.document import Document
from bedplate.config.oslo import option_set
from bedplate.config.readers import (
    difference,
    difference_markdown,
    difference_text,
    page_markdown,
    page_rst,
    sample_ini,
    sample_toml,
)
from bedplate.config.schema import Schema
from bedplate.config.schema_json import from_json, to_json
from bedplate.errors import NotASchema

SET = json.loads((Path(__file__).parents[2] / "data" / "openstack" / "keystone.json").read_text())
SMALL = {"options": {name: SET["options"][name] for name in ("DEFAULT", "token", "assignment")}}
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["int", "choice", "list", "text", "optional", "integer value"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


def places(node: object) -> list[tuple[object, object]]:
    """Return every place of a document: what holds it, and under which key."""
    children = (
        node.items()
        if isinstance(node, dict)
        else enumerate(node if isinstance(node, list) else ())
    )
    found: list[tuple[object, object]] = []
    for key, child in children:
        found += [(node, key), *places(child)]
    return found


def damaged(data: st.DataObject, document: object) -> object:
    """Return a copy with something else in one place of it."""
    broken = copy.deepcopy(document)
    holder, key = data.draw(st.sampled_from(places(broken)))
    if isinstance(holder, dict) and data.draw(st.booleans()):
        holder[data.draw(st.text(max_size=5))] = holder.pop(key)  # another name
    else:
        cast("dict[object, object]", holder)[key] = data.draw(ANYTHING)
    return broken


def judge(read: Callable[[object, str], Schema], broken: object) -> None:
    """Whatever is read can be written in every way; whatever is not, is refused with its name."""
    try:
        schema = read(broken, "broken.json")
    except NotASchema as refused:
        message = str(refused)
    else:
        assert not list(Document.parse(sample_ini(schema).encode(), "a.conf").tree())
        assert not any(tomllib.loads(sample_toml(schema)).values())
        for write in (sample_ini, sample_toml, page_rst, page_markdown):
            assert write(schema).replace("\n", "").replace("\t", "").isprintable()
        added, gone = difference(Schema(), schema), difference(schema, Schema())
        for told in (difference_text(added), difference_text(gone), difference_markdown(added)):
            assert told.replace("\n", "").isprintable()
        message = "broken.json does not describe options: "
        assert from_json(json.loads(json.dumps(to_json(schema))), "again") == schema
    assert message.startswith("broken.json does not describe options: ")


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_a_damaged_option_set_is_read_or_refused(data: st.DataObject) -> None:
    """Nothing in a generator's file ends in another error than the one that names the file."""
    judge(option_set, damaged(data, SMALL))


@settings(deadline=None, max_examples=200)
@given(st.data(), schemas())
def test_a_damaged_schema_is_read_or_refused(data: st.DataObject, schema: Schema) -> None:
    """Nothing in a file of ours ends in another error than the one that names the file."""
    judge(from_json, damaged(data, to_json(schema)))


@pytest.mark.parametrize("read", [option_set, from_json])
@given(document=ANYTHING)
def test_any_data_is_read_or_refused(
    read: Callable[[object, str], Schema], document: object
) -> None:
    """Whatever JSON there is, it is a schema or it is refused."""
    judge(read, document)
