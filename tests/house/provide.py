"""Installs what tests want beside Python, where this machine lets us: Debian, as root.

Servers, and a C compiler. Elsewhere it says how to get them; the tests that need them are then
reported as not run.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.house.compiled import lacking

PACKAGE = "rabbitmq-server"
TOOLS = ("openssl",)
"""What the tests use beside it: certificates for TLS."""
COMPILING = ("gcc", "libc6-dev", "python3-dev")
POLICY = Path("/usr/sbin/policy-rc.d")


def provide_rabbit() -> None:
    """Make sure that there is a RabbitMQ to start, if that is possible; never fail."""
    if os.environ.get("RABBITMQ_URL") or shutil.which(
        PACKAGE, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin"
    ):
        return
    if not may_install():
        say(
            f"there is no {PACKAGE} here, so the tests that need it will not run; "
            f"on Debian and Ubuntu: sudo apt-get install {PACKAGE}"
        )
        return
    say(f"installing Debian's {PACKAGE} for the tests that need it")
    with services_stay_down():
        installed = apt_get("update") and apt_get(
            "install", "--no-install-recommends", PACKAGE, *TOOLS
        )
    if not installed:
        say(f"{PACKAGE} could not be installed; the tests that need it will not run")


def provide_compiler() -> None:
    """Make sure that the message path can be compiled, if that is possible; never fail."""
    if not lacking() or not may_install():  # who compiles says what is lacking, and how to get it
        return
    say(f"installing Debian's {', '.join(COMPILING)} to compile the message path with")
    if not (apt_get("update") and apt_get("install", "--no-install-recommends", *COMPILING)):
        say("no C compiler could be installed; the message path is not tested as compiled")


def may_install() -> bool:
    """Return whether this machine lets us install Debian's packages."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def apt_get(*arguments: str) -> bool:
    """Run apt-get without questions, and show what it said only where it failed."""
    done = subprocess.run(
        ["apt-get", "-qq", "-y", *arguments],  # noqa: S607 - Debian's own, wherever it is
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.stderr.write(done.stdout[-2000:])
    return done.returncode == 0


@contextmanager
def services_stay_down() -> Iterator[None]:
    """Keep the package from starting a server of its own; the tests start theirs."""
    if POLICY.exists():
        yield  # somebody decides that already
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n", encoding="utf-8")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink(missing_ok=True)


def say(text: str) -> None:
    """Tell the person who runs the tests."""
    print(f"run: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    provide_rabbit()
    provide_compiler()
