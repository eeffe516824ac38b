"""A shift of work: takes deliveries from several sources and has so many handled at once.

What servers and listeners share: credit, the queue of what waits, its expiry, a crew, and an
orderly end. What a delivery means, and what becomes of it, its owner says. Knows no envelope.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable
from contextvars import Context, copy_context
from functools import partial
from typing import Final, Generic, TypeVar, final

from bedplate.errors import TransportClosed
from bedplate.messaging.consumer import Consumer
from bedplate.messaging.crew import Crew, Run
from bedplate.messaging.delivery import Delivery, Dropped, Receive
from bedplate.messaging.intake import Verdict
from bedplate.messaging.observe import Span
from bedplate.messaging.receiving import Ack
from bedplate.messaging.staffing import ShiftOptions
from bedplate.messaging.transport import Transport
from bedplate.messaging.types import Settle, Settlement, Source
from bedplate.messaging.wheel import Timer

__all__ = ["ACK", "REJECT", "Duties", "Job", "Shift", "Turn", "dismiss"]

_log = logging.getLogger("bedplate.messaging")

_LAST_WORDS = 1.0

ACK = Settle(Settlement.ACK)
"""It is done, or need not be."""
REJECT = Settle(Settlement.REJECT)
"""It cannot be used."""

_RUN: Final = Verdict.RUN

W = TypeVar("W")


@final
class Turn(Generic[W]):
    """One delivery and the ``work`` it asks for, from its taking to its end."""

    __slots__ = ("delivery", "expiry", "over", "run", "running", "span", "trouble", "work")

    def __init__(self, delivery: Delivery, work: W) -> None:
        self.delivery = delivery
        self.work = work
        self.running = False
        self.over = False
        self.run: Run | None = None
        self.expiry: Timer | None = None
        self.span: Span | None = None
        self.trouble: BaseException | None = None
        """What its owner says it failed with after all, whatever the job says."""


@final
class Job:
    """What a turn runs: a function, async or plain, in the context variables it is to see.

    ``verb`` and ``name`` are for those who follow work; see `bedplate.messaging.observe.Work`.
    """

    __slots__ = ("function", "is_async", "name", "variables", "verb")

    def __init__(
        self,
        function: Callable[[], object],
        variables: Context,
        *,
        is_async: bool,
        verb: str = "",
        name: str = "",
    ) -> None:
        self.function, self.variables, self.is_async = function, variables, is_async
        self.verb, self.name = verb, name


@final
class Duties(Generic[W]):
    """What the owner of a shift does in it, on the loop and without blocking.

    ``arrived`` decodes deliveries, and takes or dismisses each; while the shift is stopping it
    leaves them as they are. ``dropped`` hears of what was settled unseen. Of a turn exactly one of
    these is the last word: ``begin`` returned None, having settled it; ``missed`` (expired, or
    with GONE: returned to the broker); ``ended`` with the result or error of its job, which is
    CancelledError for what outlived a stopping shift. One that raises is a bug and goes to the
    loop's exception handler; the turn ends all the same.
    """

    __slots__ = ("arrived", "begin", "dropped", "ended", "missed")

    def __init__(
        self,
        *,
        arrived: Receive,
        dropped: Dropped,
        begin: Callable[[Turn[W]], Job | None],
        missed: Callable[[Turn[W], Verdict], object],
        ended: Callable[[Turn[W], object, BaseException | None], object],
    ) -> None:
        self.arrived, self.dropped = arrived, dropped
        self.begin, self.missed, self.ended = begin, missed, ended


@final
class Shift(Generic[W]):
    """Takes, queues, runs and ends; opened once. ``name`` is for logs. Not thread safe."""

    __slots__ = (
        "_consumers",
        "_crew",
        "_duties",
        "_idle",
        "_opened",
        "_options",
        "_starting",
        "_transport",
        "_turns",
        "_variables",
        "_waiting",
        "name",
        "stopping",
    )

    def __init__(
        self, transport: Transport, name: str, options: ShiftOptions, duties: Duties[W]
    ) -> None:
        self.name = name
        self.stopping = False
        """Whether nothing more is taken; what arrives is left to go back to the broker."""
        self._transport, self._options, self._duties = transport, options, duties
        self._turns: set[Turn[W]] = set()
        self._waiting: deque[Turn[W]] = deque()
        self._consumers: list[Consumer] = []
        self._crew: Crew | None = None
        self._idle = asyncio.Event()
        self._variables = Context()
        self._opened = self._starting = False

    @property
    def running(self) -> int:
        """How many handlers run now."""
        return 0 if self._crew is None else self._crew.running

    @property
    def waiting(self) -> int:
        """How many wait here for a worker."""
        return len(self._waiting)

    @property
    def in_hand(self) -> int:
        """How many turns have not ended, running and waiting."""
        return len(self._turns)

    def variables(self) -> Context:
        """Return a copy of the context variables in which the shift was opened."""
        return self._variables.copy()

    # --- life -----------------------------------------------------------------------------------
    # Nothing is awaited within `except` or `finally`: compiled coroutines leave the error there
    # as the current one of the whole thread while they wait.

    async def open(self, sources: Iterable[Source]) -> None:
        """Begin to take. Raises what `Transport.consume` raises, and has closed then."""
        if self._opened:
            raise TransportClosed(what=f"{self.name}, which was entered before,")
        self._opened = True
        self._variables = copy_context()
        loop = asyncio.get_running_loop()
        self._crew = Crew(self._options.workers, loop, f"bedplate {self.name}")
        try:
            await self._consume_all(sources)
        except BaseException as error:  # noqa: BLE001 - raised again below
            why = error
        else:
            return
        await self.aclose()
        raise why

    async def aclose(self) -> None:
        """Take nothing more, let what runs end, return the rest to the broker. Idempotent.

        What still runs after ``drain`` seconds is cancelled; threads cannot be: their turns end
        here, and they on their own.
        """
        if self.stopping:
            return
        self.stopping = True
        why: BaseException | None = None
        try:
            await self._drain()
        except BaseException as error:  # noqa: BLE001 - raised again below
            why = error
        self._cancel_all()
        for turn in tuple(self._turns):
            self._end(turn, None, asyncio.CancelledError(f"{self.name} is closed"))
        # What is acknowledged when it is done could be so until now.
        await self._close_consumers()
        if self._crew is not None:
            self._crew.close()
        if why is not None:
            raise why

    async def _drain(self) -> None:
        while self._waiting:
            self._miss(self._waiting.popleft(), Verdict.GONE)
        if self._options.policy.ack is Ack.START:
            # What runs is acknowledged, all else goes back at once.
            await self._close_consumers()
        await self._until_idle(self._options.drain)
        self._cancel_all()
        await self._until_idle(_LAST_WORDS)

    async def _consume_all(self, sources: Iterable[Source]) -> None:
        # Together: each takes a journey to the broker and back.
        consuming = map(self._consume, sources)
        for each in await asyncio.gather(*consuming, return_exceptions=True):
            if each is not None:
                raise each

    async def _consume(self, source: Source) -> None:
        options, duties = self._options, self._duties
        consumer = await self._transport.consume(
            source,
            duties.arrived,
            credit=options.credit,
            dropped=duties.dropped,
            policy=options.policy,
        )
        self._consumers.append(consumer)

    async def _close_consumers(self) -> None:
        consumers, self._consumers = self._consumers, []
        # Together: each waits for a broker that may not answer.
        await asyncio.gather(*(consumer.aclose() for consumer in consumers))

    def _cancel_all(self) -> None:
        for turn in tuple(self._turns):
            self._cancel_task(turn)

    async def _until_idle(self, seconds: float) -> None:
        if not self._turns:
            return
        self._idle.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            _log.warning("%d handlers of %s still run", len(self._turns), self.name)

    # --- work -----------------------------------------------------------------------------------

    def take(self, turn: Turn[W]) -> None:
        """Begin a turn, now or when a worker is free; it may be over when this returns."""
        self._turns.add(turn)
        crew = self._crew
        if self._waiting or crew is None or self._starting or not crew.free:
            self._waiting.append(turn)
            self._begin_waiting()
        else:  # as nearly always
            self._begin_first(turn, crew)
        if not turn.running and not turn.over:
            self._watch(turn)

    def cancel(self, turn: Turn[W]) -> bool:
        """Cancel a turn; return whether it was still waiting, and is over with this.

        A handler that runs ends with CancelledError; in a thread it runs on.
        """
        if not turn.running and not turn.over:
            self._waiting.remove(turn)
            self._leave(turn)
            return True
        self._cancel_task(turn)
        return False

    async def aside(self, function: Callable[[], object]) -> object:
        """Run a plain function in a thread of the crew, from within an async job and as part of it.

        It sees a copy of the job's context variables. A cancelled job does not wait for it, but
        its worker is free only when the thread is.
        """
        crew = self._crew
        if crew is None:
            raise TransportClosed(what=self.name)
        return await crew.aside(function, self._begin_waiting)

    def _begin_waiting(self) -> None:
        crew = self._crew
        if crew is None or self._starting:
            return  # a handler that ended while it was started: the loop below goes on
        self._starting = True
        try:
            while self._waiting and crew.free:
                self._begin(self._waiting.popleft(), crew)
        finally:
            self._starting = False

    def _begin_first(self, turn: Turn[W], crew: Crew) -> None:
        """Begin what has nobody before it, and then whom that let in."""
        self._starting = True
        try:
            self._begin(turn, crew)
        finally:
            self._starting = False
        if self._waiting:
            self._begin_waiting()

    def _begin(self, turn: Turn[W], crew: Crew) -> None:
        verdict = turn.delivery.start()
        if verdict is not _RUN:
            self._miss(turn, verdict)
            return
        try:
            job = self._duties.begin(turn)
        except BaseException:
            self._leave(turn)
            raise
        if job is None:
            self._leave(turn)
            return
        turn.running = True
        if turn.expiry is not None:
            turn.expiry.cancel()
        if self._transport.followers is not None:
            turn.span = job.variables.run(_follow, turn.delivery, job)
        done = _Ending(self, turn)
        turn.run = crew.run(job.function, done, job.variables, is_async=job.is_async)

    def _watch(self, turn: Turn[W]) -> None:
        """End what waits when it expires, not when a worker is free: somebody may wait for it."""
        deadline = turn.delivery.deadline
        if deadline is not None:
            left = deadline - self._transport.clock.now()
            turn.expiry = self._transport.after(left, partial(self._expire, turn, deadline))

    def _expire(self, turn: Turn[W], deadline: float) -> None:
        if self._transport.clock.now() < deadline:
            self._watch(turn)  # a rounding error too early
            return
        self._waiting.remove(turn)
        self._miss(turn, turn.delivery.start())

    def _cancel_task(self, turn: Turn[W]) -> None:
        run = turn.run
        if run is not None and run.cancel():
            self._ended(turn, None, asyncio.CancelledError("it was cancelled before it began"))

    def _miss(self, turn: Turn[W], verdict: Verdict) -> None:
        try:
            self._duties.missed(turn, verdict)
        finally:
            self._leave(turn)

    def _ended(self, turn: Turn[W], result: object, error: BaseException | None) -> None:
        if not turn.over:
            self._end(turn, result, error)
        self._begin_waiting()

    def _end(self, turn: Turn[W], result: object, error: BaseException | None) -> None:
        try:
            self._duties.ended(turn, result, error)
        finally:
            if turn.span is not None:
                turn.span.ended(turn.trouble or error)
            self._leave(turn)

    def _leave(self, turn: Turn[W]) -> None:
        """End a turn: its credit is free, and maybe the shift is idle."""
        turn.over = True
        # The run knows its variables, and they the turn: no cycle for the collector to find.
        turn.run = None
        turn.span = None
        if turn.expiry is not None:
            turn.expiry.cancel()
        self._turns.discard(turn)
        if not self.stopping:
            turn.delivery.release()
        elif not self._turns:
            self._idle.set()


@final
class _Ending(Generic[W]):
    """Where the result of one turn's job goes."""

    __slots__ = ("_shift", "_turn")

    def __init__(self, shift: Shift[W], turn: Turn[W]) -> None:
        self._shift, self._turn = shift, turn

    def __call__(self, result: object, error: BaseException | None) -> None:
        self._shift._ended(self._turn, result, error)  # noqa: SLF001 - a part of the shift


def dismiss(delivery: Delivery, how: Settle = ACK) -> None:
    """Settle a delivery that gets no turn."""
    delivery.settle(how)
    delivery.release()


def _follow(delivery: Delivery, job: Job) -> Span | None:
    """Follow a job from here; called in its variables, which the handler is going to see."""
    span = delivery.follow(job.verb, job.name)
    if span is not None:
        span.enter()
    return span
