import copy
import json
import pickle

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.config import Secret
from bedplate.errors import SecretNotSerialisable

CANARY = "hunter2-canary"


def test_every_printed_form_is_masked() -> None:
    """However a secret is printed, alone or inside containers, the mask is what shows."""
    secret = Secret(CANARY)
    forms = [str(secret), repr(secret), f"{secret}", f"{secret:>10}", "%s %r" % (secret, secret)]  # noqa: UP031 - one of the forms
    forms += [repr([secret]), repr({"a": secret}), str((secret,)), ascii(secret)]
    assert CANARY not in "".join(forms)
    assert f"{secret:>6}" == "  ****"


def test_only_reveal_gives_the_value() -> None:
    """The value is what went in, whatever its type."""
    assert Secret(CANARY).reveal() == CANARY
    assert Secret([1, 2]).reveal() == [1, 2]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle_refuses_a_secret(protocol: int) -> None:
    """No protocol of pickle writes a secret, and the refusal does not show it."""
    with pytest.raises(SecretNotSerialisable) as caught:
        pickle.dumps({"a": Secret(CANARY)}, protocol)
    assert CANARY not in str(caught.value)


def test_encoders_refuse_a_secret() -> None:
    """Encoders do not know how to write a secret, and say so without it."""
    for encode in (json.dumps, msgspec.json.encode, msgspec.msgpack.encode):
        with pytest.raises(TypeError) as caught:
            encode({"a": Secret(CANARY)})
        assert CANARY not in str(caught.value)


def test_a_copy_is_the_secret_itself() -> None:
    """Copying hides nothing less and nothing more."""
    secret = Secret(CANARY)
    assert copy.copy(secret) is secret
    assert copy.deepcopy([secret])[0] is secret


@given(st.text() | st.binary() | st.integers(), st.text() | st.binary() | st.integers())
def test_secrets_are_equal_when_their_values_are(one: object, other: object) -> None:
    """Equality and hash follow the value; a secret never equals the value itself."""
    assert (Secret(one) == Secret(other)) == (one == other)
    assert hash(Secret(one)) == hash(Secret(one))
    assert Secret(one) != one


def test_a_secret_has_no_length_and_no_text_methods() -> None:
    """Nothing of the value can be asked for by accident; a secret is always true."""
    secret = Secret("")
    assert bool(secret)
    for question in ("__len__", "__iter__", "__contains__", "__getitem__", "upper", "encode"):
        assert not hasattr(secret, question)
    assert not hasattr(secret, "__dict__")


def test_a_secret_with_lone_surrogates_can_be_compared() -> None:
    """Text that no encoding takes, as from the environment, is compared all the same."""
    assert Secret("\udcff") == Secret("\udcff")
    assert Secret("\udcff") != Secret("x")
