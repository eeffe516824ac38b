from bedplate._floor.token import chance, token_hex


def test_names_are_long_and_never_the_same() -> None:
    """So many bytes give twice as many digits, and no two are equal."""
    names = {token_hex(8) for _ in range(1000)}
    assert len(names) == 1000
    assert all(len(name) == 16 and int(name, 16) >= 0 for name in names)


def test_chances_lie_between_none_and_certainty() -> None:
    """They spread over the whole range and never reach 1."""
    chances = [chance() for _ in range(10_000)]
    assert all(0 <= each < 1 for each in chances)
    assert all(sum(tenth <= 10 * each < tenth + 1 for each in chances) > 700 for tenth in range(10))
