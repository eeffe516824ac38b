import math
import tomllib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.config.sources.toml import parse
from bedplate.config.tree import Tree
from bedplate.errors import Finding


def read(text: str) -> Tree:
    return parse(text.encode(), "f.toml")


def places(text: str) -> dict[str, list[tuple[int | None, int | None]]]:
    """Return where each option stands, as line and column."""
    return {
        f"{section}.{option}": [(raw.origin.line, raw.origin.column) for raw in raws]
        for section, option, raws in read(text)
    }


def mistakes(text: str | bytes) -> tuple[Finding, ...]:
    found = parse(text.encode() if isinstance(text, str) else text, "f.toml").findings
    assert all(each.severity == "error" for each in found)
    return found


def test_tables_are_sections_and_keys_above_them_default() -> None:
    """The path of a table is its section's name; values keep their types."""
    tree = read('debug = true\n[api]\nworkers = 4\nrate = 0.5\n[api.log]\nto = ["a", "b"]\n')
    assert [(section, option, [raw.value for raw in raws]) for section, option, raws in tree] == [
        ("DEFAULT", "debug", [True]),
        ("api", "workers", [4]),
        ("api", "rate", [0.5]),
        ("api.log", "to", [["a", "b"]]),
    ]


def test_default_may_be_spelled_out() -> None:
    """A table [DEFAULT] and keys above all tables are the same section."""
    assert places("a = 1\n[DEFAULT]\nb = 2\n") == {"DEFAULT.a": [(1, 1)], "DEFAULT.b": [(3, 1)]}


def test_origins_name_file_line_and_column() -> None:
    """A value is found at its key, a table at its bracket, be they indented or not."""
    tree = read("\n[api]\n  workers = 4\n")
    (raw,) = tree.get("api", "workers")
    assert raw.origin == ("file", "f.toml:3:3", "f.toml", 3, 3)
    assert tree.sections["api"].place == "f.toml:2:1"


def test_empty_tables_are_declared() -> None:
    """A section without options was still written."""
    assert list(read("[a]\n[b . 'c']\n").sections) == ["a", "b.c"]


def test_dotted_keys_are_paths() -> None:
    """A dotted key sets an option of the table it leads to, quoted or not."""
    text = 'api.workers = 1\n[x]\na . "b c".\'d\' = 2\n"e.f" = 3\n"t\\u00e9" = 4\n'
    assert places(text) == {
        "api.workers": [(1, 1)],
        "x.a.b c.d": [(3, 1)],
        "x.e.f": [(4, 1)],
        "x.té": [(5, 1)],
    }


def test_a_table_may_be_named_by_nothing() -> None:
    """TOML allows the empty name, and it is not DEFAULT."""
    assert places("''.a = 1\nb.'' = 2\n") == {".a": [(1, 1)], "b.": [(2, 1)]}


def test_an_inline_table_is_a_value() -> None:
    """What stands in braces belongs to one option, so that options can be mappings."""
    (raw,) = read("[api]\nlabels = { a = 1, b.c = [ { d = 2 } ] }\n").get("api", "labels")
    assert raw.value == {"a": 1, "b": {"c": [{"d": 2}]}}


@pytest.mark.parametrize(
    "value",
    [
        '"""\nfake = 1\n[fake]\n"""',
        "'''\nfake = 1\n[[fake]]\n'''",
        '"""a \\""" b = 1\n"""',
        '"""two quotes"""""',
        "'''two quotes'''''",
        '""""one before"""',
        '"""ends with a backslash \\\\"""',
        '""',
        "''",
        "'a # no comment'",
        '"\\" # no comment"',
        "[\n  1, # ] fake = 1\n  2,\n]",
        "[ ']', \"[\", { a = '}' } ]",
        "1979-05-27T07:32:00Z",
        "[]  # note = 1",
        "{}",
    ],
)
def test_nothing_inside_a_value_is_taken_for_a_key(value: str) -> None:
    """Strings, comments and brackets hide what looks like statements."""
    text = f"[s]\nfirst = {value}\nlast = 1\n"
    line = text.count("\n")
    assert places(text) == {"s.first": [(2, 1)], "s.last": [(line, 1)]}
    assert read(text).get("s", "first")[0].value == tomllib.loads(text)["s"]["first"]


def test_carriage_returns_do_not_move_columns() -> None:
    """A file from another system has the same places."""
    text = "a = 1\r\n\r\n[s]\r\n  b = '''x\r\n'''\r\nc = 1\r\n"
    assert places(text) == {"DEFAULT.a": [(1, 1)], "s.b": [(4, 3)], "s.c": [(6, 1)]}


