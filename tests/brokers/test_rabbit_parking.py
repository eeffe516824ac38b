"""Parking on a real RabbitMQ, on classic and on replicated queues, and from the command line."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from bedplate._floor.backoff import Backoff
from bedplate.errors import DeadlineExceeded
from bedplate.messaging import (
    Address,
    Entity,
    IntakePolicy,
    Message,
    ParkingPlace,
    RecoveryPolicy,
    Source,
    Swept,
    Topology,
    Transport,
    TransportPolicy,
    notify,
)
from bedplate.messaging.types import HeaderValue
from bedplate.testing.brokers import RabbitNode

pytestmark = [pytest.mark.needs("rabbit"), pytest.mark.usefixtures("real_time")]

POLICY = TransportPolicy(
    recovery=RecoveryPolicy(backoff=Backoff(0.02, 2.0, 0.2), budget=1000),
    intake=IntakePolicy(attempts=3, backoff=Backoff(0.02, 2.0, 0.1)),
    close_timeout=5.0,
)
ONCE = IntakePolicy(attempts=1)


@pytest.fixture(params=["classic", "quorum"])
def url(request: pytest.FixtureRequest, rabbit: RabbitNode, vhost: str) -> str:
    """Name the module's own virtual host, for either kind of queue."""
    return rabbit.url(vhost) + ("?quorum=true" if request.param == "quorum" else "")


@pytest.fixture
def orders() -> Address:
    """Return a topic that nobody has used before."""
    return Address.topic(f"orders-{uuid4().hex[:12]}")


@pytest.fixture
async def transport(url: str) -> AsyncIterator[Transport]:
    """Open a transport."""
    async with Transport.connect(url, policy=POLICY) as opened:
        yield opened


async def park(transport: Transport, orders: Address, *bodies: str) -> ParkingPlace:
    """Publish messages, each under its own text as id, and have them fail once and for all."""
    await transport.declare(Topology((Entity(orders),)))
    async with transport.subscribe(orders, policy=ONCE) as deliveries:
        for body in bodies:
            await transport.publish(orders, Message(body.encode(), id=body))
        for _ in bodies:
            await (await anext(deliveries)).retry(error=ValueError("no"))
    return transport.parked(orders)


async def until(place: ParkingPlace, count: int) -> None:
    """Wait until so many are parked: replicated queues tell their length a moment late."""
    async with asyncio.timeout(10):
        while await place.count() != count:  # noqa: ASYNC110 - the broker tells nobody
            await asyncio.sleep(0.05)


async def ids(place: ParkingPlace) -> list[str]:
    return [each.id for each in await place.list(None)]


async def test_a_handler_that_fails_is_mended_and_has_it_back(
    transport: Transport, orders: Address
) -> None:
    """Tried as often as it may, then parked once, while the others go on; and replayed."""
    broken = True
    tries: list[int] = []
    done: list[bytes] = []

    async def work() -> None:
        async for delivery in deliveries:
            if delivery.body == b"poison":
                tries.append(delivery.attempts)
                if broken:
                    await delivery.retry(error=ValueError("no such part"))
                    continue
            done.append(delivery.body)
            await delivery.ack()

    async with transport.subscribe(orders, policy=POLICY.intake) as deliveries:
        task = asyncio.create_task(work())
        for body in (b"one", b"poison", b"two"):
            await transport.publish(orders, Message(body, ttl=60.0))
        place = transport.parked(orders)
        await until(place, 1)
        assert (tries, done) == ([1, 2, 3], [b"one", b"two"])
        (parked,) = await place.list()
        assert (parked.why, parked.attempts, parked.error) == (
            "attempts",
            3,
            "ValueError: no such part",
        )
        broken = False
        assert await place.replay([parked.id]) == Swept(done=1)
        async with asyncio.timeout(10):
            while len(done) < 3:  # noqa: ASYNC110 - the handler tells nobody
                await asyncio.sleep(0.05)
        assert (tries[3:], done[2]) == ([1], b"poison")
        assert await ids(place) == []
        task.cancel()


