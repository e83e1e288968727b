"""Where robotrain.toml is: in the working folder, or in the nearest folder above it that has one.

The search ends at the root of the repository, at the home folder, and at a folder of another owner: what lies there is
not of this project, and a file that names an interpreter must not come from just anybody.
"""

import os
from pathlib import Path

NAME = "robotrain.toml"


def find(folder: Path) -> Path | None:
    """The file that counts for `folder`, an absolute path; None when there is none."""
    owner, home = _owner(folder), Path(os.path.expanduser("~"))
    for place in (folder, *folder.parents):
        if _owner(place) != owner:
            return None
        if (place / NAME).is_file():
            return place / NAME
        if place == home or (place / ".git").exists():
            return None
    return None


def _owner(folder: Path) -> int | None:
    try:
        return folder.stat().st_uid
    except OSError:
        return None