@pytest.mark.parametrize(
    ("text", "line", "column", "part"),
    [
        ("a = \n", 1, 5, "Invalid value"),
        ("[s]\na = 1 b\n", 2, 7, "Expected newline"),
        ("a = 1\na = 2\nb = 3\n", 2, 6, "a second time"),
        ("a = 1\n[s]\nb = 1\n[s]\n", 4, 3, "declared twice"),
        ('a = "\\q"\n', 1, 8, "Unescaped"),
        ("[s", 1, 3, "Expected ']'"),
        ("a = [1,\n", 2, 1, "Invalid value"),
        ("a = {b = 1}\na.c = 1\n", 2, 8, "inline table"),
    ],
)
def test_a_mistake_has_a_place(text: str, line: int, column: int, part: str) -> None:
    """Syntax errors are findings with line and column, also at the very end."""
    (finding,) = mistakes(text)
    assert (finding.severity, finding.code) == ("error", "toml-syntax")
    assert (finding.line, finding.column) == (line, column)
    assert finding.place == f"f.toml:{line}:{column}"
    assert part in finding.message


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"a = '\xff'\n", "not-utf-8"),
        (b"\xef\xbb\xbfa = 1\n", "bom"),
        (b"a = '\0'\n", "nul"),
        (b"a = " + b"9" * 5000, "toml-syntax"),
        (b"a = " + b"[" * 5000 + b"]" * 5000, "toml-syntax"),
    ],
    ids=["latin-1", "bom", "nul", "digits", "nesting"],
)
def test_what_is_no_text_or_absurd_is_refused(data: bytes, code: str) -> None:
    """Encoding, endless numbers and endless nesting are findings, not crashes."""
    assert [finding.code for finding in mistakes(data)] == [code]


def test_arrays_of_tables_are_refused_with_a_sentence() -> None:
    """Sections have names, not numbers; every such header is told."""
    found = mistakes("[a]\nb = 1\n[[peer]]\nhost = 'x'\n[[peer]]\n[peer.more]\nc = 1\n")
    assert [(each.code, each.line, each.column) for each in found] == [
        ("toml-array", 3, 1),
        ("toml-array", 5, 1),
    ]
    assert "[name]" in found[0].message


def kept(text: str) -> dict[str, list[object]]:
    """Return what is read of text with a mistake in it."""
    tree = parse(text.encode("latin-1"), "f.toml")
    assert tree.mistakes
    return {f"{section}.{name}": [raw.value for raw in raws] for section, name, raws in tree}


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("a = 1\nb 3\nc = 4\n[x]\ny = 1", {"DEFAULT.a": [1], "DEFAULT.c": [4], "x.y": [1]}),
        ("a = [1, 2\nb = 3\nc = 4", {"DEFAULT.b": [3], "DEFAULT.c": [4]}),
        ("a = {x = 1\nb = 3", {"DEFAULT.b": [3]}),
        ("a = 1\na = 2\nb = 3", {"DEFAULT.a": [1], "DEFAULT.b": [3]}),
        ("a = 1\nb = [\n 1,\n x,\n]\nc = 1", {"DEFAULT.a": [1], "DEFAULT.c": [1]}),
        ("a = 1\nb = '''\nc = 2\n", {"DEFAULT.a": [1]}),
        ("x = 1\ny = '\xe9'\nz = 1", {"DEFAULT.x": [1], "DEFAULT.z": [1]}),
        ("\xef\xbb\xbfa = 1\n[b]\nc = 2", {"DEFAULT.a": [1], "b.c": [2]}),
        ("[api\nk = 1\n[log]\nz = 1", {"log.z": [1]}),
        ("[a]\nb = 1\n[c]\nd = 1\n[a]\ne = 1\n[f]\ng = 1", {"a.b": [1], "c.d": [1], "f.g": [1]}),
        ("[[p]]\nx = 1\n[p.q]\nz = 1\n[r]\ny = 1\n", {"r.y": [1]}),
        ("a = " + "[" * 5000, {}),
    ],
)
def test_what_stands_around_a_mistake_is_read(text: str, rest: dict[str, list[object]]) -> None:
    """The rest is there to be judged; nothing is read under a header that is wrong."""
    assert kept(text) == rest


def test_mending_has_an_end() -> None:
    """A file of nothing but mistakes is given up, and says its first one only."""
    tree = parse(b"this is no TOML\n" * 1000, "f.toml")
    assert [each.line for each in tree.findings] == [1]
    assert len(tree) == 0


