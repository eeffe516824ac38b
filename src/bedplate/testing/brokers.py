"""Private brokers for tests: a RabbitMQ node of one's own, on free ports, gone afterwards.

Starts the server that is installed on this machine with directories, ports, cookie and port mapper
of its own, listening on the loopback interface only, and offers what tests want to do to it.
Nothing of a RabbitMQ that already runs here is touched. Knows no driver.

Everything here blocks. In an async test call what takes long by ``asyncio.to_thread``.
"""

import contextlib
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, final
from urllib.parse import quote

__all__ = ["BrokerFailed", "RabbitNode"]

_HEADER = b"AMQP\x00\x00\x09\x01"
_START = b"\x00\x0a\x00\x0a"  # connection.start, behind the head of its frame
_SBIN = "/usr/sbin:/usr/local/sbin:/usr/lib/rabbitmq/bin"
_TAIL = 4000
_OUTLIVE_NOBODY = """
exec 3<&0 </dev/null
{ cat <&3 >/dev/null; kill -9 0; } &
exec "$@" 3<&-
"""
"""Runs a program that ends with whoever started it, even one that was killed and could stop
nothing: then the pipe to here closes, and all of the process group goes."""


class BrokerFailed(Exception):
    """The server did not start, or did not do what it was asked to; its log is in the text."""


