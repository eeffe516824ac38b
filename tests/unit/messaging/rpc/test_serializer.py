"""Values of the application that JSON does not know, carried by its own serializer."""

import asyncio
import logging
from collections.abc import Mapping
from fractions import Fraction

import pytest

from bedplate.errors import BadArguments, MalformedMessage, RemoteError, Unencodable
from bedplate.messaging import Transport, rpc
from bedplate.testing.faulty import Faults


class Vector:
    """A class that nobody else knows."""

    def __init__(self, *parts: Fraction) -> None:
        self.parts = parts

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vector) and self.parts == other.parts

    def __hash__(self) -> int:
        return hash(self.parts)


ONE = Vector(Fraction(1, 3), Fraction(2, 3))
NONE = Vector()


def dump(value: object) -> object:
    """Tell vectors by their parts, which are unknown as well."""
    match value:
        case Vector():
            return {"vector": value.parts}
        case Fraction():
            return {"over": [value.numerator, value.denominator]}
        case _:
            raise TypeError(f"nothing to dump a {type(value).__name__} with")


def load(kind: type, value: object) -> object:
    """Build them again, also where nothing is annotated."""
    match value:
        case {"vector": list(parts)}:
            return Vector(*(load_fraction(part) for part in parts))
        case {"over": list()}:
            return load_fraction(value)
        case _ if kind is object:
            return value
        case _:
            raise KeyError("vector")


def load_fraction(value: object) -> Fraction:
    match value:
        case {"over": [int(numerator), int(denominator)]}:
            return Fraction(numerator, denominator)
        case _:
            raise ValueError("no fraction")


SERIALIZER = rpc.Serializer(dump=dump, load=load)


class Broken(Exception):
    """Has details that JSON does not know."""

    def __init__(self) -> None:
        super().__init__("broken")
        self.details = {"at": ONE}


class Space(rpc.Interface, topic="space"):
    """Vectors everywhere."""

    async def turn(self, vector: Vector, by: Fraction = Fraction(1)) -> Vector:
        """Turn it."""
        raise NotImplementedError

    async def maybe(self, vectors: list[Vector], other: Vector | None = None) -> Vector | None:
        """Choose one."""
        raise NotImplementedError


class SpaceService(Space):
    """Implements it, and says nothing of types elsewhere."""

    async def turn(self, vector: Vector, by: Fraction = Fraction(1)) -> Vector:
        assert isinstance(by, Fraction)
        rpc.context().report(vector)
        return Vector(*(by * part for part in vector.parts))

    async def maybe(self, vectors: list[Vector], other: Vector | None = None) -> Vector | None:
        return other or (vectors[0] if vectors else None)

    async def untyped(self, value, **more):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN003, ANN201 - meant
        assert isinstance(value, Vector)
        assert isinstance(more["other"], Vector)
        return value

    async def unknown(self) -> object:
        return object()

    async def fail(self) -> None:
        raise Broken


async def test_foreign_values_travel_both_ways_typed(here: Transport, there: Transport) -> None:
    """Annotated arguments, defaults and results are of the application's types on both ends."""
    async with rpc.serve(there, SpaceService(), serializer=SERIALIZER):
        progress: list[object] = []
        space = rpc.client(here, Space, serializer=SERIALIZER, on_progress=progress.append)
        assert await space.turn(ONE, by=Fraction(3)) == Vector(Fraction(1), Fraction(2))
        assert await space.turn(NONE) == NONE
        assert progress == [ONE, NONE]
        assert await space.maybe([ONE]) == ONE
        assert await space.maybe([], other=NONE) == NONE
        assert await space.maybe([]) is None