async def test_a_replay_reaches_one_group_alone(transport: Transport, orders: Address) -> None:
    """Others who had the message, and managed it, do not have it again."""
    async with (
        transport.subscribe(orders, group="a/udit@1") as audit,
        transport.subscribe(orders) as others,
    ):
        await transport.publish(orders, Message(b"x", id="1"))
        await (await anext(others)).ack()
        await (await anext(audit)).park("later")
        place = transport.parked(orders, group="a/udit@1")
        await until(place, 1)
        assert await place.replay(["1"]) == Swept(done=1)
        again = await anext(audit)
        assert (again.body, again.headers["bedplate-replay-of"]) == (b"x", "1")
        await again.ack()
        await asyncio.sleep(0.3)
        assert others.statistics().tally.received == 1


async def test_hundreds_are_looked_through(url: str, transport: Transport, orders: Address) -> None:
    """Beyond one window, again and again; classic queues keep their order whatever is looked at.

    A replicated queue has what is handed back behind what was not taken.
    """
    ordered = sorted if "quorum" in url else list[str]
    bodies = [f"{number:04}" for number in range(350)]
    place = await park(transport, orders, *bodies)
    await until(place, 350)
    for _ in range(3):
        assert await ids(place) == bodies
    assert [each.id for each in await place.list(5)] == bodies[:5]
    assert ordered(await ids(place)) == bodies
    assert (await place.show("0349")).message.body == b"0349"
    assert await place.drop(["0003", "0300"]) == Swept(done=2)
    told: list[tuple[int, int]] = []
    swept = await place.replay_all(progress=lambda *news: told.append(news))
    assert swept == Swept(done=348)
    assert told[-1] == (348, 348)
    assert await ids(place) == []
    found: list[str] = []
    async with transport.subscribe(orders) as deliveries:
        for _ in range(348):
            delivery = await anext(deliveries)
            found.append(delivery.body.decode())
            await delivery.ack()
    assert ordered(found) == [body for body in bodies if body not in ("0003", "0300")]


async def test_looking_wears_nothing_out(transport: Transport, orders: Address) -> None:
    """However often: newer brokers drop what a replicated queue handed out twenty times."""
    place = await park(transport, orders, "1", "2")
    await until(place, 2)
    for _ in range(25):
        assert sorted(await ids(place)) == ["1", "2"]


async def test_what_a_stranger_sent_is_parked_as_it_is(
    transport: Transport, orders: Address
) -> None:
    """Nested headers, as dead-lettering and other libraries write them, come back the same."""
    death: list[HeaderValue] = ["q", 1]
    strange = {"x-death": [{"count": 3, "queue": "q", "keys": death}], "none": None, "b": b"\xff"}
    message = Message(b"{", strange, "application/json", id="1", kind="odd", key="k")  # type: ignore[arg-type]  # no types bind a stranger
    async with transport.subscribe(orders) as deliveries:
        await transport.publish(orders, message)
        await (await anext(deliveries)).park()
        place = transport.parked(orders)
        await until(place, 1)
        found = (await place.show("1")).message
        assert {name: found.headers[name] for name in strange} == strange
        await place.replay_all()
        again = await anext(deliveries)
        assert {name: again.headers[name] for name in strange} == strange
        assert (again.kind, again.key, again.content_type) == ("odd", "k", "application/json")
        assert again.attempts == 1
        await again.ack()


async def test_a_message_without_an_id_gets_one(transport: Transport, orders: Address) -> None:
    """So that it can be named: many other libraries write none."""
    async with transport.subscribe(orders) as deliveries:
        await transport.publish(orders, Message(b"x"))
        await (await anext(deliveries)).park()
    (parked,) = await transport.parked(orders).list()
    assert parked.id


