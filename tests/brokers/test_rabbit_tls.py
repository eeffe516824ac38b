"""RabbitMQ behind TLS: the whole suite once more, and which certificates are refused."""

import asyncio
import contextlib
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.brokers.test_rabbit_contract import TestRabbitDriver as _OverTcp

from bedplate.config import Section
from bedplate.errors import (
    AccessRefused,
    ConnectFailed,
    DeadlineExceeded,
    InvalidUrl,
    NotTrusted,
)
from bedplate.messaging import Transport, rpc
from bedplate.messaging.driver import LinkEvents
from bedplate.messaging.drivers.rabbit import RabbitDriver, RabbitOptions
from bedplate.messaging.url import TransportUrl
from bedplate.testing.brokers import RabbitNode
from bedplate.testing.contracts._workbench import Ear
from bedplate.testing.relay import Relay

pytestmark = pytest.mark.needs("rabbit")


class Terminal:
    """Ends TLS before the broker, in a loop and a thread of its own, for a whole module."""

    def __init__(self, folder: Path, node: RabbitNode) -> None:
        self.good = certificate(folder, "localhost", "DNS:localhost,IP:127.0.0.1")
        self.other = certificate(folder, "elsewhere.example", "DNS:elsewhere.example")
        self.expired = certificate(folder, "expired", "DNS:localhost,IP:127.0.0.1", days=-1)
        self.ports: dict[Path, int] = {}
        self._node = node
        self._loop = asyncio.SelectorEventLoop()
        self._end = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._ready.wait(10)

    def stop(self) -> None:
        """End all of it."""
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()
        self._loop.close()

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        async with contextlib.AsyncExitStack() as stack:
            for pem in (self.good, self.other, self.expired):
                relay = await stack.enter_async_context(self._relay(server_context(pem)))
                self.ports[pem] = relay.port
            self._ready.set()
            await self._end.wait()

    def _relay(self, context: ssl.SSLContext) -> Relay:
        return Relay("127.0.0.1", self._node.port, tls=context)


