import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.config.document import Document, Entry, decode
from bedplate.errors import Finding

DATA = Path(__file__).parents[2] / "data" / "openstack"


def parse(text: str) -> Document:
    return Document.parse(text.encode(), "f.conf")


def values(text: str) -> list[tuple[str, str, str]]:
    document = parse(text)
    assert document.findings == ()
    return [(entry.section, entry.key, entry.value) for entry in document.entries]


def findings(data: str | bytes) -> list[tuple[str, int | None, int | None]]:
    document = Document.parse(data.encode() if isinstance(data, str) else data, "f.conf")
    return [(finding.code, finding.line, finding.column) for finding in document.findings]


# --- the dialect --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        ("key = value", "key", "value"),
        ("key=value", "key", "value"),
        ("key : value", "key", "value"),
        ("url = http://host:80", "url", "http://host:80"),
        ("url: a=b", "url", "a=b"),
        ("key =", "key", ""),
        ("key = value   \t", "key", "value"),
        ("a key = value", "a key", "value"),
        ("key = value # no comment", "key", "value # no comment"),
        ("key = value ; none either", "key", "value ; none either"),
        ("key = ' padded '", "key", " padded "),
        ('key = "quoted"', "key", "quoted"),
        ("key = ''", "key", ""),
        ("key = ''twice''", "key", "'twice'"),
        ("key = 'mixed\"", "key", "'mixed\""),
        ("key = '", "key", "'"),
        ("key = 'a' and 'b'", "key", "a' and 'b"),
    ],
)
def test_a_line_is_a_key_and_a_value(line: str, key: str, value: str) -> None:
    """The first sign splits, white space and one pair of quotes go, everything else stays."""
    assert values(f"[s]\n{line}\n") == [("s", key, value)]


def test_indented_lines_continue_a_value() -> None:
    """Continuations are joined by line breaks, whatever comment sign they begin with."""
    text = "[s]\nkey = a\n  b\n\t# c\nother = 1\n"
    assert values(text) == [("s", "key", "a\nb\n# c"), ("s", "other", "1")]


def test_quotes_are_taken_off_the_first_line_alone() -> None:
    """A pair of quotes is looked for within one line, as oslo.config does."""
    assert values("[s]\nkey = 'a'\n 'b'\n") == [("s", "key", "a\n'b'")]
    assert values("[s]\nkey = 'a\n b'\n") == [("s", "key", "'a\nb'")]


@pytest.mark.parametrize("between", ["", "   ", "# note", "; note", "[t]"])
def test_a_value_ends_at_anything_that_is_not_indented(between: str) -> None:
    """After a blank line, a comment or a header an indented line continues nothing."""
    assert findings(f"[s]\nkey = a\n{between}\n  b\n") == [("stray-continuation", 4, 3)]


def test_keys_repeat_and_sections_are_reopened() -> None:
    """Every value is kept, in the order of the file."""
    text = "[s]\nk = 1\n[t]\nk = 2\n[s]\nk = 3\nk = 4\n"
    assert values(text) == [("s", "k", "1"), ("t", "k", "2"), ("s", "k", "3"), ("s", "k", "4")]
    assert [raw.value for raw in parse(text).tree().get("s", "k")] == ["1", "3", "4"]


