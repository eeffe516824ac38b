"""The tree of commands, and what becomes of their results and errors.

A command returns its exit status, or None for 0. A user's mistake becomes a sentence on standard
error, never a traceback. Knows the nouns, nothing of what they do.
"""

import codecs
import errno
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from bedplate import __version__
from bedplate._floor.build import is_compiled
from bedplate.cli.ending import Failed, Misuse, say, sayable
from bedplate.cli.manual import Later, examples
from bedplate.cli.values import write
from bedplate.errors import BedplateError, InvalidUrl

__all__ = ["program", "run"]

_INTERRUPTED = 130
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""Why a file takes no more of what is printed."""


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=examples(
        "bedplate config check inventory.conf --sections inventory.options:ALL",
        "bedplate rpc ping @broker.url stock",
        "bedplate rpc call @broker.url stock reserve item=bolt count=2",
        "bedplate notify tail env:BROKER --event-type 'item.*'",
        "bedplate parked list @broker.url orders",
        "bedplate health probe http://127.0.0.1:8086/readyz",
    ),
)
@click.version_option(
    __version__,
    prog_name="bedplate",
    message=f"%(prog)s %(version)s{' (message path compiled)' if is_compiled() else ''}",
)
def program() -> None:
    """Look after services: their configuration, their messages, their health.

    Exit status: 0 good, 1 findings or failure, 2 wrong use. 'bedplate COMMAND --help' says more.
    """


for _command in (
    Later(
        "bench",
        "bedplate.cli.bench:bench",
        "Measure, on this machine and this broker.",
    ),
    Later(
        "config",
        "bedplate.cli.config:config",
        "Check, show, explain and describe configuration.",
    ),
    Later("demo", "bedplate.cli.demo:demo", "Run a small service here and show what it does."),
    Later("health", "bedplate.cli.health:health", "Ask services how they are."),
    Later("notify", "bedplate.cli.notify:notify", "Send notifications, and watch those of others."),
    Later(
        "parked",
        "bedplate.cli.parked:parked",
        "See, replay and drop messages that could not be handled.",
    ),
    Later("publish", "bedplate.cli.messages:publish", "Send a message to a topic."),
    Later("rpc", "bedplate.cli.rpc:rpc", "Call methods of services, and find who serves them."),
    Later("subscribe", "bedplate.cli.messages:subscribe", "Print the messages sent to a topic."),
):
    program.add_command(_command)


def run(arguments: Sequence[str]) -> int:
    """Run a command and return the exit status, having told the user what went wrong."""
    _have_streams()
    try:
        status = program.main(list(arguments), prog_name="bedplate", standalone_mode=False)
        sys.stdout.flush()
    except (Failed, Misuse) as error:
        say(error.message)
        return error.exit_code
    except click.ClickException as error:
        shown = io.StringIO()
        error.show(shown)
        write(sayable(shown.getvalue().rstrip()), error=True)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _INTERRUPTED
    except BedplateError as error:
        say(str(error))
        return 2 if isinstance(error, InvalidUrl) else 1
    except OSError as error:
        left = isinstance(error, BrokenPipeError)  # whoever read it, having had enough
        if not left and error.errno not in _FULL:
            raise
        # Python would complain once more at exit of what it could not write.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not left:
            say(f"what was to be printed cannot be written: {error.strerror}.")
        return 1
    return status if isinstance(status, int) else 0


def _have_streams() -> None:
    """Let commands print in any encoding, and run where streams are closed.

    What an encoding lacks is spelled out as JSON does, so that JSON stays JSON.
    """
    codecs.register_error("bedplate-spelled", _spelled)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            nowhere = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115 - for ever
            setattr(sys, name, nowhere)
        stream = getattr(sys, name)
        if mode == "w" and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="bedplate-spelled")


def _spelled(error: UnicodeError) -> tuple[str, int]:
    import json

    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs = error.object[error.start : error.end]
    return json.dumps(signs)[1:-1], error.end
