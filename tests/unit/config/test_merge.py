from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from bedplate.config import Repeated, Schema, Section, option
from bedplate.config.merge import Merged, exact, layer, merge, pin, rename, repeats, stack
from bedplate.config.tree import Origin, Raw, Tree


class Api(Section):
    """The public interface."""

    workers: int = option(default=4, was=("DEFAULT.api_workers", "threads"))
    host: str = option(default="")


class Common(Section, name="DEFAULT"):
    """What everybody has."""

    debug: bool = option(default=False)


SCHEMA = Schema.of([Api, Common])
NAMES = (
    ("api", "workers"),
    ("api", "threads"),
    ("DEFAULT", "api_workers"),
    ("api", "host"),
    ("DEFAULT", "debug"),
    ("other", "unknown"),
)
Written = tuple[tuple[str, str], int]


def tree(*written: Written, source: str = "file", folded: bool = False) -> Tree:
    """Make a tree; values are numbers, lines follow the order of writing."""
    made = Tree(folded=folded)
    for line, ((section, name), value) in enumerate(written, 1):
        place = f"{source}:{line}"
        made.add(section, name, Raw(value, Origin(source, place, source, line, 1)))
    return made


def shape(merged: Merged) -> dict[tuple[str, str], list[object]]:
    """Return the candidates of each option as plain values."""
    return {
        (section, name): [raw.value for raw in raws]
        for section, options in merged.values.items()
        for name, raws in options.items()
    }


WRITTEN = st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, 99)), max_size=8)
LAYERS = st.lists(WRITTEN, max_size=5)


@given(LAYERS, st.integers(0, 5), st.integers(0, 5))
def test_stacking_is_associative(layers: list[list[Written]], one: int, two: int) -> None:
    """However layers are grouped before they are stacked, the result is the same."""
    first, second = sorted((one, two))
    single = [layer(tree(*written, source=f"f{i}")) for i, written in enumerate(layers)]
    empty = Merged({}, {})
    groups = single[:first], single[first:second], single[second:]
    grouped = reduce(stack, [reduce(stack, group, empty) for group in groups], empty)
    at_once = reduce(stack, single, empty)
    assert shape(grouped) == shape(at_once)
    assert grouped.sections == at_once.sections


@given(LAYERS)
def test_the_highest_layer_wins_and_nothing_is_lost(layers: list[list[Written]]) -> None:
    """The winner is the last value of the highest layer; all others follow, highest first."""
    wanted: dict[tuple[str, str], list[object]] = {}
    for written in reversed(layers):
        for name, value in reversed(written):
            wanted.setdefault(name, []).append(value)
    merged, _ = merge([tree(*written) for written in layers], Schema())
    assert shape(merged) == wanted


@given(WRITTEN)
def test_renaming_twice_changes_nothing(written: list[Written]) -> None:
    """A layer without old names stays as it is, and renaming leaves no old name."""
    once, _ = rename(tree(*written), SCHEMA)
    twice, findings = rename(once, SCHEMA)
    assert twice is once
    assert findings == ()
    assert not [name for *name, _ in once if tuple(name) in SCHEMA.renames]


@given(WRITTEN)
def test_renaming_loses_no_value(written: list[Written]) -> None:
    """Every value that was written is still a candidate after renaming."""
    renamed, _ = rename(tree(*written), SCHEMA)
    kept = sorted(raw.value for _, _, raws in renamed for raw in raws)  # type: ignore[type-var]  # numbers
    assert kept == sorted(value for _, value in written)


@given(WRITTEN)
def test_a_present_name_beats_old_ones_inside_a_layer(written: list[Written]) -> None:
    """The present name wins wherever it stands, then old names in the order of the list."""
    renamed, _ = rename(tree(*written), SCHEMA)
    for name in (("api", "workers"), ("DEFAULT", "api_workers"), ("api", "threads")):
        values = [value for each, value in written if each == name]
        if values:
            assert renamed.get("api", "workers")[-1].value == values[-1]
            break
    else:
        assert renamed.get("api", "workers") == []


def test_an_old_name_in_a_higher_layer_beats_the_present_one_below() -> None:
    """Precedence is the same for every spelling: the environment beats a file."""
    below = tree((("api", "workers"), 1))
    above = tree((("DEFAULT", "API_WORKERS"), 2), source="environment", folded=True)
    merged, findings = merge([below, above], SCHEMA)
    assert shape(merged) == {("api", "workers"): [2, 1]}
    assert [(each.code, each.suggestion) for each in findings] == [
        ("deprecated-name", "api.workers")
    ]


