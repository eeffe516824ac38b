"""Where a transport acts: its loop and process, its time, and who watches.

All of a transport stands on one of these. Knows nothing of links or messages.
"""

import asyncio
from collections.abc import Callable
from threading import get_ident
from typing import Final, final

from bedplate._floor.cause import caused
from bedplate._floor.process import birth
from bedplate.clock import Clock
from bedplate.errors import Forked, TransportClosed, WrongLoop
from bedplate.messaging.observe import Observers
from bedplate.messaging.wheel import Timer, Wheel

__all__ = ["Stage"]

_this_thread: Final = get_ident


@final
class Stage:
    """The running loop, and what is the same for all that a transport does in it.

    ``what`` names the transport in messages, ``scheme`` is its driver's. ``closed`` is set when it
    is over.
    """

    __slots__ = (
        "_birth",
        "closed",
        "followers",
        "loop",
        "now",
        "observers",
        "scheme",
        "wall",
        "what",
        "wheel",
    )

    def __init__(
        self, what: str, clock: Clock, wheel: Wheel, observers: Observers, scheme: str
    ) -> None:
        self.what, self.wheel, self.scheme = what, wheel, scheme
        self.now: Callable[[], float] = clock.now
        """Monotonic seconds."""
        self.wall: Callable[[], float] = clock.wall
        """Seconds since 1970."""
        self.observers: Observers | None = observers or None
        """Those who hear of messages and links; None where nobody does."""
        self.followers: Observers | None = observers if observers.follow else None
        """Those who follow work; None where nobody does."""
        self.closed = False
        self.loop = asyncio.get_running_loop()
        self._birth = birth()

    def after(self, seconds: float, callback: Callable[[], object]) -> Timer:
        """Call back later."""
        return self.wheel.after(seconds, callback)

    def check(self) -> None:
        """Raise `Forked`, `WrongLoop` or `TransportClosed` unless it may be used here and now."""
        self.here()
        if self.closed:
            raise TransportClosed(what=self.what)

    def here(self) -> None:
        """Raise `Forked` or `WrongLoop` unless used where it was opened."""
        # The process first: a forked child may run the very loop it inherited.
        if birth() is not self._birth:
            raise Forked(what=self.what)
        # asyncio's loops know the thread they run in. To ask asyncio for the running loop is to ask
        # the kernel for the process, which is felt several times a message.
        if getattr(self.loop, "_thread_id", None) != _this_thread():
            self._look_closer()

    def _look_closer(self) -> None:
        """Raise unless it is a loop that does not say where it runs."""
        try:
            here = asyncio.get_running_loop()
        except RuntimeError:
            raise caused(WrongLoop(what=self.what), None) from None
        if here is not self.loop:
            raise WrongLoop(what=self.what)
