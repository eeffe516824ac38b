"""``PrometheusObserver``: what a transport does, as Prometheus metrics (extra ``prometheus``).

Counts and times what it hears; serves no page, which is the application's or its web server's.
Knows of messages what `bedplate.messaging.observe` tells.
"""

import time
from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import TypeVar, final

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.registry import Collector

from bedplate.messaging.observe import (
    Closed,
    GivenUp,
    Leave,
    Opened,
    Received,
    Sent,
    Work,
    kind_of,
    outcome_of,
    place_of,
)

__all__ = ["PrometheusObserver"]

Made = TypeVar("Made", Counter, Gauge, Histogram)

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_NOTHING: Mapping[str, str] = MappingProxyType({})


@final
class PrometheusObserver:
    """Keeps metrics of the transports it is given to: ``Transport.connect(…, observers=[it])``.

    One observer may serve several transports of one event loop; two in one ``registry`` would
    have metrics of the same names, which Prometheus refuses with ValueError, unless the first was
    closed. ``now`` tells seconds. May be scraped from any thread.

    ======================================== ===================== ============================
    metric                                   labels                what
    ======================================== ===================== ============================
    ``bedplate_messages_sent_total``         topic, kind           handed to a link
    ``bedplate_messages_received_total``     topic, kind           arrived
    ``bedplate_messages_redelivered_total``  topic, kind           arrived more than once
    ``bedplate_messages_expired_total``      topic, kind           too late to be run
    ``bedplate_messages_duplicate_total``    topic, kind           done before, not run again
    ``bedplate_messages_parked_total``       topic, kind           tried too often, set aside
    ``bedplate_call_seconds``                topic, outcome        from call to answer
    ``bedplate_publish_seconds``             topic, verb, outcome  until the broker has the rest
    ``bedplate_wait_seconds``                topic, verb           from arrival to handler
    ``bedplate_handle_seconds``              topic, verb, outcome  the handler alone
    ``bedplate_in_flight``                   work                  ``call``, ``publish`` and
                                                                   ``handle`` under way
    ``bedplate_links``                       line                  up now
    ``bedplate_links_opened_total``          line                  came up, ever
    ======================================== ===================== ============================

    ``topic`` is empty for what goes to a private address, answers above all. ``outcome`` is
    ``ok``, the code of bedplate's error, ``cancelled``, or ``failed`` for errors of others: what
    a handler raises, and what a client's ``errors`` make of it.
    """

    def __init__(
        self,
        registry: CollectorRegistry = REGISTRY,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registry, self._metrics = registry, list[Collector]()

        def children(metric: Made) -> Callable[..., Made]:
            # Looking for a child by its labels costs more than counting there. There are as many
            # as the library keeps for good anyway.
            self._metrics.append(metric)
            return cache(metric.labels)

        def messages(name: str, what: str) -> Callable[..., Counter]:
            full = f"bedplate_messages_{name}"
            return children(Counter(full, what, ("topic", "kind"), registry=registry))

        def seconds(name: str, what: str, *labels: str) -> Callable[..., Histogram]:
            full = f"bedplate_{name}_seconds"
            return children(Histogram(full, what, labels, registry=registry, buckets=_BUCKETS))

        self._now = now
        self._sent = messages("sent", "Messages handed to a link.")
        self._received = messages("received", "Messages that arrived.")
        self._redelivered = messages("redelivered", "Messages that arrived more than once.")
        self._given_up = {
            "expired": messages("expired", "Messages too late to be run."),
            "duplicate": messages("duplicate", "Messages done before and not run again."),
            "park": messages("parked", "Messages tried too often and set aside."),
        }
        self._call = seconds("call", "From a call to its answer or failure.", "topic", "outcome")
        self._publish = seconds(
            "publish", "Until the broker has what is no call.", "topic", "verb", "outcome"
        )
        self._wait = seconds("wait", "From a message's arrival to its handler.", "topic", "verb")
        self._handle = seconds("handle", "The handling of messages.", "topic", "verb", "outcome")
        self._flying = children(
            Gauge("bedplate_in_flight", "Work under way.", ("work",), registry=registry)
        )
        self._links = children(
            Gauge("bedplate_links", "Links that are up.", ("line",), registry=registry)
        )
        self._opened = children(
            Counter("bedplate_links_opened", "Links that came up.", ("line",), registry=registry)
        )

    def close(self) -> None:
        """Take the metrics out of the registry, so that another observer may use it. Idempotent."""
        while self._metrics:
            self._registry.unregister(self._metrics.pop())

    # --- messages and links ---------------------------------------------------------------------

    def sent(self, event: Sent) -> None:
        """Count it."""
        self._sent(place_of(event.address), kind_of(event)).inc()

    def received(self, event: Received) -> None:
        """Count it."""
        self._received(place_of(event.address), kind_of(event)).inc()
        if event.redelivered:
            self._redelivered(place_of(event.address), kind_of(event)).inc()

    def given_up(self, event: GivenUp) -> None:
        """Count it."""
        counter = self._given_up.get(event.verdict)
        if counter is not None:
            counter(place_of(event.address), kind_of(event)).inc()

    def opened(self, event: Opened) -> None:
        """Count a link that came up."""
        self._links(event.line).inc()
        self._opened(event.line).inc()

    def closed(self, event: Closed) -> None:
        """Count a link that is gone."""
        self._links(event.line).dec()

    # --- work -----------------------------------------------------------------------------------

    def begun(self, work: Work) -> "_Timed":
        """Time it to its end."""
        topic = place_of(work.address)
        if work.handling:
            self._wait(topic, work.verb).observe(work.waited)
            flying = self._flying("handle")
        else:
            flying = self._flying("call" if work.verb == "call" else "publish")
        flying.inc()
        began = self._now()

        def ended(outcome: str) -> None:
            flying.dec()
            seconds = self._now() - began
            if work.handling:
                self._handle(topic, work.verb, outcome).observe(seconds)
            elif work.verb == "call":
                self._call(topic, outcome).observe(seconds)
            else:
                self._publish(topic, work.verb, outcome).observe(seconds)

        return _Timed(ended)


@final
class _Timed:
    """One piece of work, waited for to end; it carries nothing and is nowhere current."""

    __slots__ = ("_ended",)

    headers = _NOTHING

    def __init__(self, ended: Callable[[str], None]) -> None:
        self._ended = ended

    def enter(self) -> Leave:
        return _stay

    def ended(self, error: BaseException | None) -> None:
        self._ended(outcome_of(error))


def _stay() -> None:
    """Leave nothing: nothing was entered."""
