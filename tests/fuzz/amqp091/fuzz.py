"""Throw bytes at the AMQP engine and hold it to its promises.

    python tests/fuzz/amqp091/fuzz.py --seconds 60 --seed 1       # as long as you like
    python tests/fuzz/amqp091/fuzz.py --runs 10000 --seed 1       # the same work every time
    python tests/fuzz/amqp091/fuzz.py --seconds 600 --grow        # keep what behaves in a new way
    python tests/fuzz/amqp091/fuzz.py --atheris CORPUS -max_total_time=60    # where it is there

Inputs are mutations of the corpus, half of them with their frames mended so that they get past
the framing. An input that behaves as none before (kinds of events, phases, texts of faults) joins
the pool, so the search follows behaviour. Each input is run against a connection that greets, one
that is busy and one that is closing; whole and cut; with commands in between. What must hold is
in ``check``. A failure is written to ``amqp091-crash-<name>.bin`` in the
temporary folder, and raised.
"""

import argparse
import hashlib
import importlib
import inspect
import random
import re
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from bedplate.amqp091 import (
    Channel,
    Closed,
    Connection,
    Delivered,
    Event,
    Got,
    Limits,
    Oversized,
    Phase,
    Plain,
    Properties,
    Returned,
)
from bedplate.amqp091.methods import encode_method
from bedplate.amqp091.spec import METHODS
from bedplate.errors import ProtocolError

CORPUS = Path(__file__).parent / "corpus"
LIMITS = Limits(frame_max=4096, channel_max=4, heartbeat=10, body=2000, unfinished=4000)
FALSE = False
MAGIC = (0, 1, 2, 7, 8, 60, 127, 128, 206, 254, 255)
Feed = Callable[[Connection, bytes], list[Event]]


def frame(kind: int, channel: int, payload: bytes) -> bytes:
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + b"\xce"


def method(channel: int, name: str, *arguments: object) -> bytes:
    return frame(1, channel, encode_method(name, arguments))


HANDSHAKE = (
    method(0, "connection.start", 0, 9, {"product": "fuzz"}, b"PLAIN", b"en_US")
    + method(0, "connection.tune", 4, 4096, 10)
    + method(0, "connection.open-ok")
)


def greeting() -> tuple[Connection, list[Channel]]:
    return Connection([Plain("guest", "guest")], now=0.0, limits=LIMITS), []


def busy() -> tuple[Connection, list[Channel]]:
    connection, channels = greeting()
    connection.receive(HANDSHAKE, 0.0)
    channels += connection.open_channel(), connection.open_channel()
    connection.receive(method(1, "channel.open-ok") + method(2, "channel.open-ok"), 0.0)
    channels.append(connection.open_channel())
    one, two, _ = channels
    one.confirm_select(nowait=True)
    for _ in range(3):
        one.publish("", "q", b"x")
        two.get("q")
        two.queue_declare("q")
    two.consume("q")
    two.exchange_declare("e")
    two.cancel("t")
    connection.update_secret("s", "r")
    connection.take_outgoing(0.0)
    return connection, channels


def closing() -> tuple[Connection, list[Channel]]:
    connection, channels = busy()
    channels[0].close()
    channels[1].close()
    connection.take_outgoing(0.0)
    return connection, channels


STARTS = (greeting, busy, closing)
COMMANDS: tuple[Callable[[Connection, Channel], object], ...] = (
    lambda _, c: c.publish("", "k", b"body", Properties(headers={"a": 1}), mandatory=True),
    lambda _, c: c.publish("", "k", bytes(1999)),
    lambda _, c: c.ack(1),
    lambda _, c: c.ack(0, multiple=True),
    lambda _, c: c.nack(2, multiple=True),
    lambda _, c: c.queue_declare("q"),
    lambda _, c: c.get("q"),
    lambda _, c: c.consume("q"),
    lambda _, c: c.confirm_select(),
    lambda _, c: c.tx_select(),
    lambda _, c: c.tx_commit(),
    lambda _, c: c.close(),
    lambda n, _: n.open_channel(),
    lambda n, _: n.update_secret("s", "r"),
)


def command(connection: Connection, channels: list[Channel], chance: random.Random) -> None:
    """Give some command; it works, or raises our misuse and queues nothing."""
    before = connection.has_outgoing
    if not channels:
        return
    channel = chance.choice(channels)
    try:
        made = chance.choice(COMMANDS)(connection, channel)
    except ProtocolError as error:
        _must(error.ours, "a command raised the peer's fault")
        _must(connection.has_outgoing == before, "a refused command queued something")
    else:
        if isinstance(made, Channel):
            channels.append(made)


