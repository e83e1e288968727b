"""Names that some disks take for one: they tell no case apart, or not the ways to write an accent."""

import os
import unicodedata
from pathlib import Path

_COMPOSED = "\u00e9"
_PROBE = f".a{_COMPOSED}."


def folded(name: str) -> str:
    """The same for all names that such a disk may take for one."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def folds(folder: Path) -> bool:
    """Whether the disk of `folder` is such a one: a file is written there and looked for. Raises OSError."""
    probe = _PROBE + os.urandom(4).hex()
    (folder / probe).touch()
    try:
        return (folder / probe.replace("a", "A", 1)).exists() or (folder / unicodedata.normalize("NFD", probe)).exists()
    finally:
        (folder / probe).unlink()
