"""Fetched files: names that may be written, and cache folders that are complete or absent."""

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
    """What makes `name` no file below a folder, as a sentence; empty when it may be written."""
    parts = name.split("/")
    if not {"", ".", ".."}.isdisjoint(parts) or re.search(_CONTROL, name):
        return f"the name {name!r} leads out of the folder or nowhere, so it is not written"
    if max(len(part.encode(errors="replace")) for part in parts) > MAX_NAME_BYTES:
        return f"the name {name!r} is too long for a file of this machine"
    return ""


def describe_name_conflict(folder_name: str, name: str) -> str:
    """That one name would be a file and a folder, as a sentence."""
    return f"{folder_name!r} is a file and, with {name!r}, a folder too, so they cannot both be written"


def list_parent_folders(name: str) -> list[str]:
    """The folders that `name` lies in, the outermost first."""
    parts = name.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]


def is_debris(name: str) -> bool:
    """Whether it is what a download tool left in a folder that was then uploaded."""
    return DEBRIS_FOLDER in name.split("/")[:-1]


FILES = "files"
MANIFEST = "fetched.json"
SCRATCH = ".part"
QUIET_WAIT_SECONDS, POLL_SECONDS = 1.0, 0.05
"""Seconds for which nobody is told that something waits, and between two looks."""


def find_complete_files(folder: Path) -> Path | None:
    """The files of `folder`; None while it is not there, or when a file of it is not what was fetched."""
    try:
        expected = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
        complete = all((folder / FILES / name).stat().st_size == size for name, size in expected.items())
    except (OSError, ValueError, KeyError):
        return None
    return folder / FILES if complete else None


def fill_cache_folder(folder: Path, fill: Callable[[Path], None]) -> Path:
    """The files of `folder`; when it is not there, `fill` brings them into the new, empty folder it is given.

    Two processes may ask for the same: one fills, the other waits. What an interrupted one left is thrown away.
    """
    if found := find_complete_files(folder):  # whoever uses it shares its lock, for as long as a run takes
        return found
    folder.parent.mkdir(parents=True, exist_ok=True)
    with hold_lock_file(folder.with_name(folder.name + ".lock"), f"another run is fetching {folder}: waiting"):
        if found := find_complete_files(folder):
            return found
        scratch = folder.with_name(folder.name + SCRATCH)
        shutil.rmtree(scratch, ignore_errors=True)
        (scratch / FILES).mkdir(parents=True)
        try:
            fill(scratch / FILES)
            _write_manifest(scratch)
        except BaseException:
            shutil.rmtree(scratch, ignore_errors=True)  # a disk that it filled is needed for other things
            raise
        if folder.exists():
            print(f"{folder} had been changed or damaged: it was fetched again", flush=True)
            shutil.rmtree(folder)
        os.replace(scratch, folder)
    return folder / FILES


def _write_manifest(folder: Path) -> None:
    files = folder / FILES
    sizes = {str(path.relative_to(files)): path.stat().st_size for path in sorted(files.rglob("*")) if path.is_file()}
    (folder / MANIFEST).write_text(json.dumps({"files": sizes}, indent=1) + "\n", encoding="utf-8")


@contextmanager
def hold_lock_file(path: Path, waiting_message: str) -> Iterator[None]:
    """Hold the lock file at `path`; a process that ends lets go of it. waiting: said when another holds it for long."""
    with path.open("w") as file:
        until = time.monotonic() + QUIET_WAIT_SECONDS
        while not (taken := _try_lock(file)) and time.monotonic() < until:
            time.sleep(POLL_SECONDS)
        if not taken:
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
    """Bytes as people read them."""
    if count < 1000:
        return f"{count:.0f} bytes"
    power = min((len(f"{count:.0f}") - 1) // 3, len(SIZE_UNITS))
    return f"{count / 1000**power:.1f} {SIZE_UNITS[power - 1]}"
