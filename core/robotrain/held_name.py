"""A run's name, held while its job is sent: by a lock that the system takes back when the process that holds it dies.

So a record left at `sending` tells two things apart: whoever holds the name is still at it; nobody does, then it was
interrupted.
"""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

import contextlib
import fcntl
import os
from pathlib import Path
from types import TracebackType

CLAIMED = "claimed"


class HeldName:
    """The folder of a run, held by this process. fresh: nothing was there before."""

    def __init__(self, folder: Path, handle: int) -> None:
        self.folder = folder
        self._handle: int | None = handle

    @property
    def run(self) -> str:
        """The name that is held."""
        return self.folder.name

    def __enter__(self) -> HeldName:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.let_go()

    def let_go(self) -> None:
        """Hold it no longer; what was recorded stays."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def give_back(self) -> None:
        """Nothing was sent under this name: whatever was recorded goes, and the next submit may have it."""
        import shutil

        aside = self.folder.with_name(f".{self.run}.{os.urandom(4).hex()}")
        with contextlib.suppress(OSError):
            os.rename(self.folder, aside)  # in one step: no half-emptied folder is ever seen under the name
            shutil.rmtree(aside, ignore_errors=True)
        self.let_go()


def take(folder: Path) -> HeldName | None:
    """Hold the name of `folder`, which is made where it is missing; None while another process holds it.

    Raises OSError when nothing can be written there.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
        try:
            handle = os.open(folder / CLAIMED, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except FileNotFoundError:
            if folder.is_symlink():  # to a disk that is not there
                raise
            continue  # given back in between
        try:
            if not lock(handle):
                os.close(handle)
                return None
            if _same(handle, folder / CLAIMED):
                return HeldName(folder, handle)
        except OSError:
            os.close(handle)
            raise
        os.close(handle)  # it was the folder of a name that was just given back


def held(folder: Path) -> bool:
    """Whether a process holds the name of `folder` at this moment."""
    try:
        handle = os.open(folder / CLAIMED, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return not lock(handle, fcntl.LOCK_SH)
    except OSError:
        return False
    finally:
        os.close(handle)


def lock(handle: int, kind: int = fcntl.LOCK_EX) -> bool:
    """Lock an open file until it is closed; False while another holds it. Raises OSError where that cannot be done."""
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _same(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False
