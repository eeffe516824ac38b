import asyncio
import gc
import os
import pickle
import threading
from collections.abc import Callable, Coroutine
from typing import ClassVar, cast

import pytest

from bedplate._floor.backoff import Backoff
from bedplate.config import Section
from bedplate.errors import (
    Forked,
    InvalidUrl,
    PluginNotFound,
    TopologyMismatch,
    TransportClosed,
    Unsupported,
    WrongLoop,
)
from bedplate.messaging import (
    Ack,
    Address,
    Delivery,
    Entity,
    Message,
    Outbound,
    RecoveryPolicy,
    Source,
    Support,
    Topology,
    Transport,
    TransportPolicy,
    TransportUrl,
    Want,
)
from bedplate.messaging.driver import CONTRACT, Driver, Link, LinkEvents, Maturity, Status
from bedplate.messaging.drivers.memory import MemoryDriver, MemoryOptions, broker
from bedplate.messaging.intake import DEADLINE_HEADER
from bedplate.messaging.line import Route
from bedplate.messaging.observe import Closed, GivenUp, Opened, Received, Sent
from bedplate.messaging.wheel import Wheel
from bedplate.testing import FakeClock
from bedplate.testing.faulty import Faults, faulty

ORDERS = Address.topic("orders")
POLICY = TransportPolicy(recovery=RecoveryPolicy(backoff=Backoff(0.1, 1.0, 0.1), budget=10_000))


class Listener:
    def arrived(self, deliveries: list[Delivery]) -> None: ...
    def bounced(self, message_id: str, why: object) -> None: ...
    def lost(self, epoch: int, why: object) -> None: ...


# --- connecting ---------------------------------------------------------------------------------


async def test_the_readme_example_works() -> None:
    """Publish into a topic and receive from it, as the documentation shows."""
    async with (
        Transport.connect("memory://readme/") as transport,
        transport.subscribe(ORDERS, credit=100) as deliveries,
    ):
        await transport.publish(ORDERS, Message(b"...", ttl=30))
        async for delivery in deliveries:
            assert delivery.body == b"..."
            await delivery.ack()
            break


def test_describing_a_transport_opens_nothing() -> None:
    """connect() works without a loop and without a broker."""
    memory = broker("untouched")
    transport = Transport.connect("memory://untouched/", name="quiet")
    assert (transport.name, transport.url.driver) == ("quiet", "memory")
    assert memory.links == ()
    with pytest.raises(TransportClosed):
        transport.statistics()


async def test_an_unknown_driver_is_named_with_those_there_are() -> None:
    """A URL whose scheme nobody installed says what is installed."""
    with pytest.raises(PluginNotFound, match=r"'rabit'.*memory"):
        async with Transport.connect("rabit://localhost/"):
            pass


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("memory://o/?limits=3", r"no option 'limits' \(it has: limit\)"),
        ("memory://o/?limit=many", "limit must be a whole number"),
        ("memory://o/?limit=0", "limit must be"),
    ],
)
async def test_options_in_the_url_are_checked(url: str, why: str) -> None:
    """Unknown names and unfit values are InvalidUrl before anything is opened."""
    with pytest.raises(InvalidUrl, match=why):
        async with Transport.connect(url):
            pass


async def test_options_in_the_url_win_over_those_given() -> None:
    """What the URL says is nearer to the operator than the program's own settings."""
    seen: list[object] = []

    class Watching(MemoryDriver):  # type: ignore[misc]  # final for users, open for this test
        async def connect(self, url: TransportUrl, options: Section, hear: LinkEvents) -> Link:
            seen.append(options)
            return await super().connect(url, options, hear)

    given = MemoryOptions(limit=5)
    for url in ("memory://wins/", "memory://wins/?limit=7"):
        async with Transport.connect(url, driver=Watching(), options=given):
            pass
    assert seen == [MemoryOptions(limit=5), MemoryOptions(limit=7)]


async def test_a_driver_of_another_contract_is_refused() -> None:
    """A driver written for another version of the contract says which releases to fit."""

    class Newer(MemoryDriver):  # type: ignore[misc]  # final for users, open for this test
        contract: ClassVar[int] = CONTRACT + 1

    with pytest.raises(Unsupported, match=f"written for version {CONTRACT + 1}"):
        async with Transport.connect("memory://newer/", driver=Newer()):
            pass


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (
            Status(Maturity.DEPRECATED, since="1.4", removal="2.0", instead="rabbit"),
            DeprecationWarning,
            "deprecated since 1.4 and goes with 2.0; use rabbit",
        ),
        (Status(Maturity.EXPERIMENTAL, reason="it is new."), UserWarning, "it is new.$"),
    ],
)
async def test_what_a_driver_is_worth_is_said_once(
    status: Status, kind: type[Warning], words: str
) -> None:
    """Deprecated and experimental drivers warn whoever connects, and show in the statistics."""

    class Aged(MemoryDriver):  # type: ignore[misc]  # final for users, open for this test
        pass

    Aged.status = status
    with pytest.warns(kind, match=words) as warned:
        async with Transport.connect("memory://aged/", driver=Aged()) as transport:
            notices = dict(transport.statistics().notices)
    assert [each.filename for each in warned] == [__file__]
    assert notices == {f"driver-{status.maturity.value}": 1}


