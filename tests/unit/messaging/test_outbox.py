import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from bedplate.errors import BufferFull, LinkLost
from bedplate.messaging.outbox import Held, Outbox
from bedplate.messaging.types import Address, Outbound

ADDRESSES = tuple(Address.topic(name) for name in "abc")
LOST = LinkLost(where="here", why="cut")


def held(number: int, address: Address = ADDRESSES[0], epoch: int | None = None) -> Held:
    return Held(Outbound(address, b"", str(number)), epoch=epoch)


def ids(sent: list[Held]) -> list[str]:
    return [each.message.id for each in sent]


def test_what_waited_leaves_in_order_when_a_link_comes() -> None:
    """Nothing goes before a link is up; then all goes, first come, first gone."""
    sent: list[Held] = []
    outbox = Outbox(10, sent.append)
    for number in range(3):
        outbox.put(held(number))
    assert not outbox.free(ADDRESSES[0])
    outbox.link_up()
    assert ids(sent) == ["0", "1", "2"]
    assert outbox.free(ADDRESSES[0])


def test_a_link_that_dies_while_draining_loses_nothing() -> None:
    """What could not be handed over stays first in line for the next link."""
    sent: list[Held] = []

    def send(each: Held) -> None:
        if len(sent) == 1:
            raise LOST
        sent.append(each)

    outbox = Outbox(10, send)
    for number in range(3):
        outbox.put(held(number))
    outbox.link_up()
    assert (ids(sent), len(outbox)) == (["0"], 2)
    sent.clear()
    outbox.link_up()
    assert ids(sent) == ["1"]


def test_a_message_that_cannot_be_sent_ends_alone() -> None:
    """What the link refuses goes back to who sent it; those behind it are sent."""
    sent: list[Held] = []
    errors: list[Exception | None] = []

    def send(each: Held) -> None:
        if each.message.id == "1":
            raise TypeError("a header of a type nobody can carry")
        sent.append(each)

    outbox = Outbox(10, send)
    for number in range(3):
        each = held(number)
        each.gone = errors.append
        outbox.put(each)
    outbox.link_up()
    assert ids(sent) == ["0", "2"]
    assert [type(each) for each in errors] == [type(None), TypeError, type(None)]


def test_what_is_for_one_link_dies_with_it() -> None:
    """A message bound to an epoch never leaves on a later link."""
    sent: list[Held] = []
    errors: list[Exception | None] = []
    outbox = Outbox(10, sent.append)
    outbox.link_up()
    outbox.flow_changed(None, "")
    bound, free = held(1, epoch=1), held(2)
    bound.gone = errors.append
    outbox.put(bound)
    outbox.put(free)
    assert outbox.flow == ("the peer takes no messages for now",)
    outbox.link_down(LOST)
    assert errors == [LOST]
    outbox.link_up()
    assert ids(sent) == ["2"]
    assert not outbox.flow


def test_sending_may_bring_news() -> None:
    """What is taken back, put in or shut out while the buffer drains is respected at once."""
    sent: list[Held] = []
    waiting = [held(0), held(1), held(2, ADDRESSES[1]), held(3)]

    def send(each: Held) -> None:
        sent.append(each)
        if each.message.id == "0":
            assert not outbox.free(ADDRESSES[0])  # others are before it
            outbox.put(held(4))
            outbox.drop(waiting[1])
            outbox.flow_changed(ADDRESSES[1], "full")
            outbox.link_up()

    outbox = Outbox(10, send)
    for each in waiting:
        outbox.put(each)
    outbox.link_up()
    assert ids(sent) == ["0", "2", "3", "4"]


class Buffered(RuleBasedStateMachine):
    """A peer that comes, goes and closes flow; a sender that overtakes whenever it may."""

    LIMIT = 5

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[Held] = []
        self.outbox = Outbox(self.LIMIT, self.send)
        self.up = False
        self.closed: set[Address | None] = set()
        self.waiting: list[Held] = []
        self.number = 0
        self.given: dict[Address, list[str]] = {address: [] for address in ADDRESSES}

    def send(self, each: Held) -> None:
        assert self.up, "sent without a link"
        assert None not in self.closed, "sent while flow was closed"
        assert each.message.address not in self.closed, "sent to a closed address"
        self.sent.append(each)

    def gone(self, each: Held, error: Exception | None) -> None:
        assert error is None
        self.waiting.remove(each)

    @rule(address=st.sampled_from(ADDRESSES))
    def give(self, address: Address) -> None:
        self.number += 1
        each = held(self.number, address)
        if self.outbox.free(address):
            self.send(each)
        elif len(self.waiting) == self.LIMIT:
            with pytest.raises(BufferFull):
                self.outbox.put(each)
            return
        else:
            each.gone = lambda error: self.gone(each, error)
            self.waiting.append(each)
            self.outbox.put(each)
        self.given[address].append(each.message.id)

    @rule(pick=st.integers(0, 10))
    def take_back(self, pick: int) -> None:
        if self.waiting:
            each = self.waiting.pop(pick % len(self.waiting))
            assert self.outbox.drop(each)
            assert not self.outbox.drop(each)
            self.given[each.message.address].remove(each.message.id)

    @rule()
    def come(self) -> None:
        self.up = True
        self.closed.clear()
        self.outbox.link_up()

    @rule()
    def go(self) -> None:
        self.up = False
        self.closed.clear()
        self.outbox.link_down(LOST)

    @rule(address=st.none() | st.sampled_from(ADDRESSES))
    def close(self, address: Address | None) -> None:
        if self.up:
            self.closed.add(address)
            self.outbox.flow_changed(address, "full")

    @rule(address=st.none() | st.sampled_from(ADDRESSES))
    def open(self, address: Address | None) -> None:
        if self.up:
            self.closed.discard(address)
            self.outbox.flow_changed(address, None)

    @invariant()
    def order_is_kept_for_each_address(self) -> None:
        for address in ADDRESSES:
            done = [each.message.id for each in self.sent if each.message.address == address]
            assert done == self.given[address][: len(done)]

    @invariant()
    def nothing_is_lost(self) -> None:
        assert len(self.sent) + len(self.waiting) == sum(map(len, self.given.values()))
        assert len(self.outbox) == len(self.waiting)

    @invariant()
    def what_may_go_has_gone(self) -> None:
        if self.up and None not in self.closed:
            assert all(each.message.address in self.closed for each in self.waiting)


TestBuffered = Buffered.TestCase
TestBuffered.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
