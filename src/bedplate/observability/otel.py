"""``OpenTelemetryObserver``: what a transport does, as spans and metrics (extra ``otel``).

Follows OpenTelemetry's semantic conventions for RPC and messaging. Knows of messages what
`bedplate.messaging.observe` tells, and never what they say: no argument, result, payload or text
of an application's error gets into a span. Sets nothing up: providers, exporters and sampling are
the application's.
"""

import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple, final

from opentelemetry import context, metrics, trace
from opentelemetry.context import Context
from opentelemetry.metrics import Histogram, Meter, MeterProvider, UpDownCounter
from opentelemetry.propagators.textmap import Getter, TextMapPropagator
from opentelemetry.trace import Link, SpanKind, Status, StatusCode, TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

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

__all__ = ["OpenTelemetryObserver"]

_Header = str | int | float | bool | bytes | None
_Carried = Mapping[str, _Header]
_Attributes = dict[str, str | int | float | bool]

_NAME = "bedplate"
_LONGEST = MappingProxyType({"traceparent": 256, "tracestate": 512, "baggage": 8192})
"""How many characters such a header may have: at least what its standard demands, and no more."""
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_LONGEST_TOLD = 256
"""How many characters of an id, or the type of an event, a span tells."""
_KEPT = 1000
"""How many sorts of work and of messages are remembered with their attributes."""
_SYSTEMS = MappingProxyType({"rabbit": "rabbitmq", "rabbits": "rabbitmq"})
"""What the conventions call a broker, where that is not the scheme of its URL."""


