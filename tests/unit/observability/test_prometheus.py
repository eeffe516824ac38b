"""The Prometheus observer: what it counts, times and forgets."""

import asyncio

import pytest
from prometheus_client import CollectorRegistry

from bedplate.errors import RemoteError
from bedplate.messaging import Address, Transport, rpc
from bedplate.messaging.observe import Closed, Opened, Received, Sent
from bedplate.observability import prometheus
from bedplate.observability.prometheus import PrometheusObserver

STOCK = Address.topic("stock")
BACK = Address.private("reply-1")


class Bench:
    """An observer with a registry and a clock of its own."""

    def __init__(self) -> None:
        self.time = 100.0
        self.registry = CollectorRegistry()
        self.observer = PrometheusObserver(self.registry, now=lambda: self.time)

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"bedplate_{name}", labels)


def test_a_call_is_timed_from_request_to_reply() -> None:
    """The client's latency carries the topic that was called, though the reply has none."""
    bench = Bench()
    bench.observer.sent(Sent(STOCK, "1", "call", correlation_id="c1", ttl=60))
    assert bench.value("calls_in_flight", side="client") == 1
    bench.time += 0.25
    bench.observer.received(Received(BACK, "2", "reply", correlation_id="c1"))
    labels = {"topic": "stock", "side": "client", "outcome": "reply"}
    assert bench.value("call_seconds_sum", **labels) == 0.25
    assert bench.value("call_seconds_count", **labels) == 1
    assert bench.value("calls_in_flight", side="client") == 0
    assert bench.value("messages_sent_total", topic="stock", kind="call") == 1
    assert bench.value("messages_received_total", topic="", kind="reply", verdict="run") == 1


def test_a_request_is_timed_until_it_is_answered() -> None:
    """The server's latency is its own, and a fault is another outcome than a reply."""
    bench = Bench()
    bench.observer.received(Received(STOCK, "1", "call", correlation_id="c1"))
    bench.time += 2
    assert bench.value("calls_in_flight", side="server") == 1
    bench.observer.sent(Sent(BACK, "2", "fault", correlation_id="c1"))
    labels = {"topic": "stock", "side": "server", "outcome": "fault"}
    assert bench.value("call_seconds_sum", **labels) == 2
    assert bench.value("calls_in_flight", side="server") == 0


@pytest.mark.parametrize("verdict", ["expired", "park", "duplicate"])
def test_what_is_not_run_is_counted_and_not_in_flight(verdict: str) -> None:
    """Expired, parked and repeated requests have counts of their own."""
    bench = Bench()
    bench.observer.received(Received(STOCK, "1", "call", verdict=verdict, redelivered=True))
    assert bench.value("messages_received_total", topic="stock", kind="call", verdict=verdict) == 1
    assert bench.value("messages_redelivered_total", topic="stock") == 1
    assert bench.value("calls_in_flight", side="server") == 0


def test_a_cancelled_request_is_no_longer_in_flight() -> None:
    """A server hears of a cancel and owes no answer."""
    bench = Bench()
    bench.observer.received(Received(STOCK, "1", "call", correlation_id="c1"))
    bench.observer.received(Received(STOCK, "2", "cancel", correlation_id="c1"))
    assert bench.value("calls_in_flight", side="server") == 0


def test_a_call_that_nobody_answers_is_forgotten_with_its_time() -> None:
    """It leaves the count when its time to live is over, and the memory with the next call."""
    bench = Bench()
    bench.observer.sent(Sent(STOCK, "1", "call", correlation_id="c1", ttl=3))
    bench.time += 3
    assert bench.value("calls_in_flight", side="client") == 0
    bench.observer.sent(Sent(STOCK, "2", "call", correlation_id="c2", ttl=3))
    assert list(bench.observer._calling) == ["c2"]
    bench.observer.received(Received(BACK, "3", "reply", correlation_id="c1"))
    labels = {"topic": "stock", "side": "client", "outcome": "reply"}
    assert bench.value("call_seconds_count", **labels) is None


def test_calls_without_end_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit the oldest are forgotten."""
    monkeypatch.setattr(prometheus, "_MOST", 3)
    bench = Bench()
    for number in range(10):
        bench.observer.sent(Sent(STOCK, str(number), "call", correlation_id=f"c{number}"))
    assert list(bench.observer._calling) == ["c7", "c8", "c9"]


def test_a_repeat_began_when_the_call_did() -> None:
    """A call sent again over a new link keeps its beginning."""
    bench = Bench()
    for _ in range(2):
        bench.observer.sent(Sent(STOCK, "1", "call", correlation_id="c1", ttl=60))
        bench.time += 1
    bench.observer.received(Received(BACK, "2", "reply", correlation_id="c1"))
    labels = {"topic": "stock", "side": "client", "outcome": "reply"}
    assert bench.value("call_seconds_sum", **labels) == 2


def test_links_are_counted_up_and_down() -> None:
    """What is up now and how often one came up are two figures."""
    bench = Bench()
    for epoch in (1, 2):
        bench.observer.opened(Opened("talk", "host", epoch))
        if epoch == 1:
            bench.observer.closed(Closed("talk", "host", epoch, "it was cut."))
    assert bench.value("links", line="talk") == 1
    assert bench.value("links_opened_total", line="talk") == 2


class Service:
    """What is served in the test below."""

    async def wait(self, seconds: float) -> float:
        """Take a while."""
        await asyncio.sleep(seconds)
        return seconds

    async def fail(self) -> None:
        """Raise."""
        raise ValueError("no")


async def test_real_calls_are_seen_from_both_sides() -> None:
    """On a transport, every call has its latency at both ends, and nothing is left in flight."""
    bench = Bench()
    bench.observer = PrometheusObserver(
        registry := CollectorRegistry(), now=asyncio.get_running_loop().time
    )
    bench.registry = registry
    async with (
        Transport.connect("memory://", observers=[bench.observer]) as transport,
        rpc.serve(transport, Service(), topic="stock"),
    ):
        client = rpc.Client(transport, topic="stock")
        await asyncio.gather(*(client.call("wait", seconds=2.0) for _ in range(5)))
        with pytest.raises(RemoteError):
            await client.call("fail")
        for side in ("client", "server"):
            labels = {"topic": "stock", "side": side}
            assert bench.value("call_seconds_count", outcome="reply", **labels) == 5
            assert bench.value("call_seconds_count", outcome="fault", **labels) == 1
            seconds = bench.value("call_seconds_sum", outcome="reply", **labels)
            assert seconds is not None
            assert 10 <= seconds < 11
            assert bench.value("calls_in_flight", side=side) == 0
