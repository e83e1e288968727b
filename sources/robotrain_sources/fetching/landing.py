"""Folders of the cache that are complete or not there: filled beside their place, then renamed into it."""

import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

FILES = "files"
MANIFEST = "fetched.json"
SCRATCH = ".part"
PATIENCE, POLL = 1.0, 0.05
"""Seconds for which nobody is told that something waits, and between two looks."""


def find(folder: Path) -> Path | None:
    """The files of `folder`; None while it is not there, or when a file of it is not what was fetched."""
    try:
        expected = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
        complete = all((folder / FILES / name).stat().st_size == size for name, size in expected.items())
    except (OSError, ValueError, KeyError):
        return None
    return folder / FILES if complete else None


def land(folder: Path, fill: Callable[[Path], None]) -> Path:
    """The files of `folder`; when it is not there, `fill` brings them into the new, empty folder it is given.

    Two processes may ask for the same: one fills, the other waits. What an interrupted one left is thrown away.
    """
    if found := find(folder):  # whoever uses it shares its lock, for as long as a run takes
        return found
    folder.parent.mkdir(parents=True, exist_ok=True)
    with held(folder.with_name(folder.name + ".lock"), f"another run is fetching {folder}: waiting"):
        if found := find(folder):
            return found
        scratch = folder.with_name(folder.name + SCRATCH)
        shutil.rmtree(scratch, ignore_errors=True)
        (scratch / FILES).mkdir(parents=True)
        try:
            fill(scratch / FILES)
            _note(scratch)
        except BaseException:
            shutil.rmtree(scratch, ignore_errors=True)  # a disk that it filled is needed for other things
            raise
        if folder.exists():
            print(f"{folder} had been changed or damaged: it was fetched again", flush=True)
            shutil.rmtree(folder)
        os.replace(scratch, folder)
    return folder / FILES


def _note(folder: Path) -> None:
    files = folder / FILES
    sizes = {str(path.relative_to(files)): path.stat().st_size for path in sorted(files.rglob("*")) if path.is_file()}
    (folder / MANIFEST).write_text(json.dumps({"files": sizes}, indent=1) + "\n", encoding="utf-8")


@contextmanager
def held(path: Path, waiting: str) -> Iterator[None]:
    """Hold the lock file at `path`; a process that ends lets go of it. waiting: said when another holds it for long."""
    with path.open("w") as file:
        until = time.monotonic() + PATIENCE
        while not (taken := _taken(file)) and time.monotonic() < until:
            time.sleep(POLL)
        if not taken:
            print(waiting, flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _taken(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
