"""The tree of commands, and what becomes of their results and errors.

A command returns its exit status, or None for 0. A user's mistake becomes a sentence on standard
error, never a traceback. Knows the nouns, nothing of what they do.
"""

import os
import sys
from collections.abc import Sequence

import click

from bedplate import __version__
from bedplate.cli.bench import bench
from bedplate.cli.config import config
from bedplate.cli.demo import demo
from bedplate.cli.health import health
from bedplate.cli.messages import publish, subscribe
from bedplate.cli.notify import notify
from bedplate.cli.rpc import rpc
from bedplate.cli.schema import COMMANDS
from bedplate.errors import BedplateError

__all__ = ["program", "run"]

_INTERRUPTED = 130


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="bedplate", message="%(prog)s %(version)s")
def program() -> None:
    """Look after services: their configuration, their messages, their health.

    Exit status: 0 good, 1 findings or failure, 2 wrong use.
    """


program.add_command(health)
program.add_command(config)
for command in COMMANDS:
    config.add_command(command)
program.add_command(rpc)
program.add_command(notify)
program.add_command(publish)
program.add_command(subscribe)
program.add_command(demo)
program.add_command(bench)


def run(arguments: Sequence[str]) -> int:
    """Run a command and return the exit status, having told the user what went wrong."""
    try:
        status = program.main(list(arguments), prog_name="bedplate", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _INTERRUPTED
    except BedplateError as error:
        click.echo(f"bedplate: {error}", err=True)
        return 1
    except BrokenPipeError:
        # Whoever read the output has had enough. Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status if isinstance(status, int) else 0
