"""What servers tell of themselves, and the documents written from it."""

import asyncio
import gc
import json
from dataclasses import dataclass
from typing import Annotated

import msgspec
import pytest

from bedplate.errors import (
    BadArguments,
    DeadlineExceeded,
    MalformedMessage,
    NoSuchMethod,
    NoSuchTarget,
    ReplyPathLost,
    UnsupportedVersion,
)
from bedplate.messaging import Transport, rpc
from bedplate.messaging.rpc.introspect import NAMESPACE
from bedplate.testing.faulty import Faults


@dataclass
class Part:
    """A value of the application."""

    name: str
    weight: float | None = None


class Foreign:
    """A class that msgspec knows nothing about."""


class Stock(rpc.Interface, topic="stock", version="1.2"):
    """What lies on the shelves."""

    async def reserve(self, item: str, count: Annotated[int, msgspec.Meta(ge=1)] = 1) -> int:
        """Take some of it off the shelf."""
        raise NotImplementedError

    async def newest(self, parts: list[Part]) -> Part | None:
        raise NotImplementedError


class StockService(Stock):
    async def reserve(self, item: str, count: Annotated[int, msgspec.Meta(ge=1)] = 1) -> int:
        return len(item) + count

    async def newest(self, parts: list[Part]) -> Part | None:
        return parts[-1]


class Odd:
    """Methods whose types tell little."""

    async def anything(self, **given: object) -> object:
        return given

    async def foreign(self, context: rpc.Context, when: object = Foreign) -> Foreign:
        raise NotImplementedError

    def part(self) -> "Part":
        """Return one."""
        raise NotImplementedError


async def ask(transport: Transport, method: str, topic: str = "stock") -> object:
    """Ask a server about itself, without the functions made for it."""
    return await rpc.Client(transport, topic=topic, namespace=NAMESPACE, timeout=3).call(method)


async def described(here: Transport, there: Transport, *handlers: object) -> rpc.Description:
    """Return what a server of these handlers says it serves."""
    async with rpc.serve(there, *handlers, topic="stock"):
        return await rpc.describe(here, "stock", timeout=3)


# --- presence -----------------------------------------------------------------------------------


async def test_everybody_who_serves_a_topic_is_found(here: Transport, there: Transport) -> None:
    """A survey hears from each server, named or not, and from nobody of another topic."""
    async with (
        rpc.serve(there, StockService(), server="h1"),
        rpc.serve(there, StockService(), Odd()),
        rpc.serve(there, Odd(), topic="other"),
        rpc.serve(there, StockService(), exchange="elsewhere"),
    ):
        found = await rpc.survey(here, "stock", wait=0.5)
    presences = [each.presence for each in found]
    assert all(presences)
    told = sorted((p.server, p.versions, p.methods) for p in presences if p)
    assert told == [("", ("1.2", "1.0"), 5), ("h1", ("1.2",), 2)]
    assert all(p.host and p.pid and p.uptime >= 0 and p.topic == "stock" for p in presences if p)


async def test_a_survey_lasts_as_long_as_it_was_told_to(here: Transport) -> None:
    """Nobody there is an empty answer after the wait, not an error."""
    loop = asyncio.get_running_loop()
    since = loop.time()
    assert await rpc.survey(here, "nobody", wait=2.5) == ()
    assert loop.time() - since == pytest.approx(2.5, abs=0.1)


async def test_a_server_that_does_not_say_who_it_is_is_found_as_well(
    here: Transport, there: Transport
) -> None:
    """``introspect=False`` switches the answers off, and the fault still shows somebody there."""
    async with rpc.serve(there, StockService(), introspect=False):
        (found,) = await rpc.survey(here, "stock", wait=0.5)
        with pytest.raises(NoSuchMethod):
            await rpc.describe(here, "stock", timeout=3)
    assert found.presence is None
    assert found.fault == "no-such-method"


