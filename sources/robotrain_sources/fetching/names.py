"""Names that a service gives its files, before they become files of this machine."""

import re
from collections.abc import Iterable

_CONTROL = r"[\x00-\x1f\x7f\\]"
DEBRIS = ".cache"


def wrong_with(names: Iterable[str]) -> str:
    """What makes the first bad one of `names` no file below a folder, as a sentence; empty when all may be written."""
    known = set(names)
    for name in sorted(known):
        parts = name.split("/")
        if not {"", ".", ".."}.isdisjoint(parts) or re.search(_CONTROL, name):
            return f"the name {name!r} leads out of the folder or nowhere, so it is not written"
        if above := next((above for above in folders(name) if above in known), None):
            return f"{above!r} is a file and, with {name!r}, a folder too, so they cannot both be written"
    return ""


def folders(name: str) -> list[str]:
    """The folders that `name` lies in, the outermost first."""
    parts = name.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]


def is_debris(name: str) -> bool:
    """Whether it is what a download tool left in a folder that was then uploaded."""
    return DEBRIS in name.split("/")[:-1]
