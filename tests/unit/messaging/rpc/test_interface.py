"""Interfaces, their stubs, and what can be served at all."""

import abc
from typing import Annotated

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.errors import MalformedMessage, NoSuchMethod, UnsupportedVersion
from bedplate.messaging import Transport, rpc
from bedplate.messaging.rpc.dispatch import Handler, Routes
from bedplate.messaging.rpc.interface import contract_of
from bedplate.messaging.rpc.signature import public_methods, read_signature

Count = Annotated[int, msgspec.Meta(ge=1)]


class Contract(rpc.Interface, topic="t", version="2.3", namespace="n", exchange="e"):
    """What is promised."""

    constant = 3

    async def one(self, a: int, *, b: Count = 1) -> int:
        """Do one thing."""
        raise NotImplementedError

    def two(self, a: str) -> None:
        raise NotImplementedError

    def _private(self) -> None:
        raise NotImplementedError

    @property
    def prop(self) -> int:
        raise NotImplementedError

    class Nested:
        """A class inside."""


class Whole(Contract):
    """Keeps the promise, without annotations of its own."""

    async def one(self, a, b=1):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201 - the point
        return a + b

    def two(self, a: str) -> None:
        """Do nothing."""

    @staticmethod
    def three(x: int) -> int:
        return x

    @classmethod
    async def four(cls) -> str:
        return cls.__name__


class Half(Contract):
    """Keeps half of it."""

    def two(self, a: str) -> None:
        """Do nothing."""


def test_an_interface_says_what_it_is() -> None:
    """The class keywords are inherited by implementations."""
    contract = contract_of(Whole)
    assert contract is contract_of(Contract)
    assert contract is not None
    assert (contract.topic, contract.version, contract.namespace, contract.exchange) == (
        "t",
        "2.3",
        "n",
        "e",
    )
    assert contract_of(rpc.Interface) is None
    assert contract_of(int) is None


def test_only_methods_are_public() -> None:
    """Properties, nested classes, constants, underscores and with_ are not offered."""
    assert sorted(public_methods(Contract, below=rpc.Interface)) == ["one", "two"]
    assert sorted(public_methods(Whole, below=rpc.Interface)) == ["four", "one", "three", "two"]


def test_a_handler_uses_the_annotations_of_its_contract() -> None:
    """What an implementation leaves unannotated is checked as the interface says."""
    handler = Routes([Whole()]).find("one", "n", "2.3")
    assert isinstance(handler, Handler)
    assert handler.signature.is_async
    assert handler.signature.unbind(b'{"a":1}', "it") == {"a": 1}
    for text, why in (
        (b'{"a":"x"}', "Expected `int`, got `str` - at `a`"),
        (b'{"a":1,"b":0}', "Expected `int` >= 1 - at `b`"),
        (b'{"a":1,"c":0}', "there is no argument `c`"),
        (b"{}", "missing the argument `a`"),
        (b"[]", "Expected `object`, got `array`"),
    ):
        with pytest.raises(ValueError, match=why.replace("`", "`")):
            handler.signature.unbind(text, "it")
    with pytest.raises(MalformedMessage, match="it is malformed"):
        handler.signature.unbind(b"{", "it")


def test_static_and_class_methods_are_served() -> None:
    """Methods of any kind are found, bound and read."""
    routes = Routes([Whole()])
    for name in ("three", "four"):
        assert isinstance(routes.find(name, "n", ""), Handler)


def test_a_contract_half_kept_is_refused() -> None:
    """An implementation that lacks methods cannot be served, and hears which."""
    with pytest.raises(TypeError, match="Half does not implement one"):
        Routes([Half()])


def test_an_interface_may_be_its_own_implementation() -> None:
    """A class with a topic whose methods have bodies is served as it is."""
    assert isinstance(Routes([Contract()]).find("one", "n", ""), Handler)


def test_what_cannot_be_called_by_name_is_refused() -> None:
    """Positional-only and starred parameters, generators and lost annotations are mistakes."""

    class Positional:
        def bad(self, a: int, /) -> None:
            """Take what has no name."""

    class Starred:
        def bad(self, *many: int) -> None:
            """Take any number."""

    class Streams:
        def bad(self) -> object:
            yield 1

    class Lost:
        def bad(self, a: "Nowhere") -> None:  # type: ignore[name-defined]  # noqa: F821 - the point
            """Take what is not there."""

    class Odd:
        def bad(self, a: list[int] | set[int]) -> None:
            """Take what no decoder can tell apart."""

    for kind, why in (
        (Positional, "arguments travel by name"),
        (Starred, "arguments travel by name"),
        (Streams, "is a generator"),
        (Lost, "'Nowhere' is not there at run time"),
        (Odd, "an annotation cannot be used"),
        (object, "no public methods"),
    ):
        with pytest.raises(TypeError, match=why):
            Routes([kind()])