async def test_a_survey_survives_what_is_no_answer(here: Transport, there: Transport) -> None:
    """A server that answers nonsense is counted and tells nothing."""

    class Liar:
        async def ping(self) -> list[str]:
            return ["not", "a", "presence"]

    liar = rpc.Endpoint(handler=Liar(), namespace=NAMESPACE)
    async with rpc.serve(there, liar, topic="stock", introspect=False):
        (found,) = await rpc.survey(here, "stock", wait=0.5)
    assert (found.presence, found.fault) == (None, "malformed-message")


async def test_a_survey_whose_link_dies_says_so(
    here: Transport, there: Transport, faults: Faults
) -> None:
    """Fewer answers than there are servers would be a lie."""
    async with rpc.serve(there, StockService()):
        asking = asyncio.ensure_future(rpc.survey(here, "stock", wait=5))
        await asyncio.sleep(0.5)
        faults.cut()
        with pytest.raises(ReplyPathLost):
            await asking


async def test_statistics_can_be_asked_for(here: Transport, there: Transport) -> None:
    """The numbers are the server's own, this question included."""
    async with rpc.serve(there, StockService()) as server:
        await rpc.client(here, Stock).reserve("bolt")
        told = await ask(here, "stats")
        assert isinstance(told, dict)
        assert told["received"] == 2
        assert set(told) == set(msgspec.to_builtins(server.statistics()))


# --- description --------------------------------------------------------------------------------


async def test_methods_are_described_with_types_and_words(
    here: Transport, there: Transport
) -> None:
    """Arguments, defaults, bounds, results and docstrings arrive, those of the contract too."""
    told = await described(here, there, StockService())
    (interface,) = told.interfaces
    assert (interface.name, interface.version) == ("StockService", "1.2")
    assert interface.doc == "What lies on the shelves."
    newest, reserve = interface.methods
    assert reserve.doc == "Take some of it off the shelf."
    assert reserve.arguments == {
        "type": "object",
        "properties": {
            "item": {"type": "string"},
            "count": {"type": "integer", "minimum": 1, "default": 1},
        },
        "required": ["item"],
        "additionalProperties": False,
    }
    assert reserve.result == {"type": "integer"}
    assert newest.result == {"anyOf": [{"$ref": "#/$defs/Part"}, {"type": "null"}]}
    assert told.schemas["Part"]["required"] == ["name"]


async def test_types_without_a_schema_may_be_anything(here: Transport, there: Transport) -> None:
    """A class of somebody else's does not keep the rest from being described."""
    told = await described(here, there, Odd())
    methods = {method.name: method for method in told.interfaces[0].methods}
    assert methods["foreign"].result == {"title": "Foreign"}
    assert methods["foreign"].arguments["properties"] == {"when": {"title": "anything"}}
    assert "additionalProperties" not in methods["anything"].arguments
    assert methods["part"].result == {"$ref": "#/$defs/Part"}


async def test_questions_about_itself_are_not_part_of_the_description(
    here: Transport, there: Transport
) -> None:
    """A description shows what the application serves, in all its namespaces."""
    admin = rpc.Endpoint(handler=Odd(), namespace="admin", version="2.0")
    told = await described(here, there, StockService(), admin)
    assert [each.namespace for each in told.interfaces] == ["", "admin"]


async def test_the_namespace_is_taken(there: Transport) -> None:
    """An application cannot answer in the server's name unless it switches that off."""
    mine = rpc.Endpoint(handler=Odd(), namespace=NAMESPACE)
    with pytest.raises(TypeError, match="introspect=False"):
        rpc.serve(there, mine, topic="stock")
    rpc.serve(there, mine, topic="stock", introspect=False)


async def test_a_version_does_not_hide_the_description(here: Transport, there: Transport) -> None:
    """Questions are answered whatever version the application has; another version is refused."""
    async with rpc.serve(there, rpc.Endpoint(handler=Odd(), version="7.3"), topic="stock"):
        assert (await rpc.describe(here, "stock")).interfaces[0].version == "7.3"
        client = rpc.Client(here, topic="stock", version="6.0")
        with pytest.raises(UnsupportedVersion):
            await client.call("anything")


