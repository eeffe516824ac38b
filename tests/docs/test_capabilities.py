"""The table of capabilities in the design notes is what drivers and transport offer."""

import re

import pytest
from tests.house.source import ROOT

from bedplate.messaging import Capabilities, Support
from bedplate.messaging.driver import Driver
from bedplate.messaging.drivers.memory import MemoryDriver
from bedplate.messaging.drivers.rabbit import RabbitDriver

PAGE = ROOT / "docs" / "design" / "messaging.md"
ABOVE = {"ttl", "delay", "park"}
"""What the transport adds where the broker has it not."""


def table() -> dict[str, list[str]]:
    """Return the cells of the table by capability."""
    _, _, rest = PAGE.read_text(encoding="utf-8").partition("| offered by |")
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in rest.partition("\n\n")[0].splitlines()[2:]
    ]
    return {name: cells for names, *cells in rows for name in re.split(", ", names)}


@pytest.mark.parametrize(("column", "driver"), [(0, MemoryDriver()), (1, RabbitDriver())])
def test_the_table_says_what_is_offered(column: int, driver: Driver) -> None:
    """Every capability is there: the broker's own, added above, or missing."""
    told = {name: cells[column].split()[0] for name, cells in table().items()}
    supports = [name for name in Capabilities.__struct_fields__ if name != "max_body"]

    def offered(name: str) -> str:
        if getattr(driver.offers, name) is Support.NATIVE:
            return "native"
        return "above" if name in ABOVE else "no"

    assert told == {name: offered(name) for name in supports}
