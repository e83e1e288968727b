"""What runs in the container, as one file: the payload and the job document, in a tar compressed as a whole.

Compressed each for itself, its many small files would take twice as much.
"""

import bz2
import functools
import io
import tarfile
import threading
import zipfile
from collections.abc import Iterator

from robotrain.payload import Payload

JOB = "job.json"
FOLDER = "payload"
"""In the archive: where the payload's own paths begin."""


def pack(payload: Payload, document: bytes) -> bytes:
    """The archive; equal content gives equal bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as packed:
        _add(packed, JOB, document)
    return _packed(payload) + bz2.compress(buffer.getvalue())


@functools.lru_cache(maxsize=4)
def _packed(payload: Payload) -> bytes:
    """The archive's beginning: the same for many jobs of one process, such as those of a sweep."""
    buffer = io.BytesIO()
    packed = tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115 - closing would end it
    for path, content in _unpacked(payload):
        _add(packed, path, content)
    return _compressed(buffer.getvalue())


def _add(packed: tarfile.TarFile, path: str, content: bytes) -> None:
    entry = tarfile.TarInfo(path)  # no clock, no owner: the archive is content alone
    entry.size = len(content)
    entry.mode = 0o644
    packed.addfile(entry, io.BytesIO(content))


def _compressed(content: bytes) -> bytes:
    """Two streams, one after the other: they are made side by side, and this is most of what a render takes."""
    middle = len(content) // 2
    first: list[bytes] = []
    beside = threading.Thread(target=lambda: first.append(bz2.compress(content[:middle])))
    beside.start()
    second = bz2.compress(content[middle:])
    beside.join()
    return first[0] + second


def _unpacked(payload: Payload) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(payload.archive)) as packed:
        for name in sorted(packed.namelist()):
            yield f"{FOLDER}/{name}", packed.read(name)
