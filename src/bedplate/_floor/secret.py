"""Values that must not be seen: ``Secret`` masks every printed form and refuses to be written.

Knows nothing of where secrets come from.
"""

from typing import Generic, NoReturn, TypeVar, final

from bedplate.errors import SecretNotSerialisable

__all__ = ["MASK", "Secret"]

MASK = "****"

T_co = TypeVar("T_co", covariant=True)


@final
class Secret(Generic[T_co]):
    """A value that shows itself only through ``reveal()``.

    Every printed form is ``****``. pickle, json and msgspec refuse it (the first with
    `SecretNotSerialisable`, the others with their own TypeError). Two secrets compare in constant
    time when they hold text or bytes. It has no length, no text methods and no truth value of its
    content: a Secret is always true.
    """

    __slots__ = ("__value",)

    def __init__(self, value: T_co) -> None:
        self.__value = value

    def reveal(self) -> T_co:
        """Return the value itself: the one place to search for when auditing a program."""
        return self.__value

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        from hmac import compare_digest  # 3 ms of a start that few programs need

        mine, theirs = self.__value, other.reveal()
        if isinstance(mine, str) and isinstance(theirs, str):
            return compare_digest(_octets(mine), _octets(theirs))
        if isinstance(mine, bytes) and isinstance(theirs, bytes):
            return compare_digest(mine, theirs)
        return bool(mine == theirs)

    def __hash__(self) -> int:
        return hash((Secret, self.__value))

    def __repr__(self) -> str:
        return MASK

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __copy__(self) -> "Secret[T_co]":
        return self

    def __deepcopy__(self, memo: object) -> "Secret[T_co]":
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise SecretNotSerialisable(how="pickle")


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
