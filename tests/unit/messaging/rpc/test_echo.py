"""Calls, casts and fanouts between a client and servers, over the memory broker."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from bedplate.errors import (
    BadArguments,
    MalformedMessage,
    NoSuchMethod,
    NoSuchTarget,
    RemoteError,
    Unencodable,
    UnsupportedVersion,
    WouldDeadlock,
)
from bedplate.messaging import Transport, rpc


@dataclass
class Part:
    """A value of the application."""

    name: str
    made: datetime


class Stock(rpc.Interface, topic="stock", version="1.2"):
    """A contract with methods of both colours."""

    async def reserve(self, item: str, count: int = 1) -> int:
        raise NotImplementedError

    async def newest(self, parts: list[Part]) -> Part | None:
        raise NotImplementedError

    def lookup(self, item: str) -> str:
        raise NotImplementedError


class StockService(Stock):
    """Implements it."""

    def __init__(self) -> None:
        self.left = 10

    async def reserve(self, item: str, count: int = 1) -> int:
        assert item
        self.left -= count
        return self.left

    async def newest(self, parts: list[Part]) -> Part | None:
        return max(parts, key=lambda part: part.made, default=None)

    def lookup(self, item: str) -> str:
        return f"shelf of {item}"


async def test_a_stub_calls_what_the_service_implements(here: Transport, there: Transport) -> None:
    """Arguments by position and by name arrive, defaults are the handler's, results come back."""
    async with rpc.serve(there, StockService(), workers=8):
        stock = rpc.client(here, Stock, timeout=3)
        assert await stock.reserve("bolt", count=2) == 8
        assert await stock.reserve("bolt") == 7
        assert await stock.with_(timeout=600, heartbeat=10).reserve(item="bolt") == 6


async def test_values_follow_the_annotations(here: Transport, there: Transport) -> None:
    """Dataclasses and datetimes are rebuilt on both ends."""
    old = Part("old", datetime(2001, 1, 1, tzinfo=UTC))
    new = Part("new", datetime(2020, 1, 1, tzinfo=UTC))
    async with rpc.serve(there, StockService()):
        stock = rpc.client(here, Stock)
        assert await stock.newest([new, old]) == new
        assert await stock.newest([]) is None


async def test_plain_handlers_serve_like_async_ones(here: Transport, there: Transport) -> None:
    """A caller cannot tell the colour of a handler."""
    async with rpc.serve(there, StockService()):
        client = rpc.Client(here, topic="stock")
        assert await client.call("lookup", item="bolt") == "shelf of bolt"


async def test_a_blocking_stub_waits_in_its_own_thread(here: Transport, there: Transport) -> None:
    """A plain method of an interface blocks the calling thread until the result is there."""
    async with rpc.serve(there, StockService()):
        stock = rpc.client(here, Stock)
        found = await asyncio.gather(
            *(asyncio.to_thread(stock.lookup, f"bolt{n}") for n in range(5))
        )
        assert found == [f"shelf of bolt{n}" for n in range(5)]


async def test_a_blocking_stub_refuses_the_thread_of_the_loop(here: Transport) -> None:
    """Where it would wait for itself, the blocking stub says so and names the way out."""
    with pytest.raises(WouldDeadlock, match=r"Stock.lookup\(\) blocks.*'async def' and await"):
        rpc.client(here, Stock).lookup("bolt")


async def test_wrong_arguments_are_refused_before_sending(here: Transport) -> None:
    """A stub checks as Python does, and by annotation, with nobody serving at all."""
    stock = rpc.client(here, Stock)
    for given, named, why in (
        (("bolt", "many"), {}, r"Stock.reserve\(\): Expected `int`, got `str` - at `count`"),
        ((), {}, "missing the argument `item`"),
        (("bolt",), {"cuont": 2}, "there is no argument `cuont`"),
        (("bolt",), {"item": "nut"}, "two values for the argument 'item'"),
        (("bolt", 1, 2), {}, "takes 2 arguments, 3 were given"),
    ):
        with pytest.raises(TypeError, match=why):
            await stock.reserve(*given, **named)
    with pytest.raises(Unencodable, match=r"the arguments of reserve\(\)"):
        await rpc.Client(here, topic="stock").call("reserve", item=object())
    assert here.statistics().published == 0


async def test_a_result_that_breaks_the_contract_is_malformed(
    here: Transport, there: Transport
) -> None:
    """A stub does not hand over a result of another type than it promises."""

    class Liar:
        async def reserve(self, item: str, count: int = 1) -> str:
            return item * count

    async with rpc.serve(there, rpc.Endpoint(handler=Liar(), version="1.2"), topic="stock"):
        with pytest.raises(MalformedMessage, match=r"the result of Stock.reserve\(\)"):
            await rpc.client(here, Stock).reserve("bolt")


