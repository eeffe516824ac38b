"""What comes through one inlet: judged, handed over, settled, for as long as the inlet lives.

`intake` decides, over all inlets of a consumer; this file acts on one of them. What is to be parked
stays unsettled, and holds a credit, until that is confirmed; if the inlet ends before, it comes
again. Opens and closes nothing.
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, final

from bedplate._floor.token import chance
from bedplate.errors import Unsupported
from bedplate.messaging.delivery import Delivery, Dropped, Receive
from bedplate.messaging.driver import Inlet
from bedplate.messaging.intake import Intake, ParkedFor, Settling, Verdict
from bedplate.messaging.observe import GivenUp, Received, Span, Work
from bedplate.messaging.parker import Parkings, SetAside
from bedplate.messaging.parking import can_park, said
from bedplate.messaging.receiving import IntakePolicy
from bedplate.messaging.stage import Stage
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

if TYPE_CHECKING:
    from bedplate.messaging.consumer import Consumer

__all__ = ["Demand", "Inflow"]

_NOW: Final = Settle(Settlement.RETRY)
_RUN: Final = Verdict.RUN
_EXPIRED: Final = Verdict.EXPIRED
_DUPLICATE: Final = Verdict.DUPLICATE


@final
class Demand:
    """What is to be received, and by whom. ``self_granting``: settling gives the credit back."""

    __slots__ = ("credit", "dropped", "policy", "receive", "self_granting", "set_aside", "source")

    def __init__(
        self,
        *,
        source: Source,
        receive: Receive,
        credit: int,
        policy: IntakePolicy,
        set_aside: SetAside,
        dropped: Dropped | None = None,
        self_granting: bool = False,
    ) -> None:
        self.source, self.receive, self.credit = source, receive, credit
        self.policy, self.set_aside, self.dropped = policy, set_aside, dropped
        self.self_granting = self_granting


@final
class Inflow:
    """The sink of one inlet, and the keeper of the deliveries that came through it.

    ``over`` tells why the inlet ended. What is decided about its deliveries after `end` reaches no
    broker.
    """

    __slots__ = (
        "_acks",
        "_begun",
        "_consumer",
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
    )

    def __init__(
        self,
        stage: Stage,
        demand: Demand,
        intake: Intake,
        *,
        driver: str,
        offers: Capabilities,
        consumer: "Consumer",
    ) -> None:
        self._stage, self._demand, self._intake = stage, demand, intake
        self._driver, self._offers, self._consumer = driver, offers, consumer
        self._acks = demand.source.ack
        self._live, self._begun = True, False
        self._early: list[Arrival] = []
        self._parkings = Parkings(demand.source, demand.set_aside, intake.counts)
        self.inlet: Inlet | None = None
        self.over: asyncio.Future[InletLost] = stage.loop.create_future()

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

    def release(self) -> None:
        """Take the credit of one delivery back, for the inlet that is open by now."""
        self._consumer.grant()

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
        told: Settling | ParkedFor | None = None
        if self._live:
            drawn = chance() if backoff else 1.0
            told = self._intake.settle(tag, how, now, chance=drawn, delay=backoff)
            if isinstance(told, ParkedFor):
                self._given_up(delivery, Verdict.PARK)
                self._park(delivery, tag, told, said(error))
            elif told is not None:
                self._tell(told)
                decided = told[1]
                if decided is not how and decided.how is Settlement.REJECT:
                    self._given_up(delivery, Verdict.PARK)  # the last attempt, without parking
        elif how.how is Settlement.ACK:
            self._intake.done(delivery.id, now)
        if self._demand.self_granting and not extending:
            delivery.release()
        return told is not None

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
        stage = self._stage
        stage.here()
        now = stage.now()
        if not self._acks:
            verdict = _EXPIRED if self._intake.late(delivery.deadline, now) else _RUN
        elif delivery.settled or not self._live:
            verdict = Verdict.GONE
        else:
            ruling = self._intake.start(tag, now)
            verdict = ruling.verdict
            told = ruling.settle
            if told is not None or verdict is not _RUN:
                delivery.settled = True
            if ruling.park is not None:
                self._park(delivery, tag, ruling.park, "")
            if told is not None:
                self._tell(told)
        if verdict is _EXPIRED or verdict is _DUPLICATE:
            self._given_up(delivery, verdict)
        if self._demand.self_granting and (delivery.settled or verdict is not _RUN):
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
        stage, intake = self._stage, self._intake
        now, wall = stage.now(), stage.wall()
        settled = not self._acks
        observed, followed = stage.observers is not None, stage.followers is not None
        ready: list[Delivery] = []
        for arrival in batch:
            ruling = intake.arrive(arrival, now, wall)
            verdict = ruling.verdict
            if verdict is _RUN:
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
                if ruling.settle is not None:
                    self._tell(ruling.settle)
                unseen = Delivery(arrival, ruling.deadline, attempts=ruling.attempts)
                if ruling.park is not None:
                    self._park(unseen, arrival.tag, ruling.park, "")
                if self._demand.dropped is not None:
                    self._report(self._demand.dropped, unseen, verdict)
            if observed:
                self._observe(arrival, verdict)
                if verdict is not _RUN:
                    self._given_up(arrival, verdict)
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
            told = self._intake.parked(here, delivery.id, self._stage.now())
            if told is not None:
                self._tell(told)
        self.release()

    def _report(self, dropped: Dropped, delivery: Delivery, verdict: Verdict) -> None:
        try:
            dropped(delivery, verdict)
        except Exception as error:  # noqa: BLE001 - reported; what was decided stays
            address = self._demand.source.address
            self._stage.loop.call_exception_handler(
                {"message": f"who hears of drops at {address} raised", "exception": error}
            )

    def _hand_over(self, ready: list[Delivery]) -> None:
        try:
            self._demand.receive(ready)
        except Exception as error:  # noqa: BLE001 - reported; the messages go back
            source = self._demand.source
            self._stage.loop.call_exception_handler(
                {"message": f"the receiver of {source.address} raised", "exception": error}
            )
            for delivery in ready:
                if not delivery.settled or not source.ack:
                    delivery.settle(_NOW, backoff=True, error=error)
                    delivery.release()

    def _require(self, how: Settlement) -> None:
        if how is Settlement.ACK:
            return
        offers = self._offers
        offered = {
            Settlement.RETRY: offers.retry,
            Settlement.REJECT: offers.reject,
            Settlement.EXTEND: offers.extend,
        }[how]
        if offered is Support.NO:
            raise Unsupported(driver=self._driver, what=how.value)

    def _tell(self, told: Settling) -> None:
        inlet = self.inlet
        if not self._live or inlet is None:
            return
        tag, how = told
        delay = how.delay
        if delay > 0 and how.how is Settlement.RETRY and self._offers.delay is not Support.NATIVE:
            # The broker cannot wait, so we do, holding the delivery unsettled towards it.
            self._stage.after(delay, partial(self._tell_late, tag))
        else:
            inlet.settle(tag, how)

    def _tell_late(self, tag: int) -> None:
        if self._live and self.inlet is not None:
            self.inlet.settle(tag, _NOW)

    def _observe(self, arrival: Arrival, verdict: Verdict) -> None:
        observers = self._stage.observers
        if observers is not None:
            observers.received(
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
        observers = self._stage.observers
        if observers is not None:
            observers.given_up(
                GivenUp(
                    self._demand.source.address,
                    message.id,
                    message.kind,
                    message.headers,
                    verdict.value,
                    message.correlation_id,
                )
            )
