import inspect
import pickle
import re

import pytest

from bedplate import errors
from bedplate.errors import BedplateError, Finding, InvalidConfig

LEAVES = sorted(
    (
        each
        for _, each in inspect.getmembers(errors, inspect.isclass)
        if issubclass(each, BedplateError)
    ),
    key=lambda each: each.__name__,
)
SAMPLES: dict[str, object] = {
    "float": 1.5,
    "int": 3,
    "tuple[str, ...]": ("a", "b"),
    "tuple[Finding, ...]": (Finding("error", "wrong-type", "It is wrong.", "c.conf:1:1"),),
}


def _spelled(annotation: object) -> str:
    return str(getattr(annotation, "__name__", annotation))


def made(kind: type[BedplateError]) -> BedplateError:
    """Make an error of a class from its signature."""
    if "__init__" not in vars(kind) and kind.__init__ is Exception.__init__:
        return kind("It went wrong.")
    keywords = {
        name: SAMPLES.get(_spelled(parameter.annotation), "x")
        for name, parameter in inspect.signature(kind.__init__).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY and parameter.default is parameter.empty
    }
    return kind(**keywords)


def drawn() -> dict[str, str]:
    """Return the tree in the module's docstring as child and parent."""
    parents: dict[str, str] = {}
    path: list[tuple[int, str]] = [(-1, "")]
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"    ([│├└─ ]*)([A-Z]\w+)", line)
        if match:
            depth = len(match[1])
            path = [each for each in path if each[0] < depth]
            parents[match[2]] = path[-1][1]
            path.append((depth, match[2]))
    return parents


def test_the_drawn_tree_is_the_tree() -> None:
    """The tree in the docstring names every error under its parent, and no other."""
    real = {
        each.__name__: next((base.__name__ for base in each.__bases__ if base in LEAVES), "")
        for each in LEAVES
    }
    assert drawn() == real


def test_codes_are_stable_and_unique() -> None:
    """Every class has a code of its own in lower case, to be matched on."""
    codes = [each.code for each in LEAVES]
    assert len(set(codes)) == len(codes)
    assert [code for code in codes if not re.fullmatch(r"[a-z]+(-[a-z]+)*", code)] == []


@pytest.mark.parametrize("kind", LEAVES, ids=lambda kind: kind.__name__)
def test_an_error_survives_pickle(kind: type[BedplateError]) -> None:
    """An error keeps class, message and attributes through pickle."""
    error = made(kind)
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert (type(again), str(again), vars(again)) == (kind, str(error), vars(error))
    assert again.retryable is error.retryable


@pytest.mark.parametrize("kind", LEAVES, ids=lambda kind: kind.__name__)
def test_a_message_says_something(kind: type[BedplateError]) -> None:
    """A message is never empty and ends as a sentence or a quotation does."""
    assert str(made(kind)).strip()


def test_builtin_families_are_kept() -> None:
    """An expired deadline is a TimeoutError too, and a refused serialisation a TypeError."""
    assert issubclass(errors.DeadlineExceeded, TimeoutError)
    assert issubclass(errors.SecretNotSerialisable, TypeError)


def test_all_findings_are_listed() -> None:
    """The message of an invalid configuration lists every finding with its place."""
    one = Finding("error", "wrong-type", "It is wrong.", "c.conf:1:1")
    two = Finding("error", "missing-required", "It is missing.")
    assert str(InvalidConfig(findings=(one, two))) == (
        "The configuration has 2 problems:\n  c.conf:1:1: It is wrong.\n  It is missing."
    )
    assert "has 1 problem:" in str(InvalidConfig(findings=(one,)))


def test_nobody_there_is_said_in_words_of_what_was_sent() -> None:
    """Calls and casts ask for a server, other messages for a queue or a subscriber."""
    assert str(errors.NoSuchTarget(target="stock")).startswith("Nobody serves stock: ")
    assert str(errors.NoSuchTarget(target="stock", asked="cast")).startswith("Nobody serves stock")
    sent = errors.NoSuchTarget(target="orders", asked="")
    assert str(sent) == (
        "Nothing takes messages for orders: no queue keeps them, nobody is subscribed."
    )
    assert sent.retryable
    assert not errors.NoSuchTarget(target="stock", queued=True).retryable
