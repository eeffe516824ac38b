"""What every driver promises, as a suite to subclass.

Give `DriverContract` the driver, a broker to use and ways to break things, and let pytest (with
anyio's plugin) collect the subclass::

    class TestCarrierPigeons(DriverContract):
        def driver(self) -> Driver:
            return PigeonDriver()

        def url(self) -> str:
            return "pigeon://loft.example/"

        def refused_url(self) -> str:
            return f"pigeon://guest:{self.canary}@nowhere.example/"

        async def cut(self, link: Link) -> None:
            await shoo(link)

        async def cancel(self, address: Address) -> bool:
            return False

A capability the link claims as `Support.NATIVE` must work; any other must raise `Unsupported`
when it is asked for. Both are tested, neither is skipped. Knows the contract and no driver.
"""

from bedplate.testing.contracts._fanouts import FanoutContract
from bedplate.testing.contracts._links import LinkContract
from bedplate.testing.contracts._places import PlacesContract
from bedplate.testing.contracts._receiving import ReceivingContract
from bedplate.testing.contracts._sending import SendingContract

__all__ = ["DriverContract"]


class DriverContract(
    SendingContract, ReceivingContract, FanoutContract, PlacesContract, LinkContract
):
    """Subclass it as ``Test…`` and override what `Workbench` calls mandatory.

    ``driver()``, ``url()``, ``refused_url()``, ``cut()`` and ``cancel()``, and ``set_flow()``
    where flow is claimed; ``loop_factory``, ``patience``, ``quiet``, ``large`` and ``options()``
    have defaults. The suite uses topics with random names and leaves declared queues behind.
    """
