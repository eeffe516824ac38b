"""RabbitMQ behind TLS: the whole suite once more, and which certificates are refused."""

import asyncio
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.brokers.test_rabbit_contract import TestRabbitDriver as _OverTcp

from bedplate.config import Section
from bedplate.errors import ConnectFailed, InvalidUrl
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
        async with self._relay(self.good) as good, self._relay(self.other) as other:
            self.ports = {self.good: good.port, self.other: other.port}
            self._ready.set()
            await self._end.wait()

    def _relay(self, pem: Path) -> Relay:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        return Relay("127.0.0.1", self._node.port, tls=context)


def certificate(folder: Path, name: str, names: str) -> Path:
    """Write a certificate that signs itself, with its key, and return the file."""
    openssl = shutil.which("openssl")
    assert openssl, "openssl is needed to make certificates: apt install openssl"
    pem, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(
        [
            *(openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName={names}"),
            *("-keyout", str(key), "-out", str(pem)),
        ],
        check=True,
        capture_output=True,
    )
    pem.write_text(pem.read_text() + key.read_text())
    return pem


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


async def connect(url: str, options: RabbitOptions) -> None:
    """Open a link and close it."""
    ear: LinkEvents = Ear(5.0)
    link = await RabbitDriver().connect(TransportUrl(url), options, ear)
    await link.aclose()


@pytest.mark.usefixtures("real_time")
class TestCertificates:
    async def test_an_unknown_issuer_is_refused(self, terminal: Terminal) -> None:
        """A certificate that nobody trusted vouches for is no connection, and says why."""
        url = f"rabbits://localhost:{terminal.ports[terminal.good]}/"
        with pytest.raises(ConnectFailed, match="certificate is not accepted"):
            await connect(url, RabbitOptions())

    async def test_a_certificate_of_another_host_is_refused(self, terminal: Terminal) -> None:
        """The name in the certificate must be the host's, unless that is switched off."""
        url = f"rabbits://localhost:{terminal.ports[terminal.other]}/"
        trusting = RabbitOptions(ssl_ca_file=str(terminal.other))
        with pytest.raises(ConnectFailed, match=r"not accepted.*localhost"):
            await connect(url, trusting)
        careless = RabbitOptions(ssl_ca_file=str(terminal.other), ssl_verify_hostname=False)
        await connect(url, careless)

    async def test_the_option_does_what_the_scheme_does(self, terminal: Terminal) -> None:
        """``ssl`` makes a rabbit:// URL talk TLS."""
        url = f"rabbit://localhost:{terminal.ports[terminal.good]}/"
        await connect(url, RabbitOptions(ssl=True, ssl_ca_file=str(terminal.good)))

    async def test_tls_to_a_plain_port_is_told(self, private_rabbit: RabbitNode) -> None:
        """A broker that does not speak TLS there is named, and nobody waits."""
        with pytest.raises(ConnectFailed, match="TLS"):
            await connect(f"rabbits://127.0.0.1:{private_rabbit.port}/", RabbitOptions())

    async def test_plain_to_a_tls_port_is_told(self, terminal: Terminal) -> None:
        """The other way round is a failed connection as well, in time."""
        port = terminal.ports[terminal.good]
        with pytest.raises(ConnectFailed):
            await connect(f"rabbit://127.0.0.1:{port}/", RabbitOptions(connect_timeout=2.0))

    async def test_a_file_that_is_not_there_is_named(self) -> None:
        """A missing certificate file will not mend by itself: the URL cannot be used."""
        options = RabbitOptions(ssl_ca_file="/no/such/file.pem")
        with pytest.raises(InvalidUrl, match=r"ssl_ca_file /no/such/file\.pem"):
            await connect("rabbits://localhost:1/", options)
        options = RabbitOptions(ssl_cert_file="/no/such/cert.pem")
        with pytest.raises(InvalidUrl, match=r"ssl_cert_file /no/such/cert\.pem"):
            await connect("rabbits://localhost:1/", options)
