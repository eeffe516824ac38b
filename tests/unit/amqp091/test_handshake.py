"""From the protocol header to Opened, and every way it can end before."""

import pytest
from tests.unit.amqp091.peer import (
    GREETING,
    HANDSHAKE,
    OPEN_OK,
    TUNE,
    frame,
    frames_of,
    fresh,
    method,
    opened,
)

from bedplate.amqp091 import (
    AmqPlain,
    Cause,
    Closed,
    Connection,
    External,
    Limits,
    Login,
    Opened,
    Phase,
    Plain,
    SecretUpdated,
)
from bedplate.amqp091.spec import PROTOCOL
from bedplate.errors import ProtocolError


def start(*logins: Login, offered: bytes = b"EXTERNAL AMQPLAIN PLAIN") -> Connection:
    connection = Connection(logins, now=0.0)
    connection.take_outgoing(0.0)
    connection.receive(method(0, "connection.start", 0, 9, {}, offered, b"en_US"), 0.0)
    return connection


def test_the_handshake_runs_by_itself() -> None:
    """Header, start-ok, tune-ok with open, then Opened with what both agreed on."""
    connection = Connection(
        [Plain("guest", "guest")], now=0.0, vhost="blue", properties={"product": "test"}
    )
    assert connection.phase is Phase.GREETING
    assert connection.take_outgoing(0.0) == PROTOCOL
    assert connection.receive(GREETING, 0.0) == []
    (start_ok,) = frames_of(connection.take_outgoing(0.0))
    properties, mechanism, response, locale = start_ok.values
    assert (mechanism, response, locale) == ("PLAIN", b"\0guest\0guest", "en_US")
    assert isinstance(properties, dict)
    assert properties["product"] == "test"
    assert properties["capabilities"]["connection.blocked"] is True
    assert connection.receive(TUNE, 0.0) == []
    tune_ok, opening = frames_of(connection.take_outgoing(0.0))
    assert tune_ok == (0, "connection.tune-ok", [2047, 131072, 60])
    assert opening == (0, "connection.open", ["blue"])
    events = connection.receive(OPEN_OK, 0.0)
    assert events == [Opened({"product": "peer"}, 131072, 2047, 60)]
    assert connection.limits == Limits()
    assert repr(connection) == "<Connection open, 0 channels>"


@pytest.mark.parametrize(
    ("login", "response"),
    [
        (Plain("user", "p\N{POUND SIGN}ss"), b"\0user\0p\xc2\xa3ss"),
        (
            AmqPlain("user", "pass"),
            b"\x05LOGINS\x00\x00\x00\x04user\x08PASSWORDS\x00\x00\x00\x04pass",
        ),
        (External(), b""),
        (External("other"), b"other"),
    ],
)
def test_each_mechanism_says_what_its_definition_asks(login: Login, response: bytes) -> None:
    """PLAIN, AMQPLAIN and EXTERNAL write the response of their definitions."""
    (start_ok,) = frames_of(start(login).take_outgoing(0.0))
    assert start_ok.values[1:3] == [login.mechanism, response]


def test_the_first_login_that_the_broker_offers_is_taken() -> None:
    """The order is ours: what the broker does not offer is passed over."""
    connection = start(External(), AmqPlain("u", "p"), Plain("u", "p"), offered=b"PLAIN AMQPLAIN")
    (start_ok,) = frames_of(connection.take_outgoing(0.0))
    assert start_ok.values[1] == "AMQPLAIN"


def test_no_common_mechanism_ends_the_connection_with_a_reason() -> None:
    """A broker that offers none of our logins is refused with both lists named."""
    connection = Connection([External()], now=0.0)
    (closed,) = connection.receive(
        method(0, "connection.start", 0, 9, {}, b"PLAIN GSSAPI", b"en_US"), 0.0
    )
    assert isinstance(closed, Closed)
    assert (closed.cause, closed.code) == (Cause.FAULT, 403)
    assert "PLAIN GSSAPI" in closed.text
    assert "EXTERNAL" in closed.text


class Riddle:
    """A mechanism of our own with a challenge."""

    mechanism = "RIDDLE"

    def respond(self, challenge: bytes | None) -> bytes:
        return b"hello" if challenge is None else challenge[::-1]


def test_a_challenge_goes_to_the_login() -> None:
    """The broker's connection.secure asks the login, as often as the broker likes."""
    connection = start(Riddle(), offered=b"RIDDLE")
    connection.take_outgoing(0.0)
    for challenge in (b"abc", b""):
        assert connection.receive(method(0, "connection.secure", challenge), 0.0) == []
        (answer,) = frames_of(connection.take_outgoing(0.0))
        assert answer == (0, "connection.secure-ok", [challenge[::-1]])


