"""The health pages on a port and a socket of their own."""

import asyncio
import errno
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bedplate.errors import CannotListen
from bedplate.health import server as server_module
from bedplate.health.agent import Agent
from bedplate.health.board import Board
from bedplate.health.pages import Pages
from bedplate.health.server import Listener, _Callers, _Conversation, listen, listen_unix
from bedplate.testing import FakeClock

GET = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"


def pages() -> Pages:
    """Return the pages of an empty, live board."""
    return Pages(Board(clock=FakeClock()))


async def ask(listener: Listener, request: bytes) -> bytes:
    """Send bytes, and return all that comes back until the end."""
    reader, writer = await connect(listener)
    writer.write(request)
    try:
        return await asyncio.wait_for(reader.read(), 60)
    finally:
        writer.close()
        await writer.wait_closed()


async def connect(listener: Listener) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a connection."""
    if listener.path:
        return await asyncio.open_unix_connection(listener.path)
    return await asyncio.open_connection(listener.host, listener.port)


@asynccontextmanager
async def quiet_loop() -> AsyncIterator[None]:
    """Fail when anything reaches the event loop as an error."""
    loop, errors = asyncio.get_running_loop(), list[object]()
    loop.set_exception_handler(lambda _, context: errors.append(context))
    yield
    await asyncio.sleep(0)
    assert errors == []


@pytest.mark.usefixtures("real_time")
async def test_a_probe_is_answered_and_the_connection_closed() -> None:
    """One request a connection, and the whole answer at once."""
    async with quiet_loop(), listen(pages()) as listener:
        assert await ask(listener, GET) == (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 5\r\n"
            b"Cache-Control: no-store\r\nVary: Accept\r\nConnection: close\r\n\r\npass\n"
        )


@pytest.mark.usefixtures("real_time")
async def test_port_0_takes_a_free_one_and_tells_it() -> None:
    """Two listeners live side by side, each on loopback."""
    async with listen(pages()) as one, listen(pages()) as two:
        assert one.host == "127.0.0.1"
        assert one.port != two.port
        assert one.where == f"http://127.0.0.1:{one.port}"
        assert repr(one) == f"Listener({one.where})"


@pytest.mark.usefixtures("real_time")
async def test_ipv6_addresses_are_told_in_brackets() -> None:
    """The place can be given to a probe as it is."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    async with listen(pages(), "::1") as listener:
        assert listener.where == f"http://[::1]:{listener.port}"
        assert b"200 OK" in await ask(listener, GET)


@pytest.mark.usefixtures("real_time")
async def test_a_taken_port_is_a_sentence() -> None:
    """The operator learns where, why and what to do."""
    async with listen(pages()) as listener:
        with pytest.raises(CannotListen) as caught:
            async with listen(pages(), port=listener.port):
                pass
        assert str(caught.value) == (
            f"Health cannot listen on 127.0.0.1:{listener.port}: it is taken; stop whoever listens "
            "there, or choose another place."
        )


@pytest.mark.usefixtures("real_time")
@pytest.mark.parametrize(
    ("host", "advice"),
    [
        ("192.0.2.1", "this machine has no such address"),
        ("no such host", "the name of the host is not known"),
    ],
)
async def test_an_unusable_host_is_a_sentence(host: str, advice: str) -> None:
    """Neither a traceback nor a bare number."""
    with pytest.raises(CannotListen, match=advice):
        async with listen(pages(), host):
            pass


def test_every_refusal_of_the_system_becomes_a_sentence() -> None:
    """Known ones with advice, others in the system's own words."""
    advice = server_module._advice
    assert "above 1023" in advice(OSError(errno.EACCES, "Permission denied"))
    assert advice(OSError(errno.EMFILE, "Too many open files")) == (
        "the system says 'Too many open files'."
    )
    assert advice(OverflowError("port must be 0-65535.")).startswith("the system says 'port must")


@pytest.mark.usefixtures("real_time")
async def test_nothing_listens_after_the_end() -> None:
    """Port and socket file are free again."""
    async with listen(pages()) as listener:
        pass
    with pytest.raises(ConnectionRefusedError):
        await connect(listener)


@pytest.mark.usefixtures("real_time")
async def test_open_connections_end_with_the_listener() -> None:
    """A client that never asks cannot hold up the end of the service."""
    async with quiet_loop():
        async with listen(pages()) as listener:
            reader, writer = await connect(listener)
            await ask(listener, GET)
        assert await asyncio.wait_for(end_of(reader), 60) == b""
        writer.close()
        await asyncio.wait({asyncio.ensure_future(writer.wait_closed())})


