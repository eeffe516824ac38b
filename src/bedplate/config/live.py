"""The configuration of a running program: loaded, asked, explained, reloaded.

The thin edge of the room: it calls the stages in order (`merge`, `judge`, `render`) and holds
their result as one snapshot behind one reference. It decides nothing about values.
"""

import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Literal, NamedTuple, Self, TypeVar

from bedplate.config import render
from bedplate.config.describe import describe
from bedplate.config.judge import nearest
from bedplate.config.merge import Pins
from bedplate.config.names import split_key
from bedplate.config.option import Section, SectionType, construct
from bedplate.config.repeated import Shapes, check_shapes
from bedplate.config.schema import Schema
from bedplate.config.settle import Change, Rules, Settled, changes, hold, settle, settle_late
from bedplate.config.starting import Layers, begin
from bedplate.config.tree import Tree
from bedplate.errors import (
    BedplateError,
    Finding,
    NoSuchOption,
    ReloadRefused,
    SectionAbsent,
)

if TYPE_CHECKING:
    from bedplate.config.sources.port import Source

__all__ = ["Changes", "Config", "Snapshot"]

S = TypeVar("S", bound=Section)
_Key = type[Section] | tuple[type[Section], str]
_Path = str | os.PathLike[str]


class Changes(NamedTuple):
    """What a reload did. ``findings`` are the warnings, refused changes among them.

    ``added`` and ``removed`` are the sections that an option names since, or does not any more.
    """

    generation: int
    changed: tuple[Change, ...]
    findings: tuple[Finding, ...]
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.changed or self.added or self.removed)


class _Sections(dict[_Key, Section]):
    """The instances of one generation, made when they are first asked for.

    Held by `Config` directly, so that an ask is one look-up, and a reload swaps one reference.
    """

    __slots__ = ("snapshot",)

    def __init__(self, snapshot: "Snapshot") -> None:
        super().__init__()
        self.snapshot = snapshot

    def __missing__(self, key: _Key) -> Section:
        return self.snapshot._resolve(key)  # noqa: SLF001 - one module


class _Known:
    """What all generations of a configuration share: the schema as far as it is known by now.

    ``shapes`` holds the classes of sections that an option names, by the names of their shapes.
    """

    __slots__ = ("lock", "program", "reloader", "reloading", "rules", "schema", "shapes")

    def __init__(
        self, schema: Schema, program: str, rules: Rules, classes: Iterable[type[Section]]
    ) -> None:
        self.schema, self.program, self.rules = schema, program, rules
        self.shapes = {each.section_name: each for each in classes if each.section_each}
        self.lock, self.reloading = threading.RLock(), threading.Lock()
        self.reloader = 0  # the thread that reloads

    def adding(self, cls: type[Section], name: str | None) -> Schema:
        """Make a section known, and return the schema that has it. Raises `SchemaError`."""
        if not self.schema.has(cls, name):
            schema = self.schema.adding(cls, name)
            check_shapes(schema)
            self.schema = schema
        if cls.section_each:
            self.shapes.setdefault(cls.section_name, cls)
        return self.schema

    def kind(self, cls: type[Section], shapes: Shapes) -> type[Section] | None:
        """Return the class of a section with these shapes, asked for with ``cls``.

        That is ``cls`` itself, or a class below it, and None for a section of another kind.
        """
        own = shapes[-1].name
        kind = cls if cls.section_name == own else self.shapes.get(own)
        if kind is not None and issubclass(kind, cls):
            return kind
        return cls if cls.section_name == shapes[0].name else None


