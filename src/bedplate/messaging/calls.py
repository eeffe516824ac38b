"""Open calls: which one a reply, a beat, a bounce, a lost link or the time ends, and how.

The caller's side of RPC as an automaton without input or output. It is told what happened and
``now`` (monotonic seconds) and answers with actions; it knows nothing of bytes, links, loops or
futures. A call that was started ends exactly once: by an answer, by a bounce, by the loss of the
link that would have carried the answer, by silence, by its deadline, or because it was cancelled.

Not thread safe: one owner, on one loop.
"""

import enum
from collections import deque
from heapq import heapify, heappop, heappush
from math import inf
from typing import Final, Generic, TypeVar, final

__all__ = [
    "LOOK_AFTER",
    "RETRY_FIRST",
    "RETRY_LONGEST",
    "Action",
    "Call",
    "Calls",
    "End",
    "Ended",
    "LookAt",
    "Resend",
]

T = TypeVar("T")

LOOK_AFTER: Final = 0.25
"""Seconds without beat or reply after which the queue of a target is looked at."""

RETRY_FIRST: Final = 0.05
"""Seconds between a bounce and the first repeat, while a call may wait for its target."""

RETRY_LONGEST: Final = 1.0
"""Seconds between repeats at most; each wait is twice the one before."""

_NEVER: Final = inf
_SPARE: Final = 64


class End(enum.Enum):
    """How a call ended."""

    RESULT = "result"
    FAULT = "fault"
    NO_SUCH_TARGET = "no-such-target"
    CALL_LOST = "call-lost"
    """The server beat once and then fell silent for the call's heartbeat."""
    DEADLINE = "deadline"
    REPLY_PATH_LOST = "reply-path-lost"
    CANCELLED = "cancelled"
    CLOSED = "closed"
    """The caller's side was closed."""


@final
class Call(Generic[T]):
    """One open call. Owned by `Calls`; others read it.

    ``token`` is whatever the owner wants back. ``epoch`` is the link it was sent on, 0 while it
    is on none. ``sends`` counts how often it was sent. Times are monotonic seconds.
    """

    epoch: int = 0
    sends: int = 0
    beats: int = 0
    open: bool = True
    last_beat: float = 0.0
    silent_at: float = _NEVER
    again_at: float = _NEVER
    look_at: float = _NEVER
    pause: float = RETRY_FIRST
    due: float = _NEVER
    """When it is to be thought of again; not later than anything that can end it."""

    def __init__(
        self,
        call_id: str,
        token: T,
        deadline: float,
        heartbeat: float | None,
        repeats: bool,  # noqa: FBT001 - made by `Calls` alone
        wait_until: float,
        look: bool,  # noqa: FBT001
        grown_at: float,
    ) -> None:
        self.id = call_id
        self.token = token
        self.deadline = deadline
        self.heartbeat = heartbeat
        self.repeats = repeats
        self.wait_until = wait_until
        self.look = look
        self.grown_at = grown_at
        """Until when it is young; see `Calls`."""


@final
class Ended(Generic[T]):
    """Tell the caller. ``silence`` (seconds) belongs to CALL_LOST.

    ``queued`` belongs to NO_SUCH_TARGET: the request did not come back but lies in a queue.
    """

    __slots__ = ("call", "how", "queued", "silence")

    def __init__(
        self, call: Call[T], how: End, *, silence: float = 0.0, queued: bool = False
    ) -> None:
        self.call = call
        self.how = how
        self.silence = silence
        self.queued = queued


@final
class Resend(Generic[T]):
    """Send the request again, then report `Calls.sent`."""

    __slots__ = ("call",)

    def __init__(self, call: Call[T]) -> None:
        self.call = call


@final
class LookAt(Generic[T]):
    """Look whether anybody serves the target, then report `Calls.looked`."""

    __slots__ = ("call",)

    def __init__(self, call: Call[T]) -> None:
        self.call = call


Action = Ended[T] | Resend[T] | LookAt[T]
"""What the client must do after an event."""


