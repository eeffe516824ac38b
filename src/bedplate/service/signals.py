"""Signals as a service hears them: stop, stop now, reload. Knows nothing of what they cause."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["signals"]


@contextmanager
def signals(
    *, stop: Callable[[str], None], stop_now: Callable[[str], None], reload: Callable[[], None]
) -> Iterator[None]:
    """Hear SIGTERM, SIGINT and SIGHUP on the running loop for as long as the ``with`` lasts.

    The first SIGTERM or SIGINT calls ``stop(name)``, every further one ``stop_now(name)``; SIGHUP
    calls ``reload()``. All are called on the loop, never inside a signal handler. What handled the
    signals before handles them again afterwards. Only a program's main thread can hear signals.
    """
    loop = asyncio.get_running_loop()
    asked = False

    def ending(name: str) -> None:
        nonlocal asked
        (stop_now if asked else stop)(name)
        asked = True

    before = {
        number: signal.getsignal(number)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    }
    loop.add_signal_handler(signal.SIGTERM, ending, "SIGTERM")
    loop.add_signal_handler(signal.SIGINT, ending, "SIGINT")
    loop.add_signal_handler(signal.SIGHUP, reload)
    try:
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            if handler is not None:
                signal.signal(number, handler)
