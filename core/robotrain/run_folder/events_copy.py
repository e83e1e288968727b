"""This machine's copies of the events of runs on other machines."""

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from robotrain_runtime.contract.document_limits import MAX_EVENTS_BYTES
from robotrain_runtime.contract.files import lock_file

from robotrain.run_folder import file_names
from robotrain.run_folder.transport import Transport
from robotrain.store import files

PROBE_BYTES = 256
"""So many bytes before a place in a file identify what was read up to it."""


class EventsCopy:
    """The copy of the events of a run: bytes are added to it as they are added there."""

    _followed: ClassVar[set[Path]] = set()

    def __init__(self, transport: Transport, folder: str) -> None:
        self._transport, self._source = transport, os.path.join(folder, file_names.EVENTS_FILE)
        name = hashlib.sha256(f"{transport.host}\0{folder}".encode()).hexdigest()[:32]
        self.path = files.get_cache_folder() / "events" / f"{name}.jsonl"

    @property
    def is_followed(self) -> bool:
        """Whether somebody in this process reads it."""
        return self.path in self._followed

    def follow(self) -> None:
        """Let each status add what is new."""
        self._followed.add(self.path)

    def update(self) -> bool:
        """Add what is new now; return False if there are no events. Raise ValueError for more than a run has."""
        wanted_size: int | None = None
        is_anew = False
        while True:
            size, probe = self._describe()
            start = size - len(probe)
            state = self._transport.read({self._source: start})[self._source]
            if state is None:
                return False
            if state.size > MAX_EVENTS_BYTES:
                raise ValueError(f"the events have {state.size} bytes")
            wanted_size = state.size if wanted_size is None else wanted_size
            if state.content.startswith(probe):
                self.add(size, state.content[len(probe) :])
                if start + len(state.content) >= wanted_size or not state.content[len(probe) :]:
                    return True
            elif is_anew:
                raise ValueError("the events are others with each reading")
            else:  # another file: the run has begun anew
                is_anew, wanted_size = True, None
                self.remove()

    def _describe(self) -> tuple[int, bytes]:
        """Return its size, and its end."""
        with suppress(OSError), self.path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - PROBE_BYTES))
            return size, file.read()
        return 0, b""

    def add(self, start: int, content: bytes) -> None:
        """Add bytes that begin at `start`, unless another command has."""
        files.make_private_folder(self.path.parent)
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT, files.PRIVATE_FILE)
        try:
            lock_file(handle, seconds=5.0)
            if os.fstat(handle).st_size == start:
                with open(handle, "ab", closefd=False) as file:
                    file.write(content)
        finally:
            os.close(handle)

    def remove(self) -> None:
        """Remove it."""
        self.path.unlink(missing_ok=True)
