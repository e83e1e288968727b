"""The nearest name: what was probably meant by a misspelt one."""

from collections.abc import Iterable

from robotrain.errors import Suggestion

MIN_PREFIX = 2
"""The length of a name that others are suggested for because they begin with it."""


def find_nearest_name(name: str, known: Iterable[str]) -> str | None:
    """Return the name that was probably meant: the only one with this prefix, or a similar one; None if none is.

    The dashes before a flag do not make it similar to others, and capital letters do not make it another name.
    """
    from difflib import get_close_matches

    names: dict[str, str] = {}
    for candidate in sorted(known, key=str.swapcase):  # of two that differ in capital letters, the one in small ones
        names.setdefault(candidate.lstrip("-").lower(), candidate)
    name = name.lstrip("-").lower()
    starting = [candidate for candidate in names if candidate.startswith(name) and len(name) >= MIN_PREFIX]
    near = starting if len(starting) == 1 else get_close_matches(name, names, n=1, cutoff=0.6)
    return names[near[0]] if near else None


def suggest_name(name: str, known: Iterable[str], prefix: str = "") -> tuple[Suggestion, ...]:
    """Return the nearest name after `prefix` as a suggestion; empty if no name is near."""
    near = find_nearest_name(name, known)
    return (Suggestion(prefix + near),) if near else ()