async def end_of(reader: asyncio.StreamReader) -> bytes:
    """Return what comes until the connection ends, however it ends."""
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""


# --- unix sockets


@pytest.mark.usefixtures("real_time")
async def test_a_unix_socket_is_served_for_owner_and_group(tmp_path: Path) -> None:
    """Others on the machine are kept out, and the file goes with the listener."""
    path = tmp_path / "health.sock"
    async with listen_unix(pages(), str(path)) as listener:
        assert listener.where == f"unix:{path}"
        assert path.stat().st_mode & 0o777 == 0o660
        assert (await ask(listener, GET)).endswith(b"pass\n")
    assert not path.exists()


@pytest.mark.usefixtures("real_time")
async def test_a_socket_file_left_by_a_dead_process_is_replaced(tmp_path: Path) -> None:
    """A crash must not need a cleaning hand before the next start."""
    path = str(tmp_path / "health.sock")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    async with listen_unix(pages(), path) as listener:
        assert b"200 OK" in await ask(listener, GET)


@pytest.mark.usefixtures("real_time")
async def test_a_socket_that_still_answers_is_left_alone(tmp_path: Path) -> None:
    """Two instances started by mistake: the second is told, the first keeps its socket."""
    path = str(tmp_path / "health.sock")
    async with listen_unix(pages(), path) as first:
        with pytest.raises(CannotListen, match=r"health.sock: it is taken"):
            async with listen_unix(pages(), path):
                pass
        assert b"200 OK" in await ask(first, GET)


@pytest.mark.usefixtures("real_time")
async def test_a_file_in_the_way_is_left_alone(tmp_path: Path) -> None:
    """Only socket files are ours to replace."""
    path = tmp_path / "health.sock"
    path.write_text("precious")
    with pytest.raises(CannotListen, match="it is taken"):
        async with listen_unix(pages(), str(path)):
            pass
    assert path.read_text() == "precious"


@pytest.mark.usefixtures("real_time")
async def test_a_missing_directory_is_a_sentence(tmp_path: Path) -> None:
    """Directories are not made behind the operator's back."""
    with pytest.raises(CannotListen, match="its directory is not there; create it first"):
        async with listen_unix(pages(), str(tmp_path / "run" / "health.sock")):
            pass


@pytest.mark.usefixtures("real_time")
async def test_a_path_too_long_for_the_system_is_a_sentence(tmp_path: Path) -> None:
    """Unix sockets have short names; Python's own error is passed on in words."""
    with pytest.raises(CannotListen, match="the system says 'AF_UNIX path too long'"):
        async with listen_unix(pages(), str(tmp_path / ("x" * 200))):
            pass


@pytest.mark.usefixtures("real_time")
async def test_the_socket_of_a_successor_is_left_alone(tmp_path: Path) -> None:
    """When another process has put its own socket there, ending does not take it away."""
    path = tmp_path / "health.sock"
    async with listen_unix(pages(), str(path)):
        path.unlink()
        with socket.socket(socket.AF_UNIX) as successor:
            successor.bind(str(path))
    assert path.is_socket()


# --- strangers


@pytest.mark.usefixtures("real_time")
@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),
        (b"\xff" * 100_000, 400),
        (b"GET /livez HTTP/1.1\r\n" + b"A: " + b"x" * 100_000, 431),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"POST /livez HTTP/1.1\r\nContent-Length: 500000\r\n\r\n" + b"x" * 500_000, 405),
        (b"GET /../etc/passwd HTTP/1.1\r\n\r\n", 404),
        (GET + GET, 200),
    ],
)
async def test_whatever_a_stranger_sends_gets_an_answer(sent: bytes, status: int) -> None:
    """Also when much is left unread the answer arrives, and the next probe is served."""
    async with quiet_loop(), listen(pages()) as listener:
        answer = await ask(listener, sent)
        assert answer.startswith(f"HTTP/1.1 {status} ".encode())
        assert answer.count(b"HTTP/1.1") == 1
        assert b"200 OK" in await ask(listener, GET)


@pytest.mark.usefixtures("real_time")
async def test_a_client_that_stops_in_the_middle_is_told_so() -> None:
    """An end of file is answered at once, not after a timeout."""
    async with quiet_loop(), listen(pages()) as listener:
        reader, writer = await connect(listener)
        writer.write(b"GET /liv")
        writer.write_eof()
        assert (await asyncio.wait_for(reader.read(), 60)).startswith(b"HTTP/1.1 400 ")
        writer.close()
        await writer.wait_closed()


