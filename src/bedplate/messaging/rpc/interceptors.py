"""Code around calls: between a caller and the wire, and between the wire and a handler.

Composes functions of the application into one; the outermost comes first. Knows nothing of how a
request is sent or a handler run: both are the innermost step, handed in.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Literal, Unpack

from msgspec import Struct
from msgspec.structs import replace

from bedplate.messaging.rpc.context import Context
from bedplate.messaging.rpc.options import Choices, Options

__all__ = [
    "ClientInterceptor",
    "Outgoing",
    "Proceed",
    "Quit",
    "Send",
    "ServerInterceptor",
    "Verb",
    "around_handler",
    "around_sending",
    "checked",
]

Verb = Literal["call", "cast", "fanout"]
"""What a client does with a request."""


class Outgoing(Struct, frozen=True):
    """One call, cast or fanout on its way out of a client, as interceptors see it.

    ``arguments`` are by name, as the caller gave them: neither checked nor encoded yet.
    """

    method: str
    verb: Verb
    arguments: Mapping[str, object]
    options: Options

    def with_(self, **choices: Unpack[Choices]) -> "Outgoing":
        """Return the same with other options. Raises ValueError for senseless ones."""
        return replace(self, options=self.options.changed(choices))


Proceed = Callable[[], Awaitable[object]]
"""Runs what is further in, the handler at last, and gives its result."""
ServerInterceptor = Callable[[Context, Proceed], Awaitable[object]]
"""Runs around the handler of one request and returns the result for its caller.

It runs on the loop, in the request's own context variables, which handlers see as it leaves them
(plain ones in their thread). Whatever it raises is for the caller, like what a handler raises.
"""

Send = Callable[[Outgoing], Awaitable[object]]
"""Passes a request further out, to the wire at last, and gives its result (None: a cast)."""
ClientInterceptor = Callable[[Outgoing, Send], Awaitable[object]]
"""Runs around one call, cast or fanout of a client and returns its result.

It may hand on something else than it was given, hand on twice, or not at all. All together takes
no longer than the timeout of the caller.
"""


class Quit(Exception):
    """SystemExit or KeyboardInterrupt of a handler on its way out through interceptors.

    As itself it would end the loop if it came out of a task that an interceptor made.
    """


def around_handler(
    interceptors: Sequence[ServerInterceptor], context: Context, run: Proceed
) -> Proceed:
    """Return what runs a handler within all interceptors."""

    async def innermost() -> object:
        try:
            return await run()
        except (SystemExit, KeyboardInterrupt) as error:
            raise Quit from error

    proceed: Proceed = innermost
    for each in reversed(interceptors):
        proceed = partial(each, context, proceed)
    return proceed


def around_sending(interceptors: Sequence[ClientInterceptor], send: Send) -> Send:
    """Return what sends a request through all interceptors."""
    for each in reversed(interceptors):
        send = _further_out(each, send)
    return send


def _further_out(interceptor: ClientInterceptor, send: Send) -> Send:
    def step(call: Outgoing) -> Awaitable[object]:
        return interceptor(call, send)

    return step


def checked(interceptors: Sequence[object]) -> None:
    """Raise TypeError unless all can be called."""
    for each in interceptors:
        if not callable(each):
            raise TypeError(f"{each!r} is no interceptor: give async functions")
