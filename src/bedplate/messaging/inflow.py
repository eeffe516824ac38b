"""What comes through one inlet: judged, handed over, settled, for as long as the inlet lives.

`intake` decides, over all inlets of a consumer; this file acts on one of them. What is to be parked
stays unsettled, and holds a credit, until that is confirmed; if the inlet ends before, it comes
again. Opens and closes nothing.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol, final

from msgspec import Struct

from bedplate._floor.token import chance
from bedplate.errors import Unsupported
from bedplate.messaging.delivery import Delivery, Dropped, Receive
from bedplate.messaging.driver import Inlet
from bedplate.messaging.intake import Intake, IntakePolicy, ParkedFor, Settling, Verdict
from bedplate.messaging.observe import GivenUp, Observers, Received, Span, Work
from bedplate.messaging.parker import Parkings, SetAside
from bedplate.messaging.parking import can_park, said
from bedplate.messaging.types import (
    Arrival,
    Capabilities,
    InletLost,
    Kind,
    Settle,
    Settlement,
    Source,
    Support,
)

__all__ = ["Demand", "Inflow", "Stage"]

_NOW = Settle(Settlement.RETRY)


class Stage(Protocol):
    """What receiving needs of its transport."""

    observers: Observers
    followers: Observers | None
    scheme: str

    def now(self) -> float:
        """Monotonic seconds."""
        ...

    def wall(self) -> float:
        """Seconds since 1970."""
        ...

    def after(self, seconds: float, callback: Callable[[], object]) -> object:
        """Call back later."""
        ...

    def here(self) -> None:
        """Refuse another loop or process."""
        ...


class Demand(Struct, frozen=True, kw_only=True):
    """What is to be received, and by whom. ``self_granting``: settling gives the credit back."""

    source: Source
    receive: Receive
    credit: int
    policy: IntakePolicy
    set_aside: SetAside
    dropped: Dropped | None = None
    self_granting: bool = False


@final
class Inflow:
    """The sink of one inlet, and the keeper of the deliveries that came through it.

    ``release`` takes the credit of one delivery back, for the inlet that is open by then: the
    consumer's business. ``over`` tells why
    the inlet ended. What is decided about its deliveries after `end` reaches no broker.
    """

    __slots__ = (
        "_begun",
        "_demand",
        "_driver",
        "_early",
        "_intake",
        "_live",
        "_offers",
        "_parkings",
        "_stage",
        "inlet",
        "over",
        "release",
    )

    def __init__(
        self,
        stage: Stage,
        demand: Demand,
        intake: Intake,
        *,
        driver: str,
        offers: Capabilities,
        release: Callable[[], object],
    ) -> None:
        self._stage, self._demand, self._intake = stage, demand, intake
        self._driver, self._offers, self.release = driver, offers, release
        self._live, self._begun = True, False
        self._early: list[Arrival] = []
        self._parkings = Parkings(demand.source, demand.set_aside, intake.tally)
        self.inlet: Inlet | None = None
        self.over: asyncio.Future[InletLost] = asyncio.get_running_loop().create_future()

    def begin(self) -> None:
        """Hand over what came, and from now on what comes."""
        self._begun = True
        early, self._early = self._early, []
        if early and not self.over.done():
            self._judge(early)

    def end(self) -> None:
        """Forget what is unsettled: it will come again, through another inlet. Idempotent."""
        self.over.cancel()
        if self._live:
            self._live = False
            self._intake.closed()

    async def all_parked(self) -> None:
        """Wait until nothing is being parked any more; the caller bounds the time."""
        await self._parkings.over()

    @property
    def live(self) -> bool:
        """Whether the inlet is open."""
        return self._live and self.inlet is not None

    def grant_due(self) -> None:
        """Grant the broker what credit is free, when it is worth a word."""
        if self._live and self.inlet is not None:
            due = self._intake.grant_due()
            if due:
                self.inlet.grant(due)

    # --- what the driver calls ------------------------------------------------------------------

    def arrived(self, batch: Sequence[Arrival]) -> None:
        """Take deliveries; they may outrun the answer to take()."""
        if self.over.done():
            return
        if self._begun:
            self._judge(batch)
        else:
            self._early.extend(batch)

    def revoked(self, lanes: frozenset[int]) -> None:
        """Forget the deliveries of lanes that others have now."""
        self._intake.revoke(lanes)

    def ended(self, why: InletLost) -> None:
        """Hear that the inlet is over."""
        if not self.over.done():
            self.over.set_result(why)
            self.end()

    # --- what deliveries call -------------------------------------------------------------------

    def settle(
        self,
        delivery: Delivery,
        tag: int,
        how: Settle,
        *,
        backoff: bool,
        error: BaseException | None,
    ) -> bool:
        """Decide about a delivery; return whether that took effect."""
        self._stage.here()
        self._require(how.how)
        extending = how.how is Settlement.EXTEND
        if not extending:
            delivery.settled = True
        now = self._stage.now()
        told: tuple[Settling, ...] | ParkedFor = ()
        if self._live:
            drawn = chance() if backoff else 1.0
            told = self._intake.settle(tag, how, now, chance=drawn, delay=backoff)
            if isinstance(told, tuple):
                self._tell(told)
                if told and told[0].how is not how and told[0].how.how is Settlement.REJECT:
                    self._given_up(delivery, Verdict.PARK)  # the last attempt, without parking
            else:
                self._given_up(delivery, Verdict.PARK)
                self._park(delivery, tag, told, said(error))
        elif how.how is Settlement.ACK:
            self._intake.done(delivery.id, now)
        if self._demand.self_granting and not extending:
            delivery.release()
        return bool(told)

    def park(self, delivery: Delivery, tag: int, why: str) -> bool:
        """Set a delivery aside because its receiver asks for it; return whether that is begun."""
        self._stage.here()
        if not can_park(self._offers, self._demand.source):
            raise Unsupported(driver=self._driver, what="parking")
        delivery.settled = True
        reason = self._intake.park(tag) if self._live else None
        if reason is not None:
            self._given_up(delivery, Verdict.PARK)
            self._park(delivery, tag, reason, why)
        if self._demand.self_granting:
            delivery.release()
        return reason is not None

    def start(self, delivery: Delivery, tag: int) -> Verdict:
        """Judge a delivery once more, right before it is executed."""
        self._stage.here()
        now = self._stage.now()
        if not self._demand.source.ack:
            verdict = Verdict.EXPIRED if self._intake.late(delivery.deadline, now) else Verdict.RUN
        elif delivery.settled or not self._live:
            verdict = Verdict.GONE
        else:
            ruling = self._intake.start(tag, now)
            verdict = ruling.verdict
            if ruling.settle or verdict is not Verdict.RUN:
                delivery.settled = True
            if ruling.park is not None:
                self._park(delivery, tag, ruling.park, "")
            self._tell(ruling.settle)
        if verdict is Verdict.EXPIRED or verdict is Verdict.DUPLICATE:
            self._given_up(delivery, verdict)
        if self._demand.self_granting and (delivery.settled or verdict is not Verdict.RUN):
            delivery.release()
        return verdict

    def follow(self, delivery: Delivery, verb: str, name: str) -> Span | None:
        """Tell who follows work that a delivery is being handled."""
        followers = self._stage.followers
        if followers is None:
            return None
        source = self._demand.source
        fanout = verb == "cast" and source.address.kind is Kind.FANOUT
        return followers.begun(
            Work(
                verb="fanout" if fanout else verb,
                address=source.address,
                handling=True,
                name=name,
                id=delivery.id,
                correlation_id=delivery.correlation_id,
                size=len(delivery.body),
                headers=delivery.headers,
                group=source.group or "",
                attempts=delivery.attempts,
                waited=self._stage.now() - delivery.arrived,
                driver=self._stage.scheme,
            )
        )

    # --- inside ---------------------------------------------------------------------------------

    def _judge(self, batch: Sequence[Arrival]) -> None:
        now, wall = self._stage.now(), self._stage.wall()
        intake, settled = self._intake, not self._demand.source.ack
        followed = self._stage.followers is not None
        ready: list[Delivery] = []
        for arrival in batch:
            ruling = intake.arrive(arrival, now, wall)
            if ruling.verdict is Verdict.RUN:
                delivery = Delivery(
                    arrival,
                    ruling.deadline,
                    keeper=self,
                    settled=settled,
                    attempts=ruling.attempts,
                )
                if followed:
                    delivery.arrived = now
                ready.append(delivery)
            else:
                self._tell(ruling.settle)
                unseen = Delivery(arrival, ruling.deadline, attempts=ruling.attempts)
                if ruling.park is not None:
                    self._park(unseen, arrival.tag, ruling.park, "")
                if self._demand.dropped is not None:
                    self._report(self._demand.dropped, unseen, ruling.verdict)
            if self._stage.observers:
                self._observe(arrival, ruling.verdict)
                if ruling.verdict is not Verdict.RUN:
                    self._given_up(arrival, ruling.verdict)
        self.grant_due()
        if ready:
            self._hand_over(ready)

    def _park(self, delivery: Delivery, tag: int, why: ParkedFor, note: str) -> None:
        """Begin to set a delivery aside; the intake keeps it unsettled meanwhile."""
        self._parkings.begin(delivery, why, note, self.over, partial(self._parked, delivery, tag))

    def _parked(self, delivery: Delivery, tag: int, done: bool) -> None:  # noqa: FBT001 - the one thing to know
        """Settle what is set aside; what is not comes again when the inlet is over."""
        if done:
            here = tag if self._live else None
            self._tell(self._intake.parked(here, delivery.id, self._stage.now()))
        self.release()

    def _report(self, dropped: Dropped, delivery: Delivery, verdict: Verdict) -> None:
        try:
            dropped(delivery, verdict)
        except Exception as error:  # noqa: BLE001 - reported; what was decided stays
            address = self._demand.source.address
            asyncio.get_running_loop().call_exception_handler(
                {"message": f"who hears of drops at {address} raised", "exception": error}
            )

    def _hand_over(self, ready: list[Delivery]) -> None:
        try:
            self._demand.receive(ready)
        except Exception as error:  # noqa: BLE001 - reported; the messages go back
            source = self._demand.source
            asyncio.get_running_loop().call_exception_handler(
                {"message": f"the receiver of {source.address} raised", "exception": error}
            )
            for delivery in ready:
                if not delivery.settled or not source.ack:
                    delivery.settle(_NOW, backoff=True, error=error)
                    delivery.release()

    def _require(self, how: Settlement) -> None:
        if how is Settlement.ACK:
            return
        offered = {
            Settlement.RETRY: self._offers.retry,
            Settlement.REJECT: self._offers.reject,
            Settlement.EXTEND: self._offers.extend,
        }[how]
        if offered is Support.NO:
            raise Unsupported(driver=self._driver, what=how.value)

    def _tell(self, settlings: tuple[Settling, ...]) -> None:
        if not self._live or self.inlet is None:
            return
        for tag, how in settlings:
            delayed = how.how is Settlement.RETRY and how.delay > 0
            if delayed and self._offers.delay is not Support.NATIVE:
                # The broker cannot wait, so we do, holding the delivery unsettled towards it.
                self._stage.after(how.delay, partial(self._tell_late, tag))
            else:
                self.inlet.settle(tag, how)

    def _tell_late(self, tag: int) -> None:
        if self._live and self.inlet is not None:
            self.inlet.settle(tag, _NOW)

    def _observe(self, arrival: Arrival, verdict: Verdict) -> None:
        self._stage.observers.received(
            Received(
                self._demand.source.address,
                arrival.id,
                arrival.kind,
                len(arrival.body),
                arrival.headers,
                arrival.redelivered,
                verdict.value,
                arrival.correlation_id,
            )
        )

    def _given_up(self, message: Arrival | Delivery, verdict: Verdict) -> None:
        if self._stage.observers:
            self._stage.observers.given_up(
                GivenUp(
                    self._demand.source.address,
                    message.id,
                    message.kind,
                    message.headers,
                    verdict.value,
                    message.correlation_id,
                )
            )
