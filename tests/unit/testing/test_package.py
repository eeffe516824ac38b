"""What the package hands on."""

import pytest

from bedplate import testing


def test_all_that_is_listed_is_there() -> None:
    """Every name that the package lists can be taken from it, and no other."""
    for name in testing.__all__:
        assert getattr(testing, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Relai'"):
        _ = testing.Relai
