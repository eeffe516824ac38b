"""The memory driver: a broker inside this process, for tests, demos and single-process services.

``memory://NAME/VHOST``: links of one process that name the same broker (and virtual host) meet
there, from whatever thread and event loop; an empty NAME is the broker ``default``. It keeps no
message beyond the process and talks to no other. In everything a program can observe it is meant
to behave as a real broker does: it passes the same contract suite. `broker` gives tests the handle
to break things: cut links, stop, close flow, cancel consumers.

Time is the event loop's, so expiry and delays follow a turned clock. The broker's state is guarded
by one lock; whatever is told to a link is told on the link's own loop, on a later turn, all that
belongs to one turn at once.
"""

from bedplate.messaging.drivers.memory._broker import MemoryCounts as MemoryCounts
from bedplate.messaging.drivers.memory._broker import MemoryNaming as MemoryNaming
from bedplate.messaging.drivers.memory._driver import MemoryDriver as MemoryDriver
from bedplate.messaging.drivers.memory._driver import MemoryOptions as MemoryOptions
from bedplate.messaging.drivers.memory._handle import MemoryBroker as MemoryBroker
from bedplate.messaging.drivers.memory._handle import MemoryEntity as MemoryEntity
from bedplate.messaging.drivers.memory._handle import broker as broker

__all__ = [
    "MemoryBroker",
    "MemoryCounts",
    "MemoryDriver",
    "MemoryEntity",
    "MemoryNaming",
    "MemoryOptions",
    "broker",
]
