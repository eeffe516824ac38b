"""The composition root: sections become transports, transports carry servers, all report health.

The only place that knits the rooms together. It holds no logic of theirs: it opens them in order
and closes them in reverse. Living as a program, with signals, is `bedplate.service.program`'s.
"""

import asyncio
import inspect
import logging
import math
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Self, TypeVar

from bedplate import health
from bedplate._floor.portal import Portal
from bedplate.clock import LoopClock
from bedplate.config import Audit, Changes, Config, Schema, Section, tell
from bedplate.config.sources import split
from bedplate.errors import ConfigError, TransportClosed
from bedplate.messaging import Transport
from bedplate.messaging.notify import Listener, Notifier, listen
from bedplate.messaging.rpc import Server, serve
from bedplate.service.checking import checked
from bedplate.service.connections import Connections
from bedplate.service.options import NotifyTransport, RpcTransport, ServiceOptions

__all__ = ["Service"]

T = TypeVar("T")
P = TypeVar("P", bound=AbstractAsyncContextManager[object])

_log = logging.getLogger("bedplate.service")


class Service:
    """A process that reads its configuration, answers calls, sends notifications, reports health.

    ``setup(service)``, plain or async, is called once the transports are open. It builds the
    handlers and registers them with ``serve``, ``listen``, ``live_with`` and ``board.add``;
    nothing is taken from a broker before it has returned and the whole configuration has been
    judged.

    A service is a life cycle, and lives once: ``async with service:`` inside a loop, ``with
    service:`` from plain code (in a loop thread of its own), or ``service.run()`` as a program
    that hears signals. Its attributes are there inside the block.
    """

    config: Config
    board: health.Board
    instance: str
    """Name of this instance among its equals."""
    listener: "health.Listener | None"
    """Where health is shown; None where the operator switched it off."""

    def __init__(
        self,
        program: str,
        sections: Sequence[type[Section]] = (),
        setup: "Callable[[Service], Awaitable[None] | None] | None" = None,
        *,
        argv: Sequence[str] | None = None,
        environ: Mapping[str, str] | None = None,
        files: Sequence[str] | None = None,
    ) -> None:
        """Describe the service; nothing is read or opened yet.

        ``program`` names the configuration files and the prefix of environment variables. For
        ``argv``, ``environ`` and ``files`` see `Config.load`: None means the process's own.
        """
        self.program = program
        self._sections: tuple[type[Section], ...] = (
            ServiceOptions,
            RpcTransport,
            NotifyTransport,
            health.HealthOptions,
            *sections,
        )
        self._setup = setup
        self._argv, self._environ, self._files = argv, environ, files
        self._stack = AsyncExitStack()
        self._portal: Portal | None = None
        self._entered = False
        self._connections: Connections | None = None
        self._parts: list[AbstractAsyncContextManager[object]] = []

    # --- what setup uses

    @property
    def rpc(self) -> Transport:
        """The transport of ``[transport.rpc]``. Raises `SectionAbsent` where there is none."""
        return self._connected().rpc

    @property
    def notify(self) -> Transport:
        """The transport of ``[transport.notify]``, or else of ``[transport.rpc]``.

        Raises `SectionAbsent` where there is neither.
        """
        return self._connected().notify

    def serve(self, *handlers: object, workers: int = 8) -> Server:
        """Answer calls with these handlers from the end of setup until the service stops.

        ``workers`` requests run at a time. For other choices make a server of your own,
        ``rpc.serve(service.rpc, …)``, and hand it to `live_with`.
        """
        return self.live_with(
            serve(
                self.rpc,
                *handlers,
                workers=workers,
                server=self.instance,
                drain=self.config[ServiceOptions].stop_timeout,
            )
        )

    def listen(
        self,
        handler: object,
        *,
        topics: Sequence[str] = ("notifications",),
        event_types: Sequence[str] = ("*",),
        pool: str | None = None,
    ) -> Listener:
        """Receive notifications from the end of setup until the service stops.

        For other choices make a listener of your own, ``notify.listen(service.notify, …)``, and
        hand it to `live_with`.
        """
        return self.live_with(
            listen(
                self.notify,
                handler,
                topics=topics,
                event_types=event_types,
                pool=pool,
                drain=self.config[ServiceOptions].stop_timeout,
            )
        )

    def live_with(self, part: P) -> P:
        """Enter an async context manager at the end of setup and leave it when the service stops.

        Parts are entered in the order of registration and left all at once, before the transports
        close, so that together they keep one deadline. Returns the part.
        """
        self._parts.append(part)
        return part

    def notifier(self, publisher: str = "", *, topic: str = "notifications") -> Notifier:
        """Return a notifier on the notification transport.

        ``publisher`` is what receivers see as the sender: ``program.instance`` if empty.
        """
        return Notifier(
            self.notify, publisher_id=publisher or f"{self.program}.{self.instance}", topic=topic
        )

    # --- life

    def load(self) -> Config:
        """Read and check the configuration, once, without opening anything; starting does so too.

        Blocks while sources are read, so programs do it before their loop runs. Raises as
        `Config.load` does, SystemExit for ``--help`` included; with ``--check-config`` it prints
        what `check` finds and raises SystemExit.
        """
        if self.asked_to_check:
            raise SystemExit(tell(self.check(), self.program))
        if not hasattr(self, "config"):
            self.config = Config.load(
                self._sections,
                program=self.program,
                argv=self._argv,
                environ=self._environ,
                files=self._files,
                unknown="defer",
            )
        return self.config

    @property
    def asked_to_check(self) -> bool:
        """Whether the command line has ``--check-config``."""
        return split(sys.argv[1:] if self._argv is None else self._argv).check

    def check(self) -> Audit:
        """Check the configuration this service would start with, and open nothing.

        The options of the drivers that its transport URLs name are known. Sections that only
        ``setup`` declares are not, so those that resemble no known one are warnings. Raises
        `SourceFailed` for a source that cannot be read.
        """
        return checked(
            Schema.of(self._sections),
            program=self.program,
            argv=self._argv,
            environ=self._environ,
            files=self._files,
            late=self._setup is not None,
        )

    async def __aenter__(self) -> Self:
        """Start. Raises what is wrong, with everything that was already open closed again."""
        if self._entered:
            raise RuntimeError(f"this service ({self.program}) lives already; make another")
        self._entered = True
        async with AsyncExitStack() as stack:
            self._stack = stack
            await self._start(stack)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop: not ready, pause, drain within ``stop_timeout``, disconnect."""
        options = self.config[ServiceOptions]
        self.board.draining("is stopping")
        if error is None and options.drain_delay:
            await asyncio.sleep(options.drain_delay)
        await self._stack.__aexit__(kind, error, trace)

    def __enter__(self) -> Self:
        """Start in a loop thread of the service's own; for programs and tests without a loop."""
        portal = Portal(f"bedplate-{self.program}")
        try:
            portal.call(self.__aenter__)
        except BaseException:
            portal.close()
            raise
        self._portal = portal
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop and end the thread."""
        portal = self._portal
        if portal is None:
            raise RuntimeError("this service was not entered with a plain 'with'")
        self._portal = None
        try:
            portal.call(lambda: self.__aexit__(kind, error, trace))
        finally:
            portal.close()

    def call(self, make: Callable[[], Awaitable[T]]) -> T:
        """Await ``make()`` in the service's own loop thread; inside a plain ``with`` only."""
        if self._portal is None:
            raise RuntimeError("service.call() belongs inside a plain 'with service:' block")
        return self._portal.call(make)

    def run(self) -> int:
        """Live as a program: until SIGTERM or SIGINT, reloading on SIGHUP. Return an exit status.

        0 after a clean stop, 1 if the service could not start or did not stop in time. A second
        signal stops at once. What is wrong with the configuration goes to standard error, one
        sentence a line. Must be called in the main thread.

        With ``--check-config`` it prints what `check` finds and opens nothing: 0 where nothing is
        wrong, 1 for errors, 2 where a file cannot be read.
        """
        from bedplate.service.program import run

        return run(self)

    def reload(self) -> Changes:
        """Read the configuration again; mutable options change, the rest need a restart.

        Blocks while sources are read. Raises `ReloadRefused` and keeps the old values where
        anything is wrong with the new ones; health shows that as a warning until a reload works.
        """
        indicator = self._configuration
        try:
            changes = self.config.reload()
        except ConfigError as error:
            indicator.warn("the last reload was refused", str(error))
            raise
        indicator.ok()
        return changes

    # --- how it starts and lives

    async def _start(self, stack: AsyncExitStack) -> None:
        """Open everything in order; the stack closes it in reverse."""
        config = self.load()
        told = config.findings
        for finding in told:
            _log.warning("%s", finding)
        self.instance = config[ServiceOptions].instance or socket.gethostname()
        self.board = board = health.Board(clock=LoopClock(asyncio.get_running_loop()))
        self._configuration = board.indicator("configuration", ttl=math.inf)
        self._configuration.ok()
        # Health comes first, so that a service which waits for its broker can be seen waiting.
        await stack.enter_async_context(health.Agent(board))
        self.listener = await stack.enter_async_context(
            health.serve(board, config[health.HealthOptions])
        )
        self._connections = await Connections.open(stack, config)
        if self._setup is not None:
            done = self._setup(self)
            if inspect.isawaitable(done):
                await done
        config.seal()
        for finding in config.findings:
            if finding not in told:
                _log.warning("%s", finding)
        await stack.enter_async_context(_together(self._parts))
        self._connections.watch(board)
        board.started()

    def _connected(self) -> Connections:
        if self._connections is None:
            raise TransportClosed(what=f"The service {self.program}")
        return self._connections


@asynccontextmanager
async def _together(parts: Sequence[AbstractAsyncContextManager[object]]) -> AsyncIterator[None]:
    """Enter one after the other, leave all at once."""
    entered: list[AbstractAsyncContextManager[object]] = []
    try:
        for part in parts:
            await part.__aenter__()
            entered.append(part)
        yield
    finally:
        left = [part.__aexit__(None, None, None) for part in entered]
        failed = [
            each
            for each in await asyncio.gather(*left, return_exceptions=True)
            if isinstance(each, BaseException)
        ]
        if failed:
            raise failed[0]
