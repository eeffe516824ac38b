"""Checking files without starting anything: every error and every warning, in one pass.

What `Config.load` would refuse is an error here; beyond that there is a word about whatever an
operator would want to know before an upgrade or a review. Reads files, and otherwise only what it
is given. Knows nothing of how findings are shown.
"""

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from bedplate.config import render
from bedplate.config.convert import Converted, convert
from bedplate.config.interpolate import Name
from bedplate.config.judge import (
    certain,
    nearest,
    unknown_options,
    unknown_sections,
    without_flags,
)
from bedplate.config.merge import Merged
from bedplate.config.names import fold, split_key
from bedplate.config.option import Required, SectionType
from bedplate.config.repeated import check_shapes, resolve, strays
from bedplate.config.schema import OSLO, Schema
from bedplate.config.specs import OptionSpec, Unresolved, Withheld
from bedplate.config.starting import begin
from bedplate.config.tree import Origin, Tree
from bedplate.errors import Finding, InvalidConfig, NoSuchOption, SectionAbsent

if TYPE_CHECKING:
    from bedplate.config.sources.port import Source

__all__ = ["Audit", "audit", "audit_start", "audit_trees", "check"]

_Path = str | os.PathLike[str]
_NOTHING: Mapping[str, str] = MappingProxyType({})