def test_names_are_taken_exactly() -> None:
    """DEFAULT, default and names with spaces or dots are four sections."""
    text = "[DEFAULT]\n[default]\n[ a ]\n[glance.store.s3.Store]\n"
    sections = list(parse(text).tree().sections)
    assert sections == ["DEFAULT", "default", " a ", "glance.store.s3.Store"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_each_line_ending_is_understood(end: str) -> None:
    """Files from other systems have the same values at the same lines."""
    document = parse(end.join(["[s]", "k = 1", "  2", "", "l = 3"]))
    assert document.entries == (Entry("s", "k", "1\n2", 2, 1, 2), Entry("s", "l", "3", 5, 1, 1))


def test_only_line_endings_end_lines() -> None:
    """Characters that some readers take for line breaks are part of a value."""
    assert values("[s]\nk = a\x0bb\x1cc\x85d\u2028e\n") == [("s", "k", "a\x0bb\x1cc\x85d\u2028e")]


def test_values_and_sections_have_their_origin() -> None:
    """A tree knows file, line and column of each value and of each header."""
    tree = parse("# note\n[s]\n\nkey = 1\n[empty]\n").tree()
    (raw,) = tree.get("s", "key")
    assert raw.origin == ("file", "f.conf:4:1", "f.conf", 4, 1)
    assert tree.sections["s"] == ("file", "f.conf:2:1", "f.conf", 2, 1)
    assert tree.sections["empty"].place == "f.conf:5:1"


def test_a_file_of_a_real_service_is_read_whole() -> None:
    """A file of nova with everything set: every option, no finding, the same bytes."""
    data = (DATA / "nova.full.conf").read_bytes()
    document = Document.parse(data, "nova.conf")
    assert document.findings == ()
    assert bytes(document) == data
    assert len(document.entries) == 611
    assert len(document.tree().sections) == 62


# --- mistakes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[s]\nnonsense\n", ("no-equals", 2, 1)),
        ("[s]\n = value\n", ("stray-continuation", 2, 2)),
        ("[s]\n= value\n", ("no-key", 2, 1)),
        ("[s]\n=a:b\n", ("no-key", 2, 1)),
        ("[s]\n:a=b\n", ("no-key", 2, 1)),
        ("key = 1\n", ("no-section", 1, 1)),
        ("[s\n", ("bad-section", 1, 1)),
        ("[]\n", ("bad-section", 1, 1)),
        ("[s] # note\n", ("bad-section", 1, 4)),
        ("[s]]\n", ("bad-section", 1, 4)),
        ("[[s]]\n", ("bad-section", 1, 1)),
        ("[s]\nk = 1\n\n  more\n", ("stray-continuation", 4, 3)),
        ("[s]\nk = \0\n", ("nul", 2, 5)),
        ("\ufeff[s]\nk = 1\n", ("bom", 1, 1)),
        (b"[s]\r\nk = caf\xc3\xa9 \xe9\n", ("not-utf-8", 2, 10)),
        (b"[s]\nk = \xed\xa0\x80\n", ("not-utf-8", 2, 5)),
        ("[s]\nk = 1\n".encode("utf-16"), ("not-utf-8", 1, 1)),
    ],
)
def test_a_mistake_is_found_at_its_place(text: str | bytes, expected: tuple[str, int, int]) -> None:
    """Each mistake is an error with a code of its own, its line and its column."""
    assert findings(text) == [expected]
    data = text.encode() if isinstance(text, str) else text
    (finding,) = Document.parse(data, "f.conf").findings
    assert finding.severity == "error"
    assert finding.place == f"f.conf:{expected[1]}:{expected[2]}"


def test_a_nul_is_found_at_the_very_beginning() -> None:
    """The first character is a place like any other."""
    assert findings("\0")[0] == ("nul", 1, 1)


def test_all_mistakes_are_found_at_once() -> None:
    """A file is corrected in one go."""
    text = "lost = 1\n[a\nin = nowhere\n[b] ; note\nnonsense\n[c]\nk = 1\n"
    assert findings(text) == [
        ("no-section", 1, 1),
        ("bad-section", 2, 1),
        ("bad-section", 4, 4),
        ("no-equals", 5, 1),
    ]


def test_what_can_be_known_of_a_broken_file_is_known() -> None:
    """Keys keep the section whose name is plain, and keys of nobody knows which are dropped."""
    text = "lost = 1\n[a\nin = nowhere\n[b] ; note\nk = 2\n"
    assert [tuple(entry)[:3] for entry in parse(text).entries] == [("b", "k", "2")]


@pytest.mark.parametrize(
    "line", ["  other = 1", "\tother=1", " other =", " rpc.other-name = 1", "  other = = "]
)
def test_an_indented_key_is_a_warning(line: str) -> None:
    """What looks like an option and is swallowed into the value above is not so in silence."""
    document = parse(f"[s]\nkey = a\n{line}\n")
    (finding,) = document.findings
    assert (finding.severity, finding.code, finding.line) == ("warning", "indented-key", 3)
    assert finding.column == len(line) - len(line.lstrip()) + 1
    assert "line 2" in finding.message
    assert document.tree().findings == document.findings
    assert document.entries[0].value == f"a\n{line.strip()}"


@pytest.mark.parametrize(
    "line", ["  http://host:80", "  a:1,b:2", "  YWJjZA==", "  x == y", "  two words = 1", "  = 1"]
)
def test_a_continuation_that_looks_like_no_key_is_no_warning(line: str) -> None:
    """Lists, URLs and base64 are continued over lines every day."""
    assert findings(f"[s]\nkey = a\n{line}\n") == []


def test_a_file_that_is_no_configuration_gives_a_bounded_report() -> None:
    """A log file by mistake is told in a hundred findings, not in ten thousand."""
    data = b"nonsense\n" * 10_000
    document = Document.parse(data, "f.conf")
    assert len(document.findings) == 101
    assert document.findings[-1].code == "too-many-errors"
    assert document.findings[-1].line == 101
    assert bytes(document) == data
    assert len(document.lines) == 101


def test_a_hundred_errors_and_no_more_are_told_alone() -> None:
    """The report ends with the file, if both have the same length."""
    assert {finding.code for finding in parse("nonsense\n" * 100).findings} == {"no-equals"}


