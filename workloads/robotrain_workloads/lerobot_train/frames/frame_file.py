"""The decoded frames of one video: a sparse file with a slot for each frame, and an index that says what is there.

A slot is believed only if the checksum in its record is that of its pixels and of the time that they were decoded for.
So a process that is killed, and two that write the same slot, leave right pixels or none. Standard library only.
"""

import fcntl
import os
import struct
import threading
import zlib
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

RECORD = struct.Struct("<dII")
"""Of a slot: the time that its frame was asked for, the checksum, and `WRITTEN`, which a hole of the file lacks."""
WRITTEN = 0x4652414D
TIME = struct.Struct("<d")


class Slot(NamedTuple):
    """A place in the file."""

    number: int
    time: float
    """The time that is asked for, which a record must have bit for bit."""


class FrameFile:
    """The frames of a video, which several processes read and write."""

    def __init__(self, path: Path, frame_bytes: int) -> None:
        """Open the files, or make them. Raise OSError."""
        self._frame_bytes = frame_bytes
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        self._pixels = os.open(path.with_suffix(".pixels"), flags, 0o600)
        self._index = os.open(path.with_suffix(".index"), flags, 0o600)
        self._thread = threading.Lock()
        """The locks of a file are a process's, not a thread's."""

    def read(self, slot: Slot) -> bytearray | None:
        """Return the pixels of a slot; None if it has none of that time. Raise OSError."""
        record = self._read_record(slot.number)
        if record is None or TIME.pack(record[0]) != TIME.pack(slot.time):
            return None
        return self._read_pixels(slot, record[1])

    def write(self, slot: Slot, pixels: memoryview) -> None:
        """Write the pixels of a slot, unless it has some, or another process writes it. Raise OSError."""
        with self._thread:
            start = slot.number * RECORD.size
            try:
                fcntl.lockf(self._index, fcntl.LOCK_EX | fcntl.LOCK_NB, RECORD.size, start)
            except (BlockingIOError, PermissionError):
                return
            try:
                self._write_locked(slot, pixels)
            finally:
                with suppress(OSError):
                    fcntl.lockf(self._index, fcntl.LOCK_UN, RECORD.size, start)

    def _write_locked(self, slot: Slot, pixels: memoryview) -> None:
        record = self._read_record(slot.number)
        if record is not None and self._read_pixels(Slot(slot.number, record[0]), record[1]) is not None:
            return
        _write_all(self._pixels, pixels, slot.number * self._frame_bytes)
        record_bytes = RECORD.pack(slot.time, compute_checksum(slot.time, pixels), WRITTEN)
        _write_all(self._index, memoryview(record_bytes), slot.number * RECORD.size)

    def _read_record(self, number: int) -> tuple[float, int] | None:
        record_bytes = os.pread(self._index, RECORD.size, number * RECORD.size)
        if len(record_bytes) < RECORD.size:
            return None
        time, checksum, mark = RECORD.unpack(record_bytes)
        return (time, checksum) if mark == WRITTEN else None

    def _read_pixels(self, slot: Slot, checksum: int) -> bytearray | None:
        pixels = bytearray(self._frame_bytes)  # read, not mapped: a file that shrinks would kill a process that maps it
        count = os.preadv(self._pixels, [pixels], slot.number * self._frame_bytes)
        is_whole = count == self._frame_bytes and compute_checksum(slot.time, pixels) == checksum
        return pixels if is_whole else None


def compute_checksum(time: float, pixels: bytearray | memoryview) -> int:
    """Return the checksum of a frame and its time."""
    return zlib.crc32(pixels, zlib.crc32(TIME.pack(time)))


def identify_file(path: Path | str) -> tuple[int, ...]:
    """Return what changes when a file is replaced or written. Raise OSError."""
    facts = os.stat(path)
    return facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns


def _write_all(handle: int, content: memoryview, start: int) -> None:
    """Write at a place of a file. Raise OSError."""
    written_bytes = 0
    while written_bytes < len(content):
        written_bytes += os.pwrite(handle, content[written_bytes:], start + written_bytes)
