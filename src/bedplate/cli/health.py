"""``bedplate health``: where help lists the probe, which `bedplate.cli.__main__` runs by itself."""

import click

__all__ = ["health"]


@click.group()
def health() -> None:
    """Ask services how they are."""


@health.command(
    "probe",
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def _probe(arguments: tuple[str, ...]) -> int:
    """Ask one service over HTTP or a socket; made for orchestrators."""
    from bedplate.cli import probe

    return probe.main(list(arguments))