def test_warnings_never_make_a_file_unreadable() -> None:
    """A long value full of what looks like keys is odd in each line, and still a value."""
    document = parse("[s]\nscript =\n" + "  a = 1\n" * 200 + "\nlast = 1\n")
    assert [finding.severity for finding in document.findings] == ["warning"] * 200
    assert document.entries[-1].key == "last"


def test_no_message_or_printed_form_repeats_a_value() -> None:
    """Findings go to logs and terminals; the values of a broken file may be secrets."""
    text = "k = hunter2\nhunter2\n[a] hunter2\nb = hunter2\n  c = hunter2\n\n  hunter2\n= hunter2\n"
    document = parse(text)
    assert len(document.findings) == 6
    printed = f"{document!r} {document.lines!r} {document.entries!r} {document.findings!r}"
    assert "hunter2" not in printed


def test_decoding_keeps_bytes_that_are_not_text() -> None:
    """Text with a finding can still be turned back into its bytes."""
    text, found = decode(b"a\xff\n", "f.conf")
    assert text.encode("utf-8", "surrogateescape") == b"a\xff\n"
    assert [(each.code, each.line, each.column) for each in found] == [("not-utf-8", 1, 2)]


# --- laws ---------------------------------------------------------------------------------------

PIECES = st.one_of(
    st.sampled_from(["[s]", "[", "]", "key", "=", ":", " ", "\t", "#", ";", "'", '"']),
    st.sampled_from(["\n", "\r\n", "\r", "  more", "k = v\n", "[DEFAULT]\n"]),
    st.sampled_from(["\0", "\ufeff", "é", "\x85", "\u2028", "𐀀"]),
)
INI_LIKE = st.lists(PIECES, max_size=40).map(lambda pieces: "".join(pieces).encode())
BROKEN = st.tuples(INI_LIKE, st.sampled_from([b"\xff", b"\xed\xa0\x80", b"\xc3"]), INI_LIKE)


UTF16 = st.text(max_size=8).map(lambda text: text.encode("utf-16", "surrogatepass"))


@given(st.one_of(st.binary(), INI_LIKE, BROKEN.map(b"".join), UTF16))
def test_any_bytes_come_back_as_they_were(data: bytes) -> None:
    """Reading never fails, loses nothing, and every place it tells is inside the file."""
    document = Document.parse(data, "f.conf")
    assert bytes(document) == data
    assert "".join(line.text for line in document.lines) == data.decode("utf-8", "surrogateescape")
    for finding in document.findings:
        _assert_inside(document, finding)
    for entry in document.entries:
        kinds = [line.kind for line in document.lines[entry.line - 1 :][: entry.height]]
        assert kinds == ["key"] + ["more"] * (entry.height - 1)
    keys = sum(line.kind == "key" for line in document.lines)
    assert len(document.entries) <= keys
    if not document.findings:
        assert len(document.entries) == keys


def _assert_inside(document: Document, finding: Finding) -> None:
    assert finding.line is not None
    assert finding.column is not None
    # The file's own lines: what is no text at all is kept as one.
    text = "".join(line.text for line in document.lines)
    lines = re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+", text)
    assert 1 <= finding.line <= len(lines)
    assert 1 <= finding.column <= len(lines[finding.line - 1]) + 1


NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9_.-]{0,8}", fullmatch=True)
TEXTS = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Z"), exclude_characters="'\"\ufeff"),
    min_size=1,
    max_size=12,
)
DECOR = st.sampled_from(["", "# note = 1\n", "; note\n", "\n", "\t \n", "# [s]\n\n"])


@st.composite
def written(draw: st.DrawFn) -> tuple[str, list[tuple[str, str, str, int]]]:
    """Write a document down with its values and the lines where they stand."""
    text, expected = "", []
    for section in draw(st.lists(NAMES, max_size=4)):
        text += draw(DECOR) + f"[{section}]\n"
        for key in draw(st.lists(NAMES, max_size=4)):
            text += draw(DECOR)
            lines = draw(st.lists(TEXTS, min_size=1, max_size=3))
            sign = draw(st.sampled_from([" = ", "=", ":", ": "]))
            quote = draw(st.sampled_from(["", "'", '"']))
            expected.append((section, key, "\n".join(lines), text.count("\n") + 1))
            text += f"{key}{sign}{quote}{lines[0]}{quote}\n"
            text += "".join(f"  {line}\n" for line in lines[1:])
    return text, expected


@given(written(), st.sampled_from(["\n", "\r\n", "\r"]))
def test_what_is_written_is_read(
    document: tuple[str, list[tuple[str, str, str, int]]], end: str
) -> None:
    """Every value comes out under its section and key, at the line where it was put."""
    text, expected = document
    read = parse(text.replace("\n", end))
    assert [finding for finding in read.findings if finding.severity == "error"] == []
    assert [(each.section, each.key, each.value, each.line) for each in read.entries] == expected
