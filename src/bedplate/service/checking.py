"""``--check-config``: judging the configuration of a service that is not started.

The driver of each transport says which options its section has, so a URL is read before the whole
is judged. Opens nothing.
"""

from collections.abc import Mapping, Sequence

from bedplate.config import Audit, Finding, Schema, Url, audit_start
from bedplate.errors import BedplateError
from bedplate.messaging import find_driver
from bedplate.service.observing import finding_at, found
from bedplate.service.options import NotifyTransport, RpcTransport, ServiceOptions

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
            why = f"it names a driver that cannot be had. {error}"
            without.append(finding_at(raws[0].origin if raws else None, section, "url", why))
    service = ServiceOptions.section_name
    names = first.converted.values.get(service, {}).get("observers")
    if isinstance(names, tuple):
        raws = first.merged.get(service, "observers")
        without += found(names, raws[0].origin if raws else None)[1]
    return judged(schema).noting(*without)
