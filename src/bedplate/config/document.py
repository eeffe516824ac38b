"""A lossless document of oslo.config's INI dialect: every byte kept, every key with its place.

The dialect, as oslo.config's own parser has it:

- a line beginning with ``[`` is a section header, one beginning with ``#`` or ``;`` a comment;
  neither is recognised after white space, and nothing may follow a header or a value;
- any other line is ``key = value`` or ``key: value``, whichever sign comes first; one pair of
  matching quotes around the value is taken off, white space around key and value as well;
- a line beginning with a space or a tab continues the value above it, with a line break between;
  a blank line, a comment or anything else ends the value;
- a key may be repeated, a section may be reopened, a key before any section is an error.

Three differences: a value that is a lone quote sign keeps it (oslo.config makes it empty), a name
of a section holds no brackets, and a NUL is refused. The encoding is UTF-8, always, without a byte
order mark.

Pure: bytes in, a document out. It knows nothing of schemas, and no message of its findings
repeats a value.
"""

import re
from typing import Literal, NamedTuple, Self

from bedplate._floor.secret import MASK
from bedplate.config.tree import Origin, Raw, Tree
from bedplate.errors import Finding

__all__ = ["Document", "Entry", "Header", "Kind", "Line", "decode"]

_LINES = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_UNDECODED = re.compile("[\udc80-\udcff]")
_LIKE_A_KEY = re.compile(r"[ \t]+[A-Za-z_][\w.-]*(?:[ \t]+=(?!=)|=[ \t]*[^\s=])")
_HEADER = re.compile(r"\[([^\[\]]+)\]")
_MOST_ERRORS = 100
_MOST_LINES = 200_000
_BOM = "\ufeff"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")

Kind = Literal["blank", "comment", "header", "key", "more", "broken"]
"""What a physical line is; ``more`` continues a value, ``broken`` is told in a finding."""


class Line(NamedTuple):
    """One physical line: what it is, and its text with its line ending."""

    kind: Kind
    text: str

    def __repr__(self) -> str:
        return f"Line({self.kind})"


class Header(NamedTuple):
    """A section header and the line (from 1) where it stands."""

    section: str
    line: int


class Entry(NamedTuple):
    """One value of one key. Its printed form never shows the value.

    ``line`` and ``column`` (from 1, the column in characters) say where the key stands,
    ``height`` how many physical lines the entry takes.
    """

    section: str
    key: str
    value: str
    line: int
    column: int
    height: int

    def __repr__(self) -> str:
        return f"Entry([{self.section}] {self.key} = {MASK}, line {self.line})"


class Document:
    """A file of configuration as it was written.

    ``lines`` are all physical lines, ``headers`` and ``entries`` what they mean, in order;
    ``findings`` what is wrong (severity ``error``: such a file must not be used) or looks like a
    mistake (``warning``). ``bytes(document)`` are the bytes it was parsed from. Of a file that is
    no configuration at all the rest, after a hundred errors or 200 000 lines, is one broken line.
    """

    __slots__ = ("entries", "findings", "headers", "lines", "name")

    def __init__(
        self,
        name: str,
        lines: tuple[Line, ...],
        headers: tuple[Header, ...],
        entries: tuple[Entry, ...],
        findings: tuple[Finding, ...],
    ) -> None:
        self.name = name
        self.lines = lines
        self.headers = headers
        self.entries = entries
        self.findings = findings

    @classmethod
    def parse(cls, data: bytes, name: str) -> Self:
        """Read any bytes at all; never raises. ``name`` is how findings and origins call them."""
        text, findings = decode(data, name)
        reading = _Reading(name, findings)
        if data.startswith(_UTF16_MARKS) or len({each.code for each in findings} - {"bom"}) > 1:
            # Another encoding, or no text at all: its lines would only be so many errors.
            reading.skip(text)
        else:
            reading.read(text)
        return cls(
            name,
            tuple(reading.lines),
            tuple(reading.headers),
            tuple(reading.entries),
            tuple(reading.findings),
        )

    def tree(self) -> Tree:
        """Return its values with their origins, and all findings.

        What holds bytes that are not UTF-8 is left out: it is reported, and cannot be printed.
        """
        name = self.name
        tree = Tree(findings=self.findings)
        damaged = any(finding.code == "not-utf-8" for finding in self.findings)
        for section, line in self.headers:
            if damaged and _UNDECODED.search(section):
                continue
            tree.declare(section, Origin("file", f"{name}:{line}:1", name, line, 1))
        for section, key, value, line, column, _ in self.entries:
            if damaged and _UNDECODED.search(f"{section}{key}{value}"):
                continue
            origin = Origin("file", f"{name}:{line}:{column}", name, line, column)
            tree.add(section, key, Raw(value, origin))
        return tree

    def __bytes__(self) -> bytes:
        return "".join([line.text for line in self.lines]).encode("utf-8", "surrogateescape")

    def __repr__(self) -> str:
        return f"Document({self.name!r}, {len(self.entries)} values, {len(self.lines)} lines)"


def decode(data: bytes, name: str) -> tuple[str, tuple[Finding, ...]]:
    """Read bytes as UTF-8, with an error finding for each way in which they are not plain text.

    Bytes that are not UTF-8 become lone surrogates (``surrogateescape``), so that the text can be
    turned back. The checks are: the first byte that is not UTF-8, a byte order mark, the first
    NUL. ``name`` is how the findings call the file.
    """
    text = data.decode("utf-8", "surrogateescape")
    findings: list[Finding] = []
    if text.startswith(_BOM):
        why = "The file begins with a byte order mark; save it as UTF-8 without one."
        findings.append(_at(name, 1, 1, "bom", why))
    bad = None if text.isascii() else _UNDECODED.search(text)
    if bad is not None:
        why = "The file is not UTF-8 from here on; save it as UTF-8."
        if data.startswith(_UTF16_MARKS):
            why = "The file looks like UTF-16; save it as UTF-8 without a byte order mark."
        findings.append(_at(name, *_position(text, bad.start()), "not-utf-8", why))
    nul = text.find("\0")
    if nul >= 0 and not data.startswith(_UTF16_MARKS):
        why = "There is a NUL character; this is not a text file, or it is damaged."
        findings.append(_at(name, *_position(text, nul), "nul", why))
    return text, tuple(findings)