async def test_a_listener_parks_in_the_place_of_its_pool(transport: Transport) -> None:
    """Notifications of a priority, of one pool."""
    topic = f"told-{uuid4().hex[:12]}"
    broken = True
    heard: list[str] = []

    def handle(notification: notify.Notification) -> None:
        heard.append(notification.id)
        if broken:
            raise OSError("down")

    listener = notify.listen(
        transport, handle, topics=[topic], priorities=["info"], attempts=2, backoff=0.01, pool="p"
    )
    async with listener:
        told = await notify.Notifier(transport, "test", topic=topic).info("x")
        place = transport.parked(Address.topic(f"{topic}.info"), group="p")
        await until(place, 1)
        broken = False
        assert await place.replay([told]) == Swept(done=1)
        async with asyncio.timeout(10):
            while len(heard) < 3:  # noqa: ASYNC110 - the handler tells nobody
                await asyncio.sleep(0.05)
        assert heard == [told] * 3


async def test_what_is_parked_stays_until_somebody_decides(
    private_rabbit: RabbitNode, vhost: str, transport: Transport, orders: Address
) -> None:
    """Its queue is durable and has no expiry: nobody needs to look at it in time."""
    await until(await park(transport, orders, "1"), 1)
    told = await asyncio.to_thread(
        private_rabbit.evaluate,
        "{ok, Q} = rabbit_amqqueue:lookup(rabbit_misc:r("
        f'<<"{vhost}">>, queue, <<"default/parked:{orders.name}">>)), '
        'io_lib:format("~p ~p", [amqqueue:is_durable(Q), amqqueue:get_arguments(Q)])',
        text=True,
    )
    assert told.startswith("true ")
    assert "x-expires" not in told


async def test_looking_works_whatever_the_queue_is_like(
    rabbit: RabbitNode, vhost: str, url: str, orders: Address
) -> None:
    """Who looks need not know how the services are set up: nothing is declared for a look."""
    async with Transport.connect(url, policy=POLICY) as transport:
        place = await park(transport, orders, "1")
        await until(place, 1)
    other = rabbit.url(vhost) + ("" if "quorum" in url else "?quorum=true")
    async with Transport.connect(other, policy=POLICY) as transport:
        assert await ids(transport.parked(orders)) == ["1"]
        assert dict(transport.statistics().notices) == {}
        assert await transport.parked(orders).drop_all() == Swept(done=1)


async def test_a_bound_on_what_one_may_hold_is_told_of(
    rabbit: RabbitNode, vhost: str, orders: Address
) -> None:
    """A part of it all is listed; what lies behind that is not said to be missing."""
    async with Transport.connect(rabbit.url(vhost) + "?prefetch=2", policy=POLICY) as transport:
        place = await park(transport, orders, "1", "2", "3")
        await until(place, 3)
        assert [each.id for each in await place.list(3)] == ["1", "2"]
        assert (await place.show("2")).message.body == b"2"
        with pytest.raises(DeadlineExceeded, match="waiting for more than 2 messages"):
            await place.show("3")
        assert await place.drop_all() == Swept(done=3)


async def test_a_broker_that_takes_nothing_keeps_nobody_waiting(
    private_rabbit: RabbitNode, transport: Transport, orders: Address
) -> None:
    """During an alarm what fails stays unsettled, the rest goes on; afterwards it is parked."""
    await transport.declare(Topology((Entity(orders),)))
    for body in (b"poison", b"1", b"2"):
        await transport.publish(orders, Message(body))
    await asyncio.to_thread(private_rabbit.alarm, on=True)
    try:
        done: list[bytes] = []
        async with transport.subscribe(orders, policy=ONCE) as deliveries:
            async with asyncio.timeout(10):
                for _ in range(3):
                    delivery = await anext(deliveries)
                    if delivery.body == b"poison":
                        await delivery.retry()
                    else:
                        done.append(delivery.body)
                        await delivery.ack()
            assert done == [b"1", b"2"]
            await asyncio.sleep(0.3)
            assert deliveries.statistics().unsettled == 1
            await asyncio.to_thread(private_rabbit.alarm, on=False)
            async with asyncio.timeout(20):
                while deliveries.statistics().unsettled:  # noqa: ASYNC110 - it tells nobody
                    await asyncio.sleep(0.05)
        assert len(await ids(transport.parked(orders))) == 1
    finally:
        await asyncio.to_thread(private_rabbit.alarm, on=False)


