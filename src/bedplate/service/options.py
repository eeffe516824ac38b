"""The sections every service has. Declarations only."""

from bedplate.config import Duration, Section, Url, option

__all__ = ["NotifyTransport", "RpcTransport", "ServiceOptions"]


class ServiceOptions(Section, name="service"):
    """How this process is called, and how it starts and stops."""

    instance: str = option(
        default="",
        help="Name of this instance among its equals, used as server name and publisher; "
        "the machine's host name when empty.",
    )
    start_timeout: Duration = option(
        default=60.0, min=0, help="Seconds in which all transports must be connected."
    )
    stop_timeout: Duration = option(
        default=30.0, min=0, help="Seconds in which requests under way may end after a stop."
    )
    drain_delay: Duration = option(
        default=0.0,
        min=0,
        help="Seconds between readiness turning false and the end of serving, so that a load "
        "balancer can notice.",
    )
    observers: tuple[str, ...] = option(
        default=(),
        help="Who watches the transports: names of installed observers, such as prometheus, otel.",
    )


_TTL_DEFAULT = (
    "How long what says nothing of it may wait for its receiver, by topic or exchange/topic; "
    "* and ? stand for any characters, and the first name that fits counts."
)
_TTL_MAXIMUM = "How long anything may wait for its receiver; written like ttl_default."
_SHORTEST = 0.001


class RpcTransport(Section, name="transport.rpc", optional=True):
    """Where calls travel. The driver of the URL's scheme declares further options here."""

    url: Url = option(help="Transport URL, such as rabbit://user:password@host:5672/vhost.")
    ttl_default: dict[str, Duration] = option(
        default={}, min=_SHORTEST, sample="stock:30s, notifications.*:1d", help=_TTL_DEFAULT
    )
    ttl_maximum: dict[str, Duration] = option(
        default={}, min=_SHORTEST, sample="*:7d", help=_TTL_MAXIMUM
    )


class NotifyTransport(Section, name="transport.notify", optional=True):
    """Where notifications travel; the same way as calls when this section is absent."""

    url: Url = option(help="Transport URL of the notifications' broker.")
    ttl_default: dict[str, Duration] = option(
        default={}, min=_SHORTEST, sample="notifications.*:1d", help=_TTL_DEFAULT
    )
    ttl_maximum: dict[str, Duration] = option(
        default={}, min=_SHORTEST, sample="*:7d", help=_TTL_MAXIMUM
    )