def test_versions_match_by_major_and_minor() -> None:
    """The same major and at most the implemented minor is served."""
    routes = Routes([rpc.Endpoint(handler=Whole(), version="2.3", namespace="")])
    for wanted in ("", "2", "2.0", "2.3", "2.2.9"):
        assert isinstance(routes.find("two", "", wanted), Handler), wanted
    for wanted in ("2.4", "2.3.1", "1.0", "3.0", "x", "2.", "2.3.1.1", "-2", "²"):
        assert isinstance(routes.find("two", "", wanted), UnsupportedVersion), wanted
    assert isinstance(routes.find("too", "", "2.3"), NoSuchMethod)


@given(st.text(), st.text(), st.text())
def test_any_request_finds_a_handler_or_a_fault(method: str, namespace: str, version: str) -> None:
    """Whatever peers ask for, the routes answer without raising."""
    found = ROUTES.find(method, namespace, version)
    assert isinstance(found, NoSuchMethod | UnsupportedVersion | Handler)


ROUTES = Routes([Whole()])


async def test_stubs_look_like_their_interface(here: Transport) -> None:
    """A stub is an instance of its interface, and its methods keep name, text and signature."""
    stub = rpc.client(here, Contract)
    assert isinstance(stub, Contract)
    assert stub.one.__doc__ == "Do one thing."
    assert stub.one.__name__ == "one"
    other = stub.with_(timeout=1, server="h1")
    assert type(other) is type(stub)
    assert other._bedplate_calls is not stub._bedplate_calls


async def test_a_stub_of_an_abstract_interface(here: Transport) -> None:
    """Abstract methods make no difference to a client."""

    class Abstract(rpc.Interface, abc.ABC, topic="a"):
        @abc.abstractmethod
        async def one(self) -> int:
            """Do one thing."""

    assert rpc.client(here, Abstract).one.__name__ == "one"  # type: ignore[type-abstract]


async def test_what_is_no_interface_has_no_stub(here: Transport) -> None:
    """A class without topic, and a handler asked for options, are told what to do."""

    class Nameless(rpc.Interface):
        """Says no topic."""

    with pytest.raises(TypeError, match="no interface with a topic"):
        rpc.client(here, Nameless)
    with pytest.raises(TypeError, match="is no client's stub"):
        Whole().with_(timeout=3)


async def test_serving_needs_a_topic(here: Transport) -> None:
    """A plain object says no topic, so the caller must."""

    class Plain:
        def one(self) -> None:
            """Do nothing."""

    with pytest.raises(TypeError, match="say topic="):
        rpc.serve(here, Plain())
    with pytest.raises(TypeError, match="at least one object"):
        rpc.serve(here, topic="t")
    for wrong in ({"workers": 0}, {"accept": -1}, {"drain": -1.0}, {"topic": ""}):
        with pytest.raises(ValueError, match=r"."):
            rpc.serve(here, Plain(), **{"topic": "t", **wrong})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="maybe"):
        rpc.serve(here, Plain(), topic="t", ack="maybe")  # type: ignore[arg-type]


def test_senseless_options_are_refused() -> None:
    """Options that cannot be meant raise ValueError, unknown ones TypeError."""
    options = rpc.Options(topic="t")
    for choices in (
        {"timeout": 0},
        {"timeout": -1.0},
        {"timeout": float("inf")},
        {"timeout": float("nan")},
        {"heartbeat": 0.01},
        {"heartbeat": 0},
        {"ttl": 0},
        {"ttl": float("nan")},
        {"wait_for_target": -1},
    ):
        with pytest.raises(ValueError, match=next(iter(choices))):
            options.changed(choices)  # type: ignore[arg-type]  # made up
    with pytest.raises(TypeError, match=r"no option 'timout' \(it has: .*Did you mean 'timeout'\?"):
        options.changed({"timout": 1})  # type: ignore[typeddict-unknown-key]
    with pytest.raises(ValueError, match="topic"):
        rpc.Options(topic="")
    assert options.changed({"timeout": 3}).timeout == 3
    assert options.timeout == 60, "the original stays as it is"


def test_a_method_without_parameters_takes_an_empty_object() -> None:
    """No arguments are an empty object, and anything more is refused."""
    signature = read_signature(Whole().four, "Whole.four")
    assert signature.bind({}) == b"{}"
    assert signature.unbind(b"{}", "it") == {}
    with pytest.raises(ValueError, match="there is no argument `x`"):
        signature.unbind(b'{"x":1}', "it")
