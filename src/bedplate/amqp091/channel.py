"""Channels: what an application may ask for, and the frames that ask it.

Answers for commands: is it allowed now, how does it read on the wire, is an answer due. Requests
may be pipelined: answers come as events (``reception`` makes them). Publishing and
acknowledging are packed by hand here, everything else goes by the table of ``spec``.
"""

import struct
from types import MappingProxyType
from typing import Final, NoReturn

from bedplate.amqp091.fields import FieldTable
from bedplate.amqp091.methods import encode_method
from bedplate.amqp091.properties import Content, Properties, pieces_of
from bedplate.amqp091.spec import BODY, FRAME_END, HEADER, METHOD, ReplyCode, number_of
from bedplate.amqp091.wire import ChannelState, Phase, Wire
from bedplate.errors import ProtocolError

__all__ = ["Channel"]

_NO_ARGUMENTS: FieldTable = MappingProxyType({})
_NO_PROPERTIES: Final = Properties()
_PUBLISH: Final = number_of("basic.publish")
_ACK: Final = number_of("basic.ack")
_NACK: Final = number_of("basic.nack")
_REJECT: Final = number_of("basic.reject")
_END: Final = bytes((FRAME_END,))
_TARGET: Final = struct.Struct(">BHIIHB")  # frame head, method, reserved short, exchange's length
_CONTENT: Final = struct.Struct(
    ">IHHQH"
)  # size of the frame, class, weight, size of the body, flags
_HEAD: Final = struct.Struct(">BHH")  # frame head, short of the size's lower half
_BODY: Final = struct.Struct(">BBHI")  # end of the frame before, frame head
_SETTLE: Final = struct.Struct(">BHIIQBB")  # a whole frame: head, method, tag, bits, end
_OCTETS: Final = tuple(bytes((number,)) for number in range(256))
_KNOWN_TARGETS: Final = 256
_COPIED: Final = 0x4000
"""Up to this size all frames of a message are put together at once."""


def _misuse(why: str, code: ReplyCode = ReplyCode.COMMAND_INVALID) -> ProtocolError:
    return ProtocolError(ours=True, reply_code=code, why=why)


