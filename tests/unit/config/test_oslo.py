import importlib
import json
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest

from bedplate.config.auditing import audit_trees
from bedplate.config.document import Document
from bedplate.config.merge import is_many
from bedplate.config.option import REQUIRED
from bedplate.config.oslo import (
    installed_option_set,
    option_set,
    read_option_set,
    with_plugged_in,
)
from bedplate.config.schema import OSLO, Schema
from bedplate.config.specs import OptionSpec, Unresolved
from bedplate.config.tree import Tree
from bedplate.config.types import (
    Choice,
    Dict,
    FrozenList,
    HostNameType,
    Integer,
    List,
    Multi,
    OptionalType,
    Refused,
    SecretType,
    String,
    Unchecked,
)
from bedplate.errors import NotASchema

DATA = Path(__file__).parents[2] / "data" / "openstack"


def released(name: str) -> Schema:
    return read_option_set((DATA / f"{name}.json").read_bytes(), name)


def entry(**facts: object) -> dict[str, object]:
    """Write an option as the generator does."""
    return {
        "name": "size",
        "dest": str(facts.get("name", "size")).replace("-", "_"),
        "type": "string value",
        "default": None,
        "choices": [],
        "deprecated_opts": [],
        "namespace": "test",
    } | facts


def only(**facts: object) -> OptionSpec:
    """Read a set of one option and return it."""
    spec = option_set({"options": {"DEFAULT": {"opts": [entry(**facts)]}}}, "test").get(
        "DEFAULT", str(entry(**facts)["dest"])
    )
    assert spec is not None
    return spec


@pytest.mark.parametrize(
    ("name", "options", "sections", "old", "deprecated", "secret", "mutable", "required"),
    [
        ("nova", 1137, 62, 75, 30, 32, 6, 10),
        ("keystone", 412, 46, 18, 10, 12, 2, 1),
        ("cinder", 1457, 34, 37, 66, 53, 2, 5),
        # Two more options of each of seven kinds of stores, and two stores of six options.
        ("glance", 490 + 14 + 12, 30 + 2, 18, 24, 33, 2, 0),
        ("keystone-21.0.1-ns", 209, 33, 10, 11, 2, 0, 0),
        ("keystone-30.0.0-ns", 217, 33, 4, 5, 3, 0, 0),
    ],
)
def test_released_option_sets_are_read_whole(
    name: str,
    options: int,
    sections: int,
    old: int,
    deprecated: int,
    secret: int,
    mutable: int,
    required: int,
) -> None:
    """What released services print is read with nothing lost: the counts are those of the files."""
    schema = released(name)
    assert (len(schema), len(schema.sections), schema.dialect) == (options, sections, OSLO)
    assert sum(len(spec.was) for spec in schema) == old
    counts = Counter[str]()
    for spec in schema:
        counts += Counter(deprecated=bool(spec.deprecated), secret=spec.secret)
        counts += Counter(mutable=spec.mutable, required=spec.required)
    assert counts == Counter(
        deprecated=deprecated, secret=secret, mutable=mutable, required=required
    )
    unchecked = ["config_file"] if name == "cinder" else []
    assert [spec.key for spec in schema if spec.unchecked] == unchecked


def test_an_option_is_called_as_files_call_it() -> None:
    """A hyphenated option has the name under which oslo.config looks it up: its dest."""
    schema = released("nova")
    assert schema.get("DEFAULT", "log_config_append") is not None
    assert schema.get("DEFAULT", "log-config-append") is None
    assert not [spec.key for spec in schema if "-" in spec.name]


def test_defaults_that_refer_to_others_are_kept_as_text() -> None:
    """A default with a dollar is not judged by its type; neither is one that its type refuses."""
    nova = released("nova")
    unresolved = {spec.key: spec for spec in nova if isinstance(spec.default, Unresolved)}
    assert len(unresolved) == 13
    assert unresolved["instances_path"].default == Unresolved("$state_path/instances")
    assert unresolved["instances_path"].default_text == "$state_path/instances"
    assert only(type="integer value", default="<cores>").default == Unresolved("<cores>")
    assert only(type="list value", default=["$a", "b"]).default == Unresolved("$a,b")


