"""Where ``bedplate`` starts: the probe at once, everything else through click.

A probe runs every few seconds on every machine of a fleet, so nothing is imported before it is
known not to be one. Knows the names of the two ways and nothing of the commands.
"""

import atexit
import gc
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

_NEEDED = ("click", "rich")


def main(argv: "Sequence[str] | None" = None) -> int:
    """Run the command line and return its exit status: 0 good, 1 findings or failure, 2 wrong use.

    ``argv`` is what follows the program's name; None means the process's own.
    """
    arguments = sys.argv[1:] if argv is None else list(argv)
    if arguments[:2] == ["health", "probe"]:
        from bedplate.cli import probe

        return probe.main(arguments[2:])
    if argv is None:
        # The process ends with the command. Python would look for cycles among all that was made,
        # which is a sixth of the time of a check.
        atexit.register(gc.freeze)
    try:
        from bedplate.cli import program

        return program.run(arguments)
    except ModuleNotFoundError as error:
        if error.name not in _NEEDED:
            raise
        print(
            f"bedplate: the command line needs {error.name}, which is not installed; "
            "install it with: pip install 'bedplate[cli]'",
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:  # while it was loading; a command that runs has its own way to end
        return 130


if __name__ == "__main__":
    sys.exit(main())
