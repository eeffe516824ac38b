"""What was set aside: to be looked at, put back to work, or dropped, by a person or a program.

Decides which of the messages found are meant and says what became of them. Finding them in order
and holding them is the browser's business, sending them the transport's.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, final

from msgspec import Struct
from msgspec.structs import replace

from bedplate.errors import (
    NoSuchTarget,
    NotParked,
    PublishRefused,
    TooLarge,
    Unsupported,
)
from bedplate.messaging.browser import Browser
from bedplate.messaging.line import Line
from bedplate.messaging.parker import AS_IT_IS
from bedplate.messaging.parking import Parked, ParkedMessage, message_before, parked_at, read
from bedplate.messaging.types import Address, Arrival, Kind, Source, Support

if TYPE_CHECKING:
    from bedplate.messaging.transport import Transport

__all__ = ["ParkingPlace", "Progress", "Swept"]

Progress = Callable[[int, int], object]
"""Called on the loop with how many messages were looked at so far, and of how many."""

_Act = Callable[[Sequence[Arrival]], Awaitable[Sequence[str | BaseException]]]
"""Does with messages what is to be done; says of each why it must stay, or what went wrong."""

_EVERYBODY = (
    "it was sent to everybody, and which receiver it failed at cannot be addressed again; "
    "publish it anew if all may have it twice, then drop it"
)


class Swept(Struct, frozen=True):
    """What became of the messages that were to be replayed or dropped.

    ``done`` were; of the ids asked for, ``missing`` were not there. ``kept`` stay parked: why, and
    how many for that reason.
    """

    done: int = 0
    missing: tuple[str, ...] = ()
    kept: tuple[tuple[str, int], ...] = ()


@final
class ParkingPlace:
    """Where the messages of one address and group wait that could not be handled.

    Made by `Transport.parked`; opens and makes nothing before it is asked. Looking takes the
    messages without acknowledging and hands them back: none is lost or moved, though meanwhile
    another who looks does not see them. In all methods ``timeout`` (seconds) bounds each wait for
    the broker, not the whole. They raise `DeadlineExceeded`, `LinkLost`, `AccessRefused`.
    """

    __slots__ = ("_line_for", "_transport", "address", "group", "place")

    def __init__(
        self,
        transport: "Transport",
        line_for: Callable[[Source], Line],
        address: Address,
        group: str | None,
    ) -> None:
        """Use `Transport.parked`."""
        self.place = parked_at(address, group)
        """The address where they wait."""
        self.address, self.group = Address.topic(address.name, exchange=address.exchange), group
        self._transport, self._line_for = transport, line_for

    async def count(self, *, timeout: float = 60.0) -> int:  # noqa: ASYNC109 - one for each wait
        """Return how many messages wait. Raises `Unsupported` where brokers do not say."""
        standing = await self._transport.look(self.place, timeout=timeout)
        return standing.messages or 0

    async def list(self, limit: int | None = 100, *, timeout: float = 60.0) -> tuple[Parked, ...]:  # noqa: ASYNC109
        """Return what is known of the first ``limit`` messages (None: of all), the oldest first."""
        found: list[Parked] = []
        if limit is not None and limit < 1:
            raise ValueError(f"limit={limit}: give a number of messages, 1 or more")
        async with self._browse(timeout, most=limit) as browser:
            while some := await browser.some():
                found += (read(each, self.address, self.group) for each in some)
        return tuple(found)

    async def show(self, id: str, *, timeout: float = 60.0) -> ParkedMessage:  # noqa: A002, ASYNC109
        """Return one message with its body and headers. Raises `NotParked`."""
        async with self._browse(timeout) as browser:
            while some := await browser.some():
                for each in some:
                    if each.id == id:
                        facts = read(each, self.address, self.group)
                        return ParkedMessage(facts, message_before(each))
        raise NotParked(id=id, place=str(self))

    async def replay(
        self,
        ids: Iterable[str],
        *,
        ttl: float | None = None,
        timeout: float = 60.0,  # noqa: ASYNC109
        progress: Progress | None = None,
    ) -> Swept:
        """Put messages back where they were delivered, as new ones, and forget them here.

        Each goes to the one place it came from, not to other groups of its address; it has a new id
        (the old one is in the header ``bedplate-replay-of``), all its attempts before it, and
        ``ttl`` seconds to live (None: for ever), whatever it had before. It is forgotten here when
        the broker has confirmed it there: if this breaks off between the two, it is in both places.
        Raises `Unsupported` where the broker cannot address one group's place.
        """
        self._check_replay(ttl)
        return await self._sweep(frozenset(ids), self._replayer(ttl, timeout), timeout, progress)

    async def replay_all(
        self,
        *,
        ttl: float | None = None,
        timeout: float = 60.0,  # noqa: ASYNC109
        progress: Progress | None = None,
    ) -> Swept:
        """Do the same with all that wait now; what is parked meanwhile, again or anew, stays."""
        self._check_replay(ttl)
        return await self._sweep(None, self._replayer(ttl, timeout), timeout, progress)

    async def drop(
        self,
        ids: Iterable[str],
        *,
        timeout: float = 60.0,  # noqa: ASYNC109
        progress: Progress | None = None,
    ) -> Swept:
        """Forget messages for good."""
        return await self._sweep(frozenset(ids), _nothing, timeout, progress)

    async def drop_all(
        self,
        *,
        timeout: float = 60.0,  # noqa: ASYNC109
        progress: Progress | None = None,
    ) -> Swept:
        """Forget for good all that wait now; what is parked meanwhile stays."""
        return await self._sweep(None, _nothing, timeout, progress)

    def __str__(self) -> str:
        group = "" if self.group is None else f" (group {self.group})"
        return f"{self.address}{group}"

    def __repr__(self) -> str:
        return f"ParkingPlace({str(self)!r})"

    # --- inside ---------------------------------------------------------------------------------

    def _browse(
        self, timeout: float, *, most: int | None = None, standing: bool = False
    ) -> Browser:
        source = Source(self.place, existing=True)
        line = self._line_for(source)
        return Browser(line, source, most=most, standing=standing, timeout=timeout)

    async def _sweep(
        self,
        ids: frozenset[str] | None,
        act: _Act,
        timeout: float,  # noqa: ASYNC109
        progress: Progress | None,
    ) -> Swept:
        """Act on the messages meant and forget those for which it does not say why not."""
        missing = None if ids is None else set(ids)
        kept: Counter[str] = Counter()
        done = seen = 0
        async with self._browse(timeout, standing=ids is None) as browser:
            while missing is None or missing:
                some = await browser.some()
                if not some:
                    break
                meant = some if missing is None else _meant(some, missing)
                wrong: BaseException | None = None
                for arrival, why in zip(meant, await act(meant), strict=True):
                    if isinstance(why, BaseException):
                        wrong = wrong or why
                    elif why:
                        kept[why] += 1
                    else:
                        browser.done(arrival)
                        done += 1
                if wrong is not None:
                    raise wrong
                seen += len(some)
                if progress is not None:
                    progress(seen, browser.total or seen)
        return Swept(done, tuple(sorted(missing or ())), tuple(kept.most_common()))

    def _check_replay(self, ttl: float | None) -> None:
        if ttl is not None and not ttl > 0:
            raise ValueError(f"ttl={ttl!r}: give a number of seconds above 0, or None")
        if self._transport.capabilities.place is not Support.NATIVE:
            raise Unsupported(
                driver=self._transport.driver.name,
                what="sending to the place of one group",
                instead="Publish what is shown anew, to all groups, then drop it.",
            )

    def _replayer(self, ttl: float | None, timeout: float) -> _Act:
        async def replay(arrivals: Sequence[Arrival]) -> Sequence[str | BaseException]:
            replays = (self._replay_one(each, ttl, timeout) for each in arrivals)
            return await asyncio.gather(*replays, return_exceptions=True)

        return replay

    async def _replay_one(self, arrival: Arrival, ttl: float | None, timeout: float) -> str:  # noqa: ASYNC109
        """Send a message where it was; return why it must stay, if it must."""
        origin = read(arrival, self.address, self.group).address
        if origin.kind is Kind.FANOUT:
            return _EVERYBODY
        transport = self._transport
        place = Address.place(transport.driver.dialects["native"].queue(origin, self.group))
        message = replace(message_before(arrival, again=True), ttl=ttl)
        try:
            await transport.publish(place, message, timeout=timeout, repeats=True, span=AS_IT_IS)
        except NoSuchTarget:
            return f"nothing keeps messages for {origin} any more; start what receives them first"
        except (PublishRefused, TooLarge) as error:
            return str(error)
        return ""


def _meant(some: Sequence[Arrival], missing: set[str]) -> Sequence[Arrival]:
    """Return those that are missing still, each once."""
    found: list[Arrival] = []
    for each in some:
        if each.id in missing:
            missing.discard(each.id)
            found.append(each)
    return found


async def _nothing(arrivals: Sequence[Arrival]) -> Sequence[str | BaseException]:
    """Keep none."""
    return [""] * len(arrivals)
