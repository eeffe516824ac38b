"""One generation of a configuration: its sections, each made when it is first asked for.

Takes sections in that come late, and makes the generation that follows. Decides nothing about
values, and reads no source.
"""

import threading
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from bedplate.config.describe import describe
from bedplate.config.merge import Pins
from bedplate.config.option import Section, SectionType, construct
from bedplate.config.repeated import Shapes, check_shapes
from bedplate.config.schema import Schema
from bedplate.config.settle import Rules, Settled, hold, settle, settle_late
from bedplate.config.tree import Tree
from bedplate.errors import SectionAbsent

__all__ = ["Generation", "Key", "Known"]

Key = type[Section] | tuple[type[Section], str]
"""What a section is asked for with: its class, or a class and another name."""


class Known:
    """What all generations of a configuration share: the schema as far as it is known by now.

    ``shapes`` holds the classes of sections that an option names, by the names of their shapes.
    Whoever makes a section known, or a generation the present one, holds the ``lock``.
    """

    __slots__ = ("lock", "program", "rules", "schema", "shapes")

    def __init__(
        self, schema: Schema, program: str, rules: Rules, classes: Iterable[type[Section]]
    ) -> None:
        self.schema, self.program, self.rules = schema, program, rules
        self.shapes = {each.section_name: each for each in classes if each.section_each}
        self.lock = threading.RLock()

    def adding(self, cls: type[Section], name: str | None) -> Schema:
        """Return a schema that has a section as well. Raises `SchemaError`."""
        if self.schema.has(cls, name):
            return self.schema
        schema = self.schema.adding(cls, name)
        check_shapes(schema)
        return schema

    def learn(self, cls: type[Section], schema: Schema) -> None:
        """Count a section among what is known: all generations to come will have it."""
        self.schema = schema
        if cls.section_each:
            self.shapes.setdefault(cls.section_name, cls)

    def kind(self, cls: type[Section], shapes: Shapes) -> type[Section] | None:
        """Return the class of a section with these shapes, asked for with ``cls``.

        That is ``cls`` itself, or a class below it, and None for a section of another kind.
        """
        own = shapes[-1].name
        kind = cls if cls.section_name == own else self.shapes.get(own)
        if kind is not None and issubclass(kind, cls):
            return kind
        return cls if cls.section_name == shapes[0].name else None


class Generation(dict[Key, Section]):
    """The sections of one generation, by what they are asked for with.

    An ask is one look-up; what is not there yet is made. ``number`` counts from 1, ``settled`` is
    all that is known of its values, ``known`` what it shares with others. Safe from any thread.
    """

    __slots__ = ("_pins", "_read", "_repeated", "_trees", "known", "number", "settled")

    def __init__(
        self,
        known: Known,
        trees: tuple[Tree, ...],
        settled: Settled,
        *,
        number: int = 1,
        pins: Pins | None = None,
    ) -> None:
        """Make what was settled of these trees the generation of this number."""
        super().__init__()
        self.known, self._trees, self._pins = known, trees, pins or {}
        self._read = settled.resolved.given  # what of the schema has values in this generation
        self._repeated: dict[type[Section], Mapping[str, Section]] = {}
        self.number, self.settled = number, settled

    def __missing__(self, key: Key) -> Section:
        cls, name = key if isinstance(key, tuple) else (key, None)
        if not isinstance(cls, SectionType):
            raise TypeError(f"ask with the class of a section, config[Api], not with {key!r}")
        if cls.section_each:
            raise TypeError(f"an option names sections of {cls!r}: ask with config.each(…)")
        spec = describe(cls, name)
        with self.known.lock:
            self._take_in(cls, name)
            settled = self.settled
            if cls.section_optional and not settled.merged.has(spec.name):
                raise SectionAbsent(section=spec.name)
            made = self[key] = construct(cls, settled.values[spec.name], settled.masked(spec.name))
        return made

    def each(self, cls: type[Section]) -> Mapping[str, Section]:
        """Return the sections that an option names, by name; see `Config.each`."""
        made = self._repeated.get(cls)
        return self._make_each(cls) if made is None else made

    def seal(self) -> None:
        """Judge what waited for sections that come late; see `Config.seal`. Call with the lock."""
        rules = self.known.rules = self.known.rules._replace(sealed=True)
        self.settled = self.settled.judged(rules)

    def following(self, trees: tuple[Tree, ...]) -> "Generation":
        """Return the generation after this one, read from new trees. Call with the lock.

        It has what may change, and this one's values of the rest. Raises `InvalidConfig`.
        """
        known = self.known
        fresh = settle(trees, known.schema, known.rules)
        pins, refused = hold(self.settled, fresh)
        settled = settle(trees, known.schema, known.rules, pins=pins).noting(refused)
        made = Generation(known, trees, settled, number=self.number + 1, pins=pins)
        for key in self:
            try:
                made[key]  # to ask is to make it
            except SectionAbsent:  # pragma: no cover - a present section is pinned
                continue
        return made

    def _make_each(self, cls: type[Section]) -> Mapping[str, Section]:
        if not getattr(cls, "section_each", ""):
            raise TypeError(f"{cls!r} has no each=, which says what names sections of this kind")
        with self.known.lock:
            self._take_in(cls, None)
            settled, made = self.settled, dict[str, Section]()
            for name in settled.named:
                kind = self.known.kind(cls, settled.resolved.named[name])
                if kind is not None:
                    made[name] = construct(kind, settled.values[name], settled.masked(name))
            return self._repeated.setdefault(cls, MappingProxyType(made))

    def _take_in(self, cls: type[Section], name: str | None) -> None:
        """Take a section in that is not yet known in this generation. Call with the lock."""
        schema = self.known.adding(cls, name)
        if not self._read.has(cls, name):
            section = describe(cls, name).name
            self.settled = settle_late(
                self.settled, self._trees, schema, self.known.rules, self._pins, section
            )
            self._read = self._read.adding(cls, name)
            self._repeated.clear()  # a section may be of another class now
        # Not before: what could not come must not hold up the reloads of all others.
        self.known.learn(cls, schema)

    def __repr__(self) -> str:
        return f"<generation {self.number}: {len(self.settled.schema.sections)} sections>"
