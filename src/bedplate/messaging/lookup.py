"""Which driver a URL means, whether it fits, with which options and how often it is to connect.

Knows nothing of links.
"""

import sys
import warnings
from collections.abc import Sequence
from types import MappingProxyType

from msgspec.structs import replace

from bedplate._floor import plugins
from bedplate.config import Section
from bedplate.errors import InvalidUrl, PluginNotFound, Unsupported
from bedplate.messaging.driver import CONTRACT, Driver, Maturity, Pacing
from bedplate.messaging.recovery import RecoveryPolicy
from bedplate.messaging.url import TransportUrl

__all__ = ["check_driver", "find_driver", "options_for", "pace"]

_GROUP = "bedplate.drivers"
_ELSEWHERE = MappingProxyType({"amqp": "rabbit", "amqps": "rabbits"})
"""How URLs of other libraries begin, and what is meant by it here."""


def find_driver(scheme: str) -> Driver:
    """Return the driver that an installed package offers for a URL's scheme.

    Raises `PluginNotFound`, which names those that are there.
    """
    try:
        found = plugins.load(_GROUP, scheme)
    except PluginNotFound as error:
        if error.hint:
            raise
        hint = _meant(_ELSEWHERE.get(scheme, scheme), error.known, "{}://")
        raise PluginNotFound(group=_GROUP, name=scheme, known=error.known, hint=hint) from None
    driver: Driver = found() if isinstance(found, type) else found  # type: ignore[assignment]  # check_driver looks at what an entry point holds
    return driver


def check_driver(driver: Driver) -> None:
    """Refuse a driver written for another contract, and warn of one that is not supported.

    Raises `Unsupported`.
    """
    if driver.contract != CONTRACT:
        raise Unsupported(
            driver=driver.name,
            what=f"version {CONTRACT} of the driver contract (it was written for version "
            f"{driver.contract})",
            instead="Install releases of the two that fit.",
        )
    status = driver.status
    if status.maturity is Maturity.DEPRECATED:
        instead = f"; use {status.instead}" if status.instead else ""
        warnings.warn(
            f"The {driver.name} driver is deprecated since {status.since or 'now'} and goes with "
            f"{status.removal or 'a later release'}{instead}.",
            DeprecationWarning,
            stacklevel=_entering(),
        )
    elif status.maturity is Maturity.EXPERIMENTAL:
        why = status.reason.removesuffix(".") or "it may change"
        warnings.warn(
            f"The {driver.name} driver is experimental: {why}.",
            UserWarning,
            stacklevel=_entering(),
        )


def options_for(driver: Driver, url: TransportUrl, given: Section | None) -> Section:
    """Return the driver's options as given, with what the URL's query says on top.

    Old names of options are understood, as they are in a file. Raises `InvalidUrl` for options the
    driver has not, and for values they cannot have.
    """
    kind = driver.options
    if given is not None and not isinstance(given, kind):
        raise InvalidUrl(
            url=str(url),
            why=f"its options are a {type(given).__name__}, the {driver.name} driver takes "
            f"{kind.__name__}.",
        )
    if not url.options:
        return kind() if given is None else given
    from bedplate.config.describe import describe

    specs = describe(kind).options
    names = kind.section_options
    values = {} if given is None else {name: getattr(given, name) for name in names}
    renamed = {old: name for name in specs for _section, old in specs[name].was}
    for written, text in url.options:
        name = written if written in specs else renamed.get(written, "")
        spec = specs.get(name)
        if spec is None:
            raise InvalidUrl(
                url=str(url),
                why=f"the {driver.name} driver has no option {written!r} "
                f"(it has: {', '.join(sorted(specs)) or 'none'})."
                f"{_meant(written, (*specs, *renamed), '{!r}')}",
            )
        try:
            values[name] = spec.type.parse(text)
        except ValueError as error:
            raise InvalidUrl(url=str(url), why=f"{written} {error}.") from None
    return kind(**values)


def _meant(written: str, known: Sequence[str], form: str) -> str:
    """Return a question what was meant by a name that is not known, or nothing."""
    import difflib  # weighs, and is for mistakes only

    near = difflib.get_close_matches(written[:100], known, n=1)
    return f" Did you mean {form.format(near[0])}?" if near else ""


def pace(policy: RecoveryPolicy, options: Section) -> RecoveryPolicy:
    """Return how eagerly to reconnect: as the application says, but for what an operator set."""
    if not isinstance(options, Pacing):
        return policy
    backoff = policy.backoff
    first = backoff.first if options.reconnect_first is None else options.reconnect_first
    most = backoff.ceiling if options.reconnect_most is None else options.reconnect_most
    if options.reconnect_most is None:
        most = max(most, first)
    return replace(policy, backoff=backoff._replace(first=first, ceiling=most))


def _entering() -> int:
    """Return the stack level of whoever enters a transport, for the caller of this.

    The transport has no frame of its own where it is compiled.
    """
    above = sys._getframe(2)  # noqa: SLF001 - as ``warnings`` itself does
    return 3 if above.f_globals.get("__name__") == "bedplate.messaging.transport" else 2
