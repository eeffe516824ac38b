"""A shift of work over the memory broker and a turned clock: taking, queueing, ending."""

import asyncio
import secrets
import threading
from collections.abc import AsyncIterator, Callable
from functools import partial

import pytest

from bedplate.errors import TransportClosed, Unsupported
from bedplate.messaging import (
    Ack,
    Address,
    Delivery,
    IntakePolicy,
    Message,
    Source,
    Transport,
    TransportPolicy,
    Verdict,
)
from bedplate.messaging.drivers.memory import MemoryDriver
from bedplate.messaging.shift import ACK, REJECT, Duties, Job, Shift, Turn, dismiss
from bedplate.messaging.staffing import ShiftOptions
from bedplate.testing.faulty import Faults, faulty

ONE, TWO = Address.topic("one"), Address.topic("two")


@pytest.fixture
async def transport() -> AsyncIterator[Transport]:
    """Open a transport to a broker of this test's own."""
    async with Transport.connect(f"memory://{secrets.token_hex(8)}/") as transport:
        yield transport


class Owner:
    """Takes what it can, works so many seconds on each, and notes what became of them."""

    def __init__(self, transport: Transport, seconds: float = 1.0, **options: object) -> None:
        self.transport, self.seconds = transport, seconds
        self.begun: list[bytes] = []
        self.last: list[tuple[bytes, object]] = []
        self.dropped: list[tuple[bytes, Verdict]] = []
        self.turns: dict[bytes, Turn[bytes]] = {}
        self.plain: Callable[[], object] | None = None
        self.shift: Shift[bytes] = Shift(
            transport,
            "test",
            ShiftOptions(**options),  # type: ignore[arg-type]  # what each test chooses
            Duties(
                arrived=self.arrived,
                dropped=lambda delivery, verdict: self.dropped.append((delivery.body, verdict)),
                begin=self.begin,
                missed=lambda turn, verdict: self.last.append((turn.work, verdict)),
                ended=self.ended,
            ),
        )

    def arrived(self, deliveries: list[Delivery]) -> None:
        for delivery in deliveries:
            if delivery.body == b"odd":
                dismiss(delivery, REJECT)
            elif not self.shift.stopping:
                turn = self.turns[delivery.body] = Turn(delivery, delivery.body)
                self.shift.take(turn)

    def begin(self, turn: Turn[bytes]) -> Job | None:
        if turn.work == b"empty":
            turn.delivery.settle(ACK)
            return None
        self.begun.append(turn.work)
        if self.plain is not None:
            return Job(self.plain, self.shift.variables(), is_async=False)
        return Job(partial(asyncio.sleep, self.seconds), self.shift.variables(), is_async=True)

    def ended(self, turn: Turn[bytes], result: object, error: BaseException | None) -> None:
        self.last.append((turn.work, result if error is None else type(error)))
        if error is None:
            turn.delivery.settle(ACK)

    async def open(self, *addresses: Address) -> None:
        await self.shift.open(map(Source, addresses or (ONE,)))

    async def tell(self, *bodies: bytes, to: Address = ONE, ttl: float | None = None) -> None:
        for body in bodies:
            await self.transport.publish(to, Message(body, ttl=ttl))


async def left_over(transport: Transport, address: Address = ONE) -> list[bytes]:
    """Take what others left at an address."""
    got: list[Delivery] = []
    consumer = await transport.consume(Source(address), got.extend, credit=100)
    await asyncio.sleep(1)
    for each in got:
        each.settle(ACK)
    await consumer.aclose()
    return [each.body for each in got]


async def test_workers_are_shared_by_all_sources_and_credit_is_each_ones(
    transport: Transport,
) -> None:
    """So many run at once, whatever they come from; so many of each source are here."""
    owner = Owner(transport, workers=2, accept=1)
    await owner.open(ONE, TWO)
    await owner.tell(*(b"1%d" % n for n in range(5)))
    await owner.tell(*(b"2%d" % n for n in range(5)), to=TWO)
    await asyncio.sleep(0.5)
    assert owner.begun == [b"10", b"11"]
    assert (owner.shift.running, owner.shift.waiting, owner.shift.in_hand) == (2, 4, 6)
    await asyncio.sleep(10)
    assert sorted(owner.begun) == [b"%d%d" % (s, n) for s in (1, 2) for n in range(5)]
    assert owner.last == [(body, None) for body in owner.begun]
    assert owner.shift.in_hand == 0
    await owner.shift.aclose()