async def test_foreign_values_travel_both_ways_untyped(here: Transport, there: Transport) -> None:
    """Where nothing is annotated each whole argument, result and detail is offered for loading."""
    async with rpc.serve(there, SpaceService(), serializer=SERIALIZER):
        client = rpc.Client(here, topic="space", serializer=SERIALIZER)
        assert await client.call("untyped", value=ONE, other=NONE) == ONE
        await client.cast("untyped", value=ONE, other=NONE)
        with pytest.raises(RemoteError, match="broken") as raised:
            await client.call("fail")
        assert raised.value.details == {"at": ONE}
        plain = rpc.Client(here, topic="space")
        told = {"vector": [{"over": [1, 3]}, {"over": [2, 3]}]}
        assert await plain.call("untyped", value=told, other={"vector": []}) == told
        with pytest.raises(RemoteError) as raised:
            await plain.call("fail")
        assert raised.value.details == {"at": told}


async def test_what_a_serializer_cannot_carry_ends_only_that_call(
    here: Transport, there: Transport
) -> None:
    """Each error is on the side it belongs to, says whose it is, and keeps its cause."""
    async with rpc.serve(there, SpaceService(), serializer=SERIALIZER) as server:
        client = rpc.Client(here, topic="space", serializer=SERIALIZER)
        with pytest.raises(Unencodable, match=r"the serializer cannot dump a object: TypeError: n"):
            await client.call("turn", vector=object())
        with pytest.raises(BadArguments, match=r"cannot load a Vector: KeyError: 'vector'.*vector"):
            await client.call("turn", vector={"point": 3})
        with pytest.raises(BadArguments, match=r"cannot load a value: ValueError: no fraction"):
            await client.call("untyped", value={"over": []})
        with pytest.raises(RemoteError, match="the result of unknown") as raised:
            await client.call("unknown")
        assert raised.value.code == "unencodable"
        assert raised.value.causes == (("TypeError", "nothing to dump a object with"),)
        assert await client.call("maybe", vectors=[]) is None
        assert server.statistics().refused == 2


async def test_a_result_that_cannot_be_loaded_is_malformed(
    here: Transport, there: Transport, caplog: pytest.LogCaptureFixture
) -> None:
    """Typed and untyped; details that cannot be loaded stay as they came."""

    class Liar:
        async def turn(self, vector: object, by: object = None) -> object:
            return {"over": [vector, by]}

        async def fail(self) -> None:
            error = ValueError("no")
            error.details = {"at": {"over": []}}  # type: ignore[attr-defined]  # as handlers may
            raise error

    async with rpc.serve(there, Liar(), topic="space"):
        with pytest.raises(
            MalformedMessage, match=r"result of Space\.turn\(\).*no fraction"
        ) as bad:
            await rpc.client(here, Space, serializer=SERIALIZER).turn(ONE)
        assert isinstance(bad.value.__cause__, ValueError)
        client = rpc.Client(here, topic="space", serializer=SERIALIZER)
        with pytest.raises(MalformedMessage, match=r"result of turn\(\).*no fraction"):
            await client.call("turn", vector=3)
        with caplog.at_level(logging.WARNING), pytest.raises(RemoteError) as raised:
            await client.call("fail")
        assert raised.value.details == {"at": {"over": []}}
        assert "stay as they came" in caplog.text


async def test_a_dump_that_gets_nowhere_is_unencodable(here: Transport) -> None:
    """A value dumped as itself is nested without end, and found out."""
    client = rpc.Client(here, topic="space", serializer=rpc.Serializer(dump=lambda value: value))
    with pytest.raises(Unencodable, match="nested too deeply"):
        await client.call("turn", vector=ONE)


