"""``PrometheusObserver``: what a transport does, as Prometheus metrics (extra ``prometheus``).

Counts and times what it hears; serves no page, which is the application's or its web server's.
Knows of messages what `bedplate.messaging.observe` tells.
"""

import time
from collections.abc import Callable
from math import inf
from typing import NamedTuple, final

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

from bedplate.messaging.observe import Closed, Opened, Received, Sent

__all__ = ["PrometheusObserver"]

_MOST = 100_000
"""How many calls one side may have open before the oldest are forgotten."""


class _Call(NamedTuple):
    """A call without an answer yet. Times are those of the observer's clock."""

    topic: str
    began: float
    until: float


@final
class PrometheusObserver:
    """Keeps metrics of the transports it is given to: ``Transport.connect(…, observers=[it])``.

    One observer may serve several transports of one event loop; two in one ``registry`` would
    have metrics of the same names, which Prometheus refuses with ValueError. ``now`` tells
    seconds. May be scraped from any thread.

    ======================================== ===================== ============================
    metric                                   labels                what
    ======================================== ===================== ============================
    ``bedplate_messages_sent_total``         topic, kind           handed to a link
    ``bedplate_messages_received_total``     topic, kind, verdict  arrived; ``expired``,
                                                                   ``duplicate`` and ``park``
                                                                   are verdicts
    ``bedplate_messages_redelivered_total``  topic                 arrived more than once
    ``bedplate_call_seconds``                topic, side, outcome  from request to answer
    ``bedplate_calls_in_flight``             side                  without an answer yet
    ``bedplate_links``                       line                  up now
    ``bedplate_links_opened_total``          line                  came up, ever
    ======================================== ===================== ============================

    ``topic`` is empty for what goes to a private address, answers above all. ``side`` is
    ``client`` or ``server``, ``outcome`` ``reply`` or ``fault``. A call that nobody answers is in
    flight until its time to live is over; it has no latency.
    """

    def __init__(
        self,
        registry: CollectorRegistry = REGISTRY,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._now = now
        self._sent = Counter(
            "bedplate_messages_sent",
            "Messages handed to a link.",
            ("topic", "kind"),
            registry=registry,
        )
        self._received = Counter(
            "bedplate_messages_received",
            "Messages that arrived, and what was decided about them.",
            ("topic", "kind", "verdict"),
            registry=registry,
        )
        self._redelivered = Counter(
            "bedplate_messages_redelivered",
            "Messages that arrived more than once.",
            ("topic",),
            registry=registry,
        )
        self._seconds = Histogram(
            "bedplate_call_seconds",
            "From request to answer.",
            ("topic", "side", "outcome"),
            registry=registry,
        )
        self._links = Gauge("bedplate_links", "Links that are up.", ("line",), registry=registry)
        self._opened = Counter(
            "bedplate_links_opened", "Links that came up.", ("line",), registry=registry
        )
        flying = Gauge(
            "bedplate_calls_in_flight", "Calls without an answer yet.", ("side",), registry=registry
        )
        self._calling: dict[str, _Call] = {}
        self._serving: dict[str, _Call] = {}
        flying.labels("client").set_function(lambda: self._open(self._calling))
        flying.labels("server").set_function(lambda: self._open(self._serving))

    def sent(self, event: Sent) -> None:
        """Count it; begin a call of ours, or end one that we serve."""
        topic = _topic(event)
        self._sent.labels(topic, event.kind).inc()
        if event.kind == "call":
            ttl = inf if event.ttl is None else event.ttl
            self._begin(self._calling, event.correlation_id, topic, ttl)
        elif event.kind in ("reply", "fault"):
            self._end(self._serving, event.correlation_id, "server", event.kind)

    def received(self, event: Received) -> None:
        """Count it; begin a call that we serve, or end one of ours."""
        topic = _topic(event)
        self._received.labels(topic, event.kind, event.verdict).inc()
        if event.redelivered:
            self._redelivered.labels(topic).inc()
        if event.kind == "call" and event.verdict == "run":
            self._begin(self._serving, event.correlation_id, topic, inf)
        elif event.kind in ("reply", "fault"):
            self._end(self._calling, event.correlation_id, "client", event.kind)
        elif event.kind == "cancel":
            self._serving.pop(event.correlation_id, None)

    def opened(self, event: Opened) -> None:
        """Count a link that came up."""
        self._links.labels(event.line).inc()
        self._opened.labels(event.line).inc()

    def closed(self, event: Closed) -> None:
        """Count a link that is gone."""
        self._links.labels(event.line).dec()

    # --- calls ----------------------------------------------------------------------------------

    def _begin(self, calls: dict[str, _Call], key: str, topic: str, ttl: float) -> None:
        now = self._now()
        # A repeat of a call began when the call did.
        calls.setdefault(key, _Call(topic, now, now + ttl))
        # The oldest come first; those behind a patient one wait for the limit.
        while len(calls) > _MOST or next(iter(calls.values())).until <= now:
            del calls[next(iter(calls))]

    def _end(self, calls: dict[str, _Call], key: str, side: str, outcome: str) -> None:
        call = calls.pop(key, None)
        if call is not None:
            self._seconds.labels(call.topic, side, outcome).observe(self._now() - call.began)

    def _open(self, calls: dict[str, _Call]) -> int:
        """Count the calls that may still be answered; asked from whichever thread scrapes."""
        now = self._now()
        return sum(call.until > now for call in list(calls.values()))


def _topic(event: Sent | Received) -> str:
    return "" if event.address.kind.value == "private" else event.address.name
