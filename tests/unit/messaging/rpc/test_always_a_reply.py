"""Whatever a handler does, its caller hears of it, and the server lives on."""

import asyncio
import logging
import math
from collections.abc import Iterator
from typing import NoReturn

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.config import Secret
from bedplate.errors import (
    BadArguments,
    MalformedMessage,
    NoSuchMethod,
    NoSuchTarget,
    RemoteError,
    ServerBusy,
)
from bedplate.messaging import Address, Message, Outbound, Transport, Want, rpc
from bedplate.messaging.delivery import Delivery
from bedplate.messaging.intake import TTL_HEADER
from bedplate.messaging.rpc.answers import awaited_until
from bedplate.messaging.rpc.faults import error_of, fault_of
from bedplate.messaging.types import Arrival, Bounce, HeaderValue
from bedplate.messaging.wire import native
from bedplate.messaging.wire.request import Request
from bedplate.messaging.wire.values import Fault


class OutOfStock(Exception):
    """An error of the application."""

    def __init__(self, item: str) -> None:
        super().__init__(f"no {item} left")
        self.details = {"item": item}
        self.retryable = True


class Item(msgspec.Struct):
    """A value whose own check raises what no decoder expects."""

    name: str

    def __post_init__(self) -> None:
        if self.name == "anvil":
            raise KeyError(self.name)


class Unfriendly(Exception):
    """An exception that fights back."""

    @property
    def code(self) -> NoReturn:
        raise RuntimeError("no code")

    def __str__(self) -> str:
        raise RuntimeError("no text")


class Loose(RemoteError):
    """A fault that keeps to no annotation."""

    retryable = None  # type: ignore[assignment]  # wrong on purpose