async def test_a_transport_is_entered_once() -> None:
    """Entering it again, or using it afterwards, is TransportClosed."""
    transport = Transport.connect("memory://once/")
    async with transport:
        with pytest.raises(TransportClosed, match="entered before"):
            await transport.__aenter__()
    await transport.aclose()
    with pytest.raises(TransportClosed):
        await transport.publish(ORDERS, Message(b""))
    with pytest.raises(TransportClosed):
        transport.subscribe(ORDERS)


def test_a_transport_refuses_to_be_pickled() -> None:
    """Connections cannot travel; the error says what to hand over."""
    with pytest.raises(TypeError, match="hand over its URL"):
        pickle.dumps(Transport.connect("memory://pickled/"))


def test_no_printed_form_shows_the_password() -> None:
    """Every way to print a transport masks what its URL holds."""
    transport = Transport.connect("memory://me:secret@x/")
    assert "secret" not in repr(transport) + str(transport)
    assert "****" in repr(transport)


# --- links --------------------------------------------------------------------------------------


async def test_two_links_at_most() -> None:
    """Inboxes and unacknowledged subscriptions share the talk link, the others share one more."""
    memory = broker("two")
    async with Transport.connect("memory://two/") as transport:
        await transport.inbox(Listener())
        async with transport.subscribe(ORDERS, ack=None):
            assert len(memory.links) == 1
            async with transport.subscribe(ORDERS), transport.subscribe(ORDERS, ack=Ack.START):
                assert len(memory.links) == 2
                lines = transport.statistics().lines
                assert [line.name for line in lines] == ["talk", "listen"]
    assert memory.links == ()


async def test_closed_flow_leaves_the_listening_link_alone() -> None:
    """What is received can be settled while nothing may be sent."""
    memory = broker("alarm")
    async with (
        Transport.connect("memory://alarm/") as transport,
        transport.subscribe(ORDERS) as deliveries,
    ):
        await transport.publish(ORDERS, Message(b"1"))
        memory.close_flow()
        await asyncio.sleep(1)
        await (await anext(deliveries)).reject()
        await asyncio.sleep(1)
        assert memory.counts().rejected == 1
        memory.open_flow()


async def test_declarations_are_repeated_on_every_link() -> None:
    """What was declared is there again after the broker forgot it, before anything is sent."""
    memory = broker("forgetful")
    async with Transport.connect("memory://forgetful/", policy=POLICY) as transport:
        await transport.declare(Topology((Entity(ORDERS),)))
        memory.delete(ORDERS)
        memory.cut()
        await asyncio.sleep(0)
        await transport.publish(ORDERS, Message(b"1"))
        assert (await transport.look(ORDERS)).messages == 1


async def test_a_misfit_does_not_keep_other_declarations_away() -> None:
    """A queue somebody else made anew, differently, is reported and the others are declared."""
    memory = broker("misfit")
    other = Address.topic("other")
    async with Transport.connect("memory://misfit/", policy=POLICY) as transport:
        await transport.declare(Topology((Entity(ORDERS, limit=5), Entity(other))))
        memory.delete(ORDERS)
        memory.delete(other)
        async with Transport.connect("memory://misfit/") as stranger:
            await stranger.declare(Topology((Entity(ORDERS, limit=6),)))
            with pytest.raises(TopologyMismatch):
                await stranger.declare(Topology((Entity(ORDERS, limit=7),)))
        memory.cut()
        await asyncio.sleep(0)
        await transport.publish(other, Message(b"1"))
        assert dict(transport.statistics().notices) == {"topology-mismatch": 1}


