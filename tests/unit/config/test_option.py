import copy
import pickle

import pytest

from bedplate.config import Duration, Secret, Section, Url, option
from bedplate.config.option import REQUIRED, SectionType
from bedplate.errors import InvalidConfig, SchemaError, SecretNotSerialisable


class Api(Section):
    """The public interface."""

    host: str = option(default="127.0.0.1")
    workers: int = option(default=4, min=1, max=256)
    names: list[str] = option(default=["a"])


class Wide(Api, name="api.wide", optional=True):
    """More of it."""

    width: int = option()
    workers: int = option(default=8, min=1)

    @property
    def area(self) -> int:
        return self.width * self.workers


class Guarded(Section):
    """Has something to hide."""

    password: Secret[str] = option()
    place: Url = option(default=Url("amqp://u:hunter2@h/"))


def test_an_option_is_a_real_slot() -> None:
    """Reading an option is reading a slot: there is no instance dictionary to look into."""
    api = Api()
    assert not hasattr(api, "__dict__")
    assert type(vars(Api)["workers"]).__name__ == "member_descriptor"
    assert api.workers == 4


def test_a_class_knows_its_section() -> None:
    """The section's name is the class's in snake case, unless another is given."""

    class HTTPServer2(Section):
        pass

    class TransportRPC(Section, name="transport.rpc"):
        pass

    assert (Api.section_name, Api.section_optional) == ("api", False)
    assert (Wide.section_name, Wide.section_optional) == ("api.wide", True)
    assert HTTPServer2.section_name == "http_server2"
    assert TransportRPC.section_name == "transport.rpc"
    assert repr(Wide) == "<section [api.wide] Wide>"


def test_options_are_inherited_and_replaced() -> None:
    """A section inherits options in order; its own option replaces one of the same name."""
    assert list(Wide.section_options) == ["host", "workers", "names", "width"]
    assert Wide.section_options["workers"].default == 8
    assert Wide.section_options["width"].default is REQUIRED
    wide = Wide(width=3)
    assert (wide.workers, wide.area, wide.host) == (8, 24, "127.0.0.1")


def test_a_section_cannot_change() -> None:
    """Neither setting nor deleting an attribute is possible."""
    api = Api()
    with pytest.raises(AttributeError, match=r"cannot change \(Api\.workers\)"):
        api.workers = 5  # type: ignore[misc]  # the mistake under test
    with pytest.raises(AttributeError, match="cannot change"):
        del api.workers
    with pytest.raises(AttributeError, match="cannot change"):
        api.other = 5  # type: ignore[attr-defined]  # the mistake under test


def test_a_list_of_a_section_cannot_change() -> None:
    """A list stays what it was, and copies of it are free."""
    api = Api(names=["x", "y"])
    assert api.names == ["x", "y"]
    for change in (
        lambda: api.names.append("z"),
        api.names.sort,
        lambda: api.names.__setitem__(0, "z"),
        lambda: api.names.__iadd__(["z"]),
        api.names.clear,
    ):
        with pytest.raises(TypeError, match="cannot be changed"):
            change()
    mine = api.names.copy()
    mine.append("z")
    assert (mine, api.names) == (["x", "y", "z"], ["x", "y"])


def test_sections_are_equal_by_value() -> None:
    """Sections of one class with equal values are equal and hash alike; others are not."""
    assert Api(workers=5) == Api(workers=5)
    assert hash(Api(workers=5)) == hash(Api(workers=5))
    assert Api(workers=5) != Api(workers=6)
    assert Api() != Wide(width=1)


def test_a_section_prints_itself_without_its_secrets() -> None:
    """The printed form names class and values, and masks secrets and passwords in URLs."""
    assert repr(Api(workers=2)) == "Api(host='127.0.0.1', workers=2, names=['a'])"
    shown = repr(Guarded(password=Secret("hunter2")))
    assert shown == "Guarded(password=****, place=Url('amqp://u:****@h/'))"


def test_a_section_travels_through_pickle_unless_it_holds_a_secret() -> None:
    """A plain section survives pickle and copy; one with a secret refuses."""
    api = Api(workers=5)
    again = pickle.loads(pickle.dumps(api))  # noqa: S301 - our own bytes
    assert again == copy.deepcopy(api) == api
    with pytest.raises(TypeError, match="cannot be changed"):
        again.names.append("z")
    with pytest.raises(SecretNotSerialisable):
        pickle.dumps(Guarded(password=Secret("x")))


def test_a_section_made_by_hand_checks_its_values() -> None:
    """Wrong values are refused together, each named as it was written in code."""
    with pytest.raises(InvalidConfig) as caught:
        Api(workers=0, host=3)  # type: ignore[arg-type]  # the mistake under test
    assert [(each.code, each.place) for each in caught.value.findings] == [
        ("wrong-type", "Api(host=…)"),
        ("out-of-range", "Api(workers=…)"),
    ]


def test_a_section_made_by_hand_checks_its_names() -> None:
    """Unknown and missing names are a TypeError, as in any call."""
    with pytest.raises(TypeError, match=r"Wide\(\) has no option widht; Wide\(\) needs width"):
        Wide(widht=3)  # type: ignore[call-arg]  # the mistake under test


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"_hidden": option(default=1)}, "cannot begin with '_'"),
        ({"section_name": option(default=1)}, "taken by the class"),
        ({"__slots__": ("x",)}, "makes its own __slots__"),
    ],
)
def test_a_body_that_cannot_be_a_section_is_refused(body: dict[str, object], why: str) -> None:
    """What cannot be a section is refused where the class is defined."""
    with pytest.raises(SchemaError, match=why):
        SectionType("Odd", (Section,), body)


def test_a_plain_value_does_not_hide_an_inherited_option() -> None:
    """An inherited option is replaced by an option, not by a value that would shadow it."""
    with pytest.raises(SchemaError, match=r"Odd\.workers: .*another option"):
        SectionType("Odd", (Api,), {"workers": 5})


def test_two_parents_with_options_are_refused() -> None:
    """A section inherits the options of one class; slots cannot be shared by two."""
    with pytest.raises(SchemaError, match="one class only"):
        SectionType("Odd", (Api, Guarded), {})


def test_methods_and_class_variables_may_stand_beside_options() -> None:
    """A class body may hold what any class holds."""

    class Timing(Section):
        """Times."""

        total: Duration = option(default=3)

        def half(self) -> float:
            return self.total / 2

    assert Timing().half() == 1.5