def test_no_finding_repeats_a_value() -> None:
    """A broken line of TOML may hold a secret."""
    for text in ("a = hunter2\n", "a = 'hunter2\n", "a = 'hunter2' hunter2\n", "a = {b = hunter2}"):
        assert "hunter2" not in str(mistakes(text))


# --- laws ---------------------------------------------------------------------------------------


def leaves(value: object, path: str) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}")
    elif value != {}:
        yield path, "nan" if isinstance(value, float) and math.isnan(value) else repr(value)


def all_leaves(tree: Tree) -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    for section, option, raws in tree:
        start = "" if section == "DEFAULT" else f".{section}"
        for raw in raws:
            found.extend(leaves(raw.value, f"{start}.{option}"))
    return sorted(found, key=str)


PIECES = st.one_of(
    st.sampled_from(["a = 1\n", "b = 'x'\n", "c.d = 2\n", "[s]\n", "[t.u]\n", "# e = 1\n", "\n"]),
    st.sampled_from(['f = """', "g = '''", '"""', "'''", '"', "'", "\\", "#", "h = [", "]", ","]),
    st.sampled_from(['"i"', " = ", "{", "}", "j = {", "k=1", " ", "\t", "1", "l", ".", "'m'"]),
)


@given(st.lists(PIECES, max_size=14).map("".join))
def test_no_key_is_lost_or_invented(text: str) -> None:
    """What the reader of the standard library accepts gives the same keys, the rest findings."""
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        (finding,) = mistakes(text)
        assert finding.line is not None
        assert finding.line <= text.count("\n") + 1
    else:
        assert all_leaves(read(text)) == sorted(leaves(values, ""), key=str)


WORDS = st.text("abc _-=[]#'.\\\"\n{},é", max_size=8)
SPACES = st.sampled_from(["", " ", "\t "])


def basic(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def long_basic(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"""\n{escaped}"""'


def long_literal(text: str) -> str:
    return "'''" + text.replace("'", "") + "'''"


SCALARS = st.one_of(
    st.integers(-9, 10**6).map(str),
    st.sampled_from(["true", "0x1F", "1.5e3", "nan", "1979-05-27", "07:32:00", "''"]),
    WORDS.map(basic),
    WORDS.map(long_basic),
    WORDS.map(long_literal),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda each: "[ # ]\n" + ",\n ".join([*each, ""]) + "]"),
        # A line break is not allowed in an inline table, but in the strings in it.
        st.lists(inner.filter(lambda each: "# ]" not in each), max_size=3).map(
            lambda each: "{" + ", ".join(f"k{n} = {v}" for n, v in enumerate(each)) + "}"
        ),
    ),
    max_leaves=4,
)


@st.composite
def written(draw: st.DrawFn) -> tuple[str, list[tuple[str, str, int, int]]]:
    """Write a document down with the places of its keys; every key has a number of its own."""
    text, expected = "", []
    section: tuple[str, ...] = ()
    for number in range(draw(st.integers(0, 8))):
        text += draw(st.sampled_from(["", "\n", "# fake = 1\n", "\t# [fake]\n\n"])) + draw(SPACES)
        parts = draw(st.lists(WORDS, min_size=1, max_size=3))
        # The number comes first, so that no path is another one's beginning.
        names = [f"{number}{part}" for part in parts]
        key = f"{draw(SPACES)}.{draw(SPACES)}".join(basic(name) for name in names)
        line, column = text.count("\n") + 1, len(text) - text.rfind("\n")
        if draw(st.booleans()) and draw(st.booleans()):
            section = tuple(names)
            text += f"[{draw(SPACES)}{key}{draw(SPACES)}]{draw(SPACES)}# note\n"
        else:
            path = (*section, *names)
            expected.append((".".join(path[:-1]) or "DEFAULT", path[-1], line, column))
            text += f"{key}{draw(SPACES)}={draw(SPACES)}{draw(VALUES)}{draw(SPACES)}\n"
    return text, expected


@given(written())
def test_every_key_has_the_place_where_it_stands(
    document: tuple[str, list[tuple[str, str, int, int]]],
) -> None:
    """Lines and columns are those of the key, whatever the values before it look like."""
    text, expected = document
    tree = read(text)
    found = [
        (section, option, raw.origin.line, raw.origin.column)
        for section, option, raws in tree
        for raw in raws
    ]
    assert sorted(found, key=str) == sorted(expected, key=str)
    assert all_leaves(tree) == sorted(leaves(tomllib.loads(text), ""), key=str)