class Channel:
    """One channel. Get it from ``Connection.open_channel``; commands may follow at once.

    Every command appends frames to the connection's outgoing bytes, or raises ProtocolError
    (ours) and changes nothing. Methods named after a request of the protocol take its arguments
    under their names there; ``nowait`` asks for no answer. Answers are events, in the order of the
    requests, except that ``Consuming`` and ``ConsumerCancelled`` may come after answers to later
    ones: RabbitMQ's queues give them, and they name their tag. Not thread-safe.
    """

    __slots__ = ("_body", "_state", "_targets", "_wire")

    def __init__(self, state: ChannelState, wire: Wire) -> None:
        self._state = state
        self._wire = wire
        self._body = _BODY.pack(FRAME_END, BODY, state.number, 0)[:-2]  # up to a short size
        self._targets: dict[tuple[str, str, int], bytes] = {}

    def __repr__(self) -> str:
        return f"<Channel {self._state.number} {self._state.phase.value}>"

    @property
    def number(self) -> int:
        """The channel's number, as events name it. Free for another channel once it is closed."""
        return self._state.number

    @property
    def phase(self) -> Phase:
        """OPENING, OPEN, CLOSING or CLOSED."""
        return self._state.phase

    @property
    def flowing(self) -> bool:
        """Whether the broker lets this channel publish."""
        return self._state.flowing

    @property
    def pending(self) -> int:
        """How many requests are not answered yet."""
        return len(self._state.waiting)

    # --- the channel itself ---

    def flow(self, *, active: bool) -> None:
        """Ask the broker to stop or go on delivering (``Done``). RabbitMQ refuses to stop."""
        self._request("channel.flow", active)

    def close(self, code: int = ReplyCode.SUCCESS, text: str = "") -> None:
        """Close the channel (``ChannelClosed``); harmless when it is closed or closing."""
        state = self._state
        if state.phase not in (Phase.OPENING, Phase.OPEN):
            return
        payload = encode_method("channel.close", (code, text, 0, 0))
        self._wire.send_method(state.number, payload)
        state.end(Phase.CLOSING)

    # --- exchanges ---

    def exchange_declare(
        self,
        exchange: str,
        type: str = "direct",  # noqa: A002 - the protocol's name
        *,
        passive: bool = False,
        durable: bool = False,
        auto_delete: bool = False,
        internal: bool = False,
        nowait: bool = False,
        arguments: FieldTable = _NO_ARGUMENTS,
    ) -> None:
        """Make sure that an exchange exists (``Done``)."""
        flags = passive, durable, auto_delete, internal, nowait
        self._request("exchange.declare", exchange, type, *flags, arguments, nowait=nowait)

    def exchange_delete(
        self, exchange: str, *, if_unused: bool = False, nowait: bool = False
    ) -> None:
        """Delete an exchange (``Done``)."""
        self._request("exchange.delete", exchange, if_unused, nowait, nowait=nowait)

    def exchange_bind(
        self,
        destination: str,
        source: str,
        routing_key: str = "",
        *,
        nowait: bool = False,
        arguments: FieldTable = _NO_ARGUMENTS,
    ) -> None:
        """Let an exchange feed another (``Done``); RabbitMQ's extension."""
        names = destination, source, routing_key
        self._request("exchange.bind", *names, nowait, arguments, nowait=nowait)

    def exchange_unbind(
        self,
        destination: str,
        source: str,
        routing_key: str = "",
        *,
        nowait: bool = False,
        arguments: FieldTable = _NO_ARGUMENTS,
    ) -> None:
        """Undo ``exchange_bind`` (``Done``)."""
        names = destination, source, routing_key
        self._request("exchange.unbind", *names, nowait, arguments, nowait=nowait)

    # --- queues ---

    def queue_declare(
        self,
        queue: str = "",
        *,
        passive: bool = False,
        durable: bool = False,
        exclusive: bool = False,
        auto_delete: bool = False,
        nowait: bool = False,
        arguments: FieldTable = _NO_ARGUMENTS,
    ) -> None:
        """Make sure that a queue exists (``QueueDeclared``); without a name the broker makes one.

        ``passive`` only looks: a queue that is absent costs the channel (404).
        """
        flags = passive, durable, exclusive, auto_delete, nowait
        self._request("queue.declare", queue, *flags, arguments, nowait=nowait)

    def queue_bind(
        self,
        queue: str,
        exchange: str,
        routing_key: str = "",
        *,
        nowait: bool = False,
        arguments: FieldTable = _NO_ARGUMENTS,
    ) -> None:
        """Let an exchange feed a queue (``Done``)."""
        self._request("queue.bind", queue, exchange, routing_key, nowait, arguments, nowait=nowait)

    def queue_unbind(
        self,
        queue: str,
        exchange: str,
        routing_key: str = "",
        *,
        arguments: FieldTable = _NO_ARGUMENTS,
    ) -> None:
        """Undo ``queue_bind`` (``Done``)."""
        self._request("queue.unbind", queue, exchange, routing_key, arguments)

    def queue_purge(self, queue: str, *, nowait: bool = False) -> None:
        """Drop the messages of a queue that nobody holds (``QueuePurged``)."""
        self._request("queue.purge", queue, nowait, nowait=nowait)

    def queue_delete(
        self, queue: str, *, if_unused: bool = False, if_empty: bool = False, nowait: bool = False
    ) -> None:
        """Delete a queue (``QueueDeleted``)."""
        self._request("queue.delete", queue, if_unused, if_empty, nowait, nowait=nowait)

    # --- taking messages ---

    def qos(self, prefetch_count: int, *, prefetch_size: int = 0, global_: bool = False) -> None:
        """Bound the unacknowledged deliveries (``Done``): 0 is no bound.

        On RabbitMQ the bound holds for each consumer made after it, with ``global_`` for the
        channel, and ``prefetch_size`` must be 0.
        """
        self._request("basic.qos", prefetch_size, prefetch_count, global_)

    def consume(
        self,
        queue: str,
        consumer_tag: str = "",
        *,
        no_local: bool = False,
        no_ack: bool = False,
        exclusive: bool = False,
        nowait: bool = False,
        arguments: FieldTable = _NO_ARGUMENTS,
    ) -> None:
        """Ask for deliveries (``Consuming``, then ``Delivered``); without a tag the broker's."""
        if nowait and not consumer_tag:
            raise _misuse("consume(nowait=True) needs a consumer tag: nobody would tell it.")
        flags = no_local, no_ack, exclusive, nowait
        self._request("basic.consume", queue, consumer_tag, *flags, arguments, nowait=nowait)
        if not nowait:
            self._state.subscribing.add(consumer_tag)

    def cancel(self, consumer_tag: str, *, nowait: bool = False) -> None:
        """Ask for no more deliveries (``ConsumerCancelled``); some may still be on their way.

        Not before ``Consuming``: RabbitMQ would end the connection.
        """
        if consumer_tag in self._state.subscribing:
            raise _misuse(f"The consumer {consumer_tag!r} is not there yet; wait for Consuming.")
        self._request("basic.cancel", consumer_tag, nowait, nowait=nowait)

    def get(self, queue: str, *, no_ack: bool = False) -> None:
        """Ask for one message (``Got`` or ``GotNothing``)."""
        self._request("basic.get", queue, no_ack)

    def ack(self, delivery_tag: int, *, multiple: bool = False) -> None:
        """Settle a delivery; ``multiple``: and all before it, tag 0 meaning all there are."""
        self._settle(_ACK, delivery_tag, 1 if multiple else 0, multiple=multiple)

    def nack(self, delivery_tag: int, *, multiple: bool = False, requeue: bool = True) -> None:
        """Give a delivery back (``requeue``) or up; RabbitMQ's extension of ``reject``."""
        bits = (1 if multiple else 0) | (2 if requeue else 0)
        self._settle(_NACK, delivery_tag, bits, multiple=multiple)

    def reject(self, delivery_tag: int, *, requeue: bool = True) -> None:
        """Give one delivery back (``requeue``) or up."""
        self._settle(_REJECT, delivery_tag, 1 if requeue else 0, multiple=False)

    def recover(self, *, requeue: bool = True) -> None:
        """Ask for all that is unsettled again (``Done``). RabbitMQ refuses ``requeue=False``."""
        self._request("basic.recover", requeue)

    def recover_async(self, *, requeue: bool = True) -> None:
        """Ask like ``recover``, without an answer; deprecated by the protocol itself."""
        self._request("basic.recover-async", requeue, nowait=True)

    # --- publishing ---

    def publish(
        self,
        exchange: str,
        routing_key: str,
        body: bytes | bytearray | memoryview,
        properties: Content = _NO_PROPERTIES,
        *,
        mandatory: bool = False,
        immediate: bool = False,
    ) -> int:
        """Queue one message and return its number for ``Confirmed``, 0 outside confirm mode.

        ``mandatory``: ``Returned`` if no queue takes it, before its confirm. RabbitMQ closes the
        connection on ``immediate``. Raises ProtocolError (ours) also when the broker stopped the
        channel's flow, for a body beyond the limit, and for headers beyond one frame.
        """
        state, wire = self._state, self._wire
        if not (state.usable and state.flowing):
            self._refuse("basic.publish")
        bits = (1 if mandatory else 0) | (2 if immediate else 0)
        target = self._targets.get((exchange, routing_key, bits))
        if target is None:
            target = self._target(exchange, routing_key, bits)
        flags, first, table, last = pieces_of(properties)
        if type(body) is not bytes:
            body = bytes(memoryview(body))  # bytes(5) would be five zeros
        size = len(body)
        length = 14 + len(first) + len(table) + len(last)
        if size > wire.limits.body or length > wire.payload_max:
            raise self._too_large(size)
        if 0 < size <= _COPIED and length <= _COPIED and size <= wire.payload_max:
            octets = _OCTETS
            high, low = octets[size >> 8], octets[size & 255]
            wire.out.append(
                b"%b%b%b\0\x3c\0\0\0\0\0\0\0\0%b%b%b%b%b%b%b%b%b%b%b\xce"
                % (
                    target,
                    octets[length >> 8],
                    octets[length & 255],
                    high,
                    low,
                    octets[flags >> 8],
                    octets[flags & 255],
                    first,
                    table,
                    last,
                    self._body,
                    high,
                    low,
                    body,
                )
            )
        else:
            content = _CONTENT.pack(length, 60, 0, size, flags)
            wire.out += (target[:-2], content, first, table, last)
            self._split(body, size)
        if not state.confirming:
            return 0
        state.published += 1
        return state.published

    def _target(self, exchange: str, routing_key: str, bits: int) -> bytes:
        """Pack what a publish begins with, and remember it: most go to few targets.

        That is the method frame, and of the header frame all that stands before a short size.
        """
        name = exchange.encode("utf-8", "surrogateescape")
        key = routing_key.encode("utf-8", "surrogateescape")
        if len(name) > 255 or len(key) > 255:
            raise _misuse("An exchange and a routing key have at most 255 bytes each.")
        size = 9 + len(name) + len(key)
        head = _TARGET.pack(METHOD, self._state.number, size, _PUBLISH, 0, len(name))
        content = _HEAD.pack(HEADER, self._state.number, 0)
        target = b"%b%b%c%b%c%b%b" % (head, name, len(key), key, bits, _END, content)
        if len(self._targets) >= _KNOWN_TARGETS:
            self._targets.clear()
        self._targets[exchange, routing_key, bits] = target
        return target

    def _split(self, body: bytes, size: int) -> None:
        """Queue a body that needs no frame, or several."""
        out, most = self._wire.out, self._wire.payload_max
        view = memoryview(body)
        for at in range(0, size, most):
            piece = view[at : at + most]
            out += (_BODY.pack(FRAME_END, BODY, self._state.number, len(piece)), piece)
        out.append(_END)

    def _too_large(self, size: int) -> ProtocolError:
        limits = self._wire.limits
        if size > limits.body:
            why = f"A body of {size} bytes is beyond the limit of {limits.body}."
        else:
            why = f"Properties and headers do not fit one frame of {limits.frame_max} bytes."
        return _misuse(why, ReplyCode.CONTENT_TOO_LARGE)

    def confirm_select(self, *, nowait: bool = False) -> None:
        """Have every message confirmed (``Done``): those published from now on are numbered."""
        if self._state.transacting:
            raise _misuse("A channel with transactions cannot confirm; open another one.")
        self._request("confirm.select", nowait, nowait=nowait)
        self._state.confirming = True

    # --- transactions ---

    def tx_select(self) -> None:
        """Let messages and settlements wait for ``tx_commit`` (``Done``)."""
        if self._state.confirming:
            raise _misuse("A channel in confirm mode cannot have transactions; open another one.")
        self._request("tx.select")
        self._state.transacting = True

    def tx_commit(self) -> None:
        """Do what was published and settled since the last one (``Done``).

        Until it is answered every other command but ``close`` is refused: RabbitMQ would end the
        connection.
        """
        self._transaction("tx.commit")
        self._state.usable = False

    def tx_rollback(self) -> None:
        """Drop what was published and settled since the last one (``Done``)."""
        self._transaction("tx.rollback")

    def _transaction(self, name: str) -> None:
        if self._state.usable and not self._state.transacting:
            raise _misuse(f"{name} needs tx_select first.")
        self._request(name)

    # --- what they share ---

    def _request(self, name: str, *arguments: object, nowait: bool = False) -> None:
        state = self._state
        if not state.usable:
            self._refuse(name)
        self._wire.send_method(state.number, encode_method(name, arguments))
        if not nowait:
            state.waiting.append(name)

    def _settle(self, method: int, tag: int, bits: int, *, multiple: bool) -> None:
        state = self._state
        if not state.usable:
            self._refuse("Settling")
        if not (0 < tag <= state.delivered or (multiple and tag == 0)):
            raise _misuse(f"No delivery {tag} came over channel {state.number}.")
        self._wire.out.append(_SETTLE.pack(METHOD, state.number, 13, method, tag, bits, FRAME_END))

    def _refuse(self, name: str) -> NoReturn:
        state = self._state
        if state.usable:
            raise _misuse(f"The broker stopped the flow of channel {state.number}; wait for it.")
        if state.phase is Phase.OPEN or state.phase is Phase.OPENING:
            raise _misuse(f"{name} on channel {state.number}, whose tx.commit is not answered yet.")
        raise _misuse(
            f"{name} on channel {state.number}, which is {state.phase.value}; open another one.",
            ReplyCode.CHANNEL_ERROR,
        )
