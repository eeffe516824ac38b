"""An inventory: answers calls about its stock, tells what changed, reports its health."""

import asyncio

from bedplate import Service
from bedplate.config import Secret, Section, option
from bedplate.messaging import notify, rpc


class Warehouse(Section):
    """What this service keeps."""

    shelves: int = option(default=4, min=1, max=1000, mutable=True, help="Shelves in the hall.")
    opening: int = option(default=10, min=0, help="Pieces of each item to begin with.")
    password: Secret[str] = option(help="What an auditor must say.")


class Stock(rpc.Interface, topic="stock", version="1.0"):
    def __init__(self, options: Warehouse, notifier: notify.Notifier) -> None:
        self.options, self.notifier, self.left = options, notifier, dict[str, int]()

    async def reserve(self, item: str, count: int = 1) -> int:
        left = self.left.get(item, self.options.opening) - count
        if left < 0:
            raise ValueError(f"{count} of {item!r} asked for, {left + count} left")
        self.left[item] = left
        await self.notifier.info("stock.reserved", {"item": item, "left": left})
        return left

    async def recount(self, item: str, seconds: float) -> int:
        await asyncio.sleep(seconds)
        return self.left.get(item, self.options.opening)


def setup(service: Service) -> None:
    service.serve(Stock(service.config[Warehouse], service.notifier()), workers=2)


if __name__ == "__main__":
    raise SystemExit(Service("inventory", [Warehouse], setup).run())
