"""Random names.

By the system's own randomness, as the standard library's ``secrets``, which would bring OpenSSL's
hashes along: three quarters of a megabyte that naming a queue does not need.
"""

import os

__all__ = ["token_hex"]


def token_hex(size: int) -> str:
    """Return ``size`` random bytes as hexadecimal digits."""
    return os.urandom(size).hex()
