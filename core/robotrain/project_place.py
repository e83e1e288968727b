"""Where robotrain.toml is: in the working folder, or in the nearest folder above it that has one.

The search ends at the root of the repository, at the home folder, and at a folder of another owner: what lies there is
not of this project, and a file that names an interpreter must not come from just anybody.
"""

import os
from collections.abc import Iterator
from pathlib import Path

NAME = "robotrain.toml"


def find(folder: Path) -> Path | None:
    """The file that counts for `folder`, an absolute path; None when there is none."""
    return next((place / NAME for place in above(folder) if (place / NAME).is_file()), None)


def above(folder: Path) -> Iterator[Path]:
    """`folder`, an absolute path, and those above it that are of the same project."""
    owner, home = _owner(folder), Path(os.path.expanduser("~"))
    for place in (folder, *folder.parents):
        if _owner(place) != owner:
            return
        yield place
        if place == home or (place / ".git").exists():
            return


def _owner(folder: Path) -> int | None:
    try:
        return folder.stat().st_uid
    except OSError:
        return None
