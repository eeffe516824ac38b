"""A line to the broker: links come and go on it, the line stays.

Connects, notices the end of a link, and connects again when `recovery` says so. Knows nothing of
what is sent or received over it.
"""

import asyncio
import logging
from typing import Protocol, final

from bedplate._floor.cause import caused
from bedplate._floor.token import chance
from bedplate.clock import Clock
from bedplate.config import Section
from bedplate.errors import (
    ConnectFailed,
    LinkLost,
    TransportClosed,
    TransportError,
)
from bedplate.messaging.driver import Driver, Link
from bedplate.messaging.figures import LineStatistics
from bedplate.messaging.recovery import Recovery, RecoveryPolicy
from bedplate.messaging.types import Address, Bounce, Notice
from bedplate.messaging.url import TransportUrl
from bedplate.messaging.wheel import Wheel

__all__ = ["Line", "LineEvents", "Route"]

_log = logging.getLogger("bedplate.messaging")


@final
class Route:
    """What it takes to connect. Times are in seconds."""

    __slots__ = (
        "clock",
        "close_timeout",
        "connect_timeout",
        "driver",
        "options",
        "recovery",
        "url",
        "wheel",
    )

    def __init__(
        self,
        *,
        driver: Driver,
        url: TransportUrl,
        options: Section,
        clock: Clock,
        wheel: Wheel,
        recovery: RecoveryPolicy | None = None,
        connect_timeout: float = 10.0,
        close_timeout: float = 5.0,
    ) -> None:
        self.driver, self.url, self.options = driver, url, options
        self.clock, self.wheel = clock, wheel
        self.recovery = recovery or RecoveryPolicy()
        self.connect_timeout, self.close_timeout = connect_timeout, close_timeout

    @property
    def where(self) -> str:
        """The brokers as people write them, without credentials."""
        hosts = ",".join(host.where for host in self.url.hosts)
        return hosts or f"{self.url.driver}:{self.url.vhost}"


class LineEvents(Protocol):
    """What a line tells its owner, on the loop. None of these may raise or block."""

    async def restore(self, line: "Line", link: Link) -> None:
        """Prepare a new link before anybody else sees it."""
        ...

    def up(self, line: "Line") -> None:
        """Hear that a link is there."""
        ...

    def down(self, line: "Line", why: TransportError) -> None:
        """Hear that the link is gone; ``line.epoch`` is still its."""
        ...

    def ended(self, line: "Line", why: TransportError) -> None:
        """Hear that no link will come any more."""
        ...

    def bounced(self, message_id: str, why: Bounce) -> None:
        """Pass on a bounce."""
        ...

    def flow(self, line: "Line", address: Address | None, why: str | None) -> None:
        """Pass on that the peer stops (why) or resumes (None) taking messages."""
        ...

    def noticed(self, note: Notice) -> None:
        """Pass on something for the statistics."""
        ...


@final
class _Ears:
    """The events of one link: heard while that link is the line's, and never after."""

    __slots__ = ("_line", "ended")

    def __init__(self, line: "Line", ended: "asyncio.Future[TransportError]") -> None:
        self._line = line
        self.ended = ended

    def bounced(self, message_id: str, why: Bounce) -> None:
        if not self.ended.done():
            self._line.events.bounced(message_id, why)

    def flow(self, open: bool, why: str, address: Address | None) -> None:  # noqa: A002, FBT001 - contract
        if not self.ended.done():
            self._line.events.flow(self._line, address, None if open else why)

    def lost(self, why: TransportError) -> None:
        if not self.ended.done():
            self.ended.set_result(why)
            self._line._lost(self, why)  # noqa: SLF001 - the two are one mechanism

    def noticed(self, note: Notice) -> None:
        self._line.events.noticed(note)