def test_an_old_name_is_reported_where_it_stands() -> None:
    """The warning about an old name gives its place and what to write instead."""
    _, findings = rename(tree((("api", "threads"), 1)), SCHEMA)
    (finding,) = findings
    assert str(finding) == (
        "file:1: [api] threads is the old name of [api] workers; write that instead."
    )
    assert (finding.severity, finding.code, finding.line) == ("warning", "deprecated-name", 1)
    assert (finding.section, finding.option, finding.suggestion) == ("api", "threads", "workers")


def test_both_names_in_one_file_are_reported() -> None:
    """Where a file has both names, the warning says which one counts."""
    _, findings = rename(tree((("api", "workers"), 1), (("DEFAULT", "api_workers"), 2)), SCHEMA)
    (finding,) = findings
    assert (finding.code, finding.place) == ("old-and-new", "file:2")
    assert "which is set as well (file:1) and counts" in finding.message


def test_a_section_of_old_names_only_disappears() -> None:
    """A section that consists of old names is not unknown: its values have moved."""

    class Moved(Section):
        x: int = option(default=1, was=("gone.x",))

    renamed, _ = rename(tree((("gone", "x"), 1)), Schema.of([Moved]))
    assert list(renamed.sections) == ["moved"]


def test_variables_get_their_exact_names() -> None:
    """An environment-like tree is matched against the folded names of the schema."""
    folded = tree(
        (("API", "WORKERS"), 1),
        (("DEFAULT", "DEBUG"), 2),
        (("API", "WORKERZ"), 3),
        (("FAR_AWAY", "X"), 4),
        folded=True,
    )
    names = {tuple(name) for *name, _ in exact(folded, SCHEMA)}
    assert names == {
        ("api", "workers"),
        ("DEFAULT", "debug"),
        ("api", "workerz"),
        ("far_away", "x"),
    }


def test_an_exact_tree_is_left_alone() -> None:
    """Names of files are exact: upper case in them is somebody else's option."""
    plain = tree((("API", "WORKERS"), 1))
    assert exact(plain, SCHEMA) is plain


def test_what_a_file_says_twice_is_reported() -> None:
    """A repeated key is a warning at each repetition; a repeated flag is nothing."""
    thrice = (("api", "host"), 1), (("api", "host"), 2), (("api", "host"), 3)
    second, third = repeats(tree(*thrice), SCHEMA)
    assert (second.code, second.line, third.line) == ("repeated", 2, 3)
    assert second.message == (
        "[api] host is set again (first: file:1); the last one counts (file:3)."
    )
    assert third.message == "[api] host is set again (first: file:1); this one counts."
    flags = Tree()
    for _ in range(2):
        flags.add("api", "host", Raw("x", Origin("command line", "--api.host")))
    assert repeats(flags, SCHEMA) == ()


def test_a_key_that_may_be_repeated_is_no_finding() -> None:
    """Of an option that takes all its values every one counts."""

    class Filters(Section):
        rule: Repeated[str] = option(default=[])

    twice = tree((("filters", "rule"), 1), (("filters", "rule"), 2))
    assert repeats(twice, Schema.of([Filters])) == ()


def test_a_present_and_an_old_name_are_no_repetition() -> None:
    """Both in one file are told once, as what they are."""
    both = tree((("api", "threads"), 1), (("api", "workers"), 2))
    _, findings = merge([both], SCHEMA)
    assert [each.code for each in findings] == ["old-and-new"]


def test_pinned_candidates_replace_what_layers_say() -> None:
    """A pin puts other candidates in place, and none where nobody had set anything."""
    merged, _ = merge([tree((("api", "workers"), 1), (("api", "host"), 2))], SCHEMA)
    before = layer(tree((("api", "workers"), 7)))
    pinned = pin(merged, {"api": {"workers": before.get("api", "workers"), "host": ()}})
    assert shape(pinned) == {("api", "workers"): [7]}
    assert shape(merged) == {("api", "workers"): [1], ("api", "host"): [2]}
    assert pin(merged, {}) is merged


def test_findings_of_sources_come_along() -> None:
    """What a source has to say about itself is among the findings of the merge."""
    source, _ = rename(tree((("api", "threads"), 1)), SCHEMA)
    noted = source.noting(*repeats(tree((("api", "host"), 1), (("api", "host"), 2)), SCHEMA))
    _, findings = merge([noted], SCHEMA)
    assert [each.code for each in findings] == ["repeated"]