async def test_what_is_no_description_is_refused(here: Transport, there: Transport) -> None:
    """A hostile answer is a malformed message, and nobody there is nobody there."""

    class Liar:
        async def describe(self) -> dict[str, object]:
            return {"topic": "stock", "interfaces": 3}

    with pytest.raises(NoSuchTarget):
        await rpc.describe(here, "stock", timeout=1)
    liar = rpc.Endpoint(handler=Liar(), namespace=NAMESPACE)
    async with rpc.serve(there, liar, topic="stock", introspect=False):
        with pytest.raises(MalformedMessage, match="a description"):
            await rpc.describe(here, "stock")


# --- documents ----------------------------------------------------------------------------------


def refs(value: object) -> set[str]:
    """Return all references in a document."""
    if isinstance(value, dict):
        here = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return here.union(*map(refs, value.values()))
    return set().union(*map(refs, value)) if isinstance(value, list) else set()


def lead(document: object, ref: str) -> object:
    """Follow a reference; KeyError where it leads nowhere."""
    for part in ref.removeprefix("#/").split("/"):
        assert isinstance(document, dict)
        document = document[part]
    return document


async def documents(here: Transport, there: Transport) -> tuple[rpc.Schema, rpc.Schema]:
    admin = rpc.Endpoint(handler=StockService(), namespace="admin", version="2.0")
    newer = rpc.Endpoint(handler=StockService(), version="10.1")
    told = await described(here, there, StockService(), newer, Odd(), admin)
    return rpc.json_schema(told), rpc.asyncapi(told)


async def test_documents_are_json_and_their_references_lead_somewhere(
    here: Transport, there: Transport
) -> None:
    """Both forms can be written as JSON, and no reference in them dangles."""
    for document in await documents(here, there):
        assert json.loads(json.dumps(document)) == document
        assert refs(document)
        assert all(lead(document, ref) is not None for ref in refs(document))


async def test_each_method_has_a_name_of_its_own(here: Transport, there: Transport) -> None:
    """Namespaces and second versions keep methods of the same name apart."""
    schema, asynchronous = await documents(here, there)
    names = {
        *("reserve", "newest", "reserve-10.1", "newest-10.1"),
        *("anything", "foreign", "part", "admin.reserve", "admin.newest"),
    }
    assert isinstance(schema["properties"], dict)
    assert set(schema["properties"]) == names
    operations = asynchronous["operations"]
    assert isinstance(operations, dict)
    assert set(operations) == names
    assert asynchronous["info"] == {
        "title": "stock",
        "version": "10.1",
        "description": lead(schema, "#/description"),
    }


async def test_asyncapi_says_how_a_request_is_marked(here: Transport, there: Transport) -> None:
    """The headers of the native dialect stand with each message, the reply beside it."""
    _, document = await documents(here, there)
    headers = lead(document, "#/components/messages/admin.reserve/headers/properties")
    assert headers == {
        "bedplate-method": {"const": "reserve"},
        "bedplate-namespace": {"const": "admin"},
        "bedplate-version": {"const": "2.0"},
    }
    reply = lead(document, "#/components/messages/admin.reserve.reply/payload")
    assert reply == {"type": "integer"}
    assert lead(document, "#/channels/requests/address") == "stock"


class Busy:
    """Keeps its workers at work."""

    async def work(self) -> str:
        await asyncio.sleep(60)
        return "done"


async def test_a_busy_server_tells_of_itself_at_once(here: Transport, there: Transport) -> None:
    """Questions about the server wait for no worker, and none is taken from its work."""
    async with rpc.serve(there, Busy(), topic="busy", workers=1, accept=20) as server:
        working = [
            asyncio.ensure_future(rpc.Client(here, topic="busy", timeout=600).call("work"))
            for _ in range(3)
        ]
        await asyncio.sleep(1)
        start = here.clock.now()
        assert [method.name for method in (await rpc.describe(here, "busy")).interfaces[0].methods]
        stats = await rpc.stats(here, "busy")
        assert (stats.running, stats.waiting, stats.received) == (1, 2, 5)
        about = rpc.Client(here, topic="busy", namespace="bedplate", heartbeat=1)
        with pytest.raises(BadArguments, match="no argument `loud`"):
            await about.call("ping", loud=True)
        assert here.clock.now() - start < 0.1
        assert server.statistics().refused == 1
        assert (await rpc.survey(here, "busy", wait=0.5))[0].seconds < 0.1
        assert await asyncio.gather(*working) == ["done"] * 3


