"""The one place with state that belongs to the process, and why each piece must.

- the *portal*: one private event loop thread serves all blocking façades of a process;
- *named memory brokers*: two transports of one process meet by name, as two processes meet at a
  broker;
- the *plug-in cache*: scanning installed packages costs tens of milliseconds;
- the *fork hook*: a child must drop, and never touch, what it inherited;
- the *birth*: what was opened before a fork must know that it is in another process now.

What is inherited lives in a `Cell`, emptied in the child after ``os.fork()``. A house test
refuses mutable objects at the top of any other module.
"""

import os
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["Cell", "birth", "cell"]

T = TypeVar("T")


class Cell(Generic[T]):
    """A named slot of this process, filled on first use and empty again in a forked child."""

    __slots__ = ("_lock", "_make", "_value")

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._value: T | None = None

    def get(self) -> T:
        """Return the content, made on first use; safe from any thread."""
        value = self._value
        if value is None:
            with self._lock:
                if self._value is None:
                    self._value = self._make()
                value = self._value
        return value

    def peek(self) -> T | None:
        """Return the content if there is one, without making it."""
        return self._value

    def empty(self) -> None:
        """Forget the content; the next ``get`` makes a new one."""
        with self._lock:
            self._value = None

    def _after_fork(self) -> None:
        # The lock may be held by a thread that does not exist in the child.
        self._lock = threading.Lock()
        self._value = None


_cells: dict[str, Cell[object]] = {}
_cells_lock = threading.Lock()


def cell(name: str, make: Callable[[], T]) -> Cell[T]:
    """Return the process-wide cell of this name, creating it with ``make`` the first time."""
    with _cells_lock:
        found = _cells.get(name)
        if found is None:
            found = _cells[name] = Cell(make)
        return found  # type: ignore[return-value]  # one name, one type: names are literals here


_birth = object()


def birth() -> object:
    """Return what stands for this process: always the same object, and another one in its child.

    ``os.getpid()`` would do and asks the kernel each time, which is felt several times a message.
    Where a process cannot fork there is nothing to tell apart.
    """
    return _birth


def _forget_inherited() -> None:
    global _birth, _cells_lock  # noqa: PLW0603 - the child needs its own, and a lock nobody holds
    _birth = object()
    _cells_lock = threading.Lock()
    for each in _cells.values():
        each._after_fork()  # noqa: SLF001 - the same module


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_inherited)