@pytest.mark.parametrize(
    ("kind", "type_"),
    [
        ("string value", String()),
        ("integer value", Integer()),
        ("port value", Integer(0, 65535, noun="a port number")),
        ("list value", List(String(), FrozenList, quotes=False)),
        ("dict value", Dict(String(), quotes=False)),
        ("multi valued", Multi(String())),
        ("host domain value", HostNameType(address=True, underscore=True)),
        ("unknown value", Unchecked("unknown value")),
        ("moon phase value", Unchecked("moon phase value")),
    ],
)
def test_each_kind_has_its_type(kind: str, type_: object) -> None:
    """Kinds the generator prints become types; one of a program's own is text nobody checks."""
    spec = only(type=kind, required=True)
    assert (spec.type, spec.default) == (type_, REQUIRED)
    assert spec.unchecked is isinstance(type_, Unchecked)


def test_a_default_of_none_is_an_option_that_may_be_absent() -> None:
    """Blank is None for a number, as for oslo.config, and what the type makes of it elsewhere."""
    number, text = only(type="integer value"), only()
    assert number.type == OptionalType(Integer())
    assert (number.type.parse(""), text.type.parse("")) == (None, "")
    assert (number.default, text.default) == (None, None)


def test_a_blank_number_is_none_however_it_is_kept() -> None:
    """Neither choices nor being secret change what blank means for a number."""
    assert only(type="integer value", secret=True).type.parse("") is None
    assert only(type="integer value", choices=[[1, None]]).type.parse("") is None


def test_items_of_a_default_that_are_no_text_are_read_as_text() -> None:
    """What the items of a list are is not printed; a default of numbers is not lost for that."""
    assert only(type="list value", default=[1, 2]).default == ["1", "2"]
    assert only(type="dict value", default={"a": 1}).default == {"a": "1"}


def test_an_option_that_has_moved_is_looked_up_by_its_dest() -> None:
    """Where only the group is another, its printed name is the option's own, hyphens and all."""
    moved = only(name="my-size", deprecated_opts=[{"group": "gone", "name": "my-size"}])
    assert moved.was == (("gone", "my_size"),)


def test_limits_and_choices_are_kept() -> None:
    """Ranges, and choices with what they mean, reach the type; choices replace a range."""
    assert only(type="integer value", min=1, max=9, default=3).type == Integer(1, 9)
    chosen = only(choices=[["a", "the  first"], ["b", None]], default="a").type
    assert chosen == Choice({"a": "a", "b": "b"}, about={"a": "the first"})
    numbers = only(type="integer value", choices=[[256, None], [512, None]], min=1, default=256)
    assert numbers.type.parse("512") == 512


@pytest.mark.parametrize(
    ("service", "section", "option", "text", "meant"),
    [
        ("cinder", "backend_defaults", "storage_protocol", "iscsi", "iSCSI"),
        ("cinder", "DEFAULT", "backup_compression_algorithm", "GZIP", "gzip"),
        ("glance", "DEFAULT", "image_cache_driver", "SQLite", "sqlite"),
        ("keystone", "DEFAULT", "log_rotation_type", "Size", "size"),
        ("nova", "keystone_authtoken", "memcache_security_strategy", "encrypt", "ENCRYPT"),
    ],
)
def test_choices_of_services_are_read_in_any_case_where_they_are_there(
    service: str, section: str, option: str, text: str, meant: str
) -> None:
    """That case does not count is not printed, and comes with bedplate."""
    spec = released(service).get(section, option)
    assert spec is not None
    assert spec.type.parse(text) == meant


def test_none_is_no_choice_that_can_be_written() -> None:
    """A choice of None stands for an option left alone; the word is as wrong as any."""
    kind = released("cinder").get("service_user", "tls_min_version")
    assert kind is not None
    assert kind.default is None
    assert "'None'" not in kind.type.describe()
    with pytest.raises(Refused):
        kind.type.parse("None")


def test_choices_are_blind_where_their_own_default_says_so() -> None:
    """A default that differs from a choice by case alone shows that case does not count."""
    spec = only(choices=[["Days", None], ["Hours", None]], default="days")
    assert (spec.type.parse("HOURS"), spec.default) == ("Hours", "Days")
    assert released("nova").get("DEFAULT", "log_rotate_interval_type").type.parse("days") == "Days"  # type: ignore[union-attr]  # it is there
    exact = only(choices=[["Days", None], ["Hours", None]], default="Days")
    assert exact.type != spec.type


