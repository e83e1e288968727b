"""Files and folders: limited reads, atomic writes, locks, sizes; and the format of sizes and durations.

All packages use these functions.
"""

import errno
import fcntl
import json
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from io import FileIO
from pathlib import Path

POLL_SECONDS = 0.05
READ_BYTES = 1 << 20


def open_regular_file(path: Path) -> FileIO:
    """Open a file for reading, unbuffered. Raise OSError, also for a pipe or a device: neither is waited for."""
    file = open(path, "rb", buffering=0, opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))  # noqa: SIM115
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "Not a regular file", str(path))
    return file


def read_limited_file(path: Path, max_bytes: int) -> bytes:
    """Return the content of a regular file. Raise OSError, and ValueError if it has more than `max_bytes`.

    Whatever robotrain did not write itself is read with it: anything may lie there.
    """
    with open_regular_file(path) as file:
        file_bytes = bytearray()
        while len(file_bytes) <= max_bytes and (piece := file.read(min(max_bytes + 1 - len(file_bytes), READ_BYTES))):
            file_bytes += piece
    if len(file_bytes) > max_bytes:
        raise ValueError(f"it is larger than {max_bytes >> 10} KiB")
    return bytes(file_bytes)


def write_atomically(path: Path, file_bytes: bytes, mode: int = 0o666) -> None:
    """Replace the content of `path` in one step. Raise OSError; the old content then remains."""
    scratch = path.with_name(f".{path.stem}-{os.urandom(4).hex()}.tmp")
    try:
        write_new_file(scratch, file_bytes, mode)
        os.replace(scratch, path)
    except BaseException:
        with suppress(OSError):
            scratch.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_given_file(path: Path, file_bytes: bytes) -> None:
    """Replace the content of a file that a person named: a link stays, and a device or a pipe is written to.

    Raise OSError.
    """
    if path.exists() and not path.is_file():
        path.write_bytes(file_bytes)
    else:
        write_atomically(Path(os.path.realpath(path)), file_bytes)


RENAME_TRIES = 5


@contextmanager
def make_atomically(path: Path, *, replace: bool = False, key: str = "") -> Iterator[Path]:
    """Yield a free path beside `path`; the file or folder made there takes its name when the block ends.

    After a failure it is removed. Raise OSError if `path` is a folder with content, unless it is to be replaced.

    :param key: ends the free path's name, so that what a killed process left there is removed; for one process only.
    """
    scratch_path, old_path = (
        path.with_name(f".{path.name}.{key or os.urandom(4).hex()}.{end}") for end in ("part", "old")
    )
    _remove_path(scratch_path)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield scratch_path
        for tries_left in reversed(range(RENAME_TRIES)):
            if replace and path.is_dir():
                _remove_path(old_path)
                os.rename(path, old_path)
            try:
                os.rename(scratch_path, path)
                break
            except OSError as error:  # another process made the folder just now
                if not (replace and tries_left and error.errno in (errno.ENOTEMPTY, errno.EEXIST)):
                    raise
        sync_folder(path.parent)
    except BaseException:
        if old_path.exists() and not path.exists():
            os.rename(old_path, path)
        raise
    finally:
        _remove_path(scratch_path)
        _remove_path(old_path)


def remove_folder(folder: Path, name: str = "") -> None:
    """Remove a folder under a hidden name with `name` in it, so that nobody finds a part of it. Raise OSError."""
    hidden_folder = folder.with_name(f".{name or folder.name}.{os.urandom(4).hex()}")
    os.rename(folder, hidden_folder)
    shutil.rmtree(hidden_folder)