def server_context(pem: Path) -> ssl.SSLContext:
    """Return what a server with this certificate uses."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


def certificate(folder: Path, name: str, names: str, days: int = 2) -> Path:
    """Write a certificate that signs itself, with its key, and return the file."""
    pem, key, request = (folder / f"{name}.{end}" for end in ("pem", "key", "csr"))
    openssl(
        *("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
        *("-subj", f"/CN={name}", "-addext", f"subjectAltName={names}"),
        *("-keyout", str(key), "-out", str(request)),
    )
    openssl(  # in two steps, because the first takes no days in the past
        *("x509", "-req", "-in", str(request), "-signkey", str(key), "-days", str(days)),
        *("-copy_extensions", "copy", "-out", str(pem)),
    )
    pem.write_text(pem.read_text() + key.read_text())
    return pem


def openssl(*arguments: str) -> None:
    """Run openssl."""
    program = shutil.which("openssl")
    assert program, "openssl is needed to make certificates: apt install openssl"
    subprocess.run([program, *arguments], check=True, capture_output=True)


@pytest.fixture(scope="module")
def terminal(rabbit: RabbitNode, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """Put TLS before the broker."""
    if not rabbit.owned:
        pytest.skip("rabbit: RABBITMQ_URL names a server whose TLS tests cannot arrange")
    terminal = Terminal(tmp_path_factory.mktemp("tls"), rabbit)
    yield terminal
    terminal.stop()


class TestRabbitDriverOverTls(_OverTcp):
    quiet = 0.1
    terminal: Terminal

    @pytest.fixture(autouse=True)
    def secure(self, terminal: Terminal) -> None:
        """Connect through TLS."""
        self.terminal = terminal

    def url(self) -> str:
        port = self.terminal.ports[self.terminal.good]
        return self.node.url(self.vhost, port=port).replace("rabbit://", "rabbits://", 1)

    def options(self) -> Section:
        return RabbitOptions(ssl_ca_file=str(self.terminal.good))


@contextlib.contextmanager
def shaking_hands(context: ssl.SSLContext) -> Iterator[int]:
    """Begin TLS with whoever comes, tell them what is wrong, as brokers do, and hang up."""

    def serve() -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with contextlib.suppress(OSError), peer:
                context.wrap_socket(peer, server_side=True).close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


async def connect(url: str, options: RabbitOptions) -> None:
    """Open a link and close it."""
    ear: LinkEvents = Ear(5.0)
    link = await RabbitDriver().connect(TransportUrl(url), options, ear)
    await link.aclose()


@pytest.mark.usefixtures("real_time")
class TestCertificates:
    async def test_an_unknown_issuer_is_refused(self, terminal: Terminal) -> None:
        """A certificate that nobody trusted vouches for is no connection; says where to name it."""
        url = f"rabbits://localhost:{terminal.ports[terminal.good]}/"
        with pytest.raises(NotTrusted, match=r"nobody who is trusted .* ssl_ca_file\.$"):
            await connect(url, RabbitOptions())

    async def test_a_certificate_of_another_host_is_refused(self, terminal: Terminal) -> None:
        """The name in the certificate must be the host's, unless that is switched off."""
        port = terminal.ports[terminal.other]
        trusting = RabbitOptions(ssl_ca_file=str(terminal.other))
        for host in ("localhost", "127.0.0.1"):
            with pytest.raises(NotTrusted, match=rf"it is not for {host}\. Connect by a name"):
                await connect(f"rabbits://{host}:{port}/", trusting)
        careless = RabbitOptions(ssl_ca_file=str(terminal.other), ssl_verify_hostname=False)
        await connect(f"rabbits://localhost:{port}/", careless)

    async def test_an_expired_certificate_is_refused(self, terminal: Terminal) -> None:
        """It is told at once, also where connecting may take its time, and not tried again."""
        url = f"rabbits://localhost:{terminal.ports[terminal.expired]}/"
        options = RabbitOptions(ssl_ca_file=str(terminal.expired))
        with pytest.raises(NotTrusted, match=r"it has expired\. Renew it there"):
            await connect(url, options)
        since = time.monotonic()
        with pytest.raises(NotTrusted, match="it has expired"):
            async with Transport.connect(url, options=options, timeout=30):
                pass
        assert time.monotonic() - since < 3.0

    async def test_a_certificate_of_tomorrow_is_refused(
        self, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One that is not valid yet makes clocks suspicious."""
        early = ssl.SSLCertVerificationError(1, "[SSL] certificate verify failed")
        early.verify_code, early.verify_message = 9, "certificate is not yet valid"

        async def fail(*_: object, **__: object) -> None:
            raise early

        monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", fail)
        with pytest.raises(NotTrusted, match=r"not valid yet\. Is a clock off"):
            await connect(f"rabbits://localhost:{terminal.ports[terminal.good]}/", RabbitOptions())

    async def test_a_certificate_that_expires_meanwhile_is_the_reason(
        self, private_rabbit: RabbitNode, vhost: str, terminal: Terminal
    ) -> None:
        """A link that cannot come back for it fails calls in time, and tells them why."""
        context = server_context(terminal.good)
        trust = terminal.good.parent / "both.pem"
        trust.write_text(terminal.good.read_text() + terminal.expired.read_text())
        options = RabbitOptions(ssl_ca_file=str(trust))
        async with Relay("127.0.0.1", private_rabbit.port, tls=context) as relay:
            url = private_rabbit.url(vhost, port=relay.port).replace("rabbit:", "rabbits:", 1)
            async with Transport.connect(url, options=options) as transport:
                context.load_cert_chain(terminal.expired)
                relay.cut()
                client = rpc.Client(transport, topic="parts", timeout=1.0)
                with pytest.raises(DeadlineExceeded) as caught:
                    await client.call("count")
                assert "it has expired" in str(caught.value.__cause__)
                assert "it has expired" in transport.statistics().lines[0].why

    async def test_a_server_that_wants_our_certificate_says_so(self, terminal: Terminal) -> None:
        """Without one access is refused, and the setting is named."""
        context = server_context(terminal.good)
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(terminal.good)
        known = str(terminal.good)
        with shaking_hands(context) as port:
            with pytest.raises(AccessRefused, match=r"our certificate is missing .* ssl_cert_file"):
                await connect(f"rabbits://localhost:{port}/", RabbitOptions(ssl_ca_file=known))
            with pytest.raises(ConnectFailed, match=r"before the broker said anything"):
                await connect(
                    f"rabbits://localhost:{port}/",
                    RabbitOptions(ssl_ca_file=known, ssl_cert_file=known),
                )

    async def test_the_option_does_what_the_scheme_does(self, terminal: Terminal) -> None:
        """``ssl`` makes a rabbit:// URL talk TLS."""
        url = f"rabbit://localhost:{terminal.ports[terminal.good]}/"
        await connect(url, RabbitOptions(ssl=True, ssl_ca_file=str(terminal.good)))

    async def test_tls_to_a_plain_port_is_told(self, private_rabbit: RabbitNode) -> None:
        """A broker that does not speak TLS there is named, and nobody waits."""
        since = time.monotonic()
        with pytest.raises(
            ConnectFailed, match=r"speaks no TLS\. Connect without it \(rabbit://\)"
        ):
            await connect(f"rabbits://127.0.0.1:{private_rabbit.port}/", RabbitOptions())
        assert time.monotonic() - since < 1.0

    async def test_plain_to_a_tls_port_is_told(self, terminal: Terminal) -> None:
        """The other way round is told as well, also where the other end only hangs up."""

        async def object_(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"\x15\x03\x03\0\x02\x02\x0a")  # an alert, as RabbitMQ sends it
            writer.close()

        since = time.monotonic()
        port = terminal.ports[terminal.good]
        with pytest.raises(ConnectFailed, match=r"a port for TLS\? Then connect by rabbits://"):
            await connect(f"rabbit://127.0.0.1:{port}/", RabbitOptions())
        async with await asyncio.start_server(object_, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(ConnectFailed, match="It speaks TLS: connect with TLS"):
                await connect(f"rabbit://127.0.0.1:{port}/", RabbitOptions())
        assert time.monotonic() - since < 1.0

    async def test_a_file_that_is_not_there_is_named(self) -> None:
        """A missing certificate file will not mend by itself: the URL cannot be used."""
        options = RabbitOptions(ssl_ca_file="/no/such/file.pem")
        with pytest.raises(InvalidUrl, match=r"ssl_ca_file /no/such/file\.pem"):
            await connect("rabbits://localhost:1/", options)
        options = RabbitOptions(ssl_cert_file="/no/such/cert.pem")
        with pytest.raises(InvalidUrl, match=r"ssl_cert_file /no/such/cert\.pem"):
            await connect("rabbits://localhost:1/", options)


@pytest.mark.parametrize(
    ("trouble", "sentence"),
    [
        ("expired", "is not accepted: it has expired. Renew it there"),
        ("other", "is not accepted: it is not for localhost. Connect by a name that is in it"),
        ("issuer", "is not accepted: nobody who is trusted here has issued it"),
        ("plain port", "what answers there speaks no TLS. Connect without it (rabbit://)"),
        ("tls port", "Is it a port for TLS? Then connect by rabbits://"),
    ],
)
def test_a_command_says_what_is_wrong_with_tls(
    trouble: str, sentence: str, terminal: Terminal, private_rabbit: RabbitNode
) -> None:
    """``rpc ping`` tells it in one sentence, at once, with exit status 1."""
    ports = terminal.ports
    url = {
        "expired": f"rabbits://localhost:{ports[terminal.expired]}/?ssl_ca_file={terminal.expired}",
        "other": f"rabbits://localhost:{ports[terminal.other]}/?ssl_ca_file={terminal.other}",
        "issuer": f"rabbits://localhost:{ports[terminal.good]}/",
        "plain port": f"rabbits://localhost:{private_rabbit.port}/",
        "tls port": f"rabbit://localhost:{ports[terminal.good]}/",
    }[trouble]
    since = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "bedplate.cli", "rpc", "ping", url, "stock"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert time.monotonic() - since < 5
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("bedplate: ")
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