async def test_what_waits_ends_when_it_expires_and_not_when_a_worker_is_free(
    transport: Transport,
) -> None:
    """Its owner hears of it then, the broker too, and the others keep their places."""
    owner = Owner(transport, seconds=100, workers=1)
    await owner.open()
    await owner.tell(b"long")
    await owner.tell(b"short", ttl=5)
    await owner.tell(b"next", ttl=200)
    before = transport.statistics().unsettled
    await asyncio.sleep(4.9)
    assert owner.last == []
    await asyncio.sleep(0.2)
    assert owner.last == [(b"short", Verdict.EXPIRED)]
    assert transport.statistics().unsettled == before - 1
    await asyncio.sleep(200)
    assert owner.last[1:] == [(b"long", None), (b"next", None)]
    assert transport.statistics().timers == 0, "no timer outlives its turn"
    await owner.shift.aclose()


async def test_a_turn_that_needs_no_worker_frees_its_credit(transport: Transport) -> None:
    """What begin() settles itself, and what is dismissed, makes room at once."""
    owner = Owner(transport, workers=1, accept=0)
    await owner.open()
    await owner.tell(b"empty", b"odd", b"empty", b"work")
    await asyncio.sleep(1.5)
    assert owner.last == [(b"work", None)]
    await owner.shift.aclose()
    assert await left_over(transport) == []


@pytest.mark.parametrize("ack", Ack)
async def test_closing_lets_work_end_and_returns_the_rest(transport: Transport, ack: Ack) -> None:
    """What ends within the drain is done; what waits goes back; what outlives it is cancelled."""
    owner = Owner(transport, seconds=5, workers=1, drain=10, policy=IntakePolicy(ack=ack))
    await owner.open()
    await owner.tell(b"quick", b"waiting")
    await asyncio.sleep(1)
    await owner.shift.aclose()
    await owner.shift.aclose()
    assert owner.last == [(b"waiting", Verdict.GONE), (b"quick", None)]
    assert await left_over(transport) == [b"waiting"]

    owner = Owner(transport, seconds=50, workers=1, drain=10, policy=IntakePolicy(ack=ack))
    await owner.open()
    await owner.tell(b"slow")
    await asyncio.sleep(1)
    start = asyncio.get_running_loop().time()
    await owner.shift.aclose()
    assert asyncio.get_running_loop().time() == pytest.approx(start + 10)
    assert owner.last == [(b"slow", asyncio.CancelledError)]
    assert await left_over(transport) == ([] if ack is Ack.START else [b"slow"])


@pytest.mark.parametrize("ack", list(Ack))
async def test_closing_towards_a_broker_that_does_not_answer_takes_as_long_as_one_source(
    ack: Ack, caplog: pytest.LogCaptureFixture
) -> None:
    """A server of many addresses ends within the grace its process has; the log says what hung."""
    faults, policy = Faults(), TransportPolicy(close_timeout=2)
    driver = faulty(MemoryDriver(), faults)
    url = f"memory://{secrets.token_hex(8)}/"
    async with Transport.connect(url, driver=driver, policy=policy) as transport:
        owner = Owner(transport, policy=IntakePolicy(ack=ack))
        await owner.open(ONE, TWO, Address.fanout("one"))
        faults.freeze()
        start = transport.clock.now()
        await owner.shift.aclose()
        assert transport.clock.now() - start <= 2.01
        faults.thaw()
    why = "did not close in good order: it took more than 2 s"
    assert sorted(caplog.messages) == [
        f"The consumer of {each} {why}" for each in ("everybody on one", "one", "two")
    ]


