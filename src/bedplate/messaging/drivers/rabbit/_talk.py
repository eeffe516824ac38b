"""A few requests on a channel of their own, sent at once, and their answers in order."""

import asyncio

from bedplate.amqp091 import Channel, ChannelClosed, ChannelOpened, Delivered, Event

__all__ = ["Talk"]


class Talk:
    """Requests on one channel. Set ``expected`` to the number of answers before the loop turns.

    ``done`` is answered when all answers are there, when the broker closed the channel (``closed``
    says why; the request it objects to is the one after the ``answers``), or when the link died.
    """

    __slots__ = ("answers", "channel", "closed", "done", "expected")

    def __init__(self, channel: Channel, loop: asyncio.AbstractEventLoop) -> None:
        self.channel = channel
        self.answers: list[Event] = []
        self.closed: ChannelClosed | None = None
        self.expected = 0
        self.done: asyncio.Future[None] = loop.create_future()

    def hear(self, event: Event) -> None:
        """Take an answer."""
        if isinstance(event, ChannelOpened):
            return
        if isinstance(event, ChannelClosed):
            self.closed = event
        else:
            self.answers.append(event)
        if self.closed is not None or len(self.answers) >= self.expected:
            self.release()

    def deliver(self, event: Delivered) -> None:
        """Nothing is delivered on a channel that nobody consumes from."""

    def release(self) -> None:
        """Let nobody wait any longer."""
        if not self.done.done():
            self.done.set_result(None)
