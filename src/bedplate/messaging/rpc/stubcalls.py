"""What stands between the methods of a stub and the calls they make.

Arguments are encoded and results decoded here as the signature says; `caller` does the rest.
"""

from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import final

from bedplate.messaging.rpc.caller import Caller
from bedplate.messaging.rpc.faults import Errors
from bedplate.messaging.rpc.manner import Manner
from bedplate.messaging.rpc.options import Choices
from bedplate.messaging.rpc.signature import Signature

__all__ = ["Around", "StubCalls"]

Around = Callable[[str, Signature, Mapping[str, object]], Coroutine[object, object, object]]
"""Makes the call of a method, with arguments by name, through the interceptors of a client."""


@final
class StubCalls:
    """How the methods of a stub make their calls.

    ``again`` returns the same with other options; ``around`` is None where a client has no
    interceptors.
    """

    __slots__ = ("_around", "_caller", "_errors", "_manner", "again")

    def __init__(
        self,
        caller: Caller,
        manner: Manner,
        errors: Errors,
        again: "Callable[[Choices], StubCalls]",
        around: Around | None,
    ) -> None:
        self._caller, self._manner, self._errors = caller, manner, errors
        self._around = around
        self.again = again

    def invoke(
        self,
        method: str,
        signature: Signature,
        given: tuple[object, ...],
        named: dict[str, object],
    ) -> Coroutine[object, object, object]:
        """Make a call; awaited, it gives the result."""
        arguments = signature.named(given, named)
        if self._around is not None:
            return self._around(method, signature, arguments)
        return self._call(method, signature, signature.bind(arguments))

    def invoke_blocking(
        self,
        method: str,
        signature: Signature,
        given: tuple[object, ...],
        named: dict[str, object],
    ) -> object:
        """Make a call from a thread other than the loop's, and wait for its result."""
        arguments = signature.named(given, named)
        if self._around is not None:
            make = partial(self._around, method, signature, arguments)
        else:
            body = signature.bind(arguments)  # here, where it takes no time of the loop
            make = partial(self._call, method, signature, body)
        return self._caller.crossing.wait(make, self._manner.timeout, f"{signature.name}()")

    def _call(
        self, method: str, signature: Signature, body: bytes
    ) -> Coroutine[object, object, object]:
        return self._caller.call(self._manner, method, body, self._errors, signature.read_result)
