"""A service as a program: from the first log line to the exit status.

Turns signals into stop and reload, and keeps the deadline of the stop. What starting and stopping
mean is the service's.
"""

import asyncio
import logging
import sys
from typing import TYPE_CHECKING

from bedplate.config import tell
from bedplate.errors import BedplateError, ConfigError, SourceFailed
from bedplate.service.options import ServiceOptions
from bedplate.service.signals import signals

if TYPE_CHECKING:
    from bedplate.service.service import Service

__all__ = ["Program", "run"]

_log = logging.getLogger("bedplate.service")
_LAST_WORDS = 2.0


def run(service: "Service") -> int:
    """Live until a signal and return the exit status; see `Service.run`."""
    if not logging.getLogger().handlers:
        logging.basicConfig(
            level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
        )
    try:
        if service.asked_to_check:
            return tell(service.check(), service.program)
    except SourceFailed as failure:
        sys.stderr.write(f"{service.program}: {failure}\n")
        return 2
    try:
        service.load()
        return asyncio.run(Program(service).live())
    except BedplateError as error:
        sys.stderr.write(f"{service.program}: {error}\n")
        return 1


class Program:
    """One run of a service, on the running loop of the main thread."""

    def __init__(self, service: "Service") -> None:
        self._service = service
        self._stop = asyncio.Event()
        self._started = False
        self._status = 0
        self._reload_asked = False
        self._reloading: asyncio.Task[None] | None = None

    async def live(self) -> int:
        """Start, wait for a signal, stop; return the exit status."""
        life = asyncio.get_running_loop().create_task(self._until_stop())

        def end(name: str) -> None:
            _log.info("%s got %s and stops", self._service.program, name)
            if self._started:
                self._stop.set()
                self._end_in_time(life)
            else:
                life.cancel()

        with signals(
            stop=end,
            stop_now=lambda name: self._give_up(life, f"got {name} again"),
            reload=self._reload_soon,
        ):
            await asyncio.wait({life})
        if not life.cancelled():
            life.result()
        return self._status

    async def _until_stop(self) -> None:
        # Opened and closed by one task, as context managers expect.
        service = self._service
        async with service:
            self._started = True
            where = service.listener.where if service.listener else "nowhere, it is switched off"
            _log.info("%s is ready as %s; health: %s", service.program, service.instance, where)
            await self._stop.wait()
        _log.info("%s has stopped", service.program)

    def _end_in_time(self, life: asyncio.Task[None]) -> None:
        options = self._service.config[ServiceOptions]
        asyncio.get_running_loop().call_later(
            options.drain_delay + options.stop_timeout + _LAST_WORDS,
            self._give_up,
            life,
            f"did not stop within {options.stop_timeout:g} s",
        )

    def _give_up(self, life: asyncio.Task[None], why: str) -> None:
        _log.error("%s %s: it ends now, with work unfinished", self._service.program, why)
        self._status = 1
        life.cancel()

    def _reload_soon(self) -> None:
        """Reload in a thread, because sources block; signals that come meanwhile are one more."""
        self._reload_asked = True
        if self._reloading is None and self._started:
            self._reloading = asyncio.get_running_loop().create_task(self._reload_while_asked())

    async def _reload_while_asked(self) -> None:
        try:
            while self._reload_asked:
                self._reload_asked = False
                await self._reload_once()
        finally:
            self._reloading = None

    async def _reload_once(self) -> None:
        try:
            changes = await asyncio.to_thread(self._service.reload)
        except ConfigError as error:
            _log.error("%s", error)
            return
        for finding in changes.findings:
            _log.warning("%s", finding)
        for change in changes.changed:
            _log.info(
                "%s is %s now, was %s (%s)", change.key, change.new, change.old, change.origin
            )
        for name in changes.added:
            _log.info("[%s] is named now", name)
        for name in changes.removed:
            _log.info("[%s] is named no more", name)
        _log.info(
            "configuration read again, generation %d: %d options changed",
            changes.generation,
            len(changes.changed),
        )
