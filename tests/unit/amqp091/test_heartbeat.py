"""Heartbeats, with the time handed in."""

from tests.unit.amqp091.peer import GREETING, HEARTBEAT, TUNE, fresh, opened

from bedplate.amqp091 import Cause, Closed, Limits


def test_there_are_none_before_tuning() -> None:
    """Nothing is due while the two sides have not agreed on an interval."""
    connection = fresh()
    assert connection.next_timeout() is None
    connection.receive(GREETING, 1.0)
    connection.take_outgoing(1.0)
    assert connection.next_timeout() is None
    assert connection.tick(1e9) == []
    assert not connection.has_outgoing


def test_they_begin_with_tuning() -> None:
    """From tune-ok on both sides may expect them, before the connection is open."""
    connection = fresh(Limits(heartbeat=10))
    connection.receive(GREETING + TUNE, 1.0)
    connection.take_outgoing(2.0)
    assert connection.next_timeout() == 7.0


def test_one_is_sent_when_half_the_interval_was_silent() -> None:
    """Any byte we send puts it off; a heartbeat is one empty frame on channel 0."""
    connection = opened(Limits(heartbeat=10))
    assert connection.next_timeout() == 5.0
    connection.open_channel()
    connection.take_outgoing(4.0)
    assert connection.next_timeout() == 9.0
    assert connection.tick(8.9) == []
    assert not connection.has_outgoing
    assert connection.tick(9.0) == []
    assert connection.take_outgoing(9.1) == HEARTBEAT
    assert connection.next_timeout() == 14.1


def test_two_silent_intervals_end_the_connection() -> None:
    """Half an interval is nothing; two are the end, told once, and nothing is sent any more."""
    connection = opened(Limits(heartbeat=10))
    channel = connection.open_channel()
    connection.receive(HEARTBEAT, 3.0)
    for moment in (8.0, 13.0, 18.0, 22.9):
        assert connection.tick(moment) == []
        connection.take_outgoing(moment)
    connection.open_channel()
    connection.take_outgoing(22.9)
    assert connection.next_timeout() == 23.0
    (closed,) = connection.tick(23.0)
    assert isinstance(closed, Closed)
    assert closed.cause is Cause.SILENCE
    assert "20.0 s" in closed.text
    assert channel.phase.value == "closed"
    assert connection.tick(99.0) == []
    assert connection.receive(HEARTBEAT, 99.0) == []
    assert connection.next_timeout() is None


def test_any_byte_counts_as_a_sign_of_life() -> None:
    """A frame that takes a minute to arrive is not silence."""
    connection = opened(Limits(heartbeat=10))
    moment = 0.0
    for number in range(7):
        moment += 15.0
        assert connection.tick(moment) == []
        assert connection.receive(HEARTBEAT[number : number + 1], moment) == []
    assert connection.tick(moment + 19.9) == []


def test_silence_ends_a_connection_that_is_closing_too() -> None:
    """A peer that never answers our close does not keep us."""
    connection = opened(Limits(heartbeat=10))
    connection.close()
    (closed,) = connection.tick(20.0)
    assert isinstance(closed, Closed)
    assert closed.cause is Cause.SILENCE


def test_without_an_interval_nothing_is_ever_due() -> None:
    """Both sides may agree on no heartbeats; then nothing ends by silence."""
    connection = fresh(Limits(heartbeat=0))
    tune = TUNE[:-3] + b"\0\0" + TUNE[-1:]
    connection.receive(GREETING + tune, 0.0)
    assert connection.limits.heartbeat == 0
    assert connection.next_timeout() is None
    assert connection.tick(1e9) == []
