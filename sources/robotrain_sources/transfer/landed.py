"""Data in the cache: `<digest>/` with its `files/` and its manifest, or not there; `<digest>.lock` beside it.

Whoever fetches or removes it holds the lock alone, those that use it share it.
"""

import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import starmap
from pathlib import Path
from typing import IO

from robotrain_sources.fetching.answer import Refused
from robotrain_sources.fetching.progress import size
from robotrain_sources.transfer import boot, check
from robotrain_sources.transfer.catalog import Catalog, Total

FILES = "files"
MANIFEST = "manifest.jsonl"
CATALOG = "catalog.sqlite"
LOCK, SCRATCH = ".lock", ".part"
WAITS = 1.0
USED = 10
"""How often others are waited for that use what is not whole."""
_OTHERS = "something else writes to this cache"
_DAMAGED = (OSError, ValueError, KeyError, TypeError)


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
    """The files of `folder`; None while it is not there, or when a file of it is not as long as what was fetched."""
    try:
        complete = all(fits(folder / FILES, kept) for kept in manifest(folder))
    except _DAMAGED:
        return None
    return folder / FILES if complete else None


def fits(files: Path, kept: Kept) -> bool:
    """Whether that file is there, as long as it was."""
    try:
        return (files / kept.name).stat().st_size == kept.size
    except OSError:
        return False


def survived(folder: Path, pool: Executor) -> bool:
    """Whether every byte of what `find` finds is there: a power cut may take what had not reached the disk.

    All are read once after each start of the machine, and never again once they are known to lie on the disk.
    """
    if boot.is_noted(folder):
        return True
    try:
        much = size(total(folder).size)
        print(f"checking {much} that were fetched before this machine was started: {folder}", flush=True)
        every = ((kept.name, kept.size, kept.sha256) for kept in manifest(folder))
        whole = not any(check.harmed(folder / FILES, every, pool))
    except _DAMAGED:
        return False
    if whole:
        with suppress(OSError):  # a cache of somebody else's: it is looked at again the next time
            boot.settle(folder)
    return whole


def describes(folder: Path, names: Sequence[str]) -> bool:
    """Whether these few of its files can be read as they are, before `survived` has read all."""
    if boot.is_noted(folder):
        return True
    wanted = (kept for kept in readable(folder) if kept.name in names)
    return all(check.again(folder / FILES / kept.name, kept.size, kept.sha256) for kept in wanted)


def manifest(folder: Path) -> Iterator[Kept]:
    """The files that were fetched into it. Raises OSError, ValueError, KeyError, TypeError when it is damaged."""
    with (folder / MANIFEST).open(encoding="utf-8") as lines:
        expected = json.loads(next(lines, "{}"))["files"]
        for line in lines:
            yield Kept(**json.loads(line))
            expected -= 1
    if expected:
        raise ValueError("a part of the manifest is missing")


def readable(folder: Path) -> Iterator[Kept]:
    """What can be read of a manifest."""
    with suppress(*_DAMAGED):
        yield from manifest(folder)


def total(folder: Path) -> Total:
    """How much lies there, as its manifest says."""
    with (folder / MANIFEST).open(encoding="utf-8") as lines:
        head = json.loads(next(lines))
    return Total(head["files"], head["size"], 0)


def pinned(above: Path, source: str, pin: str) -> Path | None:
    """The folder below `above` that holds complete what `source` was pinned to."""
    for path in above.glob(f"*/{MANIFEST}") if pin else ():
        if "." in path.parent.name:  # on its way, or being removed
            continue
        with suppress(OSError, ValueError, AttributeError), path.open(encoding="utf-8") as lines:
            head = json.loads(next(lines, "{}"))
            if (head.get("source"), head.get("pin")) == (source, pin) and find(path.parent):
                return path.parent
    return None


def scratch(folder: Path) -> Path:
    """Where it is fetched to first."""
    return folder.with_name(folder.name + SCRATCH)


def land(folder: Path, catalog: Catalog, source: str, pin: str) -> None:
    """Make the complete scratch folder of `folder` that folder; its lock is held. Raises Refused, OSError."""
    part, said = scratch(folder), catalog.total()
    if not catalog.is_complete():
        raise RuntimeError(f"{folder} lacks files")
    with (part / MANIFEST).open("w", encoding="utf-8") as lines:
        head = {"schema": 1, "source": source, "pin": pin, "files": said.files, "size": said.size}
        lines.write(json.dumps(head) + "\n")
        for kept in starmap(Kept, catalog.complete()):
            if not fits(part / FILES, kept):
                raise Refused(f"{part / FILES / kept.name} is not any more what was written there: {_OTHERS}", "data")
            lines.write(json.dumps(asdict(kept)) + "\n")
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

    def found(self, whole: Callable[[Path], bool]) -> Path | None:
        """The complete files, the lock shared or held alone; or None, held alone: they are this process's to fetch.

        whole: whether what is found can be believed, which may take long. Raises Refused.
        """
        waited, used = False, 0
        while True:
            shared = self._lock(fcntl.LOCK_SH | fcntl.LOCK_NB)
            if shared and boot.is_noted(self._folder) and (files := find(self._folder)):
                return files
            if self._lock(fcntl.LOCK_EX | fcntl.LOCK_NB):
                return self._believed(whole)
            used = used + 1 if shared else 0
            if used >= USED:
                return self._of_others(whole)
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

    def _believed(self, whole: Callable[[Path], bool]) -> Path | None:
        files = find(self._folder)
        return files if files and whole(self._folder) else None

    def _of_others(self, whole: Callable[[Path], bool]) -> Path | None:
        """What others go on using, and nobody can mend meanwhile."""
        self._lock(fcntl.LOCK_SH)
        if files := self._believed(whole):
            return files
        why = f"{self._folder} had been changed or damaged, and other runs are using it"
        raise Refused(
            f"{why}: start the run again when they have ended, or set ROBOTRAIN_CACHE to another folder", "data"
        )

    def _lock(self, how: int) -> bool:
        try:
            fcntl.flock(self._file, how)
        except BlockingIOError:
            return False
        return True