class Trouble:
    """Handlers that end in every way there is."""

    def __init__(self, other: Transport) -> None:
        self.other = other

    async def domain(self) -> None:
        raise OutOfStock("bolt")

    def plain_domain(self) -> None:
        raise OutOfStock("nut")

    async def chained(self) -> None:
        try:
            int("x")
        except ValueError as error:
            raise KeyError("key") from error

    async def unencodable_result(self) -> object:
        return object()

    async def secret_result(self) -> object:
        return {"password": Secret("hunter2")}

    async def broken_result(self) -> Item:
        item = Item("bolt")
        del item.name
        return item

    async def deep_result(self) -> object:
        value: list[object] = []
        value.append(value)
        return value

    async def unencodable_details(self) -> None:
        error = OutOfStock("bolt")
        error.details = {"item": object()}  # type: ignore[dict-item]  # on purpose
        raise error

    async def surrogate(self) -> None:
        raise ValueError("lone \ud800 surrogate")

    async def unfriendly(self) -> None:
        raise Unfriendly

    async def loose(self) -> None:
        raise Loose(type=5, message=6, code=7)  # type: ignore[arg-type]  # wrong on purpose

    async def loose_cause(self) -> None:
        raise ValueError("loose") from Loose(type=5, message="")  # type: ignore[arg-type]

    async def system_exit(self) -> None:
        raise SystemExit(3)

    def system_exit_in_a_thread(self) -> None:
        raise SystemExit(3)

    async def interrupt(self) -> None:
        raise KeyboardInterrupt

    async def generator_exit(self) -> None:
        raise GeneratorExit

    async def cancelled(self) -> None:
        raise asyncio.CancelledError

    async def busy(self) -> None:
        raise ServerBusy.say("too much to do", details={"retry_after": 2}, retryable=True)

    async def relayed(self) -> None:
        await rpc.Client(self.other, topic="trouble").call("nothing_like_that")

    async def relayed_to_nobody(self) -> None:
        await rpc.Client(self.other, topic="nobody").call("anything")

    async def too_large(self) -> str:
        return "x" * (17 * 1024 * 1024)


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Keep what servers log of broken handlers out of the output, and at hand."""
    with caplog.at_level(logging.WARNING, logger="bedplate.messaging.rpc"):
        yield caplog


@pytest.mark.parametrize(
    ("method", "code", "kind", "message"),
    [
        ("domain", "out-of-stock", "OutOfStock", "no bolt left"),
        ("plain_domain", "out-of-stock", "OutOfStock", "no nut left"),
        ("chained", "key-error", "KeyError", "'key'"),
        ("unencodable_result", "unencodable", "Unencodable", "the result of unencodable_result"),
        ("secret_result", "unencodable", "Unencodable", "the result of secret_result"),
        ("broken_result", "attribute-error", "AttributeError", "'name' is unset"),
        ("deep_result", "unencodable", "Unencodable", "nested too deeply"),
        ("unencodable_details", "out-of-stock", "OutOfStock", "no bolt left"),
        ("surrogate", "value-error", "ValueError", "lone \\ud800 surrogate"),
        ("unfriendly", "unfriendly", "Unfriendly", ""),
        ("loose", "loose", "Loose", "6"),
        ("loose_cause", "value-error", "ValueError", "loose"),
        ("system_exit", "system-exit", "SystemExit", "3"),
        ("system_exit_in_a_thread", "system-exit", "SystemExit", "3"),
        ("interrupt", "keyboard-interrupt", "KeyboardInterrupt", ""),
        ("generator_exit", "generator-exit", "GeneratorExit", ""),
        ("cancelled", "cancelled-error", "CancelledError", ""),
        ("busy", "server-busy", "ServerBusy", "too much to do"),
        ("relayed", "remote", "NoSuchMethod", "nothing_like_that"),
        ("relayed_to_nobody", "no-such-target", "NoSuchTarget", "Nobody serves nobody"),
        ("too_large", "too-large", "TooLarge", "more than the limit"),
    ],
)
async def test_every_end_of_a_handler_is_answered(
    here: Transport,
    there: Transport,
    quiet: pytest.LogCaptureFixture,
    method: str,
    code: str,
    kind: str,
    message: str,
) -> None:
    """The caller gets the error as data at once, and the next call is served as ever."""
    async with rpc.serve(there, Trouble(there), topic="trouble", workers=1) as server:
        client = rpc.Client(here, topic="trouble", timeout=60)
        start = asyncio.get_running_loop().time()
        for _ in range(2):
            with pytest.raises(RemoteError) as raised:
                await client.call(method)
            error = raised.value
            assert (error.code, error.type) == (code, kind)
            assert message in error.message
            assert error.peer == "trouble"
            assert error.retryable == (
                method in {"domain", "plain_domain", "unencodable_details", "busy"}
            )
        assert asyncio.get_running_loop().time() == start
        assert server.statistics().running == 0
        assert server.statistics().faults == 2
    assert "hunter2" not in quiet.text


async def test_arguments_that_raise_are_answered(
    here: Transport, there: Transport, quiet: pytest.LogCaptureFixture
) -> None:
    """A type that raises while it is read refuses the call; the worker is free, the drain short."""

    class Store:
        async def keep(self, item: Item) -> str:
            return item.name

    async with rpc.serve(there, Store(), topic="store", workers=1) as server:
        client = rpc.Client(here, topic="store")
        with pytest.raises(RemoteError) as raised:
            await client.call("keep", item={"name": "anvil"})
        assert (raised.value.code, raised.value.type) == ("key-error", "KeyError")
        await client.cast("keep", item={"name": "anvil"})
        assert await client.call("keep", item={"name": "bolt"}) == "bolt"
        statistics = server.statistics()
        assert (statistics.refused, statistics.results, statistics.running) == (2, 1, 0)
        start = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() == start
    assert "A cast to store was refused" in quiet.text


async def test_details_and_causes_travel(
    here: Transport, there: Transport, quiet: pytest.LogCaptureFixture
) -> None:
    """Details are plain values and the chain of causes is there; tracebacks only if asked for."""
    async with rpc.serve(there, Trouble(there), topic="trouble"):
        client = rpc.Client(here, topic="trouble")
        with pytest.raises(RemoteError) as raised:
            await client.call("domain")
        assert raised.value.details == {"item": "bolt"}
        with pytest.raises(RemoteError) as raised:
            await client.call("chained")
        ((kind, text),) = raised.value.causes
        assert (kind, text[:15]) == ("ValueError", "invalid literal")
        assert "traceback" not in raised.value.details
        with pytest.raises(RemoteError) as raised:
            await client.call("unencodable_details")
        assert raised.value.details == {}
        with pytest.raises(ServerBusy) as busy:
            await client.call("busy")
        assert busy.value.details == {"retry_after": 2}
    async with rpc.serve(there, Trouble(there), topic="open", tracebacks=True):
        with pytest.raises(RemoteError) as raised:
            await rpc.Client(here, topic="open").call("domain")
        assert "raise OutOfStock" in str(raised.value.details["traceback"])
    assert "OutOfStock" in quiet.text


@pytest.mark.parametrize("ttl", [pytest.param(10**400, id="vast"), math.nan, b"1", None])
def test_a_ttl_that_is_no_number_lengthens_no_wait(ttl: HeaderValue) -> None:
    """A request's own word on how long it was good is a stranger's, and may be anything."""
    to = Address.private("reply")
    delivery = Delivery(Arrival(1, b"{}", headers={TTL_HEADER: ttl}), 5.0)
    assert awaited_until(Request("c", "m", reply_to=to, timeout=3.0), delivery) == 5.0


class NoStock(RemoteError):
    """A class of the client's registry."""