def _remove_path(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def write_new_file(path: Path, file_bytes: bytes, mode: int = 0o666) -> None:
    """Write and sync a new file, with a mode that the umask limits. Raise OSError, FileExistsError included."""
    with open(path, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
        file.write(file_bytes)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Sync the entries of a folder, if the file system can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def lock_file(handle: int, kind: int = fcntl.LOCK_EX, seconds: float = 0.0) -> bool:
    """Lock an open file until it is closed; return False if another process holds it for `seconds`. Raise OSError."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(handle, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(POLL_SECONDS)
        else:
            return True


def is_locked(path: Path) -> bool | None:
    """Return whether a process holds the lock of `path`; None if it is absent, or the file system has no locks."""
    try:
        with path.open("rb") as file:
            return not lock_file(file.fileno(), fcntl.LOCK_SH)
    except OSError:
        return None


def get_lock_path(file: Path) -> Path:
    """Return the lock file beside a file."""
    return file.with_name(f"{file.name}.lock")


@contextmanager
def hold_lock_beside(file: Path) -> Iterator[None]:
    """Hold the lock file beside a file: whoever may write to the file may take it, and nobody else."""
    lock = get_lock_path(file)
    with suppress(OSError):  # there is no such file yet
        mode = stat.S_IMODE(file.stat().st_mode)
        lock.touch(mode)
        if stat.S_IMODE(lock.stat().st_mode) & ~mode:
            lock.chmod(mode)
    with hold_lock(lock):
        yield


@contextmanager
def hold_lock(
    path: Path,
    on_wait: Callable[[], object] = lambda: None,
    quiet_seconds: float = 0.0,
    waiting: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> Iterator[None]:
    """Hold the lock file at `path`; it is created and stays.

    If another process holds it for more than `quiet_seconds`, `on_wait` is called, and the rest of the wait is inside
    a context that `waiting` makes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        if not lock_file(file.fileno(), seconds=quiet_seconds):
            on_wait()
            with waiting():
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


FILES = "files"
"""The folder, in a cache folder, of its files."""


def find_complete_files(folder: Path, manifest: str) -> Path | None:
    """Return the files of a cache folder; None if it is missing, or if the length of a file is wrong.

    `manifest` is the name of the file with their lengths.
    """
    try:
        sizes_by_name = json.loads((folder / manifest).read_text(encoding="utf-8"))["files"]
        is_complete = all((folder / FILES / name).stat().st_size == size for name, size in sizes_by_name.items())
    except (OSError, ValueError, KeyError, AttributeError):
        return None
    return folder / FILES if is_complete else None


def fill_cache_folder(
    folder: Path,
    manifest: str,
    fill: Callable[[Path], object],
    *,
    on_wait: Callable[[], object],
    quiet_seconds: float = 0.0,
    waiting: Callable[[], AbstractContextManager[object]] = nullcontext,
    rebuild: bool = False,
) -> Path:
    """Return the files of a cache folder; if they are not complete, or with `rebuild`, let `fill` create their folder.

    Of two processes that need the same folder one fills it, the other waits as in `hold_lock`. Leftovers of
    interrupted processes are removed.
    """
    if not rebuild and (files := find_complete_files(folder, manifest)):  # a run that uses it may lock it for days
        return files
    with hold_lock(folder.with_name(folder.name + ".lock"), on_wait, quiet_seconds, waiting):
        if not rebuild and (files := find_complete_files(folder, manifest)):
            return files
        with make_atomically(folder, replace=True, key="0") as scratch:  # which removes what a killed process left
            scratch.mkdir()
            fill(scratch / FILES)
            paths = sorted(path for path in (scratch / FILES).rglob("*") if path.is_file())
            sizes = {path.relative_to(scratch / FILES).as_posix(): path.stat().st_size for path in paths}
            (scratch / manifest).write_text(json.dumps({"files": sizes}, indent=1) + "\n", encoding="utf-8")
    return folder / FILES


def format_size(count: float) -> str:
    """Return bytes with a decimal unit, such as `7.6 GB`."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} bytes" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def format_duration(seconds: float) -> str:
    """Return a duration as `8 s`, `1:05 min`, `2:03 h` or `3 d 4 h`."""
    whole_seconds = max(0, round(seconds))
    if whole_seconds < 60:
        return f"{whole_seconds} s"
    if whole_seconds < 3600:
        return f"{whole_seconds // 60}:{whole_seconds % 60:02d} min"
    if whole_seconds < 48 * 3600:
        return f"{whole_seconds // 3600}:{whole_seconds % 3600 // 60:02d} h"
    return f"{whole_seconds // 86400} d {whole_seconds % 86400 // 3600} h"
