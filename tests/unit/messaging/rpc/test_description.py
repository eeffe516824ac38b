"""The documents that tell what a server serves, where names are unusual."""

import re
from collections.abc import Iterator

from bedplate.messaging import Transport, rpc


class Archive:
    """Has a method of each name that a careless document stumbles over."""

    async def reply(self, n: int) -> int:
        return n

    async def größe(self) -> int:  # noqa: PLC2401 - Python allows it, so services may
        return 1


class Answers:
    async def a(self) -> None:
        """Be called as the namespace of another is."""


def references(document: object) -> Iterator[str]:
    """Give every reference in a document."""
    if isinstance(document, dict):
        for key, value in document.items():
            if key == "$ref":
                yield value
            yield from references(value)
    elif isinstance(document, list):
        for each in document:
            yield from references(each)


def found(document: object, pointer: str) -> object:
    """Return what a reference leads to."""
    for step in pointer.removeprefix("#/").split("/"):
        assert isinstance(document, dict)
        document = document[step.replace("~1", "/").replace("~0", "~")]
    return document


async def test_asyncapi_holds_together_whatever_the_names(
    here: Transport, there: Transport
) -> None:
    """Every reference leads somewhere, and every method has an operation with its reply."""
    endpoints = [
        rpc.Endpoint(handler=Archive()),
        rpc.Endpoint(handler=Archive(), namespace="a"),
        rpc.Endpoint(handler=Archive(), namespace="a b/c~d"),
        rpc.Endpoint(handler=Archive(), namespace="a.b_c_d"),
        rpc.Endpoint(handler=Answers()),
    ]
    async with rpc.serve(there, *endpoints, topic="archive"):
        document = rpc.asyncapi(await rpc.describe(here, "archive"))
    assert all(found(document, each) for each in references(document))
    operations = document["operations"]
    components = document["components"]
    channels = document["channels"]
    assert isinstance(operations, dict)
    assert isinstance(components, dict)
    assert isinstance(channels, dict)
    assert len(operations) == 9
    assert set(channels["requests"]["messages"]) == set(operations)
    assert len(channels["replies"]["messages"]) == 9
    assert len(components["messages"]) == 18
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", key) for key in components["messages"])
    assert components["messages"]["gr__e"]["name"] == "größe"
