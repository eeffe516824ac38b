"""The driver's settings. Declarations only."""

from bedplate.config import Duration, Secret, Section, option

__all__ = ["RabbitOptions"]


def _oslo(name: str) -> tuple[str, ...]:
    return (f"oslo_messaging_rabbit.{name}",)


class RabbitOptions(Section, name="rabbit"):
    """How RabbitMQ is reached, and what is made on it."""

    ssl: bool = option(
        default=False,
        was=_oslo("ssl"),
        help="Talk TLS. A URL that begins with rabbits:// does so in any case.",
    )
    ssl_ca_file: str = option(
        default="",
        was=_oslo("ssl_ca_file"),
        help="File of certificates to trust; the system's when empty.",
    )
    ssl_cert_file: str = option(
        default="", was=_oslo("ssl_cert_file"), help="Our certificate, where the broker wants one."
    )
    ssl_key_file: str = option(
        default="",
        was=_oslo("ssl_key_file"),
        help="Private key of ssl_cert_file, unless it is in that file.",
    )
    ssl_key_password: Secret[str] = option(
        default=Secret(""), help="Password of the private key, where it has one."
    )
    ssl_verify_hostname: bool = option(
        default=True,
        was=_oslo("ssl_enforce_hostname_verification"),
        advanced=True,
        help="Refuse a certificate that was not issued for the host's name.",
    )
    login_method: str = option(
        default="PLAIN",
        choices=("PLAIN", "AMQPLAIN", "EXTERNAL"),
        was=_oslo("rabbit_login_method"),
        advanced=True,
        help="How to log in; EXTERNAL leaves it to the certificate.",
    )
    host_order: str = option(
        default="shuffle",
        choices=("shuffle", "given"),
        help="In which order the hosts of the URL are tried for each connection.",
    )
    connect_timeout: Duration = option(
        default=5.0,
        min=0.1,
        help="Seconds after which a host that does not answer is left for the next one.",
    )
    link_heartbeat: int = option(
        default=20,
        min=1,
        max=3600,
        was=_oslo("heartbeat_timeout_threshold"),
        help="Seconds between signs of life of a connection; after twice as many of silence it is "
        "given up. The broker may lower it.",
    )
    reconnect_first: Duration | None = option(
        default=None,
        min=0.01,
        was=_oslo("rabbit_retry_interval"),
        advanced=True,
        help="Longest wait in seconds before a lost connection is first tried again; it grows from "
        "there. What the application says when not set.",
    )
    reconnect_most: Duration | None = option(
        default=None,
        min=0.01,
        was=_oslo("rabbit_interval_max"),
        advanced=True,
        help="Longest wait in seconds between attempts to connect, however many failed. What the "
        "application says when not set.",
    )
    connection_name: str = option(
        default="",
        help="How connections are called in the broker's listings; program and process id when "
        "empty.",
    )
    quorum: bool = option(
        default=False,
        was=_oslo("rabbit_quorum_queue"),
        help="Make shared queues replicated quorum queues, which count deliveries.",
    )
    delivery_limit: int = option(
        default=0,
        min=0,
        was=_oslo("rabbit_quorum_delivery_limit"),
        advanced=True,
        help="Deliveries after which a quorum queue drops or dead-letters a message; 0 leaves it "
        "to the broker.",
    )
    queue_expires: Duration = option(
        default=7 * 86400.0,
        min=1,
        help="Seconds a shared queue outlives its last receiver, with the messages in it.",
    )
    fanout_limit: int = option(
        default=100_000,
        min=1,
        advanced=True,
        help="Messages a fanout's receiver may be behind; beyond it misses the oldest.",
    )
    stream_fanout: bool = option(
        default=False,
        was=_oslo("rabbit_stream_fanout"),
        help="Let all receivers of a fanout read one stream instead of a queue each.",
    )
    stream_max_age: Duration = option(
        default=1800.0,
        min=0,
        was=_oslo("rabbit_transient_queues_ttl"),
        advanced=True,
        help="Seconds a stream keeps messages for receivers that are behind; 0 sets no bound by "
        "age.",
    )
    stream_max_bytes: int = option(
        default=128 * 1024 * 1024,
        min=1024 * 1024,
        advanced=True,
        help="Bytes a stream keeps on disk; a receiver that is further behind misses the oldest.",
    )
    prefetch: int = option(
        default=0,
        min=0,
        max=65535,
        was=_oslo("rabbit_qos_prefetch_count"),
        advanced=True,
        help="Most unacknowledged messages a receiver may hold, whatever the application allows; "
        "0 sets no bound of its own.",
    )