async def test_context_goes_out_and_comes_in_by_the_serializer(
    here: Transport, there: Transport
) -> None:
    """What is added on the way out is there for policies, handlers and loading itself."""
    loaded: list[object] = []

    def load_value(kind: type, value: object) -> object:
        loaded.append(rpc.context().values["user"])
        return load(kind, value)

    def enter(context: Mapping[str, object]) -> Mapping[str, object]:
        return {"user": str(context["user"]).upper(), "at": load(object, context["at"])}

    class Who:
        async def who(self, vector: Vector) -> str:
            values = rpc.context().values
            assert (values["at"], vector) == (ONE, NONE)
            return str(values["user"])

    client = rpc.Client(
        here,
        topic="who",
        context={"at": ONE},
        serializer=rpc.Serializer(dump=dump, dump_context=lambda given: {**given, "user": "ann"}),
    )
    async with rpc.serve(
        there,
        Who(),
        topic="who",
        access=lambda access: access.context["user"] == "ANN",
        serializer=rpc.Serializer(load=load_value, load_context=enter),
    ):
        assert await client.call("who", vector=NONE) == "ANN"
        assert loaded == ["ANN"]
        with pytest.raises(BadArguments, match="cannot load the context: KeyError: 'user'"):
            await rpc.Client(here, topic="who", context={"u": 1}).call("who")
        await rpc.Client(here, topic="who").cast("who")


async def test_a_repeat_of_a_waiting_request_keeps_its_loaded_context(
    here: Transport, there: Transport, faults: Faults
) -> None:
    """Sent again over a new link, it runs once, with the context as it was loaded."""
    seen: list[object] = []

    class Slow:
        async def work(self) -> None:
            seen.append(rpc.context().values)
            await asyncio.sleep(5)

    def enter(context: Mapping[str, object]) -> Mapping[str, object]:
        return {"loaded": context["user"]}

    serializer = rpc.Serializer(load_context=enter)
    async with rpc.serve(there, Slow(), topic="slow", workers=1, serializer=serializer) as server:
        client = rpc.Client(here, topic="slow", repeats=True, context={"user": "ann"})
        both = asyncio.gather(client.call("work"), client.call("work"))
        await asyncio.sleep(1)
        faults.cut()
        await both
        assert seen == [{"loaded": "ann"}] * 2
        assert server.statistics().repeated == 2


async def test_a_context_that_cannot_be_dumped_is_not_sent(here: Transport) -> None:
    """By a serializer that raises, and by one that gives no mapping."""
    for bad in (None, 3):

        def dump_context(_: Mapping[str, object], bad: object = bad) -> Mapping[str, object]:
            return {**bad}  # type: ignore[dict-item]  # meant

        client = rpc.Client(here, topic="who", serializer=rpc.Serializer(dump_context=dump_context))
        with pytest.raises(Unencodable, match="a context cannot be encoded: the serializer cannot"):
            await client.call("who")
        with pytest.raises(Unencodable):
            await client.cast("who")
    assert here.statistics().published == 0


async def test_blocking_stubs_and_interceptors_use_the_serializer_too(
    here: Transport, there: Transport
) -> None:
    """Interceptors see values as they were given and as they are loaded."""

    class Plain(rpc.Interface, topic="plain"):
        def turn(self, vector: Vector) -> Vector:
            raise NotImplementedError

    class PlainService(Plain):
        def turn(self, vector: Vector) -> Vector:
            return vector

    async def see(call: rpc.Outgoing, send: rpc.Send) -> object:
        assert call.arguments == {"vector": ONE}
        result = await send(call)
        assert result == ONE
        return result

    async def see_there(_: rpc.Context, proceed: rpc.Proceed) -> object:
        result = await proceed()
        assert result == ONE
        return result

    async with rpc.serve(there, PlainService(), serializer=SERIALIZER, interceptors=[see_there]):
        for hooks in ([], [see]):
            stub = rpc.client(here, Plain, serializer=SERIALIZER, interceptors=hooks)
            assert await asyncio.to_thread(stub.turn, ONE) == ONE


def test_a_serializer_of_anything_but_functions_is_refused() -> None:
    """The mistake is told when it is made."""
    with pytest.raises(TypeError, match=r"is no rpc\.Serializer"):
        rpc.Client(None, topic="t", serializer=SpaceService())  # type: ignore[arg-type]  # never used
    wrong = rpc.Serializer(load="json")  # type: ignore[arg-type]  # meant
    with pytest.raises(TypeError, match="the serializer's load is 'json'"):
        rpc.Client(None, topic="t", serializer=wrong)  # type: ignore[arg-type]  # never used