async def test_a_server_that_takes_no_more_tells_of_itself_soon(
    here: Transport, there: Transport
) -> None:
    """Where requests lie in the broker, questions to any server go past them; work is not lost."""
    async with rpc.serve(there, Busy(), topic="busy", server="one", workers=1, accept=0) as server:
        client = rpc.Client(here, topic="busy", timeout=600)
        working = [asyncio.ensure_future(client.call("work")) for _ in range(3)]
        await asyncio.sleep(1)
        start = here.clock.now()
        assert (await rpc.describe(here, "busy")).server == "one"
        for _ in range(3):
            assert (await rpc.stats(here, "busy")).running == 1
        assert (await rpc.stats(here, "busy", server="one")).running == 1
        assert here.clock.now() - start < 1.2
        assert await asyncio.gather(*working) == ["done"] * 3
        await asyncio.sleep(100)
        assert server.statistics().results == 3 + 5
        assert here.statistics().inboxes == 1


async def test_questions_that_nobody_answers_end_as_calls_do(
    here: Transport, there: Transport
) -> None:
    """Without a server at once, and with one that does not tell at its fault or at the deadline."""
    with pytest.raises(NoSuchTarget):
        await rpc.stats(here, "nobody")
    async with rpc.serve(there, Busy(), topic="busy", workers=1, accept=0, introspect=False):
        with pytest.raises(NoSuchMethod):
            await rpc.stats(here, "busy")
        working = asyncio.ensure_future(rpc.Client(here, topic="busy").call("work"))
        await asyncio.sleep(1)
        with pytest.raises(DeadlineExceeded):
            await rpc.describe(here, "busy", timeout=2)
        working.cancel()


async def test_questions_to_anybody_end_with_their_deadline_whatever_the_link_does(
    here: Transport, there: Transport, faults: Faults
) -> None:
    """Asking everybody as well, where there is no link meanwhile, takes no time of its own."""
    async with rpc.serve(there, Busy(), topic="busy", workers=1, accept=0):
        working = asyncio.ensure_future(rpc.Client(here, topic="busy", timeout=600).call("work"))
        await asyncio.sleep(1)
        faults.refuse()
        start = here.clock.now()
        asking = asyncio.ensure_future(rpc.describe(here, "busy", timeout=2))
        await asyncio.sleep(0.1)
        faults.cut()
        with pytest.raises(ReplyPathLost):
            await asking
        assert here.clock.now() - start < 0.2
        start = here.clock.now()
        with pytest.raises(DeadlineExceeded, match="The call of describe to busy did not end"):
            await rpc.describe(here, "busy", timeout=2)
        assert here.clock.now() - start < 2.01
        faults.accept()
        with pytest.raises(ReplyPathLost):
            await working


async def test_a_question_to_everybody_whose_link_dies_leaves_nothing_behind(
    here: Transport, there: Transport, faults: Faults
) -> None:
    """The caller hears it once; no error is left that nobody looked at."""
    unseen: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unseen.append(context))
    async with rpc.serve(there, Busy(), topic="busy", workers=1, accept=0, introspect=False):
        working = asyncio.ensure_future(rpc.Client(here, topic="busy", timeout=600).call("work"))
        await asyncio.sleep(1)
        asking = asyncio.ensure_future(rpc.describe(here, "busy", timeout=9))
        await asyncio.sleep(1)
        faults.cut()
        for each in (asking, working):
            with pytest.raises(ReplyPathLost):
                await each
        del asking, working, each
        gc.collect()
    assert not unseen
