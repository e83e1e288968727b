"""A folder of the cache that is complete or not there, as robotrain's cache has it: its lock file lies beside it.

Whoever uses the folder shares the lock; what an interrupted fetch left in `NAME.part` is taken up by the next one.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from robotrain_s3.store import Entry, Refused

FILES, NOTE, ASIDE = "files", "fetched.json", "incoming"


def place(cache: Path, digest: str) -> Path:
    """Where data of that digest lies, or will."""
    return cache / "data" / "s3" / digest


def files(folder: Path) -> Path | None:
    """The files of a folder; None while it is not there, or when a file of it is not what was fetched."""
    try:
        expected = json.loads((folder / NOTE).read_text(encoding="utf-8"))
        whole = all((folder / FILES / name).stat().st_size == size for name, size in expected.items())
    except (OSError, ValueError):
        return None
    return folder / FILES if whole else None


def missing(folder: Path, entries: Sequence[Entry]) -> list[Entry]:
    """Those that still have to be fetched; a file gets its name once it is whole."""
    scratch = _scratch(folder) / FILES
    return [] if files(folder) else [entry for entry in entries if _size(scratch / entry.name) != entry.size]


def seal(folder: Path, entries: Sequence[Entry]) -> Path:
    """The files, under their final name. Raises Refused when one of them is not there as it is listed."""
    scratch = _scratch(folder)
    if wrong := missing(folder, entries):
        raise Refused(f"{wrong[0].name} did not stay as it came: start the run again", "data")
    shutil.rmtree(scratch / ASIDE, ignore_errors=True)
    note = json.dumps({entry.name: entry.size for entry in entries}, indent=1)
    (scratch / NOTE).write_text(f"{note}\n", encoding="utf-8")
    if folder.exists():
        print(f"{folder} had been changed or damaged: it was fetched again", flush=True)
        shutil.rmtree(folder)
    os.replace(scratch, folder)
    return folder / FILES


@contextmanager
def filling(folder: Path) -> Iterator[tuple[Path, Path]]:
    """The folder to put files into, and one for those that are not whole yet; for one process at a time."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"another run is fetching {folder}: waiting", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield _scratch(folder) / FILES, _scratch(folder) / ASIDE


def _scratch(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.part")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1
