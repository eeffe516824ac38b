import os
import threading

import pytest

from bedplate._floor.process import Cell, birth, cell


def test_a_cell_is_filled_on_first_use() -> None:
    """Nothing is made before it is asked for, and then once."""
    made: list[int] = []

    def make() -> int:
        made.append(1)
        return 7

    one = Cell(make)
    assert one.peek() is None
    assert (one.get(), one.get(), one.peek(), made) == (7, 7, 7, [1])


def test_an_emptied_cell_makes_its_content_anew() -> None:
    """After empty() the next get() makes a new content."""
    numbers = iter(range(1, 9))
    one = Cell(lambda: next(numbers))
    assert one.get() == 1
    one.empty()
    assert one.peek() is None
    assert one.get() == 2


def test_a_name_means_one_cell() -> None:
    """The same name gives the same cell; the first maker counts."""
    one = cell("tests: one name", lambda: ["first"])
    other = cell("tests: one name", lambda: ["second"])
    assert one is other
    assert other.get() == ["first"]


def test_threads_share_one_content() -> None:
    """However many threads ask at once, the content is made once."""
    start, made = threading.Barrier(8), []

    def make() -> object:
        made.append(1)
        return object()

    one, seen = Cell(make), []

    def ask() -> None:
        start.wait()
        seen.append(one.get())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == len(set(map(id, seen))) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_starts_empty() -> None:
    """A child of fork() finds cells empty and unlocked, even if a thread held the lock."""
    one = cell("tests: forked", lambda: "inherited")
    assert one.get() == "inherited"
    reading, writing = os.pipe()
    with one._lock:
        child = os.fork()
        if child == 0:  # pragma: no cover - runs in the child, which must not return
            try:
                os.write(writing, b"empty" if one.peek() is None else b"full")
                one.get()
                os.write(writing, b" and usable")
            finally:
                os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        assert pipe.read() == b"empty and usable"
    assert one.get() == "inherited"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_has_a_birth_of_its_own() -> None:
    """What remembers its process's birth can tell that it was inherited."""
    mine = birth()
    child = os.fork()
    if child == 0:
        os._exit(0 if birth() is not mine and birth() is birth() else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert birth() is mine
