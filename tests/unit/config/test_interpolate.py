from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.config.interpolate import BadReference, Resolved, Resolver, parse

TEXTS: Mapping[tuple[str, str], str | None] = {
    ("DEFAULT", "state_path"): "/var/lib",
    ("DEFAULT", "lock_path"): "$state_path/locks",
    ("DEFAULT", "name"): "common",
    ("DEFAULT", "price"): "$$5",
    ("DEFAULT", "unknown_value"): None,
    ("api", "name"): "own",
    ("api", "url"): "http://${name}.example.org:$port",
    ("api", "port"): "80",
    ("api", "beyond"): "$wrong",
    ("store.s3", "bucket"): "b",
    ("loop", "a"): "$b",
    ("loop", "b"): "-$c-",
    ("loop", "c"): "${loop.a}",
    ("loop", "outside"): "$a",
    ("loop", "self"): "$self",
    ("raw", "text"): "$name",
}


OLD: Mapping[tuple[str, str], tuple[str, str]] = {("gone", "address"): ("api", "url")}


def resolver() -> Resolver:
    """Resolve among the texts above, of which those in [raw] stand as they are."""
    return Resolver(
        lambda *name: OLD.get(name, name if name in TEXTS else None),
        lambda section, name: (
            None if (text := TEXTS[section, name]) is None else (text, section != "raw")
        ),
    )


def resolved(text: str, section: str = "api") -> str | None:
    return resolver().resolve(text, section, "asking").text


def refused(text: str, section: str = "api", option: str = "asking") -> BadReference:
    with pytest.raises(BadReference) as caught:
        resolver().resolve(text, section, option)
    return caught.value


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("plain", "plain"),
        ("", ""),
        ("$state_path/x", "/var/lib/x"),
        ("${state_path}s", "/var/libs"),
        ("$lock_path", "/var/lib/locks"),
        ("$name", "own"),
        ("$DEFAULT.name", "common"),
        ("${api.port}1", "801"),
        ("$api.port", "80"),
        ("${store.s3.bucket}", "b"),
        ("$store.s3.bucket!", "b!"),
        ("$url", "http://own.example.org:80"),
        ("$port.", "80."),
        ("$port-$name", "80-own"),
        (r"\$name $$name", "$name $name"),
        ("$$$name", "$own"),
        ("$price", "$5"),
        ("$raw.text", "$name"),
        ("^a$ $1 $ $, $-", "^a$ $1 $ $, $-"),
        ("${not a name} ${}", "${not a name} ${}"),
    ],
)
def test_references_are_replaced_as_oslo_config_does(text: str, result: str) -> None:
    """Same section first, then DEFAULT; escapes; other dollars stand for themselves."""
    assert resolved(text) == result


def test_a_bare_name_is_looked_up_where_it_is_written() -> None:
    """What is put in from another section is resolved in that section."""
    assert resolved("${api.url}", "DEFAULT") == "http://own.example.org:80"


def test_what_is_called_by_an_old_name_is_looked_up_where_it_is_now() -> None:
    """What its text refers to stands beside the option, not beside its old name."""
    assert resolved("${gone.address}", "DEFAULT") == "http://own.example.org:80"
    used = resolver().resolve("${gone.address}", "DEFAULT", "asking").uses
    assert used == {("api", "url"), ("api", "name"), ("api", "port")}


def test_what_a_text_was_made_of_is_known() -> None:
    """All options a text was put together from are told, near and far."""
    assert resolver().resolve("$api.url $lock_path", "DEFAULT", "asking") == Resolved(
        "http://own.example.org:80 /var/lib/locks",
        frozenset(
            {
                ("api", "url"),
                ("api", "name"),
                ("api", "port"),
                ("DEFAULT", "lock_path"),
                ("DEFAULT", "state_path"),
            }
        ),
    )


def test_what_is_not_known_leaves_the_text_unknown() -> None:
    """A default that is withheld is no mistake of whoever refers to it."""
    assert resolver().resolve("a $unknown_value", "api", "asking") == Resolved(
        None, frozenset({("DEFAULT", "unknown_value")})
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("pa$word", "refers to $word, and there is no such option in [api] or [DEFAULT]"),
        ("${word}", "refers to ${word}, and"),
        ("${api.word}", "no such option in section 'api'"),
        ("$nowhere.name.x", "no such option in section 'nowhere.name'"),
        ("$name.example.org", "write ${name} for 'name' with a dot behind it"),
    ],
)
def test_an_unknown_name_is_told_at_the_option_that_holds_it(text: str, words: str) -> None:
    """The message names what is looked for, where, and how to write a plain dollar."""
    bad = refused(text)
    assert words in bad.why
    assert bad.among == {("api", "asking")}
    assert "word" not in bad.discreet


def test_a_mistake_further_on_is_that_of_another_option() -> None:
    """Whoever refers to a wrong text is not wrong itself."""
    assert refused("$beyond").among == {("api", "beyond")}


def test_a_circle_is_told_with_its_way_round() -> None:
    """All its members are wrong, and nobody outside of it."""
    bad = refused("$b", "loop", "a")
    assert bad.why.startswith("refers to itself in the end ([loop] a → [loop] b → [loop] c → ")
    assert bad.among == refused("$a", "loop", "outside").among
    assert bad.among == {("loop", "a"), ("loop", "b"), ("loop", "c")}
    assert refused("$self", "loop", "self").among == {("loop", "self")}


def test_neither_depth_nor_growth_is_without_end() -> None:
    """A chain of hundreds, and texts that double at each step, are refused."""
    chain = Resolver(lambda *name: name, lambda _, name: (f"$a{int(name[1:]) + 1}", True))
    with pytest.raises(BadReference, match="itself"):
        chain.resolve("$a0", "s", "x")
    double = Resolver(
        lambda *name: name,
        lambda _, name: (f"$a{int(name[1:]) - 1}" * 4 if name != "a0" else "x" * 100, True),
    )
    with pytest.raises(BadReference, match="1 MiB"):
        double.resolve("$a20", "s", "x")


PIECES = st.sampled_from(["$", "{", "}", "\\", ".", "name", "api", "-", "$$", "${name}", "1", "é"])


@given(st.lists(PIECES, max_size=10).map("".join))
def test_escaping_every_dollar_keeps_a_text(text: str) -> None:
    """``$$`` for each dollar, with no backslash before it, comes out as what was meant."""
    plain = text.replace("\\", "/")
    assert resolved(plain.replace("$", "$$")) == plain


@given(st.text(st.characters(exclude_characters="$")))
def test_a_text_without_dollars_stands_as_it_is(text: str) -> None:
    """Backslashes, braces and anything else mean nothing by themselves."""
    assert parse(text) == ((text,) if text else ())
