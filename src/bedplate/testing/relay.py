"""A stretch of network for tests: relays TCP connections, and breaks them as networks do.

Runs in the test's own event loop and needs no privilege. Knows no protocol.
"""

import asyncio
import socket
import ssl
import struct
from types import TracebackType
from typing import Self, final

__all__ = ["Relay"]

_PIECE = 65536
_RESET = struct.pack("ii", 1, 0)
_Peer = tuple[str, int]


@final
class Relay:
    """Listens on a free port of this machine and passes on to ``host`` and ``port``.

    ``async with Relay("127.0.0.1", 5672) as relay:`` and connect to ``relay.port``. What is set
    holds for the connections there are and for those to come, both ways:

    - ``delay``: seconds by which every byte comes later;
    - ``throttle``: bytes a second that pass each way, 0 for all there are;
    - ``stall()``: nothing passes any more, nothing is lost, the senders are held back;
    - ``vanish()``: the far end is gone without a word: what is sent is swallowed (half-open);
    - ``cut()``: connections end at once with a reset;
    - ``refuse()``: no new connection is accepted;
    - ``heal()``: all is well again; what was stalled goes on, what was swallowed is lost.

    With ``tls``, a server's context, clients talk TLS to it, and it plain to the far end. Belongs
    to one event loop.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        delay: float = 0.0,
        throttle: float = 0.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.delay, self.throttle = delay, throttle
        self._tls = tls
        self.port = 0
        self.passed = 0
        """Bytes passed on so far, both ways together."""
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._swallowing = False
        self._pairs: dict[_Peer, asyncio.Task[None]] = {}

    async def __aenter__(self) -> Self:
        """Listen."""
        await self._listen()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.refuse()
        self.cut()
        await asyncio.gather(*self._pairs.values())

    @property
    def connections(self) -> int:
        """How many connections there are now."""
        return len(self._pairs)

    def stall(self) -> None:
        """Pass nothing on, and read nothing more."""
        self._flowing.clear()

    def vanish(self) -> None:
        """Swallow what is sent, in silence."""
        self._swallowing = True

    def cut(self, client: object = None) -> None:
        """End all connections with a reset, or the one whose client has this socket name."""
        for name, pair in tuple(self._pairs.items()):
            if client is None or client == name:
                pair.cancel()

    def refuse(self) -> None:
        """Accept no new connection; those there are go on."""
        if self._server is not None:
            self._server.close()
            self._server = None

    async def heal(self) -> None:
        """Let everything pass again, at full speed."""
        self.delay = self.throttle = 0.0
        self._swallowing = False
        self._flowing.set()
        if self._server is None:
            await self._listen()

    # --- inside ---------------------------------------------------------------------------------

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(
            self._accept, "127.0.0.1", self.port, ssl=self._tls
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A task of our own: the one that runs this belongs to asyncio, which would log its end.
        name = writer.get_extra_info("peername")
        task = asyncio.get_running_loop().create_task(self._carry(reader, writer))
        self._pairs[name] = task
        task.add_done_callback(lambda _: self._pairs.pop(name, None))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on both ways until one end closes; reset both when it is cut."""
        writers = [writer]
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
            writers.append(far_writer)
            ways = [self._one_way(reader, far_writer), self._one_way(far_reader, writer)]
            tasks = [asyncio.ensure_future(way) for way in ways]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            for each in writers:
                each.close()
        except (asyncio.CancelledError, OSError):
            for each in writers:
                _reset(each)

    async def _one_way(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(64)
        sender = asyncio.ensure_future(self._send(queue, writer))
        try:
            while data := await reader.read(_PIECE):
                await queue.put((loop.time() + self.delay, data))
                await self._flowing.wait()
            await queue.put((0.0, b""))
            await sender
        finally:
            sender.cancel()

    async def _send(
        self, queue: "asyncio.Queue[tuple[float, bytes]]", writer: asyncio.StreamWriter
    ) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due, data = await queue.get()
            if not data:
                return
            if self.throttle:
                due = max(due, loop.time() + len(data) / self.throttle)
            if due > loop.time():
                await asyncio.sleep(due - loop.time())
            await self._flowing.wait()
            if not self._swallowing:
                self.passed += len(data)
                writer.write(data)
                await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close so that the peer sees a reset, not an end."""
    peer = writer.get_extra_info("socket")
    if peer is not None and peer.fileno() >= 0:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
