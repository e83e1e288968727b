"""Names that a service gives its files, before they become files of this machine."""

import re

_CONTROL = r"[\x00-\x1f\x7f\\]"
DEBRIS = ".cache"
LONGEST = 255


def unsafe(name: str) -> str:
    """What makes `name` no file below a folder, as a sentence; empty when it may be written."""
    parts = name.split("/")
    if not {"", ".", ".."}.isdisjoint(parts) or re.search(_CONTROL, name):
        return f"the name {name!r} leads out of the folder or nowhere, so it is not written"
    if max(len(part.encode(errors="replace")) for part in parts) > LONGEST:
        return f"the name {name!r} is too long for a file of this machine"
    return ""


def both(above: str, name: str) -> str:
    """That one name would be a file and a folder, as a sentence."""
    return f"{above!r} is a file and, with {name!r}, a folder too, so they cannot both be written"


def folders(name: str) -> list[str]:
    """The folders that `name` lies in, the outermost first."""
    parts = name.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]


def is_debris(name: str) -> bool:
    """Whether it is what a download tool left in a folder that was then uploaded."""
    return DEBRIS in name.split("/")[:-1]