async def test_who_is_killed_while_looking_takes_nothing_along(
    url: str, transport: Transport, orders: Address
) -> None:
    """The broker has all of it back, in its order."""
    bodies = [f"{number:03}" for number in range(150)]
    place = await park(transport, orders, *bodies)
    await until(place, 150)
    code = f"""
import asyncio
from bedplate.messaging import Address, Transport

async def main():
    async with Transport.connect({url!r}) as transport:
        place = transport.parked(Address.topic({orders.name!r}))
        async with place._browse(30.0) as browser:
            print(len(await browser.some()), flush=True)
            await asyncio.sleep(60)

asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert int(await process.stdout.readline()) > 0
    process.send_signal(signal.SIGKILL)
    await process.wait()
    await until(place, 150)
    assert await ids(place) == bodies


async def test_expired_messages_are_parked_where_that_is_asked_for(
    transport: Transport, orders: Address
) -> None:
    """Those whose time ends while they wait in the process."""
    policy = IntakePolicy(park_expired=True)
    async with transport.subscribe(orders, policy=policy) as deliveries:
        await transport.publish(orders, Message(b"late", id="1", ttl=0.3))
        await asyncio.sleep(0.6)
        await transport.publish(orders, Message(b"next", id="2"))
        assert (await anext(deliveries)).body == b"next"
    place = transport.parked(orders)
    await until(place, 1)
    assert [(each.id, each.why) for each in await place.list()] == [("1", "expired")]


async def test_an_inlet_is_closed_by_who_looked(transport: Transport, orders: Address) -> None:
    """Nothing stays behind at the broker: no consumer, no message held."""
    place = await park(transport, orders, "1", "2")
    await until(place, 2)
    await place.list(1)
    await until(place, 2)
    standing = await transport.look(place.place)
    assert (standing.messages, standing.consumers) == (2, 0)
    await (await transport.consume(Source(place.place, existing=True), print, credit=1)).aclose()


# --- the command line ---------------------------------------------------------------------------


async def ran(*arguments: str) -> tuple[int, str, str]:
    """Run a command to its end; return status, output and errors."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bedplate.cli", "parked", *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    async with asyncio.timeout(30):
        said, told = await process.communicate()
    return process.returncode or 0, said.decode(), told.decode()


async def test_the_commands_do_it_all(url: str, transport: Transport, orders: Address) -> None:
    """List, show, replay, drop, as processes of their own."""
    place = await park(transport, orders, "one", "two", "three")
    await until(place, 3)
    status, said, told = await ran("list", url, orders.name)
    assert (status, told) == (0, "")
    assert [line.split()[0] for line in said.splitlines()] == ["id", "one", "two", "three"]
    assert "ValueError: no" in said
    await until(place, 3)
    status, said, _ = await ran("show", url, orders.name, "two", "--json")
    assert (status, json.loads(said)["body"]) == (0, "two")
    await until(place, 3)
    assert await ran("replay", url, orders.name, "two", "--ttl", "60") == (0, "1 replayed\n", "")
    async with transport.subscribe(orders) as deliveries:
        delivery = await anext(deliveries)
        assert (delivery.body, delivery.deadline is None) == (b"two", False)
        await delivery.ack()
    await until(place, 2)
    assert (await ran("drop", url, orders.name, "--all"))[0] == 2
    assert await ran("drop", url, orders.name, "--all", "--yes") == (0, "2 dropped\n", "")
    status, said, told = await ran("list", url, orders.name)
    assert (status, said, told) == (0, "", f"bedplate: nothing is parked for {orders.name}.\n")
    status, said, told = await ran("show", url, orders.name, "two")
    assert (status, said) == (1, "")
    assert told.startswith(f"bedplate: No message two is parked for {orders.name}: ")
