"""The bench on a real broker: bedplate's own part of the contest."""

import json

import pytest

from bedplate.cli.__main__ import main
from bedplate.testing.brokers import RabbitNode

pytestmark = pytest.mark.needs("rabbit")


def test_a_hundred_callers_share_one_connection(
    rabbit: RabbitNode, vhost: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Client and server meet at the broker; the figures are there and one connection carries it."""
    arguments = ["--calls", "400", "--concurrency", "100", "--json"]
    assert main(["bench", "rpc", rabbit.url(vhost), *arguments]) == 0
    (figures,) = json.loads(capsys.readouterr().out)
    assert figures["name"] == "bedplate"
    assert (figures["connections"], figures["threads"]) == (1, 1)
    assert figures["calls_per_second"] > 100
    assert 0 < figures["p50_ms"] <= figures["p99_ms"] <= figures["p999_ms"]
    assert figures["client_cpu_us"] > 0
    assert figures["server_cpu_us"] > 0
    assert figures["rss_mb"] > 5


def test_wrong_credentials_are_a_sentence(
    rabbit: RabbitNode, vhost: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 1 at once, and the password stays out of it."""
    if not rabbit.owned:
        pytest.skip("rabbit: RABBITMQ_URL names a server with a user of its own")
    url = rabbit.url(vhost, user="guest:sesame")
    assert main(["bench", "rpc", url]) == 1
    said = capsys.readouterr().err
    assert "refused" in said.lower()
    assert "sesame" not in said
