"""Every method that a peer can send, in every state: heard, thrown away, or its fault."""

import pytest
from tests.unit.amqp091.peer import GREETING, TUNE, fresh, method, opened

from bedplate.amqp091 import Cause, Closed, Connection, Phase
from bedplate.amqp091.spec import METHODS, Kind, Method

ARGUMENTS = {
    Kind.OCTET: 0,
    Kind.SHORT: 4096,
    Kind.LONG: 4096,
    Kind.LONGLONG: 1,
    Kind.BIT: False,
    Kind.SHORTSTR: "x",
    Kind.LONGSTR: b"PLAIN",
    Kind.TABLE: {"k": "v"},
}
HEARD = {
    "greeting": {"connection.start", "connection.close"},
    "login": {"connection.tune", "connection.close"},
    "opening": {"connection.open-ok", "connection.close"},
    "open": {"connection.blocked", "connection.unblocked", "connection.close"},
    "closing": {"connection.close", "connection.close-ok"},
}
ALWAYS = {"channel.close", "channel.flow", "basic.cancel", "basic.return", "basic.deliver"}
"""What an open channel hears without having asked."""


def sample(each: Method) -> list[object]:
    values: list[object] = [
        ARGUMENTS[kind] for name, kind in each.fields if not name.startswith("_")
    ]
    if each.name == "connection.start":
        values[:2] = [0, 9]
    return values


def in_phase(phase: str) -> Connection:
    connection = opened() if phase in ("open", "closing") else fresh()
    if phase == "login":
        connection.receive(GREETING, 0.0)
    elif phase == "opening":
        connection.receive(GREETING + TUNE, 0.0)
    elif phase == "closing":
        connection.close()
    connection.take_outgoing(0.0)
    assert connection.phase.value == phase
    return connection


@pytest.mark.parametrize("phase", HEARD)
@pytest.mark.parametrize("name", sorted(METHODS))
def test_a_connection_hears_what_its_phase_allows(phase: str, name: str) -> None:
    """On channel 0: the methods of the table are heard; others are faults, or late when closing."""
    connection = in_phase(phase)
    events = connection.receive(method(0, name, *sample(METHODS[name])), 0.0)
    faults = [event for event in events if isinstance(event, Closed) and event.error]
    if name in HEARD[phase]:
        assert not faults
    elif phase == "closing":
        assert events == []
        assert connection.phase is Phase.CLOSING
    else:
        (fault,) = faults
        assert fault.code == 503


@pytest.mark.parametrize("name", sorted(METHODS))
@pytest.mark.parametrize("state", ["opening", "open", "closing", "absent"])
def test_a_channel_hears_what_its_state_allows(state: str, name: str) -> None:
    """On a channel that asked nothing: news are heard, answers and the rest are faults."""
    connection = opened()
    if state != "absent":
        channel = connection.open_channel()
        if state != "opening":
            connection.receive(method(1, "channel.open-ok"), 0.0)
        if state == "closing":
            channel.close()
    connection.take_outgoing(0.0)
    allowed = {
        "opening": {"channel.open-ok", "channel.close"},
        "open": ALWAYS,
        "closing": set(METHODS),
        "absent": set(),
    }
    events = connection.receive(method(1, name, *sample(METHODS[name])), 0.0)
    faults = [event for event in events if isinstance(event, Closed)]
    if name in allowed[state]:
        assert not faults
        told = {"channel.close-ok"} if state == "closing" else allowed[state] - _CONTENT
        assert bool(events) == (name in told)
    else:
        (fault,) = faults
        assert fault.cause is Cause.FAULT
        assert fault.code in ((504,) if state == "absent" else (503, 504))


ASKED = [
    each.name
    for each in METHODS.values()
    if each.replies and each.to_server and each.number >> 16 > 20  # beyond the handshake and closes
]


@pytest.mark.parametrize("name", [*ASKED, "channel.flow"])
def test_every_request_is_answered_by_each_of_its_replies(name: str) -> None:
    """Whatever was asked, any of its replies ends the waiting and is told, or begins a message."""
    for reply in METHODS[name].replies:
        connection = opened()
        channel = connection.open_channel()
        connection.receive(method(1, "channel.open-ok"), 0.0)
        channel._state.waiting.append(name)
        events = connection.receive(method(1, reply, *sample(METHODS[reply])), 0.0)
        assert channel.pending == 0
        assert len(events) == (0 if METHODS[reply].content else 1)
        assert not any(isinstance(event, Closed) for event in events)


_CONTENT = {name for name, each in METHODS.items() if each.content}
