"""Files that are there whole or not at all, also after a power cut."""

import contextlib
import os
from pathlib import Path


def write(path: Path, content: bytes) -> None:
    """Make `content` what `path` holds, in one step for every reader. Raises OSError; what was there is left then."""
    scratch = path.with_name(f".{path.stem}-{os.urandom(4).hex()}.tmp")
    try:
        put(scratch, content)
        os.replace(scratch, path)
    except BaseException:
        with contextlib.suppress(OSError):
            scratch.unlink(missing_ok=True)
        raise
    settle(path.parent)


def put(path: Path, content: bytes) -> None:
    """A new file, written through to the disk. Raises OSError, FileExistsError among them."""
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def settle(folder: Path) -> None:
    """Write through which files `folder` holds; nothing where the file system has no way to."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
