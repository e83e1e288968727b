"""The nearest known name for a misspelt one."""

from collections.abc import Iterable

from robotrain.problem import Instead


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The one a person probably meant; None when nothing is near. A prefix of exactly one name counts as near."""
    from difflib import get_close_matches

    names = list(known)
    starting = [candidate for candidate in names if candidate.startswith(name) and name.strip("-")]
    if len(starting) == 1:
        return starting[0]
    return next(iter(get_close_matches(name, names, n=1, cutoff=0.6)), None)


def offer(name: str, known: Iterable[str], before: str = "") -> tuple[Instead, ...]:
    """The nearest name as the way out of a problem, with what is typed `before` it; empty when nothing is near."""
    near = nearest(name, known)
    return (Instead(before + near),) if near else ()