async def test_what_the_server_refuses(here: Transport, there: Transport) -> None:
    """Unknown methods, bad arguments and other versions are answered with what would do."""
    async with rpc.serve(there, StockService()) as server:
        client = rpc.Client(here, topic="stock")
        with pytest.raises(NoSuchMethod, match="Did you mean 'reserve'") as nearest:
            await client.call("resrve")
        assert nearest.value.details == {"nearest": "reserve"}
        assert nearest.value.peer == "stock"
        with pytest.raises(BadArguments, match=r"reserve\(\): missing the argument `item`"):
            await client.call("reserve")
        with pytest.raises(BadArguments, match="Expected `int`, got `str` - at `count`"):
            await client.call("reserve", item="a", count="b")
        with pytest.raises(UnsupportedVersion, match=r"served in version 1\.2, not in 1\.3"):
            await client.with_(version="1.3").call("reserve", item="a")
        with pytest.raises(UnsupportedVersion):
            await client.with_(version="2.0").call("reserve", item="a")
        with pytest.raises(UnsupportedVersion, match="is no version"):
            await client.with_(version="new").call("reserve", item="a")
        assert await client.with_(version="1.0").call("reserve", item="a") == 9
        for name in ("_secret", "__init__", "with_", "left", "reserve.__call__"):
            with pytest.raises(NoSuchMethod):
                await client.call(name)
        assert server.statistics().refused == 11


async def test_several_objects_serve_namespaces_and_versions(
    here: Transport, there: Transport
) -> None:
    """A request finds the object of its namespace and version."""

    class Old:
        def which(self) -> str:
            return "old"

    class New:
        def which(self) -> str:
            return "new"

    class Admin:
        def which(self) -> str:
            return "admin"

    served = (
        rpc.Endpoint(handler=Old(), version="1.5"),
        rpc.Endpoint(handler=New(), version="2.1"),
        rpc.Endpoint(handler=Admin(), namespace="admin"),
    )
    async with rpc.serve(there, *served, topic="t"):
        client = rpc.Client(here, topic="t")
        assert await client.call("which") == "old"
        assert await client.with_(version="1.4").call("which") == "old"
        assert await client.with_(version="2.0").call("which") == "new"
        assert await client.with_(namespace="admin").call("which") == "admin"
        with pytest.raises(UnsupportedVersion, match=r"1\.5, 2\.1"):
            await client.with_(version="3.0").call("which")
        with pytest.raises(NoSuchMethod, match="in the namespace 'none'"):
            await client.with_(namespace="none").call("which")


async def test_a_server_is_asked_by_name(here: Transport, there: Transport) -> None:
    """A named server gets what is addressed to it, and nobody else does."""

    class Who:
        def __init__(self, name: str) -> None:
            self.name = name

        async def who(self) -> str:
            return self.name

    async with (
        rpc.serve(there, Who("a"), topic="who", server="a"),
        rpc.serve(there, Who("b"), topic="who", server="b"),
    ):
        client = rpc.Client(here, topic="who")
        for name in ("a", "b", "a"):
            assert await client.with_(server=name).call("who") == name
        with pytest.raises(NoSuchTarget, match="Nobody serves server c of who"):
            await client.with_(server="c").call("who")
        assert {await client.call("who") for _ in range(8)} == {"a", "b"}


async def test_exchanges_keep_equal_topics_apart(here: Transport, there: Transport) -> None:
    """A topic of one exchange is not the topic of another."""
    async with rpc.serve(there, StockService(), exchange="shop"):
        with pytest.raises(NoSuchTarget):
            await rpc.client(here, Stock).reserve("bolt")
        assert await rpc.client(here, Stock).with_(exchange="shop").reserve("bolt") == 9


async def test_casts_and_fanouts_are_carried_out(here: Transport, there: Transport) -> None:
    """A cast runs at one server, a fanout at every one, and neither is answered."""
    heard: list[str] = []

    class Ear:
        def __init__(self, name: str) -> None:
            self.name = name

        async def hear(self, what: str) -> object:
            heard.append(f"{self.name}:{what}")
            return object()  # no result of a cast is ever encoded

    async with rpc.serve(there, Ear("a"), topic="ear"), rpc.serve(there, Ear("b"), topic="ear"):
        client = rpc.Client(here, topic="ear")
        await client.cast("hear", what="cast")
        await client.fanout("hear", what="all")
        await asyncio.sleep(1)
    assert len([each for each in heard if each.endswith("cast")]) == 1
    assert sorted(each for each in heard if each.endswith("all")) == ["a:all", "b:all"]


