"""``bedplate bench``: what a call or a configuration costs here, and what it costs others.

Parses, runs the contest, prints. Progress goes to standard error.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bedplate.cli.broker import URL, by_url
from bedplate.errors import BenchFailed

if TYPE_CHECKING:
    from bedplate.bench import Figures

__all__ = ["bench"]


@click.group()
def bench() -> None:
    """Measure, on this machine and this broker."""


@bench.command(
    "rpc",
    epilog=by_url(
        "bedplate bench rpc @broker.url",
        "bedplate bench rpc @broker.url --peers oslo.messaging,aio-pika,aiormq --json",
    ),
)
@URL
@click.option(
    "--calls", type=click.IntRange(1), default=5000, show_default=True, help="How many calls."
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, 10_000),
    default=64,
    show_default=True,
    help="How many of them in flight; 1 makes one after another.",
)
@click.option(
    "--size",
    type=click.IntRange(0, 16_000_000),  # a body has at most 16 MiB
    default=64,
    show_default=True,
    help="Bytes of text that are sent and come back.",
)
@click.option(
    "--peers",
    default="",
    metavar="NAME,…",
    help="Measure these too: oslo.messaging, aio-pika, aiormq. Each is installed once, into an "
    "environment of its own in the user's cache.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a list with an object a contestant.")
def _rpc(url: str, calls: int, concurrency: int, size: int, peers: str, *, as_json: bool) -> int:
    """Measure calls to an echo server over the broker at URL.

    Client and server are processes of their own. Memory, connections and threads are the client's
    (in JSON, server_… are the server's); processor time is that of one call.
    """
    import asyncio
    from dataclasses import asdict

    from bedplate.bench import PEERS, Load, compete, reach

    names = ("bedplate", *_chosen(peers, PEERS))
    asyncio.run(reach(url))
    load = Load(calls=calls, concurrency=concurrency, size=size)
    figures: list[Figures] = []
    failed = False
    for name in names:
        try:
            figures.append(compete(url, load, name, tell=_tell))
        except BenchFailed as error:  # the others are worth knowing all the same
            failed = True
            click.echo(f"bedplate: {error}", err=True)
    if as_json:
        print(json.dumps([asdict(each) for each in figures], indent=2))
    elif figures:
        print("\n".join(_page(figures)))
    return int(failed)


@bench.command("config")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--schema",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What there may be in FILE: what 'oslo-config-generator --format json' wrote.",
)
@click.option(
    "--peers",
    default="",
    metavar="NAME,…",
    help="Measure these too: oslo.config, pydantic-settings, dynaconf, environ-config. Each is "
    "installed once, into an environment of its own in the user's cache.",
)
@click.option(
    "--processes",
    type=click.IntRange(1),
    default=5,
    show_default=True,
    help="How many of each to take the median of; of whole checks, twice as many and one.",
)
@click.option("--json", "as_json", is_flag=True, help="Print an object with both lists of figures.")
def _config(*, file: Path, schema: Path, peers: str, processes: int, as_json: bool) -> int:
    """Measure what it costs to read, load and check FILE.

    With mistakes in it and without. Each library gets the same options and the same values in a
    form that it reads, in processes of its own. With oslo.config among the peers, whole checks are
    compared with its validator's too.
    """
    from dataclasses import asdict

    from bedplate.bench import (
        CONFIG_PEERS,
        Checking,
        Loading,
        compared,
        measure_checking,
        measure_loading,
        trial,
    )

    names = ("bedplate", *_chosen(peers, CONFIG_PEERS))
    loadings: list[Loading] = []
    checkings: tuple[Checking, ...] = ()
    failed = False
    with trial(schema, file) as given:
        for name in names:
            try:
                loadings.append(measure_loading(given, name, tell=_tell, processes=processes))
            except BenchFailed as error:  # the others are worth knowing all the same
                failed = True
                click.echo(f"bedplate: {error}", err=True)
        try:
            checkings = measure_checking(
                given, validator="oslo.config" in names, tell=_tell, runs=2 * processes + 1
            )
        except BenchFailed as error:
            failed = True
            click.echo(f"bedplate: {error}", err=True)
    if as_json:
        taken = {
            "loading": [asdict(each) for each in loadings],
            "checking": [asdict(each) for each in checkings],
        }
        print(json.dumps(taken, indent=2))
    else:
        print(compared(loadings, checkings), end="")
    return int(failed)


def _chosen(peers: str, known: Sequence[str]) -> tuple[str, ...]:
    """Return the peers named, each once. Raises for one that nobody knows."""
    names = tuple(dict.fromkeys(name.strip() for name in peers.split(",") if name.strip()))
    for name in names:
        if name not in known:
            raise click.BadParameter(
                f"there is no peer {name!r}; there are {', '.join(known)}.", param_hint="--peers"
            )
    return names


def _tell(sentence: str) -> None:
    click.echo(sentence, err=True)


def _page(figures: "Sequence[Figures]") -> list[str]:
    """Return the lines of the table, with what each contestant's messages cost it in terms."""
    first = figures[0]
    rows = [
        (
            "",
            "calls/s",
            f"of {first.name}",
            "p50 ms",
            "p99 ms",
            "p99.9 ms",
            "CPU µs client",
            "CPU µs server",
            "MB",
            "connections",
            "threads",
        ),
        *(_row(each, first) for each in figures),
    ]
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    load = f"{first.calls} calls, {first.concurrency} in flight, {first.size} bytes"
    lines = [f"{load}; MB, connections and threads are the client's."]
    for row in rows:
        cells = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        lines.append("  ".join((row[0].ljust(widths[0]), *cells)))
    lines.append("")
    lines += [
        f"{each.name} {each.version}, {each.build}: {each.confirms}; {each.acks}."
        for each in figures
    ]
    return lines


def _row(each: "Figures", first: "Figures") -> tuple[str, ...]:
    """Return a contestant's line; the third cell is its rate as a part of the first one's."""
    return (
        each.name,
        f"{each.calls_per_second:.0f}",
        f"{each.calls_per_second / first.calls_per_second:.2f} x",
        f"{each.p50_ms:.3f}",
        f"{each.p99_ms:.3f}",
        f"{each.p999_ms:.3f}",
        f"{each.client_cpu_us:.0f}",
        f"{each.server_cpu_us:.0f}",
        f"{each.rss_mb:.1f}",
        str(each.connections),
        str(each.threads),
    )