def test_all_other_facts_are_kept() -> None:
    """Secret, mutable, advanced, sample and farewell of an option are those of the set."""
    spec = only(
        secret=True,
        mutable=True,
        advanced=True,
        sample_default="<secret>",
        help="Some\n  help.",
        default="x",
        deprecated_for_removal=True,
        deprecated_reason="Gone.",
        deprecated_since="2.0",
        deprecated_opts=[{"group": "old", "name": "s"}, {"group": None, "name": None}],
    )
    assert spec.type == SecretType(String())
    assert spec.default_text == "****"
    assert (spec.mutable, spec.advanced, spec.sample, spec.help) == (
        True,
        True,
        "<secret>",
        "Some help.",
    )
    assert (spec.deprecated, spec.since, spec.was) == ("Gone.", "2.0", (("old", "s"),))
    assert only(deprecated_for_removal=True).deprecated == "It will be removed."
    assert (spec.owner, spec.interpolate, spec.optional) == ("test", True, False)


def test_an_old_name_of_two_options_belongs_to_the_first() -> None:
    """oslo.config lets options share an old name, or take that of a live one."""
    shared = [{"group": "DEFAULT", "name": "host"}]
    opts = [entry(name="a", deprecated_opts=shared), entry(name="b", deprecated_opts=shared)]
    assert (
        option_set({"options": {"x": {"opts": opts}}}, "test").renames["DEFAULT", "host"].name
        == "a"
    )
    live = [*opts, entry(name="host")]
    assert not option_set({"options": {"DEFAULT": {"opts": live}}}, "test").renames


def test_groups_with_drivers_keep_them() -> None:
    """Which driver an option belongs to, and which option picks it, is a fact of the section."""
    about = {
        "driver_option": "kind",
        "driver_opts": {"fast": ["block-size"], "slow": []},
        "dynamic_group_owner": "DEFAULT.enabled",
        "opts": [entry(name="kind"), entry(name="block-size")],
    }
    section = option_set({"options": {"store": about}}, "test").sections["store"]
    assert (section.driver_option, section.each, section.optional) == ("kind", "enabled", True)
    assert dict(section.drivers) == {"fast": ("block_size",), "slow": ()}


def test_what_the_generator_omits_is_supplied() -> None:
    """Owners of repeated sections come with bedplate, and count where the set has both sides."""
    owner = {"opts": [entry(name="enabled_backends", type="list value")]}
    pattern = {"opts": [entry(name="volume_driver")]}
    cinder = option_set({"options": {"DEFAULT": owner, "backend_defaults": pattern}}, "test")
    assert cinder.sections["backend_defaults"].each == "enabled_backends"
    alone = option_set({"options": {"backend_defaults": pattern}}, "test")
    assert not alone.sections["backend_defaults"].each
    groups = {"DEFAULT": owner, "glance_store": pattern, "glance.store.rbd.store": pattern}
    glance = option_set({"options": groups}, "test")
    assert glance.sections["glance.store.rbd.store"].by == "rbd"
    another = option_set({"options": {"DEFAULT": owner, "file": pattern}}, "test")
    assert not another.sections["file"].each
    assert "weight" in glance.sections["glance.store.rbd.store"].options
    assert "weight" not in another.sections["file"].options
    huge = released("nova").get("DEFAULT", "reserved_huge_pages")
    assert huge is not None
    assert huge.type == OptionalType(Multi(Dict(String(), quotes=False)), blank=False)
    several = {spec.name for spec in released("cinder") if is_many(spec) and not spec.secret}
    assert {"u4p_failover_target", "excluded_domain_ip"} <= several


