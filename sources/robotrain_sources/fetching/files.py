"""Fetched files: safe names, readable sizes, and cache folders that are either complete or absent."""

import re
from collections.abc import Callable
from pathlib import Path

from robotrain_runtime.contract import files as runtime_files

_CONTROL = r"[\x00-\x1f\x7f\\]"
DEBRIS_FOLDER = ".cache"
MAX_NAME_BYTES = 255


def find_name_problem(name: str) -> str:
    """Return why `name` cannot be a file below a folder; empty if it can."""
    parts = name.split("/")
    if not {"", ".", ".."}.isdisjoint(parts) or re.search(_CONTROL, name):
        return f"the name {name!r} leads out of the folder or is invalid, so it is not written"
    if max(len(part.encode(errors="replace")) for part in parts) > MAX_NAME_BYTES:
        return f"the name {name!r} is too long for this machine's file system"
    return ""


def is_debris(name: str) -> bool:
    """Return whether a download tool left the file in a folder that was then uploaded."""
    return DEBRIS_FOLDER in name.split("/")[:-1]


MANIFEST = "fetched.json"
QUIET_WAIT_SECONDS = 1.0
"""Seconds to wait for a lock before saying so."""


def fill_cache_folder(folder: Path, fill: Callable[[Path], None]) -> Path:
    """Return the files of `folder`; if it is missing, `fill` fetches them into the new, empty folder it is given."""

    def fill_new_folder(to: Path) -> None:
        if folder.exists():
            print(f"{folder} was changed or damaged: fetching it again", flush=True)
        to.mkdir()
        fill(to)

    return runtime_files.fill_cache_folder(
        folder,
        MANIFEST,
        fill_new_folder,
        on_wait=lambda: print(f"another run is fetching {folder}: waiting", flush=True),
        quiet_seconds=QUIET_WAIT_SECONDS,
    )
