"""Random names and chances, for who needs one now and then.

By the system's own randomness. The standard library's ``secrets`` and ``random`` would bring hashes
and distributions along: a megabyte, which naming a queue or spreading retries does not need.
"""

import os

__all__ = ["chance", "token_hex"]


def token_hex(size: int) -> str:
    """Return ``size`` random bytes as hexadecimal digits."""
    return os.urandom(size).hex()


def chance() -> float:
    """Return a number from 0 up to 1, any of them as likely as another."""
    return (int.from_bytes(os.urandom(7)) >> 3) / (1 << 53)
