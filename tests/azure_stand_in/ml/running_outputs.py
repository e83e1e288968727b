"""The outputs of a job, as folders that become blobs: at its end, or while it runs."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from azure_stand_in.ml.job import Bound
    from azure_stand_in.ml.store import Stored

TICK = 0.1


class Uploaded:
    """One with the mode `upload`: what lies in the folder when the process has ended, unless that is lost."""

    def __init__(self, store: Stored, to: Bound, folder: Path, lost: Callable[[], bool]) -> None:
        self.store, self.to, self.folder, self.lost = store, to, folder, lost
        self.base = f"{to.prefix.strip('/')}/"

    def __enter__(self) -> None:
        """The process is about to start."""

    def __exit__(self, *how: object) -> None:
        """The process has ended."""
        if not self.lost():
            files = {self.base + name: (self.folder / name).read_bytes() for name in _files(self.folder)}
            self.store.put(self.to.container, files)


class Mounted(Uploaded):
    """One with the mode `rw_mount`: what is written there is a blob, and what is a blob there is read."""

    def __enter__(self) -> None:
        for name in self.store.names(self.to.container, self.base):
            file = self.folder / name.removeprefix(self.base)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(self.store.get(self.to.container, name) or b"")
        self._known = _files(self.folder)
        self._over = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()

    def __exit__(self, *how: object) -> None:
        self._over.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure
        self._bring()

    def _carry(self) -> None:
        try:
            while not self._over.wait(TICK):
                self._bring()
        except BaseException as error:
            self._failure = error

    def _bring(self) -> None:
        """What is other than it was."""
        now, fresh = _files(self.folder), {}
        for name in [name for name, state in now.items() if self._known.get(name) != state]:
            try:
                fresh[self.base + name] = (self.folder / name).read_bytes()
            except FileNotFoundError:  # renamed meanwhile
                now.pop(name)
        self.store.put(self.to.container, fresh)
        for name in self._known.keys() - now.keys():
            self.store.delete(self.to.container, self.base + name)
        self._known = now


def _files(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Each file below a folder, and what tells that it is another one now. Storage knows no links."""
    found = {}
    for at, _, names in os.walk(folder):  # which passes over folders that were renamed meanwhile
        for path in (Path(at, name) for name in names):
            assert not path.is_symlink(), f"{path}: a datastore keeps no links"
            with suppress(FileNotFoundError):
                state = path.stat()
                found[path.relative_to(folder).as_posix()] = (state.st_mtime_ns, state.st_size, state.st_ino)
    return found
