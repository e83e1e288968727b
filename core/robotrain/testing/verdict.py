"""What a test with many cases found."""

from collections.abc import Iterable


def nothing_in(wrong: Iterable[str]) -> None:
    """Fail with every sentence of `wrong` in full, if there is any."""
    found = list(wrong)
    assert not found, "\n".join(found)
