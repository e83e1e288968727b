"""This machine's copies of the events of runs on login nodes."""

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from robotrain.model.run import Reference
from robotrain.store import files
from robotrain_runtime.contract.files import lock_file

PROBE_BYTES = 256
"""So many bytes before a place in a file identify what was read up to it."""


class EventsMirror:
    """This machine's copy of the events of a run: bytes are added to it as they are added there."""

    _followed: ClassVar[set[Path]] = set()

    def __init__(self, login: str, reference: Reference) -> None:
        key = "\0".join((login, reference["folder"], reference.get("step", "")))
        name = hashlib.sha256(key.encode()).hexdigest()[:32]
        self.path = files.get_cache_folder() / "events" / f"{name}.jsonl"

    @property
    def is_followed(self) -> bool:
        """Whether somebody in this process reads it."""
        return self.path in self._followed

    def follow(self) -> None:
        """Let each status add what is new."""
        self._followed.add(self.path)

    def describe(self) -> list[Any]:
        """Return its size, and the digest of its end."""
        with suppress(OSError), self.path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - PROBE_BYTES))
            return [size, hashlib.sha256(file.read()).hexdigest()]
        return [0, hashlib.sha256(b"").hexdigest()]

    def add(self, start: int, content: bytes, more: bool) -> bool:
        """Add bytes that begin at `start`, unless another command has; return whether there are more."""
        files.make_private_folder(self.path.parent)
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT, files.PRIVATE_FILE)
        try:
            lock_file(handle, seconds=5.0)
            size = os.fstat(handle).st_size
            if start == 0 and size:
                os.ftruncate(handle, 0)
                size = 0
            if size == start:
                with open(handle, "ab", closefd=False) as file:
                    file.write(content)
        finally:
            os.close(handle)
        return bool(more)

    def remove(self) -> None:
        """Remove it."""
        self.path.unlink(missing_ok=True)
