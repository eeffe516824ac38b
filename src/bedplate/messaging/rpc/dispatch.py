"""Which handler serves a request: by namespace, version and method.

Built once from the registered objects; decides without running anything. Pure.
"""

import inspect
from collections.abc import Callable, Iterable
from typing import final

from bedplate.errors import NoSuchMethod, RemoteError, UnsupportedVersion
from bedplate.messaging.rpc.access import Served
from bedplate.messaging.rpc.endpoint import Endpoint
from bedplate.messaging.rpc.interface import Interface, contract_of
from bedplate.messaging.rpc.marks import is_exposed, is_silent
from bedplate.messaging.rpc.serializer import PLAIN, Codec
from bedplate.messaging.rpc.signature import Signature, public_methods, read_signature

__all__ = ["Handler", "Routes", "Table"]


@final
class Handler:
    """One method that can be run. ``function`` is bound, ``name`` has the namespace before it.

    ``exposed`` and ``silent`` are its marks. ``instant``: it is plain and quick, and runs without
    a worker. ``arguments`` and ``result`` are what messages call them.
    """

    __slots__ = (
        "arguments",
        "exposed",
        "function",
        "instant",
        "name",
        "result",
        "signature",
        "silent",
    )

    def __init__(
        self,
        function: Callable[..., object],
        signature: Signature,
        name: str,
        *,
        exposed: bool = False,
        silent: bool = False,
        instant: bool = False,
    ) -> None:
        self.function, self.signature, self.name = function, signature, name
        self.exposed, self.silent, self.instant = exposed, silent, instant
        method = name.rpartition(".")[2]
        self.arguments = f"the arguments of {method}()"
        self.result = f"the result of {method}()"


@final
class Table:
    """The methods of one object, of class ``kind``; ``written`` is its version as text."""

    __slots__ = ("kind", "methods", "namespace", "version", "written")

    def __init__(
        self, kind: type, namespace: str, written: str, methods: dict[str, Handler]
    ) -> None:
        self.kind, self.namespace, self.written = kind, namespace, written
        self.version = _numbers(written)
        self.methods = methods


@final
class Routes:
    """All that one server serves."""

    def __init__(
        self, handlers: Iterable[object], served: Served = "public", codec: Codec = PLAIN
    ) -> None:
        """Read the handlers: plain objects, or `Endpoint` values.

        Raises TypeError for an interface that is not implemented whole, for methods that cannot be
        called from afar, and for an object without any that are ``served``.
        """
        self._tables: dict[str, list[Table]] = {}
        self._served, self._codec = served, codec
        for each in handlers:
            self.add(each if isinstance(each, Endpoint) else Endpoint(handler=each))

    def add(self, endpoint: Endpoint, *, instant: bool = False) -> None:
        """Serve one more object, before the server opens. Raises TypeError; see the class.

        ``instant``: all its public methods are plain and quick, and need no worker.
        """
        kind = type(endpoint.handler)
        declared = contract_of(kind)
        namespace, version = endpoint.namespace, endpoint.version
        if declared is not None:
            namespace = declared.namespace if namespace is None else namespace
            version = declared.version if version is None else version
        written = version or "1.0"
        codec = PLAIN if instant else self._codec
        methods = _methods(endpoint.handler, namespace or "", codec, instant=instant)
        if not methods:
            raise TypeError(f"{kind.__name__} has no public methods to serve")
        if self._served == "exposed" and not instant:
            methods = {name: each for name, each in methods.items() if each.exposed}
            if not methods:
                raise TypeError(
                    f"{kind.__name__} has no exposed methods to serve: "
                    f'mark them with @rpc.expose, or leave methods="exposed" out'
                )
        table = Table(kind, namespace or "", written, methods)
        self._tables.setdefault(table.namespace, []).append(table)

    @property
    def tables(self) -> tuple[Table, ...]:
        """What is served, by namespace and in the order it was given."""
        return tuple(table for tables in self._tables.values() for table in tables)

    def find(self, method: str, namespace: str, version: str) -> Handler | RemoteError:
        """Return the handler of a request, or the fault that answers it."""
        tables = self._tables.get(namespace, [])
        for table in tables:
            if version == table.written:
                handler = table.methods.get(method)
                if handler is not None:
                    return handler  # as nearly always
        try:
            wanted = _numbers(version) if version else None
        except ValueError as error:
            return UnsupportedVersion.say(str(error))
        others: list[str] = []
        for table in tables:
            handler = table.methods.get(method)
            if handler is None:
                continue
            if wanted is None or _serves(table.version, wanted):
                return handler
            others.append(table.written)
        if others:
            return UnsupportedVersion.say(
                f"{method} is served in version {', '.join(others)}, not in {version}.",
                details={"served": list(others)},
            )
        return self._no_such_method(method, namespace)

    def _no_such_method(self, method: str, namespace: str) -> NoSuchMethod:
        names = sorted(
            {name for table in self._tables.get(namespace, ()) for name in table.methods}
        )
        where = f" in the namespace {namespace!r}" if namespace else ""
        import difflib  # weighs, and is for mistakes only

        near = difflib.get_close_matches(method[:100], names, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        return NoSuchMethod.say(
            f"No method {method[:100]!r} is served{where}.{hint}",
            details={"nearest": near[0]} if near else None,
        )


def _methods(handler: object, namespace: str, codec: Codec, *, instant: bool) -> dict[str, Handler]:
    kind = type(handler)
    is_interface = isinstance(handler, Interface)
    methods: dict[str, Handler] = {}
    missing: list[str] = []
    for name, function in public_methods(kind, below=Interface if is_interface else object).items():
        declared = _declaration(kind, name) if is_interface else None
        if declared is not None and declared is function:
            missing.append(name)
            continue
        bound = getattr(handler, name)
        signature = read_signature(bound, f"{kind.__name__}.{name}", declared, codec)
        methods[name] = Handler(
            bound,
            signature,
            f"{namespace}.{name}" if namespace else name,
            exposed=is_exposed(bound, declared),
            silent=is_silent(bound, declared),
            instant=instant,
        )
    if missing:
        raise TypeError(f"{kind.__name__} does not implement {', '.join(missing)}")
    return methods


def _declaration(kind: type, name: str) -> Callable[..., object] | None:
    """Return the method as an interface above ``kind`` declares it."""
    for each in kind.__mro__[1:]:
        if each.__dict__.get("_bedplate_contract") is not None and name in each.__dict__:
            static = inspect.getattr_static(each, name)
            if inspect.isfunction(static):
                return static
    return None


def _numbers(version: str) -> tuple[int, ...]:
    parts = version.split(".")
    if not 1 <= len(parts) <= 3 or not all(part.isascii() and part.isdigit() for part in parts):
        raise ValueError(f"{version[:40]!r} is no version; versions look like 1.0")
    return tuple(int(part) for part in parts)


def _serves(implemented: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    return implemented[0] == wanted[0] and wanted[1:] <= implemented[1:]
