import pytest

from bedplate._floor.cause import caused


def test_an_error_says_what_it_comes_from() -> None:
    """The cause is set whoever raises it, and None hides what was being handled."""
    source = KeyError("source")
    with pytest.raises(ValueError, match="seen") as raised:
        raise caused(ValueError("seen"), source)
    assert raised.value.__cause__ is source
    assert caused(ValueError("seen"), None).__suppress_context__