async def test_observers_hear_links_and_messages() -> None:
    """Links that open and close and messages that go, in the order they happen."""

    class Hearing:
        def __init__(self) -> None:
            self.heard: list[object] = []

        def sent(self, event: Sent) -> None:
            self.heard.append(("sent", event.id, event.size))

        def received(self, event: Received) -> None:
            self.heard.append(("received", event.id))

        def opened(self, event: Opened) -> None:
            self.heard.append(("opened", event.line, event.epoch))

        def given_up(self, event: GivenUp) -> None: ...

        def closed(self, event: Closed) -> None:
            self.heard.append(("closed", event.line, event.epoch))

    class Broken(Hearing):
        def sent(self, event: Sent) -> None:
            raise ValueError(f"a bug that shows with {event.id}")

    hearing = Hearing()
    memory = broker("observed")
    async with Transport.connect(
        "memory://observed/", observers=[Broken(), hearing], policy=POLICY
    ) as transport:
        await transport.declare(Topology((Entity(ORDERS),)))
        await transport.publish(ORDERS, Message(b"123", id="m"))
        memory.cut()
        await asyncio.sleep(1)
        assert dict(transport.statistics().notices) == {"observer-dropped": 1}
    assert hearing.heard == [
        ("opened", "talk", 1),
        ("sent", "m", 3),
        ("closed", "talk", 1),
        ("opened", "talk", 2),
        ("closed", "talk", 2),
    ]


async def test_statistics_tell_what_an_operator_asks() -> None:
    """Links, epochs, counts, buffers, flow: one value, all there."""
    memory = broker("statistics")
    async with Transport.connect("memory://statistics/", name="rpc", policy=POLICY) as transport:
        async with transport.subscribe(ORDERS) as deliveries:
            for number in range(3):
                await transport.publish(ORDERS, Message(b"%d" % number))
            await (await anext(deliveries)).ack()
            memory.cut(memory.links[0])
            await asyncio.sleep(5)
            now = transport.statistics()
            assert (now.name, now.driver, now.published, now.received) == ("rpc", "memory", 3, 3)
            assert (now.unsettled, now.reconnects, now.buffered, now.flow) == (2, 1, 0, ())
            talk, listen = now.lines
            assert (talk.up, talk.epoch, talk.reconnects, "cut" in talk.why) == (True, 2, 1, True)
            assert (listen.up, listen.epoch, listen.why) == (True, 1, "")
            assert now.consumers[0].address == "orders"
        after = transport.statistics()
        assert (after.received, after.unsettled, after.consumers) == (3, 0, ())


async def test_capabilities_tell_who_provides_what() -> None:
    """What the broker has is native; what the transport adds is above."""
    async with Transport.connect("memory://capable/") as transport:
        assert transport.capabilities.ttl is Support.NATIVE
        assert transport.capabilities.extend is Support.NO


async def test_another_wall_clock_may_be_handed_in() -> None:
    """The clock given tells the wall time that goes into headers."""
    clock = FakeClock(wall=42.0)
    async with (
        Transport.connect("memory://walled/", clock=clock) as transport,
        transport.subscribe(ORDERS) as deliveries,
    ):
        assert transport.clock is clock
        await transport.publish(ORDERS, Message(b"", ttl=8.0))
        assert (await anext(deliveries)).headers["bedplate-deadline"] == 50.0


async def test_timers_end_with_the_transport() -> None:
    """A timer of a closed transport does not fire."""
    fired: list[int] = []
    async with Transport.connect("memory://timed/") as transport:
        transport.after(1.0, lambda: fired.append(1))
        transport.after(10.0, lambda: fired.append(2))
        await asyncio.sleep(5)
    await asyncio.sleep(20)
    assert fired == [1]


class StuckDriver:
    """Lets nothing pass any more once a link is made, but for the first."""

    def __init__(self, faults: Faults) -> None:
        self._inside, self._faults = faulty(MemoryDriver(), faults), faults
        self.made = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._inside, name)

    async def connect(self, url: TransportUrl, options: Section, hear: LinkEvents) -> Link:
        link = await self._inside.connect(url, options, hear)
        self.made += 1
        if self.made > 1:
            self._faults.freeze()
        return link


async def test_closing_ends_a_link_that_is_just_being_restored() -> None:
    """A link that nobody saw yet is closed too, and not left to live on with its heartbeats."""
    faults = Faults()
    driver = StuckDriver(faults)
    async with Transport.connect(
        "memory://restoring/", driver=cast("Driver", driver), policy=POLICY
    ) as transport:
        await transport.declare(Topology((Entity(ORDERS),)))
        faults.cut()
        await asyncio.sleep(1)
        assert driver.made == 2
        assert len(faults.links) == 1
    assert not faults.links


async def test_closing_a_frozen_transport_is_bounded() -> None:
    """Links that do not answer are dropped, all after the time given to close one."""

    class Hanging:
        """A link that never says goodbye."""

        def __init__(self, inside: object) -> None:
            self._inside = inside

        def __getattr__(self, name: str) -> object:
            return getattr(self._inside, name)

        async def aclose(self) -> None:
            await asyncio.Event().wait()

    class Driver(MemoryDriver):  # type: ignore[misc]  # final for users, open for this test
        async def connect(self, url: TransportUrl, options: Section, hear: LinkEvents) -> Link:
            return cast("Link", Hanging(await super().connect(url, options, hear)))

    loop = asyncio.get_running_loop()
    policy = TransportPolicy(close_timeout=2.0)
    async with Transport.connect("memory://hanging/", driver=Driver(), policy=policy) as transport:
        await transport.look(ORDERS)
        async with transport.subscribe(ORDERS):
            assert len(transport.statistics().lines) == 2
        began = loop.time()
    assert loop.time() - began == 2.0