class Snapshot:
    """One generation of the configuration, for reads that must fit together.

    ``with config.snapshot() as s: s[Api], s[Pool]`` reads both from the same generation, whatever
    is reloaded meanwhile. ``generation`` counts from 1. Safe from any thread.
    """

    __slots__ = (
        "_held",
        "_known",
        "_pins",
        "_read",
        "_repeated",
        "_settled",
        "_trees",
        "generation",
    )

    def __init__(
        self, known: _Known, trees: tuple[Tree, ...], settled: Settled, generation: int, pins: Pins
    ) -> None:
        self._known, self._trees, self._settled, self._pins = known, trees, settled, pins
        self._read = settled.resolved.given  # what of the schema has values in this generation
        self._held = _Sections(self)
        self._repeated: dict[type[Section], Mapping[str, Section]] = {}
        self.generation = generation

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Nothing is held that would have to be given back."""

    def __getitem__(self, cls: type[S]) -> S:
        return self._held[cls]  # type: ignore[return-value]  # an instance stands under its class

    def get(self, cls: type[S]) -> S | None:
        """Return a section, None for an optional one that nobody configured."""
        try:
            return self[cls]
        except SectionAbsent:
            return None

    def named(self, cls: type[S], name: str) -> S:
        """Return the section ``name`` as an instance of ``cls``, which is known from now on."""
        return self._held[cls, name]  # type: ignore[return-value]  # stands under its class

    def each(self, cls: type[S]) -> Mapping[str, S]:
        """Return the sections that an option names, by name; see `Config.each`."""
        made = self._repeated.get(cls)
        if made is None:
            made = self._make_each(cls)
        return made  # type: ignore[return-value]  # instances stand under their class

    def _make_each(self, cls: type[Section]) -> Mapping[str, Section]:
        if not getattr(cls, "section_each", ""):
            raise TypeError(f"{cls!r} has no each=, which says what names sections of this kind")
        with self._known.lock:
            self._take_in(cls, None)
            settled, made = self._settled, dict[str, Section]()
            for name in settled.named:
                kind = self._known.kind(cls, settled.resolved.named[name])
                if kind is not None:
                    made[name] = construct(kind, settled.values[name])
            return self._repeated.setdefault(cls, MappingProxyType(made))

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The warnings about what was read."""
        return self._settled.findings

    @property
    def sections(self) -> tuple[str, ...]:
        """The names of all sections known by now."""
        return tuple(self._settled.schema.sections)

    @property
    def schema(self) -> Schema:
        """The description of all sections known by now; see `Config.schema`."""
        return self._settled.resolved.given

    def rows(self) -> tuple[render.Row, ...]:
        """Return every effective value with its origin, secrets masked."""
        settled = self._settled
        return render.rows(settled.schema, settled.merged, settled.values, settled.tainted)

    def explain(self, key: str) -> render.Explanation:
        """Explain where the value of an option comes from; see `Config.explain`."""
        settled = self._settled
        section, option = split_key(key)
        spec = settled.schema.get(section, option) or settled.schema.renames.get((section, option))
        if spec is None:
            raise NoSuchOption(
                name=key, suggestion=nearest(key, [each.key for each in settled.schema])
            )
        if spec.name not in settled.values.get(spec.section, {}):
            raise SectionAbsent(section=spec.section)
        raws = settled.merged.get(spec.section, spec.name)
        value = settled.values[spec.section][spec.name]
        return render.explain(spec, raws, value, self._known.rules.prefix, settled.tainted)

    def _resolve(self, key: _Key) -> Section:
        cls, name = key if isinstance(key, tuple) else (key, None)
        if not isinstance(cls, SectionType):
            raise TypeError(f"ask with the class of a section, config[Api], not with {key!r}")
        if cls.section_each:
            raise TypeError(f"an option names sections of {cls!r}: ask with config.each(…)")
        spec = describe(cls, name)
        with self._known.lock:
            self._take_in(cls, name)
            settled = self._settled
            if cls.section_optional and not settled.merged.has(spec.name):
                raise SectionAbsent(section=spec.name)
            made = self._held[key] = construct(cls, settled.values[spec.name])
        return made

    def _take_in(self, cls: type[Section], name: str | None) -> None:
        """Take a section in that is not yet known in this generation. Call with the lock."""
        schema = self._known.adding(cls, name)
        if not self._read.has(cls, name):
            section = describe(cls, name).name
            self._settled = settle_late(
                self._settled, self._trees, schema, self._known.rules, self._pins, section
            )
            self._read = self._read.adding(cls, name)
            self._repeated.clear()  # a section may be of another class now

    def _seal(self) -> None:
        with self._known.lock:
            rules = self._known.rules = self._known.rules._replace(sealed=True)
            self._settled = self._settled.judged(rules)

    def _next(self, trees: tuple[Tree, ...]) -> "Snapshot":
        known = self._known
        fresh = settle(trees, known.schema, known.rules)
        pins, refused = hold(self._settled, fresh)
        settled = settle(trees, known.schema, known.rules, pins=pins).noting(refused)
        made = Snapshot(known, trees, settled, self.generation + 1, pins)
        for key in self._held:
            try:
                made._resolve(key)
            except SectionAbsent:  # pragma: no cover - a present section is pinned
                continue
        return made

    def __repr__(self) -> str:
        return f"<generation {self.generation}: {len(self.sections)} sections>"