@pytest.mark.parametrize("login", [Plain("u", "secret"), AmqPlain("u", "secret"), External()])
def test_a_challenge_that_a_mechanism_does_not_have_is_the_peers_fault(login: Login) -> None:
    """PLAIN, AMQPLAIN and EXTERNAL know no challenge."""
    (closed,) = start(login).receive(method(0, "connection.secure", b"more"), 0.0)
    assert isinstance(closed, Closed)
    assert closed.cause is Cause.FAULT
    assert login.mechanism in closed.text


def test_an_empty_challenge_asks_external_for_its_identity() -> None:
    """EXTERNAL may be asked again with nothing."""
    connection = start(External("me"))
    connection.take_outgoing(0.0)
    connection.receive(method(0, "connection.secure", b""), 0.0)
    assert frames_of(connection.take_outgoing(0.0)) == [(0, "connection.secure-ok", [b"me"])]


def test_passwords_are_never_shown() -> None:
    """Neither logins nor the connection nor its errors print the password."""
    logins: list[Login] = [Plain("user", "s3cret"), AmqPlain("user", "s3cret")]
    connection = start(*logins)
    (closed,) = connection.receive(method(0, "connection.secure", b"?"), 0.0)
    shown = f"{logins} {logins[0]} {connection!r} {closed!r} {vars(closed.error)}"  # type: ignore[union-attr]
    assert "s3cret" not in shown
    assert "Plain('user', ****)" in shown


@pytest.mark.parametrize(
    ("ours", "theirs", "agreed"),
    [
        (Limits(), (2047, 131072, 60), (131072, 2047, 60)),
        (Limits(), (0, 0, 0), (131072, 2047, 60)),
        (Limits(frame_max=8192, channel_max=10, heartbeat=5), (2047, 131072, 60), (8192, 10, 5)),
        (Limits(heartbeat=0), (5, 4096, 30), (4096, 5, 30)),
        (Limits(heartbeat=0), (5, 4096, 0), (4096, 5, 0)),
        (Limits(channel_max=65535), (0, 1 << 31, 600), (131072, 65535, 60)),
    ],
)
def test_the_lower_of_each_limit_holds(
    ours: Limits, theirs: tuple[int, int, int], agreed: tuple[int, int, int]
) -> None:
    """0 means no opinion; else the lower value holds, for heartbeats too."""
    connection = fresh(ours)
    connection.receive(GREETING, 0.0)
    connection.take_outgoing(0.0)
    connection.receive(method(0, "connection.tune", *theirs), 0.0)
    tune_ok, _ = frames_of(connection.take_outgoing(0.0))
    frame_max, channel_max, heartbeat = agreed
    assert tune_ok.values == [channel_max, frame_max, heartbeat]
    assert connection.receive(OPEN_OK, 0.0) == [Opened({"product": "peer"}, *agreed)]
    assert connection.limits[:3] == agreed


def test_a_frame_max_below_the_protocols_least_is_the_peers_fault() -> None:
    """The protocol forbids to negotiate less than 4096."""
    connection = fresh()
    (closed,) = connection.receive(GREETING + method(0, "connection.tune", 0, 4095, 0), 0.0)
    assert isinstance(closed, Closed)
    assert "4095" in closed.text


@pytest.mark.parametrize(
    "limits",
    [
        Limits(frame_max=4095),
        Limits(frame_max=1 << 32),
        Limits(channel_max=0),
        Limits(channel_max=65536),
        Limits(heartbeat=-1),
        Limits(heartbeat=65536),
        Limits(body=5, unfinished=4),
    ],
)
def test_limits_that_cannot_be_negotiated_are_our_misuse(limits: Limits) -> None:
    """Limits outside what the wire can say are refused before anything is sent."""
    with pytest.raises(ProtocolError) as caught:
        fresh(limits)
    assert caught.value.ours


def test_a_virtual_host_or_properties_that_cannot_be_sent_are_our_misuse() -> None:
    """Both are checked at once, not in the middle of the handshake."""
    with pytest.raises(ProtocolError, match="vhost"):
        Connection([], now=0.0, vhost="x" * 256)
    with pytest.raises(ProtocolError, match="cannot carry"):
        Connection([], now=0.0, properties={"product": object()})  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (b"AMQP\x03\x01\x00\x00", "another version of AMQP"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "web server"),
        (b"\x15\x03\x03\x00\x02\x02\x46", "TLS"),
        (b"\x15\x03\x03\x00\x02\x02\x46more", "TLS"),
    ],
)
def test_a_peer_that_speaks_something_else_is_named(answer: bytes, hint: str) -> None:
    """Another protocol's first words are recognised and said."""
    connection = fresh()
    events = connection.receive(answer, 0.0) + connection.receive_eof()
    (closed,) = events
    assert isinstance(closed, Closed)
    assert hint in closed.text


