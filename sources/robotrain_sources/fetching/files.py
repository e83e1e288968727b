"""Fetched files: safe names, readable sizes, and cache folders that are either complete or absent."""

import fcntl
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

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


def describe_name_conflict(folder_name: str, name: str) -> str:
    """Return the sentence for a name that would be both a file and a folder."""
    return f"{folder_name!r} is both a file and the folder of {name!r}, so both cannot be written"


def list_parent_folders(name: str) -> list[str]:
    """Return the folders of `name`, the outermost first."""
    parts = name.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]


def is_debris(name: str) -> bool:
    """Return whether a download tool left the file in a folder that was then uploaded."""
    return DEBRIS_FOLDER in name.split("/")[:-1]


FILES = "files"
MANIFEST = "fetched.json"
SCRATCH = ".part"
QUIET_WAIT_SECONDS, POLL_SECONDS = 1.0, 0.05
"""Seconds to wait for a lock before saying so, and between two polls."""


def find_complete_files(folder: Path) -> Path | None:
    """Return the files of `folder`; None if it is missing, or if the length of a file is wrong."""
    try:
        expected = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
        complete = all((folder / FILES / name).stat().st_size == size for name, size in expected.items())
    except (OSError, ValueError, KeyError):
        return None
    return folder / FILES if complete else None


def fill_cache_folder(folder: Path, fill: Callable[[Path], None]) -> Path:
    """Return the files of `folder`; if it is missing, `fill` fetches them into the new, empty folder it is given.

    Of two processes that need the same folder one fetches, the other waits. Leftovers of interrupted ones are removed.
    """
    if files := find_complete_files(folder):  # a run shares its lock for hours: do not wait for it
        return files
    folder.parent.mkdir(parents=True, exist_ok=True)
    with hold_lock_file(folder.with_name(folder.name + ".lock"), f"another run is fetching {folder}: waiting"):
        if files := find_complete_files(folder):
            return files
        scratch = folder.with_name(folder.name + SCRATCH)
        shutil.rmtree(scratch, ignore_errors=True)
        (scratch / FILES).mkdir(parents=True)
        try:
            fill(scratch / FILES)
            _write_manifest(scratch)
        except BaseException:
            shutil.rmtree(scratch, ignore_errors=True)  # it may have filled the disk
            raise
        if folder.exists():
            print(f"{folder} was changed or damaged: fetched it again", flush=True)
            shutil.rmtree(folder)
        os.replace(scratch, folder)
    return folder / FILES


def _write_manifest(folder: Path) -> None:
    files = folder / FILES
    sizes = {str(path.relative_to(files)): path.stat().st_size for path in sorted(files.rglob("*")) if path.is_file()}
    (folder / MANIFEST).write_text(json.dumps({"files": sizes}, indent=1) + "\n", encoding="utf-8")


@contextmanager
def hold_lock_file(path: Path, waiting_message: str) -> Iterator[None]:
    """Hold the lock file at `path`; print `waiting_message` if another process holds it for long."""
    with path.open("w") as file:
        deadline = time.monotonic() + QUIET_WAIT_SECONDS
        while not (is_locked := _try_lock(file)) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        if not is_locked:
            print(waiting_message, flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _try_lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


SIZE_UNITS = ("kB", "MB", "GB", "TB")


def format_size(count: float) -> str:
    """Return a number of bytes for people."""
    if count < 1000:
        return f"{count:.0f} bytes"
    power = min((len(f"{count:.0f}") - 1) // 3, len(SIZE_UNITS))
    return f"{count / 1000**power:.1f} {SIZE_UNITS[power - 1]}"