@pytest.mark.parametrize(
    ("service", "owners"),
    [
        (
            "cinder",
            {
                "backend": ("enabled_backends", ""),
                "backend_defaults": ("enabled_backends", ""),
                "brcd_fabric_example": ("fc-zone-manager.fc_fabric_names", ""),
                "cisco_fabric_example": ("fc-zone-manager.fc_fabric_names", ""),
                "sample_castellan_source": ("config_source", ""),
                "sample_remote_file_source": ("config_source", ""),
            },
        ),
        (
            "glance",
            {
                "cinder": ("enabled_backends", "cinder"),
                "file": ("enabled_backends", "file"),
                "glance.store.http.store": ("enabled_backends", "http"),
                "glance.store.rbd.store": ("enabled_backends", "rbd"),
                "glance.store.s3.store": ("enabled_backends", "s3"),
                "glance.store.swift.store": ("enabled_backends", "swift"),
                "glance.store.vmware_datastore.store": ("enabled_backends", "vmware"),
            },
        ),
        ("nova", {}),
    ],
)
def test_sections_of_real_services_have_their_owners(
    service: str, owners: dict[str, tuple[str, str]]
) -> None:
    """Which sections stand for others, and which option names those, is known of each service."""
    sections = released(service).sections
    assert {name: (each.each, each.by) for name, each in sections.items() if each.each} == owners


def test_an_owner_keeps_the_name_of_its_section() -> None:
    """Names of options lose their hyphens, names of sections do not."""
    about = {"dynamic_group_owner": "fc-zones.fabric-names", "opts": [entry()]}
    section = option_set({"options": {"fabric": about}}, "test").sections["fabric"]
    assert section.each == "fc-zones.fabric_names"


def tree_of(text: str) -> Tree:
    return Document.parse(text.encode(), "f.conf").tree()


def test_what_documents_show_is_no_value_of_a_required_option() -> None:
    """Whoever copies <name> has changed nothing, which is right only where there is a default."""
    asked = [
        entry(name="port", type="integer value", required=True, sample_default="<port>"),
        entry(name="size", type="integer value", default=3, sample_default="<size>"),
        entry(name="text"),
    ]
    schema = option_set({"options": {"DEFAULT": {"opts": asked}}}, "test")
    audit = audit_trees(
        [tree_of("[DEFAULT]\nport = <port>\nsize = <size>\ntext = $size\n")], schema, "OS"
    )
    assert [(each.line, each.code, each.option) for each in audit.errors] == [
        (2, "wrong-type", "port")
    ]
    assert audit.converted.values["DEFAULT"] == {"size": 3, "text": "3"}


def test_one_item_that_has_no_value_leaves_none_of_several() -> None:
    """An option that is written several times is no single text for that."""
    asked = [entry(type="multi valued", default=[]), entry(name="other", required=True)]
    schema = option_set({"options": {"DEFAULT": {"opts": asked}}}, "test")
    audit = audit_trees([tree_of("[DEFAULT]\nsize = a\nsize = $other\n")], schema, "OS")
    assert [each.option for each in audit.errors] == ["other"]
    assert audit.converted.values["DEFAULT"] == {"size": Unresolved("$other")}


def test_a_default_that_refers_to_nothing_is_no_value() -> None:
    """It is the text that documents show, not what the option is."""
    asked = [entry(default="a-$nobody"), entry(name="url", default="$size", type="uri value")]
    schema = option_set({"options": {"DEFAULT": {"opts": asked}}}, "test")
    audit = audit_trees([], schema, "OS")
    assert audit.converted.values["DEFAULT"] == {
        "size": Unresolved("a-$nobody"),
        "url": Unresolved("$size"),
    }


def test_what_plug_ins_read_is_known_where_it_is_written() -> None:
    """A section that picks a plug-in for authentication has the options of all that there are."""
    nova = released("nova")
    assert nova.get("keystone_authtoken", "username") is None
    known = with_plugged_in(nova, [tree_of("[keystone_authtoken]\nuser_name = nova\n")])
    password = known.get("keystone_authtoken", "password")
    assert password is not None
    assert (password.secret, password.required, password.owner) == (True, False, "keystoneauth1")
    username = known.renames["keystone_authtoken", "user_name"]
    assert (username.name, known.get("service_user", "username")) == (
        "username",
        nova.get("service_user", "username"),
    )
    assert with_plugged_in(nova, [tree_of("[DEFAULT]\ndebug = true\n")]) is nova
    native = Schema()
    assert with_plugged_in(native, [tree_of("[keystone_authtoken]\nusername = x\n")]) is native