async def test_nobody_there(here: Transport) -> None:
    """A call or a cast to nobody fails at once; a fanout to nobody is no error."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    client = rpc.Client(here, topic="nobody", timeout=60)
    with pytest.raises(NoSuchTarget, match="Nobody serves nobody") as error:
        await client.call("anything")
    assert error.value.retryable
    with pytest.raises(NoSuchTarget):
        await client.cast("anything")
    await client.fanout("anything")
    assert loop.time() == start


async def test_a_call_waits_for_its_target(here: Transport, there: Transport) -> None:
    """With wait_for_target a call or cast reaches a server that comes a little later."""
    client = rpc.Client(here, topic="stock", wait_for_target=5)

    async def serve_later() -> int:
        await asyncio.sleep(2)
        service = StockService()
        async with rpc.serve(there, service):
            await asyncio.sleep(3)
        return service.left

    later = asyncio.ensure_future(serve_later())
    await asyncio.gather(
        client.call("reserve", item="bolt"), client.cast("reserve", item="bolt", count=3)
    )
    assert await later == 6
    start = asyncio.get_running_loop().time()
    with pytest.raises(NoSuchTarget):
        await rpc.Client(here, topic="none", wait_for_target=5).call("x")
    assert asyncio.get_running_loop().time() == pytest.approx(start + 5)


async def test_a_queue_without_consumers_is_nobody_there(here: Transport, there: Transport) -> None:
    """Where a queue outlives its servers, a look after 250 ms tells that nobody serves it."""
    async with rpc.serve(there, StockService()):
        pass
    loop = asyncio.get_running_loop()
    start = loop.time()
    with pytest.raises(NoSuchTarget):
        await rpc.client(here, Stock).reserve("bolt")
    assert loop.time() == pytest.approx(start + 0.25)


async def test_the_context_travels(here: Transport, there: Transport) -> None:
    """The caller's context, name and budget are there, as a parameter and from anywhere below."""

    class Curious:
        async def ask(self, ctx: rpc.Context, extra: int = 0) -> list[object]:
            assert rpc.context() is ctx
            remaining = ctx.remaining()
            return [ctx.values, ctx.peer, ctx.method, extra, remaining]

        def ask_in_a_thread(self) -> object:
            return rpc.context().values

        async def cast(self) -> None:
            seen.append(rpc.context().remaining())

    seen: list[float | None] = []
    async with rpc.serve(there, Curious(), topic="c"):
        client = rpc.Client(here, topic="c", name="tests", context={"user": "u1"}, timeout=5)
        assert await client.call("ask", extra=3) == [{"user": "u1"}, "tests", "ask", 3, 5.0]
        assert await client.call("ask_in_a_thread") == {"user": "u1"}
        await client.with_(ttl=3).cast("cast")
        with pytest.raises(Unencodable, match="a context"):
            await client.with_(context={"user": object()}).call("ask")
    assert seen == [None]
    with pytest.raises(LookupError, match="in handlers only"):
        rpc.context()


async def test_extra_arguments_go_to_who_takes_them(here: Transport, there: Transport) -> None:
    """A handler with ``**others`` gets what it does not name, on typed stubs too."""

    class Loose(rpc.Interface, topic="loose"):
        async def take(self, item: str, **others: object) -> dict[str, object]:
            return {"item": item, **others}

    async with rpc.serve(there, Loose()):
        stub = rpc.client(here, Loose)
        assert await stub.take("bolt", size=3, tags=["a"]) == {
            "item": "bolt",
            "size": 3,
            "tags": ["a"],
        }
        with pytest.raises(RemoteError, match="Expected `str`, got `int`"):
            await rpc.Client(here, topic="loose").call("take", item=3)


async def test_many_calls_at_once_get_their_own_answers(here: Transport, there: Transport) -> None:
    """Two hundred concurrent calls over ten workers are each answered with their own result."""

    class Echo:
        async def echo(self, n: int) -> int:
            await asyncio.sleep(0.01 * (n % 7))
            return n

    async with rpc.serve(there, Echo(), topic="echo", workers=10) as server:
        client = rpc.Client(here, topic="echo")
        results = await asyncio.gather(*(client.call("echo", n=n) for n in range(200)))
        assert results == list(range(200))
        assert server.statistics().results == 200
        assert server.statistics().running == server.statistics().waiting == 0
    assert client.statistics().results == 200
    assert client.statistics().open == client.statistics().late == 0


async def test_two_clients_of_one_transport_do_not_mix_answers(
    here: Transport, there: Transport
) -> None:
    """Clients share a link and its private address, and still get their own answers."""
    async with rpc.serve(there, StockService()), rpc.serve(here, StockService(), topic="other"):
        one, two = rpc.Client(here, topic="stock"), rpc.Client(here, topic="other")
        for n in (9, 8):
            first, second = await asyncio.gather(
                one.call("reserve", item="a"), two.call("reserve", item="a")
            )
            assert (first, second) == (n, n)
        assert one.statistics().late == two.statistics().late == 0