class Config:
    """The configuration of a program.

    ``config[Api]`` is the section as a frozen value of the present generation: keep it, and it
    stays what it was; ask again, and it is what the last reload made. Safe from any thread; a
    reload swaps one reference, so no read is ever torn or stale.
    """

    __slots__ = ("_held", "_known", "_layers")

    def __init__(self, known: _Known, layers: Layers, snapshot: Snapshot) -> None:
        """Made by `Config.load`."""
        self._known, self._layers, self._held = known, layers, snapshot._held  # noqa: SLF001 - one module

    @classmethod
    def load(  # noqa: PLR0913 - the one place where everything comes together, all by keyword
        cls,
        sections: Iterable[type[Section]],
        *,
        program: str,
        argv: Sequence[str] | None = None,
        environ: Mapping[str, str] | None = None,
        files: Iterable[str | os.PathLike[str]] | None = None,
        sources: "Iterable[Source]" = (),
        overrides: Mapping[str, Mapping[str, object]] | None = None,
        defaults: Mapping[str, Mapping[str, object]] | None = None,
        unknown: Literal["error", "warn", "defer"] = "error",
        env_prefix: str | None = None,
    ) -> Self:
        """Read all sources, check everything, and return the configuration.

        Precedence, highest first: ``overrides``, command line, environment, files (later beats
        earlier), ``sources`` (later beats earlier), ``defaults``, declared defaults; the same for
        every option.

        ``argv`` (without the program's name) and ``environ`` None mean the process's own; ``()``
        and ``{}`` mean none. ``files`` None looks for ``<program>.conf`` and
        ``<program>.conf.d`` in ``~/.<program>``, ``~``, ``/etc/<program>`` and ``/etc``; ``()``
        means none; ``--config-file`` and ``--config-dir`` replace them. ``unknown`` says what
        becomes of options nobody declares: an error, a warning, or a question put off until
        `seal`; unknown sections always wait for it. ``env_prefix`` None is the program's name.

        With ``--help`` or ``--version`` it prints that and raises SystemExit(0). With
        ``--check-config`` it prints all that is wrong and all that deserves a word, and raises
        SystemExit(0) where nothing is wrong, else SystemExit(1).

        Raises `InvalidConfig` with every problem at once, `SourceFailed` for a source that cannot
        be read, `SchemaError` for sections that make no sense.
        """
        classes = tuple(sections)
        schema = Schema.of(classes)
        check_shapes(schema)
        start = begin(
            schema,
            program=program,
            argv=argv,
            environ=environ,
            files=files,
            sources=sources,
            overrides=overrides,
            defaults=defaults,
            env_prefix=env_prefix,
        )
        layers, prefix, given = start
        if given.help or given.version:
            text = render.help_text(schema, program, prefix) if given.help else _version(program)
            from bedplate.config.report import put_out

            put_out(text)
            raise SystemExit(0)
        if given.check:
            from bedplate.config.auditing import audit_trees
            from bedplate.config.report import tell

            raise SystemExit(tell(audit_trees(layers.read(), schema, prefix, late=True), program))
        known = _Known(schema, program, Rules(prefix, unknown, sealed=False), classes)
        trees = layers.read()
        settled = settle(trees, schema, known.rules)
        snapshot = Snapshot(known, trees, settled, 1, {})
        for each in classes:
            if not each.section_each:
                snapshot.get(each)
        return cls(known, layers, snapshot)

    def __getitem__(self, cls: type[S]) -> S:
        return self._held[cls]  # type: ignore[return-value]  # an instance stands under its class

    def get(self, cls: type[S]) -> S | None:
        """Return a section, None for an optional one that nobody configured."""
        return self._held.snapshot.get(cls)

    def named(self, cls: type[S], name: str) -> S:
        """Return the section ``name`` as an instance of ``cls``, which is known from now on.

        For one class in several places: the options of a driver in ``[transport.rpc]`` and in
        ``[transport.notify]``. Raises as ``config[cls]`` does.
        """
        return self._held.snapshot.named(cls, name)

    def each(self, cls: type[S]) -> Mapping[str, S]:
        """Return the sections that the option of ``each=`` names, by name, in its order.

        Each is an instance of the variant that its driver picks, else of ``cls``; asked with a
        variant it returns those alone. An optional section that is not written is left out. The
        mapping cannot be changed, and is that of the present generation.

        Raises TypeError for a class without ``each=``, and as ``config[cls]`` does.
        """
        return self._held.snapshot.each(cls)

    def seal(self) -> None:
        """Say that no section comes late any more, and judge what waited for it.

        Unknown sections, and with ``unknown="defer"`` unknown options, are errors from now on
        (warnings with ``unknown="warn"``). A section that comes later all the same is checked
        alone. Raises `InvalidConfig`.
        """
        self._held.snapshot._seal()  # noqa: SLF001 - one module

    def explain(self, key: str) -> render.Explanation:
        """Explain ``"api.workers"``, or ``"debug"`` of DEFAULT: its value, origin and losers.

        An old name explains the option that replaced it. Raises `NoSuchOption`, with the nearest
        name, and `SectionAbsent`.
        """
        return self._held.snapshot.explain(key)

    def rows(self) -> tuple[render.Row, ...]:
        """Return every effective value with its origin, secrets masked."""
        return self._held.snapshot.rows()

    def snapshot(self) -> Snapshot:
        """Return the present generation, to read several sections that fit together."""
        return self._held.snapshot

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The warnings so far, those of the last reload included."""
        return self._held.snapshot.findings

    @property
    def sections(self) -> tuple[str, ...]:
        """The names of all sections known by now."""
        return self._held.snapshot.sections

    @property
    def schema(self) -> Schema:
        """The description of all sections known by now; those that an option names by their shape.

        `sections` has their names instead.
        """
        return self._held.snapshot.schema

    @property
    def generation(self) -> int:
        """How many times the configuration was made: 1, and one more with each reload."""
        return self._held.snapshot.generation

    def reload(self) -> Changes:
        """Read all sources anew and take over what may change while the program runs.

        All or nothing: new values of mutable options with the old ones of the rest are checked as
        a whole, then one reference is swapped. A change of an option that is not mutable is
        refused with the warning ``needs-restart``, at its file and line. Reloads queue; reads go
        on meanwhile.

        Raises `ReloadRefused`, from its cause, when a source cannot be read or anything is wrong;
        the old values stay then.
        """
        known = self._known
        if known.reloader == threading.get_ident():
            # A signal handler, or a source, inside a reload of this very thread: it would wait
            # for itself.
            raise ReloadRefused(why="a reload is under way in this thread.")
        with known.reloading:
            known.reloader = threading.get_ident()
            try:
                old, new = self._reload()
            except BedplateError as error:
                raise ReloadRefused(why=str(error)) from error
            except Exception as error:
                # Its text is unknown to us and may hold what must not be seen.
                raise ReloadRefused(why=f"a source raised {type(error).__name__}") from error
            finally:
                known.reloader = 0
        before, after = old._settled, new._settled  # noqa: SLF001 - one module
        return Changes(
            new.generation,
            changes(before, after),
            new.findings,
            tuple(name for name in after.named if name not in before.named),
            tuple(name for name in before.named if name not in after.named),
        )

    def _reload(self) -> tuple[Snapshot, Snapshot]:
        trees = self._layers.read(anew=True)
        with self._known.lock:
            old = self._held.snapshot
            new = old._next(trees)  # noqa: SLF001 - one module
            self._held = new._held  # noqa: SLF001 - one module
        return old, new

    def __repr__(self) -> str:
        program, snapshot = self._known.program, self._held.snapshot
        return f"<configuration of {program}, {snapshot!r}>"


def _version(program: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"{program} {version(program)}\n"
    except PackageNotFoundError:
        return f"{program} (not installed as a package: no version)\n"