def test_a_section_may_take_its_plug_in_from_another() -> None:
    """Where auth_section names one, what is said of the plug-in stands there."""
    shared = tree_of("[cinder]\nauth_section = users\n[users]\nauth_type = password\n")
    users = with_plugged_in(released("nova"), [shared]).sections["users"]
    assert {"auth_type", "password", "auth_url"} <= users.options.keys()
    assert "auth_section" not in users.options
    assert users.options["auth_type"].key == "users.auth_type"


@pytest.mark.parametrize(
    ("line", "required"),
    [
        ("auth_type = password", True),
        ("auth_type = none", False),
        ("auth_section = users", False),
    ],
)
def test_a_plug_in_that_is_told_elsewhere_or_needs_nothing_asks_for_nothing(
    line: str, *, required: bool
) -> None:
    """What the option set calls required is so where the section says all of its plug-in."""
    known = with_plugged_in(released("nova"), [tree_of(f"[cinder]\n{line}\n")])
    spec = known.get("cinder", "auth_url")
    assert spec is not None
    assert spec.required is required


def test_yaml_says_the_same_as_json() -> None:
    """The generator's YAML, with its anchors, is read to the same schema as its JSON."""
    yaml = pytest.importorskip("yaml")
    text = (DATA / "keystone-30.0.0-ns.json").read_text()
    shared: list[object] = []
    document = json.loads(text)
    for group in document["options"].values():
        for each in group["opts"]:
            each["choices"] = each["choices"] or shared  # makes the writer use an alias
    written = yaml.safe_dump(document, default_flow_style=False)
    assert "*id001" in written
    assert read_option_set(written, "yaml") == read_option_set(text, "json")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\xff\xfe", "not text in UTF-8"),
        ("{", "not JSON (Expecting property name enclosed in double quotes in line 1, column 2)"),
        ("- " * 100_000, "it nests more than 50 levels deep"),
        ('{"a": ' + "[" * 200_000, "nests too deeply"),
        ("a: [b", "neither JSON nor YAML in line 2, column 1"),
        ("", "the whole is no mapping"),
        ("{}", "no mapping 'options'"),
        ('{"options": {"g": 1}}', "options.g is no mapping"),
        ('{"options": {"g": {"opts": 1}}}', "options.g.opts is no list"),
        ('{"options": {"g": {"opts": [1]}}}', "options.g.opts[0] is no mapping"),
        ('{"options": {"g": {"opts": [{}]}}}', "options.g.opts[0].name is missing"),
        ('{"options": {"g": {"opts": [{"name": 1}]}}}', "options.g.opts[0].name is no text"),
        (
            '{"options": {"g": {"opts": [{"name": "a", "choices": {"b": 1}}]}}}',
            "options.g.opts[0].choices is no list",
        ),
        (
            '{"options": {"g": {"opts": [{"name": "a", "type": "integer value", "min": "x"}]}}}',
            "options.g.opts[0].min is no number",
        ),
        (
            '{"options": {"g": {"opts": [{"name": "a", "type": "port value", "min": 70000}]}}}',
            "nothing lies between a min of 70000 and a max of 65535",
        ),
        ('{"options": {"g": {"opts": [], "driver_opts": 3}}}', "driver_opts is no mapping"),
    ],
)
def test_what_is_no_option_set_is_refused_with_its_place(data: str | bytes, why: str) -> None:
    """Whatever is wrong with a set is one sentence with the file and the place in it."""
    with pytest.raises(NotASchema) as refused:
        read_option_set(data, "odd.json")
    assert str(refused.value).startswith("odd.json does not describe options: ")
    assert why in str(refused.value)


def test_a_set_that_multiplies_itself_is_refused() -> None:
    """A small YAML file of aliases cannot make the reader work for ever."""
    opts = "\n".join(f"    - {{name: o{number}, type: string value}}" for number in range(1000))
    groups = "\n".join(f"  g{number}: *g" for number in range(100))
    pytest.importorskip("yaml")
    with pytest.raises(NotASchema, match="more than 50000 options"):
        read_option_set(f"options:\n  g: &g\n   opts:\n{opts}\n{groups}\n", "bomb.yaml")


class Kind:
    """What oslo.config's types say of themselves."""

    def __init__(self, type_name: str, **facts: object) -> None:
        self.type_name = type_name
        for name, value in facts.items():
            setattr(self, name, value)