def _must(holds: object, why: str) -> None:
    if not holds:
        raise AssertionError(why)


def flat(event: Event) -> object:
    return (*event[:-1], str(event.error)) if isinstance(event, Closed) else (type(event), event)


def look(event: Event) -> None:
    """Look into what decodes when asked; only our error may come of it."""
    if isinstance(event, Oversized):
        event = event.event
    if isinstance(event, Delivered | Got | Returned):
        try:
            dict(event.properties().headers or {})
        except ProtocolError as error:
            _must(not error.ours, "malformed properties were called ours")


def written(data: bytes) -> None:
    """Check that only the protocol header and whole frames within the limit go out."""
    at = 8 if data.startswith(b"AMQP") else 0
    while at < len(data):
        kind, _, size = struct.unpack_from(">BHI", data, at)
        at += size + 8
        _must(kind in (1, 2, 3, 8) and size + 8 <= LIMITS.frame_max, "a wrong frame went out")
        _must(data[at - 1 : at] == b"\xce", "a frame without its end went out")


def feed(
    start: Callable[[], tuple[Connection, list[Channel]]],
    pieces: Iterable[bytes],
    chance: random.Random | None,
) -> tuple[list[object], bytes]:
    """Run one connection through all its bytes, with commands in between if there is chance."""
    connection, channels = start()
    events: list[Event] = []
    out = b""
    for moment, piece in enumerate(pieces):
        events += connection.receive(piece, moment * 0.01)
        if chance is not None:
            command(connection, channels, chance)
            events += connection.tick(moment * 0.01)
        out += connection.take_outgoing(moment * 0.01)
        wire = connection._wire
        _must(len(connection._rest) <= LIMITS.frame_max, "more than a frame was kept")
        _must(0 <= wire.unfinished <= LIMITS.unfinished, "more bodies than allowed were kept")
        _must(not wire.ended, "a channel was not forgotten")
    events += connection.receive_eof()
    written(out)
    ends = [event for event in events if isinstance(event, Closed)]
    _must(len(ends) == 1 and events[-1] is ends[0], "the end did not come once, and last")
    _must(connection.phase is Phase.CLOSED, "the end left the connection open")
    _must(connection.receive(b"\x01", 9.0) == [] and connection.receive_eof() == [], "more came")
    for event in events:
        look(event)
    return [flat(event) for event in events], out


def check(data: bytes) -> frozenset[str]:
    """Hold the engine to its promises for one input; return how it behaved."""
    chance = random.Random(data)  # noqa: S311 - to vary, not to hide
    behaviour: set[str] = set()
    for start in STARTS:
        whole = feed(start, [data], None)
        places = sorted(chance.randrange(len(data) + 1) for _ in range(6))
        edges = [0, *places, len(data)]
        pieces = [data[a:b] for a, b in zip(edges, edges[1:], strict=False)]  # noqa: RUF007
        _must(feed(start, pieces, None) == whole, "cutting the stream made a difference")
        feed(start, pieces, chance)
        kinds = [str(event[0]) for event in whole[0] if isinstance(event, tuple)]
        fault = re.sub(r"\d+|'.*?'|b\".*?\"", "#", str(whole[0][-1]))
        behaviour.add(f"{start.__name__} {' '.join(kinds[:4])} {fault[:160]}")
    return frozenset(behaviour)


# --- making inputs ---


def seeds() -> dict[str, bytes]:
    """Make one input a method that a client may hear, and some that belong together."""
    made = {"handshake": HANDSHAKE}
    blank = {"o": 1, "h": 1, "l": 1, "q": 1, "b": FALSE, "s": "t", "S": b"PLAIN", "t": {"k": [1]}}
    head = b"\xb0\x80\x04json"
    head += struct.pack(">I", 9) + b"\x01hS\x00\x00\x00\x02hi" + b"\x02\x02id"
    for each in METHODS.values():
        if not each.to_client:
            continue
        values = [blank[kind.value] for name, kind in each.fields if name[:1] != "_"]
        for channel in (0,) if each.name.startswith("connection") else (1, 2, 3):
            data = method(channel, each.name, *values)
            if each.content:
                data += frame(2, channel, struct.pack(">HHQ", 60, 0, 5) + head)
                data += frame(3, channel, b"hel") + frame(3, channel, b"lo")
            made[f"{each.name}-{channel}"] = data
    made["big"] = method(1, "basic.deliver", "t", 1, FALSE, "", "q") + frame(
        2, 1, struct.pack(">HHQ", 60, 0, 2500) + b"\0\0"
    )
    made["big"] += frame(3, 1, bytes(2400)) + frame(3, 1, bytes(100))
    return made