async def test_what_arrives_while_it_closes_is_left_alone(transport: Transport) -> None:
    """A delivery that comes during the drain goes back to the broker when that is over."""
    owner = Owner(transport, seconds=5, workers=4)
    await owner.open()
    await owner.tell(b"first")
    await asyncio.sleep(1)
    closing = asyncio.ensure_future(owner.shift.aclose())
    await asyncio.sleep(1)
    await owner.tell(b"second")
    await closing
    assert owner.last == [(b"first", None)]
    assert await left_over(transport) == [b"second"]


@pytest.mark.usefixtures("real_time")
async def test_a_thread_that_outlives_the_drain_is_no_longer_of_interest(
    transport: Transport,
) -> None:
    """Its turn ends with the shift, as cancelled, and what it returns later is nobody's."""
    release = threading.Event()
    owner = Owner(transport, workers=1, drain=0.01)
    owner.plain = release.wait
    await owner.open()
    await owner.tell(b"stuck")
    await asyncio.sleep(0.01)
    await owner.shift.aclose()
    assert owner.last == [(b"stuck", asyncio.CancelledError)]
    release.set()
    while owner.shift.running:  # noqa: ASYNC110 - nobody tells when a thread that nobody waits for ends
        await asyncio.sleep(0.001)
    assert len(owner.last) == 1


async def test_cancelling_a_turn(transport: Transport) -> None:
    """What waits is over at once; what runs, or was about to, ends as cancelled."""
    owner = Owner(transport, seconds=50, workers=1)
    await owner.open()
    await owner.tell(b"runs", b"waits", b"next")
    await asyncio.sleep(1)
    assert owner.shift.cancel(owner.turns[b"waits"])
    assert not owner.shift.cancel(owner.turns[b"runs"])
    await asyncio.sleep(1)
    assert owner.last == [(b"runs", asyncio.CancelledError)]
    assert owner.begun == [b"runs", b"next"]
    assert not owner.shift.cancel(owner.turns[b"runs"]), "it is over"
    assert owner.shift.running == 1
    await owner.shift.aclose()


async def test_a_duty_that_raises_ends_the_turn_all_the_same(transport: Transport) -> None:
    """A bug of the owner is reported and keeps neither worker nor credit, nor the drain waiting."""
    reported: list[BaseException] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: reported.append(context["exception"]))
    owner = Owner(transport, workers=1, accept=0, policy=IntakePolicy(attempts=1))

    def begin(turn: Turn[bytes]) -> Job | None:
        if turn.work == b"bug":
            raise LookupError
        return Job(partial(asyncio.sleep, 1), owner.shift.variables(), is_async=True)

    await owner.open()
    owner.shift._duties.begin = begin
    await owner.tell(b"bug", b"bug", b"work")
    await asyncio.sleep(5)
    loop.set_exception_handler(None)
    assert [type(each) for each in reported] == [LookupError, LookupError]
    assert owner.last == [(b"work", None)]
    assert owner.shift.in_hand == 0
    start = loop.time()
    await owner.shift.aclose()
    assert loop.time() == start


async def test_a_shift_is_opened_once_or_not_at_all(transport: Transport) -> None:
    """A source that is refused closes what was opened; a second opening is refused."""
    owner = Owner(transport)
    with pytest.raises(Unsupported):
        await owner.shift.open([Source(ONE), Source(TWO, lanes=frozenset({1}))])
    assert transport.statistics().consumers == ()
    with pytest.raises(TransportClosed, match="test, which was entered before"):
        await owner.open()


async def test_its_owner_hears_of_what_was_settled_unseen(transport: Transport) -> None:
    """A repeat is dropped before it gets a turn, and told."""
    owner = Owner(transport)
    await owner.open()
    for _ in range(2):
        await transport.publish(ONE, Message(b"same", id="same"))
    await asyncio.sleep(5)
    assert owner.last == [(b"same", None)]
    assert owner.dropped == [(b"same", Verdict.DUPLICATE)]
    await owner.shift.aclose()


@pytest.mark.parametrize("wrong", [{"workers": 0}, {"accept": -1}, {"drain": -1.0}])
def test_senseless_numbers_are_refused(wrong: dict[str, float]) -> None:
    """Numbers that cannot be meant raise ValueError and say which."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ShiftOptions(**wrong)  # type: ignore[arg-type]  # on purpose
