"""Checkpoints and results copied into a folder: whole under their name, or not there. Nothing there is wiped first."""

import errno
import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from robotrain_runtime import checkpoint
from robotrain_runtime.checkpoint import MANIFEST, Manifest
from robotrain_runtime.courier import Halted, Never

CHUNK = 1 << 22
NO_RENAMING = (errno.ENOSYS, errno.EOPNOTSUPP, errno.EXDEV)
"""How a mounted store of objects says that it renames no folder."""

Halt = Callable[[], bool]


def put(folder: Path, manifest: Manifest, to: Path, halted: Halt) -> bool:
    """Copy what is sealed in `folder` to `to`, under its own name; False when it was there already.

    `to` is made, the folder above it is not: a disk that is not mounted yet is waited for, not written under. Raises
    OSError; Never when the name is taken by something else; Halted.
    """
    target = to / folder.name
    if there := checkpoint.read(target):
        if there.run != manifest.run:
            raise Never(f"{target} is of the run {there.run}")
        if there.digest == manifest.digest and _all_there(target, manifest):
            return False
    elif os.path.lexists(target) and not _is_empty(target):
        raise Never(f"{target} is something else")
    if not to.is_dir():
        to.mkdir()
    files = {path: folder / path for path in (*manifest.files, MANIFEST)}
    place(files, target, halted, key=manifest.run, check=lambda copy: _check(copy, folder))
    return True


def trim(to: Path, run: str, keep: int) -> list[Path]:
    """Remove the oldest checkpoints of `run` in `to` but for the last `keep`: where they were. Raises OSError."""
    own = [folder for _, folder in checkpoint.steps(to) if (made := checkpoint.read(folder)) and made.run == run]
    removed = []
    for folder in reversed(own[max(keep, 1) :]):
        old = hidden(folder, run, "old")
        shutil.rmtree(old, ignore_errors=True)
        folder.rename(old)  # at no moment is there half of it under its name
        shutil.rmtree(old, ignore_errors=True)
        removed.append(folder)
    return removed


def place(
    files: Mapping[str, Path],
    target: Path,
    halted: Halt,
    *,
    key: str,
    check: Callable[[Path], object] = lambda copy: None,
    linked: bool = False,
) -> None:
    """Make the folder `target` hold `files`, by its paths: copied beside it, then swapped with what was there.

    Where no folder can be renamed they are written under their name, the last of them when all others are there.
    key: of whoever does this; what an earlier try of theirs left is cleared away. check: raises when the copy is not
    right. linked: a file of the same disk is linked instead. Raises OSError, Never, Halted.
    """
    scratch = hidden(target, key, "part")
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        for path, source in files.items():
            (scratch / path).parent.mkdir(parents=True, exist_ok=True)
            if not (linked and _link(source, scratch / path)):
                copy(source, scratch / path, halted)
        check(scratch)
        try:
            _swap(scratch, target, hidden(target, key, "old"))
        except OSError as error:
            if error.errno not in NO_RENAMING:
                raise
            _rewrite(files, target, halted)
            check(target)
            shutil.rmtree(scratch, ignore_errors=True)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise


def copy(source: Path, target: Path, halted: Halt) -> None:
    """Copy one file, to the disk. Raises OSError, Halted; Never when there is none."""
    if not source.exists():
        raise Never(f"{source} is gone")
    with source.open("rb") as read, target.open("wb") as written:
        while chunk := read.read(CHUNK):
            if halted():
                raise Halted
            written.write(chunk)
        written.flush()
        os.fsync(written.fileno())


def hidden(target: Path, key: str, what: str) -> Path:
    """The name beside `target` of what is not ready, or not needed any more."""
    return target.with_name(f".{target.name}.{key}.{what}")


def clear(to: Path, key: str) -> None:
    """Remove what a process that was killed left half copied, beside its name or under it."""
    with suppress(OSError):
        for left in to.iterdir():
            if left.name.startswith(".") and left.name.endswith((f".{key}.part", f".{key}.old")):
                under = to / left.name[1:].removesuffix(f".{key}.part")
                if under.is_dir() and not (under / MANIFEST).exists():
                    shutil.rmtree(under, ignore_errors=True)
                shutil.rmtree(left, ignore_errors=True)


def _check(copy: Path, original: Path) -> None:
    if said := checkpoint.wrong_with(copy):
        if changed := checkpoint.wrong_with(original):
            raise Never(changed)
        raise OSError(f"the copy differs: {said}")


def _swap(new: Path, target: Path, old: Path) -> None:
    """`new` takes the place of `target`; at no moment is there half of either under that name."""
    if target.is_dir() and not _is_empty(target):
        shutil.rmtree(old, ignore_errors=True)
        target.rename(old)
    try:
        new.rename(target)
    except OSError:
        if old.exists() and not target.exists():
            old.rename(target)
        raise
    with suppress(OSError):  # a mounted store may not know how
        _sync(target.parent)
    shutil.rmtree(old, ignore_errors=True)


def _rewrite(files: Mapping[str, Path], target: Path, halted: Halt) -> None:
    """Without its last file it counts as unfinished, so that goes first and comes last."""
    *_, last = files
    (target / last).unlink(missing_ok=True)
    try:
        for path, source in files.items():
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            copy(source, target / path, halted)
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise


def _link(source: Path, target: Path) -> bool:
    try:
        os.link(source, target)
    except OSError:
        return False
    return True


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_empty(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink() and not any(path.iterdir())


def _all_there(folder: Path, manifest: Manifest) -> bool:
    return all((folder / path).is_file() for path in manifest.files)