def mend(data: bytes) -> bytes:
    """Cut the bytes into frames again: lengths and end marks are made right."""
    out = b""
    at = 0
    while len(data) - at >= 8:
        kind, channel, size = struct.unpack_from(">BHI", data, at)
        size = min(size, len(data) - at - 8, 4088)
        out += frame(kind if kind in (2, 3, 8) else 1, channel & 3, data[at + 7 : at + 7 + size])
        at += size + 8
    return out


def mutate(pool: list[bytes], chance: random.Random) -> bytes:
    data = bytearray(chance.choice(pool))
    for _ in range(1 + int(chance.expovariate(0.5))):
        at = chance.randrange(len(data) + 1)
        step = chance.randrange(7)
        if step == 0 and data:
            data[at - 1] = chance.choice(MAGIC)
        elif step == 1 and data:
            data[at - 1] ^= 1 << chance.randrange(8)
        elif step == 2:
            del data[at : at + chance.randrange(1, 9)]
        elif step == 3:
            data[at:at] = chance.randbytes(chance.randrange(1, 9))
        elif step == 4:
            data[at:at] = data[at : at + chance.randrange(1, 40)]
        elif step == 5:
            other = chance.choice(pool)
            data[at:] = other[chance.randrange(len(other) + 1) :]
        else:
            data += chance.choice(pool)
    mutated = bytes(data[:12_000])
    return mend(mutated) if chance.random() < 0.5 else mutated


def corpus() -> list[bytes]:
    return [path.read_bytes() for path in sorted(CORPUS.glob("*.bin"))]


def fuzz(seed: int, *, seconds: float = 0.0, runs: int = 0, grow: bool = False) -> str:
    """Fuzz for some seconds, or some runs; return a line on what was done."""
    chance = random.Random(seed)  # noqa: S311 - to repeat, not to hide
    known: set[str] = set()
    pool = corpus() or list(seeds().values())
    for data in pool:
        known |= attempt(data)
    first, ran, began = len(pool), 0, time.monotonic()
    while ran < runs or time.monotonic() - began < seconds:
        data = mutate(pool, chance)
        behaviour = attempt(data)
        ran += 1
        if not behaviour <= known:
            known |= behaviour
            pool.append(data)
            if grow and len(data) < 300:
                keep(data)
    took = time.monotonic() - began
    return (
        f"seed {seed}: {ran} inputs of {first} in the corpus, {took:.0f} s, {len(known)} behaviours"
        f" ({len(pool) - first} inputs found new ones), no failure"
    )


def attempt(data: bytes) -> frozenset[str]:
    try:
        return check(data)
    except BaseException:
        name = hashlib.sha256(data).hexdigest()[:12]
        (Path(tempfile.gettempdir()) / f"amqp091-crash-{name}.bin").write_bytes(data)
        raise


def only_check(data: bytes) -> None:
    """Check an input as atheris asks: it wants nothing back."""
    check(data)


def keep(data: bytes) -> None:
    (CORPUS / f"{hashlib.sha256(data).hexdigest()[:12]}.bin").write_bytes(data)


def led_by_atheris(arguments: list[str]) -> None:
    """Let atheris, where it is installed, follow the coverage of the engine's own functions."""
    atheris = importlib.import_module("atheris")
    for name in ("fields", "methods", "properties", "login", "reception", "connection"):
        module = importlib.import_module(f"bedplate.amqp091.{name}")
        owners = [module, *filter(inspect.isclass, vars(module).values())]
        for owner in owners:
            for each in filter(inspect.isfunction, vars(owner).values()):
                if each.__module__ == module.__name__:
                    atheris.instrument_func(each)
    atheris.Setup([sys.argv[0], *arguments], only_check)
    atheris.Fuzz()


def main() -> None:
    parser = argparse.ArgumentParser(description="Fuzz bedplate.amqp091.")
    parser.add_argument("--seconds", type=float, default=0.0)
    parser.add_argument("--runs", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--grow", action="store_true", help="keep inputs that behave in a new way")
    parser.add_argument("--write-seeds", action="store_true", help="write the first corpus")
    parser.add_argument(
        "--atheris", nargs=argparse.REMAINDER, metavar="ARG", help="let atheris choose the inputs"
    )
    options = parser.parse_args()
    if options.write_seeds:
        CORPUS.mkdir(exist_ok=True)
        for name, data in seeds().items():
            (CORPUS / f"{name}.bin").write_bytes(data)
    elif options.atheris is not None:
        led_by_atheris(options.atheris)
    else:
        line = fuzz(options.seed, seconds=options.seconds, runs=options.runs, grow=options.grow)
        sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    main()