class Opt:
    """What oslo.config's options hold; some libraries have a lesser kind of their own."""

    multi = False

    def __init__(self, name: str, type_: object = str, **facts: object) -> None:
        self.name, self.type, self._private = name, type_, object()
        for fact, value in facts.items():
            setattr(self, fact, value)


class Old(NamedTuple):
    name: str | None
    group: str | None


class Group(NamedTuple):
    name: str
    help: str = ""
    dynamic_group_owner: str = ""
    driver_option: str = ""


PORTS = Kind("port value", min=0, max=65535)
LEVELS = Kind("string value", choices={"low": "Little.", "high": None}, ignore_case=True)
SHARED = Opt("shared")


def list_options() -> object:
    old = [Old("old_port", None), Old("old-port", None), Old(None, "elsewhere")]
    return [
        (None, [Opt("my-port", PORTS, default=80, deprecated_opts=old, secret=True), SHARED]),
        (Group("Store", "Where.", "DEFAULT.stores", "kind"), [Opt("kind", LEVELS)]),
        ("Store", [SHARED, SHARED]),
        ("odd", [Opt("count", str), Opt("count", int), Opt("moon", object())]),
        (Group("empty"), []),
    ]


def list_drivers() -> object:
    return {"fast": [Opt("block-size", int)]}


def set_defaults() -> None:
    SHARED.default = "changed"  # type: ignore[attr-defined]  # as the real ones do


def fails() -> object:
    raise RuntimeError("no database")


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a package that offers options, as far as entry points go."""
    info = tmp_path / "fake-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fake\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[oslo.config.opts]\n"
        "fake = fake_options:list_options\nfails = fake_options:fails\n"
        "missing = fake_options:nothing\nconstant = fake_options:LEVELS\n"
        "empty = fake_options:set_defaults\n"
        "[oslo.config.opts.defaults]\nfake = fake_options:set_defaults\n"
        "[oslo.config.opts.kind]\nfake = fake_options:list_drivers\n"
    )
    monkeypatch.setitem(sys.modules, "fake_options", sys.modules[__name__])
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    monkeypatch.delattr(SHARED, "default", raising=False)


@pytest.mark.usefixtures("installed")
def test_installed_packages_are_asked_for_their_options() -> None:
    """Entry points, hooks that change defaults, and options of drivers make the same schema."""
    schema = installed_option_set(["fake"])
    assert {name: list(section.options) for name, section in schema.sections.items()} == {
        "DEFAULT": ["my_port", "shared"],
        "store": ["kind", "block_size", "shared"],
        "odd": ["count", "moon"],
    }
    port = schema.get("DEFAULT", "my_port")
    assert port is not None
    assert port.type == SecretType(Integer(0, 65535, noun="a port number"))
    assert port.was == (("DEFAULT", "old_port"), ("elsewhere", "my_port"))
    store = schema.sections["store"]
    assert (store.doc, store.each, store.driver_option) == ("Where.", "stores", "kind")
    assert dict(store.drivers) == {"fast": ("block_size",)}
    assert store.options["shared"].default == "changed"
    kind = store.options["kind"].type
    assert isinstance(kind, OptionalType)
    spellings = {"low": "low", "high": "high"}
    assert kind.inner == Choice(spellings, blind=True, about={"low": "Little."})
    odd = schema.sections["odd"].options
    assert (odd["count"].type, odd["moon"].unchecked) == (OptionalType(Integer()), True)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("namespace", "why"),
    [
        ("unknown", "no namespace 'unknown' is installed (there are: constant, empty, fails, fake"),
        ("fakes", "did you mean 'fake'? there are: constant, empty, fails, fake, missing"),
        ("fails", "its entry point failed (RuntimeError: no database)"),
        ("missing", "fake_options:nothing cannot be imported (AttributeError"),
        ("constant", "its entry point is nothing that can be called"),
        ("empty", "its entry point returned no list of groups"),
    ],
)
def test_a_namespace_that_cannot_be_asked_is_told(namespace: str, why: str) -> None:
    """Whatever somebody else's code does, one sentence names the namespace and the cause."""
    with pytest.raises(NotASchema) as refused:
        installed_option_set([namespace])
    assert str(refused.value).startswith(f"{namespace} does not describe options: ")
    assert why in str(refused.value)