class Audit(NamedTuple):
    """What was found in a configuration, and the configuration itself.

    ``findings`` are errors and warnings, in the order of files and lines; those outside of files
    come next, those about what is absent last.
    """

    schema: Schema
    prefix: str
    findings: tuple[Finding, ...]
    merged: Merged
    converted: Converted

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings with which no program would start."""
        return tuple(each for each in self.findings if each.severity == "error")

    def __repr__(self) -> str:
        return f"Audit({self.schema!r}, {len(self.findings)} findings)"

    def noting(self, *findings: Finding) -> "Audit":
        """Return the same with more findings, in their places."""
        return self._replace(findings=tuple(sorted((*self.findings, *findings), key=_order)))

    def rows(self) -> tuple[render.Row, ...]:
        """Return every effective value with its origin, secrets masked. Raises `InvalidConfig`."""
        self._insist()
        values, tainted = self.converted.values, self.converted.tainted
        return render.rows(self.schema, self.merged, values, tainted)

    def explain(self, key: str) -> render.Explanation:
        """Explain where the value of one option comes from, as `Config.explain` does.

        Raises `InvalidConfig`, `NoSuchOption` and `SectionAbsent`.
        """
        self._insist()
        name = split_key(key)
        spec = self.schema.get(*name) or self.schema.renames.get(name)
        if spec is None:
            raise NoSuchOption(
                name=key, suggestion=nearest(key, [each.key for each in self.schema])
            )
        values = self.converted.values.get(spec.section, {})
        if spec.name not in values:
            raise SectionAbsent(section=spec.section)
        raws = self.merged.get(spec.section, spec.name)
        return render.explain(spec, raws, values[spec.name], self.prefix, self.converted.tainted)

    def _insist(self) -> None:
        if self.errors:
            raise InvalidConfig(findings=self.errors)


def check(
    files: Iterable[_Path],
    *,
    sections: Iterable[SectionType] = (),
    schema: Schema | None = None,
    program: str | None = None,
    argv: Sequence[str] = (),
    environ: Mapping[str, str] = _NOTHING,
    env_prefix: str | None = None,
    lax: bool = False,
) -> tuple[Finding, ...]:
    """Return all that is wrong with files, and all that deserves a word, errors and warnings.

    ``sections`` or ``schema`` say what there may be in them. ``files`` may hold directories, whose
    files are read in the order of their names; later ones beat earlier ones. ``program`` is by
    default the first file's name without its suffix; it names the variables in ``environ`` that
    count (`env_prefix` names them otherwise, and is ``OS`` by default for option sets of
    oslo.config), of which none are looked at unless given; ``argv`` are flags. With ``lax`` names
    that nobody declares are warnings.

    Findings stand in the order of files and lines. One about something absent has no line. Codes
    of errors: ``unknown-option``, ``unknown-section``, ``no-value``, ``wrong-type``,
    ``out-of-range``, ``not-a-choice``, ``missing-required``, ``bad-interpolation``,
    ``section-name``, and those of the syntax. Codes of warnings: ``deprecated-name``,
    ``deprecated-option``, ``equals-default``, ``advanced``, ``repeated``, ``old-and-new``,
    ``missing-section``, ``unnamed-section``, ``ambiguous-dollar``, ``secret-in-plain-option``,
    ``shadowed-source``, ``indented-key``.

    Raises `SourceFailed` for a file that cannot be read, `SchemaError` for sections that make no
    sense.
    """
    return audit(
        files,
        sections=sections,
        schema=schema,
        program=program,
        argv=argv,
        environ=environ,
        env_prefix=env_prefix,
        lax=lax,
    ).findings


def audit(  # noqa: PLR0913 - see check
    files: Iterable[_Path],
    *,
    sections: Iterable[SectionType] = (),
    schema: Schema | None = None,
    program: str | None = None,
    argv: Sequence[str] = (),
    environ: Mapping[str, str] = _NOTHING,
    env_prefix: str | None = None,
    lax: bool = False,
    sources: "Iterable[Source]" = (),
) -> Audit:
    """Check files as `check` does, and return what was read of them as well.

    ``sources`` are further ones, below the files.
    """
    files = (files,) if isinstance(files, str | os.PathLike) else tuple(files)
    known = _schema(sections, schema)
    prefix = fold(_prefix(known, program, files) if env_prefix is None else env_prefix)
    trees = [
        *(source.load() for source in sources),
        *_read(files),
        *_around(argv, environ, known, prefix),
    ]
    return audit_trees(trees, known, prefix, lax=lax)


def audit_start(
    schema: Schema,
    *,
    program: str,
    argv: Sequence[str] | None,
    environ: Mapping[str, str] | None,
    files: Iterable[_Path] | None,
    late: bool = False,
) -> Audit:
    """Check what a program would read if it started now; see `Config.load`.

    Raises `SourceFailed` for a source that cannot be read.
    """
    start = begin(schema, program=program, argv=argv, environ=environ, files=files)
    return audit_trees(start.layers.read(), schema, start.prefix, late=late)


def audit_trees(
    trees: Sequence[Tree], schema: Schema, prefix: str, *, lax: bool = False, late: bool = False
) -> Audit:
    """Check what sources have given, the lowest first.

    ``late`` says that sections may come of which the schema knows nothing, so that those that
    resemble none it knows are warnings.
    """
    if schema.dialect == OSLO:
        from bedplate.config.oslo import with_plugged_in

        schema = with_plugged_in(schema, trees)
    check_shapes(schema)
    resolved = resolve(trees, schema)
    schema, merged = resolved.schema, resolved.merged
    converted = convert(merged, schema, prefix=prefix)
    severity = "warning" if lax else "error"
    findings = (
        *(_leniently(each, lax=lax) for each in without_flags(resolved.remarks, schema, prefix)),
        *converted.findings,
        *strays(unknown_options(merged, schema, severity=severity), resolved),
        *_allowing_for(
            (
                *strays(unknown_sections(merged, schema, severity=severity), resolved),
                *resolved.astray,
            ),
            late=late,
        ),
        *resolved.findings,
        *_absent_sections(merged, schema, resolved.named),
        *_needless(merged, schema, converted),
    )
    ordered = tuple(sorted(dict.fromkeys(certain(findings, merged)), key=_order))
    return Audit(schema, prefix, ordered, merged, converted)


def _schema(sections: Iterable[SectionType], schema: Schema | None) -> Schema:
    classes = tuple(sections)
    if schema is None and not classes:
        raise TypeError("say what there may be in the files: sections=… or schema=…")
    if schema is None:
        return Schema.of(classes)
    for each in classes:
        schema = schema.adding(each)
    return schema


def _prefix(schema: Schema, program: str | None, files: Sequence[_Path]) -> str:
    if program is None and schema.dialect == OSLO:
        return "OS"
    if program is None and not files:
        raise TypeError("without files the program must be named")
    return program or os.path.splitext(os.path.basename(files[0]))[0]  # noqa: PTH119, PTH122 - no pathlib here


def _read(files: Iterable[_Path]) -> Iterator[Tree]:
    from bedplate.config.sources.files import Directory, File

    for path in files:
        is_directory = os.path.isdir(path)  # noqa: PTH112 - no pathlib here
        for file in Directory(path).files() if is_directory else (File(path),):
            yield file.load()


def _around(
    argv: Sequence[str], environ: Mapping[str, str], schema: Schema, prefix: str
) -> Iterator[Tree]:
    from bedplate.config.sources.arguments import Arguments
    from bedplate.config.sources.environment import Environment

    if environ:
        yield Environment(environ, prefix).load()
    if argv:
        yield Arguments(argv, schema.flags, nearest=nearest).load()


def _leniently(finding: Finding, *, lax: bool) -> Finding:
    return (
        finding._replace(severity="warning")
        if lax and finding.code == "unknown-option"
        else finding
    )


def _allowing_for(findings: Iterable[Finding], *, late: bool) -> Iterator[Finding]:
    for finding in findings:
        if late and finding.severity == "error" and not finding.suggestion:
            message = f"{finding.message} It is right if a library declares it later."
            yield finding._replace(severity="warning", message=message)
        else:
            yield finding


def _absent_sections(merged: Merged, schema: Schema, named: Collection[str]) -> Iterator[Finding]:
    """Report the sections of which something is required and nothing is written."""
    for section in schema.sections.values():
        if section.optional or section.name in merged.sections or section.name in named:
            continue
        required = [spec.name for spec in section.options.values() if spec.required]
        if required:
            message = f"There is no section [{section.name}], which needs {', '.join(required)}."
            yield Finding("warning", "missing-section", message, section=section.name)


def _needless(merged: Merged, schema: Schema, converted: Converted) -> Iterator[Finding]:
    """Report what a file sets and need not."""
    for section, options in merged.values.items():
        for option, raws in options.items():
            spec = schema.get(section, option)
            if spec is None or raws[0].origin.file is None:
                continue
            origin = raws[0].origin
            if spec.advanced:
                message = "is for experts: most installations do well without it."
                yield _warning(spec, "advanced", message, origin)
            value = converted.values.get(section, {}).get(option, Withheld.WITHHELD)
            if _equals_default(spec, value, raws[0].value, converted.tainted):
                message = "is set to what it is by default; the line can go."
                if raws[0].value == spec.sample or isinstance(spec.default, Unresolved):
                    message = "is set to what documents show as its default; the line can go."
                yield _warning(spec, "equals-default", message, origin)


def _equals_default(
    spec: OptionSpec, value: object, written: object, tainted: frozenset[Name]
) -> bool:
    default = spec.default
    if spec.secret or (spec.section, spec.name) in tainted:
        return False  # even that much would tell something
    if isinstance(default, Required | Withheld):
        return False
    if isinstance(default, Unresolved):
        return written == default.text
    if spec.sample and written == spec.sample and value is default:
        return True  # its type refuses what documents show, which counts as the default
    return any(type(each) is type(default) and each == default for each in (written, value))


def _warning(spec: OptionSpec, code: str, message: str, origin: Origin) -> Finding:
    text = f"[{spec.section}] {spec.name} {message}"
    place = (str(origin), origin.file, origin.line, origin.column)
    return Finding("warning", code, text, *place, spec.section, spec.name)


def _order(finding: Finding) -> tuple[int, str, int, int]:
    rank = 0 if finding.file is not None else 1 if finding.place else 2
    return rank, finding.file or "", finding.line or 0, finding.column or 0