@final
class OpenTelemetryObserver:
    """Traces and measures the transports it is given to: ``Transport.connect(…, observers=[it])``.

    Without providers it uses the global ones, whenever they are set; a signal whose provider is
    not set costs little. What is sent carries what ``propagator`` writes, by default W3C
    ``traceparent`` and ``tracestate``; to send baggage too, give one that does. A message that
    brings trace context of its own keeps it. One observer may serve all transports of an event
    loop. ``now`` tells seconds.

    ================ ========== ================================= =================================
    work             kind       name                              lasts
    ================ ========== ================================= =================================
    a call           client     ``topic/method``                  until its caller has the answer
    its handling     server     ``topic/method``                  as long as its handler
    sending the rest producer   ``cast topic``, ``notify topic``… until the broker has it
    handling that    consumer   ``process topic``                 as long as its handler
    ================ ========== ================================= =================================

    What handles a message is a child of what sent it, and what is no call is linked to it as well.

    ===================================== ============= ========================================
    metric                                instrument    what
    ===================================== ============= ========================================
    ``rpc.client.call.duration``          histogram, s  from call to answer, or its failure
    ``rpc.server.call.duration``          histogram, s  the handler alone
    ``messaging.client.operation.duration`` histogram, s  until the broker has what is no call
    ``messaging.process.duration``        histogram, s  the handler of what is no call
    ``bedplate.message.wait``             histogram, s  from arrival here to the handler
    ``bedplate.work.active``              up-down       calls, sendings and handlers under way
    ``bedplate.messages.sent``            counter       handed to a link
    ``bedplate.messages.received``        counter       arrived
    ``bedplate.messages.redelivered``     counter       arrived more than once
    ``bedplate.messages.expired``         counter       too late to be run
    ``bedplate.messages.duplicate``       counter       done before, not run again
    ``bedplate.messages.parked``          counter       tried too often, set aside
    ``bedplate.links``                    up-down       links that are up
    ``bedplate.links.opened``             counter       links that came up, ever
    ===================================== ============= ========================================
    """

    def __init__(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        propagator: TextMapPropagator | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tracer = trace.get_tracer(_NAME, tracer_provider=tracer_provider)
        self._instruments = _Instruments(metrics.get_meter(_NAME, meter_provider=meter_provider))
        self._propagator = propagator or TraceContextTextMapPropagator()
        self._fields = tuple(self._propagator.fields)
        self._now = now
        self._about = lru_cache(_KEPT)(_about)
        self._sort_of = lru_cache(_KEPT)(self._instruments.sort_of)

    # --- messages and links ---------------------------------------------------------------------

    def sent(self, event: Sent) -> None:
        """Count it."""
        self._instruments.sent.add(1, self._about(place_of(event.address), kind_of(event)))

    def received(self, event: Received) -> None:
        """Count it."""
        about = self._about(place_of(event.address), kind_of(event))
        self._instruments.received.add(1, about)
        if event.redelivered:
            self._instruments.redelivered.add(1, about)

    def given_up(self, event: GivenUp) -> None:
        """Count it; what comes too late is seen in its trace as well."""
        about = self._about(place_of(event.address), kind_of(event))
        if event.verdict == "park":
            self._instruments.parked.add(1, about)
        elif event.verdict == "duplicate":
            self._instruments.duplicate.add(1, about)
        else:
            self._instruments.expired.add(1, about)
            self._show_expired(event)

    def opened(self, event: Opened) -> None:
        """Count a link that came up."""
        self._instruments.links.add(1, {"bedplate.line": event.line})
        self._instruments.opened.add(1, {"bedplate.line": event.line})

    def closed(self, event: Closed) -> None:
        """Count a link that is gone."""
        self._instruments.links.add(-1, {"bedplate.line": event.line})

    # --- work -----------------------------------------------------------------------------------

    def begun(self, work: Work) -> "_Span":
        """Open a span; of what is sent a child of the current one, else of the sender's."""
        # The type of an event is in no name and in no metric: publishers may invent as they like.
        name = "" if work.verb == "notify" else work.name
        sort = self._sort_of(
            work.verb, work.handling, place_of(work.address), name, work.group, work.driver
        )
        brought = self._brought(work.headers)
        parent = brought if work.handling else context.get_current()
        links = [] if work.verb == "call" else _links(brought)
        span = self._tracer.start_span(sort.name, parent, sort.kind, sort.attributes, links)
        if span.is_recording():
            span.set_attributes(_told(work))
        inside = trace.set_span_in_context(span, parent)
        carried: dict[str, str] = {}
        if work.handling:
            self._instruments.wait.record(work.waited, sort.attributes, inside)
        elif not links:
            self._propagator.inject(carried, inside)
        return _Span(sort, span, inside, carried, self._now)

    def _brought(self, headers: _Carried) -> Context:
        """Return what a message brought, and nothing of what happens to be current here."""
        if not any(each in headers for each in self._fields):
            return Context()
        return self._propagator.extract(headers, Context(), _READER)

    def _show_expired(self, event: GivenUp) -> None:
        parent = self._brought(event.headers)
        if not trace.get_current_span(parent).get_span_context().is_valid:
            return
        about: _Attributes = {"messaging.operation.type": "process", "error.type": event.verdict}
        if event.id:
            about["messaging.message.id"] = _clean(event.id)
        topic = place_of(event.address)
        if topic:
            about["messaging.destination.name"] = topic
        span = self._tracer.start_span(
            f"expire {topic}".rstrip(), parent, SpanKind.CONSUMER, about, _links(parent)
        )
        span.set_status(Status(StatusCode.ERROR, "Its time was over before it could run."))
        span.end()


class _Sort(NamedTuple):
    """What all work of one sort has in common. The attributes have few values each."""

    name: str
    kind: SpanKind
    attributes: _Attributes
    duration: Histogram
    active: UpDownCounter
    work: _Attributes


class _Instruments:
    """The metrics; made once an observer."""

    __slots__ = (
        "active",
        "client",
        "duplicate",
        "expired",
        "links",
        "opened",
        "operation",
        "parked",
        "process",
        "received",
        "redelivered",
        "sent",
        "server",
        "wait",
    )

    def __init__(self, meter: Meter) -> None:
        def seconds(name: str, what: str) -> Histogram:
            return meter.create_histogram(
                name, "s", what, explicit_bucket_boundaries_advisory=_BUCKETS
            )

        def messages(name: str, what: str) -> metrics.Counter:
            return meter.create_counter(f"bedplate.messages.{name}", "{message}", what)

        self.client = seconds("rpc.client.call.duration", "From a call to its answer or failure.")
        self.server = seconds("rpc.server.call.duration", "The handling of a call.")
        self.operation = seconds(
            "messaging.client.operation.duration", "From sending until the broker has it."
        )
        self.process = seconds("messaging.process.duration", "The handling of a message.")
        self.wait = seconds("bedplate.message.wait", "From a message's arrival to its handler.")
        self.active = meter.create_up_down_counter(
            "bedplate.work.active", "{work}", "Calls, sendings and handlers under way."
        )
        self.sent = messages("sent", "Messages handed to a link.")
        self.received = messages("received", "Messages that arrived.")
        self.redelivered = messages("redelivered", "Messages that arrived more than once.")
        self.duplicate = messages("duplicate", "Messages done before and not run again.")
        self.expired = messages("expired", "Messages too late to be run.")
        self.parked = messages("parked", "Messages tried too often and set aside.")
        self.links = meter.create_up_down_counter("bedplate.links", "{link}", "Links that are up.")
        self.opened = meter.create_counter(
            "bedplate.links.opened", "{link}", "Links that came up, ever."
        )

    def sort_of(
        self,
        verb: str,
        handling: bool,  # noqa: FBT001 - a key of the cache in front of this
        place: str,
        name: str,
        group: str,
        driver: str,
    ) -> _Sort:
        """Return what work has in common with all other of its sort."""
        found: _Attributes = {"messaging.system": _SYSTEMS.get(driver, driver)}
        if place:
            found["messaging.destination.name"] = place
        if group:
            found["messaging.consumer.group.name"] = group
        if verb == "call":
            method = f"{place}/{name}"
            found |= {"rpc.system.name": _NAME, "rpc.method": method}
            if handling:
                return self._sort(method, SpanKind.SERVER, found, self.server, "handle")
            return self._sort(method, SpanKind.CLIENT, found, self.client, "call")
        if name:
            found["rpc.method"] = f"{place}/{name}"
        operation, sort = ("process", "process") if handling else (verb, "send")
        found |= {"messaging.operation.name": operation, "messaging.operation.type": sort}
        title = f"{operation} {place}".rstrip()
        if handling:
            return self._sort(title, SpanKind.CONSUMER, found, self.process, "handle")
        return self._sort(title, SpanKind.PRODUCER, found, self.operation, "publish")

    def _sort(
        self, name: str, kind: SpanKind, about: _Attributes, duration: Histogram, work: str
    ) -> _Sort:
        return _Sort(name, kind, about, duration, self.active, {"bedplate.work": work})


@final
class _Span:
    """One piece of work as a span, and in the metrics."""

    __slots__ = ("_began", "_inside", "_now", "_sort", "_span", "headers")

    def __init__(
        self,
        sort: _Sort,
        span: trace.Span,
        inside: Context,
        headers: Mapping[str, str],
        now: Callable[[], float],
    ) -> None:
        self.headers: _Carried = headers
        self._sort, self._span, self._inside = sort, span, inside
        self._now, self._began = now, now()
        sort.active.add(1, sort.work)

    def enter(self) -> Leave:
        token = context.attach(self._inside)
        return lambda: context.detach(token)

    def ended(self, error: BaseException | None) -> None:
        sort, about = self._sort, self._sort.attributes
        sort.active.add(-1, sort.work)
        if error is not None:
            why = _type_of(error)
            about = {**about, "error.type": why}
            self._span.set_attribute("error.type", why)
            self._span.set_status(Status(StatusCode.ERROR))
        sort.duration.record(self._now() - self._began, about, self._inside)
        self._span.end()


class _Reader(Getter[_Carried]):
    """Reads trace context from headers that anybody may have written."""

    def get(self, carrier: _Carried, key: str) -> list[str] | None:
        value = carrier.get(key)
        if not isinstance(value, str | bytes) or len(value) > _LONGEST.get(key, 512):
            return None
        return [value if isinstance(value, str) else value.decode("ascii", "replace")]

    def keys(self, carrier: _Carried) -> list[str]:
        return list(carrier)


_READER = _Reader()


# --- words --------------------------------------------------------------------------------------


def _told(work: Work) -> _Attributes:
    """Return the attributes that belong to this one piece of work."""
    found: _Attributes = {"messaging.message.body.size": work.size}
    if work.id:
        found["messaging.message.id"] = _clean(work.id)
    if work.correlation_id:
        found["messaging.message.conversation_id"] = _clean(work.correlation_id)
    if work.address.kind.value == "private":
        found["messaging.destination.temporary"] = True
    elif work.address.server_name:
        found["bedplate.server"] = work.address.server_name
    if work.verb == "notify":
        found["bedplate.event_type"] = _clean(work.name)
    if work.handling:
        found["bedplate.waited"] = work.waited
        found["bedplate.attempts"] = work.attempts
    return found


def _clean(text: str) -> str:
    """Return what a peer wrote as something that every exporter can send."""
    text = text[:_LONGEST_TOLD]
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _about(place: str, kind: str) -> _Attributes:
    return {"messaging.destination.name": place, "bedplate.kind": kind}


def _links(brought: Context) -> list[Link]:
    """Return a link to what a message brought, if it brought anything."""
    there = trace.get_current_span(brought).get_span_context()
    return [Link(there)] if there.is_valid else []


def _type_of(error: BaseException) -> str:
    outcome = outcome_of(error)
    return type(error).__qualname__ if outcome == "failed" else outcome