@final
class RabbitNode:
    """A RabbitMQ server for tests: ``with RabbitNode() as node: connect(node.url())``.

    Where the environment has ``RABBITMQ_URL``, that server is used instead of a private one: then
    ``owned`` is False, there is only the virtual host of that URL, and what would disturb others
    (``freeze``, ``kill``, ``alarm`` and so on) raises `BrokerFailed`.

    ``patience`` is how long (seconds) the server may take to start, stop or answer. ``root`` is a
    directory that holds an installed system with the server in it; the server is then started by
    ``chroot``. ``settings`` are further lines of its rabbitmq.conf. User and password of a private
    node are ``guest``. Not thread-safe.
    """

    def __init__(self, *, patience: float = 60.0, root: str = "", settings: str = "") -> None:
        self._patience = patience
        self._root = root
        self._settings = settings
        self._given = os.environ.get("RABBITMQ_URL", "")
        self._home = Path()
        self._name = ""
        self._server: subprocess.Popen[bytes] | None = None
        self._mapper: subprocess.Popen[bytes] | None = None
        self._environment: dict[str, str] = {}
        self.port = 0

    def __enter__(self) -> Self:
        """Start it and wait until it answers. Raises `BrokerFailed`."""
        if not self._given:
            self._prepare()
            try:
                self._start()
            except BaseException:
                self._clear()
                raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.owned:
            self._clear()

    @property
    def owned(self) -> bool:
        """Whether it is a private node, which may be stopped, frozen and filled at will."""
        return not self._given

    def url(self, vhost: str = "/", *, port: int | None = None, user: str = "guest:guest") -> str:
        """Return the URL of a virtual host; ``port`` may be that of a relay in between."""
        if self._given:
            return self._given
        return f"rabbit://{user}@127.0.0.1:{port or self.port}/{quote(vhost, safe='')}"

    # --- what it holds --------------------------------------------------------------------------

    def vhost(self, name: str = "") -> str:
        """Make a virtual host (of a new name, unless one is given) and return its name."""
        if self._given:
            return ""
        name = name or f"test-{secrets.token_hex(4)}"
        self.evaluate(f'rabbit_vhost:add(<<"{_plain(name)}">>, <<"bedplate">>)')
        self.permit("guest", name)
        return name

    def permit(
        self, user: str, vhost: str, *, configure: str = ".*", write: str = ".*", read: str = ".*"
    ) -> None:
        """Let a user do in a virtual host what these patterns name."""
        patterns = ", ".join(f'<<"{_quoted(each)}">>' for each in (configure, write, read))
        self.evaluate(
            f'rabbit_auth_backend_internal:set_permissions(<<"{_plain(user)}">>, '
            f'<<"{_plain(vhost)}">>, {patterns}, <<"bedplate">>)'
        )

    def user(self, name: str, password: str) -> None:
        """Make a user, who may do nothing yet."""
        self.evaluate(
            f'rabbit_auth_backend_internal:add_user(<<"{_plain(name)}">>, '
            f'<<"{_plain(password)}">>, <<"bedplate">>)'
        )

    def queues(self, vhost: str = "/") -> tuple[str, ...]:
        """Return the names of the queues in a virtual host."""
        said = self.evaluate(
            f'[io_lib:format("~ts~n", [element(4, amqqueue:get_name(Q))]) '
            f'|| Q <- rabbit_amqqueue:list(<<"{_plain(vhost)}">>)]',
            text=True,
        )
        return tuple(sorted(said.split("\n")[:-1]))

    def delete_queue(self, vhost: str, queue: str) -> None:
        """Delete a queue under whoever uses it; consumers are cancelled by the broker."""
        self.evaluate(
            f'{{ok, Q}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"{_plain(vhost)}">>, queue, '
            f'<<"{_quoted(queue)}">>)), rabbit_amqqueue:delete(Q, false, false, <<"bedplate">>)'
        )

    def connections(self) -> int:
        """Return how many clients are connected."""
        said = self.evaluate(
            'io_lib:format("~b", [length(rabbit_networking:connections())])', text=True
        )
        return int(said)

    def close_connections(self, why: str = "closed by a test") -> None:
        """Have the broker close every client's connection, as an operator would."""
        self.evaluate(
            f'[rabbit_networking:close_connection(P, "{_quoted(why)}") '
            f"|| P <- rabbit_networking:connections()]"
        )

    # --- what may befall it ---------------------------------------------------------------------

    def alarm(self, *, on: bool) -> None:
        """Raise or clear a memory alarm: while it lasts the broker reads no publisher.

        Its connections know of it when this returns.
        """
        if on:
            change = "rabbit_alarm:set_alarm({{resource_limit, memory, node()}, []})"
        else:
            change = "rabbit_alarm:clear_alarm({resource_limit, memory, node()})"
        # The change is a note to a process that tells the connections; its answer to a question
        # comes after that.
        self.evaluate(f"{change}, rabbit_alarm:get_alarms()")

    def freeze(self) -> None:
        """Stop the process where it stands: its sockets stay open and nothing answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen process go on."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once, without a word to anybody. `restart` brings it back."""
        self._signal(signal.SIGKILL)
        self._running().wait(self._patience)

    def stop(self) -> None:
        """End it in good order. `restart` brings it back."""
        self._end(self._running())

    def restart(self) -> None:
        """Stop it, unless it is dead, and start it again with what it kept, on the same port."""
        server = self._running()
        self._end(server)
        self._start()

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Freeze it for a block."""
        self.freeze()
        try:
            yield
        finally:
            self.thaw()

    @contextlib.contextmanager
    def alarmed(self) -> Iterator[None]:
        """Have a memory alarm for a block."""
        self.alarm(on=True)
        try:
            yield
        finally:
            self.alarm(on=False)

    def evaluate(self, expression: str, *, text: bool = False) -> str:
        """Run an Erlang expression inside the node and return what it gave, as Erlang writes it.

        With ``text`` the expression gives text (an iolist), which is returned as it is.
        """
        self._running()
        shape = "~ts" if text else "~tp"
        source = f'lists:flatten(io_lib:format("<<<{shape}>>>", [begin {expression} end]))'
        tool = self._program("erl_call")
        if tool:
            # Under a name of its own: the node may still know the last one that asked.
            asker = f"asker{secrets.token_hex(4)}"
            command = [*tool, "-sname", self._name, "-c", self._cookie, "-h", asker, "-e"]
            given = f"{source}.\n".encode()
        else:
            command, given = [*self._program("rabbitmqctl"), "eval", f"{source}."], b""
        done = self._run(command, given)
        said = done.stdout.decode(errors="replace")
        found = re.search(r"<<<(.*)>>>", said, re.DOTALL)
        if found is None:
            raise self._failure(f"it did not evaluate {expression!r}: {said}{done.stderr.decode()}")
        return found[1].encode().decode("unicode_escape") if "\\" in found[1] else found[1]

    def log(self) -> str:
        """Return the end of what the server printed and logged."""
        return "\n".join(_end_of(each) for each in sorted(self._home.glob("log/*")))

    # --- inside ---------------------------------------------------------------------------------

    @property
    def _cookie(self) -> str:
        return (self._home / "home" / ".erlang.cookie").read_text()

    def _prepare(self) -> None:
        base = Path(self._root, "tmp") if self._root else None
        self._home = home = Path(tempfile.mkdtemp(prefix="bedplate-rabbit-", dir=base))
        inside = Path("/", home.relative_to(self._root)) if self._root else home
        self.port, distribution, mapper = _free_ports(3)
        self._name = f"bedplate{self.port}@localhost"
        for folder in ("home", "log", "mnesia"):
            (home / folder).mkdir()
        cookie = home / "home" / ".erlang.cookie"
        cookie.write_text(secrets.token_hex(16))
        cookie.chmod(0o400)
        (home / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\nlog.file.level = info\n"
            f"disk_free_limit.absolute = 1MB\n{self._settings}\n"
        )
        names = Path(self._root, "etc", "hosts")
        if self._root and not names.exists():  # a bare system knows no name at all
            names.write_text("127.0.0.1 localhost\n")
        (home / "rabbitmq-env.conf").write_text("")
        (home / "plugins").write_text("[].\n")
        self._environment = {
            "PATH": f"{os.environ.get('PATH', os.defpath)}:{_SBIN}",
            "LANG": "C.UTF-8",
            "HOME": f"{inside}/home",
            "RABBITMQ_CONFIG_FILE": f"{inside}/rabbitmq.conf",
            "RABBITMQ_CONF_ENV_FILE": f"{inside}/rabbitmq-env.conf",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{inside}/plugins",
            "RABBITMQ_MNESIA_BASE": f"{inside}/mnesia",
            "RABBITMQ_LOG_BASE": f"{inside}/log",
            "RABBITMQ_PID_FILE": f"{inside}/pid",
            "RABBITMQ_NODENAME": self._name,
            "ERL_CRASH_DUMP": f"{inside}/log/crash.dump",
            "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                "-kernel inet_dist_use_interface {127,0,0,1} "
                "+sbwt none +sbwtdcpu none +sbwtdio none"  # no core spins while it waits
            ),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(mapper),
        }

    def _start(self) -> None:
        server = self._program("rabbitmq-server")
        if not server:
            raise BrokerFailed(
                "No rabbitmq-server is installed; on Debian and Ubuntu: "
                "apt install --no-install-recommends rabbitmq-server"
            )
        if self._mapper is None or self._mapper.poll() is not None:
            # The port mapper would stay behind as a daemon; as a child it ends with us.
            self._mapper = self._spawn("epmd.log", self._program("epmd"))
        self._server = self._spawn("console.log", server)
        until = time.monotonic() + self._patience
        while not _answers(self.port):
            if self._server.poll() is not None:
                raise self._failure(f"it ended with status {self._server.returncode}")
            if time.monotonic() > until:
                raise self._failure(f"it did not answer within {self._patience:g} s")
            time.sleep(0.05)

    def _spawn(self, log: str, command: Sequence[str]) -> subprocess.Popen[bytes]:
        with (self._home / "log" / log).open("ab") as said:
            return subprocess.Popen(  # noqa: S603 - a program of this machine, arguments of ours
                ("/bin/sh", "-c", _OUTLIVE_NOBODY, "bedplate", *command),
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )

    def _run(self, command: Sequence[str], given: bytes) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(  # noqa: S603 - as above
                command,
                env=self._environment,
                input=given,
                capture_output=True,
                timeout=self._patience,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise self._failure(f"{command[0]} did not end within {self._patience:g} s") from None

    def _program(self, name: str) -> tuple[str, ...]:
        if self._root:
            found = next(
                (
                    folder
                    for folder in (
                        "/usr/lib/rabbitmq/bin",
                        "/usr/bin",
                        "/usr/sbin",
                        "/usr/local/bin",
                    )
                    if Path(self._root, folder[1:], name).exists()
                ),
                "",
            )
            return ("chroot", self._root, f"{found}/{name}") if found else ()
        # Debian's wrapper in /usr/sbin insists on the user rabbitmq; the script behind it does not.
        path = f"/usr/lib/rabbitmq/bin:{self._environment['PATH']}"
        where = shutil.which(name, path=path)
        return (where,) if where else ()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._given:
            raise BrokerFailed(
                "RABBITMQ_URL names a server that is not the tests' own: "
                "it is not stopped, filled or changed."
            )
        if self._server is None:
            raise BrokerFailed("The node is not started; use it inside its 'with' block.")
        return self._server

    def _signal(self, number: int) -> None:
        server = self._running()
        if server.poll() is None:
            os.killpg(server.pid, number)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        if process.poll() is not None:
            _let_go(process)
            return
        os.killpg(process.pid, signal.SIGCONT)
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(self._patience)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(self._patience)
        _let_go(process)

    def _clear(self) -> None:
        for process in (self._server, self._mapper):
            if process is not None:
                self._end(process)
        shutil.rmtree(self._home, ignore_errors=True)

    def _failure(self, why: str) -> BrokerFailed:
        return BrokerFailed(f"The private RabbitMQ node failed: {why}\n{self.log()}")


def _let_go(process: subprocess.Popen[bytes]) -> None:
    """Close the pipe of one that has ended, which ends the watcher beside it."""
    if process.stdin is not None:
        process.stdin.close()


def _answers(port: int) -> bool:
    """Whether an AMQP server greets at a port of this machine."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2.0) as peer:
            peer.sendall(_HEADER)
            return peer.recv(64)[7:11] == _START
    except OSError:
        return False


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        found = []
        for _ in range(count):
            probe = stack.enter_context(socket.socket())
            probe.bind(("127.0.0.1", 0))
            found.append(probe.getsockname()[1])
        return found


def _plain(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_./@:-]*", name):
        raise ValueError(f"a name for tests is made of letters, digits and _./@:-, not {name!r}")
    return name


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _end_of(path: Path) -> str:
    return f"--- {path.name} ---\n{path.read_text(errors='replace')[-_TAIL:]}"
