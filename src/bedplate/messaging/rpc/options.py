"""How calls are made: the options of a client, as one value that never changes.

Knows what the options mean and which make no sense; knows nothing of transports or methods.
"""

from collections.abc import Callable, Mapping
from math import inf
from typing import TypedDict

import msgspec
from msgspec import Struct

from bedplate.messaging.lifetimes import check_ttl
from bedplate.messaging.types import Address
from bedplate.messaging.wire.values import NO_CONTEXT

__all__ = ["MIN_HEARTBEAT", "Choices", "Options"]

MIN_HEARTBEAT = 0.1
"""The shortest heartbeat, in seconds: below it beats would be most of the traffic."""


class Choices(TypedDict, total=False):
    """What ``with_`` takes. Times are in seconds.

    - ``timeout``: all of a call together, connecting included (60);
    - ``heartbeat``: a call whose server beat once and then stays silent so long is lost (None:
      only the timeout counts);
    - ``ttl``: a request still waiting after so long is not run (None: as the transport's policy
      says, and a call no longer than its timeout; `math.inf`: no end but that of the timeout);
    - ``server``: ask this server instead of any that serves the topic;
    - ``exchange``, ``namespace``, ``version``: which of several interfaces;
    - ``repeats``: running the method twice does no harm, so send again after a lost link;
    - ``wait_for_target``: how long a call may wait for somebody to serve the target (0);
    - ``context``: plain JSON values that travel beside the arguments;
    - ``on_progress``: called on the loop with what the handler reports while it runs.
    """

    timeout: float
    heartbeat: float | None
    ttl: float | None
    server: str | None
    exchange: str
    namespace: str
    version: str
    repeats: bool
    wait_for_target: float
    context: Mapping[str, object]
    on_progress: Callable[[object], None] | None


class Options(Struct, frozen=True, kw_only=True):
    """The options of a client; see `Choices` for what each means."""

    topic: str
    timeout: float = 60.0
    heartbeat: float | None = None
    ttl: float | None = None
    server: str | None = None
    exchange: str = "default"
    namespace: str = ""
    version: str = ""
    repeats: bool = False
    wait_for_target: float = 0.0
    context: Mapping[str, object] = NO_CONTEXT
    on_progress: Callable[[object], None] | None = None

    def __post_init__(self) -> None:
        if not self.topic:
            raise ValueError("a client needs the name of a topic")
        if not 0 < self.timeout < inf:
            raise ValueError(
                f"timeout={self.timeout!r}: a call needs a number of seconds above 0 to end in"
            )
        if self.heartbeat is not None and not MIN_HEARTBEAT <= self.heartbeat < inf:
            raise ValueError(
                f"heartbeat={self.heartbeat!r}: give at least {MIN_HEARTBEAT} seconds, or None"
            )
        check_ttl(self.ttl)
        if not 0 <= self.wait_for_target < inf:
            raise ValueError(
                f"wait_for_target={self.wait_for_target!r}: give a number of seconds, 0 for none"
            )

    def changed(self, choices: Choices) -> "Options":
        """Return a copy with these choices. Raises ValueError, and TypeError for unknown ones."""
        try:
            return msgspec.structs.replace(self, **choices)
        except TypeError:
            there = sorted(Choices.__optional_keys__)
            unknown = next((name for name in choices if name not in there), "")
            if not unknown:
                raise
            import difflib  # weighs, and is for mistakes only

            near = difflib.get_close_matches(unknown, there, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise TypeError(
                f"a call has no option {unknown!r} (it has: {', '.join(there)}).{hint}"
            ) from None

    @property
    def address(self) -> Address:
        """Where calls and casts go."""
        if self.server is not None:
            return Address.server(self.topic, self.server, exchange=self.exchange)
        return Address.topic(self.topic, exchange=self.exchange)
