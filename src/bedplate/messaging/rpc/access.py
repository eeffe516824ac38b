"""Which methods of a server may be reached, and by whom.

Two questions, answered at two times. Which methods there are at all is settled when the server is
made (`Served`): what is not served is no such method, and nobody learns that it exists. Who may
call one is asked of an `AccessPolicy`, request by request. Decides only; knows nothing of how
requests come and answers go.
"""

import inspect
import logging
from collections.abc import Callable, Mapping
from typing import Literal, get_args

from msgspec import Struct

from bedplate.messaging.wire.values import NO_CONTEXT

__all__ = ["Access", "AccessPolicy", "Served", "admits", "check_access"]

_log = logging.getLogger("bedplate.messaging.rpc")

Served = Literal["public", "exposed"]
"""Which methods of handlers are served: all public ones, or those marked by `rpc.expose`."""


class Access(Struct, frozen=True, kw_only=True):
    """One request that a policy is to judge, before it waits for a worker.

    ``namespace`` and ``version`` are as the caller asked, empty for any. ``peer`` is what it calls
    itself and ``context`` what it sent: neither is authenticated by anything but the broker that
    let it in. ``exposed``: whether the method is marked.
    """

    method: str
    namespace: str = ""
    version: str = ""
    peer: str = ""
    context: Mapping[str, object] = NO_CONTEXT
    exposed: bool = False


AccessPolicy = Callable[[Access], bool]
"""Says whether a request is let in. Called on the loop: it must be quick.

Only True lets in. One that raises refuses, and its error is logged.
"""


def check_access(served: object, policy: object) -> None:
    """Raise ValueError for what is no `Served`, TypeError for what can be no policy.

    A misspelt word would serve everything, an async function let everybody in.
    """
    if served not in get_args(Served):
        raise ValueError(f'methods={served!r}: say "public" or "exposed"')
    if policy is None:
        return
    if not callable(policy):
        raise TypeError(f"access={policy!r} is no policy: give a function that takes rpc.Access")
    if inspect.iscoroutinefunction(policy) or inspect.iscoroutinefunction(
        getattr(policy, "__call__", None)  # noqa: B004 - an object whose __call__ may be async
    ):
        raise TypeError("an access policy answers at once; what must wait belongs in interceptors=")


def admits(policy: AccessPolicy, access: Access) -> bool:
    """Whether a policy lets a request in; whatever goes wrong in it, or is no answer, does not."""
    try:
        answer: object = policy(access)
    except Exception:  # noqa: BLE001 - the application may raise anything; it is logged
        _log.exception("The access policy raised, and %s was refused", access.method)
        return False
    if answer is True or answer is False:
        return answer
    _log.error(
        "The access policy answered with a %s instead of True or False, and %s was refused",
        type(answer).__name__,
        access.method,
    )
    return False
