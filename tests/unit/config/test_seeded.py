"""Mistakes put into the files of real services are found where they are, and nothing else is."""

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

import pytest

from bedplate.config import Finding, OptionSpec, Schema, check, read_schema
from bedplate.config.auditing import audit_trees
from bedplate.config.document import Document, Entry
from bedplate.config.oslo import with_plugged_in
from bedplate.config.types import Boolean, Choice, Float, Integer

DATA = Path(__file__).parents[2] / "data" / "openstack"
SERVICES = ("cinder", "glance", "keystone", "nova")
Seed = tuple[Entry, str, str, str | None]
"""A place, the line to put there, the code to be found, and the suggestion if there is one."""


@cache
def schema_of(service: str) -> Schema:
    return read_schema(DATA / f"{service}.json")


@cache
def text_of(service: str) -> str:
    return (DATA / f"{service}.full.conf").read_text()


def judged(service: str, text: str) -> tuple[Finding, ...]:
    tree = Document.parse(text.encode(), "f.conf").tree()
    return audit_trees([tree], schema_of(service), "OS").findings


def entries(service: str, step: int) -> Iterator[tuple[Entry, OptionSpec]]:
    """Choose options of a full file, one in so many, and fewer of a long one."""
    document = Document.parse(text_of(service).encode(), "f.conf")
    single = [each for each in document.entries if each.height == 1]
    for entry in single[:: step * max(1, len(single) // 300)]:
        spec = schema_of(service).get(entry.section, entry.key)
        assert spec is not None
        yield entry, spec


def is_optional(spec: OptionSpec) -> bool:
    return spec.default is None


def kind_of(spec: OptionSpec) -> object:
    kind: object = spec.type
    while hasattr(kind, "inner"):
        kind = kind.inner
    return kind


def transposed(name: str) -> str:
    """Swap two neighbours that differ, near the middle."""
    at = len(name) // 2
    while at + 1 < len(name) and name[at] == name[at + 1]:
        at += 1
    return name[:at] + name[at + 1 : at + 2] + name[at] + name[at + 2 :]


def misspelt(service: str) -> Iterator[Seed]:
    for entry, spec in entries(service, 11):
        name = transposed(spec.name)
        if schema_of(service).get(spec.section, name) is None and name != spec.name:
            yield entry, f"{name} = {entry.value}", "unknown-option", spec.name


def misplaced(service: str) -> Iterator[Seed]:
    tree = Document.parse(text_of(service).encode(), "f.conf").tree()
    schema = with_plugged_in(schema_of(service), [tree])
    others = {spec.name: spec for spec in schema}
    unique = [
        spec
        for spec in others.values()
        if sum(spec.name in section.options for section in schema.sections.values()) == 1
        and (spec.section, spec.name) not in schema.renames
    ]
    for (entry, _), spec in zip(entries(service, 13), unique[:: len(unique) // 30], strict=False):
        known = spec.section == entry.section or (entry.section, spec.name) in schema.renames
        if not known:
            suggestion = f"{spec.section}.{spec.name}"
            yield entry, f"{spec.name} = x", "unknown-option", suggestion


def ill_typed(service: str) -> Iterator[Seed]:
    for entry, spec in entries(service, 5):
        if isinstance(kind_of(spec), Integer | Float | Boolean):
            yield entry, f"{spec.name} = many", "wrong-type", None


def out_of_range(service: str) -> Iterator[Seed]:
    for entry, spec in entries(service, 2):
        kind = kind_of(spec)
        if isinstance(kind, Integer) and kind.maximum is not None:
            yield entry, f"{spec.name} = {kind.maximum + 1:.0f}", "out-of-range", None
        elif isinstance(kind, Integer) and kind.minimum is not None:
            yield entry, f"{spec.name} = {kind.minimum - 1:.0f}", "out-of-range", None


def ill_chosen(service: str) -> Iterator[Seed]:
    for entry, spec in entries(service, 1):
        if isinstance(kind_of(spec), Choice):
            yield entry, f"{spec.name} = such a thing", "not-a-choice", None


def empty(service: str) -> Iterator[Seed]:
    for entry, spec in entries(service, 7):
        if isinstance(kind_of(spec), Integer | Boolean) and not is_optional(spec):
            yield entry, f"{spec.name} =", "no-value", None


def dangling(service: str) -> Iterator[Seed]:
    for entry, spec in entries(service, 19):
        yield entry, f"{spec.name} = a$no_such_option", "bad-interpolation", None


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize(
    "seeds", [misspelt, misplaced, ill_typed, out_of_range, ill_chosen, empty, dangling]
)
def test_a_mistake_is_found_at_its_line_and_nothing_else_is(
    service: str, seeds: Callable[[str], Iterator[Seed]]
) -> None:
    """Each seed alone gives one error there, with what was meant, and changes no other finding."""
    lines = text_of(service).splitlines()
    before = judged(service, text_of(service))
    tried = 0
    for entry, line, code, suggestion in seeds(service):
        seeded = [*lines[: entry.line - 1], line, *lines[entry.line :]]
        found = judged(service, "\n".join(seeded))
        here = [each for each in found if each.line == entry.line and each.severity == "error"]
        assert [(each.code, each.suggestion) for each in here] == [(code, suggestion)], line
        elsewhere = [each for each in found if each.line != entry.line]
        assert elsewhere == [each for each in before if each.line != entry.line], line
        tried += 1
    assert tried >= 4


@pytest.mark.parametrize("service", SERVICES)
def test_a_full_file_has_no_errors(service: str) -> None:
    """A file that sets everything as documented is right; most of it could be left out."""
    found = check([DATA / f"{service}.full.conf"], schema=schema_of(service))
    assert {each.severity for each in found} == {"warning"}
    told = {(each.code, each.option) for each in found}
    # A secret whose documented value refers to another option: $ may as well be a part of it.
    told.discard(("ambiguous-dollar", "backend_url"))
    assert {code for code, _ in told} <= {"equals-default", "deprecated-option", "advanced"}


BACKENDS: Mapping[str, str] = MappingProxyType(
    {
        "cinder": """\
[DEFAULT]
enabled_backends = lvm-1,ceph
config_source = secrets,far
[backend_defaults]
volume_clear = none
[lvm-1]
volume_backend_name = LVM
volume_clear = zero
target_helper = lioadm
backend_host = storage
[ceph]
volume_driver = cinder.volume.drivers.rbd.RBDDriver
rbd_pool = images
max_over_subscription_ratio = auto
[secrets]
driver = castellan
config_file = /etc/cinder/castellan.conf
mapping_file = /etc/cinder/mapping.conf
[far]
driver = remote_file
uri = https://example.org/cinder.conf
[fc-zone-manager]
fc_fabric_names = left, right
[left]
fc_fabric_address = 10.0.0.1
[right]
cisco_fc_fabric_address = 10.0.0.2
[keystone_authtoken]
auth_type = password
auth_url = https://example.org/v3
username = cinder
password = pw
user_domain_name = Default
project_name = service
[nova]
auth_section = shared
[cinder_sys_admin]
helper_command = sudo privsep-helper
[shared]
auth_type = v3applicationcredential
application_credential_id = 1234
application_credential_secret = pw
""",
        "glance": """\
[DEFAULT]
enabled_backends = fast:file, cheap:swift, blocks:cinder, web:http, ceph:rbd, own:s3, vm:vmware
[glance_store]
default_backend = fast
[fast]
filesystem_store_datadir = /srv/fast
store_description = Quick and dear.
weight = 3
[cheap]
swift_store_container = images
[blocks]
cinder_volume_type = ssd
[web]
https_insecure = false
[ceph]
rbd_store_chunk_size = 16
[own]
s3_store_bucket = images
[vm]
vmware_server_host = 10.0.0.1
[os_glance_staging_store]
filesystem_store_datadir = /srv/staging
[os_glance_tasks_store]
filesystem_store_datadir = /srv/tasks
""",
    }
)
"""Sections that an option names, or that a program declares for itself."""


@pytest.mark.parametrize("service", sorted(BACKENDS))
def test_sections_that_options_name_are_right(service: str) -> None:
    """Backends, stores, fabrics, sources and users of other services are all known as written."""
    assert judged(service, BACKENDS[service]) == ()


@pytest.mark.parametrize(
    ("service", "written", "instead", "code", "suggestion"),
    [
        ("cinder", "volume_driver =", "volume_drvier =", "unknown-option", "volume_driver"),
        ("cinder", "rbd_pool =", "rbd_pol =", "unknown-option", "rbd_pool"),
        ("cinder", "volume_clear = zero", "volume_clear = zeros", "not-a-choice", "zero"),
        ("cinder", "target_helper =", "target_helpers =", "unknown-option", "target_helper"),
        ("cinder", "backend_host =", "backendhost =", "unknown-option", "backend_host"),
        ("cinder", "[ceph]", "[cephs]", "unknown-section", "ceph"),
        ("cinder", "[left]", "[lefty]", "unknown-section", "left"),
        ("cinder", "mapping_file =", "maping_file =", "unknown-option", "mapping_file"),
        ("cinder", "username =", "usrename =", "unknown-option", "username"),
        ("cinder", "helper_command", "helpr_command", "unknown-option", "helper_command"),
        ("cinder", "[shared]", "[shard]", "unknown-section", "shared"),
        ("glance", "store_description =", "description =", "unknown-option", None),
        ("glance", "weight = 3", "weight = much", "wrong-type", None),
        ("glance", "weight = 3", "swift_store_region = 3", "unknown-option", None),
        ("glance", "rbd_store_chunk_size = 16", "rbd_store_chunk_size = 0", "out-of-range", None),
        ("glance", "s3_store_bucket =", "s3_store_bukket =", "unknown-option", "s3_store_bucket"),
        ("glance", "fast:file", "fast:fil", "not-a-choice", "file"),
        ("glance", "[cheap]", "[chaep]", "unknown-section", "cheap"),
    ],
)
def test_a_mistake_in_a_named_section_is_found_at_its_line(
    service: str, written: str, instead: str, code: str, suggestion: str | None
) -> None:
    """One error, there, with what was meant; nothing else is said."""
    text = BACKENDS[service].replace(written, instead, 1)
    line = text[: text.index(instead)].count("\n") + 1
    found = [each for each in judged(service, text) if each.severity == "error"]
    assert [(each.line, each.code) for each in found] == [(line, code)]
    if suggestion is not None:
        assert found[0].suggestion == suggestion


def test_what_backends_share_is_their_default() -> None:
    """What stands in [backend_defaults] counts for a backend that does not say otherwise."""
    again = BACKENDS["cinder"].replace("volume_clear = zero", "volume_clear = none")
    assert [(each.code, each.section, each.option) for each in judged("cinder", again)] == [
        ("equals-default", "lvm-1", "volume_clear")
    ]
    tree = Document.parse(BACKENDS["cinder"].encode(), "f.conf").tree()
    audit = audit_trees([tree], schema_of("cinder"), "OS")
    values = audit.converted.values
    assert (values["ceph"]["volume_clear"], values["lvm-1"]["volume_clear"]) == ("none", "zero")


def test_a_store_may_have_its_long_name() -> None:
    """Glance knows its kinds of stores by two names."""
    text = BACKENDS["glance"].replace("own:s3", "own:glance.store.s3.Store")
    assert judged("glance", text) == ()
