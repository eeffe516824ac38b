"""Interceptors of clients and servers, over the memory broker."""

import asyncio
import threading
from collections.abc import Callable
from contextvars import ContextVar

import pytest
from msgspec.structs import replace

from bedplate.errors import AccessDenied, DeadlineExceeded, NoSuchTarget, RemoteError
from bedplate.messaging import Transport, rpc

TENANT: ContextVar[str] = ContextVar("TENANT", default="")


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what a thread or the loop will bring about."""
    while not condition():  # noqa: ASYNC110 - nothing tells of it
        await asyncio.sleep(0)


class Echo(rpc.Interface, topic="echo"):
    """Methods of both colours."""

    async def echo(self, text: str = "hello") -> str:
        """Return what it is given, and the tenant."""
        return f"{text} {TENANT.get()}".strip()

    def plainly(self, text: str) -> str:
        """Do the same in a thread."""
        assert threading.current_thread() is not threading.main_thread()
        return f"{text} {TENANT.get()}".strip()


async def test_server_interceptors_run_around_the_handler_the_first_outermost(
    here: Transport, there: Transport
) -> None:
    """Each sees the request, goes on when it wants to, and may change the result."""
    seen: list[str] = []

    def named(name: str) -> rpc.ServerInterceptor:
        async def intercept(request: rpc.Context, proceed: rpc.Proceed) -> object:
            seen.append(f"{name} before {request.method}")
            result = await proceed()
            seen.append(f"{name} after")
            return f"{name}({result})"

        return intercept

    hooks = (named("outer"), named("inner"))
    async with rpc.serve(there, Echo(), interceptors=hooks):
        echo = rpc.client(here, Echo, timeout=3)
        assert await echo.echo("hi") == "outer(inner(hi))"
        assert seen == [
            "outer before echo", "inner before echo", "inner after", "outer after",
        ]  # fmt: skip
        assert await asyncio.to_thread(echo.plainly, "hi") == "outer(inner(hi))"


async def test_handlers_of_both_colours_see_context_variables_of_interceptors(
    here: Transport, there: Transport
) -> None:
    """What an interceptor sets is there in the handler, and gone with the request."""

    async def tenant(request: rpc.Context, proceed: rpc.Proceed) -> object:
        assert rpc.context() is request
        assert not TENANT.get()
        TENANT.set(str(request.values["tenant"]))
        return await proceed()

    async with rpc.serve(there, Echo(), interceptors=[tenant]):
        client = rpc.Client(here, topic="echo", context={"tenant": "blue"})
        for _ in range(2):
            assert await client.call("echo", text="of") == "of blue"
            assert await client.call("plainly", text="of") == "of blue"


async def test_an_interceptor_refuses_by_raising(here: Transport, there: Transport) -> None:
    """What it raises is data for the caller, and the handler does not run."""

    async def refuse(request: rpc.Context, proceed: rpc.Proceed) -> object:
        if request.peer != "friend":
            raise AccessDenied.say("Friends only.")
        return await proceed()

    async with rpc.serve(there, Echo(), interceptors=[refuse]) as server:
        with pytest.raises(AccessDenied, match="Friends only"):
            await rpc.Client(here, topic="echo").call("echo")
        assert await rpc.Client(here, topic="echo", name="friend").call("echo") == "hello"
        assert server.statistics().faults == 1


async def test_a_handler_that_quits_ends_neither_interceptors_tasks_nor_the_loop(
    here: Transport, there: Transport
) -> None:
    """SystemExit of a handler is data for the caller, also out of a task made on the way."""

    class Quitter:
        async def quit(self) -> None:
            raise SystemExit(3)

        def quit_plainly(self) -> None:
            raise SystemExit(3)

    async def hurried(_: rpc.Context, proceed: rpc.Proceed) -> object:
        return await asyncio.ensure_future(proceed())

    async with rpc.serve(there, Quitter(), topic="quit", interceptors=[hurried]):
        client = rpc.Client(here, topic="quit")
        for method in ("quit", "quit_plainly"):
            with pytest.raises(RemoteError) as raised:
                await client.call(method)
            assert (raised.value.code, raised.value.type) == ("system-exit", "SystemExit")


async def test_an_interceptor_counts_as_running_and_is_cancelled_with_its_request(
    here: Transport, there: Transport
) -> None:
    """It holds a worker, the caller hears beats meanwhile, and cancelling reaches it."""
    ended = asyncio.Event()

    async def slow(_: rpc.Context, proceed: rpc.Proceed) -> object:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()
        return await proceed()

    async with rpc.serve(there, Echo(), workers=1, interceptors=[slow]) as server:
        client = rpc.Client(here, topic="echo", timeout=600, heartbeat=1)
        assert await client.call("echo") == "hello"
        ended.clear()
        call = asyncio.ensure_future(client.call("echo"))
        await asyncio.sleep(5)
        assert server.statistics().running == 1
        call.cancel()
        await ended.wait()
        await asyncio.sleep(0.1)
        assert (server.statistics().running, server.statistics().cancelled) == (0, 1)


async def test_a_cancelled_request_keeps_its_worker_until_its_thread_is_done(
    here: Transport, there: Transport
) -> None:
    """A plain handler cannot be stopped: what comes next waits for it, and then runs."""
    began, go_on = threading.Event(), threading.Event()

    class Plain:
        def block(self) -> None:
            began.set()
            go_on.wait()

        def quick(self) -> str:
            return "quick"

    async def through(_: rpc.Context, proceed: rpc.Proceed) -> object:
        return await proceed()

    async with rpc.serve(
        there, Plain(), topic="plain", workers=1, interceptors=[through]
    ) as server:
        client = rpc.Client(here, topic="plain", timeout=600)
        call = asyncio.ensure_future(client.call("block"))
        await until(began.is_set)
        call.cancel()
        await until(lambda: server.statistics().cancelled == 1)
        after = asyncio.ensure_future(client.call("quick"))
        await until(lambda: server.statistics().waiting == 1)
        assert server.statistics().running == 1
        go_on.set()
        assert await after == "quick"
        assert server.statistics().running == 0


async def test_client_interceptors_change_and_answer_what_goes_out(
    here: Transport, there: Transport
) -> None:
    """They see every verb with its options and arguments, typed and untyped, outermost first."""
    seen: list[tuple[str, str, dict[str, object]]] = []

    async def note(call: rpc.Outgoing, send: rpc.Send) -> object:
        seen.append((call.verb, call.method, dict(call.arguments)))
        return await send(call.with_(context={**call.options.context, "tenant": "red"}))

    async def shout(call: rpc.Outgoing, send: rpc.Send) -> object:
        assert call.options.context == {"tenant": "red"}
        result = await send(call)
        return f"{result}!" if isinstance(result, str) else result

    async def tenant(request: rpc.Context, proceed: rpc.Proceed) -> object:
        TENANT.set(str(request.values["tenant"]))
        return await proceed()

    async with rpc.serve(there, Echo(), interceptors=[tenant]):
        echo = rpc.client(here, Echo, interceptors=[note, shout])
        assert await echo.with_(timeout=3).echo("so") == "so red!"
        assert await asyncio.to_thread(echo.plainly, "so") == "so red!"
        client = rpc.Client(here, topic="echo", interceptors=[note, shout])
        assert await client.with_(timeout=3).call("echo") == "hello red!"
        await client.cast("echo", text="cast")
        await client.fanout("echo", text="all")
    assert seen == [
        ("call", "echo", {"text": "so"}),
        ("call", "plainly", {"text": "so"}),
        ("call", "echo", {}),
        ("cast", "echo", {"text": "cast"}),
        ("fanout", "echo", {"text": "all"}),
    ]


async def test_a_stub_checks_what_interceptors_hand_on(here: Transport) -> None:
    """Arguments that do not fit are a TypeError, whoever gave them."""

    async def spoil(call: rpc.Outgoing, send: rpc.Send) -> object:
        return await send(replace(call, arguments={"text": 3}))

    with pytest.raises(TypeError, match="Expected `str`, got `int`"):
        await rpc.client(here, Echo, interceptors=[spoil]).echo("good")


async def test_a_client_interceptor_may_try_again_within_the_one_deadline(here: Transport) -> None:
    """Each attempt has what is left, and what outlasts the deadline is cut off."""
    left: list[float] = []

    async def again(call: rpc.Outgoing, send: rpc.Send) -> object:
        while True:
            try:
                return await send(call)
            except NoSuchTarget:
                left.append(here.clock.now())
                await asyncio.sleep(1)

    client = rpc.Client(here, topic="nobody", timeout=3.5, interceptors=[again])
    start = here.clock.now()
    with pytest.raises(DeadlineExceeded, match=r"within 3\.5 s \(in an interceptor\)"):
        await client.call("anything")
    assert here.clock.now() - start == pytest.approx(3.5, abs=0.1)
    assert len(left) == 4


async def test_no_interceptor_gives_a_call_more_time(here: Transport, there: Transport) -> None:
    """A longer timeout is cut to the caller's, and so is one that never hands on."""

    class Slow:
        async def sleep(self) -> None:
            await asyncio.sleep(60)

    async def patient(call: rpc.Outgoing, send: rpc.Send) -> object:
        return await send(call.with_(timeout=600))

    async def asleep(call: rpc.Outgoing, send: rpc.Send) -> object:
        await asyncio.sleep(600)
        return await send(call)

    async with rpc.serve(there, Slow(), topic="slow"):
        for hook in (patient, asleep):
            start = here.clock.now()
            client = rpc.Client(here, topic="slow", timeout=2, interceptors=[hook])
            with pytest.raises(DeadlineExceeded):
                await client.call("sleep")
            assert here.clock.now() - start == pytest.approx(2, abs=0.1)


async def test_an_interceptors_own_timeout_is_left_alone(here: Transport) -> None:
    """A TimeoutError that is not the deadline's reaches the caller as it is."""

    async def broken(_: rpc.Outgoing, __: rpc.Send) -> object:
        raise TimeoutError("of its own")

    with pytest.raises(TimeoutError, match="of its own") as raised:
        await rpc.Client(here, topic="echo", interceptors=[broken]).call("echo")
    assert not isinstance(raised.value, DeadlineExceeded)


async def test_what_cannot_intercept_is_refused_at_once(here: Transport) -> None:
    """Clients and servers say so when they are made, not when they are used."""
    with pytest.raises(TypeError, match="is no interceptor"):
        rpc.Client(here, topic="echo", interceptors=["log"])  # type: ignore[list-item]  # meant
    with pytest.raises(TypeError, match="is no interceptor"):
        rpc.serve(here, Echo(), interceptors=[None])  # type: ignore[list-item]  # meant
