"""The configuration of a running program: loaded, asked, explained, reloaded.

The thin edge of the room: it calls the stages in order and holds their result, a generation, behind
one reference. It decides nothing about values.
"""

import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Literal, NamedTuple, Self, TypeVar

from bedplate.config import render
from bedplate.config.generation import Generation, Known
from bedplate.config.judge import nearest
from bedplate.config.names import split_key
from bedplate.config.option import Section
from bedplate.config.repeated import check_shapes
from bedplate.config.schema import Schema
from bedplate.config.settle import Change, Rules, changes, settle
from bedplate.config.starting import Layers, Start, begin
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


class Snapshot:
    """One generation of the configuration, for reads that must fit together.

    ``with config.snapshot() as s: s[Api], s[Pool]`` reads both from the same generation, whatever
    is reloaded meanwhile. Safe from any thread.
    """

    __slots__ = ("_held",)

    def __init__(self, held: Generation) -> None:
        """Made by `Config.snapshot`."""
        self._held = held

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
        return self._held.each(cls)  # type: ignore[return-value]  # they stand under their class

    @property
    def generation(self) -> int:
        """How many times the configuration was made: 1, and one more with each reload."""
        return self._held.number

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The warnings about what was read."""
        return self._held.settled.findings

    @property
    def sections(self) -> tuple[str, ...]:
        """The names of all sections known by now."""
        return tuple(self._held.settled.schema.sections)

    @property
    def schema(self) -> Schema:
        """The description of all sections known by now; see `Config.schema`."""
        return self._held.settled.resolved.given

    def rows(self) -> tuple[render.Row, ...]:
        """Return every effective value with its origin, secrets masked."""
        settled = self._held.settled
        return render.rows(settled.schema, settled.merged, settled.values, settled.tainted)

    def explain(self, key: str) -> render.Explanation:
        """Explain where the value of an option comes from; see `Config.explain`."""
        settled = self._held.settled
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
        return render.explain(spec, raws, value, self._held.known.rules.prefix, settled.tainted)

    def __repr__(self) -> str:
        return repr(self._held)


class Config:
    """The configuration of a program.

    ``config[Api]`` is the section as a frozen value of the present generation: keep it, and it
    stays what it was; ask again, and it is what the last reload made. Safe from any thread; a
    reload swaps one reference, so no read is ever torn or stale.
    """

    __slots__ = ("_held", "_layers", "_reloader", "_reloading")

    def __init__(self, layers: Layers, held: Generation) -> None:
        """Made by `Config.load`."""
        self._layers, self._held = layers, held
        self._reloading = threading.Lock()
        self._reloader = 0  # the thread that reloads

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
        _answer(start, schema, program)
        known = Known(schema, program, Rules(start.prefix, unknown, sealed=False), classes)
        trees = start.layers.read()
        held = Generation(known, trees, settle(trees, schema, known.rules))
        config = cls(start.layers, held)
        for each in classes:
            if not each.section_each:
                config.get(each)
        return config

    def __getitem__(self, cls: type[S]) -> S:
        return self._held[cls]  # type: ignore[return-value]  # an instance stands under its class

    def get(self, cls: type[S]) -> S | None:
        """Return a section, None for an optional one that nobody configured."""
        return self.snapshot().get(cls)

    def named(self, cls: type[S], name: str) -> S:
        """Return the section ``name`` as an instance of ``cls``, which is known from now on.

        For one class in several places: the options of a driver in ``[transport.rpc]`` and in
        ``[transport.notify]``. Raises as ``config[cls]`` does.
        """
        return self.snapshot().named(cls, name)

    def each(self, cls: type[S]) -> Mapping[str, S]:
        """Return the sections that the option of ``each=`` names, by name, in its order.

        Each is an instance of the variant that its driver picks, else of ``cls``; asked with a
        variant it returns those alone. An optional section that is not written is left out. The
        mapping cannot be changed, and is that of the present generation.

        Raises TypeError for a class without ``each=``, and as ``config[cls]`` does.
        """
        return self.snapshot().each(cls)

    def seal(self) -> None:
        """Say that no section comes late any more, and judge what waited for it.

        Unknown sections, and with ``unknown="defer"`` unknown options, are errors from now on
        (warnings with ``unknown="warn"``). A section that comes later all the same is checked
        alone. Raises `InvalidConfig`.
        """
        with self._held.known.lock:  # so that it is the generation in force that is judged
            self._held.seal()

    def explain(self, key: str) -> render.Explanation:
        """Explain ``"api.workers"``, or ``"debug"`` of DEFAULT: its value, origin and losers.

        An old name explains the option that replaced it. Raises `NoSuchOption`, with the nearest
        name, and `SectionAbsent`.
        """
        return self.snapshot().explain(key)

    def rows(self) -> tuple[render.Row, ...]:
        """Return every effective value with its origin, secrets masked."""
        return self.snapshot().rows()

    def snapshot(self) -> Snapshot:
        """Return the present generation, to read several sections that fit together."""
        return Snapshot(self._held)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The warnings so far, those of the last reload included."""
        return self.snapshot().findings

    @property
    def sections(self) -> tuple[str, ...]:
        """The names of all sections known by now."""
        return self.snapshot().sections

    @property
    def schema(self) -> Schema:
        """The description of all sections known by now; those that an option names by their shape.

        `sections` has their names instead.
        """
        return self.snapshot().schema

    @property
    def generation(self) -> int:
        """How many times the configuration was made: 1, and one more with each reload."""
        return self._held.number

    def reload(self) -> Changes:
        """Read all sources anew and take over what may change while the program runs.

        All or nothing: new values of mutable options with the old ones of the rest are checked as
        a whole, then one reference is swapped. A change of an option that is not mutable is
        refused with the warning ``needs-restart``, at its file and line. Reloads queue; reads go
        on meanwhile.

        Raises `ReloadRefused`, from its cause, when a source cannot be read or anything is wrong;
        the old values stay then.
        """
        if self._reloader == threading.get_ident():
            # A signal handler, or a source, inside a reload of this very thread: it would wait
            # for itself.
            raise ReloadRefused(why="a reload is under way in this thread.")
        with self._reloading:
            self._reloader = threading.get_ident()
            try:
                old, new = self._reload()
            except BedplateError as error:
                raise ReloadRefused(why=str(error)) from error
            except Exception as error:
                # Its text is unknown to us and may hold what must not be seen.
                raise ReloadRefused(why=f"a source raised {type(error).__name__}") from error
            finally:
                self._reloader = 0
        before, after = old.settled, new.settled
        return Changes(
            new.number,
            changes(before, after),
            after.findings,
            tuple(name for name in after.named if name not in before.named),
            tuple(name for name in before.named if name not in after.named),
        )

    def _reload(self) -> tuple[Generation, Generation]:
        trees = self._layers.read(anew=True)
        with self._held.known.lock:
            old = self._held
            new = self._held = old.following(trees)
        return old, new

    def __repr__(self) -> str:
        return f"<configuration of {self._held.known.program}, {self._held!r}>"


def _answer(start: Start, schema: Schema, program: str) -> None:
    """Do what a command line asks for in the place of a start, and raise SystemExit."""
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


def _version(program: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"{program} {version(program)}\n"
    except PackageNotFoundError:
        return f"{program} (not installed as a package: no version)\n"
