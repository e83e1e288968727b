"""Data in the cache: `<digest>/` with its `files/` and its manifest, or not there; `<digest>.lock` beside it.

Whoever fetches or removes it holds the lock alone, those that use it share it.
"""

import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from robotrain_sources.fetching.progress import size
from robotrain_sources.transfer import boot, check
from robotrain_sources.transfer.catalog import Catalog, Total

FILES = "files"
MANIFEST = "manifest.jsonl"
CATALOG = "catalog.sqlite"
LOCK, SCRATCH = ".lock", ".part"
WAITS = 1.0


@dataclass(frozen=True, slots=True)
class Kept:
    """One file of a manifest. sha256: of what arrived."""

    name: str
    size: int
    sha256: str


def place(cache: Path, of: str, digest: str) -> Path:
    """Where data with that digest lies. of: `Origin.place`."""
    return cache / "data" / of / digest


def find(folder: Path) -> Path | None:
    """The files of `folder`; None while it is not there, or when a file of it is not what was fetched."""
    try:
        complete = all((folder / FILES / kept.name).stat().st_size == kept.size for kept in manifest(folder))
        complete = complete and (boot.is_noted(folder) or _survived(folder))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return folder / FILES if complete else None


def _survived(folder: Path) -> bool:
    """Whether every byte is there, after the machine was started anew: the last may never have reached the disk.

    Looked at once. Raises OSError and what `manifest` raises.
    """
    much = size(total(folder).size)
    print(f"checking {much} that were fetched before this machine was started: {folder}", flush=True)
    whole = all(check.again(folder / FILES / kept.name, kept.size, kept.sha256) for kept in manifest(folder))
    if whole:
        with suppress(OSError):  # a cache of somebody else's: it is looked at again the next time
            boot.settle(folder)
    return whole


def manifest(folder: Path) -> Iterator[Kept]:
    """The files that were fetched into it. Raises OSError, ValueError, KeyError, TypeError when it is damaged."""
    with (folder / MANIFEST).open(encoding="utf-8") as lines:
        expected = json.loads(next(lines, "{}"))["files"]
        for line in lines:
            yield Kept(**json.loads(line))
            expected -= 1
    if expected:
        raise ValueError("a part of the manifest is missing")


def total(folder: Path) -> Total:
    """How much lies there, as its manifest says."""
    with (folder / MANIFEST).open(encoding="utf-8") as lines:
        head = json.loads(next(lines))
    return Total(head["files"], head["size"], 0)


def pinned(above: Path, source: str, pin: str) -> Path | None:
    """The folder below `above` that holds complete what `source` was pinned to."""
    for path in above.glob(f"*/{MANIFEST}") if pin else ():
        with suppress(OSError, ValueError, AttributeError), path.open(encoding="utf-8") as lines:
            head = json.loads(next(lines, "{}"))
            if (head.get("source"), head.get("pin")) == (source, pin) and find(path.parent):
                return path.parent
    return None


def scratch(folder: Path) -> Path:
    """Where it is fetched to first."""
    return folder.with_name(folder.name + SCRATCH)


def land(folder: Path, catalog: Catalog, source: str, pin: str) -> None:
    """Make the complete scratch folder of `folder` that folder; its lock is held."""
    part, said = scratch(folder), catalog.total()
    if not catalog.is_complete():
        raise RuntimeError(f"{folder} lacks files")
    with (part / MANIFEST).open("w", encoding="utf-8") as lines:
        head = {"schema": 1, "source": source, "pin": pin, "files": said.files, "size": said.size}
        lines.write(json.dumps(head) + "\n")
        for name, size, own in catalog.complete():
            lines.write(json.dumps({"name": name, "size": size, "sha256": own}) + "\n")
    catalog.close()
    catalog.path.unlink()
    remove(folder)
    os.rename(part, folder)


def remove(folder: Path) -> None:
    """Remove it, so that nobody ever finds half of it."""
    if folder.exists():
        aside = folder.with_name(f".{folder.name}.{os.urandom(4).hex()}")
        os.rename(folder, aside)
        shutil.rmtree(aside)


class Hold:
    """The lock of one folder, until `close`. here: what to call when it has to wait for another process."""

    def __init__(self, folder: Path, waits: Callable[[], None]) -> None:
        folder.parent.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._waits = waits
        self._file: IO[str] = folder.with_name(folder.name + LOCK).open("a")
        with suppress(OSError):  # a cache of somebody else's
            os.utime(self._file.fileno())

    def found(self) -> Path | None:
        """The complete files, the lock shared; or None, the lock held alone: they are this process's to fetch."""
        waited = False
        while True:
            if self._lock(fcntl.LOCK_SH | fcntl.LOCK_NB) and (files := find(self._folder)):
                return files
            if self._lock(fcntl.LOCK_EX | fcntl.LOCK_NB):
                return find(self._folder)
            if not waited:
                self._waits()
            waited = True
            time.sleep(WAITS)

    def share(self) -> None:
        """Let others use it too, now that it is complete."""
        self._lock(fcntl.LOCK_SH)

    def close(self) -> None:
        """Let go of it."""
        self._file.close()

    def _lock(self, how: int) -> bool:
        try:
            fcntl.flock(self._file, how)
        except BlockingIOError:
            return False
        return True
