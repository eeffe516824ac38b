"""What an application gives a server to serve, and where its methods are found. Values only."""

from msgspec import Struct

__all__ = ["Endpoint"]


class Endpoint(Struct, frozen=True, kw_only=True):
    """An object whose public methods are served, in a namespace and a version.

    ``version`` is ``major.minor``: requests of the same major and at most this minor are served.
    What is left out is taken from the object's `Interface`, where it has one.
    """

    handler: object
    namespace: str | None = None
    version: str | None = None
