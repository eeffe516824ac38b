"""A consumer: brings the messages of one source to a callback, across all links.

Takes the source again on each new link, and after the broker ended it alone ("connected but
deaf"). What comes through is `inflow`'s business.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import final

from bedplate._floor.backoff import Backoff
from bedplate._floor.token import chance
from bedplate.errors import (
    LinkLost,
    SubscriptionLost,
    TransportClosed,
    TransportError,
    Unsupported,
)
from bedplate.messaging.driver import Link
from bedplate.messaging.figures import ConsumerStatistics
from bedplate.messaging.inflow import Demand, Inflow
from bedplate.messaging.intake import Intake
from bedplate.messaging.line import Line
from bedplate.messaging.lookout import Sight
from bedplate.messaging.stage import Stage
from bedplate.messaging.types import Entity, InletLost, Source

__all__ = ["Consumer", "Ended"]

_log = logging.getLogger("bedplate.messaging")

_DEAF = Backoff(0.1, 2.0, 30.0)
_TAKE_TIMEOUT = 30.0
_PROVEN = 10.0
_LAST_PARKING = 1.0

Ended = Callable[[SubscriptionLost], object]
"""Called on the loop, once, when a source cannot be restored."""


@final
class Consumer:
    """Brings the messages of one source to a callback, across all links.

    Made by ``Transport.consume``. Each delivery uses one of ``credit``; `grant` gives back that of
    several, ``delivery.release()`` that of one.
    """

    def __init__(
        self,
        stage: Stage,
        line: Line,
        demand: Demand,
        *,
        ended: Ended | None,
        left: "Callable[[Consumer], object]",
    ) -> None:
        self._stage, self._line, self._demand = stage, line, demand
        self._on_end, self._left = ended, left
        self._intake = Intake(demand.policy, credit=demand.credit, acks=demand.source.ack)
        self._inflow: Inflow | None = None
        self._epoch = 0
        self._interruptions = 0
        self._deaf = ""
        self._first: asyncio.Future[None] = stage.loop.create_future()
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def source(self) -> Source:
        """Where it receives from."""
        return self._demand.source

    @property
    def closed(self) -> bool:
        """Whether it was closed, or ended for good."""
        return self._closed

    def statistics(self) -> ConsumerStatistics:
        """Return how it is doing now."""
        return ConsumerStatistics(
            address=str(self.source.address),
            live=self._inflow is not None and self._inflow.live,
            epoch=self._epoch,
            interruptions=self._interruptions,
            unsettled=self._intake.unsettled,
            in_use=self._intake.in_use,
            tally=self._intake.tally,
        )

    def sight(self) -> Sight | None:
        """Return how it is doing, for whoever looks after it; None while it does not receive."""
        inflow = self._inflow
        if self._closed or inflow is None or not inflow.live or not self._first.done():
            return None
        intake, source = self._intake, self.source
        return Sight(
            Entity(source.address, source.group),
            self._line,
            self._epoch,
            intake.counts.received,
            idle=not intake.in_use and not intake.unsettled,
        )

    def interrupt(self, why: str) -> None:
        """Take the source again: the broker does not serve this consumer any more."""
        inflow = self._inflow
        if inflow is not None and inflow.live:
            self._deaf = why
            inflow.ended(InletLost.CANCELLED)

    def grant(self, count: int = 1) -> None:
        """Give back the credit of ``count`` deliveries that are off the receiver's hands.

        Raises ValueError for more than were handed over.
        """
        self._stage.here()
        self._intake.release(count)
        if self._inflow is not None:
            self._inflow.grant_due()

    async def open(self) -> None:
        """Take the source for the first time; raises what the broker answers to that."""
        self._task = asyncio.get_running_loop().create_task(
            self._hold(), name=f"bedplate consumer of {self.source.address}"
        )
        try:
            await self._first
        except BaseException as error:  # noqa: BLE001 - raised again below
            failed = error
        else:
            return
        await self._stop()  # compiled, nothing may be awaited while an error is handled
        raise failed

    async def aclose(self) -> None:
        """Stop deliveries; what is unsettled goes back to the broker. Idempotent."""
        self._stage.here()
        if not self._closed:
            await self._stop()

    # --- inside ---------------------------------------------------------------------------------

    async def _hold(self) -> None:
        """Keep an inlet open for as long as the line and the consumer live."""
        epoch = 0
        try:
            while True:
                link = await self._line.ready(after=epoch)
                epoch = self._line.epoch
                await self._stay(link)
        except Exception as error:  # noqa: BLE001 - a driver may have bugs; all is reported there
            self._fail(error)

    async def _stay(self, link: Link) -> None:
        """Take the source for as long as the link lives; raise what forbids taking it again."""
        failures = 0
        while True:
            began = self._stage.now()
            why, retryable = await self._one_inlet(link)
            if why is None:
                return
            if not retryable or not self._first.done():
                raise why
            failures = 1 if self._stage.now() - began >= _PROVEN else failures + 1
            wait = _DEAF.delay(failures, chance())
            self._interruptions += 1
            _log.warning("%s; taking it again in %.1f s", str(why).rstrip("."), wait)
            await asyncio.sleep(wait)

    async def _one_inlet(self, link: Link) -> tuple[TransportError | None, bool]:
        """Take the source and stay until the inlet ends.

        Returns why it ended and whether to take it again on the same link; None: the link died.
        """
        address = str(self.source.address)
        inflow = self._inflow = self._new_inflow(link)
        self._epoch += 1
        try:
            with self._line.route.wheel.limit(_TAKE_TIMEOUT):
                inflow.inlet = await link.take(self.source, inflow, credit=self._intake.opened())
        except TimeoutError:
            inflow.end()
            why = f"the broker did not answer within {_TAKE_TIMEOUT:g} s"
            return SubscriptionLost(address=address, why=why), True
        except LinkLost:
            inflow.end()
            return None, True
        except TransportError as error:
            inflow.end()
            return error, not isinstance(error, Unsupported)
        except BaseException:
            inflow.end()
            raise
        if not self._first.done():
            self._first.set_result(None)
            await asyncio.sleep(0)  # whoever waits for the consumer has it before its deliveries
        inflow.begin()
        # Shielded: who stops us does not end the inlet by that, and what is parked goes on by it.
        why_ended = await asyncio.shield(inflow.over)
        if self._deaf:
            why, self._deaf = self._deaf, ""
            await self._leave(inflow)
            return SubscriptionLost(address=address, why=why), True
        if why_ended in (InletLost.LINK, InletLost.CLOSED):
            return None, True
        why = f"the broker ended it ({why_ended.value})"
        return SubscriptionLost(address=address, why=why), True

    async def _leave(self, inflow: Inflow) -> None:
        """Close an inlet that nothing comes through, as far as the broker answers."""
        try:
            if inflow.inlet is not None:
                with self._line.route.wheel.limit(self._line.route.close_timeout):
                    await inflow.inlet.aclose()
        except (TimeoutError, TransportError) as error:
            self._report_close("The deaf consumer", error)

    def _new_inflow(self, link: Link) -> Inflow:
        return Inflow(
            self._stage,
            self._demand,
            self._intake,
            driver=self._line.route.url.driver,
            offers=link.offers,
            consumer=self,
        )

    def _fail(self, error: Exception) -> None:
        if not self._first.done():
            self._first.set_exception(error)
            return
        self._closed = True
        self._left(self)
        lost = SubscriptionLost(address=str(self.source.address), why=str(error))
        lost.__cause__ = error
        if self._on_end is not None:
            asyncio.get_running_loop().call_soon(self._on_end, lost)
        if not isinstance(error, TransportClosed):
            _log.error("%s", lost, exc_info=None if isinstance(error, TransportError) else error)

    async def _stop(self) -> None:
        self._closed = True
        inflow, task = self._inflow, self._task
        self._task = None
        if task is not None and task is not asyncio.current_task():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if self._first.done() and not self._first.cancelled():
            self._first.exception()
        try:
            if inflow is not None and inflow.live and inflow.inlet is not None:
                # What is not parked for sure by then is parked twice, by whom it comes to next.
                patience = min(_LAST_PARKING, self._line.route.close_timeout)
                with contextlib.suppress(TimeoutError), self._line.route.wheel.limit(patience):
                    await inflow.all_parked()
                with self._line.route.wheel.limit(self._line.route.close_timeout):
                    await inflow.inlet.aclose()
        except (TimeoutError, TransportError) as error:
            self._report_close("The consumer", error)
        finally:
            if inflow is not None:
                inflow.end()
            self._left(self)

    def _report_close(self, who: str, error: Exception) -> None:
        why = str(error) or f"it took more than {self._line.route.close_timeout:g} s"
        _log.warning("%s of %s did not close in good order: %s", who, self.source.address, why)