def test_another_version_of_the_protocol_is_refused() -> None:
    """A greeting of AMQP 0-10 ends the connection with both versions named."""
    greeting = method(0, "connection.start", 0, 10, {}, b"PLAIN", b"en_US")
    (closed,) = fresh().receive(greeting, 0.0)
    assert isinstance(closed, Closed)
    assert "0-10" in closed.text


@pytest.mark.parametrize(
    ("before", "word"),
    [
        (b"", "before the broker said anything"),
        (GREETING, "user and password"),
        (GREETING + TUNE, "virtual host"),
        (HANDSHAKE, "without a close"),
    ],
)
def test_a_stream_that_ends_tells_in_which_step(before: bytes, word: str) -> None:
    """A broker without authentication_failure_close just hangs up: the text says what it means."""
    connection = fresh()
    connection.receive(before, 0.0)
    (closed,) = connection.receive_eof()
    assert isinstance(closed, Closed)
    assert closed.cause is Cause.EOF
    assert word in closed.text
    assert connection.receive_eof() == []


@pytest.mark.parametrize("before", [b"", GREETING, GREETING + TUNE, HANDSHAKE])
def test_the_peer_may_close_in_every_phase(before: bytes) -> None:
    """The peer's connection.close is answered with close-ok and told, whatever was going on."""
    connection = fresh()
    connection.receive(before, 0.0)
    connection.take_outgoing(0.0)
    closing = method(0, "connection.close", 403, "ACCESS_REFUSED", 10, 40)
    assert connection.receive(closing + b"garbage", 0.0) == [
        Closed(Cause.PEER, 403, "ACCESS_REFUSED", "connection.open")
    ]
    assert frames_of(connection.take_outgoing(0.0)) == [(0, "connection.close-ok", [])]
    assert connection.phase is Phase.CLOSED
    assert connection.receive(HANDSHAKE, 0.0) == []


@pytest.mark.parametrize("before", [b"", GREETING])
def test_closing_before_the_login_is_over_is_silent(before: bytes) -> None:
    """There is nobody to tell: nothing is sent, and Closed comes with the next step."""
    connection = fresh()
    connection.receive(before, 0.0)
    connection.close()
    assert not connection.has_outgoing
    assert connection.next_timeout() is not None
    assert connection.tick(1.0) == [Closed(Cause.US)]
    assert connection.receive_eof() == []
    assert connection.next_timeout() is None


@pytest.mark.parametrize("before", [GREETING + TUNE, HANDSHAKE])
@pytest.mark.parametrize("answered", [True, False])
def test_our_close_waits_for_its_answer_or_the_end(before: bytes, *, answered: bool) -> None:
    """After close only close-ok, or the peer's hanging up, counts; the rest is thrown away."""
    connection = fresh()
    connection.receive(before, 0.0)
    connection.take_outgoing(0.0)
    connection.close(200, "bye")
    connection.close()
    assert frames_of(connection.take_outgoing(0.0)) == [(0, "connection.close", [200, "bye", 0, 0])]
    assert connection.phase is Phase.CLOSING
    late = method(0, "connection.blocked", "x") + method(9, "basic.ack", 5, 1) + OPEN_OK
    assert connection.receive(late + frame(3, 4, b"body"), 0.0) == []
    if answered:
        assert connection.receive(method(0, "connection.close-ok"), 0.0) == [Closed(Cause.US)]
        assert connection.receive_eof() == []
    else:
        assert connection.receive_eof() == [Closed(Cause.US)]


def test_two_closes_that_cross_end_with_the_peers_reason() -> None:
    """When both sides close at once, the peer's is answered and told."""
    connection = opened()
    connection.close()
    connection.take_outgoing(0.0)
    closing = method(0, "connection.close", 320, "CONNECTION_FORCED", 0, 0)
    assert connection.receive(closing, 0.0) == [Closed(Cause.PEER, 320, "CONNECTION_FORCED")]
    assert frames_of(connection.take_outgoing(0.0)) == [(0, "connection.close-ok", [])]


def test_a_secret_can_be_renewed() -> None:
    """A new secret is sent by update_secret, and its answer is told."""
    connection = opened()
    connection.update_secret("token-2", "expired")
    (update,) = frames_of(connection.take_outgoing(0.0))
    assert update == (0, "connection.update-secret", [b"token-2", "expired"])
    assert connection.receive(method(0, "connection.update-secret-ok"), 0.0) == [SecretUpdated()]
    (closed,) = connection.receive(method(0, "connection.update-secret-ok"), 0.0)
    assert isinstance(closed, Closed)
    assert closed.cause is Cause.FAULT
    with pytest.raises(ProtocolError):
        connection.update_secret("token-3", "closed by now")
