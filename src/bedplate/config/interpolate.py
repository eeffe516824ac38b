r"""Text that refers to other options: ``$name``, ``${name}``, ``$section.name``, ``\$`` and ``$$``.

As in oslo.config: a bare name is looked up in the section it is written in, then in DEFAULT; a
dollar that begins none of these stands for itself. Unlike there, an unknown name and a circle are
told as what they are, at the option that holds them, and what refers to a secret is known to.

Pure: it asks a function for texts, and knows nothing of types, sources or schemas. No message
holds a value.
"""

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from bedplate.config.names import DEFAULT

__all__ = ["BadReference", "Name", "Reference", "Resolved", "Resolver", "parse"]

_DOLLAR = re.compile(
    r"(?P<escaped>\$\$|\\\$)"
    r"|\$\{(?P<braced>[A-Za-z_][\w.-]*)\}"
    r"|\$(?P<plain>[A-Za-z_]\w*(?:\.\w+)*)"
)
_DEEPEST = 100
_LONGEST = 1 << 20

Name = tuple[str, str]
"""Section and name of an option."""


class BadReference(ValueError):
    """A text refers to what it cannot have.

    ``why`` continues a sentence that begins with the option. It names what stands behind the
    dollar; ``discreet`` says the same without, for a secret. ``among`` are the options that are
    wrong: not always the one that was asked for. ``missing`` is the name that nobody has, if that
    is the matter.
    """

    def __init__(self, why: str, discreet: str, among: Iterable[Name], missing: str = "") -> None:
        self.why, self.discreet, self.among = why, discreet, frozenset(among)
        self.missing = missing
        super().__init__(why)


class Reference(NamedTuple):
    """A name in a text, as it is written: ``state_path``, or ``section.name``."""

    name: str
    braced: bool


class Resolved(NamedTuple):
    """A text with everything put in, and the options it was put together from, near and far.

    ``text`` is None where one of these has no text to be put in: its value is not known here.
    """

    text: str | None
    uses: frozenset[Name]


def parse(text: str) -> tuple[str | Reference, ...]:
    """Take a text apart into what stands for itself, escapes replaced, and references."""
    parts: list[str | Reference] = []
    end = 0
    for match in _DOLLAR.finditer(text):
        parts.append(text[end : match.start()])
        end = match.end()
        if match["escaped"]:
            parts.append("$")
        else:
            parts.append(Reference(match["braced"] or match["plain"], match["braced"] is not None))
    parts.append(text[end:])
    return tuple(part for part in parts if part)


class Resolver:
    """Puts texts together, each once.

    ``known`` tells which option there is of this section and name: the same, or the one whose old
    name it is; None if there is none. ``text_of`` gives what is written for it, or its default,
    before anything is put in, with whether references in it count; None where its text is not
    known.
    """

    __slots__ = ("_done", "_known", "_open", "_text_of")

    def __init__(
        self,
        known: Callable[[str, str], Name | None],
        text_of: Callable[[str, str], tuple[str, bool] | None],
    ) -> None:
        self._known = known
        self._text_of = text_of
        self._done: dict[Name, Resolved] = {}
        self._open: list[Name] = []

    def resolve(self, text: str, section: str, option: str) -> Resolved:
        """Put everything into a text that is written for this option.

        Raises `BadReference` for a name that nobody has, a circle, and a text without end.
        """
        name = (section, option)
        self._open.append(name)
        try:
            return self._put_in(text, section)
        finally:
            self._open.pop()

    def _put_in(self, text: str, section: str) -> Resolved:
        pieces: list[str | None] = []
        uses: set[Name] = set()
        for part in parse(text):
            if isinstance(part, str):
                pieces.append(part)
                continue
            target = self._target(part, section)
            resolved = self._value(target)
            pieces.append(resolved.text)
            uses |= {target, *resolved.uses}
        if None in pieces:
            return Resolved(None, frozenset(uses))
        whole = "".join(filter(None, pieces))
        if len(whole) > _LONGEST:
            why = "becomes longer than 1 MiB with what it refers to put in"
            raise BadReference(why, why, self._open[-1:])
        return Resolved(whole, frozenset(uses))

    def _value(self, name: Name) -> Resolved:
        done = self._done.get(name)
        if done is not None:
            return done
        if name in self._open or len(self._open) > _DEEPEST:
            circle = self._open[self._open.index(name) :] if name in self._open else self._open
            way = " → ".join(map(_spelled, (*circle[:5], name)))
            why = "refers to itself in the end"
            what_to_do = "write a value into one of them"
            raise BadReference(f"{why} ({way}); {what_to_do}", f"{why}; {what_to_do}", circle)
        found = self._text_of(*name)
        if found is None:
            resolved = Resolved(None, frozenset())
        elif not found[1] or "$" not in found[0]:
            resolved = Resolved(found[0], frozenset())
        else:
            resolved = self.resolve(found[0], *name)
        self._done[name] = resolved
        return resolved

    def _target(self, reference: Reference, section: str) -> Name:
        candidates = [(section, reference.name), (DEFAULT, reference.name)]
        group, dot, option = reference.name.rpartition(".")
        if dot:
            candidates.insert(0, (group, option))
        for candidate in candidates:
            known = self._known(*candidate)
            if known is not None:
                return known
        discreet = "refers to an option that nobody declares; write $$ for a plain $"
        why = self._nobody(reference, section)
        raise BadReference(why, discreet, self._open[-1:], reference.name)

    def _nobody(self, reference: Reference, section: str) -> str:
        shown = f"${{{reference.name}}}" if reference.braced else f"${reference.name}"
        where = f"[{section}]" if section == DEFAULT else f"[{section}] or [{DEFAULT}]"
        first = reference.name.partition(".")[0]
        if first != reference.name:
            where = f"section {reference.name.rpartition('.')[0]!r}"
            if not reference.braced and any(
                self._known(each, first) is not None for each in (section, DEFAULT)
            ):
                return (
                    f"refers to an option {shown} that nobody declares; "
                    f"write ${{{first}}} for {first!r} with a dot behind it"
                )
        return f"refers to {shown}, and there is no such option in {where}; write $$ for a plain $"


def _spelled(name: Name) -> str:
    return f"[{name[0]}] {name[1]}"
