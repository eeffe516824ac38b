"""``bedplate demo``: watch a small service, end to end."""

import click

__all__ = ["demo"]


@click.command()
def demo() -> int:
    """Run a small service here and show what it does."""
    from bedplate.demo import main

    return main()
