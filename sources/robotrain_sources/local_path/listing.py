"""What of a folder counts: the files that its digest is of, and that are sent where it is uploaded.

What begins with a dot is its owner's (`.git`, `.env`, `.cache`), and no part of a dataset or a policy; what Python
notes is none either. A link is told of and never followed. Standard library only.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

Told = Callable[[str], object]
"""Hears of what is left out, by its path; of a folder once."""


def _silent(path: str) -> None:
    """Nobody hears."""


def entries(folder: str | Path, left_out: Told = _silent, above: str = "") -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Everything below a folder that counts and is no folder, with its path from there, in one order for everybody."""
    with os.scandir(folder) as found:
        ordered = sorted(found, key=lambda entry: os.fsencode(entry.name))
    for entry in ordered:
        if stays_here(entry.name):
            left_out(f"{above}{entry.name}")
        elif entry.is_dir(follow_symlinks=False):
            yield from entries(entry.path, left_out, f"{above}{entry.name}/")
        else:
            yield f"{above}{entry.name}", entry


def stays_here(name: str) -> bool:
    """Whether what has this name is left out, with all below it."""
    return name.startswith(".") or name == "__pycache__"