@pytest.mark.usefixtures("real_time")
async def test_a_client_may_end_its_side_after_asking() -> None:
    """``printf … | nc`` does so."""
    async with quiet_loop(), listen(pages()) as listener:
        reader, writer = await connect(listener)
        writer.write(GET)
        writer.write_eof()
        assert b"200 OK" in await asyncio.wait_for(reader.read(), 60)
        writer.close()
        await writer.wait_closed()


@pytest.mark.usefixtures("real_time")
async def test_silent_connections_do_not_keep_a_probe_out() -> None:
    """However many are open, who asks is answered; the oldest silent ones make room."""
    async with quiet_loop(), listen(pages()) as listener:
        silent = [await connect(listener) for _ in range(80)]
        assert b"200 OK" in await ask(listener, GET)
        assert await asyncio.wait_for(end_of(silent[0][0]), 60) == b""
        for _, writer in silent:
            writer.close()
        await asyncio.wait({asyncio.ensure_future(each.wait_closed()) for _, each in silent})


@pytest.mark.usefixtures("real_time")
async def test_a_probe_is_answered_at_once_while_a_check_hangs() -> None:
    """Through real sockets, with an agent whose check never ends."""
    board = Board()
    board.started()

    async def hang() -> None:
        await asyncio.Event().wait()

    board.add("hang", hang, deadline=30)
    async with Agent(board), listen(Pages(board, "reasons")) as listener:
        loop = asyncio.get_running_loop()
        began = loop.time()
        answer = await ask(listener, b"GET /readyz?verbose HTTP/1.1\r\n\r\n")
        assert loop.time() - began < 10
        assert b"[?]hang unknown: has not run yet" in answer


# --- one conversation, on the turned clock


class FakeTransport(asyncio.Transport):
    """Remembers what was written and how it ended."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.ended = False
        self.aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def write_eof(self) -> None:
        self.ended = True

    def abort(self) -> None:
        self.aborted = True

    def is_closing(self) -> bool:
        return self.aborted


def conversation(
    about: Pages | None = None, callers: _Callers | None = None
) -> tuple[_Conversation, FakeTransport]:
    """Return a conversation that has just begun."""
    made = _Conversation(about or pages(), callers or _Callers())
    transport = FakeTransport()
    made.connection_made(transport)
    return made, transport


async def test_patience_with_a_slow_client_ends_after_5_seconds() -> None:
    """A byte now and then does not prolong it."""
    talk, transport = conversation()
    for byte in GET[:4]:
        talk.data_received(bytes([byte]))
        await asyncio.sleep(1.2)
    assert transport.written == b""
    await asyncio.sleep(0.3)
    assert transport.written.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert not transport.aborted
    await asyncio.sleep(1)
    assert transport.aborted


async def test_a_client_that_does_not_take_its_answer_is_cut_off() -> None:
    """An answered connection is not kept for ever either."""
    talk, transport = conversation()
    talk.data_received(GET)
    assert transport.ended
    await asyncio.sleep(5.1)
    assert transport.aborted


async def test_a_connection_that_ended_leaves_no_timer() -> None:
    """Nothing happens to it any more."""
    talk, transport = conversation()
    talk.data_received(GET)
    talk.connection_lost(None)
    await asyncio.sleep(60)
    assert not transport.aborted


async def test_a_scan_that_sends_nothing_gets_nothing() -> None:
    """A TCP check of a load balancer is no malformed request."""
    talk, transport = conversation()
    talk.eof_received()
    assert transport.written == b""


async def test_the_oldest_connection_makes_room() -> None:
    """And those that ended do not count."""
    callers = _Callers()
    talks = [conversation(callers=callers) for _ in range(64)]
    talks[0][0].connection_lost(None)
    conversation(callers=callers)
    assert not any(transport.aborted for _, transport in talks)
    conversation(callers=callers)
    assert [transport.aborted for _, transport in talks[:3]] == [False, True, False]


async def test_a_broken_page_is_a_500_and_a_line_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A mistake of ours reaches the log, not the loop and not the client."""

    class BrokenClock:
        def now(self) -> float:
            raise RuntimeError("secret of the house")

        def wall(self) -> float:
            return 0.0

    talk, transport = conversation(Pages(Board(clock=BrokenClock())))
    with caplog.at_level(logging.ERROR):
        talk.data_received(GET)
    assert transport.written.startswith(b"HTTP/1.1 500 ")
    assert b"secret" not in transport.written
    assert "the health page of /livez is broken" in caplog.text
