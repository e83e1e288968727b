"""Texts of names with values."""

from robotrain_runtime.contract.parameter import parse_pairs


def has_pairs(pairs_text: str) -> bool:
    """Return whether a text has the form of names with values."""
    try:
        parse_pairs(pairs_text)
    except ValueError:
        return False
    return True
