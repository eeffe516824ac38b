"""The calls of one transport's client: sends requests, completes them, keeps their time.

`bedplate.messaging.calls` decides what ends a call; this file acts on it. All copies of a client
share one caller, and with it one inbox and one timer. Knows nothing of signatures: arguments and
results pass as JSON text.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from math import inf
from typing import Final, TypeVar, final

from msgspec.structs import replace

from bedplate._floor.cause import caused
from bedplate.clock import Deadline
from bedplate.errors import (
    DeadlineExceeded,
    LinkLost,
    MalformedMessage,
    MessagingError,
    NoSuchTarget,
    TransportClosed,
    TransportError,
)
from bedplate.messaging.calls import Action, Call, Calls, End, Ended, LookAt, Resend
from bedplate.messaging.delivery import Delivery
from bedplate.messaging.inbox import Inbox
from bedplate.messaging.observe import Observers, Span, Work, following
from bedplate.messaging.rpc.context import CURRENT
from bedplate.messaging.rpc.crossing import Crossing
from bedplate.messaging.rpc.endings import (
    Asked,
    bounce_error,
    deadline_error,
    end_error,
    late_error,
)
from bedplate.messaging.rpc.faults import Errors, error_of
from bedplate.messaging.rpc.looks import Looks
from bedplate.messaging.rpc.manner import Form, Manner
from bedplate.messaging.rpc.options import Options
from bedplate.messaging.rpc.serializer import Codec
from bedplate.messaging.rpc.statistics import ClientStatistics
from bedplate.messaging.transport import Transport
from bedplate.messaging.types import (
    NO_HEADERS,
    Address,
    Bounce,
    Headers,
    Kind,
    Message,
    Outbound,
    Support,
    Want,
)
from bedplate.messaging.wheel import Timer
from bedplate.messaging.wire import native
from bedplate.messaging.wire.request import Request
from bedplate.messaging.wire.values import NO_CONTEXT, Beat, Cancel, Fault, Reply

__all__ = ["Caller"]

T = TypeVar("T")

_log = logging.getLogger("bedplate.messaging.rpc")
_BREATH = 0.01
_NEVER: Final = inf
_BOUNCE: Final = Want.BOUNCE


@final
class Caller:
    """Makes calls over one transport, on its loop."""

    def __init__(self, transport: Transport, name: str, codec: Codec) -> None:
        self.transport = transport
        self._name, self._codec = name, codec
        self._now: Callable[[], float] = _not_yet
        self._calls: Calls[Asked] = Calls()
        self._inbox: Inbox | None = None
        self._opening: asyncio.Task[Inbox] | None = None
        self._crossing: Crossing | None = None
        self._looks_offered = False
        self._timer: Timer | None = None
        self._timer_due = _NEVER
        self._number = 0
        self._malformed = 0
        self._looks = Looks(transport, self._looked)
        self._closed = False

    def statistics(self) -> ClientStatistics:
        """Return the counts."""
        calls = self._calls
        return ClientStatistics(
            started=calls.started,
            open=len(calls),
            results=calls.ended(End.RESULT),
            faults=calls.ended(End.FAULT),
            no_such_target=calls.ended(End.NO_SUCH_TARGET),
            lost=calls.ended(End.CALL_LOST),
            deadlines=calls.ended(End.DEADLINE),
            reply_paths_lost=calls.ended(End.REPLY_PATH_LOST),
            cancelled=calls.ended(End.CANCELLED),
            beats=calls.beats,
            late=calls.late,
            malformed=self._malformed,
        )

    def manner(self, options: Options) -> Manner:
        """Return what calls with these options need of them."""
        address = options.address
        own = self.transport.lifetime(address, None) if options.ttl is None else None
        # Any other context the application may change, and a serializer's is made for each call.
        steady = options.context is NO_CONTEXT and self._codec.dump_context is None
        return Manner(options, address, own, steady=steady)

    def call(
        self,
        manner: Manner,
        method: str,
        args: bytes,
        errors: Errors,
        read: Callable[[bytes], T],
    ) -> Coroutine[object, object, T]:
        """Make one call and return what ``read`` makes of its result, which is JSON text."""
        followers = self.transport.followers
        if followers is None:
            return self._call(manner, method, args, errors, read, NO_HEADERS)
        return self._call_followed(followers, manner, method, args, errors, read)

    async def _call_followed(
        self,
        followers: Observers,
        manner: Manner,
        method: str,
        args: bytes,
        errors: Errors,
        read: Callable[[bytes], T],
    ) -> T:
        # The first call of all has to wait for the inbox, which is what makes ids.
        call_id = "" if self._inbox is None else f"{self._inbox.token}.{self._number + 1}"
        work = self._work("call", manner.address, manner.options, method, args, call_id)
        with following(followers.begun(work)) as span:
            text = await self._call(manner, method, args, errors, _as_it_is, span.headers)
        return read(text)

    def _work(
        self,
        verb: str,
        address: Address,
        options: Options,
        method: str,
        args: bytes,
        call_id: str = "",
    ) -> Work:
        return Work(
            verb=verb,
            address=address,
            name=f"{options.namespace}.{method}" if options.namespace else method,
            id=call_id,
            correlation_id=call_id,
            size=len(args),
            driver=self.transport.url.driver,
        )

    async def _call(
        self,
        manner: Manner,
        method: str,
        args: bytes,
        errors: Errors,
        read: Callable[[bytes], T],
        headers: Headers,
    ) -> T:
        inbox = self._inbox
        if inbox is None:
            began = self.transport.clock.now()
            timeout = _time_for(manner.timeout, method, manner.address, began)
            inbox = await self._open(Deadline(began, timeout), method, manner.address)
            now = self._now()
        else:
            began = now = self._now()
            timeout = _time_for(manner.timeout, method, manner.address, began)
        loop = asyncio.get_running_loop()
        asked = Asked(manner, method, timeout, errors, loop.create_future(), headers)
        self._number += 1
        call = self._calls.start(
            f"{inbox.token}.{self._number}",
            asked,
            began,
            deadline=began + timeout,
            heartbeat=manner.heartbeat,
            repeats=manner.repeats,
            wait=manner.wait,
            look=self._looks_offered,
        )
        try:
            while True:
                if call.open and not self._sent(inbox, call, args, now):
                    await self._send(inbox, call, args)
                result = await asked.outcome
                if result is not None:
                    break
                asked.renew(loop.create_future())
                now = self._now()
        except BaseException as error:
            outcome = asked.outcome
            if outcome.done() and not outcome.cancelled():
                outcome.exception()  # it lost the race, and nobody else will look at it
            given_up = self._calls.cancel(call.id) is not None
            if given_up and call.sends and isinstance(error, asyncio.CancelledError):
                self._tell_cancelled(call)
            raise
        return read(result)

    async def cast(self, options: Options, method: str, args: bytes, *, fanout: bool) -> None:
        """Send a request that nobody answers; return when the broker has it."""
        address = options.address
        if fanout:
            address = Address.fanout(options.topic, exchange=options.exchange)
        followers = self.transport.followers
        if followers is None:
            await self._cast(options, address, method, args, None)
            return
        work = self._work("fanout" if fanout else "cast", address, options, method, args)
        with following(followers.begun(work)) as span:
            await self._cast(options, address, method, args, span)

    async def _cast(
        self, options: Options, address: Address, method: str, args: bytes, span: Span | None
    ) -> None:
        clock = self.transport.clock
        start = clock.now()
        timeout = _within_budget(options.timeout, start)
        message = native.encode(self._request("", options, method, args))
        message = replace(message, ttl=options.ttl)
        pause = 0.05
        while True:
            left = timeout - (clock.now() - start)
            if left <= 0:
                raise deadline_error(method, address, timeout, "confirmation")
            try:
                await self.transport.publish(
                    address, message, timeout=left, repeats=options.repeats, span=span
                )
            except NoSuchTarget:
                if address.kind is Kind.FANOUT:
                    return  # everybody got it: there is nobody
                waited = clock.now() - start
                if waited >= options.wait_for_target:
                    raise
            else:
                return
            # Compiled, nothing may be awaited while an error is handled.
            await asyncio.sleep(min(pause, options.wait_for_target - waited))
            pause = min(pause * 2, 1.0)

    def deadline(self, timeout: float, method: str, address: Address, now: float) -> Deadline:
        """Return when a call that begins ``now`` is over: before the request it belongs to.

        Raises `DeadlineExceeded` where that has no time left.
        """
        return Deadline(now, _time_for(timeout, method, address, now))

    @property
    def crossing(self) -> Crossing:
        """The way here for other threads."""
        if self._crossing is None:
            self._crossing = Crossing(self.transport.loop)
        return self._crossing

    async def aclose(self) -> None:
        """End the open calls with `TransportClosed` and receive nothing more. Idempotent."""
        self._closed = True
        self._act(self._calls.close())
        self._looks.close()
        if self._timer is not None:
            self._timer.cancel()
        if self._opening is not None:
            self._opening.cancel()
        if self._inbox is not None:
            await self._inbox.aclose()

    # --- sending --------------------------------------------------------------------------------

    async def _open(self, deadline: Deadline, method: str, address: Address) -> Inbox:
        """Open the inbox once for all who wait for it, each within its own deadline."""
        if self._closed:
            raise TransportClosed(what="The client")
        if self._opening is None or (self._opening.done() and self._inbox is None):
            loop = asyncio.get_running_loop()
            self._opening = loop.create_task(self.transport.inbox(self))
        opening = self._opening
        try:
            async with asyncio.timeout(deadline.remaining(self.transport.clock.now())):
                self._inbox = await asyncio.shield(opening)
                self._now = self.transport.clock.now
                self._looks_offered = self.transport.capabilities.look is not Support.NO
                await self._inbox.ready(deadline)
        except TimeoutError:
            error = deadline_error(method, address, deadline.timeout, "connecting")
            raise caused(error, self._trouble) from self._trouble
        return self._inbox

    @property
    def _trouble(self) -> TransportError | None:
        return None if self._inbox is None else self._inbox.trouble

    async def _send(self, inbox: Inbox, call: Call[Asked], args: bytes) -> None:
        """Send once there is a link to send on, unless the call is over before."""
        asked = call.token
        deadline = Deadline(call.deadline - asked.timeout, asked.timeout)
        while True:
            await _ready_or_over(inbox, deadline, asked)
            if not call.open or self._sent(inbox, call, args, self._now()):
                return

    def _sent(self, inbox: Inbox, call: Call[Asked], args: bytes, now: float) -> bool:
        """Send, and return whether there was a link to send on."""
        try:
            # Reading the address raises where there is no link to send on.
            inbox.send(self._outbound(call, inbox.address, args, call.deadline - now))
        except LinkLost:
            return False
        except DeadlineExceeded:
            # Over in the very moment of sending: the caller knows of a call, not of publishing.
            raise caused(late_error(call), self._trouble) from self._trouble
        self._calls.sent(call, inbox.epoch, now)
        if call.due < self._timer_due:
            self._arm()
        return True

    def _outbound(self, call: Call[Asked], reply_to: Address, args: bytes, left: float) -> Outbound:
        asked = call.token
        manner, method = asked.manner, asked.method
        own = manner.lifetime
        if manner.ttl is not None:
            own = self.transport.lifetime(manner.address, manner.ttl)
        message_id = _message_id(call, call.sends)
        if own is not None and own < left:
            request = self._request(call.id, manner.options, method, args, reply_to, left)
            message = _with(native.encode(request), asked.headers)
            return _outbound(message, manner.address, message_id, _BOUNCE, own)
        form = manner.form(method)
        if form is None or asked.headers:
            request = self._request(call.id, manner.options, method, args, reply_to)
            message = native.encode(request)
            if manner.steady:
                manner.keep(method, Form(message.headers, message.content_type, message.kind))
            message = _with(message, asked.headers)
            return _outbound(message, manner.address, message_id, _BOUNCE, left)
        return Outbound(
            manner.address,
            args,
            message_id,
            _BOUNCE,
            form.headers,
            form.content_type,
            left,
            None,
            form.kind,
            call.id,
            reply_to,
            persistent=False,
        )

    def _request(
        self,
        call_id: str,
        options: Options,
        method: str,
        args: bytes,
        reply_to: Address | None = None,
        timeout: float | None = None,
    ) -> Request:
        dump = self._codec.dump_context
        return Request(
            call_id,
            method,
            args,
            reply_to,
            options.namespace,
            options.version,
            options.heartbeat,
            timeout,
            self._name,
            options.context if dump is None else dump(options.context),
        )

    def _tell_cancelled(self, call: Call[Asked]) -> None:
        """Let the server know; on a topic nobody knows which one it is, so all are told."""
        manner = call.token.manner
        address, options = manner.address, manner.options
        if address.kind is Kind.TOPIC:
            address = Address.fanout(options.topic, exchange=options.exchange)
        message = native.encode(Cancel(call.id))
        left = call.deadline - self.transport.clock.now()
        if self._inbox is None or left <= 0:
            return
        try:
            self._inbox.send(_outbound(message, address, f"{call.id}.cancel", Want.NOTHING, left))
        except MessagingError as error:
            _log.debug("call %s was cancelled here, but the server not told: %s", call.id, error)

    # --- what comes back ------------------------------------------------------------------------

    def arrived(self, deliveries: list[Delivery]) -> None:
        """Complete the calls that are answered."""
        calls = self._calls
        for delivery in deliveries:
            try:
                value = native.decode(delivery)
            except MalformedMessage as error:
                self._malformed_answer(delivery, error)
                continue
            if type(value) is Reply:
                call = calls.reply(value.call)
                if call is not None:
                    call.token.answer(value.result)
            elif type(value) is Fault:
                call = calls.fault(value.call)
                if call is not None:
                    token = call.token
                    token.fail(error_of(value, str(token.address), token.errors, self._codec))
            elif type(value) is Beat:
                self._beat(value)
            else:
                self._malformed += 1

    def bounced(self, message_id: str, why: Bounce) -> None:
        """End or repeat the call whose request came back."""
        call_id, attempt = _attempt(message_id)
        if call_id not in self._calls:
            return
        now = self.transport.clock.now()
        if why in (Bounce.REFUSED, Bounce.EXPIRED):
            call = self._calls.fault(call_id)
            if call is not None:
                call.token.fail(bounce_error(call.token, why))
            return
        ended = self._calls.bounced(call_id, now, attempt=attempt)
        if ended is not None:
            self._act([ended])
        self._arm()

    def lost(self, epoch: int, why: TransportError) -> None:
        """End or repeat the calls whose replies would have come over the lost link."""
        if isinstance(why, TransportClosed):
            self._act(self._calls.close())
        else:
            self._act(self._calls.lost(epoch))

    def _beat(self, beat: Beat) -> None:
        call = self._calls.beat(beat.call, self.transport.clock.now())
        if call is None:
            return
        self._arm()
        hear = call.token.manner.options.on_progress
        if beat.progress is None or hear is None:
            return
        try:
            hear(self._codec.loaded(beat.progress, "progress"))
        except Exception as error:  # noqa: BLE001 - the application's callback; the call goes on
            asyncio.get_running_loop().call_exception_handler(
                {"message": "on_progress raised", "exception": error}
            )

    def _malformed_answer(self, delivery: Delivery, error: MalformedMessage) -> None:
        """End the call of an answer that cannot be read: waiting for its deadline helps nobody."""
        self._malformed += 1
        call = self._calls.fault(delivery.correlation_id)
        if call is not None:
            call.token.fail(error)
        else:
            _log.warning("a reply was dropped: %s", error)

    # --- time -----------------------------------------------------------------------------------

    def _arm(self) -> None:
        due = self._calls.next_due()
        if due is None or self._timer_due <= due:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_due = due
        left = due - self.transport.clock.now()
        self._timer = self.transport.after(max(0.0, left), self._tick)

    def _tick(self) -> None:
        # Never earlier than what it was armed for: a rounding error would cost a turn.
        now = max(self._now(), self._timer_due)
        self._timer, self._timer_due = None, _NEVER
        self._act(self._calls.tick(now))
        self._arm()

    def _act(self, actions: "list[Action[Asked]] | list[Ended[Asked]]") -> None:
        for action in actions:
            if isinstance(action, Ended):
                error = end_error(action, held=self._held(action))
                if isinstance(error, DeadlineExceeded) and error.stage == "connecting":
                    caused(error, self._trouble)
                action.call.token.fail(error)
            elif isinstance(action, Resend):
                action.call.token.again()
            elif isinstance(action, LookAt):
                self._looks.doubt(action.call)

    def _held(self, ended: Ended[Asked]) -> bool:
        """Whether a call ran out of time before its request could leave."""
        call, inbox = ended.call, self._inbox
        if ended.how is not End.DEADLINE or inbox is None or not call.sends:
            return False
        return inbox.holds(_message_id(call, call.sends - 1))

    def _looked(self, calls: list[Call[Asked]], served: bool) -> None:  # noqa: FBT001 - all a look tells
        now = self.transport.clock.now()
        told = [self._calls.looked(call.id, now, served=served) for call in calls]
        self._act([ended for ended in told if ended is not None])
        self._arm()


async def _ready_or_over(inbox: Inbox, deadline: Deadline, asked: Asked) -> None:
    """Wait for a link to send on, or until the call is over by other means."""
    ready = asyncio.get_running_loop().create_task(inbox.ready(deadline))
    either: set[asyncio.Future[None] | asyncio.Future[bytes | None]] = {ready, asked.outcome}
    try:
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if asked.outcome.done():
            return  # the outcome tells why
        ready.result()
    except DeadlineExceeded as error:
        late = deadline_error(asked.method, asked.address, asked.timeout, "connecting")
        raise caused(late, error) from error
    finally:
        if not ready.cancel() and not ready.cancelled():
            ready.exception()  # it may have lost the race
    await asyncio.sleep(_BREATH)


def _within_budget(timeout: float, now: float) -> float:
    request = CURRENT.get()
    if request is None or request.deadline is None:
        return timeout
    return min(timeout, request.deadline - now)


def _time_for(timeout: float, method: str, address: Address, now: float) -> float:
    """Return the seconds that a call may take. Raises `DeadlineExceeded` if there are none."""
    within = _within_budget(timeout, now)
    if within <= 0:
        raise deadline_error(method, address, 0.0, "the request it belongs to has no time left")
    return within


def _not_yet() -> float:
    raise AssertionError("no call was made yet")


def _as_it_is(text: bytes) -> bytes:
    return text


def _message_id(call: Call[Asked], attempt: int) -> str:
    return f"{call.id}.{attempt}" if attempt else call.id


def _attempt(message_id: str) -> tuple[str, int]:
    token, _, rest = message_id.partition(".")
    number, _, sends = rest.partition(".")
    return f"{token}.{number}", int(sends) + 1 if sends.isdigit() else 1


def _with(message: Message, headers: Headers) -> Message:
    return replace(message, headers={**message.headers, **headers}) if headers else message


def _outbound(message: Message, to: Address, message_id: str, want: Want, ttl: float) -> Outbound:
    return Outbound(
        to,
        message.body,
        message_id,
        want,
        message.headers,
        message.content_type,
        ttl,
        None,
        message.kind,
        message.correlation_id,
        message.reply_to,
        persistent=False,
    )