# --- the wrong place ----------------------------------------------------------------------------


async def test_every_method_refuses_another_loop(real_time: None) -> None:
    """Used from another event loop, or from none, it raises WrongLoop and touches nothing."""
    del real_time
    async with (
        Transport.connect("memory://loops/") as transport,
        transport.subscribe(ORDERS) as deliveries,
    ):
        inbox = await transport.inbox(Listener())
        await transport.publish(ORDERS, Message(b"1"))
        delivery = await anext(deliveries)
        refused: list[str] = []

        async def elsewhere() -> None:
            attempts: dict[str, Callable[[], Coroutine[object, object, object]]] = {
                "publish": lambda: transport.publish(ORDERS, Message(b"")),
                "declare": lambda: transport.declare(Topology(())),
                "look": lambda: transport.look(ORDERS),
                "inbox": lambda: transport.inbox(Listener()),
                "consume": lambda: transport.consume(Source(ORDERS), print, credit=1),
                "ready": lambda: inbox.ready(None),  # type: ignore[arg-type]  # never looked at
                "ack": delivery.ack,
                "aclose": transport.aclose,
            }
            for name, attempt in attempts.items():
                with pytest.raises(WrongLoop):
                    await attempt()
                refused.append(name)

        thread = threading.Thread(target=lambda: asyncio.run(elsewhere()))
        thread.start()
        await asyncio.to_thread(thread.join)
        assert len(refused) == 8
        for call in (
            lambda: transport.subscribe(ORDERS),
            lambda: transport.after(1, print),
            lambda: inbox.send(None),  # type: ignore[arg-type]  # never looked at
        ):
            with pytest.raises(WrongLoop):
                await asyncio.to_thread(call)
        assert await delivery.ack()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_refuses_what_its_parent_opened() -> None:
    """In a forked child every use raises Forked, and the parent's links go on untouched."""
    loop = asyncio.SelectorEventLoop()
    transport = Transport.connect("memory://forked/")
    loop.run_until_complete(transport.__aenter__())
    loop.run_until_complete(transport.declare(Topology((Entity(ORDERS),))))
    child = os.fork()
    if child == 0:
        status = 1
        try:
            for attempt in (
                transport.publish(ORDERS, Message(b"")),
                transport.aclose(),
            ):
                try:
                    attempt.send(None)  # by hand: the child must not run the loop it inherited
                except Forked:
                    status = 0
                else:
                    status = 2
                    break
            del transport
            gc.collect()
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    loop.run_until_complete(transport.publish(ORDERS, Message(b"1")))
    loop.run_until_complete(transport.aclose())
    loop.close()


async def test_where_a_route_leads_shows_no_credentials() -> None:
    """Hosts are listed as people write them; a nameless broker is named by its driver."""
    loop = asyncio.get_running_loop()
    for url, where in (
        ("memory://u:secret@a:1,u:secret@b:2/v", "a:1,b:2"),
        ("memory:///lonely", "memory:lonely"),
    ):
        route = Route(
            driver=MemoryDriver(),
            url=Transport.connect(url).url,
            options=MemoryOptions(),
            clock=FakeClock(),
            wheel=Wheel(loop),
        )
        assert route.where == where


async def test_a_private_address_needs_no_deadline_in_headers() -> None:
    """What is sent there expires in the broker; to all others it says until when it is good."""

    class Hearing:
        def __init__(self) -> None:
            self.limits: list[tuple[bool, float | None]] = []

        def sent(self, event: Sent) -> None:
            self.limits.append((DEADLINE_HEADER in event.headers, event.ttl))

        def received(self, event: Received) -> None: ...
        def opened(self, event: Opened) -> None: ...
        def given_up(self, event: GivenUp) -> None: ...
        def closed(self, event: Closed) -> None: ...

    hearing = Hearing()
    broker("answers")
    async with Transport.connect("memory://answers/", observers=[hearing]) as transport:
        await transport.declare(Topology((Entity(ORDERS),)))
        for address in (ORDERS, Address.private("nobody")):
            transport.send(Outbound(address, b"", "1", Want.NOTHING, ttl=5.0))
        await asyncio.sleep(0)
    assert hearing.limits == [(True, 5.0), (False, 5.0)]