@final
class Line:
    """One purpose's connection, kept up: ``link`` is the live one or None, ``epoch`` counts all."""

    __slots__ = (
        "_changed",
        "_ears",
        "_last",
        "_recovery",
        "_since",
        "_task",
        "_told",
        "epoch",
        "events",
        "failure",
        "link",
        "name",
        "route",
    )

    def __init__(self, name: str, route: Route, events: LineEvents) -> None:
        self.name, self.route, self.events = name, route, events
        self.link: Link | None = None
        self.epoch = 0
        self.failure: TransportError | None = None
        self._recovery = Recovery(route.recovery)
        self._ears: _Ears | None = None
        self._last: TransportError | None = None
        self._told = ""
        self._since = 0.0
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def trouble(self) -> TransportError | None:
        """Why there is no link: what the last one died of, or what the last attempt met."""
        return self._last if self.link is None else None

    def start(self) -> None:
        """Begin to connect."""
        self._task = asyncio.get_running_loop().create_task(
            self._keep(), name=f"bedplate {self.name} line"
        )

    async def ready(self, *, after: int = 0) -> Link:
        """Wait for a link of an epoch later than ``after``; the caller bounds the time.

        Raises what ended the line: it was closed, given up, or its very first attempt was refused.
        """
        while True:
            if self.failure is not None:
                raise self.failure
            if self.link is not None and self.epoch > after:
                return self.link
            changed = self._changed
            await changed.wait()

    def statistics(self) -> LineStatistics:
        """Return how the line is doing now."""
        return LineStatistics(
            name=self.name,
            up=self.link is not None,
            epoch=self.epoch,
            reconnects=max(self.epoch - 1, 0),
            failures=self._recovery.failures,
            up_for=self.route.clock.now() - self._since if self.link is not None else 0.0,
            why="" if self._last is None else str(self._last),
        )

    async def aclose(self) -> None:
        """Close the link in good order, or drop it after ``close_timeout``. Idempotent."""
        if self.failure is None:
            self.failure = TransportClosed(what=f"The {self.name} line to {self.route.where}")
        link, task = self.link, self._task
        self._task = None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        self._announce()
        if link is None:
            return
        try:
            with self.route.wheel.limit(self.route.close_timeout):
                await link.aclose()
        except (TimeoutError, TransportError) as error:
            why = str(error) or f"it took more than {self.route.close_timeout:g} s"
            _log.warning("The %s line did not close in good order: %s", self.name, why)
        if self._ears is not None:
            # A link closed without a word is over all the same.
            self._ears.lost(LinkLost(where=self.route.where, why="it was closed"))

    # --- inside ---------------------------------------------------------------------------------

    def _announce(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def _keep(self) -> None:
        while True:
            self._recovery.trying(self.route.clock.now())
            ears = _Ears(self, asyncio.get_running_loop().create_future())
            error = await self._connect(ears)
            if error is None:
                # Shielded: when the line is closed this wait is cancelled, the news is not.
                error = await asyncio.shield(ears.ended)
                wait = self._recovery.lost(self.route.clock.now(), chance())
            else:
                wait = self._after_failure(error)
            self._report(error, wait)
            if wait is None:
                self._give_up(error)
                return
            await asyncio.sleep(wait)

    def _after_failure(self, error: TransportError) -> float | None:
        refused = not isinstance(error, ConnectFailed | LinkLost)
        if refused and self.epoch == 0:
            return None  # a mistake in the configuration: whoever starts us should hear of it now
        return self._recovery.failed(self.route.clock.now(), chance(), refused=refused)

    def _report(self, error: TransportError, wait: float | None) -> None:
        # The same reason again, for hours perhaps, is no news; nor is what whoever opened this
        # gets for an error.
        news = str(error) != self._told and not (wait is None and self.epoch == 0)
        self._last, self._told = error, str(error)
        then = "giving up" if wait is None else f"trying again in {wait:.1f} s"
        _log.log(
            logging.WARNING if news else logging.DEBUG,
            "The %s line: %s; %s",
            self.name,
            str(error).rstrip("."),
            then,
        )

    async def _connect(self, ears: _Ears) -> TransportError | None:
        """Open a link, prepare it and announce it; return what went wrong."""
        try:
            link = await self._dial(ears)
        except TransportError as error:
            return error
        if not ears.ended.done():
            self._ears, self.epoch = ears, self.epoch + 1
            await self._prepare(link, ears)
        if ears.ended.done():
            return ears.ended.result()
        if self.epoch > 1:
            _log.info("The %s line to %s is up again", self.name, self.route.where)
        self._told = ""
        self.link, self._since = link, self.route.clock.now()
        self._recovery.connected(self._since)
        self.events.up(self)
        self._announce()
        return None

    async def _dial(self, ears: _Ears) -> Link:
        route = self.route
        try:
            with route.wheel.limit(route.connect_timeout):
                return await route.driver.connect(route.url, route.options, ears)
        except TransportError:
            raise
        except TimeoutError:
            why = f"no answer within {route.connect_timeout:g} s."
            raise caused(ConnectFailed(where=route.where, why=why), None) from None
        except OSError as error:
            raise caused(ConnectFailed(where=route.where, why=f"{error}."), error) from error
        except Exception as error:
            # The text of an unforeseen error may quote the URL: name it, keep it as the cause.
            why = f"the driver failed with {type(error).__name__}."
            raise caused(ConnectFailed(where=route.where, why=why), error) from error

    async def _prepare(self, link: Link, ears: _Ears) -> None:
        """Let the owner restore what lives on a link; a link that cannot be prepared is over."""
        where = self.route.where
        failed: BaseException | None = None
        try:
            with self.route.wheel.limit(self.route.connect_timeout):
                await self.events.restore(self, link)
        except TimeoutError:
            why: TransportError = LinkLost(where=where, why="it did not answer a declaration.")
        except TransportError as error:
            why = error
        except Exception as error:  # noqa: BLE001 - a driver may have bugs; it is logged and told
            _log.exception("The %s line: restoring failed", self.name)
            why = LinkLost(where=where, why=f"the driver failed with {type(error).__name__}.")
        except BaseException as error:  # noqa: BLE001 - raised again below
            failed = error  # the line is closed meanwhile, and does not know this link
        else:
            return
        await self._abandon(link)  # compiled, nothing may be awaited while an error is handled
        if failed is not None:
            raise failed
        ears.lost(why)

    async def _abandon(self, link: Link) -> None:
        try:
            with self.route.wheel.limit(self.route.close_timeout):
                await link.aclose()
        except (TimeoutError, TransportError):
            _log.debug("a link that was given up did not close in good order", exc_info=True)

    def _lost(self, ears: _Ears, why: TransportError) -> None:
        if ears is not self._ears:
            return
        self._ears = None
        was, self.link = self.link, None
        if was is not None:
            self.events.down(self, why)

    def _give_up(self, error: TransportError) -> None:
        self.failure = error
        self._announce()
        self.events.ended(self, error)