def _position(text: str, index: int) -> tuple[int, int]:
    before = _LINES.findall(text[:index])
    if not before or before[-1].endswith(("\r", "\n")):
        return len(before) + 1, 1
    return len(before), len(before[-1]) + 1


def _at(
    name: str,
    line: int,
    column: int,
    code: str,
    message: str,
    severity: str = "error",
    section: str | None = None,
) -> Finding:
    place = f"{name}:{line}:{column}"
    return Finding(severity, code, message, place, name, line, column, section)


class _Reading:
    """The automaton: fed line by line, it knows the section and the value that are open."""

    __slots__ = (
        "entries",
        "errors",
        "findings",
        "headers",
        "key",
        "key_line",
        "lines",
        "lost",
        "name",
        "section",
        "value",
    )

    def __init__(self, name: str, findings: tuple[Finding, ...]) -> None:
        self.name = name
        self.findings = list(findings)
        self.errors = 0
        self.lines: list[Line] = []
        self.headers: list[Header] = []
        self.entries: list[Entry] = []
        self.section: str | None = None
        # After a header that cannot be read nobody knows where its keys belong: they are dropped
        # without a word each, the header's own finding says it.
        self.lost = False
        self.key: str | None = None
        self.key_line = 0
        self.value: list[str] = []

    def read(self, text: str) -> None:
        """Read line by line, until the end or until it is clear that this is something else."""
        for match in _LINES.finditer(text):
            self.feed(match[0])
            too_much = self.errors >= _MOST_ERRORS or len(self.lines) >= _MOST_LINES
            if too_much and match.end() < len(text):
                self.end_value()
                self.section = None  # whatever follows may belong anywhere
                self._report("too-many-errors", "The rest is not read; is this configuration?")
                self.skip(text[match.end() :])
                break
        self.end_value()

    def skip(self, text: str) -> None:
        """Keep text without looking for anything in it."""
        self.lines.append(Line("broken", text))

    def feed(self, text: str) -> None:
        """Take one line, with its ending."""
        line = text.rstrip()
        if not self.lines and line.startswith(_BOM):
            line = line[1:]
        if not line:
            kind = self._blank()
        elif line[0] in " \t":
            kind = self._more(line)
        else:
            self.end_value()
            if line[0] == "[":
                kind = self._header(line)
            elif line[0] in "#;":
                kind = "comment"
            else:
                kind = self._assignment(line)
        self.lines.append(Line(kind, text))

    def end_value(self) -> None:
        """Finish the open value, if any."""
        key = self.key
        if key is None:
            return
        value = self.value[0] if len(self.value) == 1 else "\n".join(self.value)
        if self.section is not None:
            self.entries.append(Entry(self.section, key, value, self.key_line, 1, len(self.value)))
        self.key = None

    def _report(self, code: str, message: str, *, column: int = 1, severity: str = "error") -> None:
        self.errors += severity == "error"
        number = len(self.lines) + 1
        self.findings.append(_at(self.name, number, column, code, message, severity, self.section))

    def _blank(self) -> Kind:
        self.end_value()
        return "blank"

    def _more(self, line: str) -> Kind:
        content = line.lstrip()
        column = len(line) - len(content) + 1
        if self.key is None:
            self._report(
                "stray-continuation",
                "An indented line continues a value, but there is none above it; "
                "remove the indentation.",
                column=column,
            )
            return "broken"
        if _LIKE_A_KEY.match(line):
            self._report(
                "indented-key",
                f"This line looks like an option, but being indented it continues the value "
                f"that begins in line {self.key_line}; remove the indentation to set an option.",
                column=column,
                severity="warning",
            )
        self.value.append(content)
        return "more"

    def _header(self, line: str) -> Kind:
        match = _HEADER.match(line)
        if match is not None and match.end() == len(line):
            self.section = match[1]
            self.headers.append(Header(match[1], len(self.lines) + 1))
            return "header"
        if match is not None:
            # The name is plain, only what follows it is wrong: judge its keys all the same.
            self.section = match[1]
            self._report(
                "bad-section",
                "Nothing may follow the closing bracket of a section; "
                "put the comment on a line of its own.",
                column=match.end() + 1,
            )
            return "broken"
        self.section, self.lost = None, True
        self._report(
            "bad-section",
            "A section header is a name in one pair of square brackets, such as [api].",
        )
        return "broken"

    def _assignment(self, line: str) -> Kind:
        equal, colon = line.find("="), line.find(":")
        sign = equal if colon < 0 or 0 <= equal < colon else colon
        if sign < 0:
            self._report(
                "no-equals",
                "This is neither a section, a comment nor 'key = value'; "
                "indent it if it continues the value above.",
            )
            return "broken"
        key = line[:sign].strip()
        if not key:
            self._report("no-key", "There is no option name before the sign; write 'key = value'.")
            return "broken"
        if self.section is None and not self.lost:
            self._report(
                "no-section",
                "This option stands before any section; put a line [DEFAULT] above it.",
            )
        value = line[sign + 1 :].strip()
        if len(value) > 1 and value[0] in "\"'" and value[0] == value[-1]:
            value = value[1:-1]
        self.key, self.key_line, self.value = key, len(self.lines) + 1, [value]
        return "key"
