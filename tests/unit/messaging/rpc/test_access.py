"""What of a server may be reached, and by whom."""

import asyncio
import logging
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import pytest

from bedplate.errors import AccessDenied, NoSuchMethod
from bedplate.messaging import Transport, rpc

P = ParamSpec("P")
R = TypeVar("R")


def noted(method: Callable[P, R]) -> Callable[P, R]:
    """Wrap a method as applications do."""

    @wraps(method)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        return method(*args, **kwargs)

    return wrapper


class Stock(rpc.Interface, topic="stock"):
    """A contract that marks one of its methods."""

    @rpc.expose
    async def reserve(self) -> str:
        raise NotImplementedError

    async def rebuild(self) -> str:
        raise NotImplementedError


class StockService(Stock):
    """Implements it, with more of its own."""

    async def reserve(self) -> str:
        """Reserve."""
        return "reserved"

    async def rebuild(self) -> str:
        return "rebuilt"

    @rpc.expose
    @noted
    def wrapped(self) -> str:
        return "wrapped"

    @noted
    @rpc.expose
    def wrapped_outside(self) -> str:
        return "wrapped"

    @rpc.expose
    @staticmethod
    def static() -> str:
        return "static"

    def helper(self) -> str:
        return "secret"


async def test_only_exposed_methods_are_served_where_that_is_asked(
    here: Transport, there: Transport
) -> None:
    """Marks on the method or its declaration count; what has none is not there at all."""
    async with rpc.serve(there, StockService(), methods="exposed") as server:
        client = rpc.Client(here, topic="stock")
        assert await rpc.client(here, Stock).reserve() == "reserved"
        for method in ("wrapped", "wrapped_outside", "static"):
            assert await client.call(method)
        for method in ("rebuild", "helper", "helpers"):
            with pytest.raises(NoSuchMethod) as raised:
                await client.call(method)
            assert "Did you mean" not in str(raised.value)
            assert raised.value.details == {}
        described = await rpc.describe(here, "stock")
        names = [method.name for method in described.interfaces[0].methods]
        assert names == ["reserve", "static", "wrapped", "wrapped_outside"]
        assert (await rpc.survey(here, "stock"))[0].presence is not None
        assert server.statistics().refused == 3


async def test_all_public_methods_are_served_by_default(here: Transport, there: Transport) -> None:
    """Marks take nothing away from a server that does not ask for them."""
    async with rpc.serve(there, StockService()):
        assert await rpc.Client(here, topic="stock").call("helper") == "secret"


async def test_a_policy_decides_by_what_it_sees(here: Transport, there: Transport) -> None:
    """It is told all of a request but its arguments; a refusal has an error of its own."""
    seen: list[rpc.Access] = []

    def friends(access: rpc.Access) -> bool:
        seen.append(access)
        return access.peer == "friend" or access.exposed

    async with rpc.serve(there, StockService(), access=friends) as server:
        stranger = rpc.Client(here, topic="stock", name="stranger", context={"user": "u"})
        with pytest.raises(AccessDenied, match=r"rebuild\(\)") as raised:
            await stranger.with_(version="1.0").call("rebuild")
        assert (raised.value.code, raised.value.retryable) == ("access-denied", False)
        await stranger.cast("rebuild")
        assert await stranger.call("reserve") == "reserved"
        assert await rpc.Client(here, topic="stock", name="friend").call("rebuild") == "rebuilt"
        with pytest.raises(NoSuchMethod):
            await stranger.call("nothing")
        assert (server.statistics().refused, server.statistics().results) == (3, 2)
    assert seen[0] == rpc.Access(
        method="rebuild", version="1.0", peer="stranger", context={"user": "u"}
    )
    assert [each.method for each in seen] == ["rebuild", "rebuild", "reserve", "rebuild"]


async def test_a_refused_request_does_not_wait_for_a_worker(
    here: Transport, there: Transport
) -> None:
    """Who is not let in hears of it at once, however busy the server is."""

    class Busy:
        async def work(self) -> None:
            await asyncio.sleep(60)

    async with rpc.serve(there, Busy(), topic="busy", workers=1, access=lambda a: a.peer == "boss"):
        boss = rpc.Client(here, topic="busy", name="boss", timeout=600)
        working = asyncio.ensure_future(boss.call("work"))
        await asyncio.sleep(1)
        start = here.clock.now()
        with pytest.raises(AccessDenied):
            await rpc.Client(here, topic="busy").call("work")
        assert here.clock.now() - start < 0.1
        await working


@pytest.mark.parametrize("answer", [None, 1, "yes", ...])
async def test_a_policy_that_fails_or_does_not_answer_refuses(
    here: Transport, there: Transport, caplog: pytest.LogCaptureFixture, answer: object
) -> None:
    """Nothing but True lets anybody in, and the mistake is in the log."""

    def policy(_: rpc.Access) -> bool:
        if answer is ...:
            raise LookupError("no such user")
        return answer  # type: ignore[return-value]  # a mistake to be survived

    with caplog.at_level(logging.ERROR):
        async with rpc.serve(there, StockService(), access=policy):
            with pytest.raises(AccessDenied):
                await rpc.Client(here, topic="stock").call("reserve")
            assert (await rpc.describe(here, "stock")).topic == "stock"
    assert "The access policy" in caplog.text
    assert ("no such user" in caplog.text) == (answer is ...)


async def test_what_can_be_no_policy_is_refused_at_once(here: Transport) -> None:
    """An async function as policy would let everybody in, were it taken for one."""

    async def later(_: rpc.Access) -> bool:
        return False

    class Later:
        async def __call__(self, access: rpc.Access) -> bool:
            return access.exposed

    for policy in (later, Later()):
        with pytest.raises(TypeError, match="belongs in interceptors="):
            rpc.serve(here, StockService(), access=policy)  # type: ignore[arg-type]  # meant
    with pytest.raises(ValueError, match='say "public" or "exposed"'):
        rpc.serve(here, StockService(), methods="expose")  # type: ignore[arg-type]  # meant
    with pytest.raises(TypeError, match="is no policy"):
        rpc.serve(here, StockService(), access=True)  # type: ignore[arg-type]  # meant


def test_what_cannot_be_exposed_is_refused_where_it_is_written() -> None:
    """Private names and things that are no methods."""
    with pytest.raises(TypeError, match="its underscore keeps it private"):

        class Private:
            @rpc.expose
            def _hidden(self) -> None: ...

    with pytest.raises(TypeError, match="cannot be marked: only methods can"):
        rpc.expose(3)  # type: ignore[type-var]  # meant


async def test_an_object_without_exposed_methods_is_refused(here: Transport) -> None:
    """A server that would serve nothing says what to do."""

    class Plain:
        def method(self) -> None: ...

    with pytest.raises(TypeError, match=r"mark them with @rpc\.expose"):
        rpc.serve(here, Plain(), topic="plain", methods="exposed")
