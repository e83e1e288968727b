"""A folder in the cache that is complete or absent, laid out as robotrain's cache does: its lock file is beside it.

Whoever uses the folder shares the lock; the next fetch continues what an interrupted one left in `NAME.part`.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from robotrain_s3.store import Entry, S3Error

FILES, SIZES_FILE, INCOMING = "files", "fetched.json", "incoming"


def get_folder(cache: Path, digest: str) -> Path:
    """Return the folder of data with that digest, which may not exist yet."""
    return cache / "data" / "s3" / digest


def find_files(folder: Path) -> Path | None:
    """Return the files of a folder; None if it does not exist or a file of it is not what was fetched."""
    try:
        expected = json.loads((folder / SIZES_FILE).read_text(encoding="utf-8"))
        complete = all((folder / FILES / name).stat().st_size == size for name, size in expected.items())
    except (OSError, ValueError):
        return None
    return folder / FILES if complete else None


def list_missing(folder: Path, entries: Sequence[Entry]) -> list[Entry]:
    """Return the objects that still have to be fetched; a file gets its name once it is complete."""
    scratch = _get_scratch_folder(folder) / FILES
    return (
        [] if find_files(folder) else [entry for entry in entries if _measure_file(scratch / entry.name) != entry.size]
    )


def seal(folder: Path, entries: Sequence[Entry]) -> Path:
    """Move the files to their final name, and return it. Raise S3Error if one of them is not as it was listed."""
    scratch = _get_scratch_folder(folder)
    if missing := list_missing(folder, entries):
        raise S3Error(f"{missing[0].name} changed after it was fetched: start the run again", "data")
    shutil.rmtree(scratch / INCOMING, ignore_errors=True)
    sizes = json.dumps({entry.name: entry.size for entry in entries}, indent=1)
    (scratch / SIZES_FILE).write_text(f"{sizes}\n", encoding="utf-8")
    if folder.exists():
        print(f"{folder} was changed or damaged: it has been fetched again", flush=True)
        shutil.rmtree(folder)
    os.replace(scratch, folder)
    return folder / FILES


@contextmanager
def lock_folder(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Yield the folder to put files into, and one for incomplete files; for one process at a time."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"another run is fetching {folder}: waiting", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield _get_scratch_folder(folder) / FILES, _get_scratch_folder(folder) / INCOMING


def _get_scratch_folder(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.part")


def _measure_file(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1
