"""Every byte of a folder's files, several files at once; of what was read before nothing, unless somebody wrote to it.

A small folder is read each time: that is as quick as to look at what was kept of it.
"""

import hashlib
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from robotrain_sources import side_by_side
from robotrain_sources.local_path import kept, look
from robotrain_sources.local_path.kept import Read
from robotrain_sources.local_path.progress import Progress

AT_ONCE = 8
PIECE = 1 << 20
WORTH_KEEPING = 64 << 20
"""Bytes of a folder from which on what was read is kept."""
SETTLED = 2.0
"""Seconds after a file was written, from which on another write is sure to give it another time."""

_one_folder = threading.Lock()
"""Several are asked for at once, and lie on one disk: each is read with all there is."""


def all_of(folder: Path, files: Sequence[os.DirEntry[str]], end: int) -> dict[str, Read]:
    """What each file holds, by its path. end: how many bytes of its ends a look reads. Raises OSError."""
    with _one_folder:
        return _Reading(folder, files, end).read()


class _Reading:
    """One folder that is read."""

    def __init__(self, folder: Path, files: Sequence[os.DirEntry[str]], end: int) -> None:
        self._folder, self._files, self._end = folder, files, end
        total = sum(_known(entry).st_size for entry in files)
        self._large = total >= WORTH_KEEPING
        self._progress = Progress(folder, total)
        self._before = kept.load(folder) if self._large else {}
        self._found: dict[str, Read] = {}
        self._keep: dict[str, Read] = {}

    def read(self) -> dict[str, Read]:
        """All of it; when that fails, or somebody presses Ctrl-C, what was read is kept for the next time."""
        try:
            side_by_side.each(self._one, self._files, min(AT_ONCE, len(self._files)), self._progress.tell)
        except BaseException:
            self._save({**self._before, **self._keep.copy()})
            raise
        self._save(self._keep)
        return self._found

    def _save(self, found: dict[str, Read]) -> None:
        if self._large and found != self._before:
            kept.save(self._folder, found)

    def _one(self, entry: os.DirEntry[str], stopped: threading.Event) -> None:
        key = kept.key(_known(entry))
        if before := self._before.get(key):
            whole = before.whole
            self._progress.came(_known(entry).st_size)
        else:
            whole, key = self._whole(entry.path, stopped)
        same = before is not None and before.end == self._end
        found = before if before and same else Read(whole, self._end, look.ends(entry.path, self._end))
        self._found[entry.path] = found
        if key:
            self._keep[key] = found

    def _whole(self, path: str, stopped: threading.Event) -> tuple[str, str]:
        """The digest of a file, and its key; none where somebody may write to it and leave that as it is."""
        told, began = hashlib.sha256(), time.time()
        with open(path, "rb", buffering=0) as file:
            before = os.fstat(file.fileno())
            piece = bytearray(min(PIECE, before.st_size + 1))
            while not stopped.is_set() and (count := file.readinto(piece)):
                told.update(memoryview(piece)[:count])
                self._progress.came(count)
            after = os.fstat(file.fileno())
        steady = kept.key(before) == kept.key(after) and before.st_ctime < began - SETTLED
        return told.hexdigest(), kept.key(before) if steady and not stopped.is_set() else ""


def _known(entry: os.DirEntry[str]) -> os.stat_result:
    return entry.stat(follow_symlinks=False)