@final
class Calls(Generic[T]):
    """The open calls of one caller.

    Feed it events; carry out the actions it returns; call `tick` at `next_due`.

    Nearly all calls are answered long before anything else could end them. Those that get a look
    are therefore young until it is due, all for the same time, so that they wait in a queue; only
    what is older, or due sooner, is put in order in the heap.
    """

    def __init__(self) -> None:
        self._open: dict[str, Call[T]] = {}
        self._heap: list[tuple[float, int, Call[T]]] = []
        self._young: deque[Call[T]] = deque()
        self._youngest = -_NEVER
        self._pushed = 0
        self._started = 0
        self._late = 0
        self._beats = 0
        self._results = 0
        self._ended = dict.fromkeys(End, 0)

    def __len__(self) -> int:
        return len(self._open)

    def __contains__(self, call_id: object) -> bool:
        return call_id in self._open

    @property
    def started(self) -> int:
        """How many calls were ever started."""
        return self._started

    @property
    def late(self) -> int:
        """How many answers, beats and bounces belonged to no open call."""
        return self._late

    @property
    def beats(self) -> int:
        """How many signs of life came for open calls."""
        return self._beats

    def ended(self, how: End) -> int:
        """How many calls ended this way."""
        return self._results if how is End.RESULT else self._ended[how]

    # --- the caller ---

    def start(
        self,
        call_id: str,
        token: T,
        now: float,
        *,
        deadline: float,
        heartbeat: float | None = None,
        repeats: bool = False,
        wait: float = 0.0,
        look: bool = False,
    ) -> Call[T]:
        """Open a call that is not sent yet; report `sent` when it is.

        ``deadline`` is absolute, ``heartbeat`` and ``wait`` (for the target to appear) are in
        seconds. ``repeats`` allows sending again after a link died. ``look`` asks for a look at
        the queue when nothing is heard. A call that waits for its target at its deadline ends as
        NO_SUCH_TARGET. Raises ValueError if a call of this id is open.
        """
        if call_id in self._open:
            raise ValueError(f"a call {call_id!r} is already open")
        grown = now + LOOK_AFTER
        call: Call[T] = Call(call_id, token, deadline, heartbeat, repeats, now + wait, look, grown)
        self._open[call_id] = call
        self._started += 1
        if look and self._youngest <= grown < deadline:
            young = self._young
            if len(young) > 2 * len(self._open) + _SPARE:
                young = self._young = deque(each for each in young if _is_young(each))
            self._youngest = call.due = grown
            young.append(call)
        else:
            self._schedule(call)
        return call

    def sent(self, call: Call[T], epoch: int, now: float) -> None:
        """Note that a call went out on the link of this epoch (1 or more)."""
        if not call.open:
            return
        call.epoch = epoch
        call.sends += 1
        call.silent_at = call.again_at = _NEVER
        if call.look:
            call.look_at = now + LOOK_AFTER
            if call.look_at < call.due:
                self._schedule(call)

    def cancel(self, call_id: str) -> Call[T] | None:
        """End a call because its caller gave up; None if it was over already."""
        return self._end(call_id, End.CANCELLED)

    def close(self) -> list[Ended[T]]:
        """End all that is open."""
        return [self._ending(call, End.CLOSED) for call in tuple(self._open.values())]

    # --- the far end ---

    def reply(self, call_id: str) -> Call[T] | None:
        """End a call with a result; None for a late, doubled or unknown reply, which counts."""
        call = self._open.pop(call_id, None)
        if call is None:
            self._late += 1
            return None
        call.open = False
        self._results += 1
        return call

    def fault(self, call_id: str) -> Call[T] | None:
        """End a call with a fault; None for a late, doubled or unknown one, which counts."""
        return self._end(call_id, End.FAULT, late=1)

    def beat(self, call_id: str, now: float) -> Call[T] | None:
        """Note a sign of life; None if no such call is open."""
        call = self._open.get(call_id)
        if call is None:
            self._late += 1
            return None
        self._beats += 1
        call.beats += 1
        call.last_beat = now
        call.look_at = _NEVER
        if call.heartbeat is not None:
            call.silent_at = now + call.heartbeat
            self._schedule(call)
        return call

    def bounced(self, call_id: str, now: float, *, attempt: int | None = None) -> Ended[T] | None:
        """Note that a request reached nobody: the end, or a repeat while the call may wait.

        ``attempt`` is the value of ``Call.sends`` at that sending; a bounce of an earlier one
        than the last counts as late.
        """
        call = self._open.get(call_id)
        if call is None or call.epoch == 0 or attempt not in (None, call.sends):
            self._late += 1
            return None
        if now >= call.wait_until:
            return self._ending(call, End.NO_SUCH_TARGET)
        call.epoch = 0
        call.silent_at = call.look_at = _NEVER
        call.again_at = min(self._pause(call, now), call.wait_until)
        self._schedule(call)
        return None

    def looked(self, call_id: str, now: float, *, served: bool) -> Ended[T] | None:
        """Note what a look told: ``served`` unless the request lies where nobody takes it."""
        call = self._open.get(call_id)
        if call is None or served or call.beats or call.epoch == 0:
            return None
        if now >= call.wait_until:
            self._end(call_id, End.NO_SUCH_TARGET)
            return Ended(call, End.NO_SUCH_TARGET, queued=True)
        call.look_at = min(self._pause(call, now), call.wait_until)
        self._schedule(call)
        return None

    def lost(self, epoch: int) -> list[Action[T]]:
        """Note that the link of this epoch, and with it the way back, is gone."""
        actions: list[Action[T]] = []
        for call in tuple(self._open.values()):
            if not 0 < call.epoch <= epoch:
                continue
            if not call.repeats:
                actions.append(self._ending(call, End.REPLY_PATH_LOST))
                continue
            call.epoch = call.beats = 0
            call.silent_at = call.look_at = _NEVER
            actions.append(Resend(call))
        return actions

    # --- time ---

    def next_due(self) -> float | None:
        """When `tick` is wanted next, in monotonic seconds; None while nothing is open."""
        young, heap = self._young, self._heap
        while young and not _is_young(young[0]):
            young.popleft()
        while heap and not _is_due(heap[0]):
            heappop(heap)
        if not young:
            return heap[0][0] if heap else None
        grown = young[0].due
        return heap[0][0] if heap and heap[0][0] < grown else grown

    def tick(self, now: float) -> list[Action[T]]:
        """Do what is due: afterwards no open call is past its deadline or its heartbeat."""
        actions: list[Action[T]] = []
        young, heap = self._young, self._heap
        while young and young[0].grown_at <= now:
            call = young.popleft()
            if _is_young(call):
                self._come_due(call, now, actions)
        while heap and heap[0][0] <= now:
            entry = heappop(heap)
            if _is_due(entry):
                self._come_due(entry[2], now, actions)
        return actions

    def _come_due(self, call: Call[T], now: float, actions: list[Action[T]]) -> None:
        call.due = _NEVER
        action = self._due(call, now)
        if action is not None:
            actions.append(action)
        if call.open:
            self._schedule(call)

    def _due(self, call: Call[T], now: float) -> Action[T] | None:
        if call.deadline <= now and call.deadline <= call.silent_at:
            waiting = call.again_at < _NEVER
            return self._ending(call, End.NO_SUCH_TARGET if waiting else End.DEADLINE)
        if call.silent_at <= now:
            self._end(call.id, End.CALL_LOST)
            return Ended(call, End.CALL_LOST, silence=now - call.last_beat)
        if call.again_at <= now:
            call.again_at = _NEVER
            return Resend(call)
        if call.look_at <= now:
            call.look_at = _NEVER
            return LookAt(call)
        return None

    # --- inside ---

    @staticmethod
    def _pause(call: Call[T], now: float) -> float:
        at = now + call.pause
        call.pause = min(call.pause * 2, RETRY_LONGEST)
        return at

    def _end(self, call_id: str, how: End, late: int = 0) -> Call[T] | None:
        call = self._open.pop(call_id, None)
        if call is None:
            self._late += late
            return None
        call.open = False
        self._ended[how] += 1
        return call

    def _ending(self, call: Call[T], how: End) -> Ended[T]:
        self._end(call.id, how)
        return Ended(call, how)

    def _schedule(self, call: Call[T]) -> None:
        """Keep one valid entry a call, never later than what is due; a later one is moved lazily.

        A beat every second on ten thousand calls must not grow the heap, so an entry that has
        become too early stays, and `tick` puts it where it belongs.
        """
        due = min(call.deadline, call.silent_at, call.again_at, call.look_at)
        if due >= call.due:
            return
        call.due = due
        heap = self._heap
        if len(heap) > 2 * len(self._open) + _SPARE:
            # Calls answered long before their deadline leave entries behind.
            heap[:] = [entry for entry in heap if _is_due(entry)]
            heapify(heap)
        self._pushed += 1
        heappush(heap, (due, self._pushed, call))


def _is_young(call: Call[T]) -> bool:
    """Whether one of the young still is, and not over or due sooner."""
    return call.open and call.due == call.grown_at


def _is_due(entry: tuple[float, int, Call[T]]) -> bool:
    """Whether an entry of the heap is the valid one of its call."""
    return entry[2].open and entry[0] == entry[2].due