class Local(Exception):
    """Another, that knows nothing of bedplate."""


class Picky(Exception):
    """One that cannot be built from a message."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(one + two)


async def test_classes_come_from_the_registry_only(
    here: Transport, there: Transport, quiet: pytest.LogCaptureFixture
) -> None:
    """A code found in ``errors`` raises its class; what the class cannot hold is its cause."""
    async with rpc.serve(there, Trouble(there), topic="trouble"):
        client = rpc.Client(here, topic="trouble", errors={"out-of-stock": NoStock})
        with pytest.raises(NoStock, match="no bolt left") as raised:
            await client.call("domain")
        assert raised.value.details == {"item": "bolt"}
        local = rpc.Client(here, topic="trouble", errors={"out-of-stock": Local})
        with pytest.raises(Local, match="no bolt left") as plain:
            await local.with_(timeout=5).call("domain")
        assert isinstance(plain.value.__cause__, RemoteError)
        picky = rpc.Client(here, topic="trouble", errors={"out-of-stock": Picky})
        with pytest.raises(RemoteError, match="no bolt left"):
            await picky.call("domain")
    assert quiet.records


async def test_malformed_requests_are_answered_or_rejected(
    here: Transport, there: Transport, quiet: pytest.LogCaptureFixture
) -> None:
    """Messages that are no requests do no harm, and are answered where they say to whom."""
    heard: list[tuple[str, bytes]] = []

    class Ear:
        def arrived(self, deliveries: list[object]) -> None:
            heard.extend((each.kind, each.body) for each in deliveries)  # type: ignore[attr-defined]

        def bounced(self, message_id: str, why: Bounce) -> None:
            raise AssertionError(message_id, why)

        def lost(self, epoch: int, why: Exception) -> None:
            """Nothing waits."""

    async with rpc.serve(there, Trouble(there), topic="trouble") as server:
        address = Address.topic("trouble")
        inbox = await here.inbox(Ear())  # type: ignore[arg-type]  # Ear reads less of a delivery
        await here.publish(address, Message(b"?", kind="gossip"))
        await here.publish(address, Message(b"{}", kind="cast"))
        await here.publish(address, Message(b"{}", kind="reply", correlation_id="x"))
        for body, method in ((b"[1]", "domain"), (b"{", "domain"), (b"[" * 9999, "busy")):
            await here.publish(
                address,
                Message(
                    body,
                    {"bedplate-method": method},
                    kind="call",
                    correlation_id=f"{inbox.token}.1",
                    reply_to=inbox.address,
                ),
            )
        inbox.send(
            Outbound(
                address,
                b"{}",
                "m",
                Want.BOUNCE,
                kind="call",
                correlation_id=f"{inbox.token}.2",
                reply_to=inbox.address,
            )
        )
        await asyncio.sleep(1)
        assert server.statistics().malformed == 4
        assert server.statistics().refused == 3
        with pytest.raises(RemoteError):
            await rpc.Client(here, topic="trouble").call("domain")
    assert [kind for kind, _ in heard] == ["fault"] * 4
    assert [b"bad-arguments" in body for _, body in heard] == [True, True, True, False]
    assert b"malformed-message" in heard[3][1]
    assert len(quiet.records) >= 4


async def test_an_unreadable_answer_ends_its_call(
    here: Transport, there: Transport, quiet: pytest.LogCaptureFixture
) -> None:
    """A reply that makes no sense is an error at once, not a wait for the deadline."""
    answers = iter((("fault", b"?"), ("nonsense", b""), ("reply", b"{")))
    start = asyncio.get_running_loop().time()
    async with there.subscribe(Address.topic("odd")) as requests:

        async def answer() -> None:
            async for request in requests:
                kind, body = next(answers)
                assert request.reply_to is not None
                there.send(
                    Outbound(
                        request.reply_to,
                        body,
                        "a",
                        kind=kind,
                        correlation_id=request.correlation_id,
                    )
                )
                await request.ack()

        task = asyncio.ensure_future(answer())
        client = rpc.Client(here, topic="odd", timeout=60)
        for _ in range(3):
            with pytest.raises(MalformedMessage):
                await client.call("anything")
        task.cancel()
    assert client.statistics().malformed == 2
    assert asyncio.get_running_loop().time() == start
    assert not quiet.records


async def test_late_answers_are_dropped_and_counted(here: Transport, there: Transport) -> None:
    """Answers to calls that nobody waits for change nothing."""
    client = rpc.Client(here, topic="nobody", timeout=60)
    with pytest.raises(NoSuchTarget):
        await client.call("anything")
    inbox = client._caller._inbox
    assert inbox is not None
    for kind in ("reply", "beat", "fault"):
        body = b'{"code":"c","type":"T"}' if kind == "fault" else b"1"
        there.send(Outbound(inbox.address, body, "a", kind=kind, correlation_id=f"{inbox.token}.1"))
    await asyncio.sleep(1)
    assert client.statistics().late == 3


def test_the_errors_of_a_peer_stay_apart_from_ones_own() -> None:
    """What a server says on purpose keeps its code; what it was told by another one does not."""
    said = fault_of(BadArguments.say("no such size"), "c")
    assert (said.code, said.retryable) == ("bad-arguments", False)
    told = error_of(said, "shelf", {})
    assert isinstance(told, BadArguments)
    assert fault_of(told, "c").code == "remote"
    domain = error_of(fault_of(OutOfStock("bolt"), "c"), "shelf", {})
    relayed = fault_of(domain, "c")
    assert (relayed.code, relayed.retryable) == ("out-of-stock", False)
    assert not isinstance(error_of(relayed, "stock", {}), NoSuchMethod)


class Odd(Exception):
    """An exception with whatever attributes are drawn."""

    code: object = None
    details: object = None
    retryable: object = None


anything = st.none() | st.integers() | st.text() | st.just(object()) | st.binary(max_size=3)


@given(
    text=st.text(),
    code=anything,
    details=anything | st.dictionaries(anything.filter(lambda v: v is not None), anything),
    retryable=anything,
    depth=st.integers(0, 12),
    tracebacks=st.booleans(),
)
def test_any_exception_is_a_fault_that_can_be_sent(
    *, text: str, code: object, details: object, retryable: object, depth: int, tracebacks: bool
) -> None:
    """Whatever an exception carries, there is a message for it, and an error at the other end."""
    error = Odd(text)
    error.code, error.details, error.retryable = code, details, retryable
    cause: BaseException = error
    for _ in range(depth):
        cause.__cause__ = Odd(text)
        cause = cause.__cause__
    cause.__cause__ = error  # a chain may bite its tail
    fault = fault_of(error, "c", tracebacks=tracebacks)
    message = native.encode(fault)
    arrived = native.decode(
        Arrival(1, message.body, kind=message.kind, correlation_id=message.correlation_id)
    )
    assert isinstance(arrived, Fault)
    rebuilt = error_of(arrived, "t", {})
    assert isinstance(rebuilt, RemoteError)
    assert rebuilt.code
    assert len(rebuilt.causes) <= 8
    assert rebuilt.retryable is (retryable is True)
