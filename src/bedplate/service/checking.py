"""``--check-config``: judging the configuration of a service that is not started.

The driver of each transport says which options its section has, so a URL is read before the whole
is judged. Opens nothing.
"""

from collections.abc import Mapping, Sequence

from bedplate.config import Audit, Finding, Origin, Schema, Url, audit_start
from bedplate.errors import BedplateError
from bedplate.messaging import find_driver
from bedplate.service.options import NotifyTransport, RpcTransport

__all__ = ["checked"]


def checked(
    schema: Schema,
    *,
    program: str,
    argv: Sequence[str] | None,
    environ: Mapping[str, str] | None,
    files: Sequence[str] | None,
    late: bool,
) -> Audit:
    """Check what a service would read, its drivers' options included.

    ``late`` says that its setup may declare further sections. Raises `SourceFailed`.
    """

    def judged(known: Schema) -> Audit:
        return audit_start(
            known, program=program, argv=argv, environ=environ, files=files, late=late
        )

    first, without = judged(schema), list[Finding]()
    for section in (RpcTransport.section_name, NotifyTransport.section_name):
        url = first.converted.values.get(section, {}).get("url")
        if not isinstance(url, Url):
            continue
        try:
            schema = schema.adding(find_driver(url.scheme).options, section)
        except BedplateError as error:
            raws = first.merged.get(section, "url")
            without.append(_no_driver(section, raws[0].origin if raws else None, str(error)))
    return judged(schema).noting(*without)


def _no_driver(section: str, origin: Origin | None, why: str) -> Finding:
    message = f"[{section}] url names a driver that cannot be had. {why}"
    if origin is None:
        return Finding("error", "not-a-choice", message, section=section, option="url")
    place = (str(origin), origin.file, origin.line, origin.column)
    return Finding("error", "not-a-choice", message, *place, section, "url")
