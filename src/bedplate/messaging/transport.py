# ruff: noqa: ASYNC109 - one deadline covers all stages of an operation
"""The low-level API: carries bytes between addresses, over links that may come and go.

RPC and notifications are written on this alone. This is the public face; what acts behind it is
`switchboard` with its lines, outbox and consumers, what decides is `recovery` and `intake`. It
knows no envelope.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import NoReturn, Self, final

from msgspec.structs import replace

from bedplate._floor.cause import caused
from bedplate.clock import Clock, LoopClock
from bedplate.config import Section
from bedplate.errors import (
    DeadlineExceeded,
    LinkLost,
    TransportClosed,
)
from bedplate.messaging.consumer import Consumer, Ended
from bedplate.messaging.delivery import Dropped, Receive
from bedplate.messaging.driver import Driver, Link, Maturity
from bedplate.messaging.figures import TransportStatistics
from bedplate.messaging.inbox import Inbox, InboxListener
from bedplate.messaging.inflow import Demand
from bedplate.messaging.lifetimes import Lifetimes, check_ttl
from bedplate.messaging.line import Route
from bedplate.messaging.lookup import check_driver, find_driver, options_for, pace
from bedplate.messaging.observe import Observer, Observers, Span, Work, following
from bedplate.messaging.outbox import Held
from bedplate.messaging.parked import ParkingPlace
from bedplate.messaging.parker import set_aside
from bedplate.messaging.parking import can_park
from bedplate.messaging.policy import TransportPolicy
from bedplate.messaging.receiving import Ack, IntakePolicy
from bedplate.messaging.subscription import Subscription
from bedplate.messaging.switchboard import Switchboard
from bedplate.messaging.types import (
    Address,
    Capabilities,
    Entity,
    Message,
    Outbound,
    Source,
    Standing,
    Start,
    Support,
    Topology,
    Want,
)
from bedplate.messaging.url import TransportUrl
from bedplate.messaging.wheel import Limit, Timer, Wheel

__all__ = ["Transport"]


@final
class Transport:
    """Carries messages between addresses. Made by `connect`, used inside ``async with``.

    It belongs to the event loop and the process it was opened in: from elsewhere its methods raise
    `WrongLoop` or `Forked`. Messages to one address leave in the order they were published.
    Lost links are replaced, subscriptions restored and declarations repeated without a word but in
    the log and the statistics.
    """

    __slots__ = (
        "_board",
        "_clock",
        "_driver",
        "_lifetimes",
        "_observers",
        "_options",
        "_policy",
        "_timeout",
        "followers",
        "name",
        "url",
    )

    def __init__(
        self,
        url: TransportUrl,
        driver: Driver | None,
        options: Section | None,
        clock: Clock | None,
        observers: tuple[Observer, ...],
        timeout: float,
        name: str,
        policy: TransportPolicy,
    ) -> None:
        """Use `connect`, whose arguments have names and defaults."""
        self.url = url
        self.name = name
        self._driver, self._options, self._clock = driver, options, clock
        self._observers, self._timeout, self._policy = observers, timeout, policy
        self._lifetimes = Lifetimes(policy.ttl)
        self._board: Switchboard | None = None
        self.followers: Observers | None = None
        """The observers, where any of them follows work; None where none does."""

    @classmethod
    def connect(
        cls,
        url: str | TransportUrl,
        *,
        driver: Driver | None = None,
        options: Section | None = None,
        clock: Clock | None = None,
        observers: Iterable[Observer] = (),
        timeout: float = 60.0,
        name: str = "",
        policy: TransportPolicy | None = None,
    ) -> Self:
        """Describe a transport; nothing is opened before ``async with``.

        ``driver`` defaults to the installed one named by the URL's scheme, ``options`` to its
        section's defaults; options in the URL win over both. Entering takes at most ``timeout``
        seconds. ``clock`` must tell the loop's time as ``now``; it is there to tell another wall
        time. ``observers`` hear what happens, and those that are a `WorkObserver` follow work:
        see `bedplate.messaging.observe`. ``name`` is for logs and statistics. Raises `InvalidUrl`.
        """
        return cls(
            TransportUrl(url),
            driver,
            options,
            clock,
            tuple(observers),
            timeout,
            name,
            policy or TransportPolicy(),
        )

    async def __aenter__(self) -> Self:
        """Open the talk link.

        Raises `DeadlineExceeded` (stage ``connecting``) when no broker answers in time; at once
        `AccessRefused`, `NotTrusted`, `InvalidUrl`, `PluginNotFound` and what else will not mend
        by itself.
        """
        if self._board is not None:
            raise TransportClosed(what=f"{self!r}, which was entered before,")
        driver = self._driver or find_driver(self.url.driver)
        check_driver(driver)
        loop = asyncio.get_running_loop()
        options = options_for(driver, self.url, self._options)
        route = Route(
            driver=driver,
            url=self.url,
            options=options,
            clock=self._clock or LoopClock(loop),
            wheel=Wheel(loop),
            recovery=pace(self._policy.recovery, options),
            connect_timeout=self._policy.connect_timeout,
            close_timeout=self._policy.close_timeout,
        )
        board = Switchboard(
            route,
            what=repr(self),
            buffer=self._policy.buffer,
            max_body=self._policy.max_body,
            look_every=self._policy.look_every,
            observers=self._observers,
        )
        board.talk.start()
        failed: BaseException | None = None
        try:
            with route.wheel.limit(self._timeout):
                await board.talk.ready()
        except TimeoutError:
            late = DeadlineExceeded(
                operation="connecting",
                target=route.where,
                timeout=self._timeout,
                stage="connecting",
            )
            failed = caused(late, board.talk.trouble)
        except BaseException as error:  # noqa: BLE001 - raised again below
            failed = error
        if failed is not None:
            await board.aclose()  # compiled, nothing may be awaited while an error is handled
            raise failed
        if driver.status.maturity is not Maturity.SUPPORTED:
            board.notices[f"driver-{driver.status.maturity.value}"] += 1
        self._board, self.followers = board, board.stage.followers
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Return unsettled messages, close the links, end what still waits. Idempotent.

        Each link is given ``close_timeout`` seconds.
        """
        if self._board is not None:
            await self._board.aclose()

    # --- what it is -----------------------------------------------------------------------------

    @property
    def capabilities(self) -> Capabilities:
        """What is offered here: what the peer grants, and what the transport adds on top."""
        offers = self._opened().offers
        parks = offers.accept is not Support.NO and offers.ack is not Support.NO
        return replace(
            offers,
            ttl=_topped(offers.ttl),
            delay=_topped(offers.delay, offers.retry),
            park=Support.ABOVE if parks else Support.NO,
        )

    @property
    def clock(self) -> Clock:
        """Where its time comes from; deadlines of deliveries are in its ``now``."""
        return self._opened().clock

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop it belongs to, for those who must reach it from other threads."""
        return self._opened().loop

    @property
    def driver(self) -> Driver:
        """The driver in use."""
        return self._opened().route.driver

    def statistics(self) -> TransportStatistics:
        """Return what it did so far and how it is doing now."""
        board = self._opened()
        consumers = tuple(each.statistics() for each in board.consumers.values())
        counts = board.counts
        lines = [board.talk] if board.listen is None else [board.talk, board.listen]
        return TransportStatistics(
            name=self.name,
            driver=board.route.url.driver,
            lines=tuple(line.statistics() for line in lines),
            consumers=consumers,
            published=counts.published,
            bounced=counts.bounced,
            refused=counts.refused,
            unknown=counts.unknown,
            repeated=counts.repeated,
            buffered=len(board.outbox),
            dropped=counts.dropped,
            flow=board.outbox.flow,
            replies=board.desk.received,
            received=counts.received + sum(each.tally.received for each in consumers),
            unsettled=sum(each.unsettled for each in consumers),
            expired=counts.expired + sum(each.tally.expired for each in consumers),
            duplicates=counts.duplicates + sum(each.tally.duplicates for each in consumers),
            parked=counts.parked + sum(each.tally.parked for each in consumers),
            inboxes=len(board.desk),
            timers=len(board.route.wheel),
            shortened=self._lifetimes.shortened,
            notices=tuple(sorted(board.notices.items())),
        )

    def __repr__(self) -> str:
        return f"Transport({str(self.url)!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a transport holds connections of this process and cannot be pickled; "
            "hand over its URL and connect over there"
        )

    # --- sending --------------------------------------------------------------------------------

    async def publish(
        self,
        address: Address,
        message: Message,
        *,
        timeout: float = 60.0,
        repeats: bool = False,
        want: Want = Want.ACCEPT,
        span: Span | None = None,
    ) -> None:
        """Send a message and wait until the broker has taken responsibility for it.

        ``timeout`` (seconds) covers all of it: waiting for a link, for flow, sending and the
        confirmation. With ``repeats`` a message whose fate is unknown is sent again, with the same
        id, while there is time; receivers in whose window that falls drop the repeat. With another
        ``want`` it returns once the message is handed to the link. ``span`` is that of the work it
        is sent for, where that is followed already; the message carries its headers. The message's
        ttl is bounded, and given where it has none, by the rules of the transport's policy.

        Raises `DeadlineExceeded` with the stage it was in, `NoSuchTarget` when it reached nobody,
        `PublishRefused`, `PublishUnknown`, `BufferFull`, `TooLarge`, `Unsupported`; ValueError for
        a ttl of 0 or below.
        """
        board = self._entered()
        if message.ttl is not None or self._lifetimes.rules:
            check_ttl(message.ttl)
            ttl = self._lifetimes.of(address, message.ttl)
            if ttl != message.ttl:
                message = replace(message, ttl=ttl)
        if not message.id:
            message = replace(message, id=board.new_id())
        if span is not None:
            await self._publish(board, address, _carrying(message, span), timeout, repeats, want)
        elif self.followers is None:
            await self._publish(board, address, message, timeout, repeats, want)
        else:
            work = Work(
                verb="publish",
                address=address,
                id=message.id,
                correlation_id=message.correlation_id,
                size=len(message.body),
                headers=message.headers,
                driver=self.url.driver,
            )
            with following(self.followers.begun(work)) as begun:
                message = _carrying(message, begun)
                await self._publish(board, address, message, timeout, repeats, want)

    async def _publish(
        self,
        board: Switchboard,
        address: Address,
        message: Message,
        timeout: float,
        repeats: bool,  # noqa: FBT001 - internal twin of publish()
        want: Want,
    ) -> None:
        outbound = _outbound(address, message, want)
        board.refuse_large(outbound)
        until = None if message.ttl is None else board.stage.now() + message.ttl
        held = Held(outbound, until=until)
        limit = timeout if message.ttl is None else min(timeout, message.ttl)
        try:
            with board.route.wheel.limit(limit):
                await board.deliver(held, repeats=repeats)
        except DeadlineExceeded:
            raise
        except TimeoutError:
            late = DeadlineExceeded(
                operation="publish", target=str(address), timeout=limit, stage=held.stage
            )
            raise caused(late, board.talk.trouble) from board.talk.trouble

    def send(self, message: Outbound) -> None:
        """Hand a message to the link, or to the buffer while it cannot go, and return at once.

        For ``Want.NOTHING`` and ``Want.BOUNCE``; bounces are only counted. What expires in the
        buffer is dropped and counted. Raises `BufferFull`, `TooLarge`.
        """
        board = self._entered()
        if self._lifetimes.rules:
            ttl = self._lifetimes.of(message.address, message.ttl)
            if ttl != message.ttl:
                message = replace(message, ttl=ttl)
        board.post(message)

    def lifetime(
        self, address: Address, ttl: float | None, default: float | None = None
    ) -> float | None:
        """Return the ttl (seconds) that a message to an address gets here; None: no end.

        ``ttl`` is what it says itself (None: nothing, `math.inf`: no end), ``default`` what it has
        where no rule of the policy knows better. It is for what is sent by an `Inbox`, which adds
        nothing; `publish` and `send` ask by themselves.
        """
        return self._lifetimes.of(address, ttl, default)

    # --- receiving ------------------------------------------------------------------------------

    def subscribe(
        self,
        address: Address,
        *,
        credit: int = 100,
        group: str | None = None,
        start: Start = Start.NEW,
        ack: Ack | None = Ack.DONE,
        lanes: frozenset[int] | None = None,
        policy: IntakePolicy | None = None,
    ) -> Subscription:
        """Receive from an address: ``async with`` it, then ``async for`` over its deliveries.

        At most ``credit`` messages are in hand at a time. ``group``: members share the messages,
        different groups get one copy each. ``ack`` START acknowledges as a delivery is handed
        out, DONE when it is settled, None never (the broker forgets at once). ``policy`` decides
        attempts, retries and repeats; its own ``ack`` gives way to this one.
        """
        board = self._entered()
        source = Source(address, group, start, lanes, ack=ack is not None)
        chosen = replace(policy or self._policy.intake, ack=ack or Ack.DONE)

        async def consume(receive: Receive, ended: Ended) -> Consumer:
            demand = self._demand(
                board, source, receive, credit=credit, policy=chosen, self_granting=True
            )
            return await self._take(board, demand, ended, 60.0)

        return Subscription(consume)

    async def consume(
        self,
        source: Source,
        receive: Receive,
        *,
        credit: int,
        dropped: Dropped | None = None,
        ended: Ended | None = None,
        policy: IntakePolicy | None = None,
        timeout: float = 60.0,
    ) -> Consumer:
        """Receive in batches, by callback: no iterator, no task a message.

        ``receive(deliveries)`` gives the credit back by ``delivery.release()`` of each, or
        ``consumer.grant(n)`` of several, when it is done with them; before executing one, it asks
        ``delivery.start()``. ``dropped(delivery, verdict)`` hears of what is settled without being
        handed over, ``ended`` once if the source cannot be restored. Nothing is delivered before
        this has returned. The source is taken within ``timeout`` seconds. Raises
        `DeadlineExceeded`, `AccessRefused`, `TopologyMismatch`, `Unsupported`.
        """
        board = self._entered()
        demand = self._demand(
            board,
            source,
            receive,
            credit=credit,
            policy=policy or self._policy.intake,
            dropped=dropped,
        )
        return await self._take(board, demand, ended, timeout)

    def parked(self, address: Address, *, group: str | None = None) -> ParkingPlace:
        """Return what is parked of an address and group, to look at, replay and drop.

        A topic's servers and its fanout park at the topic's. Raises ValueError for an address that
        is no topic's.
        """
        return ParkingPlace(self, self._entered().line_for, address, group)

    async def inbox(self, listener: InboxListener) -> Inbox:
        """Open a private address for request and reply; await its ``ready`` before each use."""
        board = self._entered()
        board.lookout.start()
        return Inbox(board.desk, listener)

    # --- topology, time -------------------------------------------------------------------------

    async def declare(self, topology: Topology, *, timeout: float = 60.0) -> None:
        """Make entities exist, now and once on every later link. Idempotent.

        Raises `TopologyMismatch` for one that exists with other properties, `DeadlineExceeded`,
        `AccessRefused`, `Unsupported`.
        """
        board = self._entered()
        await self._on_link(
            board, "declaring", "topology", timeout, lambda link: link.declare(topology)
        )
        board.remember(topology)

    async def look(
        self, address: Address, *, group: str | None = None, timeout: float = 60.0
    ) -> Standing:
        """Return what there is at an address, creating nothing.

        Raises `Unsupported` where brokers do not say, `DeadlineExceeded`.
        """
        topology = Topology((Entity(address, group),))
        standings = await self._on_link(
            self._entered(),
            "looking",
            str(address),
            timeout,
            lambda link: link.declare(topology, look=True),
        )
        return standings[0]

    def after(self, seconds: float, callback: Callable[[], object]) -> Timer:
        """Call back after ``seconds`` on the transport's one timer wheel.

        Exact to the loop's own resolution. Timers end with the transport.
        """
        return self._entered().after(seconds, callback)

    def limit(self, seconds: float) -> Limit:
        """Bound a block of the current task: ``with transport.limit(3): …`` raises TimeoutError.

        On the same wheel, which costs a fraction of ``asyncio.timeout``.
        """
        return self._entered().route.wheel.limit(seconds)

    # --- inside ---------------------------------------------------------------------------------

    def _opened(self) -> Switchboard:
        if self._board is None:
            raise TransportClosed(what=repr(self))
        return self._board

    def _entered(self) -> Switchboard:
        board = self._opened()
        board.check()
        return board

    async def _on_link(
        self,
        board: Switchboard,
        operation: str,
        target: str,
        timeout: float,
        act: Callable[[Link], Awaitable[tuple[Standing, ...]]],
    ) -> tuple[Standing, ...]:
        """Do what may be done twice, on the next link if this one dies under it."""
        epoch, stage = 0, "connecting"
        try:
            with board.route.wheel.limit(timeout):
                while True:
                    stage = "connecting"
                    link = await board.talk.ready(after=epoch)
                    epoch, stage = board.talk.epoch, "confirmation"
                    try:
                        return await act(link)
                    except LinkLost:
                        continue
        except DeadlineExceeded:
            raise
        except TimeoutError:
            late = DeadlineExceeded(
                operation=operation, target=target, timeout=timeout, stage=stage
            )
            raise caused(late, board.talk.trouble) from board.talk.trouble

    def _demand(
        self,
        board: Switchboard,
        source: Source,
        receive: Receive,
        *,
        credit: int,
        policy: IntakePolicy,
        dropped: Dropped | None = None,
        self_granting: bool = False,
    ) -> Demand:
        if not can_park(board.offers, source):
            policy = replace(policy, park=False, park_expired=False, park_rejected=False)
        return Demand(
            source=source,
            receive=receive,
            credit=credit,
            policy=policy,
            set_aside=partial(set_aside, self, policy.park_limit),
            dropped=dropped,
            self_granting=self_granting,
        )

    async def _take(
        self, board: Switchboard, demand: Demand, ended: Ended | None, timeout: float
    ) -> Consumer:
        board.check()
        source = demand.source
        line = board.line_for(source)
        consumer = Consumer(board.stage, line, demand, ended=ended, left=board.left)
        board.consumers[id(consumer)] = consumer
        board.lookout.start()
        try:
            with board.route.wheel.limit(timeout):
                await consumer.open()
        except DeadlineExceeded:
            raise
        except TimeoutError:
            stage = "connecting" if line.link is None else "confirmation"
            late = DeadlineExceeded(
                operation="subscribing", target=str(source.address), timeout=timeout, stage=stage
            )
            raise caused(late, line.trouble) from line.trouble
        return consumer


def _carrying(message: Message, span: Span) -> Message:
    return replace(message, headers={**message.headers, **span.headers})


def _outbound(address: Address, message: Message, want: Want) -> Outbound:
    return Outbound(
        address,
        message.body,
        message.id,
        want,
        message.headers,
        message.content_type,
        message.ttl,
        message.key,
        message.kind,
        message.correlation_id,
        message.reply_to,
        message.persistent,
    )


def _topped(has: Support, on: Support = Support.NATIVE) -> Support:
    """Say who provides what the transport adds where the broker has ``on`` but not this."""
    return Support.ABOVE if has is Support.NO and on is not Support.NO else has
